"""The monitor role: what it is told by `bubble_sync.observe`, and that it can do nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from bubble_sync.config.database_url import read_database_url
from bubble_sync.database.database import Database
from bubble_sync.database.scram import salt_of, verifier
from bubble_sync.errors import PrivilegeMissing, ServerRefused
from bubble_sync.specs import FunctionSpec, compare
from tests.fixtures.server_log import ServerLog
from tests.fixtures.site import EXTENSIONS, Site, stack_functions
from tests.fixtures.specs import STACK, functions_in, job_spec, ledger_spec, secret_spec

MONITOR, PASSWORD = "bubble_monitor", "a-monitor's-password-as-typed"
SALT = "0123456789abcdef"
CALL = "select bubble_sync.observe(%s) as observation"
SIGNATURE = "bubble_sync.observe(text)"
MAY_USE, MAY_CALL = (
    f"grant usage on schema bubble_sync to {MONITOR}",
    f"grant execute on function {SIGNATURE} to {MONITOR}",
)
RIGHTS = """
    select nspacl::text as schema, relacl::text as ledger
    from pg_namespace as n join pg_class as c on c.relnamespace = n.oid where c.oid = 'bubble_sync.ledger'::regclass
"""
UNREADABLE = "update vault.secrets set secret = encode('not of this key, and long enough', 'base64') where name = '{}'"


def observe() -> FunctionSpec:
    return functions_in("access", monitor_role=MONITOR)[0]


@pytest.fixture
def converged(prepared: Site) -> Site:
    """A stack with every kind of object, and the function of the monitor role."""
    prepared.converge(secret_spec())
    prepared.converge(secret_spec(name="service_role_key", value="hunter2"))
    for spec in (*stack_functions(), observe()):
        prepared.converge(spec)
    prepared.converge(job_spec())
    return prepared


@pytest.fixture
def monitor(converged: Site) -> Iterator[Site]:
    """The monitor role's connection, with its two grants."""
    role = converged.as_role(MONITOR, MAY_USE, MAY_CALL)
    yield role
    role.db.close()


def ask(site: Site, salt: str | None = SALT) -> dict[str, Any]:
    """Observe, by the one statement that the role may send."""
    rows = site.db.read("observing", lambda conn: conn.execute(CALL, [salt]).fetchall())
    found: dict[str, Any] = rows[0]["observation"]
    return found


def by_name(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in rows}


