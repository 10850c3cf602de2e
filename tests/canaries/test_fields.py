"""Whatever stands in a free-text field: it arrives as it is, or one refusal says so, and no message holds a secret."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bubble_sync.config.settings import StackSettings, read_settings
from bubble_sync.errors import ConfigurationError, SyncError
from bubble_sync.local.platform import Platform
from bubble_sync.providers.vault_secret import VaultSecretProvider
from bubble_sync.specs import Spec
from tests.fixtures.server_log import ServerLog
from tests.fixtures.site import Site
from tests.fixtures.specs import config, function_spec, job_spec, jwt, ledger_spec, secret_spec

AWKWARD = (
    "'", "''; drop table x; --", '"', "%", "%s %(id)s %%", "$$", "$function$", "\\", "\\.", "\\N", "\n", "\r\n", "\t",
    "{}", "${x}", "\0", "\x7f", "\u2028", "žluťoučký 🐎", "e\u0301", "x" * 8192, "ž'%\\\n$$" * 1024,
)  # fmt: skip
TEXTS = st.sampled_from(AWKWARD) | st.text(st.characters(exclude_categories=["Cs"]))
#: One text in front of a canary, one behind it.
AROUND = st.tuples(TEXTS, TEXTS)
MANY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def canary() -> str:
    return secrets.token_hex(16)


def read_config(**changes: str | None) -> tuple[StackSettings | None, str]:
    """Read a configuration: its settings, or what the refusal says."""
    try:
        return read_settings(config(**changes)), ""
    except ConfigurationError as refused:
        return None, str(refused)


class TestConfiguration:
    """Each key of a stack's configuration, beside a service key that must never be shown."""

    @MANY
    @given(text=TEXTS)
    @pytest.mark.parametrize(
        ("key", "read"),
        [
            ("projectRef", lambda stack: stack.project_ref),
            ("supabaseUrl", lambda stack: stack.supabase_url),
            ("databaseUrlEnv", lambda stack: stack.database_url_env),
            ("databaseCa", lambda stack: stack.database_ca),
            ("supabaseUrlName", lambda stack: stack.supabase_url_name),
            ("serviceRoleKeyName", lambda stack: stack.service_role_key_name),
            ("adopt", lambda stack: stack.adopt),
        ],
    )
    def test_a_text_is_taken_as_it_is_or_refused(
        self, canary: str, key: str, read: Callable[[StackSettings], object], text: str
    ):
        taken, said = read_config(serviceRoleKey=jwt(jti=canary), **{key: text})

        assert read(taken) == text if taken else f"bubble-sync:{key}" in said
        assert canary not in said

    @MANY
    @given(around=AROUND)
    def test_a_key_is_taken_as_it_is_or_refused_unseen(self, canary: str, around: tuple[str, str]):
        key = canary.join(around)
        taken, said = read_config(serviceRoleKey=key)

        assert taken.service_role_key == key if taken else "bubble-sync:serviceRoleKey" in said
        assert canary not in said + repr(taken)

    @MANY
    @given(around=AROUND)
    def test_a_database_url_is_taken_as_it_is_or_refused_unseen(self, canary: str, around: tuple[str, str]):
        url = f"postgresql://postgres:{canary.join(around)}@db.example.com:5432/postgres"
        taken, said = read_config(databaseUrlEnv=None, databaseUrl=url)

        assert taken.address({}).url == url if taken else "bubble-sync:databaseUrl" in said
        assert canary not in said + repr(taken) + (repr(taken.address({})) if taken else "")

    @MANY
    @given(around=AROUND)
    @pytest.mark.parametrize("key", ["processor", "retry"])
    def test_a_schedule_is_refused(self, canary: str, key: str, around: tuple[str, str]):
        problem = f'{{"schedule": {json.dumps(canary.join(around))}}}'

        with pytest.raises(ConfigurationError, match=rf"bubble-sync:{key}\.schedule"):
            read_settings(config(**{key: problem}))


class TestProvider:
    """What the engine would print of a secret that the provider refuses."""

    @MANY
    @given(around=AROUND)
    @pytest.mark.parametrize("wrap", [lambda text: [text], lambda text: {"a": text}, lambda _: "", lambda _: None])
    def test_a_value_of_the_wrong_kind_is_not_in_the_refusal(
        self, canary: str, wrap: Callable[[str], Any], around: tuple[str, str]
    ):
        given = secret_spec().model_dump() | {"value": wrap(canary.join(around))}

        failures = VaultSecretProvider().check({}, given).failures

        assert [failure.property for failure in failures] == [""]
        assert canary not in failures[0].reason


class TestDatabase:
    """Each free-text field of each object, on a server that logs every statement."""

    @pytest.fixture
    def converge(self, prepared: Site, platform: Platform, canary: str):
        """Converge a spec; return what is there then, or None when it was refused in one line."""

        def converge(spec: Spec) -> Spec | None:
            log, said = ServerLog(platform.status().parts[0].log), ""
            try:
                there = prepared.converge(spec).actual
                assert prepared.observe(spec).actual == there
            except SyncError as refused:
                there, said = None, str(refused)
            assert canary not in said + log.appended
            assert "\n" not in said
            return there

        return converge

    @MANY
    @given(around=AROUND, name=TEXTS.filter(bool), description=TEXTS)
    def test_a_secret(
        self, prepared: Site, converge, canary: str, around: tuple[str, str], name: str, description: str
    ):
        spec = secret_spec(name=name, value=canary.join(around), description=description)
        there = converge(spec)

        if there is None:
            assert "\0" in spec.name + spec.value + spec.description
            return
        assert there == spec
        stored = "select name, decrypted_secret as value, description from vault.decrypted_secrets"
        row = {"name": name, "value": spec.value, "description": description}
        assert row in prepared.by_hand(stored)
        kept = prepared.remove(spec)
        assert (row in prepared.by_hand(stored)) == (kept is not None)

    @MANY
    @given(command=TEXTS, schedule=st.just("* * * * *") | TEXTS)
    def test_a_job(self, prepared: Site, converge, command: str, schedule: str):
        there = converge(job_spec(name="a job", command=command, schedule=schedule))

        if there is None:
            assert "\0" in command or schedule != "* * * * *"
            return
        rows = prepared.by_hand("select command, schedule from cron.job where jobname = 'a job'")
        assert rows == [{"command": command, "schedule": schedule}]

    @MANY
    @given(comment=TEXTS, text=TEXTS)
    def test_a_function(self, converge, comment: str, text: str):
        body = f"\nbegin\n    perform '{text.replace(chr(39), chr(39) * 2)}';\nend;\n"
        spec = function_spec(name="public.of_fields", comment=comment, body=body)
        there = converge(spec)

        assert there == spec if there else "\0" in comment + text

    @MANY
    @given(ref=TEXTS)
    def test_the_project_of_the_ledger(self, prepared: Site, converge, ref: str):
        prepared.by_hand("delete from bubble_sync.ledger")
        there = converge(secret_spec(project_ref=ref))

        if there is None:
            assert "\0" in ref
            return
        rows = prepared.by_hand("select project_ref from bubble_sync.ledger")
        assert rows == [{"project_ref": ref or None}]
        assert converge(ledger_spec(project_ref=ref)) is not None
