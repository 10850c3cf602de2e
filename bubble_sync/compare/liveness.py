"""Whether the sync works right now: the one verdict of `drift`, `status`, `verify`, the report and the metrics.

A successful run of pg_cron proves only that the SQL ran; our own log has the outcome of the request. Without the log,
pg_net's table gives signs and no proof, since pg_net does not record senders. A missing fact is reported as unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from bubble_sync.config.settings import StackSettings
from bubble_sync.converge import cron_jobs
from bubble_sync.converge.registry import kind_of
from bubble_sync.database.database import Connection, savepoint, translated
from bubble_sync.database.snapshot import Snapshot, SnapshotRow, read_accessible
from bubble_sync.errors import PrerequisiteMissing, PrivilegeMissing
from bubble_sync.formatting import format_timestamp
from bubble_sync.model.jobs import PROCESSOR
from bubble_sync.model.secrets import KEY, URL
from bubble_sync.model.setup import desired_state, names_by_role
from bubble_sync.records import visibility
from bubble_sync.records.due_runs import counted_from, due
from bubble_sync.records.requests import Request, as_of_now, newest_answered, requests_in, stuck
from bubble_sync.records.verdicts import BAD, SUCCESS, WORKED
from bubble_sync.specs import (
    DISPATCHES,
    CronJobSpec,
    ExtensionSpec,
    FunctionSpec,
    LedgerSpec,
    Owner,
    Spec,
    VaultSecretSpec,
)

LIVENESS_SECTIONS = ("extensions", "secrets", "functions", "jobs", "reader", "runs", "dispatches", "responses")
_SENDING = (PROCESSOR.function, "bubble_sync.send")
"""Functions that every request needs, by their default names."""
_TIMESTAMPS = ("began_at", "server_started_at", "oldest_run_at")
_NEVER = datetime.min.replace(tzinfo=UTC)


class LivenessVerdict(StrEnum):
    """The verdict."""

    LIKELY = "likely"
    NO = "no"
    UNKNOWN = "unknown"


_LIKELY, _NO, _UNKNOWN = LivenessVerdict


@dataclass(frozen=True)
class Liveness:
    """The verdict with its evidence."""

    verdict: LivenessVerdict
    text: str

    def __str__(self) -> str:
        """Return verdict and evidence in one line."""
        return f"{self.verdict}: {self.text}"


def read_liveness(conn: Connection, settings: StackSettings, stack: str) -> Liveness:
    """Read and judge the sync; unknown when the role cannot read it."""
    specs = desired_state(settings, Owner(stack))
    try:
        with translated("reading the stack", conn), savepoint(conn):
            snapshot = read_accessible(conn, LIVENESS_SECTIONS, specs)
    except (PrivilegeMissing, PrerequisiteMissing) as problem:
        return Liveness(_UNKNOWN, str(problem))
    return liveness_in(conn, specs, snapshot)


def liveness_in(conn: Connection, specs: Sequence[Spec], snapshot: Snapshot) -> Liveness:
    """Judge an open transaction's snapshot, with responses in pg_net that no tick has recorded."""
    visible = visibility.probe_visibility(conn)
    logged = any(DISPATCHES in spec.tables for spec in specs if isinstance(spec, LedgerSpec))
    requests = None
    if logged and "dispatches" in snapshot.parts:
        requests = as_of_now(conn, visible, requests_in(map(_with_timestamps, snapshot.rows("dispatches"))))
    return judge_liveness(specs, snapshot, requests, visible.asked_at)


def judge_liveness(
    specs: Sequence[Spec], snapshot: Snapshot, requests: Sequence[Request] | None, now: datetime
) -> Liveness:
    """Judge by objects, the processor's newest run and our newest requests; without a log by the newest response."""
    spec = next(spec for spec in specs if isinstance(spec, CronJobSpec))
    job = cron_jobs.observe(spec, snapshot)
    run = next((row for row in snapshot.rows("runs") if row["name"] == spec.name), None)
    if why := next(_stops(specs, snapshot), ""):
        return Liveness(_NO, why)
    if job is None or not job.actual.active:
        wanted = "" if spec.active else ", as the configuration wants it"
        return Liveness(_NO, f"{spec.object_name} is not active{wanted}")
    if run is not None and run["status"] != "succeeded":
        failed = f"the last run of {spec.object_name} failed, {_at(run, 'start_time')}"
        return Liveness(_NO, f"{failed}: `bubble-sync runs` has the error of runid {run['runid']}")
    changed = secrets_changed_at(specs, snapshot)
    if requests is not None and (refused := _refused(requests, changed, now)):
        return refused
    if run is None:
        return Liveness(_UNKNOWN, f"no run of {spec.object_name} is known")
    ran = f"the last run of {spec.object_name} succeeded, {_at(run, 'start_time')}"
    missed = _missed(spec, job.actual.schedule, run, snapshot)
    if missed is not None:
        since = f"the job was due again at {format_timestamp(missed)}, and no run since is on record"
        return Liveness(_UNKNOWN, f"{ran}; {since}")
    return _by_response(ran, snapshot, changed) if requests is None else _by_request(ran, requests, changed)


