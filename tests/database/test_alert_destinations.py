"""Where alerts go: a heartbeat, incidents in PagerDuty and Opsgenie; what a pause changes, and a failed post."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import psycopg
import pytest

from bubble_sync.config.settings import AlertSettings, ProcessorSettings, RetrySettings
from bubble_sync.config.validators import ALERT_SECRET_NAMES
from bubble_sync.specs import Owner
from tests.database.test_alerts import ALERT, HEAD, NEXT, TABLES, Alerts, ago
from tests.fixtures.recorder import Recorder, Request, opsgenie_request, pager_duty_event
from tests.fixtures.server_log import ServerLog
from tests.fixtures.site import Site
from tests.fixtures.specs import REF, STACK, functions_in, ledger_spec, secret_spec

CONDITIONS = ["failures", "growing", "oldest", "pause", "rejected"]
LINE = "1 newly failed; 1 failed in all"
#: In place of the worker: take each request, and answer it, if at all.
TAKE = """
    with taken as (
        delete from net.http_request_queue
        returning id, method::text, url, headers, convert_from(body, 'UTF8') as body
    ), answers as (
        insert into net._http_response (id, status_code, timed_out)
        select id, case when url ~ %(of)s then %(status)s::integer else 200 end, false
        from taken where %(status)s::integer is not null
    )
    select method, url, headers, body from taken order by id
"""
LATER = """
    update bubble_sync.alerts set posts = (
        select jsonb_object_agg(key, value || jsonb_strip_nulls(jsonb_build_object(
            'at', (value->>'at')::timestamptz - interval '{0} minutes',
            'next', (value->>'next')::timestamptz - interval '{0} minutes'
        )))
        from jsonb_each(posts)
    )
"""


@dataclass(frozen=True)
class Destinations(Alerts):
    """Alerts with several destinations."""

    values: Mapping[str, str] = field(default_factory=dict)

    def install(self, *, log: bool = True, jobs: Mapping[str, object] | None = None, **numbers: object) -> None:
        names = {destination: ALERT_SECRET_NAMES[destination] for destination in self.values}
        settings = AlertSettings.model_validate(numbers)
        for spec in functions_in(
            "alerts", alerts=settings, owner=Owner(STACK, REF), dispatch_log=log, jobs=jobs, secrets=names
        ):
            self.site.converge(spec.model_copy(update={"project_ref": ""}))

    def requests_of(self, status: int | None = 200, of: str = "") -> list[Request]:
        """Run the job's command; answer its requests to URLs like `of` with `status`, others with 200, or none."""
        with psycopg.connect(self.site.addresses.database_url) as conn:
            conn.execute(ALERT)
            taken = conn.execute(TAKE, {"status": status, "of": of}).fetchall()
        return [Request(method, url, headers or {}, json.loads(body or "{}")) for method, url, headers, body in taken]

    def later(self, minutes: int) -> None:
        """Let time pass since the last posts."""
        self.site.by_hand(LATER.format(minutes))

    def holding(self) -> list[str]:
        (row,) = self.site.by_hand("select holding from bubble_sync.alerts")
        return list(row["holding"])

    def post(self, name: str) -> Mapping[str, object]:
        (row,) = self.site.by_hand("select posts from bubble_sync.alerts")
        found: Mapping[str, object] = row["posts"][name]
        return found

    def set_secret(self, destination: str, value: str) -> None:
        self.site.converge(secret_spec(name=ALERT_SECRET_NAMES[destination], value=value))


def set_up(prepared: Site, *destinations: str, **numbers: object) -> Destinations:
    """Bring alerts with these destinations into the database, as at an `up` of yesterday."""
    url = f"http://127.0.0.1:1/{secrets.token_hex(16)}"
    values = {"webhook": url, "heartbeat": f"{url}/beat", "pagerduty": "R" * 32, "opsgenie": "eb243592-faa2-4ba2-a551"}
    chosen = {one: values[one] for one in destinations}
    prepared.converge(ledger_spec(tables=TABLES, project_ref=""))
    alerts = Destinations(prepared, url, chosen)
    for destination, value in chosen.items():
        alerts.set_secret(destination, value)
    prepared.by_hand("update vault.secrets set updated_at = updated_at - interval '1 week'")
    alerts.install(**numbers)
    return alerts


