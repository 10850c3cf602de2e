"""pg_cron jobs: adopted in place with their jobid, altered and never unscheduled and made anew."""

from __future__ import annotations

from psycopg import errors

from bubble_sync.database import Connection, Row, fetch
from bubble_sync.errors import ConfigurationError, ForeignObject, PrivilegeMissing
from bubble_sync.specs import CronJobSpec, Observation
from bubble_sync.statements import query


def observe(conn: Connection, spec: CronJobSpec) -> Observation[CronJobSpec] | None:
    """Return the connecting role's job of this name."""
    rows = _same_name(conn, spec)
    row = next((row for row in rows if row["mine"]), None)
    if row is None:
        return None
    others = sorted({other["username"] for other in rows if not other["mine"]})
    actual = spec.model_copy(
        update={
            "duplicates": tuple(others),
            "schedule": row["schedule"],
            "command": row["command"],
            "database": "current_database()" if row["here"] else row["database"],
            "active": row["active"],
        }
    )
    return Observation(actual, {"jobid": str(row["jobid"]), "username": row["username"]})


def apply(conn: Connection, spec: CronJobSpec, observed: Observation[CronJobSpec] | None) -> None:
    """Schedule the job, or alter in place what differs; refuse while another role has one of the same name."""
    _refuse_duplicates(conn, spec)
    try:
        _apply(conn, spec, observed)
    except errors.InvalidParameterValue:
        raise ConfigurationError(
            f"{spec.object_name}: pg_cron on this server does not accept the schedule {spec.schedule!r}: nothing was "
            "changed. Give five cron fields, as in */5 * * * *."
        ) from None


def _apply(conn: Connection, spec: CronJobSpec, observed: Observation[CronJobSpec] | None) -> None:
    if observed is None:
        jobid = _schedule(conn, spec)
        if not spec.active:
            _alter(conn, jobid, active=False)
        return
    actual = observed.actual
    changes = {
        "schedule": spec.schedule if actual.schedule != spec.schedule else None,
        "command": spec.command if actual.command != spec.command else None,
        "here": True if actual.database != spec.database else None,
        # cron.schedule would leave a disabled job disabled: only alter_job sets it.
        "active": spec.active if actual.active != spec.active else None,
    }
    if any(value is not None for value in changes.values()):
        _alter(conn, observed.facts["jobid"], **changes)


def kept(conn: Connection, spec: CronJobSpec) -> str | None:
    """Say that nothing else needs a job."""
    return None


def remove(conn: Connection, spec: CronJobSpec) -> None:
    """Unschedule the job by its id; by its name a missing one would raise."""
    for row in _same_name(conn, spec):
        if row["mine"]:
            conn.execute(query("cron", "unschedule"), {"jobid": row["jobid"]})


def require_same_role(conn: Connection, name: str, username: str) -> None:
    """Raise PrivilegeMissing when the job is another role's: row security shows no rows, which is not "gone"."""
    row = conn.execute("select current_user as name").fetchone()
    if row is not None and username and row["name"] != username:
        raise PrivilegeMissing(
            f"job {name} belongs to the role {username}, and {row['name']} cannot see it: connect as that role."
        )


def _same_name(conn: Connection, spec: CronJobSpec) -> list[Row]:
    return fetch(conn, query("cron", "observe"), {"name": spec.name})


def _schedule(conn: Connection, spec: CronJobSpec) -> str:
    given = {"name": spec.name, "schedule": spec.schedule, "command": spec.command}
    scheduled = conn.execute(query("cron", "schedule"), given).fetchone()
    return str(scheduled["jobid"]) if scheduled else ""


def _refuse_duplicates(conn: Connection, spec: CronJobSpec) -> None:
    for row in _same_name(conn, spec):
        if row["mine"]:
            continue
        raise ForeignObject(
            f"{spec.object_name} exists for the role {row['username']} (jobid {row['jobid']}), and both would run: "
            f"nothing was changed. As that role: select cron.unschedule({row['jobid']});"
        )


def _alter(conn: Connection, jobid: str, **changes: object) -> None:
    fields = {"schedule": None, "command": None, "here": None, "active": None}
    conn.execute(query("cron", "alter"), {"jobid": jobid, **fields, **changes})
