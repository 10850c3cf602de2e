"""Probes of supabase_vault: what is kept, what is refused, and who may do what."""

from __future__ import annotations

import secrets
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import errors

from tests.contract import catalog
from tests.contract.server import refusal

SECRETS, VIEW = "vault.secrets", "vault.decrypted_secrets"
FUNCTIONS = ("create_secret", "update_secret", "_crypto_aead_det_encrypt", "_crypto_aead_det_decrypt")
DECRYPT = "vault._crypto_aead_det_decrypt(bytea, bytea, bigint, bytea, bytea)"
#: Of the probes' own, so that nobody else's secret is touched.
NAME = "bubble-sync contract"
#: base64 has line breaks.
CIPHERTEXT = "length(decode(secret, 'base64'))"


@pytest.fixture
def vault(caller):
    yield caller
    caller.execute("reset all; reset role")
    caller.execute(f"delete from {SECRETS} where name like %s", (f"{NAME}%",))


def create(connection, value="value", name=NAME, description=""):
    statement = "select vault.create_secret(%s, %s, %s)"
    (number,) = connection.execute(statement, (value, name, description)).fetchone()
    return number


def read(connection, number):
    (row,) = catalog.rows(
        connection, f"select name, description, decrypted_secret, key_id::text from {VIEW} where id = %s", (number,)
    )
    return row


def kept(connection, number):
    return connection.execute(f"select secret, nonce, created_at, updated_at from {SECRETS} where id = %s", (number,))


# What is there


@pytest.mark.parametrize("name", [*FUNCTIONS, "_crypto_aead_det_noncegen"])
def test_function(vault, name):
    return catalog.function(vault, "vault", name)


@pytest.mark.parametrize("relation", [SECRETS, VIEW])
def test_columns(vault, relation):
    return catalog.columns(vault, relation)


@pytest.mark.parametrize("relation", [SECRETS, VIEW])
def test_relation(vault, relation):
    return catalog.relation(vault, relation)


def test_view_runs_with_the_owners_rights_on_the_table(vault):
    return vault.execute("select reloptions from pg_class where oid = %s::regclass", (VIEW,)).fetchone()[0]


def test_extension(vault):
    return catalog.rows(
        vault,
        "select nspname, extrelocatable, extconfig = array['vault.secrets'::regclass::oid] as dumped"
        " from pg_extension join pg_namespace on pg_namespace.oid = extnamespace where extname = 'supabase_vault'",
    )


def test_drop_column_of_the_extension_is_refused(hosted):
    return refusal(hosted, f"alter table {SECRETS} drop column nonce")


# What is kept

VALUES = {
    "short": "value",
    "empty": "",
    "8 KB": "x" * 8192,
    "letters": "žluťoučký 🐎",
    "signs": "'quoted' \"twice\" $$ % \\ {}",
    "lines": "one\ntwo\r\n\tthree",
}


@pytest.mark.parametrize("value", VALUES)
def test_value_comes_back(vault, value):
    return read(vault, create(vault, VALUES[value], description="what it is"))["decrypted_secret"] == VALUES[value]


def test_row(vault):
    return read(vault, create(vault, description="what it is"))


def test_table_holds_ciphertext_longer_than_the_value(vault):
    number = create(vault, "plaintext")
    statement = f"select secret like '%%plaintext%%', {CIPHERTEXT} - 9, length(nonce) from {SECRETS} where id = %s"
    return list(vault.execute(statement, (number,)).fetchone())


def test_long_ciphertext_has_line_breaks(vault):
    number = create(vault, "x" * 500)
    return vault.execute(f"select secret like E'%%\\n%%' from {SECRETS} where id = %s", (number,)).fetchone()[0]


def test_equal_values_have_different_ciphertexts(vault):
    one, two = create(vault, name=f"{NAME} 1"), create(vault, name=f"{NAME} 2")
    return kept(vault, one).fetchone()[0] != kept(vault, two).fetchone()[0]


def test_created_by_name(vault):
    statement = "select vault.create_secret(new_description := 'd', new_name := %s, new_secret := 'v')"
    return read(vault, vault.execute(statement, (NAME,)).fetchone()[0])


def test_created_with_the_value_alone_has_no_name(vault):
    (number,) = vault.execute("select vault.create_secret('v')").fetchone()
    row = read(vault, number)
    vault.execute(f"delete from {SECRETS} where id = %s", (number,))
    return row


def test_created_with_a_key_id(vault):
    statement = "select vault.create_secret('v', %s, '', gen_random_uuid())"
    return read(vault, vault.execute(statement, (NAME,)).fetchone()[0])


