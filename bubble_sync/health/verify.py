"""The success checklist: each line with evidence or a remedy, from one read-only transaction."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bubble_sync.compare.diff import ObjectDiff, State, diff, sections_about
from bubble_sync.compare.liveness import Liveness, LivenessVerdict, read_liveness
from bubble_sync.config.keys import read_key
from bubble_sync.config.settings import NameSettings, StackSettings
from bubble_sync.database.database import Connection, savepoint, translated
from bubble_sync.database.snapshot import Snapshot, read_accessible
from bubble_sync.database.table_names import DISPATCH_TABLE, JOB_TABLE, QUEUE_TABLE, RUN_TABLE
from bubble_sync.errors import PrerequisiteMissing, PrivilegeMissing
from bubble_sync.formatting import format_age, format_day, format_tenths, format_timestamp
from bubble_sync.health.jobs import Job, job_names, jobs_in
from bubble_sync.health.status import queue_stats_of
from bubble_sync.health.trace import Trace, traced
from bubble_sync.model.jobs import MANAGED_JOBS
from bubble_sync.model.setup import desired_state
from bubble_sync.model.targets import target_for
from bubble_sync.records import visibility
from bubble_sync.records.requests import as_of_now, newest_answered, requests_in, stuck
from bubble_sync.records.verdicts import ANSWERED, BAD
from bubble_sync.records.visibility import Visibility, in_one_read
from bubble_sync.specs import NOT_KNOWN, CronJobSpec, ExtensionSpec, LedgerSpec, Owner, PrerequisitesSpec
from bubble_sync.sql_loader import query


class CheckStatus(StrEnum):
    """The status of a line."""

    OK = "ok"
    NO = "no"
    UNKNOWN = "unknown"
    """The connecting role cannot see the evidence, or none exists."""
    NOT_PROVEN = "not proven"
    """Not contradicted, and no event yet that would prove the line."""


@dataclass(frozen=True)
class ChecklistLine:
    """One line with its evidence, and a remedy unless ok."""

    id: str
    title: str
    status: CheckStatus
    evidence: str
    remedy: str = ""


TITLES: Mapping[str, str] = {
    "prerequisites": "the queue and the ledger have the required form",
    "extensions": "pg_cron, pg_net and supabase_vault are installed",
    "secrets": "URL and key are in Vault, as configured",
    "functions": "the functions match the program",
    "jobs": "the jobs are scheduled and active",
    "runs": "the last run of each job succeeded",
    "endpoint": "the Edge Function answers that it worked",
    "queue": "the queue drains",
    "sign_up": "the newest sign-up was synced, in time and without an error",
    "bubble_ids": "its three bubble_ids are filled",
}
"""All lines, each after the lines that it depends on."""

_KINDS: Mapping[str, tuple[str, ...]] = {
    "prerequisites": ("prerequisites", "ledger"),
    "extensions": ("extension",),
    "secrets": ("secret",),
    "functions": ("function",),
    "jobs": ("job", "trigger"),
}
AS_OWNER = "connect as the role that `pulumi up` uses"
_REFUSED = (State.FOREIGN, State.MISSING)


def make_line(name: str, status: CheckStatus, evidence: str, remedy: str = "") -> ChecklistLine:
    """Make the line of this name."""
    return ChecklistLine(name, TITLES[name], status, evidence, remedy)


def lines_of(items: Sequence[ObjectDiff], names: NameSettings) -> Iterator[ChecklistLine]:
    """Yield a line for each kind of object."""
    for name, kinds in _KINDS.items():
        of_kind = [item for item in items if item.spec.kind in kinds]
        wrong = [item for item in of_kind if item.state is not State.EQUAL]
        paused_jobs = [item.spec for item in of_kind if isinstance(item.spec, CronJobSpec) and not item.spec.active]
        if wrong:
            refused = any(item.state in _REFUSED for item in wrong)
            remedy = "bubble-sync diff" if refused else "pulumi up"
            yield make_line(name, CheckStatus.NO, "; ".join(map(_wrong, wrong)), remedy)
        elif paused_jobs:
            evidence = "; ".join(f"{spec.object_name} is not active, as configured" for spec in paused_jobs)
            key = next(job.key for job in MANAGED_JOBS if names.render(job.name) == paused_jobs[0].name)
            yield make_line(name, CheckStatus.NO, evidence, f"bubble-sync resume --job {key}")
        elif rewritten := [item for item in of_kind if item.actual and "written_at" in item.actual.facts]:
            yield make_line(name, CheckStatus.UNKNOWN, "; ".join(map(_rewritten, rewritten)), "bubble-sync diff")
        else:
            unchanged = any(getattr(item.spec, "value", "") == NOT_KNOWN for item in of_kind)
            since = ", not written since `pulumi up` recorded them" if unchanged else ""
            yield make_line(name, CheckStatus.OK, ", ".join(_there(item, names) for item in of_kind) + since)


def _unexpired(line: ChecklistLine, settings: StackSettings, now: datetime) -> ChecklistLine:
    """Refute the line about secrets when the key that Vault has, the configured one, is past its expiry."""
    expires_at = read_key(settings.service_role_key).expires_at
    if line.id != "secrets" or line.status is not CheckStatus.OK or expires_at is None or expires_at > now:
        return line
    evidence = f"the key expired on {format_day(expires_at)}: the endpoint rejects an expired key"
    return make_line(line.id, CheckStatus.NO, evidence, "bubble-sync key rotate")


def _wrong(item: ObjectDiff) -> str:
    if item.state in _REFUSED:
        # The line has its own remedy.
        reason = re.sub(r"; nothing was changed\.[^:]*:", ":", item.reason)
        return " ".join(re.sub(r"(?<!:)\n  - ", ", ", reason).replace(":\n  - ", ": ").split())
    if item.actual is None:
        return f"{item.spec.object_name} is not there"
    fields = ", ".join(change.field for change in item.changes)
    return f"{item.spec.object_name} is not as wanted ({fields or 'not in the ledger'})"


def _rewritten(item: ObjectDiff) -> str:
    at = format_timestamp(datetime.fromisoformat(item.actual.facts["written_at"])) if item.actual else ""
    return f"{item.spec.object_name} was written at {at}, after `pulumi up` recorded it: its value is not known here"


def _there(item: ObjectDiff, names: NameSettings) -> str:
    facts = item.actual.facts if item.actual else {}
    if isinstance(item.spec, ExtensionSpec):
        return f"{item.spec.name} {facts['version']}"
    if isinstance(item.spec, CronJobSpec):
        return f"{item.spec.name} (jobid {facts['jobid']}, {item.spec.schedule})"
    if isinstance(item.spec, LedgerSpec):
        return f"the ledger of stack {item.spec.stack}"
    if isinstance(item.spec, PrerequisitesSpec):
        return names.queue
    return item.spec.object_name.removeprefix(f"{item.spec.kind} ")


_DIFF = "bubble-sync diff"
_SEND = "bubble-sync run-now --wait"
_LOG = "pulumi config set bubble-sync:dispatchLog true && pulumi up"
_VERDICTS = {
    "ok": (CheckStatus.OK, ""),
    "partial": (CheckStatus.OK, ""),
    ANSWERED: (CheckStatus.NOT_PROVEN, _SEND),
    **dict.fromkeys(BAD, (CheckStatus.NO, "bubble-sync doctor")),
}
"""Verdicts that prove something about the endpoint; lost and late responses prove nothing."""


@dataclass(frozen=True)
class Checklist:
    """The checklist of a stack."""

    stack: str
    asked_at: datetime
    lines: tuple[ChecklistLine, ...]
    liveness: Liveness

    @property
    def clean(self) -> bool:
        """Return whether every line is ok and the sync is not known to be broken; `not proven` is not ok."""
        return self.liveness.verdict is not LivenessVerdict.NO and all(
            one.status is CheckStatus.OK for one in self.lines
        )


@in_one_read("verifying the sync")
def verify(
    conn: Connection, visible: Visibility, settings: StackSettings, stack: str, project_ref: str | None
) -> Checklist:
    """Read and judge every line."""
    owner = Owner(stack, project_ref or "")
    visibility.require_configured_program(conn, visible, settings)
    specs = desired_state(settings, owner)
    snapshot = Snapshot()
    try:
        with translated("reading the stack", conn), savepoint(conn):
            snapshot = read_accessible(conn, sections_about(specs), specs)
    except (PrivilegeMissing, PrerequisiteMissing) as problem:
        objects = tuple(make_line(name, CheckStatus.UNKNOWN, str(problem), AS_OWNER) for name in _KINDS)
    else:
        objects = tuple(
            lines_of(diff(owner.stack, specs, snapshot, adopt=settings.adopt != "never").items, settings.names)
        )
    lines = (
        *(_unexpired(line, settings, visible.asked_at) for line in objects),
        _runs(conn, visible, settings),
        _endpoint(conn, visible, logged=settings.dispatch_log),
        _queue(conn, visible, settings),
        *_sign_up(conn, visible, settings, owner),
    )
    return Checklist(owner.stack, visible.asked_at, lines, read_liveness(conn, settings, owner.stack))


def _runs(conn: Connection, visible: Visibility, settings: StackSettings) -> ChecklistLine:
    """Judge the last run of each job; a job that was never due has missed no run."""
    jobs = [job for job in jobs_in(conn, visible, settings) if job.name in job_names(settings.names)]
    if wrong := [f"{job.name} {job.problem}" for job in jobs if job.problem]:
        return make_line("runs", CheckStatus.NO, "; ".join(wrong), "bubble-sync doctor")
    if why := visible.why_unreadable(RUN_TABLE) or next((job.unknown for job in jobs if job.jobid is None), ""):
        return make_line("runs", CheckStatus.UNKNOWN, why, _to_read(visible, JOB_TABLE, RUN_TABLE))
    if paused_jobs := [f"{job.name} is {job.pause}" for job in jobs if job.paused]:
        return make_line("runs", CheckStatus.NOT_PROVEN, "; ".join(paused_jobs), "bubble-sync resume")
    if unproven := [job for job in jobs if job.unknown]:
        evidence = "; ".join(f"{job.name}: {job.unknown}" for job in unproven)
        return make_line("runs", CheckStatus.NOT_PROVEN, evidence, "bubble-sync doctor")
    evidence = "; ".join(map(_job_in_words, jobs))
    if not any(job.run for job in jobs):
        return make_line("runs", CheckStatus.NOT_PROVEN, evidence, "`bubble-sync verify`, when a job was due")
    return make_line("runs", CheckStatus.OK, evidence)


def _job_in_words(job: Job) -> str:
    ran = f" {job.run} at {format_timestamp(job.run_at)}" if job.run_at else ""
    due = f" is first due at {format_timestamp(job.first_due)}" if job.first_due else ""
    return job.name + " and".join(filter(None, (ran, due)))


def _to_read(visible: Visibility, *names: str, absent: str = "pulumi up") -> str:
    """Return the remedy for unreadable tables: `absent` while one is missing."""
    return AS_OWNER if all(visible.present(name) for name in names) else absent


def _endpoint(conn: Connection, visible: Visibility, *, logged: bool) -> ChecklistLine:
    """Judge the newest response of each function; report a bad one first."""
    if why := visible.why_unreadable(DISPATCH_TABLE):
        remedy = _to_read(visible, DISPATCH_TABLE, absent="pulumi up" if logged else _LOG)
        return make_line("endpoint", CheckStatus.UNKNOWN, why, remedy)
    known = as_of_now(conn, visible, requests_in(conn.execute(query("requests", "recent")).fetchall()))
    if waiting := stuck(known, visible.asked_at):
        return make_line("endpoint", CheckStatus.NO, f"{waiting.name}: no answer", "bubble-sync doctor")
    answered = newest_answered(known)
    if answered is None:
        waits = f", and {len(known)} outstanding" if known else ""
        return make_line("endpoint", CheckStatus.NOT_PROVEN, f"no answer is on record{waits}", _SEND)
    status, remedy = _VERDICTS.get(answered.verdict, (CheckStatus.UNKNOWN, _SEND))
    return make_line("endpoint", status, f"{answered.name}: {answered}", remedy)


def _queue(conn: Connection, visible: Visibility, settings: StackSettings) -> ChecklistLine:
    if why := visible.why_unreadable(QUEUE_TABLE):
        return make_line("queue", CheckStatus.UNKNOWN, why, _to_read(visible, QUEUE_TABLE, absent=_DIFF))
    stats = queue_stats_of(conn.execute(query("items", "by_status")).fetchall(), visible.asked_at)
    target = target_for(settings.processor.schedule)
    problems = stats.problems(target, drained=settings.processor.active)
    if not problems:
        evidence = f"{stats.waiting} waiting, {stats.retrying} to be retried"
        return make_line(
            "queue", CheckStatus.OK, f"{evidence}; last hour: {stats.enqueued} enqueued, {stats.completed} completed"
        )
    remedies = {"bubble-sync release-stalled": stats.stalled, "bubble-sync requeue --dead": stats.dead}
    remedy = next((command for command, items in remedies.items() if items), "bubble-sync doctor")
    return make_line("queue", CheckStatus.NO, "; ".join(problems), remedy)


def _sign_up(
    conn: Connection, visible: Visibility, settings: StackSettings, owner: Owner
) -> tuple[ChecklistLine, ChecklistLine]:
    """Judge the newest sign-up alone."""
    if why := visible.why_unreadable(QUEUE_TABLE):
        unseen = CheckStatus.UNKNOWN, why, _to_read(visible, QUEUE_TABLE, absent=_DIFF)
    elif item := traced(conn, visible, settings, owner.stack, owner.project_ref, None):
        return _synced(item), _filled(item)
    else:
        limit = target_for(settings.processor.schedule).limit
        remedy = f"sign up a test user in the application, wait {limit} s, then `bubble-sync verify`"
        unseen = CheckStatus.NOT_PROVEN, "no item of a sign-up is in the queue", remedy
    return make_line("sign_up", *unseen), make_line("bubble_ids", *unseen)


def _synced(item: Trace) -> ChecklistLine:
    evidence = f"item {item.id} is {item.status}"
    if item.status != "completed" and not item.late and item.status != "failed":
        return make_line("sign_up", CheckStatus.NOT_PROVEN, f"{evidence} after {format_age(item.age_seconds)}", _SEND)
    if item.took_seconds is not None:
        evidence += f" after {format_tenths(item.took_seconds)}"
    late = f"; {item.target}" if item.late else ""
    error = f"; error: {item.error}" if item.error else ""
    if item.status != "completed" or late or error:
        return make_line("sign_up", CheckStatus.NO, evidence + late + error, "bubble-sync trace --latest")
    if item.took_seconds is None:
        return make_line(
            "sign_up", CheckStatus.UNKNOWN, f"{evidence}, and nothing says when", "bubble-sync trace --latest"
        )
    return make_line("sign_up", CheckStatus.OK, evidence)


def _filled(item: Trace) -> ChecklistLine:
    if item.bubble_ids is None:
        return make_line("bubble_ids", CheckStatus.UNKNOWN, item.unknown["bubble_ids"], "bubble-sync trace --latest")
    if empty := [name for name, value in item.bubble_ids.items() if not value]:
        status = CheckStatus.NO if item.status == "completed" or item.late else CheckStatus.NOT_PROVEN
        return make_line("bubble_ids", status, f"empty: {', '.join(empty)}", "bubble-sync trace --latest")
    evidence = ", ".join(f"{name.removesuffix('_bubble_id')} {value}" for name, value in item.bubble_ids.items())
    return make_line("bubble_ids", CheckStatus.OK, evidence)
