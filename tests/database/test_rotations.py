"""No tick without a valid key: the change itself, fifty times, while requests go out all the time.

`tests/stack/test_rotations.py` goes the whole way through the command line, less often.
"""

from __future__ import annotations

import pytest

from bubble_sync.local.edge_function.behaviour import Behaviour
from bubble_sync.local.platform import Platform
from tests.fixtures.dispatching import PATHS, dispatching, new_key
from tests.fixtures.site import Site, stack_functions
from tests.fixtures.specs import secret_spec

ROTATIONS = 50


def accept(platform: Platform, *keys: str) -> None:
    platform.behave(Behaviour(status=200, own_keys=False, keys=keys))


def store(site: Site, key: str) -> None:
    site.converge(secret_spec(name="service_role_key", value=key))


@pytest.mark.parametrize("path", PATHS)
def test_no_request_is_rejected_while_the_secret_changes(path: str, prepared: Site, platform: Platform):
    kinds = path.split(" -> ")
    current = new_key(kinds[0])
    accept(platform, current)
    prepared.converge(secret_spec(value=prepared.addresses.endpoint_url))
    store(prepared, current)
    for spec in stack_functions():
        prepared.converge(spec)
    platform.sign_up("waiting@example.com")

    with dispatching(prepared.addresses) as dispatches:
        for number in range(1, ROTATIONS + 1):
            # A change of kind goes there and back.
            new = new_key(kinds[number % 2])
            accept(platform, current, new)
            store(prepared, new)
            dispatches.wait_for(len(dispatches.requests) + 2)
            dispatches.settle()
            accept(platform, new)
            current = new

    assert dispatches.without_request == []
    assert set(dispatches.outcomes()) == {"200"}
