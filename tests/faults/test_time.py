"""What time does to a sync: a year of ticks, ids at the end of their types, time zones, ends of keys and pauses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import psycopg
import pytest

from bubble_sync.config.keys import key_warnings, read_key
from bubble_sync.config.schedules import first_due, interval_of, next_due, occurrences, overdue_since
from bubble_sync.config.settings import StackSettings
from bubble_sync.config.stacks import CONFIG_VARIABLE
from bubble_sync.formatting import format_age
from bubble_sync.health.runs import runs
from bubble_sync.health.verify import verify
from bubble_sync.local.platform import Platform
from bubble_sync.model.pauses import paused
from bubble_sync.model.setup import desired_state
from bubble_sync.specs import Owner, VaultSecretSpec
from tests.faults.conftest import Row
from tests.faults.year import DAY, STEP, Measure, Year
from tests.fixtures.breaking import diagnose, set_up, working
from tests.fixtures.history import PROCESSOR, RETRY, dispatch, item, person, run
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK, config, jwt
from tests.fixtures.stack import CHECKOUT

AREA = "time"
WEEK = 7


@pytest.fixture
def quiet_site(platform: Platform, site: Site) -> Iterator[Site]:
    """A site whose requests stay in pg_net's queue, without autovacuum, which would come at any time of a year."""
    platform.net_worker.stop()
    site.by_hand("alter system set autovacuum = off", "select pg_reload_conf()")
    yield site
    site.by_hand("alter system reset autovacuum", "select pg_reload_conf()")
    platform.net_worker.start(120)


def year_of(site: Site, kept_days: int) -> Year:
    days = f'{{"keepDays": {kept_days}, "dispatchDays": {kept_days}}}'
    set_up(site, working(alerts="{}", alertWebhookUrl="https://example.com/hook", history=days))
    return Year(site, "Europe/Berlin")


def expect_flat(measured: list[Measure]) -> None:
    """Compare each later measure with the first one, which has the whole of what is kept."""
    first = measured[0]
    for later in measured[1:]:
        for what, least in (("bytes", 65536), ("rows", 10), ("pages", 5)):
            for name, value in getattr(later, what).items():
                assert value <= 1.3 * getattr(first, what)[name] + least, f"{what} of {name}: {measured}"


def expect_nothing_lost(site: Site, kept_days: int) -> tuple[int, int]:
    """Return the ticks of the kept days without a request, and the requests beyond one a tick."""
    requests = site.by_hand("select verdict, runid, sent_at from bubble_sync.dispatches order by dispatch_id")
    assert [row["verdict"] for row in requests if row["verdict"] != "ok"] == [None], "the last one is outstanding"
    assert all(row["runid"] for row in requests)
    ticks = {row["sent_at"] for row in requests}
    lost, twice = max(0, kept_days * DAY - len(ticks)), len(requests) - len(ticks)
    assert (lost, twice) == (0, 0)
    return lost, twice


def play_a_year(site: Site, kept_days: int, days: int, every: int, step: int, tally: list[Row]) -> None:
    """Play some days, and measure every so many of them from the time on when old rows are deleted."""
    played, measured, slowest = year_of(site, kept_days), [], 0.0
    with closing(played.conn):
        for first in range(0, days, step):
            began = time.perf_counter()
            played.play(first, min(step, days - first))
            slowest = max(slowest, (time.perf_counter() - began) / (min(step, days - first) * DAY))
            done = first + step
            if done > kept_days + step and done % every < step:
                measured.append(played.measure())
    row = Row(AREA, f"{days} days of ticks", days * DAY, worst={"mean of a tick, slowest days": slowest})
    tally.append(row)
    assert len(measured) >= 2
    expect_flat(measured)
    row.lost, row.twice = expect_nothing_lost(site, kept_days)
    row.converged = row.points


def test_days_of_ticks_leave_tables_and_ticks_as_they_were(quiet_site: Site, tally: list[Row]):
    play_a_year(quiet_site, kept_days=1, days=4, every=1, step=1, tally=tally)


@pytest.mark.matrix
@pytest.mark.long
def test_a_year_of_ticks_leaves_tables_and_ticks_as_they_were_and_reports_each_week_once(
    quiet_site: Site, tally: list[Row]
):
    play_a_year(quiet_site, kept_days=30, days=366, every=28, step=WEEK, tally=tally)

    posts = quiet_site.by_hand("select at at time zone 'UTC' as at, message from play.posts order by at")
    assert "alerts are on" in posts[0]["message"]
    mondays = [post["at"] for post in posts[1:]]
    assert all("this week, all green" in post["message"] for post in posts[1:])
    # 2028-01-03 is a Monday; summer time in Berlin lasts from 26 March to 29 October. The next tick takes a post.
    first = datetime(2028, 1, 3, 7) + timedelta(minutes=STEP)
    assert mondays == [first + timedelta(weeks=week) for week in range(52)]


