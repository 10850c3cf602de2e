"""A schedule in seconds, on a real pg_cron that knows none and on one that does."""

from __future__ import annotations

import pytest

from tests.fixtures.site import Site, knows_seconds
from tests.fixtures.stack import Stack

SCHEDULES = "select schedule from cron.job order by jobid"
REFUSED = "the schedule '30 seconds' needs pg_cron 1.5, and this server has 1.4-1: nothing was changed."


@pytest.fixture
def old_cron(site: Site) -> None:
    if knows_seconds(site):
        pytest.skip("this pg_cron knows seconds: POSTGRES=15 has an older one")


def test_seconds_are_a_change_in_place_where_pg_cron_knows_them(converged: Stack, site: Site):
    if not knows_seconds(site):
        pytest.skip("this pg_cron knows no seconds: POSTGRES=17 has a newer one")
    converged.configure("processor.schedule", "30 seconds")

    assert converged.ours("diff").returncode == 1
    assert converged.drift() == {"sync-jobs-bubble-sync-processor": ["schedule"]}
    converged.up()

    assert site.by_hand("select jobid, schedule from cron.job order by jobid") == [
        {"jobid": 1, "schedule": "30 seconds"}, {"jobid": 2, "schedule": "*/5 * * * *"},
    ]  # fmt: skip
    converged.expect_no_changes()


@pytest.mark.usefixtures("old_cron")
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


@pytest.mark.usefixtures("old_cron")
def test_the_first_up_refuses_seconds_and_goes_on_when_they_are_gone(stack: Stack, site: Site):
    stack.configure("processor.schedule", "30 seconds")
    assert REFUSED in stack.up(expect=1)

    stack.configure("processor.schedule", "*/2 * * * *")
    stack.up()

    assert site.by_hand(SCHEDULES)[0] in ({"schedule": "*/2 * * * *"}, {"schedule": "*/5 * * * *"})
    stack.expect_no_changes()
