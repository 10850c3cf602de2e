"""Rights of roles and lints, from the catalog; and objects of a session that shadow the server's."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from bubble_sync.config.database_url import read_database_url
from bubble_sync.config.settings import NameSettings, StackSettings
from bubble_sync.database.database import Database
from bubble_sync.model.setup import desired_state
from bubble_sync.specs import FunctionSpec, Owner
from bubble_sync.sql_loader import SQL_DIRECTORY
from tests.fixtures.breaking import set_up, working
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK
from tests.fixtures.waking import session

MONITOR, NEWCOMER = "bubble_monitor", "newcomer"
PASSWORD = "a-password-that-none-of-us-types"
#: Of a hosted project, of the set-up, and a new one with no more than LOGIN.
ROLES = ("public", "anon", "authenticated", "service_role", "authenticator", MONITOR, NEWCOMER)
ACCESS, CLAIM = "access.monitorRole", "sql/reference/claim.sql"
#: Feature -> configuration. The claim's file is SQL that the owner of the queue runs.
FEATURES: dict[str, dict[str, str]] = {
    ACCESS: {"access": json.dumps({"monitorRole": MONITOR}), "monitorPassword": PASSWORD},
    "alerts": {"alerts": '{"dailyReportAt": "07:00"}', "alertWebhookUrl": "https://hooks.example.com/services/path"},
    "history": {"history": '{"keepDays": 3}'},
    "processor.wake": {"processor": '{"wake": true}'},
    "processor.requestsPerTick": {"processor": '{"requestsPerTick": 4}'},
    "overlapGuard": {"processor": '{"overlapGuard": true}', "retry": '{"overlapGuard": true}'},
    CLAIM: {},
}
CLAIM_FUNCTIONS = tuple(f"public.sync_queue_{name}" for name in ("claim", "complete", "fail", "requeue_stalled"))
_SECURITY = Path(__file__).parents[2] / "docs/explanation/security.md"
_ROW = re.compile(
    r"^\| (?P<role>the monitor role|`\w+`) \| (?P<object>\w+ `[^`]+`) \| (?P<right>[A-Z]+) \| `(?P<with>.+)` \|$"
)


def configured(features: Collection[str], prefix: str = "") -> StackSettings:
    """Return the configuration of a stack with these features."""
    values: dict[str, str] = {"names": json.dumps({"prefix": prefix})} if prefix else {}
    for feature in features:
        for key, value in FEATURES[feature].items():
            if value.startswith("{"):
                values[key] = json.dumps(json.loads(values.get(key, "{}")) | json.loads(value))
            else:
                values[key] = value
    return working(**values)


def bring_up(site: Site, features: Collection[str], prefix: str = "") -> StackSettings:
    """Make a stack with these features, and every role of the list."""
    settings = configured(features, prefix)
    named = Site(site.addresses, Database(read_database_url(site.addresses.database_url), settings.names))
    set_up(named, settings)
    named.db.close()
    site.by_hand(*(f"create role {name} login password '{PASSWORD}'" for name in (MONITOR, NEWCOMER)))
    if ACCESS in features:
        # As the resources of pulumi-postgresql do.
        schema = settings.names.schema_name
        site.by_hand(
            f"grant usage on schema {schema} to {MONITOR}",
            f"grant execute on function {schema}.observe(text) to {MONITOR}",
        )
    if CLAIM in features:
        with session(site) as owner:
            owner.execute((SQL_DIRECTORY / "reference" / "claim.sql").read_bytes())
    return settings


def functions_of(settings: StackSettings) -> list[str]:
    """Return the names of a stack's functions."""
    return [one.name for one in desired_state(settings, Owner(STACK)) if isinstance(one, FunctionSpec)]


def documented(features: Collection[str], names: NameSettings) -> set[tuple[str, str, str]]:
    """Read the list of docs/explanation/security.md: role, object and right with these features."""
    rows = [found for line in _SECURITY.read_text().splitlines() if (found := _ROW.match(line))]
    assert {row["with"] for row in rows} <= set(FEATURES), "the page names a feature that no test makes"
    return {
        (
            MONITOR if row["role"] == "the monitor role" else row["role"].strip("`"),
            names.render(row["object"].replace("`", "")),
            row["right"],
        )
        for row in rows
        if row["with"] in features
    }


