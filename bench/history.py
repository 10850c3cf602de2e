"""What the reading commands cost with 100,000 items and 30 days of history, over a day's; and what a tick costs."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, LiteralString

import psycopg

from bench.idle_tick import Tick, explained
from bench.measure import Row, alternate, ratio_row, sample_row, seconds
from bench.past import ADVISED, DAY, MONTH, SAME_QUEUE, fill
from bench.workbench import CHECKOUT, Workbench
from bubble_sync.config.database_url import NAMESPACE
from bubble_sync.config.settings import read_settings
from bubble_sync.config.stacks import CONFIG_VARIABLE
from bubble_sync.health.doctor import doctor
from bubble_sync.health.failures import failures
from bubble_sync.health.report import report
from bubble_sync.health.runs import runs
from bubble_sync.health.status import status
from bubble_sync.health.trace import trace
from bubble_sync.health.verify import verify
from bubble_sync.model.setup import desired_state
from bubble_sync.specs import Owner, PrerequisitesSpec
from tests.fixtures.site import Site
from tests.fixtures.specs import REF, STACK, config

GOAL = 1.2
#: Repeated inside one sample: a question takes milliseconds.
TIMES = 5


SETTINGS = read_settings(config())
#: Questions that read the whole queue.
SCANNING = ("status", "verify", "trace --latest", "trace EMAIL")
_EMAIL = "person-1@example.com"

_PENDING: LiteralString = """
insert into public.sync_queue (table_name, record_id, operation) values ('user', 'waits', 'INSERT')
"""


def run(bench: Workbench) -> Iterator[Row]:
    """Time the questions in this process, on two servers side by side; then whole commands, and ticks."""
    month, day = bench.site(), bench.another_site()
    for site in (month, day):
        _converge(site)
    fill(month, MONTH)
    fill(day, SAME_QUEUE)
    yield from _asked(bench, month, day, "30 days over 1")
    fill(day, DAY)
    yield from _asked(bench, month, day, "30 days, 100,000 items over 1, 3,333")
    for command in ("status", "verify", "trace --latest"):
        sides = (partial(_command, site, command) for site in (month, day))
        yield _compared(bench, f"the command {command}, the same", *sides, times=1)
    for site in (month, day):
        site.by_hand(*ADVISED)
    yield from _asked(bench, month, day, "the same, with indexes", SCANNING)
    yield from _ticks(month, day)


def _asked(bench: Workbench, month: Site, day: Site, what: str, names: Sequence[str] = ()) -> Iterator[Row]:
    of_month, of_day = _questions(month), _questions(day)
    for name in names or of_month:
        yield _compared(bench, f"{name}, {what}", of_month[name], of_day[name])


def _questions(site: Site) -> Mapping[str, Callable[[], object]]:
    return {
        "status": lambda: status(site.db, SETTINGS, STACK),
        "verify": lambda: verify(site.db, SETTINGS, STACK, REF),
        "doctor": lambda: doctor(site.db, SETTINGS, STACK),
        "trace --latest": lambda: trace(site.db, STACK, REF, None),
        "trace EMAIL": lambda: trace(site.db, STACK, REF, _EMAIL),
        "runs": lambda: runs(site.db, SETTINGS, STACK, 10),
        "failures": lambda: failures(site.db, STACK, REF, 10),
        "report": lambda: report(site.db, SETTINGS, STACK, REF, timedelta(hours=24)),
    }


def _compared(
    bench: Workbench, what: str, ours: Callable[[], object], theirs: Callable[[], object], times: int = TIMES
) -> Row:
    def repeated(work: Callable[[], object]) -> Callable[[], float]:
        timed = seconds(lambda: [work() for _ in range(times)])
        return lambda: timed() / times

    sides = {"ours": repeated(ours), "baseline": repeated(theirs)}
    alternate(sides, 1)  # reads the tables once
    samples = alternate(sides, bench.rounds)
    mine, other = (1000 * statistics.median(samples[side]) for side in sides)
    row = ratio_row(what, samples["ours"], samples["baseline"], GOAL)
    return replace(row, note=f"{mine:.1f} ms over {other:.1f} ms")


def _command(site: Site, command: str) -> None:
    shown = {f"{NAMESPACE}:{key}": {"value": one.text, "secret": one.secret} for key, one in config().items()}
    given = {CONFIG_VARIABLE: json.dumps(shown), "TEST_DATABASE_URL": site.addresses.database_url}
    done = subprocess.run(
        ["bubble-sync", *command.split(), "--stack", STACK], cwd=CHECKOUT, env={**os.environ, **given},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.stderr:
        raise RuntimeError(done.stderr)


def _ticks(month: Site, day: Site) -> Iterator[Row]:
    """Count the pages that the processor reads with a log of 30 days, and with an empty log; roll its work back."""
    day.by_hand("truncate bubble_sync.dispatches")
    for site, log in ((month, "a log of 30 days"), (day, "an empty log")):
        for what, before in (("idle", ()), ("that sends", (_PENDING,))):
            with psycopg.connect(site.addresses.database_url) as conn:
                ticks = [_tick(conn, before) for _ in range(TIMES)]
            buffers = [one.buffers for one in ticks[1:]]  # the first call of a session plans
            took = statistics.median(one.milliseconds for one in ticks[1:])
            yield sample_row(f"a tick {what}, {log}", buffers, "buffers", note=f"{took:.2f} ms")


def _tick(conn: psycopg.Connection[Any], before: tuple[LiteralString, ...]) -> Tick:
    for statement in before:
        conn.execute(statement)
    tick = explained(conn, "invoke_bubble_sync_processor")
    conn.rollback()
    return tick


def _converge(site: Site) -> None:
    for spec in desired_state(SETTINGS, Owner(STACK, REF)):
        if not isinstance(spec, PrerequisitesSpec):
            site.converge(spec)
