"""Parse the `postgresql://` URL, which contains the password and is never shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from bubble_sync.errors import ConfigurationError

NAMESPACE = "bubble-sync"
"""The namespace of all configuration keys, in any Pulumi project."""

ONE_DATABASE = (
    f"set {NAMESPACE}:databaseUrlEnv to the name of an environment variable that holds the postgresql:// URL, "
    f"or the URL itself with `pulumi config set --secret {NAMESPACE}:databaseUrl`"
)


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
        return "".join(one if one.isprintable() else "?" for one in ", ".join(parts))

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
        raise ValueError(
            f"says {', '.join(sorted({*repeated, *hidden}))} again after the question mark; give each once"
        )
    host = host or query.get("host", [None])[0]
    # libpq ends the password at the first @, urlsplit at the last: two @ would mean two hosts.
    misread = re.search(r"\s|%(?![0-9A-Fa-f]{2})", url) or parts.netloc.count("@") != 1 or "," in parts.netloc
    if parts.scheme not in ("postgresql", "postgres") or not host or not user or parts.fragment or misread:
        raise ValueError(unreadable)
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
    if sslmode not in (None, "require", "verify-ca", "verify-full") and not address.loopback:
        raise ValueError(
            f"asks for sslmode={sslmode}, which allows eavesdropping; remove the parameter (verify-full is the default)"
        )
    return address


def check_variable_name(value: str | None) -> str | None:
    """Return a valid name of an environment variable; errors do not show it, since it may be the URL."""
    if value is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("is not the name of an environment variable; set the name, and put the URL into the variable")
    return value


def database_address(
    url: str | None, url_env: str | None, ca: str | None, environment: Mapping[str, str]
) -> DatabaseAddress:
    """Return the database address from the URL, or from the environment variable `url_env`."""
    configured = url is not None
    try:
        check_variable_name(url_env)
    except ValueError as error:
        raise ConfigurationError(f"{NAMESPACE}:databaseUrlEnv: {error}") from None
    if url is None and url_env is not None:
        url = environment.get(url_env)
        if not url:
            raise ConfigurationError(
                f"the environment variable {url_env}, named by {NAMESPACE}:databaseUrlEnv, is not set: "
                f"export {url_env}='postgresql://...' and run again"
            )
    if url is None:
        raise ConfigurationError(f"no database: {ONE_DATABASE}")
    if ca is not None and not Path(ca).is_file():
        raise ConfigurationError(f"{NAMESPACE}:databaseCa: there is no file {ca!r} in {Path.cwd()}; correct the path")
    try:
        source = f"{NAMESPACE}:databaseUrl" if configured else f"the environment variable {url_env}"
        return replace(read_database_url(url, ca), configured=configured, source=source)
    except ValueError as error:
        raise ConfigurationError(f"{url_env or f'{NAMESPACE}:databaseUrl'}: {error}") from None
