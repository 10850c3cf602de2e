"""The bench harness: its statistics, and a section of its page for every benchmark. Nothing is timed here."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.__main__ import BENCHMARKS
from bench.measure import Row, alternate
from bench.report import as_json

PAGE = (Path(__file__).parents[2] / "docs/reference/performance.md").read_text("utf-8")


def test_each_second_round_goes_the_other_way():
    order: list[str] = []

    def contestant(name: str):
        return lambda: order.append(name) or float(len(order))

    samples = alternate({name: contestant(name) for name in ("ours", "baseline")}, 3)

    # The first two read the files and are not counted.
    assert order == ["ours", "baseline", "ours", "baseline", "baseline", "ours", "ours", "baseline"]
    assert samples == {"ours": [3, 6, 7], "baseline": [4, 5, 8]}


def test_a_ratio_is_taken_round_by_round():
    row = Row("slow", [1.0, 9.0, 4.0], [1.0, 3.0, 2.0], goal=2.0)

    assert (row.ratios, row.met) == ([1.0, 2.0, 3.0], True)
    assert row.note == "4.000 s over 2.000 s"
    assert Row("slow", [1.0], [1.0]).met is None
    assert Row("slow", [3.0], [1.0], goal=2.0).met is False


def test_a_counter_has_no_baseline():
    row = Row("pages", [3.0, 2.0, 4.0], goal=3.0, sample="{:,.0f} pages")

    assert (row.ratios, row.met, row.note) == ([2.0, 3.0, 4.0], True, "")
    assert Row("pages", [67.0], [37.0], sample="{:,.0f} pages").note == "67 pages over 37 pages"


def test_sides_of_different_lengths_are_a_defect():
    with pytest.raises(ValueError, match="zip"):
        _ = Row("lopsided", [1.0, 2.0], [1.0]).ratios


def test_the_file_holds_every_sample():
    written = as_json({"date": "today"}, {"import": [Row("x", [2.0], [1.0], goal=1.2)]})

    assert written["environment"] == {"date": "today"}
    (row,) = written["results"]["import"]
    assert (row["ratios"], row["met"], row["ours"], row["baseline"]) == ([2.0], False, [2.0], [1.0])


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_page_explains_a_benchmark(name: str):
    assert f"## `{name}`" in PAGE
