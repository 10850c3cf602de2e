"""The Edge Function emulator: who may call it, and what it does to the queue."""

from __future__ import annotations

from pathlib import Path

import httpx
import psycopg
import pytest
from pydantic import ValidationError

from bubble_sync.local.addresses import Addresses
from bubble_sync.local.edge_function.behaviour import BEHAVIOUR_FILE, Behaviour
from tests.fixtures.platform import edge_requests

PATH = "/functions/v1/bubble_sync"
DRAIN = {"action": "process_queue_data_api", "payload": {"limit": 10, "batch_size": 5}}
RETRY = {"action": "retry_failed", "payload": {}}
COUNT = {"action": "get_status"}

#: The keys of another project: of the right shapes, and wrong.
OTHER = Addresses.fresh(Path("/another"))

#: What a caller may read: data, the function's own 401, or one of the gateway's.
SERVED = (200, True)
FUNCTION = (401, {"success": False, "error": "no valid key"})
MISSING = (401, {"code": 401, "message": "Missing authorization header"})
INVALID = (401, {"code": 401, "message": "Invalid JWT"})
LEGACY = (401, {"code": "UNAUTHORIZED_LEGACY_JWT", "message": "Invalid JWT"})

#: What is sent, and the kind of key that the request log says it is.
SENT = {
    "no key": "none",
    "own legacy as bearer": "bearer",
    "own secret as apikey": "apikey",
    "own secret as bearer": "bearer",
    "own legacy as apikey": "apikey",
    "other legacy as bearer": "bearer",
    "other secret as apikey": "apikey",
    "other secret as bearer": "bearer",
    "nonsense as bearer": "bearer",
    "nonsense as apikey": "apikey",
}
BOTH_OTHERS = (OTHER.service_role_key, OTHER.secret_key)
OPEN = {"verify_jwt": False, "checks_key": False}

#: How it is told to behave, and the answers to what is sent, in that order.
MODES = {
    "the function checks": (
        {},
        [FUNCTION, SERVED, SERVED, FUNCTION, FUNCTION, FUNCTION, FUNCTION, FUNCTION, FUNCTION, FUNCTION],
    ),
    "nobody checks": (OPEN, [SERVED] * 10),
    "the gateway checks": (
        {"verify_jwt": True, "checks_key": False},
        [MISSING, SERVED, MISSING, INVALID, MISSING, INVALID, MISSING, INVALID, INVALID, MISSING],
    ),
    "both check": (
        {"verify_jwt": True},
        [MISSING, SERVED, MISSING, INVALID, MISSING, INVALID, MISSING, INVALID, INVALID, MISSING],
    ),
    "legacy off, the function checks": (
        {"legacy_disabled": True},
        [FUNCTION, FUNCTION, SERVED, FUNCTION, FUNCTION, FUNCTION, FUNCTION, FUNCTION, FUNCTION, FUNCTION],
    ),
    "legacy off, nobody checks": ({"legacy_disabled": True, **OPEN}, [SERVED] * 10),
    "legacy off, the gateway checks": (
        {"legacy_disabled": True, "verify_jwt": True, "checks_key": False},
        [MISSING, LEGACY, MISSING, INVALID, MISSING, LEGACY, MISSING, INVALID, INVALID, MISSING],
    ),
    "legacy off, both check": (
        {"legacy_disabled": True, "verify_jwt": True},
        [MISSING, LEGACY, MISSING, INVALID, MISSING, LEGACY, MISSING, INVALID, INVALID, MISSING],
    ),
    "two pairs are right": (
        {"keys": BOTH_OTHERS},
        [FUNCTION, SERVED, SERVED, FUNCTION, FUNCTION, SERVED, SERVED, FUNCTION, FUNCTION, FUNCTION],
    ),
    "two pairs are right, both check": (
        {"keys": BOTH_OTHERS, "verify_jwt": True},
        [MISSING, SERVED, MISSING, INVALID, MISSING, SERVED, MISSING, INVALID, INVALID, MISSING],
    ),
    "the own pair is revoked": (
        {"keys": BOTH_OTHERS, "own_keys": False},
        [FUNCTION, FUNCTION, FUNCTION, FUNCTION, FUNCTION, SERVED, SERVED, FUNCTION, FUNCTION, FUNCTION],
    ),
    "the own pair is revoked, both check": (
        {"keys": BOTH_OTHERS, "own_keys": False, "verify_jwt": True},
        [MISSING, INVALID, MISSING, INVALID, MISSING, SERVED, MISSING, INVALID, INVALID, MISSING],
    ),
    "only the new secret key is left": (
        {"keys": (OTHER.secret_key,), "own_keys": False, "legacy_disabled": True},
        [FUNCTION, FUNCTION, FUNCTION, FUNCTION, FUNCTION, FUNCTION, SERVED, FUNCTION, FUNCTION, FUNCTION],
    ),
    "no key is left": ({"own_keys": False}, [FUNCTION] * 10),
}
CASES = [
    pytest.param(behaviour, sent, answer, id=f"{mode}: {sent}")
    for mode, (behaviour, answers) in MODES.items()
    for sent, answer in zip(SENT, answers, strict=True)
]


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def call(database, body=DRAIN, headers=None):
    keys = bearer(database.service_role_key) if headers is None else headers
    return httpx.post(database.endpoint_url + PATH, json=body, headers=keys, trust_env=False)


