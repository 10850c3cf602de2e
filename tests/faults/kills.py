"""SIGKILL for one process of a Pulumi run, at a step in the database or at an event of the engine."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from tests.fixtures.proxy import Break, Message, Proxy
from tests.fixtures.serving import serving
from tests.fixtures.site import Site
from tests.fixtures.stack import CHECKOUT, Stack

Kind = Literal["cli", "host", "program", "provider"]
#: What the arguments of each process hold.
_MARKS: dict[Kind, bytes] = {
    "host": rb"/pulumi-python-host",
    "program": b"pulumi-language-python-exec",
    "provider": b"pulumi.dynamic",
}
PATIENCE, SHORT = 120.0, 5.0
#: The messages of a login, a simple query, and the execution of a prepared one.
_STEPS = ("first", "p", "Q", "E")
SEED = int(os.environ.get("SEED", "20261129"))
SESSIONS = "select pid, state, query from pg_stat_activity where application_name = 'bubble-sync'"


class HoldingProxy(Proxy):
    """Holds one step of a client, or its answer, until it is released; a client that was killed sends nothing.

    A step is a message of the login, or one that makes the server run a statement: a run has the same number each time.
    """

    def __init__(self, server_port: int) -> None:
        super().__init__(server_port)
        self.steps = 0
        self._number, self._how = 0, Break.HELD

    def hold(self, number: int, *, answered: bool = False) -> None:
        """Hold the n-th step from now on, over all connections; `answered`: its answer, after the server's work."""
        self.steps, self._number, self._how = 0, number, Break.ANSWER_HELD if answered else Break.HELD
        self.held.clear()
        self.released.clear()

    def fault_of(self, message: Message) -> Break | None:
        """Count a step, and hold the chosen one."""
        if message.sender == "server" or message.kind not in _STEPS:
            return None
        with self._counting:
            self.steps += 1
            return self._how if self.steps == self._number else None


@contextmanager
def holding_proxy(server_port: int) -> Iterator[HoldingProxy]:
    """Run a proxy in front of a server."""
    with serving(HoldingProxy(server_port)) as proxy:
        try:
            yield proxy
        finally:
            proxy.released.set()


