"""Parse the `postgresql://` URL, which contains the password and is never shown.

Clients that take no URL and need a session get its parts, and read the password from the environment variable
PGPASSWORD.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from bubble_sync.config.project_ref import ref_of_database
from bubble_sync.errors import ConfigurationError
from bubble_sync.formatting import format_list
from bubble_sync.printable import printable

NAMESPACE = "bubble-sync"
"""The namespace of all configuration keys, in any Pulumi project."""

ONE_DATABASE = (
    f"set {NAMESPACE}:databaseUrlEnv to the name of an environment variable that holds the postgresql:// URL, "
    f"or the URL itself with `pulumi config set --secret {NAMESPACE}:databaseUrl`"
)
_ENCRYPTED = ("require", "verify-ca", "verify-full")
_VARIABLE = "PGPASSWORD"
_VARIABLE_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_LIKE_A_URL = re.compile("postgres(ql)?:/", re.IGNORECASE)
"""In a path, which joins two slashes to one, the URL of a database."""
_TRANSACTION_PORT, _SESSION_PORT = 6543, 5432


@dataclass(frozen=True)
class DatabaseAddress:
    """A parsed database URL, with the parts that the guards check."""

    url: str
    host: str
    user: str
    ca: str | None = None
    sslmode: str | None = None
    hostaddr: str | None = None
    port: str = "5432"
    database: str = "postgres"
    source: str = ""
    """The environment variable or configuration key with the URL."""
    configured: bool = False
    """Whether the URL comes from the configuration, where Pulumi keeps the last `up`'s value."""

    def __repr__(self) -> str:
        """Omit the URL, which contains the password."""
        return f"DatabaseAddress(host={self.host!r}, user={self.user!r})"

    @property
    def place(self) -> str:
        """Return host, port, database, user and the URL's source, in one line."""
        parts = [self.host, f"port {self.port}", f"database {self.database}", f"user {self.user}"]
        if self.source:
            parts.append(f"URL from {self.source}")
        return printable(", ".join(parts))

    @property
    def loopback(self) -> bool:
        """Return whether the server is on this machine."""
        return is_loopback(self.host) and (self.hostaddr is None or is_loopback(self.hostaddr))


