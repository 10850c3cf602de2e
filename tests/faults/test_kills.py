"""SIGKILL for each process of a run, at each boundary and at random: a re-run makes all agree again."""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from bubble_sync.config.stacks import CONFIG_VARIABLE
from bubble_sync.local.platform import Platform
from bubble_sync.specs import RecordedSpec
from tests.faults.conftest import Row
from tests.faults.kills import (
    PATIENCE,
    HoldingProxy,
    Kind,
    Run,
    Zygote,
    all_ended,
    ended_with_pulumi,
    holding_proxy,
    kill_at,
    sessions_left,
    spread,
)
from tests.faults.zygote import CLAIM, specs_of
from tests.fixtures.history import item
from tests.fixtures.platform import reset
from tests.fixtures.site import Site
from tests.fixtures.stack import CHECKOUT, Kept, Stack, bring_up, expect_rest, keep_converged

#: What a `destroy` keeps.
KEPT = ["extension pg_cron", "extension pg_net", "extension supabase_vault"]
JOBS = "select jobname::text as name, schedule, active from cron.job order by 1"
FRESH = [
    {"name": "bubble-sync-processor", "schedule": "* * * * *", "active": True},
    {"name": "bubble-sync-retry", "schedule": "*/5 * * * *", "active": True},
]
#: The objects, as the ledger names them.
OBJECTS = """
    select coalesce(array_agg(name order by name), '{}') as names from (
        select 'job ' || jobname from cron.job
        union all select 'secret ' || name from vault.secrets
        union all select 'extension ' || extname from pg_extension
            where extname in ('pg_cron', 'pg_net', 'supabase_vault')
        union all select 'function ' || pronamespace::regnamespace || '.' || proname from pg_proc
            where pronamespace = 'bubble_sync'::regnamespace or proname like 'invoke_bubble_sync%'
    ) as found (name)
"""
LEDGER = "select object, origin, claim from bubble_sync.ledger where object <> 'settings' order by object"
CONTENTS = """
    select md5(string_agg(entry, e'\\n' order by entry)) as digest from (
        select prosrc || coalesce(proacl::text, '') || oid from pg_proc where pronamespace::regnamespace::text in
            ('public', 'bubble_sync')
        union all select id || secret || updated_at::text from vault.secrets
        union all select job::text from cron.job
        union all select row::text from bubble_sync.ledger as row
    ) as everything (entry)
"""
ITEMS = "select id::text, status, retry_count from public.sync_queue order by id"


@pytest.fixture
def gate(site: Site) -> Iterator[HoldingProxy]:
    """A proxy in front of the site's database, which can hold a step."""
    with holding_proxy(site.addresses.database_port) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """A process that forks for each command."""
    started = Zygote(tmp_path_factory.mktemp("zygote"))
    yield started
    started.close()


