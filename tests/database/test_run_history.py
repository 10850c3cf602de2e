"""The function of the job bubble-sync-history: the runs that a call deletes, their number, and a busy table."""

from __future__ import annotations

import json
from dataclasses import dataclass

import psycopg
import pytest

from bubble_sync.config.settings import HistorySettings
from bubble_sync.model.jobs import ALERT_JOB, HISTORY_JOB, PROCESSOR
from bubble_sync.specs import Owner
from bubble_sync.sql_loader import with_constants
from tests.fixtures.breaking import UNTIL_THE_WORKERS_ARE_BACK
from tests.fixtures.pages import pages_read
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK, functions_in

NOW = "extract(epoch from pg_catalog.now())"
LOCKED = "[bubble_sync_history] The run history is locked, nothing deleted; the next run tries again"
OTHERS = 99


@dataclass(frozen=True)
class History:
    """A project whose history pg_cron's launcher does not touch: a test writes the runs."""

    site: Site

    def install(self, *, limits: dict[str, int | str] | None = None, now: str = NOW, **given: object) -> None:
        """Install the function, with other limits of a call and another time for its window if wanted."""
        settings = HistorySettings.model_validate({"keep_days": 7, **given})
        (spec,) = functions_in("history", history=settings)
        assert NOW in spec.body
        body = with_constants(spec.body, limits or {}).replace(NOW, now)
        self.site.converge(spec.model_copy(update={"body": body}))

    def run(self, ago: str = "8 days", *, count: int = 1, jobid: int | None = None, **columns: str) -> None:
        """Write finished runs of the processor, or of another job, which began and ended so long ago."""
        given = {
            "jobid": "(select jobid from cron.job where jobname = 'bubble-sync-processor')" if jobid is None else jobid,
            "username": "'postgres'",
            "database": "current_database()",
            "command": "'select 1'",
            "status": "'succeeded'",
            "start_time": f"now() - interval '{ago}'",
            "end_time": f"now() - interval '{ago}'",
            "runid": "coalesce((select max(runid) from cron.job_run_details), 0) + number",
            **columns,
        }
        self.site.by_hand(
            f"insert into cron.job_run_details ({', '.join(given)}) select {', '.join(map(str, given.values()))} "
            f"from generate_series(1, {count}) as number"
        )

    def call(self, url: str = "") -> list[str]:
        """Run the job's command as its role; return the notices."""
        notices: list[str] = []
        with psycopg.connect(url or self.site.addresses.database_url, autocommit=True) as conn:
            conn.add_notice_handler(lambda one: notices.append(one.message_primary or ""))
            conn.execute(HISTORY_JOB.command)
        return notices

    def kept(self) -> list[int]:
        return [row["runid"] for row in self.site.by_hand("select runid from cron.job_run_details order by runid")]


@pytest.fixture
def history(prepared: Site) -> History:
    """A project with the job and its function, and without any run."""
    for job in (PROCESSOR, HISTORY_JOB):
        prepared.converge(job.spec(Owner(STACK), "0 0 1 1 *"))
    # Its launcher, which the reset has ended, marks unfinished runs as failed when it starts again.
    prepared.by_hand(UNTIL_THE_WORKERS_ARE_BACK, "delete from cron.job_run_details")
    made = History(prepared)
    made.install()
    return made


def test_old_runs_of_the_stack_go_and_young_ones_stay(history: History):
    history.run("8 days")
    history.run("169 hours")
    history.run("167 hours")
    history.run("1 minute")

    assert history.call() == ["[bubble_sync_history] Deleted 2 old runs"]
    assert history.kept() == [3, 4]
    assert history.call() == []


@pytest.mark.parametrize(("of_all_jobs", "kept"), [(False, [1, 3]), (True, [])])
def test_runs_of_other_jobs_stay_unless_all_are_wanted(history: History, of_all_jobs: bool, kept: list[int]):
    history.install(of_all_jobs=of_all_jobs)
    history.run(jobid=OTHERS)
    history.run()
    history.run(jobid=OTHERS, username="'anon'")

    history.call()

    assert history.kept() == kept


def test_runs_of_a_job_that_was_unscheduled_since_are_known_by_their_command(history: History):
    for command in (PROCESSOR.command, ALERT_JOB.command, HISTORY_JOB.command):
        history.run(jobid=OTHERS, command=f"'{command}'")
    history.run(jobid=OTHERS, command=f"'{PROCESSOR.command}'", username="'anon'")
    history.run(jobid=OTHERS, command=f"'{PROCESSOR.command}'", database="'elsewhere'")

    history.call()

    assert history.kept() == [4, 5]


def test_the_job_of_another_role_with_our_name_is_not_ours(history: History):
    (job,) = history.site.by_hand(
        "insert into cron.job (schedule, command, nodeport, database, username, jobname) "
        "values ('0 0 1 1 *', 'select 1', 5432, 'postgres', 'anon', 'bubble-sync-processor') returning jobid"
    )
    history.run(jobid=job["jobid"], username="'anon'")

    assert history.call() == []
    assert history.kept() == [1]


