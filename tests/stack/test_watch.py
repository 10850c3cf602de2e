"""`bubble-sync watch` in a terminal: it stays when the size changes and the server goes, and leaves nothing behind."""

from __future__ import annotations

import os
import shlex
import signal
from dataclasses import replace

import pytest

from bubble_sync.config.stacks import CONFIG_VARIABLE
from bubble_sync.local.stack import DATABASE_URL_VARIABLE
from tests.fixtures.history import PROCESSOR, RETRY, dispatch, item, run
from tests.fixtures.proxy import Proxy
from tests.fixtures.site import Site
from tests.fixtures.stack import Stack
from tests.fixtures.terminal import Terminal


@pytest.fixture
def served(converged: Stack, site: Site, proxy: Proxy) -> Stack:
    """A converged stack whose jobs run, reached through the proxy."""
    run(site, 1, RETRY, "40 s")
    run(site, 2, PROCESSOR, "30 s")
    dispatch(site, 7, "30 s", "ok", status_code=200, processed=1, failed=0)
    given = {
        CONFIG_VARIABLE: converged.given()[CONFIG_VARIABLE],
        DATABASE_URL_VARIABLE: proxy.url(site.addresses.database_url),
    }
    converged.local = replace(converged.local, environment={**converged.local.environment, **given})
    return converged


def test_it_follows_the_stack_the_terminal_and_the_server_and_leaves_cleanly(
    served: Stack, site: Site, proxy: Proxy, terminal: Terminal
):
    line = shlex.join(["bubble-sync", "watch", "--every", "1s", *served.local.arguments])
    terminal.type(line, served.local.checkout, served.local.environment)
    shown = terminal.wait_for("findings at")
    for part in ("stack local, ", "0 waiting", "bubble-sync-processor  in ", "ok (HTTP 200, 1 processed, 0 failed)"):
        assert part in shown
    assert (terminal.says("alternate_on"), terminal.says("cursor_flag")) == ("1", "0")

    item(site, "1 s")
    terminal.wait_for("1 waiting (oldest ")

    terminal.resize(60, 20)
    narrow = terminal.wait_for(lambda shown: "Ctrl-C leaves" in shown and max(map(len, shown.splitlines())) <= 60)
    assert "stack local, " in narrow.splitlines()[0]
    terminal.resize(100, 30)

    proxy.cut()
    lost = terminal.wait_for("lost, trying again: ")
    assert "1 waiting (oldest " in lost, "what was seen last stays"
    item(site, "1 s", record_id="r2")
    proxy.mend()
    terminal.wait_for(lambda shown: "2 waiting (oldest " in shown and "lost" not in shown)

    terminal.press("C-c")
    left = terminal.wait_for("left with ")
    assert "left with 0" in left
    assert "Traceback" not in left
    assert "waiting" not in left
    assert (terminal.says("alternate_on"), terminal.says("cursor_flag")) == ("0", "1")


def test_ended_without_a_terminal_or_without_a_server_it_is_one_line(served: Stack, terminal: Terminal):
    done = served.ours("watch")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: watch needs a terminal as standard output: use `bubble-sync sta")
    assert served.ours("watch", "--every", "0s").returncode == 2

    watch = shlex.join(["bubble-sync", "watch", *served.local.arguments])
    terminal.type(watch, served.local.checkout, served.local.environment)
    terminal.wait_for("findings at")
    os.kill(terminal.program(), signal.SIGTERM)
    assert "left with 143" in terminal.wait_for("left with ")
    assert (terminal.says("alternate_on"), terminal.says("cursor_flag")) == ("0", "1")

    nowhere = {**served.local.environment, DATABASE_URL_VARIABLE: "postgresql://postgres:p@127.0.0.1:1/postgres"}
    terminal.type(watch, served.local.checkout, nowhere)
    assert "error: cannot connect to the database" in terminal.wait_for("left with 3")
