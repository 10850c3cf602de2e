"""A comparison as a pull request comment: a summary line and folded details."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape

from bubble_sync.cli.options import complete_for_stack
from bubble_sync.cli.output import next_step
from bubble_sync.cli.render.diff_text import next_of, object_details, summary, unmanaged_lines
from bubble_sync.compare.diff import Comparison, ObjectDiff, State


def comparison_markdown(comparison: Comparison) -> Iterator[str]:
    """Yield the summary, then a folded block for each object that differs."""
    yield f"**bubble-sync diff**, {escape_markdown(summary(comparison))}"
    for item in comparison.items:
        if item.state is not State.EQUAL:
            yield from folded(_title(item), _content(item), "diff")
    if comparison.unmanaged:
        lines = (line for one in comparison.unmanaged for line in unmanaged_lines(one))
        yield from folded(f"unmanaged objects: {len(comparison.unmanaged)}", lines, "text")
    if step := next_of(comparison):
        yield from ("", next_step(step))
    yield ""
    # A later run finds and replaces the comment by this marker.
    yield f"<!-- bubble-sync diff {re.sub('[^A-Za-z0-9._-]', '', comparison.stack)} -->"


def _title(item: ObjectDiff) -> str:
    fields = ", ".join(change.field for change in item.changes)
    return f"{item.state}: {item.spec.object_name}{f' ({fields})' if fields else ''}"


def _content(item: ObjectDiff) -> Iterator[str]:
    yield from complete_for_stack(item.reason).splitlines()
    yield from object_details(item)


def folded(title: str, content: Iterable[str], language: str) -> Iterator[str]:
    """Yield a folded block, or a list item when there is no content."""
    lines = list(content)
    yield ""
    if not lines:
        yield f"- {escape_markdown(title)}"
        return
    # A fence must be longer than any run of backticks in the text.
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    # Markdown escapes do not work here: the line starts an HTML block.
    yield f"<details><summary>{_html(title)}</summary>"
    yield ""
    yield f"{fence}{language}"
    yield from lines
    yield fence
    yield ""
    yield "</details>"


def escape_markdown(text: str) -> str:
    """Escape a text for Markdown and HTML; names may hold any printable character."""
    return re.sub(r"([\\`*_\[\]@#~|!])", r"\\\1", _html(text))


def _html(text: str) -> str:
    """Escape a text for HTML, on one line."""
    return escape(" ".join(text.split()), quote=False)
