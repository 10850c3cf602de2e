"""Connections and round trips, counted in front of PostgreSQL: for each kind of object, and for whole commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import ModuleType

from bench.measure import Row, sample_row
from bench.proxy import CountingProxy, counting_proxy
from bench.pulumi_runs import need, our_stack, shape_of, through
from bench.workbench import Workbench
from bubble_sync.converge import cron_jobs, extensions, functions, ledger, prerequisites, vault_secrets
from bubble_sync.model.setup import EXTENSIONS
from bubble_sync.specs import ExtensionSpec, PrerequisitesSpec, Spec
from tests.fixtures.site import stack_functions
from tests.fixtures.specs import STACK, job_spec, ledger_spec, secret_spec

CREATED, CREATED_SECRET, REFRESHED = 8, 12, 2


def objects() -> list[tuple[ModuleType, Spec]]:
    """List what a stack holds, in the order in which it is made."""
    return [
        (prerequisites, PrerequisitesSpec()),
        (ledger, ledger_spec()),
        *((extensions, ExtensionSpec(name=name, stack=STACK)) for name in EXTENSIONS),
        (vault_secrets, secret_spec()),
        *((functions, spec) for spec in stack_functions()),
        (cron_jobs, job_spec(command="SELECT public.invoke_bubble_sync_processor()")),
    ]


def run(bench: Workbench) -> Iterator[Row]:
    """Count; the numbers do not depend on the machine, so that once is enough."""
    with counting_proxy(bench.addresses.database_port) as proxy:
        yield from _by_kind(bench, proxy)
        yield from _by_command(bench, proxy)


def _by_kind(bench: Workbench, proxy: CountingProxy) -> Iterator[Row]:
    site = bench.site(proxy.url(bench.addresses.database_url))
    opened = _counted(proxy, lambda: site.db.read("connecting", lambda _: None))
    reading = _counted(proxy, lambda: site.db.read("reading nothing", lambda _: None))
    yield _row("opening a connection (SCRAM, no TLS)", [opened - reading])
    found: dict[str, list[tuple[int, int, int]]] = {}
    for kind, spec in objects():
        counts = (
            _counted(proxy, partial(site.converge, kind, spec)),
            _counted(proxy, partial(site.observe, kind, spec)),
            _counted(proxy, partial(site.converge, kind, spec)),
        )
        found.setdefault(spec.kind, []).append(counts)
    for name, of_kind in found.items():
        created, refreshed, again = zip(*of_kind, strict=True)
        if name != "prerequisites":  # nothing of ours is made there
            yield _row(f"{name}, created", created, CREATED_SECRET if name == "secret" else CREATED)
            yield _row(f"{name}, found as wanted by up", again)
        yield _row(f"{name}, refreshed", refreshed, REFRESHED)


def _by_command(bench: Workbench, proxy: CountingProxy) -> Iterator[Row]:
    stack = our_stack(bench)
    stack = through(stack, proxy.url(bench.addresses.database_url))
    for what, command in (
        ("first up", ("up", "--yes", "--skip-preview")),
        ("no-op up, with refresh", ("up", "--yes", "--skip-preview")),
        ("no-op preview", ("preview",)),
        ("no-op preview --refresh=false", ("preview", "--refresh=false")),
    ):
        before = proxy.counts()
        need(stack.pulumi(*command))
        opened, asked = (now - then for now, then in zip(proxy.counts(), before, strict=True))
        custom = sum(1 for one in shape_of(stack) if one["custom"])
        note = f"{asked / custom:.1f} for each of {custom} resources, opening included" if asked else ""
        offline = 0 if what.endswith("=false") else None
        yield sample_row(what, [opened], "connections", offline)
        yield sample_row(what, [asked], "round trips", offline, note)


def _counted(proxy: CountingProxy, work: Callable[[], object]) -> int:
    before = proxy.counts()[1]
    work()
    return proxy.counts()[1] - before


def _row(what: str, counts: Sequence[int], goal: float | None = None) -> Row:
    return sample_row(what, counts, "round trips", goal)
