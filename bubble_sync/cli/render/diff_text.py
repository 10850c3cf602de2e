"""A comparison as text for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import unified_diff

from bubble_sync.cli.options import complete_for_stack
from bubble_sync.cli.output import next_step
from bubble_sync.compare.diff import Change, Comparison, ObjectDiff, State, body_of
from bubble_sync.compare.unmanaged import UnmanagedObject

SIGNS = {
    State.EQUAL: "=",
    State.CREATE: "+",
    State.ADOPT: ">",
    State.ADOPT_AND_CHANGE: "~",
    State.UPDATE: "~",
    State.FOREIGN: "!",
    State.MISSING: "!",
}
_INDENT = "      "


def comparison_text(comparison: Comparison) -> Iterator[str]:
    """Yield each object with its fields, then unmanaged objects, then the summary."""
    reasons: set[str] = set()
    for item in comparison.items:
        yield f"{SIGNS[item.state]} {item.state:<16} {item.spec.object_name}"
        if item.reason in reasons:
            yield f"{_INDENT}(for the same reason)"
        else:
            yield from (f"{_INDENT}{line}" for line in complete_for_stack(item.reason).splitlines())
        reasons |= {item.reason} - {""}
        yield from (f"{_INDENT}{line}" for line in object_details(item))
    if comparison.unmanaged:
        yield "unmanaged objects"
        for one in comparison.unmanaged:
            yield from (f"  {line}" for line in unmanaged_lines(one))
    yield summary(comparison)
    if step := next_of(comparison):
        yield next_step(step)


def next_of(comparison: Comparison) -> str:
    """Return the next step for objects that differ."""
    if comparison.clean:
        return ""
    if any(item.state in (State.FOREIGN, State.MISSING) for item in comparison.items):
        return "fix the objects marked !, which `pulumi up` refuses; then run `bubble-sync diff` again"
    return "keep the way back, `bubble-sync diff --undo-sql > back.sql`; then `pulumi up`"


def summary(comparison: Comparison) -> str:
    """Return the comparison in one line."""
    counted = ", ".join(f"{count} {state}" for state, count in comparison.counts.items())
    left = "; nothing to do" if comparison.clean else ""
    return f"stack {comparison.stack}: {counted}{left}"


def object_details(item: ObjectDiff) -> Iterator[str]:
    """Yield the fields that differ; a function's body as a unified diff."""
    for change in item.changes:
        if change.field != "body":
            yield field(change)
    bodies = body_of(item)
    if bodies is not None:
        yield "body:"
        yield from body_diff(*bodies)


def field(change: Change) -> str:
    """Return one field with both values; a secret shows only how the value differs."""
    if change.secret:
        return f"{change.field}: {change.secret}"
    if change.field == "moved":
        return f"moved {change.actual}"
    actual, wanted = (json.dumps(one, ensure_ascii=False) for one in (change.actual, change.wanted))
    return f"{change.field}: {actual} -> {wanted}"


def body_diff(actual: str, wanted: str) -> Iterator[str]:
    """Yield a unified diff of two bodies."""
    yield from unified_diff(actual.splitlines(), wanted.splitlines(), "database", "program", lineterm="")


def unmanaged_lines(one: UnmanagedObject) -> Iterator[str]:
    """Yield an unmanaged object and its SQL."""
    yield complete_for_stack(f"{one.what}: {one.text}")
    if one.sql:
        yield f"    {one.sql}"
