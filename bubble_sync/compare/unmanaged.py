"""Unmanaged objects: other installations of the sync, a clean-up of pg_cron's history, users of the key, executors.

`up` changes none of them, except that it revokes EXECUTE on our functions from unwanted roles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bubble_sync.config.keys import masked
from bubble_sync.converge import functions
from bubble_sync.converge.references import references_in
from bubble_sync.database.snapshot import Snapshot, SnapshotRow
from bubble_sync.model.jobs import HISTORY_JOB, VENDOR_HISTORY_JOB
from bubble_sync.model.setup import key_of
from bubble_sync.specs import CronJobSpec, FunctionSpec, Spec

UNMANAGED_SECTIONS = ("reaching",)
_ORDER = ("job", "trigger", "event trigger", "rule", "view", "default", "function")


@dataclass(frozen=True)
class UnmanagedObject:
    """One unmanaged object: why it matters, and the SQL that removes (or restores) it."""

    what: str
    text: str
    sql: str
    fires: bool = True
    """Whether the object fires by itself, and is active."""
    calls: str = ""
    """Our function that a job calls under another name."""


def unmanaged_objects(specs: Sequence[Spec], snapshot: Snapshot) -> tuple[UnmanagedObject, ...]:
    """List all unmanaged objects, other installations first."""
    return (
        *other_callers(snapshot),
        *_other_cleanups(snapshot),
        *_users(specs, snapshot),
        *_executors(specs, snapshot),
    )


def specs_to_find(specs: Sequence[Spec]) -> tuple[Spec, ...]:
    """Return specs with the names of unmanaged objects to read: the vendor's clean-up next to our own."""
    named = any(isinstance(spec, FunctionSpec) and spec.name.endswith(f".{HISTORY_JOB.file}") for spec in specs)
    return (CronJobSpec(name=VENDOR_HISTORY_JOB, schedule="", command="", stack=""),) if named else ()


def _other_cleanups(snapshot: Snapshot) -> Iterator[UnmanagedObject]:
    for row in snapshot.rows("jobs"):
        if row["name"] == VENDOR_HISTORY_JOB:
            about = f"jobid {row['jobid']}" if row["active"] else f"jobid {row['jobid']}, not active"
            whose = "" if row["mine"] else f" of the role {row['username']}"
            text = "it deletes old runs of pg_cron too, and stays: the shorter time to keep runs wins"
            removal = f"select cron.unschedule({row['jobid']});"
            yield UnmanagedObject(f"job {row['name']} ({about}){whose}", text, removal, row["active"])


def other_callers(snapshot: Snapshot) -> Iterator[UnmanagedObject]:
    """List the other callers of the Edge Function, direct and indirect: objects that fire by themselves first."""
    for row in sorted(snapshot.rows("reaching"), key=lambda row: _ORDER.index(row["kind"])):
        name = masked(row["name"] or "")
        by_itself = row["via"] in ("", name.partition("(")[0])
        called = "by itself" if by_itself else f"through {row['via']}"
        text = f"it also sends to the queue's Edge Function, {called}: items are sent twice"
        fires = row["active"] and row["kind"] not in ("view", "function")
        calls = row["via"] if row["kind"] == "job" and row["ours"] else ""
        yield UnmanagedObject(_what(row, name), text, _removal(row, name), fires, calls)


def _what(row: SnapshotRow, name: str) -> str:
    inactive = "" if row["active"] else "not active"
    if row["kind"] != "job":
        return f"{row['kind']} {name}{f' ({inactive})' if inactive else ''}"
    whose = "" if row["mine"] else f" of the role {row['username']}"
    about = ", ".join(filter(None, (f"jobid {row['id']}", inactive)))
    return f"{' '.join(filter(None, ('job', name)))} ({about}){whose}"


def _removal(row: SnapshotRow, name: str) -> str:
    kind = row["kind"]
    if kind == "job":
        return f"select cron.unschedule({row['id']});"
    if kind == "default":
        table, _, column = name.rpartition(".")
        return f"alter table {table} alter column {column} drop default;"
    return f"drop {'procedure' if row['procedure'] else kind} {name};"


def _users(specs: Sequence[Spec], snapshot: Snapshot) -> Iterator[UnmanagedObject]:
    ours = {f"function {spec.name}" for spec in specs if isinstance(spec, FunctionSpec)}
    key = key_of(specs)
    for user in references_in(snapshot):
        if user.split("(")[0] not in ours and key:
            names = f"it names the secret {key}: after `up`, it reads this stack's value"
            yield UnmanagedObject(user, names, "")


def _executors(specs: Sequence[Spec], snapshot: Snapshot) -> Iterator[UnmanagedObject]:
    for spec in (spec for spec in specs if isinstance(spec, FunctionSpec)):
        there = functions.observe(spec, snapshot)
        if there and (roles := ", ".join(one for one in there.actual.executors if one not in spec.executors)):
            yield UnmanagedObject(
                f"EXECUTE on {spec.name} for {roles}",
                "`up` revokes it; an app may call the function by RPC",
                f"grant execute on function {spec.name}({spec.arguments}) to {roles};",
            )
