"""The reference SQL of sql/reference: items are claimed for a lease, and no other worker may finish them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any, LiteralString, Self
from uuid import uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from bubble_sync.actions.requeue import carry_out, release_plan
from bubble_sync.health.status import status
from bubble_sync.sql_loader import SQL_DIRECTORY
from tests.database.test_queue_shapes import ADOPTED, queue
from tests.fixtures.breaking import diagnose, set_up, working
from tests.fixtures.site import Site
from tests.fixtures.tools import missing

CLAIM = (SQL_DIRECTORY / "reference" / "claim.sql").read_bytes()
PAGE = (Path(__file__).parents[2] / "docs/guides/claim.md").read_text("utf-8")
FUNCTIONS = ("sync_queue_claim", "sync_queue_complete", "sync_queue_fail", "sync_queue_requeue_stalled")
ITEM = "status::text, retry_count, error_message, processed_at is not null as done, next_retry_at, claim_token"
NONE = "no message"
LEASE_OVER = "update public.sync_queue set claimed_until = now() where status = 'processing'"


class Worker:
    """A connection with the rights of an Edge Function."""

    def __init__(self, site: Site) -> None:
        self._conn = psycopg.connect(site.addresses.admin_url, autocommit=True, row_factory=dict_row)
        self._conn.execute("set role service_role")
        self._conn.execute("set lock_timeout = '10s'")

    def claim(self, status: str = "pending", most: int = 10, lease: int = 420) -> list[dict[str, Any]]:
        asked = (status, most, lease)
        return self._conn.execute("select * from public.sync_queue_claim(%s, %s, %s)", asked).fetchall()

    def complete(self, item: dict[str, Any]) -> bool:
        asked = (item["id"], item["claim_token"])
        return self._one("select public.sync_queue_complete(%s, %s) as answer", asked)

    def fail(self, item: dict[str, Any], message: str | None = "Bubble refused", first: int = 60) -> bool:
        asked = (item["id"], item["claim_token"], message, first)
        return self._one("select public.sync_queue_fail(%s, %s, %s, %s) as answer", asked)

    def requeue_stalled(self) -> int:
        return self._one("select public.sync_queue_requeue_stalled() as answer", ())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._conn.close()

    def _one(self, statement: str, values: tuple[object, ...]) -> Any:
        row = self._conn.execute(statement, values).fetchone()
        assert row is not None
        return row["answer"]


def install(site: Site, script: bytes = CLAIM) -> None:
    """Run the file as the owner of the queue, as a migration does."""
    with psycopg.connect(site.addresses.database_url, autocommit=True) as conn:
        conn.execute(script)


def add(site: Site, count: int = 1, **columns: object) -> None:
    """Insert items, each a second after the last one, and of another record."""
    given = {"operation": "INSERT", "table_name": "user", **columns}
    names, values = ", ".join(given), ", ".join(f"'{value}'" for value in given.values())
    site.by_hand(
        f"insert into public.sync_queue (record_id, created_at, {names})"
        f" select n::text, now() - interval '1 day' + n * interval '1 second', {values}"
        f" from generate_series(1, {count}) as n"
    )


def only_item(site: Site) -> dict[str, Any]:
    """Return the only item of the queue."""
    (row,) = site.by_hand(f"select {ITEM} from public.sync_queue")
    return dict(row)


def until_next(site: Site) -> timedelta:
    """Return the wait for the next attempt of the only item, as its failing transaction set the time."""
    (row,) = site.by_hand("select next_retry_at - xact.at as wait from public.sync_queue, public.failed_at as xact")
    return row["wait"]


def sequential_scans(site: Site, call: LiteralString) -> int:
    """Return how often a call reads the whole queue when the planner knows no argument."""
    site.by_hand("vacuum analyze public.sync_queue")
    counted = []
    with psycopg.connect(site.addresses.admin_url, autocommit=True) as conn:
        for statement in ("set plan_cache_mode = force_generic_plan", call):
            conn.execute(statement)
            conn.execute("select pg_stat_force_next_flush()")
            row = conn.execute("select pg_stat_get_numscans('public.sync_queue'::regclass)").fetchone()
            assert row is not None
            counted.append(row[0])
    return counted[1] - counted[0]


@pytest.fixture
def reference(site: Site) -> Site:
    """A project whose owner has installed the reference."""
    install(site)
    return site


@pytest.fixture
def worker(reference: Site) -> Iterator[Worker]:
    """An Edge Function's connection."""
    with Worker(reference) as connected:
        yield connected


