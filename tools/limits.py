"""Hold every file of the product to a length that a person reads in one go."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LIMITS = {".py": 200, ".sql": 80}
# Tests are lists of cases: their length is no sign of anything.
UNLIMITED = ("tests/", "docs/")


def too_long(root: Path) -> list[str]:
    """Return one line for each file over its limit, whether git knows it already or not."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    found = []
    for name in sorted(set(filter(None, listed.split("\0")))):
        path = root / name
        limit = LIMITS.get(path.suffix)
        # A file that git knows may be gone from the tree.
        if limit is None or name.startswith(UNLIMITED) or not path.is_file():
            continue
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > limit:
            found.append(f"{name}: {lines} lines, at most {limit}")
    return found


def main() -> int:
    """Print the files that are too long."""
    found = too_long(Path.cwd())
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