def is_loopback(host: str) -> bool:
    """Return whether `host` is localhost, a loopback address or a socket directory."""
    if host == "localhost" or host.startswith("/"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _may_exist(host: str) -> bool:
    """Return whether a resolver can look the host up."""
    try:
        # A name may end with a dot.
        return host.startswith("/") or bool(host.encode("idna"))
    except UnicodeError:
        return False


def read_database_url(url: str, ca: str | None = None) -> DatabaseAddress:
    """Parse a `postgresql://` URL; errors never show it, since it contains the password."""
    unreadable = "cannot be read as postgresql://user:password@host:port/database; percent-encode special characters"
    try:
        parts = urlsplit(url)
        host, user, port = parts.hostname, parts.username, parts.port
    except ValueError:
        raise ValueError(unreadable) from None
    query = parse_qs(parts.query, keep_blank_values=True)
    # In libpq, these parameters override the URL's parts: we would check another server than libpq connects to.
    repeated = [key for key, values in query.items() if len(values) > 1]
    stated = {"host": host, "user": user, "password": parts.password, "port": port, "dbname": parts.path.strip("/")}
    hidden = {"service", *(key for key, value in stated.items() if value)} & set(query)
    if repeated or hidden:
        raise ValueError(f"repeats {', '.join(sorted({*repeated, *hidden}))} after the question mark; give each once")
    host = host or query.get("host", [None])[0]
    # libpq ends the password at the first @, urlsplit at the last: two @ would mean two hosts.
    misread = re.search(r"\s|%(?![0-9A-Fa-f]{2})", url) or parts.netloc.count("@") != 1 or "," in parts.netloc
    if parts.scheme not in ("postgresql", "postgres") or not host or not user or parts.fragment or misread:
        raise ValueError(unreadable)
    if not _may_exist(unquote(host)):
        raise ValueError("names a host that cannot exist: between its dots are 1 to 63 characters; correct the host")
    sslmode = query.get("sslmode", [None])[0]
    address = DatabaseAddress(
        url,
        unquote(host),
        unquote(user),
        ca,
        sslmode,
        query.get("hostaddr", [None])[0],
        str(port or query.get("port", [5432])[0]),
        unquote(parts.path.strip("/")) or query.get("dbname", [unquote(user)])[0],
    )
    if sslmode not in (None, *_ENCRYPTED) and not address.loopback:
        raise ValueError(
            f"asks for sslmode={sslmode}, which allows eavesdropping; remove the parameter (verify-full is the default)"
        )
    return address


def check_variable_name(value: str | None) -> str | None:
    """Return a valid name of an environment variable; errors do not show it, since it may be the URL."""
    if value is not None and not _VARIABLE_NAME.fullmatch(value):
        raise ValueError("is not the name of an environment variable; set the name, and put the URL into the variable")
    return value


def check_ca(value: str | None) -> str | None:
    """Return the path of a CA certificate; errors do not show it, since it may be the URL."""
    if value is not None and _LIKE_A_URL.search(value):
        raise ValueError("is not the path of a file; save the certificate, and set the path of its file")
    return value


def missing_parts(
    url_env: str | None, ca: str | None, environment: Mapping[str, str], named_by: str = f"{NAMESPACE}:databaseUrlEnv"
) -> list[str]:
    """Return the problems of a variable that is not set, and of a CA certificate that is not there."""
    problems = []
    # A text that is no name, or no path, may be the URL itself.
    if url_env is not None and _VARIABLE_NAME.fullmatch(url_env) and not environment.get(url_env):
        problems.append(
            f"the environment variable {url_env}, named by {named_by}, is not set: "
            f"put the postgresql:// URL there (`read -rs {url_env} && export {url_env}`), and run again"
        )
    if ca is not None and not (_LIKE_A_URL.search(ca) or Path(ca).is_file()):
        where = "" if Path(ca).is_absolute() else f" in {Path.cwd()}"
        problems.append(
            f"{NAMESPACE}:databaseCa: the file {ca!r} does not exist{where}; save the certificate there "
            "(docs/getting-started/set-up.md), or correct the path"
        )
    return problems


def database_address(
    url: str | None,
    url_env: str | None,
    ca: str | None,
    environment: Mapping[str, str],
    named_by: str = f"{NAMESPACE}:databaseUrlEnv",
) -> DatabaseAddress:
    """Return the database address from the URL, or from the environment variable `url_env`, which `named_by` names."""
    configured = url is not None
    try:
        check_variable_name(url_env)
    except ValueError as error:
        raise ConfigurationError(f"{named_by}: {error}") from None
    if url is None and url_env is None:
        raise ConfigurationError(f"no database: {ONE_DATABASE}")
    if problems := missing_parts(None if configured else url_env, ca, environment, named_by):
        several = f"{len(problems)} things are missing; nothing was changed:{format_list(problems)}"
        raise ConfigurationError(problems[0] if len(problems) == 1 else several)
    url = environment[url_env or ""] if url is None else url
    try:
        source = f"{NAMESPACE}:databaseUrl" if configured else f"the environment variable {url_env}"
        return replace(read_database_url(url, ca), configured=configured, source=source)
    except ValueError as error:
        raise ConfigurationError(f"{url_env or f'{NAMESPACE}:databaseUrl'}: {error}") from None


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
        # "allow" and "prefer" are valid on loopback only, and unknown to the plugin's library.
        sslmode=address.sslmode if address.sslmode in _ENCRYPTED else "disable" if address.loopback else "verify-full",
        ca=address.ca,
        password=password,
    )
