"""What stands beside the stack's objects: other generations of the sync, users of the key, executors of the functions.

Nothing of it is touched by `up`, but for EXECUTE on our functions, which goes from everyone unwanted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bubble_sync.converge import functions
from bubble_sync.converge.reading import Found, Row
from bubble_sync.converge.users import users_in
from bubble_sync.desired import key_of
from bubble_sync.specs import FunctionSpec, Spec

PARTS = ("senders",)
_ORDER = ("job", "trigger", "function")


@dataclass(frozen=True)
class Beside:
    """One thing: what it is, why it matters, and the SQL for whoever wants it gone (or back)."""

    what: str
    text: str
    sql: str


def beside(specs: Sequence[Spec], found: Found) -> tuple[Beside, ...]:
    """List everything, other generations first."""
    return (*generations(found), *_users(specs, found), *_executors(specs, found))


def generations(found: Found) -> Iterator[Beside]:
    """List other generations of the sync: what else reaches the Edge Function."""
    for row in sorted(found.rows("senders"), key=lambda row: _ORDER.index(row["kind"])):
        how = f"it calls {row['through']}, which reaches" if row["through"] else "it reaches"
        gone = (
            f"select cron.unschedule({row['jobid']});" if row["kind"] == "job" else f"drop {row['kind']} {row['name']};"
        )
        yield Beside(
            _named(row),
            f"{how} the queue's Edge Function too, so that items are sent twice",
            gone,
        )


def _named(row: Row) -> str:
    asleep = "" if row["active"] else ", not active"
    if row["kind"] == "job":
        whose = "" if row["mine"] else f" of the role {row['username']}"
        name = f" {row['name']}" if row["name"] else ""
        return f"job{name} (jobid {row['jobid']}{asleep}){whose}"
    return f"{row['kind']} {row['name']}{asleep}"


def _users(specs: Sequence[Spec], found: Found) -> Iterator[Beside]:
    ours = {f"function {spec.name}" for spec in specs if isinstance(spec, FunctionSpec)}
    key = key_of(specs)
    for user in users_in(found):
        if user.split("(")[0] not in ours and key:
            names = f"it names the secret {key}: what it reads there is this stack's value after `up`"
            yield Beside(user, names, "")


def _executors(specs: Sequence[Spec], found: Found) -> Iterator[Beside]:
    for spec in specs:
        there = functions.observed(spec, found) if isinstance(spec, FunctionSpec) else None
        if there is None or not isinstance(spec, FunctionSpec):
            continue
        roles = ", ".join(one for one in there.actual.executors if one not in spec.executors)
        if roles:
            yield Beside(
                f"EXECUTE on {spec.name} for {roles}",
                "`up` revokes it; an app may call the function by RPC",
                f"grant execute on function {spec.name}({spec.arguments}) to {roles};",
            )
