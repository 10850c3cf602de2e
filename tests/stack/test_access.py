"""The monitor role: the real SDK of pulumi-postgresql under the real Pulumi CLI, with an emulator for its plugin."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from bubble_sync.local.platform import Platform
from bubble_sync.local.stack import prepare_stack
from tests.fixtures.server_log import ServerLog
from tests.fixtures.site import Site
from tests.fixtures.stack import Stack, folder_with_plugin

ROLE = "bubble_monitor"
PASSWORD, ROTATED = (f"monitor-{secrets.token_hex(12)}" for _ in range(2))
LEFT = f"""
    select rolname::text as name from pg_roles where rolname = '{ROLE}'
    union all select nspacl::text from pg_namespace where nspacl::text ~ '{ROLE}'
    union all select proname::text from pg_proc where proname = 'observe' or proacl::text ~ '{ROLE}'
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The program's folder, with a Pulumi.yaml of its own that names the emulator."""
    return folder_with_plugin(tmp_path)


@pytest.fixture
def stack(site: Site, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stack]:
    """A stack with access that has never been up."""
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PGPASSWORD", urlsplit(site.addresses.database_url).password or "")
    fresh = Stack(prepare_stack(site.addresses, project))
    fresh.configure("access.monitorRole", ROLE)
    fresh.configure("monitorPassword", PASSWORD, secret=True)
    yield fresh
    shutil.rmtree(fresh.local.config_file.parent)


def as_monitor(site: Site, statement: str, password: str = PASSWORD) -> list[tuple[object, ...]]:
    url = f"postgresql://{ROLE}:{password}@127.0.0.1:{site.addresses.database_port}/postgres"
    with psycopg.connect(url) as conn:
        return conn.execute(statement).fetchall()


def observation(site: Site, password: str = PASSWORD) -> dict[str, object]:
    (row,) = as_monitor(site, "select bubble_sync.observe('0123456789abcdef')", password)
    assert isinstance(row[0], dict)
    return row[0]


def test_the_role_is_made_observes_and_is_removed_with_everything_that_it_was_given(
    stack: Stack, site: Site, platform: Platform
):
    log = ServerLog(next(part.log for part in platform.status().parts if part.name == "postgres"))
    assert "+ 27 to create" in stack.run("preview")

    stack.up()
    stack.run("up", "--yes", "--expect-no-changes")

    found = observation(site)
    assert isinstance(found["jobs"], list)
    assert [job["name"] for job in found["jobs"]] == ["bubble-sync-processor", "bubble-sync-retry"]
    for beyond in ("cron.job", "vault.secrets", "vault.decrypted_secrets", "bubble_sync.ledger", "public.sync_queue"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_monitor(site, f"select * from {beyond}")

    (verifier,) = site.by_hand(f"select rolpassword as text from pg_authid where rolname = '{ROLE}'")
    assert verifier["text"].startswith("SCRAM-SHA-256$4096:")
    assert verifier["text"] in log.appended, "the control: what the plugin sent is in the log"
    stack.run("destroy", "--yes")

    assert site.by_hand(LEFT) == []
    assert (
        site.by_hand("select 1 from pg_proc where proname ~ 'bubble_sync' union all select 1 from vault.secrets") == []
    )
    for text in (PASSWORD, site.addresses.service_role_key):
        assert text not in log.appended
        assert not [said for said in stack.said if text in said]
    kept = dict(stack.files())
    for text in (PASSWORD, verifier["text"], urlsplit(site.addresses.database_url).password or "?"):
        assert not [path for path, content in kept.items() if text.encode() in content]


@pytest.mark.matrix
def test_what_a_hand_takes_or_adds_is_found_and_repaired(stack: Stack, site: Site):
    stack.up()
    site.by_hand(
        f"revoke execute on function bubble_sync.observe(text) from {ROLE}",
        f"revoke usage on schema bubble_sync from {ROLE}",
        "grant execute on function bubble_sync.observe(text) to service_role",
        "grant usage on schema bubble_sync to service_role",
        f"grant select on bubble_sync.ledger to {ROLE}",
    )

    assert stack.drift() == {
        "sync-access-function": ["privileges"],
        "sync-access-schema": ["privileges"],
        "sync-access-observe": ["executors[1]"],
        "sync-ledger": ["grantees[1]", "grantees[2]"],
    }

    stack.up()
    stack.expect_no_changes()
    assert observation(site)["ledger"] == [{"present": True, "grantees": [ROLE], "users": [ROLE]}]
    assert site.by_hand("select has_schema_privilege('service_role', 'bubble_sync', 'usage') as may") == [
        {"may": False}
    ]


@pytest.mark.matrix
def test_access_is_given_to_a_stack_that_is_up_changed_in_place_and_taken_again_while_the_jobs_stay(
    stack: Stack, site: Site
):
    jobs = "select jobid, xmin::text from cron.job order by jobid"
    role = f"select oid::text from pg_roles where rolname = '{ROLE}'"
    for key in ("access", "monitorPassword"):
        stack.run("config", "rm", f"bubble-sync:{key}")
    stack.up()
    before = site.by_hand(jobs)

    stack.configure("access.monitorRole", ROLE)
    stack.configure("monitorPassword", PASSWORD, secret=True)
    stack.up()
    stack.expect_no_changes()
    assert "jobs" in observation(site)

    made = site.by_hand(role)
    stack.configure("monitorPassword", ROTATED, secret=True)
    assert stack.drift() == {f"sync-access-{ROLE}": ["password"]}
    stack.up()
    assert "jobs" in observation(site, ROTATED)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        observation(site)
    assert site.by_hand(role) == made, "in place"

    for key in ("access", "monitorPassword"):
        stack.run("config", "rm", f"bubble-sync:{key}")
    stack.up()
    stack.expect_no_changes()
    assert site.by_hand(LEFT) == []
    assert site.by_hand(jobs) == before


def test_a_password_for_the_plugin_that_is_missing_is_said(stack: Stack):
    environment = {key: value for key, value in stack.local.environment.items() if key != "PGPASSWORD"}
    without = Stack(replace(stack.local, environment=environment))

    said = without.run("preview", "--refresh=false")

    assert "warning: PGPASSWORD is not set: export it with the password of postgres at 127.0.0.1" in said
