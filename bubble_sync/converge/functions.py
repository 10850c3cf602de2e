"""Converge functions with `create or replace`, which keeps the OID; only the owner has EXECUTE."""

from __future__ import annotations

from psycopg import errors, sql

from bubble_sync.converge.references import references_to
from bubble_sync.database.connection import Verbatim
from bubble_sync.database.database import Connection
from bubble_sync.database.snapshot import Snapshot, SnapshotRow, dollar_quoted
from bubble_sync.errors import ForeignObject
from bubble_sync.specs import FunctionSpec, Observation
from bubble_sync.sql_loader import query

SECTIONS = ("functions",)
_NOT_FOR_ITS_OWNER = "no EXECUTE for its owner"
_OWN = "grant execute on function {name}({arguments}) to current_user;\n"
_CREATE = """\
create or replace function {name}({arguments})
returns {returns}
language {language}
{volatility}
security {security}
{settings}
as {body};
comment on function {name}({arguments}) is {comment};
"""


def observe(spec: FunctionSpec, snapshot: Snapshot) -> Observation[FunctionSpec] | None:
    """Return the function with this name and these parameters."""
    rows = _same_name(spec, snapshot)
    row = next((row for row in rows if row["identity_arguments"] == spec.arguments and row["kind"] == "f"), None)
    if row is None:
        return None
    actual = spec.model_copy(
        update={
            **{field: row[field] for field in ("returns", "body", "language", "security", "volatility", "comment")},
            "config": tuple(row["config"]),
            "owner": "current_user" if row["mine"] else row["owner"],
            "executors": tuple(sorted({*spec.executors, *row["executors"]})),
            "attributes": tuple(row["attributes"]),
            "overloads": tuple(other["identity_arguments"] for other in _overloads(spec, rows)),
        }
    )
    return Observation(actual)


def preflight(spec: FunctionSpec, snapshot: Snapshot) -> None:
    """Raise ForeignObject for a function that cannot be replaced, or belongs to another role."""
    rows = _same_name(spec, snapshot)
    called = f"{spec.name}({spec.arguments})"
    row = next((row for row in rows if row["types"] == ", ".join(spec.types)), None)
    if row is not None and not row["mine"]:
        raise ForeignObject(
            f"{spec.object_name} is owned by {row['owner']}: nothing was changed. As that role: "
            f"alter function {called} owner to <the role that runs pulumi>;"
        )
    if row is not None and row["kind"] == "f" and row["returns"] != spec.returns:
        raise ForeignObject(
            f"{spec.object_name} returns {row['returns']}, not {spec.returns}, which cannot be replaced: "
            f"nothing was changed. Rename or drop it: drop function {called};"
        )
    if row is not None and (
        row["kind"] != "f"
        or row["identity_arguments"] != spec.arguments
        or {"setof", "parameter defaults"} & {*row["attributes"]}
    ):
        raise _something_else(spec)
    for other in _overloads(spec, rows):
        raise ForeignObject(
            f"{spec.object_name} has a second form, ({other['arguments']}), that a bare call also matches: "
            f"nothing was changed. Remove: drop function {spec.name}({other['identity_arguments']});"
        )


def apply(conn: Connection, spec: FunctionSpec, observed: Observation[FunctionSpec] | None) -> None:
    """Create or replace the function, and revoke EXECUTE from unwanted roles in the same transaction."""
    try:
        conn.execute(function_statement(spec, observed.actual if observed else None))
    except (errors.InvalidFunctionDefinition, errors.WrongObjectType):
        raise _something_else(spec) from None


def function_statement(spec: FunctionSpec, there: FunctionSpec | None = None) -> sql.Composed:
    """Compose the statements that create the function and revoke EXECUTE from unwanted roles."""
    # The grant comes first: replacing a function requires EXECUTE.
    own = _OWN if there is not None and _NOT_FOR_ITS_OWNER in there.attributes else ""
    schema, name = spec.name.split(".")
    create = sql.SQL(own + _CREATE).format(
        name=sql.Identifier(schema, name),
        arguments=sql.SQL(spec.arguments),  # type names from our own file
        returns=sql.SQL(spec.returns),
        language=sql.SQL(spec.language),
        volatility=sql.SQL(spec.volatility),
        security=sql.SQL(spec.security),
        settings=sql.SQL("\n").join(_setting(one) for one in spec.config),
        body=Verbatim(dollar_quoted(spec.body, "$function$")),
        comment=sql.Literal(spec.comment),
    )
    return create + sql.SQL(query("functions", "revoke")).format(
        schema=sql.Literal(schema),
        name=sql.Literal(name),
        arguments=sql.Literal(spec.arguments),
        executors=sql.Literal(list(spec.executors)),
    )


def retention_reason(conn: Connection, spec: FunctionSpec) -> str | None:
    """Return the reason to keep a function that another function, a trigger or a job names."""
    users = references_to(conn, spec.name.split(".")[1] if spec.name.startswith("public.") else spec.name, spec.name)
    return f"{', '.join(users)} call{'s' if len(users) == 1 else ''} it" if users else None


def remove(conn: Connection, spec: FunctionSpec, observed: Observation[FunctionSpec]) -> None:
    """Drop the function, without CASCADE."""
    conn.execute(drop(spec))


def drop(spec: FunctionSpec) -> sql.Composed:
    """Compose the statement that drops the function."""
    statement = sql.SQL("drop function {name}({arguments})")
    return statement.format(name=sql.Identifier(*spec.name.split(".")), arguments=sql.SQL(spec.arguments))


def _setting(text: str) -> sql.Composed:
    name, value = text.split("=", 1)
    # search_path is a list of names; the server stores the empty name as two double quotes.
    written = sql.SQL(value.replace('""', "''")) if name == "search_path" else sql.Literal(value)
    return sql.SQL("set {} = {}").format(sql.SQL(name), written)


def _same_name(spec: FunctionSpec, snapshot: Snapshot) -> list[SnapshotRow]:
    return [row for row in snapshot.rows("functions") if row["name"] == spec.name]


def _overloads(spec: FunctionSpec, rows: list[SnapshotRow]) -> list[SnapshotRow]:
    bare = [row for row in rows if row["identity_arguments"] != spec.arguments and row["callable_bare"]]
    return [] if spec.arguments else bare


def _something_else(spec: FunctionSpec) -> ForeignObject:
    return ForeignObject(
        f"{spec.object_name}: something else has this name, and cannot be replaced: nothing was changed. "
        f"Rename or drop it: drop routine {spec.name};"
    )
