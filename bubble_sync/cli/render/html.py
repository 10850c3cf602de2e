"""What all HTML pages share: escaping, redaction, copyable commands, and the policy that forbids everything else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from bubble_sync import __version__
from bubble_sync.cli.failures import next_try
from bubble_sync.cli.options import complete_for_stack, step
from bubble_sync.config.commands import COMMAND_LINE
from bubble_sync.formatting import (
    format_age,
    format_minute,
    format_seconds,
    format_tenths,
    format_time,
    format_timestamp,
)
from bubble_sync.printable import printable_lines
from bubble_sync.records.messages import anonymous

_PAGES = Path(__file__).with_name("pages")
_STYLE = (_PAGES / "page.css").read_text("utf-8")
_SCRIPT = (_PAGES / "page.js").read_text("utf-8")


def render(template: str, *, served: bool, **values: object) -> str:
    """Render a page; a served one has links, a search field and a script that refreshes it."""
    # Trusted: our own files, whose digests are in the policy.
    style, script = Markup(_STYLE), Markup(_SCRIPT)  # noqa: S704
    return (
        _environment()
        .get_template(template)
        .render(**values, served=served, policy=policy(served=served), style=style, script=script, version=__version__)
    )


@cache
def _environment() -> Environment:
    """Make the environment once: a server renders the same templates again and again."""
    environment = Environment(
        loader=FileSystemLoader(_PAGES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, finalize=cleaned
    )
    environment.filters |= {
        "px": lambda number: f"{number:.1f}".removesuffix(".0"),
        "minute": format_minute,
        "timestamp": format_timestamp,
        "time": format_time,
        "seconds": format_seconds,
        "tenths": format_tenths,
        "age": format_age,
        "next_try": next_try,
        "commands": commands,
        "step": lambda text: step("Do", text),
    }
    return environment


def policy(*, served: bool) -> str:
    """Return the Content-Security-Policy: our own style and script, and for a served page its own server."""
    rules: Mapping[str, str] = {
        "default-src": "'none'",
        "style-src": _digest(_STYLE),
        "script-src": _digest(_SCRIPT),
        "base-uri": "'none'",
        "form-action": "'self'" if served else "'none'",
        **({"connect-src": "'self'"} if served else {}),
    }
    return "; ".join(f"{what} {whence}" for what, whence in rules.items())


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def cleaned(value: object) -> object:
    """Clean every text, redact keys and emails, and complete commands; the template escapes the rest."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return complete_for_stack(anonymous(printable_lines(value)))


def commands(text: str) -> Markup:
    """Mark the commands of a remedy, so that the script can add a button to each."""
    shown = str(cleaned(text))
    parts, end = [], 0
    for found in COMMAND_LINE.finditer(shown):
        command = found["quoted"] or found["bare"]
        parts += [escape(shown[end : found.start()]), Markup('<code class="command">{}</code>').format(command)]
        end = found.end()
    return Markup("").join([*parts, escape(shown[end:])])
