"""Judge a response of the endpoint: verdict, counts, first characters.

`bubble_sync.settle` judges the same in the database, with `sql/queries/outcomes.sql`; a test holds the two together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bubble_sync.database.database import Row
from bubble_sync.records.messages import anonymous

OUTSTANDING = "outstanding"
ANSWERED, FOREIGN, REFUSED = "answered", "not the function's answer", "refused by its body"
VERDICTS = ("ok", ANSWERED, "partial", REFUSED, FOREIGN, "rejected", "timed out", "lost", OUTSTANDING)
GOOD = ("ok", OUTSTANDING)
BAD = ("rejected", REFUSED, FOREIGN)
"""Verdicts that prove a request did nothing."""

Pairs = Sequence[tuple[str, str]]

_LONGEST_SHOWN = 120
_DONE = re.compile(
    "(total_?)?(processed|success|succeeded|successful|completed|synced)(_?(count|items))?", re.IGNORECASE | re.ASCII
)
_FAILED = re.compile("(total_?)?(failed|failures)(_?(count|items))?", re.IGNORECASE | re.ASCII)
_WHOLE = re.compile("[0-9]{1,9}")
_PROCESSED = re.compile("processed")
_SUCCESS = ("success", "ok")
_NO_ERROR = ("", "0", "false", "[]", "{}")


def judged(answer: Row) -> Mapping[str, Any]:
    """Return verdict and counts of a row of pg_net's responses; the content is bytes."""
    status, error, said = answer["status_code"], answer["error_msg"], _said(answer["content"])
    if answer["timed_out"] or (status is None and (error or "").lower().startswith("timeout")):
        verdict = "timed out"
    elif status is not None and 200 <= status < 300:
        verdict = _verdict_of(said)
    else:
        verdict = "rejected"
    done, failed = _counts(said or ())
    return {"verdict": verdict, "status_code": status, "error": error, "processed": done, "failed": failed}


def verdict_of(content: bytes | str | None) -> str:
    """Return the verdict of a response with a 2xx status, by its body."""
    return _verdict_of(_said(content))


def _verdict_of(said: Pairs | None) -> str:
    if said is None:
        return FOREIGN
    done, failed = _counts(said)
    yes = any(name in _SUCCESS and value == "true" for name, value in said)
    no = any(
        value == "false" if name in _SUCCESS else name in ("error", "errors") and value not in _NO_ERROR
        for name, value in said
    )
    if failed or (no and (yes or done)):
        return "partial"
    if no:
        return REFUSED
    return "ok" if yes or done is not None or failed is not None else ANSWERED


def first_characters(content: bytes | str | None) -> str:
    """Return the start of a response in one line, redacted."""
    text = " ".join(_decoded(content).split())
    shown = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in anonymous(text))
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}..."


def _said(content: bytes | str | None) -> Pairs | None:
    """Return names and values at the top and under `data` as text; None for invalid JSON."""
    try:
        reply = _read(_decoded(content).strip(" \t\n\r"))
    except ValueError:
        return None
    data = reply.get("data") if isinstance(reply, dict) else None
    places = [place for place in (reply, data) if isinstance(place, dict)]
    return [(name, _text(value)) for place in places for name, value in place.items() if value is not None]


def _read(text: str) -> object:
    try:
        reply = json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse) if text else None
        json.dumps(reply, ensure_ascii=False).encode()
        # The server cannot decode the text, as with half a surrogate pair.
        return None if "\\u0000" in json.dumps(reply) else reply
    except (RecursionError, UnicodeEncodeError):
        return None


def _decoded(content: bytes | str | None) -> str:
    return content if isinstance(content, str) else (content or b"").decode("utf-8", "replace")


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    return "something" if value else "[]"


def _counts(said: Pairs) -> tuple[int | None, int | None]:
    """Return the counts of processed and failed items: the highest number under each name."""
    numbers = [(name, int(value)) for name, value in said if _WHOLE.fullmatch(value)]

    def most(pattern: re.Pattern[str]) -> int | None:
        return max((number for name, number in numbers if pattern.fullmatch(name)), default=None)

    done = most(_PROCESSED)
    return most(_DONE) if done is None else done, most(_FAILED)
