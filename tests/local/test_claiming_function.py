"""The Edge Function emulator with the reference SQL: parallel requests work on no item twice and lose none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx
import psycopg
import pytest

from bubble_sync.local.addresses import Addresses
from bubble_sync.local.edge_function.behaviour import Behaviour
from bubble_sync.local.platform import Platform

PATH = "/functions/v1/bubble_sync"
PROCESS, RETRY = "process_queue_data_api", "retry_failed"
LEASES_OVER = "update public.sync_queue set claimed_until = now() where status = 'processing'"
#: Every change of status is a row, and the first worker that completes record 500 dies with its claim.
LOG = """
create table public.work_log (id uuid, status text);
create sequence public.deaths;
create function public.log_work() returns trigger language plpgsql security definer as $$
begin
    if new.status = 'completed' and new.record_id = '500' and nextval('public.deaths') = 1 then
        perform pg_terminate_backend(pg_backend_pid());
        perform pg_sleep(10);
    end if;
    insert into public.work_log values (new.id, new.status);
    return new;
end $$;
create trigger log_work after update on public.sync_queue for each row when (old.status <> new.status)
execute function public.log_work();
"""


@pytest.fixture
def claiming(database: Addresses, platform: Platform) -> Addresses:
    """A project whose owner has installed the reference."""
    platform.claim_items()
    return database


def by_hand(database: Addresses, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def add(database: Addresses, count: int) -> None:
    by_hand(
        database,
        "insert into public.sync_queue (table_name, record_id, operation)"
        f" select 'user', n, 'INSERT' from generate_series(1, {count}) as n",
    )


def call(database: Addresses, action: str = PROCESS, **payload: int) -> httpx.Response:
    return httpx.post(
        database.endpoint_url + PATH,
        json={"action": action, "payload": payload},
        headers={"apikey": database.secret_key},
        timeout=60,
        trust_env=False,
    )


def counts(database: Addresses) -> dict[object, object]:
    return dict(by_hand(database, "select status, count(*) from public.sync_queue group by status"))  # type: ignore[arg-type]


def test_parallel_requests_and_a_killed_worker_neither_lose_an_item_nor_do_one_twice(claiming: Addresses):
    add(claiming, 1000)
    by_hand(claiming, LOG)
    start = Barrier(4)

    def request() -> httpx.Response:
        start.wait()
        return call(claiming, batch_size=10)

    with ThreadPoolExecutor(4) as pool:
        answers = [each.result() for each in [pool.submit(request) for _ in range(4)]]

    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 500]
    done = [answer.json() for answer in answers if answer.status_code == 200]
    assert all(each["success"] and each["claimed"] for each in done)
    stalled = counts(claiming)["processing"]
    assert counts(claiming) == {"completed": 1000 - stalled, "processing": stalled}
    assert call(claiming, RETRY).json()["data"]["processed"] == 0, "the leases still run"
    by_hand(claiming, LEASES_OVER)
    assert call(claiming, RETRY).json()["data"]["success"] == stalled

    assert counts(claiming) == {"completed": 1000}
    work = "select count(*), count(distinct id) from public.work_log where status = '{}'"
    assert by_hand(claiming, work.format("completed")) == [(1000, 1000)]
    assert by_hand(claiming, work.format("processing")) == [(1000 + stalled, 1000)]


def test_without_a_limit_one_request_drains_the_queue_and_says_that_it_claims(claiming: Addresses):
    add(claiming, 12)
    answer = call(claiming, batch_size=5).json()
    assert (answer["success"], answer["claimed"]) == (True, True)
    assert {key: answer["data"][key] for key in ("processed", "success", "failed")} == {
        "processed": 12,
        "success": 12,
        "failed": 0,
    }


def test_a_request_takes_no_more_than_its_limit(claiming: Addresses):
    add(claiming, 12)
    assert call(claiming, limit=7, batch_size=5).json()["data"]["processed"] == 7
    assert counts(claiming) == {"completed": 7, "pending": 5}


def test_a_batch_larger_than_a_claim_is_taken_in_parts(claiming: Addresses):
    add(claiming, 1001)
    assert call(claiming, batch_size=10_000).json()["data"]["processed"] == 1001


def test_an_item_that_another_took_is_neither_done_nor_counted(claiming: Addresses, platform: Platform):
    made = platform.sign_up("late@example.test")
    by_hand(
        claiming,
        "create or replace function public.sync_queue_complete(item_id uuid, token uuid) returns boolean"
        " language sql as 'select false'",
    )
    assert call(claiming).json()["data"] == {"processed": 0, "success": 0, "failed": 0, "items": []}
    assert by_hand(claiming, f"select bubble_id from public.\"user\" where _id = '{made.user_id}'") == [(None,)]


def test_a_failure_is_due_after_the_back_off(claiming: Addresses, platform: Platform):
    add(claiming, 1)
    platform.behave(Behaviour(claims=True, fail_with="Bubble refused"))
    assert call(claiming).json()["data"]["failed"] == 1
    assert call(claiming, RETRY).json()["data"]["processed"] == 0
    by_hand(claiming, "update public.sync_queue set next_retry_at = now()")
    platform.behave(Behaviour(claims=True))
    assert call(claiming, RETRY).json()["data"]["success"] == 1


def test_without_the_reference_it_answers_500(database: Addresses, platform: Platform):
    add(database, 1)
    platform.behave(Behaviour(claims=True))
    answer = call(database)
    assert (answer.status_code, answer.json()["error"]) == (500, "the database refused (SQLSTATE 42883)")
    assert counts(database) == {"pending": 1}


def test_the_default_says_nothing_about_claims(database: Addresses):
    assert "claimed" not in call(database).json()
