"""Translate errors of the server and of libpq into ours.

The original messages can contain connection strings, literals and rows, so none is passed on. The two tables here are
the only place of the decision; `docs/reference/errors.md` is printed from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import psycopg

from bubble_sync.errors import Busy, PrerequisiteMissing, PrivilegeMissing, ServerRefused, SyncError, Unreachable

CONNECT_TIMEOUT_SECONDS = 10

Retry = Literal["soon", "when free", "never"]


class ConnectCause(NamedTuple):
    """A text in the error of a failed connection, its meaning, and the time for another attempt."""

    sign: str
    """In lower case."""
    cause: str
    """The cause with the remedy, as one clause."""
    retry: Retry


@dataclass(frozen=True)
class SessionCause:
    """SQLSTATEs of an open session, their meaning, and the remedy."""

    states: tuple[str, ...]
    """The first two characters stand for a class of SQLSTATEs."""
    error: type[SyncError]
    cause: str
    """`{state}` is the SQLSTATE, `{message}` the server's own first line."""
    remedy: str = ""
    sign: str = ""
    """A text that the server's first line must contain too."""

    def line(self, state: str, message: str) -> str:
        """Return cause and remedy as sentences."""
        cause = self.cause.format(state=state, message=message)
        return f"{cause}. {self.remedy}" if self.remedy else f"{cause}."


