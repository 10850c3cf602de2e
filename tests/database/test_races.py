"""Changes at the same time as a person's: begun anew until they win, or told with who else changes something."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from bubble_sync.database.database import Connection
from bubble_sync.errors import Busy, ServerRefused, SyncError
from bubble_sync.specs import Spec
from tests.fixtures.meanwhile import meanwhile
from tests.fixtures.site import Site
from tests.fixtures.specs import function_spec, job_spec, secret_spec

JOB = "select cron.alter_job(jobid, schedule => '*/9 * * * *') from cron.job where jobname = 'bubble-sync-processor'"
FUNCTION = "create or replace function public.tick() returns void language plpgsql as 'begin null; end'"
SECRET = "select vault.update_secret(id, 'https://other.example') from vault.secrets where name = 'supabase_url'"
SECRET_ANEW = (
    "do $$ begin delete from vault.secrets where name = 'supabase_url'; "
    "perform vault.create_secret('https://other.example', 'supabase_url', 'theirs'); end $$"
)


@contextmanager
def hammering(site: Site, statement: str, pause: float) -> Iterator[None]:
    """Run a statement as the stack's role again and again, as long as the block lasts."""

    def hammer(stop: threading.Event) -> None:
        with psycopg.connect(site.addresses.database_url, autocommit=True, application_name="somebody") as conn:
            while not stop.wait(pause):
                try:
                    conn.execute(statement)
                except psycopg.DatabaseError:
                    continue  # theirs may lose too

    with meanwhile(hammer):
        yield


@pytest.mark.parametrize(
    ("specs", "statement", "pause"),
    [
        ([job_spec(schedule=f"{number} * * * *") for number in range(2)], JOB, 0.002),
        ([function_spec(body=f"begin perform {number}; end") for number in range(2)], FUNCTION, 0.002),
        ([secret_spec(value=f"https://{number}.example") for number in range(2)], SECRET, 0.002),
        ([secret_spec(value=f"https://{number}.example") for number in range(2)], SECRET_ANEW, 0.1),
    ],
    ids=["job", "function", "secret", "secret made anew"],
)
def test_no_change_is_lost_to_somebody_who_changes_the_same(
    prepared: Site, specs: list[Spec], statement: str, pause: float
):
    lost = []
    prepared.converge(specs[0])
    with hammering(prepared, statement, pause):
        for number in range(40):
            try:
                prepared.converge(specs[number % 2])
            except SyncError as problem:
                lost.append(str(problem))

    assert lost == []


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_a_roles_isolation_level_changes_nothing(prepared: Site, level: str):
    prepared.by_hand(f"alter role postgres set default_transaction_isolation = '{level}'")
    prepared.end_sessions()
    prepared.converge(secret_spec(value="https://one.example"))

    made = prepared.converge(secret_spec(value="https://two.example"))

    assert made.actual == secret_spec(value="https://two.example")


def test_a_race_that_is_lost_each_time_names_who_else_changes_something(site: Site):
    tried = []

    def losing(conn: Connection) -> None:
        tried.append(conn)
        conn.execute("do $$ begin raise exception 'tuple concurrently updated' using errcode = 'XX000'; end $$")

    with psycopg.connect(site.addresses.admin_url, application_name="editor") as other:
        other.execute("select 'CANARY'")
        with pytest.raises(Busy) as refused:
            site.db.change("converging job x", losing)

    told = str(refused.value)
    assert told.startswith(
        "converging job x: another session changed the same object at the same moment (SQLSTATE XX000). "
        f"Gave up after {len(tried)} attempts; active now: pid "
    )
    assert "application editor, role supabase_admin, in a transaction since " in told
    assert "CANARY" not in told


@pytest.mark.parametrize("state", ["40001", "40P01", "23505"])
def test_what_lost_is_begun_anew_as_a_whole(site: Site, state: str):
    site.by_hand("create table public.counter as select 0 as n", "alter table public.counter owner to postgres")
    tried = []

    def losing_once(conn: Connection) -> None:
        conn.execute("update public.counter set n = n + 1")
        tried.append(conn)
        if len(tried) == 1:
            conn.execute(f"do $$ begin raise exception 'lost' using errcode = '{state}'; end $$")

    site.db.change("counting", losing_once)

    assert (len(tried), site.by_hand("table public.counter")) == (2, [{"n": 1}])


def test_what_is_refused_for_another_reason_is_tried_once(site: Site):
    tried = []

    def refused(conn: Connection) -> None:
        tried.append(conn)
        conn.execute("select 1 / 0")

    with pytest.raises(ServerRefused, match=r"counting: PostgreSQL refused it \(SQLSTATE 22012\)\."):
        site.db.change("counting", refused)

    assert len(tried) == 1
