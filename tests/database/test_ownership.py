"""Whose object it is: adopted, refused, or kept, and what the ledger remembers of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bubble_sync.converge import cron_jobs
from bubble_sync.errors import (
    ForeignObject,
    PrerequisiteMissing,
    PrivilegeMissing,
    WrongEnvironment,
)
from bubble_sync.specs import compare
from tests.fixtures.site import Site, knows_seconds
from tests.fixtures.specs import OTHER_REF, REF, STACK, function_spec, job_spec, ledger_spec, secret_spec

pytestmark = pytest.mark.modes

TICK = "create function public.tick() returns void language sql as ''"
SCHEDULE = "insert into cron.job (jobname, schedule, command, nodeport, username, active) values "


def origin(site: Site, object_name: str) -> str | None:
    rows = site.by_hand(f"select origin from bubble_sync.ledger where object = '{object_name}'")
    return rows[0]["origin"] if rows else None


def as_postgres(site: Site, *statements: str) -> None:
    with site.db.transaction("by hand") as conn:
        for statement in statements:
            conn.execute(statement)


class TestAdoption:
    """What people made by hand is taken over in place."""

    def test_a_job_keeps_its_jobid_and_a_disabled_one_runs_again(self, prepared: Site):
        as_postgres(prepared, "select cron.schedule('other', '* * * * *', 'SELECT 1')",
                    "select cron.schedule('bubble-sync-processor', '0 0 * * *', 'SELECT 9')",
                    "select cron.alter_job(jobid, active := false) from cron.job")  # fmt: skip
        (before,) = prepared.by_hand("select jobid from cron.job where jobname = 'bubble-sync-processor'")

        adopted = prepared.converge(job_spec())

        assert adopted.facts["jobid"] == str(before["jobid"])
        assert compare(job_spec(), adopted) == ()
        assert origin(prepared, "job bubble-sync-processor") == "adopted"

    def test_a_secret_keeps_its_id(self, prepared: Site):
        as_postgres(prepared, "select vault.create_secret('old', 'supabase_url', 'mine')")
        (before,) = prepared.by_hand("select id::text from vault.secrets")

        adopted = prepared.converge(secret_spec())

        assert adopted.facts["secret_id"] == before["id"]
        assert prepared.by_hand("select decrypted_secret as v from vault.decrypted_secrets") == [
            {"v": secret_spec().value}
        ]

    def test_a_secret_under_another_root_key_is_made_anew(self, prepared: Site):
        prepared.converge(secret_spec())
        prepared.by_hand("update vault.secrets set secret = encode('not of this key, and long enough', 'base64')")

        (difference,) = compare(secret_spec(), prepared.observe(secret_spec()))
        prepared.converge(secret_spec())

        assert str(difference) == "value: [secret] => [secret]"
        assert prepared.by_hand("select decrypted_secret as v from vault.decrypted_secrets") == [
            {"v": secret_spec().value}
        ]
        assert origin(prepared, "secret supabase_url") == "made"

    def test_a_row_that_was_written_by_hand_in_clear_text_is_made_anew(self, prepared: Site):
        prepared.converge(secret_spec())
        prepared.by_hand("update vault.secrets set secret = 'no base64 at all!'")

        assert [d.field for d in compare(secret_spec(), prepared.observe(secret_spec()))] == ["value"]
        prepared.converge(secret_spec())

        assert compare(secret_spec(), prepared.observe(secret_spec())) == ()

    def test_a_function_keeps_its_oid_and_loses_every_other_executor(self, prepared: Site):
        prepared.by_hand("create role app login", "create role friend login", "grant app to postgres")
        as_postgres(prepared, TICK, "grant execute on function public.tick() to app with grant option",
                    "set local role app", "grant execute on function public.tick() to friend")  # fmt: skip
        (before,) = prepared.by_hand("select 'public.tick()'::regprocedure::oid as oid")

        prepared.converge(function_spec())

        assert prepared.by_hand("select 'public.tick()'::regprocedure::oid as oid") == [before]
        grantees = "select count(*) from pg_proc, aclexplode(proacl) where proname = 'tick' and grantee <> proowner"
        assert prepared.by_hand(grantees) == [{"count": 0}]

    def test_what_was_made_stays_made_after_a_repair(self, prepared: Site):
        prepared.converge(job_spec())
        prepared.by_hand("update cron.job set active = false")

        prepared.converge(job_spec())

        assert origin(prepared, "job bubble-sync-processor") == "made"

    @pytest.mark.parametrize(
        ("spec", "by_hand"),
        [
            (job_spec(), "select cron.schedule('bubble-sync-processor', '* * * * *', 'SELECT 1')"),
            (secret_spec(), "select vault.create_secret('old', 'supabase_url')"),
            (function_spec(), TICK),
        ],
    )
    def test_adopt_never_refuses_what_is_there(self, prepared: Site, spec, by_hand):
        as_postgres(prepared, by_hand)
        strict = replace(prepared, adopt=False)

        with pytest.raises(ForeignObject, match=f"{spec.object_name} .*adopt is 'never'"):
            strict.converge(spec)

        assert origin(prepared, spec.object_name) is None

    def test_adopt_never_still_converges_what_this_stack_made(self, prepared: Site):
        strict = replace(prepared, adopt=False)
        strict.converge(job_spec())

        strict.converge(job_spec(schedule="0 * * * *"))


class TestRefusal:
    """What belongs to someone else is not touched, and the message says what to do."""

    def test_a_job_of_the_same_name_of_another_role(self, prepared: Site):
        prepared.by_hand(SCHEDULE + "('bubble-sync-processor', '* * * * *', 'SELECT 1', 1, 'anon', true)")

        with pytest.raises(ForeignObject, match=r"role anon .*select cron.unschedule\(\d+\);"):
            prepared.converge(job_spec())

        assert len(prepared.by_hand("select jobid from cron.job")) == 1

    def test_a_job_of_another_role_that_comes_later_is_drift_and_refused(self, prepared: Site):
        prepared.converge(job_spec())
        prepared.by_hand(SCHEDULE + "('bubble-sync-processor', '* * * * *', 'SELECT 1', 1, 'anon', true)")

        (difference,) = compare(job_spec(), prepared.observe(job_spec()))

        assert (difference.field, difference.actual) == ("duplicates", ("anon",))
        with pytest.raises(ForeignObject, match="role anon"):
            prepared.converge(job_spec())

    def test_a_second_form_that_comes_later_is_drift_and_refused(self, prepared: Site):
        prepared.converge(function_spec())
        as_postgres(prepared, "create function public.tick(n integer default 1) returns void language sql as ''")

        (difference,) = compare(function_spec(), prepared.observe(function_spec()))

        assert (difference.field, difference.actual) == ("overloads", ("n integer",))
        with pytest.raises(ForeignObject, match="second form"):
            prepared.converge(function_spec())

    def test_a_form_that_a_bare_call_does_not_mean_is_no_second_form(self, prepared: Site):
        as_postgres(prepared, "create function public.tick(variadic n integer[]) returns void language sql as ''")

        made = prepared.converge(function_spec())

        assert compare(function_spec(), made) == ()

    @pytest.mark.parametrize(
        "by_hand",
        [
            "create procedure public.tick() language sql as ''",
            "create function public.tick() returns setof void language sql as ''",
        ],
    )
    def test_something_else_of_that_name(self, prepared: Site, by_hand: str):
        as_postgres(prepared, by_hand)

        with pytest.raises(ForeignObject, match=r"cannot be replaced.*drop routine public\.tick;"):
            prepared.converge(function_spec())

    def test_a_schedule_that_this_pg_cron_does_not_know(self, prepared: Site):
        if knows_seconds(prepared):
            pytest.skip("this pg_cron knows seconds: POSTGRES=15 has an older one")
        with pytest.raises(PrerequisiteMissing, match=r"the schedule '5 seconds' needs pg_cron 1\.5, and .* has 1\.4"):
            prepared.converge(job_spec(schedule="5 seconds"))

        assert prepared.observe(job_spec()) is None

    def test_a_function_of_another_owner(self, prepared: Site):
        prepared.by_hand(TICK, "alter function public.tick() owner to service_role")

        with pytest.raises(ForeignObject, match=r"owned by service_role.*alter function public\.tick\(\) owner to"):
            prepared.converge(function_spec())

    def test_a_function_with_another_return_type(self, prepared: Site):
        as_postgres(prepared, "create function public.tick() returns integer language sql as 'select 1'")

        with pytest.raises(ForeignObject, match=r"returns integer, not void.*drop function public\.tick\(\);"):
            prepared.converge(function_spec())

    def test_a_second_form_that_makes_a_bare_call_ambiguous(self, prepared: Site):
        as_postgres(prepared, "create function public.tick(n integer default 1) returns void language sql as ''")

        with pytest.raises(ForeignObject, match=r"second form, \(n integer DEFAULT 1\).*drop function"):
            prepared.converge(function_spec())

    def test_a_ledger_of_another_project_with_the_line_that_accepts_a_move(self, prepared: Site):
        prepared.converge(job_spec(project_ref=REF))
        moved = job_spec(project_ref=OTHER_REF, active=False)

        for spec in (moved, ledger_spec(project_ref=OTHER_REF)):
            with pytest.raises(WrongEnvironment) as refused:
                prepared.converge(spec)
        assert REF in str(refused.value)
        assert OTHER_REF in str(refused.value)
        assert prepared.observe(job_spec()).actual.active

        prepared.by_hand(str(refused.value).split("accept it once: ")[1])
        prepared.converge(moved)

    def test_a_copy_of_another_environment_with_the_one_line_that_accepts_stack_and_project(self, prepared: Site):
        prepared.converge(job_spec(project_ref=REF))
        branch = job_spec(project_ref=OTHER_REF, stack="branch")

        with pytest.raises(WrongEnvironment) as refused:
            prepared.converge(branch)
        for named in (REF, OTHER_REF, STACK, "branch"):
            assert repr(named) in str(refused.value)
        prepared.by_hand(str(refused.value).split("accept it once: ")[1])

        prepared.converge(branch)
        assert prepared.by_hand("select distinct stack, project_ref from bubble_sync.ledger") == [
            {"stack": "branch", "project_ref": OTHER_REF}
        ]

    def test_a_project_that_is_named_later_is_written_down(self, prepared: Site):
        prepared.converge(job_spec())

        (difference,) = compare(job_spec(project_ref=REF), prepared.observe(job_spec(project_ref=REF)))
        prepared.converge(job_spec(project_ref=REF))

        assert difference.field == "project_ref"
        assert compare(job_spec(project_ref=REF), prepared.observe(job_spec(project_ref=REF))) == ()
        assert compare(job_spec(), prepared.observe(job_spec())) == (), "unknown is never a mismatch"

    def test_a_ledger_of_another_stack_with_the_line_that_accepts_it(self, prepared: Site):
        prepared.converge(job_spec())

        with pytest.raises(ForeignObject) as refused:
            prepared.converge(job_spec(stack="prod"))
        prepared.by_hand(str(refused.value).split("accept it once: ")[1])

        assert prepared.converge(job_spec(stack="prod")).actual.stack == "prod"

    def test_a_change_without_a_ledger(self, site: Site):
        with pytest.raises(PrerequisiteMissing, match="ledger"):
            site.converge(function_spec())

        assert site.observe(function_spec()) is None

    def test_a_job_that_another_role_owns_is_not_gone(self, prepared: Site):
        prepared.converge(job_spec())
        other = prepared.as_role("other", "grant usage on schema cron, bubble_sync to other",
                                 "grant select on bubble_sync.ledger to other")  # fmt: skip

        assert other.observe(job_spec()) is None, "row security hides it"
        with pytest.raises(PrivilegeMissing, match="belongs to the role postgres"):
            other.db.read("reading", lambda conn: cron_jobs.require_same_role(conn, job_spec().name, "postgres"))
        other.db.close()


class TestRemoval:
    """Only what we made and nobody needs goes."""

    def test_what_was_adopted_is_kept_with_its_row(self, prepared: Site):
        as_postgres(prepared, TICK)
        prepared.converge(function_spec())

        assert prepared.remove(function_spec()) == "it was there before"
        assert origin(prepared, "function public.tick") == "adopted"

    def test_what_the_ledger_does_not_know_is_kept(self, prepared: Site):
        prepared.converge(job_spec())
        prepared.by_hand("delete from bubble_sync.ledger")

        assert prepared.remove(job_spec()) == "it was there before"

    @pytest.mark.parametrize(
        ("by_hand", "refusal"), [("stack = 'prod'", ForeignObject), (f"project_ref = '{OTHER_REF}'", WrongEnvironment)]
    )
    def test_what_another_stack_or_project_keeps_is_refused(self, prepared: Site, by_hand: str, refusal):
        spec = job_spec(project_ref=REF)
        prepared.converge(spec)
        prepared.by_hand(f"update bubble_sync.ledger set {by_hand}")

        with pytest.raises(refusal, match="nothing was changed"):
            prepared.remove(spec)

        assert prepared.observe(spec) is not None

    @pytest.mark.parametrize(
        ("user", "by_hand"),
        [
            ("function public.other()", "create function public.other() returns text language sql as "
                                 "'select name from vault.secrets where name = ''supabase_url'''"),
            ("job mine", "select cron.schedule('mine', '0 0 * * *', 'select f(''supabase_url'')')"),
            ("function public.atomic()", "create function public.atomic() returns boolean language sql "
                                         "begin atomic select 'supabase_url' = 'x'; end"),
            ("view public.settings", "create view public.settings as select 'supabase_url'::text as name"),
            ("trigger hook on public.sync_queue",
             "create trigger hook after insert on public.sync_queue for each row execute function "
             "suppress_redundant_updates_trigger('supabase_url')"),
        ],
    )  # fmt: skip
    def test_a_secret_that_something_still_names_is_kept(self, prepared: Site, user: str, by_hand: str):
        prepared.converge(secret_spec())
        as_postgres(prepared, by_hand)

        reason = prepared.remove(secret_spec())

        assert reason is not None
        assert user in reason
        assert prepared.observe(secret_spec()) is not None

    def test_a_secret_whose_name_is_only_part_of_a_word_is_not_named(self, prepared: Site):
        prepared.converge(secret_spec())
        as_postgres(prepared, "select cron.schedule('mine', '0 0 * * *', 'select my_supabase_url_2')")

        assert prepared.remove(secret_spec()) is None

    @pytest.mark.parametrize("call", ["SELECT tick()", "SELECT PUBLIC.Tick();"])
    def test_a_function_that_a_kept_job_calls_is_kept(self, prepared: Site, call: str):
        prepared.converge(function_spec())
        as_postgres(prepared, f"select cron.schedule('mine', '0 0 * * *', '{call}')")

        assert prepared.remove(function_spec()) == "job mine calls it"

    def test_a_kept_object_that_we_made_is_still_ours_afterwards(self, prepared: Site):
        prepared.converge(function_spec())
        as_postgres(prepared, "select cron.schedule('mine', '0 0 * * *', 'SELECT tick()')")
        prepared.remove(function_spec())

        prepared.converge(function_spec())

        assert origin(prepared, "function public.tick") == "made"
