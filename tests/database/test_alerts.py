"""What the alerts tell, when, how often, and that nothing secret is in it: the function of their job, tick by tick."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bubble_sync.config.settings import AlertSettings
from bubble_sync.config.validators import check_webhook
from bubble_sync.errors import ForeignObject
from bubble_sync.specs import DIFFERS, Owner
from bubble_sync.sql_loader import SQL_DIRECTORY
from tests.fixtures.server_log import ServerLog
from tests.fixtures.site import Site
from tests.fixtures.specs import MESSAGE, REF, STACK, WEBHOOK_NAME, functions_in, ledger_spec, secret_spec

ALERT = "SELECT bubble_sync.alert()"
TABLES = ["dispatches", "alerts"]
HEAD = f"bubble-sync, stack {STACK} ({REF})\n- "
NEXT = f"\nNext: bubble-sync doctor --stack {STACK}"
#: In place of the worker: take the requests, and answer them.
TAKE = """
    with taken as (delete from net.http_request_queue returning id, url, convert_from(body, 'UTF8') as body),
    answers as (
        insert into net._http_response (id, status_code, timed_out) select id, 200, false from taken
    )
    select url, body from taken
"""
STORED = f"select vault.update_secret(id, '{{}}') from vault.secrets where name = '{WEBHOOK_NAME}'"
BROKEN = {
    "no secret": (f"delete from vault.secrets where name = '{WEBHOOK_NAME}'", "Vault secret not configured"),
    "an empty secret": (STORED.format(""), "Vault secret not configured"),
    "a secret that is no URL": (STORED.format("no URL"), "secret is malformed"),
    "a secret of another root key": (
        "update vault.secrets set secret = encode('not of this key, and long enough', 'base64')",
        r"Vault secret cannot be read \(SQLSTATE 22000\)",
    ),
    "a table that refuses": (
        "alter table net.http_request_queue add constraint refused check (id is null) not valid",
        r"pg_net refused the request \(SQLSTATE 23514\)",
    ),
}


@dataclass(frozen=True)
class Alerts:
    """A project with alerts: what a test does to it, and what a tick tells."""

    site: Site
    webhook: str

    def install(self, *, log: bool = True, **numbers: object) -> None:
        told = AlertSettings.model_validate(numbers)
        for spec in functions_in("alerts", alerts=told, owner=Owner(STACK, REF), dispatch_log=log):
            self.site.converge(spec.model_copy(update={"project_ref": ""}))

    def tick(self) -> list[str]:
        """Run the job's command as its role, keep what it wrote but for the requests, and return their texts."""
        with psycopg.connect(self.site.addresses.database_url) as conn:
            conn.execute(ALERT)
            taken = conn.execute(TAKE).fetchall()
        assert {url for url, _ in taken} <= {self.webhook}
        bodies = [json.loads(body) for _, body in taken]
        assert all(set(body) == {"text"} for body in bodies)
        return [body["text"] for body in bodies]

    def lines(self) -> list[str]:
        """Return the lines of the one message of a tick; none when it says nothing."""
        texts = self.tick()
        assert len(texts) <= 1, "one message for all"
        return [line for text in texts for line in text.split("\n- ")[1:]]

    def items(self, count: int = 1, status: str = "pending", **columns: str) -> None:
        names = ", ".join(("table_name", "record_id", "operation", "status", *columns))
        values = ", ".join(("'user'", "gen_random_uuid()::text", "'INSERT'", f"'{status}'", *columns.values()))
        self.site.by_hand(f"insert into public.sync_queue ({names}) select {values} from generate_series(1, {count})")

    def requests(self, *verdicts: str, status: str = "401") -> None:
        for verdict in verdicts:
            self.site.by_hand(
                "insert into bubble_sync.dispatches (function, settled_at, status_code, verdict, error) "
                f"values ('f', now(), {status}, '{verdict}', 'ada@example.com')"
            )

    def wait(self, **minutes: int) -> None:
        """Let the time since an alert be longer."""
        for name, count in minutes.items():
            self.site.by_hand(f"update bubble_sync.alerts set {name}_told = {name}_told - interval '{count} minutes'")