class Forks:
    """Kills in forks: the provider's own code without Pulumi, and our commands that only need the database."""

    def __init__(self, site: Site, gate: HoldingProxy, zygote: Zygote, tmp_path: Path) -> None:
        self.site, self.gate, self.zygote = site, gate, zygote
        self.folder = tmp_path
        (tmp_path / "Pulumi.yaml").write_text("name: bubble-sync\nruntime: python\n")
        (tmp_path / "Pulumi.shop.yaml").write_text("config: {}\n")
        values = {
            "supabaseUrl": site.addresses.endpoint_url,
            "serviceRoleKey": site.addresses.service_role_key,
            "databaseUrlEnv": "SHOP_URL",
        }
        shown = {
            f"bubble-sync:{key}": {"value": text, "secret": key == "serviceRoleKey"} for key, text in values.items()
        }
        self.environment = {
            **os.environ, CONFIG_VARIABLE: json.dumps(shown), "SHOP_URL": gate.url(site.addresses.database_url),
        }  # fmt: skip
        self.specs = specs_of(self.environment)

    def fresh(self) -> None:
        """Bring the database back to a fresh project."""
        assert sessions_left(self.site) == []
        reset(self.site.addresses)

    def converge(self) -> None:
        """Do what the next `up` does."""
        for spec in self.specs:
            self.site.converge(spec, CLAIM)

    def run(self, *command: str) -> int:
        """Run a command to its end; return the number of its steps."""
        self.gate.hold(0)
        self.zygote.start(*command, environment=self.environment, folder=self.folder)
        code = self.zygote.wait()
        assert code == 0, self.zygote.log.read_text()
        return self.gate.steps

    def kill(self, *command: str, step: int, answered: bool) -> bool:
        """Kill a command at a step; False when the command ended before."""
        self.gate.hold(step, answered=answered)
        pid = self.zygote.start(*command, environment=self.environment, folder=self.folder)
        reached = kill_at(self.zygote, self.gate, pid)
        code = self.zygote.wait()
        assert code == (-9 if reached else 0), self.zygote.log.read_text()
        assert sessions_left(self.site) == []
        return reached

    def made(self) -> None:
        """Every object is there once, made by this stack, and another run finds nothing to do."""
        (found,), rows = self.site.by_hand(OBJECTS), self.site.by_hand(LEDGER)
        recorded = sorted(spec.object_name for spec in self.specs if isinstance(spec, RecordedSpec))
        assert found["names"] == recorded == [row["object"] for row in rows]
        assert {(row["origin"], row["claim"]) for row in rows} == {("made", CLAIM)}
        assert self.site.by_hand(JOBS) == FRESH
        before = self.site.by_hand(CONTENTS)
        self.converge()
        assert self.site.by_hand(CONTENTS) == before

    def removed(self) -> None:
        """Only what a `destroy` keeps is left, and another run finds nothing to do."""
        assert self.site.by_hand(OBJECTS) == [{"names": KEPT}]
        assert [row["object"] for row in self.site.by_hand(LEDGER)] == KEPT
        before = self.site.by_hand(CONTENTS)
        for spec in reversed(self.specs):
            self.site.remove(spec, CLAIM)
        assert self.site.by_hand(CONTENTS) == before


@pytest.fixture
def forks(site: Site, gate: HoldingProxy, zygote: Zygote, tmp_path: Path) -> Forks:
    """Kills in forks, on a fresh project."""
    return Forks(site, gate, zygote, tmp_path)


def sweep(forks: Forks, row: Row, points: Iterable[tuple[int, bool]], action: str) -> None:
    """Kill the provider's code at each point of a whole run."""
    for step, answered in points:
        forks.fresh()
        if action == "remove":
            forks.converge()
        if not forks.kill(action, step=step, answered=answered):
            continue
        row.points += 1
        if action == "converge":
            forks.converge()
            forks.made()
        else:
            forks.run("remove")
            forks.removed()
        row.converged, row.commands = (row.converged or 0) + 1, 1


def points(most: int, count: int) -> list[tuple[int, bool]]:
    """Return every step once, every second one after the server's work; or so many of them."""
    chosen = range(1, most + 1) if count >= most else spread(count, most)
    return [(number, bool(number % 2)) for number in chosen]


@pytest.mark.parametrize("count", [3, pytest.param(1_000, marks=(pytest.mark.matrix, pytest.mark.long))])
@pytest.mark.parametrize("action", ["converge", "remove"])
def test_the_providers_code_killed_at_a_step_is_taken_up_by_the_next_run(
    action: str, count: int, forks: Forks, tally: list[Row]
):
    name = {"converge": "up", "remove": "destroy"}[action]
    row = Row("kills", f"provider's code of `{name}` in a fork, at each step in the database")
    tally.append(row)
    forks.fresh()
    if action == "remove":
        forks.converge()
    most = forks.run(action)

    chosen = points(most, count)
    sweep(forks, row, chosen, action)

    assert row.points == row.converged == len(chosen)


