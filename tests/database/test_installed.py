"""The doctor on what is installed, beyond one breakage a check: shapes of secrets, other roles, and what is no harm."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from bubble_sync.config.settings import StackSettings
from bubble_sync.database.database import attempt
from bubble_sync.health.doctor import Diagnosis, Finding, explained
from bubble_sync.model.setup import desired_state
from bubble_sync.specs import Owner, PrerequisitesSpec
from bubble_sync.sql_loader import checks
from tests.fixtures.adoption import play
from tests.fixtures.breaking import UNTIL_THE_WORKERS_ARE_BACK, diagnose, set_up, working
from tests.fixtures.breaking.installed import stored
from tests.fixtures.server_log import ServerLog
from tests.fixtures.site import Site
from tests.fixtures.specs import OTHER_REF, REF, STACK, jwt

KEY, URL = "service_role_key", "supabase_url"
OTHER_VALUE = ("secret_differs", "its value in Vault is not the configured one")
WHITE_SPACE = ("secret_malformed", "it holds white space, a line break or a character that none has")
OTHER_PROJECT = ("secret_wrong_project", f"it is of the project {OTHER_REF}, and this stack's is {REF}")
MONTHS_AGO = datetime.now(UTC) - timedelta(days=70)


def causes(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    return [(finding.id, finding.evidence) for finding in diagnosis.causes]


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        (URL, f" https://{REF}.supabase.co", WHITE_SPACE),
        (URL, f'"https://{REF}.supabase.co"', ("secret_malformed", "it is stored with the quotes around it")),
        (URL, "https://YOUR-PROJECT-REF.supabase.co", ("secret_malformed", "it is the placeholder of an instruction")),
        (URL, f"http://{REF}.supabase.co", ("secret_malformed", "it is no URL like https://<project ref>.supabase.co")),
        (URL, f"https://{REF}.supabase.co/", OTHER_VALUE),
        (KEY, "YOUR-SERVICE-ROLE-KEY", ("secret_malformed", "it is the placeholder of an instruction")),
        (KEY, f"Bearer {jwt()}", WHITE_SPACE),
        (KEY, "sb_publishable_of_a_project", ("secret_malformed", "it is a publishable key")),
        (KEY, jwt(role="anon"), ("secret_malformed", "it is a key of the role anon")),
        (KEY, jwt(ref=OTHER_REF), OTHER_PROJECT),
        # No JWT, whatever they look like: not a claim of theirs is read, and nothing of them is in an error.
        (KEY, "eyJh.bad!.sig", OTHER_VALUE),
        (KEY, "eyJh.abcde.sig", OTHER_VALUE),
        (KEY, "eyJh._____w.sig", OTHER_VALUE),
    ],
)  # fmt: skip
def test_a_stored_value_is_told_for_what_it_looks_like(converged: Site, name: str, value: str, cause: tuple[str, str]):
    converged.by_hand(*stored(name, value))

    diagnosis = diagnose(converged)

    assert causes(diagnosis) == [cause]
    assert diagnosis.unknown == {}


def with_alerts(site: Site, webhook: str) -> StackSettings:
    """Set up a stack whose alerts name the project."""
    settings = working(alerts="{}", alertWebhookUrl=webhook)
    for spec in desired_state(settings, Owner(STACK, REF)):
        if not isinstance(spec, PrerequisitesSpec):
            site.converge(spec)
    site.by_hand(UNTIL_THE_WORKERS_ARE_BACK)
    return settings


@pytest.mark.parametrize(
    "webhook",
    [
        "https://hooks.slack.com/services/T0/B0/x",
        f"https://{REF}.supabase.co/functions/v1/tell",
        "http://127.0.0.1:9/t",
    ],
)
def test_the_alerts_webhook_is_no_project_url(site: Site, webhook: str):
    settings = with_alerts(site, webhook)

    found = diagnose(site, settings)

    assert (found.findings, found.clean) == ((), True)


def test_a_webhook_that_was_stored_with_quotes_is_told_for_what_it_looks_like(site: Site):
    settings = with_alerts(site, "https://hooks.slack.com/services/T0/B0/x")
    site.by_hand(*stored("bubble_sync_alert_webhook_url", '"https://hooks.slack.com/services/T0/B0/x"'))

    assert causes(diagnose(site, settings)) == [("secret_malformed", "it is stored with the quotes around it")]


@pytest.mark.parametrize("part", ["Q2FuYXJ5SW5BS2V5", "not-base64!", "Canary____w"])
def test_nothing_of_a_stored_key_is_in_the_answer_or_the_servers_log(converged: Site, server_log: ServerLog, part: str):
    converged.by_hand(*stored(KEY, f"eyJhbGciOiJIUzI1NiJ9.{part}.signature-of-it"))
    before = len(server_log.appended)

    diagnosis = diagnose(converged)

    told = repr(diagnosis) + server_log.appended[before:]
    assert "secret_differs" in told
    assert "decrypted_secret" in told
    assert [one for one in (part, "CanaryInAKey", "signature-of-it") if one in told] == []


def test_a_key_that_is_configured_and_has_expired_is_no_difference(site: Site):
    settings = working(
        serviceRoleKey=jwt(exp=MONTHS_AGO.timestamp()), supabaseUrl="http://127.0.0.1:9", projectRef=None
    )
    set_up(site, settings)

    (finding,) = diagnose(site, settings).findings

    assert (finding.id, finding.level) == ("secret_expiring", "error")
    assert finding.evidence == f"it expired on {MONTHS_AGO:%Y-%m-%d}"
    assert finding.remedy == "bubble-sync key rotate"


def test_an_extension_that_was_adopted_where_it_is_does_no_harm(site: Site):
    play(site, "net_in_public")
    set_up(site, working())

    diagnosis = diagnose(site)

    assert [(finding.id, finding.level) for finding in diagnosis.findings] == [("extension_elsewhere", "info")]
    assert diagnosis.clean


def test_earlier_generations_are_found_with_what_ends_each(converged: Site):
    play(converged, "generations")

    found = diagnose(converged).findings

    assert {finding.id for finding in found} == {"job_shadowed"}
    assert [finding.object for finding in found if finding.level == "warning"] == [
        "job process-bubble-sync-queue (jobid 3)",
        "job sync-by-settings (jobid 4)",
        "trigger sync_at_once on public.sync_queue",
    ]
    assert found[0].remedy == "Where nothing needs it: select cron.unschedule(3);"


@pytest.mark.parametrize("name", ["schema_in_use", "ledger_in_use"])
def test_a_schema_of_the_applications_own_is_told_with_what_makes_way(site: Site, name: str):
    play(site, name)

    (ledger,) = [one for one in diagnose(site).causes if one.object == "ledger"]

    assert (ledger.id, ledger.level) == ("ledger_missing", "error")
    assert ledger.remedy.endswith("alter schema bubble_sync rename to bubble_sync_app;")


def test_what_others_have_added_to_the_log_is_told_with_what_takes_it_away(converged: Site):
    converged.by_hand("create rule none as on insert to bubble_sync.dispatches do instead nothing")

    (finding,) = diagnose(converged).findings

    assert (finding.id, finding.evidence) == (
        "ledger_missing", "wanted is dispatches, there is dispatches (with rule none)",
    )  # fmt: skip
    assert finding.remedy.endswith('drop rule "none" on bubble_sync.dispatches;')


HIDDEN = ("create schema app", "alter role postgres set search_path = app, extensions")
SHADOWED = (
    "create schema app", "alter role postgres set search_path = app, public",
    "create function app.invoke_bubble_sync_processor() returns void language plpgsql as 'begin end'",
)  # fmt: skip
AS_THE_GUIDE = "update cron.job set command = replace(command, 'public.', '')"
FAILED = """
    insert into cron.job_run_details (jobid, runid, database, username, command, status, return_message, start_time)
    select jobid, nextval('cron.runid_seq'), database, username, command, 'failed',
        'ERROR:  function invoke_bubble_sync_processor() does not exist', now()
    from cron.job
