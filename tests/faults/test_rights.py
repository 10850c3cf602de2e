"""What other roles may do with objects of the sync, and what they try in order to act as its owner."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import pytest

from bubble_sync.errors import SyncError
from bubble_sync.local.platform import Platform
from bubble_sync.model.setup import desired_state
from bubble_sync.specs import Owner, PrerequisitesSpec
from tests.faults import rights
from tests.faults.conftest import Row
from tests.faults.rights import CLAIM, FEATURES, LINTS, MONITOR, bring_up, hostile
from tests.fixtures.breaking import set_up
from tests.fixtures.server_log import ServerLog
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK
from tests.fixtures.tools import missing
from tests.fixtures.waking import session

ALL = tuple(FEATURES)
PREFIX = "crm-sync"
#: Features and prefix of a stack; `make faults` takes each feature alone too.
whole = pytest.mark.matrix
EVERYTHING = pytest.param(ALL, "", id="all")
OTHERS = [
    pytest.param((), "", id="off", marks=whole),
    pytest.param(ALL, PREFIX, id="prefix", marks=whole),
    *(pytest.param((one,), "", id=one, marks=whole) for one in FEATURES),
]
OBSERVE = "select bubble_sync.observe('0123456789abcdef')"
INSERT = (
    "insert into public.sync_queue (table_name, record_id, operation) values "
    "('user'::pg_catalog.text, pg_catalog.gen_random_uuid()::pg_catalog.text, 'INSERT'::pg_catalog.text)"
)
LEAK = "sb_secret_LEAKME_0123456789"


@pytest.mark.parametrize(("features", "prefix"), [EVERYTHING, *OTHERS])
def test_each_role_has_the_rights_of_the_documented_list_and_no_other(
    site: Site, tally: list[Row], features: tuple[str, ...], prefix: str
):
    settings = bring_up(site, features, prefix)

    found, listed = rights.held(site, settings), rights.documented(features, settings.names)
    tally.append(Row("rights", "roles against the documented list", len(rights.ROLES), len(rights.ROLES)))

    assert found == listed


@whole
@pytest.mark.parametrize("where", ["", "in schema public", "in schema bubble_sync"])
def test_default_privileges_of_a_person_give_no_role_a_right(site: Site, tally: list[Row], where: str):
    """They hold for what `up` makes later: here for every optional feature."""
    set_up(site, rights.configured(()))
    kinds = ("tables", "sequences", "functions", "types", *(() if where else ("schemas",)))
    with session(site) as owner:
        for kind in kinds:
            owner.execute(f"alter default privileges {where} grant all on {kind} to anon, public")
        try:
            settings = bring_up(site, ALL)
            found = rights.held(site, settings)
        finally:
            for kind in kinds:
                owner.execute(f"alter default privileges {where} revoke all on {kind} from anon")
                back = "grant" if kind in ("functions", "types") and not where else "revoke"
                usage = {"functions": "execute", "types": "usage"}.get(kind, "all")
                owner.execute(
                    f"alter default privileges {where} {back} {usage if back == 'grant' else 'all'} on {kind} "
                    f"{'to' if back == 'grant' else 'from'} public"
                )
    tally.append(Row("rights", "default privileges of a person", len(kinds), len(kinds)))

    assert found == rights.documented(ALL, settings.names)


@pytest.mark.parametrize(("features", "prefix"), [EVERYTHING, *OTHERS])
def test_no_lint_finds_anything(site: Site, tally: list[Row], features: tuple[str, ...], prefix: str):
    settings = bring_up(site, features, prefix)

    found = {name: rights.lint(site, settings, name) for name in LINTS}
    tally.append(Row("rights", "lints of a hosted project", len(LINTS), sum(not one for one in found.values())))

    assert found == {name: [] for name in LINTS}


@whole
@pytest.mark.parametrize("name", LINTS)
def test_a_lint_finds_what_a_hand_breaks(site: Site, name: str):
    settings = bring_up(site, ALL)
    try:
        site.by_hand(*LINTS[name][1])

        assert rights.lint(site, settings, name) != []
    finally:
        site.by_hand(*rights.UNDO)


class TestPlpgsqlCheck:
    """Debian's plpgsql_check reads the bodies as the server would run them."""

    @pytest.fixture
    def checker(self, site: Site) -> Iterator[None]:
        available = "select name from pg_available_extensions where name = 'plpgsql_check'"
        if not site.by_hand(available):
            missing("plpgsql_check")
        site.by_hand("create extension plpgsql_check schema extensions")
        yield
        site.by_hand("drop extension plpgsql_check")

    @pytest.mark.parametrize(("features", "prefix"), [EVERYTHING, *OTHERS])
    def test_it_finds_nothing_in_any_function(
        self, site: Site, checker: None, tally: list[Row], features: tuple[str, ...], prefix: str
    ):
        settings = bring_up(site, features, prefix)
        claims = rights.CLAIM_FUNCTIONS if CLAIM in features else ()
        names = [*rights.functions_of(settings), *claims]

        found = {name: lines for name in names if (lines := self.findings(site, name))}
        tally.append(Row("rights", "functions through plpgsql_check", len(names), len(names) - len(found)))

        assert found == {}

    @pytest.mark.parametrize(("signature", "relation"), [
        ("bubble_sync.observe(text)", "0"), ("bubble_sync.wake()", "'public.sync_queue'::regclass"),
    ])  # fmt: skip
    def test_a_definer_function_reaches_no_function_that_a_session_can_load_in_its_own_way(
        self, site: Site, checker: None, signature: str, relation: str
    ):
        settings = bring_up(site, ALL)
        definers = "select oid::regprocedure::text as name from pg_proc where prosecdef and prosrc ~ 'bubble_sync'"
        assert {row["name"] for row in site.by_hand(definers)} == {"bubble_sync.observe(text)", "bubble_sync.wake()"}
        assert settings.processor.wake

        assert rights.reachable(site, signature, relation) == []

        # As `send` does for the jobs, which have sessions of their own.
        site.by_hand(
            "create or replace function bubble_sync.wake_send() returns void language plpgsql "
            "set search_path = pg_catalog, pg_temp as "
            "$$ begin perform net.http_post('http://127.0.0.1:1/', '{}'::pg_catalog.jsonb); end $$"
        )
        loose = rights.reachable(site, signature, relation)
        assert ("net.http_post(text,jsonb,jsonb,jsonb,integer)" in loose) == ("wake" in signature)

    def findings(self, site: Site, name: str) -> list[str]:
        """Return what plpgsql_check prints of a function."""
        rows = site.by_hand(
            "select line from pg_proc as f, extensions.plpgsql_check_function(f.oid, "
            "case when f.prorettype = 'trigger'::regtype then 'public.sync_queue'::regclass else 0::regclass end, "
            "extra_warnings => true, security_warnings => true) as line "
            f"where f.oid = '{name}'::regproc"
        )
        # The block that `observe` shares with the commands declares a `salt` of its own: three lines in newer releases.
        known = ("overlap", 'parameter "salt" is shadowed', "Local variable shadows function parameter")
        return [row["line"] for row in rows if not any(words in row["line"] for words in known)]


