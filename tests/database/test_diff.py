"""What `diff` reads from a database: everything in one answer, as the role that it connects as may see it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator

import pytest

from bubble_sync.compare.diff import State, diff, find
from bubble_sync.compare.sql_script import forward
from bubble_sync.config.database_url import read_database_url
from bubble_sync.config.settings import read_settings
from bubble_sync.converge.references import pattern_of
from bubble_sync.database.database import Database
from bubble_sync.database.snapshot import Snapshot, read_snapshot
from bubble_sync.errors import PrivilegeMissing, SyncError
from bubble_sync.model.setup import desired_state
from bubble_sync.specs import CronJobSpec, FunctionSpec, Owner, Spec, VaultSecretSpec
from bubble_sync.sql_loader import SQL_DIRECTORY, every_part, reading_block
from tests.fixtures.adoption import WANTED, converge_all, look, monitor_of, play, states
from tests.fixtures.counting_proxy import counting_proxy
from tests.fixtures.server_log import ServerLog
from tests.fixtures.site import Site
from tests.fixtures.specs import REF, STACK, config


def with_one(kind: type[Spec], **changes: object) -> list[Spec]:
    """The wanted list with the first object of a kind changed."""
    first = next(spec for spec in WANTED if isinstance(spec, kind))
    return [spec.model_copy(update=changes) if spec is first else spec for spec in WANTED]


def test_a_whole_stack_is_read_in_one_round_trip(site: Site):
    converge_all(site)
    with counting_proxy(site.addresses.database_port) as proxy:
        database = Database(read_database_url(proxy.url(site.addresses.database_url)))
        database.read("connecting", lambda _: None)
        _, before = proxy.counts()
        find(database, WANTED)
        _, after = proxy.counts()
        database.close()

    assert after - before == 3, "begin, read, roll back"


def test_reading_writes_nothing_and_needs_no_writable_server(site: Site):
    converge_all(site)
    site.by_hand("alter role postgres set default_transaction_read_only = on")
    site.end_sessions()

    comparison, _ = look(site)

    others = {name: state for name, state in states(comparison).items() if state != "equal"}
    assert others == {"prerequisites": "missing prerequisite"}


def test_a_change_of_the_settings_is_an_update_and_the_script_makes_it(site: Site):
    converge_all(site)
    wanted = with_one(CronJobSpec, schedule="0 * * * *", active=False)

    comparison, _ = look(site, wanted)
    (item,) = [item for item in comparison.items if item.state is not State.EQUAL]
    site.by_hand("set role postgres;" + forward(comparison))

    assert [(change.field, change.actual, change.wanted) for change in item.changes] == [
        ("schedule", "* * * * *", "0 * * * *"),
        ("active", True, False),
    ]
    assert look(site, wanted)[0].clean


@pytest.mark.parametrize(
    ("by_hand", "changed"),
    [
        ("update cron.job set database = 'template1' where jobname = 'bubble-sync-retry'", "job bubble-sync-retry"),
        ("grant usage on schema bubble_sync to anon", "ledger"),
        ("grant select on bubble_sync.ledger to public", "ledger"),
        ("update bubble_sync.ledger set project_ref = null where object = 'extension pg_net'", "extension pg_net"),
        ("select cron.unschedule(jobid) from cron.job where jobname = 'bubble-sync-retry'", "job bubble-sync-retry"),
        ("select vault.update_secret(id, new_description => 'mine') from vault.secrets where name = 'supabase_url'",
         "secret supabase_url"),
        ("alter function bubble_sync.send stable", "function bubble_sync.send"),
    ],
)  # fmt: skip
def test_a_change_by_hand_is_one_object_and_the_script_repairs_it(site: Site, by_hand: str, changed: str):
    converge_all(site)
    site.by_hand(f"set role postgres; {by_hand}" if "cron.job set" not in by_hand else by_hand)

    comparison, _ = look(site)
    site.by_hand("set role postgres;" + forward(comparison))

    assert [item.spec.object_name for item in comparison.items if item.state is not State.EQUAL] == [changed]
    assert look(site)[0].clean


def test_a_script_with_its_placeholders_left_stores_none_of_them(site: Site):
    play(site, "as_executed", "undecryptable")

    site.by_hand("set role postgres;" + forward(look(site)[0]))

    comparison, _ = look(site)
    kept = {item.spec.object_name: [change.secret for change in item.changes] for item in comparison.items}
    assert kept["secret supabase_url"] == ["unreadable"]
    assert kept["secret service_role_key"] == ["unreadable", ""]


def test_other_generations_users_of_the_key_and_executors_are_told_of(site: Site):
    play(site, "as_executed", "executable", "generations")

    comparison, _ = look(site)

    told = {one.what: one.sql for one in comparison.unmanaged}
    assert told == {
        "job process-bubble-sync-queue (jobid 5)": "select cron.unschedule(5);",
        "job sync-by-settings (jobid 6)": "select cron.unschedule(6);",
        "trigger sync_at_once on public.sync_queue": "drop trigger sync_at_once on public.sync_queue;",
        "function public.on_queued()": "drop function public.on_queued();",
        "function public.trigger_bubble_sync_queue()": "",
        "EXECUTE on public.invoke_bubble_sync_processor for anon, authenticated, service_role":
            "grant execute on function public.invoke_bubble_sync_processor() to anon, authenticated, service_role;",
        "EXECUTE on public.invoke_bubble_sync_retry for anon, authenticated, public, service_role":
            "grant execute on function public.invoke_bubble_sync_retry() to anon, authenticated, public, service_role;",
    }  # fmt: skip
    removed = [one.sql for one in comparison.unmanaged if one.sql and "grant" not in one.sql]
    site.by_hand("set role postgres", *removed)
    assert [one.what for one in look(site)[0].unmanaged if not one.what.startswith("EXECUTE")] == []


def test_nothing_stands_beside_a_stack_of_our_own(site: Site):
    converge_all(site)
    site.by_hand(
        "set role postgres; select cron.schedule('report', '0 0 * * *', 'select count(*) from public.sync_queue')"
    )

    assert look(site)[0].unmanaged == ()


def test_a_job_under_another_name_that_runs_our_function_is_told_of(site: Site):
    converge_all(site)
    site.by_hand(
        "set role postgres; select cron.schedule('mine', '0 0 * * *', 'SELECT public.Invoke_Bubble_Sync_Retry();')"
    )

    assert [one.what for one in look(site)[0].unmanaged] == ["job mine (jobid 3)"]


def test_a_job_without_a_name_is_told_of_by_its_number(site: Site):
    converge_all(site)
    site.by_hand("set role postgres; select cron.schedule('0 0 * * *', 'select public.invoke_bubble_sync_retry()')")

    assert [one.what for one in look(site)[0].unmanaged] == ["job (jobid 3)"]


def test_a_secret_is_compared_and_never_shown(site: Site, server_log: ServerLog):
    converge_all(site)
    wanted = with_one(VaultSecretSpec, value="https://elsewhere.example.com")

    comparison, snapshot = look(site, wanted)

    (item,) = [item for item in comparison.items if item.state is not State.EQUAL]
    assert [(change.field, change.secret) for change in item.changes] == [("value", "differs")]
    for spec in (*WANTED, *wanted):
        if isinstance(spec, VaultSecretSpec):
            assert spec.value not in repr(snapshot)
            assert spec.value not in server_log.appended


def test_a_right_that_is_lacking_is_said_and_nothing_is_taken_for_gone(site: Site):
    converge_all(site)
    for grants in ((), ("grant usage on schema cron to poor",)):
        site.by_hand("drop role if exists poor") if not grants else site.by_hand("drop owned by poor; drop role poor")
        poor = site.as_role("poor", *grants)
        with pytest.raises(PrivilegeMissing, match="comparing the stack with the database: permission denied"):
            look(poor)
        poor.db.close()


def test_a_reader_who_sees_only_his_own_jobs_is_told_whose_they_are(site: Site):
    converge_all(site)
    grants = ("grant usage on schema cron, bubble_sync, vault to poor", "grant select on bubble_sync.ledger to poor",
              "grant select on vault.secrets, vault.decrypted_secrets to poor",
              "grant execute on all functions in schema vault to poor")  # fmt: skip
    poor = site.as_role("poor", *grants)
    comparison, _ = look(poor)
    poor.db.close()

    jobs = [item for item in comparison.items if isinstance(item.spec, CronJobSpec)]
    assert {item.state for item in jobs} == {State.FOREIGN}
    assert "poor sees no other role's jobs: nothing was changed. Connect as postgres" in jobs[0].reason
    functions = [item for item in comparison.items if isinstance(item.spec, FunctionSpec)]
    assert {item.state for item in functions} == {State.FOREIGN}


MONITOR = "bubble_monitor"
WATCHED = desired_state(
    read_settings(config(access=json.dumps({"monitorRole": MONITOR}), monitorPassword="m" * 16)), Owner(STACK, REF)
)


def ask(site: Site) -> Snapshot:
    """Read by the one statement that the monitor role may send."""
    salt = secrets.token_hex(16)
    rows = site.db.read(
        "asking bubble_sync.observe",
        lambda conn: conn.execute("select bubble_sync.observe(%s) as answer", [salt]).fetchall(),
    )
    return Snapshot(rows[0]["answer"], salt)


class TestTheMonitorRole:
    """It has no right but to call a function, and is told by it what the owner reads."""

    @pytest.fixture
    def monitor(self, site: Site) -> Iterator[Site]:
        with monitor_of(site, WATCHED, MONITOR) as role:
            yield role

    @pytest.mark.parametrize("by_hand", [
        ("select 1",), ("drop extension pg_cron cascade",), ("drop table bubble_sync.ledger",),
        ("drop extension supabase_vault cascade",), ("alter table public.sync_queue drop column next_retry_at",),
        ("update cron.job set active = false", "grant select on bubble_sync.ledger to anon",
         "create function public.mine() returns void language sql as 'select public.invoke_bubble_sync_retry()'",
         "select vault.update_secret(id, 'https://other.example.com') from vault.secrets where name = 'supabase_url'",
         "update vault.secrets set secret = encode('not of this key, and long', 'base64') where name ~ 'key'",
         "insert into cron.job (jobname, schedule, command, username, nodeport) "
         "values ('bubble-sync-retry', '* * * * *', '', 'anon', 5432)",
         "alter function bubble_sync.send volatile strict", f"grant create on schema bubble_sync to {MONITOR}",
         f"grant execute on function bubble_sync.observe to anon, {MONITOR} with grant option"),
    ])  # fmt: skip
    def test_is_told_what_the_owner_reads_and_compares_alike(self, site: Site, monitor: Site, by_hand: tuple[str, ...]):
        site.by_hand(*by_hand)
        comparison, _ = look(site, WATCHED)
        pattern = pattern_of("service_role_key")
        snapshot = site.db.read("reading", lambda conn: read_snapshot(conn, every_part(), WATCHED, pattern))
        told = ask(monitor)

        assert {**told.parts, "digests": []} == {**snapshot.parts, "digests": []}
        assert diff(STACK, WATCHED, told) == comparison
        assert comparison.clean == (by_hand == ("select 1",))

    @pytest.mark.parametrize("by_hand", [
        "drop function bubble_sync.observe", "drop schema bubble_sync cascade",
        f"revoke usage on schema bubble_sync from {MONITOR}",
        f"revoke execute on function bubble_sync.observe from {MONITOR}",
    ])  # fmt: skip
    def test_what_does_not_answer_is_an_error_and_never_an_answer_without_rows(
        self, site: Site, monitor: Site, by_hand: str
    ):
        site.by_hand(by_hand)

        with pytest.raises(SyncError, match=r"asking bubble_sync\.observe"):
            ask(monitor)

    def test_its_rights_are_no_change_and_nothing_that_stands_beside(self, site: Site, monitor: Site):
        comparison, _ = look(site, WATCHED)

        assert (comparison.clean, comparison.unmanaged) == (True, ())
        assert "more than usage" not in repr(comparison)

    def test_the_script_makes_the_same_as_up(self, site: Site):
        play(site, "empty")
        converge_all(site)
        site.by_hand(f"create role {MONITOR}", "set role postgres;" + forward(look(site, WATCHED)[0]),
                     f"grant create on schema bubble_sync to {MONITOR}")  # fmt: skip
        assert states(look(site, WATCHED)[0])["ledger"] == "update"

        site.by_hand("set role postgres;" + forward(look(site, WATCHED)[0]))

        assert look(site, WATCHED)[0].clean


def test_every_part_of_the_block_can_be_composed():
    parts = {path.stem for path in (SQL_DIRECTORY / "queries").glob("*.sql")}
    assert "observe" in parts
    with pytest.raises(ValueError, match="no part"):
        reading_block(("nowhere",), "return answer")
    # Without a part there is the look at the owners alone.
    assert reading_block((), "return answer").endswith("    end if;\n    return answer;\nend")
