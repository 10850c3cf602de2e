"""Which stacks a change touches. Run as `python -m ci.changed_stacks BASE`: prints one stack a line.

What is committed since BASE counts. A stack's own file touches that stack; anything else touches every stack, but for
what no `up` can see. Exit 0, or 2 when git does not know BASE.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path, PurePath

from bubble_sync.config.project_folder import config_folder, stack_names

#: No stack of the fleet: it lives and dies with the platform of one machine.
LOCAL = "local"
#: Text and checks. Anything that is not listed counts as code: a stack too many is read, none is passed over.
UNSEEN_FOLDERS = ("docs/", "tests/", "bench/")
UNSEEN_FILES = ("CHANGELOG.md", "CONTRIBUTING.md", "README.md", "SECURITY.md")


class BaseUnknown(Exception):
    """Git cannot tell what changed."""


def fleet(project: Path) -> list[str]:
    """List the stacks that have a file, the platform's own left out."""
    return [name for name in stack_names(project) if name != LOCAL]


def touched(changed: Iterable[str], stacks: Iterable[str], place: str = ".") -> list[str]:
    """Return the stacks that these changed files touch; `place` is where the project keeps its stacks' files."""
    where = PurePath(place)
    own = {str(where / f"Pulumi.{stack}.yaml"): stack for stack in stacks}
    unseen = (*UNSEEN_FILES, str(where / f"Pulumi.{LOCAL}.yaml"))
    seen = [file for file in changed if file not in unseen and not file.startswith(UNSEEN_FOLDERS)]
    # A file that is gone leaves a stack that nothing here can read; it touches no other.
    code = [file for file in seen if file not in own and not _is_stack_file(PurePath(file), where)]
    return sorted(own.values()) if code else sorted({own[file] for file in seen if file in own})


def _is_stack_file(file: PurePath, place: PurePath) -> bool:
    return file.parent == place and file.match("Pulumi.*.yaml")


def changed_files(project: Path, base: str) -> list[str]:
    """Ask git for the files that differ from where this branch left `base`; raise BaseUnknown."""
    command = ["git", "diff", "--name-only", "--no-renames", "-z", f"{base}...HEAD", "--"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BaseUnknown(f"git does not know what changed since {base!r}: fetch the whole history, or set BASE")
    return list(filter(None, done.stdout.split("\0")))


def main(arguments: list[str]) -> int:
    """Print the touched stacks."""
    (base,) = arguments
    project = Path.cwd()
    try:
        changed = changed_files(project, base)
    except BaseUnknown as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    place = os.path.relpath(config_folder(project), project)
    print(*touched(changed, fleet(project), place), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
