"""`bubble-sync init`: the files of a new project."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from bubble_sync.cli.output import print_text, progress
from bubble_sync.errors import ConfigurationError

_T = TypeVar("_T")


def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="The folder; made if missing.")] = Path(),
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the Pulumi project; the folder's unless given.")
    ] = None,
    stacks: Annotated[
        str | None,
        typer.Option(
            "--stacks", metavar="NAME[=REF],...", help="Stacks in the order of deployment, with project refs."
        ),
    ] = None,
    forge: Annotated[
        str | None, typer.Option("--forge", help="Whose CI runs the workflow: github, gitlab or none.")
    ] = None,
    backend: Annotated[
        str | None, typer.Option("--backend", metavar="URL", help="Pulumi's backend; '' for that of `pulumi login`.")
    ] = None,
) -> None:
    """Write the files of a new project, asking for what no option gives. Never overwrites a file."""
    from bubble_sync.actions import new_project as new

    given = {"--stacks": stacks, "--forge": forge, "--backend": backend}
    missing = [option for option, value in given.items() if value is None]
    if missing and not sys.stdin.isatty():
        raise ConfigurationError(f"not a terminal: pass {', '.join(missing)}. Nothing was written.")
    own_name = _name_of(folder)
    project = new.NewProject(
        name=_answer(
            name if name is not None or missing else own_name, "Name of the project", new.check_name, own_name
        ),
        stacks=_ask_for_stacks() if stacks is None else new.check_stacks(stacks),
        forge=_answer(forge, f"Forge: {', '.join(new.FORGES)}", new.check_forge, "github"),
        backend=_answer(backend, "URL of Pulumi's backend, or empty for that of `pulumi login`", new.check_backend, ""),
        source=new.own_source(),
    )
    files = new.write_project(folder, project)
    if project.needs_owner:
        progress(f'note: replace OWNER in {new.WORKFLOWS["github"]} before CI runs: README.md, "CI"')
    if project.needs_another_backend:
        progress("note: CI cannot reach a backend in a folder of this machine: choose a bucket or Pulumi Cloud for CI")
    _show(folder, files, new.first_steps(project))


def _ask_for_stacks() -> dict[str, str]:
    from bubble_sync.actions.new_project import STACKS, check_ref, check_stacks

    stacks = _ask("Stacks in the order of deployment", check_stacks, ",".join(STACKS))
    question = "Project ref of {}: the part before .supabase.co, or empty to set it later"
    return {stack: ref or _ask(question.format(stack), check_ref, "") for stack, ref in stacks.items()}


def _answer(given: str | None, question: str, check: Callable[[str], _T], default: str) -> _T:
    return _ask(question, check, default) if given is None else check(given)


def _ask(question: str, check: Callable[[str], _T], default: str) -> _T:
    """Ask until the answer passes the check."""

    def checked(answer: str) -> _T:
        try:
            return check(answer.strip())
        except ConfigurationError as problem:
            raise typer.BadParameter(str(problem)) from None

    answer: _T = typer.prompt(question, default, value_proc=checked, show_default=bool(default), err=True)
    return answer


def _name_of(folder: Path) -> str:
    """Return the folder's name, as Pulumi makes it the name of a project."""
    return re.sub("[^A-Za-z0-9_.-]", "-", folder.resolve().name).lstrip("_.-") or "bubble-sync"


def _show(folder: Path, files: list[str], steps: list[str]) -> None:
    from bubble_sync.actions.new_project import WORKFLOWS

    where = folder.resolve()
    enter = [f"cd {shlex.quote(str(folder))}"] if where != Path.cwd() else []
    lines = [f"  {step}" for step in (*enter, *steps)]
    repository = next((each for each in (where, *where.parents) if (each / ".git").exists()), where)
    if repository != where and (workflow := next((file for file in files if file in WORKFLOWS.values()), None)):
        progress(f"note: a forge reads {workflow} only at the top of the repository: move it to {repository}")
    print_text(f"{len(files)} files in {folder}: {', '.join(files)}", "next:", *lines)
