"""Where a project is, and which stacks have a configuration file there: from names of files, and one line, alone."""

from __future__ import annotations

import re
from pathlib import Path

from bubble_sync.errors import ConfigurationError

_CONFIG_FOLDER = re.compile(r"""^stackConfigDir:[ \t]*(["']?)(?P<folder>[^"'#\n]+?)\1[ \t]*(?:#.*)?$""", re.MULTILINE)


def project_folder(start: Path) -> Path:
    """Find the folder of the project that `start` is in; raise ConfigurationError."""
    folder = next((each for each in (start, *start.parents) if (each / "Pulumi.yaml").is_file()), None)
    if folder is None:
        raise ConfigurationError(f"there is no Pulumi.yaml in {start} or above: go to the project's folder")
    return folder


def config_folder(folder: Path) -> Path:
    """Return where the project keeps its stacks' files: `stackConfigDir` of Pulumi.yaml, or its own folder."""
    # Read as one line: a YAML parser takes longer than the shell's completion may.
    if not (folder / "Pulumi.yaml").is_file():
        return folder
    try:
        found = _CONFIG_FOLDER.search((folder / "Pulumi.yaml").read_text("utf-8", errors="replace"))
    except OSError as problem:
        raise ConfigurationError(f"{folder / 'Pulumi.yaml'} cannot be read ({problem.strerror})") from None
    return folder / found["folder"] if found else folder


def stack_names(folder: Path) -> list[str]:
    """Name the stacks of the project in `folder` that have a configuration file, in the order of the alphabet."""
    files = config_folder(folder).glob("Pulumi.*.yaml")
    names = (path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in files)
    return sorted(name for name in names if name)
