"""Time `bubble-sync diff` as a whole process against the Supabase CLI's dry run on the same database."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bench.measure import Row, alternate, seconds
from bench.pulumi_runs import need, our_stack
from bench.workbench import CHECKOUT, Workbench
from bubble_sync.config.stacks import CONFIG_VARIABLE

#: 40 MB from the package registry.
SUPABASE = "supabase@3.1.0"
_QUIET = {"SUPABASE_TELEMETRY_DISABLED": "1", "DO_NOT_TRACK": "1"}


def run(bench: Workbench) -> Iterator[Row]:
    """`bubble-sync diff` over the Supabase CLI's dry run; and with decryption by Pulumi over without."""
    stack = our_stack(bench)
    shown = need(stack.pulumi("config", "--json", "--show-secrets"))
    command = ("bubble-sync", "diff", "--stack", "local")
    sides = {
        "given": _running(command, {**stack.environment, CONFIG_VARIABLE: shown}),
        "decrypted": _running((*command, "--config-file", str(stack.config_file)), stack.environment),
    }
    theirs = _dry_run(bench)
    if theirs is not None:
        sides["supabase"] = theirs
    samples = alternate(sides, bench.rounds)
    if theirs is not None:
        what = "diff, settings from the environment, over supabase db push --dry-run"
        yield Row(what, samples["given"], samples["supabase"], 1.0)
    yield Row("diff, decrypted by Pulumi, over the same", samples["decrypted"], samples["given"])


def _dry_run(bench: Workbench) -> Callable[[], float] | None:
    folder = bench.folder()
    for command in (("npm", "install", "--prefix", ".", "--silent", SUPABASE), (*_supabase(folder), "init")):
        try:
            done = subprocess.run(
                command, cwd=folder, env={**os.environ, **_QUIET}, stdin=subprocess.DEVNULL, capture_output=True,
                timeout=300, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return None
        if done.returncode != 0:
            return None
    url = bench.addresses.database_url
    return _running(
        (*_supabase(folder), "db", "push", "--dry-run", f"--remote={url}"), {**os.environ, **_QUIET}, folder
    )


def _supabase(folder: Path) -> tuple[str, ...]:
    return (str(folder / "node_modules" / ".bin" / "supabase"),)


def _running(command: Sequence[str], environment: Mapping[str, str], folder: Path = CHECKOUT) -> Callable[[], float]:
    return seconds(lambda: need(subprocess.run(
        command, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )))  # fmt: skip
