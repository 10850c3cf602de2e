"""Several requests in one run: as many as are free, one alone without claims, and a backlog counted to a bound."""

from __future__ import annotations

import psycopg
import pytest

from bubble_sync.config.settings import ProcessorSettings, read_settings
from bubble_sync.health.status import DrainLimit, status
from tests.fixtures.history import item
from tests.fixtures.pages import pages_read
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK, config, functions_in, secret_spec

PROCESSOR = "select public.invoke_bubble_sync_processor()"
FOUND = "[bubble_sync_processor] Found {} pending items, invoking Edge Function"
SKIPPED = "[bubble_sync_processor] Found {} pending items, but the last request is unanswered: skipped"
LOG = "select waiting, skipped from bubble_sync.dispatches where dispatch_id > {} order by dispatch_id"
CLAIMED, SILENT = '{"success": true, "claimed": true, "processed": 5}', '{"success": true, "processed": 5}'
#: What an item of the queue may hold: no field of the answer.
QUOTED = '{"success": true, "processed": 1, "items": ["{\\"claimed\\": true}"]}'


def backlog(site: Site, items: int) -> None:
    site.by_hand(
        "insert into public.sync_queue (table_name, record_id, operation) "
        f"select 'user', 'r' || number, 'INSERT' from generate_series(1, {items}) as number"
    )


def answered(site: Site, content: str, request: int = 900_000, verdict: str = "ok") -> None:
    """Have the newest answer of the Edge Function."""
    site.by_hand(
        "insert into bubble_sync.dispatches (function, waiting, request_id, sent_at, settled_at, verdict) "
        f"values ('bubble_sync_processor', 5, {request}, now() - interval '1 min', now(), '{verdict}')",
        "insert into net._http_response (id, status_code, content, created) "
        f"values ({request}, 200, '{content}', now())",
    )


def unanswered(site: Site, requests: int) -> None:
    site.by_hand(
        "insert into bubble_sync.dispatches (function, waiting, request_id, sent_at) "
        "select 'bubble_sync_processor', 5, 800000 + number, now() - interval '1 s' "
        f"from generate_series(1, {requests}) as number"
    )


def tick(site: Site) -> tuple[list[str], list[int]]:
    """Run once, and return the messages without the requests' ids, and what each request found waiting."""
    (last,) = site.by_hand("select coalesce(max(dispatch_id), 0) as id from bubble_sync.dispatches")
    told: list[str] = []
    with psycopg.connect(site.addresses.database_url, row_factory=psycopg.rows.dict_row) as conn:
        conn.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
        conn.execute(PROCESSOR)
        sent = conn.execute(LOG.format(last["id"])).fetchall()
        conn.rollback()
    assert len([line for line in told if "request ID: " in line]) == len(sent)
    return [line for line in told if "request ID: " not in line], [row["waiting"] for row in sent]


@pytest.fixture
def several(prepared: Site) -> Site:
    """A project whose processor may have four requests unanswered, each of five items."""
    for spec in functions_in("functions", jobs={"processor": ProcessorSettings(requests_per_tick=4)}):
        prepared.converge(spec)
    prepared.converge(secret_spec(name="supabase_url", value="https://example.com"))
    prepared.converge(secret_spec(name="service_role_key", value="sb_secret_key"))
    return prepared


def test_a_backlog_gets_as_many_requests_as_may_be_unanswered(several: Site):
    answered(several, CLAIMED)
    backlog(several, 23)

    assert tick(several) == ([FOUND.format(23)], [23, 18, 13, 8])


@pytest.mark.parametrize(("items", "waiting"), [(1, [1]), (5, [5]), (6, [6, 1]), (11, [11, 6, 1])])
def test_no_request_is_sent_without_an_item_for_it(several: Site, items: int, waiting: list[int]):
    answered(several, CLAIMED)
    backlog(several, items)

    assert tick(several) == ([FOUND.format(items)], waiting)


def test_an_empty_queue_gets_none(several: Site):
    answered(several, CLAIMED)

    assert tick(several) == (["[bubble_sync_processor] No pending items in queue"], [])


def test_what_is_unanswered_leaves_the_rest_and_then_nothing(several: Site):
    answered(several, CLAIMED)
    backlog(several, 100)
    unanswered(several, 3)
    assert tick(several) == ([FOUND.format(100)], [100])

    unanswered(several, 1)
    assert tick(several) == ([SKIPPED.format(100)], [])


def test_a_request_that_is_given_up_on_is_not_counted(several: Site):
    answered(several, CLAIMED)
    backlog(several, 100)
    unanswered(several, 4)
    several.by_hand("update bubble_sync.dispatches set sent_at = now() - interval '91 s' where settled_at is null")

    assert tick(several)[1] == [100, 95, 90, 85]


