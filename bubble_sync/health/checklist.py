"""The set-up's success checklist: what a line of it can say, and the lines about the objects that `up` converges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bubble_sync.compare.diff import Item, State
from bubble_sync.specs import CronJobSpec, ExtensionSpec, LedgerSpec, PrerequisitesSpec


class Standing(StrEnum):
    """What is known of a line."""

    OK = "ok"
    NO = "no"
    UNKNOWN = "unknown"
    """The connecting role may not see it, or nothing tells."""
    NOT_PROVEN = "not proven"
    """Nothing speaks against it, and nothing has happened yet that would show it."""


@dataclass(frozen=True)
class Line:
    """One line, with what it rests on, and what to do where it is not ok."""

    id: str
    title: str
    standing: Standing
    evidence: str
    remedy: str = ""


TITLES: Mapping[str, str] = {
    "prerequisites": "the queue and the ledger are as they must be",
    "extensions": "pg_cron, pg_net and supabase_vault are installed",
    "secrets": "URL and key are in Vault, as configured",
    "functions": "the functions are there, as the program has them",
    "jobs": "both jobs are scheduled and active",
    "runs": "the last run of each job succeeded",
    "endpoint": "the Edge Function answers that it worked",
    "queue": "the queue drains",
    "sign_up": "the newest sign-up was synced, in time and without an error",
    "bubble_ids": "its three bubble_ids are filled",
}
"""Every line, in the order in which one thing needs the other."""

_KINDS: Mapping[str, tuple[str, ...]] = {
    "prerequisites": ("prerequisites", "ledger"),
    "extensions": ("extension",),
    "secrets": ("secret",),
    "functions": ("function",),
    "jobs": ("job",),
}
AS_OWNER = "ask as the role that `pulumi up` connects as"
_REFUSED = (State.FOREIGN, State.MISSING)
_ACTIVATE = "bubble-sync resume --job {group}"


def line(name: str, standing: Standing, evidence: str, remedy: str = "") -> Line:
    """Make the line of this name."""
    return Line(name, TITLES[name], standing, evidence, remedy)


def lines_of(items: Sequence[Item]) -> Iterator[Line]:
    """Yield a line for each kind of object."""
    for name, kinds in _KINDS.items():
        of_kind = [item for item in items if item.spec.kind in kinds]
        wrong = [item for item in of_kind if item.state is not State.EQUAL]
        asleep = [item.spec for item in of_kind if isinstance(item.spec, CronJobSpec) and not item.spec.active]
        if wrong:
            refused = any(item.state in _REFUSED for item in wrong)
            remedy = "bubble-sync diff" if refused else "pulumi up"
            yield line(name, Standing.NO, "; ".join(map(_wrong, wrong)), remedy)
        elif asleep:
            evidence = "; ".join(f"{spec.object_name} is not active, as configured" for spec in asleep)
            group = asleep[0].name.removeprefix("bubble-sync-")
            yield line(name, Standing.NO, evidence, _ACTIVATE.format(group=group))
        else:
            yield line(name, Standing.OK, ", ".join(map(_there, of_kind)))


def lines_unknown(why: str) -> Iterator[Line]:
    """Yield the same lines for who may not read the objects."""
    for name in _KINDS:
        yield line(name, Standing.UNKNOWN, why, AS_OWNER)


def _wrong(item: Item) -> str:
    if item.state in _REFUSED:
        return " ".join(item.reason.split())
    if item.actual is None:
        return f"{item.spec.object_name} is not there"
    fields = ", ".join(change.field for change in item.changes)
    return f"{item.spec.object_name} is not as wanted ({fields or 'not in the ledger'})"


def _there(item: Item) -> str:
    facts = item.actual.facts if item.actual else {}
    if isinstance(item.spec, ExtensionSpec):
        return f"{item.spec.name} {facts['version']}"
    if isinstance(item.spec, CronJobSpec):
        return f"{item.spec.name} (jobid {facts['jobid']}, {item.spec.schedule})"
    if isinstance(item.spec, LedgerSpec):
        return f"the ledger of stack {item.spec.stack}"
    if isinstance(item.spec, PrerequisitesSpec):
        return "public.sync_queue"
    return item.spec.object_name.removeprefix(f"{item.spec.kind} ")
