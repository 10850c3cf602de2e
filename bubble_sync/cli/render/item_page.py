"""The steps of one item as an HTML page of `serve`."""

from __future__ import annotations

from bubble_sync.cli.render.html import render
from bubble_sync.cli.render.report_page import Served
from bubble_sync.cli.trace import next_step, trace_in_words
from bubble_sync.health.trace import Trace


def item_page(stack: str, reading: Served, found: Trace) -> str:
    """Render the steps of an item."""
    return render(
        "item.html",
        served=True,
        reading=reading,
        stack=stack,
        found=found,
        verdict=trace_in_words(found),
        next=next_step(found),
    )


def message_page(stack: str, reading: Served, title: str, text: str) -> str:
    """Render a page that only says why there is no other."""
    return render("message.html", served=True, reading=reading, stack=stack, title=title, text=text)