def hold(alerts: Destinations, condition: str) -> None:
    """Let one condition begin."""
    match condition:
        case "failures":
            alerts.items(1, "failed")
        case "growing":
            for _ in range(3):
                alerts.items()
                alerts.requests_of()
        case "oldest":
            alerts.items(1, created_at=ago(minutes=42))
        case "pause":
            alerts.install(growing_ticks=3, jobs={"retry": paused(RetrySettings, "2026-01-31T18:00:00Z")})
        case "rejected":
            alerts.requests("rejected", "rejected", "rejected")


def end(alerts: Destinations, condition: str) -> None:
    """Let it end."""
    match condition:
        case "pause":
            alerts.install(growing_ticks=3)
        case "rejected":
            alerts.requests("ok", status="200")
        case _:
            alerts.site.by_hand("update public.sync_queue set status = 'completed', processed_at = now()")


def paused(of: type[ProcessorSettings | RetrySettings], until: str = "") -> ProcessorSettings | RetrySettings:
    return of.model_validate({"active": False, **({"pause_until": until} if until else {})})


class TestHeartbeat:
    """Cron runs, pg_net works, and nothing is wrong."""

    @pytest.fixture
    def alerts(self, prepared: Site) -> Destinations:
        return set_up(prepared, "heartbeat", growing_ticks=3)

    def test_each_good_tick_calls_the_url_and_sends_nothing(self, alerts: Destinations):
        for _ in range(3):
            (beat,) = alerts.requests_of()
            assert (beat.method, beat.path, beat.body) == ("GET", alerts.values["heartbeat"], {})

    @pytest.mark.parametrize("condition", CONDITIONS)
    def test_it_stops_while_a_condition_holds_within_the_cooldown_too(self, alerts: Destinations, condition: str):
        assert len(alerts.requests_of()) == 1
        hold(alerts, condition)
        for _ in range(3):
            assert alerts.requests_of() == []
        assert alerts.holding() == [condition]

        end(alerts, condition)

        assert len(alerts.requests_of()) == 1
        assert alerts.holding() == []

    def test_it_waits_for_the_answer_so_that_a_dead_worker_gets_no_heap(self, alerts: Destinations):
        assert len(alerts.requests_of(None)) == 1
        assert alerts.requests_of() == []
        alerts.later(6)
        assert len(alerts.requests_of()) == 1

    @pytest.mark.parametrize(("status", "again"), [(500, 1), (404, 0), (429, 0)])
    def test_an_address_that_refuses_it_is_called_once_an_hour(self, alerts: Destinations, status: int, again: int):
        assert len(alerts.requests_of(status)) == 1
        assert len(alerts.requests_of(status)) == again
        alerts.later(61)
        assert len(alerts.requests_of(200)) == 1
        assert len(alerts.requests_of(200)) == 1

    def test_an_outage_of_days_does_not_stop_the_alerts(self, alerts: Destinations):
        alerts.requests_of(503)
        alerts.site.by_hand("update bubble_sync.alerts set posts = jsonb_set(posts, '{heartbeat,attempts}', '5000')")

        assert len(alerts.requests_of(503)) == 1
        assert len(alerts.requests_of(200)) == 1

    def test_a_message_that_was_given_up_stops_it(self, prepared: Site):
        alerts = set_up(prepared, "webhook", "heartbeat")
        posted, _ = alerts.requests_of(404, f"{alerts.webhook}$")
        assert posted.method == "POST"
        assert alerts.requests_of() == []
        assert alerts.requests_of() == []
        alerts.set_secret("webhook", alerts.webhook + "/new")

        assert [one.method for one in alerts.requests_of()] == ["POST", "GET"]


