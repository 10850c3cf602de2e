"""What the system catalogs say of an object, in a form that can be recorded."""

from __future__ import annotations

from typing import Any

from tests.contract.server import Connection

FUNCTION = """
select
    pg_get_function_arguments(oid) as arguments,
    pg_get_function_result(oid) as result,
    provolatile::text as volatility,
    proisstrict as strict,
    prosecdef as definer,
    proconfig as settings,
    has_function_privilege('public', oid, 'execute') as public_executes
from pg_proc
where pronamespace = %s::regnamespace and proname = %s
order by 1
"""
COLUMNS = """
select
    attname,
    format_type(atttypid, atttypmod),
    case when attnotnull then 'not null' else 'null' end,
    pg_get_expr(adbin, adrelid)
from pg_attribute
left join pg_attrdef on adrelid = attrelid and adnum = attnum
where attrelid = %s::regclass and attnum > 0 and not attisdropped
order by attnum
"""
RELATION = """
select
    relkind::text as kind,
    relpersistence::text as persistence,
    relrowsecurity as row_security,
    array(
        select regexp_replace(pg_get_indexdef(indexrelid), '^CREATE (UNIQUE )?INDEX \\S+', '\\1INDEX')
        from pg_index
        where indrelid = pg_class.oid
        order by 1
    ) as indexes,
    array(
        select pg_get_constraintdef(oid)
        from pg_constraint
        where conrelid = pg_class.oid and contype <> 'n'
        order by 1
    ) as constraints,
    array(select tgname::text from pg_trigger where tgrelid = pg_class.oid order by 1) as triggers
from pg_class
where oid = %s::regclass
"""
PRIVILEGES = ("select", "insert", "update", "delete", "truncate", "references", "trigger")


def rows(connection: Connection, statement: str, parameters: Any = None) -> list[dict[str, Any]]:
    cursor = connection.execute(statement, parameters)
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def function(connection: Connection, schema: str, name: str) -> list[dict[str, Any]]:
    return rows(connection, FUNCTION, (schema, name))


def columns(connection: Connection, relation: str) -> list[list[Any]]:
    return [list(row) for row in connection.execute(COLUMNS, (relation,))]


def relation(connection: Connection, name: str) -> dict[str, Any]:
    (found,) = rows(connection, RELATION, (name,))
    return found


def privileges(connection: Connection, role: str, name: str) -> list[str]:
    """What a role may do with a relation."""
    (held,) = connection.execute(
        "select array(select held from unnest(%s::text[]) as held where has_table_privilege(%s, %s, held))",
        (list(PRIVILEGES), role, name),
    ).fetchone()
    return list(held)