@pytest.fixture
def webhook() -> str:
    """A URL whose path can be nowhere by chance; nothing listens there."""
    return f"http://127.0.0.1:1/services/{secrets.token_hex(16)}"


@pytest.fixture
def fresh(prepared: Site, webhook: str) -> Alerts:
    """Alerts that have never run."""
    prepared.converge(ledger_spec(tables=TABLES, project_ref=""))
    prepared.converge(secret_spec(name=WEBHOOK_NAME, value=webhook))
    alerts = Alerts(prepared, webhook)
    alerts.install()
    return alerts


@pytest.fixture
def alerts(fresh: Alerts) -> Alerts:
    """Alerts that have said that they are on."""
    fresh.tick()
    return fresh


def ago(**parts: int) -> str:
    return f"now() - interval '{' '.join(f'{count} {unit}' for unit, count in parts.items())}'"


class TestOnAndQuiet:
    """The first message, and then none."""

    def test_the_first_tick_says_that_alerts_are_on_and_the_next_nothing(self, fresh: Alerts):
        assert fresh.tick() == [f"{HEAD}alerts are on; the next daily report is due at 07:00 UTC"]
        assert fresh.tick() == []

    def test_without_a_project_ref_the_stack_is_named_alone(self, fresh: Alerts):
        for spec in functions_in("alerts", alerts=AlertSettings()):
            fresh.site.converge(spec)

        (text,) = fresh.tick()

        assert text.startswith(f"bubble-sync, stack {STACK}\n- alerts are on")

    def test_what_was_failed_before_is_not_new(self, fresh: Alerts):
        fresh.items(3, "failed")

        assert fresh.lines() == ["alerts are on; the next daily report is due at 07:00 UTC"]
        assert fresh.lines() == []

    @pytest.mark.parametrize("waiting", [0, 4])
    def test_a_tick_with_nothing_new_writes_nothing(self, alerts: Alerts, waiting: int):
        alerts.items(waiting)
        alerts.items(2, "failed")
        alerts.requests("rejected", "ok")
        for _ in range(2):  # the second one reads the answer to the first
            alerts.tick()
        with psycopg.connect(alerts.site.addresses.database_url) as conn:
            conn.execute(ALERT)
            assert conn.execute("select pg_current_xact_id_if_assigned()").fetchone() == (None,)

    def test_of_two_at_the_same_time_one_looks(self, alerts: Alerts):
        alerts.items(1, "failed")
        with psycopg.connect(alerts.site.addresses.database_url) as other:
            other.execute(ALERT)
            assert alerts.tick() == []
            other.rollback()
        assert len(alerts.tick()) == 1

    def test_a_stack_that_works_is_quiet(self, alerts: Alerts):
        for _ in range(15):
            alerts.items()
            assert alerts.tick() == []
            alerts.site.by_hand("update public.sync_queue set status = 'completed', processed_at = now()")
            alerts.requests("ok", status="200")
            assert alerts.tick() == []


class TestNewFailures:
    """Items that were not failed the last time."""

    def test_they_are_counted_with_what_to_do_next(self, alerts: Alerts):
        alerts.items(2, "failed", error_message="'ada@example.com sb_secret_abc'")

        assert alerts.tick() == [f"{HEAD}2 newly failed; 2 failed in all{NEXT}"]
        assert alerts.tick() == []

    def test_within_the_cooldown_they_are_collected_and_told_after_it(self, alerts: Alerts):
        for _ in range(3):
            alerts.items(1, "failed")
            told = alerts.lines()
        assert told == []

        alerts.wait(failures=61)

        assert alerts.lines() == [f"2 newly failed; 3 failed in all{NEXT}"]
        alerts.wait(failures=61)
        assert alerts.lines() == []

    def test_those_that_are_not_failed_any_more_need_no_word(self, alerts: Alerts):
        alerts.items(1, "failed")
        alerts.tick()
        alerts.items(2, "failed")
        alerts.tick()
        alerts.site.by_hand("update public.sync_queue set status = 'completed', processed_at = now()")
        alerts.tick()
        alerts.wait(failures=61)

        assert alerts.lines() == []

    def test_one_that_takes_anothers_place_is_new(self, alerts: Alerts):
        alerts.items(1, "failed")
        alerts.tick()
        alerts.site.by_hand("delete from public.sync_queue")
        alerts.items(1, "failed")
        alerts.wait(failures=61)

        assert alerts.lines() == [f"1 newly failed; 1 failed in all{NEXT}"]

    def test_below_the_threshold_it_is_quiet(self, alerts: Alerts):
        alerts.install(new_failures=3)
        alerts.items(2, "failed")
        assert alerts.lines() == []

        alerts.items(1, "failed")

        assert alerts.lines() == [f"3 newly failed; 3 failed in all{NEXT}"]