def test_name_is_taken_once(vault):
    create(vault)
    return refusal(vault, "select vault.create_secret('other', %s)", (NAME,))


def test_empty_name_counts_as_a_name(vault):
    with vault.transaction(force_rollback=True):
        create(vault, name="")
        return refusal(vault, "select vault.create_secret('other', '')")


def test_many_may_have_no_name(vault):
    with vault.transaction(force_rollback=True):
        return create(vault, name=None) != create(vault, name=None)


@pytest.mark.parametrize("null", ["description", "value"])
def test_null(vault, null):
    values = {"value": "leaks", "description": "", null: None}
    with pytest.raises(errors.NotNullViolation) as refused:
        create(vault, **values)
    said = refused.value.diag
    return {"message": said.message_primary, "shows the value": "leaks" in (said.message_detail or "")}


def test_rolled_back_creation_leaves_nothing(vault):
    with vault.transaction(force_rollback=True):
        create(vault)
    return vault.execute(f"select count(*) from {SECRETS} where name = %s", (NAME,)).fetchone()[0]


# Updates

UPDATES = {
    "value": "%s, 'new'",
    "name": f"%s, new_name := '{NAME} renamed'",
    "description": "%s, new_description := 'new'",
    "everything": f"%s, 'new', '{NAME} renamed', 'new', gen_random_uuid()",
    "nothing": "%s",
    "nothing but null": "%s, null, null, null, null",
    "empty value": "%s, ''",
    "empty name": "%s, new_name := ''",
}


@pytest.mark.parametrize("update", UPDATES)
def test_updated(vault, update):
    with vault.transaction(force_rollback=True):
        number = create(vault, "old", description="old")
        before = kept(vault, number).fetchone()
        (said,) = vault.execute(f"select vault.update_secret({UPDATES[update]})::text", (number,)).fetchone()
        after = kept(vault, number).fetchone()
        same = [one == other for one, other in zip(before, after, strict=True)]
        return {"said": said, **read(vault, number), "same ciphertext, nonce, created": same[:3]}


def test_update_that_changes_nothing_changes_the_time(vault):
    number = create(vault)
    before = kept(vault, number).fetchone()
    vault.execute("select vault.update_secret(%s)", (number,))
    after = kept(vault, number).fetchone()
    return {"updated": before[3] != after[3], "ciphertext": before[0] != after[0]}


def test_update_of_an_unknown_id(vault):
    return vault.execute("select vault.update_secret(gen_random_uuid(), 'new')::text").fetchone()[0]


def test_update_to_a_name_that_is_taken(vault):
    create(vault, name=f"{NAME} 1")
    return refusal(vault, "select vault.update_secret(%s, new_name := %s)", (create(vault), f"{NAME} 1"))


def test_update_of_an_id_that_is_no_uuid(vault):
    return refusal(vault, "select vault.update_secret('x', 'new')")


# Who may what


@pytest.mark.parametrize("relation", [SECRETS, VIEW])
@pytest.mark.parametrize("role", ["public", "postgres", "service_role", "anon", "authenticated"])
def test_privileges(hosted, role, relation):
    return catalog.privileges(hosted, role, relation)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("role", ["public", "postgres", "service_role", "anon"])
def test_execute(hosted, role, name):
    statement = "select has_function_privilege(%s, oid, 'execute') from pg_proc where oid = %s::regproc"
    return hosted.execute(statement, (role, f"vault.{name}")).fetchone()[0]


@pytest.mark.parametrize("role", ["public", "postgres", "service_role", "anon"])
def test_usage_of_the_schema(hosted, role):
    return hosted.execute("select has_schema_privilege(%s, 'vault', 'usage')", (role,)).fetchone()[0]


WRITES = {
    "insert": f"insert into {SECRETS} (secret) values ('plain')",
    "insert into the view": f"insert into {VIEW} (name) values ('n')",
    "update": f"update {SECRETS} set name = 'n'",
    "update the view": f"update {VIEW} set name = 'n'",
    "truncate": f"truncate {SECRETS}",
    "encrypt": "select vault._crypto_aead_det_encrypt('x', 'x', 0)",
    "nonce": "select vault._crypto_aead_det_noncegen()",
    "drop": "drop extension supabase_vault",
    "replace": "create or replace function vault.create_secret(text) returns uuid language sql return null::uuid",
}


@pytest.mark.parametrize("write", WRITES)
def test_refused_to_the_caller(hosted, write):
    return refusal(hosted, WRITES[write])


