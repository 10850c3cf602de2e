"""Commands next to others: stacks, a person, the scheduler, the application, and sessions that hold locks."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from bubble_sync.config.database_url import read_database_url
from bubble_sync.database.database import Database
from bubble_sync.database.polling import poll
from bubble_sync.errors import Busy, ForeignObject
from bubble_sync.local.platform import Platform
from bubble_sync.model.setup import desired_state
from bubble_sync.specs import CronJobSpec, Owner
from tests.database.test_stack_names import NAMES, QUEUE
from tests.faults.concurrency import (
    DRIFTS,
    FAILED,
    INSERT,
    SETTINGS,
    WANTED,
    Inserts,
    Work,
    another,
    at_once,
    drifted,
    inserting,
    repeating,
    up,
)  # fmt: skip
from tests.faults.conftest import Row
from tests.fixtures.adoption import snapshot
from tests.fixtures.guard import short_folder
from tests.fixtures.meanwhile import meanwhile
from tests.fixtures.server_log import ServerLog
from tests.fixtures.site import Site, knows_seconds
from tests.fixtures.specs import STACK
from tests.fixtures.stack import Stack

AREA = "concurrency"
DEADLOCK = "deadlock detected"
#: What a session can hold, and the words that name its lock. The first is the sample.
LOCKS = {
    "the ledger": ("lock table bubble_sync.ledger in access exclusive mode", "bubble_sync.ledger"),
    "a function is dropped": ("drop function bubble_sync.record", "function bubble_sync.record("),
    "the log of requests": ("lock table bubble_sync.dispatches in access exclusive mode", "bubble_sync.dispatches"),
    "the alerts": ("lock table bubble_sync.alerts in access exclusive mode", "bubble_sync.alerts"),
    "the jobs": ("lock table cron.job in access exclusive mode", "cron.job"),
    "the runs": ("lock table cron.job_run_details in access exclusive mode", "cron.job_run_details"),
    "the secrets": ("lock table vault.secrets in access exclusive mode", "vault.secrets"),
    "the queue": ("lock table public.sync_queue in access exclusive mode", "public.sync_queue"),
    "the requests of pg_net": (
        "lock table net.http_request_queue in access exclusive mode", "net.http_request_queue",
    ),
    "the responses of pg_net": ("lock table net._http_response in access exclusive mode", "net._http_response"),
    "inserts into the queue": (INSERT, "public.sync_queue"),
    "a function is replaced": (
        "create or replace function public.invoke_bubble_sync_retry() returns void language plpgsql as 'begin end'",
        "function public.invoke_bubble_sync_retry(",
    ),
    "a function is granted": ("grant execute on function bubble_sync.record to anon", "pg_catalog.pg_proc"),
    "a function is commented": ("comment on function bubble_sync.record is 'x'", "function bubble_sync.record("),
    "a job is altered": (
        "select cron.alter_job(jobid, schedule => '1 1 1 1 *') from cron.job where jobname = 'bubble-sync-processor'",
        "cron.job",
    ),
    "a secret is updated": (
        "select vault.update_secret(id, 'x') from vault.secrets where name = 'supabase_url'", "vault.secrets",
    ),
    "a row of the ledger": ("update bubble_sync.ledger set stack = stack", "bubble_sync.ledger"),
    "a table is granted": ("grant select on bubble_sync.dispatches to authenticated", "pg_catalog.pg_class"),
    "pg_net is dropped": ("drop extension pg_net cascade", "extension pg_net"),
    "changes of bubble-sync": (
        "select pg_advisory_xact_lock(hashtextextended('bubble-sync', 0))", "changes of bubble-sync",
    ),
}  # fmt: skip
SAMPLE = tuple(LOCKS)[:1]
#: Each of the sweep's tests takes a part, so that processes can share them.
PARTS = 4


@pytest.fixture
def ready(site: Site) -> Site:
    """A stack with every optional object, and items that no attempt is left for."""
    up(site.db)
    site.by_hand(FAILED)
    return site


@contextmanager
def held(site: Site, statement: str) -> Iterator[int]:
    """Hold what a statement locks, in a transaction that stays open; give its pid."""
    with psycopg.connect(site.addresses.admin_url, application_name="by hand") as other:
        other.execute(statement.encode())
        yield other.info.backend_pid
        other.rollback()


def long_waits(log: str) -> dict[str, int]:
    """Count the waits of over a second, by the session that waited; the server may report one more than once."""
    waits: dict[str, int] = {}
    last: dict[str, float] = {}
    for pid, waited in re.findall(r"LOG:  process (\d+) still waiting for .* after ([\d.]+) ms", log):
        waits[pid] = waits.get(pid, 0) + (float(waited) <= last.get(pid, float("inf")))
        last[pid] = float(waited)
    return waits


def behind_a_lock(site: Site, log: ServerLog, name: str, row: Row) -> None:
    """Run an `up` that repairs, and the readers, while a session holds a lock; and a plain `up` afterwards."""
    statement, named = LOCKS[name]
    site.by_hand(*DRIFTS.values(), "alter role postgres set log_lock_waits = on")
    before = drifted(site)
    begun = len(log.appended)
    commands = Work(site).commands
    with held(site, statement) as pid:
        ended = at_once(site, {one: commands[one] for one in ("up", "drift", "verify", "doctor", "status")})
    waits = long_waits(log.appended[begun:])
    problems = {one: str(outcome.problem) for one, outcome in ended.items() if outcome.problem}

    assert DEADLOCK not in log.appended[begun:]
    for one, problem in problems.items():
        assert f"pid {pid} (application by hand, role supabase_admin, in a transaction since " in problem, (
            one,
            problem,
        )
        assert f"the lock on {named}" in problem, (one, problem)
    # Each command waits for the holder once; a connection of its own is a session.
    assert all(count == 1 for count in waits.values()), waits
    behind = re.match(r"converging (.+?): ", problems.get("up", ""))
    if behind:
        assert behind[1] in (left := drifted(site)) or behind[1] not in before, left
    with another(site) as database:
        up(database)
    assert drifted(site) == set()
    row.points += len(ended)
    row.converged = (row.converged or 0) + len(ended)
    row.commands = 1
    for one, outcome in ended.items():
        row.worst[one] = max(row.worst.get(one, 0), outcome.seconds)


def sweep_locks(ready: Site, server_log: ServerLog, tally: list[Row], names: Sequence[str]) -> None:
    row = Row(AREA, "a session holds a lock (in-process)")
    tally.append(row)
    for name in names:
        behind_a_lock(ready, server_log, name, row)


def test_a_command_names_who_holds_a_lock_and_the_next_up_converges(
    ready: Site, server_log: ServerLog, tally: list[Row]
):
    sweep_locks(ready, server_log, tally, SAMPLE)


@pytest.mark.matrix
@pytest.mark.parametrize("part", range(PARTS))
def test_every_lock_ends_a_command_after_one_wait(ready: Site, server_log: ServerLog, tally: list[Row], part: int):
    sweep_locks(ready, server_log, tally, tuple(LOCKS)[part::PARTS])


def mixed_rounds(ready: Site, log: ServerLog, tally: list[Row], rounds: range) -> None:
    row = Row(AREA, "rounds of commands at once (in-process)", converged=0, commands=1)
    tally.append(row)
    commands = Work(ready).commands
    for number in rounds:
        ready.by_hand(FAILED)
        # Every name in every round would be the same race again and again.
        chosen = {name: one for at, (name, one) in enumerate(commands.items()) if (at + number) % 3 or name == "up"}
        with repeating(ready, (INSERT, *list(DRIFTS.values())[number % 4 :][:2]), pause=0.03):
            ended = at_once(ready, chosen)
        refused = {name: str(one.problem) for name, one in ended.items() if one.problem}
        assert DEADLOCK not in log.appended, refused
        assert all(isinstance(one.problem, Busy) for one in ended.values() if one.problem), refused
        with another(ready) as database:
            up(database)
        assert drifted(ready) == set()
        row.points += len(ended)
        row.converged = (row.converged or 0) + len(ended)
        row.worst["command"] = max([row.worst.get("command", 0), *(one.seconds for one in ended.values())])


def test_commands_at_once_meet_no_deadlock(ready: Site, server_log: ServerLog, tally: list[Row]):
    mixed_rounds(ready, server_log, tally, range(1))


@pytest.mark.matrix
@pytest.mark.parametrize("part", range(5))
def test_a_hundred_rounds_of_commands_meet_no_deadlock(ready: Site, server_log: ServerLog, tally: list[Row], part: int):
    mixed_rounds(ready, server_log, tally, range(20 * part, 20 * part + 20))


def test_an_open_insert_holds_up_a_change_of_the_trigger_and_nothing_else_and_no_insert_waits(
    ready: Site, server_log: ServerLog, tally: list[Row]
):
    """With an insert open, whatever else needs a lock against inserts would wait, and be in the log."""
    ready.by_hand(
        *DRIFTS.values(),
        "alter role postgres set log_lock_waits = on",
        "alter role postgres set deadlock_timeout = '1ms'",
    )
    begun = len(server_log.appended)
    queue = ready.by_hand("select 'public.sync_queue'::regclass::oid::int as oid")[0]["oid"]
    commands = Work(ready).commands
    with held(ready, INSERT) as pid, inserting(ready, server_log, "1s") as inserts:
        refused = {name: at_once(ready, {name: one})[name].problem for name, one in commands.items()}
    waited = re.findall(rf"still waiting for (\w+) on relation {queue} ", server_log.appended[begun:])

    # The application's own wait behind the trigger's change is the other one, where the machine lets it be over 5 ms.
    assert {"ShareRowExclusiveLock"} <= set(waited) <= {"ShareRowExclusiveLock", "RowExclusiveLock"}
    # The trigger is disabled already, as `pause` wants it.
    assert {name for name, problem in refused.items() if problem} == {"up", "up again", "resume"}
    for problem in filter(None, refused.values()):
        assert isinstance(problem, Busy)
        assert f"the lock on public.sync_queue is held by pid {pid} (application by hand" in str(problem)
    assert inserts.failed == []
    assert inserts.done > 0
    tally.append(
        Row(AREA, "an insert stays open (in-process)", len(commands), len(commands), worst=_worst("insert", inserts))
    )


def _worst(name: str, inserts: Inserts) -> dict[str, float]:
    return {name: max((ms for _, ms in inserts.waits()), default=0) / 1000}


def measured(ready: Site, log: ServerLog, tally: list[Row], rounds: int) -> None:
    """Insert with a lock timeout of 5 ms while all of ours runs; and count what the trigger's change holds up."""
    commands = Work(ready).commands
    row = Row(AREA, "inserts with lock_timeout 5 ms, all of ours at once (in-process)", lost=0)
    tally.append(row)
    trigger = "trigger bubble_sync_wake"
    for _ in range(rounds):
        ready.by_hand(FAILED)
        by_hand = [statement for name, statement in DRIFTS.items() if name != trigger]
        others = {name: one for name, one in commands.items() if name not in ("pause", "resume")}
        with inserting(ready, log, "5ms") as inserts, repeating(ready, by_hand, pause=0.05):
            at_once(ready, others)
        assert inserts.failed == [], "an insert waited on us"
        assert inserts.waits() == []
        row.points += inserts.done
    woken = Row(AREA, "inserts while the wake trigger is made, dropped and disabled (in-process)", lost=0, converged=0)
    tally.append(woken)
    for statement in ("drop trigger bubble_sync_wake on public.sync_queue", DRIFTS[trigger]) * rounds:
        ready.by_hand(statement)
        begun = ServerLog(log.path)
        with inserting(ready, begun, "1s") as inserts, another(ready) as database:
            up(database)
        assert inserts.failed == []
        woken.points += 1
        woken.converged = (woken.converged or 0) + (drifted(ready) == set())
        woken.worst |= {"insert": max([*_worst("insert", inserts).values(), woken.worst.get("insert", 0)])}
    assert woken.converged == 2 * rounds