@pytest.mark.parametrize("status", ["starting", "connecting", "sending", "running"])
def test_a_run_that_has_not_ended_stays_however_old(history: History, status: str):
    history.run("300 days", status=f"'{status}'", end_time="null::timestamptz")
    history.run("300 days", status=f"'{status}'")
    history.run("200 days")

    history.call()

    assert history.kept() == [1, 2]


def test_a_failed_run_without_an_end_goes_by_its_start(history: History):
    history.run("8 days", status="'failed'", end_time="null::timestamptz")
    history.run("6 days", status="'failed'", end_time="null::timestamptz")

    history.call()

    assert history.kept() == [2]


def test_a_run_that_never_started_goes_with_an_old_run_after_it(history: History):
    never = {"status": "'failed'", "start_time": "null::timestamptz", "end_time": "null::timestamptz"}
    history.run(**never)
    history.run("8 days", jobid=OTHERS)
    history.run(**never)
    history.run("6 days")

    history.call()

    assert history.kept() == [2, 3, 4]


def test_a_call_deletes_so_many_and_the_next_calls_the_rest(history: History):
    history.install(limits={"most_rows": 10})
    history.run(count=25)

    left = []
    for _ in range(4):
        history.call()
        left.append(len(history.kept()))

    assert left == [15, 5, 0, 0]


def test_a_call_reads_one_window_and_later_calls_each_of_the_others(history: History):
    limits: dict[str, int | str] = {"window_pages": 2}
    history.run(count=1000)
    (size,) = history.site.by_hand("select pg_relation_size('cron.job_run_details') / 8192 as pages")
    windows = -(-size["pages"] // 2)
    assert windows > 4

    left = []
    for number in range(windows):
        history.install(limits=limits, now=str(600 * (windows + number)))
        history.call()
        left.append(len(history.kept()))

    assert sorted(set(left), reverse=True) == left
    assert (left[0] > 700, left[-1]) == (True, 0)


def test_the_pages_that_a_call_reads_do_not_grow_with_the_history(history: History):
    def pages() -> int:
        with psycopg.connect(history.site.addresses.database_url) as conn:
            return pages_read(conn, HISTORY_JOB.command)

    history.install(limits={"window_pages": 4})
    history.run("1 day", count=1000, jobid=OTHERS)
    history.site.by_hand("vacuum analyze cron.job_run_details")
    short = pages()
    history.run("1 day", count=20_000, jobid=OTHERS)
    history.site.by_hand("vacuum analyze cron.job_run_details")
    (size,) = history.site.by_hand("select pg_relation_size('cron.job_run_details') / 8192 as pages")

    assert size["pages"] > 200
    assert pages() <= short + 10


@pytest.mark.parametrize(
    "busy",
    [
        "lock table cron.job_run_details in access exclusive mode",
        "lock table cron.job_run_details in share mode",
        "delete from cron.job_run_details where runid = 1",
    ],
    ids=["a table locked for all", "a table locked for writers", "a row that another clean-up deletes"],
)
def test_a_busy_history_ends_the_call_with_a_notice_and_nothing_deleted(history: History, busy: str):
    history.run(count=3)
    with psycopg.connect(history.site.addresses.admin_url) as other:
        other.execute(busy)  # type: ignore[call-overload]
        assert history.call() == [LOCKED]
        other.rollback()

    assert history.kept() == [1, 2, 3]
    assert history.call() == ["[bubble_sync_history] Deleted 3 old runs"]


def test_of_two_calls_at_the_same_time_one_does_nothing(history: History):
    history.run()
    with psycopg.connect(history.site.addresses.database_url) as first:
        first.execute(HISTORY_JOB.command)  # type: ignore[call-overload]
        history.run()
        assert history.call() == []

    assert history.kept() == [2]


def test_a_role_under_row_security_deletes_its_own_runs_alone(history: History):
    history.install(of_all_jobs=True)
    role = history.site.as_role(
        "sweeper",
        "grant usage on schema bubble_sync, cron to sweeper",
        "grant execute on function bubble_sync.delete_old_runs to sweeper",
    )
    role.db.close()
    history.run(jobid=OTHERS)
    history.run(jobid=OTHERS, username="'sweeper'")

    port = history.site.addresses.database_port
    assert history.call(f"postgresql://sweeper:p@127.0.0.1:{port}/postgres") == [
        "[bubble_sync_history] Deleted 1 old runs"
    ]
    assert history.kept() == [1]


def test_the_function_holds_the_names_and_commands_of_every_job(history: History):
    (row,) = history.site.by_hand(
        "select substring(prosrc from 'own_jobs constant text := ''([^\n]*)''') as jobs from pg_proc "
        "where oid = 'bubble_sync.delete_old_runs()'::regprocedure"
    )

    assert json.loads(row["jobs"]) == {
        "bubble-sync-processor": "SELECT public.invoke_bubble_sync_processor()",
        "bubble-sync-retry": "SELECT public.invoke_bubble_sync_retry()",
        "bubble-sync-alerts": "SELECT bubble_sync.alert()",
        "bubble-sync-history": "SELECT bubble_sync.delete_old_runs()",
    }