LIMITS = {"int": 2**31 - 1, "bigint": 2**63 - 1}
TICKS = 4
_SEQUENCES = (
    "'cron.runid_seq'",
    "'net.http_request_queue_id_seq'",
    "pg_get_serial_sequence('bubble_sync.dispatches', 'dispatch_id')",
)
_ANSWER = """
    with sent as (delete from net.http_request_queue returning id)
    insert into net._http_response (id, status_code, content, created, timed_out)
    select id, 200, '{"success": true, "processed": 1}', now(), false from sent
"""
#: Within its own run, as pg_cron has it.
_RUN = f"""
    insert into cron.job_run_details (jobid, runid, job_pid, database, username, command, status, start_time)
    select jobid, nextval('cron.runid_seq'), %s, database, username, command, 'running', now()
    from cron.job where jobname = '{PROCESSOR}'
"""


def tick(site: Site, record: str) -> str:
    """Run the processor's job for a new item, answer its request, and return the last message."""
    messages: list[str] = []
    item(site, "10 s", record_id=record)
    with (
        psycopg.connect(site.addresses.database_url, autocommit=True) as conn,
        psycopg.connect(site.addresses.admin_url, autocommit=True) as cron,
    ):
        conn.add_notice_handler(lambda notice: messages.append(notice.message_primary or ""))
        cron.execute(_RUN.encode(), (conn.info.backend_pid,))
        conn.execute("select public.invoke_bubble_sync_processor()")
        cron.execute("update cron.job_run_details set status = 'succeeded', end_time = now() where status = 'running'")
        cron.execute(_ANSWER)
        cron.execute("update public.sync_queue set status = 'completed', processed_at = now()")
    return messages[-1]


@pytest.mark.parametrize("limit", LIMITS)
def test_numbers_around_the_limit_of_a_type_are_sent_recorded_and_shown(quiet_site: Site, limit: str, tally: list[Row]):
    site, last = quiet_site, LIMITS[limit] + (2 if limit == "int" else 0)
    row = Row(AREA, f"ids up to the limit of {limit}", TICKS, lost=0)
    tally.append(row)
    set_up(site, working())
    site.by_hand(*(f"select setval({name}, {last - TICKS})" for name in _SEQUENCES))

    for number in range(TICKS):
        assert f"request ID: {last - TICKS + number + 1}" in tick(site, f"r{number}")
    with site.db.transaction("reading the answers") as conn:
        conn.execute("select bubble_sync.settle()")

    sent = site.by_hand("select verdict, runid, request_id, dispatch_id from bubble_sync.dispatches order by 4 desc")
    numbers = [last - number for number in range(TICKS)]
    assert [tuple(each.values()) for each in sent] == [("ok", number, number, number) for number in numbers]
    assert [found.runid for found in runs(site.db, working(), STACK, 10).runs] == numbers
    diagnosis = diagnose(site)
    assert not diagnosis.unknown
    assert {finding.id for finding in diagnosis.findings} <= QUIET
    row.converged = TICKS


QUIET = {"net_worker_down"}  # it is stopped


def test_a_sequence_at_its_end_costs_the_record_and_never_the_request(quiet_site: Site, tally: list[Row]):
    site = quiet_site
    set_up(site, working())
    *_, dispatches = _SEQUENCES
    site.by_hand(f"select setval({dispatches}, {LIMITS['bigint']})")
    assert "Edge Function invoked, request ID: " in tick(site, "without a record")

    site.by_hand(*(f"select setval({name}, {LIMITS['bigint']})" for name in _SEQUENCES[1:2]))
    with pytest.raises(psycopg.errors.RaiseException, match=r"pg_net refused the request .SQLSTATE 2200H"):
        tick(site, "without an id")
    site.by_hand("update public.sync_queue set status = 'completed', processed_at = now()")

    site.by_hand(f"select setval('cron.runid_seq', {LIMITS['bigint']})")
    assert not diagnose(site).unknown
    tally.append(Row(AREA, "a sequence at its end", 3, 3))


#: The server's zone and the command's.
ZONES = {
    "Berlin and New York": ("Europe/Berlin", "America/New_York"),
    "New York and Kolkata": ("America/New_York", "Asia/Kolkata"),
    "Lord Howe and Kiritimati": ("Australia/Lord_Howe", "Pacific/Kiritimati"),
    "Chatham and UTC": ("Pacific/Chatham", "UTC"),
}
#: On leap days, so that no run is missed between two answers.
SELDOM = '{"schedule": "0 0 29 2 *"}'
COMMANDS = (
    ("status",), ("doctor",), ("verify",), ("trace", "--latest"), ("runs",), ("failures",), ("metrics",),
    ("key", "status"), ("drift",), ("config",),
)  # fmt: skip
_MOMENT = re.compile(r"(?:(\d{4})-)?(\d\d)-(\d\d)[ T](\d\d):(\d\d)(?::(\d\d))?")


