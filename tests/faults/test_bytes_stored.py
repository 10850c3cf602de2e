"""Text of others in a real database: what the commands read of it, and what the alerts post."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import strategies as st

from bubble_sync.cli import doctor, failures, runs, status, trace, verify
from bubble_sync.cli.metrics import text_of
from bubble_sync.cli.output import print_answer, print_coloured, print_document, print_markdown
from bubble_sync.cli.render.diff import comparison_document, comparison_markdown, comparison_text
from bubble_sync.cli.render.report_page import page
from bubble_sync.compare import diff
from bubble_sync.config.settings import AlertSettings
from bubble_sync.errors import ForeignObject
from bubble_sync.health import doctor as doctors
from bubble_sync.health import failures as failed
from bubble_sync.health import metrics as measured
from bubble_sync.health import report as reports
from bubble_sync.health import runs as history
from bubble_sync.health import status as states
from bubble_sync.health import trace as traces
from bubble_sync.health import verify as checklists
from bubble_sync.model.setup import desired_state
from bubble_sync.specs import Owner
from tests.faults import bytes as others
from tests.faults.bytes import judge_log, judge_markdown, judge_secrets, storable
from tests.faults.conftest import Row
from tests.faults.test_bytes import printed, sweep
from tests.fixtures.breaking import set_up, working
from tests.fixtures.site import Site, stack_functions
from tests.fixtures.specs import REF, STACK, WEBHOOK_NAME, functions_in, ledger_spec, secret_spec
from tests.fixtures.stack import Stack

OPERATION = storable.filter(bool) | st.sampled_from(["INSERT", "UPDATE", "DELETE", "SIGNUP_ATOMIC"])
STATUS = st.sampled_from(["failed", "failed", "pending", "completed", "processing"]) | storable
ITEMS = st.lists(st.tuples(OPERATION, STATUS, storable, st.sampled_from(others.SECRETS)), min_size=1, max_size=3)
_NEWS = r"bubble-sync, stack test \([a-z]{20}\)(\n- [a-zA-Z0-9 ,.;:()_']+)+(\nNext: bubble-sync doctor --stack test)?"
MESSAGE = re.compile(rf"{_NEWS}(\n{_NEWS})*")
"""What a post of the alerts may be made of: counts and words of ours. A post repeats the news of one that failed."""

UNCHECKED = (
    "alter table public.sync_queue drop constraint sync_queue_operation_check, drop constraint sync_queue_status_check"
)


def insert(conn: psycopg.Connection[Any], items: list[tuple[str, str, str, str]]) -> list[str]:
    """Put items in place of those in the queue; return their ids."""
    conn.execute("delete from public.sync_queue")
    return [
        str(conn.execute(
            "insert into public.sync_queue (table_name, record_id, operation, status, error_message, retry_count) "
            "values (%s, %s, %s, %s, %s, 9) returning id",
            [text, text or "r", operation, status, f"{text} {secret} {text}"],
        ).fetchone()[0])
        for operation, status, text, secret in items
    ]  # fmt: skip


SIZES = [pytest.param(2, id="sample"), pytest.param(30, id="whole", marks=pytest.mark.matrix)]


@pytest.mark.parametrize("size", SIZES)
def test_alerts_post_counts_and_words_of_ours_whatever_the_items_hold(prepared: Site, size: int, tally: list[Row]):
    prepared.by_hand(UNCHECKED)
    prepared.converge(ledger_spec(tables=["dispatches", "alerts"]))
    prepared.converge(secret_spec(name=WEBHOOK_NAME, value="http://127.0.0.1:1/services/x"))
    for spec in functions_in("alerts", alerts=AlertSettings(), owner=Owner(STACK, REF), dispatch_log=True):
        prepared.converge(spec)

    with psycopg.connect(prepared.addresses.admin_url, autocommit=True) as conn:

        def judge(items: list[tuple[str, str, str, str]]) -> None:
            insert(conn, items)
            conn.execute("truncate bubble_sync.dispatches, bubble_sync.alerts")
            for _, _, text, secret in items:
                conn.execute(
                    "insert into bubble_sync.dispatches (function, settled_at, status_code, verdict, error) "
                    "values (%s, now(), 401, 'rejected', %s)",
                    [text, f"{text} {secret}"],
                )
            # The first call says that alerts are on; a day later each condition and both reports are due.
            conn.execute("set role postgres")
            conn.execute("select bubble_sync.alert()")
            conn.execute(
                "update bubble_sync.alerts set failed = 0, failed_items = 0, daily_told = '-infinity', "
                "weekly_told = '-infinity', failures_told = '-infinity'"
            )
            conn.execute("select bubble_sync.alert()")
            conn.execute("reset role")
            taken = "delete from net.http_request_queue returning convert_from(body, 'UTF8')"
            for (body,) in conn.execute(taken).fetchall():
                assert MESSAGE.fullmatch(json.loads(body)["text"]), body

        sweep(size, ITEMS, judge)
    tally.append(Row("bytes", "alerts to a webhook (in the database)", size, size))


@pytest.fixture
def project(site: Site) -> Site:
    """A project as `up` leaves it, without Pulumi."""
    set_up(site, working())
    return site


def fill(conn: psycopg.Connection[Any], items: list[tuple[str, str, str, str]]) -> str:
    """Put text of others wherever a role of the database may write it; return the id of the first item."""
    item, *_ = insert(conn, items)
    _, _, text, secret = items[0]
    message = f"{text} {secret} {text}"
    conn.execute("truncate bubble_sync.dispatches, cron.job_run_details, net._http_response")
    conn.execute(
        "insert into bubble_sync.dispatches (function, request_id, waiting, sent_at, settled_at, status_code, "
        "verdict, error) values ('bubble_sync_processor', 1, 1, now(), now(), 401, 'rejected', %s), "
        "(%s, 2, 1, now(), null, null, null, null)",
        [message, text],
    )
    conn.execute(
        "insert into net._http_response (id, status_code, content, content_type, headers, timed_out, error_msg) "
        "values (2, 200, %s, %s, '{}', false, null), (3, null, null, null, null, true, %s)",
        [message, text, message],
    )
    conn.execute(
        "insert into cron.job_run_details (jobid, runid, database, username, command, status, return_message, "
        "start_time, end_time) select jobid, jobid + 9, database, username, %s, 'failed', %s, now(), now() "
        "from cron.job",
        [message, message],
    )
    conn.execute(
        "update cron.job set jobname = %s, command = %s where command like '%%select 1%%'",
        [f"others {text}", f"select 1 -- {text} {secret} functions/v1/bubble_sync"],
    )
    conn.execute("select vault.update_secret(id, new_description => %s) from vault.secrets", [text])
    return item


def judge_questions(site: Site, item: str) -> None:
    """Ask what the commands ask, print each answer in both forms, and judge the output."""
    db, settings = site.db, working()
    questions: tuple[tuple[Any, Any], ...] = (
        (states.status(db, settings, STACK), status._show),
        (failed.failures(db, STACK, REF, 50), failures._show),
        (history.runs(db, settings, STACK, 50), runs._show),
        (doctors.doctor(db, settings, STACK), doctor._show),
        (checklists.verify(db, settings, STACK, REF), verify._show),
        (traces.trace(db, settings, STACK, REF, item), trace._show),
    )
    for answer, show in questions:
        for as_json in (False, True):
            with printed() as shown:
                print_answer(answer, show, next="", as_json=as_json)
            judge_log(shown.getvalue())
            judge_secrets(shown.getvalue())


def judge_documents(site: Site) -> None:
    """Write the comparison, the page and the metrics, and judge each."""
    settings = working()
    wanted = desired_state(settings, Owner(STACK, REF))
    comparison = diff.diff(STACK, wanted, diff.find(site.db, wanted), adopt=True)
    with printed() as shown:
        print_coloured(comparison_text(comparison))
        print_document(comparison_document(comparison))
    judge_log(shown.getvalue())
    with printed() as shown:
        print_markdown(comparison_markdown(comparison))
    judge_markdown(shown.getvalue())
    judge_secrets(shown.getvalue(), others.SECRETS[:2])
    drawn = page(reports.report(site.db, settings, STACK, REF, timedelta(hours=1)))
    assert not others.acting_characters(drawn)
    judge_secrets(drawn)
    judge_log(text_of(measured.measure(site.db, settings, STACK, "0")))


@pytest.mark.parametrize("size", [pytest.param(1, id="sample"), pytest.param(12, id="whole", marks=pytest.mark.matrix)])
def test_what_the_commands_read_acts_nowhere(project: Site, size: int, tally: list[Row]):
    project.by_hand(UNCHECKED)

    with psycopg.connect(project.addresses.admin_url, autocommit=True) as conn:
        conn.execute("select cron.schedule('others', '* * * * *', 'select 1')")

        def judge(items: list[tuple[str, str, str, str]]) -> None:
            judge_questions(project, fill(conn, items))
            judge_documents(project)

        sweep(size, ITEMS, judge)
    tally.append(Row("bytes", "what nine commands read (in the database)", size, size))


def test_a_role_whose_name_is_not_utf_8_is_named_in_an_error(project: Site):
    url = project.addresses.admin_url
    with ExitStack() as ending:
        conn = ending.enter_context(psycopg.connect(url, autocommit=True))
        conn.execute("create role plain")
        ending.callback(conn.execute, "drop role plain")
        conn.execute("create database unchecked template template0 encoding 'SQL_ASCII' locale 'C'")
        ending.callback(conn.execute, "drop database unchecked with (force)")
        function = stack_functions()[0]
        conn.execute(f"alter function {function.name} owner to plain")
        ending.callback(conn.execute, f"alter function {function.name} owner to postgres")
        other = ending.enter_context(
            psycopg.connect(url, dbname="unchecked", client_encoding="SQL_ASCII", autocommit=True)
        )
        other.execute(b'alter role plain rename to "r\xff\x1b[2J"')
        ending.callback(other.execute, b'alter role "r\xff\x1b[2J" rename to plain')

        with pytest.raises(ForeignObject) as refused:
            project.converge(function)

    assert "is owned by r\N{REPLACEMENT CHARACTER}\\x1b[2J: nothing was changed" in str(refused.value)


COMMANDS = (
    ("status",), ("doctor",), ("verify",), ("failures",), ("runs",), ("trace", "--latest"), ("diff",),
    ("diff", "--markdown"), ("diff", "--undo-sql"), ("drift",), ("drift", "--markdown"), ("metrics",), ("config",),
    ("key", "status"), ("requeue", "--dead", "--yes"), ("status", "--json"), ("diff", "--json"), ("failures", "--json"),
)  # fmt: skip
"""A spread of the commands; the way back is exact in a pipe."""
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def on_terminal(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Run a command on a terminal, and return what reaches it but for our colours and the terminal's line ends."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command, cwd=folder, env={**environment, "TERM": "xterm-256color"}, stdin=subprocess.DEVNULL, stdout=theirs,
        stderr=theirs, start_new_session=True,
    ):  # fmt: skip
        os.close(theirs)
        shown = bytearray()
        # The end of a terminal is an error to its reader.
        with suppress(OSError):
            while read := os.read(ours, 65536):
                shown += read
    os.close(ours)
    return COLOUR.sub("", shown.decode().replace("\r\n", "\n"))


@pytest.mark.matrix
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_shows_text_of_others_as_text_on_a_terminal_and_in_a_pipe(
    command: tuple[str, ...], converged: Stack, site: Site, tally: list[Row]
):
    site.by_hand(UNCHECKED)
    text = re.sub("[\0\ud800-\udfff]", "", " ".join(others.ACTING))
    with psycopg.connect(site.addresses.admin_url, autocommit=True) as conn:
        conn.execute("select cron.schedule('others', '* * * * *', 'select 1')")
        fill(conn, [("SIGNUP_ATOMIC", "failed", text, secret) for secret in others.SECRETS])

    shown = on_terminal(
        ["bubble-sync", *command, *converged.local.arguments], converged.local.checkout, converged.local.environment
    )
    done = converged.ours(*command)

    assert "bug" not in shown
    assert "Traceback" not in shown
    # A runner reads no terminal, which folds lines anywhere.
    assert not others.acting_characters(shown)
    judge_secrets(shown, others.SECRETS[:2])
    if "--undo-sql" not in command:
        judge_log(done.stdout + done.stderr)
    tally.append(Row("bytes", "commands on a terminal and in a pipe (the real CLI)", 2, 2))