"""


@pytest.mark.parametrize("path", [HIDDEN, SHADOWED])
def test_a_command_without_a_schema_is_the_cause_whatever_the_search_path_makes_of_it(
    converged: Site, path: tuple[str, ...]
):
    converged.by_hand(*path, AS_THE_GUIDE, *([FAILED] if path is HIDDEN else []))
    converged.end_sessions()

    diagnosis = diagnose(converged)

    assert [(one.id, one.level, one.object) for one in diagnosis.causes] == [
        ("job_differs", "error", "job bubble-sync-processor"), ("job_differs", "error", "job bubble-sync-retry"),
    ]  # fmt: skip
    assert diagnosis.causes[0].evidence == (
        "its command is 'SELECT invoke_bubble_sync_processor()', not 'SELECT public.invoke_bubble_sync_processor()': "
        "it names no schema, so that the search_path of the job's role decides which function runs, or none"
    )
    assert all(one.follows == ("job_differs",) for one in diagnosis.findings if one.id == "runs_failing")
    assert any(one.id == "runs_failing" for one in diagnosis.findings) == (path is HIDDEN)


@pytest.mark.parametrize("path", [HIDDEN, SHADOWED])
def test_nothing_is_wrong_with_a_search_path_where_the_command_names_the_schema(converged: Site, path: tuple[str, ...]):
    converged.by_hand(*path)
    converged.end_sessions()

    assert [one.id for one in diagnose(converged).findings if one.level == "error"] == []


def test_another_roles_job_of_our_name_explains_why_ours_is_not_there(converged: Site):
    converged.by_hand(
        "update cron.job set username = 'supabase_admin' where jobname = 'bubble-sync-retry'",
    )

    twice, missing = diagnose(converged).findings

    assert (twice.id, twice.object) == ("job_duplicated", "job bubble-sync-retry")
    assert (missing.id, missing.follows) == ("job_missing", ("job_duplicated",))


def test_processes_and_settings_that_the_role_may_not_see_are_unknown_and_never_fine(converged: Site):
    converged.by_hand("revoke pg_monitor from postgres")

    diagnosis = diagnose(converged)

    settings, processes = (f"postgres may not read pg_catalog.{view}" for view in ("pg_settings", "pg_stat_activity"))
    assert dict(diagnosis.unknown) == {
        **dict.fromkeys(("cron_scheduler_down", "net_worker_down"), processes),
        **dict.fromkeys(("cron_database_other", "cron_jobs_held", "cron_timezone", "extension_unavailable"), settings),
    }
    assert not diagnosis.clean


def test_what_is_said_of_the_stacks_role_is_asked_as_that_role_alone(converged: Site):
    other = converged.as_role("reader", "grant pg_read_all_data, pg_monitor to reader", "alter role reader bypassrls")

    with closing(other.db):
        diagnosis = diagnose(other)

    assert diagnosis.findings == ()
    why = "this is reader, and the stack's objects are of postgres"
    assert sorted(check for check, reason in diagnosis.unknown.items() if reason == why) == [
        "function_other_owner", "job_differs", "job_duplicated", "job_inactive", "job_missing", "job_paused",
        "ledger_missing", "privilege_missing", "queue_hidden",
    ]  # fmt: skip


def test_a_queue_that_is_a_view_is_named_and_gets_no_remedy_for_tables(converged: Site):
    converged.by_hand(
        "alter table public.sync_queue rename to other; create view public.sync_queue as select * from public.other"
    )

    found = {one.id: one for one in diagnose(converged).findings if "sync_queue" in one.object}

    assert "(it is a view)" in found["queue_incomplete"].evidence
    assert found["queue_incomplete"].remedy.startswith("Give the view another name")
    assert "table_without_row_security" not in found


def test_whatever_up_would_refuse_for_is_one_checks_finding(converged: Site):
    texts = [
        "table public.sync_queue", "table public.sync_queue (it is a view)", "column public.sync_queue.status",
        "column public.sync_queue.max_retries as smallint,integer,bigint (it is text)",
        "operation 'INSERT' in the constraint few of public.sync_queue",
        "status 'failed' in the enum of public.sync_queue.status", "extension pg_net, available on the server",
        "extension pg_cron in shared_preload_libraries", "database a, where pg_cron runs its jobs (this is b)",
        "database a, where pg_net sends (this is b)",
        "setting cron.launch_active_jobs on (it is off, so that pg_cron starts no job)",
        "a writable server (this one is read-only)", "privilege SELECT on public.sync_queue for postgres",
        "privilege EXECUTE on cron.unschedule for postgres", "privilege CREATE on database postgres for postgres",
        "row security of public.sync_queue that lets postgres see the items",
    ]  # fmt: skip
    asking = [check for check in checks() if "%(missing)s" in check.text]

    rows = converged.db.read(
        "asking",
        lambda conn: [row for one in asking for row in attempt(conn, one.text, {"missing": json.dumps(texts)})],
    )

    assert sorted(row["evidence"] for row in rows) == sorted(f"missing: {text}" for text in texts)
    assert {row["remedy"].split(" Where a hosted")[0] for row in rows if row["object"] == "role postgres"} == {
        "As the owner: grant SELECT on public.sync_queue to postgres;",
        "As the owner: grant EXECUTE on all functions in schema cron to postgres;",
        "As the owner: grant CREATE on database postgres to postgres;",
    }


def test_what_was_found_about_another_object_of_the_kind_explains_nothing():
    def finding(check: str, name: str) -> Finding:
        return Finding(check, "title", "error", name, "evidence", "remedy")

    found = explained([finding("secret_differs", "secret a"), finding("secret_empty", "secret b"),
                       finding("function_missing", "function f"), finding("ledger_missing", "ledger")])  # fmt: skip

    assert {one.id: one.follows for one in found if one.follows} == {"function_missing": ("ledger_missing",)}


def test_a_function_that_its_owner_may_not_execute_is_named_in_plain_words(converged: Site):
    converged.by_hand("revoke execute on function public.invoke_bubble_sync_processor from postgres")

    (found,) = diagnose(converged).findings

    assert found.evidence == "not as configured: attributes: no EXECUTE for its owner"
