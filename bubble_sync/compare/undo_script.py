"""The SQL that restores the current state, to be saved before `up` or a script changes it.

A secret's value is never in it. Extensions stay: to drop one drops what others have built on it by then.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from psycopg import sql

from bubble_sync.compare.diff import Comparison, ObjectDiff, State
from bubble_sync.compare.sql_script import alter, describe, my_job, section
from bubble_sync.config.keys import masked
from bubble_sync.converge import functions, tables
from bubble_sync.converge.cron_jobs import alterations, is_elsewhere
from bubble_sync.converge.vault_secrets import Stored
from bubble_sync.database.snapshot import Snapshot
from bubble_sync.database.table_names import LEDGER_TABLE
from bubble_sync.specs import CronJobSpec, ExtensionSpec, FunctionSpec, LedgerSpec, RecordedSpec, Spec, VaultSecretSpec


def back(comparison: Comparison, snapshot: Snapshot) -> str:
    """Return a script that restores the current state; running the script twice is harmless."""
    lines = [f"-- Back to what the database of stack {comparison.stack} held before `pulumi up`, for the SQL editor."]
    statements = partial(_statements, snapshot=snapshot)
    for item in reversed(comparison.items):
        if item.state not in (State.EQUAL, State.MISSING):
            lines += ["", *section(item, statements)]
    return "\n".join(lines)


def holds_a_key(script: str) -> bool:
    """Return whether a current function or job contains a key."""
    return masked(script) != script


def _statements(item: ObjectDiff, snapshot: Snapshot) -> Iterator[str]:
    spec, there = item.spec, None if item.actual is None else item.actual.actual
    if isinstance(spec, CronJobSpec):
        yield from _job(spec, there if isinstance(there, CronJobSpec) else None)
    elif isinstance(spec, FunctionSpec):
        yield from _function(item, spec, snapshot)
    elif isinstance(spec, VaultSecretSpec):
        yield from _secret(item, spec)
    elif isinstance(spec, ExtensionSpec) and there is None:
        yield "-- It was not installed. When nothing else has come to use it:"
        yield f"--     {_text(sql.SQL('drop extension {};').format(sql.Identifier(spec.name)))}"
    elif isinstance(spec, LedgerSpec):
        yield from _ledger(item, snapshot)
    if isinstance(spec, RecordedSpec) and item.state is not State.UPDATE and "recorded" in snapshot.parts:
        forget = sql.SQL("delete from {} where object = {};")
        yield _text(forget.format(sql.SQL(LEDGER_TABLE), sql.Literal(spec.object_name)))


def _job(spec: CronJobSpec, there: CronJobSpec | None) -> Iterator[str]:
    if there is None:
        yield f"select cron.unschedule(jobid) {_text(my_job(spec))}"
        return
    given = alterations(there, spec)
    given["database"] = there.database if given.pop("here") and not is_elsewhere(there) else None
    if is_elsewhere(there):
        yield "-- The server that pg_cron connected to for it is not brought back: only a superuser can set it."
    if any(value is not None for value in given.values()):
        yield alter(spec, given)


def _function(item: ObjectDiff, spec: FunctionSpec, snapshot: Snapshot) -> Iterator[str]:
    if item.actual is None:
        yield f"{_text(functions.drop(spec)).replace('drop function', 'drop function if exists', 1)};"
        return
    row = next(
        row
        for row in snapshot.rows("definitions")
        if row["name"] == spec.name and row["identity_arguments"] == spec.arguments
    )
    comment = getattr(item.actual.actual, "comment", "")
    yield f"{row['definition'].rstrip()};"
    text = sql.Literal(comment) if comment else sql.SQL("null")
    yield f"comment on function {row['signature']} is {_text(text)};"
    for grant in row["grants"]:
        option = " with grant option" if grant["passes_on"] else ""
        yield f"grant execute on function {row['signature']} to {_text(sql.Identifier(grant['grantee']))}{option};"


def _secret(item: ObjectDiff, spec: VaultSecretSpec) -> Iterator[str]:
    if item.actual is None:
        yield _text(sql.SQL("delete from vault.secrets where name = {};").format(sql.Literal(spec.name)))
        return
    for change in item.changes:
        if change.field == "description" and isinstance(item.actual.actual, VaultSecretSpec):
            yield describe(item.actual.actual)
        elif change.secret == Stored.UNREADABLE:
            yield "-- Its value cannot be decrypted here: there is none to go back to."
        elif change.secret:
            yield from _value(spec)


def _value(spec: VaultSecretSpec) -> Iterator[str]:
    """Return the SQL that restores a hidden value from a copy in Vault."""
    names = {"name": sql.Literal(spec.name), "copy": sql.Literal(f"{spec.name} before bubble-sync")}
    yield "-- Its value is not shown. To come back to it, keep a copy in Vault before anything changes it:"
    yield _text(sql.SQL(
        "--     select vault.create_secret(decrypted_secret, {copy}) from vault.decrypted_secrets where name = {name};"
    ).format(**names))  # fmt: skip
    yield "-- This brings it back where there is one; delete the copy when it has served:"
    yield _text(sql.SQL(
        "select vault.update_secret(now.id, copy.decrypted_secret)\n"
        "from vault.secrets as now, vault.decrypted_secrets as copy\n"
        "where now.name = {name} and copy.name = {copy};"
    ).format(**names))  # fmt: skip


def _ledger(item: ObjectDiff, snapshot: Snapshot) -> Iterator[str]:
    if item.actual is None:
        yield from (f"drop table if exists bubble_sync.{table};" for table in (*_tables(item.spec), "ledger"))
    if item.actual is None and not snapshot.rows("schema"):
        yield "drop schema if exists bubble_sync;"
    for row in snapshot.rows("schema"):
        text = sql.Literal(row["comment"]) if row["comment"] else sql.SQL("null")
        yield f"comment on schema bubble_sync is {_text(text)};"
    for change in item.changes:
        if change.field == "grantees":
            yield "-- Privileges that other roles hold on it are not brought back."
        elif change.field == "tables":
            wanted = _tables(item.spec)
            there = [one.split(" ")[0] for one in _tables(item.actual.actual if item.actual else item.spec)]
            yield from (f"drop table if exists bubble_sync.{table};" for table in wanted if table not in there)
            gone = [table for table in there if table in ("dispatches", "alerts") and table not in wanted]
            yield from map(_text, tables.statements(gone, gone))


def _tables(spec: Spec) -> tuple[str, ...]:
    return spec.tables if isinstance(spec, LedgerSpec) else ()


def _text(composed: sql.Composable) -> str:
    return composed.as_string(None)
