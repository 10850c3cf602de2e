"""Find processes that stand in a folder or name it in their arguments (Linux).

Run as `python3 tools/leftovers.py FOLDER...`, on any Python 3.9 or newer: prints one process id a line.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")


def below(folders: Iterable[Path]) -> list[int]:
    """List the processes of these folders, this one and its ancestors left out: they stand where they were called."""
    places = [f"{folder.resolve()}/" for folder in folders]
    callers = _callers()
    found = []
    for process in PROC.iterdir():
        if process.name.isdecimal() and int(process.name) not in callers:
            traces = _traces(process)
            if any(trace.startswith(place) or f"={place}" in trace for trace in traces for place in places):
                found.append(int(process.name))
    return sorted(found)


def _traces(process: Path) -> list[str]:
    """Read a process's working directory and arguments; nothing when it has ended meanwhile."""
    try:
        arguments = (process / "cmdline").read_bytes().decode(errors="replace")
        # A server may write its title over its arguments, as one text.
        words = arguments.replace("\0", " ").split()
        return [f"{path}/" for path in (os.readlink(process / "cwd"), *words)]
    except OSError:
        return []


def _callers() -> set[int]:
    """Collect the ids of this process and its ancestors."""
    callers = {os.getpid()}
    parent = os.getppid()
    while parent > 0 and parent not in callers:
        callers.add(parent)
        # The second field, a name in brackets, may hold anything: the parent is the second word after it.
        parent = int((PROC / str(parent) / "stat").read_text().rpartition(")")[2].split()[1])
    return callers


if __name__ == "__main__":
    # In the order of text, as comm(1) wants it.
    for left in sorted(map(str, below(map(Path, sys.argv[1:])))):
        print(left)
