"""Inputs of checks beyond a single select, from the same observation and comparison as `up`.

No reading holds a secret. Each raises psycopg's errors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TypeVar

from psycopg import errors

from bubble_sync.compare.diff import ObjectDiff, State, compare_object, sections_to_judge
from bubble_sync.compare.liveness import secrets_changed_at
from bubble_sync.compare.unmanaged import UNMANAGED_SECTIONS, other_callers
from bubble_sync.config.keys import read_key
from bubble_sync.config.schedules import interval_of
from bubble_sync.config.settings import StackSettings
from bubble_sync.config.validators import sendable_url
from bubble_sync.converge import ledger, prerequisites, vault_secrets
from bubble_sync.database.database import Connection, Row, attempt
from bubble_sync.database.snapshot import Snapshot, read_snapshot
from bubble_sync.database.table_names import DISPATCH_TABLE, RESPONSE_TABLE
from bubble_sync.formatting import SQL_TIMESTAMP
from bubble_sync.model.jobs import HISTORY_JOB, MANAGED_JOBS, VENDOR_HISTORY_JOB, is_guarded, sends_several
from bubble_sync.model.pauses import paused
from bubble_sync.model.secrets import ALERT_SECRETS, configuration_keys
from bubble_sync.model.setup import EXTENSIONS, jobs_of
from bubble_sync.model.setup_settings import SetupSettings
from bubble_sync.model.targets import target_for
from bubble_sync.records.due_runs import record_in, recorded_in
from bubble_sync.records.messages import function_log
from bubble_sync.records.requests import Request, answers_to, moved_on, requests_in, with_answers
from bubble_sync.records.visibility import probe_visibility
from bubble_sync.specs import (
    CronJobSpec,
    ExtensionSpec,
    FunctionSpec,
    LedgerSpec,
    Owner,
    PrerequisitesSpec,
    Spec,
    TriggerSpec,
    VaultSecretSpec,
)
from bubble_sync.sql_loader import query


def parameters(settings: StackSettings, stack: str, project_ref: str, now: datetime) -> dict[str, object]:
    """Return the configuration for checks: names, numbers and pauses, never a secret."""
    names = settings.names
    jobs = [(job.named(names), job.settings_in(settings)) for job in MANAGED_JOBS]
    keys = configuration_keys(settings)
    tables = {
        "jobs": [
            {"name": job.name, "schedule": job.schedule, "command": job.command, "active": job.active}
            for job in jobs_of(SetupSettings.of(settings, Owner(stack, project_ref)))
        ],
        "times": [{"name": job.name, "every": interval_of(one.schedule, now)} for job, one in jobs],
        "alert_secrets": [
            {"destination": one.role, "name": names.render(one.fixed_name), "key": keys[names.render(one.fixed_name)]}
            for one in ALERT_SECRETS
        ],
        "pauses": [{"name": name, **asdict(pause)} for name, pause in paused(settings, now).items()],
    }
    return {
        "stack": stack,
        "project_ref": project_ref,
        "url": settings.url,
        "allow_http": settings.allow_http,
        "private_host": settings.has_private_host,
        "url_secret": settings.supabase_url_name,
        "key_secret": settings.service_role_key_name,
        "legacy_key": read_key(settings.service_role_key).kind == "legacy JWT",
        "timeout_ms": settings.processor.timeout_ms,
        "max_items": settings.processor.max_items,
        "batch_size": settings.processor.batch_size,
        "requests_per_tick": settings.processor.requests_per_tick,
        "several_requests": sends_several(settings.processor),
        "dispatch_log": settings.dispatch_log,
        "alerts": settings.alerting,
        "limit_seconds": target_for(settings.processor.schedule).limit,
        "timestamp": SQL_TIMESTAMP,
        "extensions": list(EXTENSIONS),
        "history_job": names.render(HISTORY_JOB.name),
        "vendor_history_job": VENDOR_HISTORY_JOB,
        "of_all_jobs": settings.history.of_all_jobs,
        "job_functions": [job.function for job, _ in jobs],
        "guarded": [job.sender for job, one in jobs if is_guarded(one)],
        "function_log": function_log(project_ref, names)
        or f"Edge Functions -> {names.edge_function} -> Logs in the dashboard",
        **{name: json.dumps(rows, default=str) for name, rows in tables.items()},
    }


_S = TypeVar("_S", bound=Spec)
CheckInput = Callable[[Connection, Sequence[Spec]], object]


def missing(conn: Connection, specs: Sequence[Spec]) -> object:
    """List the objects that `up` would refuse, with the reasons."""
    return prerequisites.observe(PrerequisitesSpec(), read_snapshot(conn, prerequisites.SECTIONS)).actual.missing


def changes_of(kind: type[_S]) -> CheckInput:
    """Return a reading of one kind's differences, field by field."""

    def differing(conn: Connection, specs: Sequence[Spec]) -> object:
        wanted = _of(kind, specs)
        snapshot = read_snapshot(conn, tuple(sorted(sections_to_judge(wanted))), wanted)
        keys = [spec.value for spec in _of(VaultSecretSpec, specs)]
        return [row for spec in wanted for row in _differences(compare_object(spec, snapshot, hide=keys))]

    return differing


def stored(conn: Connection, specs: Sequence[Spec]) -> object:
    """Return each secret's state and the shape of its value."""
    wanted = _of(VaultSecretSpec, specs)
    snapshot = read_snapshot(conn, (*vault_secrets.SECTIONS, *ledger.ROW_SECTIONS), wanted)
    rows = []
    for spec in wanted:
        observed = vault_secrets.observe(spec, snapshot)
        state = vault_secrets.state_of_value(spec, snapshot) if observed else "absent"
        facts: list[dict[str, object]] = [{}]
        if state not in ("absent", "unreadable"):
            patterns = {name: f"^{sendable_url(allow_http=name == 'http')}$" for name in ("sendable", "http")}
            facts = attempt(conn, query("stored", "looks"), {"name": spec.name, **patterns})
        written = observed.facts.get("written_at") if observed else None
        rows += [{"name": spec.name, "state": state, "written_at": written, **looks} for looks in facts]
    return rows