class TestWhatIsObserved:
    """Every kind of object, as the owner would read it."""

    def test_functions_with_everything_that_a_hand_can_change(self, monitor: Site):
        found = by_name(ask(monitor)["functions"])

        assert set(found) == {spec.name for spec in (*stack_functions(), observe())}
        for spec in (*stack_functions(), observe()):
            row = found[spec.name]
            assert {field: row[field] for field in ("body", "security", "volatility", "comment", "returns")} == {
                field: getattr(spec, field) for field in ("body", "security", "volatility", "comment", "returns")
            }
            assert (tuple(row["executors"]), tuple(row["config"]), row["mine"]) == (spec.executors, spec.config, True)

    def test_jobs_of_every_role_as_the_owner_sees_them(self, monitor: Site):
        monitor.by_hand(
            "insert into cron.job (jobname, schedule, command, username, nodeport) "
            "values ('bubble-sync-processor', '0 0 * * *', 'select 2', 'authenticator', 5432)"
        )

        assert [(job["name"], job["schedule"], job["username"], job["mine"]) for job in ask(monitor)["jobs"]] == [
            ("bubble-sync-processor", "* * * * *", "postgres", True),
            ("bubble-sync-processor", "0 0 * * *", "authenticator", False),
        ]

    def test_extensions_ledger_and_prerequisites(self, monitor: Site):
        found = ask(monitor)

        assert {row["name"]: row["schema"] for row in found["extensions"]} == {
            "pg_cron": "pg_catalog", "pg_net": "extensions", "supabase_vault": "vault",
        }  # fmt: skip
        assert found["ledger"] == [{"present": True, "grantees": [MONITOR], "users": [MONITOR]}]
        (job,) = [row for row in found["recorded"] if row["object"] == "job bubble-sync-processor"]
        assert (job["stack"], job["project_ref"], job["origin"]) == (STACK, "", "made")
        assert (found["queue"][0]["missing"], found["server"][0]["missing"]) == ([], [])
        (version,) = (row["version"] for row in found["extensions"] if row["name"] == "pg_cron")
        assert found["reader"] == [{"role": "postgres", "keeper": "postgres", "own_alone": False, "pg_cron": version}]

    def test_a_missing_prerequisite(self, monitor: Site):
        monitor.by_hand("alter table public.sync_queue drop column next_retry_at")

        assert ask(monitor)["queue"][0]["missing"] == ["column public.sync_queue.next_retry_at"]

    def test_secrets_as_digests_over_the_callers_salt_and_never_a_value(self, monitor: Site):
        found = ask(monitor)

        assert {row["name"]: row["digest"] for row in found["digests"]} == {
            name: hashlib.sha256((SALT + value).encode()).hexdigest()
            for name, value in (("supabase_url", "https://example.com"), ("service_role_key", "hunter2"))
        }
        assert by_name(found["secrets"])["supabase_url"]["description"] == "where"
        assert "hunter2" not in repr(found)
        assert ask(monitor, SALT[::-1])["digests"] != found["digests"]

    @pytest.mark.parametrize("secret", ["supabase_url", "service_role_key"])
    def test_a_secret_that_cannot_be_decrypted_has_no_digest_and_hides_no_other(self, monitor: Site, secret: str):
        monitor.by_hand(UNREADABLE.format(secret))

        found = ask(monitor)

        assert {"supabase_url", "service_role_key"} - set(by_name(found["digests"])) == {secret}
        assert set(by_name(found["secrets"])) == {"supabase_url", "service_role_key"}

    def test_a_secret_that_is_gone_is_not_there(self, monitor: Site):
        monitor.by_hand("delete from vault.secrets where name = 'supabase_url'")

        found = ask(monitor)

        assert [row["name"] for row in found["secrets"]] == ["service_role_key"]
        assert [row["name"] for row in found["digests"]] == ["service_role_key"]

    @pytest.mark.parametrize(
        ("extension", "parts"),
        [("pg_cron", {"jobs", "reader", "runs", "using_jobs"}), ("supabase_vault", {"secrets"})],
    )
    def test_what_an_extension_took_along_is_missing_and_not_empty(
        self, monitor: Site, extension: str, parts: set[str]
    ):
        whole = set(ask(monitor))
        monitor.by_hand(f"drop extension {extension} cascade")

        found = ask(monitor)

        assert whole - set(found) == parts
        assert set(by_name(found["extensions"])) == {*EXTENSIONS} - {extension}

    def test_a_right_that_the_owner_has_lost_is_an_error_and_not_an_empty_part(self, monitor: Site):
        monitor.by_hand("revoke usage on schema cron from postgres", "revoke pg_read_all_data from postgres")

        with pytest.raises(PrivilegeMissing, match="permission denied for schema cron"):
            ask(monitor)

    def test_as_a_role_that_only_reads_which_says_nothing_of_the_owner(self, monitor: Site):
        monitor.by_hand(f"alter role {MONITOR} set default_transaction_read_only = on")

        assert ask(monitor)["server"][0]["missing"] == []

    def test_on_a_server_that_only_reads(self, monitor: Site):
        monitor.by_hand("alter database postgres set default_transaction_read_only = on")
        try:
            assert ask(monitor)["server"][0]["missing"] == ["a writable server (this one is read-only)"]
        finally:
            monitor.by_hand(
                "set default_transaction_read_only = off",
                "alter database postgres reset default_transaction_read_only",
            )

    @pytest.mark.parametrize("salt", [None, "", "too short"])
    def test_a_salt_that_salts_nothing_is_refused(self, monitor: Site, salt: str | None):
        with pytest.raises(ServerRefused, match="P0001"):
            ask(monitor, salt)