_HELD = """
    with object (name, kind, oid) as (
        select 'schema ' || nspname, 'schema', oid from pg_namespace where nspname = %(schema)s
        union all
        select case relkind when 'S' then 'sequence ' else 'table ' end || c.oid::regclass,
            case relkind when 'S' then 'sequence' else 'table' end, c.oid
        from pg_class as c
        where relnamespace = to_regnamespace(%(schema)s) and relkind in ('r', 'p', 'v', 'm', 'f', 'S')
        union all
        select 'function ' || f.oid::regprocedure, 'function', f.oid
        from pg_proc as f join pg_namespace as n on n.oid = f.pronamespace
        where nspname = %(schema)s or nspname || '.' || proname = any (%(functions)s)
    ), may (kind, privileges) as (values
        ('schema', array['USAGE', 'CREATE']),
        ('sequence', array['USAGE', 'SELECT', 'UPDATE']),
        ('table', array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']),
        ('function', array['EXECUTE'])
    )
    select role, name, privilege
    from unnest(%(roles)s::text[]) as role, object join may using (kind), unnest(may.privileges) as privilege
    where case
        when kind = 'schema' then has_schema_privilege(role, oid, privilege)
        when kind = 'function' then has_function_privilege(role, oid, privilege)
        when kind = 'sequence' then has_sequence_privilege(role, oid, privilege)
        when privilege in ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
            then has_any_column_privilege(role, oid, privilege)
        else has_table_privilege(role, oid, privilege)
    end
    union all
    select role, 'role postgres', 'MEMBER' from unnest(%(roles)s::text[]) as role
    where role <> 'public' and pg_has_role(role, 'postgres', 'member')
"""


def held(site: Site, settings: StackSettings) -> set[tuple[str, str, str]]:
    """Return what each role may do, through PUBLIC and memberships too: role, object and right."""
    functions = [*functions_of(settings), *CLAIM_FUNCTIONS]
    values = {"schema": settings.names.schema_name, "functions": functions, "roles": list(ROLES)}
    with session(site, "supabase_admin") as conn:
        conn.execute("set search_path = ''")
        return {(str(role), str(name), str(right)) for role, name, right in conn.execute(_HELD, values).fetchall()}


