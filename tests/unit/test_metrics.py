"""The metrics are named as Prometheus has it, and documented one by one; and a file is written whole or not at all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bubble_sync.cli.metrics import give
from bubble_sync.errors import ConfigurationError
from bubble_sync.health.metrics import FAMILIES

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/metrics.md").read_text("utf-8")


def test_every_metric_is_on_its_page_with_its_labels_and_none_besides():
    expected = [
        f"| `{one.name}` | {', '.join(f'`{label}`' for label in one.labels)} | {one.meaning} |" for one in FAMILIES
    ]

    assert re.findall(r"^\| `bubble_sync_.*\|$", PAGE, re.MULTILINE) == expected, "\n" + "\n".join(expected)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_metric_is_named_by_convention(family):
    assert re.fullmatch(r"bubble_sync_[a-z]+(_[a-z]+)*", family.name)
    assert not family.name.endswith(("_total", "_count", "_sum", "_bucket", "_created")), "it is a gauge"
    assert ("seconds" in family.name) == (family.unit == "seconds")
    # A scraper sets these itself.
    assert not {"job", "instance"} & set(family.labels)


def test_a_file_replaces_the_old_one_and_everybody_may_read_it(tmp_path: Path):
    file = tmp_path / "sync.prom"
    file.write_text("old")
    with file.open() as reader:
        give("new", file)
        assert reader.read() == "old", "whoever has begun to read reads the old one to its end"

    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o644
    assert [one.name for one in tmp_path.iterdir()] == ["sync.prom"]


@pytest.mark.parametrize("place", ["nowhere/sync.prom", "folder"])
def test_a_place_that_cannot_be_written_is_said_and_nothing_is_left_there(tmp_path: Path, place: str):
    (tmp_path / "folder").mkdir()

    with pytest.raises(ConfigurationError, match=r"cannot be written|is not a file"):
        give("new", tmp_path / place)
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]
