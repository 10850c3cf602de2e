"""Converge the ledger: the private schema, and one row for each object that a stack made or adopted.

Only the ledger records whether an object was made or adopted. With the ledger, `up` recognises the objects of a killed
run, two stacks on one database recognise each other, and a clone of another project is detected.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from psycopg import errors, sql

from bubble_sync.config.settings import NameSettings
from bubble_sync.converge import tables
from bubble_sync.database.database import Connection, fetch
from bubble_sync.database.snapshot import Snapshot, SnapshotRow, filled
from bubble_sync.database.table_names import LEDGER_TABLE, SCHEMA
from bubble_sync.errors import ConfigurationError, ForeignObject, PrerequisiteMissing, WrongEnvironment
from bubble_sync.specs import ALERTS, LedgerSpec, Observation, RecordedSpec, Spec
from bubble_sync.sql_loader import query


class LedgerRow(NamedTuple):
    """One row of the ledger."""

    stack: str
    project_ref: str
    made: bool
    schema: str = ""
    """The schema of an extension at creation or adoption; empty when unknown."""
    claim: str = ""
    """The claim of the managing resource; empty in rows of 0.1.0 or of a script."""
    settings: str = ""
    """The stack's settings, in their own row alone."""


ROW_SECTIONS = ("schema", "ledger", "recorded")
SECTIONS = (*ROW_SECTIONS, *tables.SECTIONS)
PROGRAM = "program"
"""The ledger row that marks a program with arguments of its own."""
SETTINGS = "settings"
"""The ledger row with the stack's settings."""
_VERSION = "version"
"""The key of the version that wrote the settings, which is not compared."""
_COMMENT = "bubble-sync: private objects of the sync"
_DEFAULT_NAMES = NameSettings()


def rows(snapshot: Snapshot) -> dict[str, LedgerRow]:
    """Return all rows by object name; an empty mapping without a ledger."""
    return rows_from(snapshot.rows("recorded"))


def rows_from(recorded: Iterable[SnapshotRow]) -> dict[str, LedgerRow]:
    """Return rows of a reading by object name."""
    return {
        row["object"]: LedgerRow(
            row["stack"],
            row["project_ref"],
            row["origin"] == "made",
            row.get("place", ""),
            row.get("claim", ""),
            row.get("settings", ""),
        )
        for row in recorded
    }


def read_settings_row(text: str) -> tuple[str, str]:
    """Return the settings of a row, in the form of a spec, and the version of bubble-sync that wrote them."""
    try:
        held = json.loads(text)
        version = held.pop(_VERSION)
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError):
        return text, ""
    return json.dumps(held, sort_keys=True), str(version)


def require(spec: RecordedSpec, snapshot: Snapshot) -> None:
    """Raise PrerequisiteMissing without a ledger."""
    if not any(row["present"] for row in snapshot.rows("ledger")):
        raise PrerequisiteMissing(
            f"{spec.object_name}: the ledger {LEDGER_TABLE} does not exist. "
            f"Run `pulumi up --stack {spec.stack}` for the whole stack."
        )


def require_ours(snapshot: Snapshot, stack: str, project_ref: str) -> None:
    """Raise ForeignObject or WrongEnvironment for a schema or row of another owner, stack or project."""
    schema = _schema(snapshot)
    if schema is not None and not schema["ours"]:
        held = ", ".join(schema["holds"]) or "nothing but a comment or grants of its own"
        raise ForeignObject(
            f"the schema {SCHEMA} is not ours (it holds {held}), and we need the name: nothing was changed. "
            f"Rename yours, and its references: alter schema {SCHEMA} rename to {SCHEMA}_app;"
        )
    if schema is not None and not schema["ledger"]:
        raise ForeignObject(
            f"{LEDGER_TABLE} is not our ledger, or has lost its columns object, stack or origin: nothing was changed. "
            f"Move it aside; `pulumi up` then adopts the existing objects: {tables.aside(tables.LEDGER)}"
        )
    known = rows(snapshot).values()
    project = next((row.project_ref for row in known if project_ref and row.project_ref not in ("", project_ref)), None)
    owner = next((row.stack for row in known if row.stack != stack), None)
    if project is not None:
        # A copy of another environment's database names its stack too: one statement accepts both.
        accepted = {"project_ref": project_ref, **({"stack": stack} if owner else {})}
        raise WrongEnvironment(
            f"the ledger in this database names project {project!r}{f' and stack {owner!r}' if owner else ''}, but the "
            f"configuration of stack {stack!r} names {project_ref!r}: nothing was changed. Where the project has moved"
            f"{' or was cloned' if owner else ''}, accept it once: {_accept(accepted)}"
        )
    if owner is not None:
        raise ForeignObject(
            f"the ledger in this database names stack {owner!r}, but this is stack {stack!r}: nothing was "
            f"changed. Where this stack takes over, accept it once: {_accept({'stack': stack})}"
        )


