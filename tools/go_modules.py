"""Go, run in one of the pinned modules next to this file."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from tools.pulumi_pins import ToolchainError, say

HEARTBEAT_SECONDS = 30


def run_go(go: str, module: Path, scratch: Path, *arguments: str, otherwise: str, packages: int = 0) -> str:
    """Run go, with a line of progress every half minute, and return what it printed.

    Args:
        go: The go command.
        module: The folder of the pinned module.
        scratch: A folder for go's messages.
        arguments: What go is to do.
        otherwise: The end of the error's one line: what to do instead.
        packages: For `build -v`: how many packages there are to compile.

    Raises:
        ToolchainError: go failed.
    """
    log = scratch / "go.log"
    # A person's own go.work would replace the pins.
    environment = {**os.environ, "GOWORK": "off"}
    began = time.monotonic()
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [go, *arguments], cwd=module, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        while True:
            try:
                printed, _ = process.communicate(timeout=HEARTBEAT_SECONDS)
                break
            except subprocess.TimeoutExpired:
                compiled = len(log.read_text().splitlines())
                say(f"{module.name}: {progress(time.monotonic() - began, compiled, packages)}")
    lines = [line for line in log.read_text().split("\n") if line]
    log.unlink()
    if process.returncode != 0:
        raise ToolchainError(f"go {arguments[0]} failed in tools/{module.name}: {' | '.join(lines[-3:])}; {otherwise}")
    return printed.strip()


def progress(seconds: float, compiled: int, packages: int) -> str:
    """Say how far a build is; the packages that go has compiled before, in another build, are not printed."""
    if not 0 < compiled <= packages:
        return f"{seconds:.0f} s so far"
    left = seconds * (packages - compiled) / compiled
    return f"{compiled} of {packages} packages compiled in {seconds:.0f} s, about {left:.0f} s left"
