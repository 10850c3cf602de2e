"""One public name has one meaning: no two modules of the product define the same one."""

from __future__ import annotations

import ast
import inspect
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from bubble_sync.cli.app import app
from bubble_sync.converge.registry import Kind

ROOT = Path(__file__).parents[2]
PROTOCOL = {name for name in vars(Kind) if not name.startswith("_")}
"""Names that each module of the package `converge` defines for its own kind of object."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Yield each module of the product with its name."""
    for folder in ("bubble_sync", "components"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "__pycache__" not in path.parts:
                yield ".".join(path.relative_to(ROOT).with_suffix("").parts), ast.parse(path.read_text("utf-8"))


def defined(tree: ast.Module) -> Iterator[str]:
    """Yield the public functions, classes and constants that a module defines."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]
        else:
            names = []
        yield from (name for name in names if not name.startswith("_"))


def commands(group: Any) -> Iterator[tuple[str, str]]:
    """Yield module and name of each command's function: the command line reads as typed, so `diff` runs `diff`."""
    for command in group.commands.values():
        if hasattr(command, "commands"):
            yield from commands(command)
        else:
            function = inspect.unwrap(command.callback)
            yield function.__module__, function.__name__


def test_no_two_modules_define_the_same_public_name():
    places: dict[str, list[str]] = defaultdict(list)
    typed = set(commands(typer.main.get_command(app)))
    for module, tree in modules():
        for name in defined(tree):
            of_a_kind = module.startswith("bubble_sync.converge.") and name in PROTOCOL
            if not of_a_kind and (module, name) not in typed:
                places[name].append(module)

    assert len(places) > 500, "the search finds the product's names"
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_text_leaves_a_command_in_one_module_which_cleans_it():
    """The entry point has its own lines; the others' texts are constants of ours."""
    writers = re.compile(r"(?:\btyper\.s?echo|(?<![.\w])print|\bsys\.std(?:out|err)\.write|\bConsole)\(")
    found = {
        path.relative_to(ROOT / "bubble_sync/cli").as_posix(): len(writers.findall(path.read_text("utf-8")))
        for path in (ROOT / "bubble_sync/cli").rglob("*.py")
    }

    assert {name: number for name, number in found.items() if number} == {
        "app.py": 1, "main.py": 3, "options.py": 2, "output.py": found["output.py"],
    }  # fmt: skip
