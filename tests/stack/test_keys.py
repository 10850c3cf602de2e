"""Keys through the real command line and the real Pulumi: told, tried, changed, and nothing lost on the way."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from bubble_sync.local.edge_function.behaviour import Behaviour
from bubble_sync.local.platform import Platform
from tests.fixtures.site import Site
from tests.fixtures.specs import jwt
from tests.fixtures.stack import Stack, git

SECRETS = "select name, id::text, decrypted_secret as value from vault.decrypted_secrets order by name"
KEY = "select id::text, decrypted_secret as value from vault.decrypted_secrets where name = 'service_role_key'"
BODIES = "select string_agg(prosrc, '' order by oid) as bodies from pg_proc where proname like 'invoke%'"
NEW_NAME = "bubble_sync_key"


def commit_elsewhere(repository: Path, tmp_path: Path) -> None:
    """Push a commit from another clone."""
    upstream = git(repository, "remote", "get-url", "origin").strip()
    git(tmp_path, "clone", "-q", upstream, "other")
    (tmp_path / "other" / "more").write_text("more")
    git(tmp_path / "other", "add", "more")
    git(tmp_path / "other", "commit", "-qm", "more")
    git(tmp_path / "other", "push", "-q")


class TestStatus:
    def test_a_legacy_key_is_told_with_its_end_and_the_way_on(self, converged: Stack, site: Site):
        said = converged.sync("key", "status", expect=1)

        assert "legacy JWT" in said
        assert "Authorization: Bearer <key>" in said
        assert "which Supabase removes by the end of 2026" in said
        assert "secret service_role_key holds this key" in said
        assert "our functions only" in said
        assert site.addresses.service_role_key not in said

    def test_a_secret_key_that_others_read_too(self, converged: Stack, site: Site):
        converged.configure("serviceRoleKey", site.addresses.secret_key, secret=True)
        site.by_hand("create function public.notify_ops() returns text language sql as 'select ''service_role_key'''")

        told = json.loads(converged.sync("key", "status", "--json", expect=1))

        assert (told["kind"], told["header"], told["warnings"]) == ("secret key", "apikey", [])
        assert told["stored"] == "differs", "the configuration is ahead of the database"
        assert told["named_by"] == ["function public.notify_ops()"]
        converged.up()
        assert json.loads(converged.sync("key", "status", "--json"))["stored"] == "equal"

    def test_what_the_key_says_is_told_although_the_database_does_not_answer(self, converged: Stack):
        said = converged.through("postgresql://postgres:p@127.0.0.1:1/postgres").sync("key", "status", expect=3)

        assert "legacy JWT" in said
        assert "error: cannot connect to the database" in said

    def test_up_and_preview_say_what_will_stop_the_key(self, converged: Stack, site: Site):
        converged.configure("serviceRoleKey", jwt(ref=None, exp=4_000_000_000), secret=True)
        assert "warning" not in converged.run("preview", "--refresh=false"), "Supabase removes no key of this machine"

        converged.configure("supabaseUrl", "https://sync.example.com")
        assert "warning: the key is a legacy JWT" in converged.run("preview", "--refresh=false")

        converged.configure("serviceRoleKey", jwt(ref=None, exp=1_000_000_000), secret=True)
        assert "warning: the key expired on 2001-09-09" in converged.run("preview", "--refresh=false")

        converged.configure("serviceRoleKey", site.addresses.secret_key, secret=True)
        assert "warning" not in converged.run("preview", "--refresh=false")


class TestProbe:
    def test_the_configured_key_is_proven(self, converged: Stack):
        said = converged.sync("key", "probe")

        assert "the key      accepted (HTTP 200)" in said
        assert "a wrong key  refused (HTTP 401)" in said
        assert "proven: the key works, and a wrong one is refused" in said

    def test_a_candidate_is_tried_and_vault_stays(self, converged: Stack, site: Site):
        before = site.by_hand(SECRETS)

        assert json.loads(converged.sync("key", "probe", "--json", key=site.addresses.secret_key))["proven"]
        assert "not proven: refused (HTTP 401)" in converged.sync("key", "probe", key="sb_secret_unknown", expect=1)
        assert site.by_hand(SECRETS) == before

    def test_an_endpoint_that_checks_nothing_proves_nothing(self, converged: Stack, platform: Platform):
        platform.behave(Behaviour(checks_key=False))

        assert "a wrong key is accepted too" in converged.sync("key", "probe", expect=1)

    def test_an_action_that_the_function_does_not_know_is_enough(self, converged: Stack):
        assert "accepted (HTTP 400)" in converged.sync("key", "probe", "--action", "dance")

    def test_a_gateway_in_front_refuses_a_secret_key_and_the_remedy_is_said(
        self, converged: Stack, site: Site, platform: Platform
    ):
        platform.behave(Behaviour(verify_jwt=True))

        said = converged.sync("key", "probe", key=site.addresses.secret_key, expect=1)

        assert "the gateway demands a JWT (verify_jwt = true)" in said
        assert "supabase functions deploy bubble_sync" in said


class TestRotate:
    def test_in_place_the_id_stays_and_nothing_else_is_touched(self, converged: Stack, site: Site):
        (before,) = site.by_hand(KEY)
        site.by_hand("update cron.job set schedule = '0 0 * * *' where jobid = 2")

        said = converged.sync("key", "rotate", key=site.addresses.secret_key)

        assert site.by_hand(KEY) == [{**before, "value": site.addresses.secret_key}]
        assert "rotated: secret service_role_key of stack local holds the new key" in said
        assert site.addresses.secret_key not in said
        assert site.by_hand("select schedule from cron.job where jobid = 2") == [{"schedule": "0 0 * * *"}]
        assert converged.drift() == {"sync-jobs-bubble-sync-retry": ["schedule"]}

    def test_under_a_new_name_the_functions_switch_and_the_old_secret_goes(self, converged: Stack, site: Site):
        converged.sync("key", "rotate", "--name", NEW_NAME, key=site.addresses.secret_key)

        assert [row["name"] for row in site.by_hand(SECRETS)] == [NEW_NAME, "supabase_url"]
        assert f"'{NEW_NAME}'" in site.by_hand(BODIES)[0]["bodies"]
        converged.expect_no_changes()
        assert converged.outputs()["key"] == {"header": "apikey", "kind": "secret key"}

    @pytest.mark.matrix
    def test_under_a_new_name_an_adopted_secret_stays(self, stack: Stack, site: Site):
        site.by_hand(
            "create extension supabase_vault",
            f"select vault.create_secret('{site.addresses.service_role_key}', 'service_role_key')",
        )
        stack.up()

        said = stack.sync("key", "rotate", "--name", NEW_NAME, key=site.addresses.secret_key)

        assert "kept secret service_role_key: it was there before" in said
        assert [row["name"] for row in site.by_hand(SECRETS)] == [NEW_NAME, "service_role_key", "supabase_url"]
        stack.expect_no_changes()

    def test_under_a_new_name_a_secret_that_somebody_reads_stays(self, converged: Stack, site: Site):
        site.by_hand("create function public.notify_ops() returns text language sql as 'select ''service_role_key'''")
        refused = converged.sync("key", "rotate", key=site.addresses.secret_key, expect=1)
        assert "is also named by function public.notify_ops()" in refused
        assert f"--name {NEW_NAME}" in refused
        assert site.by_hand(KEY)[0]["value"] == site.addresses.service_role_key

        said = converged.sync("key", "rotate", "--name", NEW_NAME, key=site.addresses.secret_key)

        assert "kept secret service_role_key: function public.notify_ops() names it" in said
        assert site.by_hand(KEY)[0]["value"] == site.addresses.service_role_key
        converged.expect_no_changes()

    def test_an_endpoint_that_checks_nothing_must_be_accepted_as_such(
        self, converged: Stack, site: Site, platform: Platform
    ):
        platform.behave(Behaviour(checks_key=False))

        refused = converged.sync("key", "rotate", key="sb_secret_any", expect=1)
        assert "a wrong key is accepted too" in refused
        assert "If the endpoint checks no key: --accept-unchecked." in refused
        assert site.by_hand(KEY)[0]["value"] == site.addresses.service_role_key

        assert "nothing is proven" in converged.sync("key", "rotate", "--accept-unchecked", key="sb_secret_any")
        assert site.by_hand(KEY)[0]["value"] == "sb_secret_any"

    @pytest.mark.parametrize(
        ("key", "code", "reason"),
        [
            ("sb_secret_unknown", 1, "not proven: refused (HTTP 401)"),
            ("two words", 2, "holds white space"),
            ("sb_publishable_x", 2, "is a publishable key"),
            (jwt(role="anon"), 2, "is a key of the role 'anon'"),
            (jwt(ref="stagingstagingstagin"), 2, "names project"),
            ("", 2, "is empty"),
        ],
    )
    def test_a_key_that_will_not_do_changes_nothing(
        self, converged: Stack, site: Site, key: str, code: int, reason: str
    ):
        converged.configure("projectRef", "prodprodprodprodprod")
        before = (converged.local.config_file.read_bytes(), site.by_hand(SECRETS))

        said = converged.sync("key", "rotate", key=key, expect=code)

        assert reason in said
        assert (converged.local.config_file.read_bytes(), site.by_hand(SECRETS)) == before

    def test_the_key_that_it_has_already_is_refused(self, converged: Stack, site: Site):
        said = converged.sync("key", "rotate", key=site.addresses.service_role_key, expect=2)

        assert "has this key already" in said

    @pytest.mark.sampled(2)
    @pytest.mark.parametrize("name", [None, NEW_NAME])
    def test_an_up_that_fails_leaves_configuration_and_database_as_they_were(
        self, converged: Stack, site: Site, name: str | None
    ):
        """In place the secret cannot be changed; under a new name it can be made, and the functions cannot."""
        before = (converged.local.config_file.read_bytes(), site.by_hand(SECRETS), site.by_hand(BODIES))
        site.by_hand(
            "create function public.refuse() returns trigger language plpgsql as 'begin raise exception ''no''; end'",
            "create function public.refuse_ddl() returns event_trigger language plpgsql as "
            "$$ begin if current_query() ~ 'bubble.sync.key' then raise exception 'no'; end if; end $$",
            "create trigger refusing before update on vault.secrets for each row "
            "when (new.name like 'service%') execute function public.refuse()",
            "create event trigger refusing on ddl_command_start when tag in ('CREATE FUNCTION') "
            "execute function public.refuse_ddl()",
        )  # fmt: skip
        options = ("--name", name) if name else ()

        said = converged.sync("key", "rotate", *options, key=site.addresses.secret_key, expect=1)

        assert "`pulumi up` failed, and everything is as it was: ServerRefused" in said
        after = (converged.local.config_file.read_bytes(), site.by_hand(SECRETS), site.by_hand(BODIES))
        assert after == before
        site.by_hand("drop event trigger refusing", "drop trigger refusing on vault.secrets")
        converged.expect_no_changes()

    @pytest.mark.sampled(3)
    @pytest.mark.parametrize("impatience", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_an_impatient_person_leaves_nothing_half_done(
        self, converged: Stack, site: Site, impatience: signal.Signals
    ):
        rotating = subprocess.Popen(
            ["bubble-sync", "key", "rotate", *converged.local.arguments, "--key-fd", "0"],
            cwd=converged.local.checkout, env=dict(converged.local.environment), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert rotating.stdin
        assert rotating.stderr
        rotating.stdin.write(site.addresses.secret_key)
        rotating.stdin.close()
        for line in rotating.stderr:
            if line.startswith("pulumi up"):
                rotating.send_signal(impatience)
                break
        rest = rotating.stderr.read()
        rotating.stderr.close()
        with rotating.stdout as stdout:
            assert "rotated" in stdout.read()

        assert rotating.wait() == 0
        assert "finishing first" in rest
        assert site.by_hand(KEY)[0]["value"] == site.addresses.secret_key
        converged.expect_no_changes()

    def test_a_name_that_another_secret_has_is_refused(self, converged: Stack, site: Site):
        with site.db.transaction("by hand") as conn:
            conn.execute("select vault.create_secret('precious', 'stripe_key')")
        before = site.by_hand(SECRETS)

        said = converged.sync("key", "rotate", "--name", "stripe_key", key=site.addresses.secret_key, expect=1)

        assert "secret stripe_key is in Vault already, with another value: nothing was changed" in said
        assert site.by_hand(SECRETS) == before

    @pytest.mark.parametrize(
        "by_hand",
        [
            "select vault.update_secret(id, 'http://127.0.0.1:9') from vault.secrets where name = 'supabase_url'",
            "select vault.update_secret(id, 'by hand') from vault.secrets where name = 'service_role_key'",
            "create or replace function public.invoke_bubble_sync_retry() returns void language sql as ''",
        ],
    )
    def test_a_database_that_is_not_as_configured_proves_nothing(self, converged: Stack, site: Site, by_hand: str):
        site.by_hand(by_hand)

        said = converged.sync("key", "rotate", key=site.addresses.secret_key, expect=1)

        assert "in the database differs from the configuration" in said
        assert "Run `pulumi up --stack local" in said
        assert "trying the new key" not in said

    def test_two_at_once_are_one_after_the_other(self, converged: Stack, site: Site):
        holder = os.open(converged.local.config_file.parent, os.O_RDONLY)
        fcntl.flock(holder, fcntl.LOCK_EX)

        said = converged.sync("key", "rotate", key=site.addresses.secret_key, expect=1)

        os.close(holder)
        assert "another change is under way" in said
        converged.sync("key", "rotate", key=site.addresses.secret_key)

    @pytest.mark.parametrize(
        ("descriptor", "said"), [("1", "cannot hold a key"), ("99", "cannot be read"), ("9" * 20, "cannot")]
    )
    def test_a_descriptor_that_holds_no_key(self, converged: Stack, descriptor: str, said: str):
        assert said in converged.sync("key", "rotate", "--key-fd", descriptor, expect=2)

    def test_more_than_a_key(self, converged: Stack):
        assert "holds more than a key" in converged.sync("key", "probe", key="k" * 100_000, expect=2)


class TestTheCheckout:
    def test_the_changed_configuration_is_committed_with_the_printed_line(
        self, converged: Stack, site: Site, repository: Path
    ):
        said = converged.sync("key", "rotate", key=site.addresses.secret_key)

        (line,) = [line for line in said.splitlines() if line.startswith("commit it:")]
        subprocess.run(
            line.removeprefix("commit it:"), shell=True, check=True, cwd=repository,
            env=dict(converged.local.environment), capture_output=True,
        )  # fmt: skip
        assert git(repository, "status", "--porcelain", "--untracked-files=no") == ""
        assert (
            git(repository, "log", "-1", "--format=%s", "@{upstream}").strip() == "chore: another key for stack local"
        )

    def test_uncommitted_changes_are_refused_before_the_key_is_sent(
        self, converged: Stack, site: Site, repository: Path
    ):
        converged.configure("processor.maxItems", "11")

        said = converged.sync("key", "rotate", key=site.addresses.secret_key, expect=1)

        assert "the checkout has uncommitted changes (Pulumi.local.yaml)" in said
        assert "trying the new key" not in said
        assert site.by_hand(KEY)[0]["value"] == site.addresses.service_role_key

    def test_a_checkout_behind_its_upstream_is_refused(
        self, converged: Stack, site: Site, repository: Path, tmp_path: Path
    ):
        commit_elsewhere(repository, tmp_path)

        said = converged.sync("key", "rotate", key=site.addresses.secret_key, expect=1)

        assert "the checkout lacks 1 commit of its upstream" in said
        assert site.by_hand(KEY)[0]["value"] == site.addresses.service_role_key
