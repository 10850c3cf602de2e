"""What access adds to the program: a function, a role, two grants, and a connection of pulumi-postgresql's own."""

from __future__ import annotations

from bubble_sync.database.scram import salt_of, verifier
from tests.fixtures.program import MONITOR_PASSWORD, SECRET_SIGNATURE, Graph
from tests.fixtures.specs import REF

ADDED = {
    "sync-access": ("bubble-sync:index:Access", "sync"),
    "sync-access-observe": ("pulumi-python:dynamic/bubble_sync:Function", "sync-access"),
    "sync-access-database": ("pulumi:providers:postgresql", "sync-access"),
    "sync-access-bubble_monitor": ("postgresql:index/role:Role", "sync-access"),
    "sync-access-schema": ("postgresql:index/grant:Grant", "sync-access"),
    "sync-access-function": ("postgresql:index/grant:Grant", "sync-access"),
}


def test_a_stack_without_access_imports_nothing_of_the_plugin_and_declares_nothing_of_it(graph: Graph):
    assert not graph.plugin_imported
    assert not [one for one in graph.resources.values() if "postgresql" in one.type or "access" in one.name]
    assert graph.resources["sync-ledger"].inputs["grantees"] == []


def test_access_adds_these_resources_and_no_other(graph: Graph, access_graph: Graph):
    added = set(access_graph.resources) - set(graph.resources)

    assert access_graph.plugin_imported
    assert {name: (access_graph.resources[name].type, access_graph.parents[name]) for name in added} == ADDED


def test_everything_else_is_declared_as_without_it_but_the_grantee_and_what_is_asked_for_first(
    graph: Graph, access_graph: Graph
):
    changed = {name for name, one in graph.resources.items() if one.inputs != access_graph.resources[name].inputs}

    assert changed == {"sync-ledger", "sync-prerequisites"}
    asked, usual = (one.resources["sync-prerequisites"].inputs["objects"] for one in (access_graph, graph))
    assert set(asked) - set(usual) == {"function bubble_sync.observe"}
    assert access_graph.resources["sync-ledger"].inputs["grantees"] == ["bubble_monitor"]


def test_the_plugin_connects_in_a_session_with_the_roles_own_name_and_no_password(access_graph: Graph):
    assert access_graph.resources["sync-access-database"].inputs == {
        "host": "aws-0-eu.pooler.supabase.com",
        "port": "5432",
        "database": "postgres",
        "username": f"postgres.{REF}",
        "databaseUsername": "postgres",
        "sslmode": "verify-full",
        "sslrootcert": "ca.crt",
        "superuser": "false",
        "maxConnections": "2",
        "connectTimeout": "10",
    }
    assert "s3cret" not in repr(access_graph)


def test_the_role_may_log_in_by_a_secret_verifier_that_is_the_same_each_time(access_graph: Graph):
    inputs = access_graph.resources["sync-access-bubble_monitor"].inputs
    expected = verifier(MONITOR_PASSWORD, salt_of(f"https://{REF}.supabase.co", "bubble_monitor"))

    assert inputs["login"] is True
    assert SECRET_SIGNATURE in inputs["password"]
    assert inputs["password"]["value"] == expected
    assert MONITOR_PASSWORD not in repr(access_graph)


def test_the_role_is_given_the_schema_and_one_function_named_without_parameters(access_graph: Graph):
    grants = {
        name: [access_graph.resources[name].inputs.get(key) for key in ("role", "objectType", "objects", "privileges")]
        for name in ("sync-access-schema", "sync-access-function")
    }

    assert grants == {
        "sync-access-schema": ["bubble_monitor", "schema", None, ["USAGE"]],
        "sync-access-function": ["bubble_monitor", "function", ["observe"], ["EXECUTE"]],
    }


def test_the_function_runs_with_its_owners_rights_and_is_for_that_role_alone(access_graph: Graph):
    inputs = access_graph.resources["sync-access-observe"].inputs

    assert (inputs["name"], inputs["security"], inputs["executors"]) == (
        "bubble_sync.observe", "definer", ["bubble_monitor"],
    )  # fmt: skip
    assert "monitor_role constant text := 'bubble_monitor';" in inputs["body"]
    # Last made and first removed: what is named by a function that is still there is kept on destroy.
    assert "sync-jobs-bubble-sync-retry" in access_graph.dependencies["sync-access"]
