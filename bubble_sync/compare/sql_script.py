"""The SQL of a stack's changes, to be read and run by hand, section by section.

What `up` runs is taken from the same places. A secret's value is never in it: a placeholder stands there, and while it
stands there the statement does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from psycopg import sql

from bubble_sync.compare.diff import Comparison, ObjectDiff, State
from bubble_sync.converge import extensions, functions, ledger
from bubble_sync.converge.cron_jobs import alterations, is_elsewhere
from bubble_sync.converge.vault_secrets import Stored
from bubble_sync.database.snapshot import filled
from bubble_sync.specs import CronJobSpec, ExtensionSpec, FunctionSpec, LedgerSpec, RecordedSpec, Spec, VaultSecretSpec
from bubble_sync.sql_loader import query

_SECTIONS = {
    "prerequisites": "prerequisites (checks only)",
    "ledger": "ledger",
    "extension": "extensions",
    "secret": "secrets",
    "function": "functions",
    "job": "jobs",
}
_REFUSED = (State.FOREIGN, State.MISSING)
_FILLED_IN = "given.value !~ '^<.*>$'"


def forward(comparison: Comparison) -> str:
    """Return a script that makes the changes and records them in the ledger; running the script twice is harmless."""
    lines = [
        f"-- What `pulumi up` would change for stack {comparison.stack}, for the SQL editor: whole, or by section.",
        "-- Put each value in place of its '<...>' first; what still has one does nothing. A value typed here lands in",
        "-- the server's log where statements are logged: `pulumi up` keeps it out of there.",
    ]
    for number, (kind, title) in enumerate(_SECTIONS.items(), 1):
        lines += ["", f"-- {number}. {title}"]
        of_kind = [item for item in comparison.items if item.spec.kind == kind and item.state is not State.EQUAL]
        for item in of_kind:
            lines += section(item, _statements)
        if not of_kind:
            lines.append("-- nothing to do")
    lines += ["", "-- 7. what the ledger remembers", *(_record(item) for item in comparison.items if _unrecorded(item))]
    return "\n".join(lines)


def section(item: ObjectDiff, statements: Callable[[ObjectDiff], Iterator[str]]) -> list[str]:
    """Return one object's part of a script; for a refused object, the reason as a comment."""
    title = f"-- {item.spec.object_name}: {item.state}"
    if item.state in _REFUSED:
        return [title, *(f"--     {line}" for line in item.reason.splitlines())]
    return [title, *statements(item)]


def alter(spec: CronJobSpec, given: Mapping[str, object]) -> str:
    """Return the call that changes fields of the connecting role's job; None leaves a field."""
    arguments = [
        sql.SQL("{name} => {value}").format(name=sql.SQL(name), value=_argument(name, value))
        for name, value in given.items()
        if value is not None
    ]
    alter_job = sql.SQL("select cron.alter_job(job_id => jobid, {arguments})\n{job}")
    return _text(alter_job.format(arguments=sql.SQL(", ").join(arguments), job=my_job(spec)))


def my_job(spec: CronJobSpec) -> sql.Composed:
    """Return the end of a statement about the connecting role's job."""
    return sql.SQL("from cron.job where jobname = {name} and username = current_user;").format(
        name=sql.Literal(spec.name)
    )


def _argument(name: str, value: object) -> sql.Composable:
    here = name == "database" and value is True
    return sql.SQL("current_database()") if here else sql.Literal(value)


def _statements(item: ObjectDiff) -> Iterator[str]:
    spec = item.spec
    if isinstance(spec, LedgerSpec):
        there = item.actual.actual if item.actual else None
        yield from map(_text, ledger.creations(spec, there if isinstance(there, LedgerSpec) else None))
        yield _text(ledger.revoke(spec))
    elif isinstance(spec, ExtensionSpec) and item.state is State.CREATE:
        yield f"{_text(extensions.extension_statement(spec))};"
    elif isinstance(spec, VaultSecretSpec):
        yield from _secret(item, spec)
    elif isinstance(spec, FunctionSpec) and item.state is not State.ADOPT:
        there = item.actual.actual if item.actual else None
        yield _text(functions.function_statement(spec, there if isinstance(there, FunctionSpec) else None))
    elif isinstance(spec, CronJobSpec):
        yield from _job(item, spec)