#: What a linter of hosted projects looks for, in our objects -> a hand's statements that it finds. After the names of
#: splinter's lints.
_API = "(values ('public'), ('anon'), ('authenticated')) as api (role)"
LINTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "security definer view": (
        "select c.oid::regclass::text from pg_class as c where c.relnamespace = {schema} and c.relkind = 'v' "
        "and not coalesce(c.reloptions, '{{}}') && array['security_invoker=on', 'security_invoker=true']",
        ("create view bubble_sync.listed as select * from bubble_sync.ledger",),
    ),
    "search_path mutable": (
        "select f.oid::regprocedure::text from pg_proc as f where f.oid = any ({functions}) "
        "and not exists (select from unnest(f.proconfig) as setting where setting like 'search_path=%')",
        ("alter function bubble_sync.settle() reset search_path",),
    ),
    "definer whose search_path has pg_temp first": (
        "select f.oid::regprocedure::text from pg_proc as f where f.oid = any ({functions}) and f.prosecdef "
        "and not exists (select from unnest(f.proconfig) as setting where setting ~ '^search_path=.*, pg_temp$')",
        ("alter function bubble_sync.wake() set search_path = ''",),
    ),
    "definer whose caller decides what a backslash means": (
        "select f.oid::regprocedure::text from pg_proc as f where f.oid = any ({functions}) and f.prosecdef "
        r"and f.prosrc ~ '\\' and not coalesce(f.proconfig, '{{}}') @> array['standard_conforming_strings=on']",
        ("alter function bubble_sync.observe(text) reset standard_conforming_strings",),
    ),
    "definer function that the API's roles may execute": (
        f"select f.oid::regprocedure::text from pg_proc as f, {_API} where f.oid = any ({{functions}}) and f.prosecdef "
        "and has_function_privilege(api.role, f.oid, 'execute')",
        ("grant execute on function bubble_sync.observe(text) to authenticated",),
    ),
    "row security disabled in an exposed schema": (
        "select c.oid::regclass::text from pg_class as c where c.relnamespace = any ({exposed}) "
        "and c.relnamespace = {schema} and c.relkind in ('r', 'p') and not c.relrowsecurity",
        ("alter role authenticator set pgrst.db_schemas = 'public, bubble_sync'",),
    ),
    "table or sequence that the API's roles reach": (
        f"select c.oid::regclass::text from pg_class as c, {_API} where c.relnamespace = {{schema}} and case c.relkind "
        "when 'S' then has_sequence_privilege(api.role, c.oid, 'usage, select, update') when 'r' then "
        "has_any_column_privilege(api.role, c.oid, 'select, insert, update, references') else false end",
        ("grant select (object) on bubble_sync.ledger to anon",),
    ),
    "policy that lets everything through": (
        "select p.polname from pg_policy as p join pg_class as c on c.oid = p.polrelid where c.relnamespace = {schema}",
        ("create policy open on bubble_sync.ledger using (true)",),
    ),
    "auth.users exposed": (
        "select d.objid::text from pg_depend as d join pg_rewrite as r on r.oid = d.objid join pg_class as c "
        "on c.oid = r.ev_class where d.refobjid = to_regclass('auth.users') and c.relnamespace in ({schema}, "
        "'public'::regnamespace)",
        (
            "create schema auth",
            "create table auth.users (email text)",
            "create view bubble_sync.people as select * from auth.users",
        ),
    ),
    "extension in public": (
        "select extname from pg_extension where extnamespace = 'public'::regnamespace",
        ("drop extension pg_net cascade", "create extension pg_net schema public"),
    ),
    "materialized view or foreign table": (
        "select c.oid::regclass::text from pg_class as c where c.relnamespace = {schema} and c.relkind in ('m', 'f')",
        ("create materialized view bubble_sync.kept as select 1 as one",),
    ),
    "table without a primary key": (
        "select c.oid::regclass::text from pg_class as c where c.relnamespace = {schema} and c.relkind in ('r', 'p') "
        "and not exists (select from pg_index as i where i.indrelid = c.oid and i.indisprimary)",
        ("create table bubble_sync.loose (a int)",),
    ),
    "foreign key without an index": (
        "select k.conname from pg_constraint as k where k.connamespace = {schema} and k.contype = 'f' and not exists "
        "(select from pg_index as i where i.indrelid = k.conrelid and i.indkey[0] = k.conkey[1])",
        ("create table bubble_sync.part (object text primary key, of text references bubble_sync.ledger)",),
    ),
    "duplicate index": (
        "select max(i.indexrelid::regclass::text) from pg_index as i join pg_class as c on c.oid = i.indrelid "
        "where c.relnamespace = {schema} group by i.indrelid, i.indkey, i.indclass, pg_get_expr(i.indpred, i.indrelid) "
        "having count(*) > 1",
        ("create index again on bubble_sync.dispatches (sent_at)",),
    ),
    "invalid index": (
        "select i.indexrelid::regclass::text from pg_index as i join pg_class as c on c.oid = i.indrelid "
        "where c.relnamespace = {schema} and not i.indisvalid",
        ("update pg_index set indisvalid = false where indexrelid = 'bubble_sync.dispatches_sent_at'::regclass",),
    ),
    "column of a type that an upgrade refuses": (
        "select a.attname from pg_attribute as a join pg_class as c on c.oid = a.attrelid "
        "where c.relnamespace = {schema} "
        "and a.atttypid in ('regclass'::regtype, 'regproc'::regtype, 'regprocedure'::regtype, 'regoper'::regtype, "
        "'regnamespace'::regtype, 'regconfig'::regtype)",
        ("alter table bubble_sync.alerts add column relation regclass",),
    ),
    "column of a secret": (
        "select a.attname from pg_attribute as a join pg_class as c on c.oid = a.attrelid "
        "where c.relnamespace = {schema} "
        "and c.relkind = 'r' and a.attname ~ '(password|secret|token|api_?key|authorization|email)'",
        ("alter table bubble_sync.dispatches add column authorization_header text",),
    ),
    "object that another role owns": (
        "select c.oid::regclass::text from pg_class as c where c.relnamespace = {schema} "
        "and c.relowner <> 'postgres'::regrole union all select f.oid::regprocedure::text from pg_proc as f "
        "where f.oid = any ({functions}) and f.proowner <> 'postgres'::regrole",
        ("alter table bubble_sync.alerts owner to service_role",),
    ),
}  # fmt: skip
#: What a reset of the database leaves of the breakages.
UNDO = ("alter role authenticator reset pgrst.db_schemas",)


