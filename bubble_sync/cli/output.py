"""Output of the commands: the stack's database, tables and JSON. Text of others is cleaned here alone."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from bubble_sync.cli.options import complete_for_stack, resolve_stack, step
from bubble_sync.config.commands import in_all
from bubble_sync.errors import ConfigurationError, NotFound, PrerequisiteMissing, PrivilegeMissing
from bubble_sync.files import replace_file
from bubble_sync.printable import json_text, printable_lines

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from rich.console import Console
    from rich.table import Table

    from bubble_sync.config.settings import StackSettings
    from bubble_sync.config.stacks import Stack
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
        """Write a text without trailing spaces; a folded line must not begin with a command to a runner."""
        return sys.stdout.write(printable_lines(_PADDING.sub("", text)))


@contextmanager
def open_stack(
    stack: str | None, config_file: Path | None, environment: Mapping[str, str] = os.environ
) -> Iterator[StackContext]:
    """Open a stack's database for one question."""
    with opened(resolve_stack(stack, config_file, environment)) as context:
        yield context


@contextmanager
def opened(stack: Stack) -> Iterator[StackContext]:
    """Open the database of a stack with its configuration for one question."""
    # Imported here: commands without a database need no driver.
    from bubble_sync.database.database import Database

    settings = stack.settings()
    with closing(Database(settings.address(stack.environment), settings.names)) as database:
        try:
            yield StackContext(stack.name, settings.project(stack.environment), settings, database, stack.environment)
        except (NotFound, PrerequisiteMissing, PrivilegeMissing):
            warn_if_never_up(database, stack)
            raise
        warn_if_never_up(database, stack)


def warn_if_never_up(database: Database, stack: Stack) -> None:
    """Warn on stderr when the stack has never been up."""
    from bubble_sync.records.visibility import never_up

    if database.read("looking for the stack", never_up):
        progress(stack.completed("this stack was never up: `bubble-sync diff`, then `pulumi up`"))


def screen(*, stderr: bool = False) -> Console:
    """Return a console that completes commands and cleans text of others; a pipe gets no colour and no folding."""
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.text import Text

    class Cleaning(Console):
        def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - rich's own options
            return super().render_str(printable_lines(complete_for_stack(text)), **options)

        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            # A text that a caller made does not pass `render_str`.
            if isinstance(renderable, Text):
                renderable.plain = printable_lines(renderable.plain)
            return super().render(renderable, options)

    console = Cleaning(stderr=stderr, highlight=False, markup=False, emoji=False)
    if console.is_terminal or stderr:
        return console
    return Cleaning(file=_Trimmed(), highlight=False, markup=False, emoji=False, width=_PIPED_WIDTH)


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
        out.print(step("next", next))


def print_document(document: Mapping[str, object]) -> None:
    """Print JSON with complete commands; times in ISO form, durations in seconds."""
    typer.echo(json_text(document_of(document, complete_for_stack)))


def document_of(document: Mapping[str, object], complete: Callable[[str], str]) -> object:
    """Return JSON values, whose texts have commands completed by `complete`."""
    return in_all(json.loads(json.dumps(document, default=_plain)), complete)


def print_unknown(unknown: Mapping[str, str], out: Console) -> None:
    """Print the parts that could not be read, with the reasons."""
    for what, why in unknown.items():
        out.print(f"unknown: {what}: {why}", style="yellow")


def print_text(*lines: str) -> None:
    """Print lines with complete commands."""
    for line in lines:
        typer.echo(printable_lines(complete_for_stack(line)))


def print_coloured(lines: Iterable[str]) -> None:
    """Print lines of a comparison, coloured by their first sign."""
    for line in lines:
        typer.secho(printable_lines(line), fg=_COLOURS.get(line[:1]))


def print_log(text: str) -> None:
    """Print the output of another program as it is, cleaned."""
    typer.echo(printable_lines(text.rstrip()))


def print_markdown(lines: Iterable[str]) -> None:
    """Print Markdown, which commands completed and whose names are escaped already."""
    typer.echo(printable_lines("\n".join(lines)))


def print_file(text: str, *, end: str = "\n") -> None:
    """Print the content of a file as it is; on a terminal, cleaned."""
    shown = printable_lines(text) if sys.stdout.isatty() else text
    if shown != text:
        progress("warning: a terminal would obey characters in this text, so they are escaped: send it to a file")
    typer.echo(shown + end, nl=False)


def progress(text: str) -> None:
    """Print a line about work in progress to standard error."""
    typer.echo(printable_lines(text), err=True)


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
