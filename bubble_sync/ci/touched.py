"""Find the stacks that a change touches.

The commits since a base count. A stack's own file touches that stack; any other file of the project touches every
stack, except files without effect on `up`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path, PurePath

from bubble_sync.config.project_folder import LOCAL, config_folder, stack_names
from bubble_sync.errors import ConfigurationError

UNSEEN_FOLDERS = ("docs", "tests", "bench", ".github")
"""Text and checks. Every other file counts as code: better one stack too many than one too few."""


def touched_stacks(project: Path, base: str) -> list[str]:
    """Return the stacks that the commits since `base` touch; raise ConfigurationError when git does not know it."""
    # Without a base, git would compare HEAD with itself; an option as a base, it would obey.
    _git(project, base, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{base or ' '}^{{commit}}")
    prefix = _git(project, base, "rev-parse", "--show-prefix").strip() or "."
    listed = _git(project, base, "diff", "--name-only", "--no-renames", "-z", f"{base}...HEAD", "--")
    changed = [os.path.relpath(name, prefix) for name in listed.split("\0") if name]
    stacks = [name for name in stack_names(project) if name != LOCAL]
    return touched(changed, stacks, os.path.relpath(config_folder(project), project))


def touched(changed: Iterable[str], stacks: Iterable[str], place: str = ".") -> list[str]:
    """Return the stacks that these changed files touch.

    Args:
        changed: Paths relative to the project's folder.
        stacks: The names of the project's stacks.
        place: The folder of the stacks' files, relative to the project's folder.
    """
    where = PurePath(place)
    own = {str(where / f"Pulumi.{stack}.yaml"): stack for stack in stacks}
    mine = {own[file] for file in changed if file in own}
    code = [file for file in changed if file not in own and _is_code(PurePath(file), where)]
    return sorted(own.values()) if code else sorted(mine)


def _is_code(file: PurePath, where: PurePath) -> bool:
    if file.parent == where and file.match("Pulumi.*.yaml"):
        # A deleted stack file touches no stack: its own cannot be read any more. The stack `local` is not of the fleet.
        return False
    folders = [part for part in file.parts[:-1] if part != ".."]
    if ".." in file.parts and folders:
        # Another folder of the repository. The lock file of a workspace is above the project.
        return False
    at_the_top = not folders
    return not (at_the_top and file.suffix == ".md") and folders[:1] not in [[each] for each in UNSEEN_FOLDERS]


def _git(project: Path, base: str, *command: str) -> str:
    # The name of a file may be in any encoding.
    done = subprocess.run(
        ["git", *command], cwd=project, capture_output=True, encoding="utf-8", errors="surrogateescape", check=False
    )
    if done.returncode != 0:
        raise ConfigurationError(
            f"git does not know what changed since {base!r}: fetch the whole history, or give --base (BASE)"
        )
    return done.stdout
