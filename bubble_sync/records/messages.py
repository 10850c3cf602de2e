"""Redact messages of others: one line, without keys and emails; find their common part."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from bubble_sync.config.keys import masked
from bubble_sync.config.settings import NameSettings

_LONGEST = 300
_LONGEST_DETAIL = 2000
_SECRET_NAME = re.compile(r"(?i)token|secret|passw|authorization|api_?-?key|cookie|session")
_MOST_READ = 2000
"""Characters of a message in which keys and emails are looked for: a long word must not take long."""
_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_LONG_NUMBER = re.compile(r"\b\d{5,}(?:x\d+)?\b")
_NAMED = re.compile(r"(?i)(\b(?:item|record|row|user|account|host|guest|id|key)s?[\s:=#'\"(]+)\d+\b")
"""A number after a word that names its owner."""


def readable(message: str | None) -> str:
    """Return the first line, redacted; DETAIL lines may hold whole rows."""
    lines = (message or "").strip()[:_MOST_READ].splitlines()
    return anonymous(lines[0])[:_LONGEST] if lines else ""


def whole(text: str) -> str:
    """Return a whole text, redacted: a truncated command is another command."""
    return anonymous("\n".join(line.rstrip() for line in text.strip().splitlines()))


def details_in(found: Mapping[str, str] | None) -> dict[str, str]:
    """Return what the Edge Function noted, each as one line of JSON, redacted by value and by name."""
    return {name: _shortened(_redacted_json(text)) for name, text in (found or {}).items()}


def _redacted_json(text: str) -> str:
    try:
        return json.dumps(_redacted(json.loads(text)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return anonymous(" ".join(text.split()))


def _redacted(value: object) -> object:
    if isinstance(value, dict):
        return {
            anonymous(name): "[secret]" if _SECRET_NAME.search(name) and one else _redacted(one)
            for name, one in value.items()
        }
    if isinstance(value, list):
        return [_redacted(one) for one in value]
    # A body of JSON in a field is text there.
    return anonymous(_redacted_json(value) if value[:1] in ("{", "[") else value) if isinstance(value, str) else value


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_DETAIL else f"{text[:_LONGEST_DETAIL]}... ({len(text)} characters)"


def anonymous(text: str) -> str:
    """Return a text with `[email]` and `[secret]` in place of values."""
    return _EMAIL.sub("[email]", masked(text))


def message_pattern(message: str | None, *ids: str | None) -> str:
    """Return the common part of messages about different items: without `ids`, id-like words and long numbers."""
    text = readable(message)
    for one in ids:
        if one:
            text = re.sub(rf"(?<!\w){re.escape(one)}(?!\w)", "[id]", text)
    text = _NAMED.sub(r"\1[id]", _UUID.sub("[id]", text))
    return _LONG_NUMBER.sub("[number]", text) or "no error message"


def function_log(project_ref: str | None, names: NameSettings) -> str:
    """Return the dashboard's location of the Edge Function's log; nothing for an unknown project."""
    page = f"functions/{names.edge_function}/logs"
    return f"https://supabase.com/dashboard/project/{project_ref}/{page}" if project_ref else ""
