"""What else sends to the Edge Function is found, whatever its form, and what merely mentions it is not."""

from __future__ import annotations

import re

import psycopg
import pytest

from tests.fixtures.adoption import FOLDER, converge_all, look, play
from tests.fixtures.breaking import diagnose, set_up, working
from tests.fixtures.site import Site

CASES = FOLDER.parent / "senders"
SENDERS = (CASES / "others.sql").read_text("utf-8")
BY_THEMSELVES = """
    create function app.{0}_{1}() returns void language plpgsql as $$ begin
        {3} -- no {1}
        update app.log set message = 'bubble_sync: ' || '{0}' where at < now() - interval '1 day' and message <> '';
        {2}
    end $$
"""
SENDS = "perform http_post('https://hooks.example.com', '{\"source\": \"bubble_sync\"}');"
SENDS_TO_OURS = "perform net.http_post('https://abcdefghij.supabase.co/functions/v1/bubble_sync');"
PADDING = "perform 1 from app.log where message like 'a%' and at > now(); -- it is long\n" * 15


def told(site: Site) -> list[str]:
    return [one.what for one in look(site)[0].unmanaged if not one.what.startswith("EXECUTE")]


@pytest.mark.parametrize("converged_before", [True, False], ids=["after up", "before the first up"])
def test_every_form_is_found_and_no_mention_is(site: Site, converged_before: bool):
    converge_all(site) if converged_before else play(site, "as_executed")
    site.by_hand(SENDERS)
    forms = {form for form in re.findall(r"\bs[0-4]\d\b|\bs[0-4]\d(?=_)", SENDERS) if form != "s47"}
    assert len(forms) > 40

    found = told(site)

    unnamed = [what for what in found if re.fullmatch(r"job \(jobid \d+\)", what)]
    named = [match[0] for what in found if (match := re.search(r"\bs\d\d", what))]
    assert (forms - set(named), len(unnamed)) == (set(), 1)
    assert [what for what in found if not re.search(r"\bs\d\d", what) and what not in unnamed] == []


def test_the_doctor_tells_what_each_is_and_no_key(site: Site):
    set_up(site, working())
    site.by_hand(SENDERS)

    findings = [one for one in diagnose(site).findings if one.id in ("job_shadowed", "job_duplicated")]

    levels = {one.object.partition(" (jobid")[0]: (one.id, one.level) for one in findings}
    assert levels["job s20 literal"] == ("job_shadowed", "warning")
    assert levels["job"] == ("job_shadowed", "warning")
    assert levels["job s36 quoted ours"] == ("job_duplicated", "error")
    assert levels["trigger s12_webhook on public.sync_queue"] == ("job_shadowed", "warning")
    assert levels["function app.s01_variable()"] == ("job_shadowed", "info")
    assert "eyJ" not in repr(findings)
    assert "Bearer" not in repr(findings)


def test_what_is_given_for_each_removes_it(site: Site):
    converge_all(site)
    site.by_hand(SENDERS)
    comparison, _ = look(site)

    removals = [one.sql for one in comparison.unmanaged if not one.what.startswith("EXECUTE")]
    site.by_hand(*removals)

    assert told(site) == []


def test_among_two_thousand_functions_and_five_hundred_jobs_the_two_that_send_are_found(site: Site):
    """One reading within the product's own timeout: a longer one is an error."""
    converge_all(site)
    site.by_hand("create schema app", "create table app.log (at timestamptz, message text)")
    site.by_hand(
        *(
            BY_THEMSELVES.format(f"f{n}", "mail" if n % 10 else "hook", PADDING, "" if n % 10 else SENDS)
            for n in range(2000)
        ),
        BY_THEMSELVES.format("f2000", "mail", PADDING, SENDS_TO_OURS),
    )
    site.by_hand(
        "set role postgres; select cron.schedule('j' || n, '0 0 1 1 *', 'select app.f' || n || '_mail()') "
        "from generate_series(1501, 2000) as n"
    )

    assert [what.partition(" (jobid")[0] for what in told(site)] == ["job j2000", "function app.f2000_mail()"]


def test_of_many_commands_those_that_send_are_found(site: Site):
    converge_all(site)
    site.by_hand("set role postgres;" + (CASES / "helpers.sql").read_text("utf-8"))
    # Named by number: pg_cron 1.4 cuts a name at 63 characters.
    commands = {
        f"{kind} {n}": command
        for kind in ("sends", "mentions")
        for n, command in enumerate((CASES / f"{kind}.txt").read_text("utf-8").splitlines())
    }
    with psycopg.connect(site.addresses.admin_url, autocommit=True) as conn:
        for name, command in commands.items():
            conn.execute("select cron.schedule(%s, '0 0 1 1 *', %s)", (name, command))

    found = {what.removeprefix("job ").partition(" (jobid")[0] for what in told(site)}

    sending = {name for name in commands if name.startswith("sends")}
    triggers = {f"trigger {name} on public.guests" for name in ("t1", "t2", "t3")}
    expected = {*sending, *triggers, "function bubble_sync.foreign_sender()"}
    # It is told of for another reason: it names the key.
    found.discard("function util.call_edge_function(text,jsonb)")
    missing = {commands.get(name, name) for name in expected - found}
    assert (missing, found - expected) == (set(), set())


@pytest.mark.parametrize(("case", "some"), [("forms", True), ("harmless", False)])
def test_jobs_and_triggers_are_found_by_what_they_do(site: Site, case: str, some: bool):
    converge_all(site)
    site.by_hand("set role postgres;" + (CASES / f"{case}.sql").read_text("utf-8"))
    jobs = site.by_hand("select jobid from cron.job where jobname is null or jobname not like 'bubble-sync-%'")

    found = " ".join(told(site))

    assert {row["jobid"] for row in jobs if f"(jobid {row['jobid']})" in found} == (
        {row["jobid"] for row in jobs} if some else set()
    )
    assert ("trigger " in found) == some
