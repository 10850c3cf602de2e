"""Both halves of the key through the real command line and the real Pulumi; the Management API is a stand-in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest

from bubble_sync.local.edge_function.behaviour import Behaviour
from bubble_sync.local.platform import Platform
from tests.fixtures.dispatching import dispatching, new_key
from tests.fixtures.management_api import PROJECT, TOKEN, Answer, ManagementApi
from tests.fixtures.site import Site
from tests.fixtures.stack import Stack

NAME = "BUBBLE_SYNC_KEYS"
OPTION = ("--function-secret", NAME)
KEY = "select decrypted_secret as value from vault.decrypted_secrets where name = 'service_role_key'"
REFUSE = (
    "create function public.refuse() returns trigger language plpgsql as 'begin raise exception ''no''; end'",
    "create trigger refusing before update on vault.secrets for each row "
    "when (new.name like 'service%') execute function public.refuse()",
)


def reads_list(platform: Platform) -> Callable[[Mapping[str, str]], None]:
    """Let the function accept each of the keys in its secret."""
    return lambda secrets: platform.behave(Behaviour(status=200, own_keys=False, keys=tuple(secrets[NAME].split(","))))


def reads_one(platform: Platform) -> Callable[[Mapping[str, str]], None]:
    """Let the function compare the whole secret, as one key."""
    return lambda secrets: platform.behave(Behaviour(status=200, own_keys=False, keys=(secrets[NAME],)))


@pytest.fixture
def old(site: Site) -> str:
    return site.addresses.service_role_key


@pytest.fixture
def project(
    converged: Stack, platform: Platform, management_api: ManagementApi, old: str
) -> Iterator[Stack]:  # fmt: skip
    """A stack of a project whose function accepts the stack's key, and a token for the project."""
    converged.configure("projectRef", PROJECT)
    variables = {"SUPABASE_ACCESS_TOKEN": TOKEN, "SUPABASE_API_URL": management_api.url}
    environment = {**converged.local.environment, **variables}
    management_api.changed = reads_list(platform)
    management_api.values[NAME] = old
    management_api.changed(management_api.values)
    stack = Stack(replace(converged.local, environment=environment), converged.said)
    yield stack
    shown = "\n".join(stack.said)
    for secret in (TOKEN, old, *management_api.values[NAME].split(",")):
        assert secret not in shown


