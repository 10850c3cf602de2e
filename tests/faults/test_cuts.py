"""The connection to the database breaks at each message: one line, one more command, and nothing doubled or lost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from pathlib import Path

import pytest
from typer.main import get_command

from bubble_sync.cli.app import app
from bubble_sync.cli.main import Outcome
from bubble_sync.config import stacks
from bubble_sync.database import connection
from bubble_sync.errors import Unreachable
from bubble_sync.local.postgres.cluster import free_port
from bubble_sync.model.setup import EXTENSIONS
from tests.faults.conftest import Row
from tests.faults.cuts import Contents, Engine, Pulumi, contents
from tests.fixtures.adoption import WANTED, look, play
from tests.fixtures.history import item
from tests.fixtures.mutations import rounds
from tests.fixtures.platform import reset
from tests.fixtures.proxy import Break, Fault, Message, Proxy, Sender, proxying
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK
from tests.fixtures.stack import CHECKOUT, Stack, expect_rest
from tests.fixtures.tls import TlsServer

VARIABLE = "CUTS_DATABASE_URL"
#: What a person reads: what was under way and of which object, or which database, and what comes next.
LOST = (
    r"(?:[a-z][\w'.() -]+: the connection to the database was lost\. Run again: finished work is recognised\."
    r"|cannot connect to the database at [\w.]+, port \d+, database postgres, user postgres, URL from the environment "
    r"variable \w+: the server closed the connection; run again\.)"
)
TAKEN_BACK = ", and everything is as it was: "
UP = r"`pulumi up` (?:failed|succeeded, but its effect could not be read)"
REASON = rf"(?:Unreachable: )?{LOST}"
LINE = re.compile(
    rf"(?:{LOST}|{UP}{TAKEN_BACK}{REASON}"
    rf"|{UP} \({REASON}\), and the way back failed \({REASON}\)\. .*run `pulumi up[^`]*`)"
)
#: The ways in which connections break, one after the other along a sweep.
WAYS = (Break.CUT, Break.RESET, Break.TORN, Break.REFUSED)
OF_THE_CLIENT = (*WAYS, Break.BEHIND, Break.TERMINATED)
COMMIT = re.compile(rb"\bCOMMIT\b")
TEN = list(next(rounds()))[:10]


@dataclass
class Life:
    """One command to be cut: how it begins, what runs again, and what must be there in the end."""

    site: Site
    proxy: Proxy
    engine: Engine
    row: Row
    start: Callable[[], object]
    run: Callable[[], str]
    """Run the command, and return its line about a failure."""
    again: Callable[[], str]
    quiet: Callable[[], bool]
    """Whether the next run finds nothing to do."""
    keeps: bool = True
    """Whether what was there before is there in the end, with its id."""
    unmet: int = 0
    """Faults at a message that a run did not have: a connection that idled is tested first, and a wait asks again."""
    final: Contents | None = None
    """What is there after a run without a fault."""
    unnoticed: int = 0
    """Faults after the last answer, or before any work on a connection that is then replaced."""

    def points(self) -> list[Fault]:
        """Run once without a fault, and return the faults of each message."""
        self.start()
        self.proxy.begin()
        assert self.run() == ""
        self.final = contents(self.site)
        assert self.final.untrue == set()
        passed = self.proxy.passed
        return [*points("client", passed["client"]), *points("server", passed["server"])]

    def cut(self, fault: Fault, then: Callable[[], None] = lambda: None) -> None:
        """Break one message; then one more run must converge, and the next must find nothing to do."""
        self.start()
        before = contents(self.site)
        self.proxy.begin(fault, then)
        line = self.run()
        if not self.proxy.broken.is_set():
            self.unmet += 1
            self.proxy.begin()
            return
        self.row.points += 1
        self._read(fault, line)
        self._look_after(fault, before)
        if TAKEN_BACK in line:
            assert contents(self.site).objects == before.objects, (fault, line)
        self.proxy.begin()
        assert self.again() == "", fault
        last = contents(self.site)
        assert self.final
        assert last.objects == self.final.objects, fault
        if self.keeps:
            assert before.ids.items() <= last.ids.items(), fault
        assert self.engine.claims.items() <= last.claims.items(), fault
        assert self.quiet(), fault
        self.row.converged = (self.row.converged or 0) + 1

    def _look_after(self, fault: Fault, before: Contents) -> None:
        """Each object of ours has its row, and each row its object, also between the two commands."""
        after = contents(self.site)
        assert after.untrue == set(), fault
        assert set(after.ids) - set(before.ids) <= {*after.ledger, *before.ledger}, (fault, "unclaimed")

    def _read(self, fault: Fault, line: str) -> None:
        if line == "" and fault.how is not Break.LATE:
            self.unnoticed += 1
        assert line == "" or LINE.fullmatch(line), (fault, line)
        addresses = self.site.addresses
        for secret in (addresses.password, addresses.service_role_key, addresses.secret_key):
            assert secret not in line


def points(sender: Sender, messages: Sequence[Message]) -> Iterator[Fault]:
    """Yield a fault for each message of the client, and for the ends of each answer; for a COMMIT each way."""
    ways = OF_THE_CLIENT if sender == "client" else WAYS
    way = cycle(ways)
    for number, message in enumerate(messages):
        begins = number == 0 or messages[number - 1].kind == "Z"
        # Within the login the server asks, and the client answers.
        if sender == "server" and not begins and message.kind not in ("R", "Z"):
            continue
        if COMMIT.search(message.data):
            yield from (Fault(sender, number, how) for how in ways)
        else:
            yield Fault(sender, number, next(way))


def code_of(lines: Iterable[str]) -> int:
    """Return the documented code: 3 for a database out of reach, 1 for a deployment that was taken back."""
    given = tuple(lines)
    assert len(given) <= 1
    return 0 if not given else 1 if given[0].startswith("`pulumi up`") else 3


def line_of(step: Callable[[], None]) -> str:
    """Run a step, and return its error; an error of another kind fails the test."""
    try:
        step()
    except Unreachable as error:
        return str(error)
    return ""


@pytest.fixture
def engine(proxy: Proxy, site: Site, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """A stack that was never up, behind the proxy."""
    monkeypatch.setenv(VARIABLE, proxy.url(site.addresses.database_url))
    return Engine(WANTED, VARIABLE)


@pytest.fixture
def row(tally: list[Row]) -> Row:
    """The row of a sweep, which the command behind it names."""
    tally.append(Row("cuts", "", commands=1))
    return tally[0]


def clean(life_site: Site, engine: Engine) -> Callable[[], bool]:
    return lambda: look(life_site, engine.wanted)[0].clean


@pytest.fixture
def first_up(site: Site, proxy: Proxy, engine: Engine, row: Row) -> Life:
    """The first `up` of what was made by hand from the guide."""

    def start() -> None:
        engine.state.clear()
        reset(site.addresses)
        play(site, "as_executed")

    row.faults = "first `up` over the guide's objects, in-process"
    up = lambda: line_of(engine.up)  # noqa: E731
    return Life(site, proxy, engine, row, start, up, up, clean(site, engine))


@pytest.fixture
def repair(site: Site, proxy: Proxy, engine: Engine, row: Row) -> Life:
    """An `up` that repairs ten changes by hand."""
    engine.up()
    row.faults = "`up` that repairs ten drifts, in-process"
    up = lambda: line_of(engine.up)  # noqa: E731
    drift = lambda: site.by_hand(*(mutation.sql for mutation in TEN))  # noqa: E731
    return Life(site, proxy, engine, row, drift, up, up, clean(site, engine))


@pytest.fixture
def destroy(site: Site, proxy: Proxy, engine: Engine, row: Row) -> Life:
    """A `destroy` of what `up` made."""
    row.faults = "`destroy`, in-process"
    away = lambda: line_of(engine.destroy)  # noqa: E731
    return Life(site, proxy, engine, row, engine.up, away, away, lambda: not engine.state, keeps=False)


@dataclass
class CommandLine:
    """Our command line in this process, on a stack that `up` has made, with Pulumi's part played here too."""

    pulumi: Pulumi
    capture: pytest.CaptureFixture[str]

    def __call__(self, *command: str, key: str | None = None) -> str:
        """Run a command, and return its line about a failure."""
        options = ["--stack", STACK, "--config-file", str(self.pulumi.file)]
        if key is not None:
            options += ["--key-fd", str(_holding(key))]
        self.capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            _run([*command, *options])
        output = self.capture.readouterr()
        lines = [line.removeprefix("error: ") for line in output.err.splitlines() if line.startswith("error: ")]
        assert "Traceback" not in output.err
        assert ended.value.code == code_of(lines), output.err
        return "".join(lines)