class TestGrowing:
    """A queue that grows, tick after tick."""

    def grow(self, alerts: Alerts, ticks: int) -> list[str]:
        told = []
        for _ in range(ticks):
            alerts.items()
            told += alerts.lines()
        return told

    def test_it_is_told_when_it_has_grown_often_enough(self, alerts: Alerts):
        alerts.install(growing_ticks=3)

        assert self.grow(alerts, 2) == []
        assert self.grow(alerts, 1) == [f"the queue grew 3 times without falling: from 0 to 3 waiting{NEXT}"]

    def test_a_tick_without_growth_neither_counts_nor_breaks_it_and_one_with_less_does(self, alerts: Alerts):
        alerts.install(growing_ticks=3)
        self.grow(alerts, 2)
        assert alerts.lines() == []
        assert len(self.grow(alerts, 1)) == 1

        self.grow(alerts, 2)
        alerts.wait(growing=61)
        alerts.site.by_hand("delete from public.sync_queue where id = (select id from public.sync_queue limit 1)")
        assert alerts.lines() == []
        assert self.grow(alerts, 2) == []

    def test_within_the_cooldown_it_is_quiet_and_remembers_no_more_than_it_needs(self, alerts: Alerts):
        alerts.install(growing_ticks=3)
        assert len(self.grow(alerts, 3)) == 1
        assert self.grow(alerts, 6) == []
        assert alerts.site.by_hand("select depths from bubble_sync.alerts") == [{"depths": [6, 7, 8, 9]}]

        alerts.wait(growing=61)

        assert alerts.lines() == [f"the queue grew 3 times without falling: from 6 to 9 waiting{NEXT}"]

    def test_items_that_the_processor_does_not_take_do_not_count(self, alerts: Alerts):
        alerts.install(growing_ticks=2)
        for _ in range(4):
            alerts.items(1, "completed")
            alerts.site.by_hand("insert into public.sync_queue (table_name, record_id, operation) "
                                "values ('user', gen_random_uuid()::text, 'DELETE')")  # fmt: skip
            assert alerts.lines() == []


class TestOldest:
    """An item that waits for too long."""

    def test_it_is_told_once_in_a_cooldown_as_long_as_it_waits(self, alerts: Alerts):
        alerts.items(1, created_at=ago(minutes=42))
        line = f"an item has waited for 42 minutes, more than 15; 1 waiting in all{NEXT}"

        assert alerts.lines() == [line]
        alerts.wait(oldest=59)
        assert alerts.lines() == []
        alerts.wait(oldest=2)
        assert alerts.lines() == [line]

    @pytest.mark.parametrize(
        "columns",
        [
            {"created_at": ago(minutes=14)},
            {"created_at": ago(days=3), "processed_at": ago(minutes=1)},
            {"created_at": ago(days=3), "next_retry_at": ago(minutes=-5)},
        ],
        ids=["young", "tried again just now", "to be tried later"],
    )
    def test_one_that_has_not_waited_long_is_none(self, alerts: Alerts, columns: dict[str, str]):
        alerts.items(1, **columns)

        assert alerts.lines() == []

    def test_the_limit_is_a_setting(self, alerts: Alerts):
        alerts.install(oldest_minutes=60)
        alerts.items(1, created_at=ago(minutes=42))

        assert alerts.lines() == []


