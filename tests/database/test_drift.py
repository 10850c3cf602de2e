"""What `drift` says of a converged stack, and whom it lets ask: the owner, or a role that may call one function."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from psycopg import sql

from bubble_sync.compare.drift import DriftFinding, DriftReport, StackStatus, sections_for
from bubble_sync.compare.liveness import LivenessVerdict
from bubble_sync.config.settings import NameSettings
from bubble_sync.database.snapshot import filled, names_of
from bubble_sync.errors import PrerequisiteMissing, PrivilegeMissing
from bubble_sync.specs import CronJobSpec, ExtensionSpec, Spec
from bubble_sync.sql_loader import reading_block
from tests.fixtures.adoption import WANTED, converge_all, drift_of
from tests.fixtures.mutations import Mutation, refused, rounds
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK

KEYS = {"supabase_url": "projectRef", "service_role_key": "serviceRoleKey"}
RETRY = "job bubble-sync-retry"
USE = "grant usage on schema bubble_sync to watcher"
CALL = "grant execute on function bubble_sync.observe to watcher"
RUN = """
    insert into cron.job_run_details (jobid, runid, database, username, command, status, start_time)
    select jobid, {runid}, database, username, command, '{status}', now() - interval '{ago}'
    from cron.job where jobname = 'bubble-sync-processor'
