"""Probes of pg_cron, which is the real one everywhere: what is scheduled, by whom, and how a run is recorded."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress

import psycopg
import pytest

from tests.contract import catalog
from tests.contract.outcomes import skip_for
from tests.contract.server import refusal, uses_background_workers, wait_until

NAME = "bubble-sync contract"
OTHER = "bubble_sync_contract"
#: pg_cron starts jobs when the minute is full.
A_MINUTE = 75.0
EVERY_MINUTE = "* * * * *"


@pytest.fixture
def cron(caller):
    yield caller
    caller.execute("reset all; reset role")
    clear(caller)


def clear(connection, but=-1):
    names = connection.execute(
        "select jobid from cron.job where jobname like %s and jobid <> %s", (f"{NAME}%", but)
    ).fetchall()
    for (number,) in names:
        with suppress(psycopg.Error):
            connection.execute("select cron.unschedule(%s::bigint)", (number,))


@contextmanager
def another_role(admin, role):
    """Work as a role that may use pg_cron and nothing else."""
    admin.execute(f"create role {role} login")
    admin.execute(f"grant usage on schema cron to {role}")
    admin.execute(f"set role {role}")
    try:
        yield admin
    finally:
        admin.execute("reset role")
        with suppress(psycopg.Error):
            clear(admin)
        admin.execute(f"drop owned by {role}; drop role {role}")


@pytest.fixture
def other(admin):
    with another_role(admin, OTHER) as connection:
        yield connection


def schedule(connection, name=NAME, when="0 5 31 2 *", command="select 1"):
    return connection.execute("select cron.schedule(%s, %s, %s)", (name, when, command)).fetchone()[0]


def job(connection, number):
    """A job, with its number and what differs from server to server taken out."""
    found = catalog.rows(
        connection,
        "select jobname, schedule, command, username = current_user as mine, active,"
        " database = current_database() as here from cron.job where jobid = %s",
        (number,),
    )
    return found[0] if found else None


def without_number(refused, number):
    return {**refused, "message": refused["message"].replace(str(number), "<number>")}


# What is there


@pytest.mark.parametrize("name", ["schedule", "schedule_in_database", "alter_job", "unschedule"])
def test_function(cron, name):
    return catalog.function(cron, "cron", name)


@pytest.mark.parametrize("table", ["job", "job_run_details"])
def test_columns(cron, table):
    found = catalog.columns(cron, f"cron.{table}")
    # The port of this server.
    return [[*column[:3], None if column[0] == "nodeport" else column[3]] for column in found]


@pytest.mark.parametrize("table", ["job", "job_run_details"])
def test_table(cron, table):
    return catalog.relation(cron, f"cron.{table}")


@pytest.mark.parametrize("table", ["job", "job_run_details"])
def test_policy(cron, table):
    return catalog.rows(
        cron,
        "select polcmd::text, polpermissive, pg_get_expr(polqual, polrelid) as rows from pg_policy"
        " where polrelid = %s::regclass",
        (f"cron.{table}",),
    )


@pytest.mark.parametrize("table", ["job", "job_run_details"])
@pytest.mark.parametrize("role", ["public", "postgres"])
def test_privileges(hosted, role, table):
    return catalog.privileges(hosted, role, f"cron.{table}")


@pytest.mark.parametrize("role", ["public", "postgres", "anon"])
def test_usage_of_the_schema(hosted, role):
    return hosted.execute("select has_schema_privilege(%s, 'cron', 'usage')", (role,)).fetchone()[0]


def test_extension(cron):
    return catalog.rows(
        cron,
        "select nspname, extrelocatable, cardinality(extconfig) as dumped"
        " from pg_extension join pg_namespace on pg_namespace.oid = extnamespace where extname = 'pg_cron'",
    )


# Scheduling


def test_scheduled(cron):
    return job(cron, schedule(cron))


def test_scheduled_without_a_name(cron):
    with cron.transaction(force_rollback=True):
        return job(cron, cron.execute("select cron.schedule('0 5 31 2 *', 'select 1')").fetchone()[0])


def test_scheduled_again_keeps_its_number_and_takes_the_rest(cron):
    first = schedule(cron)
    second = schedule(cron, when="1 5 31 2 *", command="select 2")
    return {"same": first == second, **job(cron, second)}


def test_scheduled_again_stays_inactive(cron):
    number = schedule(cron)
    cron.execute("select cron.alter_job(%s, active := false)", (number,))
    return job(cron, schedule(cron, command="select 2"))


def test_scheduled_with_a_null_name(cron):
    return refusal(cron, "select cron.schedule(null::text, '* * * * *', 'select 1')")


def test_scheduled_with_an_empty_name(cron):
    with cron.transaction(force_rollback=True):
        return job(cron, schedule(cron, name=""))["jobname"]


def test_scheduled_with_a_long_name(cron):
    number = schedule(cron, name=f"{NAME} {'x' * 100}")
    return len(job(cron, number)["jobname"])


def test_scheduled_with_signs_in_the_name(cron):
    return job(cron, schedule(cron, name=f"{NAME} 'ž\" %%"))["jobname"]


def test_scheduled_with_a_command_of_many_lines(cron):
    return job(cron, schedule(cron, command="select 'ž';\n  select $$x$$;\n"))["command"]


@pytest.mark.parametrize("null", ["schedule", "command"])
def test_scheduled_with_null(cron, null):
    values = {"schedule": "* * * * *", "command": "select 1", null: None}
    return refusal(cron, "select cron.schedule(%s, %s, %s)", (NAME, values["schedule"], values["command"]))


def test_scheduling_is_rolled_back(cron):
    with cron.transaction(force_rollback=True):
        number = schedule(cron)
    return job(cron, number)


SCHEDULES = [
    "* * * * *",
    "*/5 * * * *",
    "0 5 31 2 *",
    "1,2-9/3 0 1 1 0",
    "0 0 * * 7",
    "0 0 * jan mon",
    "0 0 * JAN MON",
    "  * * * * *",
    "* * * * *  ",
    "*  *\t*  * *",
    "@daily",
    "@reboot",
    "@every_minute",
    "1 second",
    "5 seconds",
    "59 seconds",
    "60 seconds",
    "0 seconds",
    "5 SECONDS",
    "0 0 $ * *",
    "60 * * * *",
    "* 24 * * *",
    "* * 0 * *",
    "* * * 13 *",
    "* * * * 8",
    "*/0 * * * *",
    "5-1 * * * *",
    "* * * *",
    "* * * * * *",
    "",
    "nonsense",
    "* * * * *; drop",
]


@pytest.mark.parametrize("when", SCHEDULES, ids=repr)
def test_schedule(cron, when):
    with cron.transaction(force_rollback=True):
        found = refusal(cron, "select cron.schedule(%s, %s, 'select 1')", (NAME, when))
        return found if found["sqlstate"] else "accepted"


def test_schedule_in_database(cron):
    (number,) = cron.execute(
        "select cron.schedule_in_database(%s, '0 5 31 2 *', 'select 1', current_database(), active := false)", (NAME,)
    ).fetchone()
    return job(cron, number)


def test_schedule_in_a_database_that_is_not_there(cron):
    return refusal(cron, "select cron.schedule_in_database(%s, '0 5 31 2 *', 'select 1', 'nowhere')", (NAME,))


def test_schedule_for_another_role(hosted):
    statement = "select cron.schedule_in_database(%s, '0 5 31 2 *', 'select 1', current_database(), username := 'anon')"
    return refusal(hosted, statement, (NAME,))


# Changing

CHANGES = {
    "schedule": "schedule := '1 5 31 2 *'",
    "command": "command := 'select 2'",
    "active": "active := false",
    "everything": "'1 5 31 2 *', 'select 2', current_database(), null, false",
}


@pytest.mark.parametrize("change", CHANGES)
def test_altered(cron, change):
    number = schedule(cron)
    cron.execute(f"select cron.alter_job(%s, {CHANGES[change]})", (number,))
    return job(cron, number)


NO_CHANGES = {
    "nothing": "select cron.alter_job(%s)",
    "to what it is": "select cron.alter_job(%s, schedule := '0 5 31 2 *')",
    "schedule that is none": "select cron.alter_job(%s, schedule := 'nonsense')",
    "to its own role": "select cron.alter_job(%s, username := current_user::text)",
    "database that is not there": "select cron.alter_job(%s, database := 'nowhere')",
    "job that is not there": "select cron.alter_job(-%s, active := false)",
}


@pytest.mark.parametrize("change", NO_CHANGES)
def test_alter(hosted, cron, change):
    number = schedule(cron)
    return without_number(refusal(hosted, NO_CHANGES[change], (number,)), number)


def test_alter_to_another_role(hosted):
    number = schedule(hosted)
    found = without_number(refusal(hosted, "select cron.alter_job(%s, username := 'anon')", (number,)), number)
    clear(hosted)
    return found


WRITES = {
    "insert": "insert into cron.job (schedule, command) values ('* * * * *', 'select 1')",
    "update": "update cron.job set active = false",
    "delete": "delete from cron.job where false",
    "delete runs": "delete from cron.job_run_details where false",
    "update runs": "update cron.job_run_details set status = 'x'",
    "truncate runs": "truncate cron.job_run_details",
}


@pytest.mark.parametrize("write", WRITES)
def test_refused_to_the_caller(hosted, write):
    return refusal(hosted, WRITES[write])


# Unscheduling


def test_unscheduled_by_number(cron):
    number = schedule(cron)
    return [cron.execute("select cron.unschedule(%s::bigint)", (number,)).fetchone()[0], job(cron, number)]


@pytest.mark.parametrize("type_", ["text", "name"])
def test_unscheduled_by_name(cron, type_):
    number = schedule(cron)
    return [cron.execute(f"select cron.unschedule(%s::{type_})", (NAME,)).fetchone()[0], job(cron, number)]


def test_unschedule_with_an_untyped_parameter(cron):
    schedule(cron)
    return refusal(cron, "select cron.unschedule(%s)", (NAME,))


@pytest.mark.parametrize("what", ["'nowhere'::text", "'nowhere'::name", "-1::bigint", "null::text", "null::bigint"])
def test_unschedule_what_is_not_there(cron, what):
    return refusal(cron, f"select cron.unschedule({what})")


def test_unscheduling_is_rolled_back(cron):
    number = schedule(cron)
    with cron.transaction(force_rollback=True):
        cron.execute("select cron.unschedule(%s::bigint)", (number,))
    return job(cron, number) is not None


# Other people's jobs


def test_role_without_usage(admin):
    admin.execute("set role anon")
    return {
        statement: refusal(admin, f"select {statement}")
        for statement in ("cron.schedule('* * * * *', 'select 1')", "count(*) from cron.job")
    }


def test_role_with_usage(other):
    number = schedule(other)
    return {
        "job": job(other, number),
        "alter_job": refusal(other, "select cron.alter_job(%s, active := false)", (number,)),
        "schedule_in_database": refusal(
            other, "select cron.schedule_in_database(%s, '0 5 31 2 *', 'select 1', 'postgres')", (NAME,)
        ),
    }


def test_two_roles_have_each_a_job_of_one_name(cron, other):
    mine, theirs = schedule(cron), schedule(other)
    return {"apart": mine != theirs, "they see mine": job(other, mine), "I see theirs": job(cron, theirs)}


def test_job_of_another_role_is_not_altered(hosted, other):
    number = schedule(other)
    return {
        "alter": without_number(refusal(hosted, "select cron.alter_job(%s, active := false)", (number,)), number),
        "by name": refusal(hosted, "select cron.unschedule(%s::text)", (NAME,)),
        "by number": refusal(hosted, "select cron.unschedule(%s::bigint)", (number,))["sqlstate"],
        "left": job(other, number) is not None,
    }


def test_role_sees_its_own_runs_only(cron, other):
    return other.execute("select count(*) from cron.job_run_details where username <> current_user").fetchone()[0]


def test_create_in_another_database(admin, server):
    with psycopg.connect(server.admin_dsn, dbname="template1", autocommit=True) as elsewhere:
        return refusal(elsewhere, "create extension pg_cron")


# Runs

RUNS = {
    "one row": "select 1",
    "three rows": "select generate_series(1, 3)",
    "nothing to return": "do $$ begin end $$",
    "two statements": "select 1; select 2",
    "an update": "update cron.job_run_details set status = status where false",
    "error": "select 1/0",
    "error with a text": "do $$ begin raise exception 'my text'; end $$",
    "warning": "do $$ begin raise warning 'my text'; end $$",
    "no SQL": "nonsense",
    "nothing": "",
    "error in the second": "select 1; select 1/0",
}


def runs_of(connection, number):
    return catalog.rows(
        connection,
        "select status, return_message, command, username = current_user as mine, end_time is not null as ended,"
        " job_pid is not null as has_pid"
        " from cron.job_run_details where jobid = %s and status not in ('starting', 'connecting', 'sending')"
        " order by runid limit 1",
        (number,),
    )


def is_over(connection, number):
    found = runs_of(connection, number)
    return bool(found) and found[0]["status"] in ("succeeded", "failed")


LONG = {
    "unscheduled": "select pg_sleep(100)",
    "cancelled": "select pg_sleep(101)",
    "cut off": "select pg_sleep(102)",
}
INACTIVE = {"inactive": "select 3"}
BOTH = f"{NAME} both"


def see_long_ones_run(cron, numbers):
    """Wait until they run, end two of them, and return what is said of a running one."""
    running = (
        "select count(*) from pg_stat_activity where query = any(%s) and state = 'active' and pid <> pg_backend_pid()"
    )
    waits = list(LONG.values())
    assert wait_until(lambda: cron.execute(running, (waits,)).fetchone()[0] == len(LONG), A_MINUTE, 0.1)
    during = runs_of(cron, numbers["unscheduled"])
    cron.execute("select pg_cancel_backend(pid) from pg_stat_activity where query = %s", (LONG["cancelled"],))
    cron.execute("select cron.unschedule(%s::bigint)", (numbers["unscheduled"],))
    return during


def run_them(cron, other):
    """Schedule everything at once, so that all of it starts at one full minute, and return what was recorded."""
    workers = uses_background_workers(cron)
    # In background-worker mode pg_cron 1.4.2 waits for a long job, and records nothing of the others until it ends; and
    # an empty command never ends.
    commands = {**RUNS, **({} if workers else LONG), **INACTIVE}
    numbers = {name: schedule(cron, f"{NAME} {name}", EVERY_MINUTE, text) for name, text in commands.items()}
    numbers["mine"] = schedule(cron, BOTH, EVERY_MINUTE, "select 4")
    theirs = schedule(other, BOTH, EVERY_MINUTE, "select 4") if other else None
    cron.execute("select cron.alter_job(%s, active := false)", (numbers["inactive"],))
    seen = {} if workers else {"running": see_long_ones_run(cron, numbers)}
    ended = [
        number for name, number in numbers.items() if name not in {"inactive", "cut off", "nothing" if workers else ""}
    ]
    assert wait_until(lambda: all(is_over(cron, number) for number in ended), A_MINUTE, 0.1)
    seen.update({name: runs_of(cron, number) for name, number in numbers.items()})
    if theirs:
        assert wait_until(lambda: is_over(other, theirs), 20.0, 0.1)
        seen["theirs"] = runs_of(other, theirs)
        seen["theirs of mine"] = runs_of(other, numbers["mine"])
    # A run whose job goes is cancelled: this one is to be cut off by the restart.
    clear(cron, but=numbers.get("cut off", -1))
    return seen, numbers


@pytest.fixture(scope="module")
def runs(server):
    """What pg_cron recorded at a full minute, and after a restart."""
    with ExitStack() as stack:
        cron = stack.enter_context(server.connect())
        admin = stack.enter_context(server.connect(server.admin_dsn)) if server.admin_dsn else None
        other = stack.enter_context(another_role(admin, f"{OTHER}_runs")) if admin else None
        seen, numbers = run_them(cron, other)
    restarted = server.platform and "cut off" in numbers
    if restarted:
        server.platform.stop()
        server.start()
    with server.connect() as cron:
        if restarted:
            assert wait_until(lambda: is_over(cron, numbers["cut off"]), 20.0, 0.1)
            seen["cut off"] = runs_of(cron, numbers["cut off"])
        clear(cron)
        cron.execute("delete from cron.job_run_details where jobid = any(%s)", (list(numbers.values()),))
    return seen


@pytest.fixture
def long_runs(runs, request):
    if "running" not in runs:
        skip_for(request, "mode without background workers")
    return runs


@pytest.mark.matrix
@pytest.mark.parametrize("kind", [*RUNS, "inactive"])
def test_run(runs, kind):
    return runs[kind]


@pytest.mark.matrix
@pytest.mark.parametrize("kind", ["running", "unscheduled", "cancelled"])
def test_long_run(long_runs, kind):
    return long_runs[kind]


@pytest.mark.matrix
def test_run_cut_off_by_a_restart(ours, long_runs):
    # What it says depends on who notices first: the job's connection, or pg_cron when it starts again.
    return [row["status"] for row in long_runs["cut off"]]


@pytest.mark.matrix
def test_runs_of_two_roles_with_one_name(admin, runs):
    return {name: runs[name] for name in ("mine", "theirs", "theirs of mine")}


def test_run_of_seconds(cron):
    """A second's schedule, where there is one."""
    with cron.transaction(force_rollback=True):
        known = refusal(cron, "select cron.schedule(%s, '1 second', 'select 5')", (NAME,))["sqlstate"] is None
    if not known:
        return "no such schedule"
    number = schedule(cron, when="1 second", command="select 5")
    assert wait_until(lambda: is_over(cron, number), 20.0, 0.1)
    found = runs_of(cron, number)
    clear(cron)
    cron.execute("delete from cron.job_run_details where jobid = %s", (number,))
    return found