def _job(item: ObjectDiff, spec: CronJobSpec) -> Iterator[str]:
    there = item.actual.actual if item.actual else None
    anew = isinstance(there, CronJobSpec) and is_elsewhere(there)
    if anew:
        yield f"select cron.unschedule(jobid) {_text(my_job(spec))}"
    if there is None or anew:
        values = [sql.Literal(value) for value in (spec.name, spec.schedule, spec.command)]
        yield _text(sql.SQL("select cron.schedule({values});").format(values=sql.SQL(", ").join(values)))
        if not spec.active:
            yield alter(spec, {"active": False})
    elif isinstance(there, CronJobSpec):
        given = alterations(spec, there)
        given["database"] = given.pop("here")
        if any(value is not None for value in given.values()):
            yield alter(spec, given)


def _secret(item: ObjectDiff, spec: VaultSecretSpec) -> Iterator[str]:
    value_is = next((change.secret for change in item.changes if change.field == "value"), "")
    values: dict[str, sql.Composable] = {
        "name": sql.Literal(spec.name),
        "description": sql.Literal(spec.description),
        "placeholder": sql.Literal(f"<the value of {spec.name}>"),
        "filled_in": sql.SQL(_FILLED_IN),
    }
    if value_is == Stored.UNREADABLE:
        yield "-- What is stored cannot be decrypted here, and then vault.update_secret cannot change it."
        yield _text(sql.SQL(
            "delete from vault.secrets as secret using (values ({placeholder})) as given (value)\n"
            "where secret.name = {name} and {filled_in};"
        ).format(**values))  # fmt: skip
    if value_is == Stored.UNREADABLE or item.actual is None:
        yield _text(sql.SQL(
            "select vault.create_secret(given.value, {name}, {description})\n"
            "from (values ({placeholder})) as given (value)\n"
            "where {filled_in} and not exists (select from vault.secrets where name = {name});"
        ).format(**values))  # fmt: skip
        return
    if value_is:
        yield _text(sql.SQL(
            "select vault.update_secret(secret.id, given.value)\n"
            "from vault.secrets as secret, (values ({placeholder})) as given (value)\n"
            "where secret.name = {name} and {filled_in};"
        ).format(**values))  # fmt: skip
    if any(change.field == "description" for change in item.changes):
        yield describe(spec)


def describe(spec: VaultSecretSpec) -> str:
    """Return the statement that sets a secret's description."""
    text = "select vault.update_secret(id, new_description => {text}) from vault.secrets where name = {name};"
    return _text(sql.SQL(text).format(text=sql.Literal(spec.description), name=sql.Literal(spec.name)))


def _unrecorded(item: ObjectDiff) -> bool:
    ledger_fields = any(change.field in ("stack", "project_ref") for change in item.changes)
    new = item.state in (State.CREATE, State.ADOPT, State.ADOPT_AND_CHANGE)
    return isinstance(item.spec, RecordedSpec) and (new or (item.state is State.UPDATE and ledger_fields))


def _record(item: ObjectDiff) -> str:
    spec = item.spec
    values = {"object": spec.object_name, "origin": "made" if item.actual is None else "adopted"}
    if isinstance(spec, RecordedSpec):
        values |= {"stack": spec.stack, "project_ref": spec.project_ref}
    name = "move" if item.state is State.UPDATE else "record"
    literals: dict[str, sql.Composable] = {key: sql.Literal(value) for key, value in values.items()}
    written = filled(query("ledger", name), {**literals, "there": _there(item)})
    return _text(written + _placed(spec))


def _there(item: ObjectDiff) -> sql.Composable:
    """Return the condition for a ledger row: a secret with its placeholder left in does not exist."""
    if not isinstance(item.spec, VaultSecretSpec) or item.actual is not None:
        return sql.SQL("true")
    return sql.SQL("exists (select from vault.secrets where name = {})").format(sql.Literal(item.spec.name))


def _placed(spec: Spec) -> sql.Composable:
    if not isinstance(spec, ExtensionSpec):
        return sql.SQL("")
    schema = sql.SQL("(select extnamespace::regnamespace::text from pg_catalog.pg_extension where extname = {})")
    place = {"place": schema.format(sql.Literal(spec.name)), "object": sql.Literal(spec.object_name)}
    return sql.SQL("\n") + sql.SQL(query("ledger", "record_place")).format(**place)


def _text(composed: sql.Composable) -> str:
    return composed.as_string(None)
