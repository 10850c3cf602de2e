"""No statement of ours changes rows without saying which: pg-safeupdate, which hosted projects load, refuses it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_CHANGES = re.compile(r"(?<!for )(?<!do )\b(update\s+(?!of\b|skip\b)[\w.\"{}]+|delete\s+from\s+[\w.\"{}]+)", re.I)
_COMMENT = re.compile(r"--[^\n]*|^\s*#[^\n]*", re.M)


def changes_without_where(text: str) -> list[str]:
    """Name the statements that change rows and have no condition before their end."""
    bare = _COMMENT.sub("", text)
    return [
        found[0] for found in _CHANGES.finditer(bare) if not re.search(r"\bwhere\b", _rest(bare, found.end()), re.I)
    ]


def _rest(text: str, start: int) -> str:
    """Give what follows, up to the end of the statement or of the query that it is a part of."""
    depth = 0
    for at in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth < 0 or text[at] == ";":
            return text[start:at]
    return text[start:]


def sql_files() -> Iterator[Path]:
    yield from (ROOT / "sql").rglob("*.sql")
    yield from (ROOT / "bubble_sync").rglob("*.sql")


def python_statements() -> Iterator[tuple[str, str]]:
    for file in (ROOT / "bubble_sync").rglob("*.py"):
        for literal in re.findall(
            r'sql\.SQL\(\s*("(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*)', file.read_text("utf-8")
        ):
            yield str(file.relative_to(ROOT)), re.sub(r'"\s*"', "", literal).replace("\\n", "\n")


@pytest.mark.parametrize("file", sorted(sql_files()), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_says_which_rows_change(file: Path):
    assert changes_without_where(file.read_text("utf-8")) == []


def test_a_statement_in_python_says_which_rows_change():
    seen = list(python_statements())
    assert any("update {} set" in text for _, text in seen)
    assert [(file, found) for file, text in seen for found in changes_without_where(text)] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("update a.b set c = 1;", ["update a.b"]),
        ("with x as (delete from a.b returning c) select * from x where c = 1;", ["delete from a.b"]),
        ("update a.b set c = (select 1 from d);\nselect 1 where true;", ["update a.b"]),
        ("update a.b set c = 1 where d;", []),
        ("select 1 for update skip locked;", []),
        ("insert into a values (1) on conflict do update set b = 1;", []),
        ("-- update a.b set c = 1;", []),
    ],
)
def test_the_search_finds_what_the_guard_refuses(text: str, found: list[str]):
    assert changes_without_where(text) == found
