"""The list of benchmarks. A new one is a function from a workbench to rows, and a line here and in the docs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bench import demo, diffs, history, idle_tick, imports, pulumi_runs, year
from bench.measure import Row
from bench.workbench import Workbench


@dataclass(frozen=True)
class Benchmark:
    """What it is about, and how it runs."""

    about: str
    run: Callable[[Workbench], Iterator[Row]]


BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "import": Benchmark("import of the program and the providers over import of pulumi", imports.run),
        "no-op": Benchmark("no-op preview and up over a do-nothing program of the same shape", pulumi_runs.run),
        "over-empty": Benchmark("no-op preview and up over an empty program", pulumi_runs.run_over_empty),
        "demo": Benchmark("make demo, from its start to the sign-up", demo.run),
        "diff": Benchmark("bubble-sync diff over the Supabase CLI's dry run", diffs.run),
        "idle-tick": Benchmark("a run of each function on a million finished items", idle_tick.run),
        "history": Benchmark("the reading commands with 30 days behind them over one", history.run),
        "year": Benchmark("size and tick of a year's requests and runs, and the clean-up of the runs", year.run),
    }
)