@pytest.mark.parametrize("content", [None, SILENT, QUOTED, CLAIMED.replace('true, "p', 'false, "p'), "<html>"])
def test_one_request_at_a_time_until_an_answer_says_that_items_are_claimed(several: Site, content: str | None):
    if content is not None:
        answered(several, content)
    backlog(several, 100)
    assert tick(several) == ([FOUND.format(100)], [100])

    unanswered(several, 1)
    assert tick(several) == ([SKIPPED.format(100)], [])


def test_the_newest_good_answer_decides(several: Site):
    backlog(several, 100)
    answered(several, SILENT, 1)
    answered(several, CLAIMED, 2)
    answered(several, '{"error": "busy"}', 3, "rejected")
    assert len(tick(several)[1]) == 4

    answered(several, SILENT, 4)
    assert len(tick(several)[1]) == 1


def test_a_run_at_the_same_time_sends_nothing(several: Site):
    answered(several, CLAIMED)
    backlog(several, 100)
    with psycopg.connect(several.addresses.database_url) as conn:
        conn.execute(PROCESSOR)
        assert tick(several) == ([SKIPPED.format(100)], [])
        conn.rollback()

    assert len(tick(several)[1]) == 4


def test_a_skipped_tick_is_counted(several: Site):
    backlog(several, 3)
    unanswered(several, 1)
    several.by_hand("set role postgres", PROCESSOR)

    assert several.by_hand(LOG.format(0)) == [{"waiting": 5, "skipped": 1}]


@pytest.mark.parametrize(
    ("items", "found", "waiting"), [(1000, "1000", 1000), (1001, "1000+", 1000), (3000, "1000+", 1000)]
)
def test_more_waiting_items_than_the_bound_are_not_counted(several: Site, items: int, found: str, waiting: int):
    answered(several, CLAIMED)
    backlog(several, items)

    told, sent = tick(several)
    assert (told, sent[0]) == ([FOUND.format(found)], waiting)


def test_without_a_readable_log_one_request_is_sent(several: Site):
    answered(several, CLAIMED)
    backlog(several, 100)
    several.by_hand("alter table bubble_sync.dispatches rename to gone")

    told: list[str] = []
    with psycopg.connect(several.addresses.database_url) as conn:
        conn.add_notice_handler(lambda notice: told.append(f"{notice.severity} {notice.message_primary}"))
        conn.execute(PROCESSOR)
        conn.rollback()
    assert [line for line in told if line.startswith("WARNING")]
    assert len([line for line in told if "request ID: " in line]) == 1


def pages(site: Site) -> int:
    """Count the pages of one run that sends a request."""
    with psycopg.connect(site.addresses.database_url) as conn:
        return pages_read(conn, PROCESSOR)


def test_a_run_with_a_hundred_thousand_waiting_reads_at_most_twice_the_pages_of_one_with_ten(several: Site):
    several.by_hand(
        "create index on public.sync_queue (operation) where status = 'pending'", "vacuum (analyze) public.sync_queue"
    )
    backlog(several, 10)
    few = pages(several)
    several.by_hand("truncate public.sync_queue")
    backlog(several, 100_000)
    several.by_hand("vacuum (analyze) public.sync_queue")

    assert pages(several) <= 2 * few
    for spec in functions_in("functions"):
        several.converge(spec)
    assert pages(several) > 2 * few


def limit(site: Site, processor: str) -> DrainLimit | None:
    return status(site.db, read_settings(config(processor=processor)), STACK).drain_limit


def test_the_drain_limit_is_that_of_the_settings_and_of_the_answers(several: Site):
    item(several, "1 s")
    assert limit(several, "{}") == DrainLimit(1, 5, 60)
    assert limit(several, '{"schedule": "5 seconds", "batchSize": 20}') == DrainLimit(1, 20, 5)
    assert limit(several, '{"requestsPerTick": 4}') == DrainLimit(1, 5, 60)
    assert limit(several, '{"active": false}') is None

    answered(several, CLAIMED)
    several.by_hand("update bubble_sync.dispatches set duration_ms = 12000")
    assert limit(several, '{"requestsPerTick": 4}') == DrainLimit(4, 5, 60)
    # A guarded job waits for its last request; the guide's does not.
    assert limit(several, '{"schedule": "5 seconds", "requestsPerTick": 4}') == DrainLimit(4, 5, 15)
    assert limit(several, '{"schedule": "5 seconds", "overlapGuard": false}') == DrainLimit(1, 5, 5)
    assert DrainLimit(1, 5, 60).per_hour == 300
    assert DrainLimit(1, 5, 60).seconds_for(650) == 7800