class TestTheRole:
    """Two grants, each of them needed, and nothing besides."""

    @pytest.mark.parametrize(
        ("revoke", "named"),
        [
            (f"revoke usage on schema bubble_sync from {MONITOR}", "permission denied for schema bubble_sync"),
            (f"revoke execute on function {SIGNATURE} from {MONITOR}", "permission denied for function observe"),
        ],
    )
    def test_a_grant_that_was_taken_is_named(self, monitor: Site, revoke: str, named: str):
        ask(monitor)
        monitor.by_hand(revoke)

        with pytest.raises(PrivilegeMissing, match=f"observing: {named}"):
            ask(monitor)

    @pytest.mark.parametrize("statement", [
        "select * from bubble_sync.ledger", "select * from vault.secrets", "select * from vault.decrypted_secrets",
        "select * from public.sync_queue", "create table bubble_sync.mine ()", "create table public.mine ()",
        "select bubble_sync.send('', '', '{}', 1, '', '')", "select public.invoke_bubble_sync_retry()",
        "select cron.schedule('x', '* * * * *', 'select 1')", "set role postgres",
        "alter function bubble_sync.observe(text) security invoker",
    ])  # fmt: skip
    def test_nothing_else_is_allowed(self, monitor: Site, statement: str):
        with pytest.raises(PrivilegeMissing), monitor.db.transaction("trying") as conn:
            conn.execute(statement)

    @pytest.mark.parametrize("type_", ["jsonb", "text", "record", "boolean", "regclass", "oid"])
    def test_its_own_types_do_not_run_as_the_owner(self, monitor: Site, type_: str):
        """A temporary domain shadows a type that a definer function names without a schema, and its CHECK runs."""
        with monitor.db.transaction("trying") as conn:
            conn.execute("create temporary table loot (who text)")
            conn.execute(
                "create function pg_temp.evil() returns boolean language plpgsql as "
                "$$ begin insert into pg_temp.loot values (current_user); return true; end $$"
            )
            conn.execute("grant insert on pg_temp.loot to public; grant execute on function pg_temp.evil() to public")
            conn.execute(f"create domain pg_temp.{type_} as pg_catalog.text check (pg_temp.evil())")
            try:
                with conn.transaction():
                    conn.execute(CALL, (SALT,))
            finally:
                # As the owner of our function; what the vault emulator's own functions do is the platform's matter.
                assert conn.execute("select who from pg_temp.loot where who = 'postgres'").fetchall() == []

    def test_what_looks_like_a_key_is_masked(self, monitor: Site):
        leak = "sb_secret_LEAKME_0123456789"
        monitor.by_hand(
            f"update cron.job set command = 'select 1 -- Bearer {leak}'",
            f"update vault.secrets set description = '{leak}' where name = 'supabase_url'",
        )

        found = ask(monitor)

        assert "LEAKME" not in repr(found)
        assert by_name(found["secrets"])["supabase_url"]["description"] == "[secret]"

    def test_a_constraint_of_somebody_elses_table_does_not_run_as_the_owner(self, monitor: Site):
        monitor.by_hand(
            "create role lowly",
            "create table public.loot (who text)",
            "grant insert on public.loot to public",
            "create function public.evil(text) returns boolean language plpgsql as "
            "$$ begin insert into public.loot values (current_user); return true; end $$",
            "alter table public.sync_queue add constraint evil check (public.evil(status)) not valid",
            "alter table public.sync_queue owner to lowly",
            "grant select on public.sync_queue to postgres",
        )

        ask(monitor)

        assert monitor.by_hand("select who from public.loot") == []

    def test_a_function_of_the_queue_does_not_run_with_the_callers_types(self, monitor: Site):
        """A session keeps a function as first called: here with a type whose CHECK would run as the owner."""
        monitor.by_hand(
            "create function public.known(word text) returns boolean language plpgsql as "
            "$$ declare seen text := word; begin return seen <> ''; end $$",
            "alter function public.known(text) owner to postgres",
            "alter table public.sync_queue add constraint known check (public.known(status))",
        )
        with monitor.db.transaction("trying") as conn:
            conn.execute("create temporary table loot (who pg_catalog.text)")
            conn.execute(
                "create function pg_temp.evil() returns boolean language plpgsql as "
                "$$ begin insert into pg_temp.loot values (current_user); return true; end $$"
            )
            conn.execute("grant insert on pg_temp.loot to public; grant execute on function pg_temp.evil() to public")
            conn.execute("create domain pg_temp.text as pg_catalog.text check (pg_temp.evil())")
            conn.execute("select public.known('pending')")

            conn.execute(CALL, (SALT,))

            assert conn.execute("select distinct who from pg_temp.loot").fetchall() == [{"who": MONITOR}]

    @pytest.mark.parametrize("setting", ["standard_conforming_strings", "row_security"])
    def test_a_statement_in_a_constraint_of_another_roles_table_does_not_run_as_the_owner(
        self, monitor: Site, setting: str
    ):
        """The server's own functions are in no dependency, and some of them run a statement."""
        monitor.by_hand(
            "create role lowly",
            "create table public.loot (who text)",
            "grant insert on public.loot to public",
            "create function public.evil() returns boolean language plpgsql as "
            "$$ begin insert into public.loot values (current_user); return true; end $$",
            "alter table public.sync_queue add constraint evil check (status <> '' and "
            "pg_catalog.query_to_xml('select public.evil()', true, true, '') is not null) not valid",
            "alter table public.sync_queue owner to lowly",
            "grant select on public.sync_queue to postgres",
        )
        with monitor.db.transaction("trying") as conn:
            conn.execute(f"set local {setting} = off")
            conn.execute(CALL, (SALT,))

        assert monitor.by_hand("select who from public.loot") == []

    def test_a_setting_of_its_session_unmasks_nothing(self, monitor: Site):
        monitor.by_hand("update cron.job set command = 'select 1 -- Bearer sb_secret_LEAKME_0123456789'")
        with monitor.db.transaction("trying") as conn:
            for setting in ("standard_conforming_strings = off", "quote_all_identifiers = on", "array_nulls = off"):
                conn.execute(f"set local {setting}")

            assert "LEAKME" not in repr(conn.execute(CALL, (SALT,)).fetchall())

    def test_it_logs_in_by_a_verifier_that_we_made(self, converged: Site, server_log: ServerLog):
        made = verifier(PASSWORD, salt_of("https://a.supabase.co", MONITOR))
        converged.by_hand(f"create role {MONITOR} login password '{made}'", MAY_USE, MAY_CALL)
        port = converged.addresses.database_port
        url = f"postgresql://{MONITOR}:{PASSWORD}@127.0.0.1:{port}/postgres"

        db = Database(read_database_url(url))
        assert ask(Site(converged.addresses, db))["reader"][0]["role"] == "postgres"
        db.close()

        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(url.replace("typed", "guessed"))
        assert PASSWORD not in server_log.appended
        assert converged.by_hand(f"select rolpassword as v from pg_authid where rolname = '{MONITOR}'") == [{"v": made}]


