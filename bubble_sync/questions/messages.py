"""Messages that others wrote, made fit to be shown: one line, without keys and without emails, and what they share."""

from __future__ import annotations

import re

from bubble_sync.keys import masked

_LONGEST = 300
_EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_LONG_NUMBER = re.compile(r"\b\d{5,}(?:x\d+)?\b")


def readable(message: str | None) -> str:
    """Return the first line, with `[email]` and `[secret]` in their places; DETAIL lines are whole rows at times."""
    lines = (message or "").strip().splitlines()
    return anonymous(lines[0])[:_LONGEST] if lines else ""


def anonymous(text: str) -> str:
    """Return a text with `[email]` and `[secret]` in their places."""
    return _EMAIL.sub("[email]", masked(text))


def kind_of(message: str | None) -> str:
    """Return what messages about different items have in common: ids and long numbers are taken out."""
    text = _UUID.sub("[id]", readable(message))
    return _LONG_NUMBER.sub("[number]", text) or "no error message"


def function_log(project_ref: str | None) -> str:
    """Return where the dashboard shows the Edge Function's log; nothing when the project is unknown."""
    page = "functions/bubble_sync/logs"
    return f"https://supabase.com/dashboard/project/{project_ref}/{page}" if project_ref else ""
