"""sql/ as data: constants are rewritten exactly, and the files hold the defaults."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bubble_sync.compare.diff import sections_about
from bubble_sync.config.settings import (
    AlertSettings,
    HistorySettings,
    ProcessorSettings,
    RetrySettings,
    StackSettings,
    read_settings,
)
from bubble_sync.model.jobs import MANAGED_JOBS
from bubble_sync.model.setup import desired_state
from bubble_sync.specs import Owner
from bubble_sync.sql_loader import (
    SQL_DIRECTORY,
    constants_in,
    constants_of,
    every_part,
    function,
    query,
    reading_block,
    with_constants,
    with_parts,
)
from tests.fixtures.specs import WEBHOOK_NAME, config, functions_in

WAKING = {"wake", "wake_min_interval"}
"""Settings of the trigger, for functions of its own."""
BODY = "declare\n    max_items constant integer := 10;\n    name constant text := 'a';\nbegin\nend\n"


def test_a_constant_is_rewritten_and_nothing_else():
    assert with_constants(BODY, {"max_items": 25}) == BODY.replace(":= 10;", ":= 25;")


def test_the_defaults_of_settings_are_the_values_in_the_files():
    processor, retry = ProcessorSettings(), RetrySettings()
    switches = {
        "dispatch_log": StackSettings.model_fields["dispatch_log"].default,
        "overlap_guard": processor.overlap_guard,
    }
    secrets = {"url_secret": "supabase_url", "key_secret": "service_role_key"}

    assert constants_of("invoke_bubble_sync_processor") == {
        "max_items": processor.max_items,
        "batch_size": processor.batch_size,
        "timeout_ms": processor.timeout_ms,
        **switches,
        **secrets,
    }
    assert constants_of("invoke_bubble_sync_retry") == {"timeout_ms": retry.timeout_ms, **switches, **secrets}
    assert constants_of("alert") == {
        **AlertSettings().model_dump(exclude={*constants_of("post_alert")}),
        "stack_name": "local",
        "project_ref": "",
        "dispatch_log": switches["dispatch_log"],
        "destinations": json.dumps({"webhook": WEBHOOK_NAME}),
        "pauses": "{}",
    }
    history = HistorySettings()
    assert constants_of("record") == {"kept_for": f"{history.dispatch_days} days"}
    assert constants_of("delete_old_runs")["of_all_jobs"] == history.of_all_jobs
    alerts = functions_in("alerts", alerts=AlertSettings(), owner=Owner("local"))
    for spec in (*functions_in("functions"), *alerts):
        file = SQL_DIRECTORY / "functions" / f"{spec.name.split('.')[1]}.sql"
        assert spec.body in with_parts(file.read_text())


def test_the_request_of_an_insert_is_the_one_of_the_job():
    sent, tick = constants_of("wake_send"), constants_of("invoke_bubble_sync_processor")

    assert set(tick) - set(sent) == {"dispatch_log", "overlap_guard"}
    assert {name: sent[name] for name in tick if name in sent} == {name: tick[name] for name in sent if name in tick}
    assert sent["wake_min_interval"] == ProcessorSettings().wake_min_interval
    assert sent["kept_for"] == constants_of("record")["kept_for"]
    job = functions_in("functions")[-2].body
    assert f"'{sent['source']}'" in job
    assert f"'{sent['action']}'" in job


@pytest.mark.parametrize("job", MANAGED_JOBS, ids=lambda job: job.key)
def test_the_constants_of_a_jobs_function_are_its_settings_and_every_setting_but_when_it_runs_is_one(job):
    numbers = set(job.settings.model_fields) - {"schedule", "active", "pause_reason", "pause_until"} - WAKING

    shared = {"dispatch_log", "url_secret", "key_secret"} if job.sends else set()
    assert set(constants_of(job.file)) == (numbers - {"requests_per_tick"}) | shared


def test_several_requests_a_tick_take_another_body_of_the_same_function():
    usual, several = (
        functions_in("functions", jobs={"processor": ProcessorSettings(requests_per_tick=requests, max_items=7)})
        for requests in (1, 3)
    )

    (changed,) = {*several} - {*usual}
    assert [one.name for one in several] == [one.name for one in usual]
    assert changed.name == "public.invoke_bubble_sync_processor"
    assert "    requests_per_tick constant integer := 3;\n" in changed.body
    assert "    max_items constant integer := 7;\n" in changed.body
    assert "include:" not in changed.body


def test_the_days_of_both_histories_stand_in_their_functions():
    (delete,) = functions_in("history", history=HistorySettings(keep_days=7, of_all_jobs=True))
    record = functions_in("functions", history=HistorySettings(dispatch_days=5))[3]

    assert "    keep_days constant integer := 7;\n    of_all_jobs constant boolean := true;\n" in delete.body
    assert "    kept_for constant interval := interval '5 days';\n" in record.body


@pytest.mark.parametrize("value", [5, "5 days'; drop table x; --", "days", "5 hours"])
def test_an_interval_takes_a_number_of_days_alone(value):
    with pytest.raises(ValueError, match="is not a valid value"):
        function("record", {"kept_for": value}, Owner(""))


@pytest.mark.parametrize(
    "body", [BODY.replace("max_items constant", "max_items"), BODY + "    max_items constant integer := 10;\n"]
)
def test_a_constant_must_be_declared_exactly_once(body):
    with pytest.raises(ValueError, match="must be declared once"):
        with_constants(body, {"max_items": 1})


@pytest.mark.parametrize("value", ["1; drop table x", True, "a\nb"])
def test_a_value_of_another_type_cannot_stand_in_a_declaration(value):
    with pytest.raises(ValueError, match="is not a valid value"):
        with_constants(BODY, {"max_items": value, "name": value} if value == "a\nb" else {"max_items": value})


@given(st.text().filter(str.isprintable))
def test_any_printable_name_stays_inside_its_literal(name):
    rewritten = with_constants(BODY, {"name": name})

    (literal,) = re.findall(r"name constant text := '((?:[^']|'')*)';\n", rewritten)
    assert literal.replace("''", "'") == name


def test_observe_holds_the_block_that_commands_read_with_whole_and_nothing_is_left_to_fill():
    (spec,) = functions_in("access", monitor_role="m")

    block, _ = reading_block(every_part(), "THE ANSWER").split("refused boolean;")[1].split("THE ANSWER")
    assert block in spec.body
    assert "return pg_catalog.regexp_replace(answer::text, " in spec.body
    assert spec.body.startswith("\n#variable_conflict use_column\n")
    assert spec.body.count("#variable_conflict") == 1
    assert "include:" not in spec.body
    assert re.search(r"%\(\w+\)s", spec.body) is None
    assert (spec.name, spec.arguments, spec.returns) == ("bubble_sync.observe", "salt text", "jsonb")
    assert (spec.security, spec.volatility, spec.executors) == ("definer", "stable", ("m",))


def test_observe_answers_with_all_that_a_comparison_asks_for():
    wanted = desired_state(
        read_settings(config(access='{"monitorRole": "m"}', monitorPassword="m" * 16)), Owner("test")
    )

    assert set(every_part()) >= sections_about(wanted)


def test_every_query_of_every_file_can_be_loaded():
    for file in (SQL_DIRECTORY / "queries").glob("*.sql"):
        for name in re.findall(r"^-- name: (\w+)$", file.read_text(), re.MULTILINE):
            assert query(file.stem, name)


def test_a_number_longer_than_any_stays_text():
    assert constants_in(f"    max_items constant integer := {'9' * 5000};") == {"max_items": "9" * 5000}


@pytest.mark.parametrize("job", ["processor", "retry"])
def test_the_planner_is_asked_about_what_the_functions_count(job: str):
    condition = query("plans", job).split("from ", 1)[1].removesuffix(";")

    assert " ".join(condition.split()) in " ".join(function(f"invoke_bubble_sync_{job}", {}, Owner("")).body.split())
