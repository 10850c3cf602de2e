"""Converge pg_cron jobs: adopt them with their jobid, and alter them in place.

A job that pg_cron would run on another server is the exception: we unschedule and recreate that job.
"""

from __future__ import annotations

from bubble_sync.config.schedules import require_known
from bubble_sync.database.database import Connection
from bubble_sync.database.snapshot import Snapshot, SnapshotRow
from bubble_sync.errors import ForeignObject, PrivilegeMissing
from bubble_sync.specs import CronJobSpec, Observation
from bubble_sync.sql_loader import query

SECTIONS = ("jobs", "reader")
_ANEW = " (`up` makes the job anew, with another jobid)"


def observe(spec: CronJobSpec, snapshot: Snapshot) -> Observation[CronJobSpec] | None:
    """Return the connecting role's job of this name."""
    row = next((row for row in _same_name(spec, snapshot) if row["mine"]), None)
    if row is None:
        return None
    elsewhere = f" on {row['node']}{_ANEW}" if row.get("node") else ""
    others = sorted({other["username"] for other in _same_name(spec, snapshot) if not other["mine"]})
    actual = spec.model_copy(
        update={
            "duplicates": tuple(others),
            "schedule": row["schedule"],
            "command": row["command"],
            "database": ("current_database()" if row["here"] else row["database"]) + elsewhere,
            "active": row["active"],
        }
    )
    facts = {"jobid": str(row["jobid"]), "username": row["username"], "pg_cron": _version(snapshot)}
    return Observation(actual, facts)


def preflight(spec: CronJobSpec, snapshot: Snapshot) -> None:
    """Raise when the job must not be scheduled as specified.

    Raises:
        ForeignObject: Another role has a job of this name.
        PrivilegeMissing: The ledger lists the job, and row security hides it from the connecting role.
        PrerequisiteMissing: This version of pg_cron does not support the schedule.
    """
    require_known(spec.name, spec.schedule, _version(snapshot))
    known = any(row["object"] == spec.object_name for row in snapshot.rows("recorded"))
    for reader in snapshot.rows("reader") if known and observe(spec, snapshot) is None else ():
        if reader["own_alone"] and reader["keeper"] != reader["role"]:
            raise PrivilegeMissing(
                f"{spec.object_name} is in the ledger, and {reader['role']} sees no other role's jobs: nothing was "
                f"changed. Connect as {reader['keeper']}, the ledger's owner."
            )
    for row in _same_name(spec, snapshot):
        if row["mine"]:
            continue
        raise ForeignObject(
            f"{spec.object_name} exists for the role {row['username']} (jobid {row['jobid']}); both jobs would run: "
            f"nothing was changed. As that role: select cron.unschedule({row['jobid']});"
        )


def apply(conn: Connection, spec: CronJobSpec, observed: Observation[CronJobSpec] | None) -> None:
    """Schedule the job, or alter the fields that differ."""
    if observed is not None and is_elsewhere(observed.actual):
        # cron.alter_job cannot change the node, and only pg_cron may update the table.
        remove(conn, spec, observed)
        observed = None
    if observed is None:
        given = {"name": spec.name, "schedule": spec.schedule, "command": spec.command}
        scheduled = conn.execute(query("cron", "schedule"), given).fetchone()
        if scheduled and not spec.active:
            _alter(conn, str(scheduled["jobid"]), active=False)
        return
    changed = alterations(spec, observed.actual)
    if any(value is not None for value in changed.values()):
        _alter(conn, observed.facts["jobid"], **changed)


def is_elsewhere(actual: CronJobSpec) -> bool:
    """Return whether pg_cron connects to another server for the job."""
    return actual.database.endswith(_ANEW)


def alterations(spec: CronJobSpec, actual: CronJobSpec) -> dict[str, object]:
    """Return the arguments of `cron.alter_job` that turn `actual` into `spec`; None keeps a field."""
    return {
        "schedule": spec.schedule if actual.schedule != spec.schedule else None,
        "command": spec.command if actual.command != spec.command else None,
        "here": True if actual.database != spec.database else None,
        # Only alter_job enables a job; cron.schedule leaves a disabled one disabled.
        "active": spec.active if actual.active != spec.active else None,
    }


def retention_reason(conn: Connection, spec: CronJobSpec) -> str | None:
    """Return None: nothing depends on a job."""
    return None


def remove(conn: Connection, spec: CronJobSpec, observed: Observation[CronJobSpec]) -> None:
    """Unschedule the job by id; by name, pg_cron raises for a missing job."""
    conn.execute(query("cron", "unschedule"), {"jobid": observed.facts["jobid"]})


def require_same_role(conn: Connection, name: str, username: str) -> None:
    """Raise PrivilegeMissing for another role's job: row security hides the row, which does not mean "gone"."""
    row = conn.execute("select current_user as name").fetchone()
    if row is not None and username and row["name"] != username:
        raise PrivilegeMissing(
            f"job {name} belongs to the role {username}, and {row['name']} cannot see the job: connect as {username}."
        )


def _version(snapshot: Snapshot) -> str:
    return next((row.get("pg_cron") or "" for row in snapshot.rows("reader")), "")


def _same_name(spec: CronJobSpec, snapshot: Snapshot) -> list[SnapshotRow]:
    return [row for row in snapshot.rows("jobs") if row["name"] == spec.name]


def _alter(conn: Connection, jobid: str, **changes: object) -> None:
    fields = {"schedule": None, "command": None, "here": None, "active": None}
    conn.execute(query("cron", "alter"), {"jobid": jobid, **fields, **changes})
