"""Output of the reading commands: the stack's database, tables and JSON."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bubble_sync.cli.options import complete_for_stack, resolve_stack
from bubble_sync.config.commands import in_all
from bubble_sync.errors import PrerequisiteMissing, PrivilegeMissing

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from rich.console import Console
    from rich.table import Table

    from bubble_sync.config.settings import StackSettings
    from bubble_sync.database.database import Database

_PIPED_WIDTH = 400
"""Width of output to a pipe: programs need unfolded lines."""
_PADDING = re.compile(" +$", re.MULTILINE)


@dataclass(frozen=True)
class StackContext:
    """One stack, opened for reading."""

    name: str
    project_ref: str | None
    settings: StackSettings
    database: Database
    environment: Mapping[str, str]


class _Trimmed(io.StringIO):
    """Standard output without trailing spaces in tables."""

    def write(self, text: str) -> int:
        """Write a text without trailing spaces."""
        return sys.stdout.write(_PADDING.sub("", text))


@contextmanager
def open_stack(
    stack: str | None, config_file: Path | None, environment: Mapping[str, str] = os.environ
) -> Iterator[StackContext]:
    """Open a stack's database for one question."""
    # Imported here: commands without a database need no driver.
    from bubble_sync.database.database import Database

    opened = resolve_stack(stack, config_file, environment)
    settings = opened.settings()
    with closing(Database(settings.address(opened.environment))) as database:
        try:
            yield StackContext(
                opened.name, settings.project(opened.environment), settings, database, opened.environment
            )
        except (PrerequisiteMissing, PrivilegeMissing):
            warn_if_never_up(database, opened.options)
            raise
        warn_if_never_up(database, opened.options)


def warn_if_never_up(database: Database, options: Sequence[str]) -> None:
    """Warn on stderr when the stack has never been up."""
    from bubble_sync.records.visibility import never_up

    if database.read("looking for the stack", never_up):
        words = shlex.join(options)
        typer.echo(f"this stack was never up: `bubble-sync diff {words}`, then `pulumi up {words}`", err=True)


def screen() -> Console:
    """Return a console as wide as the terminal; a pipe gets no colour and no folding."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        return console
    return Console(file=_Trimmed(), highlight=False, markup=False, emoji=False, width=_PIPED_WIDTH)


def table(*columns: str) -> Table:
    """Return a table without lines; long cells fold and numbers align right."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        made.add_column(
            column.removeprefix(">"), overflow="fold", justify="right" if column.startswith(">") else "left"
        )
    return made


def print_json(answer: DataclassInstance, **more: object) -> None:
    """Print a dataclass and extra fields as JSON; times in ISO form, durations in seconds."""
    print_document({**asdict(answer), **more})


def print_document(document: Mapping[str, object]) -> None:
    """Print JSON with complete commands."""
    plain = json.loads(json.dumps(document, default=_plain))
    typer.echo(json.dumps(in_all(plain, complete_for_stack), indent=2, ensure_ascii=False))


def next_step(text: str) -> str:
    """Return the `next:` line with complete commands."""
    return complete_for_stack(f"next: {text}")


def _plain(value: object) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
