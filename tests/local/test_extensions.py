"""The three extensions as a hosted project's role postgres finds them."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from bubble_sync.local.addresses import Addresses
from tests.fixtures.platform import reset

CREATE = (
    "create extension if not exists pg_cron",
    "create extension pg_net schema extensions",
    "create extension supabase_vault",
)


@pytest.fixture
def hosted(database: Addresses):
    with psycopg.connect(database.database_url, autocommit=True) as connection:
        for statement in CREATE:
            connection.execute(statement)
        yield connection


def test_the_hosted_role_is_no_superuser_and_creates_all_three(hosted):
    rows = hosted.execute(
        "select extname, extversion, extowner::regrole::text from pg_extension"
        " where extname in ('pg_cron', 'pg_net', 'supabase_vault') order by extname"
    ).fetchall()
    assert [(name, owner) for name, _, owner in rows] == [
        ("pg_cron", "supabase_admin"),
        ("pg_net", "supabase_admin"),
        ("supabase_vault", "supabase_admin"),
    ]
    assert [version for _, version, _ in rows][1:] == ["0.20.4-standin", "0.3.1-standin"]
    assert hosted.execute("select current_setting('is_superuser')").fetchone() == ("off",)


def test_the_emulators_say_in_their_comment_that_they_are_emulators(hosted):
    rows = hosted.execute(
        "select comment from pg_available_extensions where name in ('pg_net', 'supabase_vault')"
    ).fetchall()
    assert len(rows) == 2
    assert all(comment.startswith("bubble-sync emulator for ") for (comment,) in rows)


def test_the_hosted_role_schedules_alters_and_unschedules_but_writes_no_job_itself(hosted):
    (job,) = hosted.execute("select cron.schedule('j', '* * * * *', 'select 1')").fetchone()
    hosted.execute("select cron.alter_job(%s, active := false)", (job,))
    assert hosted.execute("select jobname, username, active from cron.job").fetchall() == [("j", "postgres", False)]
    with pytest.raises(errors.InsufficientPrivilege):
        hosted.execute("update cron.job set active = true")
    assert hosted.execute("select cron.unschedule('j'::text)").fetchone() == (True,)


def test_vault_lets_the_hosted_role_read_and_delete_but_not_insert(hosted):
    hosted.execute("select vault.create_secret('value', 'name')")
    with pytest.raises(errors.InsufficientPrivilege):
        hosted.execute("insert into vault.secrets (secret) values ('plain')")
    with pytest.raises(errors.InsufficientPrivilege):
        hosted.execute("select vault._root_key()")
    assert hosted.execute("delete from vault.secrets").rowcount == 1


def test_reading_the_view_needs_the_decryption_as_the_caller(hosted, database):
    hosted.execute("select vault.create_secret('value', 'name')")
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        admin.execute("revoke execute on function vault._crypto_aead_det_decrypt from postgres cascade")
    with pytest.raises(errors.InsufficientPrivilege, match="_crypto_aead_det_decrypt"):
        hosted.execute("select decrypted_secret from vault.decrypted_secrets")


def test_roles_without_a_grant_reach_neither_vault_nor_cron(hosted, database):
    with psycopg.connect(database.admin_url, autocommit=True) as anyone:
        anyone.execute("set role anon")
        for schema in ("vault.secrets", "cron.job"):
            with pytest.raises(errors.InsufficientPrivilege):
                anyone.execute(f"select * from {schema}")
        anyone.execute("select count(*) from net.http_request_queue")


def test_the_superuser_drops_and_the_hosted_role_recreates_any_number_of_times(database):
    for _ in range(3):
        with psycopg.connect(database.database_url, autocommit=True) as hosted:
            for statement in CREATE:
                hosted.execute(statement)
            hosted.execute("select vault.create_secret('value', 'name')")
            hosted.execute("select cron.schedule('j', '* * * * *', 'select 1')")
        reset(database)


def test_new_functions_of_the_hosted_role_are_granted_to_the_api_roles_by_name(hosted):
    hosted.execute("create function public.f() returns void language sql as ''")
    (acl,) = hosted.execute("select proacl::text from pg_proc where proname = 'f'").fetchone()
    assert all(f"{role}=X/postgres" in acl for role in ("anon", "authenticated", "service_role"))


def test_the_queue_hides_its_rows_from_a_role_that_does_not_bypass_row_security(hosted, platform, database):
    platform.sign_up("hidden@example.test")
    assert hosted.execute("select count(*) from public.sync_queue").fetchone() == (1,)
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        admin.execute("set role authenticated")
        assert admin.execute("select count(*) from public.sync_queue").fetchone() == (0,)


def test_the_overlay_adds_no_file_to_the_system(platform, hosted):
    share = next((platform.folder / "usr").glob("**/extension"))
    assert (share / "pg_cron--1.0.sql").is_symlink()
    assert not (share / "pg_cron.control").is_symlink()
    real = (share / "pg_cron--1.0.sql").resolve().parent
    assert "trusted" not in (real / "pg_cron.control").read_text()