@pytest.mark.matrix
def test_inserts_wait_on_nothing_of_ours_but_a_change_of_the_trigger(
    ready: Site, server_log: ServerLog, tally: list[Row]
):
    measured(ready, server_log, tally, 10)


#: What a person repeats while `up` runs.
BY_A_PERSON = {
    "grants": (
        "grant execute on function bubble_sync.record to anon",
        "revoke execute on function bubble_sync.record from anon",
        "grant select on bubble_sync.dispatches to anon",
    ),
    "a schedule": ("select cron.schedule('bubble-sync-processor', '9 9 * * *', 'select 1')",),
    "a function": (DRIFTS["function public.invoke_bubble_sync_retry"], DRIFTS["function bubble_sync.record"]),
    "a dropped function": ("drop function public.invoke_bubble_sync_retry()",),
    "a secret": (DRIFTS["secret supabase_url"],),
    "a removed job": ("select cron.unschedule('bubble-sync-processor')",),
    "the trigger": (
        "alter table public.sync_queue disable trigger bubble_sync_wake",
        "drop trigger if exists bubble_sync_wake on public.sync_queue",
    ),
    "the ledger": ("delete from bubble_sync.ledger where object like 'job%'",),
}  # fmt: skip


def against_a_person(ready: Site, log: ServerLog, tally: list[Row], names: Sequence[str], rounds: int) -> None:
    row = Row(AREA, "up against a person's SQL in a loop (in-process)", converged=0, commands=1)
    tally.append(row)
    for name in names:
        with repeating(ready, BY_A_PERSON[name]) as won:
            for _ in range(rounds):
                (ended,) = at_once(ready, {"up": lambda db: up(db)}).values()
                assert ended.problem is None or isinstance(ended.problem, Busy), (name, str(ended.problem))
                row.points += 1
                row.worst["up"] = max(row.worst.get("up", 0), ended.seconds)
        assert won[0] > 0
        assert DEADLOCK not in log.appended
        with another(ready) as database:
            up(database)
        assert drifted(ready) == set()
        row.converged = (row.converged or 0) + rounds
    assert ready.by_hand("select jobname from cron.job group by 1 having count(*) > 1") == []