class TestWhatIsWanted:
    """The two grants are no drift and are not taken back; whatever is beyond them is."""

    @pytest.fixture
    def granted(self, converged: Site, monitor: Site) -> Site:
        return converged

    def test_with_or_without_the_grants_nothing_of_ours_has_drifted(self, granted: Site):
        wanted = ledger_spec(grantees=[MONITOR])
        for _ in range(2):
            assert compare(wanted, granted.observe(wanted)) == ()
            assert compare(observe(), granted.observe(observe())) == ()
            granted.by_hand(f"revoke all on schema bubble_sync from {MONITOR}",
                            f"revoke all on function {SIGNATURE} from {MONITOR}")  # fmt: skip

    def test_another_role_is_found_and_loses_what_it_had_while_the_monitor_keeps_its_own(self, granted: Site):
        wanted = ledger_spec(grantees=[MONITOR])
        granted.by_hand("grant usage on schema bubble_sync to anon", f"grant execute on function {SIGNATURE} to anon")
        found = [granted.observe(wanted), granted.observe(observe())]
        assert [one.actual.grantees for one in found[:1] if one] == [("anon", MONITOR)]
        assert [one.actual.executors for one in found[1:] if one] == [("anon", MONITOR)]

        granted.converge(wanted)
        granted.converge(observe())

        held = granted.observe(ledger_spec()), granted.observe(observe())
        assert held[0] is not None
        assert held[0].actual.grantees == (MONITOR,)
        assert granted.by_hand(f"select has_function_privilege('{MONITOR}', '{SIGNATURE}', 'execute') as monitor, "
                               f"has_function_privilege('anon', '{SIGNATURE}', 'execute') as anon") == [
            {"monitor": True, "anon": False}
        ]  # fmt: skip

    @pytest.mark.parametrize("beyond", [
        "grant select on bubble_sync.ledger to {}", "grant create on schema bubble_sync to {}",
        "grant usage on schema bubble_sync to {} with grant option",
    ])  # fmt: skip
    def test_more_than_it_needs_is_found_and_taken_back_to_what_it_needs(self, granted: Site, beyond: str):
        wanted = ledger_spec(grantees=[MONITOR])
        granted.by_hand(beyond.format(MONITOR))
        found = granted.observe(wanted)
        assert found is not None
        assert found.actual.grantees == (MONITOR, f"{MONITOR} (more than usage)")

        granted.converge(wanted)

        # 17 has one more privilege on tables: MAINTAIN.
        own = "arwdDxtm" if granted.by_hand("show server_version_num")[0]["server_version_num"] >= "17" else "arwdDxt"
        assert granted.by_hand(RIGHTS) == [
            {"schema": f"{{postgres=UC/postgres,{MONITOR}=U/postgres}}", "ledger": f"{{postgres={own}/postgres}}"}
        ]

    def test_without_access_its_grants_are_drift_like_any_others(self, granted: Site):
        granted.converge(ledger_spec())

        assert granted.by_hand(f"select has_schema_privilege('{MONITOR}', 'bubble_sync', 'usage') as v") == [
            {"v": False}
        ]

    def test_a_changed_body_leaves_the_monitors_grant_where_it_is(self, granted: Site):
        secrets = {"url": "another_url", "key": "service_role_key"}
        (changed,) = functions_in("access", monitor_role=MONITOR, secrets=secrets)

        granted.converge(changed)

        found = granted.observe(changed.model_copy(update={"executors": ()}))
        assert found is not None
        assert found.actual.executors == (MONITOR,)
