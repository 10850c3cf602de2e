"""What a linter of hosted projects would say of our objects: quiet after `up`, and heard when it should be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bubble_sync.config.settings import AlertSettings, ProcessorSettings
from bubble_sync.health.doctor import Finding
from tests.fixtures.breaking import diagnose
from tests.fixtures.site import Site, stack_functions
from tests.fixtures.specs import functions_in, ledger_spec
from tests.fixtures.tools import missing

PROCESSOR = "function public.invoke_bubble_sync_processor()"


def findings(site: Site, check: str) -> list[Finding]:
    """Run a check as the hosted role, in whose session an operator would."""
    return [finding for finding in diagnose(site).findings if finding.id == check]


@pytest.fixture
def converged(prepared: Site) -> Site:
    prepared.converge(ledger_spec(tables=["dispatches", "alerts"], project_ref=""))
    for spec in (*stack_functions(), *functions_in("alerts", alerts=AlertSettings())):
        prepared.converge(spec)
    return prepared


@pytest.mark.parametrize("check", ["function_executable_by_others", "private_schema_exposed"])
def test_a_check_is_quiet_about_the_monitor_role_and_no_other(converged: Site, check: str):
    converged.converge(functions_in("access", monitor_role="bubble_monitor")[0])
    for role in ("bubble_monitor", "bubble_other"):
        converged.by_hand(
            f"create role {role}",
            f"grant usage on schema bubble_sync to {role}",
            f"grant execute on function bubble_sync.observe(text) to {role}",
        )

    (finding,) = findings(converged, check)

    assert "role bubble_other may" in finding.evidence


def test_the_schema_in_the_apis_list_is_found(converged: Site):
    converged.by_hand("alter role authenticator set pgrst.db_schemas = 'public, bubble_sync'")
    try:
        (finding,) = findings(converged, "private_schema_exposed")
    finally:
        converged.by_hand("alter role authenticator reset pgrst.db_schemas")

    assert finding.evidence == "the API serves the schema bubble_sync"


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
def test_a_definer_function_open_to_an_api_role_says_whose_rights_it_runs_with(converged: Site, role: str):
    converged.by_hand(f"alter {PROCESSOR} security definer", f"grant execute on {PROCESSOR} to {role}")

    details = [finding.evidence for finding in findings(converged, "function_executable_by_others")]

    assert details == [
        f"role {role} may execute public.invoke_bubble_sync_processor(), which runs with its owner's rights"
    ]


class TestPlpgsqlCheck:
    """Debian's plpgsql_check reads the bodies as the server would run them."""

    @pytest.fixture
    def checked(self, converged: Site) -> Iterator[Site]:
        available = "select name from pg_available_extensions where name = 'plpgsql_check'"
        if not converged.by_hand(available):
            missing("plpgsql_check")
        converged.by_hand("create extension plpgsql_check schema extensions")
        yield converged
        converged.by_hand("drop extension plpgsql_check")

    @pytest.mark.parametrize("signature", [
        "public.invoke_bubble_sync_processor()", "public.invoke_bubble_sync_retry()",
        "bubble_sync.send(text, text, jsonb, integer, text, text)",
        "bubble_sync.settle()", "bubble_sync.unanswered(text, integer)", "bubble_sync.record(text, bigint, bigint)",
        "bubble_sync.alert()", "bubble_sync.alert_conditions(integer, integer, integer, integer)",
        "bubble_sync.alert_rejected(integer, integer)", "bubble_sync.alert_report(integer, boolean, boolean)",
        "bubble_sync.alert_holds(text, boolean)", "bubble_sync.alert_answer(jsonb, text)",
        "bubble_sync.post_alert(text, text)",
        "bubble_sync.alert_deliver(text, text[], text)",
    ])  # fmt: skip
    def test_it_finds_nothing(self, checked: Site, signature: str):
        assert self.findings(checked, signature) == []

    def test_it_finds_nothing_with_several_requests_in_a_run(self, checked: Site):
        for spec in functions_in("functions", jobs={"processor": ProcessorSettings(requests_per_tick=4)}):
            checked.converge(spec)

        assert self.findings(checked, "public.invoke_bubble_sync_processor()") == []

    def test_it_finds_nothing_in_the_function_of_the_monitor_role(self, checked: Site):
        checked.converge(functions_in("access", monitor_role="m")[0])

        found = self.findings(checked, "bubble_sync.observe(text)")

        # The block that it shares with the commands declares a `salt` of its own; newer releases say so in three lines.
        expected = ("overlap", 'parameter "salt" is shadowed', "Local variable shadows function parameter")
        assert [line for line in found if not any(words in line for words in expected)] == []

    def test_it_finds_a_missing_column(self, checked: Site):
        checked.by_hand("alter table public.sync_queue drop column next_retry_at")

        found = self.findings(checked, "public.invoke_bubble_sync_retry()")

        assert any("next_retry_at does not exist" in finding for finding in found)

    def findings(self, site: Site, signature: str) -> list[str]:
        ask = f"select line from extensions.plpgsql_check_function('{signature}', extra_warnings => true) as line"
        return [row["line"] for row in site.by_hand(ask)]
