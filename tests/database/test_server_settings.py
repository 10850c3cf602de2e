"""No setting of a role, a database, a session or the environment changes an answer or stops a tick.

Every setting that a user may make is tried with awkward values, many at once; `-m matrix` tries each by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg import sql

from bubble_sync.compare.diff import diff, find
from bubble_sync.config.database_url import read_database_url
from bubble_sync.database.database import Database
from bubble_sync.errors import SyncError
from bubble_sync.health.doctor import doctor
from bubble_sync.health.verify import verify
from bubble_sync.model.setup import desired_state
from bubble_sync.specs import Owner
from tests.fixtures.breaking import set_up, working
from tests.fixtures.history import item
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK

Values = Mapping[str, str]

SETTINGS = working(alerts="{}", alertWebhookUrl="https://hooks.example.com/services/abc")
SPECS = desired_state(SETTINGS, Owner(STACK))

#: Somebody's decision, which holds: a hosted project whose disk is full is read-only in this way.
DECIDED = {"default_transaction_read_only"}
#: Of one transaction, and of a server on which no session begins.
NOT_OF_A_ROLE = {"transaction_read_only", "transaction_isolation", "transaction_deferrable", "local_preload_libraries"}
#: More than the machine has.
ABSURD = {"temp_buffers", "work_mem", "maintenance_work_mem", "logical_decoding_work_mem"}
TEXTS = {
    "application_name": ["%s ' \\"],
    "client_encoding": ["SQL_ASCII", "LATIN1", "EUC_JP"],
    "DateStyle": ["SQL, DMY", "German", "Postgres, YMD"],
    "default_table_access_method": ["heap"],
    "default_tablespace": ["nowhere"],
    "default_text_search_config": ["pg_catalog.turkish"],
    "search_path": ["app, extensions", ""],
    "temp_tablespaces": ["nowhere"],
    "TimeZone": ["Asia/Kathmandu", "America/St_Johns", "posix/UTC+13"],
    "timezone_abbreviations": ["Australia"],
    "plpgsql.extra_errors": ["all"],
    "plpgsql.extra_warnings": ["all"],
}
MADE_BY_HAND = (
    "alter function public.invoke_bubble_sync_processor() set work_mem = '1MB'",
    "drop function public.invoke_bubble_sync_retry()",
    "update cron.job set schedule = '*/7 * * * *', active = false where jobname = 'bubble-sync-processor'",
    "delete from cron.job where jobname = 'bubble-sync-retry'",
    "select vault.update_secret(id, 'https://elsewhere.example') from vault.secrets where name = 'supabase_url'",
    "drop table bubble_sync.dispatches",
)


EMPTY = (
    "delete from net.http_request_queue",
    "truncate bubble_sync.dispatches, bubble_sync.alerts",
)
TAKEN = """
    delete from net.http_request_queue
    returning concat_ws(' ', url, headers, convert_from(body, 'UTF8'), timeout_milliseconds)
