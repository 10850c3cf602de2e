"""`bubble-sync metrics` as a collector's crontab calls it."""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from bubble_sync.config.stacks import CONFIG_VARIABLE
from tests.fixtures.history import item
from tests.fixtures.site import Site
from tests.fixtures.stack import Stack

NOWHERE = {"BUBBLE_SYNC_LOCAL_DATABASE_URL": "postgresql://postgres:p@127.0.0.1:1/postgres"}


def numbers(text: str) -> dict[str, float]:
    """The numbers of the metrics that have the stack's label alone."""
    samples = [sample for metric in text_string_to_metric_families(text) for sample in metric.samples]
    return {sample.name: sample.value for sample in samples if sample.labels == {"stack": "local"}}


def test_the_text_is_given_whatever_it_says(converged: Stack, site: Site, tmp_path: Path):
    given = {CONFIG_VARIABLE: converged.given()[CONFIG_VARIABLE]}
    item(site, "1 day", status="failed", retry_count=3)

    printed = converged.ours("metrics", **given)
    assert (printed.returncode, printed.stderr) == (0, "")
    assert (numbers(printed.stdout)["bubble_sync_up"], numbers(printed.stdout)["bubble_sync_problems"]) == (1, 1)

    file = tmp_path / "sync.prom"
    written = converged.ours("metrics", "--output", str(file), **given)
    assert (written.returncode, written.stdout, written.stderr) == (0, "", "")
    assert set(numbers(file.read_text())) == set(numbers(printed.stdout))

    lost = converged.ours("metrics", "--output", str(file), **{**given, **NOWHERE})
    assert (lost.returncode, lost.stdout) == (3, "")
    assert lost.stderr.startswith("error: cannot connect")
    assert numbers(file.read_text())["bubble_sync_up"] == 0


def test_a_configuration_or_a_place_that_cannot_be_used_writes_nothing(converged: Stack, tmp_path: Path):
    nowhere = converged.ours("metrics", "--output", str(tmp_path / "gone" / "sync.prom"))
    assert (nowhere.returncode, nowhere.stdout) == (2, "")
    assert "cannot be written (No such file or directory)" in nowhere.stderr

    os.mkfifo(tmp_path / "pipe")
    pipe = converged.ours("metrics", "--output", str(tmp_path / "pipe"))
    assert (pipe.returncode, "is not a file" in pipe.stderr) == (2, True)
    assert (tmp_path / "pipe").is_fifo()

    converged.configure("processor.maxItems", "0")
    file = tmp_path / "sync.prom"
    assert converged.ours("metrics", "--output", str(file)).returncode == 2
    assert not file.exists()
