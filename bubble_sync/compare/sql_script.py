"""The SQL of a stack's changes, and the SQL that restores the current state: to be read and run by hand.

`up` takes its statements from the same places. Neither script contains a secret's value: the first has a placeholder,
and does nothing while the placeholder is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import LiteralString

from psycopg import sql

from bubble_sync.compare.diff import Comparison, ObjectDiff, State
from bubble_sync.config.keys import masked
from bubble_sync.config.settings import NameSettings
from bubble_sync.converge import extensions, functions, ledger, tables, triggers
from bubble_sync.converge.cron_jobs import alterations, is_elsewhere
from bubble_sync.converge.vault_secrets import Stored
from bubble_sync.database.connection import rendered
from bubble_sync.database.snapshot import Snapshot, filled
from bubble_sync.database.table_names import LEDGER_TABLE
from bubble_sync.specs import (
    ALERTS,
    DISPATCHES,
    CronJobSpec,
    ExtensionSpec,
    FunctionSpec,
    LedgerSpec,
    RecordedSpec,
    TriggerSpec,
    VaultSecretSpec,
)
from bubble_sync.sql_loader import query

_SECTIONS = {
    "prerequisites": "prerequisites (checks only)",
    "ledger": "ledger",
    "extension": "extensions",
    "secret": "secrets",
    "function": "functions",
    "job": "jobs",
    "trigger": "triggers",
}
_LEDGER_FIELDS = {"stack", "project_ref"}
_MY_JOB: LiteralString = "from cron.job where jobname = {job} and username = current_user;"
_UNSCHEDULE: LiteralString = f"select cron.unschedule(jobid) {_MY_JOB}"
# A statement with its placeholder left in changes nothing.
_FILLED_IN = sql.SQL("given.value !~ '^<.*>$'")


def forward(comparison: Comparison) -> str:
    """Return a script that makes the changes and records them in the ledger; running the script twice is harmless."""
    lines = [
        f"-- What `pulumi up` would change for stack {comparison.stack}, for the SQL editor: whole, or by section.",
        "-- Put each value in place of its '<...>' first; what still has one does nothing. A value typed here lands in",
        "-- the server's log where statements are logged: `pulumi up` keeps it out of there.",
    ]
    sections = {
        kind: title
        for kind, title in _SECTIONS.items()
        if kind != TriggerSpec.kind or any(item.spec.kind == kind for item in comparison.items)
    }
    changes = partial(_changes, names=comparison.names)
    for number, (kind, title) in enumerate(sections.items(), 1):
        lines += ["", f"-- {number}. {title}"]
        of_kind = [item for item in comparison.items if item.spec.kind == kind and item.state is not State.EQUAL]
        lines += [line for item in of_kind for line in _section(item, changes)] or ["-- nothing to do"]
    recorded = (
        _record(item, item.spec, comparison.names) for item in comparison.items if isinstance(item.spec, RecordedSpec)
    )
    return "\n".join([*lines, "", f"-- {len(sections) + 1}. what the ledger remembers", *filter(None, recorded)])


def back(comparison: Comparison, snapshot: Snapshot) -> str:
    """Return a script that restores the current state; running the script twice is harmless.

    Extensions stay: dropping one drops what others have built on it by then.
    """
    lines = [f"-- Back to what the database of stack {comparison.stack} held before `pulumi up`, for the SQL editor."]
    for item in reversed(comparison.items):
        if item.state not in (State.EQUAL, State.MISSING):
            lines += ["", *_section(item, partial(_restoration, snapshot=snapshot))]
    return "\n".join(lines)


def holds_a_key(script: str) -> bool:
    """Return whether a current function or job contains a key."""
    return masked(script) != script


def _section(item: ObjectDiff, statements: Callable[[ObjectDiff], Iterator[str]]) -> list[str]:
    """Return one object's part of a script; for a refused object, the reason as a comment."""
    title = f"-- {item.spec.object_name}: {item.state}"
    if item.state in (State.FOREIGN, State.MISSING):
        return [title, *(f"--     {line}" for line in item.reason.splitlines())]
    return [title, *statements(item)]


def _changes(item: ObjectDiff, names: NameSettings) -> Iterator[str]:
    there = item.actual.actual if item.actual else None
    match item.spec, there:
        case LedgerSpec() as spec, LedgerSpec() | None:
            statements = (*ledger.creations(spec, there), ledger.revoke(spec))
            settings = ledger.settings_statements(spec) if spec.settings else ()
            yield from _texts((*statements, *settings), names)
        case ExtensionSpec() as spec, None:
            yield f"{extensions.extension_statement(spec).as_string()};"
        case VaultSecretSpec() as spec, _:
            yield from _secret(item, spec)
        case FunctionSpec() as spec, FunctionSpec() | None if item.state is not State.ADOPT:
            yield functions.function_statement(spec, there).as_string()
        case CronJobSpec() as spec, CronJobSpec() | None:
            yield from _job(spec, there)
        case TriggerSpec() as spec, TriggerSpec() | None:
            yield from _texts(triggers.changes_to(spec, there), names)


