"""Find a project and its stacks by the names of files and one line of Pulumi.yaml."""

from __future__ import annotations

import re
from pathlib import Path

from bubble_sync.errors import ConfigurationError

LOCAL = "local"
"""The stack of the embedded platform of one machine: no stack of the fleet."""
_CONFIG_FOLDER = re.compile(r"""^stackConfigDir:[ \t]*(["']?)(?P<folder>[^"'#\n]+?)\1[ \t]*(?:#.*)?$""", re.MULTILINE)
_STACK = re.compile(r"[A-Za-z0-9_.-]{1,100}")
"""Pulumi's own rule for the name of a stack."""


def is_stack_name(text: str) -> bool:
    """Return whether Pulumi accepts `text` as the name of a stack."""
    return _STACK.fullmatch(text) is not None


def project_folder(start: Path) -> Path:
    """Return the project folder at or above `start`; raise ConfigurationError."""
    folder = next((each for each in (start, *start.parents) if (each / "Pulumi.yaml").is_file()), None)
    if folder is None:
        raise ConfigurationError(f"there is no Pulumi.yaml in {start} or above: go to the project's folder")
    return folder


def config_folder(folder: Path) -> Path:
    """Return the folder of the stack files: `stackConfigDir` of Pulumi.yaml, or the project folder."""
    # A YAML parser would be too slow for shell completion.
    if not (folder / "Pulumi.yaml").is_file():
        return folder
    try:
        found = _CONFIG_FOLDER.search((folder / "Pulumi.yaml").read_text("utf-8", errors="replace"))
    except OSError as problem:
        raise ConfigurationError(f"{folder / 'Pulumi.yaml'} cannot be read ({problem.strerror})") from None
    return folder / found["folder"] if found else folder


def stack_names(folder: Path) -> list[str]:
    """Return the sorted names of the stacks with a configuration file; a file with another name is no stack's."""
    files = config_folder(folder).glob("Pulumi.*.yaml")
    names = (path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in files)
    return sorted(name for name in names if is_stack_name(name))