def _run(words: list[str]) -> None:
    """Do what the entry point does, on the streams of the test."""
    with Outcome() as outcome:
        # A context of its own: a command remembers its stack for what it prints.
        command = partial(get_command(app).main, words, obj=outcome, standalone_mode=False)
        raise SystemExit(copy_context().run(command) or 0)


def _holding(text: str) -> int:
    """Return a descriptor to read a text from."""
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    return reading


@pytest.fixture
def command_line(
    site: Site, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    file = tmp_path / f"Pulumi.{STACK}.yaml"
    addresses = site.addresses
    key = addresses.service_role_key
    given = {"supabaseUrl": addresses.endpoint_url, "serviceRoleKey": key, "databaseUrlEnv": VARIABLE}
    file.write_text(json.dumps(given))
    pulumi = Pulumi(engine, file)
    monkeypatch.chdir(CHECKOUT)
    monkeypatch.setattr(stacks, "run_pulumi", pulumi)
    pulumi.up()
    return CommandLine(pulumi, capsys)


@pytest.fixture
def requeue(site: Site, proxy: Proxy, engine: Engine, row: Row, command_line: CommandLine) -> Life:
    """`requeue` of three dead items."""

    def start() -> None:
        site.by_hand("truncate public.sync_queue")
        for record in ("r1", "r2", "r3"):
            item(site, "1 h", record_id=record, operation="INSERT", status="failed", retry_count=3)

    def all_pending() -> bool:
        found = site.by_hand("select record_id, status, retry_count, error_message from public.sync_queue order by 1")
        wanted = {"status": "pending", "retry_count": 0, "error_message": None}
        assert command_line("requeue", "--dead", "--yes") == ""
        return found == [{"record_id": f"r{number}", **wanted} for number in (1, 2, 3)]

    row.faults = "`requeue`, in-process"
    run = lambda: command_line("requeue", "--dead", "--yes")  # noqa: E731
    return Life(site, proxy, engine, row, start, run, run, all_pending)


@pytest.fixture
def pause(site: Site, proxy: Proxy, engine: Engine, row: Row, command_line: CommandLine) -> Life:
    """`pause` of every job."""
    start = lambda: command_line("resume")  # noqa: E731
    run = lambda: command_line("pause", "--reason", "a move")  # noqa: E731
    row.faults = "`pause`, in-process"
    return Life(site, proxy, engine, row, start, run, run, clean(site, engine))


@pytest.fixture
def rotate(site: Site, proxy: Proxy, engine: Engine, row: Row, command_line: CommandLine) -> Life:
    """`key rotate`, which sends two requests before it changes anything."""
    pulumi, addresses = command_line.pulumi, site.addresses

    def start() -> None:
        pulumi.set("serviceRoleKey", addresses.service_role_key, pulumi.file)
        pulumi.up()

    def run() -> str:
        return command_line("key", "rotate", key=addresses.secret_key)

    def again() -> str:
        """After a plain `up` the stack is whole, with the key of its configuration; then the key can be changed."""
        pulumi.up()
        assert look(site, engine.wanted)[0].clean
        if json.loads(pulumi.file.read_text())["serviceRoleKey"] == addresses.secret_key:
            return ""
        return run()

    row.faults = "`key rotate`, in-process"
    return Life(site, proxy, engine, row, start, run, again, clean(site, engine))


#: Command -> the distance of two points in the sweep, for its share of the time; 1 sweeps every message.
DISTANCES = {"first_up": 4, "repair": 5, "destroy": 7, "requeue": 2, "pause": 3, "rotate": 4}
#: Tests that share a sweep, so that processes can.
PARTS = 3


@pytest.mark.parametrize("name", DISTANCES)
def test_a_cut_at_one_message_costs_one_more_command(name: str, request: pytest.FixtureRequest):
    life: Life = request.getfixturevalue(name)
    found = life.points()
    life.cut(found[len(found) // 3])
    assert not life.unmet


@pytest.mark.matrix
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", DISTANCES)
def test_a_cut_at_any_message_costs_one_more_command(name: str, part: int, request: pytest.FixtureRequest):
    life: Life = request.getfixturevalue(name)
    found = life.points()[:: DISTANCES[name]][part::PARTS]
    for fault in found:
        life.cut(fault)
    assert life.unmet * 10 <= len(found)


@pytest.mark.matrix
def test_a_late_message_changes_nothing(repair: Life):
    repair.row.faults = "late messages, in-process"
    for fault in repair.points()[::40]:
        repair.cut(replace(fault, how=Break.LATE))


@pytest.mark.matrix
@pytest.mark.parametrize("sender", ["client", "server"])
def test_a_half_open_connection_ends_with_the_line_of_a_lost_one(
    sender: Sender, repair: Life, monkeypatch: pytest.MonkeyPatch
):
    """The network is gone without a word: the client must not wait for ever."""
    repair.row.faults = "half-open connections, in-process"
    # Later than the messages of connecting, which libpq has a limit for.
    found = [fault for fault in repair.points() if fault.sender == sender and fault.number > 25]
    patience, up = connection.SILENCE_SECONDS, repair.run

    def patient_again() -> str:
        line = up()
        monkeypatch.setattr(connection, "SILENCE_SECONDS", patience)
        return line

    repair.run = patient_again
    for fault in found[:: len(found) // 10]:
        repair.cut(replace(fault, how=Break.SILENT), lambda: monkeypatch.setattr(connection, "SILENCE_SECONDS", 0))


def test_a_session_that_an_administrator_ends_in_its_statement(site: Site, engine: Engine):
    ended: list[str] = []
    waiting = "select pid from pg_stat_activity where application_name = 'bubble-sync' and wait_event_type = 'Lock'"
    with site.db.transaction("holding the lock of all changes"):
        running = threading.Thread(target=lambda: ended.append(line_of(engine.up)))
        running.start()
        while not (pids := site.by_hand(waiting)):
            pass
        site.by_hand(f"select pg_terminate_backend({pids[0]['pid']})")
        running.join()

    assert re.fullmatch(LOST, ended[0]), ended
    assert line_of(engine.up) == ""
    assert look(site)[0].clean


def test_a_port_where_nothing_listens_and_then_a_server(site: Site, monkeypatch: pytest.MonkeyPatch):
    port = free_port()
    addresses = site.addresses
    monkeypatch.setenv(VARIABLE, addresses.database_url.replace(f":{addresses.database_port}/", f":{port}/"))
    engine = Engine(WANTED, VARIABLE)

    assert line_of(engine.up).endswith(": nothing listens there; check that the server runs, and the port.")
    with proxying(addresses.database_port, port):
        assert line_of(engine.up) == ""

    assert look(site)[0].clean


@pytest.mark.matrix
def test_a_cut_within_tls_is_a_lost_connection(tls_server: TlsServer, monkeypatch: pytest.MonkeyPatch, row: Row):
    """The messages are hidden here: every third record of TLS is cut, from the request for TLS on."""
    row.faults = "records of TLS, first `up` of five objects, in-process"
    with proxying(tls_server.addresses.database_port) as proxy:
        monkeypatch.setenv(VARIABLE, proxy.url(tls_server.url()))
        for sender in ("client", "server"):
            number = 0
            while True:
                reset(tls_server.addresses)
                engine = Engine(WANTED[:5], VARIABLE, tls_server.ca)
                proxy.begin(Fault(sender, number, WAYS[number % len(WAYS)]))
                line = line_of(engine.up)
                if not proxy.broken.is_set():
                    break
                assert line == "" or re.fullmatch(LOST, line), (sender, number, line)
                row.points += 1
                proxy.begin()
                assert line_of(engine.up) == ""
                row.converged = (row.converged or 0) + 1
                number += 3


#: Messages to break of a command through Pulumi, whose threads have several connections; some are past its last.
WHOLE: dict[str, list[tuple[Sender, int]]] = {
    "first up": [*(("client", n) for n in range(0, 200, 25)), *(("server", n) for n in range(20, 800, 110))],
    "repair": [*(("client", n) for n in range(10, 200, 40)), *(("server", n) for n in range(50, 700, 170))],
    "destroy": [*(("client", n) for n in range(5, 110, 25)), *(("server", n) for n in range(30, 1100, 300))],
    "pause": [("client", 3), ("client", 30), ("server", 40), ("server", 260)],
    "key rotate": [("client", 5), ("client", 40), ("server", 60), ("server", 300)],
    "requeue": [("client", 0), ("client", 10), ("server", 35), ("server", 70)],
}
#: Command -> the COMMITs whose answer is cut: the change is done, and the client does not know.
UNANSWERED = {"first up": (7,), "repair": (2,), "destroy": (3,), "pause": (0, 1), "key rotate": (0,), "requeue": (0,)}
PULUMI_LINE = re.compile(rf"\s*error: (?:(?:update|preview) failed|(?:Preview failed: )?Unreachable: {LOST})")


@dataclass
class Whole:
    """One stack behind the proxy, through the real command lines."""

    stack: Stack
    site: Site
    proxy: Proxy
    row: Row

    def pulumi(self, fault: Fault, *command: str) -> None:
        """Break a message of a Pulumi command, then run the command again."""
        self.proxy.begin(fault)
        done = self.stack.local.pulumi(*command)
        output = done.stdout + done.stderr
        lines = [line for line in output.splitlines() if line.lstrip().startswith("error:")]
        assert all(PULUMI_LINE.fullmatch(line) for line in lines), output
        assert bool(lines) == bool(done.returncode), output
        self._look(output)
        self.proxy.begin()
        self.stack.run(*command)

    def ours(self, fault: Fault, *command: str, key: str = "") -> None:
        """Break a message of a command of ours, bring the stack up where it says so, then run the command again."""
        before = contents(self.site)
        self.proxy.begin(fault)
        done = self._ours(command, key)
        output = done.stdout + done.stderr
        lines = [line for line in output.splitlines() if line.startswith("error: ")]
        assert all(LINE.fullmatch(line.removeprefix("error: ")) for line in lines), output
        assert done.returncode == code_of(line.removeprefix("error: ") for line in lines), output
        if TAKEN_BACK in output:
            assert contents(self.site).objects == before.objects, output
        self._look(output)
        self.proxy.begin()
        if done.returncode:
            if command[0] == "key":
                self.stack.up()
            done = self._ours(command, key)
        # The key may have arrived before the cut.
        assert done.returncode == 0 or "has this key already" in done.stderr, done.stderr

    def _ours(self, command: Sequence[str], key: str) -> subprocess.CompletedProcess[str]:
        local = self.stack.local
        return subprocess.run(
            ["bubble-sync", *command, *local.arguments, *(["--key-fd", "0"] if key else [])], cwd=local.checkout,
            env=dict(local.environment), input=key, text=True, capture_output=True, check=False,
        )  # fmt: skip

    def _look(self, output: str) -> None:
        assert "Traceback" not in output
        addresses = self.site.addresses
        for secret in (addresses.password, addresses.service_role_key, addresses.secret_key):
            assert secret not in output
        assert contents(self.site).untrue == set()
        self.row.points += self.proxy.broken.is_set()
        self.row.converged = (self.row.converged or 0) + self.proxy.broken.is_set()


def faults_of(name: str) -> list[object]:
    numbered = [
        pytest.param(Fault(sender, number, WAYS[place % len(WAYS)]), id=f"{sender} {number}")
        for place, (sender, number) in enumerate(WHOLE[name])
    ]
    unanswered = [
        pytest.param(Fault("server", number, Break.CUT, of=b"COMMIT"), id=f"the answer to COMMIT {number}")
        for number in UNANSWERED[name]
    ]
    return [*numbered, *unanswered]


def at_rest(stack: Stack, site: Site, fault: Fault) -> None:
    """Expect that the next run finds nothing to do: by the real preview where the client could not know."""
    if fault.of:
        stack.expect_no_changes()
    else:
        expect_rest(stack, site)


@pytest.mark.matrix
class TestThroughPulumi:
    @pytest.fixture
    def behind(self, site: Site, proxy: Proxy, row: Row) -> Callable[[Stack, str], Whole]:
        def put(stack: Stack, name: str) -> Whole:
            row.faults = f"{name}, through the command line"
            return Whole(stack.through(proxy.url(site.addresses.database_url)), site, proxy, row)

        return put

    @pytest.mark.parametrize("fault", faults_of("first up"))
    def test_the_first_up(self, fault: Fault, stack: Stack, site: Site, behind: Callable[[Stack, str], Whole]):
        play(site, "as_executed")
        before = contents(site)

        behind(stack, "first `up` over the guide's objects").pulumi(fault, "up", "--yes", "--skip-preview")

        at_rest(stack, site, fault)
        assert before.ids.items() <= contents(site).ids.items()

    @pytest.mark.parametrize("fault", faults_of("repair"))
    def test_an_up_that_repairs(
        self, fault: Fault, converged: Stack, site: Site, behind: Callable[[Stack, str], Whole]
    ):
        before = contents(site)
        site.by_hand(*(mutation.sql for mutation in TEN))

        behind(converged, "`up` that repairs ten drifts").pulumi(fault, "up", "--yes", "--skip-preview")

        at_rest(converged, site, fault)
        assert contents(site).ids == before.ids

    @pytest.mark.parametrize("fault", faults_of("destroy"))
    def test_a_destroy(self, fault: Fault, converged: Stack, site: Site, behind: Callable[[Stack, str], Whole]):
        behind(converged, "`destroy`").pulumi(fault, "destroy", "--yes", "--skip-preview")

        left = contents(site)
        assert set(left.ledger) == {f"extension {name}" for name in EXTENSIONS}
        assert left.objects["jobs"] == left.objects["secrets"] == []
        assert {row["object"] for row in left.objects["functions"] if "bubble_sync" in row["object"]} == set()

    @pytest.mark.parametrize("fault", faults_of("pause"))
    def test_a_pause(self, fault: Fault, converged: Stack, site: Site, behind: Callable[[Stack, str], Whole]):
        behind(converged, "`pause`").ours(fault, "pause", "--reason", "a move")

        assert {row["active"] for row in contents(site).objects["jobs"]} == {False}
        at_rest(converged, site, fault)

    @pytest.mark.parametrize("fault", faults_of("key rotate"))
    def test_a_rotation(self, fault: Fault, converged: Stack, site: Site, behind: Callable[[Stack, str], Whole]):
        key = site.addresses.secret_key

        behind(converged, "`key rotate`").ours(fault, "key", "rotate", key=key)

        assert key in {row["decrypted_secret"] for row in contents(site).objects["secrets"]}
        at_rest(converged, site, fault)

    @pytest.mark.parametrize("fault", faults_of("requeue"))
    def test_a_requeue(self, fault: Fault, converged: Stack, site: Site, behind: Callable[[Stack, str], Whole]):
        for record in ("r1", "r2"):
            item(site, "1 h", record_id=record, operation="INSERT", status="failed", retry_count=3)

        behind(converged, "`requeue`").ours(fault, "requeue", "--dead", "--yes")

        states = site.by_hand("select record_id, status, retry_count from public.sync_queue order by 1")
        assert states == [{"record_id": one, "status": "pending", "retry_count": 0} for one in ("r1", "r2")]