@pytest.mark.parametrize("count", [2, pytest.param(1_000, marks=pytest.mark.matrix)])
@pytest.mark.parametrize("command", [("requeue", "--dead"), ("run-now",)], ids=lambda words: words[0])
def test_our_command_killed_at_a_step_is_done_by_the_same_command(
    command: tuple[str, ...], count: int, forks: Forks, tally: list[Row]
):
    row = Row("kills", f"`{command[0]}` in a fork, at each step in the database", lost=0)
    tally.append(row)
    forks.fresh()
    forks.converge()
    whole = (*command, "--yes", "--stack", "shop")

    def lay_out() -> list[str]:
        forks.site.by_hand("truncate public.sync_queue")
        forks.site.db.close()
        if command[0] == "run-now":
            return [item(forks.site, "1 hour")]
        columns = {"operation": "INSERT", "status": "failed", "retry_count": 3}
        return [item(forks.site, "1 hour", record_id=f"r{number}", **columns) for number in range(3)]

    lay_out()
    most = forks.run(*whole)
    for step, answered in points(most, count):
        ids = lay_out()
        if not forks.kill(*whole, step=step, answered=answered):
            continue
        row.points += 1
        forks.run(*whole)
        items = forks.site.by_hand(ITEMS)
        row.lost = (row.lost or 0) + len(set(ids) - {one["id"] for one in items})
        assert sorted(ids) == [one["id"] for one in items]
        if command[0] == "requeue":
            assert {one["retry_count"] for one in items} == {0}, "each was put back, once"
        row.converged, row.commands = (row.converged or 0) + 1, 1
    forks.made()


#: Almost as many steps and events as a run has: at the last ones a process may have done its work.
STEPS = {"up": 118, "destroy": 158}
EVENTS = {"up": 145, "destroy": 85}


class Killing:
    """A stack whose runs are killed, and brought back to health."""

    def __init__(self, stack: Stack, site: Site, gate: HoldingProxy, kept: dict[str, Kept], row: Row, folder: Path):
        self.stack, self.site, self.gate, self.kept, self.row, self.folder = stack, site, gate, kept, row, folder
        self.through = stack.through(gate.url(site.addresses.database_url))

    def begin(self, command: str) -> None:
        """Lay out what the command starts from."""
        assert sessions_left(self.site) == []
        reset(self.site.addresses)
        if command == "up":
            self.kept["prepared"].lay_out()
        else:
            bring_up(self.stack, self.site, self.kept)
            self.site.db.close()

    def kill(
        self, command: str, kind: Kind, *, step: int = 0, answered: bool = False, event: int | None = None
    ) -> bool:
        """Kill one kind of process at a step or an event; False when the run had ended, or the process."""
        self.begin(command)
        self.gate.hold(step, answered=answered)
        run = Run(self.through, self.folder, command, "--yes", "--skip-preview")
        found = run.kill(kind) if run.reach(event, self.gate.held if step else None) else {kind: []}
        if not found[kind]:
            self.gate.released.set()
            assert run.end() == 0
            return False
        if kind == "cli":
            assert ended_with_pulumi(found), "a process of ours outlives Pulumi"
        self.gate.released.set()
        code = run.end()
        assert code or not step, "the command had not ended, and has noticed"
        assert ended_with_pulumi(found), "a process of ours outlives Pulumi"
        self.row.points += 1
        return True

    def recover(self, command: str, kind: Kind) -> None:
        """Run what the runbook says, and see that all is well."""
        commands = [command]
        if kind == "cli":
            self.stack.run("cancel", "--yes")
            commands.insert(0, "cancel")
        self.stack.run(command, "--yes", "--skip-preview")
        if self.state().get("pending_operations"):
            self.stack.run("refresh", "--yes", "--skip-preview", "--clear-pending-creates")
            commands.append("refresh")
        self.row.commands = max(self.row.commands or 0, len(commands))
        self.healthy(command)
        self.row.converged = (self.row.converged or 0) + 1

    def state(self) -> dict[str, object]:
        """Return the stack's state."""
        file = self.stack.local.config_file.parent / "state/.pulumi/stacks/bubble-sync/local.json"
        found: dict[str, object] = json.loads(file.read_text())["checkpoint"]["latest"]
        return found

    def healthy(self, command: str) -> None:
        """State, ledger and database name the same objects, once; nothing is pending, and no session is left."""
        assert sessions_left(self.site) == []
        state, rows = self.state(), self.site.by_hand(LEDGER)
        assert not state.get("pending_operations")
        if command == "destroy":
            assert not state.get("resources")
            assert self.site.by_hand(JOBS) == []
            assert [row["object"] for row in rows] == KEPT
            return
        expect_rest(self.stack, self.site)
        assert self.site.by_hand(JOBS) == FRESH
        assert {row["origin"] for row in rows} == {"made"}


