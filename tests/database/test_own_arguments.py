"""A program that fills its arguments itself is known by the ledger, and is not compared with its configuration."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bubble_sync.compare.diff import find
from bubble_sync.errors import ConfigurationError
from bubble_sync.health.doctor import doctor
from bubble_sync.health.failures import failures
from bubble_sync.health.metrics import measure
from bubble_sync.health.runs import runs
from bubble_sync.health.status import status
from bubble_sync.health.verify import verify
from bubble_sync.model.setup import desired_state
from bubble_sync.specs import LedgerSpec, Owner
from tests.fixtures.breaking import working
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK

SPECS = desired_state(working(), Owner(STACK))
(LEDGER,) = [spec for spec in SPECS if isinstance(spec, LedgerSpec)]
COMPARING: dict[str, Callable[[Site], object]] = {
    "diff": lambda site: find(site.db, SPECS),
    "verify": lambda site: verify(site.db, working(), STACK, None),
    "doctor": lambda site: doctor(site.db, working(), STACK),
    "status": lambda site: status(site.db, working(), STACK),
    "metrics": lambda site: measure(site.db, working(), STACK, "1"),
}


@pytest.fixture
def own(converged: Site) -> Site:
    """A stack whose program fills its arguments itself."""
    converged.converge(LEDGER.model_copy(update={"own_arguments": True}))
    return converged


@pytest.mark.parametrize("command", COMPARING)
def test_a_command_that_compares_refuses_in_one_line(own: Site, command: str):
    with pytest.raises(ConfigurationError, match=r"^the program .* fills SyncSetupArgs itself") as refused:
        COMPARING[command](own)

    assert "\n" not in str(refused.value)


def test_what_happened_is_told_all_the_same(own: Site):
    assert runs(own.db, working(), STACK, 10).jobs
    assert failures(own.db, STACK, None, 10).unknown == {}


@pytest.mark.parametrize("command", COMPARING)
def test_a_program_that_takes_its_configuration_again_is_compared_again(own: Site, command: str):
    observed = own.converge(LEDGER)

    assert observed.actual == LEDGER
    COMPARING[command](own)


def test_what_a_program_wants_is_observed(own: Site):
    observed = own.observe(LEDGER)

    assert observed is not None
    assert observed.actual == LEDGER.model_copy(update={"own_arguments": True})


def test_states_of_earlier_versions_hold_no_such_field_and_are_equal():
    assert "own_arguments" not in LEDGER.model_dump(mode="json")
    assert LedgerSpec.model_validate(LEDGER.model_dump(mode="json")) == LEDGER