def test_deleted_by_the_caller_through_table_and_view(vault):
    create(vault)
    through_view = vault.execute(f"delete from {VIEW} where name = %s", (NAME,)).rowcount
    create(vault)
    return [through_view, vault.execute(f"delete from {SECRETS} where name = %s", (NAME,)).rowcount]


PRIVILEGES = {
    "usage on schema vault": "with grant option",
    f"select on {SECRETS}": "with grant option",
    f"select on {VIEW}": "with grant option",
    f"delete on {SECRETS}": "with grant option",
    f"execute on function {DECRYPT}": "with grant option",
    "execute on function vault.create_secret": "with grant option",
    "execute on function vault.update_secret": "with grant option",
}
USES = {
    "create": "select vault.create_secret('v')",
    "update": "select vault.update_secret(gen_random_uuid(), 'v')",
    "read": f"select decrypted_secret from {VIEW}",
    "list": f"select id from {SECRETS}",
    "list the view": f"select id, name from {VIEW}",
    "delete": f"delete from {SECRETS} where false",
}


@contextmanager
def without(admin, privilege):
    admin.execute(f"revoke {privilege} from postgres cascade")
    try:
        yield
    finally:
        admin.execute(f"grant {privilege} to postgres {PRIVILEGES[privilege]}")
        admin.execute(f"grant {privilege} to service_role")


@pytest.mark.parametrize("privilege", PRIVILEGES)
def test_without(hosted, admin, vault, privilege):
    """What the caller can no longer do when one privilege is taken from it."""
    create(vault)
    with without(admin, privilege):
        found = {name: refusal(hosted, statement) for name, statement in USES.items()}
    return {name: one["message"] for name, one in found.items() if one["sqlstate"]}


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_role_without_grants(admin, role):
    admin.execute(f"set role {role}")
    return {name: refusal(admin, statement)["message"] for name, statement in USES.items()}


# What cannot be read


def test_ciphertext_of_another_row(admin, vault):
    create(vault, name=f"{NAME} 1")
    number = create(vault)
    admin.execute(
        f"update {SECRETS} set secret = (select secret from {SECRETS} where name = %s) where id = %s",
        (f"{NAME} 1", number),
    )
    return refusal(vault, f"select decrypted_secret from {VIEW} where id = %s", (number,))


@pytest.mark.parametrize("text", ["", "plain", "AAAA", "not base64!"])
def test_ciphertext_that_is_none(admin, vault, text):
    number = create(vault)
    admin.execute(f"update {SECRETS} set secret = %s where id = %s", (text, number))
    return {
        "read": refusal(vault, f"select decrypted_secret from {VIEW} where id = %s", (number,)),
        "list": refusal(vault, f"select name from {VIEW} where id = %s", (number,)),
        "update": refusal(vault, "select vault.update_secret(%s, 'new')", (number,)),
    }


def test_objects_of_the_caller_do_not_take_the_place_of_vaults_own(vault):
    with vault.transaction(force_rollback=True):
        vault.execute("create function public.convert_to(text, name) returns bytea language sql return null::bytea")
        vault.execute("create function public.encode(bytea, text) returns text language sql return 'evil'")
        vault.execute("set local search_path = public, pg_catalog, vault")
        return read(vault, create(vault))["decrypted_secret"]


def test_setting_of_the_session_does_not_change_the_key(vault):
    number = create(vault)
    found = refusal(vault, "set vault.getkey_script = '/dev/null'")["sqlstate"]
    return {"set": found, "still read": read(vault, number)["decrypted_secret"]}


def test_another_root_key(ours):
    """After a restart with another key: what was kept is lost, and deleting it is the way out."""
    path = ours.platform.folder / "vault_root_key"
    mine = path.read_text()
    seen = {}

    def under(key):
        ours.platform.stop()
        path.write_text(key)
        ours.start()
        return psycopg.connect(ours.dsn, autocommit=True)

    with ours.connect() as before:
        number = create(before, "old")
    try:
        with under(secrets.token_hex(32)) as after:
            seen["read"] = refusal(after, f"select decrypted_secret from {VIEW} where id = %s", (number,))
            seen["update"] = refusal(after, "select vault.update_secret(%s, 'new')", (number,))
            seen["list"] = refusal(after, f"select name from {VIEW} where id = %s", (number,))["sqlstate"]
            after.execute(f"delete from {SECRETS} where id = %s", (number,))
            seen["created again"] = read(after, create(after, "new"))["decrypted_secret"]
            after.execute(f"delete from {SECRETS} where name = %s", (NAME,))
    finally:
        under(mine).close()
    return seen
