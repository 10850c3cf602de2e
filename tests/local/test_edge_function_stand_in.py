"""The Edge Function stand-in: who may call it, and what it does to the queue."""

from __future__ import annotations

import httpx
import psycopg
import pytest

from bubble_sync.local.behaviour import Behaviour
from tests.fixtures.platform import edge_requests

PATH = "/functions/v1/bubble_sync"
DRAIN = {"action": "process_queue_data_api", "payload": {"limit": 10, "batch_size": 5}}
RETRY = {"action": "retry_failed", "payload": {}}


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def call(database, body=DRAIN, headers=None):
    keys = bearer(database.service_role_key) if headers is None else headers
    return httpx.post(database.endpoint_url + PATH, json=body, headers=keys, trust_env=False)


def queue(database):
    with psycopg.connect(database.database_url) as connection:
        return connection.execute(
            "select status, error_message, retry_count, processed_at is not null from public.sync_queue"
            " order by created_at, id"
        ).fetchall()


def test_a_legacy_key_goes_in_as_bearer_and_a_secret_key_as_apikey(database, platform):
    assert call(database).status_code == 200
    assert call(database, headers={"apikey": database.secret_key}).status_code == 200
    assert [(each["key_kind"], each["key"]) for each in edge_requests(platform)] == [
        ("bearer", "accepted"),
        ("apikey", "accepted"),
    ]


@pytest.mark.parametrize("kind", ["secret as bearer", "legacy as apikey", "wrong", "none"])
def test_every_other_way_is_401_and_touches_nothing(database, platform, kind):
    platform.sign_up("kept@example.test")
    headers = {
        "secret as bearer": bearer(database.secret_key),
        "legacy as apikey": {"apikey": database.service_role_key},
        "wrong": bearer("wrong"),
        "none": {},
    }[kind]
    assert call(database, headers=headers).status_code == 401
    assert queue(database) == [("pending", None, 0, False)]
    assert edge_requests(platform)[0]["key"] == "rejected"


def test_the_request_log_never_holds_a_key(database, platform):
    call(database)
    call(database, headers={"apikey": database.secret_key})
    call(database, headers=bearer("wrong-key"))
    log = platform.status().request_log.read_text()
    assert not any(key in log for key in (database.service_role_key, database.secret_key, "wrong-key"))


def test_a_sign_up_is_drained_and_gets_its_three_bubble_ids(database, platform):
    made = platform.sign_up("new@example.test")
    assert call(database).json()["data"] == {
        "processed": 1,
        "success": 1,
        "failed": 0,
        "items": [{"id": made.item_id, "status": "completed"}],
    }
    assert queue(database) == [("completed", None, 0, True)]
    with psycopg.connect(database.database_url) as connection:
        ids = connection.execute(
            'select u.bubble_id, h.bubble_id, g.bubble_id from public."user" as u'
            ' join public.account_host as h on h._id = u."Account - Host / Landlord"'
            ' join public.account_guest as g on g._id = u."Account - Guest" where u._id = %s',
            (made.user_id,),
        ).fetchone()
    assert len(set(ids)) == 3
    assert None not in ids
    assert edge_requests(platform)[0]["items"] == [made.item_id]


def test_one_call_takes_no_more_than_the_smaller_number(database, platform):
    for number in range(7):
        platform.sign_up(f"{number}@example.test")
    assert call(database).json()["data"]["processed"] == 5
    assert call(database).json()["data"]["processed"] == 2


def test_calls_at_the_same_time_share_the_items(database, platform):
    for number in range(12):
        platform.sign_up(f"{number}@example.test")
    with psycopg.connect(database.admin_url) as holder:
        holder.execute("select from public.sync_queue order by created_at, id limit 4 for update")
        first = call(database).json()["data"]["processed"]
    assert (first, call(database).json()["data"]["processed"]) == (5, 5)


def test_told_to_fail_it_marks_the_items_and_a_retry_completes_them(database, platform):
    platform.sign_up("again@example.test")
    platform.behave(Behaviour(fail_with="Bubble said no", retry_after_seconds=0))
    assert call(database).json()["data"]["failed"] == 1
    assert queue(database) == [("failed", "Bubble said no", 1, False)]
    platform.behave(Behaviour())
    assert call(database).json()["data"]["processed"] == 0
    assert call(database, RETRY).json()["data"]["success"] == 1
    assert queue(database) == [("completed", None, 1, True)]


def test_a_failed_item_waits_until_it_is_due(database, platform):
    platform.sign_up("later@example.test")
    platform.behave(Behaviour(fail_with="no"))
    call(database)
    platform.behave(Behaviour())
    assert call(database, RETRY).json()["data"]["processed"] == 0


def test_told_to_abandon_it_leaves_the_items_in_processing(database, platform):
    platform.sign_up("stuck@example.test")
    platform.behave(Behaviour(abandon=True))
    call(database)
    assert queue(database) == [("processing", None, 0, False)]


@pytest.mark.parametrize("status", [401, 404, 500, 503])
def test_told_a_status_it_answers_that_and_touches_nothing(database, platform, status):
    platform.sign_up("kept@example.test")
    platform.behave(Behaviour(status=status))
    assert call(database).status_code == status
    assert queue(database) == [("pending", None, 0, False)]


@pytest.mark.parametrize("body", [{"action": "unknown"}, {"limit": 1}, [], {"action": "retry_failed", "payload": 1}])
def test_what_it_does_not_know_is_400(database, body):
    assert call(database, body).status_code == 400


def test_another_path_is_404_and_another_method_405(database):
    url = database.endpoint_url
    assert httpx.post(f"{url}/functions/v1/other", trust_env=False).status_code == 404
    assert httpx.get(url + PATH, trust_env=False).status_code == 405


def test_an_item_whose_records_are_gone_fails_with_the_reason(database, platform):
    made = platform.sign_up("gone@example.test")
    with psycopg.connect(database.database_url) as connection:
        connection.execute('delete from public."user"')
    assert call(database).json()["data"]["failed"] == 1
    assert made.user_id in queue(database)[0][1]


def test_a_sign_up_is_drained_through_the_database_alone(database, platform):
    platform.sign_up("whole@example.test")
    with psycopg.connect(database.database_url, autocommit=True) as connection:
        connection.execute("create extension pg_net schema extensions")
        (request,) = connection.execute(
            "select net.http_post(%s, jsonb_build_object('action', 'process_queue_data_api'),"
            " headers := jsonb_build_object('Authorization', %s::text))",
            (database.endpoint_url + PATH, f"Bearer {database.service_role_key}"),
        ).fetchone()
        connection.execute("select net._http_collect_response(%s, async := false)", (request,))
    assert queue(database) == [("completed", None, 0, True)]
