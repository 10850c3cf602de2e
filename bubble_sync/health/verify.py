"""The success checklist: each line with evidence or a remedy, from one read-only transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bubble_sync.compare.diff import Item, State, diff, parts_about
from bubble_sync.compare.liveness import Signs, Verdict, works
from bubble_sync.config.settings import StackSettings
from bubble_sync.database.database import Connection, Database, savepoint, translated
from bubble_sync.database.snapshot import Found
from bubble_sync.database.snapshot_access import watched
from bubble_sync.database.table_names import DISPATCH_TABLE, JOB_TABLE, QUEUE_TABLE, RUN_TABLE
from bubble_sync.errors import PrerequisiteMissing, PrivilegeMissing
from bubble_sync.formatting import format_age, format_tenths, format_timestamp
from bubble_sync.health.jobs import NAMES, Job, jobs_in
from bubble_sync.health.status import figures_of
from bubble_sync.health.trace import Trace, traced
from bubble_sync.model.jobs import MANAGED_JOBS
from bubble_sync.model.setup import desired
from bubble_sync.model.targets import LIMIT_SECONDS, TARGET
from bubble_sync.records import visibility
from bubble_sync.records.requests import as_of_now, newest_answered, requests_in, stuck
from bubble_sync.records.verdicts import ANSWERED, BAD
from bubble_sync.records.visibility import Sight
from bubble_sync.specs import CronJobSpec, ExtensionSpec, Keeper, LedgerSpec, PrerequisitesSpec
from bubble_sync.sql_loader import query


class Standing(StrEnum):
    """The status of a line."""

    OK = "ok"
    NO = "no"
    UNKNOWN = "unknown"
    """The connecting role cannot see the evidence, or none exists."""
    NOT_PROVEN = "not proven"
    """Not contradicted, and no event yet that would prove the line."""


@dataclass(frozen=True)
class Line:
    """One line with its evidence, and a remedy unless ok."""

    id: str
    title: str
    standing: Standing
    evidence: str
    remedy: str = ""


TITLES: Mapping[str, str] = {
    "prerequisites": "the queue and the ledger are as they must be",
    "extensions": "pg_cron, pg_net and supabase_vault are installed",
    "secrets": "URL and key are in Vault, as configured",
    "functions": "the functions are there, as the program has them",
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
    "jobs": ("job",),
}
AS_OWNER = "connect as the role that `pulumi up` uses"
_REFUSED = (State.FOREIGN, State.MISSING)


def line(name: str, standing: Standing, evidence: str, remedy: str = "") -> Line:
    """Make the line of this name."""
    return Line(name, TITLES[name], standing, evidence, remedy)


def lines_of(items: Sequence[Item]) -> Iterator[Line]:
    """Yield a line for each kind of object."""
    for name, kinds in _KINDS.items():
        of_kind = [item for item in items if item.spec.kind in kinds]
        wrong = [item for item in of_kind if item.state is not State.EQUAL]
        asleep = [item.spec for item in of_kind if isinstance(item.spec, CronJobSpec) and not item.spec.active]
        if wrong:
            refused = any(item.state in _REFUSED for item in wrong)
            remedy = "bubble-sync diff" if refused else "pulumi up"
            yield line(name, Standing.NO, "; ".join(map(_wrong, wrong)), remedy)
        elif asleep:
            evidence = "; ".join(f"{spec.object_name} is not active, as configured" for spec in asleep)
            key = next(job.key for job in MANAGED_JOBS if job.name == asleep[0].name)
            yield line(name, Standing.NO, evidence, f"bubble-sync resume --job {key}")
        else:
            yield line(name, Standing.OK, ", ".join(map(_there, of_kind)))


def lines_unknown(why: str) -> Iterator[Line]:
    """Yield the same lines for a role that cannot read the objects."""
    for name in _KINDS:
        yield line(name, Standing.UNKNOWN, why, AS_OWNER)


def _wrong(item: Item) -> str:
    if item.state in _REFUSED:
        return " ".join(item.reason.split())
    if item.actual is None:
        return f"{item.spec.object_name} is not there"
    fields = ", ".join(change.field for change in item.changes)
    return f"{item.spec.object_name} is not as wanted ({fields or 'not in the ledger'})"


def _there(item: Item) -> str:
    facts = item.actual.facts if item.actual else {}
    if isinstance(item.spec, ExtensionSpec):
        return f"{item.spec.name} {facts['version']}"
    if isinstance(item.spec, CronJobSpec):
        return f"{item.spec.name} (jobid {facts['jobid']}, {item.spec.schedule})"
    if isinstance(item.spec, LedgerSpec):
        return f"the ledger of stack {item.spec.stack}"
    if isinstance(item.spec, PrerequisitesSpec):
        return QUEUE_TABLE
    return item.spec.object_name.removeprefix(f"{item.spec.kind} ")


_DIFF = "bubble-sync diff"
_SEND = "bubble-sync run-now --wait"
_SIGN_UP = f"sign up a test user in the application, wait {LIMIT_SECONDS} s, then `bubble-sync verify`"
_LOG = "pulumi config set bubble-sync:dispatchLog true && pulumi up"
_VERDICTS = {
    "ok": (Standing.OK, ""),
    "partial": (Standing.OK, ""),
    ANSWERED: (Standing.NOT_PROVEN, _SEND),
    **dict.fromkeys(BAD, (Standing.NO, "bubble-sync doctor")),
}
"""Verdicts that prove something about the endpoint; lost and late responses prove nothing."""


@dataclass(frozen=True)
class Checklist:
    """The checklist of a stack."""

    stack: str
    asked_at: datetime
    lines: tuple[Line, ...]
    works: Signs
    """Whether the sync works right now."""

    @property
    def clean(self) -> bool:
        """Return whether every line is ok and the sync is not known to be broken; `not proven` is not ok."""
        return self.works.verdict is not Verdict.NO and all(one.standing is Standing.OK for one in self.lines)


def verify(database: Database, settings: StackSettings, stack: str, project_ref: str | None) -> Checklist:
    """Read and judge every line in one transaction."""
    keeper = Keeper(stack, project_ref or "")
    return database.read("verifying the sync", lambda conn: _verify(conn, settings, keeper))


def _verify(conn: Connection, settings: StackSettings, keeper: Keeper) -> Checklist:
    seen = visibility.look(conn)
    visibility.require_configured(conn, seen)
    specs = desired(settings, keeper)
    found = Found()
    try:
        with translated("reading the stack", conn), savepoint(conn):
            found = watched(conn, parts_about(specs), specs)
    except (PrivilegeMissing, PrerequisiteMissing) as problem:
        objects = tuple(lines_unknown(str(problem)))
    else:
        objects = tuple(lines_of(diff(keeper.stack, specs, found, adopt=settings.adopt != "never").items))
    lines = (
        *objects,
        _runs(conn, seen, settings),
        _endpoint(conn, seen, logged=settings.dispatch_log),
        _queue(conn, seen, drained=settings.processor.active),
        *_sign_up(conn, seen, keeper),
    )
    return Checklist(keeper.stack, seen.asked_at, lines, works(conn, settings, keeper.stack))


def _runs(conn: Connection, seen: Sight, settings: StackSettings) -> Line:
    """Judge the last run of each job; a job that was never due has missed no run."""
    jobs = [job for job in jobs_in(conn, seen, settings) if job.name in NAMES]
    if wrong := [f"{job.name} {job.problem}" for job in jobs if job.problem]:
        return line("runs", Standing.NO, "; ".join(wrong), "bubble-sync doctor")
    if why := seen.why_not(RUN_TABLE) or next((job.unknown for job in jobs if job.jobid is None), ""):
        return line("runs", Standing.UNKNOWN, why, _to_read(seen, JOB_TABLE, RUN_TABLE))
    if asleep := [f"{job.name} is {job.pause}" for job in jobs if job.asleep]:
        return line("runs", Standing.NOT_PROVEN, "; ".join(asleep), "bubble-sync resume")
    if unproven := [job for job in jobs if job.unknown]:
        said = "; ".join(f"{job.name}: {job.unknown}" for job in unproven)
        return line("runs", Standing.NOT_PROVEN, said, "bubble-sync doctor")
    said = "; ".join(map(_said, jobs))
    if not any(job.run for job in jobs):
        return line("runs", Standing.NOT_PROVEN, said, "`bubble-sync verify`, when a job was due")
    return line("runs", Standing.OK, said)


def _said(job: Job) -> str:
    ran = f" {job.run} at {format_timestamp(job.run_at)}" if job.run_at else ""
    due = f" is first due at {format_timestamp(job.first_due)}" if job.first_due else ""
    return job.name + " and".join(filter(None, (ran, due)))


def _to_read(seen: Sight, *names: str, absent: str = "pulumi up") -> str:
    """Objects that make tables readable: without them other roles read nothing."""
    return AS_OWNER if all(seen.tables[name]["present"] for name in names) else absent


def _endpoint(conn: Connection, seen: Sight, *, logged: bool) -> Line:
    """Judge the newest response of each function; report a bad one first."""
    if why := seen.why_not(DISPATCH_TABLE):
        remedy = _to_read(seen, DISPATCH_TABLE, absent="pulumi up" if logged else _LOG)
        return line("endpoint", Standing.UNKNOWN, why, remedy)
    known = as_of_now(conn, seen, requests_in(conn.execute(query("requests", "recent")).fetchall()))
    if waiting := stuck(known, seen.asked_at):
        said = f"request {waiting.request_id} of {waiting.function} at {format_timestamp(waiting.sent_at)}: no answer"
        return line("endpoint", Standing.NO, said, "bubble-sync doctor")
    answered = newest_answered(known)
    if answered is None:
        waits = f", and {len(known)} outstanding" if known else ""
        return line("endpoint", Standing.NOT_PROVEN, f"no answer is on record{waits}", _SEND)
    said = f"request {answered.request_id} of {answered.function} at {format_timestamp(answered.sent_at)}: {answered}"
    standing, remedy = _VERDICTS.get(answered.verdict, (Standing.UNKNOWN, _SEND))
    return line("endpoint", standing, said, remedy)


def _queue(conn: Connection, seen: Sight, *, drained: bool) -> Line:
    if why := seen.why_not(QUEUE_TABLE):
        return line("queue", Standing.UNKNOWN, why, _to_read(seen, QUEUE_TABLE, absent=_DIFF))
    figures = figures_of(conn.execute(query("items", "by_status")).fetchall(), seen.asked_at)
    problems = figures.problems(drained=drained)
    if not problems:
        said = f"{figures.waiting} waiting, {figures.retrying} to be retried"
        return line("queue", Standing.OK, f"{said}; last hour: {figures.came} came, {figures.went} went")
    remedies = {"bubble-sync release-stalled": figures.stalled, "bubble-sync requeue --dead": figures.dead}
    remedy = next((command for command, items in remedies.items() if items), "bubble-sync doctor")
    return line("queue", Standing.NO, "; ".join(problems), remedy)


def _sign_up(conn: Connection, seen: Sight, keeper: Keeper) -> Iterator[Line]:
    """Judge the newest sign-up alone."""
    if why := seen.why_not(QUEUE_TABLE):
        remedy = _to_read(seen, QUEUE_TABLE, absent=_DIFF)
        yield from (line(name, Standing.UNKNOWN, why, remedy) for name in ("sign_up", "bubble_ids"))
        return
    item = traced(conn, seen, keeper.stack, keeper.project_ref, None)
    if item is None:
        for name in ("sign_up", "bubble_ids"):
            yield line(name, Standing.NOT_PROVEN, "no item of a sign-up is in the queue", _SIGN_UP)
        return
    yield _synced(item)
    yield _filled(item)


def _synced(item: Trace) -> Line:
    said = f"item {item.id} is {item.status}"
    if item.status != "completed" and not item.late and item.status != "failed":
        return line("sign_up", Standing.NOT_PROVEN, f"{said} after {format_age(item.age_seconds)}", _SEND)
    if item.took_seconds is not None:
        said += f" after {format_tenths(item.took_seconds)}"
    late = f"; {TARGET}" if item.late else ""
    error = f"; error: {item.error}" if item.error else ""
    if item.status != "completed" or late or error:
        return line("sign_up", Standing.NO, said + late + error, "bubble-sync trace --latest")
    if item.took_seconds is None:
        return line("sign_up", Standing.UNKNOWN, f"{said}, and nothing says when", "bubble-sync trace --latest")
    return line("sign_up", Standing.OK, said)


def _filled(item: Trace) -> Line:
    if item.bubble_ids is None:
        return line("bubble_ids", Standing.UNKNOWN, item.unknown["bubble_ids"], "bubble-sync trace --latest")
    if empty := [name for name, value in item.bubble_ids.items() if not value]:
        standing = Standing.NO if item.status == "completed" or item.late else Standing.NOT_PROVEN
        return line("bubble_ids", standing, f"empty: {', '.join(empty)}", "bubble-sync trace --latest")
    said = ", ".join(f"{name.removesuffix('_bubble_id')} {value}" for name, value in item.bubble_ids.items())
    return line("bubble_ids", Standing.OK, said)
