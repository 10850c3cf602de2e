"""A program that fills `SyncSetupArgs` itself, through the real Pulumi: no drift, and no command that calls it one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from bubble_sync.local.stack import DATABASE_URL_VARIABLE
from tests.fixtures.site import Site
from tests.fixtures.stack import Stack, lay_out_program

PROGRAM = """
from dataclasses import replace

import pulumi

from bubble_sync import SyncSetup, SyncSetupArgs, read_stack
from bubble_sync.components import ProcessorSettings

settings, project_ref = read_stack()
args = replace(SyncSetupArgs.of(settings, project_ref), processor=ProcessorSettings(max_items=11))
SyncSetup("sync", args)
"""


def test_a_program_of_ones_own_is_refused_where_its_configuration_would_be_compared(
    converged: Stack, site: Site, tmp_path: Path
):
    folder = lay_out_program(tmp_path / "project", but=("__main__.py",))
    (folder / "__main__.py").write_text(PROGRAM)
    own = Stack(replace(converged.local, checkout=folder))
    before = own.local.config_file.read_bytes()
    own.up()
    own.expect_no_changes()

    for command in (("diff",), ("drift",), ("verify",), ("pause", "--reason", "a test")):
        done = own.ours(*command)
        assert done.returncode == 2, done.stdout
        assert done.stderr.splitlines()[-1].startswith("error: the program of this stack fills SyncSetupArgs itself")
    assert own.ours("failures").returncode == 0
    # What the ledger holds is what the program wants.
    alone = own.ours("verify", "--database-url-env", DATABASE_URL_VARIABLE, "--json", alone=True)
    lines = {line["id"]: line["status"] for line in json.loads(alone.stdout)["lines"]}
    assert [lines[name] for name in ("prerequisites", "secrets", "functions", "jobs")] == ["ok"] * 4
    site.by_hand("delete from cron.job where jobname = 'bubble-sync-retry'")
    found = own.ours("doctor", "--database-url-env", DATABASE_URL_VARIABLE, alone=True)
    assert (found.returncode, "[job_missing]" in found.stdout) == (1, True), found.stdout + found.stderr
    own.up()
    assert own.local.config_file.read_bytes() == before

    converged.up()
    assert converged.ours("diff").returncode == 0
