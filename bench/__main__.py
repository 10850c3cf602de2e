"""The command: run benchmarks, print a table, write every sample as JSON."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console

from bench import diffs, drain, fleet, imports, pulumi_runs, ticks, wake, year
from bench.measure import Row
from bench.report import as_json, environment, table
from bench.workbench import Workbench

#: A new one is a function from a workbench to rows, a line here and a section in docs/reference/performance.md.
BENCHMARKS: dict[str, Callable[[Workbench], Iterator[Row]]] = {
    "import": imports.run,
    "no-op": pulumi_runs.run,
    "over-empty": pulumi_runs.run_over_empty,
    "diff": diffs.run,
    "ticks": ticks.run,
    "year": year.run,
    "drain": drain.run,
    "wake": wake.run,
    "fleet": fleet.run,
}


def main() -> int:
    """Run the named benchmarks; a missed goal is printed and does not fail the run."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--rounds", type=int, default=9, help="samples of each side (default: 9)")
    parser.add_argument("--json", type=Path, help="file for every sample (default: a new temporary file)")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.names) - set(BENCHMARKS))
    if unknown or chosen.rounds < 1:
        parser.error(f"no benchmark {', '.join(unknown)}" if unknown else "--rounds must be 1 or more")
    console = Console(width=None if sys.stdout.isatty() else 160)
    progress = Console(stderr=True)
    results = {}
    with Workbench(chosen.rounds) as bench:
        for name in chosen.names or BENCHMARKS:
            progress.print(f"{name}: {BENCHMARKS[name].__doc__}", highlight=False)
            results[name] = list(BENCHMARKS[name](bench))
        facts = environment(bench)
    path = chosen.json or Path(tempfile.mkdtemp(prefix="bsb-")) / "bench.json"
    path.write_text(json.dumps(as_json(facts, results), indent=2) + "\n")
    for name, fact in facts.items():
        console.print(f"{name}: {fact}", highlight=False)
    console.print(table(results))
    progress.print(f"samples: {path}", highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