def kill_and_recover(killing: Killing, command: str, kind: Kind, steps: int, events: int) -> None:
    for number, step in enumerate(spread(steps, STEPS[command])):
        if killing.kill(command, kind, step=step, answered=bool(number % 2)):
            killing.recover(command, kind)
    for event in spread(events, EVENTS[command]):
        if killing.kill(command, kind, event=event):
            killing.recover(command, kind)


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("command", "kind", "steps", "events"),
    [
        ("up", "cli", 4, 3), ("up", "host", 3, 2), ("up", "program", 3, 2), ("up", "provider", 4, 3),
        ("destroy", "cli", 4, 3), ("destroy", "provider", 4, 3),
    ],
)  # fmt: skip
def test_a_killed_process_of_a_run_costs_the_commands_of_the_runbook(
    command: str, kind: Kind, steps: int, events: int, converged: Stack, site: Site, gate: HoldingProxy,
    kept: dict[str, Kept], tally: list[Row], tmp_path: Path,
):  # fmt: skip
    row = Row("kills", f"{kind} of `pulumi {command}`, at steps in the database and at events of the engine")
    tally.append(row)

    kill_and_recover(Killing(converged, site, gate, kept, row, tmp_path), command, kind, steps, events)

    assert row.points == row.converged
    assert row.points > (steps + events) // 2, "most points were reached"


class Steps:
    """A `pulumi` that stops before and after each of its commands, until it is told to go on."""

    def __init__(self, folder: Path) -> None:
        real = shutil.which("pulumi")
        self.folder = folder / "steps"
        self.folder.mkdir()
        for name in ("at", "go"):
            os.mkfifo(self.folder / name)
        (self.folder / "pulumi").write_text(
            f'#!/bin/sh\necho "before $1 $2" > {self.folder}/at; read line < {self.folder}/go\n'
            f'{real} "$@"; code=$?\necho "after $1 $2" > {self.folder}/at; read line < {self.folder}/go\nexit $code\n'
        )
        (self.folder / "pulumi").chmod(0o755)
        self._at = os.open(self.folder / "at", os.O_RDWR)
        self._go = os.open(self.folder / "go", os.O_RDWR)
        self._seen = b""

    def next(self, process: int) -> str:
        """Return the next stop; nothing when the process has ended before."""
        while b"\n" not in self._seen:
            ready, _, _ = select.select([self._at, process], [], [], PATIENCE)
            if self._at in ready:
                self._seen += os.read(self._at, 4096)
            elif process in ready:
                return ""
        line, _, self._seen = self._seen.partition(b"\n")
        return line.decode().strip()

    def go_on(self) -> None:
        os.write(self._go, b"\n")

    def close(self) -> None:
        os.close(self._at)
        os.close(self._go)


@pytest.fixture
def steps(tmp_path: Path) -> Iterator[Steps]:
    made = Steps(tmp_path)
    yield made
    made.close()