def _restoration(item: ObjectDiff, snapshot: Snapshot) -> Iterator[str]:
    there = item.actual.actual if item.actual else None
    match item.spec, there:
        case CronJobSpec() as spec, CronJobSpec() | None:
            yield from _former_job(spec, there)
        case TriggerSpec() as spec, TriggerSpec() | None:
            yield from _texts(triggers.restoration(spec, there), snapshot.names)
        case FunctionSpec() as spec, None:
            yield f"{functions.drop(spec).as_string().replace('drop function', 'drop function if exists', 1)};"
        case FunctionSpec() as spec, FunctionSpec():
            yield from _former_function(spec, there, snapshot)
        case VaultSecretSpec() as spec, None:
            yield _text("delete from vault.secrets where name = {name};", name=spec.name)
        case VaultSecretSpec(), VaultSecretSpec():
            yield from _former_secret(item, there)
        case ExtensionSpec() as spec, None:
            yield "-- It was not installed. When nothing else has come to use it:"
            yield _text("--     drop extension {name};", name=sql.Identifier(spec.name))
        case LedgerSpec() as spec, LedgerSpec() | None:
            yield from _former_ledger(item, spec, there, snapshot)
    if isinstance(item.spec, RecordedSpec) and item.state is not State.UPDATE and "recorded" in snapshot.parts:
        table = sql.SQL(snapshot.names.render(LEDGER_TABLE))
        yield _text("delete from {ledger} where object = {object};", ledger=table, object=item.spec.object_name)


def _job(spec: CronJobSpec, there: CronJobSpec | None) -> Iterator[str]:
    if there is not None and is_elsewhere(there):
        yield _text(_UNSCHEDULE, job=spec.name)
        there = None
    if there is not None:
        given = alterations(spec, there)
        here = sql.SQL("current_database()") if given.pop("here") else None
        yield from _alter(spec, {**given, "database": here})
        return
    values = {"name": spec.name, "schedule": spec.schedule, "command": spec.command}
    yield _text("select cron.schedule({name}, {schedule}, {command});", **values)
    if not spec.active:
        yield from _alter(spec, {"active": False})


def _former_job(spec: CronJobSpec, there: CronJobSpec | None) -> Iterator[str]:
    if there is None:
        yield _text(_UNSCHEDULE, job=spec.name)
        return
    given = alterations(there, spec)
    if is_elsewhere(there):
        yield "-- The server that pg_cron connected to for it is not brought back: only a superuser can set it."
    database = there.database if given.pop("here") and not is_elsewhere(there) else None
    yield from _alter(spec, {**given, "database": database})


def _alter(spec: CronJobSpec, given: Mapping[str, object]) -> Iterator[str]:
    """Return the call that changes fields of the connecting role's job, if any; None leaves a field."""
    changed = {name: value for name, value in given.items() if value is not None}
    if changed:
        arguments = sql.SQL(", ").join(sql.SQL(f"{name} => {{}}").format(changed[name]) for name in changed)
        call: LiteralString = f"select cron.alter_job(job_id => jobid, {{arguments}})\n{_MY_JOB}"
        yield _text(call, arguments=arguments, job=spec.name)


def _former_function(spec: FunctionSpec, there: FunctionSpec, snapshot: Snapshot) -> Iterator[str]:
    row = next(
        row
        for row in snapshot.rows("definitions")
        if row["name"] == spec.name and row["identity_arguments"] == spec.arguments
    )
    signature = sql.SQL(row["signature"])
    yield f"{row['definition'].rstrip()};"
    text = there.comment or sql.SQL("null")
    yield _text("comment on function {signature} is {text};", signature=signature, text=text)
    for grant in row["grants"]:
        option: LiteralString = " with grant option" if grant["passes_on"] else ""
        grantee = sql.Identifier(grant["grantee"])
        yield _text(f"grant execute on function {{signature}} to {{to}}{option};", signature=signature, to=grantee)


