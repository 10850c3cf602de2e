"""What `processor.wake` adds to the program: a trigger and its functions."""

from __future__ import annotations

from itertools import pairwise

from tests.fixtures.program import Graph
from tests.program.test_graph import comes_after

DYNAMIC = "pulumi-python:dynamic/bubble_sync:"
GROUP = "sync-wake"
DUE, SEND, FUNCTION, TRIGGER = (f"{GROUP}-{name}" for name in ("wake_due", "wake_send", "wake", "bubble_sync_wake"))
ADDED = {
    GROUP: ("bubble-sync:index:Wake", "sync"),
    DUE: (f"{DYNAMIC}Function", GROUP),
    SEND: (f"{DYNAMIC}Function", GROUP),
    FUNCTION: (f"{DYNAMIC}Function", GROUP),
    TRIGGER: (f"{DYNAMIC}Trigger", GROUP),
}
PROCESSOR = "sync-functions-invoke_bubble_sync_processor"


def test_a_stack_without_the_setting_declares_nothing_of_it(graph: Graph):
    assert not [name for name in graph.resources if "wake" in name]


def test_the_setting_adds_these_resources_and_no_other(graph: Graph, wake_graph: Graph):
    added = set(wake_graph.resources) - set(graph.resources)

    assert {name: (wake_graph.resources[name].type, wake_graph.parents[name]) for name in added} == ADDED


def test_of_everything_else_only_the_processors_guard_changes(graph: Graph, wake_graph: Graph):
    changed = {name for name, one in graph.resources.items() if one.inputs != wake_graph.resources[name].inputs}

    # The ledger records the settings.
    assert changed == {"sync-prerequisites", "sync-ledger", PROCESSOR}
    asked, usual = (one.resources["sync-prerequisites"].inputs["objects"] for one in (wake_graph, graph))
    functions = {f"function bubble_sync.{name}" for name in ("wake", "wake_send", "wake_due")}
    assert set(asked) - set(usual) == {"trigger bubble_sync_wake", *functions}
    body, usual_body = (one.resources[PROCESSOR].inputs["body"] for one in (wake_graph, graph))
    assert body == usual_body.replace(
        "overlap_guard constant boolean := false", "overlap_guard constant boolean := true"
    )


def test_each_object_comes_after_what_it_needs(wake_graph: Graph):
    order = ["sync-jobs-bubble-sync-retry", DUE, SEND, FUNCTION, TRIGGER]
    for earlier, later in pairwise(order):
        assert earlier in comes_after(wake_graph, later)
        assert later not in comes_after(wake_graph, earlier)


def test_the_trigger_fires_once_for_each_insert_of_an_application(wake_graph: Graph):
    trigger = wake_graph.resources[TRIGGER].inputs

    assert trigger["definition"] == (
        "AFTER INSERT ON public.sync_queue FOR EACH STATEMENT EXECUTE FUNCTION bubble_sync.wake()"
    )
    assert trigger["enabled"] == "origin"
