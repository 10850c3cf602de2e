"""What CONTRIBUTING says under "How to add", followed to the letter in a copy of the checkout."""

from __future__ import annotations

from pathlib import Path

from tests.fixtures.adding import ask_copy, copy_with, try_check_of_copy
from tests.fixtures.program import SECRET_SIGNATURE
from tests.fixtures.site import Site

JOB = "bubble-sync-purge"


def test_a_job_is_its_settings_one_entry_and_one_file_and_everything_knows_it(site: Site, tmp_path: Path):
    changed = copy_with("job", tmp_path)

    found = ask_copy(tmp_path, site.addresses, purge='{"active": false, "pauseReason": "an audit", "keepDays": 7}')

    assert changed == [
        "bubble_sync/config/settings.py", "bubble_sync/model/jobs.py", "sql/functions/bubble_sync_purge.sql",
    ]  # fmt: skip
    assert found["imported from"] == str(tmp_path)
    (spec,) = (one for kind, one in found["specs"] if kind == "job" and one["name"] == JOB)
    assert (spec["schedule"], spec["command"]) == ("0 3 * * *", "SELECT public.bubble_sync_purge()")
    graph = found["graph"]
    declared = graph["resources"][f"sync-jobs-{JOB}"]["inputs"]
    assert (declared["schedule"], declared["active"]) == ("0 3 * * *", False)
    assert {
        "sync-functions-bubble_sync_purge",
        "sync-jobs-bubble-sync-processor",
        "sync-jobs-bubble-sync-retry",
    } < set(graph["dependencies"][f"sync-jobs-{JOB}"])
    assert (
        "keep_days constant integer := 7;" in graph["resources"]["sync-functions-bubble_sync_purge"]["inputs"]["body"]
    )
    asked_for = graph["resources"]["sync-prerequisites"]["inputs"]["objects"]
    assert {f"job {JOB}", "function public.bubble_sync_purge"} < set(asked_for)
    assert found["status"] == {"bubble-sync-processor": True, "bubble-sync-retry": True, JOB: False}
    assert found["pauses"] == {JOB: "paused (an audit)"}
    assert found["keys"] == ["processor", "retry", "purge"]
    assert f"job {JOB}".endswith(found["last"])
    assert "public.bubble_sync_purge" in found["check inputs"]["job_functions"]
    assert JOB in found["check inputs"]["jobs"]
    assert (found["clean"], [one["id"] for one in found["doctor"]]) == (True, ["job_paused"])
    assert site.by_hand(f"select schedule, active from cron.job where jobname = '{JOB}'") == [
        {"schedule": "0 3 * * *", "active": False}
    ]
    site.by_hand("select public.bubble_sync_purge()")


def test_a_secret_is_its_setting_and_one_entry_and_is_never_shown(site: Site, tmp_path: Path):
    changed = copy_with("secret", tmp_path)

    found = ask_copy(tmp_path, site.addresses, apiToken="a-token-of-bubble")
    without = ask_copy(tmp_path, site.addresses)

    assert changed == ["bubble_sync/config/settings.py", "bubble_sync/model/secrets.py"]
    (spec,) = (one for kind, one in found["specs"] if kind == "secret" and one["name"] == "bubble_api_token")
    assert (spec["value"], spec["description"]) == ("a-token-of-bubble", "Token of the Bubble API")
    value = found["graph"]["resources"]["sync-secrets-bubble_api_token"]["inputs"]["value"]
    assert (SECRET_SIGNATURE in value, value["value"]) == (True, "a-token-of-bubble")
    assert "secret bubble_api_token" in found["graph"]["resources"]["sync-prerequisites"]["inputs"]["objects"]
    assert "a-token-of-bubble" in found["hidden"]
    assert found["configuration keys"]["bubble_api_token"] == "apiToken"
    assert (found["clean"], found["doctor"]) == (True, [])
    assert site.by_hand(
        "select decrypted_secret as s from vault.decrypted_secrets where name = 'bubble_api_token'"
    ) == [{"s": "a-token-of-bubble"}]
    assert not any("bubble_api_token" in str(one) for one in (without["specs"], without["graph"]))


def test_a_check_is_one_file_and_one_breakage(site: Site, tmp_path: Path):
    changed = copy_with("check", tmp_path)

    assert changed == ["sql/checks/queue_unlogged.sql"]
    assert try_check_of_copy(tmp_path, site.addresses, "queue_unlogged") == str(tmp_path)