def timeless(text: str) -> str:
    """Replace the times of these minutes, in UTC, and seconds: both pass between two answers.

    A longer number moves the next column, or the end of a line.
    """
    now = datetime.now(UTC)

    def masked(found: re.Match[str]) -> str:
        year, *parts = (int(part or 0) for part in found.groups())
        month, day, hour, minute, second = parts
        moment = datetime(year or now.year, month, day, hour, minute, second, tzinfo=UTC)
        return "NOW" if abs(moment - now) < timedelta(minutes=20) else found[0]

    numbers = re.sub(r"\b[\d.]+(e[+-]?\d+)? ?(s|min|ms)?\b(?! h)", "N", _MOMENT.sub(masked, text))
    return " ".join(numbers.split())


def past(site: Site) -> None:
    """Leave rows of some hours ago, and words about them that stay for some minutes."""
    run(site, 7, RETRY, "3 hours 10 min")
    run(site, 8, PROCESSOR, "3 hours 10 min")
    person(site, "r1", "ada@example.com")
    item(site, "3 hours 11 min", status="completed", processed="3 hours 9 min")
    item(site, "26 hours", record_id="r2", status="failed", error_message="boom", due="20 hours", processed="25 hours")
    dispatch(site, 7, "3 hours 10 min", "ok", runid=8, status_code=200, processed=1, failed=0)


