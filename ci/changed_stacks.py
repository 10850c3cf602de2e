"""List the stacks that a change touches, one a line: `python -m ci.changed_stacks BASE`.

The commits since BASE count. A stack's own file touches that stack; any other file touches every stack, except files
without effect on `up`. Exit 0, or 2 when git does not know BASE.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path, PurePath

from bubble_sync.config.project_folder import config_folder, stack_names

#: Not a stack of the fleet: this stack belongs to the platform of one machine.
LOCAL = "local"
#: Text and checks. Every other file counts as code: better one stack too many than one too few.
UNSEEN_FOLDERS = ("docs/", "tests/", "bench/")
UNSEEN_FILES = ("CHANGELOG.md", "CONTRIBUTING.md", "README.md", "SECURITY.md")


def touched(changed: Iterable[str], stacks: Iterable[str], place: str = ".") -> list[str]:
    """Return the stacks that these changed files touch; `place` is where the project keeps its stacks' files."""
    where = PurePath(place)
    own = {str(where / f"Pulumi.{stack}.yaml"): stack for stack in stacks}
    unseen = (*UNSEEN_FILES, str(where / f"Pulumi.{LOCAL}.yaml"))
    seen = [file for file in changed if file not in unseen and not file.startswith(UNSEEN_FOLDERS)]
    # A deleted stack file touches no stack: its own cannot be read any more.
    gone = {file for file in seen if PurePath(file).parent == where and PurePath(file).match("Pulumi.*.yaml")}
    code = set(seen) - set(own) - gone
    return sorted(own.values()) if code else sorted({own[file] for file in seen if file in own})


def changed_files(project: Path, base: str) -> list[str] | None:
    """Return the files that this branch changed since it left `base`; None where git does not know `base`."""
    command = ["git", "diff", "--name-only", "--no-renames", "-z", f"{base}...HEAD", "--"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    return list(filter(None, done.stdout.split("\0"))) if done.returncode == 0 else None


def main(arguments: list[str]) -> int:
    """Print the touched stacks."""
    (base,) = arguments
    project = Path.cwd()
    changed = changed_files(project, base)
    if changed is None:
        print(
            f"error: git does not know what changed since {base!r}: fetch the whole history, or set BASE",
            file=sys.stderr,
        )
        return 2
    stacks = [name for name in stack_names(project) if name != LOCAL]
    place = os.path.relpath(config_folder(project), project)
    print(*touched(changed, stacks, place), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
