"""`retry` and `release-stalled`: what is put back, in which way, and what is left as it is and why."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from datetime import timedelta

import psycopg
import pytest

from bubble_sync.actions import requeue
from bubble_sync.actions.requeue import (
    Filters,
    Plan,
    RequeueResult,
    Skipped,
    carry_out,
    discard_plan,
    release_plan,
    requeue_plan,
)
from bubble_sync.config.database_url import read_database_url
from bubble_sync.config.settings import read_settings
from bubble_sync.database.database import Database, Row
from bubble_sync.errors import Busy, PrerequisiteMissing, PrivilegeMissing
from bubble_sync.health.status import status
from bubble_sync.local.edge_function.behaviour import Behaviour
from bubble_sync.local.edge_function.queue import Call, drain
from tests.fixtures.history import dispatch, item
from tests.fixtures.site import Site
from tests.fixtures.specs import config

STATE = "select status, retry_count, next_retry_at, error_message from public.sync_queue where id = '{}'"
INDEX = "sync_queue_one_pending"
HELD = "another session holds it, or a trigger leaves it as it is"


def failed(site: Site, record: object = "r1", retry_count: int = 3, **columns: object) -> str:
    given = {"operation": "INSERT", "status": "failed", "error_message": "no", **columns}
    return item(site, "1 hour", record_id=record, retry_count=retry_count, **given)


def processing(site: Site, ago: str = "1 hour", record: object = "r1", **columns: object) -> str:
    return item(site, ago, record_id=record, status="processing", **{"operation": "INSERT", **columns})


def state(site: Site, one: str) -> Row:
    (row,) = site.by_hand(STATE.format(one))
    return row


def planned(plan: Plan) -> list[str]:
    return [one.id for batch in plan.batches for one in batch.items]


def retry(site: Site, ids: Sequence[str] | None = None) -> RequeueResult:
    return carry_out(site.db, requeue_plan(site.db, ids))


def refuse_one(site: Site, one: str, body: str) -> None:
    """Have the application's own trigger stop the change of an item."""
    site.by_hand(
        f"create function public.stop() returns trigger language plpgsql as $$ begin {body}; return new; end $$",
        "create trigger stop before update on public.sync_queue for each row "
        f"when (old.id = '{one}') execute function public.stop()",
    )


@contextmanager
def locked(site: Site, one: str) -> Iterator[None]:
    """Hold an item's row, as a worker or a hand does."""
    with psycopg.connect(site.addresses.admin_url) as other:
        other.execute(f"select from public.sync_queue where id = '{one}' for update")
        yield