def require_configured(objects: Collection[str]) -> None:
    """Raise ConfigurationError when the program does not use the stack's configuration."""
    if PROGRAM in objects:
        raise ConfigurationError(
            "the program of this stack fills SyncSetupArgs itself, so its configuration does not describe the stack: "
            "nothing was compared or changed. `pulumi preview --expect-no-changes` finds drift; status, verify, "
            "doctor, report and watch work with --database-url-env; trace, runs, failures, run-now, requeue and "
            "release-stalled work"
        )


def record(conn: Connection, object_name: str, row: LedgerRow) -> None:
    """Record that a stack made or adopted an object."""
    values = {"object": object_name, "stack": row.stack, "project_ref": row.project_ref}
    conn.execute(query("ledger", "record"), {**values, "origin": "made" if row.made else "adopted", "there": True})
    if row.schema:
        place = sql.SQL(query("ledger", "record_place"))
        conn.execute(place.format(place=sql.Literal(row.schema), object=sql.Literal(object_name)))
    if row.claim:
        record_claim(conn, object_name, row.claim)


def record_claim(conn: Connection, object_name: str, claim: str) -> None:
    """Record the managing resource of an object, and the time of the last change."""
    conn.execute(_record_text("claim", claim, object_name))


def _record_text(column: str, value: str, object_name: str) -> sql.Composed:
    return sql.SQL(query("ledger", "record_text")).format(
        column=sql.Identifier(column),
        name=sql.Literal(column),
        value=sql.Literal(value),
        object=sql.Literal(object_name),
    )


def forget(conn: Connection, spec: Spec) -> None:
    """Delete the row of a removed object."""
    fetch(conn, query("ledger", "forget"), {"object": spec.object_name})


def observe(spec: LedgerSpec, snapshot: Snapshot) -> Observation[LedgerSpec] | None:
    """Return the ledger, with the first foreign stack or project if there is one."""
    state, schema = next(iter(snapshot.rows("ledger")), None), _schema(snapshot)
    if state is None or not state["present"] or (schema and not (schema["ours"] and schema["ledger"])):
        return None
    known = rows(snapshot).values()
    others = [row.project_ref for row in known if row.project_ref and spec.project_ref != row.project_ref]
    foreign = [
        f"{one} (more than usage)" if one in spec.grantees else one
        for one in state["grantees"]
        if one not in spec.grantees or one not in state["users"]
    ]
    actual = spec.model_copy(
        update={
            "stack": next((row.stack for row in known if row.stack != spec.stack), spec.stack),
            "project_ref": next(iter(others), spec.project_ref) if spec.project_ref else "",
            "tables": (*_schema_differences(schema), *tables.state(spec.tables, snapshot)),
            "grantees": tuple(sorted({*spec.grantees, *foreign})),
            "own_arguments": PROGRAM in rows(snapshot),
            "settings": _settings_in(snapshot) if spec.settings else "",
        }
    )
    return Observation(actual)


def preflight(spec: LedgerSpec, snapshot: Snapshot) -> None:
    """Raise WrongEnvironment or ForeignObject for a ledger, or a table of that name, of another owner."""
    require_ours(snapshot, spec.stack, spec.project_ref)
    schema = _schema(snapshot)
    if schema is not None and not schema["mine"]:
        # Only the owner can hand a schema over.
        change = sql.SQL("alter schema bubble_sync owner to {};").format(sql.Identifier(schema["role"])).as_string()
        raise ForeignObject(
            f"the schema bubble_sync is owned by {schema['owner']}: nothing was changed. As that role: {change}"
        )
    tables.preflight(spec.tables, snapshot)


