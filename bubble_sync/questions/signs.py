"""Whether the sync works right now, as far as the database shows it.

A green run of pg_cron means that its SQL ran: what became of the request is in pg_net's table, which names no request's
sender. So there are signs, and no proof; what is not known is said to be unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bubble_sync.converge import cron
from bubble_sync.converge.reading import Found, Row
from bubble_sync.formatting import format_timestamp
from bubble_sync.questions.due import counted_from, due
from bubble_sync.specs import CronJobSpec

PARTS = ("runs", "responses")
_MOMENTS = ("began_at", "server_started_at", "oldest_run_at")


class Verdict(StrEnum):
    """What the signs say."""

    SEEMS_SO = "it seems so"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Signs:
    """The verdict and what it rests on."""

    verdict: Verdict
    text: str

    def __str__(self) -> str:
        """Say both."""
        return f"{self.verdict}: {self.text}"


def signs_of(spec: CronJobSpec, found: Found) -> Signs:
    """Judge by the job, its newest run, and the newest response to anybody's request."""
    job = cron.observed(spec, found)
    if job is None:
        return Signs(Verdict.NO, f"{spec.object_name} is not there")
    if not job.actual.active:
        wanted = "" if spec.active else ", as the configuration wants it"
        return Signs(Verdict.NO, f"{spec.object_name} is not active{wanted}")
    run = next((row for row in found.rows("runs") if row["name"] == spec.name), None)
    if run is None:
        return Signs(Verdict.UNKNOWN, f"no run of {spec.object_name} is known")
    if run["status"] != "succeeded":
        where = f"see cron.job_run_details, runid {run['runid']}"
        return Signs(Verdict.NO, f"the last run of {spec.object_name} failed, {_at(run, 'start_time')}: {where}")
    ran = f"the last run of {spec.object_name} succeeded, {_at(run, 'start_time')}"
    missed = _missed(spec, job.actual.schedule, run, found)
    if missed is not None:
        return Signs(
            Verdict.UNKNOWN, f"{ran}; it was due again at {format_timestamp(missed)}, and no run since is on record"
        )
    response = next(iter(found.rows("responses")), None)
    if response is None:
        return Signs(Verdict.UNKNOWN, f"{ran}, which says that its SQL ran; no response is known")
    told = (
        f"the last response that pg_net has, to whatever request, is {_outcome(response)}, {_at(response, 'created')}"
    )
    changed = max((row["updated_at"] for row in found.rows("secrets") if row.get("updated_at")), default="")
    if changed and datetime.fromisoformat(changed) > datetime.fromisoformat(response["created"]):
        return Signs(Verdict.UNKNOWN, f"{ran}; {told}, before a secret was changed")
    good = response["status_code"] is not None and 200 <= response["status_code"] < 300
    return Signs(Verdict.SEEMS_SO if good else Verdict.UNKNOWN, f"{ran}; {told}")


def _outcome(response: Row) -> str:
    if response["status_code"] is not None:
        return f"HTTP {response['status_code']}"
    return "a timeout" if response["timed_out"] else "an error"


def _at(row: Row, column: str) -> str:
    return f"at {format_timestamp(datetime.fromisoformat(row[column]))}"


def _missed(spec: CronJobSpec, schedule: str, run: Row, found: Found) -> datetime | None:
    """Return when the job was last due but one, if no run has begun since and that counts."""
    about = {name: datetime.fromisoformat(run[name]) if run.get(name) else None for name in _MOMENTS}
    # An observing function of an earlier version does not tell of the others.
    began = about["began_at"] or datetime.fromisoformat(run["start_time"])
    now = datetime.fromisoformat(run["start_time"]) + timedelta(seconds=run["seconds_ago"])
    written = [row["recorded_at"] for row in found.rows("recorded") if row["object"] == spec.object_name]
    floor = max((counted_from(about), *map(datetime.fromisoformat, written)))
    return due(schedule, began, floor, now).missed