@pytest.mark.parametrize("pager", ["pagerduty", "opsgenie"])
class TestIncidents:
    """One for each condition: it begins, and it ends."""

    @pytest.fixture
    def alerts(self, prepared: Site, pager: str) -> Destinations:
        """Alerts after the first tick, which ends what an earlier installation may have left open."""
        alerts = set_up(prepared, pager, growing_ticks=3)
        assert self.events(alerts) == [("end", key(one)) for one in CONDITIONS]
        return alerts

    def events(self, alerts: Destinations, status: int | None = 200) -> list[tuple[str, str]]:
        return [event(one) for one in alerts.requests_of(status)]

    @pytest.mark.parametrize("condition", CONDITIONS)
    def test_it_begins_once_and_ends_once(self, alerts: Destinations, condition: str):
        hold(alerts, condition)
        begun = self.events(alerts)
        if condition != "growing":  # its last tick is among those that let it hold
            assert begun == [("begin", key(condition))]
        assert self.events(alerts) == []

        end(alerts, condition)

        assert self.events(alerts) == [("end", key(condition))]
        assert self.events(alerts) == []

    def test_after_the_cooldown_it_is_the_same_incident(self, alerts: Destinations):
        hold(alerts, "oldest")
        assert self.events(alerts) == [("begin", key("oldest"))]
        alerts.wait(oldest=61)

        assert self.events(alerts) == [("begin", key("oldest"))]

    def test_the_end_waits_for_the_answer_to_the_beginning(self, alerts: Destinations):
        hold(alerts, "oldest")
        assert self.events(alerts, None) == [("begin", key("oldest"))]
        end(alerts, "oldest")
        assert self.events(alerts) == []
        alerts.later(6)

        assert self.events(alerts) == [("end", key("oldest"))]

    def test_a_beginning_that_failed_is_not_posted_after_the_end(self, alerts: Destinations):
        hold(alerts, "oldest")
        self.events(alerts, 503)
        end(alerts, "oldest")

        assert self.events(alerts) == [("end", key("oldest"))]

    def test_reports_are_no_incidents(self, alerts: Destinations):
        alerts.wait(daily=1440, weekly=7 * 1440)

        assert self.events(alerts) == []

    def test_one_that_ends_may_begin_again_after_the_cooldown(self, alerts: Destinations):
        for _ in range(2):
            hold(alerts, "failures")
            assert self.events(alerts) == [("begin", key("failures"))]
            end(alerts, "failures")
            assert self.events(alerts) == [("end", key("failures"))]
            alerts.wait(failures=61)


def key(condition: str) -> str:
    return f"bubble-sync-{REF}-{STACK}-{condition}"


def event(request: Request) -> tuple[str, str]:
    """Say what a request does to which incident."""
    if "routing_key" in request.body:
        assert request.path == "https://events.pagerduty.com/v2/enqueue"
        return {"trigger": "begin", "resolve": "end"}[request.body["event_action"]], request.body["dedup_key"]
    base = "https://api.opsgenie.com/v2/alerts"
    if request.path == base:
        return "begin", request.body["alias"]
    return "end", request.path.removeprefix(f"{base}/").removesuffix("/close?identifierType=alias")


class TestRealRequests:
    """What leaves pg_net, against the published shapes."""

    def test_pager_duty_gets_events(self, prepared: Site, recorder: Recorder):
        recorder.status = "202 Accepted"
        alerts = set_up(prepared, "pagerduty", pager_duty_url=recorder.url)
        ended = self.run(alerts, recorder, 5, pager_duty_event)
        assert {one["event_action"] for one in ended} == {"resolve"}
        assert [one["dedup_key"] for one in ended] == [key(one) for one in CONDITIONS]

        hold(alerts, "rejected")
        (begun,) = self.run(alerts, recorder, 1, pager_duty_event)
        end(alerts, "rejected")
        (over,) = self.run(alerts, recorder, 1, pager_duty_event)

        assert begun == {
            "routing_key": "R" * 32, "event_action": "trigger", "dedup_key": key("rejected"), "client": "bubble-sync",
            "payload": {
                "summary": f"bubble-sync, stack {STACK} ({REF}): the last 3 requests were rejected: HTTP 401",
                "source": f"bubble-sync, stack {STACK} ({REF})", "severity": "critical", "component": "bubble-sync",
                "class": "rejected", "custom_details": {"next": f"bubble-sync doctor --stack {STACK}"},
            },
        }  # fmt: skip
        assert over == {"routing_key": "R" * 32, "event_action": "resolve", "dedup_key": key("rejected")}

    def test_opsgenie_gets_alerts_and_their_end(self, prepared: Site, recorder: Recorder):
        recorder.status = "202 Accepted"
        alerts = set_up(prepared, "opsgenie", opsgenie_url=recorder.url)
        closed = self.run(alerts, recorder, 5, opsgenie_request)
        assert [(action, alias) for action, alias, _ in closed] == [("close", key(one)) for one in CONDITIONS]

        hold(alerts, "failures")
        (begun,) = self.run(alerts, recorder, 1, opsgenie_request)
        end(alerts, "failures")
        (over,) = self.run(alerts, recorder, 1, opsgenie_request)

        source = f"bubble-sync, stack {STACK} ({REF})"
        assert begun == ("create", key("failures"), {
            "message": f"bubble-sync, stack {STACK}: {LINE}", "alias": key("failures"), "source": source,
            "description": f"{source}: {LINE}\nNext: bubble-sync doctor --stack {STACK}",
            "tags": ["bubble-sync", "failures"], "priority": "P2",
        })  # fmt: skip
        assert over == ("close", key("failures"), {"source": source})

    def test_a_heartbeat_is_a_get_without_a_body_and_a_failed_message_comes_again(
        self, prepared: Site, recorder: Recorder
    ):
        recorder.status = "503 Service Unavailable"
        alerts = set_up(prepared, "webhook", "heartbeat")
        for destination in alerts.values:
            alerts.set_secret(destination, f"{recorder.url}/{destination}")
        for _ in range(2):
            message, beat = self.run(alerts, recorder, 2, lambda one: one)
            assert (beat.method, beat.path, beat.body) == ("GET", "/heartbeat", {})
            assert (message.method, message.path) == ("POST", "/webhook")
            assert message.body["text"].startswith(f"{HEAD}alerts are on")

    def run(self, alerts: Destinations, recorder: Recorder, count: int, read) -> list:  # type: ignore[no-untyped-def,type-arg]
        """Run the job's command for real; return what the recorder got, in a stable order."""
        alerts.site.by_hand("set role postgres", ALERT)
        got = [Request.of(recorder.next_request()) for _ in range(count)]
        alerts.site.by_hand(
            "do $$ begin for attempt in 1 .. 200 loop exit when not exists (select from bubble_sync.alerts, "
            "jsonb_each(posts) where value ? 'request' and not exists (select from net._http_response as r "
            "where r.id = (value->>'request')::bigint)); perform pg_sleep(0.05); commit; end loop; end $$"
        )
        assert recorder.requests.empty()
        got.sort(key=lambda one: (one.method == "GET", one.path, one.body.get("dedup_key", "")))
        return [read(one) for one in got]