class TestRetry:
    """Failed items, their attempts used up or not."""

    def test_an_item_is_pending_with_all_of_its_attempts(self, site: Site):
        one = failed(site, due="1 day")

        assert retry(site, [one]) == RequeueResult((one,), ())
        assert state(site, one) == {
            "status": "pending", "retry_count": 0, "next_retry_at": None, "error_message": None,
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("operation", "job", "action"),
        [("INSERT", "processor", "process_queue_data_api"), ("DELETE", "retry", "retry_failed")],
    )
    def test_the_next_run_takes_it(self, site: Site, operation: str, job: str, action: str):
        one = failed(site, operation=operation)
        plan = requeue_plan(site.db, [one])
        carry_out(site.db, plan)

        # As the two jobs count, and as their calls of the Edge Function claim.
        assert plan.batches[0].transition.then == f"the next run of bubble-sync-{job}"
        assert drain(site.addresses.socket_url("authenticator"), Call(action=action), Behaviour()) == {one: "completed"}

    def test_one_of_an_operation_that_no_run_looks_for_is_due_for_the_retry(self, site: Site):
        one = failed(site, operation="DELETE", due="1 day")

        assert retry(site, [one]).changed == (one,)
        found = state(site, one)
        assert (found["status"], found["retry_count"], found["error_message"]) == ("failed", 0, None)
        assert found["next_retry_at"] is not None
        assert status(site.db, read_settings(config()), "test").queue.undrained == 0

    def test_the_dead_are_those_without_an_attempt_left_oldest_first(self, site: Site):
        newer, alive = failed(site, "a"), failed(site, "b", retry_count=2)
        older = failed(site, "c", retry_count=4, error_message="ada@example.com is taken")
        site.by_hand(f"update public.sync_queue set created_at = now() - interval '1 day' where id = '{older}'")
        for number, other in enumerate(("pending", "completed", "skipped", "processing")):
            failed(site, number, status=other)

        plan = requeue_plan(site.db, None)

        assert planned(plan) == [older, newer]
        assert plan.batches[0].items[0].error == "[email] is taken"
        assert carry_out(site.db, plan).changed == (older, newer)
        assert state(site, alive)["status"] == "failed"
        assert planned(requeue_plan(site.db, None)) == []

    def test_a_plan_changes_nothing(self, site: Site):
        one = failed(site)
        before = state(site, one)

        requeue_plan(site.db, [one])

        assert state(site, one) == before

    @pytest.mark.parametrize("other", ["pending", "processing", "completed"])
    def test_an_item_at_another_status_is_left_alone(self, site: Site, other: str):
        one = failed(site, status=other)
        before = state(site, one)

        plan = requeue_plan(site.db, [one])

        assert (plan.batches, plan.skipped) == ((), (Skipped(one, f"it is {other}"),))
        assert carry_out(site.db, plan) == RequeueResult((), ())
        assert state(site, one) == before

    def test_an_id_that_is_not_there_is_said(self, site: Site):
        absent = str(uuid.uuid4())

        plan = requeue_plan(site.db, [absent, "x'; drop table public.sync_queue", absent])

        assert [one.why for one in plan.skipped] == ["there is no such item"] * 2

    @pytest.mark.parametrize(
        ("filters", "found"),
        [
            (Filters(), ["dead"]),
            (Filters(dead=False), ["old", "dead", "alive", "other"]),
            (Filters(dead=False, error="http 50"), ["old", "alive"]),
            (Filters(dead=False, error="HTTP * for [email]"), ["old"]),
            (Filters(dead=False, error="50%"), []),
            (Filters(dead=False, error="_TTP"), []),
            (Filters(dead=False, operation="DELETE"), ["other"]),
            (Filters(dead=False, since=timedelta(hours=2)), ["dead", "alive", "other"]),
            (Filters(dead=False, limit=2), ["old", "dead"]),
            (Filters(dead=False, error="http", since=timedelta(hours=2), operation="INSERT", limit=9), ["alive"]),
            (Filters(error="http"), []),
        ],
    )
    def test_filters_select_failed_items_oldest_first(self, site: Site, filters: Filters, found: list[str]):
        failed(site, "old", retry_count=1, error_message="HTTP 503 for ada@example.com")
        failed(site, "dead", error_message="taken")
        failed(site, "alive", retry_count=0, error_message="HTTP 500")
        failed(site, "other", retry_count=0, operation="DELETE", error_message=None)
        failed(site, "pending", status="pending", error_message="HTTP 500")
        for age, record in enumerate(("other", "alive", "dead"), start=1):
            site.by_hand(
                f"update public.sync_queue set created_at = now() - interval '{age} min' where record_id = '{record}'"
            )
        site.by_hand("update public.sync_queue set created_at = now() - interval '3 hours' where record_id = 'old'")

        plan = requeue_plan(site.db, None, filters)

        records = {one.record_id: one.created_at for batch in plan.batches for one in batch.items}
        assert sorted(records, key=lambda record: records[record]) == found

    def test_items_are_changed_in_batches(self, site: Site, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(requeue, "_CHUNK", 3)
        ids = [failed(site, number) for number in range(7)]

        assert set(retry(site).changed) == set(ids)


class TestMeanwhile:
    """What somebody else did between the plan and the change, or does at the same time."""

    @pytest.mark.parametrize("other", ["completed", "processing", "pending"])
    def test_an_item_that_moved_on_is_left_alone(self, site: Site, other: str):
        one, two = failed(site, "a"), failed(site, "b")
        plan = requeue_plan(site.db, None)
        site.by_hand(f"update public.sync_queue set status = '{other}' where id = '{one}'")

        assert carry_out(site.db, plan) == RequeueResult((two,), (Skipped(one, f"it is {other}"),))
        assert state(site, one)["retry_count"] == 3

    def test_one_that_is_gone_is_said(self, site: Site):
        one = failed(site)
        plan = requeue_plan(site.db, None)
        site.by_hand("delete from public.sync_queue")

        assert carry_out(site.db, plan) == RequeueResult((), (Skipped(one, "there is no such item"),))

    def test_one_that_another_session_holds_is_not_waited_for(self, site: Site):
        one, two = failed(site, "a"), failed(site, "b")
        with locked(site, one):
            done = retry(site)

        assert done == RequeueResult((two,), (Skipped(one, HELD),))
        assert state(site, one)["status"] == "failed"

    def test_of_two_at_once_each_item_is_put_back_by_one(self, site: Site):
        ids = [failed(site, number) for number in range(4)]
        other = Database(read_database_url(site.addresses.database_url))
        mine, theirs = requeue_plan(site.db, None), requeue_plan(other, None)
        with closing(other), site.db.operation("putting items back") as conn:
            # The first one's transaction is not over when the second comes.
            first = conn.execute("update public.sync_queue set status = 'pending' where record_id in ('0', '1')")
            done = carry_out(other, theirs)
            assert first.rowcount == 2

        assert (done.changed, [one.why for one in done.skipped]) == (tuple(ids[2:]), [HELD] * 2)
        assert [one.why for one in carry_out(site.db, mine).skipped] == ["it is pending"] * 4

    def test_a_table_that_is_locked_is_not_waited_for_long(self, site: Site, monkeypatch: pytest.MonkeyPatch):
        failed(site)
        plan = requeue_plan(site.db, None)
        with psycopg.connect(site.addresses.admin_url) as other:
            other.execute("lock table public.sync_queue")
            with pytest.raises(Busy, match="is held by pid"):
                carry_out(site.db, plan)


class TestConflicts:
    """A unique index on pending items takes no second one of a record."""

    def test_it_is_listed_and_the_others_are_put_back(self, site: Site):
        ids = [failed(site, number) for number in range(5)]
        item(site, "1 min", record_id=2, operation="INSERT")

        done = retry(site)

        assert done.changed == (*ids[:2], *ids[3:])
        assert done.skipped == (
            Skipped(ids[2], f"conflict: {INDEX} allows no second such item; requeue it when the other one is done"),
        )
        assert state(site, ids[2])["retry_count"] == 3

    def test_of_two_of_one_record_the_older_is_put_back(self, site: Site):
        newer = failed(site)
        older = failed(site)
        site.by_hand(f"update public.sync_queue set created_at = now() - interval '1 day' where id = '{older}'")

        done = retry(site)

        assert (done.changed, [one.id for one in done.skipped]) == ((older,), [newer])

    def test_whatever_the_index_is_called_and_made_of(self, site: Site):
        site.by_hand(
            f"drop index public.{INDEX}",
            "create unique index anything on public.sync_queue (operation) where status = 'pending'",
        )
        ids = [failed(site, number) for number in range(3)]

        done = retry(site)

        assert done.changed == (ids[0],)
        assert {one.why.split(" allows")[0] for one in done.skipped} == {"conflict: anything"}

    def test_without_such_an_index_there_is_none(self, site: Site):
        site.by_hand(f"drop index public.{INDEX}")
        ids = [failed(site) for _ in range(3)]

        assert set(retry(site).changed) == set(ids)


#: A request, its answer by pg_net, and whether it may still be worked on.
REQUESTS = {
    "unanswered": ({"ago": "5 s", "verdict": None}, None, True),
    "answered, and not settled yet": ({"ago": "5 s", "verdict": None}, "status_code) values (7, 200", False),
    "timed out, and the function may go on": (
        {"ago": "350 s", "verdict": None}, "timed_out, error_msg) values (7, true, 'Timeout'", True,
    ),
    "settled as timed out": ({"ago": "350 s", "verdict": "timed out"}, None, True),
    "longer ago than any function runs": ({"ago": "401 s", "verdict": None}, None, False),
    "settled": ({"ago": "5 s", "verdict": "ok", "status_code": 200}, None, False),
    "answered with an error": ({"ago": "5 s", "verdict": "rejected", "status_code": 500}, None, False),
    "never reached it": ({"ago": "5 s", "verdict": "rejected"}, None, False),
}  # fmt: skip


class TestDiscard:
    """Failed items that no run takes any more, and the way back."""

    def test_a_discarded_item_keeps_its_error_and_is_put_back_by_its_id_alone(self, site: Site):
        one, other = failed(site, "a"), failed(site, "b", operation="DELETE")

        plan = discard_plan(site.db, None)
        assert planned(plan) == [one, other]
        assert len(plan.batches) == 1
        assert carry_out(site.db, plan).changed == (one, other)
        assert state(site, one) == {
            "status": "skipped", "retry_count": 3, "next_retry_at": None, "error_message": "no",
        }  # fmt: skip
        assert planned(requeue_plan(site.db, None, Filters(dead=False))) == []

        back = requeue_plan(site.db, [one, other])
        assert [batch.transition.becomes["status"] for batch in back.batches] == [
            "skipped -> pending", "skipped -> failed",
        ]  # fmt: skip
        assert set(carry_out(site.db, back).changed) == {one, other}
        assert (state(site, one)["status"], state(site, other)["status"]) == ("pending", "failed")

    @pytest.mark.parametrize("other", ["pending", "processing", "completed", "skipped"])
    def test_what_is_not_failed_is_left_alone(self, site: Site, other: str):
        one = failed(site, status=other)

        plan = discard_plan(site.db, [one])

        assert (plan.batches, plan.skipped) == ((), (Skipped(one, f"it is {other}"),))

    def test_an_item_that_has_moved_on_since_it_was_shown_is_left_alone(self, site: Site):
        moved, held = failed(site, "a"), failed(site, "b")
        plan = discard_plan(site.db, None)
        site.by_hand(f"update public.sync_queue set status = 'processing' where id = '{moved}'")

        with locked(site, held):
            done = carry_out(site.db, plan)

        assert (done.changed, done.skipped) == ((), (Skipped(moved, "it is processing"), Skipped(held, HELD)))

    def test_a_queue_that_knows_no_skipped_refuses_each_item_and_keeps_it(self, site: Site):
        one = failed(site)
        site.by_hand("alter table public.sync_queue add constraint words check (status <> 'skipped')")

        done = carry_out(site.db, discard_plan(site.db, None))

        assert done.changed == ()
        assert done.skipped[0].why.startswith("constraint words refuses it (SQLSTATE 23514)")
        assert state(site, one)["status"] == "failed"


class TestRelease:
    """Items in processing for too long, while nobody can be working on them."""

    def test_it_is_failed_due_at_once_and_the_attempt_counts(self, site: Site):
        one = processing(site, retry_count=1)

        assert carry_out(site.db, release_plan(site.db, None)) == RequeueResult((one,), ())
        found = state(site, one)
        assert (found["status"], found["retry_count"]) == ("failed", 2)
        assert found["error_message"].startswith("bubble-sync: released")
        assert drain(site.addresses.socket_url("authenticator"), Call(action="retry_failed"), Behaviour()) == {
            one: "completed"
        }

    def test_one_that_kills_its_worker_each_time_is_dead_in_the_end(self, site: Site):
        one = processing(site, retry_count=2)
        carry_out(site.db, release_plan(site.db, None))

        assert planned(requeue_plan(site.db, None)) == [one]

    def test_stalled_is_what_status_counts_as_stalled(self, site: Site):
        processing(site, "9 min 50 s", "a")
        old = processing(site, "10 min 10 s", "b")

        assert planned(release_plan(site.db, None)) == [old]
        assert status(site.db, read_settings(config()), "test").queue.stalled == 1

    @pytest.mark.parametrize(("age", "found"), [(timedelta(minutes=5), 2), (timedelta(hours=2), 0)])
    def test_how_old_they_must_be_can_be_said(self, site: Site, age: timedelta, found: int):
        processing(site, "6 min", "a")
        processing(site, "1 hour", "b")

        assert len(planned(release_plan(site.db, age))) == found

    def test_one_that_is_done_meanwhile_or_held_is_left_alone(self, site: Site):
        one, two = processing(site, record="a"), processing(site, record="b")
        plan = release_plan(site.db, None)
        site.by_hand(f"update public.sync_queue set status = 'completed' where id = '{one}'")
        with locked(site, two):
            done = carry_out(site.db, plan)

        assert done == RequeueResult((), (Skipped(one, "it is completed"), Skipped(two, HELD)))

    @pytest.fixture
    def logged(self, prepared: Site) -> Site:
        processing(prepared)
        return prepared

    @pytest.mark.parametrize(("request_", "answer", "alive"), REQUESTS.values(), ids=list(REQUESTS))
    def test_never_while_a_request_may_be_working_on_it(
        self, logged: Site, request_: dict[str, str], answer: str | None, alive: bool
    ):
        plan = release_plan(logged.db, None)
        dispatch(logged, 7, **request_)
        if answer:
            logged.by_hand(f"insert into net._http_response (id, {answer})")

        with pytest.raises(Busy, match=r"request 7 .*: they stay as they are") if alive else nullcontext():
            assert len(planned(release_plan(logged.db, None))) == 1
        with pytest.raises(Busy) if alive else nullcontext():
            assert len(carry_out(logged.db, plan).changed) == 1

    def test_nor_while_pg_net_has_one(self, prepared: Site):
        processing(prepared)
        # Written so, they wait for the next request that is sent: none is here.
        insert = (
            "insert into net.http_request_queue (id, method, url, headers, timeout_milliseconds) "
            "values ({}, 'POST', 'http://127.0.0.1:9/functions/v1/{}', '{{}}', 1)"
        )
        prepared.by_hand(insert.format(800, "another"))
        assert release_plan(prepared.db, None).items == 1
        prepared.by_hand(insert.format(900, "bubble_sync"))

        with pytest.raises(Busy, match="request 900 is with pg_net"):
            release_plan(prepared.db, None)

    def test_where_that_cannot_be_seen_it_is_unknown(self, site: Site):
        processing(site)

        assert release_plan(site.db, None).unknown == {
            "requests": "there is no table bubble_sync.dispatches (config dispatchLog)",
            "queued requests": "there is no table net.http_request_queue",
        }


class TestWhatEndsIt:
    """After the first batch, what was done is told."""

    def test_what_was_not_reached_is_said(self, site: Site, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(requeue, "_CHUNK", 1)
        first, second = failed(site, "a"), failed(site, "b")
        plan = requeue_plan(site.db, [first, second])
        refuse_one(site, second, "raise exception using errcode = '53200', message = 'ada@example.com'")

        why = "PostgreSQL refused it (SQLSTATE 53200). The server's log has the reason."
        assert carry_out(site.db, plan) == RequeueResult(
            (first,), (Skipped(second, f"not reached: putting items back: {why}"),)
        )


class TestRefused:
    """A constraint or a trigger of the application refuses an item: the others are put back."""

    @pytest.mark.parametrize(
        ("ddl", "why"),
        [
            (
                "check (record_id <> '2' or retry_count > 0) not valid",
                "constraint no_two refuses it (SQLSTATE 23514)",
            ),
            (
                "exclude using btree (record_id with =) where (status = 'pending')",
                "conflict: no_two allows no second such item; requeue it when the other one is done",
            ),
        ],
        ids=["check", "exclusion"],
    )
    def test_by_a_constraint(self, site: Site, ddl: str, why: str):
        site.by_hand(f"drop index public.{INDEX}", f"alter table public.sync_queue add constraint no_two {ddl}")
        self.expect(site, why)

    def test_by_a_column_that_must_be_filled(self, site: Site):
        site.by_hand(
            "update public.sync_queue set next_retry_at = now() where true",
            "alter table public.sync_queue alter column next_retry_at set default now()",
        )
        ids = [failed(site, number, next_retry_at="2026-01-01") for number in range(3)]
        site.by_hand(
            "create domain public.filled as timestamptz",
            "alter table public.sync_queue alter column next_retry_at set not null",
        )

        done = retry(site)

        assert done.changed == ()
        assert [(one.id, one.why) for one in done.skipped] == [
            (one, "column next_retry_at, which must not be null, refuses it (SQLSTATE 23502); "
             "mend that or the item, then run the command again") for one in ids
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("body", "why"),
        [
            ("raise exception 'ada@example.com'", "P0001"),
            ("raise exception using errcode = 'SYNC1', message = 'no'", "SYNC1"),
            ("perform 1 / 0", "22012"),
            ("perform from nowhere", "42P01"),
            ("perform pg_catalog.pg_read_file('x')", "42501"),
        ],
    )
    def test_by_a_trigger(self, site: Site, body: str, why: str):
        ids = [failed(site, number) for number in range(5)]
        refuse_one(site, ids[2], body)

        done = retry(site)

        assert done.changed == (*ids[:2], *ids[3:])
        (left,) = done.skipped
        assert (
            left.why == f"a trigger (function {'public.' if 'public.' in left.why else ''}stop()) refuses it "
            f"(SQLSTATE {why}); mend that or the item, then run the command again"
        )

    def test_by_a_trigger_that_waits_for_the_commit(self, site: Site):
        ids = [failed(site, number) for number in range(3)]
        site.by_hand(
            "create function public.late() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$",
            "create constraint trigger late after update on public.sync_queue deferrable initially deferred "
            f"for each row when (new.id = '{ids[1]}') execute function public.late()",
        )

        done = retry(site)

        assert done.changed == (ids[0], ids[2])
        assert [one.id for one in done.skipped] == [ids[1]]

    def test_in_silence(self, site: Site):
        ids = [failed(site, number) for number in range(3)]
        refuse_one(site, ids[1], "return null")

        done = retry(site)

        assert (done.changed, done.skipped) == ((ids[0], ids[2]), (Skipped(ids[1], HELD),))

    def test_one_that_is_released(self, site: Site):
        one, other = processing(site), processing(site, record="r2")
        refuse_one(site, one, "raise exception 'no'")

        done = carry_out(site.db, release_plan(site.db, None))

        assert (done.changed, [left.id for left in done.skipped]) == ((other,), [one])

    def expect(self, site: Site, why: str) -> None:
        ids = [failed(site, number) for number in range(5)]
        item(site, "1 min", record_id=2, operation="INSERT", retry_count=1)

        done = retry(site)

        assert done.changed == (*ids[:2], *ids[3:])
        (left,) = done.skipped
        assert left.id == ids[2]
        assert left.why.startswith(why)


class TestARoleThatMayNot:
    """It is told why, and nothing is changed in part."""

    @pytest.mark.parametrize(
        ("grants", "why"),
        [
            ((), "watcher may not read public.sync_queue"),
            (("grant select, update on public.sync_queue to watcher",), "row security hides rows of public.sync_queue"),
        ],
        ids=["may not read", "row security"],
    )
    def test_see_every_item(self, site: Site, grants: tuple[str, ...], why: str):
        failed(site)
        other = site.as_role("watcher", *grants)

        with closing(other.db):
            for plan in (lambda: requeue_plan(other.db, None), lambda: release_plan(other.db, None)):
                with pytest.raises(PrerequisiteMissing, match=f"{why}.*: nothing was changed"):
                    plan()

    def test_change_them(self, site: Site):
        one = failed(site)
        other = site.as_role("watcher", "alter role watcher bypassrls", "grant select on public.sync_queue to watcher")

        with closing(other.db), pytest.raises(PrivilegeMissing, match="permission denied for table sync_queue"):
            carry_out(other.db, requeue_plan(other.db, [one]))


def test_triggers_of_the_application_find_what_they_name(site: Site):
    """They run with the search_path of the session, as they do when the application changes an item."""
    site.by_hand(
        "create table public.seen (id text)",
        "create function public.note() returns trigger language plpgsql as "
        "$$ begin insert into seen values (new.id::text); return new; end $$",
        "create trigger note after update on public.sync_queue for each row execute function public.note()",
    )
    one = failed(site)

    assert retry(site).changed == (one,)
    assert site.by_hand("table public.seen") == [{"id": one}]


def test_an_enum_and_another_type_of_id_are_taken(site: Site):
    site.by_hand(
        "drop index public.sync_queue_open, public.sync_queue_retry, public.sync_queue_one_pending",
        "alter table public.sync_queue drop constraint sync_queue_status_check, alter column status drop default",
        "create type public.item_status as enum ('pending', 'processing', 'completed', 'failed')",
        "alter table public.sync_queue alter status type public.item_status using status::public.item_status",
        "alter table public.sync_queue alter id drop default, alter id type text",
    )
    one, two = failed(site, id="A-1"), processing(site, id="B%2", record="b")

    assert retry(site).changed == (one,)
    assert carry_out(site.db, release_plan(site.db, None)).changed == (two,)
