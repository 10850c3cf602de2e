"""`bubble-sync local demo`: a sign-up is synced by cron, shown step by step, and then by the commands that say so."""

from __future__ import annotations

import json
import secrets
from datetime import timedelta
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from bubble_sync.cli import trace, verify
from bubble_sync.cli.answers import asking
from bubble_sync.cli.report import write_report
from bubble_sync.errors import PlatformError
from bubble_sync.local.journey import PROMISED_SECONDS, Evidence, Step, timeline, wait_for
from bubble_sync.local.platform import Platform
from bubble_sync.local.stack import NAME, LocalStack, prepare

talk = Console(stderr=True, highlight=False)


def demo(platform: Platform, checkout: Path) -> bool:
    """Bring everything up, sign a person up, and say whether a run of our job synced it and `verify` finds all well."""
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=talk) as progress:
        step = progress.add_task("start the embedded platform")
        stack = prepare(platform.start(), checkout)
        progress.update(step, completed=100)

        step = progress.add_task("pulumi up --stack local")
        outputs = _up(stack)
        progress.update(step, completed=100)

        jobid = outputs["jobids"]["bubble-sync-processor"]
        signed_up = platform.sign_up(f"demo-{secrets.token_hex(3)}@example.com")
        step = progress.add_task(f"signed up; wait for pg_cron to run job {jobid} at the full minute")
        evidence = wait_for(platform, signed_up, jobid, lambda _: progress.refresh())
        progress.update(step, completed=100)

    _show(timeline(evidence, signed_up, jobid, platform.status().request_log), evidence, jobid)
    typer.echo("\nStack outputs:")
    typer.echo(json.dumps(outputs, indent=2))
    verified = _ask(stack)
    typer.echo(f"\n{_reported(stack, checkout / 'report.html')}")
    return evidence.proven and verified


def _ask(stack: LocalStack) -> bool:
    """Show what a person would type next; say whether both answers are good."""
    with asking(NAME, stack.config_file, stack.environment) as asked:
        typer.echo(f"\n$ bubble-sync verify --stack {NAME}")
        verified = verify.answer(asked)
        typer.echo(f"\n$ bubble-sync trace --latest --stack {NAME}")
        return trace.answer(asked, None) and verified


def _reported(stack: LocalStack, file: Path) -> Path:
    with asking(NAME, stack.config_file, stack.environment) as asked:
        write_report(asked, file, timedelta(hours=24))
    return file


def _up(stack: LocalStack) -> dict[str, dict[str, str]]:
    done = stack.pulumi("up", "--yes", "--skip-preview")
    if done.returncode != 0:
        raise PlatformError(f"pulumi up failed with exit code {done.returncode}:\n{done.stdout}{done.stderr}")
    outputs = stack.pulumi("stack", "output", "--json", config=False)
    found: dict[str, dict[str, str]] = json.loads(outputs.stdout)
    return found


def _show(steps: list[Step], evidence: Evidence, jobid: str) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(4):
        table.add_column(no_wrap=True)
    for step in steps:
        moment = step.at.astimezone().strftime("%H:%M:%S.%f")[:-5] if step.at else ""
        seconds = f"T+{step.seconds:.1f} s" if step.seconds is not None else ""
        table.add_row(step.what, moment, seconds, step.evidence)
    out = Console(highlight=False, soft_wrap=True, width=max(80, Console().width))
    out.print("\nThe sign-up's way:")
    out.print(table)
    soonest, latest = PROMISED_SECONDS
    if not evidence.proven:
        out.print(f"\nNOT PROVEN: the item is {evidence.status}, and no succeeded run of job {jobid} completed it.")
    elif evidence.processed_at is not None:
        took = (evidence.processed_at - evidence.created_at).total_seconds()
        verdict = "kept" if took <= latest else "missed"
        out.print(f"\nCompleted after {took:.1f} s; promised are {soonest}-{latest} s: {verdict}.")
