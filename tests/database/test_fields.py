"""Each thing that a hand can change: what can stop or divert the sync, or blind its log, and what cannot."""

from __future__ import annotations

import re

import pytest

from bubble_sync.compare.sql_script import forward
from bubble_sync.errors import ForeignObject
from bubble_sync.specs import Spec, compare
from tests.fixtures.adoption import WANTED, converge_all, look
from tests.fixtures.site import Site

PROCESSOR, SEND, LOG = "public.invoke_bubble_sync_processor", "bubble_sync.send", "bubble_sync.dispatches"
LEDGER = "bubble_sync.ledger"
RAISING = (
    "create function public.no() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$",
    "create function public.none() returns trigger language plpgsql as $$ begin return null; end $$",
)
JOB = "update cron.job set {0} where jobname = 'bubble-sync-processor'"

#: Seen, and repaired by `up`: object, field, what a hand does.
REPAIRED = [
    ("function " + PROCESSOR, "attributes", f"revoke execute on function {PROCESSOR}() from postgres"),
    ("function " + PROCESSOR, "attributes", f"revoke all on function {PROCESSOR}() from postgres, public"),
    ("function " + SEND, "attributes", f"revoke execute on function {SEND} from postgres"),
    ("function " + SEND, "attributes", f"alter function {SEND} support generate_series_int4_support"),
    ("job bubble-sync-processor", "database", JOB.format("nodename = 'db.example.com'")),
    ("job bubble-sync-processor", "database", JOB.format("nodeport = 1")),
    ("job bubble-sync-processor", "database", JOB.format("nodename = '10.0.0.1', database = 'template1'")),
    ("ledger", "tables", "comment on schema bubble_sync is 'mine'"),
    ("ledger", "tables", "comment on schema bubble_sync is null"),
    ("ledger", "grantees", f"grant select (verdict) on {LOG} to anon"),
    ("ledger", "grantees", f"grant update (origin) on {LEDGER} to public"),
    ("ledger", "grantees", "grant usage on sequence bubble_sync.dispatches_dispatch_id_seq to anon"),
    *(
        ("ledger", "tables", f"alter table {table} {change}")
        for table, changes in {
            LOG: (
                "alter function drop default", "alter waiting drop default", "alter sent_at drop default",
                "alter sent_at set default 'epoch'", "alter skipped drop not null", "alter skipped drop default",
                "alter settled_at set default now()", "alter verdict set default 'ok'",
                "drop column skipped", "drop column sent_at", "drop column dispatch_id", "drop column settled_at",
                "alter dispatch_id drop identity", "alter dispatch_id set maxvalue 5000 set increment 7",
                "alter request_id drop default, alter request_id add generated always as identity",
                "drop constraint dispatches_pkey", "drop constraint dispatches_verdict_check",
                "drop constraint dispatches_verdict_check, "
                "add constraint dispatches_verdict_check check (verdict is null)",
                "set unlogged", "replica identity nothing",
            ),
            LEDGER: (
                "drop constraint ledger_pkey", "drop column recorded_at",
                "alter recorded_at drop default", "alter recorded_at drop not null", "alter stack drop not null",
                "drop constraint ledger_origin_check", "alter project_ref set not null", "set unlogged",
            ),
        }.items()
        for change in changes
    ),
    ("ledger", "tables", f"alter table {LOG} enable row level security; alter table {LOG} force row level security"),
    ("ledger", "tables", f"update {LOG} set runid = 7; alter table {LOG} alter runid set not null"),
    *(("ledger", "tables", f"revoke {right} on {LEDGER} from postgres") for right in ("select", "delete", "all")),
    *(
        ("ledger", "tables", f"revoke {right} on schema bubble_sync from postgres")
        for right in ("usage", "create", "all")
    ),
    ("ledger", "tables", f"revoke insert on {LOG} from postgres"),
    ("ledger", "tables", "drop index bubble_sync.dispatches_sent_at"),
    ("ledger", "tables", "drop index bubble_sync.dispatches_outstanding; "
                         f"create unique index dispatches_outstanding on {LOG} (function)"),
]  # fmt: skip

