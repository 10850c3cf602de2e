"""A server in each state: every command says what is wrong in one line, and one run converges afterwards."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from bubble_sync.errors import PrerequisiteMissing, SyncError, Unreachable
from bubble_sync.local.platform import Platform
from tests.faults.conftest import Row
from tests.faults.states import ACTING, FEW, READING, UNKNOWN, Ground, assert_sound, converge
from tests.fixtures.platform import SETTINGS
from tests.fixtures.stack import Stack

Commands = tuple[tuple[str, ...], ...]
Entered = Callable[[Ground], AbstractContextManager[object]]


@dataclass(frozen=True)
class State:
    """A state of the server, and what must come of it."""

    entered: Entered
    names: str
    """What the doctor says of it, or every command where the database is not reached."""
    up: type[SyncError] | None
    """The error of `up`; None where `up` does its work all the same."""
    reached: bool = True


def changed(*by_hand: str, back: tuple[str, ...]) -> Entered:
    """Change something of the server by hand, for new sessions too, and take it back."""

    @contextmanager
    def entered(ground: Ground) -> Iterator[None]:
        ground.by_hand(*by_hand, Ground.END_SESSIONS)
        try:
            yield
        finally:
            ground.by_hand(*back, Ground.END_SESSIONS)

    return entered


@contextmanager
def crowded(ground: Ground) -> Iterator[None]:
    """Let others hold every connection of the server."""
    with ground.restarted(max_connections="12", autovacuum="off"), ground.all_connections(ground.addresses.admin_url):
        # The hand of the superuser has none either: nothing is done by hand within.
        yield


@contextmanager
def standby(ground: Ground) -> Iterator[None]:
    """Make the server a hot standby, promoted at the end."""
    signal = ground.cluster.data / "standby.signal"
    ground.cluster.stop()
    signal.touch()
    ground.cluster.account.own(signal)
    ground.cluster.start(ground.server)
    try:
        yield
    finally:
        ground.by_hand("select pg_promote()")


@contextmanager
def recovering(ground: Ground) -> Iterator[None]:
    """Let the server wait for a piece of its log before it takes sessions."""
    signal, go = ground.cluster.data / "recovery.signal", ground.cluster.data / "go"
    ground.cluster.stop()
    signal.touch()
    ground.cluster.account.own(signal)
    wait = f"while [ ! -e {go} ]; do sleep 0.1; done; exit 1"
    ground.start_without_waiting({"restore_command": wait, "hot_standby": "off"})
    try:
        yield
    finally:
        go.touch()
        ground.wait_until_up()
        ground.by_hand("do $$ begin while pg_is_in_recovery() loop perform pg_sleep(0.05); end loop; end $$")
        go.unlink()
        ground.cluster.stop()
        ground.cluster.start(ground.server)


@contextmanager
def without_files(ground: Ground) -> Iterator[None]:
    """Take away the files of the extensions, as an upgrade of the server without its packages does."""
    files = [
        path for pattern in ("pg_cron.*", "pg_net.control", "supabase_vault.control")
        for path in ground.platform.folder.rglob(pattern) if path.suffix in (".control", ".so")
    ]  # fmt: skip
    assert files
    for path in files:
        path.rename(path.with_name(f"{path.name}.gone"))
    ground.by_hand(Ground.END_SESSIONS)
    try:
        yield
    finally:
        for path in files:
            path.with_name(f"{path.name}.gone").rename(path)
        ground.by_hand(Ground.END_SESSIONS)


@contextmanager
def without_worker(ground: Ground) -> Iterator[None]:
    """End the worker of pg_net."""
    ground.platform.net_worker.stop()
    try:
        yield
    finally:
        ground.platform.net_worker.start()


def timeouts(value: str) -> Entered:
    """Give the role every timeout of a transaction."""
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "transaction_timeout")
    # PostgreSQL 15 has no transaction_timeout.
    known = "if pg_catalog.current_setting('{0}', true) is not null then alter role postgres set {0} = '{1}'; end if;"
    each = " ".join(known.format(name, value) for name in names)
    return changed(f"do $$ begin {each} end $$", back=("alter role postgres reset all",))


READ_ONLY = "missing: a writable server (this one is read-only)"
STATES = {
    "stopped": State(Ground.stopped, "nothing listens there; check that the server runs", Unreachable, reached=False),
    "stopping": State(Ground.stopping, "it is starting or stopping; wait a moment", Unreachable, reached=False),
    "recovering": State(recovering, "it is starting or stopping; wait a moment", Unreachable, reached=False),
    "hot standby": State(standby, READ_ONLY, PrerequisiteMissing),
    "read-only role": State(
        changed("alter role postgres set default_transaction_read_only = on",
                back=("alter role postgres reset default_transaction_read_only",)),
        READ_ONLY, PrerequisiteMissing,
    ),
    "read-only database": State(
        changed("alter database postgres set default_transaction_read_only = on",
                back=("set default_transaction_read_only = off",
                      "alter database postgres reset default_transaction_read_only")),
        READ_ONLY, PrerequisiteMissing,
    ),
    "no connection left": State(crowded, "it has no connection left; close some", Unreachable, reached=False),
    "no connection for the role": State(
        changed("alter role postgres connection limit 0", back=("alter role postgres connection limit -1",)),
        "it has no connection left; close some", Unreachable, reached=False,
    ),
    "role without login": State(
        changed("alter role postgres nologin", back=("alter role postgres login",)),
        "this role may not log in", Unreachable, reached=False,
    ),
    "no right to connect": State(
        changed("revoke connect on database postgres from public, postgres",
                back=("grant connect on database postgres to public, postgres",)),
        "this role may not connect to the database", Unreachable, reached=False,
    ),
    "timeouts of a millisecond": State(timeouts("1ms"), "", None),
    "timeouts of 20 milliseconds": State(timeouts("20ms"), "", None),
    "files of the extensions gone": State(
        without_files, "missing: extension pg_cron, available on the server", PrerequisiteMissing
    ),
    "pg_cron not preloaded": State(
        lambda ground: ground.restarted(shared_preload_libraries=""),
        "missing: extension pg_cron in shared_preload_libraries", PrerequisiteMissing,
    ),
    "pg_cron in another database": State(
        lambda ground: ground.restarted(**{"cron.database_name": "template1"}),
        "missing: database template1, where pg_cron runs its jobs (this is postgres)", PrerequisiteMissing,
    ),
    "worker of pg_net dead": State(without_worker, "its background worker is not up: no request is sent", None),
}  # fmt: skip
SAMPLE = ("role without login", "read-only role", "timeouts of a millisecond", "no right to connect")
ALL = (*READING, *ACTING)
WAITS_FOR_A_CONNECTION = {"no connection left", "no connection for the role"}


def play(ground: Ground, name: str, commands: Commands) -> int:
    """Enter a state, run every command, leave the state, and converge with one plain run; return the commands."""
    state = STATES[name]
    asked = FEW if name in WAITS_FOR_A_CONNECTION else commands
    with state.entered(ground):
        answers = {command: ground.ask(*command) for command in asked}
        for answer in answers.values():
            assert_sound(ground, answer)
        if state.reached:
            if state.names:
                assert state.names in answers["doctor",].out
                assert answers["doctor",].code == 1
            assert answers["drift",].code in ((0,) if state.up is None else (1,)), answers["drift",]
        else:
            for answer in answers.values():
                assert answer.code == 3, answer
                assert state.names in answer.err, answer
        if state.up is None:
            ground.up()
        else:
            with pytest.raises(state.up) as refused:
                ground.up()
            assert UNKNOWN not in str(refused.value)
    converge(ground)
    return len(asked) + 1


def played(ground: Ground, names: tuple[str, ...], row: Row, commands: Commands = ALL) -> None:
    """Play states one after the other, and fail with all that went wrong."""
    row.converged = row.converged or 0
    wrong = {}
    for name in names:
        try:
            row.points += play(ground, name, commands)
        except (AssertionError, SyncError, psycopg.Error, pytest.fail.Exception) as problem:
            wrong[name] = f"{type(problem).__name__}: {problem}"[:2000]
            converge(ground)
        else:
            row.converged = row.points
            row.commands = 1

    assert not wrong, json.dumps(wrong, indent=1)


def test_some_states_of_the_server_are_named_and_one_run_converges(shared: Ground, tally: list[Row]):
    shared.up()
    tally.append(Row("states", "states of the server, a sample"))

    played(shared, SAMPLE, tally[0], FEW)


@pytest.mark.matrix
@pytest.mark.parametrize("part", [0, 1])
def test_each_state_of_the_server_is_named_and_one_run_converges(ground: Ground, tally: list[Row], part: int):
    tally.append(Row("states", f"states x commands (no Pulumi CLI), part {part + 1}"))

    played(ground, tuple(STATES)[part::2], tally[0])


THROUGH_PULUMI = (
    "stopped", "hot standby", "no right to connect", "pg_cron not preloaded", "no connection for the role",
)  # fmt: skip


@pytest.mark.matrix
@pytest.mark.parametrize("name", THROUGH_PULUMI)
def test_the_pulumi_cli_shows_the_same_line_and_one_up_converges(
    converged: Stack, platform: Platform, tmp_path: Path, tally: list[Row], name: str
):
    ground, state = Ground(platform, tmp_path, server=SETTINGS), STATES[name]
    row = Row("states", "states x up, preview and drift of the real CLI", points=3, converged=0, commands=1)
    tally.append(row)
    with state.entered(ground):
        shown = converged.up(expect=1)
        lines = {line.strip() for line in shown.splitlines() if state.names.removeprefix("missing: ") in line}
        assert lines, shown
        assert not re.search(r"Traceback|a bug of bubble-sync", shown), shown
        assert ground.addresses.password not in shown
        assert converged.ours("drift").returncode == (1 if state.reached else 3)
        assert converged.ours("verify").returncode == (1 if state.reached else 3)
    ground.wait_until_up()

    converged.up()

    converged.expect_no_changes()
    row.converged = 3