class TestRejected:
    """Requests that the endpoint refuses, one after another."""

    def test_so_many_in_a_row_are_told_with_their_statuses_and_no_error(self, alerts: Alerts):
        alerts.requests("ok", status="200")
        alerts.requests("rejected", "rejected")
        assert alerts.lines() == []

        alerts.requests("rejected", status="null")

        assert alerts.lines() == [f"the last 3 requests were rejected: HTTP 401, no answer{NEXT}"]
        alerts.wait(rejected=61)
        assert alerts.lines() == [], "none since"
        alerts.requests("rejected")
        assert len(alerts.lines()) == 1

    def test_a_log_that_was_made_anew_counts_from_one_and_is_told_of_all_the_same(self, alerts: Alerts):
        alerts.requests(*["rejected"] * 5)
        assert len(alerts.lines()) == 1
        alerts.site.by_hand("truncate bubble_sync.dispatches restart identity")
        alerts.requests("rejected", "rejected", "rejected")
        alerts.wait(rejected=61)

        assert len(alerts.lines()) == 1
        alerts.wait(rejected=61)
        assert alerts.lines() == []

    def test_what_a_body_refuses_and_what_another_answers_is_rejected_too(self, alerts: Alerts):
        alerts.requests("rejected")
        alerts.requests("refused by its body", "not the function''s answer", status="200")

        assert alerts.lines() == [
            "the last 3 requests were rejected: HTTP 200, not the function's answer, HTTP 200, refused by its body, "
            f"HTTP 401{NEXT}"
        ]

    def test_within_the_cooldown_it_is_quiet(self, alerts: Alerts):
        alerts.requests("rejected", "rejected", "rejected")
        alerts.tick()
        alerts.requests("rejected")

        assert alerts.lines() == []

    @pytest.mark.parametrize("between", ["ok", "answered", "partial", "timed out", "lost"])
    def test_another_outcome_breaks_the_row(self, alerts: Alerts, between: str):
        alerts.requests("rejected", "rejected", between, "rejected", "rejected")

        assert alerts.lines() == []

    def test_a_request_that_is_still_under_way_does_not(self, alerts: Alerts):
        alerts.requests("rejected", "rejected", "rejected")
        alerts.site.by_hand("insert into bubble_sync.dispatches (function) values ('f')")

        assert len(alerts.lines()) == 1

    def test_without_a_log_it_is_silent(self, alerts: Alerts):
        alerts.install(log=False)
        alerts.requests("rejected", "rejected", "rejected")

        assert alerts.lines() == []

    @pytest.mark.parametrize("by_hand", ["drop table bubble_sync.dispatches",
                                         "alter table bubble_sync.dispatches drop verdict"])  # fmt: skip
    def test_without_the_table_it_is_silent_and_the_others_are_not(self, alerts: Alerts, by_hand: str):
        alerts.site.by_hand(by_hand)
        alerts.items(1, "failed")
        alerts.wait(daily=1500)

        first, report = alerts.lines()

        assert first == "1 newly failed; 1 failed in all"
        assert report.startswith("daily report, not all green: ")