class TestRetries:
    """A failed post is posted again, bounded, and never at the cost of another destination."""

    @pytest.fixture
    def alerts(self, prepared: Site) -> Destinations:
        alerts = set_up(prepared, "webhook")
        alerts.requests_of()
        alerts.requests_of()
        return alerts

    @pytest.mark.parametrize("status", [None, 408, 429, 500, 503])
    def test_the_next_tick_that_sees_the_failure_posts_it_again(self, alerts: Destinations, status: int | None):
        hold(alerts, "failures")
        (first,) = alerts.requests_of(status)
        alerts.later(6 if status is None else 0)
        (second,) = alerts.requests_of()

        assert first.body == second.body == {"text": f"{HEAD}{LINE}{NEXT}"}
        assert alerts.requests_of() == []
        assert alerts.post("webhook")["messages"] == []

    def test_attempts_are_further_and_further_apart_and_end(self, alerts: Destinations):
        hold(alerts, "failures")
        posted = []
        for minute in range(24 * 60):
            # Only ticks around a post matter; the rest of the day passes at once.
            if alerts.requests_of(503):
                posted.append(minute)
            elif alerts.post("webhook").get("next") == "infinity":
                break
            alerts.later(1)

        apart = [later - earlier for earlier, later in pairwise(posted)]
        assert apart == [1, 1, 3, 7, 15, 31, 60, 60, 60, 60, 60]
        assert alerts.post("webhook")["attempts"] == 12

    @pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 410])
    def test_one_that_is_refused_is_not_posted_again_until_there_is_news(self, alerts: Destinations, status: int):
        hold(alerts, "failures")
        alerts.requests_of(status)
        for _ in range(3):
            assert alerts.requests_of() == []
            alerts.later(100)
        assert alerts.post("webhook")["status"] == status

        hold(alerts, "oldest")
        (both,) = alerts.requests_of()

        assert both.body["text"].count(HEAD) == 2
        assert alerts.requests_of() == []

    def test_a_changed_secret_begins_anew(self, alerts: Destinations):
        hold(alerts, "failures")
        alerts.requests_of(404)
        assert alerts.requests_of() == []
        alerts.set_secret("webhook", f"{alerts.webhook}/new")

        (again,) = alerts.requests_of()

        assert again.path.endswith("/new")

    def test_messages_wait_for_the_answer_and_are_bounded_in_number_and_length(self, alerts: Destinations):
        alerts.install(cooldown_minutes=1)
        hold(alerts, "oldest")
        assert len(alerts.requests_of(None)) == 1
        for _ in range(30):
            alerts.wait(oldest=2)
            assert alerts.requests_of(None) == []
        assert len(alerts.post("webhook")["messages"]) == 20  # type: ignore[arg-type]
        alerts.later(6)

        sizes = []
        while posted := alerts.requests_of():
            (one,) = posted
            sizes.append(len(one.body["text"]))
        assert max(sizes) <= 1500
        assert len(sizes) == 3

    def test_a_destination_that_cannot_be_posted_to_does_not_stop_another(self, prepared: Site):
        alerts = set_up(prepared, "webhook", "pagerduty", "opsgenie", "heartbeat")
        prepared.by_hand(f"delete from vault.secrets where name = '{ALERT_SECRET_NAMES['opsgenie']}'")
        alerts.set_secret("pagerduty", "not a key")

        posted = alerts.requests_of()

        assert [one.path for one in posted] == [alerts.webhook, alerts.values["heartbeat"]]
        assert alerts.post("pagerduty/oldest")["error"] == "secret is malformed"
        assert alerts.post("opsgenie/oldest")["error"] == "Vault secret not configured"