@pytest.fixture
def attacked(site: Site) -> Site:
    """A stack with every feature, and roles that may make what they like."""
    bring_up(site, ALL)
    site.by_hand(
        f"update cron.job set active = false, command = command || ' -- Bearer {LEAK}'",
        f"grant insert on public.sync_queue to {MONITOR}",
        f"create policy sign_up on public.sync_queue for insert to {MONITOR} with check (true)",
    )
    return site


#: What a session does to have a definer function run.
CALLS = {"observe": OBSERVE, "wake": INSERT}


def run(conn: psycopg.Connection[psycopg.rows.TupleRow], call: str) -> object:
    """Have the definer function run, with the clock of the trigger open; a refusal is as good as an answer."""
    try:
        return conn.execute(CALLS[call]).fetchall() if call == "observe" else conn.execute(CALLS[call])
    except psycopg.Error as refused:
        return str(refused)


@pytest.mark.parametrize("call", CALLS)
def test_no_type_or_relation_of_a_session_runs_as_the_owner(attacked: Site, tally: list[Row], call: str):
    names = shadows(attacked)
    with hostile(attacked) as attack:
        rights.make_spy(attack.conn)
        for kind, name in names:
            shadow(attack.conn, kind, name)
        run(attack.conn, call)
    right = len(names) * (not attack.caught)
    tally.append(Row("rights", f"temporary types and views, all at once: {call}", len(names), right))

    assert not attack.caught


@whole
@pytest.mark.parametrize("call", CALLS)
def test_no_single_type_or_relation_of_a_session_runs_as_the_owner(attacked: Site, tally: list[Row], call: str):
    names, found = shadows(attacked), []
    for kind, name in names:
        with hostile(attacked) as attack:
            rights.make_spy(attack.conn)
            shadow(attack.conn, kind, name)
            run(attack.conn, call)
        found += [name] if attack.caught else []
    tally.append(Row("rights", f"temporary types and views, one by one: {call}", len(names), len(names) - len(found)))

    assert found == []


def test_the_search_finds_a_definer_function_whose_search_path_is_empty(attacked: Site):
    attacked.by_hand("alter function bubble_sync.observe(text) set search_path = ''")
    with hostile(attacked) as attack:
        rights.make_spy(attack.conn)
        rights.shadow_type(attack.conn, "text")
        run(attack.conn, "observe")

    assert attack.caught


