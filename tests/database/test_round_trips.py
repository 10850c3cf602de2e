"""How often each kind of object asks the server: a database is some milliseconds away, and there are 21 objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bubble_sync.config.database_url import read_database_url
from bubble_sync.database.database import Database
from bubble_sync.model.setup import EXTENSIONS
from bubble_sync.specs import ExtensionSpec, Spec
from tests.fixtures.counting_proxy import counting_proxy
from tests.fixtures.site import Site, stack_functions
from tests.fixtures.specs import STACK, job_spec, ledger_spec, secret_spec

Count = Callable[[Callable[[], object]], int]
#: What a stack holds, in the order in which it is made.
OBJECTS: tuple[Spec, ...] = (
    ledger_spec(),
    *(ExtensionSpec(name=name, stack=STACK) for name in EXTENSIONS),
    secret_spec(),
    *stack_functions(),
    job_spec(command="SELECT public.invoke_bubble_sync_processor()"),
)
#: Begin with our lock, read, make, read again, write the ledger, commit. A secret's value travels by COPY.
CREATED = {"ledger": 8, "extension": 7, "secret": 10, "function": 6, "job": 6}
#: Begin, read, roll back: one reading for everything (ADR 0009).
READ = 3


@pytest.fixture
def counted(site: Site) -> Iterator[tuple[Site, Count]]:
    """The site through a counting proxy, with its connection open, and a function that counts round trips."""
    with counting_proxy(site.addresses.database_port) as proxy:
        database = Database(read_database_url(proxy.url(site.addresses.database_url)))
        database.read("connecting", lambda _: None)

        def count(work: Callable[[], object]) -> int:
            before = proxy.counts()[1]
            work()
            return proxy.counts()[1] - before

        yield Site(site.addresses, database), count
        database.close()


def test_an_object_is_made_in_few_round_trips_and_read_in_three(counted: tuple[Site, Count]):
    site, count = counted
    created: dict[str, int] = {}
    read: set[int] = set()
    for spec in OBJECTS:
        trips = count(lambda: site.converge(spec))  # noqa: B023 - called at once
        created[spec.kind] = max(trips, created.get(spec.kind, 0))
        read |= {count(lambda: site.observe(spec)), count(lambda: site.converge(spec))}  # noqa: B023

    assert created == CREATED
    assert read == {READ}
