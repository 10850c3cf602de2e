"""Alerts as a person has them: one is forced and received, from pg_cron to the webhook; then all of it is gone."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import psycopg
import pytest

from bubble_sync.local.edge_function.behaviour import Behaviour
from bubble_sync.local.platform import Platform
from bubble_sync.local.stack import prepare_stack
from tests.fixtures.recorder import Recorder
from tests.fixtures.site import Site
from tests.fixtures.stack import CHECKOUT, Stack

#: A tick comes each minute.
PATIENCE_SECONDS = 90
JOBS = "select jobid, jobname::text as name, xmin::text from cron.job order by jobid"
IDS = "select name, id::text from vault.secrets union all select jobname, jobid::text from cron.job order by 1"
#: None can be anywhere by chance.
KEYS = {
    "alertHeartbeatUrl": f"http://127.0.0.1:1/beat/{secrets.token_hex(16)}",
    "alertPagerDutyRoutingKey": secrets.token_hex(16),
    "alertOpsgenieApiKey": secrets.token_hex(16),
}
LEFT = """
    select 'function ' || proname as left from pg_proc
    where pronamespace = to_regnamespace('bubble_sync') and proname ~ 'alert'
    union all select 'job ' || jobname from cron.job where jobname ~ 'alert'
    union all select 'secret ' || name from vault.secrets where name ~ 'alert'
    union all select 'table ' || relname from pg_class where relname = 'alerts'
    union all select 'in the ledger: ' || object from bubble_sync.ledger where object ~ 'alert'