#: Seen, and refused by `up` with SQL after which nothing is wrong: the same.
REFUSED = [
    ("function " + SEND, "attributes",
     "do $$ begin execute (select replace(pg_get_functiondef(oid), 'key_secret text)', "
     "'key_secret text default ''x'')') from pg_proc where oid = 'bubble_sync.send'::regproc); end $$"),
    ("ledger", "tables", "alter schema bubble_sync owner to supabase_admin; "
                         "grant all on schema bubble_sync to postgres"),
    *(
        ("ledger", "tables", change.format(table))
        for table in (LOG, LEDGER)
        for change in (
            "create trigger no before insert on {0} for each row execute function public.no()",
            "create trigger none before insert or update on {0} for each row execute function public.none()",
            "create rule none as on insert to {0} do instead nothing",
            "alter table {0} add mandatory text not null default ''; alter table {0} alter mandatory drop default",
            "create domain public.few as text check (value <> ''); alter table {0} add mine public.few default 'x'",
            "alter table {0} add one integer generated always as (1) stored",
            "alter table {0} add constraint nothing check (false) not valid",
            "create table public.child () inherits ({0})",
        )
    ),
    ("ledger", "tables", f"alter table {LOG} add constraint no check (request_id < 5)"),
    ("ledger", "tables", f"alter table {LOG} add constraint once unique (function)"),
    ("ledger", "tables", f"create unique index once on {LOG} (function)"),
    ("ledger", "tables", f"create table public.notes (dispatch_id bigint references {LOG})"),
    ("ledger", "tables", f"alter table {LOG} alter runid type text"),
    ("ledger", "tables", f"alter table {LOG} drop verdict; "
                         f"alter table {LOG} add verdict text generated always as ('ok') stored"),
]  # fmt: skip
#: No change that stops, diverts or blinds anything: not a word.
HARMLESS = [
    *(JOB.format(f"nodename = '{name}'") for name in ("localhost", "127.0.0.1", "::1", "", "/var/run/postgresql")),
    f"alter function {PROCESSOR} cost 7",
    f"alter function {PROCESSOR} depends on extension pg_net",
    *(
        change.format(table)
        for table in (LOG, LEDGER)
        for change in (
            "alter table {0} add note text", "alter table {0} add note text not null default ''",
            "alter table {0} enable row level security", "alter table {0} replica identity default",
            "comment on table {0} is 'mine'",
            "alter table {0} set (autovacuum_enabled = off, fillfactor = 50)", "analyze {0}",
            "create trigger no before insert on {0} for each row execute function public.no(); "
            "alter table {0} disable trigger no",
            "create view public.shown as select * from {0}",
        )
    ),
    f"create index mine on {LOG} (verdict) where verdict is not null",
    f"create table public.notes (dispatch_id bigint references {LOG} on delete cascade)",
    f"alter table {LOG} alter error set storage external, alter error set statistics 7",
    f"alter table {LEDGER} drop column place",
    "create table bubble_sync.notes (mine text)",
    "update vault.secrets set updated_at = now(), created_at = now()",
    "alter default privileges in schema bubble_sync grant select on tables to anon",
    "comment on extension pg_net is 'mine'",
]  # fmt: skip


@pytest.fixture
def stack(site: Site) -> Site:
    """A converged stack with a request in its log."""
    converge_all(site)
    site.by_hand(*RAISING, f"insert into {LOG} (function, waiting, request_id) values ('bubble_sync_processor', 1, 1)")
    return site


def found(site: Site) -> list[tuple[str, str]]:
    """Observe and compare each object, as `preview` and `up` do."""
    return [(spec.object_name, one.field) for spec in WANTED for one in compare(spec, site.observe(spec))]


def named(name: str) -> Spec:
    return next(spec for spec in WANTED if spec.object_name == name)


