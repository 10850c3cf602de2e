"""What a process starts under a guard ends with it, however it ends."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bubble_sync.local import guardian
from tests.fixtures.stack import CHECKOUT

PATIENCE_SECONDS = 20

#: Starts two processes under a guard, one of them in a session of its own, and says who they are.
OWNER = """
import json, os, subprocess, sys, time
from pathlib import Path
from bubble_sync.local.guardian import Guard
guard = Guard()
guard.remove(Path({folder!r}))
children = [subprocess.Popen(["sleep", "600"], start_new_session=own) for own in (False, True)]
Path({told!r}).write_text(json.dumps([os.getpid(), *(child.pid for child in children)]))
os.close(os.open({ready!r}, os.O_WRONLY))
Path({go!r}).read_bytes()
{then}
"""


class Guarded:
    """The processes of one owner, whose ends can be waited for."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder, self.told = tmp_path / "remove", tmp_path / "told"
        self.ready, self.go = tmp_path / "ready", tmp_path / "go"
        self.folder.mkdir()
        os.mkfifo(self.ready)
        os.mkfifo(self.go)
        self.handles: list[int] = []
        self.guardian = -1

    def program(self, then: str = "") -> list[str]:
        """The owner waits for the test, does this last thing, and ends."""
        names = {name: str(getattr(self, name)) for name in ("folder", "told", "ready", "go")}
        return [sys.executable, "-c", OWNER.format(then=then, **names)]

    def wait_until_ready(self) -> int:
        """Return the owner's process id when everything runs."""
        self.ready.read_bytes()
        owner, *children = json.loads(self.told.read_text())
        self.guardian = guardian_of(owner)
        self.handles = [os.pidfd_open(child) for child in children]
        return int(owner)

    def end(self) -> bool:
        """Say whether all have ended, and the folder went; waits for that."""
        return all(map(ended, self.handles)) and self.gone()

    def gone(self) -> bool:
        """Say whether the guardian has removed the folder; waits until it has ended."""
        assert ended(self.guardian)
        return not self.folder.exists()

    def kill(self) -> None:
        for handle in self.handles:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)


def guardian_of(owner: int) -> int:
    """Return a handle of the process that guards another one."""
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if guardian.__file__.encode() in words and words[5] == str(owner).encode():
                return os.pidfd_open(int(pid))
    raise AssertionError(f"process {owner} has no guardian")


def ended(handle: int) -> bool:
    return bool(select.select([handle], [], [], PATIENCE_SECONDS)[0])


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    made = Guarded(tmp_path)
    yield made
    made.kill()


@pytest.mark.parametrize("order", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_killed_owner_takes_everything_along(guarded: Guarded, order: signal.Signals):
    with subprocess.Popen(guarded.program(), cwd=CHECKOUT, stderr=subprocess.DEVNULL):
        os.kill(guarded.wait_until_ready(), order)
        assert guarded.end()


def test_an_owner_that_ends_by_itself_does_too(guarded: Guarded):
    with subprocess.Popen(guarded.program("os._exit(0)"), cwd=CHECKOUT):
        guarded.wait_until_ready()
        guarded.go.write_text("")
        assert guarded.end()


def test_a_closed_terminal_does_too(guarded: Guarded):
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(CHECKOUT)
        os.execv(sys.executable, guarded.program())
    guarded.wait_until_ready()
    os.close(terminal)
    assert guarded.end()
    os.waitpid(pid, 0)


@pytest.mark.parametrize("order", [signal.SIGKILL, signal.SIGTERM])
def test_the_make_above_the_owner_takes_everything_along(guarded: Guarded, tmp_path: Path, order: signal.Signals):
    (tmp_path / "owner.py").write_text(guarded.program()[2])
    (tmp_path / "Makefile").write_text(f"all:\n\t@true; {sys.executable} owner.py\n")
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    make = subprocess.Popen(["make", "-s"], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    try:
        owner = os.pidfd_open(guarded.wait_until_ready())
        os.kill(make.pid, order)
        assert guarded.end()
        assert ended(owner), "the owner itself ends"
        os.close(owner)
    finally:
        make.kill()
        make.wait()


def test_a_released_guard_keeps_everything(guarded: Guarded):
    with subprocess.Popen(guarded.program("guard.release(); os._exit(0)"), cwd=CHECKOUT):
        guarded.wait_until_ready()
        guarded.go.write_text("")
    assert not guarded.gone()
    assert guarded.folder.exists()
    assert not any(select.select([handle], [], [], 0)[0] for handle in guarded.handles)


def test_a_guardian_that_was_killed_does_not_end_its_owner(tmp_path: Path):
    program = """
import os, signal
from pathlib import Path
from bubble_sync.local.guardian import Guard
guard = Guard()
(child,) = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
os.kill(int(child), signal.SIGKILL)
os.waitpid(int(child), 0)
guard.remove(Path("/nowhere"))
guard.release()
print("went on")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "went on\n"), done.stderr


START_A_PLATFORM = """
import os, signal, sys
from pathlib import Path
from bubble_sync.local.guardian import Guard
from bubble_sync.local.platform import Platform
guard = Guard()
platform = Platform(Path(sys.argv[1]))
guard.remove(platform.folder)
platform.start()
print(*(part.pid for part in platform.status().parts), flush=True)
sys.stdin.read()
"""


def test_a_platform_ends_with_a_killed_owner_its_server_too():
    folder = Path("/tmp") / f"bst-{os.urandom(4).hex()}"
    command = [sys.executable, "-c", START_A_PLATFORM, str(folder)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        handles = [os.pidfd_open(int(pid)) for pid in owner.stdout.readline().split()]
        watching = guardian_of(owner.pid)
        assert len(handles) == 3
        owner.kill()
        assert all(map(ended, handles))
        assert ended(watching)
    assert not folder.exists()
    for handle in (*handles, watching):
        os.close(handle)