class TestInstallation:
    def test_a_second_run_changes_nothing(self, reference: Site):
        catalog = (
            "select p.proname, p.oid, p.prosrc, p.proacl::text from pg_proc as p"
            " where p.proname like 'sync_queue_%' order by 1"
        )
        table = "select attname, attnum, atttypid from pg_attribute where attrelid = 'public.sync_queue'::regclass"
        before = reference.by_hand(catalog), reference.by_hand(table)
        install(reference)
        assert (reference.by_hand(catalog), reference.by_hand(table)) == before
        assert len(before[0]) == len(FUNCTIONS)

    def test_a_failure_at_its_end_leaves_nothing(self, site: Site):
        with pytest.raises(psycopg.errors.UndefinedObject):
            install(site, CLAIM.replace(b"from public, anon", b"from public, absent_role"))
        assert site.by_hand("select proname from pg_proc where proname like 'sync_queue_%'") == []
        assert site.by_hand("select attname from pg_attribute where attname = 'claim_token'") == []

    def test_it_gives_up_when_another_transaction_holds_the_queue(self, site: Site):
        with psycopg.connect(site.addresses.database_url) as holder:
            holder.execute("select from public.sync_queue limit 1")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                install(site, CLAIM.replace(b"lock_timeout = '5s'", b"lock_timeout = '10ms'"))

    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_only_the_owner_and_service_role_may_call_a_function(self, reference: Site, name: str):
        grantees = reference.by_hand(
            "select distinct coalesce(r.rolname, 'PUBLIC') as role from pg_proc as p, "
            "aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a "
            "left join pg_roles as r on r.oid = a.grantee "
            f"where p.proname = '{name}' order by 1"
        )
        assert [row["role"] for row in grantees] == ["postgres", "service_role"]

    @pytest.mark.parametrize("role", ["anon", "authenticated"])
    def test_a_role_of_the_browser_is_refused(self, reference: Site, role: str):
        add(reference)
        for call in ("sync_queue_claim()", "sync_queue_requeue_stalled()"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reference.by_hand(f"set role {role}", f"select public.{call}")
        assert only_item(reference)["status"] == "pending"

    @pytest.mark.parametrize("name", FUNCTIONS)
    def test_each_function_runs_with_its_callers_rights_and_a_fixed_search_path(self, reference: Site, name: str):
        (row,) = reference.by_hand(f"select prosecdef, proconfig from pg_proc where proname = '{name}'")
        assert row == {"prosecdef": False, "proconfig": ['search_path=""']}

    def test_the_doctor_finds_nothing_about_them(self, reference: Site):
        set_up(reference, working())
        add(reference, 3)
        about = [one for one in diagnose(reference).findings if "sync_queue_" in f"{one.object} {one.evidence}"]
        assert about == []

    def test_plpgsql_check_finds_nothing(self, reference: Site):
        """The shadow of a name, a missing column or an unused variable is a line of its report."""
        if not reference.by_hand("select name from pg_available_extensions where name = 'plpgsql_check'"):
            missing("plpgsql_check")
        reference.by_hand("create extension plpgsql_check schema extensions")
        try:
            found = reference.by_hand(
                "select line from pg_proc as p,"
                " extensions.plpgsql_check_function(p.oid, extra_warnings => true) as line "
                "where p.proname like 'sync_queue_%'"
            )
        finally:
            reference.by_hand("drop extension plpgsql_check")
        assert found == []


class TestClaim:
    def test_the_oldest_items_come_first_with_one_token_and_a_lease(self, reference: Site, worker: Worker):
        add(reference, 3)
        items = worker.claim(most=2, lease=60)
        assert sorted(item["record_id"] for item in items) == ["1", "2"]
        assert {item["status"] for item in items} == {"processing"}
        assert len({item["claim_token"] for item in items}) == 1
        lease = reference.by_hand("select count(*) from public.sync_queue where claimed_until > now() + '50 s'")
        assert lease == [{"count": 2}]
        assert [item["record_id"] for item in worker.claim()] == ["3"]
        assert worker.claim() == []

    def test_it_returns_every_column_of_the_queue(self, reference: Site, worker: Worker):
        reference.by_hand("alter table public.sync_queue add column plan text default 'pro'")
        add(reference, payload='{"user_id": "7"}')
        (item,) = worker.claim()
        assert (item["payload"], item["plan"], item["table_name"]) == ({"user_id": "7"}, "pro", "user")

    def test_it_takes_what_the_processor_counts_and_no_more(self, reference: Site, worker: Worker):
        reference.by_hand(
            "insert into public.sync_queue (table_name, record_id, operation, status)"
            " select 'user', operation || status, operation, status"
            " from unnest(array['INSERT', 'UPDATE', 'DELETE', 'SIGNUP_ATOMIC']) as operation,"
            " unnest(array['pending', 'processing', 'completed', 'failed', 'skipped']) as status"
        )
        taken = {item["record_id"] for item in worker.claim()}
        assert taken == {"INSERTpending", "UPDATEpending", "SIGNUP_ATOMICpending"}

    @pytest.mark.parametrize(
        ("columns", "taken"),
        [
            ({"retry_count": 2}, True),
            ({"retry_count": 3}, False),
            ({"retry_count": 1, "next_retry_at": "2000-01-01Z"}, True),
            ({"retry_count": 1, "next_retry_at": "3000-01-01Z"}, False),
            ({"operation": "DELETE"}, True),
        ],
    )
    def test_it_takes_the_failed_items_that_the_retry_counts(
        self, reference: Site, worker: Worker, columns: dict[str, object], taken: bool
    ):
        add(reference, status="failed", **columns)
        assert worker.claim() == []
        assert len(worker.claim("failed")) == taken

    def test_workers_at_the_same_time_share_the_items(self, reference: Site):
        add(reference, 400)
        taken: list[str] = []
        start = Barrier(4)

        def work() -> None:
            with Worker(reference) as mine:
                start.wait()
                while items := mine.claim(most=7):
                    taken.extend(item["record_id"] for item in items)

        threads = [Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken, key=int) == [str(number) for number in range(1, 401)]

    def test_a_claim_does_not_wait_for_a_row_that_another_transaction_holds(self, reference: Site, worker: Worker):
        add(reference, 2)
        with psycopg.connect(reference.addresses.admin_url) as holder:
            holder.execute("select from public.sync_queue where record_id = '1' for update")
            assert [item["record_id"] for item in worker.claim()] == ["2"]

    def test_a_claim_that_is_rolled_back_leaves_the_items(self, reference: Site, worker: Worker):
        add(reference)
        with psycopg.connect(reference.addresses.admin_url) as conn:
            conn.execute("select public.sync_queue_claim()")
            conn.rollback()
        assert len(worker.claim()) == 1

    @pytest.mark.parametrize(
        "arguments", ["'completed'", "null", "'pending', 0", "'pending', 1001", "'pending', null", "'pending', 1, 0"]
    )
    def test_a_wrong_argument_is_one_line_and_takes_nothing(self, reference: Site, arguments: str):
        add(reference)
        with pytest.raises(psycopg.errors.InvalidParameterValue, match=r"^sync_queue_claim: \w+ is [\w ]+\n"):
            reference.by_hand("set role service_role", f"select public.sync_queue_claim({arguments})")
        assert only_item(reference)["status"] == "pending"

    @pytest.mark.parametrize("status", ["pending", "failed"])
    def test_it_reads_an_index_also_with_a_plan_for_any_argument(self, reference: Site, status: str):
        add(reference, 5000, status="completed")
        add(reference, 20, operation="UPDATE", status=status)
        assert sequential_scans(reference, f"select public.sync_queue_claim('{status}')") == 0


class TestCompletion:
    def test_an_item_is_completed_once(self, reference: Site, worker: Worker):
        add(reference)
        (item,) = worker.claim()
        assert worker.complete(item) is True
        assert only_item(reference) == {
            "status": "completed",
            "retry_count": 0,
            "error_message": None,
            "done": True,
            "next_retry_at": None,
            "claim_token": None,
        }
        assert worker.complete(item) is False
        assert worker.fail(item) is False
        assert only_item(reference)["status"] == "completed"

    def test_another_token_or_none_completes_nothing(self, reference: Site, worker: Worker):
        add(reference)
        (item,) = worker.claim()
        for token in (uuid4(), None):
            assert worker.complete({**item, "claim_token": token}) is False
            assert worker.fail({**item, "claim_token": token}) is False
        assert only_item(reference)["status"] == "processing"

    def test_a_late_worker_cannot_finish_an_item_that_another_took(self, reference: Site, worker: Worker):
        add(reference)
        (late,) = worker.claim()
        reference.by_hand(LEASE_OVER)
        assert worker.requeue_stalled() == 1
        assert worker.complete(late) is False
        (item,) = worker.claim("failed")
        assert worker.complete(late) is False
        assert worker.fail(late) is False
        assert only_item(reference)["claim_token"] == item["claim_token"]
        assert worker.complete(item) is True

    def test_a_late_worker_may_finish_an_item_that_no_other_took(self, reference: Site, worker: Worker):
        add(reference)
        (item,) = worker.claim()
        reference.by_hand(LEASE_OVER)
        assert worker.complete(item) is True
        assert worker.requeue_stalled() == 0


class TestFailure:
    def test_each_attempt_waits_twice_as_long_until_none_is_left(self, reference: Site, worker: Worker):
        reference.by_hand(
            "create table public.failed_at as select now() as at",
            "create function public.note() returns trigger language plpgsql security definer as $$ begin"
            " update public.failed_at set at = now(); return new; end $$",
            "create trigger note before update on public.sync_queue for each row when (new.status = 'failed')"
            " execute function public.note()",
        )
        add(reference, max_retries=4)
        (item,) = worker.claim()
        for number, wait in enumerate((60, 120, 240), 1):
            assert worker.fail(item, f"attempt {number}") is True
            assert until_next(reference) == timedelta(seconds=wait)
            assert worker.claim("failed") == [], "not due"
            found = only_item(reference)
            assert (found["status"], found["retry_count"]) == ("failed", number)
            assert found["error_message"] == f"attempt {number}"
            reference.by_hand("update public.sync_queue set next_retry_at = now()")
            (item,) = worker.claim("failed")
        assert worker.fail(item) is True
        assert (only_item(reference)["retry_count"], only_item(reference)["next_retry_at"]) == (4, None)
        assert worker.claim("failed") == []

    @pytest.mark.parametrize("attempts", [7, 20, 2000])
    def test_no_wait_is_longer_than_an_hour(self, reference: Site, worker: Worker, attempts: int):
        add(reference, max_retries=5000, retry_count=attempts, status="failed")
        (item,) = worker.claim("failed")
        assert worker.fail(item) is True
        at_most = (
            "select next_retry_at <= now() + interval '1 hour' and next_retry_at > now() + interval '59 min' as good"
        )
        assert reference.by_hand(f"{at_most} from public.sync_queue") == [{"good": True}]

    def test_an_item_without_numbers_gets_its_first(self, reference: Site, worker: Worker):
        reference.by_hand(
            "alter table public.sync_queue alter retry_count drop not null, alter max_retries drop not null"
        )
        add(reference)
        reference.by_hand("update public.sync_queue set retry_count = null, max_retries = null")
        (item,) = worker.claim()
        assert worker.fail(item) is True
        found = only_item(reference)
        assert (found["retry_count"], found["next_retry_at"] is None) == (1, False)

    @pytest.mark.parametrize(("message", "stored"), [(None, NONE), ("", NONE), ("x" * 3000, "x" * 2000)])
    def test_a_message_is_never_empty_and_never_endless(
        self, reference: Site, worker: Worker, message: str | None, stored: str
    ):
        add(reference)
        (item,) = worker.claim()
        worker.fail(item, message)
        assert only_item(reference)["error_message"] == stored

    @pytest.mark.parametrize("seconds", [-1, 3601, None])
    def test_a_wrong_back_off_is_one_line_and_changes_nothing(
        self, reference: Site, worker: Worker, seconds: int | None
    ):
        add(reference)
        (item,) = worker.claim()
        with pytest.raises(psycopg.errors.InvalidParameterValue, match=r"^sync_queue_fail: first_seconds is 0 to"):
            worker.fail(item, first=seconds)  # type: ignore[arg-type]
        assert only_item(reference)["status"] == "processing"


class TestStalledItems:
    def test_an_item_is_due_again_when_its_lease_is_over_and_not_before(self, reference: Site, worker: Worker):
        add(reference)
        worker.claim()
        assert worker.requeue_stalled() == 0
        reference.by_hand(LEASE_OVER)
        assert worker.requeue_stalled() == 1
        found = only_item(reference)
        assert (found["status"], found["retry_count"]) == ("failed", 1)
        assert found["error_message"] == "the lease ran out: the worker did not finish"
        assert len(worker.claim("failed")) == 1

    def test_an_item_that_ends_its_worker_each_time_runs_out_of_attempts(self, reference: Site, worker: Worker):
        add(reference, max_retries=2)
        for standing in ("pending", "failed"):
            assert len(worker.claim(standing)) == 1
            reference.by_hand(LEASE_OVER)
            assert worker.requeue_stalled() == 1
        assert worker.claim("failed") == []

    def test_an_item_of_a_record_that_waits_again_is_set_back_too(self, reference: Site, worker: Worker):
        """The queue allows one pending item of a record, so the stalled one cannot be pending."""
        add(reference)
        worker.claim()
        add(reference)
        reference.by_hand(LEASE_OVER)
        assert worker.requeue_stalled() == 1

    def test_an_item_without_a_lease_stays_with_its_worker(self, reference: Site, worker: Worker):
        add(reference, status="processing")
        assert worker.requeue_stalled() == 0
        assert only_item(reference)["status"] == "processing"

    def test_it_reads_only_items_at_work(self, reference: Site):
        add(reference, 5000, status="completed")
        assert sequential_scans(reference, "select public.sync_queue_requeue_stalled()") == 0


class TestPage:
    """The SQL that docs/guides/claim.md shows."""

    def test_an_item_that_two_workers_complete_is_noted_until_the_trigger_is_removed(self, site: Site):
        site.by_hand("set role postgres", shown("create table public.double_processing"))
        add(site, 2)
        complete = "update public.sync_queue set status = 'completed' where record_id = '{}'"
        site.by_hand("set role service_role", *(complete.format(record) for record in (1, 2, 1)))
        noted = "select record_id, old_status, new_status from public.double_processing"
        joined = f"{noted} join public.sync_queue as item on item.id::text = item_id"
        assert site.by_hand(joined) == [{"record_id": "1", "old_status": "completed", "new_status": "completed"}]
        site.by_hand("set role postgres", shown("drop trigger note_double_processing"), complete.format(1))

    def test_a_large_queue_gets_its_index_before_the_file_without_a_pause(self, site: Site):
        columns, index = shown("alter table public.sync_queue").strip().splitlines()
        site.by_hand("set role postgres", columns, index)
        built = "select oid from pg_class where relname = 'sync_queue_claimed'"
        before = site.by_hand(built)
        install(site)
        assert site.by_hand(built) == before
        assert len(before) == 1

    def test_the_job_sets_stalled_items_back_and_the_doctor_has_no_objection(self, reference: Site, worker: Worker):
        set_up(reference, working())
        (scheduled,) = reference.by_hand("set role postgres", shown("select cron.schedule"))
        add(reference)
        worker.claim()
        reference.by_hand(LEASE_OVER)
        (job,) = reference.by_hand(f"select command from cron.job where jobid = {scheduled['schedule']}")
        reference.by_hand("set role postgres", job["command"])
        assert only_item(reference)["status"] == "failed"
        about = [one for one in diagnose(reference).findings if "stalled" in f"{one.object} {one.evidence}"]
        assert about == []


class TestStalled:
    """What the commands count as stalled on a queue with leases, and put back."""

    @pytest.mark.parametrize(
        ("lease", "stalled"), [("now() + interval '1 min'", 0), ("now() - interval '1 s'", 1), ("null", 1)]
    )
    def test_an_old_item_is_stalled_after_its_lease(self, reference: Site, worker: Worker, lease: str, stalled: int):
        add(reference)
        worker.claim()
        reference.by_hand(f"update public.sync_queue set claimed_until = {lease}")

        assert status(reference.db, working(), "test").queue.stalled == stalled
        for age in (None, timedelta(hours=1)):
            assert release_plan(reference.db, age).items == stalled

    def test_a_new_item_is_stalled_after_its_lease(self, reference: Site, worker: Worker):
        add(reference)
        reference.by_hand("update public.sync_queue set created_at = now()")
        worker.claim(lease=1)
        reference.by_hand(LEASE_OVER)

        assert release_plan(reference.db, None).items == 1
        assert release_plan(reference.db, timedelta(minutes=5)).items == 0

    def test_a_released_item_is_no_longer_the_late_workers(self, reference: Site, worker: Worker):
        add(reference)
        (claimed,) = worker.claim()
        reference.by_hand(LEASE_OVER)
        assert len(carry_out(reference.db, release_plan(reference.db, None)).changed) == 1

        columns = "select status::text, claim_token, claimed_until from public.sync_queue"
        assert reference.by_hand(columns) == [{"status": "failed", "claim_token": None, "claimed_until": None}]
        # An older function takes the item next, and says nothing of claims.
        reference.by_hand("update public.sync_queue set status = 'processing'")
        assert worker.complete(claimed) is False

    def test_an_item_that_is_claimed_anew_meanwhile_is_left_alone(self, reference: Site, worker: Worker):
        add(reference)
        worker.claim()
        reference.by_hand(LEASE_OVER)
        plan = release_plan(reference.db, None)
        reference.by_hand("update public.sync_queue set claimed_until = now() + interval '1 min'")

        assert carry_out(reference.db, plan).changed == ()

    @pytest.mark.parametrize("kind", ["text", "bigint", "timestamp"])
    def test_a_column_of_that_name_and_another_type_is_no_lease(self, site: Site, kind: str):
        site.by_hand(f"alter table public.sync_queue add column claimed_until {kind}")
        add(site, status="processing")

        assert status(site.db, working(), "test").queue.stalled == release_plan(site.db, None).items == 1

    def test_a_lease_is_read_whatever_the_session_shows_of_times(self, reference: Site, worker: Worker):
        reference.by_hand("alter role postgres set datestyle = 'German, DMY'")
        reference.by_hand("alter role postgres set timezone = 'Asia/Kolkata'")
        reference.end_sessions()
        add(reference)
        worker.claim()

        assert status(reference.db, working(), "test").queue.stalled == 0


def shown(start: str) -> str:
    """Return the page's block of SQL that begins so."""
    blocks = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    (block,) = (each for each in blocks if each.lstrip().startswith(start))
    return str(block)


@pytest.mark.parametrize("shape", ADOPTED)
def test_a_queue_of_this_shape_is_claimed_completed_failed_and_requeued(site: Site, shape: str):
    site.by_hand("set role postgres", *ADOPTED[shape])
    install(site)
    site.by_hand(
        "insert into public.sync_queue (record_id, operation) values (1, 'INSERT'), (2, 'INSERT'), (3, 'UPDATE')"
    )
    with Worker(site) as worker:
        first, second, third = worker.claim()
        assert (worker.complete(first), worker.fail(second)) == (True, True)
        site.by_hand(LEASE_OVER)
        assert worker.requeue_stalled() == 1
        assert worker.complete(third) is False
    statuses = site.by_hand("select status::text, count(*) from public.sync_queue group by 1 order by 1")
    assert [(row["status"], row["count"]) for row in statuses] == [("completed", 1), ("failed", 2)]


def test_a_queue_with_the_columns_of_the_guide_alone_is_enough(site: Site):
    site.by_hand("set role postgres", *queue())
    install(site)
    site.by_hand("insert into public.sync_queue (record_id, operation) values ('1', 'SIGNUP_ATOMIC')")
    with Worker(site) as worker:
        (item,) = worker.claim()
        assert worker.complete(item)
