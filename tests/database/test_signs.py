"""Whether the sync works now: one answer, whoever is asked, from our own requests where they are logged."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest

from bubble_sync.cli.metrics import text_of
from bubble_sync.cli.render.report_page import page
from bubble_sync.compare.drift import drift, read_drift
from bubble_sync.compare.liveness import Liveness, LivenessVerdict
from bubble_sync.config.settings import StackSettings
from bubble_sync.health.metrics import measure
from bubble_sync.health.report import report
from bubble_sync.health.status import status
from bubble_sync.health.verify import verify
from bubble_sync.model.setup import desired_state
from bubble_sync.specs import Owner
from tests.fixtures.breaking import set_up, working
from tests.fixtures.history import PROCESSOR, RETRY, dispatch, item, run
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK

NO, SEEMS_SO, UNKNOWN = LivenessVerdict.NO, LivenessVerdict.LIKELY, LivenessVerdict.UNKNOWN
SENT = "the last answered request of bubble_sync_processor, sent at "
CHANGED = "update vault.secrets set updated_at = now() - interval '1 day'"


def by_drift(site: Site, settings: StackSettings) -> Liveness:
    specs = desired_state(settings, Owner(STACK))
    snapshot, liveness = site.db.read("reading the stack", lambda conn: read_drift(conn, specs))
    answer = drift(STACK, specs, snapshot, liveness, arguments="", secret_keys={}, adopt=True)
    assert answer.liveness is not None
    return answer.liveness


def ask(site: Site, settings: StackSettings | None = None) -> Liveness:
    """Ask each command that answers it, and find one answer."""
    given = settings or working()
    liveness = by_drift(site, given)
    looked = report(site.db, given, STACK, None, timedelta(hours=1))
    assert status(site.db, given, STACK).liveness == liveness
    assert verify(site.db, given, STACK, None).liveness == looked.liveness == liveness
    assert f"</span> {liveness.text}</p>" in page(looked).replace("&#39;", "'").replace("&#34;", '"')
    measured = [line for line in text_of(measure(site.db, given, STACK, "1")).splitlines() if "sync_works{" in line]
    number = {NO: "0.0", SEEMS_SO: "1.0"}.get(liveness.verdict)
    assert [line.rpartition(" ")[2] for line in measured] == ([number] if number else [])
    return liveness


@pytest.fixture
def green(converged: Site) -> Site:
    """A set-up whose jobs run, with secrets of yesterday."""
    run(converged, 1, RETRY, "40 s")
    run(converged, 2, PROCESSOR, "30 s")
    converged.by_hand(CHANGED)
    return converged


def requests(*verdicts: str | None, status_code: int = 200) -> list[tuple[str, str | None, int]]:
    """Requests of the processor, a minute apart, the last one 30 seconds ago."""
    many = len(verdicts)
    return [(f"{30 + 60 * (many - 1 - at)} s", verdict, status_code) for at, verdict in enumerate(verdicts)]


def sent(site: Site, made: list[tuple[str, str | None, int]]) -> None:
    for number, (ago, verdict, code) in enumerate(made, 1):
        dispatch(site, number, ago, verdict, **({"status_code": code} if verdict else {}))


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("made", "by_hand", "verdict", "says"),
    [
        (requests("ok"), (), SEEMS_SO, " UTC, was ok (HTTP 200)"),
        (requests("rejected", "partial"), (), SEEMS_SO, " UTC, was partial (HTTP 200)"),
        (requests(*["rejected"] * 4, status_code=401), (), NO, " UTC, was rejected (HTTP 401)"),
        (requests("ok", "refused by its body"), (), NO, "was refused by its body (HTTP 200)"),
        (requests("ok", "not the function''s answer"), (), NO, "was not the function's answer (HTTP 200)"),
        (requests("ok", "timed out"), (), UNKNOWN, "was timed out"),
        (requests("ok", "answered"), (), UNKNOWN, "was answered (HTTP 200)"),
        (requests("ok", None), (), SEEMS_SO, "was ok (HTTP 200)"),
        (requests("ok", None), ("insert into net._http_response (id, status_code) values (2, 401)",), NO,
         "was rejected (HTTP 401)"),
        (requests("rejected", None),
         ("insert into net._http_response (id, status_code, content) values (2, 200, '{\"success\": true}')",),
         SEEMS_SO, "was ok (HTTP 200)"),
        (requests("ok", None),
         ("insert into net._http_response (id, status_code, content) values (2, 200, '{\"success\": false}')",), NO,
         'was refused by its body (HTTP 200, {"success": false})'),
        (requests("ok", *[None] * 5), (), NO, " UTC has no answer"),
        (requests("ok"), ("insert into net._http_response (id, status_code) values (99, 401)",), SEEMS_SO, "was ok"),
        (requests("rejected", status_code=401), ("update vault.secrets set updated_at = now()",), UNKNOWN,
         "was rejected (HTTP 401), before a secret was changed"),
        ([], (), UNKNOWN, "so its SQL ran; no answer to a request of ours is on record"),
        (requests("ok"), ("drop extension supabase_vault cascade",), NO,
         "extension supabase_vault is not there, so that no request is sent"),
        (requests("ok"), ("drop extension pg_net cascade",), NO, "extension pg_net is not there, so that"),
        (requests("ok"), ("delete from vault.secrets where name = 'service_role_key'",), NO,
         "secret service_role_key is not there, so that no request is sent"),
        (requests("ok"), ("drop function public.invoke_bubble_sync_processor()",), NO,
         "function public.invoke_bubble_sync_processor is not there"),
        (requests("ok"), ("update cron.job set active = false",), NO, f"job {PROCESSOR} is not active"),
        (requests("ok"), ("delete from cron.job",), NO, f"job {PROCESSOR} is not there"),
        (requests("ok"), ("update cron.job_run_details set status = 'failed'",), NO,
         f"the last run of job {PROCESSOR} failed"),
    ],
)  # fmt: skip
def test_every_command_gives_the_same_answer(
    green: Site, made: list[tuple[str, str | None, int]], by_hand: tuple[str, ...], verdict: LivenessVerdict, says: str
):
    sent(green, made)
    if by_hand:
        green.by_hand(*by_hand)

    liveness = ask(green)

    assert liveness.verdict is verdict, liveness
    assert says in liveness.text
    assert (SENT in liveness.text) == ("was " in says)


def test_an_answer_that_says_nothing_is_good_where_an_item_was_processed(green: Site):
    sent(green, requests("answered", status_code=204))
    item(green, "60 s", status="completed", processed="20 s")

    assert str(ask(green)).endswith("was ok (HTTP 204, an item was processed since)")


def test_what_keeps_the_sync_from_working_is_an_answer_of_one(green: Site):
    sent(green, requests("ok"))
    assert status(green.db, working(), STACK).good

    green.by_hand("drop extension supabase_vault cascade")

    found = status(green.db, working(), STACK)
    assert (found.problems, found.not_known, found.good) == ((), (), False)


def test_jobs_that_sleep_on_purpose_do_not_work_and_are_no_reason(site: Site):
    settings = working(processor='{"active": false}', retry='{"active": false}')
    set_up(site, settings)
    found = status(site.db, settings, STACK)

    assert str(ask(site, settings)) == f"no: job {PROCESSOR} is not active, as the configuration wants it"
    assert found.good


@pytest.mark.parametrize(
    ("answer", "verdict", "says"),
    [
        ("status_code) values (1, 200", SEEMS_SO, "to any request, is HTTP 200, at "),
        ("status_code) values (1, 401", UNKNOWN, "is HTTP 401, at "),
        ("status_code, content) values (1, 200, '<html>'", UNKNOWN, "is HTTP 200 with a web page or a no in it, at "),
        ("timed_out) values (1, true", UNKNOWN, "is a timeout, at "),
        (
            "status_code, created) values (1, 200, now() - interval '2 days'",
            UNKNOWN,
            "UTC, before a secret was changed",
        ),
    ],
)
def test_without_a_log_the_newest_run_and_anybodys_response_tell(
    site: Site, answer: str, verdict: LivenessVerdict, says: str
):
    settings = working(dispatchLog="false")
    set_up(site, settings)
    run(site, 2, PROCESSOR, "30 s")
    site.by_hand(CHANGED)
    assert ask(site, settings).text.endswith("its SQL ran; no response is known")

    site.by_hand(f"insert into net._http_response (id, {answer})")

    liveness = ask(site, settings)
    assert (liveness.verdict, says in liveness.text) == (verdict, True), liveness


def test_a_log_that_is_wanted_no_more_tells_nothing(site: Site):
    set_up(site, working())
    dispatch(site, 1, "1 min", "rejected", status_code=401)
    run(site, 2, PROCESSOR, "30 s")
    site.by_hand(CHANGED)

    assert ask(site, working(dispatchLog="false")).text.endswith("no response is known")


@pytest.mark.parametrize("made", [requests("rejected", status_code=401), requests("ok"), requests("answered")])
def test_the_monitor_role_is_told_the_same(green: Site, made: list[tuple[str, str | None, int]]):
    settings = working(access='{"monitorRole": "watcher"}', monitorPassword="p" * 24)
    other = green.as_role("watcher")
    set_up(green, settings)
    green.by_hand(
        CHANGED,
        "grant usage on schema bubble_sync to watcher",
        "grant execute on function bubble_sync.observe(text) to watcher",
    )
    sent(green, made)
    item(green, "60 s", status="completed", processed="20 s")

    with closing(other.db):
        assert by_drift(other, settings) == by_drift(green, settings)
        assert by_drift(other, settings).verdict is (NO if made[0][1] == "rejected" else SEEMS_SO)
        assert status(other.db, settings, STACK).liveness == by_drift(green, settings)


def test_a_role_that_may_not_observe_is_told_so(green: Site):
    other = green.as_role("watcher")
    with closing(other.db):
        works = status(other.db, working(), STACK).liveness

    assert works.verdict is UNKNOWN
    assert "no bubble_sync.observe(text)" in works.text