def test_up_against_a_persons_grants_converges(ready: Site, server_log: ServerLog, tally: list[Row]):
    against_a_person(ready, server_log, tally, ("grants",), 2)


@pytest.mark.matrix
@pytest.mark.long
def test_up_against_each_of_a_persons_statements_converges(ready: Site, server_log: ServerLog, tally: list[Row]):
    against_a_person(ready, server_log, tally, tuple(BY_A_PERSON), 10)


def two_stacks(site: Site, tally: list[Row], rounds: int) -> None:
    """Two first `up`s at once: of one prefix, where one is refused; then of two prefixes, where both converge."""
    row = Row(AREA, "two stacks at once, one prefix (in-process)", converged=0, commands=1)
    tally.append(row)
    stacks = {name: desired_state(SETTINGS, Owner(name)) for name in ("first", "second")}
    for _ in range(rounds):
        ended = at_once(site, {name: lambda db, specs=specs: up(db, specs) for name, specs in stacks.items()})  # type: ignore[misc]
        (owner,) = site.by_hand("select distinct stack from bubble_sync.ledger")
        (refused,) = [name for name, one in ended.items() if one.problem]
        assert isinstance(ended[refused].problem, ForeignObject)
        assert f"names stack '{owner['stack']}', but this is stack '{refused}'" in str(ended[refused].problem)
        assert drifted(site, stacks[owner["stack"]]) == set()
        row.points, row.converged = row.points + 1, (row.converged or 0) + 1
        site.by_hand("drop schema bubble_sync cascade")