class TestRotate:
    def test_no_request_is_rejected_while_both_halves_change(
        self, project: Stack, site: Site, platform: Platform, management_api: ManagementApi
    ):
        platform.sign_up("waiting@example.com")
        new = new_key("apikey")

        with dispatching(site.addresses) as dispatches:
            said = project.sync("key", "rotate", *OPTION, key=new)
            dispatches.wait_for(len(dispatches.requests) + 3)

        assert management_api.values == {NAME: new}
        assert site.by_hand(KEY) == [{"value": new}]
        assert set(dispatches.outcomes()) == {"200"}
        assert dispatches.without_request == []
        assert f"function secret {NAME} of project {PROJECT} holds the new key alone" in said
        assert "function  secret BUBBLE_SYNC_KEYS holds this key alone" in project.sync("key", "status", *OPTION)

    def test_an_up_that_fails_leaves_both_halves_as_they_were(
        self, project: Stack, site: Site, management_api: ManagementApi, old: str
    ):
        before = project.local.config_file.read_bytes()
        site.by_hand(*REFUSE)

        said = project.sync("key", "rotate", *OPTION, key=new_key("apikey"), expect=1)

        assert "`pulumi up` failed, and everything is as it was: ServerRefused" in said
        assert f"function secret {NAME} of project {PROJECT} is as it was." in said
        assert management_api.values == {NAME: old}
        assert site.by_hand(KEY) == [{"value": old}]
        assert project.local.config_file.read_bytes() == before

    def test_a_last_step_that_fails_is_named_and_can_be_done_alone(
        self, project: Stack, site: Site, management_api: ManagementApi, old: str
    ):
        new = new_key("apikey")
        management_api.plan("POST", None, Answer(429, headers={"Retry-After": "9"}))

        said = project.sync("key", "rotate", *OPTION, key=new, expect=1)

        assert management_api.values == {NAME: f"{old},{new}"}
        assert site.by_hand(KEY) == [{"value": new}]
        assert "rotated: secret service_role_key of stack local holds the new key" in said
        assert "still accepts the old key too: the Management API limits the rate (429): run again in 9 s" in said
        assert "Then `bubble-sync key set-function --stack local" in said
        assert "holds another value" in project.sync("key", "status", *OPTION, expect=1)
        assert "not a terminal" in project.sync("key", "set-function", NAME, expect=2)
        assert "holds another value, set 2026-11-01" in project.sync("key", "set-function", NAME, "--yes")
        assert management_api.values == {NAME: new}
        assert "alone already" in project.sync("key", "set-function", NAME)

    def test_a_dry_run_prints_the_steps_and_sends_the_key_nowhere(
        self, project: Stack, site: Site, management_api: ManagementApi, platform: Platform, old: str
    ):
        before = project.local.config_file.read_bytes()
        calls = platform.status().request_log.read_text()

        said = project.sync("key", "rotate", *OPTION, "--dry-run", key=new_key("apikey"))

        assert said.splitlines() == [
            f"1. set function secret {NAME} of project {PROJECT} to the old and the new key, and read the digest back",
            "2. try the new key, and a wrong one, with action get_status through pg_net",
            "3. set bubble-sync:serviceRoleKey in Pulumi.local.yaml, and `pulumi up --stack local "
            f"--config-file {project.local.config_file}`",
            f"4. set function secret {NAME} of project {PROJECT} to the new key alone when requests with the old key "
            "have arrived, and read the digest back",
            "dry run: nothing was changed",
        ]
        assert management_api.requests == [f"GET /v1/projects/{PROJECT}/secrets"]
        assert (project.local.config_file.read_bytes(), management_api.values) == (before, {NAME: old})
        assert site.by_hand(KEY) == [{"value": old}]
        assert platform.status().request_log.read_text() == calls

    def test_without_the_option_the_api_is_not_asked(self, project: Stack, management_api: ManagementApi):
        project.sync("key", "rotate", "--dry-run", key=new_key("apikey"))
        project.sync("key", "status", expect=1)

        assert management_api.requests == []

    @pytest.mark.parametrize(
        ("plan", "text", "code"),
        [
            ((Answer(403),), "edge_functions_secrets_write", 1),
            ((Answer(502, after_work=True),), "the Management API is in trouble (502)", 3),
            (
                (Answer(502, after_work=True), Answer(502), Answer(502)),
                "could not be set back and may hold the new key",
                3,
            ),
        ],
    )
    def test_a_first_half_that_fails_is_put_back_or_named(
        self, project: Stack, site: Site, management_api: ManagementApi, old: str,
        plan: tuple[Answer, ...], text: str, code: int,
    ):  # fmt: skip
        before = project.local.config_file.read_bytes()
        management_api.plan("POST", *plan)

        said = project.sync("key", "rotate", *OPTION, key=new_key("apikey"), expect=code)

        assert text in said
        assert ("is as it was" in said) == (management_api.values[NAME] == old)
        assert "trying the new key" not in said
        assert project.local.config_file.read_bytes() == before
        assert site.by_hand(KEY) == [{"value": old}]

    def test_a_function_that_reads_one_key_gets_its_key_back_at_once(
        self, project: Stack, platform: Platform, management_api: ManagementApi, old: str
    ):
        management_api.changed = reads_one(platform)

        said = project.sync("key", "rotate", *OPTION, key=new_key("apikey"), expect=1)

        assert "the function refuses the new key and the old one" in said
        assert "If it reads one key: --one-key. " in said
        assert "is as it was." in said
        assert management_api.values == {NAME: old}

    @pytest.mark.matrix
    def test_with_one_key_the_gap_is_named(
        self, project: Stack, site: Site, platform: Platform, management_api: ManagementApi
    ):
        management_api.changed = reads_one(platform)
        new = new_key("apikey")

        said = project.sync("key", "rotate", *OPTION, "--one-key", key=new)

        assert management_api.values == {NAME: new}
        assert site.by_hand(KEY) == [{"value": new}]
        assert "the function refused requests with the old key from" in said
        assert "their items wait for the next tick" in said

    @pytest.mark.matrix
    def test_with_one_key_an_up_that_fails_gives_the_function_its_key_back(
        self, project: Stack, site: Site, platform: Platform, management_api: ManagementApi, old: str
    ):
        management_api.changed = reads_one(platform)
        site.by_hand(*REFUSE)

        project.sync("key", "rotate", *OPTION, "--one-key", key=new_key("apikey"), expect=1)

        assert management_api.values == {NAME: old}

    @pytest.mark.matrix
    @pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    def test_a_rotation_that_is_stopped_between_the_halves_ends_or_can_go_on(
        self, project: Stack, site: Site, platform: Platform, management_api: ManagementApi, old: str,
        stop: signal.Signals,
    ):  # fmt: skip
        new = new_key("apikey")
        rotating = subprocess.Popen(
            ["bubble-sync", "key", "rotate", *OPTION, *project.local.arguments, "--key-fd", "0"],
            cwd=project.local.checkout, env=dict(project.local.environment), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

        def changed(secrets: Mapping[str, str]) -> None:
            reads_list(platform)(secrets)
            if "," in secrets[NAME]:
                os.kill(rotating.pid, stop)

        management_api.changed = changed
        said, _ = rotating.communicate(new)
        project.said.append(said)
        if stop is signal.SIGKILL:
            assert management_api.values == {NAME: f"{old},{new}"}
            assert site.by_hand(KEY) == [{"value": old}]
            management_api.changed = reads_list(platform)
            project.sync("key", "rotate", *OPTION, key=new)
        else:
            assert rotating.returncode == 0, said
            assert "finishing first" in said
        assert management_api.values == {NAME: new}
        assert site.by_hand(KEY) == [{"value": new}]


class TestSetFunction:
    def test_a_secret_that_is_not_there_is_made(self, project: Stack, management_api: ManagementApi, old: str):
        management_api.values.clear()
        assert f"there is no function secret {NAME}" in project.sync(
            "key", "rotate", *OPTION, key="sb_secret_n", expect=1
        )
        assert json.loads(project.sync("key", "status", *OPTION, "--json", expect=1))["function_secret"] == "absent"

        project.sync("key", "set-function", NAME, "--yes")

        assert management_api.values == {NAME: old}

    def test_a_key_that_the_database_does_not_send_is_refused(
        self, project: Stack, site: Site, management_api: ManagementApi
    ):
        management_api.values[NAME] = "another"
        site.by_hand("select vault.update_secret(id, 'by hand') from vault.secrets where name = 'service_role_key'")

        said = project.sync("key", "set-function", NAME, "--yes", expect=1)

        assert "differs from the configuration" in said
        assert management_api.values == {NAME: "another"}
