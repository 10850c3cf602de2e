"""examples/edge-function in Deno on the platform: its types, its callers, its answers, and items worked on once."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest

from bubble_sync.actions import run_now
from bubble_sync.local.addresses import Addresses
from bubble_sync.records.requests import follow
from tests.fixtures.reference_function import FOLDER, ReferenceFunction
from tests.fixtures.site import Site, stack_functions
from tests.fixtures.specs import secret_spec
from tests.fixtures.tools import require_tool

RETRY = "retry_failed"
LEASES_OVER = "update public.sync_queue set claimed_until = now() where status = 'processing'"
OTHER = Addresses.fresh(Path("/another"))


def by_hand(function: ReferenceFunction, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(function.database.admin_url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def add(function: ReferenceFunction, count: int) -> None:
    by_hand(
        function,
        "insert into public.sync_queue (table_name, record_id, operation, payload, created_at)"
        " select 'user', n, 'INSERT', jsonb_build_object('n', n), now() - interval '1 day' + n * interval '1 s'"
        f" from generate_series(1, {count}) as n",
    )


def statuses(function: ReferenceFunction) -> dict[object, object]:
    return dict(by_hand(function, "select status, count(*) from public.sync_queue group by status"))  # type: ignore[arg-type]


def copy(folder: Path, old: str, new: str) -> None:
    """Write the function with other text into a folder."""
    for file in FOLDER.glob("*.ts"):
        (folder / file.name).write_text(file.read_text().replace(old, new))
    assert any(new in file.read_text() for file in folder.iterdir())


@pytest.mark.parametrize("command", [("check", "index.ts"), ("lint",), ("fmt", "--check")], ids=lambda it: it[0])
def test_deno_finds_nothing_in_the_files(command: tuple[str, ...], deno_cache: Path):
    done = subprocess.run(
        [require_tool("deno"), *command],
        cwd=FOLDER,
        env={"DENO_DIR": str(deno_cache), "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_deno_finds_a_wrong_type(deno_cache: Path, tmp_path: Path):
    copy(tmp_path, "item_id: item.id", "item_id: item.ident.length")
    done = subprocess.run(
        [require_tool("deno"), "check", "index.ts"],
        cwd=tmp_path,
        env={"DENO_DIR": str(deno_cache), "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "TS18046" in done.stderr or "TS2339" in done.stderr


class TestCallers:
    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({}, 401),
            ({"apikey": "own secret"}, 200),
            ({"Authorization": "Bearer own legacy"}, 200),
            ({"Authorization": "own legacy"}, 401),
            ({"Authorization": "Bearer own secret"}, 401),
            ({"apikey": "own legacy"}, 401),
            ({"apikey": OTHER.secret_key}, 401),
            ({"Authorization": f"Bearer {OTHER.service_role_key}"}, 401),
            ({"apikey": "own secret", "Authorization": "Bearer nonsense"}, 200),
        ],
    )
    def test_a_key_in_its_own_header_is_served_and_no_other(
        self, reference_function: ReferenceFunction, headers: dict[str, str], status: int
    ):
        own = reference_function.database
        add(reference_function, 1)
        answer = httpx.post(
            reference_function.start(),
            json={"action": "process_queue_data_api", "payload": {}},
            headers={
                name: value.replace("own secret", own.secret_key).replace("own legacy", own.service_role_key)
                for name, value in headers.items()
            },
            trust_env=False,
        )
        assert answer.status_code == status
        if status == 401:
            assert answer.json() == {"success": False, "error": "no valid key"}
            assert statuses(reference_function) == {"pending": 1}

    @pytest.mark.parametrize("keys", ["", " , "])
    def test_without_a_configured_key_no_caller_is_served(self, reference_function: ReferenceFunction, keys: str):
        url = reference_function.start(BUBBLE_SYNC_KEYS=keys)
        assert reference_function.call(url).status_code == 401
        assert httpx.post(url, json={}, headers={"apikey": ""}, trust_env=False).status_code == 401

    def test_a_secret_that_is_not_set_is_named_and_no_item_taken(self, reference_function: ReferenceFunction):
        add(reference_function, 1)
        answer = reference_function.call(reference_function.start(BUBBLE_WORKFLOW_URL=""))
        assert (answer.status_code, answer.json()["error"]) == (500, "not set: BUBBLE_WORKFLOW_URL")
        assert statuses(reference_function) == {"pending": 1}

    @pytest.mark.parametrize(
        "body",
        ["{", "[]", '{"action": "get_status"}', '{"action": "retry_failed", "payload": {"limit": 0}}',
         '{"action": "retry_failed", "payload": {"batch_size": "5"}}'],
    )  # fmt: skip
    def test_an_unknown_call_is_400_and_takes_no_item(self, reference_function: ReferenceFunction, body: str):
        add(reference_function, 1)
        headers = {"apikey": reference_function.database.secret_key}
        answer = httpx.post(reference_function.start(), content=body, headers=headers, trust_env=False)
        assert (answer.status_code, answer.json()["success"]) == (400, False)
        assert statuses(reference_function) == {"pending": 1}


class TestDrain:
    def test_the_answer_has_the_counts_that_the_verdicts_read(self, reference_function: ReferenceFunction):
        add(reference_function, 12)
        reference_function.bubble.statuses["7"] = 503
        answer = reference_function.call(reference_function.start(), batch_size=5)
        assert answer.json() == {"success": True, "claimed": True, "processed": 12, "failed": 1, "late": 0}
        assert statuses(reference_function) == {"completed": 11, "failed": 1}
        failed = by_hand(
            reference_function,
            "select record_id, error_message, retry_count, next_retry_at > now() + interval '50 s'"
            " from public.sync_queue where status = 'failed'",
        )
        assert failed == [("7", "Bubble answered HTTP 503", 1, True)]

    def test_bubble_gets_each_item_once_with_its_id_and_payload(self, reference_function: ReferenceFunction):
        add(reference_function, 3)
        reference_function.call(reference_function.start())
        ids = [row[0] for row in by_hand(reference_function, "select id::text from public.sync_queue")]
        assert reference_function.bubble.came == dict.fromkeys(ids, 1)
        bodies = sorted(reference_function.bubble.bodies, key=lambda body: str(body["record_id"]))
        assert bodies == [{"record_id": str(n), "operation": "INSERT", "payload": {"n": n}} for n in (1, 2, 3)]

    def test_a_call_takes_no_more_than_its_limit_the_oldest_first(self, reference_function: ReferenceFunction):
        add(reference_function, 9)
        answer = reference_function.call(reference_function.start(), limit=7, batch_size=5)
        assert answer.json()["processed"] == 7
        left = by_hand(
            reference_function, "select record_id from public.sync_queue where status = 'pending' order by 1"
        )
        assert left == [("8",), ("9",)]

    def test_a_call_claims_nothing_when_its_time_is_over(self, reference_function: ReferenceFunction, tmp_path: Path):
        add(reference_function, 1)
        copy(tmp_path, "CLAIMING_MS = 20_000", "CLAIMING_MS = 0")
        answer = reference_function.call(reference_function.start(tmp_path))
        assert (answer.json()["success"], answer.json()["processed"]) == (True, 0)
        assert statuses(reference_function) == {"pending": 1}

    def test_a_failed_item_that_is_due_is_completed_by_the_retry(self, reference_function: ReferenceFunction):
        add(reference_function, 1)
        url = reference_function.start()
        reference_function.bubble.statuses["1"] = 500
        assert reference_function.call(url).json()["failed"] == 1
        reference_function.bubble.statuses.clear()
        assert reference_function.call(url, RETRY).json()["processed"] == 0, "not due"
        by_hand(reference_function, "update public.sync_queue set next_retry_at = now()")
        assert reference_function.call(url, RETRY).json()["processed"] == 1
        assert statuses(reference_function) == {"completed": 1}

    def test_a_bubble_that_does_not_answer_is_a_failure_without_its_address(
        self, reference_function: ReferenceFunction
    ):
        add(reference_function, 1)
        url = reference_function.start(BUBBLE_WORKFLOW_URL="http://127.0.0.1:1/?api_token=hidden")
        assert reference_function.call(url).json()["failed"] == 1
        errors = by_hand(reference_function, "select error_message from public.sync_queue")
        assert errors == [("Bubble did not answer (TypeError)",)]

    def test_a_late_worker_leaves_the_item_to_the_other(self, reference_function: ReferenceFunction):
        add(reference_function, 1)
        bubble, (slow, quick) = reference_function.bubble, (reference_function.start(), reference_function.start())
        bubble.held_record = "1"
        with ThreadPoolExecutor(2) as pool:
            late = pool.submit(reference_function.call, slow)
            assert bubble.held.get(timeout=20) == "/0"
            by_hand(reference_function, LEASES_OVER)
            other = pool.submit(reference_function.call, quick, RETRY)
            # The other worker has the item: only now may Bubble answer either.
            assert bubble.held.get(timeout=20) == "/1"
            bubble.release.set()
            answers = [late.result().json(), other.result().json()]
        assert [(answer["processed"], answer["late"]) for answer in answers] == [(0, 1), (1, 0)]
        assert statuses(reference_function) == {"completed": 1}

    @pytest.mark.parametrize("with_key", ["SUPABASE_SECRET_KEYS", "SUPABASE_SERVICE_ROLE_KEY"])
    def test_the_queue_takes_either_key_of_the_project(self, reference_function: ReferenceFunction, with_key: str):
        keys = {"SUPABASE_SECRET_KEYS": "", "SUPABASE_SERVICE_ROLE_KEY": reference_function.database.service_role_key}
        url = reference_function.start(**(keys if with_key == "SUPABASE_SERVICE_ROLE_KEY" else {}))
        assert reference_function.call(url).json()["success"] is True

    def test_a_queue_that_refuses_is_500_and_quotes_no_key(self, reference_function: ReferenceFunction):
        url = reference_function.start(SUPABASE_SECRET_KEYS=f'{{"default": "{OTHER.secret_key}"}}')
        answer = reference_function.call(url)
        assert (answer.status_code, answer.json()["success"]) == (500, False)
        assert OTHER.secret_key not in answer.text


@pytest.mark.parametrize("kind", ["secret", "legacy"])
@pytest.mark.parametrize(("bubble_status", "verdict"), [(200, "ok"), (500, "partial")])
def test_a_tick_of_the_processor_reads_the_verdict_of_its_answer(
    prepared: Site, reference_function: ReferenceFunction, kind: str, bubble_status: int, verdict: str
):
    own = reference_function.database
    key = own.secret_key if kind == "secret" else own.service_role_key
    for spec in stack_functions():
        prepared.converge(spec)
    for name, value in (("supabase_url", reference_function.start()), ("service_role_key", key)):
        prepared.converge(secret_spec(name=name, value=value))
    add(reference_function, 12)
    reference_function.bubble.statuses["3"] = bubble_status

    run = run_now.run_command(prepared.db, run_now.prepare_run(prepared.db, "test"), "test", lambda notice: None)

    (request,) = run.requests
    answered = follow(prepared.db, request, 20)
    # The guide's numbers: ten items of a request.
    assert (answered.verdict, answered.processed, answered.failed) == (verdict, 10, int(verdict == "partial"))


def test_parallel_requests_and_a_killed_process_neither_lose_an_item_nor_repeat_one_of_the_others(
    reference_function: ReferenceFunction,
):
    """Two processes with two requests each; the one that has item 500 is killed while Bubble works on it."""
    add(reference_function, 1000)
    function, bubble = reference_function, reference_function.bubble
    urls = [function.start(), function.start()]
    bubble.held_record = "500"
    with ThreadPoolExecutor(4) as pool:
        requests = [pool.submit(function.call, url, batch_size=25) for url in urls * 2]
        killed = int(bubble.held.get(timeout=60).removeprefix("/"))
        function.started[killed].kill()
        bubble.release.set()
        ended = [request.exception() for request in requests]
    assert sum(isinstance(each, httpx.TransportError) for each in ended) == 2
    at_work = by_hand(function, "select id::text, record_id from public.sync_queue where status = 'processing'")
    assert "500" in {record for _, record in at_work}
    stalled = {id for id, _ in at_work}
    assert statuses(function) == {"completed": 1000 - len(stalled), "processing": len(stalled)}

    by_hand(function, LEASES_OVER)
    assert function.call(urls[1 - killed], RETRY, batch_size=25).json()["processed"] == len(stalled)

    assert statuses(function) == {"completed": 1000}
    assert len(bubble.came) == 1000
    assert {key for key, times in bubble.came.items() if times > 1} <= stalled
