"""What `history.keepDays` adds to the program: a function and a job."""

from __future__ import annotations

import pytest

from tests.fixtures.program import ALERTS, HISTORY, POOLER, Graph, recorded
from tests.program.test_graph import comes_after

DYNAMIC = "pulumi-python:dynamic/bubble_sync:"
FUNCTION, JOB = "sync-history-delete_old_runs", "sync-history-bubble-sync-history"
ADDED = {
    "sync-history": ("bubble-sync:index:History", "sync"),
    FUNCTION: (f"{DYNAMIC}Function", "sync-history"),
    JOB: (f"{DYNAMIC}CronJob", "sync-history"),
}


@pytest.fixture(scope="module")
def everything() -> Graph:
    """The recorded graph of a hosted stack with all that is optional."""
    return recorded(ALERTS, HISTORY, POOLER)


def test_a_stack_without_the_setting_declares_nothing_of_it(graph: Graph):
    assert not [name for name in graph.resources if "history" in name]


def test_the_setting_adds_these_resources_and_no_other(graph: Graph, history_graph: Graph):
    added = set(history_graph.resources) - set(graph.resources)

    assert {name: (history_graph.resources[name].type, history_graph.parents[name]) for name in added} == ADDED


def test_everything_else_is_declared_as_without_it_but_what_is_asked_for_first(graph: Graph, history_graph: Graph):
    changed = {name for name, one in graph.resources.items() if one.inputs != history_graph.resources[name].inputs}

    # The ledger records the settings.
    assert changed == {"sync-prerequisites", "sync-ledger"}
    asked, usual = (one.resources["sync-prerequisites"].inputs["objects"] for one in (history_graph, graph))
    assert set(asked) - set(usual) == {"job bubble-sync-history", "function bubble_sync.delete_old_runs"}


def test_the_function_has_the_days_and_the_job_runs_every_ten_minutes(history_graph: Graph):
    job = history_graph.resources[JOB].inputs

    assert "keep_days constant integer := 7;" in history_graph.resources[FUNCTION].inputs["body"]
    assert (job["schedule"], job["command"]) == ("3-59/10 * * * *", "SELECT bubble_sync.delete_old_runs()")


def test_the_job_comes_after_its_function_and_after_the_sync(history_graph: Graph):
    for earlier, later in (("sync-jobs-bubble-sync-retry", FUNCTION), (FUNCTION, JOB)):
        assert earlier in comes_after(history_graph, later)
        assert later not in comes_after(history_graph, earlier)


def test_next_to_alerts_it_comes_last_and_the_function_of_the_monitor_role_knows_of_it(everything: Graph):
    body = everything.resources["sync-access-observe"].inputs["body"]

    assert "bubble-sync-history" in body
    assert "bubble_sync.delete_old_runs" in body
    assert "sync-alerts-bubble-sync-alerts" in comes_after(everything, JOB)
    assert JOB in comes_after(everything, "sync-access-observe")