def test_the_second_of_two_stacks_at_once_is_refused(site: Site, tally: list[Row]):
    two_stacks(site, tally, 1)


@pytest.mark.matrix
def test_the_second_of_two_stacks_at_once_is_refused_each_time(site: Site, tally: list[Row]):
    two_stacks(site, tally, 15)


@pytest.mark.matrix
def test_two_stacks_with_names_of_their_own_converge_at_once(ready: Site, server_log: ServerLog, tally: list[Row]):
    row = Row(AREA, "two stacks at once, two prefixes (in-process)", converged=0, commands=1)
    tally.append(row)
    ready.by_hand(*QUEUE)
    settings = SETTINGS.model_copy(update={"names": type(SETTINGS.names).model_validate(NAMES)})
    shop = desired_state(settings, Owner("shop"))

    def shop_up(_: Database) -> None:
        with another(ready, settings.names) as database:
            up(database, shop)

    for _ in range(15):
        ready.by_hand(*DRIFTS.values(), "drop schema if exists shop_sync cascade")
        ended = at_once(ready, {STACK: lambda db: up(db), "shop": shop_up})
        assert {name: str(one.problem) for name, one in ended.items() if one.problem} == {}
        assert drifted(ready) == set()
        row.points, row.converged = row.points + 2, (row.converged or 0) + 2
    assert DEADLOCK not in server_log.appended