"""


def ask(site: Site, wanted: Sequence[Spec] = WANTED) -> DriftReport:
    return drift_of(site, wanted, KEYS)


def the_finding(site: Site) -> DriftFinding:
    (finding,) = ask(site).findings
    return finding


def watcher(site: Site, *grants: str) -> Site:
    """Make what `access` makes: the function, whose body is the block, and a role with these grants."""
    values = {name: sql.Literal(each) for name, each in names_of(WANTED).items()}
    values |= {"salt": sql.SQL("$1"), "pattern": sql.Literal(""), "itself": sql.Literal("")}
    body = filled(
        reading_block(tuple(sorted(sections_for(WANTED))), "return answer"), values, NameSettings()
    ).as_string()
    site.by_hand(
        "set role postgres",
        "create function bubble_sync.observe(salt text) returns jsonb language plpgsql stable security definer "
        f"set search_path = '' as $body$\n{body}\n$body$",
        "revoke execute on function bubble_sync.observe from public, anon, authenticated, service_role",
    )
    return site.as_role("watcher", *grants)


def test_a_stack_that_was_never_up_has_no_findings(site: Site):
    assert ask(site) == DriftReport(STACK, StackStatus.NEVER_UP, next="`bubble-sync diff`, then `pulumi up`")


def test_a_converged_stack_is_clean_and_whether_it_works_is_unknown(site: Site):
    converge_all(site)

    report = ask(site)

    assert (report.status, report.findings) == (StackStatus.CLEAN, ())
    assert str(report.liveness) == "unknown: no run of job bubble-sync-processor is known"


@pytest.mark.sampled(3)
@pytest.mark.parametrize("mutations", [*rounds(), *refused()], ids=lambda some: f"{some[0].object} {some[0].field}")
def test_what_a_hand_changes_is_named_alone_and_what_up_refuses_says_so(site: Site, mutations: list[Mutation]):
    converge_all(site)
    for mutation in mutations:
        site.by_hand(mutation.sql)

    report = ask(site)

    expected = {(one.object, one.field) for one in mutations if one.field}
    expected |= {brought for one in mutations for brought in one.brings}
    assert {(one.object_name, one.change.field) for one in report.findings} == expected
    by_hand = {one.object for one in mutations if one.mended}
    assert {one.object_name for one in report.findings if one.reason} == by_hand


def test_a_row_of_the_ledger_that_was_removed_comes_back_as_adopted_and_says_no_moment(site: Site):
    converge_all(site)
    site.by_hand("delete from bubble_sync.ledger where object = 'job bubble-sync-retry'")

    finding = the_finding(site)
    converge_all(site)

    assert (finding.change.field, finding.change.actual, finding.since) == ("stack", "", None)
    assert site.by_hand("select origin from bubble_sync.ledger where object = 'job bubble-sync-retry'") == [
        {"origin": "adopted"}
    ]
    assert ask(site).findings == ()


def test_a_schedule_changed_by_hand_can_be_accepted_and_was_changed_after_the_ledger(site: Site):
    converge_all(site)
    site.by_hand("update cron.job set schedule = '0 0 * * *' where jobname = 'bubble-sync-retry'")

    finding = the_finding(site)

    assert finding.repair == "pulumi up --stack test"
    assert str(finding.accept) == "pulumi config set --path bubble-sync:retry.schedule '0 0 * * *' --stack test"
    assert finding.since is not None
    assert not finding.since.exact
    assert finding.since.at <= datetime.now(UTC)


def test_a_job_that_a_hand_has_woken_can_be_accepted_without_leaving_a_reason_to_sleep_behind(site: Site):
    wanted = [one.model_copy(update={"active": False}) if isinstance(one, CronJobSpec) else one for one in WANTED]
    converge_all(site, wanted)
    site.by_hand("update cron.job set active = true where jobname = 'bubble-sync-retry'")
    report = ask(site, wanted)

    assert str(report.findings[0].accept) == "bubble-sync resume --job retry --stack test"


def test_a_number_in_a_body_can_be_accepted_and_another_text_cannot(site: Site):
    converge_all(site)
    for mutation in (one for some in rounds() for one in some if one.field == "body"):
        site.by_hand(mutation.sql)
        finding = the_finding(site)
        if "constant" in mutation.sql:
            name = "processor.maxItems" if "processor" in mutation.object else "retry.timeoutMs"
            assert str(finding.accept) == f"pulumi config set --path bubble-sync:{name} 7 --stack test"
        else:
            assert str(finding.accept).startswith("cannot be accepted: the body is the program's")
        converge_all(site)


def test_a_log_of_requests_that_a_hand_has_ended_can_be_accepted(site: Site):
    converge_all(site)
    off = "pulumi config set bubble-sync:dispatchLog false --stack test"
    site.by_hand("drop table bubble_sync.dispatches")
    assert str(the_finding(site).accept) == off

    converge_all(site)
    (row,) = site.by_hand("select pg_get_functiondef('public.invoke_bubble_sync_retry()'::regprocedure) as text")
    body = row["text"].replace("dispatch_log constant boolean := true", "dispatch_log constant boolean := false")
    site.by_hand(body)
    assert str(the_finding(site).accept) == off

    site.by_hand(body.replace(":= 30000", ":= 7"))
    assert str(the_finding(site).accept) == (
        f"{off} && pulumi config set --path bubble-sync:retry.timeoutMs 7 --stack test"
    )


def test_a_schedule_that_the_configuration_refuses_cannot_be_accepted(site: Site):
    converge_all(site)
    site.by_hand("update cron.job set schedule = '90 seconds' where jobname = 'bubble-sync-retry'")

    assert str(the_finding(site).accept) == "cannot be accepted: the configuration does not take 90 seconds"


def test_of_a_secret_vault_itself_knows_since_when(site: Site):
    converge_all(site)
    site.by_hand("select vault.update_secret(id, 'mine') from vault.secrets where name = 'service_role_key'")
    (row,) = site.by_hand("select updated_at from vault.secrets where name = 'service_role_key'")

    finding = the_finding(site)

    assert (finding.change.secret, finding.change.actual) == ("differs", None)
    assert finding.since is not None
    assert (finding.since.at, finding.since.exact) == (row["updated_at"], True)
    assert str(finding.accept) == "pulumi config set --secret bubble-sync:serviceRoleKey --stack test"


@pytest.mark.parametrize(
    ("by_hand", "verdict", "says"),
    [
        ((RUN.format(runid=1, status="failed", ago="5 s"),), LivenessVerdict.NO, "failed, at "),
        ((RUN.format(runid=1, status="succeeded", ago="5 h"),), LivenessVerdict.UNKNOWN, "the job was due again at "),
        (("update cron.job set active = false",), LivenessVerdict.NO, "is not active"),
        (("delete from cron.job",), LivenessVerdict.NO, "is not there"),
    ],
)  # fmt: skip
def test_whether_it_works_is_read_from_the_job_and_its_newest_run(
    site: Site, by_hand: tuple[str, ...], verdict: LivenessVerdict, says: str
):
    converge_all(site)
    site.by_hand("update bubble_sync.ledger set recorded_at = now() - interval '1 day'", *by_hand)

    liveness = ask(site).liveness

    assert liveness is not None
    assert liveness.verdict is verdict, liveness
    assert says in liveness.text


def test_a_role_without_rights_finds_through_the_function_what_the_owner_finds(site: Site):
    converge_all(site)
    role = watcher(site, USE, CALL, "alter role watcher set default_transaction_read_only = on")
    # What `access` wants of the ledger is not in this stack's program.
    quiet = [one for one in ask(site).findings if one.object_name != "ledger"]
    site.by_hand(
        "update cron.job set active = false where jobname = 'bubble-sync-retry'",
        "select vault.update_secret(id, 'mine') from vault.secrets where name = 'supabase_url'",
        RUN.format(runid=1, status="failed", ago="5 s"),
    )

    by_owner, by_watcher = ask(site), ask(role)
    role.db.close()

    assert quiet == []
    assert by_watcher == by_owner
    found = {(one.object_name, one.change.field) for one in by_watcher.findings}
    assert found - {("ledger", "grantees")} == {(RETRY, "active"), ("secret supabase_url", "value")}


def test_a_right_that_is_lacking_is_named(site: Site):
    converge_all(site)
    role = watcher(site)
    for grants, lacking in (((), f"{USE}; {CALL.replace('observe', 'observe(text)')};"), ((USE,), "grant execute on")):
        site.by_hand(*grants, "select 1")
        with pytest.raises(PrivilegeMissing) as refusal:
            ask(role)
        assert f"watcher may not call bubble_sync.observe(text). As postgres: {lacking}" in str(refusal.value)
    role.db.close()


def test_a_role_that_can_read_some_of_it_takes_nothing_for_gone(site: Site):
    converge_all(site)
    role = site.as_role(
        "watcher",
        "grant usage on schema cron, bubble_sync, vault to watcher",
        "grant select on bubble_sync.ledger, vault.secrets, vault.decrypted_secrets to watcher",
    )
    with pytest.raises(PrivilegeMissing, match=r"there is no bubble_sync\.observe.*connect as postgres, or set"):
        ask(role)
    role.db.close()


def test_a_function_of_another_version_is_said_to_be_one(site: Site):
    converge_all(site)
    role = watcher(site, USE, CALL)
    site.by_hand(
        "set role postgres",
        "create or replace function bubble_sync.observe(salt text) returns jsonb language sql "
        "as $$ select '{}'::jsonb $$",
    )

    with pytest.raises(PrerequisiteMissing, match="does not return extensions, functions, ledger"):
        ask(role)
    role.db.close()


def test_a_read_only_server_can_be_asked(site: Site):
    converge_all(site)
    site.by_hand("alter role postgres set default_transaction_read_only = on")
    site.end_sessions()

    report = ask(site)

    assert [(one.object_name, one.change.actual) for one in report.findings] == [
        ("prerequisites", ["a writable server (this one is read-only)"])
    ]


def test_a_ledger_of_the_first_release_knows_no_place_and_moves_nothing(site: Site):
    converge_all(site)
    site.by_hand("alter table bubble_sync.ledger drop column place")
    assert ask(site).findings == ()

    site.by_hand("delete from bubble_sync.ledger where object = 'extension pg_net'")
    converge_all(site, [spec for spec in WANTED if isinstance(spec, ExtensionSpec)])

    places = site.by_hand("select object, place from bubble_sync.ledger where place is not null")
    assert places == [{"object": "extension pg_net", "place": "extensions"}]


def test_the_sql_that_a_moved_extension_comes_with_brings_it_back_or_leaves_it(site: Site):
    converge_all(site)
    (mutation,) = next(some for some in refused() if some[0].field == "moved")
    for end in ("To bring it back, and lose its contents: ", "To leave it there: "):
        site.by_hand(mutation.sql)
        finding = the_finding(site)
        assert finding.change.actual == "from extensions to public"
        site.by_hand(finding.reason.split(end)[1].split(" To leave")[0])
        assert ask(site).findings == ()
