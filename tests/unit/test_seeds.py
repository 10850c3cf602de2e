"""Every line of the two seed documents has a home, and every home in `docs/reference/seeds.md` exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import typer

from bubble_sync.cli.app import app
from bubble_sync.config.settings import StackSettings
from bubble_sync.specs import (
    CronJobSpec,
    ExtensionSpec,
    FunctionSpec,
    LedgerSpec,
    PrerequisitesSpec,
    Spec,
    VaultSecretSpec,
)
from bubble_sync.sql_loader import SQL_DIRECTORY, query
from tests.fixtures.program import Graph
from tests.unit.test_docs import COMMANDS, ROOT, commands, make_targets
from tools.config_table import rows

TEXT = (ROOT / "docs/reference/seeds.md").read_text("utf-8")
LAST_LINE = {"The guide": 378, "The record": 167}
# Resource types are state format, and say which kind of object it is.
KINDS: dict[str, type[Spec]] = {
    "Prerequisites": PrerequisitesSpec,
    "Ledger": LedgerSpec,
    "Extension": ExtensionSpec,
    "VaultSecret": VaultSecretSpec,
    "Function": FunctionSpec,
    "CronJob": CronJobSpec,
}


class Row(NamedTuple):
    """Some lines of a seed, and where what they ask has gone."""

    document: str
    first: int
    last: int
    homes: tuple[str, ...]


def table_rows() -> Iterator[Row]:
    for part in re.split(r"^## ", TEXT, flags=re.MULTILINE):
        document = part.split("\n", 1)[0]
        for first, last, homes in re.findall(r"^\| (\d+)-(\d+) \|[^|]*\| (.*) \|$", part, re.MULTILINE):
            yield Row(document, int(first), int(last), tuple(re.findall(r"`([^`]+)`", homes)))


ROWS = list(table_rows())


def homes(prefix: str) -> list[str]:
    return sorted({home.split(":", 1)[1] for row in ROWS for home in row.homes if home.startswith(f"{prefix}:")})


@cache
def names_in(file: Path) -> frozenset[str]:
    """The tests of a file as pytest names them, without parameters."""
    found = set()
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
    return frozenset(name for name in found if name.split("::")[-1].startswith("test_"))


@pytest.mark.parametrize("document", LAST_LINE)
def test_the_rows_cover_the_document_without_a_gap(document: str):
    ranges = [(row.first, row.last) for row in ROWS if row.document == document]

    assert [first for first, _ in ranges] == [1, *(last + 1 for _, last in ranges[:-1])]
    assert ranges[-1][1] == LAST_LINE[document]


def test_every_row_has_a_home_in_a_known_notation():
    known = {"object", "command", "config", "sql", "test", "doc", "out"}

    assert [row for row in ROWS if not row.homes or {home.split(":", 1)[0] for home in row.homes} - known] == []


def test_an_object_is_one_that_the_program_declares(graph: Graph):
    declared = set()
    for resource in graph.resources.values():
        spec = KINDS.get(resource.type.rsplit(":", 1)[-1])
        if spec is not None:
            name = resource.inputs.get("name")
            declared.add(f"{spec.kind} {name}" if name else spec.kind)

    assert set(homes("object")) <= declared


@pytest.mark.parametrize("command", homes("command"))
def test_a_command_is_one_that_a_person_can_type(command: str):
    program, *words = command.split()

    if program == "make":
        assert words[0] in make_targets()
    elif program == "bubble-sync":
        assert command in set(commands(typer.main.get_command(app)))
    else:
        assert program == "pulumi"
        assert f"| `{command}` |" in COMMANDS


def test_a_configuration_key_is_one_of_the_settings():
    assert set(homes("config")) <= {key for key, *_ in rows(StackSettings)}


@pytest.mark.parametrize("home", homes("sql"))
def test_sql_is_there(home: str):
    file, _, name = home.partition("#")
    path = SQL_DIRECTORY / Path(file).relative_to("sql")

    assert path.is_file()
    assert not name or query(path.stem, name)


@pytest.mark.parametrize("home", homes("test"))
def test_a_test_is_there(home: str):
    file, name = home.split("::", 1)

    assert name in names_in(ROOT / file)


@pytest.mark.parametrize("home", homes("doc"))
def test_a_page_is_there(home: str):
    assert (ROOT / home).is_file()


def test_what_is_out_of_scope_says_why():
    assert [reason for reason in homes("out") if len(reason) < 5] == []
