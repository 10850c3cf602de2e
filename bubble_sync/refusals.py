"""What the server and its client library say, and what it means: the refusals, in our words.

Their own messages echo connection strings, literals and rows: they are read here for their meaning, never passed on.
"""

from __future__ import annotations

import psycopg

from bubble_sync.errors import Busy, PrerequisiteMissing, PrivilegeMissing, ServerRefused, SyncError, Unreachable

CONNECT_TIMEOUT_SECONDS = 10

_DATABASE_CA = "pulumi config set bubble-sync:databaseCa <file> with the CA certificate from the database settings"
_UNKNOWN_TENANT = "the pooler knows no such project or user; check host and user, and resume a paused project first"
# What libpq says -> what it means; the first match counts.
_CONNECT_CAUSES = (
    ("password authentication failed", "the password is wrong; it was tried once, since repeated failures are banned"),
    ("no password supplied", "the URL holds no password"),
    ("tenant or user not found", _UNKNOWN_TENANT),
    ("tenant/user", _UNKNOWN_TENANT),
    ("root certificate file", f"its certificate cannot be checked without a CA: {_DATABASE_CA}"),
    ("certificate verify failed", f"its certificate is not signed by the given CA, or has expired: {_DATABASE_CA}"),
    ("does not match host name", "its certificate is for another host; check the host in the database URL"),
    ("does not support ssl", "it does not offer TLS, and the password would travel in clear text"),
    ("could not translate host name", "the host name does not resolve; check the database URL, or use the pooler's"),
    ("failed to resolve host", "the host name does not resolve; check the database URL, or use the pooler's"),
    ("network is unreachable", "the direct host is IPv6 only; use the session pooler's URL"),
    ("connection refused", "nothing listens there; check that the server runs, and the port"),
    ("no such file or directory", "nothing listens there; check that the server runs, and the port"),
    ("too many c", "it has no connection left; close some, or raise its limit"),
    ("connection slots are reserved", "it has no connection left; close some, or raise its limit"),
    ("max client", "it has no connection left; close some, or raise its limit"),
    ("database system is", "it is starting or stopping; wait a moment, then run again"),
    (
        "no pg_hba.conf entry",
        "it lets nobody in from here; check network restrictions, or add ?sslmode=require to a tunnel's URL",
    ),
    ("does not exist", "it has no database or no role of that name; check both in the database URL"),
    ("timeout", f"it did not answer within {CONNECT_TIMEOUT_SECONDS} s; check host, port and network restrictions"),
)


def why_not_connected(error: psycopg.Error) -> str:
    """Return the cause of a failed connection attempt, as one clause."""
    said = str(error).lower()
    return next((cause for sign, cause in _CONNECT_CAUSES if sign in said), "the server closed the connection")


def refusal(doing: str, error: psycopg.Error) -> SyncError:
    """Return the error of ours for one of the server's; `doing` says what was going on and with which object."""
    state, doing = error.sqlstate, " ".join(doing.split())
    if state is None and isinstance(error, psycopg.DataError):
        return ServerRefused(f"{doing}: a text holds the character NUL, which PostgreSQL cannot store. Remove it.")
    if state == "53300":
        return Unreachable(
            f"{doing}: the server has no connection left. Close some or raise its limit, then run again."
        )
    if state is None or state.startswith("08") or state in ("57P01", "57P02", "57P03"):
        return Unreachable(f"{doing}: the connection to the database was lost. Run again: what was done is found.")
    if state == "42501":
        # The primary message of this state names the object and never a value.
        return PrivilegeMissing(f"{doing}: {error.diag.message_primary}. Grant it, or connect as the owner.")
    if state == "57014":
        return Busy(f"{doing}: it took longer than 30 s, or was cancelled; nothing was kept. Run again later.")
    if state in ("55P03", "40P01"):
        return Busy(f"{doing}: another session holds what is needed (SQLSTATE {state}). Wait for it, then run again.")
    if state == "25006":
        return PrerequisiteMissing(f"{doing}: the server is read-only. Make it writable, then run again.")
    return ServerRefused(f"{doing}: PostgreSQL refused it (SQLSTATE {state}).")
