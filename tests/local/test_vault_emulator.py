"""The Vault emulator keeps the documented contract."""

from __future__ import annotations

import secrets

import psycopg
import pytest
from psycopg import errors

from bubble_sync.local.addresses import Addresses

READ = "select id, name, description, decrypted_secret from vault.decrypted_secrets where id = %s"


@pytest.fixture
def vault(database: Addresses):
    with psycopg.connect(database.database_url, autocommit=True) as connection:
        connection.execute("create extension supabase_vault")
        yield connection


def create(vault, value="value", name="name", description=""):
    return vault.execute("select vault.create_secret(%s, %s, %s)", (value, name, description)).fetchone()[0]


@pytest.mark.parametrize("value", ["value", "", "x" * 8192, "žluťoučký 🐎 'quoted' $$ % \\", "line\nbreak"])
def test_a_secret_comes_back_as_it_was_put_in(vault, value):
    row = create(vault, value, "name", "what it is")
    assert vault.execute(READ, (row,)).fetchone() == (row, "name", "what it is", value)


def test_the_table_holds_no_plain_text(vault):
    create(vault, "plaintext")
    assert "plaintext" not in str(vault.execute("select * from vault.secrets").fetchall())


def test_updating_with_null_keeps_what_is_there(vault):
    row = create(vault, "old", "name", "described")
    vault.execute("select vault.update_secret(%s, 'new')", (row,))
    assert vault.execute(READ, (row,)).fetchone() == (row, "name", "described", "new")
    vault.execute("select vault.update_secret(%s, new_name := 'other')", (row,))
    assert vault.execute(READ, (row,)).fetchone() == (row, "other", "described", "new")


def test_updating_an_unknown_id_does_nothing_and_says_nothing(vault):
    vault.execute("select vault.update_secret(gen_random_uuid(), 'new')")
    assert vault.execute("select count(*) from vault.secrets").fetchone() == (0,)


def test_a_name_is_taken_once_but_many_secrets_may_have_none(vault):
    create(vault)
    with pytest.raises(errors.UniqueViolation):
        create(vault)
    create(vault, name=None)
    create(vault, name=None)


def test_a_null_description_is_refused_with_the_plain_text_in_the_detail(vault):
    with pytest.raises(errors.NotNullViolation) as refused:
        create(vault, "leaks", description=None)
    assert "leaks" in refused.value.diag.message_detail


@pytest.fixture
def root_key(platform):
    path = platform.folder / "vault_root_key"
    kept = path.read_text()
    yield path
    path.write_text(kept)


def test_another_root_key_makes_every_secret_invalid_until_it_is_deleted(vault, root_key):
    row = create(vault)
    root_key.write_text(secrets.token_hex(32))
    for statement in ("select * from vault.decrypted_secrets", f"select vault.update_secret('{row}', 'new')"):
        with pytest.raises(errors.DataException, match="invalid ciphertext") as refused:
            vault.execute(statement)
        assert refused.value.sqlstate == "22000"
    vault.execute("delete from vault.secrets where id = %s", (row,))
    assert vault.execute(READ, (create(vault),)).fetchone()[3] == "value"


def test_without_a_root_key_nothing_is_encrypted(vault, root_key):
    root_key.write_text("")
    with pytest.raises(errors.DataException, match="no server secret key defined") as refused:
        create(vault)
    assert refused.value.sqlstate == "22000"


def test_a_session_cannot_point_to_a_root_key_of_its_own(vault, tmp_path):
    row = create(vault)
    vault.execute("select set_config('vault.getkey_script', '/dev/null', false)")
    assert vault.execute(READ, (row,)).fetchone()[3] == "value"


def test_a_ciphertext_moved_to_another_row_is_invalid(vault, database):
    create(vault, name="a")
    create(vault, name="b")
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        admin.execute("update vault.secrets set secret = (select secret from vault.secrets where name = 'a')")
    with pytest.raises(errors.DataException, match="invalid ciphertext"):
        vault.execute("select * from vault.decrypted_secrets where name = 'b'")


def test_objects_of_the_caller_do_not_take_the_place_of_vaults_own(vault):
    vault.execute("create function public.convert_to(text, name) returns bytea language sql return null::bytea")
    vault.execute("set search_path = public, pg_catalog, vault")
    assert vault.execute(READ, (create(vault),)).fetchone()[3] == "value"