def headers_for(database, sent):
    """Read 'own legacy as bearer' and its like."""
    name, _, way = sent.partition(" as ")
    key = {
        "own legacy": database.service_role_key,
        "own secret": database.secret_key,
        "other legacy": OTHER.service_role_key,
        "other secret": OTHER.secret_key,
        "nonsense": "nonsense",
        "no key": None,
    }[name]
    return {"bearer": bearer(key), "apikey": {"apikey": key}, "": {}}[way]


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


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("behaviour", "sent", "answer"), CASES)
def test_each_mode_serves_whom_it_shall_and_says_who_refused(database, platform, behaviour, sent, answer):
    platform.behave(Behaviour(**behaviour))
    platform.sign_up("new@example.test")
    response = call(database, headers=headers_for(database, sent))
    said = response.json()
    assert (response.status_code, said.get("success") if answer == SERVED else said) == answer
    assert [row[0] for row in queue(database)] == ["completed" if answer == SERVED else "pending"]
    checked = not OPEN.items() <= behaviour.items()
    (logged,) = edge_requests(platform)
    assert logged["key_kind"] == SENT[sent]
    assert logged["key"] == ("rejected" if answer != SERVED else "accepted" if checked else "unchecked")


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (("own legacy as bearer", "nonsense as apikey"), "bearer"),
        (("nonsense as bearer", "own secret as apikey"), "apikey"),
        (("own legacy as bearer", "own secret as apikey"), "bearer"),
    ],
)
def test_the_function_takes_either_header(database, platform, sent, kind):
    both = {name: value for each in sent for name, value in headers_for(database, each).items()}
    assert call(database, COUNT, both).status_code == 200
    (logged,) = edge_requests(platform)
    assert (logged["key_kind"], logged["key"]) == (kind, "accepted")


def test_the_gateway_looks_at_the_bearer_alone(database, platform):
    platform.behave(Behaviour(verify_jwt=True))
    both = {**bearer("nonsense"), "apikey": database.secret_key}
    assert call(database, headers=both).json() == INVALID[1]


def test_a_header_is_found_however_its_name_is_written(database):
    for name, key in (("authorization", f"Bearer {database.service_role_key}"), ("ApiKey", database.secret_key)):
        assert call(database, headers={name: key}).status_code == 200


def test_a_legacy_key_without_the_word_bearer_is_refused(database):
    assert call(database, headers={"Authorization": database.service_role_key}).json() == FUNCTION[1]