def _secret(item: ObjectDiff, spec: VaultSecretSpec) -> Iterator[str]:
    value_is = next((change.secret for change in item.changes if change.field == "value"), "")
    value = sql.SQL("(values ({})) as given (value)").format(f"<the value of {spec.name}>")
    given = partial(_text, name=spec.name, description=spec.description, value=value, filled_in=_FILLED_IN)
    if value_is == Stored.UNREADABLE:
        yield "-- What is stored cannot be decrypted here, and then vault.update_secret cannot change it."
        yield given("delete from vault.secrets as secret using {value}\nwhere secret.name = {name} and {filled_in};")
    if value_is == Stored.UNREADABLE or item.actual is None:
        yield given(
            "select vault.create_secret(given.value, {name}, {description})\nfrom {value}\n"
            "where {filled_in} and not exists (select from vault.secrets where name = {name});"
        )
        return
    if value_is:
        yield given(
            "select vault.update_secret(secret.id, given.value)\nfrom vault.secrets as secret, {value}\n"
            "where secret.name = {name} and {filled_in};"
        )
    if any(change.field == "description" for change in item.changes):
        yield _describe(spec)


def _former_secret(item: ObjectDiff, there: VaultSecretSpec) -> Iterator[str]:
    for change in item.changes:
        if change.field == "description":
            yield _describe(there)
        elif change.secret == Stored.UNREADABLE:
            yield "-- Its value cannot be decrypted here: there is none to go back to."
        elif change.secret:
            given = partial(_text, name=there.name, copy=f"{there.name} before bubble-sync")
            yield "-- Its value is not shown. To come back to it, keep a copy in Vault before anything changes it:"
            yield given(
                "--     select vault.create_secret(decrypted_secret, {copy}) from vault.decrypted_secrets "
                "where name = {name};"
            )
            yield "-- This brings it back where there is one; delete the copy when it has served:"
            yield given(
                "select vault.update_secret(now.id, copy.decrypted_secret)\n"
                "from vault.secrets as now, vault.decrypted_secrets as copy\n"
                "where now.name = {name} and copy.name = {copy};"
            )


def _describe(spec: VaultSecretSpec) -> str:
    text: LiteralString = "select vault.update_secret(id, new_description => {text}) from vault.secrets where name = "
    return _text(text + "{name};", text=spec.description, name=spec.name)


def _former_ledger(item: ObjectDiff, spec: LedgerSpec, there: LedgerSpec | None, snapshot: Snapshot) -> Iterator[str]:
    schema = snapshot.names.schema_name
    if there is None:
        yield from (f"drop table if exists {schema}.{table};" for table in (*spec.tables, "ledger"))
        if not snapshot.rows("schema"):
            yield f"drop schema if exists {schema};"
    for row in snapshot.rows("schema"):
        comment = row["comment"] or sql.SQL("null")
        yield _text("comment on schema {schema} is {text};", schema=sql.Identifier(schema), text=comment)
    for change in item.changes:
        if change.field == "settings" and there is not None:
            yield from _texts(ledger.settings_statements(there), snapshot.names)
        elif change.field == "grantees":
            yield "-- Privileges that other roles hold on it are not brought back."
        elif change.field == "tables" and there is not None:
            present = tables.names(there.tables)
            yield from (f"drop table if exists {schema}.{table};" for table in spec.tables if table not in present)
            gone = [table for table in (DISPATCHES, ALERTS) if table in present and table not in spec.tables]
            yield from _texts(tables.statements(gone, gone), snapshot.names)


def _record(item: ObjectDiff, spec: RecordedSpec, names: NameSettings) -> str:
    """Return the statement that records a new object, or the new owner of a recorded one; else an empty text."""
    if item.state is State.UPDATE:
        if not _LEDGER_FIELDS.intersection(change.field for change in item.changes):
            return ""
    elif item.state not in (State.CREATE, State.ADOPT, State.ADOPT_AND_CHANGE):
        return ""
    name = sql.Literal(spec.name) if isinstance(spec, ExtensionSpec | VaultSecretSpec) else sql.SQL("null")
    condition: LiteralString = "true"
    # A secret with its placeholder left in does not exist.
    if isinstance(spec, VaultSecretSpec) and item.actual is None:
        condition = "exists (select from vault.secrets where name = {})"
    values = {
        "object": sql.Literal(spec.object_name),
        "origin": sql.Literal("made" if item.actual is None else "adopted"),
        "stack": sql.Literal(spec.stack),
        "project_ref": sql.Literal(spec.project_ref),
        "there": sql.SQL(condition).format(name),
    }
    written = filled(query("ledger", "move" if item.state is State.UPDATE else "record"), values, names).as_string()
    if not isinstance(spec, ExtensionSpec):
        return written
    schema = sql.SQL("(select extnamespace::regnamespace::text from pg_catalog.pg_extension where extname = {})")
    return f"{written}\n" + _text(
        names.render(query("ledger", "record_place")), place=schema.format(name), object=spec.object_name
    )


def _texts(statements: Iterable[sql.Composable], names: NameSettings) -> Iterator[str]:
    return (rendered(one, names).as_string() for one in statements)


def _text(statement: str, **values: object) -> str:
    """Return a statement with plain values as literals."""
    return sql.SQL(statement).format(**values).as_string()
