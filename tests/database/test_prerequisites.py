"""What must be there before: everything missing is listed at once, and nothing is changed."""

from __future__ import annotations

import pytest

from bubble_sync.compare.diff import diff, find
from bubble_sync.errors import PrerequisiteMissing, SyncError
from bubble_sync.model.setup import object_names
from bubble_sync.specs import PrerequisitesSpec
from tests.fixtures.adoption import WANTED as WHOLE_STACK
from tests.fixtures.adoption import converge_all, snapshot
from tests.fixtures.breaking.installed import setting
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK

pytestmark = pytest.mark.modes

WANTED = PrerequisitesSpec()


def missing(site: Site) -> tuple[str, ...]:
    observed = site.observe(WANTED)
    assert observed is not None
    missing: tuple[str, ...] = observed.actual.missing
    return missing


def test_a_fresh_hosted_project_lacks_nothing(site: Site):
    assert missing(site) == ()
    assert site.converge(WANTED).actual == WANTED


def test_a_project_with_everything_installed_lacks_nothing(prepared: Site):
    assert missing(prepared) == ()


def assert_missing(site: Site, named: str) -> None:
    """The part is named, `up` refuses with the same word, and nothing has been made."""
    assert named in missing(site)
    with pytest.raises(PrerequisiteMissing) as refused:
        site.converge(WANTED)
    assert f"\n  - {named}" in str(refused.value)
    assert site.by_hand("select extname from pg_extension where extname = 'pg_cron'") == []


@pytest.mark.parametrize(
    ("by_hand", "named"),
    [
        ("drop table public.sync_queue", "table public.sync_queue"),
        ("alter table public.sync_queue drop column next_retry_at", "column public.sync_queue.next_retry_at"),
        ("alter table public.sync_queue rename retry_count to tries", "column public.sync_queue.retry_count"),
        ("alter table public.sync_queue alter max_retries drop default, alter max_retries type text",
         "column public.sync_queue.max_retries as smallint,integer,bigint (it is text)"),
        ("alter table public.sync_queue alter next_retry_at type timestamp",
         "column public.sync_queue.next_retry_at as timestamp with time zone (it is timestamp without time zone)"),
        ("alter table public.sync_queue add constraint few check (operation in ('INSERT', 'UPDATE'))",
         "operation 'SIGNUP_ATOMIC' in the constraint few of public.sync_queue"),
        ("alter table public.sync_queue add constraint fewer check (status <> 'processing')",
         "status 'processing' in the constraint fewer of public.sync_queue"),
    ],
)  # fmt: skip
def test_each_missing_part_is_named_and_the_refusal_changes_nothing(site: Site, by_hand: str, named: str):
    site.by_hand(by_hand)

    assert_missing(site, named)


@pytest.mark.hosted_role
@pytest.mark.parametrize(
    ("by_hand", "named"),
    [
        ("alter table public.sync_queue owner to supabase_admin; revoke all on public.sync_queue from postgres;"
         "revoke pg_read_all_data from postgres", "privilege SELECT on public.sync_queue for postgres"),
        ("revoke create on schema public from public, postgres; alter schema public owner to supabase_admin",
         "privilege CREATE on schema public for postgres"),
        ("alter table public.sync_queue owner to supabase_admin; grant select on public.sync_queue to postgres;"
         "alter role postgres nobypassrls", "row security of public.sync_queue that lets postgres see the items"),
    ],
)  # fmt: skip
def test_each_missing_right_of_the_role_is_named(site: Site, by_hand: str, named: str):
    try:
        site.by_hand(*by_hand.split(";"))
        site.end_sessions()

        assert_missing(site, named)
    finally:
        site.by_hand("alter role postgres bypassrls", "grant pg_read_all_data to postgres")


@pytest.mark.hosted_role
def test_a_server_that_may_not_be_written_to_is_named(site: Site):
    site.by_hand("alter role postgres set default_transaction_read_only = on")
    site.end_sessions()

    assert_missing(site, "a writable server (this one is read-only)")


