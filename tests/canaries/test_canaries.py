"""A secret is in no place but those that the list names, and the search would find it in any."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest
import typer

from bubble_sync.cli.app import app
from tests.canaries import places, steps
from tests.canaries.life import has_statements
from tests.canaries.places import ALLOWED, CONTROL, OURS, PLACES, Search, canary
from tests.faults.conftest import Row
from tests.unit.test_docs import commands

#: Where a control is planted: a search that does not find it there would find no secret either.
PLANTED = (
    places.STATE, places.HISTORY, places.BACKUPS, places.OUTPUT, places.CMDLINE, places.SERVER_LOG, places.STATEMENTS,
    places.ACTIVITY, places.HEAP, places.WAL,
)  # fmt: skip
#: Options that change what a command writes.
WRITTEN = {"--json", "--markdown", "--sql", "--undo-sql", "--html", "--output"}
#: What only `make canaries` fills.
ONLY_WHOLE = (places.RUNS, places.CLI_LOGS, places.TRACES)


def not_here(place: str) -> str | None:
    """Say why a place cannot be searched on this machine."""
    if place in (places.CMDLINE, places.ENVIRON) and os.geteuid():
        return "only root can look as another user"
    if place == places.STATEMENTS and not has_statements():
        return "pg_stat_statements is not installed"
    return None


@pytest.mark.parametrize("place", PLACES)
def test_a_place_was_searched_and_holds_no_secret(search: Search, whole: bool, place: str):
    if reason := not_here(place):
        pytest.skip(reason)
    found = search.places[place]

    assert found.searched > 0 or (place in ONLY_WHOLE and not whole)
    assert search.forbidden(place) == {}, "\n".join(found.excerpts)


@pytest.mark.parametrize("place", ALLOWED)
def test_an_allowed_place_does_hold_one(search: Search, whole: bool, place: str):
    if place in ONLY_WHOLE and not whole:
        pytest.skip("only `make canaries` goes there")
    assert search.hits(place, ALLOWED[place].canaries) > 0, "nothing is there any more: take it off the list"


@pytest.mark.parametrize("place", PLANTED)
def test_the_control_is_found(search: Search, place: str):
    if reason := not_here(place):
        pytest.skip(reason)
    assert search.hits(place, [CONTROL]) > 0


def test_another_user_saw_our_children_and_none_of_their_environments(search: Search):
    if reason := not_here(places.ENVIRON):
        pytest.skip(reason)
    assert search.places[places.CMDLINE].hits[CONTROL] > 0
    assert search.places[places.ENVIRON].hits == {}


def forms() -> list[str]:
    """Return each command, and each command with an option that changes what it writes."""
    group: Any = typer.main.get_command(app)
    found = []
    for name in commands(group):
        command = group
        for word in name.split()[1:]:
            command = command.commands[word]
        options = {option for one in command.params for option in one.opts}
        found += [name, *(f"{name} {option}" for option in sorted(options & WRITTEN))]
    return found


@pytest.mark.parametrize("form", forms())
def test_a_command_of_ours_is_on_the_way(form: str):
    _, *words, last = form.split()
    command, option = (words, last) if last in WRITTEN else ([*words, last], "")
    lines = [line.removeprefix("--debug ").split() for line in (*steps.COMMANDS, *steps.DIFFERING)]

    assert any(line[: len(command)] == command and (not option or option in line) for line in lines)


def test_the_table_of_faults_has_a_row(search: Search, whole: bool, tally: list[Row]):
    searched = [place for place in PLACES if search.places[place].searched]
    clean = [place for place in searched if not search.forbidden(place)]
    used = len(steps.COMMANDS) + len(steps.DIFFERING) if whole else 0
    tally.append(Row("secrets", f"places searched, {len(OURS)} secrets, {used} commands", len(searched), len(clean)))

    assert clean == searched


@pytest.mark.parametrize("before", range(6))
def test_a_mark_is_found_in_whatever_it_is_wrapped(before: int):
    one = canary("any")
    text = f"{'x' * before}{one.value}yz".encode()

    for form in (text, text.hex().encode(), base64.b64encode(text), text[: before + 25], text[-20:]):
        assert one.pattern.search(form)
    assert not one.pattern.search(canary("other").value.encode())
