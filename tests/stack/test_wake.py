"""`processor.wake` through the whole life of a stack: on, no change, drift, a pause, off, and `destroy`."""

from __future__ import annotations

import psycopg
import pytest

from bubble_sync.database.polling import poll
from tests.fixtures.site import Site
from tests.fixtures.stack import Stack

TRIGGER, FUNCTION = "sync-wake-bubble_sync_wake", "sync-wake-wake"
EVERYTHING = """
    select 'function ' || oid::regprocedure as object, oid::text as id from pg_proc
        where pronamespace = 'bubble_sync'::regnamespace or proname ~ 'bubble_sync'
    union all select 'trigger ' || tgname || ' ' || tgenabled::text, oid::text from pg_trigger where not tgisinternal
    union all select 'relation ' || oid::regclass, oid::text from pg_class
        where relnamespace = 'bubble_sync'::regnamespace
    union all select 'in the ledger: ' || object, '' from bubble_sync.ledger
    order by object
"""
OURS = f"select object from ({EVERYTHING}) as one where object ~ 'wake'"
INSERT = (
    "insert into public.sync_queue (table_name, record_id, operation) "
    "values ('user', gen_random_uuid()::text, 'INSERT') returning id"
)


def insert(site: Site) -> dict[str, object]:
    """Insert as the application does, in a transaction of its own."""
    with psycopg.connect(site.addresses.database_url, row_factory=psycopg.rows.dict_row) as session:
        row = session.execute(INSERT).fetchone()
    assert row is not None
    return row


def sent(site: Site) -> int:
    (row,) = site.by_hand("select count(*)::integer as requests from bubble_sync.dispatches")
    return int(row["requests"])


def wake(stack: Stack) -> None:
    stack.configure("processor.wake", "true")
    stack.up()


def test_the_trigger_is_made_with_its_setting_and_goes_with_it(converged: Stack, site: Site):
    before = site.by_hand(EVERYTHING)
    converged.configure("processor.wake", "true")
    assert "+ create           trigger bubble_sync_wake\n" in converged.sync("diff", expect=1)
    script = converged.sync("diff", "--sql", expect=1)
    assert 'create or replace trigger "bubble_sync_wake" AFTER INSERT ON public.sync_queue' in script

    converged.up()
    converged.expect_no_changes()
    assert "nothing to do" in converged.sync("diff")
    assert "clean" in converged.sync("drift")
    assert [one["object"] for one in site.by_hand(EVERYTHING) if one not in before] == [
        row["object"] for row in site.by_hand(OURS)
    ]
    assert len(site.by_hand(OURS)) == 3 + 1 + 2 + 4, "functions, trigger, sequences, rows of the ledger"

    item = insert(site)
    status = f"select status from public.sync_queue where id = '{item['id']}'"
    (row,) = poll(lambda: site.by_hand(status), lambda rows: rows[0]["status"] == "completed", 20)
    assert row == {"status": "completed"}

    converged.run("config", "rm", "bubble-sync:processor")
    converged.up()
    converged.expect_no_changes()
    assert site.by_hand(EVERYTHING) == before


def test_what_a_hand_changes_is_drift_and_repaired(converged: Stack, site: Site):
    wake(converged)
    site.by_hand(
        "alter table public.sync_queue disable trigger bubble_sync_wake",
        "drop sequence bubble_sync.wake_errors",
        "alter function bubble_sync.wake() reset lock_timeout",
    )

    assert converged.drift() == {TRIGGER: ["enabled", "sequences[1]"], FUNCTION: ["config[2]"]}
    assert "trigger bubble_sync_wake" in converged.sync("drift", expect=1)
    converged.up()
    converged.expect_no_changes()

    site.by_hand("drop trigger bubble_sync_wake on public.sync_queue")
    assert "trigger bubble_sync_wake is not there" in converged.sync("verify", expect=1)
    converged.up()
    converged.expect_no_changes()


@pytest.mark.matrix
def test_a_pause_of_the_processor_silences_the_trigger(converged: Stack, site: Site):
    wake(converged)

    converged.sync("pause", "--job", "processor", "--reason", "maintenance")
    insert(site)
    assert sent(site) == 0
    converged.expect_no_changes()

    converged.sync("resume", "--job", "processor")
    converged.expect_no_changes()
    insert(site)
    assert sent(site) == 1


@pytest.mark.matrix
def test_destroy_leaves_nothing_of_it(converged: Stack, site: Site):
    wake(converged)

    converged.run("destroy", "--yes", "--skip-preview")

    assert site.by_hand(OURS) == []
    insert(site)
