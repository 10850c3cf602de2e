"""Functions: always `create or replace`, which keeps the OID; EXECUTE for the owner alone from the first moment."""

from __future__ import annotations

from psycopg import errors, sql

from bubble_sync.converge.change import users_of
from bubble_sync.database import Connection, Row, fetch
from bubble_sync.errors import ForeignObject
from bubble_sync.specs import FunctionSpec, Observation
from bubble_sync.statements import query

_CREATE = (
    "create or replace function {name}({arguments}) returns {returns} language {language} {volatility} "
    "security {security} set search_path = '' as {body}; comment on function {name}({arguments}) is {comment}"
)


def observe(conn: Connection, spec: FunctionSpec) -> Observation[FunctionSpec] | None:
    """Return the function of this name and these parameters."""
    rows = _same_name(conn, spec)
    row = next((row for row in rows if row["identity_arguments"] == spec.arguments and row["kind"] == "f"), None)
    if row is None:
        return None
    actual = spec.model_copy(
        update={
            **{field: row[field] for field in ("returns", "body", "language", "security", "volatility", "comment")},
            "config": tuple(row["config"]),
            "owner": "current_user" if row["mine"] else row["owner"],
            "executors": tuple(row["executors"]),
            "attributes": tuple(row["attributes"]),
            "overloads": tuple(other["identity_arguments"] for other in _overloads(spec, rows)),
        }
    )
    return Observation(actual)


def apply(conn: Connection, spec: FunctionSpec, observed: Observation[FunctionSpec] | None) -> None:
    """Create or replace the function, and revoke EXECUTE from every other role in the same transaction."""
    _refuse_foreign(spec, observed, _same_name(conn, spec))
    schema, name = spec.name.split(".")
    statement = sql.SQL(_CREATE).format(
        name=sql.Identifier(schema, name),
        arguments=sql.SQL(spec.arguments),  # type names from our own file
        returns=sql.SQL(spec.returns),
        language=sql.SQL(spec.language),
        volatility=sql.SQL(spec.volatility),
        security=sql.SQL(spec.security),
        body=sql.Literal(spec.body),
        comment=sql.Literal(spec.comment),
    )
    revoke = sql.SQL(query("functions", "revoke")).format(
        schema=sql.Literal(schema), name=sql.Literal(name), arguments=sql.Literal(spec.arguments)
    )
    try:
        # In one round trip.
        conn.execute(sql.SQL("; ").join([statement, revoke]))
    except (errors.InvalidFunctionDefinition, errors.WrongObjectType):
        raise ForeignObject(
            f"{spec.object_name}: something else of that name is there, which cannot be replaced: nothing was changed. "
            f"Rename or drop it: drop routine {spec.name};"
        ) from None


def kept(conn: Connection, spec: FunctionSpec) -> str | None:
    """Keep a function that another function, a trigger or a job still names."""
    users = users_of(conn, spec.name.split(".")[1] if spec.name.startswith("public.") else spec.name, spec.name)
    return f"{', '.join(users)} calls it" if users else None


def remove(conn: Connection, spec: FunctionSpec) -> None:
    """Drop the function; never CASCADE."""
    drop = sql.SQL("drop function {name}({arguments})")
    conn.execute(drop.format(name=sql.Identifier(*spec.name.split(".")), arguments=sql.SQL(spec.arguments)))


def _same_name(conn: Connection, spec: FunctionSpec) -> list[Row]:
    schema, name = spec.name.split(".")
    return fetch(conn, query("functions", "observe"), {"schema": schema, "name": name})


def _refuse_foreign(spec: FunctionSpec, observed: Observation[FunctionSpec] | None, rows: list[Row]) -> None:
    called = f"{spec.name}({spec.arguments})"
    if observed is not None and observed.actual.owner != "current_user":
        raise ForeignObject(
            f"{spec.object_name} is owned by {observed.actual.owner}: nothing was changed. As that role: "
            f"alter function {called} owner to <the role that runs pulumi>;"
        )
    if observed is not None and observed.actual.returns != spec.returns:
        raise ForeignObject(
            f"{spec.object_name} returns {observed.actual.returns}, not {spec.returns}, which cannot be replaced: "
            f"nothing was changed. Rename or drop it: drop function {called};"
        )
    for row in _overloads(spec, rows):
        raise ForeignObject(
            f"{spec.object_name} has a second form, ({row['arguments']}), that a bare call also means: "
            f"nothing was changed. Drop it: drop function {spec.name}({row['identity_arguments']});"
        )


def _overloads(spec: FunctionSpec, rows: list[Row]) -> list[Row]:
    bare = [row for row in rows if row["identity_arguments"] != spec.arguments and row["callable_bare"]]
    return [] if spec.arguments else bare
