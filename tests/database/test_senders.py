"""What sends to the Edge Function beside the stack is found, whatever its form; what merely mentions it is not."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import psycopg

from bubble_sync.converge.reading import read
from bubble_sync.questions.beside import PARTS
from tests.fixtures.adoption import WANTED, converge_all, look
from tests.fixtures.breaking import diagnose
from tests.fixtures.site import Site

CASES = Path(__file__).parents[1] / "fixtures" / "senders"

EXPECTED = """
    select 'job' || coalesce(' ' || jobname, '') || ' (jobid ' || jobid || ')' as what from cron.job
    where jobname is null or jobname not like 'bubble-sync-%'
    union all
    select 'function ' || oid::regprocedure from pg_proc where proname like 'sends%'
    union all
    select 'trigger ' || quote_ident(tgname) || ' on ' || tgrelid::regclass from pg_trigger
    where tgrelid = 'public.sync_queue'::regclass
"""


def told(site: Site) -> set[str]:
    return {one.what for one in look(site)[0].beside}


def play_case(site: Site, name: str) -> None:
    converge_all(site)
    site.by_hand("set role postgres;" + (CASES / f"{name}.sql").read_text("utf-8"))


def test_every_form_is_found_and_says_what_it_is(site: Site):
    play_case(site, "forms")

    expected = {row["what"] for row in site.by_hand("set search_path = ''", EXPECTED)}

    found = told(site)
    assert (expected - found, found - expected) == (set(), set())


def test_what_merely_mentions_it_is_not_found(site: Site):
    play_case(site, "harmless")

    assert told(site) == set()


def test_every_command_that_sends_is_found_and_no_other(site: Site):
    play_case(site, "helpers")
    commands = {name: (CASES / f"{name}.txt").read_text("utf-8").splitlines() for name in ("sends", "mentions")}
    with psycopg.connect(site.addresses.admin_url, autocommit=True) as conn:
        for name, command in ((name, command) for name, lines in commands.items() for command in lines):
            conn.execute("select cron.schedule(%s, '0 0 1 1 *', %s)", (f"{name}: {command}", command))

    found = {what.removeprefix("job sends: ").partition(" (jobid")[0] for what in told(site)}

    triggers = {f"trigger {name} on public.guests" for name in ("t1", "t2", "t3")}
    expected = {*commands["sends"], *triggers, "function bubble_sync.foreign_sender()"}
    # It is told of for another reason: it names the key.
    found.discard("function util.call_edge_function(text,jsonb)")
    assert (expected - found, found - expected) == (set(), set())


def test_no_command_or_argument_is_returned_since_it_may_hold_a_key(site: Site):
    play_case(site, "forms")

    comparison, found = look(site)

    assert comparison.beside
    assert "NeverToBeShownAnywhere" not in repr(found.parts) + repr(comparison.beside)


def test_the_doctor_tells_of_each_form_too(site: Site):
    play_case(site, "forms")

    found = {one.object for one in diagnose(site).findings if one.id in ("job_shadowed", "job_duplicated")}

    # What calls our function under another name is there twice, and is named without its jobid.
    assert {what.partition(" (jobid")[0] for what in told(site)} == {what.partition(" (jobid")[0] for what in found}


def test_a_caller_says_what_it_calls_and_an_unnamed_job_has_its_jobid(site: Site):
    converge_all(site)
    site.by_hand(
        "set role postgres",
        "select cron.schedule('0 0 1 1 *', 'select public.invoke_bubble_sync_retry()')",
    )

    (one,) = look(site)[0].beside

    assert (one.what, one.sql) == ("job (jobid 3)", "select cron.unschedule(3);")
    assert one.text.startswith("it calls public.invoke_bubble_sync_retry, which reaches the queue's Edge Function too")


def test_a_trigger_and_a_job_that_sleep_are_said_to(site: Site):
    play_case(site, "forms")
    site.by_hand(
        'alter table public.sync_queue disable trigger "a webhook"',
        "update cron.job set active = false where jobname = '01 literal'",
    )

    assert {'trigger "a webhook" on public.sync_queue, not active', "job 01 literal (jobid 3, not active)"} <= told(
        site
    )


def test_two_thousand_functions_and_five_hundred_jobs_are_searched_in_less_than_two_seconds(site: Site):
    play_case(site, "forms")
    site.by_hand((CASES / "many.sql").read_text("utf-8"))
    found = told(site)
    started = perf_counter()

    site.db.read("looking", lambda conn: read(conn, PARTS, WANTED))

    # It takes 0.2 s; a search of each source for each name took 30.
    assert perf_counter() - started < 2
    assert not [what for what in found if " many " in what or "app." in what]