def lint(site: Site, settings: StackSettings, name: str) -> list[str]:
    """Return the objects that a lint finds."""
    schema = f"'{settings.names.schema_name}'::regnamespace"
    listed = ", ".join(f"'{one}'" for one in functions_of(settings))
    functions = (
        "array(select f.oid from pg_proc as f join pg_namespace as n on n.oid = f.pronamespace "
        f"where nspname || '.' || proname = any (array[{listed}]))"
    )
    exposed = (
        "array(select n.oid from pg_namespace as n where n.nspname = 'public' or exists ("
        "select from pg_db_role_setting as s, unnest(s.setconfig) as one "
        "where one like 'pgrst.db_schemas=%' and one ~ ('\\m' || n.nspname || '\\M')))"
    )
    query = LINTS[name][0].format(schema=schema, functions=functions, exposed=exposed)
    return [str(value) for row in site.by_hand(query) for value in row.values()]


#: Tells as whom it runs, which an error after it does not take back.
SPY = """
    create function {schema}.spy() returns boolean language plpgsql as
    $$ begin raise notice 'the spy runs as %', current_user; return true; end $$
"""
TYPES = """
    select typname from pg_catalog.pg_type
    where typnamespace = 'pg_catalog'::regnamespace and typtype = 'b' and typcategory <> 'A' and typname !~ '^pg_'
    order by 1
"""
RELATIONS = """
    select relname from pg_catalog.pg_class
    where relnamespace = 'pg_catalog'::regnamespace and relkind in ('r', 'v') order by 1
"""
#: Relations of ours and of the extensions, by their last names.
OTHER_RELATIONS = (
    "ledger", "dispatches", "alerts", "wake_errors", "wake_closed_until", "secrets", "decrypted_secrets", "job",
    "job_run_details", "http_request_queue", "_http_response", "sync_queue",
)  # fmt: skip
OPERATORS = ("=", "<>", "<", ">", "<=", ">=", "||", "~", "!~", "~*", "->", "->>", "+", "-")


@dataclass
class Hostile:
    """A session of the monitor role, which has logged in; and the roles as which its spy ran."""

    conn: psycopg.Connection[psycopg.rows.TupleRow]
    ran_as: set[str] = field(default_factory=set)

    def hear(self, notice: psycopg.errors.Diagnostic) -> None:
        """Keep the role that the spy tells."""
        if (text := notice.message_primary or "").startswith("the spy runs as "):
            self.ran_as.add(text.split()[-1])

    @property
    def caught(self) -> bool:
        """Return whether the spy ran as the owner; the emulator's own functions of the Vault are none of ours."""
        return "postgres" in self.ran_as


@contextmanager
def hostile(site: Site) -> Iterator[Hostile]:
    """Log in as the monitor role."""
    port = site.addresses.database_port
    url = f"postgresql://{MONITOR}:{PASSWORD}@127.0.0.1:{port}/postgres"
    with psycopg.connect(url, autocommit=True) as conn:
        opened = Hostile(conn)
        conn.add_notice_handler(opened.hear)
        yield opened


def make_spy(conn: psycopg.Connection[psycopg.rows.TupleRow]) -> None:
    """Make the spy in the session's temporary schema."""
    conn.execute("create temporary table any_table (a int)")
    conn.execute(SPY.format(schema="pg_temp"))


def shadow_type(conn: psycopg.Connection[psycopg.rows.TupleRow], name: str) -> None:
    """Make a temporary domain of a type's name, whose CHECK is the spy."""
    text = sql.SQL("create domain pg_temp.{name} as pg_catalog.{name} check (pg_temp.spy())")
    conn.execute(text.format(name=sql.Identifier(name)))


