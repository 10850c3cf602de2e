"""Print results as a table, and give every sample as JSON."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version

import psycopg
from rich.table import Table

from bench.measure import Row
from bench.workbench import Workbench

Results = Mapping[str, Sequence[Row]]


def environment(bench: Workbench) -> dict[str, str]:
    """Return the machine and the versions of this run."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    with psycopg.connect(bench.addresses.admin_url) as conn:
        server = conn.info.parameter_status("server_version") or ""
    cli = subprocess.run(["pulumi", "version"], capture_output=True, text=True, check=True).stdout.strip()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.machine()}, load {os.getloadavg()[2]:.1f}",
        "PostgreSQL": server,
        "Pulumi": f"CLI {cli}, SDK {version('pulumi')}",
        "Python": platform.python_version(),
        "rounds": str(bench.rounds),
    }


def table(results: Results) -> Table:
    """Return one table of all results."""
    drawn = Table("benchmark", "what", "median", "min-max", "goal", "met", "", title="bubble-sync benchmarks")
    for name, rows in results.items():
        for row in rows:
            goal = "" if row.goal is None else f"<= {row.goal:.2f}"
            met = {None: "", True: "yes", False: "no"}[row.met]
            form = "{:.2f} x" if row.baseline else row.sample
            figures = statistics.median(row.ratios), row.ratios[0], row.ratios[-1]
            median, low, high = map(form.format, figures)
            drawn.add_row(name, row.what, median, f"{low} - {high}", goal, met, row.note)
        drawn.add_section()
    return drawn


def as_json(facts: Mapping[str, str], results: Results) -> dict[str, object]:
    """Return the environment and all results, samples included."""
    rows = {
        name: [{**asdict(row), "ratios": row.ratios, "met": row.met} for row in found]
        for name, found in results.items()
    }
    return {"environment": dict(facts), "results": rows}