def test_keys_it_is_told_are_in_no_text_and_in_a_file_for_its_owner_alone(database, platform):
    told = Behaviour(keys=BOTH_OTHERS)
    with pytest.raises(ValidationError) as problem:
        Behaviour.model_validate({"keys": OTHER.secret_key})
    assert not any(key in repr(told) + str(told) + str(problem.value) for key in BOTH_OTHERS)
    platform.behave(told)
    assert (database.folder / BEHAVIOUR_FILE).stat().st_mode & 0o077 == 0


def test_the_request_log_never_holds_a_key(database, platform):
    call(database)
    call(database, headers={"apikey": database.secret_key})
    call(database, headers=bearer("wrong-key"))
    platform.behave(Behaviour(keys=BOTH_OTHERS))
    call(database, headers=bearer(OTHER.service_role_key))
    call(database, headers={"apikey": OTHER.secret_key})
    log = platform.status().request_log.read_text()
    keys = (database.service_role_key, database.secret_key, "wrong-key", *BOTH_OTHERS)
    assert not any(key in log for key in keys)


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


def test_asked_for_the_status_it_counts_the_items_and_touches_none(database, platform):
    assert call(database, COUNT).json() == {
        "success": True,
        "data": {"pending": 0, "processing": 0, "completed": 0, "failed": 0},
    }
    for number in range(6):
        platform.sign_up(f"{number}@example.test")
    with psycopg.connect(database.database_url) as connection:
        for status, number in (("processing", 1), ("completed", 1), ("failed", 2)):
            connection.execute(
                "update public.sync_queue set status = %s where id in"
                " (select id from public.sync_queue where status = 'pending' limit %s)",
                (status, number),
            )
    before = queue(database)
    assert call(database, COUNT).json()["data"] == {"pending": 2, "processing": 1, "completed": 1, "failed": 2}
    assert queue(database) == before
    logged = edge_requests(platform)[-1]
    assert (logged["action"], logged["items"]) == ("get_status", [])


def test_asked_for_the_status_it_still_fails_as_told(database, platform):
    platform.behave(Behaviour(status=503))
    assert call(database, COUNT).status_code == 503


@pytest.mark.parametrize("status", [401, 404, 500, 503])
def test_told_a_status_it_answers_that_and_touches_nothing(database, platform, status):
    platform.sign_up("kept@example.test")
    platform.behave(Behaviour(status=status))
    assert call(database).status_code == status
    assert queue(database) == [("pending", None, 0, False)]


@pytest.mark.parametrize("body", [b"", b"\xff<", b'{"success": false}', b"[" * 1_000_000])
def test_told_a_body_it_answers_that_and_touches_nothing(database, platform, body):
    platform.sign_up("kept@example.test")
    platform.behave(Behaviour(body=body))
    answer = call(database)
    assert (answer.status_code, answer.content) == (200, body)
    assert queue(database) == [("pending", None, 0, False)]


def test_told_to_be_silent_it_works_and_says_nothing(database, platform):
    platform.sign_up("done@example.test")
    platform.behave(Behaviour(silent=True))
    answer = call(database)
    assert (answer.status_code, answer.content) == (202, b"")
    assert queue(database) == [("completed", None, 0, True)]


def test_told_to_redirect_it_shows_a_page(database, platform):
    platform.behave(Behaviour(redirect=True))
    answer = call(database)
    assert (answer.status_code, answer.headers["location"]) == (302, "/login")
    page = httpx.get(database.endpoint_url + "/login", trust_env=False)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html")
    assert page.text.startswith("<!doctype html>")


@pytest.mark.parametrize("body", [{"action": "unknown"}, {"limit": 1}, [], {"action": "retry_failed", "payload": 1}])
def test_what_it_does_not_know_is_400(database, body):
    assert call(database, body).status_code == 400


def test_where_it_is_not_deployed_the_gateway_says_so(database, platform):
    platform.behave(Behaviour(deployed=False))
    answer = call(database)
    assert (answer.status_code, answer.json()["message"]) == (404, "Requested function was not found")


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
