"""Split the database URL into parts, for clients that take no URL and need a session.

These clients read the password from the environment variable PGPASSWORD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from bubble_sync.config.database_url import NAMESPACE, DatabaseAddress
from bubble_sync.config.project_ref import ref_of_database
from bubble_sync.errors import ConfigurationError

_VARIABLE = "PGPASSWORD"
_TRANSACTION_PORT, _SESSION_PORT = 6543, 5432


@dataclass(frozen=True, kw_only=True)
class SessionAddress:
    """Host, port, database and user of a session, and the checks of the server's identity."""

    host: str
    port: int
    database: str
    username: str
    """The login; for a pooler, with the project after a dot."""
    role: str
    """The role inside the database."""
    sslmode: str
    ca: str | None
    password: str | None = field(repr=False)
    """The URL's password, for a comparison with PGPASSWORD."""

    def password_problem(self, environment: Mapping[str, str]) -> str | None:
        """Return the problem with PGPASSWORD, without its value, or None."""
        given = environment.get(_VARIABLE)
        if not given:
            return f"{_VARIABLE} is not set: export it with the password of {self.username} at {self.host}"
        if self.password is not None and given != self.password:
            return (
                f"{_VARIABLE} is not the password that the database URL holds: export the one of "
                f"{self.username} at {self.host}"
            )
        return None


def session_address(address: DatabaseAddress) -> SessionAddress:
    """Split a database URL; raise ConfigurationError for a part without a counterpart."""
    if address.hostaddr is not None:
        raise ConfigurationError(
            f"the database URL says hostaddr, which the plugin behind {NAMESPACE}:access does not know: it would send "
            "the password to another server. Give the address as the host."
        )
    parts = urlsplit(address.url)
    query = {key: values[0] for key, values in parse_qs(parts.query).items()}
    hosted = ref_of_database(address.host, address.user)
    port = int(address.port)
    password = query.get("password") if parts.password is None else unquote(parts.password)
    return SessionAddress(
        # The plugin copies the host into a URL unchanged.
        host=f"[{address.host}]" if ":" in address.host else address.host,
        # The plugin uses prepared statements, which need a session.
        port=_SESSION_PORT if hosted and port == _TRANSACTION_PORT else port,
        database=address.database,
        username=address.user,
        role=address.user.removesuffix(f".{hosted}"),
        sslmode=_sslmode(address),
        ca=address.ca,
        password=password,
    )


def _sslmode(address: DatabaseAddress) -> str:
    if address.sslmode in ("require", "verify-ca", "verify-full"):
        return address.sslmode
    # "allow" and "prefer" are valid on loopback only, and unknown to the plugin's library.
    return "disable" if address.loopback else "verify-full"