"""


@pytest.fixture
def watched(site: Site) -> Site:
    """A stack with alerts, and items of each kind."""
    site.by_hand("create schema app; create function app.now() returns timestamptz return 'epoch'::timestamptz")
    set_up(site, SETTINGS)
    item(site, "3 hours")
    item(site, "2 hours", status="failed", retry_count=1, due="30 minutes")
    item(site, "2 hours", status="failed", retry_count=1, due="-30 minutes")
    return site


def settable(site: Site) -> dict[str, list[str]]:
    """List what a user may set, each with awkward values."""
    with psycopg.connect(site.addresses.database_url, row_factory=psycopg.rows.dict_row) as conn:
        conn.execute("do $$ begin end $$")  # plpgsql brings settings of its own
        rows = conn.execute(
            "select name, vartype, setting, min_val, max_val, enumvals, unit from pg_settings where context = 'user'"
        ).fetchall()
    found = {row["name"]: awkward(row) for row in rows if row["name"] not in DECIDED | NOT_OF_A_ROLE}
    return {name: values for name, values in found.items() if values}


def awkward(row: Mapping[str, Any]) -> list[str]:
    """Choose values for a setting that are not what it has."""
    if row["name"] in TEXTS:
        return TEXTS[row["name"]]
    if row["vartype"] == "bool":
        return ["off" if row["setting"] == "on" else "on"]
    if row["vartype"] == "enum":
        return [value for value in row["enumvals"] if value != row["setting"]]
    if row["vartype"] in ("integer", "real"):
        # A second is awkward; a millisecond is a server that answers nobody.
        least = "1000" if row["name"].endswith("_timeout") and row["unit"] == "ms" else row["min_val"]
        most = "1000000" if float(row["max_val"]) > 1e300 else row["max_val"]
        return [least] if row["name"] in ABSURD else [least, most]
    return ["C"] if row["name"].startswith("lc_") else []


def answers(site: Site, values: Values) -> Mapping[str, list[object]]:
    """Ask, tick and converge as a role with these settings; return result, without moments and numbers."""
    site.by_hand(*EMPTY, "alter role postgres reset all", *(_setting(name, value) for name, value in values.items()))
    try:
        with closing(Database(read_database_url(site.addresses.database_url))) as database:
            known = {"before": _asked(database), "sent": _ticked(site)}
            site.by_hand(*MADE_BY_HAND)
            known["broken"] = _asked(database)
            other = Site(site.addresses, database)
            known["mended"] = [other.converge(spec).actual for spec in SPECS if spec.kind != "prerequisites"]
            return {**known, "after": _asked(database)}
    except BaseException:
        site.by_hand("alter role postgres reset all")
        set_up(site, SETTINGS)
        raise


def _setting(name: str, value: str) -> str:
    text = value if name == "search_path" and value else sql.Literal(value).as_string()
    return f"alter role postgres set {name} = {text}"


def _asked(database: Database) -> list[object]:
    comparison = diff(STACK, SPECS, find(database, SPECS))
    found = doctor(database, SETTINGS, STACK)
    lines = verify(database, SETTINGS, STACK, None).lines
    return [
        *((one.spec.object_name, one.state, one.changes, one.reason) for one in comparison.items),
        *((one.id, one.level, one.object, _plain(one.evidence), _plain(one.remedy)) for one in found.findings),
        *found.unknown.items(),
        # Whether a job is due changes with the minutes, and no setting is about that.
        *((one.id, one.status, _plain(one.evidence)) for one in lines if one.id != "runs"),
    ]


def _plain(text: str) -> str:
    return re.sub(r"\d+", "0", text)


def _ticked(site: Site) -> list[object]:
    """Run the jobs' commands as pg_cron does, and return what they hand to pg_net."""
    commands = site.by_hand("select command from cron.job order by jobname")
    sent: list[object] = []
    with psycopg.connect(site.addresses.database_url) as conn:
        for row in commands:
            # What a role's own search_path may find instead is another matter.
            conn.execute(row["command"].replace("SELECT invoke_", "SELECT public.invoke_"))
            # Before the commit, after which pg_net takes them.
            sent += [_plain(text if isinstance(text, str) else text.decode()) for (text,) in conn.execute(TAKEN)]
            conn.commit()
    return [*sent, site.by_hand("select function, waiting from bubble_sync.dispatches order by dispatch_id")]


# More at once can make plans that take for ever, which none of them does.
@pytest.mark.parametrize("at_once", [40, pytest.param(1, marks=pytest.mark.matrix)])
def test_no_setting_changes_an_answer_or_stops_a_tick(watched: Site, at_once: int):
    each = [(name, value) for name, values in settable(watched).items() for value in values]
    assert len(each) > 100
    usual = answers(watched, {})
    assert len(usual["sent"]) == 4, "the processor, the retry and the alerts have sent"

    wrong: dict[str, str] = {}
    while each:
        together = dict(each[:at_once])
        each = [one for one in each if together.get(one[0]) != one[1]]
        wrong |= culprits(watched, together, usual)

    assert wrong == {}


def test_no_variable_of_the_environment_changes_an_answer(watched: Site, monkeypatch: pytest.MonkeyPatch):
    with closing(Database(read_database_url(watched.addresses.database_url))) as database:
        usual = _asked(database)
    variables = {
        "PGOPTIONS": "-c standard_conforming_strings=off -c default_transaction_isolation=serializable",
        "PGCLIENTENCODING": "SQL_ASCII",
        "PGTZ": "Asia/Kathmandu",
        "PGDATESTYLE": "German",
        "PGTARGETSESSIONATTRS": "standby",
        "PGHOSTADDR": "127.0.0.2",
        "PGAPPNAME": "another",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with closing(Database(read_database_url(watched.addresses.database_url))) as database:
        assert _asked(database) == usual


def culprits(site: Site, values: Values, usual: Mapping[str, list[object]]) -> dict[str, str]:
    """Return the settings that change an answer, of some that are made at once, and how each does."""
    try:
        found = answers(site, values)
    except (psycopg.Error, SyncError, KeyError, TypeError, ValueError) as problem:
        why = f"{type(problem).__name__}: {problem}"
    else:
        why = "; ".join(
            f"{key}: {[one for one in found[key] if one not in usual[key]]} for "
            f"{[one for one in usual[key] if one not in found[key]]}"
            for key in usual
            if found[key] != usual[key]
        )
    if not why or len(values) == 1:
        return {f"{name} = {value}": why[:400] for name, value in values.items() if why}
    pairs, half = list(values.items()), len(values) // 2
    return culprits(site, dict(pairs[:half]), usual) | culprits(site, dict(pairs[half:]), usual)
