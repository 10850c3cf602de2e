"""One question to one stack, or with `--all-stacks` to every stack of a project: one table, one exit code.

The JSON lists the answers under `stacks`, each as for one stack; a stack without an answer has `stack` and `error`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar

import typer

from bubble_sync.cli.exit_codes import CommandFailure, code_of, refusal_of, worst
from bubble_sync.cli.on_call import open_either
from bubble_sync.cli.options import require_no_choice
from bubble_sync.cli.output import StackContext, document_of, opened, print_answer, print_document, screen, table
from bubble_sync.config.project_folder import LOCAL
from bubble_sync.errors import SyncError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from rich.console import Console

    from bubble_sync.config.stacks import Stack

_Result = TypeVar("_Result")
_Answer = TypeVar("_Answer", bound="DataclassInstance")


@dataclass(frozen=True, kw_only=True)
class Question(Generic[_Answer]):
    """A question to a stack, and the forms of its answer."""

    read: Callable[[StackContext], _Answer]
    show: Callable[[_Answer, Console], None]
    line: Callable[[_Answer], str]
    """The answer in one line, for a table of stacks."""
    next: Callable[[_Answer], str]
    more: Callable[[_Answer], Mapping[str, object]]
    """Further fields of the JSON."""
    good: Callable[[_Answer], bool]

    def print_one(self, found: _Answer, *, as_json: bool = False) -> None:
        """Print the answer of one stack."""
        print_answer(found, self.show, next=self.next(found), as_json=as_json, **self.more(found))

    def document(self, found: _Answer, complete: Callable[[str], str]) -> object:
        """Return the answer of one of several stacks as JSON."""
        return document_of({**asdict(found), **self.more(found), "next": self.next(found)}, complete)


@dataclass(frozen=True)
class StackAnswer(Generic[_Result]):
    """The answer of one stack, or the failure in its place."""

    stack: Stack
    answer: _Result | None
    failure: CommandFailure | None = None


def of_every_stack(question: Callable[[Stack], _Result]) -> list[_Result]:
    """Ask every stack but `local` in parallel; answers keep the order of the names."""
    from bubble_sync.config.stacks import all_stacks, ask_all

    return ask_all(all_stacks(Path.cwd(), os.environ, LOCAL), question)


def ask_every_stack(read: Callable[[StackContext], _Result]) -> list[StackAnswer[_Result]]:
    """Ask every stack; an error of one stack is its failure."""

    def ask(stack: Stack) -> StackAnswer[_Result]:
        try:
            with opened(stack) as context:
                return StackAnswer(stack, read(context))
        except SyncError as problem:
            return StackAnswer(stack, None, refusal_of(problem, stack.completed))

    return of_every_stack(ask)


def ask(
    question: Question[_Answer],
    stack: str | None,
    config_file: Path | None,
    database_url_env: str | None,
    *,
    all_stacks: bool,
    as_json: bool,
) -> NoReturn:
    """Put the question to the selected stack or to all, print the answers and exit."""
    if all_stacks:
        require_no_choice(stack, config_file, database_url_env)
        answers = ask_every_stack(question.read)
        _print_all(question, answers, as_json=as_json)
        raise typer.Exit(code_of_all(answers, question.good))
    with open_either(stack, config_file, database_url_env) as context:
        found = question.read(context)
    question.print_one(found, as_json=as_json)
    raise typer.Exit(code_of(question.good(found)))


def code_of_all(answers: Sequence[StackAnswer[_Result]], good: Callable[[_Result], bool] = lambda answer: True) -> int:
    """Return the exit code of the worst answer; without `good`, every answer is good."""
    return worst(
        one.failure.exit_code if one.failure else code_of(one.answer is not None and good(one.answer))
        for one in answers
    )


def print_table(rows: Sequence[tuple[StackAnswer[_Result], bool, str]]) -> None:
    """Print a line for each stack, with its answer, and whether the answer is good, or its failure."""
    out = screen()
    lines = table("", "")
    lines.show_header = False
    for one, good, text in rows:
        shown = f"{one.failure.kind}: {' '.join(one.failure.message.split())}" if one.failure else text
        lines.add_row(one.stack.name, one.stack.completed(shown), style="green" if good else "red")
    out.print(lines)


def failure_document(answer: StackAnswer[_Result]) -> dict[str, object]:
    """Return the JSON of a stack without an answer."""
    return {"stack": answer.stack.name, "error": answer.failure._asdict() if answer.failure else None}


def _print_all(question: Question[_Answer], answers: Sequence[StackAnswer[_Answer]], *, as_json: bool) -> None:
    if as_json:
        documents = [
            question.document(one.answer, one.stack.completed) if one.answer else failure_document(one)
            for one in answers
        ]
        print_document({"stacks": documents})
        return
    print_table(
        [
            (one, one.answer is not None and question.good(one.answer), question.line(one.answer) if one.answer else "")
            for one in answers
        ]
    )
    for one in answers:
        if one.answer and (step := question.next(one.answer)):
            screen().print(f"next for {one.stack.name}: {one.stack.completed(step)}")