def two_clones(site: Site, tally: list[Row], rounds: int) -> None:
    """One stack from two clones with a state each: both converge, whoever comes last has the claims."""
    row = Row(AREA, "one stack from two clones at once (in-process)", converged=0, commands=1)
    tally.append(row)
    for _ in range(rounds):
        ended = at_once(site, {name: lambda db, name=name: up(db, WANTED, name) for name in ("one", "other")})  # type: ignore[misc]
        assert {name: str(one.problem) for name, one in ended.items() if one.problem} == {}
        assert drifted(site) == set()
        claims = {
            each["claim"] for each in site.by_hand("select claim from bubble_sync.ledger where object <> 'settings'")
        }
        assert claims <= {"one", "other"}
        row.points, row.converged = row.points + 2, (row.converged or 0) + 2
        site.by_hand(*DRIFTS.values())
    assert site.by_hand("select jobname from cron.job group by 1 having count(*) > 1") == []
    with another(site) as database:
        up(database, WANTED, "one")
    # What a clone has lost the claim to, its `destroy` keeps.
    for spec in WANTED:
        if spec.kind == "job":
            assert site.remove(spec, "other")
    assert drifted(site) == set()


def test_one_stack_from_two_clones_converges(site: Site, tally: list[Row]):
    two_clones(site, tally, 1)


@pytest.mark.matrix
def test_one_stack_from_two_clones_converges_each_time(site: Site, tally: list[Row]):
    two_clones(site, tally, 15)


def seconds(row: Row, name: str, began: float) -> None:
    row.worst[name] = max(row.worst.get(name, 0), time.monotonic() - began)


@pytest.mark.matrix
@pytest.mark.parametrize("name", ["the ledger", "a function is replaced"])
def test_the_real_commands_end_behind_a_lock(
    converged: Stack, site: Site, server_log: ServerLog, tally: list[Row], name: str
):
    row = Row(AREA, "a session holds a lock (Pulumi CLI)", converged=0, commands=1)
    tally.append(row)
    site.by_hand(
        *(one for object_, one in DRIFTS.items() if not object_.startswith("trigger")),
        "alter role postgres set log_lock_waits = on",
    )
    before, begun = snapshot(site), len(server_log.appended)
    with held(site, LOCKS[name][0]) as pid:
        began = time.monotonic()
        said = " ".join(converged.up(expect=1).split())
        seconds(row, "up", began)
    waits = long_waits(server_log.appended[begun:])
    after = snapshot(site)

    assert f"the lock on {LOCKS[name][1]}" in said
    assert f" is held by pid {pid} (application by hand, role supabase_admin, in a transaction since " in said
    assert "Traceback" not in said
    assert set(waits.values()) == {1}, waits
    if name != "a function is replaced":  # which only the change waits for
        assert after == before
    converged.up()
    converged.expect_no_changes()
    row.points, row.converged = 1, 1


@pytest.mark.matrix
def test_two_clones_with_two_backends_go_up_at_once(stack: Stack, site: Site, tmp_path: Path, tally: list[Row]):
    row = Row(AREA, "one stack from two clones at once (Pulumi CLI)", converged=0, commands=1)
    tally.append(row)
    folder = tmp_path / "clone"
    shutil.copytree(stack.local.config_file.parent, folder)
    (folder / "state").mkdir(exist_ok=True)
    shutil.rmtree(folder / "state" / ".pulumi")
    environment = {**stack.local.environment, "PULUMI_BACKEND_URL": f"file://{folder / 'state'}"}
    clone = Stack(replace(stack.local, config_file=folder / stack.local.config_file.name, environment=environment))
    clone.run("stack", "init", "--no-select")

    for _ in range(2):
        began = time.monotonic()
        processes = [one.start("up", "--yes", "--skip-preview") for one in (stack, clone)]
        assert [one.wait() for one in processes] == [0, 0]
        seconds(row, "up", began)
        row.points += 2
    # One of them has the claims now; a plain `up` of either takes them, and has nothing left to do.
    for one in (stack, clone):
        one.up()
        one.expect_no_changes()
        row.converged = (row.converged or 0) + 2
    assert site.by_hand("select jobid from cron.job") == [{"jobid": 1}, {"jobid": 2}]


