"""A stack's file for the embedded platform. Run as `python -m tools.sanitised_stack FILE PLATFORM_FILE`: prints YAML.

The plain settings of FILE are kept: numbers, schedules, names. Everything that is secret or leads to a real project is
left out; the platform's own file gives its address and its throw-away key instead.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from bubble_sync.config.database_url import NAMESPACE
from bubble_sync.config.settings import SECRET_KEYS

PREFIX = f"{NAMESPACE}:"
#: What is secret, what says where a project is, and what needs a plugin that the platform does not have.
LEFT_OUT = {*SECRET_KEYS, "projectRef", "supabaseUrl", "databaseUrlEnv", "databaseCa", "access"}


def sanitised(stack: dict[str, Any], platform: dict[str, Any]) -> dict[str, Any]:
    """Return the platform's file with the stack's plain settings over it."""
    kept = {
        key: value
        for key, value in (stack.get("config") or {}).items()
        if key.startswith(PREFIX) and key.removeprefix(PREFIX) not in LEFT_OUT and not _holds_a_secret(value)
    }
    return {**platform, "config": {**kept, **platform["config"]}}


def _holds_a_secret(value: object) -> bool:
    if isinstance(value, dict):
        return "secure" in value or any(map(_holds_a_secret, value.values()))
    return isinstance(value, list) and any(map(_holds_a_secret, value))


def main(arguments: list[str]) -> int:
    """Print the sanitised copy."""
    stack, platform = (yaml.safe_load(Path(file).read_text("utf-8")) or {} for file in arguments)
    yaml.safe_dump(sanitised(stack, platform), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
