"""`run-now`, `retry` and `release-stalled` as a person and a script use them."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess

import pytest

from bubble_sync.config.stacks import CONFIG_VARIABLE
from bubble_sync.local.platform import Platform
from tests.fixtures.history import item
from tests.fixtures.site import Site
from tests.fixtures.specs import jwt
from tests.fixtures.stack import Stack

NOBODY = "error: not a terminal: pass --yes to confirm. Nothing was changed.\n"


@pytest.fixture
def served(converged: Stack) -> Stack:
    """A stack that is up."""
    return converged


@pytest.fixture
def given(served: Stack) -> dict[str, str]:
    return {CONFIG_VARIABLE: served.given()[CONFIG_VARIABLE]}


def at_a_terminal(stack: Stack, answer: str, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ours whose standard input is a terminal, where somebody types an answer."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, f"{answer}\n".encode())
        return subprocess.run(
            ["bubble-sync", *command, *stack.local.arguments], cwd=stack.local.checkout,
            env={**stack.local.environment, **variables}, stdin=theirs, text=True, capture_output=True, check=False,
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)


def failed(site: Site, record: str, **columns: object) -> str:
    given = {"operation": "INSERT", "status": "failed", "retry_count": 3, "error_message": "ada@example.com no"}
    return item(site, "1 hour", record_id=record, **{**given, **columns})


def status_of(site: Site, one: str) -> str:
    (row,) = site.by_hand(f"select status from public.sync_queue where id = '{one}'")
    return str(row["status"])


class TestRunNow:
    def test_from_the_command_to_the_items(self, served: Stack, site: Site, given: dict[str, str]):
        idle = served.ours("run-now", "--wait", **given)
        assert (idle.returncode, idle.stderr) == (0, "")
        assert idle.stdout.splitlines() == [
            "stack local: 0 waiting; the Edge Function takes real items",
            "run: SELECT public.invoke_bubble_sync_processor()  (job bubble-sync-processor, jobid 1)",
            "NOTICE: [bubble_sync_processor] No pending items in queue",
            "nothing to do",
        ]

        item(site, "1 s", operation="INSERT")
        done = served.ours("run-now", "--wait", **given)

        assert done.returncode == 0
        assert done.stderr == "waiting for the answer, 40 s at most ...\n"
        *_, verdict, head, completed, pending = done.stdout.splitlines()
        assert "ok (HTTP 200, 1 processed, 0 failed), after " in verdict
        assert head.split() == ["status", "before", "after"]
        assert (completed.split(), pending.split()) == (["completed", "0", "1"], ["pending", "1", "0"])

    def test_as_json_it_prints_nothing_else(self, served: Stack, site: Site, given: dict[str, str]):
        item(site, "1 s", operation="INSERT")

        done = served.ours("run-now", "--wait", "--json", **given)

        answer = json.loads(done.stdout)
        assert (done.returncode, answer["good"], answer["request"]["verdict"]) == (0, True, "ok")
        assert (answer["before"], answer["after"]) == ({"pending": 1}, {"completed": 1})

    def test_an_item_that_failed_is_one(self, served: Stack, site: Site, given: dict[str, str]):
        item(site, "1 s")  # of a person who is not there

        assert served.ours("run-now", "--wait", **given).returncode == 1

    def test_what_was_not_sent_is_one(self, served: Stack, site: Site, given: dict[str, str]):
        item(site, "1 s")
        site.by_hand("delete from vault.secrets")

        done = served.ours("run-now", **given)

        assert (done.returncode, done.stderr) == (1, "")
        assert (
            "WARNING: [bubble_sync_processor] Vault secrets not configured\nnot sent: the warning says why\n"
            "next: `bubble-sync doctor --stack local"
        ) in done.stdout

    def test_with_nothing_to_run_the_way_out_is_said(self, served: Stack, site: Site, given: dict[str, str]):
        site.by_hand("delete from cron.job", "drop function public.invoke_bubble_sync_processor()")

        done = served.ours("run-now", **given)

        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.endswith("`bubble-sync diff --sql --stack local` prints the SQL for it.\n")
        assert done.stderr.count("\n") == 1

    def test_no_key_of_a_command_is_shown(self, served: Stack, site: Site, given: dict[str, str]):
        key = jwt()
        site.by_hand(f"update cron.job set command = $$do 'begin raise notice ''{key}''; end' --{key}$$")

        for form in ((), ("--json",)):
            done = served.ours("run-now", *form, **given)
            assert done.returncode == 1
            assert "[secret]" in done.stdout
            assert key not in done.stdout + done.stderr

    def test_an_interrupt_ends_the_waiting_with_one_line(
        self, served: Stack, site: Site, given: dict[str, str], platform: Platform
    ):
        item(site, "1 s")
        platform.net_worker.stop()
        try:
            with subprocess.Popen(
                ["bubble-sync", "run-now", "--wait", *served.local.arguments], cwd=served.local.checkout,
                env={**served.local.environment, **given}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                # What a shell starts in the background ignores it.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            ) as process:  # fmt: skip
                assert process.stderr, "it says when it waits"
                while not (waiting := process.stderr.readline()).startswith("waiting"):
                    assert process.poll() is None
                process.send_signal(signal.SIGINT)
                # A signal between the write and its return leaves the line in the buffer.
                said = process.stderr.read().removeprefix(waiting)
        finally:
            platform.net_worker.start()

        assert process.returncode == 130
        assert said.startswith("not waited for: request ")
        assert said.count("\n") == 1


class TestRetry:
    def test_it_shows_asks_and_does(self, served: Stack, site: Site, given: dict[str, str]):
        one = failed(site, "a")

        unasked = served.ours("requeue", "--dead", **given)
        refused = at_a_terminal(served, "n", "requeue", "--dead", **given)
        assert (unasked.returncode, unasked.stderr) == (2, NOBODY)
        assert (refused.returncode, refused.stdout) == (1, unasked.stdout)
        assert refused.stderr.endswith("put 1 item back? [y/N]: nothing was changed\n")
        assert status_of(site, one) == "failed"
        for shown in (one, "INSERT: [email] no", "failed -> pending", "3/3", "bubble-sync-processor"):
            assert shown in unasked.stdout

        done = at_a_terminal(served, "y", "requeue", "--dead", **given)
        assert (done.returncode, done.stdout) == (0, unasked.stdout + "1 item put back\n")
        assert status_of(site, one) == "pending"
        again = served.ours("requeue", "--dead", **given)
        assert (again.returncode, again.stdout, again.stderr) == (0, "no item is dead\n", "")

    def test_what_is_left_alone_is_listed_and_one(self, served: Stack, site: Site, given: dict[str, str]):
        one, done, conflict = failed(site, "a"), failed(site, "b", status="completed"), failed(site, "c")
        item(site, "1 s", record_id="c")

        answer = served.ours("requeue", one, done, conflict, "absent", "--yes", "--json", **given)

        assert (answer.returncode, answer.stderr) == (1, "")
        found = json.loads(answer.stdout)
        assert found["changed"] == [one]
        assert {passed["id"]: passed["why"].split(":")[0] for passed in found["skipped"]} == {
            done: "it is completed", "absent": "there is no such item", conflict: "conflict",
        }  # fmt: skip

    def test_many_items_are_counted_and_not_all_shown(self, served: Stack, site: Site, given: dict[str, str]):
        for number in range(25):
            failed(site, str(number))

        done = served.ours("requeue", "--dead", "--yes", **given)

        assert "... and 5 more\n" in done.stdout
        assert done.stdout.endswith("25 items put back\n")

    def test_items_of_one_error_are_discarded_and_one_comes_back(
        self, served: Stack, site: Site, given: dict[str, str]
    ):
        gone, other = failed(site, "a", error_message="no such user"), failed(site, "b", error_message="HTTP 500")

        shown = served.ours("discard", "--error", "No such", **given)
        assert (shown.returncode, shown.stderr) == (2, NOBODY)
        done = served.ours("discard", "--error", "No such", "--yes", **given)

        assert (done.returncode, done.stdout) == (0, shown.stdout + "1 item discarded\n")
        for line in ("failed -> skipped", "ID` puts one back"):
            assert line in done.stdout
        assert (status_of(site, gone), status_of(site, other)) == ("skipped", "failed")
        assert served.ours("discard", "--error", "No such", **given).stdout == "no item matches\n"
        assert served.ours("requeue", gone, "--yes", **given).returncode == 0
        assert status_of(site, gone) == "pending"

    def test_what_is_asked_wrongly_is_two(self, served: Stack, given: dict[str, str]):
        for wrong in (
            ("requeue",), ("requeue", "x", "--dead"), ("requeue", "--limit", "5"),
            ("requeue", "--dead", "--since", "x"),
            ("discard", "x", "--error", "y"), ("release-stalled", "--older-than", "5s"),
        ):  # fmt: skip
            done = served.ours(*wrong, **given)
            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr.startswith("error: ")
        assert served.ours("requeue", "--dead", "--json", **given).returncode == 0


def test_release_stalled_shows_asks_and_does(served: Stack, site: Site, given: dict[str, str]):
    one = item(site, "31 min", operation="UPDATE", status="processing")

    unasked = served.ours("release-stalled", **given)
    assert (unasked.returncode, unasked.stderr) == (2, NOBODY)
    assert status_of(site, one) == "processing"
    done = served.ours("release-stalled", "--older-than", "30m", "--yes", **given)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == unasked.stdout + "1 item put back\n"
    assert status_of(site, one) == "failed"
    assert served.ours("release-stalled", **given).stdout == "no item is stalled\n"


def test_release_stalled_waits_for_a_request_that_may_be_at_work(served: Stack, site: Site, given: dict[str, str]):
    item(site, "31 min", status="processing")
    site.by_hand("insert into bubble_sync.dispatches (function, request_id) values ('bubble_sync_processor', 900)")

    done = served.ours("release-stalled", "--yes", **given)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: request 900 has no answer yet, and may be working on these items: ")
