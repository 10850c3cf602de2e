"""Files that commands write: whole or not at all, and never in the place of what is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from bubble_sync.cli.output import write_atomically
from bubble_sync.errors import ConfigurationError


class TestFile:
    def test_it_is_replaced_as_a_whole_and_nothing_else_is_left(self, tmp_path: Path):
        file = tmp_path / "report.html"
        write_atomically(file, "one")
        link = tmp_path / "link.html"
        link.symlink_to(file)
        write_atomically(link, "two")

        assert link.is_symlink()
        assert file.read_text() == "two"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["link.html", "report.html"]

    @pytest.mark.parametrize("name", ["absent/report.html", "file/report.html", ".", "x" * 300])
    def test_one_that_cannot_be_written_is_one_clear_error(self, tmp_path: Path, name: str):
        (tmp_path / "file").touch()

        with pytest.raises(ConfigurationError, match=r"(cannot be written|is not a file).*choose another place$"):
            write_atomically(tmp_path / name, "text")
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    def test_a_device_is_not_replaced(self):
        with pytest.raises(ConfigurationError, match="/dev/null is not a file"):
            write_atomically(Path("/dev/null"), "text")

    def test_nor_is_the_root_of_everything(self):
        with pytest.raises(ConfigurationError, match="/ is not a file"):
            write_atomically(Path("/"), "text")
