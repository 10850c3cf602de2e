"""End the child processes of a process when that process ends, for any reason.

`Guard` runs this file as a small process in a new session. This guardian waits for the end of the guarded process, or
of the `make` above that process. Then it kills every process under the guard and removes the registered folders. A
process is under the guard when its environment holds the guard's token. PostgreSQL writes its title over its
environment, so a file in the platform's folder holds the tokens for the server. Elsewhere than on Linux a guard does
nothing.

The file imports the standard library alone and so starts in a few milliseconds.
"""

from __future__ import annotations

import os
import secrets
import select
import shutil
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

#: Holds the tokens of all guards that a process is under, separated by blanks.
GUARDS_VARIABLE = "BUBBLE_SYNC_GUARDS"
#: A file with the same content, for the processes whose working directory is a folder next to the file.
GUARDS_FILE = "guards"
_RELEASE, _REMOVE = "release", "remove "


class Guard:
    """A guard over this process: later processes with its environment, or with `marker`, end with this process."""

    def __init__(self) -> None:
        """Start the guardian."""
        self._token = secrets.token_hex(8)
        self._talk: int | None = None
        if not hasattr(os, "pidfd_open"):
            return
        hears, self._talk = os.pipe()
        pids = [str(pid) for pid in (os.getpid(), *_callers())]
        # Not Popen: the child outlives this process, and nothing waits for it.
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", __file__, self._token, *pids],
            {"PATH": os.defpath},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, hears, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ],
            setsid=True,
        )
        os.close(hears)
        os.environ[GUARDS_VARIABLE] = " ".join([*_tokens(), self._token])

    def remove(self, folder: Path) -> None:
        """Register a folder for removal at the end."""
        self._say(f"{_REMOVE}{folder.absolute()}")

    def release(self) -> None:
        """Release the guard and keep the guarded processes."""
        self._say(_RELEASE)
        if self._talk is not None:
            os.close(self._talk)
            self._talk = None
            os.environ[GUARDS_VARIABLE] = " ".join(token for token in _tokens() if token != self._token)

    def _say(self, line: str) -> None:
        # The guarded process goes on without a killed guardian.
        with suppress(BrokenPipeError):
            if self._talk is not None:
                os.write(self._talk, f"{line}\n".encode())


def marker() -> dict[str, str]:
    """Return the part of the environment that puts a process under this process's guards."""
    return {GUARDS_VARIABLE: " ".join(tokens)} if (tokens := _tokens()) else {}


def write_tokens(folder: Path) -> None:
    """Put later processes whose working directory is inside a folder under this process's guards alone."""
    (folder / GUARDS_FILE).write_text(" ".join(_tokens()), "utf-8")


def _tokens() -> list[str]:
    return os.environ.get(GUARDS_VARIABLE, "").split()


def _callers() -> list[int]:
    """List the parents to wait for: uv, or all up to the nearest make."""
    chain: list[int] = []
    names: list[str] = []
    pid = os.getppid()
    while pid > 1:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        except OSError:
            break
        chain.append(pid)
        names.append(stat[stat.index("(") + 1 : stat.rindex(")")])
        if names[-1] in ("make", "gmake"):
            return chain
        pid = int(stat.rpartition(")")[2].split()[1])
    return chain[:1] if names[:1] == ["uv"] else []


def _listen(handles: Iterable[int], patience: float | None) -> bytes:
    """Return the lines received until a process ends, the pipe closes, or the guard is released."""
    heard = b""
    while True:
        readable, _, _ = select.select([0, *handles], [], [], patience)
        more = os.read(0, 1 << 16) if 0 in readable else b""
        heard += more
        if not more or _released(heard):
            return heard


def _released(heard: bytes) -> bool:
    return _RELEASE.encode() in heard.split(b"\n")


def _folders(heard: bytes) -> list[Path]:
    lines = map(os.fsdecode, heard.split(b"\n"))
    return [Path(line.removeprefix(_REMOVE)) for line in lines if line.startswith(_REMOVE)]


def _guarded(token: str) -> Iterator[int]:
    """Find the processes under the guard."""
    name = f"{GUARDS_VARIABLE}=".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            variables = (entry / "environ").read_bytes().split(b"\0")
            if any(token in line.decode("utf-8", "replace") for line in variables if line.startswith(name)):
                yield int(entry.name)
        with suppress(OSError):
            folder = Path(os.readlink(entry / "cwd")).parent
            if token in (folder / GUARDS_FILE).read_text("utf-8"):
                yield int(entry.name)


def _kill(token: str) -> None:
    """Kill every process under the guard until none is left."""
    while found := set(_guarded(token)):
        for pid in found:
            with suppress(ProcessLookupError):
                end(os.pidfd_open(pid), signal.SIGKILL)


def end(handle: int, first: signal.Signals = signal.SIGTERM, patience: float = 10.0) -> None:
    """End the process of a pidfd: send a signal, wait `patience` seconds, then kill it and wait again."""
    for order in (first, signal.SIGKILL):
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, order)
        if select.select([handle], [], [], patience)[0]:
            break
    os.close(handle)


def main(token: str, pids: Sequence[int]) -> None:
    """Guard the first of the processes until it, or another of them, is gone."""
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    handles: dict[int, int] = {}
    for pid in pids:
        with suppress(ProcessLookupError):
            handles[pid] = os.pidfd_open(pid)
    # A process may be gone before the wait starts.
    heard = _listen(handles.values(), None if len(handles) == len(pids) else 0)
    if _released(heard):
        return
    # After the caller's end the guarded process may still be at work.
    if pids[0] in handles:
        end(handles[pids[0]])
    heard += _listen((), 0)
    _kill(token)
    for folder in _folders(heard):
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1], [int(pid) for pid in sys.argv[2:]])