class Run:
    """A Pulumi command that is going to be killed."""

    def __init__(self, stack: Stack, folder: Path, *command: str) -> None:
        self._log = folder / "events"
        self._log.unlink(missing_ok=True)
        os.mkfifo(self._log)
        self._events = os.open(self._log, os.O_RDWR)
        self._seen = 0
        self.process = subprocess.Popen(
            ["pulumi", *command, "--event-log", str(self._log), *stack.local.arguments, "--non-interactive"],
            cwd=stack.local.checkout, env={**stack.local.environment, "PULUMI_DEBUG_COMMANDS": "true"},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._cli = os.pidfd_open(self.process.pid)

    def reach(self, event: int | None = None, until: threading.Event | None = None) -> bool:
        """Read the engine's events until the n-th, or until something has happened; False: the run ended before."""
        while True:
            if (until is not None and until.is_set()) or (event is not None and self._seen >= event):
                return True
            ready, _, _ = select.select([self._events, self._cli], [], [], 0.02 if until else PATIENCE)
            if self._events in ready:
                self._seen += os.read(self._events, 4096).count(b"\n")
            elif self._cli in ready:
                return False

    def kill(self, kind: Kind) -> dict[Kind, list[int]]:
        """Kill one kind of process; return the processes of the run, among which there may be none of the kind."""
        found = self.processes()
        for pid in found[kind]:
            os.kill(pid, signal.SIGKILL)
            _ended(pid)
        return found

    def processes(self) -> dict[Kind, list[int]]:
        """Find the run's processes."""
        found: dict[Kind, list[int]] = {"cli": [self.process.pid], "host": [], "program": [], "provider": []}
        tree = [self.process.pid]
        for pid in tree:
            with suppress(OSError):
                for task in Path(f"/proc/{pid}/task").glob("*/children"):
                    tree += [int(child) for child in task.read_text().split()]
                words = Path(f"/proc/{pid}/cmdline").read_bytes()
                for kind, mark in _MARKS.items():
                    if mark in words and words[:7] != b"/bin/sh":
                        found[kind].append(pid)
        return found

    def end(self) -> int:
        """Wait for the CLI's end, and return its exit code."""
        self.reach()
        os.close(self._events)
        os.close(self._cli)
        return self.process.wait(PATIENCE)


def _ended(pid: int, patience: float = PATIENCE) -> bool:
    """Wait for a process's end."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], patience)[0])
    finally:
        os.close(handle)


def all_ended(pids: Sequence[int]) -> bool:
    """Wait until processes have ended."""
    return all(_ended(pid) for pid in pids)


def ended_with_pulumi(found: Mapping[Kind, Sequence[int]]) -> bool:
    """Wait until the processes of ours in a killed run have ended, and kill those that are Pulumi's alone.

    The language host looks for its engine every five minutes. A provider that has no work yet runs no code of ours.
    """
    bare = [pid for pid in found["provider"] if not _has_our_code(pid)]
    ours = all_ended([pid for pid in (*found["provider"], *found["program"]) if pid not in bare])
    kill(found["host"])
    # Work may have arrived in the moment of the kill.
    idle = [pid for pid in bare if not _ended(pid, SHORT) and not _has_our_code(pid)]
    kill(idle)
    return ours and all_ended(bare)


def _has_our_code(pid: int) -> bool:
    """Return whether a provider has imported our specs, which use a library that Pulumi does not."""
    try:
        return "pydantic_core" in Path(f"/proc/{pid}/maps").read_text("utf-8")
    except OSError:
        return True  # it has ended


def kill(pids: Sequence[int]) -> None:
    """Kill processes, each of them ended or not."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _ended(pid)


class Zygote:
    """Runs commands of ours in forks of a process that has imported them (`tests/faults/zygote.py`)."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "zygote.log"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote"],
            cwd=CHECKOUT, env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        assert self._process.stdin
        assert self._process.stdout
        self._orders, self._answers = self._process.stdin, self._process.stdout

    def start(self, *command: str, environment: Mapping[str, str], folder: Path) -> int:
        """Start a command, and return its pid."""
        order = {
            "command": command, "environment": dict(environment), "folder": str(folder),
            "log": str(self.log),
        }  # fmt: skip
        self._orders.write(f"{json.dumps(order)}\n")
        return int(self._answers.readline())

    def wait(self) -> int:
        """Wait for the command's end, and return its exit code."""
        return int(self._answers.readline())

    def close(self) -> None:
        self._orders.close()
        self._process.wait(PATIENCE)
        self._answers.close()


def kill_at(zygote: Zygote, gate: HoldingProxy, pid: int) -> bool:
    """Kill a command at the held step; False when it has ended before."""
    handle = os.pidfd_open(pid)
    try:
        while not gate.held.wait(0.002):
            if select.select([handle], [], [], 0)[0]:
                break
        reached = gate.held.is_set()
        if reached:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [], PATIENCE)
        gate.released.set()
    finally:
        os.close(handle)
    return reached


def spread(count: int, most: int) -> list[int]:
    """Points at even distances, each moved at random by less than one distance."""
    chance = random.Random(SEED)
    return sorted({1 + int((number + chance.random()) * most / count) for number in range(count)})


def sessions_left(site: Site) -> list[object]:
    """Return our sessions; wait a moment for the server, which notices the end of a client by itself."""
    site.db.close()
    pause = threading.Event()
    left = site.by_hand(SESSIONS)
    for _ in range(300):
        if not left:
            break
        pause.wait(0.1)
        left = site.by_hand(SESSIONS)
    return [dict(row) for row in left]