_DATABASE_CA = "pulumi config set bubble-sync:databaseCa <file> with the CA certificate from the database settings"
_IPV6 = "the direct host (db.<ref>.supabase.co) has IPv6 addresses only; use the session pooler's URL"
_UNKNOWN_TENANT = "the pooler knows no such project or user; check host and user, and resume a paused project first"
_BLOCKED = (
    "the pooler blocks logins after repeated wrong passwords; correct the password in the URL, stop what still uses "
    "the old one, then wait some minutes"
)
_BANNED = (
    "nothing listens there, or the project has banned this machine's address after wrong passwords; check that the "
    "project runs, and remove a ban in its database settings (`supabase network-bans get`)"
)
_NOT_ALLOWED = "the project's network restrictions do not allow this machine's address; add it in the database settings"
_NEEDS_TLS = "it accepts encrypted connections only; add ?sslmode=require to a tunnel's URL"
_NO_ENTRY = "it rejects connections from this address; check network restrictions, or add ?sslmode=require for a tunnel"
_UNKNOWN_NAME = "it has no database or no role of that name; check both in the database URL"
_WRONG_PASSWORD = "the password is wrong; it was tried once, since repeated failures are banned"  # noqa: S105
_NO_POSTGRES = "what listens there is no PostgreSQL server; check host and port in the database URL"
_NO_PLACE = "it has no connection left; close some, or raise its limit"
_NOTHING_LISTENS = "nothing listens there; check that the server runs, and the port"
_UNRESOLVED = "the host name does not resolve; check the database URL, or use the pooler's"
_OTHER_LOGIN = (
    "the server offers another way to log in than the URL or a variable of this machine requires; correct the "
    "parameter, or unset PGREQUIREAUTH and PGCHANNELBINDING"
)
_SESSION_SETTING = (
    "it does not know a setting of the session; correct `options` in the database URL, or unset variables such as PGTZ"
)
_LIBPQ_SETTING = (
    "libpq cannot use a parameter of the database URL, or a variable of this machine; correct the parameter, or unset "
    "variables such as PGSERVICE"
)
CONNECT_CAUSES = (
    ConnectCause("ecircuitbreaker", _BLOCKED, "never"),
    ConnectCause("circuit breaker open", _BLOCKED, "never"),
    ConnectCause("password authentication failed", _WRONG_PASSWORD, "never"),
    ConnectCause("wrong password", _WRONG_PASSWORD, "never"),
    ConnectCause("sasl authentication failed", _WRONG_PASSWORD, "never"),
    ConnectCause("no password supplied", "the URL holds no password", "never"),
    ConnectCause("tenant or user not found", _UNKNOWN_TENANT, "never"),
    ConnectCause("tenant/user", _UNKNOWN_TENANT, "never"),
    ConnectCause("allow_list", _NOT_ALLOWED, "never"),
    ConnectCause("ssl connection is required", _NEEDS_TLS, "never"),
    ConnectCause("esslrequired", _NEEDS_TLS, "never"),
    ConnectCause("root certificate file", f"its certificate cannot be checked without a CA: {_DATABASE_CA}", "never"),
    ConnectCause(
        "certificate verify failed",
        f"its certificate is not signed by the given CA, or has expired: {_DATABASE_CA}",
        "never",
    ),
    ConnectCause(
        "does not match host name", "its certificate is for another host; check the host in the database URL", "never"
    ),
    ConnectCause("does not support ssl", "it does not offer TLS, and the password would travel in clear text", "never"),
    ConnectCause("failed to resolve host", _UNRESOLVED, "soon"),
    ConnectCause("network is unreachable", f"no network leads there: {_IPV6}", "soon"),
    ConnectCause("cannot assign requested address", f"no network leads there: {_IPV6}", "soon"),
    ConnectCause("no route to host", f"no route leads there: a firewall is between, or {_IPV6}", "soon"),
    ConnectCause("connection refused", _NOTHING_LISTENS, "soon"),
    ConnectCause("no such file or directory", _NOTHING_LISTENS, "soon"),
    ConnectCause("expected authentication request", _NO_POSTGRES, "never"),
    ConnectCause("invalid response to ssl negotiation", _NO_POSTGRES, "never"),
    ConnectCause("too many c", _NO_PLACE, "when free"),
    ConnectCause("connection slots are reserved", _NO_PLACE, "when free"),
    ConnectCause("max client", _NO_PLACE, "when free"),
    ConnectCause("maxclients", _NO_PLACE, "when free"),
    ConnectCause("no more connections allowed", _NO_PLACE, "when free"),
    ConnectCause("database system is", "it is starting or stopping; wait a moment, then run again", "soon"),
    ConnectCause("no pg_hba.conf entry", _NO_ENTRY, "never"),
    ConnectCause("pg_hba.conf rejects", _NO_ENTRY, "never"),
    ConnectCause("does not exist", _UNKNOWN_NAME, "never"),
    ConnectCause("no such database", _UNKNOWN_NAME, "never"),
    ConnectCause(
        "is not permitted to log in", "this role may not log in; use another one in the database URL", "never"
    ),
    ConnectCause(
        "permission denied for database",
        "this role may not connect to the database; grant connect on database, or use another role in the URL",
        "never",
    ),
    ConnectCause(
        "not currently accepting connections",
        "the database is closed to connections; alter database with allow_connections true",
        "never",
    ),
    ConnectCause("authentication method requirement", _OTHER_LOGIN, "never"),
    ConnectCause("channel binding required", _OTHER_LOGIN, "never"),
    ConnectCause("invalid value for parameter", _SESSION_SETTING, "never"),
    ConnectCause("unrecognized configuration parameter", _SESSION_SETTING, "never"),
    ConnectCause(
        "timeout",
        f"it did not answer within {CONNECT_TIMEOUT_SECONDS} s; check host, port and network restrictions",
        "soon",
    ),
    # psycopg's own words where libpq has not begun to connect.
    ConnectCause("connection is bad", _LIBPQ_SETTING, "never"),
)
"""The first match counts."""
UNKNOWN_CONNECT_CAUSE = "the server closed the connection; run again"
IN_PROJECTS = {
    _NOTHING_LISTENS: _BANNED,
    _UNRESOLVED: f"the host name does not resolve: {_IPV6}, or resume the project",
}
"""Causes with another meaning at the direct host of a hosted project."""

