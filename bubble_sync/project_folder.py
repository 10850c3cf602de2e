"""Where a project is, and which stacks have a configuration file there: from names of files alone."""

from __future__ import annotations

from pathlib import Path

from bubble_sync.errors import ConfigurationError


def project_folder(start: Path) -> Path:
    """Find the folder of the project that `start` is in; raise ConfigurationError."""
    folder = next((each for each in (start, *start.parents) if (each / "Pulumi.yaml").is_file()), None)
    if folder is None:
        raise ConfigurationError(f"there is no Pulumi.yaml in {start} or above: go to the project's folder")
    return folder


def stack_names(folder: Path) -> list[str]:
    """Name the stacks that have a configuration file in the project's folder, in the order of the alphabet."""
    names = (path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in folder.glob("Pulumi.*.yaml"))
    return sorted(name for name in names if name)
