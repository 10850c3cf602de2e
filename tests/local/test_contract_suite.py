"""`make contract DSN=...` on a server that it did not make: nothing is lost or changed, whatever the role may do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.fixtures.site import Site

CHECKOUT = Path(__file__).parents[2]
#: All that a probe could destroy: secrets with and without a name, jobs, their history, rights, roles, settings.
STATE = """
    select 'secret' as kind, coalesce(name, '-') || secret || updated_at::text as what from vault.secrets
    union all select 'job', job::text from cron.job
    union all select 'run', run::text from cron.job_run_details as run
    union all select 'waiting', row::text from net.http_request_queue as row
    union all select 'extension', extname || extowner::regrole::text from pg_extension
    union all select 'rights', relname || coalesce(relacl::text, '') from pg_class
    where relnamespace in ('vault'::regnamespace, 'cron'::regnamespace, 'net'::regnamespace)
    union all select 'function', oid::regprocedure || coalesce(proacl::text, '') from pg_proc
    where pronamespace in ('vault'::regnamespace, 'cron'::regnamespace, 'net'::regnamespace)
    union all select 'role', rolname from pg_roles
    union all select 'setting', name || setting from pg_file_settings
    order by 1, 2
"""


@pytest.mark.matrix
def test_it_leaves_everything_as_it_was(site: Site):
    dsn = site.addresses.admin_url
    site.by_hand(
        "create extension if not exists pg_cron", "create extension if not exists supabase_vault",
        "create extension if not exists pg_net schema extensions",
    )  # fmt: skip
    with psycopg.connect(dsn) as connection:
        connection.execute("select vault.create_secret('a', 'named'), vault.create_secret('b')")
        connection.execute("select cron.schedule('of the project', '0 0 1 1 *', 'select 1')")
        connection.execute("select cron.schedule('0 0 1 1 *', 'select 2')")
    site.by_hand(
        "insert into cron.job_run_details (jobid, runid, username, command, status, start_time) "
        "select jobid, 1000 + jobid, username, command, 'succeeded', now() from cron.job"
    )
    before = site.by_hand(STATE)
    assert {row["kind"] for row in before} >= {"secret", "job", "run", "extension", "rights", "role", "setting"}

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contract"],
        cwd=CHECKOUT, env={**os.environ, "CONTRACT_DSN": dsn}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert site.by_hand(STATE) == before, done.stdout
    assert "contract: " in done.stdout
    assert "server of our own" in done.stdout