def shadow_relation(conn: psycopg.Connection[psycopg.rows.TupleRow], name: str) -> None:
    """Make a temporary view of a relation's name, which calls the spy."""
    of = sql.SQL("select 1 as one") if name in OTHER_RELATIONS else sql.SQL("select * from pg_catalog.{}")
    text = sql.SQL("create temporary view {} as {} where pg_temp.spy()")
    conn.execute(text.format(sql.Identifier(name), of.format(sql.Identifier(name))))


def called_functions(site: Site, settings: StackSettings) -> list[str]:
    """Return the names of the server's functions that functions of the stack call."""
    bodies = [one.body for one in desired_state(settings, Owner(STACK)) if isinstance(one, FunctionSpec)]
    words = sorted({word for body in bodies for word in re.findall(r"\b(\w+)\(", body)})
    known = site.by_hand(
        "select distinct proname from pg_proc where pronamespace = 'pg_catalog'::regnamespace and proname = any "
        f"(array[{', '.join(map(repr, words))}])"
    )
    return [str(row["proname"]) for row in known]


def overload(conn: psycopg.Connection[psycopg.rows.TupleRow], functions: Collection[str]) -> int:
    """Make functions, operators and a cast of a role that may create in public; return their number."""
    conn.execute(SPY.format(schema="public"))
    made = 0
    for name in functions:
        for arguments in ("text", "text, text", "jsonb", "anyelement", "timestamptz"):
            returns = "$$ begin perform public.spy(); return null; end $$"
            text = sql.SQL("create function public.{} ({}) returns text language plpgsql as " + returns)
            conn.execute(text.format(sql.Identifier(name), sql.SQL(arguments)))
            made += 1
    conn.execute(
        "create function public.judged(pg_catalog.text, pg_catalog.text) returns boolean language plpgsql "
        "as $$ begin return public.spy(); end $$"
    )
    for operator in OPERATORS:
        conn.execute(
            f"create operator public.{operator} (function = public.judged, leftarg = pg_catalog.text, "
            "rightarg = pg_catalog.text)"
        )
        made += 1
    conn.execute("create type public.worn as (word pg_catalog.text)")
    conn.execute(
        "create function public.bare(public.worn) returns pg_catalog.text language plpgsql "
        "as $$ begin perform public.spy(); return $1.word; end $$"
    )
    conn.execute("create cast (public.worn as pg_catalog.text) with function public.bare(public.worn) as implicit")
    conn.execute("set search_path = public, pg_catalog")
    return made + 1


def reachable(site: Site, signature: str, relation: str = "0") -> list[str]:
    """Return the functions that a definer reaches, and that a session of another role can have loaded in its own way.

    A function of the server or in C has no variables that a session gives types to. One in PL/pgSQL or SQL must have
    pg_temp last in its search_path; those of the Vault and `net.wake` are in C on a hosted project.
    """
    loose, seen, waiting = [], set(), [signature]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        row = site.by_hand(
            "select lanname, coalesce(proconfig, '{}')::text[] as config, n.nspname, "
            "exists (select from pg_depend as d join pg_extension as e on e.oid = d.refobjid where d.objid = f.oid "
            "and d.deptype = 'e' and (extname = 'supabase_vault' or proname = 'wake')) as platform "
            "from pg_proc as f join pg_language as l on l.oid = prolang join pg_namespace as n on n.oid = pronamespace "
            f"where f.oid = '{one}'::regprocedure"
        )[0]
        if row["nspname"] == "pg_catalog" or row["lanname"] in ("c", "internal") or row["platform"]:
            continue
        if not any(re.fullmatch("search_path=.*, pg_temp", setting) for setting in row["config"]):
            loose.append(one)
        if row["lanname"] == "plpgsql":
            table = relation if one == signature else "0"
            rows = site.by_hand(
                "select oid::regprocedure::text as name from extensions.plpgsql_show_dependency_tb("
                f"'{one}'::regprocedure, {table}) where type = 'FUNCTION'"
            )
            waiting += [str(each["name"]) for each in rows]
    return loose