"""


def switch_on(stack: Stack, webhook: str, heartbeat: str = "") -> None:
    stack.configure("alerts.dailyReportAt", "07:00")
    stack.configure("alertWebhookUrl", webhook, secret=True)
    if heartbeat:
        stack.configure("alertHeartbeatUrl", heartbeat, secret=True)


def next_post(recorder: Recorder) -> bytes:
    """Wait for a request other than the heartbeats before it."""
    while (request := recorder.requests.get(timeout=PATIENCE_SECONDS)).startswith(b"GET"):
        pass
    return request


def text_of(request: bytes) -> str:
    """Read what Slack would show."""
    head, body = request.split(b"\r\n\r\n", 1)
    assert b"content-type: application/json" in head.lower()
    assert b"authorization" not in head.lower()
    found: dict[str, str] = json.loads(body)
    assert list(found) == ["text"]
    return found["text"]


def test_a_failure_that_is_forced_arrives_through_pg_cron_and_destroy_leaves_nothing(
    own_platform: Platform,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    addresses = own_platform.start({"log_statement": "all"})
    stack, token = Stack(prepare_stack(addresses, CHECKOUT)), secrets.token_hex(16)
    switch_on(stack, f"{recorder.url}/services/{token}", f"{recorder.url}/beat/{token}")
    own_platform.behave(Behaviour(fail_with="ada@example.com is unknown"))

    stack.up()
    stack.expect_no_changes()
    jobids = stack.outputs()["jobids"]
    first, beat = sorted((recorder.requests.get(timeout=PATIENCE_SECONDS) for _ in range(2)), reverse=True)
    own_platform.sign_up("ada@example.com")
    with psycopg.connect(addresses.database_url, autocommit=True) as session:
        session.execute("select public.invoke_bubble_sync_processor()")
    second = next_post(recorder)

    assert isinstance(jobids, dict)
    assert list(jobids) == ["bubble-sync-alerts", "bubble-sync-processor", "bubble-sync-retry"]
    assert (beat.split()[:2], second.split()[:2]) == (
        [b"GET", f"/beat/{token}".encode()],
        [b"POST", f"/services/{token}".encode()],
    )
    assert text_of(first) == "bubble-sync, stack local\n- alerts are on; the next daily report is due at 07:00 UTC"
    assert text_of(second) == (
        "bubble-sync, stack local\n- 1 newly failed; 1 failed in all\nNext: bubble-sync doctor --stack local"
    )

    stack.run("destroy", "--yes")
    with psycopg.connect(addresses.admin_url) as admin:
        assert admin.execute(LEFT).fetchall() == []
    (log,) = [part.log for part in own_platform.status().parts if part.name == "postgres"]
    assert "bubble_sync.alert()" in log.read_text()
    assert token not in log.read_text() + "".join(stack.said)
    assert not [path for path, content in stack.files() if token.encode() in content]


def test_alerts_are_switched_on_repaired_and_switched_off_while_the_sync_stays(converged: Stack, site: Site):
    token = secrets.token_hex(16)
    before = site.by_hand(JOBS)

    switch_on(converged, f"http://127.0.0.1:1/services/{token}")
    assert "+ create           job bubble-sync-alerts\nstack local: 14 equal, 10 create, 1 update\n" in converged.sync(
        "diff", expect=1
    )
    converged.up()
    converged.expect_no_changes()
    converged.sync("diff")
    converged.sync("drift")
    assert site.by_hand(JOBS)[:2] == before

    site.by_hand(
        "update cron.job set active = false where jobname = 'bubble-sync-alerts'",
        "alter function bubble_sync.alert() security definer",
        "select vault.update_secret(id, 'https://elsewhere.example.com/x') from vault.secrets where name ~ 'alert'",
        "drop table bubble_sync.alerts",
    )
    assert converged.drift() == {
        "sync-ledger": ["tables[1]"],
        "sync-alerts-bubble_sync_alert_webhook_url": ["value"],
        "sync-alerts-alert": ["security"],
        "sync-alerts-bubble-sync-alerts": ["active"],
    }
    drifted = converged.sync("drift", expect=1)
    assert "cannot be accepted: no setting wants it" in drifted
    assert "pulumi config set --secret bubble-sync:alertWebhookUrl" in drifted
    converged.up()
    converged.expect_no_changes()

    for key in ("alerts", "alertWebhookUrl"):
        converged.run("config", "rm", f"bubble-sync:{key}")
    converged.up()
    converged.expect_no_changes()
    assert site.by_hand(LEFT) == []
    assert site.by_hand(JOBS) == before
    assert not [said for said in converged.said if token in said]
    assert not [path for path, content in converged.files() if token.encode() in content]


@pytest.mark.matrix
def test_destinations_come_and_go_without_the_others_and_a_pause_changes_the_alerts_too(converged: Stack, site: Site):
    switch_on(converged, "http://127.0.0.1:1/services/x")
    converged.up()
    before = site.by_hand(IDS)

    for key, value in KEYS.items():
        converged.configure(key, value, secret=True)
    converged.configure("alerts.opsgenieUrl", "https://api.eu.opsgenie.com")
    converged.up()
    converged.expect_no_changes()
    (body,) = site.by_hand("select prosrc from pg_proc where proname = 'post_alert'")
    assert "opsgenie_url constant text := 'https://api.eu.opsgenie.com';" in body["prosrc"]

    converged.sync("pause", "--job", "processor", "--reason", "the CRM moves", "--until", "2999-01-31T18:00:00Z")
    converged.expect_no_changes()
    (body,) = site.by_hand("select prosrc from pg_proc where oid = 'bubble_sync.alert()'::regprocedure")
    assert """pauses constant text := '{"processor": "2999-01-31T18:00:00Z"}';""" in body["prosrc"]
    converged.sync("resume")
    converged.expect_no_changes()

    for key in KEYS:
        converged.run("config", "rm", f"bubble-sync:{key}")
    converged.up()
    converged.expect_no_changes()
    assert site.by_hand(IDS) == before
    for value in KEYS.values():
        assert not [said for said in converged.said if value in said]
        assert not [path for path, content in converged.files() if value.encode() in content]

    for key in ("alerts", "alertWebhookUrl"):
        converged.run("config", "rm", f"bubble-sync:{key}")
    assert "11 to delete" in converged.run("preview")