def answers(site: Site, server: str, own: str, commands: Sequence[Sequence[str]]) -> dict[str, str]:
    """Ask by the real command line, from a machine in a zone, a server in another one."""
    site.by_hand(f"alter role postgres set timezone = '{server}'")
    pause = '{"active": false, "pauseReason": "the CRM moves", "pauseUntil": "2026-10-25T02:30:00+01:00"}'
    given = {
        f"bubble-sync:{name}": {"value": one.text, "secret": one.secret}
        for name, one in config(processor=SELDOM, retry=pause, serviceRoleKey=jwt(exp=1861919999)).items()
    }
    environment = {
        **os.environ, CONFIG_VARIABLE: json.dumps(given), "TEST_DATABASE_URL": site.addresses.database_url,
        "TZ": own, "PGTZ": own,
    }  # fmt: skip
    found = {}
    for command in commands:
        done = subprocess.run(
            ["bubble-sync", *command, "--stack", STACK], cwd=CHECKOUT, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        found[" ".join(command)] = f"{done.returncode}\n{timeless(done.stdout + done.stderr)}"
    return found


def expect_same_answers(site: Site, zones: Sequence[str], commands: Sequence[Sequence[str]], tally: list[Row]) -> None:
    row = Row(AREA, "zones of server and machine", len(zones) * len(commands), 0)
    tally.append(row)
    set_up(site, working(processor=SELDOM, retry='{"active": false}', serviceRoleKey=jwt(exp=1861919999)))
    past(site)
    try:
        usual = answers(site, "UTC", "UTC", commands)
        for zone in zones:
            other = answers(site, *ZONES[zone], commands)
            for command in usual:
                assert other[command] == usual[command], f"{command} in {zone}"
            row.converged = (row.converged or 0) + len(commands)
    finally:
        site.by_hand("alter role postgres reset timezone")


def test_an_answer_is_the_same_in_other_zones(site: Site, tally: list[Row]):
    expect_same_answers(site, ["Berlin and New York"], [("status",)], tally)


@pytest.mark.matrix
def test_every_answer_is_the_same_in_any_zone(site: Site, tally: list[Row]):
    expect_same_answers(site, list(ZONES), COMMANDS, tally)


def expect_expiry(site: Site, offsets: Sequence[timedelta], tally: list[Row]) -> None:
    """Compare what the program, `verify` and `doctor` say of a key so long before or after its end."""
    row = Row(AREA, "a key before, at and after its end", len(offsets), 0)
    tally.append(row)
    set_up(site, working())
    for offset in offsets:
        now = datetime.now(UTC)
        # Half a second of the current one may be over.
        exp = (now + offset).timestamp()
        settings = working(serviceRoleKey=jwt(exp=exp))
        set_up_key(site, settings)
        warned = [
            one for one in key_warnings(read_key(settings.service_role_key), now) if "expire" in one.split(":")[0]
        ]
        found = [one.evidence for one in diagnose(site, settings).findings if one.id == "secret_expiring"]
        (line,) = (one for one in verify(site.db, settings, STACK, None).lines if one.id == "secrets")

        day = f"{datetime.fromtimestamp(exp, UTC):%Y-%m-%d}"
        if offset <= timedelta(0):
            assert [one.partition(":")[0] for one in warned] == [f"the key expired on {day}"]
            assert found == [f"it expired on {day}"]
            assert line.status == "no"
            assert line.evidence.startswith(f"the key expired on {day}")
        elif offset <= timedelta(days=30):
            assert [one.partition(",")[0] for one in warned] == [f"the key expires on {day}"]
            assert found == [f"it expires on {day}"]
            assert line.status == "ok"
        else:
            assert (warned, found, line.status) == ([], [], "ok")
        row.converged = (row.converged or 0) + 1


def set_up_key(site: Site, settings: StackSettings) -> None:
    for spec in desired_state(settings, Owner(STACK)):
        if isinstance(spec, VaultSecretSpec):
            site.converge(spec)


def test_a_key_is_warned_of_before_its_end_and_refuted_after_it(site: Site, tally: list[Row]):
    expect_expiry(site, [timedelta(seconds=-2), timedelta(days=29)], tally)


@pytest.mark.matrix
def test_a_key_is_judged_alike_everywhere_at_each_side_of_its_limits(site: Site, tally: list[Row]):
    near = [timedelta(seconds=one) for one in (-90000, -3600, -60, -1, 0, 60, 3600, 90000)]
    around = [timedelta(days=30, seconds=one) for one in (-3600, -60, 60, 3600)]
    expect_expiry(site, [timedelta(days=-4000), *near, *around, timedelta(days=31), timedelta(days=4000)], tally)


SCHEDULES = (
    "* * * * *", "*/5 * * * *", "30 2 * * *", "0 7 * * 1", "59 23 31 12 *", "0 0 29 2 *", "0 0 1 1,7 *", "7 seconds",
)  # fmt: skip
#: Around both changes of the hour in Berlin and New York, the leap day, and New Year, in UTC.
JUMPS = (
    "2028-03-26T01:00:00", "2028-10-29T01:00:00", "2028-03-12T07:00:00", "2028-11-05T06:00:00", "2028-02-29T00:00:00",
    "2028-02-29T23:59:00", "2029-01-01T00:00:00",
)  # fmt: skip


_OTHERS = ("America/New_York", "Australia/Lord_Howe")


@pytest.fixture(params=["Europe/Berlin", *(pytest.param(zone, marks=pytest.mark.matrix) for zone in _OTHERS)], ids=str)
def own_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """This process in a time zone with summer time."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def test_due_times_and_pauses_are_right_around_each_jump_of_a_year(own_zone: str, tally: list[Row]):
    jumps = [datetime.fromisoformat(f"{jump}+00:00") for jump in JUMPS]
    moments = [jump + timedelta(seconds=1 + 997 * step) for jump in jumps for step in range(-8, 8)]
    for moment in moments:
        for schedule in SCHEDULES:
            expect_due(schedule, moment)
    for jump in jumps:
        expect_pause(jump)
    points = len(moments) * len(SCHEDULES) + len(jumps)
    tally.append(Row(AREA, f"due times and pauses in {own_zone}", points, points))


def expect_due(schedule: str, now: datetime) -> None:
    since, following = overdue_since(schedule, now), next_due(schedule, now, now)
    assert since is not None
    assert following is not None
    assert since < now < following
    if schedule.endswith("seconds"):
        return
    between = list(takewhile(lambda at: at < following, occurrences(schedule, since - timedelta(seconds=1))))
    assert len(between) == 2, f"{schedule} at {now}: {between}"
    assert between[0] == since
    assert interval_of(schedule, now) == (between[1] - since).total_seconds()
    assert first_due(schedule, now) == following


def expect_pause(end: datetime) -> None:
    """A pause ends at one moment, however the configuration writes it, and stays past it."""
    for zone in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe"):
        until = end.astimezone(ZoneInfo(zone)).isoformat()
        settings = working(retry=f'{{"active": false, "pauseReason": "x", "pauseUntil": "{until}"}}')
        shown = f"paused until {end:%Y-%m-%d %H:%M:%S} UTC (x)"
        for past in (timedelta(seconds=-1), timedelta(0), timedelta(days=366)):
            (pause,) = paused(settings, end + past).values()
            late = "; that is past: `bubble-sync resume --job retry`" if past >= timedelta(0) else ""
            assert str(pause) == f"{shown}{late}"


UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def test_the_words_for_a_duration_are_within_half_a_unit_and_never_decrease(tally: list[Row]):
    durations, before = sorted({round(1.01**power, 1) for power in range(2500)}), 0
    durations = [one for one in durations if one < 20 * 366 * 86400]
    for seconds in durations:
        number, unit = format_age(seconds).split()
        value = int(number) * UNITS[unit]
        assert abs(value - seconds) <= UNITS[unit] / 2
        assert value >= before
        assert value > 0
        before = value
    tally.append(Row(AREA, "words for a duration", len(durations), len(durations)))
