"""The commands compare with what the program declares: one list of specs, and one graph."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bubble_sync.config.settings import read_settings
from bubble_sync.model.setup import desired_state
from bubble_sync.specs import Owner, Spec
from tests.fixtures.program import MONITOR_PASSWORD, SECRET_SIGNATURE, WEBHOOK, Graph
from tests.fixtures.specs import REF, config


def declared(graph: Graph) -> dict[str, dict[str, object]]:
    """The inputs of every custom resource, without what only a provider answers."""
    found = {}
    for name, one in graph.resources.items():
        if "dynamic" not in one.type:
            continue
        plain = {key: _opened(value) for key, value in one.inputs.items() if key != "__provider" and value is not None}
        found[name] = plain
    return found


def _opened(value: object) -> object:
    return value["value"] if isinstance(value, dict) and SECRET_SIGNATURE in value else value


def test_the_program_declares_what_the_commands_want(graph: Graph):
    wanted = desired_state(read_settings(config(serviceRoleKey="hunter2")), Owner("test", REF))

    _same(graph, wanted)


def _same(graph: Graph, wanted: Sequence[Spec]) -> None:
    found = list(declared(graph).values())
    specs = [json.loads(spec.model_dump_json()) for spec in wanted]
    for inputs in found:
        # This program has no configuration: it fills its arguments itself.
        inputs.pop("own_arguments", None)
        (spec,) = [spec for spec in specs if inputs.items() <= spec.items()]
        specs.remove(spec)
    assert specs == []


def test_with_a_monitor_role_too_and_what_it_calls_comes_last(access_graph: Graph):
    settings = read_settings(
        config(
            serviceRoleKey="hunter2", access='{"monitorRole": "bubble_monitor"}', monitorPassword=MONITOR_PASSWORD,
        )
    )  # fmt: skip
    wanted = desired_state(settings, Owner("test", REF))

    assert wanted[-1].object_name == "function bubble_sync.observe"
    _same(access_graph, wanted)


def test_with_days_for_the_history_too(history_graph: Graph):
    settings = read_settings(config(serviceRoleKey="hunter2", history='{"keepDays": 7}'))

    _same(history_graph, desired_state(settings, Owner("test", REF)))


def test_with_alerts_too_before_what_observes(alerts_graph: Graph, whole_graph: Graph):
    told = {"alerts": "{}", "alertWebhookUrl": WEBHOOK}
    access = {"access": '{"monitorRole": "bubble_monitor"}', "monitorPassword": MONITOR_PASSWORD}
    alone, both = (
        desired_state(read_settings(config(serviceRoleKey="hunter2", **told, **more)), Owner("test", REF))
        for more in ({}, access)
    )

    assert alone[-1].object_name == "job bubble-sync-alerts"
    assert both[-2:][0].object_name == "job bubble-sync-alerts"
    _same(alerts_graph, alone)
    _same(whole_graph, both)


def test_every_object_comes_after_those_before_it(graph: Graph):
    kinds = [spec.kind for spec in desired_state(read_settings(config()), Owner("test", REF))]

    assert kinds == sorted(kinds, key=["prerequisites", "ledger", "extension", "secret", "function", "job"].index)
    assert len(kinds) == len(declared(graph))
