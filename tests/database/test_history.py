"""What is said of a span of time: depths, requests and durations, against rows worked out by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bubble_sync.config.settings import read_settings
from bubble_sync.health.history import SPAN_PARTS, Depth, History, history
from bubble_sync.health.status import Durations
from tests.fixtures.history import dispatch, item
from tests.fixtures.site import Site
from tests.fixtures.specs import config

#: A part is a minute.
SPAN = timedelta(minutes=SPAN_PARTS)


def ask(site: Site, **changes: str) -> History:
    return history(site.db, read_settings(config(**changes)), SPAN)


def numbers(depth: Depth) -> tuple[int, int, int, int]:
    return depth.enqueued, depth.completed, depth.most, depth.left


def part(ago: float) -> int:
    """The part in which something was so many minutes ago."""
    return int(SPAN_PARTS - ago)


class TestDepth:
    def test_an_item_is_there_from_when_it_was_queued_until_it_was_completed(self, prepared: Site):
        item(prepared, "10.5 min", status="completed", processed="5.5 min")
        depths = ask(prepared).depths
        assert depths

        assert [numbers(depth) for depth in depths if depth.most] == [(1, 0, 1, 1), *[(0, 0, 1, 1)] * 4, (0, 1, 1, 0)]
        assert numbers(depths[part(10.5)]) == (1, 0, 1, 1)
        assert numbers(depths[part(5.5)]) == (0, 1, 1, 0)

    def test_what_was_there_before_is_counted_all_the_time(self, prepared: Site):
        item(prepared, "2 hours", status="failed")
        item(prepared, "2 hours", record_id="r2", status="completed", processed="90 min")
        item(prepared, "2 hours", record_id="r3", status="completed", processed="30.5 min")
        depths = ask(prepared).depths
        assert depths

        assert {numbers(depth) for depth in depths[: part(30.5)]} == {(0, 0, 2, 2)}
        assert numbers(depths[part(30.5)]) == (0, 1, 2, 1)
        assert {numbers(depth) for depth in depths[part(30.5) + 1 :]} == {(0, 0, 1, 1)}

    def test_the_most_of_a_part_is_not_what_is_left_of_it(self, prepared: Site):
        for number in range(3):
            item(prepared, "3.9 min", record_id=number, status="completed", processed="3.5 min")
        depths = ask(prepared).depths
        assert depths

        assert numbers(depths[part(3.5)]) == (3, 3, 3, 0)
        assert sum(depth.most for depth in depths) == 3

    def test_one_completed_without_a_moment_has_no_place(self, prepared: Site):
        item(prepared, "10 min", status="completed")
        found = ask(prepared)

        assert found.unplaced == 1
        assert found.depths
        assert {numbers(depth) for depth in found.depths} == {(0, 0, 0, 0)}

    def test_a_table_that_allows_it_holds_items_nobody_knows_the_beginning_of(self, prepared: Site):
        prepared.by_hand("alter table public.sync_queue alter created_at drop not null")
        item(prepared, "10 min", status="completed", processed="5.5 min")
        prepared.by_hand("update public.sync_queue set created_at = null")
        found = ask(prepared)

        assert found.unplaced == 1
        assert found.depths
        assert {numbers(depth) for depth in found.depths} == {(0, 0, 0, 0)}

    def test_one_completed_before_it_was_queued_by_another_clock_is_not_there_for_ever(self, prepared: Site):
        item(prepared, "5.5 min", status="completed", processed="6.5 min")
        item(prepared, "30 s", record_id="r2", status="completed", processed="2 hours")
        depths = ask(prepared).depths
        assert depths

        assert [(depth.enqueued, depth.completed, depth.left) for depth in depths if depth.most] == [
            (1, 1, 0),
            (1, 1, 0),
        ]


class TestRequests:
    def test_are_counted_by_part_function_and_verdict(self, prepared: Site):
        for number, (ago, verdict) in enumerate((("5.4 min", "ok"), ("5.5 min", "ok"), ("3.5 min", "timed out"))):
            dispatch(prepared, number, ago, verdict)
        dispatch(prepared, 8, "1.5 min", None, function="bubble_sync_retry")
        dispatch(prepared, 9, "2 hours", "lost")
        found = ask(prepared)

        assert found.sent is not None
        assert [
            (round((one.at - found.since).total_seconds() / 60), one.function, one.verdict, one.requests)
            for one in found.sent
        ] == [
            (part(5.5), "bubble_sync_processor", "ok", 2),
            (part(3.5), "bubble_sync_processor", "timed out", 1),
            (part(1.5), "bubble_sync_retry", "outstanding", 1),
        ]
        assert found.sent_since is None

    def test_more_than_are_read_are_said_to_be_there(self, prepared: Site):
        prepared.by_hand(
            "insert into bubble_sync.dispatches (function, waiting, request_id, sent_at, verdict) "
            "select 'f', 1, n, now() - (20001 - n) * interval '0.1 s', 'ok' from generate_series(1, 20001) as n",
        )
        found = ask(prepared)

        assert found.sent
        assert sum(one.requests for one in found.sent) == 20_000
        assert found.sent_since
        assert (found.until - found.sent_since).total_seconds() == pytest.approx(1999.9, abs=5)

    @pytest.mark.parametrize(
        ("verdicts", "good", "bad"),
        [
            ((), None, None),
            (("rejected", "rejected"), None, 0),
            (("ok", "rejected", "not the function's answer"), 0, 1),
            (("rejected", "ok"), 1, None),
            (("rejected", "partial", "timed out", "refused by its body", None), 1, 3),
            (("ok", "rejected", "answered"), 0, None),
            (("rejected", "answered", "rejected"), None, 2),
        ],
    )
    def test_bad_answers_begin_after_the_last_accepted_one(
        self, prepared: Site, verdicts: tuple[str | None, ...], good: int | None, bad: int | None
    ):
        """Also before the span: the rows are hours apart, and the span is one hour."""
        for number, verdict in enumerate(verdicts):
            dispatch(prepared, number, f"{20 - 2 * number} hours", verdict and verdict.replace("'", "''"))
        found = ask(prepared)

        ago = [at and 10 - round((found.until - at).total_seconds() / 7200) for at in (found.good_at, found.bad_since)]
        assert ago == [good, bad]

    def test_a_log_that_was_turned_off_says_nothing_about_the_answers_since(self, prepared: Site):
        dispatch(prepared, 1, "10 min", "ok")
        dispatch(prepared, 2, "5 min", "rejected")
        found = ask(prepared, dispatchLog="false")

        assert (found.good_at, found.bad_since) == (None, None)
        assert found.sent, "the requests of the past stay"


class TestLatency:
    def test_each_sign_up_is_in_the_bin_of_its_duration(self, prepared: Site):
        for number, (ago, processed) in enumerate(
            (("62 s", "60 s"), ("74 s", "60 s"), ("134 s", "60 s"), ("136 s", "60 s"))
        ):
            item(prepared, ago, record_id=number, status="completed", processed=processed)
        item(prepared, "3 hours", record_id="long", status="completed", processed="30 min")
        item(prepared, "10 min", record_id="other", operation="UPDATE", status="completed", processed="1 min")
        item(prepared, "5 hours", record_id="before", status="completed", processed="3 hours")
        latency = ask(prepared).latency
        assert latency

        assert {edge: items for edge, items in zip(latency.edges, latency.bins, strict=True) if items} == {
            0: 1, 10: 1, 60: 1, 75: 1, 3600: 1,
        }  # fmt: skip
        assert (latency.items, latency.kept, latency.overdue) == (5, 3, 0)
        assert latency.median == pytest.approx(74, abs=0.1)
        assert latency.longest == pytest.approx(9000, abs=0.1)

    def test_a_schedule_in_seconds_has_an_earlier_target_and_limit(self, prepared: Site):
        for number, took in enumerate(("1.5 s", "19 s", "21 s", "70 s")):
            item(prepared, took, record_id=number, status="completed", processed="0 s")
        item(prepared, "66 s", record_id="late")
        latency = ask(prepared, processor='{"schedule": "5 seconds"}').latency
        assert latency

        assert {edge: items for edge, items in zip(latency.edges, latency.bins, strict=True) if items} == {
            1: 1, 15: 1, 20: 1, 65: 1,
        }  # fmt: skip
        assert (latency.items, latency.kept, latency.overdue) == (4, 2, 1)
        later = ask(prepared).latency
        assert later
        assert (later.kept, later.overdue) == (4, 0)

    def test_items_of_every_operation_have_durations_of_the_same_time(self, prepared: Site):
        item(prepared, "12 s", record_id="a", operation="UPDATE", status="completed", processed="2 s")
        item(prepared, "3 hours", record_id="b", operation="INSERT", status="completed", processed="2 hours")
        found = ask(prepared)

        assert (found.took, found.latency and found.latency.items) == (Durations(1, 10.0, 10.0, 10.0), 0)

    def test_one_that_is_not_completed_is_overdue_and_in_no_bin(self, prepared: Site):
        item(prepared, "125 s", record_id="late")
        item(prepared, "3 hours", record_id="dead", status="failed", retry_count=3)
        item(prepared, "80 s", record_id="in time")
        latency = ask(prepared).latency
        assert latency

        assert (latency.items, latency.median, latency.overdue) == (0, None, 2)
        assert sum(latency.bins) == 0


def test_what_a_role_may_not_see_is_unknown(prepared: Site):
    blind = prepared.as_role("watcher")
    found = ask(blind)
    blind.db.close()

    assert (found.depths, found.sent, found.latency) == (None, None, None)
    assert found.unknown == {
        "items": "watcher may not read public.sync_queue",
        "requests": "watcher may not read bubble_sync.dispatches",
    }
