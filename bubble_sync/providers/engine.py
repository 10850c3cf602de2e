"""Find Pulumi's engine, and end this process with it.

A killed engine cannot end its processes. Without a watch a provider would keep its database sessions, and a program its
memory, until an operator finds the process.
"""

from __future__ import annotations

import os
import select
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path

#: The engine's plugin for Python's dynamic providers.
PLUGIN = b"pulumi-resource-pulumi-python"
#: The first argument of every Python program that a language host starts.
_PROGRAM = b"pulumi-language-python-exec"


def engine_pid() -> int:
    """Return the pid of the engine that this process serves; raise OSError. On Linux only."""
    # The engine starts the plugin's script, or the language host, which starts this process.
    return int(Path(f"/proc/{os.getppid()}/stat").read_text("utf-8").rpartition(")")[2].split()[1])


def words_of(pid: int) -> list[bytes]:
    """Return the arguments of a process; raise OSError."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


@cache
def end_with_engine() -> None:
    """End this process when the engine ends, if this process is a plugin or a program; on Linux only."""
    with suppress(OSError, AttributeError):
        mine, parents = words_of(os.getpid()), words_of(os.getppid())
        if any(PLUGIN in word for word in parents) or any(_PROGRAM in word for word in mine):
            engine = engine_pid()
            if engine == 0 or (engine == 1 and not any(b"pulumi" in word for word in words_of(engine))):
                # The engine, or what it started, has ended, and the machine's first process has taken this one over.
                os._exit(1)
            threading.Thread(target=_end_after, args=(os.pidfd_open(engine),), daemon=True).start()


def _end_after(engine: int) -> None:
    select.select([engine], [], [])
    # Not sys.exit: a thread may wait for the database, which takes an uncommitted change back.
    os._exit(1)
