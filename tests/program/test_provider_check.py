"""What a provider checks offline, before anything is asked of a database."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from pulumi.output import Unknown

from bubble_sync.model.setup import object_names
from bubble_sync.providers.cron_job import CronJobProvider
from bubble_sync.providers.extension import ExtensionProvider
from bubble_sync.providers.prerequisites import PrerequisitesProvider
from bubble_sync.providers.vault_secret import VaultSecretProvider
from tests.fixtures.specs import job_spec, secret_spec

JOB = job_spec().model_dump(mode="json")
SECRET = secret_spec(value="hunter2").model_dump(mode="json")


def test_inputs_come_back_whole_and_normalised():
    given = {key: value for key, value in JOB.items() if key not in ("database", "active")}

    result = CronJobProvider().check({}, {**given, "__provider": "x"})

    assert result.failures == []
    assert result.inputs == {**JOB, "database": "current_database()", "active": True}


def test_a_value_that_is_not_known_yet_is_left_alone():
    unknown = {**SECRET, "value": Unknown()}

    result = VaultSecretProvider().check({}, unknown)

    assert (result.inputs, result.failures) == (unknown, [])


def test_a_changed_name_is_refused_with_the_step_to_take():
    result = CronJobProvider().check(JOB, {**JOB, "name": "another"})

    (failure,) = result.failures
    assert failure.property == "name"
    assert "Rename the resource in the program" in failure.reason


def test_a_failure_of_a_secret_names_no_property_since_the_engine_would_print_its_value():
    result = VaultSecretProvider().check({}, {**SECRET, "value": ""})

    (failure,) = result.failures
    assert failure.property == ""
    assert failure.reason.startswith("value: ")


def test_a_missing_field_is_named():
    (failure,) = ExtensionProvider().check({}, {"name": "pg_net"}).failures

    assert failure.property == "stack"


def test_diff_leaves_every_comparison_to_the_engine_and_never_replaces():
    result = CronJobProvider().diff("id", JOB, {**JOB, "name": "another"})

    assert (result.changes, result.replaces) == (None, [])


@pytest.mark.parametrize(
    ("names", "known"),
    [
        (object_names("supabase_url", "service_role_key"), False),
        (object_names("my_url", "my_key"), False),
        (object_names("supabase_url", "service_role_key", alerts=True), True),
        (object_names("supabase_url", "service_role_key", observe=True), True),
    ],
)
def test_prerequisites_of_a_state_of_0_1_0_differ_only_where_the_stack_wants_what_came_later(
    names: tuple[str, ...], known: bool
):
    given = {"missing": [], "objects": list(names)}

    assert ("objects" in PrerequisitesProvider().check({"missing": []}, given).inputs) is known
    assert PrerequisitesProvider().check({}, given).inputs == given
    assert PrerequisitesProvider().check(given, given).inputs == given


@pytest.mark.parametrize("module", ["converging", "cron_job", "vault_secret", "function", "prerequisites"])
def test_importing_a_provider_brings_no_database_driver_and_no_side_effect(module: str):
    ask = f"import sys, bubble_sync.providers.{module}; print('psycopg' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, env=os.environ)

    assert done.stdout.strip() == "False"