def callers_of_function(conn: Connection, specs: Sequence[Spec]) -> object:
    """List the other callers of the Edge Function."""
    snapshot = read_snapshot(conn, UNMANAGED_SECTIONS, specs)
    return [
        {
            "object": one.what,
            "evidence": one.text,
            "remedy": one.sql,
            "level": "warning" if one.fires else "info",
            "calls": one.calls,
        }
        for one in other_callers(snapshot)
    ]


def newest_requests(conn: Connection, specs: Sequence[Spec]) -> object:
    """List the newest requests with a response, the newest one with responder and message; None if they are hidden."""
    visible = probe_visibility(conn)
    if visible.why_unreadable(DISPATCH_TABLE, RESPONSE_TABLE):
        return None
    rows = attempt(conn, query("outcomes", "newest"))
    sent = requests_in(rows)
    answers = answers_to(conn, visible, sent)
    known = moved_on(conn, visible, with_answers(sent, answers))
    unreadable = visible.why_unreadable("vault.decrypted_secrets")
    changed = secrets_changed_at(specs, Snapshot() if unreadable else read_snapshot(conn, ("secrets",), specs))
    # What the address or the key of before the change brought about is no trouble of now.
    past, present = {"level": "info", "before": ", before a secret was changed"}, {"level": "error", "before": ""}
    return [
        {
            **vars(request),
            "settled": bool(row["settled_at"]),
            "age": row["age"],
            **(past if request.sent_at < changed else present),
            **_who_answered(answers, request),
        }
        for request, row in zip(known, rows, strict=True)
    ]


def _who_answered(answers: Mapping[int, Row], request: Request) -> Mapping[str, object]:
    """Return whether the gateway answered, recognised by `message` (`msg` in `supabase start`), and the message."""
    answer = answers.get(request.request_id)
    if answer is None or answer["content"] is None:
        return {"by_gateway": None, "message": None}
    text = answer["content"].decode("utf-8", "replace")
    message = re.search(r'"(?:message|msg)"\s*:(?:\s*"([^"]{1,80}))?', text)
    by_gateway = message is not None and not re.search(r'"(success|error)"\s*:', text)
    return {"by_gateway": by_gateway, "message": message[1] if message else None}


def silent(conn: Connection, specs: Sequence[Spec]) -> object:
    """List the jobs that missed a run; manual changes belong to another check."""
    wanted = {spec.name: spec.schedule for spec in _of(CronJobSpec, specs)}
    with conn.transaction():
        record = record_in(conn, recorded_in(conn))
        found = conn.execute(query("runs", "jobs")).fetchall()
    return [
        job
        for job in found
        if job["active"]
        and wanted.get(job["jobname"]) == job["schedule"]
        and record.due(job["jobname"], job["schedule"], job["jobid"]).missed
    ]


def worker_down(conn: Connection, specs: Sequence[Spec]) -> object:
    """Return whether pg_net's worker is known to be absent."""
    try:
        attempt(conn, query("probe", "worker"))
    except errors.RaiseException:
        return True
    return False


def unindexed(conn: Connection, specs: Sequence[Spec]) -> object:
    """List the queries that EXPLAIN still answers with a sequential scan when scans are penalised."""
    with conn.transaction(force_rollback=True):
        conn.execute(query("plans", "rather_any_index"))
        plans = {name: conn.execute(query("plans", name)).fetchall() for name in ("processor", "retry")}
    return [name for name, plan in plans.items() if "Seq Scan" in json.dumps(plan)]


CHECK_INPUTS: Mapping[str, CheckInput] = {
    "missing": missing,
    "ledger_changes": changes_of(LedgerSpec),
    "extension_changes": changes_of(ExtensionSpec),
    "function_changes": changes_of(FunctionSpec),
    "job_changes": changes_of(CronJobSpec),
    "trigger_changes": changes_of(TriggerSpec),
    "stored": stored,
    "reaching": callers_of_function,
    "silent": silent,
    "worker_down": worker_down,
    "unindexed": unindexed,
    "items": lambda conn, specs: attempt(conn, query("items", "by_status")),
    "requests": newest_requests,
}
"""The readings, by the name of the parameter in a check."""


def _of(kind: type[_S], specs: Sequence[Spec]) -> list[_S]:
    return [spec for spec in specs if isinstance(spec, kind)]


def _differences(item: ObjectDiff) -> Iterator[Mapping[str, object]]:
    """Return each field that differs; a missing object differs in its presence alone."""
    spec = item.spec
    refused = item.reason if item.state is State.FOREIGN else ""
    about = {"object": spec.object_name, "arguments": getattr(spec, "arguments", ""), "refused": refused}
    if item.actual is None:
        yield {**about, "field": "presence"}
        return
    for change in item.changes:
        # The ledger row holds the ownership, and is compared separately.
        if change.field in ("stack", "project_ref") and not isinstance(spec, LedgerSpec):
            continue
        whole = change.field != "body"
        yield {
            **about,
            "field": change.field,
            "actual": _shown(change.actual) if whole else None,
            "wanted": _shown(change.wanted) if whole else None,
        }


def _shown(value: object) -> str:
    # One line: evidence shows only its first line, and half a command is useless.
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return " ".join(text.split())
