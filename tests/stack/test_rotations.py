"""No tick without a valid key: requests go out all the time while the key is changed through the command line.

The endpoint takes the key that is and the one that comes, as a project does during a rotation; an old one is revoked
when what was on its way has arrived. `make rotations` goes fifty times for each kind of change.
"""

from __future__ import annotations

import pytest

from bubble_sync.local.edge_function.behaviour import Behaviour
from bubble_sync.local.platform import Platform
from tests.fixtures.dispatching import PATHS, TABLE, Dispatches, dispatching, new_key
from tests.fixtures.site import Site
from tests.fixtures.stack import Stack


def accept(platform: Platform, *keys: str) -> None:
    platform.behave(Behaviour(status=200, own_keys=False, keys=keys))


def rotate(stack: Stack, platform: Platform, dispatches: Dispatches, old: str, new: str) -> None:
    accept(platform, old, new)
    stack.sync("key", "rotate", key=new)
    dispatches.settle()
    accept(platform, new)


@pytest.mark.parametrize(
    ("path", "rounds"),
    # The change that everybody has to make; the database's own tests make all of them, many times.
    [("legacy -> apikey", 1), *(pytest.param(path, 50, marks=pytest.mark.matrix) for path in PATHS)],
)
def test_no_request_is_rejected_while_the_key_changes(
    path: str, rounds: int, stack: Stack, site: Site, platform: Platform, request: pytest.FixtureRequest
):
    before, after = path.split(" -> ")
    current = new_key(before)
    accept(platform, current)
    stack.configure("serviceRoleKey", current, secret=True)
    stack.up()
    platform.sign_up("waiting@example.com")

    with dispatching(site.addresses) as dispatches:
        for round_ in range(rounds):
            if round_ and before != after:
                back = new_key(before)
                rotate(stack, platform, dispatches, current, back)
                current = back
            new = new_key(after)
            rotate(stack, platform, dispatches, current, new)
            current = new

    outcomes = dispatches.outcomes()
    line = f"{path:<17} {rounds:>3} rotations {len(dispatches.requests):>6} dispatches"
    request.config.stash[TABLE].append(f"{line} {outcomes.total() - outcomes['200']:>3} rejected")
    assert len(dispatches.requests) > 10 * rounds, "there was no tick to go wrong"
    assert dispatches.without_request == []
    assert set(outcomes) == {"200"}


def test_the_dispatches_would_show_a_rejection(stack: Stack, site: Site, platform: Platform):
    """The control: a key that is revoked before the new one is there is seen at once."""
    current = new_key("legacy")
    accept(platform, current)
    stack.configure("serviceRoleKey", current, secret=True)
    stack.up()
    platform.sign_up("waiting@example.com")

    with dispatching(site.addresses) as dispatches:
        dispatches.settle()
        accept(platform, new_key("legacy"))
        dispatches.wait_for(len(dispatches.requests) + 5)

    assert dispatches.outcomes()["401"] > 0