def _stops(specs: Sequence[Spec], snapshot: Snapshot) -> Iterator[str]:
    """Return the missing object that every request needs."""
    secrets, functions = names_by_role(specs, URL.role, KEY.role), [snapshot.names.render(one) for one in _SENDING]
    for spec in specs:
        needed = (
            isinstance(spec, ExtensionSpec)
            or (isinstance(spec, VaultSecretSpec) and spec.name in secrets)
            or (isinstance(spec, FunctionSpec) and spec.name in functions)
        )
        if needed and kind_of(spec).observe(spec, snapshot) is None:
            yield f"{spec.object_name} is not there, so that no request is sent"
    processor = next(spec for spec in specs if isinstance(spec, CronJobSpec))
    if cron_jobs.observe(processor, snapshot) is None:
        yield f"{processor.object_name} is not there"


def _refused(requests: Sequence[Request], changed: datetime, now: datetime) -> Liveness | None:
    """Return no when our newest requests are unanswered, or refused since the last change of a secret."""
    if waiting := stuck(requests, now):
        return Liveness(_NO, f"{waiting.name} has no answer")
    newest = newest_answered(requests)
    if newest is None or newest.verdict not in BAD or newest.sent_at < changed:
        return None
    return Liveness(_NO, f"{_named(newest)}, was {newest}")


def _by_request(ran: str, requests: Sequence[Request], changed: datetime) -> Liveness:
    newest = newest_answered(requests)
    if newest is None:
        return Liveness(_UNKNOWN, f"{ran}, so its SQL ran; no answer to a request of ours is on record")
    text = f"{ran}; {_named(newest)}, was {newest}"
    if newest.sent_at < changed:
        return Liveness(_UNKNOWN, f"{text}, before a secret was changed")
    return Liveness(_LIKELY if newest.verdict in WORKED else _UNKNOWN, text)


def _by_response(ran: str, snapshot: Snapshot, changed: datetime) -> Liveness:
    response = next(iter(snapshot.rows("responses")), None)
    if response is None:
        return Liveness(_UNKNOWN, f"{ran}, so its SQL ran; no response is known")
    text = f"pg_net's last response, to any request, is {outcome_of(response)}, {_at(response, 'created')}"
    if datetime.fromisoformat(response["created"]) < changed:
        return Liveness(_UNKNOWN, f"{ran}; {text}, before a secret was changed")
    return Liveness(_LIKELY if response.get("good") else _UNKNOWN, f"{ran}; {text}")


def _named(request: Request) -> str:
    return f"the last answered request of {request.function}, sent at {format_timestamp(request.sent_at)}"


def secrets_changed_at(specs: Sequence[Spec], snapshot: Snapshot) -> datetime:
    """Return when a secret of the requests was last changed; the beginning of time when unknown."""
    secrets = names_by_role(specs, URL.role, KEY.role)
    rows = (row for row in snapshot.rows("secrets") if row["name"] in secrets and row.get("updated_at"))
    return max((datetime.fromisoformat(row["updated_at"]) for row in rows), default=_NEVER)


def _with_timestamps(row: SnapshotRow) -> dict[str, Any]:
    return {**row, **{name: datetime.fromisoformat(row[name]) for name in ("sent_at", "settled_at") if row[name]}}


def outcome_of(response: SnapshotRow) -> str:
    """Describe a row of pg_net's responses."""
    status = response["status_code"]
    if status is None:
        return "a timeout" if response["timed_out"] else "an error"
    page = " with a web page or a no in it" if status in SUCCESS and not response.get("good") else ""
    return f"HTTP {status}{page}"


def _at(row: SnapshotRow, column: str) -> str:
    return f"at {format_timestamp(datetime.fromisoformat(row[column]))}"


def _missed(spec: CronJobSpec, schedule: str, run: SnapshotRow, snapshot: Snapshot) -> datetime | None:
    """Return the last but one due time when no run began since and that counts."""
    about = {name: datetime.fromisoformat(run[name]) if run.get(name) else None for name in _TIMESTAMPS}
    # An observing function of an earlier version lacks the others.
    began = about["began_at"] or datetime.fromisoformat(run["start_time"])
    now = datetime.fromisoformat(run["start_time"]) + timedelta(seconds=run["seconds_ago"])
    rows = (row for row in snapshot.rows("recorded") if row["object"] == spec.object_name)
    written = [row["recorded_at"] for row in rows if row.get("recorded_at")]
    return due(schedule, began, max((counted_from(about), *map(datetime.fromisoformat, written))), now).missed
