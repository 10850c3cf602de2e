"""How long a person waits for the demo's sign-up, everything cached."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator

from bench.measure import Row, sample_row
from bench.workbench import CHECKOUT, Workbench
from bubble_sync.local.platform import Platform

_GOAL_SECONDS = 12.0


def run(bench: Workbench) -> Iterator[Row]:
    """Start the demo, and end it when it has signed a person up: then it waits for the full minute."""
    samples = [_until_signed_up() for _ in range(bench.rounds)]
    yield sample_row("make demo, from start to signed up", samples, "s", _GOAL_SECONDS)


def _until_signed_up() -> float:
    began = time.perf_counter()
    command = ["make", "demo"]
    with subprocess.Popen(
        command, cwd=CHECKOUT, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        for line in process.stderr or ():
            if line.startswith("  sign up"):
                break
        took = time.perf_counter() - began
        process.terminate()
    pause = threading.Event()
    while Platform.for_checkout(CHECKOUT).folder.exists():
        pause.wait(0.05)
    return took
