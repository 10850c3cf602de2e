"""`bubble-sync ci`: previews, deploys and drift runs in continuous integration."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bubble_sync.cli.diff import compare_stack
from bubble_sync.cli.exit_codes import NO, YES, failure_of
from bubble_sync.cli.grouped import Grouped
from bubble_sync.cli.options import ConfigFile, StackName, resolve_stack
from bubble_sync.cli.output import print_log, print_markdown, print_text, progress, write_atomically
from bubble_sync.config.project_folder import project_folder
from bubble_sync.config.stacks import CONFIG_VARIABLE, Stack
from bubble_sync.errors import ConfigurationError, PulumiRefused, SyncError
from bubble_sync.printable import printable_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

ci_app = typer.Typer(cls=Grouped, help="Previews, deploys and drift runs in CI.", rich_markup_mode=None)

_ReportFile = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Write the report here too.", envvar="REPORT")
]
_Sent = Annotated[Path, typer.Option("--report", metavar="FILE", help="The report to send.", envvar="REPORT")]
_PlanFile = Annotated[
    Path | None,
    typer.Option("--plan", metavar="FILE", help="The plan; plan-STACK.json unless given.", envvar="PLAN"),
]


@ci_app.command()
def preview(
    stacks: Annotated[
        list[str] | None, typer.Option("--stack", "-s", help="A stack; those that the commits touch unless given.")
    ] = None,
    config_file: ConfigFile = None,
    base: Annotated[
        str, typer.Option("--base", metavar="REV", help="Count the commits since this revision.", envvar="BASE")
    ] = "origin/main",
    report: _ReportFile = None,
) -> None:
    """Report the changes that `pulumi up` would make, stack by stack, as Markdown. Changes nothing.

    Exit 0 when every stack was reported; else the highest of 1 refused, 2 a configuration cannot be used,
    3 unreachable.
    """
    from bubble_sync.ci.touched import touched_stacks

    names = stacks or touched_stacks(project_folder(Path.cwd()), base)
    if config_file is not None and len(names) != 1:
        raise ConfigurationError("--config-file is one stack's: add one --stack")
    lines: list[str] = []
    worst = YES
    for name in names:
        progress(f"preview: stack {name}")
        code = _add_stack(lines, resolve_stack(name, config_file, _environment()))
        worst = max(worst, code)
    if not names:
        progress("preview: no stack is touched")
    _publish(lines, report)
    raise typer.Exit(worst)


@ci_app.command()
def plan(stack: StackName = None, config_file: ConfigFile = None, plan: _PlanFile = None) -> None:
    """Show the changes that `pulumi up` would make, and save them as a plan. Exit 1 when Pulumi refuses."""
    from bubble_sync.ci import plans

    opened = resolve_stack(stack, config_file)
    print_log(plans.save_plan(opened, _plan_file(plan, opened)))
    # Pulumi's own advice, `pulumi up --plan`, prints the plan's secrets when the plan is violated.
    progress(f"next: bubble-sync ci apply --stack {opened.name}")


@ci_app.command()
def apply(stack: StackName = None, config_file: ConfigFile = None, plan: _PlanFile = None) -> None:
    """Apply a saved plan, or change nothing. Exit 1 when the stack changed since the plan, or when `up` failed."""
    from bubble_sync.ci import plans

    opened = resolve_stack(stack, config_file)
    print_log(plans.apply_plan(opened, _plan_file(plan, opened)))


@ci_app.command()
def drift(report: _ReportFile = None) -> None:
    """Report manual changes in every stack but `local`, as Markdown. Changes nothing.

    Exit 0 clean, 1 drift, 2 a configuration cannot be used, 3 a stack cannot be read.
    """
    from bubble_sync.cli.drift import check_all, exit_code
    from bubble_sync.cli.render.drift import reports_markdown

    found = check_all()
    code = exit_code(found)
    _publish(list(reports_markdown(found)), report)
    if report is not None:
        write_atomically(_exit_file(report), f"{code}\n")
    raise typer.Exit(code)


@ci_app.command()
def comment(
    report: _Sent,
    pull_request: Annotated[
        int, typer.Option("--pull-request", metavar="NUMBER", help="Its number.", envvar="PULL_REQUEST")
    ],
) -> None:
    """Write the report of `ci preview` into our one comment on a pull request of GitHub.

    Reads GITHUB_REPOSITORY and GITHUB_TOKEN.

    Exit 1 when GitHub refuses, 2 when a variable is missing, 3 when GitHub does not answer.
    """
    from bubble_sync.ci import comment

    print_text(comment.post(_read(report), pull_request))


@ci_app.command()
def issue(report: _Sent) -> None:
    """Open, update or close our one issue about drift on GitHub, after `ci drift`. Exit codes as for `ci comment`."""
    from bubble_sync.ci import drift_issue

    text, code = _read(report), _read(_exit_file(report))
    if not re.fullmatch("[0-9]{1,3}", code):
        raise ConfigurationError(f"{_exit_file(report)} holds no exit code: run `bubble-sync ci drift` again")
    print_text(drift_issue.update(text, int(code)))


def _add_stack(lines: list[str], stack: Stack) -> int:
    """Add a stack's part of the report; return its exit code."""
    from bubble_sync.ci import plans
    from bubble_sync.cli.render.diff import comparison_markdown

    lines += [*([""] if lines else []), f"## Stack `{stack.name}`", ""]
    try:
        lines += comparison_markdown(compare_stack(stack)[0])
    except SyncError as problem:
        failure = failure_of(problem)
        lines.append(f"**bubble-sync diff failed, exit {failure.exit_code}.**")
        lines += _folded("Its error", f"error: {failure.message}")
        return failure.exit_code
    try:
        lines += _folded("pulumi preview --diff", plans.pulumi_preview(stack))
    except PulumiRefused as problem:
        lines += ["", "**pulumi preview refuses.**", *_folded("pulumi preview --diff", str(problem))]
        return NO
    return YES


def _folded(title: str, text: str) -> Iterator[str]:
    yield from ("", "<details>", f"<summary>{title}</summary>", "")
    # An indented block of code holds any text; a function's body could close a fence.
    yield from (f"    {line}" for line in text.rstrip().splitlines())
    yield from ("", "</details>")


def _publish(lines: Sequence[str], report: Path | None) -> None:
    """Print a report; write it into its file, and into the summary of a run on GitHub."""
    text = printable_lines("\n".join(lines)) + "\n" if lines else ""
    if lines:
        print_markdown(lines)
    if report is not None:
        write_atomically(report, text)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(text)


def _plan_file(given: Path | None, stack: Stack) -> Path:
    # Pulumi runs in the project's folder.
    return (given or Path(f"plan-{stack.name}.json")).absolute()


def _exit_file(report: Path) -> Path:
    return report.with_name(f"{report.name}.exit")


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace").strip()
    except OSError as problem:
        raise ConfigurationError(
            f"{file} cannot be read ({problem.strerror}): run `bubble-sync ci preview` or `bubble-sync ci drift` first"
        ) from None


def _environment() -> Mapping[str, str]:
    """Return the environment without BUBBLE_SYNC_CONFIG, which holds one stack's settings."""
    return {name: value for name, value in os.environ.items() if name != CONFIG_VARIABLE}