class TestReports:
    """Once a day what failed, and once a week a line in any case."""

    def test_the_daily_report_comes_once_with_counts_by_class(self, alerts: Alerts):
        alerts.items(2, "failed", retry_count="3")
        alerts.items(1, "failed", error_message="'ada@example.com'")
        alerts.items(1, "processing", created_at=ago(hours=2))
        alerts.items(2)
        alerts.items(3, "completed", processed_at=ago(hours=1))
        alerts.items(1, "completed", processed_at=ago(hours=30))
        alerts.requests("ok", "ok", "rejected")
        alerts.tick()
        alerts.wait(daily=1440)

        assert alerts.lines() == [
            "daily report, not all green: 3 completed, 2 waiting, 3 failed (INSERT 3; 2 of them without an attempt "
            f"left), 1 stuck in processing for over an hour; requests: ok 2, rejected 1{NEXT}"
        ]
        assert alerts.lines() == []

    @pytest.mark.parametrize(("lease", "times", "stuck"), [
        ("-59 minutes", {"created_at": ago(hours=9)}, False),
        ("-61 minutes", {"created_at": ago(hours=9)}, True),
        ("7 minutes", {"created_at": ago(hours=9), "processed_at": ago(hours=8)}, False),
        (None, {"created_at": ago(minutes=61)}, True),
        (None, {"created_at": ago(hours=9), "next_retry_at": ago(minutes=59)}, False),
    ])  # fmt: skip
    def test_a_claimed_item_is_stuck_from_the_end_of_its_lease_on(
        self, alerts: Alerts, lease: str | None, times: dict[str, str], stuck: bool
    ):
        alerts.site.by_hand((SQL_DIRECTORY / "reference" / "claim.sql").read_text("utf-8"))
        until = {"claimed_until": f"now() + interval '{lease}'"} if lease else {}
        alerts.items(1, "processing", **times, **until)
        alerts.tick()
        alerts.wait(daily=1440)

        assert any("1 stuck in processing for over an hour" in line for line in alerts.lines()) is stuck

    def test_a_day_without_failures_is_quiet(self, alerts: Alerts):
        alerts.items(3, "completed", processed_at=ago(hours=1))
        alerts.wait(daily=1440)

        assert alerts.lines() == []
        told = "select daily_told > now() - interval '1 minute' as today from bubble_sync.alerts"
        assert alerts.site.by_hand(told) == [{"today": True}]

    @pytest.mark.parametrize(("shift", "due"), [(timedelta(minutes=-2), True), (timedelta(minutes=2), False)])
    def test_it_comes_at_its_time_and_not_before(self, alerts: Alerts, shift: timedelta, due: bool):
        now = datetime.now(UTC)
        at = now + shift
        if at.date() != now.date():
            pytest.skip("midnight is near")
        alerts.install(daily_report_at=f"{at:%H:%M}")
        alerts.items(1, "failed")
        alerts.tick()
        # Told yesterday, a moment after it was due.
        alerts.site.by_hand(f"update bubble_sync.alerts set daily_told = '{at - timedelta(days=1, minutes=-1)}'")

        assert bool(alerts.lines()) is due

    def test_the_server_s_time_zone_does_not_matter(self, alerts: Alerts):
        alerts.items(1, "failed")
        alerts.tick()
        alerts.site.by_hand("alter role postgres set timezone = 'Pacific/Kiritimati'")
        alerts.wait(daily=1440)

        assert len(alerts.lines()) == 1
        assert alerts.lines() == []

    @pytest.mark.parametrize("told", ["daily", "weekly"])
    def test_no_report_comes_twice_when_the_server_s_clock_was_put_forward(self, alerts: Alerts, told: str):
        now = datetime.now(UTC)
        at = now + timedelta(minutes=2)
        if at.date() != now.date():
            pytest.skip("midnight is near")
        alerts.install(daily_report_at=f"{at:%H:%M}")
        alerts.items(1, "failed")
        alerts.tick()
        # Summer began this day at 00:00 UTC, and ends some days later.
        day = at.timetuple().tm_yday - 1
        alerts.site.by_hand(f"alter role postgres set timezone = 'W0S,{day}/0,{(day + 9) % 365}/0'")
        before = at - timedelta(days=1) if told == "daily" else at - timedelta(days=1 + (at.weekday() - 1) % 7)
        alerts.site.by_hand(f"update bubble_sync.alerts set {told}_told = '{before + timedelta(minutes=1)}'")

        assert alerts.lines() == []

    def test_the_weekly_line_comes_once_and_is_green(self, alerts: Alerts):
        alerts.items(3, "completed", processed_at=ago(days=6))
        alerts.wait(weekly=7 * 1440)

        assert alerts.tick() == [f"{HEAD}this week, all green: 3 completed, 0 waiting, 0 failed"]
        assert alerts.tick() == []

    def test_a_week_with_an_alert_is_not_green_although_nothing_is_wrong_now(self, alerts: Alerts):
        alerts.items(1, created_at=ago(minutes=42))
        alerts.tick()
        alerts.site.by_hand("update public.sync_queue set status = 'completed', processed_at = now()")
        alerts.wait(weekly=7 * 1440)

        assert alerts.lines() == ["this week, not all green: 1 completed, 0 waiting, 0 failed"]

        alerts.wait(weekly=7 * 1440, oldest=8 * 1440)
        assert alerts.lines() == ["this week, all green: 1 completed, 0 waiting, 0 failed"]

    def test_a_week_that_ends_with_an_alert_is_not_green_either(self, alerts: Alerts):
        alerts.items(1, created_at=ago(minutes=42))
        alerts.wait(weekly=7 * 1440)

        assert alerts.lines()[1] == f"this week, not all green: 0 completed, 1 waiting, 0 failed{NEXT}"

    def test_operations_that_we_do_not_know_are_others(self, alerts: Alerts):
        alerts.site.by_hand("alter table public.sync_queue drop constraint sync_queue_operation_check")
        alerts.items(1, "failed")
        alerts.site.by_hand("update public.sync_queue set operation = 'ada@example.com'")
        alerts.tick()
        alerts.wait(daily=1440)

        (line,) = alerts.lines()

        assert "1 failed (other 1; 0 of them without an attempt left)" in line


