"""The pipeline while parts are killed, hang or answer nonsense: no sign-up is lost, and the doctor names the cause."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from bubble_sync.actions.requeue import carry_out, requeue_plan
from bubble_sync.config.database_url import read_database_url
from bubble_sync.database.database import Database
from bubble_sync.local.edge_function.behaviour import Behaviour
from bubble_sync.local.platform import Platform
from tests.faults.conftest import Row
from tests.faults.pipeline import BUSY, CRON, FAULTS, TICKS, UNGUARDED, Pipeline, naive, settings_of
from tests.fixtures.breaking import diagnose, set_up
from tests.fixtures.guard import short_folder
from tests.fixtures.history import item
from tests.fixtures.serving import serving
from tests.fixtures.site import Site
from tests.fixtures.waking import HoldingEndpoint, woken

SEED = 18
PER_ROUND = 34


def play(pipeline: Pipeline, name: str, sign_ups: int) -> None:
    """Play one round: sign-ups while a fault lasts, its name by the doctor, and the drain without a hand."""
    fault = FAULTS[name]
    right = {*fault.named, *pipeline.allowed, *(("items_waiting",) if fault.minutes else ())}
    wrong: set[str] = set()

    def is_named() -> bool:
        found = pipeline.causes()
        wrong.update(set(found).difference(right))
        return found[:1] == [fault.named[0]]

    def time_flies() -> None:
        pipeline.pass_time(8)

    def its_time() -> None:
        if fault.minutes:
            pipeline.pass_time(fault.minutes, *fault.stuck)

    with pipeline.signing_up(sign_ups), fault.act(pipeline):
        if fault.named:
            pipeline.note("named", pipeline.until(is_named, f"{name}: named first", its_time))
        else:
            pipeline.until(pipeline.drained, f"{name}: drained meanwhile", its_time)
            pipeline.until(pipeline.healthy, f"{name}: the doctor finds nothing meanwhile")
    assert not wrong, f"{name}: the doctor also names {wrong}"
    pipeline.note("drained", pipeline.until(pipeline.drained, f"{name}: drained", time_flies))
    if fault.dies:
        pipeline.requeued += len(carry_out(pipeline.site.db, requeue_plan(pipeline.site.db, None)).changed)
    with pipeline.signing_up(1):
        pipeline.until(pipeline.drained, f"{name}: one more sign-up", time_flies)
    pipeline.until(pipeline.healthy, f"{name}: the doctor finds nothing", time_flies)


def add_row(tally: list[Row], pipeline: Pipeline, what: str, rounds: int) -> None:
    row = Row(
        "pipeline", what, points=rounds, converged=rounds, commands=1 if pipeline.requeued else 0,
        lost=pipeline.lost(), twice=pipeline.twice(), worst=pipeline.worst,
    )  # fmt: skip
    tally.append(row)


@pytest.fixture
def sample(site: Site, platform: Platform) -> Iterator[Pipeline]:
    """The test platform, where the test runs the jobs' commands."""
    made = Pipeline(platform, site, settings_of(site), Behaviour(claims=True), by_hand=True)
    made.prepare()
    yield made
    platform.start()


@pytest.mark.parametrize("name", ["500", "HTML", "garbage in place of HTTP"])
def test_the_doctor_names_a_fault_of_the_endpoint_and_the_queue_drains_afterwards(
    sample: Pipeline, name: str, tally: list[Row]
):
    play(sample, name, 12)

    add_row(tally, sample, name, 1)
    assert (sample.lost(), sample.twice()) == (0, 0)


@contextmanager
def running(config: pytest.Config, base: Behaviour, allowed: frozenset[str], **processor: object) -> Iterator[Pipeline]:
    """Run a platform whose parts may be killed, with pg_cron."""
    platform = Platform(short_folder(config))
    if not base.claims:
        platform.edge_function = naive(platform.folder)
    try:
        addresses = platform.start(CRON)
        with closing(Database(read_database_url(addresses.database_url))) as db:
            site = Site(addresses, db)
            made = Pipeline(platform, site, settings_of(site, **processor), base, allowed)
            made.prepare()
            yield made
    finally:
        platform.remove()


#: A request of twenty items takes as long as the interval.
CLAIMS, NO_CLAIM = (Behaviour(claims=claims, work_seconds=0.05) for claims in (True, False))
#: The settings of a part of the rounds.
WAYS: dict[str, tuple[Behaviour, frozenset[str], dict[str, object]]] = {
    "claim, overlap guard": (CLAIMS, BUSY, {}),
    "claim, wake": (CLAIMS, BUSY, {"wake": True}),
    "claim, 4 requests a tick, wake": (CLAIMS, BUSY, {"wake": True, "requestsPerTick": 4, "batchSize": 5}),
    "claim, no guard": (CLAIMS, UNGUARDED, {"overlapGuard": False}),
    "no claim, no guard": (NO_CLAIM, UNGUARDED, {"overlapGuard": False}),
}


def rounds(way: str) -> list[str]:
    """Deal thirty rounds to the ways: each fault once, and some again."""
    chance = random.Random(SEED)
    deck = [*FAULTS, *chance.sample(list(FAULTS), 30 - len(FAULTS))]
    chance.shuffle(deck)
    return deck[list(WAYS).index(way) :: len(WAYS)]


@pytest.mark.matrix
@pytest.mark.parametrize("way", WAYS)
def test_thirty_rounds_lose_no_sign_up(pytestconfig: pytest.Config, way: str, tally: list[Row]):
    base, allowed, processor = WAYS[way]
    dealt = rounds(way)
    with running(pytestconfig, base, allowed, **processor) as pipeline:
        for name in dealt:
            play(pipeline, name, PER_ROUND)

        add_row(tally, pipeline, f"{way} (seed {SEED})", len(dealt))
        assert pipeline.lost() == 0
        # Without the claim the row counts what is completed twice.
        assert pipeline.twice() == 0 or not base.claims


def wait_behind_ours(site: Site, endpoint: HoldingEndpoint, timeout_ms: int) -> tuple[float, list[str]]:
    """Return how long another application's request waits behind one of ours that hangs, and what the doctor names."""
    settings = woken(endpoint, wake=False, timeoutMs=timeout_ms)
    set_up(site, settings)
    site.by_hand("update cron.job set active = false")
    item(site, "1 second")
    with serving(HoldingEndpoint()) as other, endpoint.holding():
        site.by_hand("set role postgres", TICKS[0])
        endpoint.next_request()
        began = time.monotonic()
        site.by_hand(f"select net.http_post('{other.url}', '{{}}')")
        other.arrived.get(timeout=120)
        waited = time.monotonic() - began
    site.by_hand("set role postgres", "select bubble_sync.settle()")
    return waited, [one.id for one in diagnose(site, settings).causes if one.level != "info"]


def test_another_applications_request_waits_for_our_timeout_and_the_doctor_names_it(
    site: Site, endpoint: HoldingEndpoint
):
    waited, named = wait_behind_ours(site, endpoint, 1000)
    assert waited < 10
    assert "request_timed_out" in named


@pytest.mark.matrix
@pytest.mark.parametrize("timeout_ms", [5000, 30000])
def test_the_wait_behind_our_request_is_its_timeout(
    site: Site, endpoint: HoldingEndpoint, timeout_ms: int, tally: list[Row]
):
    waited, named = wait_behind_ours(site, endpoint, timeout_ms)
    what = f"another application's request behind ours that hangs, timeoutMs {timeout_ms}"
    tally.append(Row("pipeline", what, points=1, lost=0, worst={"wait": waited}))
    assert "request_timed_out" in named
