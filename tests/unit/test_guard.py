"""A process that outlives the tests is found."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.fixtures.guard import processes_with


def test_a_process_is_found_by_its_arguments_or_its_environment_until_it_has_ended(tmp_path: Path):
    mark = f"MARK={tmp_path}\0"
    environment = {**os.environ, "MARK": str(tmp_path)}
    with (
        subprocess.Popen(["tail", "-f", "/dev/null", f"{tmp_path}/log"], stderr=subprocess.DEVNULL) as naming,
        subprocess.Popen(["cat"], env=environment, stdin=subprocess.PIPE) as marked,
    ):
        assert processes_with([f"{tmp_path}/log"]) == [f"tail -f /dev/null {tmp_path}/log "]
        assert processes_with([mark]) == ["cat "]
        naming.kill()
        marked.kill()
    assert processes_with([mark, f"{tmp_path}/log"]) == []
