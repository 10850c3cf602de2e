"""Translate errors of the server and of libpq into ours.

The original messages can contain connection strings, literals and rows, so none is passed on.
"""

from __future__ import annotations

from typing import Literal

import psycopg

from bubble_sync.errors import Busy, PrerequisiteMissing, PrivilegeMissing, ServerRefused, SyncError, Unreachable

CONNECT_TIMEOUT_SECONDS = 10

Retry = Literal["soon", "when free", "never"]

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
_NO_PLACE = "it has no connection left; close some, or raise its limit"
_NOTHING_LISTENS = "nothing listens there; check that the server runs, and the port"
_UNRESOLVED = "the host name does not resolve; check the database URL, or use the pooler's"
# Text in an error of libpq, the server or a pooler -> cause and time for another attempt; the first match counts.
_CONNECT_CAUSES: tuple[tuple[str, str, Retry], ...] = (
    ("ecircuitbreaker", _BLOCKED, "never"),
    ("circuit breaker open", _BLOCKED, "never"),
    (
        "password authentication failed",
        "the password is wrong; it was tried once, since repeated failures are banned",
        "never",
    ),
    ("wrong password", "the password is wrong; it was tried once, since repeated failures are banned", "never"),
    ("no password supplied", "the URL holds no password", "never"),
    ("tenant or user not found", _UNKNOWN_TENANT, "never"),
    ("tenant/user", _UNKNOWN_TENANT, "never"),
    ("allow_list", _NOT_ALLOWED, "never"),
    ("ssl connection is required", _NEEDS_TLS, "never"),
    ("esslrequired", _NEEDS_TLS, "never"),
    ("root certificate file", f"its certificate cannot be checked without a CA: {_DATABASE_CA}", "never"),
    (
        "certificate verify failed",
        f"its certificate is not signed by the given CA, or has expired: {_DATABASE_CA}",
        "never",
    ),
    ("does not match host name", "its certificate is for another host; check the host in the database URL", "never"),
    ("does not support ssl", "it does not offer TLS, and the password would travel in clear text", "never"),
    ("could not translate host name", _UNRESOLVED, "soon"),
    ("failed to resolve host", _UNRESOLVED, "soon"),
    ("network is unreachable", f"no network leads there: {_IPV6}", "soon"),
    ("cannot assign requested address", f"no network leads there: {_IPV6}", "soon"),
    ("no route to host", f"no route leads there: a firewall is between, or {_IPV6}", "soon"),
    ("connection refused", _NOTHING_LISTENS, "soon"),
    ("no such file or directory", _NOTHING_LISTENS, "soon"),
    ("too many c", _NO_PLACE, "when free"),
    ("connection slots are reserved", _NO_PLACE, "when free"),
    ("max client", _NO_PLACE, "when free"),
    ("maxclients", _NO_PLACE, "when free"),
    ("database system is", "it is starting or stopping; wait a moment, then run again", "soon"),
    (
        "no pg_hba.conf entry",
        "it rejects connections from this address; check network restrictions, or add ?sslmode=require for a tunnel",
        "never",
    ),
    ("does not exist", "it has no database or no role of that name; check both in the database URL", "never"),
    ("is not permitted to log in", "this role may not log in; use another one in the database URL", "never"),
    (
        "timeout",
        f"it did not answer within {CONNECT_TIMEOUT_SECONDS} s; check host, port and network restrictions",
        "soon",
    ),
)
_IN_PROJECTS = {
    _NOTHING_LISTENS: _BANNED,
    _UNRESOLVED: f"the host name does not resolve: {_IPV6}, or resume the project",
}
"""Causes with another meaning at the direct host of a hosted project."""

_LOST_RACES = ("40001", "40P01")
_MADE_BY_OTHERS = ("23505", "42710", "42723", "42P06", "42P07")


def why_not_connected(error: psycopg.Error, *, hosted: bool = False) -> tuple[str, Retry]:
    """Return the cause of a failed connection as one clause, and when to try again."""
    text = str(error).lower()
    unknown: tuple[str, Retry] = ("the server closed the connection; run again", "soon")
    cause, retry = next(((cause, retry) for sign, cause, retry in _CONNECT_CAUSES if sign in text), unknown)
    return (_IN_PROJECTS.get(cause, cause) if hosted else cause), retry


def refusal(doing: str, error: psycopg.Error, holders: str = "") -> SyncError:
    """Return our error for one of the server's.

    Args:
        doing: The action and its object.
        error: The error of psycopg.
        holders: The holders of the lock, if known.
    """
    reason = _refusal(doing, error, holders)
    reason.lost_race = error.sqlstate in (*_LOST_RACES, *_MADE_BY_OTHERS) or _overtaken(error)
    return reason


def _refusal(doing: str, error: psycopg.Error, holders: str) -> SyncError:
    state, doing = error.sqlstate, " ".join(doing.split())
    if state is None and isinstance(error, psycopg.DataError):
        return ServerRefused(f"{doing}: the input contains a NUL character, which PostgreSQL cannot store. Remove it.")
    if state == "53300":
        return Unreachable(
            f"{doing}: the server has no connection left. Close some or raise its limit, then run again."
        )
    if state is None or state.startswith("08") or state in ("57P01", "57P02", "57P03", "25P03", "25P04"):
        return Unreachable(f"{doing}: the connection to the database was lost. Run again: finished work is recognised.")
    if state == "42501":
        # The primary message of this SQLSTATE names the object, never a value.
        return PrivilegeMissing(f"{doing}: {error.diag.message_primary}. Grant it, or connect as the owner.")
    if state == "57014":
        return Busy(f"{doing}: {_cancelled(error)}; the change was rolled back. Run again later.")
    if state == "55P03":
        return Busy(f"{doing}: {holders or 'another session held a lock (SQLSTATE 55P03)'}.")
    if state in _LOST_RACES or _overtaken(error):
        return Busy(f"{doing}: another session changed the same object at the same moment (SQLSTATE {state}).")
    if state == "25006":
        return PrerequisiteMissing(f"{doing}: the server is read-only. Make it writable, then run again.")
    return ServerRefused(f"{doing}: PostgreSQL refused it (SQLSTATE {state}).")


def _overtaken(error: psycopg.Error) -> bool:
    """Return whether another session changed or removed a catalog row that the server was using."""
    message = error.diag.message_primary or ""
    return error.sqlstate == "XX000" and message.startswith(("tuple concurrently", "cache lookup failed"))


def _cancelled(error: psycopg.Error) -> str:
    if "timeout" in (error.diag.message_primary or ""):
        return "a statement took longer than 30 s"
    return "another session cancelled it (pg_cancel_backend)"
