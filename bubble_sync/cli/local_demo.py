"""`bubble-sync local demo`: cron syncs a sign-up on the embedded platform, shown on one screen."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from bubble_sync.cli import trace, verify
from bubble_sync.cli.output import open_stack, print_text, screen
from bubble_sync.cli.report import write_report
from bubble_sync.errors import PlatformError
from bubble_sync.formatting import format_tenths
from bubble_sync.local.demo import DemoStep, Evidence, timeline, wait_for
from bubble_sync.local.platform import Platform
from bubble_sync.local.stack import NAME, LocalStack, prepare_stack
from bubble_sync.model.targets import TARGET, WAKE_TARGET_SECONDS

_screen = screen(stderr=True)


@dataclass(frozen=True)
class _Story:
    """The steps of the demo."""

    versions: str
    outputs: dict[str, dict[str, str]]
    email: str
    evidence: Evidence
    steps: list[DemoStep]
    wake: bool
    """Whether the insert must have sent the request, and not the job."""

    @property
    def proven(self) -> bool:
        """Return whether the expected cause completed the item."""
        return self.evidence.proven(wake=self.wake)


def demo(platform: Platform, checkout: Path, *, wake: bool, verbose: bool) -> bool:
    """Start the platform, sign a person up, and check that the item was synced and `verify` passes.

    The cause must be our job's run, or with `wake` the insert itself.
    """
    with _step("start the embedded platform"):
        stack = prepare_stack(platform.start(), checkout)
        if wake:
            _succeed(stack, "config", "set", "--path", "bubble-sync:processor.wake", "true")
    with _step("pulumi up --stack local"):
        outputs = _up(stack)
    jobid = outputs["jobids"]["bubble-sync-processor"]
    email = f"demo-{secrets.token_hex(3)}@example.com"
    with _step(f"sign up {email}"):
        signed_up = platform.sign_up(email)
    cause = "the insert's request" if wake else f"pg_cron to run job {jobid} at the full minute"
    with _step(f"wait for {cause}"):
        evidence = wait_for(platform, signed_up, jobid, wake=wake)

    steps = timeline(evidence, signed_up, jobid, platform.status().request_log, wake=wake)
    return _tell(_Story(platform.versions(), outputs, email, evidence, steps, wake), stack, verbose=verbose)


@contextmanager
def _step(what: str) -> Iterator[None]:
    """Print a step, and its duration at the end."""
    began = time.monotonic()
    with _screen.status(what):
        yield
    _screen.print(f"  {what:<60} {format_tenths(time.monotonic() - began):>7}")


def _tell(story: _Story, stack: LocalStack, *, verbose: bool) -> bool:
    """Print the summary; add `verify` and `trace` output on request or failure."""
    with open_stack(NAME, stack.config_file, stack.environment) as context:
        checklist = verify.read_checklist(context)
        report = stack.checkout / "report.html"
        write_report(context, report, timedelta(hours=24))
        # A woken item is completed before the job's first run.
        early = [one for one in checklist.lines if story.wake and one.id == "runs" and one.status == "not proven"]
        wrong = [one for one in checklist.lines if one.status != "ok" and one not in early]
        good = sum(one.status == "ok" for one in checklist.lines)
        later = "; the job is first due at the full minute" if early else ""
        rows = [
            ("set up", "", f"extensions, secrets, functions, jobs: {story.versions}"),
            ("signed up", "", story.email),
            *(
                (step.what, "" if step.seconds is None else f"T+{format_tenths(step.seconds)}", step.evidence)
                for step in story.steps
            ),
            ("in time" if story.proven else "NOT PROVEN", "", _verdict(story)),
            ("verified", "", f"{good} of {len(checklist.lines)} checks are ok{later}"),
            ("report", "", str(report)),
        ]
        print_text("")
        for what, after, text in rows:
            print_text(f"{what:<10}  {after:>8}  {text}")
        proven = story.proven and not wrong
        if verbose or not proven:
            print_text("\nStack outputs:")
            print_text(json.dumps(story.outputs, indent=2))
            print_text(f"\n$ bubble-sync verify --stack {NAME}")
            verify.CHECKLIST.print_one(checklist)
            print_text(f"\n$ bubble-sync trace --latest --stack {NAME}")
            trace.print_trace(trace.read_trace(context, None))
    return proven


def _up(stack: LocalStack) -> dict[str, dict[str, str]]:
    _succeed(stack, "up", "--yes", "--skip-preview")
    outputs = stack.pulumi("stack", "output", "--json", config=False)
    found: dict[str, dict[str, str]] = json.loads(outputs.stdout)
    return found


def _succeed(stack: LocalStack, *command: str) -> None:
    done = stack.pulumi(*command)
    if done.returncode != 0:
        raise PlatformError(f"pulumi {command[0]} failed with exit code {done.returncode}:\n{done.stdout}{done.stderr}")


def _verdict(story: _Story) -> str:
    evidence = story.evidence
    if not story.proven or evidence.processed_at is None:
        cause = "request of the insert" if story.wake else "succeeded run of the job"
        return f"the item is {evidence.status}, and no {cause} completed it"
    took = (evidence.processed_at - evidence.created_at).total_seconds()
    target = WAKE_TARGET_SECONDS if story.wake else TARGET.seconds
    met = "met" if took <= target else "missed"
    return f"{format_tenths(took)}; the target is at most {target} s: {met}"