def writes(site: Site) -> None:
    """Write to log and ledger as the functions and `up` do."""
    site.by_hand(
        "set role postgres", f"insert into {LOG} (function, waiting, request_id) values ('bubble_sync_retry', 1, 2)",
        f"update {LOG} set settled_at = now(), verdict = 'ok'",
        f"insert into {LEDGER} (object, stack, origin) values ('x', 'test', 'made') on conflict (object) do nothing",
        f"delete from {LEDGER} where object = 'x'",
    )  # fmt: skip
    (row,) = site.by_hand(f"select count(*), count(distinct dispatch_id) as ids, count(sent_at) as sent from {LOG}")
    assert row == {"count": 2, "ids": 2, "sent": 2}


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("name", "field", "by_hand"), REPAIRED)
def test_what_can_stop_divert_or_blind_is_seen_and_repaired(stack: Site, name: str, field: str, by_hand: str):
    stack.by_hand(*by_hand.split("; "))
    assert found(stack) == [(name, field)]

    stack.converge(named(name))

    assert found(stack) == []
    writes(stack)


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("name", "field", "by_hand"), REPAIRED)
def test_the_script_repairs_it_as_up_does(stack: Site, name: str, field: str, by_hand: str):
    stack.by_hand(*by_hand.split("; "))

    script = forward(look(stack)[0])
    stack.by_hand(f"set role postgres; {script}")

    assert found(stack) == []
    writes(stack)


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("name", "field", "by_hand"), REFUSED)
def test_what_others_have_added_is_seen_and_refused_with_the_sql_that_takes_it_away(
    stack: Site, name: str, field: str, by_hand: str
):
    stack.by_hand(*(by_hand.split("; ") if "$$" not in by_hand else [by_hand]))
    assert (name, field) in found(stack)

    with pytest.raises(ForeignObject, match="nothing was changed") as refused:
        stack.converge(named(name))
    (sql,) = re.findall(r": ((?:create|alter|drop) .*;)$", str(refused.value))
    stack.by_hand(sql)
    converge_all(stack)

    assert found(stack) == []


@pytest.mark.sampled(4)
@pytest.mark.parametrize("by_hand", HARMLESS)
def test_what_does_no_harm_is_no_difference(stack: Site, by_hand: str):
    stack.by_hand(by_hand)

    assert found(stack) == []
    writes(stack)


def test_a_job_that_pg_cron_would_run_elsewhere_is_made_anew_and_says_so_first(stack: Site):
    stack.by_hand(JOB.format("nodename = 'db.example.com', active = false"))
    job = named("job bubble-sync-processor")
    (difference,) = [one for one in compare(job, stack.observe(job)) if one.field == "database"]

    repaired = stack.converge(job)

    assert "current_database() on db.example.com:" in str(difference.actual)
    assert "`up` makes the job anew, with another jobid" in str(difference.actual)
    assert (repaired.facts["jobid"], repaired.actual) == ("3", job)


def test_what_a_failed_up_has_saved_of_a_table_is_not_taken_for_what_is_wanted(stack: Site):
    ledger = named("ledger")
    stack.by_hand(f"create rule none as on insert to {LOG} do instead nothing")
    saved = stack.observe(ledger).actual
    stack.by_hand(f"drop rule none on {LOG}")

    assert saved.tables == ("dispatches (with rule none)",)
    assert stack.observe(saved).actual == ledger


def test_a_ledger_that_has_lost_the_projects_gets_them_back(stack: Site):
    stack.by_hand(f"alter table {LEDGER} drop column project_ref")
    assert found(stack)[0] == ("ledger", "tables")
    assert {field for _, field in found(stack)[1:]} == {"project_ref"}

    converge_all(stack)

    assert found(stack) == []


@pytest.mark.parametrize("column", ["object", "stack", "origin"])
def test_a_ledger_that_has_lost_what_it_says_is_put_aside_and_what_is_there_adopted(stack: Site, column: str):
    stack.by_hand(f"alter table {LEDGER} drop column {column}")
    ledger = named("ledger")

    with pytest.raises(ForeignObject, match="has lost its columns") as refused:
        stack.converge(ledger)
    stack.by_hand("set role postgres", re.split(": (?=create)", str(refused.value))[1])
    converge_all(stack)

    assert found(stack) == []
    objects = f"select distinct origin from {LEDGER} where object <> 'settings'"
    assert stack.by_hand(objects) == [{"origin": "adopted"}]


def test_rows_that_a_key_refuses_when_it_comes_back_are_told_of_with_what_puts_them_aside(stack: Site):
    stack.by_hand(
        f"alter table {LOG} drop constraint dispatches_pkey",
        f"insert into {LOG} (dispatch_id, function) overriding system value values (1, 'twice')",
    )
    ledger = named("ledger")

    with pytest.raises(ForeignObject, match=r"holds rows that its own constraints refuse.*create schema") as refused:
        stack.converge(ledger)
    stack.by_hand("set role postgres", str(refused.value).split("Move it aside: ")[1])
    converge_all(stack)

    assert found(stack) == []
