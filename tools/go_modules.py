"""Go, run in one of the pinned modules beside this file."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from tools.pulumi_pins import ToolchainError, say

HEARTBEAT_SECONDS = 30


def run_go(go: str, module: Path, scratch: Path, *arguments: str, otherwise: str) -> str:
    """Run go with a sign of life now and then; return what it printed; `otherwise` ends the error's one line."""
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
                say(f"go {arguments[0]} in {module.name}: {time.monotonic() - began:.0f} s so far")
    lines = log.read_text().split("\n")
    log.unlink()
    if process.returncode != 0:
        reason = " | ".join(line for line in lines[-4:] if line)
        raise ToolchainError(f"go {arguments[0]} failed in tools/{module.name}: {reason}; {otherwise}")
    return printed.strip()
