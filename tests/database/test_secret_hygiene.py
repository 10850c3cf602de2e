"""A secret's value is in Vault and nowhere else, whatever the value is."""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bubble_sync.errors import PrivilegeMissing, ServerRefused
from bubble_sync.local.platform import Platform
from bubble_sync.specs import DIFFERS, VaultSecretSpec, compare
from tests.fixtures.server_log import ServerLog
from tests.fixtures.site import Site
from tests.fixtures.specs import secret_spec

OF_ANOTHER_ROOT_KEY = "update vault.secrets set secret = encode('not of this key, and long enough', 'base64')"
STORED = "select decrypted_secret as value, description from vault.decrypted_secrets"

# Whatever PostgreSQL can hold: no NUL, no half of a surrogate pair.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | st.sampled_from(
    ["'", "''; drop table x; --", "%", "%s %(id)s %%", "$$", "$function$", "\\", "\\.", "\\N", "\n", "\r\n", "\t", "{}"]
)
#: Everything that auto_explain can log.
EXPLAINED = {
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_verbose": "on",
    "auto_explain.log_parameter_max_length": "-1",
}

pytestmark = pytest.mark.modes


@pytest.fixture
def canary() -> str:
    return f"canary-{secrets.token_hex(16)}"


def a_secret(value: str, **changes: str) -> VaultSecretSpec:
    return secret_spec(name="service_role_key", value=value, **changes)


def files_with(folder: Path, text: str) -> list[str]:
    """Name the files of the server's data that hold a text."""
    wanted = text.encode()
    found = []
    for path in folder.rglob("*"):
        # The server removes files as it likes.
        with suppress(FileNotFoundError, IsADirectoryError):
            found += [str(path.relative_to(folder))] if wanted in path.read_bytes() else []
    return found


class TestTheServerLogHoldsNoValue:
    """The server logs every statement with its parameters."""

    def test_when_a_secret_is_made(self, prepared: Site, server_log: ServerLog, canary: str):
        prepared.converge(a_secret(canary))

        assert "copy pg_temp.bubble_sync_incoming" in server_log.appended
        assert canary not in server_log.appended

    @pytest.mark.hosted_role
    def test_when_the_server_explains_every_statement_with_its_values(
        self, prepared: Site, server_log: ServerLog, canary: str
    ):
        for name, value in {"session_preload_libraries": "auto_explain", **EXPLAINED}.items():
            prepared.by_hand(f"alter role postgres set {name} = '{value}'")
        prepared.end_sessions()

        prepared.converge(a_secret(f"{canary} before"))
        prepared.converge(a_secret(canary))

        assert "Query Text: update vault.secrets" in server_log.appended
        assert canary not in server_log.appended

    def test_when_a_secret_is_changed(self, prepared: Site, server_log: ServerLog, canary: str):
        prepared.converge(a_secret(f"{canary}-old"))
        prepared.converge(a_secret(f"{canary}-new", description="other"))

        assert "vault.update_secret" in server_log.appended
        assert canary not in server_log.appended

    def test_when_a_secret_of_another_root_key_is_made_anew(self, prepared: Site, server_log: ServerLog, canary: str):
        prepared.converge(a_secret(canary))
        prepared.by_hand(OF_ANOTHER_ROOT_KEY)
        prepared.converge(a_secret(canary))

        assert "invalid ciphertext" in server_log.appended
        assert canary not in server_log.appended

    def test_when_a_secret_is_compared(self, prepared: Site, server_log: ServerLog, canary: str):
        prepared.converge(a_secret(canary))

        equal = prepared.observe(a_secret(canary))
        different = prepared.observe(a_secret(f"{canary}-new"))

        assert equal.actual.value == canary
        assert different.actual.value == DIFFERS
        assert canary not in "".join(str(one) for one in compare(a_secret(f"{canary}-new"), different))
        assert "sha256" in server_log.appended
        assert canary not in server_log.appended

    @pytest.mark.parametrize(
        ("by_hand", "refusal"),
        [
            pytest.param(
                "revoke execute on function vault.update_secret from postgres",
                PrivilegeMissing,
                marks=pytest.mark.hosted_role,
            ),
            ("alter table vault.secrets add constraint frozen check (name is null) not valid", ServerRefused),
        ],
    )
    def test_when_the_server_refuses_the_value(
        self, prepared: Site, server_log: ServerLog, canary: str, by_hand: str, refusal: type[Exception]
    ):
        prepared.converge(a_secret("old"))
        prepared.by_hand(by_hand)

        with pytest.raises(refusal) as refused:
            prepared.converge(a_secret(canary))

        assert "ERROR:" in server_log.appended
        assert canary not in server_log.appended + str(refused.value)

    def test_but_it_does_when_a_value_is_bound_as_a_parameter(self, prepared: Site, server_log: ServerLog, canary: str):
        with prepared.db.transaction("by hand") as conn:
            conn.execute("select vault.create_secret(%s, 'service_role_key')", (canary,))

        assert canary in server_log.appended


class TestTheServersFilesHoldNoValue:
    """What a backup, a replica or a stolen disk has: tables and write-ahead log."""

    def test_when_a_secret_is_made_and_changed(self, prepared: Site, platform: Platform, canary: str):
        prepared.converge(a_secret(f"{canary}-old"))
        prepared.converge(a_secret(f"{canary}-new"))
        prepared.by_hand("checkpoint")

        assert files_with(platform.folder / "data", canary) == []

    def test_but_they_do_when_create_secret_gets_the_value(self, prepared: Site, platform: Platform, canary: str):
        prepared.by_hand(f"select vault.create_secret('{canary}', 'service_role_key')", "checkpoint")

        assert any(name.startswith("pg_wal/") for name in files_with(platform.folder / "data", canary))


class TestAnyTextIsStoredAsItIs:
    """Quotes, per cent signs, dollar quotes, line breaks and backslashes mean nothing on the way."""

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(value=TEXTS.filter(bool), description=TEXTS)
    def test_value_and_description(self, prepared: Site, value: str, description: str):
        prepared.converge(a_secret(value, description=description))

        assert prepared.by_hand(STORED) == [{"value": value, "description": description}]

    @pytest.mark.parametrize("value", ["x" * 8192, "ž'%\\\n$$" * 1024], ids=["ascii", "awkward"])
    def test_a_long_value(self, prepared: Site, value: str):
        made = prepared.converge(a_secret(value))

        assert made.actual.value == value
        assert prepared.by_hand(STORED)[0]["value"] == value

    def test_a_value_that_hides_in_the_statement_that_compares_it(self, prepared: Site):
        prepared.converge(a_secret("%(name)s' or true --"))

        assert prepared.observe(a_secret("other")).actual.value == DIFFERS