def test_the_posts_of_a_destination_that_is_gone_go_too(prepared: Site):
    alerts = set_up(prepared, "webhook", "pagerduty")
    alerts.requests_of(404)
    alerts.requests_of()
    alerts.values.pop("pagerduty")  # type: ignore[attr-defined]
    alerts.install()
    alerts.requests_of()

    (row,) = prepared.by_hand("select posts from bubble_sync.alerts")
    assert list(row["posts"]) == ["webhook"]


class TestPause:
    """A pause of the processor, by its configuration."""

    @pytest.mark.parametrize("until", ["", "2999-01-01T00:00:00Z"])
    def test_items_may_wait_while_it_lasts_and_other_trouble_is_alerted(self, prepared: Site, until: str):
        alerts = set_up(prepared, "webhook", growing_ticks=3, jobs={"processor": paused(ProcessorSettings, until)})
        alerts.requests_of()
        hold(alerts, "growing")
        hold(alerts, "oldest")
        assert alerts.requests_of() == []
        assert alerts.holding() == []

        hold(alerts, "failures")

        assert [one.body["text"] for one in alerts.requests_of()] == [f"{HEAD}{LINE}{NEXT}"]

    @pytest.mark.parametrize(("job", "model"), [("processor", ProcessorSettings), ("retry", RetrySettings)])
    def test_past_its_end_it_is_alerted_with_the_items_that_wait(
        self, prepared: Site, job: str, model: type[ProcessorSettings | RetrySettings]
    ):
        alerts = set_up(prepared, "webhook", jobs={job: paused(model, "2026-01-31T18:00:00+01:00")})
        hold(alerts, "oldest")

        (posted,) = alerts.requests_of()

        assert posted.body["text"].split("\n- ")[2:] == [
            "an item has waited for 42 minutes, more than 15; 1 waiting in all",
            f"the {job} job is paused past the end of its pause, 2026-01-31T17:00:00Z{NEXT}",
        ]
        assert alerts.requests_of() == []
        alerts.wait(pause=61)
        assert len(alerts.requests_of()) == 1

    def test_a_pause_of_the_retry_job_lets_no_new_item_wait(self, prepared: Site):
        alerts = set_up(prepared, "webhook", jobs={"retry": paused(RetrySettings)})
        hold(alerts, "oldest")

        (posted,) = alerts.requests_of()

        assert "an item has waited for 42 minutes" in posted.body["text"]


def test_no_secret_is_in_the_table_a_job_or_the_log(prepared: Site, server_log: ServerLog):
    alerts = set_up(prepared, "webhook", "pagerduty", "opsgenie", "heartbeat")
    hold(alerts, "oldest")
    for status in (503, 404, None):
        alerts.requests_of(status)
        alerts.later(10)

    kept = json.dumps(
        prepared.by_hand(
            "select (select string_agg(a::text, '') from bubble_sync.alerts as a) as alerts, "
            "(select string_agg(j::text, '') from cron.job as j) as jobs, "
            "(select string_agg(prosrc, '') from pg_proc where pronamespace = 'bubble_sync'::regnamespace) as functions"
        )
    )
    for value in alerts.values.values():
        assert value not in kept
        assert value not in server_log.appended
