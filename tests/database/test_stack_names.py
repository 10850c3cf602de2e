"""A stack with names of its own beside the stock one in one database: neither touches the other."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from bubble_sync.compare.diff import State, diff, find
from bubble_sync.compare.drift import read_drift
from bubble_sync.compare.liveness import LivenessVerdict
from bubble_sync.compare.sql_script import back, forward
from bubble_sync.config.database_url import read_database_url
from bubble_sync.config.settings import StackSettings
from bubble_sync.database.database import Database
from bubble_sync.errors import ForeignObject
from bubble_sync.health.doctor import doctor
from bubble_sync.health.failures import failures
from bubble_sync.health.runs import runs
from bubble_sync.health.status import status
from bubble_sync.health.trace import trace
from bubble_sync.health.verify import verify
from bubble_sync.model.setup import desired_state
from bubble_sync.specs import Owner, PrerequisitesSpec
from tests.fixtures.breaking import UNTIL_THE_WORKERS_ARE_BACK, working
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK

NAMES = {
    "prefix": "shop-sync",
    "edgeFunction": "orders-to-shop",
    "queue": "shop.order_queue",
    "operations": ["ORDER_PLACED", "ORDER_CHANGED"],
    "processAction": "process_orders",
    "retryAction": "retry_orders",
}
QUEUE = (
    "create schema shop",
    "create table shop.order_queue (like public.sync_queue including all)",
    "alter table shop.order_queue owner to postgres; grant all on schema shop to postgres",
    "do $$ declare rule record; begin for rule in select conname from pg_constraint where conrelid = "
    "'shop.order_queue'::regclass and contype = 'c' loop execute format('alter table shop.order_queue drop constraint "
    "%I', rule.conname); end loop; end $$",
)
#: Everything of the stock stack that another one could touch.
STOCK = """
select (select json_agg(j order by jobid) from cron.job as j where jobname like 'bubble-sync-%') as jobs,
    (select json_agg(l order by object) from bubble_sync.ledger as l) as ledger,
    (select json_agg(s order by name) from vault.secrets as s where name in ('supabase_url', 'service_role_key'))
        as secrets,
    (select json_agg(p.oid || md5(pg_get_functiondef(p.oid)) order by p.oid) from pg_proc as p
        join pg_namespace as n on n.oid = p.pronamespace
        where n.nspname = 'bubble_sync' or p.proname like 'invoke\\_bubble%') as functions
