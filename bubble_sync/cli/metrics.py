"""`bubble-sync metrics`: the status as OpenMetrics text, on standard output or in a collector's folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from bubble_sync.cli.all_stacks import ask_every_stack, code_of_all
from bubble_sync.cli.exit_codes import UNREACHABLE
from bubble_sync.cli.options import AllStacks, ConfigFile, StackName, require_no_choice
from bubble_sync.cli.output import StackContext, open_stack, print_file, progress, write_atomically
from bubble_sync.errors import Unreachable
from bubble_sync.printable import printable

if TYPE_CHECKING:
    from prometheus_client import Metric

    from bubble_sync.health.metrics import Measured

_READABLE = 0o644
"""File mode: the collector runs as another user."""

Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="File to write atomically, for a textfile collector.")
]


def metrics(
    stack: StackName = None, config_file: ConfigFile = None, all_stacks: AllStacks = False, output: Output = None
) -> None:
    """Print the status as OpenMetrics text; exit 0 when the database answered, 3 when the database is unreachable."""
    if all_stacks:
        require_no_choice(stack, config_file)
        _of_all_stacks(output)
    with open_stack(stack, config_file) as context:
        try:
            measured = _measured(context)
        except Unreachable:
            give(text_of(_unreachable(context.name)), output)
            raise
    give(text_of(measured), output)


def _measured(context: StackContext) -> Measured:
    from bubble_sync import __version__
    from bubble_sync.health.metrics import measure

    return measure(context.database, context.settings, context.name, __version__)


def _unreachable(stack: str) -> Measured:
    """Return the metrics of an unreachable database: unreachable is a metric too."""
    from bubble_sync import __version__
    from bubble_sync.health.metrics import Measured

    return Measured(stack, __version__, datetime.now(UTC))


def _of_all_stacks(output: Path | None) -> NoReturn:
    answers = ask_every_stack(_measured)
    for one in answers:
        if one.failure:
            progress(f"error: stack {one.stack.name}: {one.failure.message}")
    unreachable = [one for one in answers if one.failure and one.failure.exit_code == UNREACHABLE]
    measured = [one.answer for one in answers if one.answer]
    give(text_of(*measured, *(_unreachable(one.stack.name) for one in unreachable)), output)
    raise typer.Exit(code_of_all(answers))


def text_of(*measured: Measured) -> str:
    """Write the metrics of stacks as OpenMetrics text."""
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.registry import Collector

    class Collected(Collector):
        def collect(self) -> Iterator[Metric]:
            return _families(measured)

    encode, _ = choose_encoder("application/openmetrics-text; version=1.0.0")
    return encode(Collected()).decode()


def _families(measured: Sequence[Measured]) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    from bubble_sync.health.metrics import FAMILIES

    for family in FAMILIES:
        # Another role's job may share the name, and a series must be unique: our jobs come first.
        named = [((one.stack, *values), number) for one in measured for values, number in family.samples(one)]
        samples = {tuple(map(printable, values)): number for values, number in reversed(named)}
        if samples:
            made = GaugeMetricFamily(family.name, family.meaning, labels=("stack", *family.labels), unit=family.unit)
            for values, number in reversed(samples.items()):
                made.add_metric(values, float(number))
            yield made


def give(text: str, output: Path | None) -> None:
    """Print a text, or write it to a file."""
    if output is None:
        print_file(text, end="")
        return
    write_atomically(output, text, mode=_READABLE)