@pytest.mark.matrix
def test_the_real_commands_at_once(converged: Stack, site: Site, server_log: ServerLog, tally: list[Row]):
    row = Row(AREA, "commands at once, and inserts with lock_timeout 5 ms (Pulumi CLI)", converged=0, commands=1)
    tally.append(row)
    commands = ("verify", "doctor", "drift", "status", "diff", "runs", "requeue --dead --yes", "run-now")
    site.by_hand(FAILED, *(one for object_, one in DRIFTS.items() if not object_.startswith("trigger")))
    with inserting(site, server_log, "5ms") as inserts:
        going = converged.start("up", "--yes", "--skip-preview")
        threads = [threading.Thread(target=converged.ours, args=one.split()) for one in commands]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert going.wait() == 0
    assert (inserts.failed, inserts.waits()) == ([], [])
    assert "Traceback" not in "".join(converged.said)
    assert DEADLOCK not in server_log.appended
    converged.expect_no_changes()
    row.points = row.converged = len(commands) + 1


@pytest.mark.matrix
def test_up_repairs_while_the_scheduler_runs_each_job_every_second(pytestconfig: pytest.Config, tally: list[Row]):
    row = Row(AREA, "up while pg_cron runs the jobs each second (in-process)", converged=0, commands=1, lost=0)
    tally.append(row)
    platform = Platform(short_folder(pytestconfig))
    try:
        addresses = platform.start()
        with closing(Database(read_database_url(addresses.database_url))) as database:
            site = Site(addresses, database)
            if not knows_seconds(site):
                pytest.skip("this pg_cron knows no seconds: POSTGRES=17 has a newer one")
            ticking = [
                one.model_copy(update={"schedule": "1 second"}) if isinstance(one, CronJobSpec) else one
                for one in WANTED
            ]
            up(database, ticking)
            for _ in range(20):
                site.by_hand(*DRIFTS.values())
                ended = at_once(site, {"up": lambda db: up(db, ticking)})["up"]
                assert ended.problem is None
                assert drifted(site, ticking) == set()
                row.points, row.converged = row.points + 1, (row.converged or 0) + 1
                row.worst["up"] = max(row.worst.get("up", 0), ended.seconds)
            runs = "select count(*) from cron.job_run_details where status in ('succeeded', 'failed')"
            poll(lambda: site.by_hand(runs)[0]["count"], lambda found: found >= 5, 60)
            failed = "select return_message from cron.job_run_details where status = 'failed'"
            said = [one["return_message"] for one in site.by_hand(failed)]
            # A tick that meets the hand's own version of a function, or a key that a hand has changed, is theirs.
            assert [one for one in said if "cache lookup" in one or "deadlock" in one or "concurrently" in one] == []
    finally:
        platform.remove()


def test_a_vacuum_of_the_catalog_is_not_named_in_place_of_who_changed_the_row(ready: Site, server_log: ServerLog):
    with held(ready, "lock table pg_catalog.pg_proc in share update exclusive mode"):
        behind_a_lock(ready, server_log, "a function is granted", Row(AREA, ""))


@contextmanager
def flapping(site: Site, statement: str) -> Iterator[None]:
    """Hold a lock for a moment, again and again, as a vacuum that truncates a table does."""

    def flap(stop: threading.Event) -> None:
        with psycopg.connect(site.addresses.admin_url, application_name="a vacuum") as conn:
            while not stop.wait(0.01):
                conn.execute(statement.encode())
                stop.wait(0.03)
                conn.rollback()

    with meanwhile(flap):
        yield


def test_a_catalog_that_is_locked_for_moments_hides_no_holder(ready: Site, server_log: ServerLog):
    with flapping(ready, "lock table pg_catalog.pg_proc in access exclusive mode"):
        behind_a_lock(ready, server_log, "a function is granted", Row(AREA, ""))


def test_who_changed_the_row_is_named_while_others_change_other_rows(ready: Site, server_log: ServerLog):
    other = "create or replace function public.other() returns void language sql as 'select'"
    with repeating(ready, [other], pause=0):
        behind_a_lock(ready, server_log, "a function is granted", Row(AREA, ""))
