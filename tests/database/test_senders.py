"""What sends to the Edge Function beside the stack is found, whatever its form; what merely mentions it is not."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from bubble_sync.converge.reading import read
from bubble_sync.questions.beside import PARTS
from tests.fixtures.adoption import WANTED, converge_all, look
from tests.fixtures.site import Site

CASES = Path(__file__).parents[1] / "fixtures" / "senders"

EXPECTED = """
    select 'job' || coalesce(' ' || jobname, '') || ' (jobid ' || jobid || ')' as what from cron.job
    where jobname is null or jobname not like 'bubble-sync-%'
    union all
    select 'function ' || oid::regprocedure from pg_proc where proname like 'sends%'
    union all
    select 'trigger ' || quote_ident(tgname) || ' on ' || tgrelid::regclass from pg_trigger where tgrelid = 'public.sync_queue'::regclass
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


def test_no_command_or_argument_is_returned_since_it_may_hold_a_key(site: Site):
    play_case(site, "forms")

    comparison, found = look(site)

    assert comparison.beside
    assert "NeverToBeShownAnywhere" not in repr(found.parts) + repr(comparison.beside)


def test_ten_thousand_sources_take_no_time(site: Site):
    play_case(site, "forms")
    site.by_hand((CASES / "many.sql").read_text("utf-8"))
    started = perf_counter()
    site.db.read("looking", lambda conn: read(conn, PARTS, WANTED))
    print("TOOK", perf_counter() - started)
