"""Background processes: start, record with the start time, find and end."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bubble_sync.errors import PlatformError
from bubble_sync.local import guardian
from bubble_sync.local.guardian import marker

READY = b"ready\n"
PACKAGE_ROOT = Path(__file__).parents[2]


def started_at(pid: int) -> str | None:
    """Return the start time of a live process, in clock ticks since boot; None for a dead process or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return None
    # The command name may hold spaces and brackets; the fields begin after its last bracket.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def runs_from(program: Path) -> Iterator[int]:
    """List the live processes that run a program file."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if os.readlink(entry / "exe") == str(program) and started_at(int(entry.name)):
                    yield int(entry.name)


def end_process(pid: int, first: signal.Signals = signal.SIGTERM, patience: float = 5.0) -> None:
    """End a process: send a signal, wait up to `patience` seconds, then kill it and wait again."""
    try:
        guardian.end(os.pidfd_open(pid), first, patience)
    except ProcessLookupError:
        return
    # A child of this process stays a zombie until it is reaped; other processes cannot be reaped here.
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


@dataclass(frozen=True)
class Emulator:
    """One of our own long-running modules, with a record in the platform's folder."""

    name: str
    folder: Path
    module: str

    @property
    def log(self) -> Path:
        """Return the file for the process's errors."""
        return self.folder / f"{self.name}.log"

    @property
    def _record(self) -> Path:
        return self.folder / f"{self.name}.pid"

    def pid(self) -> int | None:
        """Return the pid while the recorded process lives: a reused pid has another start time."""
        try:
            record = json.loads(self._record.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return record["pid"] if started_at(record["pid"]) == record["started"] else None

    def start(self, patience: float = 20.0) -> None:
        """Start the module and wait until it reports ready."""
        if self.pid() is not None:
            return
        hears, says = os.pipe()
        try:
            pid = self._spawn(says)
        finally:
            os.close(says)
        self._record.write_text(json.dumps({"pid": pid, "started": started_at(pid)}), "utf-8")
        with os.fdopen(hears, "rb") as pipe:
            heard = bool(select.select([pipe], [], [], patience)[0])
            ready = heard and pipe.readline() == READY
        if not ready:
            self.stop()
            slow = f"was not ready within {patience:g} s; on a busy machine, run `bubble-sync local up` again"
            why = f"ended at its start: read {self.log}" if heard else slow
            raise PlatformError(f"{self.name} of the platform {why}")

    def _spawn(self, says: int) -> int:
        ours = filter(None, [os.environ.get("PYTHONPATH")])
        writes = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        # Not Popen: the child outlives this process, and nothing waits for it. Its environment holds no secret, and
        # `-P` keeps the working directory out of its import path.
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", "-m", self.module, str(self.folder)],
            {
                "PATH": os.defpath,
                "PYTHONPATH": os.pathsep.join([str(PACKAGE_ROOT), *ours]),
                "PYTHONUNBUFFERED": "1",
                **marker(),
            },
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, says, 1),
                (os.POSIX_SPAWN_OPEN, 2, str(self.log), writes, 0o600),
            ],
            setsid=True,
        )

    def stop(self) -> None:
        """End the recorded process, unless another process has its pid."""
        pid = self.pid()
        if pid is not None:
            end_process(pid)
        self._record.unlink(missing_ok=True)


def report_ready() -> None:
    """Report ready to the starter."""
    os.write(1, READY)
    # The starter closes its end of the pipe, so later output must go elsewhere.
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.close(sink)
