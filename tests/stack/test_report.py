"""`bubble-sync report` as a person uses it."""

from __future__ import annotations

import os
from pathlib import Path

from bubble_sync.config.stacks import CONFIG_VARIABLE
from tests.fixtures.history import item
from tests.fixtures.site import Site
from tests.fixtures.stack import Stack


def test_it_is_written_whatever_it_says_and_its_path_is_the_answer(converged: Stack, site: Site, tmp_path: Path):
    item(site, "10 min", status="failed", error_message="ada@example.com is taken", retry_count=3)
    given = {CONFIG_VARIABLE: converged.given()[CONFIG_VARIABLE]}
    file = tmp_path / "report.html"

    for since in ("30m", "24h", "7d"):
        done = converged.ours("report", "--html", str(file), "--since", since, **given)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{file}\n", "")
        assert "1 dead: failed, with no attempt left" in file.read_text()
        assert "[email] is taken" in file.read_text()

    absent = converged.ours("report", "--html", str(tmp_path / "absent" / "report.html"), **given)
    assert (absent.returncode, absent.stdout) == (2, "")
    assert absent.stderr == (
        f"error: {tmp_path}/absent/report.html cannot be written (No such file or directory): choose another place\n"
    )
    before = file.stat()
    for wrong in (("report",), ("report", "--html", str(file), "--since", "soon")):
        assert converged.ours(*wrong, **given).returncode == 2
    unreachable = {**given, "BUBBLE_SYNC_LOCAL_DATABASE_URL": "postgresql://postgres:p@127.0.0.1:1/postgres"}
    assert converged.ours("report", "--html", str(file), **unreachable).returncode == 3
    assert os.path.samestat(before, file.stat()), "a report that is there stays"
    assert list(tmp_path.glob("*report*")) == [file]