class TestWhatGoesWrong:
    """A post fails with a warning that holds no secret; what was to be told is told by a later run."""

    @pytest.mark.parametrize("name", BROKEN)
    def test_the_run_says_so_without_the_url_and_nothing_is_lost(
        self, alerts: Alerts, webhook: str, name: str, server_log: ServerLog
    ):
        by_hand, said = BROKEN[name]
        alerts.items(1, "failed")
        alerts.site.by_hand(by_hand)

        with psycopg.connect(alerts.site.addresses.database_url) as conn:
            notices: list[str] = []
            conn.add_notice_handler(lambda one: notices.extend(map(str, (getattr(one, name) for name in dir(one)))))
            conn.execute(ALERT)
        assert re.search(said, "\n".join(notices))
        kept = alerts.site.by_hand("select posts::text as posts from bubble_sync.alerts")[0]["posts"]
        for text in (*notices, server_log.appended, kept):
            assert webhook.rsplit("/", 1)[1] not in text

        alerts.site.by_hand("alter table net.http_request_queue drop constraint if exists refused",
                            "delete from vault.secrets")  # fmt: skip
        alerts.site.converge(secret_spec(name=WEBHOOK_NAME, value=webhook))
        assert alerts.lines() == [f"1 newly failed; 1 failed in all{NEXT}"]

    def test_without_its_table_the_run_fails(self, alerts: Alerts):
        alerts.site.by_hand("drop table bubble_sync.alerts")

        with pytest.raises(psycopg.errors.UndefinedTable):
            alerts.tick()

    @settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(url=st.one_of(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
        st.from_regex(r"https?://[a-z.@:\[\]1-9]{1,12}(:\d{1,6})?[/?#]?[ -~]{0,8}", fullmatch=True),
    ))  # fmt: skip
    @example("https://hooks.slack.com/services/T000/B000/x")
    @example("https://discord.com/api/webhooks/1/x-y_z/slack?wait=true")
    @example("https://hooks.slack.com/services/x\n")
    @example("http://hooks.slack.com/services/x")
    @example("http://127.0.0.1:8080/x")
    @example("http://127.0.0.1/")
    def test_what_the_settings_take_is_what_it_posts_to(self, alerts: Alerts, url: str):
        with psycopg.connect(alerts.site.addresses.database_url) as conn:
            quoted = psycopg.sql.Literal(url)
            conn.execute(psycopg.sql.SQL("select vault.update_secret(id, {}) from vault.secrets").format(quoted))
            said = ""
            try:
                conn.execute(f"select bubble_sync.post_alert('{MESSAGE}', '{WEBHOOK_NAME}')")
            except psycopg.errors.RaiseException as error:
                said = str(error)
            conn.rollback()
        taken = True
        try:
            check_webhook(url)
        except ValueError:
            taken = False

        assert ("secret is malformed" not in said and "not configured" not in said) == taken