def shadows(site: Site) -> list[tuple[str, str]]:
    types = [str(row["typname"]) for row in site.by_hand(rights.TYPES)]
    relations = [str(row["relname"]) for row in site.by_hand(rights.RELATIONS)]
    return [*(("type", one) for one in types), *(("view", one) for one in (*relations, *rights.OTHER_RELATIONS))]


def shadow(conn: psycopg.Connection[psycopg.rows.TupleRow], kind: str, name: str) -> None:
    """Make the object where the server lets the role."""
    try:
        (rights.shadow_type if kind == "type" else rights.shadow_relation)(conn, name)
    except psycopg.Error:
        assert kind == "view" or name in ("char", "gtsvector", "int2vector", "oidvector"), name


@whole
@pytest.mark.parametrize("call", CALLS)
def test_no_function_operator_or_cast_of_a_role_that_may_create_in_public_runs_as_the_owner(
    attacked: Site, tally: list[Row], call: str
):
    functions = rights.called_functions(attacked, rights.configured(ALL))
    attacked.by_hand(f"grant create on schema public to {MONITOR}", f"grant create on database postgres to {MONITOR}")
    with hostile(attacked) as attack:
        made = rights.overload(attack.conn, functions)
        run(attack.conn, call)
    # The reset of the database, with its own search_path, would run them.
    attacked.by_hand(f"drop owned by {MONITOR} cascade")
    tally.append(Row("rights", f"functions, operators, casts in public: {call}", made, made * (not attack.caught)))

    assert not attack.caught


@whole
@pytest.mark.parametrize("call", CALLS)
def test_no_setting_of_a_session_shows_a_key_or_fails_an_insert(attacked: Site, tally: list[Row], call: str):
    # Row security would refuse the insert itself in a session that switches it off.
    attacked.by_hand("alter table public.sync_queue disable row level security")
    ours_alone = ("role", "session_authorization", "default_transaction_read_only", "transaction_read_only")
    settings = attacked.by_hand(
        "select name, setting, enumvals from pg_settings where context = 'user' and vartype in ('bool', 'enum') "
        f"and name <> all (array[{', '.join(map(repr, ours_alone))}])"
    )
    changes = [
        (str(row["name"]), value)
        for row in settings
        for value in (row["enumvals"] or (["off"] if row["setting"] == "on" else ["on"]))
        if value != row["setting"]
    ]
    found = []
    for name, value in changes:
        with hostile(attacked) as attack:
            attack.conn.execute(f"set \"{name}\" = '{value}'")
            said = run(attack.conn, call)
            if "LEAKME" in repr(said) or (call == "wake" and isinstance(said, str)):
                found.append((name, value, said))
    tally.append(Row("rights", f"settings of a session: {call}", len(changes), len(changes) - len(found)))

    assert found == []


SALTS = (
    "'; drop schema bubble_sync cascade; --",
    "0123456789abcdef' || current_user || '",
    "$observe$ 0123456789abcdef", "$function$; drop table bubble_sync.ledger; --", "%s %I %L 0123456789", "\\'" * 16,
    "0123456789abcdef\n\r\t\x07\x1b[31m", "ž" * 1_000_000, "0" * 10_000_000,
)  # fmt: skip


@whole
def test_no_argument_is_anything_but_a_salt(attacked: Site, tally: list[Row]):
    before = attacked.by_hand("select count(*) from bubble_sync.ledger")
    with hostile(attacked) as attack:
        for salt in SALTS:
            row = attack.conn.execute("select bubble_sync.observe(%s)", [salt]).fetchone()
            assert row
            assert {one["name"] for one in row[0]["digests"]} >= {"supabase_url", "service_role_key"}
            assert LEAK not in json.dumps(row[0])
    tally.append(Row("rights", "arguments with quotes, and overlong ones", len(SALTS), len(SALTS)))

    assert attacked.by_hand("select count(*) from bubble_sync.ledger") == before


