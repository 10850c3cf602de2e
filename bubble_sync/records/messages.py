"""Messages that others wrote, made fit to be shown: one line, without keys and without emails, and what they share."""

from __future__ import annotations

import re

from bubble_sync.config.keys import masked

_LONGEST = 300
_EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_LONG_NUMBER = re.compile(r"\b\d{5,}(?:x\d+)?\b")
_NAMED = re.compile(r"(?i)(\b(?:item|record|row|user|account|host|guest|id|key)s?[\s:=#'\"(]+)\d+\b")
"""A number behind a word that says whose it is."""


def readable(message: str | None) -> str:
    """Return the first line, with `[email]` and `[secret]` in their places; DETAIL lines are whole rows at times."""
    lines = (message or "").strip().splitlines()
    return anonymous(lines[0])[:_LONGEST] if lines else ""


def whole(text: str) -> str:
    """Return a text of any length, with `[email]` and `[secret]` in their places: a command that is cut is another."""
    return anonymous("\n".join(line.rstrip() for line in text.strip().splitlines()))


def anonymous(text: str) -> str:
    """Return a text with `[email]` and `[secret]` in their places."""
    return _EMAIL.sub("[email]", masked(text))


def kind_of(message: str | None, *ids: str | None) -> str:
    """Return what messages about different items have in common: `ids`, what looks like one, and long numbers go."""
    text = readable(message)
    for one in ids:
        if one:
            text = re.sub(rf"(?<!\w){re.escape(one)}(?!\w)", "[id]", text)
    text = _NAMED.sub(r"\1[id]", _UUID.sub("[id]", text))
    return _LONG_NUMBER.sub("[number]", text) or "no error message"


def function_log(project_ref: str | None) -> str:
    """Return where the dashboard shows the Edge Function's log; nothing when the project is unknown."""
    page = "functions/bubble_sync/logs"
    return f"https://supabase.com/dashboard/project/{project_ref}/{page}" if project_ref else ""
