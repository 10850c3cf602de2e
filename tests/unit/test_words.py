"""The product's prose avoids words that hide subject and object."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "__main__.py",
    "bench",
    "bubble_sync",
    "components",
    "docs",
    "examples",
    "sql",
    "template",
    "tools",
)
"""Files and folders that people read."""
SUFFIXES = frozenset({".md", ".py", ".sql"})
BANNED = re.compile(
    r"\b(told|tells?(?: \w+)? of|said|whoever|nobody|somebody|beside|shall|what (?:is|are) [^.,;:]{1,60}? is)\b",
    re.IGNORECASE,
)
ALLOWED = {
    ("CHANGELOG.md", "beside"): "an old name in the JSON of `diff`",
    ("CHANGELOG.md", "said"): "an old name in the JSON of `trace`",
    ("CHANGELOG.md", "told"): "an old name in the JSON of `run-now`",
    ("bubble_sync/local/postgres/account.py", "nobody"): "a user of the operating system",
    ("docs/guides/operate.md", "nobody"): "an address in a command",
    ("docs/reference/platform.md", "nobody"): "a user of the operating system",
    ("sql/checks/runs_failing.sql", "said"): "a column's name",
    ("sql/queries/ledger.sql", "nobody"): "part of the installed body of bubble_sync.observe",
    ("sql/queries/sender_text.sql", "told"): "a table alias in the installed body of bubble_sync.observe",
    ("sql/queries/signs.sql", "said"): "part of the installed body of bubble_sync.observe",
}
"""File and word -> why the word stays."""


def files(*places: str) -> Iterator[Path]:
    """Yield the files of the places."""
    for place in places:
        path = ROOT / place
        found = [path] if path.is_file() else path.rglob("*")
        yield from (one for one in found if one.suffix in SUFFIXES)


def prose(path: Path) -> str:
    """Return the text of a file; of a function only its header, since the database holds the rest."""
    text = path.read_text("utf-8")
    return text.partition("\ncreate or replace function")[0] if path.parent.name == "functions" else text


def banned(path: Path) -> Iterator[str]:
    """Yield the banned words of a file with their lines, unless allowed."""
    name = path.relative_to(ROOT).as_posix()
    for number, line in enumerate(prose(path).splitlines(), 1):
        for match in BANNED.finditer(line):
            if (name, match[0].lower()) not in ALLOWED:
                yield f"{name}:{number}: {match[0]}: {line.strip()}"


@pytest.mark.parametrize("place", PLACES)
def test_prose_has_no_banned_word(place: str):
    paths = list(files(place))

    assert paths
    assert not [one for path in paths for one in banned(path)]


@pytest.mark.parametrize(("name", "word"), ALLOWED)
def test_every_exception_is_still_needed(name: str, word: str):
    assert word in (match[0].lower() for match in BANNED.finditer((ROOT / name).read_text("utf-8")))


@pytest.mark.parametrize(
    "text", ["Somebody did.", "It was told.", "tells us of it", "What is there is ours.", "set beside it"]
)
def test_a_banned_word_is_found(text: str):
    assert BANNED.search(text)


@pytest.mark.parametrize("text", ["failures_told", "besides", "storytold", "What is it?"])
def test_a_part_of_a_longer_word_is_not_banned(text: str):
    assert not BANNED.search(text)