def test_all_missing_parts_come_in_one_sorted_list(site: Site):
    site.by_hand(
        "alter table public.sync_queue drop column created_at, drop column status cascade, drop column id cascade"
    )

    named = missing(site)

    assert named == tuple(sorted(named))
    assert len(named) == 3


def test_a_view_is_no_queue(site: Site):
    site.by_hand(
        "alter table public.sync_queue rename to real_queue", "create view public.sync_queue as table public.real_queue"
    )

    assert "table public.sync_queue (it is a view)" in missing(site)


def test_an_enum_must_have_the_values(site: Site):
    site.by_hand(
        "drop table public.sync_queue cascade",
        "create type public.state as enum ('pending', 'completed', 'failed')",
        "create table public.sync_queue (id uuid, record_id text, operation text, status public.state, "
        "created_at timestamptz, processed_at timestamptz, error_message text, retry_count int, max_retries int, "
        "next_retry_at timestamptz)",
        "alter table public.sync_queue owner to postgres",
    )

    assert missing(site) == ("status 'processing' in the enum of public.sync_queue.status",)


def test_a_domain_over_a_sound_type_is_sound(site: Site):
    site.by_hand(
        "create domain public.tries as integer check (value >= 0)",
        "alter table public.sync_queue alter retry_count drop default",
        "alter table public.sync_queue alter retry_count type public.tries",
    )

    assert missing(site) == ()


def test_nobody_elses_operator_runs_while_the_prerequisites_are_read(site: Site):
    site.by_hand(
        "create function public.trap(text[], text[]) returns boolean language plpgsql as "
        "$$ begin raise exception 'trapped'; end $$",
        "create operator public.&& (leftarg = text[], rightarg = text[], function = public.trap)",
    )

    assert missing(site) == ()


def test_privileges_on_the_installed_extensions_are_looked_at(prepared: Site):
    poor = prepared.as_role("poor", "grant usage on schema public to poor", "grant select on public.sync_queue to poor")

    named = missing(poor)
    poor.db.close()

    for privilege in (
        "privilege USAGE on schema cron for poor",
        "privilege USAGE on schema vault for poor",
        "privilege EXECUTE on cron.alter_job for poor",
        "privilege EXECUTE on vault.update_secret for poor",
        "privilege DELETE on vault.secrets for poor",
        "privilege CREATE on schema bubble_sync for poor",
    ):
        assert privilege in named
    assert not any("shared_preload_libraries" in one for one in named), "what the role may not see is unknown"


FOREIGN = {
    "function public.invoke_bubble_sync_processor is owned by service_role":
        "create function public.invoke_bubble_sync_processor() returns void language sql as '';"
        "alter function public.invoke_bubble_sync_processor() owner to service_role",
    "function public.invoke_bubble_sync_retry: something else has this name":
        "create procedure public.invoke_bubble_sync_retry() language sql as '';"
        "alter procedure public.invoke_bubble_sync_retry() owner to postgres",
    "job bubble-sync-retry exists for the role anon":
        "create extension pg_cron; grant usage on schema cron to anon;"
        "insert into cron.job (jobname, schedule, command, nodeport, username) "
        "values ('bubble-sync-retry', '* * * * *', 'SELECT 1', 5432, 'anon')",
}  # fmt: skip


def refusal(site: Site, **more: bool) -> str:
    """Return why the objects of a stack are refused; nothing has been made then."""
    before = snapshot(site)
    with pytest.raises(SyncError) as refused:
        site.converge(PrerequisitesSpec(objects=object_names("supabase_url", "service_role_key", **more)))
    assert snapshot(site) == before
    return str(refused.value)


