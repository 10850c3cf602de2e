"""`bubble-sync metrics`: the status as OpenMetrics text, on standard output or in a collector's folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bubble_sync.cli.options import ConfigFile, StackName
from bubble_sync.cli.output import open_stack, print_file, write_atomically
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


def metrics(stack: StackName = None, config_file: ConfigFile = None, output: Output = None) -> None:
    """Print the status as OpenMetrics text; exit 0 when the database answered, 3 when the database is unreachable."""
    from bubble_sync import __version__
    from bubble_sync.health.metrics import Measured, measure

    with open_stack(stack, config_file) as context:
        try:
            measured = measure(context.database, context.settings, context.name, __version__)
        except Unreachable:
            # Unreachable is a metric too.
            give(text_of(Measured(context.name, __version__, datetime.now(UTC))), output)
            raise
    give(text_of(measured), output)


def text_of(measured: Measured) -> str:
    """Write the metrics as OpenMetrics text."""
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.registry import Collector

    class Collected(Collector):
        def collect(self) -> Iterator[Metric]:
            return _families(measured)

    encode, _ = choose_encoder("application/openmetrics-text; version=1.0.0")
    return encode(Collected()).decode()


def _families(measured: Measured) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    from bubble_sync.health.metrics import FAMILIES

    for family in FAMILIES:
        # Another role's job may share the name, and a series must be unique: our jobs come first.
        named = [((measured.stack, *values), number) for values, number in family.samples(measured)]
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
