"""Which resource manages an object: it alone removes it, whatever else of the stack has managed it before."""

from __future__ import annotations

import psycopg
import pytest

from bubble_sync.converge.lifecycle import observe
from bubble_sync.specs import ExtensionSpec, RecordedSpec, compare
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK, function_spec, job_spec, secret_spec

pytestmark = pytest.mark.modes

ANOTHER = "another resource of this stack manages it now; if none does, `pulumi up --refresh` claims it again"
KINDS = [job_spec(), function_spec(), secret_spec()]


def remembered(site: Site, spec: RecordedSpec) -> dict[str, object]:
    rows = site.by_hand(f"select * from bubble_sync.ledger where object = '{spec.object_name}'")
    return rows[0] if rows else {}


def as_0_1_0_made_it(site: Site) -> None:
    """Give the ledger the columns it had then."""
    site.by_hand("alter table bubble_sync.ledger drop column place, drop column claim")


@pytest.mark.parametrize("spec", KINDS)
def test_a_resource_removes_what_it_claims_and_its_predecessor_does_not(prepared: Site, spec: RecordedSpec):
    prepared.converge(spec, "first")
    before = remembered(prepared, spec)
    prepared.converge(spec, "second")

    assert remembered(prepared, spec) == {**before, "claim": "second"}, "since when it is as it is stays"
    assert prepared.remove(spec, "first") == ANOTHER
    assert prepared.observe(spec) is not None
    assert prepared.remove(spec, "second") is None
    assert prepared.observe(spec) is None
    assert remembered(prepared, spec) == {}


def test_a_change_keeps_the_claim_that_it_is_given(prepared: Site):
    prepared.converge(job_spec(), "first")
    prepared.converge(job_spec(schedule="0 0 * * *"), "first")

    assert remembered(prepared, job_spec())["claim"] == "first"


def test_what_the_program_still_declares_is_kept_with_its_claim(prepared: Site):
    prepared.converge(job_spec(), "first")

    assert prepared.remove(job_spec(), "first", declared=True) == "the program still declares it"
    assert remembered(prepared, job_spec())["claim"] == "first"
    prepared.adopt = False
    prepared.converge(job_spec(), "second")
    assert prepared.remove(job_spec(), "second") is None


def test_another_claim_in_the_ledger_is_a_difference_and_none_once_it_is_claimed_again(prepared: Site):
    prepared.converge(job_spec(), "first")
    prepared.converge(job_spec(), "second")

    def fields(claim: str | None) -> list[str]:
        there = prepared.db.read("reading", lambda conn: observe(conn, job_spec(), claim=claim))
        return [one.field for one in compare(job_spec(), there)]

    assert (fields("second"), fields("first"), fields(""), fields(None)) == ([], ["stack"], ["stack"], [])
    prepared.converge(job_spec(), "first")
    assert (fields("first"), fields("second")) == ([], ["stack"])


def test_an_extension_says_who_manages_it_before_it_says_why_it_always_stays(prepared: Site):
    spec = ExtensionSpec(name="pg_net", stack=STACK)
    prepared.converge(spec, "second")

    assert prepared.remove(spec, "first") == ANOTHER
    assert "dropping an extension" in str(prepared.remove(spec, "second"))


def test_the_row_of_an_object_that_is_gone_is_its_managers_to_forget(prepared: Site):
    prepared.converge(job_spec(), "second")
    prepared.by_hand("delete from cron.job")

    assert prepared.remove(job_spec(), "first") == ANOTHER
    assert remembered(prepared, job_spec())["claim"] == "second"
    assert prepared.remove(job_spec(), "second") is None
    assert remembered(prepared, job_spec()) == {}


class TestALedgerOf010:
    """Its rows have no claim, and neither have the states of that time."""

    def test_removes_what_its_state_made(self, prepared: Site):
        prepared.converge(job_spec())
        as_0_1_0_made_it(prepared)

        assert prepared.remove(job_spec()) is None

    def test_is_claimed_by_the_first_change_and_then_not_removed_by_the_state_before(self, prepared: Site):
        prepared.converge(job_spec())
        as_0_1_0_made_it(prepared)

        prepared.converge(job_spec(), "first")

        assert remembered(prepared, job_spec())["claim"] == "first"
        assert prepared.remove(job_spec()) == ANOTHER
        assert prepared.remove(job_spec(), "first") is None

    def test_brought_back_from_a_backup_does_not_prove_a_claim_and_one_more_create_does(self, prepared: Site):
        prepared.converge(job_spec(), "first")
        as_0_1_0_made_it(prepared)

        assert prepared.remove(job_spec(), "first") == ANOTHER
        prepared.converge(job_spec(), "second")
        assert prepared.remove(job_spec(), "second") is None

    def test_is_not_altered_again_while_somebody_reads_it(self, prepared: Site):
        prepared.converge(job_spec(), "first")
        with psycopg.connect(prepared.addresses.admin_url) as reader:
            reader.execute("select from bubble_sync.ledger")
            prepared.converge(job_spec(), "second")

        assert remembered(prepared, job_spec())["claim"] == "second"
