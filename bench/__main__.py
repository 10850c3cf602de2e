"""The command: run benchmarks, print a table, write every sample as JSON."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from bench.benchmarks import BENCHMARKS
from bench.report import as_json, environment, table
from bench.workbench import Workbench


def main() -> int:
    """Run the named benchmarks; a missed goal is printed and does not fail the run."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all without one")
    parser.add_argument("--rounds", type=int, default=9, help="how often each side is sampled (9)")
    parser.add_argument("--json", type=Path, help="where every sample is written (a new temporary file)")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.names) - set(BENCHMARKS))
    if unknown or chosen.rounds < 1:
        parser.error(f"no benchmark {', '.join(unknown)}" if unknown else "--rounds must be 1 or more")
    console = Console(width=None if sys.stdout.isatty() else 160)
    talk = Console(stderr=True)
    results = {}
    with Workbench(chosen.rounds) as bench:
        for name in chosen.names or BENCHMARKS:
            talk.print(f"{name}: {BENCHMARKS[name].about}", highlight=False)
            results[name] = list(BENCHMARKS[name].run(bench))
        facts = environment(bench)
    path = chosen.json or Path(tempfile.mkdtemp(prefix="bsb-")) / "bench.json"
    path.write_text(json.dumps(as_json(facts, results), indent=2) + "\n")
    for name, fact in facts.items():
        console.print(f"{name}: {fact}", highlight=False)
    console.print(table(results))
    talk.print(f"samples: {path}", highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