def test_every_object_that_would_be_refused_is_in_one_list_before_anything_is_made(site: Site):
    site.by_hand(*";".join(FOREIGN.values()).split(";"))

    listed = refusal(site)

    for one, line in zip(sorted(FOREIGN), listed.splitlines()[1:], strict=True):
        assert line.startswith(f"  - {one}")
    assert listed.count("nothing was changed") == 1
    snapshot = find(site.db, WHOLE_STACK)
    said = {item.spec.object_name: item for item in diff(STACK, WHOLE_STACK, snapshot).items}
    assert said["prerequisites"].reason == listed, "`bubble-sync diff` says the same"
    for item in said.values():
        if item.state == "foreign" and item.spec.kind != "prerequisites":
            assert f"\n  - {item.reason.replace(': nothing was changed', '')}" in listed


def test_what_is_missing_and_what_is_refused_are_in_one_answer(site: Site):
    site.by_hand("alter table public.sync_queue drop column created_at", *FOREIGN.popitem()[1].split(";"))

    listed = refusal(site)

    assert "\n  - column public.sync_queue.created_at" in listed
    assert "\n  - job bubble-sync-retry exists for the role anon" in listed


def test_what_must_not_be_adopted_is_listed_too(prepared: Site):
    with prepared.db.transaction("by hand") as conn:
        conn.execute("select cron.schedule('bubble-sync-retry', '* * * * *', 'SELECT 1')")
        conn.execute("select vault.create_secret('old', 'supabase_url')")
    prepared.adopt = False

    listed = refusal(prepared)

    assert "\n  - job bubble-sync-retry was not made by this stack" in listed
    assert "\n  - secret supabase_url was not made by this stack" in listed


def test_an_object_of_the_alerts_or_of_access_is_asked_for_where_it_is_wanted_alone(prepared: Site):
    prepared.by_hand(
        "create function bubble_sync.alert() returns void language sql as ''",
        "create function bubble_sync.observe(salt text) returns jsonb language sql as 'select null::jsonb'",
    )

    prepared.converge(PrerequisitesSpec(objects=object_names("supabase_url", "service_role_key")))
    assert "function bubble_sync.alert is owned by supabase_admin" in refusal(prepared, alerts=True)
    assert "function bubble_sync.observe is owned by supabase_admin" in refusal(prepared, observe=True)


def test_an_object_of_a_stack_that_is_up_holds_nothing_else_up(site: Site):
    converge_all(site)
    site.by_hand("alter function public.invoke_bubble_sync_retry() owner to service_role")

    snapshot = find(site.db, WHOLE_STACK)
    said = {item.spec.object_name: item.state for item in diff(STACK, WHOLE_STACK, snapshot).items}

    assert said["function public.invoke_bubble_sync_retry"] == "foreign"
    assert said["prerequisites"] == "equal"


def test_a_role_that_may_not_read_what_is_asked_for_is_told_what_is_missing(prepared: Site):
    poor = prepared.as_role("poor", "grant usage on schema public to poor", "grant select on public.sync_queue to poor")

    with pytest.raises(PrerequisiteMissing, match="privilege USAGE on schema cron for poor"):
        poor.converge(PrerequisitesSpec(objects=object_names("supabase_url", "service_role_key")))
    poor.db.close()


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("cron.database_name", "elsewhere", "database elsewhere, where pg_cron runs its jobs (this is postgres)"),
        ("pg_net.database_name", "elsewhere", "database elsewhere, where pg_net sends (this is postgres)"),
        ("cron.launch_active_jobs", "off",
         "setting cron.launch_active_jobs on (it is off, so that pg_cron starts no job)"),
    ],
)  # fmt: skip
def test_a_setting_of_the_server_that_keeps_jobs_or_requests_from_this_database_is_named(
    site: Site, name: str, value: str, named: str
):
    changed = setting(name, value)
    try:
        site.by_hand(*changed["by_hand"])
        assert named in missing(site)
    finally:
        site.by_hand(*changed["mending"])
