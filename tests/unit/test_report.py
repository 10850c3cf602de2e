"""The page of the report: what is drawn, what is said in words, and that nobody's text becomes markup."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from itertools import pairwise
from pathlib import Path

import pytest

from bubble_sync.cli.options import duration
from bubble_sync.cli.render.charts import LEFT, RIGHT_EDGE, above, depth_chart, latency_chart, request_chart, times
from bubble_sync.cli.render.report_page import Cause, Served, causes_of, headline_of, page
from bubble_sync.compare.liveness import Liveness, LivenessVerdict
from bubble_sync.errors import ConfigurationError
from bubble_sync.health.doctor import Diagnosis, Finding
from bubble_sync.health.failures import FailedItem, FailureGroup, Failures
from bubble_sync.health.history import SPAN_PARTS, Depth, History, Latency, SentCount, depths_of, edges_of
from bubble_sync.health.report import Report
from bubble_sync.health.status import Durations
from bubble_sync.health.verify import ChecklistLine, CheckStatus
from bubble_sync.model.targets import TARGET, target_for
from bubble_sync.records.verdicts import VERDICTS
from tests.fixtures.specs import jwt

UNTIL = datetime(2026, 11, 22, 4, 30, tzinfo=UTC)
SPAN = timedelta(hours=24)
HOSTILE = "<script>alert(1)</script>&\"'"
CSS = (Path(__file__).parents[2] / "bubble_sync" / "cli" / "render" / "pages" / "page.css").read_text()


def depths(*most: int) -> tuple[Depth, ...]:
    padded = (*most, *[0] * (SPAN_PARTS - len(most)))
    return tuple(Depth(UNTIL - SPAN + n * SPAN / SPAN_PARTS, one, one, one, 0) for n, one in enumerate(padded))


def past(**changed: object) -> History:
    empty = Latency((0,) * len(edges_of(TARGET)), 0, None, None, None, 0)
    given = {"depths": depths(), "unplaced": 0, "sent": (), "sent_since": None, "latency": empty, "unknown": {}}
    return History(since=UNTIL - SPAN, until=UNTIL, **{**given, **changed})


def report(**changed: object) -> Report:
    quiet = {
        "stack": "prod",
        "project_ref": "abcdefghijklmnopqrst",
        "host": "db.test",
        "asked_at": UNTIL,
        "checklist": (ChecklistLine("runs", "the job runs", CheckStatus.OK, "its last run succeeded"),),
        "liveness": Liveness(LivenessVerdict.LIKELY, "the last run succeeded"),
        "diagnosis": Diagnosis("prod", UNTIL, (), {}, 40),
        "history": past(),
        "failures": Failures("prod", 50, 0, 0, (), "", {}),
    }
    return Report(**{**quiet, **changed})


def finding(**changed: object) -> Finding:
    return replace(Finding("job_missing", "Job missing", "error", "job a", "it is not there", "pulumi up"), **changed)


def sent(part: int, verdict: str, requests: int = 1, function: str = "f") -> SentCount:
    return SentCount(UNTIL - SPAN + part * SPAN / SPAN_PARTS, function, verdict, requests)


class TestCharts:
    def test_a_part_without_items_has_no_bar_and_the_highest_bar_is_below_the_top(self):
        chart = depth_chart(depths(0, 3, 0, 9), past())

        assert [mark.title for mark in chart.marks] == [
            "from 11-21 04:50: at most 3, 3 enqueued, 3 completed",
            "from 11-21 05:30: at most 9, 9 enqueued, 9 completed",
        ]  # fmt: skip
        low, high = chart.marks
        assert high.height == 3 * low.height
        assert low.y + low.height == high.y + high.height == 164
        assert (
            chart.description
            == "12 items enqueued and 12 completed; 0 are there now, 0 of them failed, and at most 9 after 11-21 05:30."
        )

    def test_failed_items_are_below_the_waiting_ones_in_another_kind_of_mark(self):
        days = [replace(depth, failed=min(depth.most, 2)) for depth in depths(0, 2, 5)]
        chart = depth_chart(days, past())

        assert [mark.kind for mark in chart.marks] == ["failed", "failed", "waiting"]
        _, failed, waiting = chart.marks
        assert waiting.y + waiting.height == failed.y
        assert waiting.height == pytest.approx(1.5 * failed.height)
        assert dict(chart.legend).keys() == {"waiting", "failed"}

    def test_waiting_and_failed_differ_without_colour(self):
        assert re.search(r"\.mark\.waiting \{[^}]*fill-opacity", CSS)
        assert not re.search(r"\.mark\.failed \{[^}]*fill-opacity", CSS)

    def test_the_lowest_bar_can_be_seen(self):
        assert min(mark.height for mark in depth_chart(depths(1, 100_000), past()).marks) == 2

    def test_a_verdict_of_a_part_is_one_mark_in_its_lane_whatever_function_sent_it(self):
        chart = request_chart((sent(0, "ok", 2), sent(0, "ok", 3, "g"), sent(71, "rejected")), past())

        assert [mark.title for mark in chart.marks] == ["from 11-21 04:30: 5 ok", "from 11-22 04:10: 1 rejected"]
        first, last = chart.marks
        assert (first.x, first.kind, last.kind) == (LEFT, "ok", "rejected")
        assert first.y < last.y
        assert last.x + last.width <= RIGHT_EDGE
        assert chart.description == "5 ok, 1 rejected."

    def test_each_verdict_has_a_lane_and_a_colour(self):
        chart = request_chart(tuple(sent(1, verdict) for verdict in VERDICTS), past())

        assert len({mark.y for mark in chart.marks}) == len(VERDICTS)
        assert [mark.kind for mark in chart.marks if f".{mark.kind}" not in CSS] == []

    @pytest.mark.parametrize(
        ("schedule", "kept"),
        [
            ("* * * * *", "9 of 15 sign-ups took less than 75 s."),
            ("5 seconds", "6 of 16 sign-ups took less than 20 s."),
        ],
    )
    def test_the_target_is_between_the_bins_on_time_and_the_late_ones(self, schedule: str, kept: str):
        target = target_for(schedule)
        bins = (1,) * len(edges_of(target))
        chart = latency_chart(Latency(bins, len(bins), 1, 1, 1, 0, target))
        (limit,) = (line for line in chart.lines if line.kind == "limit")

        assert all(mark.x + mark.width < limit.x1 for mark in chart.marks if mark.kind == "kept")
        assert all(mark.x > limit.x1 for mark in chart.marks if mark.kind == "late")
        assert chart.description == kept

    @pytest.mark.parametrize("most", [*range(120), 999, 1001, 123_456])
    def test_the_top_of_a_scale_is_even_and_never_below(self, most: int):
        assert above(most) >= max(most, 2)
        assert above(most) % 2 == 0
        assert above(most) <= max(2 * most, 4)

    @pytest.mark.parametrize("minutes", [1, 30, 24 * 60, 7 * 24 * 60, 30 * 24 * 60])
    def test_moments_are_round_within_the_plot_and_apart(self, minutes: int):
        span = timedelta(minutes=minutes)
        labels, _ = times(replace(past(), since=UNTIL - span), 100)

        assert 1 <= len(labels) <= 9
        assert all(LEFT <= label.x <= RIGHT_EDGE for label in labels)
        assert all(right.x - left.x > 50 for left, right in pairwise(labels))

    def test_what_is_left_of_a_part_is_carried_into_the_next(self):
        rows = [
            {"part": 0, "before": 2, "came": 1, "went": 0, "most": 3, "failed": 1},
            {"part": 5, "before": 0, "came": 0, "went": 3, "most": 2, "failed": 0},
        ]
        found = depths_of(rows, UNTIL, timedelta(minutes=1))

        assert [depth.left for depth in found[:7]] == [3, 3, 3, 3, 3, 0, 0]
        assert [depth.most for depth in found[:7]] == [3, 3, 3, 3, 3, 3, 0]
        assert {depth.failed for depth in found} == {1}


class TestPage:
    @pytest.mark.parametrize("served", [None, Served(10.0, UNTIL)])
    def test_it_asks_for_nothing_and_its_policy_names_its_one_script(self, served: Served | None):
        written = page(report(), served)
        (script,) = re.findall(r"<script>(.*?)</script>", written, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()

        assert f"script-src &#39;sha256-{digest}&#39;" in written
        assert "unsafe" not in written
        assert re.findall(r"<script |<link|<img|<iframe|@import|url\(|https?://|style=| on\w+=", written) == []

    def test_a_text_of_others_is_never_markup(self):
        failed = FailedItem("1", "r", "e", 1, 3, None, UNTIL, {})
        written = page(
            report(
                stack=HOSTILE,
                checklist=(ChecklistLine("runs", HOSTILE, CheckStatus.NO, HOSTILE, HOSTILE),),
                diagnosis=Diagnosis(HOSTILE, UNTIL, (finding(object=HOSTILE, evidence=HOSTILE),), {"c": HOSTILE}, 1),
                history=past(sent=(sent(1, "ok", function=HOSTILE),)),
                failures=Failures("", 50, 1, 1, (FailureGroup(HOSTILE, HOSTILE, 1, (failed,)),), "", {}),
            )
        )

        assert written.count("<script") == 1, "ours alone"
        assert written.count("&lt;script&gt;") == 14

    def test_what_people_called_things_shows_no_key_and_no_email(self):
        called = f"job ada@example.com {jwt()} sb_secret_abc"
        written = page(
            report(
                diagnosis=Diagnosis("prod", UNTIL, (finding(object=called, remedy=called, title=called),), {}, 1),
                checklist=(ChecklistLine("runs", called, CheckStatus.NO, called, called),),
                failures=Failures("", 50, 1, 1, (FailureGroup(called, called, 1, ()),), "", {}),
            )
        )

        assert written.count("[email] [secret] [secret]") == 9
        assert "example.com" not in written
        assert "eyJ" not in written

    def test_it_says_the_year_for_who_opens_it_later(self):
        assert "2026-11-21 04:30:00 UTC" in page(report())
        assert "2026-11-22 04:30:00 UTC" in page(report())

    def test_its_body_names_stack_project_host_and_time(self):
        body = page(report()).partition("<body>")[2]

        for fact in ("Stack prod", "abcdefghijklmnopqrst", "db.test", "2026-11-22 04:30:00 UTC"):
            assert fact in body
        assert "not known" in page(report(project_ref=None))

    def test_trouble_comes_before_the_charts_and_the_checklist_is_last(self):
        headings = re.findall(r"<h2 id=\"(\w+)\"", page(report()))

        assert headings == ["trouble", "failures", "queue", "requests", "latency", "checklist"]

    def test_since_when_it_is_troubled_stands_on_top(self):
        since = {"bad_since": UNTIL - timedelta(minutes=5), "good_at": UNTIL - timedelta(minutes=6)}
        written = " ".join(re.sub(r"<[^>]+>", " ", page(report(history=past(**since)))).split())

        assert "Bad answers since 2026-11-22 04:25:00 UTC , 5 min ago" in written
        assert "Last good answer 2026-11-22 04:24:00 UTC , 6 min ago" in written
        assert "Last completed item" not in written

    def test_the_durations_of_all_items_stand_next_to_those_of_sign_ups(self):
        written = " ".join(page(report(history=past(took=Durations(12, 2.5, 4.25, 61)))).split())

        assert "Items of every operation, from insert to completed: 12, p50 2.500 s, p95 4.250 s, max 61 s." in written
        assert "Items of every operation" not in page(report(history=past(took=Durations(0, None, None, None))))

    def test_what_is_unknown_is_said_where_it_would_stand(self):
        why = {"items": "w may not read public.sync_queue", "requests": "there is no table bubble_sync.dispatches"}
        written = page(report(history=past(depths=None, sent=None, latency=None, unknown=why)))

        assert "<svg" not in written
        assert [written.count(one) for one in why.values()] == [2, 1]

    def test_a_finding_says_what_to_do_or_what_it_follows_from(self):
        follower = finding(id="late", title="Items wait", follows=("job_missing",))
        written = page(report(diagnosis=Diagnosis("prod", UNTIL, (finding(), follower), {}, 40)))

        assert 'Do: <code class="command">pulumi up</code>' in written
        cause = written.index("Job missing")
        assert cause < written.index("<summary>1 finding follows from it</summary>") < written.index("Items wait")

    def test_a_finding_stands_once_under_its_first_cause(self):
        chain = finding(id="b", follows=("job_missing",)), finding(id="c", follows=("b", "job_missing"))
        circle = finding(id="x", follows=("y",)), finding(id="y", follows=("x",))

        assert causes_of((finding(), *chain, *circle)) == (
            Cause(finding(), chain),
            Cause(circle[0], ()),
            Cause(circle[1], ()),
        )

    def test_notices_are_folded_and_are_no_trouble(self):
        written = page(report(diagnosis=Diagnosis("prod", UNTIL, (finding(level="info"),), {}, 40)))

        assert "1 notice, not trouble" in written
        assert 'class="cause' not in written
        assert "Everything was seen" in written

    @pytest.mark.parametrize(
        ("remedy", "commands"),
        [
            ("pulumi up", ["pulumi up"]),
            ("Run pulumi up --stack a/b: it adopts it.", ["pulumi up --stack a/b"]),
            ("Look with bubble-sync diff --stack prod, then run pulumi up --stack prod.",
             ["bubble-sync diff --stack prod", "pulumi up --stack prod"]),
            ("pulumi config set --stack prod bubble-sync:dispatchLog true && pulumi up --stack prod",
             ["pulumi config set --stack prod bubble-sync:dispatchLog true && pulumi up --stack prod"]),
            ("pulumi config rm --stack prod --path bubble-sync:processor.requestsPerTick, then pulumi up --stack prod",
             ["pulumi config rm --stack prod --path bubble-sync:processor.requestsPerTick", "pulumi up --stack prod"]),
            ("fix the cause, then run `bubble-sync requeue --stack prod 7`", ["bubble-sync requeue --stack prod 7"]),
            ("bubble-sync trace --stack prod --latest shows it; then bubble-sync run-now --stack prod --wait",
             ["bubble-sync trace --stack prod --latest", "bubble-sync run-now --stack prod --wait"]),
            ("bubble-sync resume --stack 'a b' --job processor", ["bubble-sync resume --stack 'a b' --job processor"]),
            ("connect as the role that `pulumi up` uses", ["pulumi up"]),
            ("mybubble-sync status and bubble-sync's table", []),
        ],
    )  # fmt: skip
    def test_a_whole_command_can_be_copied(self, remedy: str, commands: list[str]):
        written = page(report(diagnosis=Diagnosis("prod", UNTIL, (finding(remedy=remedy),), {}, 40)))

        assert [unescape(one) for one in re.findall(r'<code class="command">(.*?)</code>', written)] == commands

    def test_the_headline_is_good_only_when_everything_was_seen_and_is_good(self):
        unknown = Diagnosis("prod", UNTIL, (), {"one": "why"}, 40)
        bad = Diagnosis("prod", UNTIL, (finding(), finding(level="info"), finding(follows=("job_missing",))), {}, 40)

        assert headline_of(report()).good
        assert headline_of(report(diagnosis=unknown)) == (False, "1 check without an answer")
        assert headline_of(report(diagnosis=bad)) == (False, "1 cause of trouble")
        assert not headline_of(
            report(checklist=(ChecklistLine("sign_up", "sign-ups are synced", CheckStatus.NOT_PROVEN, ""),))
        ).good

    @pytest.mark.parametrize("scheme", ["light", "dark", "print"])
    def test_every_colour_stands_out_from_the_paper(self, scheme: str):
        """4.5 for text and 3 for drawings: WCAG 2.2, 1.4.3 and 1.4.11."""
        blocks = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
        colours = dict(re.findall(r"--(\w+): (#\w{6})", blocks[("light", "dark", "print").index(scheme)]))
        for name in ("ink", "faint", "good", "bad", "doubt", "plain", "dim", "failed"):
            assert min(contrast(colours[name], colours[paper]) for paper in ("paper", "panel")) >= 4.5, name


def contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("24h", 86_400), ("7d", 604_800), ("60s", 60), ("1d12h", 129_600), ("90min", 5400)],
)
def test_a_duration_is_numbers_with_their_units(text: str, seconds: int):
    assert duration("--since", text, "1m", "30d").total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "24", "h", "0h", "-1h", "1.5h", "59s", "31d", "1 h", "1h\n", "9999999d", "30m1h"])
def test_another_text_is_no_duration(text: str):
    with pytest.raises(
        ConfigurationError, match="--since takes a time from 1m to 30d, as in 90s, 30m, 2h, 7d or 1d12h"
    ):
        duration("--since", text, "1m", "30d")