"""


@pytest.fixture
def shop(site: Site) -> Iterator[Site]:
    """The same database, with a queue of another name, for a stack with names of its own."""
    site.by_hand(*QUEUE)
    settings = working(names=json.dumps(NAMES))
    beside = Site(site.addresses, Database(read_database_url(site.addresses.database_url), settings.names))
    yield beside
    beside.db.close()


@pytest.fixture
def settings() -> StackSettings:
    return working(names=json.dumps(NAMES))


def converge(shop: Site, settings: StackSettings) -> None:
    for spec in desired_state(settings, Owner("shop")):
        shop.converge(spec)


def test_the_stock_stack_stays_as_it_is_while_the_other_comes_and_goes(
    converged: Site, shop: Site, settings: StackSettings
):
    before = converged.by_hand(STOCK)

    converge(shop, settings)
    during = converged.by_hand(STOCK)
    wanted = desired_state(settings, Owner("shop"))
    again = diff("shop", wanted, find(shop.db, wanted))
    left = [reason for spec in reversed(wanted) if (reason := shop.remove(spec))]

    assert (before, during) == (during, converged.by_hand(STOCK))
    assert [(item.spec.object_name, item.changes) for item in again.items if item.state is not State.EQUAL] == []
    assert "function shop_sync.send" in [item.spec.object_name for item in again.items]
    assert len(left) == 4, left  # three extensions that the stock stack needs, and the ledger
    assert converged.by_hand("select from cron.job where jobname like 'shop-sync-%'") == []
    assert converged.by_hand("select from vault.secrets where name like 'shop%'") == []


def test_each_function_counts_its_own_queue_and_calls_its_own_edge_function(
    converged: Site, shop: Site, settings: StackSettings
):
    converge(shop, settings)

    sent = converged.by_hand(
        "begin",
        "insert into shop.order_queue (table_name, record_id, operation) values ('order', '1', 'ORDER_PLACED')",
        "select public.invoke_shop_sync_processor()",
        "select public.invoke_bubble_sync_processor()",
        "select url, convert_from(body, 'utf8')::json as body from net.http_request_queue",
    )

    assert [(one["url"].rpartition("/v1/")[2], one["body"]["action"]) for one in sent] == [
        ("orders-to-shop", "process_orders")
    ]


def test_every_question_answers_about_its_own_stack(converged: Site, shop: Site, settings: StackSettings):
    converge(shop, settings)
    converged.by_hand(UNTIL_THE_WORKERS_ARE_BACK)
    converged.by_hand(
        "insert into shop.order_queue (table_name, record_id, operation, status, retry_count, error_message)"
        " values ('order', '7', 'ORDER_PLACED', 'failed', 3, 'HTTP 500')"
    )

    found = status(shop.db, settings, "shop")
    checklist = verify(shop.db, settings, "shop", "")
    diagnosis = doctor(shop.db, settings, "shop")

    assert [job.name for job in found.jobs] == ["shop-sync-processor", "shop-sync-retry"]
    assert found.queue is not None
    assert found.queue.dead == 1
    assert failures(shop.db, "shop", None, 10).total == 1
    assert trace(shop.db, settings, "shop", None, None).operation == "ORDER_PLACED"  # type: ignore[union-attr]
    assert {job.name for job in runs(shop.db, settings, "shop", 10).jobs} == {"shop-sync-processor", "shop-sync-retry"}
    named = repr((found, checklist, diagnosis))
    assert [
        word for word in ("bubble_sync.", "bubble-sync-p", "sync_queue", "SIGNUP", "v1/bubble") if word in named
    ] == []
    assert "shop-sync-processor (jobid" in named
    assert diagnosis.unknown == {}
    assert {finding.id for finding in diagnosis.findings} <= {
        "items_exhausted",
        "queue_unindexed",
        "table_without_row_security",
    }
    stock = status(converged.db, working(), STACK)
    assert [job.name for job in stock.jobs] == ["bubble-sync-processor", "bubble-sync-retry"]
    assert stock.queue is not None
    assert stock.queue.dead == 0


def test_the_scripts_name_the_other_stack_alone(converged: Site, shop: Site):
    settings = working(names=json.dumps(NAMES), processor=json.dumps({"wake": True}))
    wanted = desired_state(settings, Owner("shop"))
    snapshot = find(shop.db, wanted)
    comparison = diff("shop", wanted, snapshot)
    before = converged.by_hand(STOCK)

    for text in (forward(comparison), back(comparison, snapshot)):
        assert "bubble_sync" not in text.replace("bubble-sync", "")
        assert "sync_queue" not in text
        filled = text.replace("<the value of shop_sync_supabase_url>", settings.url)
        filled = filled.replace("<the value of shop_sync_service_role_key>", settings.service_role_key)
        converged.by_hand("set role postgres;" + filled)

    assert converged.by_hand(STOCK) == before
    assert converged.by_hand("select from cron.job where jobname like 'shop-sync-%'") == []


def test_drift_is_found_by_its_own_names(converged: Site, shop: Site, settings: StackSettings):
    converge(shop, settings)
    wanted = desired_state(settings, Owner("shop"))
    converged.by_hand("select cron.alter_job(jobid, active := false) from cron.job where jobname = 'shop-sync-retry'")

    snapshot, liveness = shop.db.read("reading", lambda conn: read_drift(conn, wanted))

    changed = [item for item in diff("shop", wanted, snapshot).items if item.state is not State.EQUAL]
    assert [item.spec.object_name for item in changed] == ["job shop-sync-retry"]
    assert liveness.verdict is not LivenessVerdict.NO


def test_a_prefix_of_another_stack_is_refused_before_anything_changes(
    converged: Site, shop: Site, settings: StackSettings
):
    converge(shop, settings)

    with pytest.raises(ForeignObject) as refused:
        shop.converge(desired_state(settings, Owner("other"))[1])

    assert "the ledger in this database names stack 'shop', but this is stack 'other'" in str(refused.value)
    assert "update shop_sync.ledger set" in str(refused.value)


def test_the_jobs_of_a_stack_whose_prefix_goes_on_are_not_its_own(site: Site, shop: Site, settings: StackSettings):
    converge(shop, settings)
    longer = working(names=json.dumps({"prefix": "shop-sync-two"}))
    beside = Site(site.addresses, Database(read_database_url(site.addresses.database_url), longer.names))
    converge(beside, longer)
    beside.db.close()
    site.by_hand(
        "insert into cron.job_run_details (jobid, runid, job_pid, database, username, command, status, start_time,"
        " end_time) select jobid, 100 + jobid, 1, database, username, command, 'failed', now(), now() from cron.job"
    )

    found = status(shop.db, settings, "shop")
    ran = runs(shop.db, settings, "shop", 10)

    own = {"shop-sync-processor", "shop-sync-retry"}
    assert {job.name for job in found.jobs} == {job.name for job in ran.jobs} == own
    assert {run.jobname for run in ran.runs} == {one.jobname for one in ran.performance} == own


@pytest.mark.parametrize(("function", "action"), [("shop-sync", "send"), ("shop_sync", "send_again")])
def test_a_waiting_request_of_another_function_or_action_does_not_keep_an_insert_from_sending(
    site: Site, function: str, action: str
):
    names = {"prefix": "shop", "edgeFunction": "shop_sync", "processAction": "send", "retryAction": "send_again"}
    settings = working(names=json.dumps(names), processor=json.dumps({"wake": True}))
    beside = Site(site.addresses, Database(read_database_url(site.addresses.database_url), settings.names))
    converge(beside, settings)
    beside.db.close()

    sent = site.by_hand(
        "begin",
        "insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds) values ('POST', "
        f"'https://x.supabase.co/functions/v1/{function}', '{{}}', '{{\"action\": \"{action}\"}}', 1000)",
        "insert into public.sync_queue (table_name, record_id, operation) values ('user', '1', 'INSERT')",
        "select url, convert_from(body, 'utf8')::json ->> 'action' as action from net.http_request_queue order by id",
    )

    assert [(one["url"].rpartition("/")[2], one["action"]) for one in sent] == [
        (function, action),
        ("shop_sync", "send"),
    ]


@pytest.mark.parametrize("queue", ["shop.nothing", "shop.order_view"])
def test_a_queue_that_is_none_is_refused_by_its_name(converged: Site, site: Site, queue: str):
    converged.by_hand(*QUEUE, "create view shop.order_view as select * from shop.order_queue")
    settings = working(names=json.dumps({**NAMES, "queue": queue}))
    beside = Site(site.addresses, Database(read_database_url(site.addresses.database_url), settings.names))
    (prerequisites,) = (one for one in desired_state(settings, Owner("shop")) if isinstance(one, PrerequisitesSpec))

    with pytest.raises(Exception, match=queue):
        beside.converge(prerequisites)
    beside.db.close()


def test_data_and_names_that_contain_default_names_stay_as_they_are(converged: Site):
    """A name of the user may hold a default name: no statement puts another one in its place."""
    converged.by_hand("create role bubble_sync_reader login")
    settings = working(
        names=json.dumps(
            {
                "prefix": "shop",
                "edgeFunction": "bubble_sync_orders",
                "operations": ["UPDATE", "SIGNUP_ATOMIC"],
                "processAction": "retry_failed",
                "retryAction": "process_queue_data_api",
            }
        ),
        supabaseUrlName="bubble_sync_url",
        processor=json.dumps({"wake": True}),
        access=json.dumps({"monitorRole": "bubble_sync_reader"}),
        monitorPassword="x" * 20,
        alerts=json.dumps({"dailyReportAt": "08:00"}),
        alertWebhookUrl="https://hooks.example.com/services/T/B/x",
    )
    shop = Site(converged.addresses, Database(read_database_url(converged.addresses.database_url), settings.names))
    owner = Owner("bubble_sync.prod")
    wanted = desired_state(settings, owner)

    for spec in wanted:
        shop.converge(spec)
    again = diff("shop", wanted, find(shop.db, wanted))
    sent = converged.by_hand(
        # Until its end, pg_net does not take the request.
        "begin",
        "insert into public.sync_queue (table_name, record_id, operation) values ('order', '1', 'SIGNUP_ATOMIC')",
        "select convert_from(body, 'utf8')::json ->> 'action' as action, url from net.http_request_queue",
    )
    shop.db.close()

    assert [(item.spec.object_name, item.changes) for item in again.items if item.state is not State.EQUAL] == []
    assert [(one["action"], one["url"].rpartition("/")[2]) for one in sent] == [("retry_failed", "bubble_sync_orders")]
