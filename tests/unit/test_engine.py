"""A provider ends with the engine that it serves, also when the engine is killed."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.stack import CHECKOUT

PROVIDER = """
import os, threading
from bubble_sync.providers.engine import end_with_engine
end_with_engine()
print(os.getpid(), flush=True)
threading.Event().wait()
"""


@pytest.mark.parametrize(("script", "ends"), [("pulumi-resource-pulumi-python", True), ("another-script", False)])
def test_a_killed_engine_takes_its_provider_along_and_no_other_process(tmp_path: Path, script: str, ends: bool):
    (tmp_path / "provider.py").write_text(PROVIDER)
    (tmp_path / script).write_text(f'#!/bin/sh\n"{sys.executable}" "{tmp_path}/provider.py"\n:\n')
    engine = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess; subprocess.run(['/bin/sh', {str(tmp_path / script)!r}])"],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert engine.stdout is not None
    provider = os.pidfd_open(int(engine.stdout.readline()))

    engine.kill()
    engine.wait()

    assert bool(select.select([provider], [], [], 30 if ends else 0.5)[0]) == ends
    if not ends:
        signal.pidfd_send_signal(provider, signal.SIGKILL)
        select.select([provider], [], [], 30)
    os.close(provider)
    engine.stdout.close()
