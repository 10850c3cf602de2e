"""pg_cron jobs: adopted in place with their jobid, and altered.

One alone is unscheduled and made anew: a job that pg_cron would run on another server, which nothing else repairs.
"""

from __future__ import annotations

from bubble_sync.config.schedules import require_known
from bubble_sync.database.database import Connection
from bubble_sync.database.snapshot import Found, Row
from bubble_sync.errors import ForeignObject, PrivilegeMissing
from bubble_sync.specs import CronJobSpec, Observation
from bubble_sync.sql_loader import query

PARTS = ("jobs", "reader")


_ANEW = " (`up` makes the job anew, with another jobid)"


def observed(spec: CronJobSpec, found: Found) -> Observation[CronJobSpec] | None:
    """Return the connecting role's job of this name."""
    row = next((row for row in _same_name(spec, found) if row["mine"]), None)
    if row is None:
        return None
    others = sorted({other["username"] for other in _same_name(spec, found) if not other["mine"]})
    actual = spec.model_copy(
        update={
            "duplicates": tuple(others),
            "schedule": row["schedule"],
            "command": row["command"],
            "database": ("current_database()" if row["here"] else row["database"]) + _node(row.get("node") or ""),
            "active": row["active"],
        }
    )
    facts = {"jobid": str(row["jobid"]), "username": row["username"], "pg_cron": _version(found)}
    return Observation(actual, facts)


def refuse(spec: CronJobSpec, found: Found) -> None:
    """Raise ForeignObject while another role has a job of this name, PrivilegeMissing where one cannot be seen.

    And PrerequisiteMissing where this pg_cron does not know the schedule.
    """
    require_known(spec.name, spec.schedule, _version(found))
    known = any(row["object"] == spec.object_name for row in found.rows("recorded"))
    for reader in found.rows("reader") if known and observed(spec, found) is None else ():
        if reader["own_alone"] and reader["keeper"] != reader["role"]:
            raise PrivilegeMissing(
                f"{spec.object_name} is in the ledger, and {reader['role']} sees no other role's jobs: nothing was "
                f"changed. Connect as {reader['keeper']}, whose the ledger is."
            )
    for row in _same_name(spec, found):
        if row["mine"]:
            continue
        raise ForeignObject(
            f"{spec.object_name} exists for the role {row['username']} (jobid {row['jobid']}), and both would run: "
            f"nothing was changed. As that role: select cron.unschedule({row['jobid']});"
        )


def apply(conn: Connection, spec: CronJobSpec, observed: Observation[CronJobSpec] | None) -> None:
    """Schedule the job, or alter in place what differs."""
    if observed is not None and is_elsewhere(observed.actual):
        # cron.alter_job does not know the node, and the table is not ours to update.
        remove(conn, spec, observed)
        observed = None
    if observed is None:
        jobid = _schedule(conn, spec)
        if not spec.active:
            _alter(conn, jobid, active=False)
        return
    changed = changes(spec, observed.actual)
    if any(value is not None for value in changed.values()):
        _alter(conn, observed.facts["jobid"], **changed)


def is_elsewhere(actual: CronJobSpec) -> bool:
    """Say whether pg_cron connects to another server for the job."""
    return actual.database.endswith(_ANEW)


def changes(spec: CronJobSpec, actual: CronJobSpec) -> dict[str, object]:
    """Return what `cron.alter_job` is given to make of `actual` what is wanted; None leaves a field as it is."""
    return {
        "schedule": spec.schedule if actual.schedule != spec.schedule else None,
        "command": spec.command if actual.command != spec.command else None,
        "here": True if actual.database != spec.database else None,
        # cron.schedule would leave a disabled job disabled: only alter_job sets it.
        "active": spec.active if actual.active != spec.active else None,
    }


def kept(conn: Connection, spec: CronJobSpec) -> str | None:
    """Say that nothing else needs a job."""
    return None


def remove(conn: Connection, spec: CronJobSpec, observed: Observation[CronJobSpec]) -> None:
    """Unschedule the job by its id; by its name a missing one would raise."""
    conn.execute(query("cron", "unschedule"), {"jobid": observed.facts["jobid"]})


def require_same_role(conn: Connection, name: str, username: str) -> None:
    """Raise PrivilegeMissing when the job is another role's: row security shows no rows, which is not "gone"."""
    row = conn.execute("select current_user as name").fetchone()
    if row is not None and username and row["name"] != username:
        raise PrivilegeMissing(
            f"job {name} belongs to the role {username}, and {row['name']} cannot see it: connect as that role."
        )


def _node(node: str) -> str:
    return f" on {node}{_ANEW}" if node else ""


def _version(found: Found) -> str:
    return next((row.get("pg_cron") or "" for row in found.rows("reader")), "")


def _same_name(spec: CronJobSpec, found: Found) -> list[Row]:
    return [row for row in found.rows("jobs") if row["name"] == spec.name]


def _schedule(conn: Connection, spec: CronJobSpec) -> str:
    given = {"name": spec.name, "schedule": spec.schedule, "command": spec.command}
    scheduled = conn.execute(query("cron", "schedule"), given).fetchone()
    return str(scheduled["jobid"]) if scheduled else ""


def _alter(conn: Connection, jobid: str, **changes: object) -> None:
    fields = {"schedule": None, "command": None, "here": None, "active": None}
    conn.execute(query("cron", "alter"), {"jobid": jobid, **fields, **changes})
