"""A schedule in seconds, on a real pg_cron that knows none."""

from __future__ import annotations

from tests.fixtures.site import Site
from tests.fixtures.stack import Stack

SCHEDULES = "select schedule from cron.job order by jobid"
REFUSED = "the schedule '30 seconds' needs pg_cron 1.5, and this server has 1.4-1: nothing was changed."


def test_seconds_are_refused_by_preview_up_and_diff_in_one_line(converged: Stack, site: Site):
    converged.configure("processor.schedule", "30 seconds")

    preview = converged.run("preview", expect=1)
    up = converged.up(expect=1)
    difference = converged.ours("diff")

    for said in (preview, up):
        assert f"PrerequisiteMissing: job bubble-sync-processor: {REFUSED}" in said
        assert "Traceback" not in said
    assert difference.returncode == 1
    assert REFUSED in " ".join(difference.stdout.split())
    assert site.by_hand(SCHEDULES) == [{"schedule": "* * * * *"}, {"schedule": "*/5 * * * *"}]


def test_the_first_up_refuses_seconds_and_goes_on_when_they_are_gone(stack: Stack, site: Site):
    stack.configure("processor.schedule", "30 seconds")
    assert REFUSED in stack.up(expect=1)

    stack.configure("processor.schedule", "*/2 * * * *")
    stack.up()

    assert site.by_hand(SCHEDULES)[0] in ({"schedule": "*/2 * * * *"}, {"schedule": "*/5 * * * *"})
    stack.expect_no_changes()
