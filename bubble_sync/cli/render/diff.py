"""A comparison as text for a terminal, as a pull request comment and as JSON.

The JSON is a shape that other programs may rely on::

    {"stack": "prod", "clean": false, "counts": {"equal": 11, "update": 1},
     "objects": [{"object": "job bubble-sync-retry", "kind": "job", "state": "update", "reason": "",
                  "changes": [{"field": "active", "actual": false, "wanted": true}]}],
     "unmanaged": [{"what": "job old", "text": "jobid 7: ...", "sql": "select cron.unschedule(7);"}],
     "next": "keep the way back, ..."}

A change of a secret has `"secret": "differs"` or `"unreadable"` in place of both values. States: equal, create, adopt,
adopt and change, update, foreign (`up` refuses the object; `reason` has the cause), missing prerequisite.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from difflib import unified_diff
from html import escape

from bubble_sync.cli.options import complete_for_stack
from bubble_sync.compare.diff import Change, Comparison, ObjectDiff, State
from bubble_sync.compare.unmanaged import UnmanagedObject
from bubble_sync.printable import printable
from bubble_sync.specs import PrerequisitesSpec

SIGNS = {
    State.EQUAL: "=",
    State.CREATE: "+",
    State.ADOPT: ">",
    State.ADOPT_AND_CHANGE: "~",
    State.UPDATE: "~",
    State.FOREIGN: "!",
    State.MISSING: "!",
}
INDENT = "      "
_LINKED = re.compile(r"[@#$%~!&^]\w|://|\bwww\.|\bGH-\d", re.IGNORECASE)
"""What GitHub or GitLab turns into a link or a mention, in text but not in code."""


def comparison_text(comparison: Comparison) -> Iterator[str]:
    """Yield each object with its fields, then unmanaged objects, then the summary."""
    reasons: set[str] = set()
    for item in comparison.items:
        yield f"{SIGNS[item.state]} {item.state:<16} {item.spec.object_name}"
        if item.reason in reasons:
            yield f"{INDENT}(for the same reason)"
        else:
            yield from (f"{INDENT}{line}" for line in complete_for_stack(item.reason).splitlines())
        reasons |= {item.reason} - {""}
        yield from (f"{INDENT}{line}" for line in _details(item))
    if comparison.unmanaged:
        yield "unmanaged objects"
        for one in comparison.unmanaged:
            yield from (f"  {line}" for line in _unmanaged_lines(one))
    yield _summary(comparison)
    if step := _next(comparison):
        yield complete_for_stack(f"next: {step}")


def comparison_markdown(comparison: Comparison) -> Iterator[str]:
    """Yield the summary, then a folded block for each object that differs."""
    yield f"**bubble-sync diff**, {escape_markdown(_summary(comparison))}"
    for item in comparison.items:
        if item.state is not State.EQUAL:
            fields = ", ".join(change.field for change in item.changes)
            title = f"{item.state}: {item.spec.object_name}{f' ({fields})' if fields else ''}"
            yield from folded(title, [*complete_for_stack(item.reason).splitlines(), *_details(item)], "diff")
    if comparison.unmanaged:
        lines = [line for one in comparison.unmanaged for line in _unmanaged_lines(one)]
        yield from folded(f"unmanaged objects: {len(comparison.unmanaged)}", lines, "text")
    # The rest is the deploy's.
    if _refused(comparison):
        yield from ("", complete_for_stack("next: fix what `pulumi up` refuses; then run `bubble-sync diff` again"))
    yield ""
    # A later run finds and replaces the comment by this marker.
    yield f"<!-- bubble-sync diff {re.sub('[^A-Za-z0-9._-]', '', comparison.stack)} -->"


def comparison_document(comparison: Comparison) -> dict[str, object]:
    """Return the output of `--json`."""
    return {
        "stack": comparison.stack,
        "clean": comparison.clean,
        "counts": dict(comparison.counts),
        "objects": [
            {
                "object": item.spec.object_name,
                "kind": item.spec.kind,
                "state": item.state.value,
                "reason": item.reason,
                "changes": [{"field": change.field, **values_of(change)} for change in item.changes],
            }
            for item in comparison.items
        ],
        "unmanaged": [{"what": one.what, "text": one.text, "sql": one.sql} for one in comparison.unmanaged],
        "next": _next(comparison),
    }


def values_of(change: Change) -> dict[str, object]:
    """Return both values of a field as JSON; for a secret, only how the value differs."""
    return {"secret": change.secret} if change.secret else {"actual": change.actual, "wanted": change.wanted}


def field_lines(change: Change) -> Iterator[str]:
    """Yield one field with both values, a body as a unified diff; for a secret, only how the value differs."""
    if change.field == "body":
        yield "body:"
        before, after = (str(one).splitlines() for one in (change.actual, change.wanted))
        yield from unified_diff(before, after, "database", "program", lineterm="")
    elif change.secret:
        yield f"{change.field}: {change.secret}"
    elif change.field == "moved":
        yield f"moved {change.actual}"
    else:
        actual, wanted = (json.dumps(one, ensure_ascii=False) for one in (change.actual, change.wanted))
        yield f"{change.field}: {actual} -> {wanted}"


def folded(title: str, lines: Sequence[str], language: str) -> Iterator[str]:
    """Yield a folded block, or a list item when there are no lines."""
    yield ""
    if not lines:
        yield f"- {escape_markdown(title)}"
        return
    # A fence must be longer than any run of backticks in the text.
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    # Markdown escapes do not work here: the line starts an HTML block.
    yield f"<details><summary>{_html(title)}</summary>"
    yield from ("", f"{fence}{language}", *lines, fence, "", "</details>")


def escape_markdown(text: str) -> str:
    """Escape a text for Markdown and HTML; names may hold any printable character."""
    return _as_code(text) or re.sub(r"([\\`*_\[\]@#~|!])", r"\\\1", _one_line(text))


def _html(text: str) -> str:
    """Escape a text for HTML, on one line."""
    return _as_code(text) or _one_line(text)


def _as_code(text: str) -> str:
    """Return a text as HTML code where a hosting service would link or notify; escapes do not prevent that."""
    # In Markdown too, entities are text and no markup.
    escaped = re.sub(r"[\\`*_\[\]~|!]", lambda found: f"&#{ord(found[0])};", _one_line(text))
    return f"<code>{escaped}</code>" if _LINKED.search(text) else ""


def _one_line(text: str) -> str:
    return escape(printable(" ".join(text.split())), quote=False)


def _next(comparison: Comparison) -> str:
    if comparison.clean:
        return ""
    if _refused(comparison):
        return "fix the objects marked !, which `pulumi up` refuses; then run `bubble-sync diff` again"
    return "keep the way back, `bubble-sync diff --undo-sql > back.sql`; then `pulumi up`"


def _refused(comparison: Comparison) -> bool:
    return any(item.state in (State.FOREIGN, State.MISSING) for item in comparison.items)


def _summary(comparison: Comparison) -> str:
    counted = ", ".join(f"{count} {state}" for state, count in comparison.counts.items())
    left = "; nothing to do" if comparison.clean else ""
    return f"stack {comparison.stack}: {counted}{left}"


def _details(item: ObjectDiff) -> Iterator[str]:
    """Yield the fields that differ, the long body last; of the prerequisites the reason is the list."""
    if isinstance(item.spec, PrerequisitesSpec):
        return
    for change in sorted(item.changes, key=lambda change: change.field == "body"):
        yield from field_lines(change)


def _unmanaged_lines(one: UnmanagedObject) -> Iterator[str]:
    yield complete_for_stack(f"{one.what}: {one.text}")
    if one.sql:
        yield f"    {one.sql}"
