"""What alerts add to the program: a secret, functions, a job, and a table beside the ledger."""

from __future__ import annotations

import pytest

from bubble_sync.config.settings import AlertSettings, ProcessorSettings
from tests.fixtures.program import SECRET_SIGNATURE, WEBHOOK, Graph
from tests.fixtures.specs import functions_in
from tests.program.test_graph import comes_after

DYNAMIC = "pulumi-python:dynamic/bubble_sync:"
FUNCTIONS = (
    "alert_holds", "alert_conditions", "alert_rejected", "alert_report", "alert_answer", "post_alert", "alert_deliver",
    "alert",
)  # fmt: skip
SECRET = "sync-alerts-bubble_sync_alert_webhook_url"
JOB = "sync-alerts-bubble-sync-alerts"
ADDED = {
    "sync-alerts": ("bubble-sync:index:Alerts", "sync"),
    SECRET: (f"{DYNAMIC}VaultSecret", "sync-alerts"),
    **{f"sync-alerts-{name}": (f"{DYNAMIC}Function", "sync-alerts") for name in FUNCTIONS},
    JOB: (f"{DYNAMIC}CronJob", "sync-alerts"),
}


def test_a_stack_without_alerts_declares_nothing_of_them(graph: Graph):
    assert not [name for name in graph.resources if "alert" in name]
    assert graph.resources["sync-ledger"].inputs["tables"] == ["dispatches"]


def test_alerts_add_these_resources_and_no_other(graph: Graph, alerts_graph: Graph):
    added = set(alerts_graph.resources) - set(graph.resources)

    assert {name: (alerts_graph.resources[name].type, alerts_graph.parents[name]) for name in added} == ADDED


def test_everything_else_is_declared_as_without_them_but_the_tables_and_what_is_asked_for_first(
    graph: Graph, alerts_graph: Graph
):
    changed = {name for name, one in graph.resources.items() if one.inputs != alerts_graph.resources[name].inputs}

    assert changed == {"sync-ledger", "sync-prerequisites"}
    asked, usual = (one.resources["sync-prerequisites"].inputs["objects"] for one in (alerts_graph, graph))
    assert set(asked) - set(usual) >= {"job bubble-sync-alerts", "secret bubble_sync_alert_webhook_url"}
    assert alerts_graph.resources["sync-ledger"].inputs["tables"] == ["dispatches", "alerts"]


def test_the_webhook_is_a_secret_and_in_no_other_input(alerts_graph: Graph):
    value = alerts_graph.resources[SECRET].inputs["value"]

    assert SECRET_SIGNATURE in value
    assert value["value"] == WEBHOOK
    assert not [name for name, one in alerts_graph.resources.items() if name != SECRET and WEBHOOK in repr(one.inputs)]


def test_each_comes_after_what_it_names_and_all_after_the_sync(alerts_graph: Graph):
    for earlier, later in (
        ("sync-jobs-bubble-sync-retry", SECRET),
        (SECRET, "sync-alerts-alert"),
        ("sync-alerts-post_alert", "sync-alerts-alert_deliver"),
        ("sync-alerts-alert_holds", "sync-alerts-alert_conditions"),
        ("sync-alerts-alert_deliver", "sync-alerts-alert"),
        ("sync-alerts-alert", JOB),
    ):
        assert earlier in comes_after(alerts_graph, later)
        assert later not in comes_after(alerts_graph, earlier)


def test_the_function_of_the_monitor_role_knows_of_them_and_comes_last(access_graph: Graph, whole_graph: Graph):
    body = whole_graph.resources["sync-access-observe"].inputs["body"]

    assert all(name in body for name in ("bubble_sync.alert,", "bubble-sync-alerts", "bubble_sync_alert_webhook_url"))
    assert "alert_" not in access_graph.resources["sync-access-observe"].inputs["body"]
    assert JOB in comes_after(whole_graph, "sync-access-observe")


@pytest.mark.parametrize(
    ("schedule", "requests"), [("* * * * *", 3), ("*/5 * * * *", 3), ("30 seconds", 6), ("5 seconds", 36)]
)
def test_with_a_schedule_in_seconds_as_many_rejections_as_before_in_the_same_time_are_alerted(
    schedule: str, requests: int
):
    jobs = {"processor": ProcessorSettings(schedule=schedule)}
    functions = functions_in("alerts", jobs=jobs, alerts=AlertSettings())

    (body,) = (one.body for one in functions if one.name == "bubble_sync.alert")
    assert f"rejected_requests constant integer := {requests};" in body
