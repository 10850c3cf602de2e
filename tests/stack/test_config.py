"""`bubble-sync config` through the real command line and the real Pulumi."""

from __future__ import annotations

import json

from bubble_sync.config.stacks import CONFIG_VARIABLE
from tests.fixtures.site import Site
from tests.fixtures.stack import Stack

VARIABLE = "BUBBLE_SYNC_LOCAL_DATABASE_URL"


def test_the_settings_of_a_stack_are_listed_with_their_sources_and_no_secret(stack: Stack, site: Site):
    stack.configure("processor.maxItems", "20")
    given = stack.given()[CONFIG_VARIABLE]

    said = stack.ours("config")
    assert (said.returncode, said.stderr) == (0, "")
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in said.stdout.splitlines()}
    assert lines["bubble-sync:processor.maxItems"] == "20 Pulumi.local.yaml"
    assert lines["bubble-sync:processor.schedule"] == "* * * * * default"
    assert lines["bubble-sync:serviceRoleKey"].startswith("[secret] legacy JWT")
    assert lines["bubble-sync:databaseUrlEnv"].startswith(f"{VARIABLE} (which is set: user postgres at 127.0.0.1)")

    told = stack.ours("config", "--json", **{CONFIG_VARIABLE: given, VARIABLE: ""})
    found = {one["key"]: one for one in json.loads(told.stdout)["settings"]}
    assert told.returncode == 0
    assert found["bubble-sync:processor.maxItems"]["source"] == f"environment variable {CONFIG_VARIABLE}"
    assert found["bubble-sync:databaseUrlEnv"]["note"] == "which is not set"
    for secret in (site.addresses.service_role_key, site.addresses.database_url):
        assert secret not in "".join(stack.said)


def test_a_configuration_that_cannot_be_used_is_two_and_one_of_two_projects_is_listed_first(stack: Stack):
    stack.configure("projectRef", "prodprodprodprodprod")
    elsewhere = {
        VARIABLE: "postgresql://postgres.stagingstagingstagin:p@aws-0-eu-west-1.pooler.supabase.com:5432/postgres"
    }

    said = stack.ours("config", **elsewhere)
    assert said.returncode == 2
    assert "user postgres.stagingstagingstagin at aws-0-eu-west-1.pooler.supabase.com" in said.stdout
    assert said.stderr.startswith("error: ")

    stack.configure("supabaseUrl", "https://hush.example.com", secret=True)
    hidden = stack.ours("config", **elsewhere).stdout
    assert ("hush" in hidden, "[secret] set" in hidden) == (False, True)

    stack.configure("processor.maxItems", "0")
    refused = stack.ours("config")
    assert refused.returncode == 2
    assert "! 0: input should be greater" in refused.stdout
    assert "BUBBLE_SYNC_LOCAL_DATABASE_URL" in refused.stdout
    told = json.loads(stack.ours("config", "--json").stdout)
    assert (told["error"]["exit_code"], told["error"]["kind"]) == (2, "configuration")
    assert "bubble-sync:processor.maxItems: 0: " in refused.stderr
