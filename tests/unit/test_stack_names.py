"""Names as settings: what is replaced in a text of ours, and what stays."""

from __future__ import annotations

import re

import pytest

from bubble_sync.config.settings import NameSettings, read_settings
from bubble_sync.errors import ConfigurationError
from bubble_sync.sql_loader import SQL_DIRECTORY, all_functions, checks
from tests.fixtures.specs import config

SHOP = NameSettings.model_validate(
    {
        "prefix": "shop-sync",
        "edgeFunction": "orders-to-shop",
        "queue": "shop.order_queue",
        "operations": ["ORDER_PLACED", "ORDER_CHANGED"],
        "processAction": "process_orders",
        "retryAction": "retry_orders",
    }
)
#: A name of ours that is none of a stack: the product, its commands, its configuration, the start of a comment.
OF_THE_PRODUCT = ("`bubble-sync ", "bubble-sync:", "bubble-sync/", "bubble-sync <", "bubble-sync doctor")


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("select bubble_sync.record('bubble_sync_retry')", "select shop_sync.record('shop_sync_retry')"),
        ("job bubble-sync-processor", "job shop-sync-processor"),
        ("public.invoke_bubble_sync_retry()", "public.invoke_shop_sync_retry()"),
        ("'/functions/v1/bubble_sync'", "'/functions/v1/orders-to-shop'"),
        ("supabase functions deploy bubble_sync", "supabase functions deploy orders-to-shop"),
        ("from public.sync_queue as item", "from shop.order_queue as item"),
        (r" of public\.sync_queue$", r" of shop\.order_queue$"),
        ("in ('SIGNUP_ATOMIC', 'INSERT', 'UPDATE')", "in ('ORDER_PLACED', 'ORDER_CHANGED')"),
        ("operation = 'SIGNUP_ATOMIC'", "operation = 'ORDER_PLACED'"),
        ("{'action': 'process_queue_data_api'}", "{'action': 'process_orders'}"),
        ("usage on schema bubble_sync to bubble_sync;", "usage on schema shop_sync to bubble_sync;"),
        ("may not write to bubble_sync.ledger", "may not write to shop_sync.ledger"),
        ("run `bubble-sync doctor`", "run `bubble-sync doctor`"),
        ("pulumi config set bubble-sync:names.prefix", "pulumi config set bubble-sync:names.prefix"),
    ],
)
def test_a_name_is_replaced_where_a_stack_is_meant(text: str, rendered: str):
    assert SHOP.render(text) == rendered
    assert SHOP.render(rendered) == rendered, "an error passes here more than once"
    assert NameSettings().render(text) == text


@pytest.mark.parametrize(
    "data",
    [
        "pulumi up --stack bubble-sync-prod",
        "update shop_sync.ledger set stack = 'bubble-sync-prod' where stack is distinct from 'bubble-sync-prod';",
        "grant execute on function shop_sync.observe(text) to bubble_sync_reader;",
        "secret bubble_sync_url",
        "cannot connect to the database at bubble-sync-db.example.com",
        "function public.my_bubble_sync_helper() calls it",
        "supabase functions deploy bubble_sync_orders",
        "job shop-sync-retry belongs to the role bubble_sync, and monitor cannot see the job: connect as bubble_sync.",
        "function public.x() is owned by bubble_sync: nothing was changed. As bubble_sync: alter table x owner to x;",
        "names stack 'bubble_sync', but this is stack 'shop': run `pulumi up --stack bubble_sync`",
        "held by pid 7 (application bubble_sync, role bubble_sync, last command UPDATE)",
        "connect to the database at localhost, port 5432, database bubble_sync, user bubble_sync",
        "grant execute on function shop_sync.observe(text) to bubble_sync;",
    ],
)
def test_a_name_of_the_user_in_an_error_stays_as_it_is(data: str):
    assert SHOP.render(data) == data


@pytest.mark.parametrize("function", ["bubble_sync-orders", "bubble_sync_orders", "bubble_sync"])
def test_an_edge_function_whose_name_begins_like_the_default_keeps_its_name_in_an_error(function: str):
    names = NameSettings.model_validate({"prefix": "shop", "edgeFunction": function})

    once = names.render("no function at /functions/v1/bubble_sync: supabase functions deploy bubble_sync")

    assert once == f"no function at /functions/v1/{function}: supabase functions deploy {function}"
    assert names.render(once) == once


def test_no_function_and_no_check_keeps_a_default_name():
    texts = {one.name: one.body + one.name for one in all_functions(SHOP.render)}
    texts |= {one.id: SHOP.render(one.text) for one in checks()}
    texts |= {file.stem: SHOP.render(file.read_text()) for file in (SQL_DIRECTORY / "queries").glob("*.sql")}

    left = {
        (name, word)
        for name, text in texts.items()
        for word in ("bubble_sync", "bubble-sync-", "sync_queue", "SIGNUP", "process_queue", "retry_failed")
        if word in text
    }

    assert left == set()


def test_two_stacks_never_wait_for_a_lock_of_each_other():
    """Both run at the same second of each minute, and a run whose lock another stack holds is skipped."""
    lock = re.compile(r"lock\(\s*pg_catalog\.hashtextextended\((.+), 0\)")
    stock, shop = (
        [key for one in all_functions(render) for key in lock.findall(one.body)] for render in (str, SHOP.render)
    )

    shared = {key for key in stock if key in shop and not key.endswith("|| source")}

    assert stock
    assert shared == set()


@pytest.mark.parametrize(
    "names",
    [
        {"prefix": "pg-sync"}, {"prefix": "a" * 31}, {"prefix": "9lives"}, {"prefix": "my-bubble-sync"}, {"prefix": ""},
        {"prefix": "public"}, {"prefix": "net"}, {"prefix": "cron"}, {"prefix": "supabase-functions"},
        {"edgeFunction": ".."}, {"edgeFunction": "a/../b"}, {"edgeFunction": "a?b"}, {"edgeFunction": ""},
        {"queue": "public.sync_queue; drop table x"}, {"queue": "a.b.c"}, {"queue": "Public.Queue"}, {"queue": ".q"},
        {"operations": []}, {"operations": ["A", "A"]}, {"operations": ["it's"]}, {"operations": "A"},
        {"retryAction": ""}, {"retryAction": "a b"}, {"unknown": "x"}, {"queue": "bubble_sync.queue"},
        {"prefix": "shop-sync", "queue": "shop_sync.queue"},
    ],
)  # fmt: skip
def test_a_name_that_could_break_a_statement_is_refused(names: dict[str, object]):
    with pytest.raises(ValueError, match="NameSettings"):
        NameSettings.model_validate(names)


def test_the_secret_of_the_key_cannot_have_the_name_of_the_webhook_with_another_prefix():
    names = '{"prefix": "shop"}'

    with pytest.raises(ConfigurationError, match="'shop_alert_webhook_url' is the name of the alerts' webhook"):
        read_settings(config(names=names, serviceRoleKeyName="shop_alert_webhook_url"))
