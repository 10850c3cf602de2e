"""What `bubble-sync config` lists: every setting with its source, and no secret."""

from __future__ import annotations

import pytest

from bubble_sync.config.database_url import NAMESPACE
from bubble_sync.config.report import Setting, configuration, usable_part, with_problems
from bubble_sync.config.settings import SECRET_KEYS, StackSettings, check_settings, like, names_in, read_settings
from tests.fixtures.specs import REF, config, jwt
from tools.config_table import rows

FILE = "Pulumi.test.yaml"
PASSWORD = "hunter2-hunter2-hunter2"
URL = f"postgresql://postgres.{REF}:{PASSWORD}@pooler.example.com:5432/postgres"


def listed(environment: dict[str, str] | None = None, **changes: str | None) -> dict[str, Setting]:
    found = configuration("test", read_settings(config(**changes)), (), FILE, environment or {})
    return {one.key.removeprefix(f"{NAMESPACE}:"): one for one in found.settings}


def test_every_key_is_listed_once_in_the_order_of_the_table():
    assert list(listed()) == [key for key, *_ in rows()]


def test_a_setting_says_where_it_is_from():
    found = listed(processor='{"maxItems": 20}')

    assert found["processor.maxItems"] == Setting("bubble-sync:processor.maxItems", 20, FILE)
    assert found["processor.batchSize"] == Setting("bubble-sync:processor.batchSize", 5, "default")
    assert found["retry.pauseUntil"] == Setting("bubble-sync:retry.pauseUntil", None, "not set")
    assert found["databaseCa"].source == "not set"
    assert found["supabaseUrl"] == Setting(
        "bubble-sync:supabaseUrl", f"https://{REF}.supabase.co", "derived from projectRef"
    )
    assert listed(supabaseUrl="https://sync.example.com")["supabaseUrl"].source == FILE


def test_what_can_be_used_is_listed_beside_what_cannot():
    given = config(processor='{"maxItems": 0, "batchSize": 7}', projectref="x", serviceRoleKey=None)
    _, problems = check_settings(given)
    found = with_problems(configuration("test", usable_part(given), (), FILE, {}), problems, given, FILE)
    listed = {one.key.removeprefix(f"{NAMESPACE}:"): one for one in found.settings}

    assert listed["processor.batchSize"].value == 7
    assert listed["processor.maxItems"].problem.startswith("0: input should be greater")
    assert listed["processor.maxItems"].source == FILE
    assert listed["serviceRoleKey"].problem.startswith("not set; ")
    assert (listed["serviceRoleKey"].note, listed["projectref"].source) == ("", "no such key")
    assert listed["projectref"].problem == "there is no such key; did you mean bubble-sync:projectRef?"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("projectref", "projectRef"), ("service_role_key", "serviceRoleKey"), ("maxItems", "processor.maxItems"),
        ("databaseURL", "databaseUrl"), ("dispatchLogs", "dispatchLog"), ("colour", ""),
    ],
)  # fmt: skip
def test_a_key_that_is_none_is_told_what_was_meant(written: str, meant: str):
    assert like(written, names_in(StackSettings)) == meant


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (jwt(exp=4_000_000_000), f"legacy JWT of project {REF}, expires 2096-10-02"),
        ("sb_secret_canary", "secret key"),
        ("whatever", "opaque"),
    ],
)
def test_of_a_key_its_kind_is_told_and_nothing_of_itself(key: str, kind: str):
    found = listed(serviceRoleKey=key)

    assert found["serviceRoleKey"] == Setting("bubble-sync:serviceRoleKey", None, FILE, secret=True, note=kind)
    assert key not in str(found)


def test_of_the_other_secrets_no_more_than_that_they_are_set_and_who_connects_where():
    found = listed(
        databaseUrl=URL, databaseUrlEnv=None, access='{"monitorRole": "bubble_monitor"}', monitorPassword=PASSWORD
    )

    assert {key for key, one in found.items() if one.secret} == SECRET_KEYS
    assert found["databaseUrl"].note == f"user postgres.{REF} at pooler.example.com"
    assert found["monitorPassword"].note == "set"
    assert PASSWORD not in str(found)
    assert listed()["monitorPassword"] == Setting("bubble-sync:monitorPassword", None, "not set", secret=True)


@pytest.mark.parametrize(
    ("environment", "note"),
    [
        ({}, "which is not set"),
        ({"TEST_DATABASE_URL": URL}, f"which is set: user postgres.{REF} at pooler.example.com"),
        ({"TEST_DATABASE_URL": PASSWORD}, "which is set: it cannot be read as postgresql://"),
    ],
)
def test_of_the_variable_it_says_whether_it_is_set(environment: dict[str, str], note: str):
    found = listed(environment)["databaseUrlEnv"]

    assert (found.value, found.source) == ("TEST_DATABASE_URL", FILE)
    assert found.note.startswith(note)
    assert PASSWORD not in str(found)