class Ours:
    """Our commands that run `pulumi up`, killed at each of Pulumi's commands."""

    def __init__(self, stack: Stack, steps: Steps) -> None:
        environment = {
            **stack.local.environment,
            "PATH": f"{steps.folder}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": str(steps.folder),  # a killed command leaves its draft of the configuration there
        }
        self.local, self.steps = replace(stack.local, environment=environment), steps

    def run(self, command: tuple[str, ...], key: str, kill_at: int | None) -> list[str]:
        """Run a command and kill it at the n-th stop; return the stops up to there. Pulumi itself ends in order."""
        started = subprocess.Popen(
            ["bubble-sync", *command, *self.local.arguments],
            cwd=self.local.checkout, env=dict(self.local.environment), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert started.stdin
        started.stdin.write(key.encode())
        started.stdin.close()
        ours = os.pidfd_open(started.pid)
        stops: list[str] = []
        while stop := self.steps.next(ours):
            stops.append(stop)
            if len(stops) == kill_at:
                started.kill()
                started.wait()
                self.steps.go_on()
                if stop.startswith("before"):
                    # The orphan ends its one command.
                    never = os.pidfd_open(os.getpid())
                    assert self.steps.next(never).startswith("after")
                    os.close(never)
                    self.steps.go_on()
                break
            self.steps.go_on()
        started.wait()
        os.close(ours)
        assert started.stdout
        started.stdout.close()
        return stops


@pytest.mark.matrix
@pytest.mark.parametrize("name", ["pause", "resume", "key rotate"])
def test_our_command_killed_at_a_step_leaves_a_whole_configuration_that_one_up_deploys(
    name: str, converged: Stack, site: Site, kept: dict[str, Kept], steps: Steps, tally: list[Row]
):
    row = Row("kills", f"`bubble-sync {name}`, before and after each Pulumi command")
    tally.append(row)
    commands = {
        "pause": ("pause", "--job", "processor", "--reason", "maintenance", "--until", "2999-01-31T18:00:00Z"),
        "resume": ("resume", "--job", "processor"),
        "key rotate": ("key", "rotate", "--key-fd", "0", "--name", "bubble_sync_key"),
    }
    command, key = commands[name], site.addresses.secret_key if name == "key rotate" else ""
    ours = Ours(converged, steps)
    begun = paused(converged, site, steps, commands["pause"]) if name == "resume" else kept

    def lay_out() -> bytes:
        assert sessions_left(site) == []
        reset(site.addresses)
        bring_up(converged, site, begun)
        site.db.close()
        return converged.local.config_file.read_bytes()

    lay_out()
    stops = ours.run(command, key, None)
    after = set(written(converged))
    first = next(number for number, stop in enumerate(stops, 1) if stop in ("before config set", "before config rm"))

    # The first value, one between values, all values, and before and after the `up`.
    for number in sorted({first, (first + len(stops) - 2) // 2, *range(len(stops) - 2, len(stops) + 1)}):
        before = lay_out()
        assert ours.run(command, key, number) == stops[:number]
        row.points += 1
        now = converged.local.config_file.read_bytes()
        assert now == before or set(written(converged)) == after, "all values or none"
        converged.up()
        expect_rest(converged, site)
        row.converged, row.commands = (row.converged or 0) + 1, 1


def paused(stack: Stack, site: Site, steps: Steps, command: Sequence[str]) -> dict[str, Kept]:
    """Pause a stack that is up, and keep it."""
    stack.sync(*command)
    return {"converged": keep_converged(stack, site, steps.folder / "paused")}


def written(stack: Stack) -> dict[str, object]:
    """Return the values in the configuration file, where each pause is whole; the folder holds no other file."""
    folder = stack.local.config_file.parent
    assert {path.name for path in folder.iterdir() if path.is_file()} == {"Pulumi.local.yaml", "Pulumi.yaml"}
    found: dict[str, object] = yaml.safe_load(stack.local.config_file.read_text())["config"]
    jobs = [value for value in found.values() if isinstance(value, dict) and "secure" not in value]
    assert all({"active", "pauseReason", "pauseUntil"} <= set(job) for job in jobs)
    return found


@pytest.mark.matrix
def test_our_commands_name_the_lock_of_a_killed_up_and_the_way_on(
    converged: Stack, site: Site, gate: HoldingProxy, kept: dict[str, Kept], tally: list[Row], tmp_path: Path
):
    row = Row("kills", "`bubble-sync pause` after a killed `pulumi up`")
    tally.append(row)
    killing = Killing(converged, site, gate, kept, row, tmp_path)
    bring_up(converged, site, kept)
    gate.hold(10)
    run = Run(killing.through, tmp_path, "up", "--yes", "--skip-preview")
    assert run.reach(until=gate.held)
    left = run.kill("cli")
    gate.released.set()
    run.end()
    assert ended_with_pulumi(left)
    before = converged.local.config_file.read_bytes()

    said = " ".join(converged.sync("pause", "--reason", "maintenance", expect=1).split())

    command = re.search(r"nothing was changed; this process has ended, so run `(pulumi cancel [^`]+)`, then this", said)
    assert command is not None, said
    assert converged.local.config_file.read_bytes() == before
    subprocess.run(
        [*shlex.split(command[1]), "--non-interactive"], cwd=CHECKOUT, env=dict(converged.local.environment), check=True
    )
    converged.sync("pause", "--reason", "maintenance")
    converged.expect_no_changes()
    row.points, row.converged, row.commands = 1, 1, 2


@pytest.mark.matrix
def test_half_of_a_backends_metadata_stops_every_command_until_the_runbooks_line(stack: Stack, tally: list[Row]):
    """Pulumi writes the file `.attrs` in parts; a platform's backend has none, so that a kill finds none to hit."""
    (state,) = stack.local.config_file.parent.glob("state/.pulumi/stacks/bubble-sync/local.json")
    assert list(stack.local.config_file.parent.rglob("*.attrs")) == []
    state.with_name(f"{state.name}.attrs").touch()

    refused = stack.local.pulumi("cancel", "--yes", config=False)
    assert refused.returncode != 0
    assert "failed to load checkpoint: EOF" in refused.stderr
    subprocess.run(
        ["find", state.parents[2], "-name", "*.attrs", "-delete"], check=True, capture_output=True
    )  # the runbook's line
    stack.run("stack", "export")

    tally.append(Row("kills", "metadata of a `file://` backend, half written", points=1, converged=1, commands=3))


#: What appears in the platform's folder one after the other; in the folder of the locks, Pulumi makes the stack.
MADE = (
    "addresses.json", "usr", "data.new", "data", "data/postmaster.pid", "net_worker.pid",
    "pulumi.new/state/.pulumi/locks/organization/bubble-sync/local", "pulumi", "environment",
)  # fmt: skip


@pytest.mark.matrix
@pytest.mark.parametrize("order", ["up", "down"])
def test_a_killed_local_up_or_down_is_done_by_the_same_command(order: str, own_platform: Platform, tally: list[Row]):
    row = Row("kills", f"`bubble-sync local {order}`, at each file that it makes or removes")
    tally.append(row)
    command = ["bubble-sync", "local"]
    removed = own_platform.folder.with_name(f"{own_platform.folder.name}.removed")
    points = [(own_platform.folder / name).exists for name in MADE]
    if order == "down":
        points = [
            lambda: own_platform.edge_function.pid() is None,
            lambda: not any(running(own_platform)),
            removed.exists,
        ]

    for reached in points:
        if order == "down":
            subprocess.run([*command, "up"], cwd=CHECKOUT, check=True, capture_output=True)
        killed = subprocess.Popen([*command, order], cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda so=reached, process=killed: so() or process.poll() is not None)  # type: ignore[misc]
        guards = guards_of(killed.pid)
        killed.kill()
        killed.wait()
        assert all_ended(guards)
        row.points += 1
        if order == "up":
            # At the last point the command may have done its work.
            assert own_platform.status().up or not any(running(own_platform))
            subprocess.run([*command, "up"], cwd=CHECKOUT, check=True, capture_output=True)
            assert own_platform.status().up
            assert list(own_platform.folder.glob("pulumi/state/.pulumi/locks/**/*.json")) == []
        if own_platform.exists:
            subprocess.run([*command, "down"], cwd=CHECKOUT, check=True, capture_output=True)
        assert list(own_platform.folder.parent.glob(f"{own_platform.folder.name}*")) == []
        row.converged, row.commands = (row.converged or 0) + 1, 1


def guards_of(pid: int) -> list[int]:
    """List the processes that end what a process has started."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if any(word.endswith(b"/guardian.py") for word in words) and str(pid).encode() in words:
                found.append(int(entry.name))
    return found


def running(platform: Platform) -> list[int]:
    """List the platform's processes."""
    return [part.pid for part in platform.status().parts if part.pid is not None]


def wait_until(so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    pause = threading.Event()
    for _ in range(60_000):
        if so():
            return
        pause.wait(0.002)
    pytest.fail("never so")