#: What a role does that may use the private schema, or is the monitor role -> no more than a refusal.
DENIED = (
    "set role postgres", "set session authorization postgres", "select bubble_sync.wake_send()",
    "select bubble_sync.settle()", "select bubble_sync.alert()", "select bubble_sync.delete_old_runs()",
    "select bubble_sync.post_alert('{}', 'b')",
    "select bubble_sync.send('a', 'b', '{}', 1, 'c', 'd')",
    "select nextval('bubble_sync.wake_errors')", "select setval('bubble_sync.wake_closed_until', 9999999999999)",
    "select * from bubble_sync.ledger", "update bubble_sync.ledger set stack = 'mine'",
    "create or replace function bubble_sync.observe(text) returns jsonb language sql as 'select null::jsonb'",
    "create function bubble_sync.observe(varchar) returns jsonb language sql as 'select null::jsonb'",
    "create or replace function public.invoke_bubble_sync_processor() returns void language sql as ''",
    "alter function bubble_sync.observe(text) set search_path = ''",
    "alter function bubble_sync.wake() owner to current_user",
    "alter function public.invoke_bubble_sync_retry() rename to mine", "alter table bubble_sync.ledger rename to mine",
    "alter schema bubble_sync rename to mine", "alter table public.sync_queue rename to mine",
    "alter table public.sync_queue disable trigger all", "drop trigger bubble_sync_wake on public.sync_queue",
    "create trigger mine after insert on public.sync_queue for each statement execute function bubble_sync.wake()",
    "create trigger mine after insert on bubble_sync.dispatches for each row execute function public.evil()",
    "create policy mine on bubble_sync.ledger using (true)",
    "create rule mine as on insert to public.sync_queue do nothing",
    "create event trigger mine on ddl_command_start execute function public.evil()",
    "alter default privileges for role postgres grant all on tables to public",
    "create cast (text as jsonb) with inout as implicit",
    "create operator pg_catalog.|| (function = pg_catalog.texteq, leftarg = text, rightarg = text)",
    "comment on function bubble_sync.observe(text) is 'mine'", "drop schema bubble_sync cascade",
    "select cron.alter_job(jobid, command => 'select 1') from cron.job", "update cron.job set command = 'select 1'",
    "select vault.create_secret('a', 'b')", "select * from vault.decrypted_secrets",
)  # fmt: skip


def test_each_way_to_what_is_the_owners_is_refused(attacked: Site, tally: list[Row]):
    attacked.by_hand(
        f"grant create on schema public to {MONITOR}",
        "create function public.evil() returns trigger language plpgsql as $$ begin return new; end $$",
    )
    passed = []
    with hostile(attacked) as attack:
        conn = attack.conn
        for statement in DENIED:
            conn.execute("begin")
            try:
                conn.execute(statement)
                # Row security may leave nothing to do.
                if not statement.startswith("select cron.alter_job"):
                    passed.append(statement)
            except psycopg.errors.InsufficientPrivilege:
                pass
            except psycopg.Error as other:
                passed.append(f"{statement}: {other}")
            conn.execute("rollback")
    tally.append(Row("rights", "statements of the monitor role", len(DENIED), len(DENIED) - len(passed)))

    assert passed == []


#: Schemas that a role with CREATE on the database can make before us, with what we read in them.
FORGED = {
    "bubble_sync": ("ledger", "dispatches", "alerts"),
    "cron": ("job", "job_run_details"),
    "net": ("http_request_queue", "_http_response"),
    "vault": ("secrets", "decrypted_secrets"),
}


@pytest.mark.parametrize("schema", [pytest.param(one, marks=() if one == "bubble_sync" else whole) for one in FORGED])
def test_a_view_of_another_role_where_ours_would_be_does_not_run_as_us(
    site: Site, platform: Platform, tally: list[Row], schema: str
):
    site.by_hand("create role forger login", "grant create on database postgres to forger")
    columns = {
        "ledger": "'a'::text as object, 'test'::text as stack, 'made'::text as origin, ''::text as project_ref",
        "job": "1::bigint as jobid, 'bubble-sync-processor'::name as jobname, '* * * * *'::text as schedule, "
        "'select 1'::text as command, 'postgres'::text as database, true as active, 'postgres'::text as username, "
        "'localhost'::text as nodename, 5432 as nodeport",
        "secrets": "gen_random_uuid() as id, 'supabase_url'::text as name, ''::text as description, "
        "now() as updated_at",
        "decrypted_secrets": "'supabase_url'::text as name, 'a'::text as decrypted_secret",
    }
    with session(site, "forger") as forger:
        forger.execute(f"create schema {schema}")
        forger.execute(
            f"create function {schema}.spy() returns boolean language plpgsql as "
            "$$ begin raise log 'forged object ran as %', current_user; return true; end $$"
        )
        forger.execute(f"grant usage on schema {schema} to public")
        for relation in FORGED[schema]:
            forger.execute(
                f"create view {schema}.{relation} as select {columns.get(relation, '1 as id')} where {schema}.spy()"
            )
            forger.execute(f"grant all on {schema}.{relation} to public")
    (log,) = [ServerLog(part.log) for part in platform.status().parts if part.name == "postgres"]

    for spec in desired_state(rights.configured(ALL), Owner(STACK)):
        for step in (site.observe, site.converge):
            if step == site.observe or not isinstance(spec, PrerequisitesSpec):
                try:
                    step(spec)
                except SyncError:
                    continue
    ran = "forged object ran as postgres" in log.appended
    tally.append(
        Row("rights", "schemas and views made before us", len(FORGED[schema]), len(FORGED[schema]) * (not ran))
    )

    assert not ran