_LOST_RACES = ("40001", "40P01")
_MADE_BY_OTHERS = ("23505", "42710", "42723", "42P06", "42P07")
_TIMEOUTS = ("57014", "25P04")
_TIMEOUT = "timeout"
"""In the server's first line; without it, 57014 is a person's pg_cancel_backend."""
_LOST = "the connection to the database was lost"
_AGAIN = "Run again: finished work is recognised."
_ROLLED_BACK = "; the change was rolled back"
SESSION_CAUSES = (
    SessionCause(
        ("53300",),
        Unreachable,
        "the server has no connection left",
        "Close some or raise its limit, then run again.",
    ),
    SessionCause(
        ("57P05",),
        Unreachable,
        "the connection to the database was lost to idle_session_timeout",
        f"Raise the timeout of the role. {_AGAIN}",
    ),
    SessionCause(("08", "57P01", "57P02", "57P03", "57P04", "25P03", "25P04"), Unreachable, _LOST, _AGAIN),
    SessionCause(("42501",), PrivilegeMissing, "{message}", "Grant it, or connect as the owner."),
    SessionCause(
        ("57014",), Busy, f"a statement took longer than 30 s{_ROLLED_BACK}", "Run again later.", sign=_TIMEOUT
    ),
    SessionCause(
        ("57014",),
        Busy,
        f"another session cancelled it (pg_cancel_backend){_ROLLED_BACK}",
        "Run again later.",
    ),
    SessionCause(("55P03",), Busy, "another session held a lock (SQLSTATE {state})"),
    SessionCause(_LOST_RACES, Busy, "another session changed the same object at the same moment (SQLSTATE {state})"),
    SessionCause(("25006",), PrerequisiteMissing, "the server is read-only", "Make it writable, then run again."),
    SessionCause(
        ("53100",),
        PrerequisiteMissing,
        "the server's disk is full",
        "Make room (hosted: Settings -> Compute and Disk), then run again.",
    ),
    SessionCause(
        ("58P01",),
        PrerequisiteMissing,
        "a file of the server is missing, such as an extension's library",
        "Install the extension's package again; the server's log names the file.",
    ),
    SessionCause(
        ("XX001", "XX002"),
        ServerRefused,
        "the server found damaged data (SQLSTATE {state})",
        "Restore from a backup; the server's log names the table or index.",
    ),
)
"""The first match counts."""
UNKNOWN_SESSION_CAUSE = SessionCause(
    (), ServerRefused, "PostgreSQL refused it (SQLSTATE {state})", "The server's log has the reason."
)


def why_not_connected(error: psycopg.Error, *, hosted: bool = False) -> tuple[str, Retry]:
    """Return the cause of a failed connection as one clause, and when to try again."""
    text = str(error).lower()
    unknown = ConnectCause("", UNKNOWN_CONNECT_CAUSE, "soon")
    _, cause, retry = next((one for one in CONNECT_CAUSES if one.sign in text), unknown)
    return (IN_PROJECTS.get(cause, cause) if hosted else cause), retry


def refusal(doing: str, error: psycopg.Error, holders: str = "") -> SyncError:
    """Return our error for one of the server's.

    Args:
        doing: The action and its object.
        error: The error of psycopg.
        holders: The holders of the lock, if known.
    """
    reason = _refusal(doing, error, holders)
    reason.lost_race = error.sqlstate in (*_LOST_RACES, *_MADE_BY_OTHERS) or _overtaken(error)
    reason.timed_out = error.sqlstate in _TIMEOUTS and _TIMEOUT in (error.diag.message_primary or "")
    return reason


def _refusal(doing: str, error: psycopg.Error, holders: str) -> SyncError:
    state, doing = error.sqlstate, " ".join(doing.split())
    if state is None and isinstance(error, psycopg.DataError):
        return ServerRefused(f"{doing}: the input contains a NUL character, which PostgreSQL cannot store. Remove it.")
    if state is None:
        return Unreachable(f"{doing}: {_LOST}. {_AGAIN}")
    if state == "55P03" and holders:
        return Busy(f"{doing}: {holders}.")
    if _overtaken(error):
        state = _LOST_RACES[0]
    cause = session_cause(state, error.diag.message_primary or "")
    # The first line of 42501 names the object, never a value; no other cause shows it.
    return cause.error(f"{doing}: {cause.line(error.sqlstate or '', error.diag.message_primary or '')}")


def session_cause(state: str, message: str) -> SessionCause:
    """Return the meaning of a SQLSTATE, given the server's own first line."""
    return next(
        (one for one in SESSION_CAUSES if state.startswith(one.states) and one.sign in message), UNKNOWN_SESSION_CAUSE
    )


def _overtaken(error: psycopg.Error) -> bool:
    """Return whether another session changed or removed a catalog row that the server was using."""
    message = error.diag.message_primary or ""
    return error.sqlstate == "XX000" and message.startswith(("tuple concurrently", "cache lookup failed"))
