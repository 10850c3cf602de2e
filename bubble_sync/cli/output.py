"""Output of the reading commands: the stack's database, tables and JSON."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from bubble_sync.cli.options import complete_for_stack, resolve_stack
from bubble_sync.config.commands import in_all
from bubble_sync.errors import ConfigurationError, NotFound, PrerequisiteMissing, PrivilegeMissing
from bubble_sync.files import replace_file

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from rich.console import Console
    from rich.table import Table

    from bubble_sync.config.settings import StackSettings
    from bubble_sync.database.database import Database

_Answer = TypeVar("_Answer", bound="DataclassInstance")

_PIPED_WIDTH = 400
"""Width of output to a pipe: programs need unfolded lines."""
_COLOURS = {"+": "green", ">": "cyan", "~": "yellow", "!": "red"}
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
    with closing(Database(settings.address(opened.environment), settings.names)) as database:
        try:
            yield StackContext(
                opened.name, settings.project(opened.environment), settings, database, opened.environment
            )
        except (NotFound, PrerequisiteMissing, PrivilegeMissing):
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
    """Return a console that completes commands; a pipe gets no colour and no folding."""
    from rich.console import Console
    from rich.text import Text

    class Completing(Console):
        def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - rich's own options
            return super().render_str(complete_for_stack(text), **options)

    console = Completing(highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        return console
    return Completing(file=_Trimmed(), highlight=False, markup=False, emoji=False, width=_PIPED_WIDTH)


def table(*columns: str) -> Table:
    """Return a table without lines; long cells fold and numbers align right."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        made.add_column(
            column.removeprefix(">"), overflow="fold", justify="right" if column.startswith(">") else "left"
        )
    return made


def print_answer(
    answer: _Answer, show: Callable[[_Answer, Console], None], *, next: str, as_json: bool, **more: object
) -> None:
    """Print an answer as JSON with extra fields, or with `show`; then the next step, if any."""
    if as_json:
        print_document({**asdict(answer), **more, "next": next})
        return
    out = screen()
    show(answer, out)
    if next:
        out.print(f"next: {next}")


def print_document(document: Mapping[str, object]) -> None:
    """Print JSON with complete commands; times in ISO form, durations in seconds."""
    plain = json.loads(json.dumps(document, default=_plain))
    print_text(json.dumps(in_all(plain, complete_for_stack), indent=2, ensure_ascii=False))


def print_unknown(unknown: Mapping[str, str], out: Console) -> None:
    """Print the parts that could not be read, with the reasons."""
    for what, why in unknown.items():
        out.print(f"unknown: {what}: {why}", style="yellow")


def print_text(*lines: str) -> None:
    """Print lines with complete commands."""
    for line in lines:
        typer.echo(complete_for_stack(line))


def print_coloured(lines: Iterable[str]) -> None:
    """Print lines of a comparison, coloured by their first sign."""
    for line in lines:
        typer.secho(line, fg=_COLOURS.get(line[:1]))


def progress(text: str) -> None:
    """Print a line about work in progress to standard error."""
    typer.echo(text, err=True)


def _plain(value: object) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)


def write_atomically(file: Path, text: str, *, mode: int | None = None) -> None:
    """Write a file atomically, through symbolic links."""
    try:
        if file.exists() and not file.is_file():
            # Refuse to replace a device such as /dev/null.
            raise ConfigurationError(f"{file} is not a file: choose another place")
        replace_file(file, text.encode(), mode=mode)
    except OSError as problem:
        raise ConfigurationError(f"{file} cannot be written ({problem.strerror}): choose another place") from None