def apply(conn: Connection, spec: LedgerSpec, observed: Observation[LedgerSpec] | None) -> None:
    """Create or repair schema and tables, and revoke unwanted privileges."""
    try:
        for statement in creations(spec, observed.actual if observed else None):
            conn.execute(statement)
    except errors.IntegrityError as problem:
        # A restored key, CHECK or NOT NULL can conflict with rows written without the constraint.
        table = problem.diag.table_name or tables.LEDGER
        raise tables.cannot_be_mended("holds rows that its own constraints refuse", table) from None
    conn.execute(revoke(spec))
    if spec.own_arguments:
        record(conn, PROGRAM, LedgerRow(spec.stack, spec.project_ref, made=True))
    else:
        fetch(conn, query("ledger", "forget"), {"object": PROGRAM})
    if spec.settings and (observed is None or observed.actual.settings != spec.settings):
        for statement in settings_statements(spec):
            conn.execute(statement)


def settings_statements(spec: LedgerSpec) -> list[sql.Composed]:
    """Return the statements that record the settings, or remove them for a spec without settings."""
    from bubble_sync import __version__

    about = {"object": sql.Literal(SETTINGS)}
    if not spec.settings:
        return [filled(query("ledger", "forget"), about, _DEFAULT_NAMES)]
    values = {"stack": sql.Literal(spec.stack), "project_ref": sql.Literal(spec.project_ref)}
    values |= {"origin": sql.Literal("made"), "there": sql.Literal(True), **about}
    text = json.dumps({**json.loads(spec.settings), _VERSION: __version__}, sort_keys=True)
    return [filled(query("ledger", "record"), values, _DEFAULT_NAMES), _record_text("settings", text, SETTINGS)]


def creations(spec: LedgerSpec, there: LedgerSpec | None) -> list[sql.SQL | sql.Composed]:
    """Return the statements that create or repair schema and tables, and drop unwanted tables."""
    return [sql.SQL(query("ledger", "create")), *tables.statements(spec.tables, there.tables if there else ())]


def revoke(spec: LedgerSpec) -> sql.Composed:
    """Compose the statement that revokes unwanted privileges; wanted roles keep USAGE on the schema."""
    return sql.SQL(query("ledger", "revoke")).format(grantees=sql.Literal(list(spec.grantees)))


def retention_reason(conn: Connection, spec: LedgerSpec) -> str | None:
    """Return the reason to keep the ledger, which always stays; forget the program, and the alerts' table."""
    if ALERTS in tables.names(spec.tables):
        conn.execute(query("tables", "drop_alerts_of_no_function"))
    for row in (PROGRAM, SETTINGS):
        fetch(conn, query("ledger", "forget"), {"object": row})
    return "it lists the objects that the stack made or adopted"


def remove(conn: Connection, spec: LedgerSpec, observed: Observation[LedgerSpec]) -> None:
    """Do nothing."""


def _accept(values: Mapping[str, str]) -> str:
    columns = sql.SQL(", ").join(map(sql.Identifier, values))
    wanted = sql.SQL(", ").join(map(sql.Literal, values.values()))
    if len(values) > 1:
        columns, wanted = sql.SQL("({})").format(columns), sql.SQL("({})").format(wanted)
    update = sql.SQL("update {} set {columns} = {wanted} where {columns} is distinct from {wanted};")
    return update.format(sql.SQL(LEDGER_TABLE), columns=columns, wanted=wanted).as_string()


def _settings_in(snapshot: Snapshot) -> str:
    row = rows(snapshot).get(SETTINGS)
    return read_settings_row(row.settings)[0] if row else ""


def _schema(snapshot: Snapshot) -> SnapshotRow | None:
    return next(iter(snapshot.rows("schema")), None)


def _schema_differences(row: SnapshotRow | None) -> tuple[str, ...]:
    if row is None:
        return ()
    wrong = {
        f"schema (owner {row['owner']})": not row["mine"],
        "schema (without the rights of its owner)": not row["usable"],
        f"schema (comment {row['comment']!r})": row["comment"] != _COMMENT,
    }
    return tuple(text for text, applies in wrong.items() if applies)
