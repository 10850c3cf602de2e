"""Deploy a stack from a saved plan: `up` makes the changes that the reviewer saw, or none."""

from __future__ import annotations

import json
import re
from pathlib import Path

from bubble_sync.config.keys import masked
from bubble_sync.config.stacks import Stack
from bubble_sync.errors import ConfigurationError, PulumiRefused

_QUIET = ("--color", "never")
_VIOLATED = re.compile("violates plan", re.IGNORECASE)
_URN = re.compile(r"urn:pulumi:\S+::(\S+)")
_PROVIDER = "default"
"""Pulumi gives the whole configuration to a provider of this name."""


def pulumi_preview(stack: Stack) -> str:
    """Return Pulumi's own preview; raise PulumiRefused with its output."""
    return _run(stack, "preview", "--diff")


def save_plan(stack: Stack, file: Path) -> str:
    """Save what `up` would do as a plan, and return it; raise PulumiRefused with Pulumi's output.

    The secrets of the plan are encrypted as those of the state are.
    """
    return _run(stack, "preview", "--diff", "--save-plan", str(file))


def apply_plan(stack: Stack, file: Path) -> str:
    """Apply a saved plan, and return Pulumi's output.

    `up` compares with the plan twice, first in a preview: a stack with earlier drift is refused with nothing changed.

    Raises:
        ConfigurationError: There is no plan, or not all of it.
        PulumiRefused: The stack is not what it was, or `up` failed.
    """
    if not file.is_file():
        raise ConfigurationError(f"there is no plan {file}: run `bubble-sync ci plan`")
    if not _is_whole(file):
        raise ConfigurationError(
            f"the plan {file} is damaged or not written to its end: run `bubble-sync ci plan` again"
        )
    done = stack.pulumi("up", "--yes", "--plan", str(file), *_QUIET)
    output = done.stdout + done.stderr
    if done.returncode == 0:
        return masked(output)
    if not _VIOLATED.search(output):
        raise PulumiRefused(f"`pulumi up` failed:\n{masked(output).strip()}")
    # For a violated plan Pulumi prints the plan's secrets, and masks only today's configuration values: the output
    # stays here (docs/explanation/security.md).
    names = {"the configuration" if name == _PROVIDER else name for name in _URN.findall(output)}
    refused = "\n".join(f"  {masked(name)}" for name in sorted(names))
    done_before = (
        "it changed while the plan was applied: other steps of the plan may be done"
        if re.search(r"^Updating \(", output, re.MULTILINE)
        else "nothing was changed"
    )
    raise PulumiRefused(
        f"stack {stack.name} is not what it was when the plan was made. The plan is violated, and refused at:\n"
        f"{refused}\n{done_before}. Pulumi's own output is withheld: it holds secrets of the plan, and a log may be "
        "public.\nMake a new plan, read it, then apply it: bubble-sync ci plan"
    )


def _is_whole(file: Path) -> bool:
    """Return whether Pulumi has written all of a plan, which is one JSON object."""
    try:
        return isinstance(json.loads(file.read_bytes()), dict)
    except ValueError:
        return False


def _run(stack: Stack, *command: str) -> str:
    done = stack.pulumi(*command, *_QUIET)
    # Pulumi shows jobs and descriptions as they are, with keys that people wrote into them.
    output = masked(done.stdout + done.stderr)
    if done.returncode != 0:
        raise PulumiRefused(f"`pulumi preview` failed:\n{output.strip()}")
    return output