class TestTheTable:
    """Made with the ledger, mended, and gone with the alerts."""

    WITH = ledger_spec(tables=TABLES)

    def test_it_is_made_beside_the_log_and_for_itself(self, site: Site):
        assert site.converge(self.WITH).actual == self.WITH
        assert site.converge(ledger_spec(tables=["alerts"])).actual.tables == ("alerts",)

    @pytest.mark.parametrize(
        ("by_hand", "seen"),
        [
            ("drop table bubble_sync.alerts", ("dispatches",)),
            ("alter table bubble_sync.alerts drop depths",
             ("dispatches", "alerts (without column depths bigint[] not null default '{}'::bigint[])")),
            ("alter table bubble_sync.alerts drop only_row",
             ("dispatches", "alerts (without column only_row boolean not null default true, constraint alerts_pkey, "
              "constraint alerts_only_row_check)")),
        ],
    )  # fmt: skip
    def test_a_hand_that_takes_something_away_is_found_and_mended(
        self, alerts: Alerts, by_hand: str, seen: Sequence[str]
    ):
        wanted = ledger_spec(tables=TABLES, project_ref="")
        alerts.site.by_hand(by_hand)

        assert alerts.site.observe(wanted).actual.tables == tuple(seen)
        assert alerts.site.converge(wanted).actual == wanted
        alerts.tick()

    def test_what_cannot_be_mended_is_refused(self, alerts: Alerts):
        alerts.site.by_hand("alter table bubble_sync.alerts alter depths type text")

        with pytest.raises(ForeignObject, match="alerts set schema bubble_sync_before"):
            alerts.site.converge(ledger_spec(tables=TABLES, project_ref=""))

    def test_nobody_else_may_read_it(self, alerts: Alerts):
        wanted = ledger_spec(tables=TABLES, project_ref="")
        alerts.site.by_hand("grant select on bubble_sync.alerts to anon")

        assert alerts.site.observe(wanted).actual.grantees == ("anon",)
        assert alerts.site.converge(wanted).actual == wanted

    def test_where_it_is_wanted_no_more_it_is_seen_and_goes_and_the_log_stays(self, alerts: Alerts):
        without = ledger_spec(project_ref="")

        assert alerts.site.observe(without).actual.tables == ("dispatches", "alerts")
        assert alerts.site.converge(without).actual == without
        assert alerts.site.by_hand("select to_regclass('bubble_sync.alerts') is null as gone") == [{"gone": True}]

    def test_another_table_of_that_name_is_left_alone_where_none_is_wanted(self, prepared: Site):
        prepared.by_hand("create table bubble_sync.alerts (mine text)")

        assert prepared.observe(ledger_spec()).actual == ledger_spec()
        prepared.converge(ledger_spec())
        prepared.remove(ledger_spec())
        assert prepared.by_hand("select mine from bubble_sync.alerts") == []

    @pytest.mark.parametrize(("function", "gone"), [("there", False), ("gone", True)])
    def test_destroy_takes_it_when_its_function_is_gone(self, alerts: Alerts, function: str, gone: bool):
        if function == "gone":
            alerts.site.by_hand("drop function bubble_sync.alert")

        assert "it lists the objects" in str(alerts.site.remove(ledger_spec(tables=TABLES, project_ref="")))
        assert alerts.site.by_hand("select to_regclass('bubble_sync.alerts') is null as gone") == [{"gone": gone}]


def test_the_webhook_is_compared_by_a_digest_and_never_logged(fresh: Alerts, webhook: str, server_log: ServerLog):
    new = f"{webhook}-new"
    seen = fresh.site.observe(secret_spec(name=WEBHOOK_NAME, value=new))
    fresh.site.converge(secret_spec(name=WEBHOOK_NAME, value=new))

    assert seen.actual.value == DIFFERS
    assert "vault.update_secret" in server_log.appended
    assert webhook not in server_log.appended
