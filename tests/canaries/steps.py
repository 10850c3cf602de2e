"""What is done to a stack so that a secret may come out: the sample that `make test` takes, and the rest."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import psycopg

from bubble_sync.local.stack import DATABASE_URL_VARIABLE
from tests.canaries import places
from tests.canaries.life import Life, drift
from tests.fixtures.live_page import serving
from tests.fixtures.stack import Stack, folder_with_plugin

LOUD = ("-v", "9", "--logtostderr", "--logflow")
_EVENT = """
    create function public.refuse() returns event_trigger language plpgsql as $$ begin raise exception 'no'; end $$;
    create event trigger refusing on ddl_command_start when tag in ('{tag}') execute function public.refuse()
"""
_NO_EVENT = "drop event trigger refusing; drop function public.refuse()"
#: The step that fails, as its refusal names it -> what a hand does to it, and how it takes that back.
REFUSALS = {
    "PrerequisiteMissing": (
        "alter table public.sync_queue rename to elsewhere",
        "alter table public.elsewhere rename to sync_queue",
    ),
    "converging ledger": (_EVENT.format(tag="CREATE SCHEMA"), _NO_EVENT),
    "converging extension": (_EVENT.format(tag="CREATE EXTENSION"), _NO_EVENT),
    "converging secret": (
        # As on a hosted project, where it is there from the beginning: `up` makes and uses it in one go.
        "create extension if not exists supabase_vault; "
        "alter table vault.secrets add constraint refused check (name is null) not valid",
        "alter table vault.secrets drop constraint refused",
    ),
    "converging function": (_EVENT.format(tag="CREATE FUNCTION"), _NO_EVENT),
    "converging job": (
        "alter table cron.job add constraint refused check (jobname is null) not valid",
        "alter table cron.job drop constraint refused",
    ),
}
_DONE = "where not exists (select from public.sync_queue where status in ('pending', 'processing'))"
UNPRIVILEGED = (
    "revoke execute on function vault.update_secret from postgres",
    "grant execute on function vault.update_secret to postgres with grant option",
)
EITHER = None
"""0 or 1: it depends on what pg_cron has run by then."""
_BY_URL = f"--database-url-env {DATABASE_URL_VARIABLE}"
#: What a person types -> its exit code; `{stack}` says which stack, and a file in `{scratch}` is searched. The last one
#: ends the platform.
COMMANDS = {
    "key status {stack}": 0,
    "key status {stack} --json": 0,
    "key probe {stack}": 0,
    "key probe {stack} --key-fd 0 --json": 0,
    "key rotate {stack} --key-fd 0": 0,
    "--debug key rotate {stack} --action dance --key-fd 0": 0,
    "--help": 0,
    "--version": 0,
    "--show-completion": EITHER,
    "diff {stack}": 0,
    "diff {stack} --markdown": 0,
    "drift {stack}": 0,
    "ci preview {stack} --report {scratch}/preview.md": 0,
    "ci plan {stack} --plan {scratch}/ci-plan.json": 0,
    "ci apply {stack} --plan {scratch}/ci-plan.json": 0,
    # As `drift --all-stacks` below; and without the variables of a run on GitHub.
    "ci drift --report {scratch}/drift.md": 2,
    "ci comment --report {scratch}/preview.md --pull-request 1": 2,
    "ci issue --report {scratch}/drift.md": 2,
    "local dance": 2,
    "init {scratch}/shop --stacks prod --forge github --backend file:///state": 0,
    # Without a token for the platform's API.
    "key set-function BUBBLE_SYNC_KEYS {stack} --yes": 2,
    # Configures the platform's own key again; the database has it with the `up` of the demo.
    "local up": 0,
    "local status": 0,
    "local status --json": 0,
    # The checkout's own stacks are not in this life's backend: their configuration cannot be read.
    "drift --all-stacks": 2,
    "local sign-up ada@example.com": 0,
    "--debug local sign-up grace@example.com --json": 0,
    "local demo --keep": EITHER,
    "doctor {stack}": EITHER,
    "doctor {stack} --json": EITHER,
    "verify {stack}": EITHER,
    "verify {stack} --json": EITHER,
    "status {stack}": EITHER,
    "status {stack} --json": EITHER,
    "trace --latest {stack}": EITHER,
    "trace ada@example.com {stack} --json": EITHER,
    "runs {stack}": EITHER,
    "runs {stack} --json": EITHER,
    "failures {stack}": EITHER,
    "failures {stack} --json": EITHER,
    "run-now {stack} --wait": EITHER,
    "run-now {stack} --yes --json": EITHER,
    "discard --error no-such-error --yes {stack}": EITHER,
    "discard --error no-such-error --yes --json {stack}": EITHER,
    "requeue --dead --yes {stack}": EITHER,
    "requeue --dead --yes --json {stack}": EITHER,
    "release-stalled --yes {stack}": EITHER,
    "release-stalled --yes {stack} --json": EITHER,
    "metrics {stack}": 0,
    "metrics {stack} --output {scratch}/metrics.prom": 0,
    "config {stack}": 0,
    "config {stack} --json": 0,
    "pause {stack} --reason maintenance --until 2h": 0,
    "resume {stack}": 0,
    # Without a terminal.
    "watch {stack}": 2,
    # What it serves is searched by _served.
    "serve {stack} --port 70000": 2,
    # One stack by its URL alone, and the checkout's own stacks, as `drift --all-stacks` above.
    **{
        f"{command} {_BY_URL}": EITHER
        for command in ("doctor", "failures", "runs", "status", "trace --latest", "verify")
    },
    f"report {_BY_URL} --html {{scratch}}/by-url.html": 0,
    **{f"{command} --all-stacks": 2 for command in ("status", "verify", "doctor", "metrics", "key status")},
    "report {stack} --html {scratch}/report.html": 0,
    "local down": 0,
}
#: The same, when the database holds values that no configuration has.
DIFFERING = (
    "diff {stack} --json", "diff {stack} --sql", "diff {stack} --undo-sql", "drift {stack}", "drift {stack} --json",
    "drift {stack} --markdown",
)  # fmt: skip


def sample(life: Life) -> None:
    """Take the shortest way on which every secret is written, refused, changed, compared and removed."""
    _refused(life, "converging secret")
    life.pulumi("up", "--yes", "--skip-preview", "--diff", *LOUD, place=places.VERBOSE)
    _violated_plan(life)
    _changed_by_hand(life)
    life.up("--json", *_events(life))
    _opted_in(life)
    _sent(life)
    life.command("key rotate {stack} --key-fd 0", given=life.secrets.key.value)
    _planted(life)
    life.look_at_database()
    with _planted_in_a_process(life):
        life.pulumi("destroy", "--yes", "--skip-preview", "--diff")


def everything(life: Life) -> None:
    """Take every way that a secret might come out."""
    for step in REFUSALS:
        _refused(life, step)
    plan = life.scratch / "plan.json"
    life.pulumi("preview", "--diff", "--save-plan", str(plan))
    life.search.look(places.PLAN, plan.read_bytes())
    life.pulumi("up", "--yes", "--plan", str(plan), *LOUD, place=places.VERBOSE)
    _violated_plan(life)
    _refused(life, "converging secret")
    _refused(life, "PrerequisiteMissing", UNPRIVILEGED)
    life.up("--diff")
    _changed_by_hand(life)
    drift(life, "--json")
    life.up("--json", "-v", "9", "--logflow", *_events(life))
    _opted_in(life)
    _every_other_command(life)
    _unreachable(life)
    _in_the_configuration(life)
    _commands_of_ours(life)
    _sent(life)
    _failing_runs(life)
    _planted(life)
    life.look_at_database()
    with _planted_in_a_process(life):
        life.pulumi("destroy", "--yes", "--skip-preview", "--diff", *LOUD, place=places.VERBOSE)
    life.pulumi("preview", "--json")


def after_the_server(life: Life) -> None:
    """End the platform as a person does; what it says is searched too."""
    life.command("local status --json", expect=1)
    life.command("local down", COMMANDS["local down"])


def _refused(life: Life, step: str, by_hand: tuple[str, str] | None = None) -> None:
    breaking, mending = by_hand or REFUSALS[step]
    life.by_hand(breaking)
    life.up("--diff", expect=1, says=step)
    life.by_hand(mending)


def _violated_plan(life: Life) -> None:
    """Change the key after a plan was saved: the plan's key is then no configuration value any more."""
    plan = life.scratch / "violated.json"
    life.stack.configure("serviceRoleKey", life.secrets.rotated.value, secret=True)
    life.pulumi("preview", "--save-plan", str(plan))
    life.search.look(places.PLAN, plan.read_bytes())
    life.stack.configure("serviceRoleKey", life.secrets.key.value, secret=True)
    command = ("up", "--yes", "--skip-preview", "--plan", str(plan), "--diff")
    life.pulumi(*command, expect=1, place=places.VIOLATED, says="violates plan")
    life.stack.configure("serviceRoleKey", life.secrets.rotated.value, secret=True)


def _changed_by_hand(life: Life) -> None:
    """Let the database hold values that no configuration has."""
    life.store_by_hand("service_role_key", life.secrets.key_by_hand.value)
    life.store_by_hand("supabase_url", life.secrets.url_by_hand.value)
    drift(life, "--diff")
    for line in DIFFERING:
        life.command(line, expect=1)
    life.pulumi("refresh", "--yes", "--skip-preview", "--diff", *LOUD, place=places.VERBOSE)


def _events(life: Life) -> tuple[str, str]:
    return "--event-log", str(life.scratch / "events.json")


def _opted_in(life: Life) -> None:
    _with_a_monitor_role(life)
    _with_every_option(life)


def _with_a_monitor_role(life: Life) -> None:
    """Give access and take it again, through the emulator of the plugin, which gets the database's password too."""
    local = life.stack.local
    environment = {**local.environment, "PGPASSWORD": life.secrets.password.value}
    stack = Stack(replace(local, checkout=folder_with_plugin(life.scratch / "access"), environment=environment))
    plugged = Life(life.platform, stack, life.secrets, life.search, life.scratch)
    stack.configure("access.monitorRole", "bubble_monitor")
    stack.configure("monitorPassword", life.secrets.monitor.value, secret=True)
    plugged.up("--diff")
    url = life.addresses.database_url.replace(
        f"//postgres:{life.secrets.password.value}", f"//bubble_monitor:{life.secrets.monitor.value}"
    )
    with psycopg.connect(url) as session:
        (answer,) = session.execute("select bubble_sync.observe('0123456789abcdef')::text").fetchone() or ("",)
    life.search.look(places.MESSAGES, answer)
    for key in ("access", "monitorPassword"):
        stack.run("config", "rm", f"bubble-sync:{key}")
    plugged.up("--diff")


def _with_every_option(life: Life) -> None:
    """Post alerts to where nothing listens, wake by an insert, let all requests wait; then switch all off."""
    secrets = life.secrets
    destinations = {
        "alertWebhookUrl": secrets.webhook,
        "alertHeartbeatUrl": secrets.heartbeat,
        "alertPagerDutyRoutingKey": secrets.pager_duty,
        "alertOpsgenieApiKey": secrets.opsgenie,
    }
    for key, secret in destinations.items():
        life.stack.configure(key, secret.value, secret=True)
    for key in ("pagerDutyUrl", "opsgenieUrl"):
        life.stack.configure(f"alerts.{key}", "http://127.0.0.1:1")
    life.stack.configure("alerts.dailyReportAt", "07:00")
    life.stack.configure("processor.wake", "true")
    life.stack.configure("processor.requestsPerTick", "2")
    life.stack.configure("history.keepDays", "30")
    life.platform.net_worker.stop()
    life.up("--diff")
    life.by_hand("set role postgres", "select bubble_sync.alert()")
    life.platform.sign_up("at-once@example.com")
    life.wait_until("from net.http_request_queue where url like '%/functions/v1/%'")
    life.run_job("pending items")
    life.look_at_database()
    life.platform.net_worker.start()
    life.wait_until(f"{_DONE} and not exists (select from net.http_request_queue)")
    for form in ("diff {stack} --sql", "drift {stack} --json"):
        life.command(form)
    for key in ("alerts", *destinations, "processor", "history"):
        life.stack.run("config", "rm", f"bubble-sync:{key}")
    life.up("--diff")


def _every_other_command(life: Life) -> None:
    life.pulumi("stack")
    life.pulumi("stack", "output", "--json")
    life.pulumi("stack", "export")
    life.pulumi("stack", "history", "--json")
    life.pulumi("config", "--json")
    life.pulumi("preview", "--json")
    life.pulumi("preview", "--refresh=false", "--diff", "--debug")
    life.pulumi("up", "--yes", "--skip-preview", "--tracing", f"file:{life.scratch / 'trace.json'}")
    life.pulumi("refresh", "--yes", "--skip-preview", "--json")


def _unreachable(life: Life) -> None:
    """Give database URLs that fail each in another place; the right password is in all of them."""
    right = life.addresses.database_url
    port = f":{life.addresses.database_port}"
    for wrong, says in (
        (right.replace(port, ":1"), "nothing listens there"),
        (right.replace("//postgres:", "//nobody:"), "Unreachable"),
        (f"{right}?pgbouncer=true", "does not support"),
        (right.replace("@", " @"), "cannot be read"),
        (f"{right}?password={life.secrets.password.value}", "after the question mark"),
    ):
        other = Life(life.platform, life.stack.through(wrong), life.secrets, life.search, life.scratch)
        other.pulumi("preview", "--diff", expect=1, says=says)


def _in_the_configuration(life: Life) -> None:
    """Keep the database URL in the configuration: the CLI masks the whole URL, and not the password alone."""
    life.stack.configure("databaseUrl", life.addresses.database_url, secret=True)
    life.pulumi("preview", expect=1, says="conflicts with databaseUrlEnv")
    life.pulumi("config", "rm", "bubble-sync:databaseUrlEnv")
    life.up("--run-program", "--diff")
    life.pulumi("refresh", "--yes", "--skip-preview", "--diff", *LOUD, place=places.VERBOSE)
    _refused(life, "PrerequisiteMissing")
    life.pulumi("config", "rm", "bubble-sync:databaseUrl")
    life.stack.configure("databaseUrlEnv", "BUBBLE_SYNC_LOCAL_DATABASE_URL")
    life.up("--run-program")


def _commands_of_ours(life: Life) -> None:
    for line, expect in COMMANDS.items():
        if line != "local down":
            # There and back: the second rotation finds the first one's key.
            given = life.secrets.rotated if line.startswith("--debug key") else life.secrets.key
            life.command(line, expect, given=given.value if "--key-fd" in line else None)
    _served(life)
    _rotation_that_fails(life)
    life.command("local sign-up ada@example.com", expect=1)


def _served(life: Life) -> None:
    """Read the live pages: the report, an item found by its email, and one that is not there."""
    with serving(life.stack) as (process, address):
        for page in ("", "items?q=ada@example.com", "items/none"):
            answer = httpx.get(f"{address}{page}", follow_redirects=True)
            life.search.look(places.COMMANDS, f"{answer.headers}\n{answer.text}", page)
        process.terminate()
        for text in process.communicate(timeout=60):
            life.search.look(places.COMMANDS, text, "serve")


def _rotation_that_fails(life: Life) -> None:
    """Fail after the new key is in the configuration: both keys are then compared and taken back."""
    breaking, mending = UNPRIVILEGED
    life.by_hand(breaking)
    # The demo before this has put the platform's own key back.
    life.command("key rotate {stack} --key-fd 0", expect=1, given=life.secrets.rotated.value)
    life.by_hand(mending)


def _sent(life: Life) -> None:
    """Let a request wait in pg_net's queue, and then let its worker take it."""
    life.platform.net_worker.stop()
    life.platform.sign_up("waiting@example.com")
    life.run_job("Edge Function invoked, request ID")
    life.look_at_database()
    life.platform.net_worker.start()
    life.wait_until(f"{_DONE} and not exists (select from net.http_request_queue)")


def _failing_runs(life: Life) -> None:
    """Fail in each branch behind the one that reads the key, by hand and once by pg_cron itself.

    Something is broken all the time, so that the item stays pending however the minutes fall.
    """
    key = life.secrets.key_by_hand.value
    life.store_by_hand("service_role_key", f"{key}\n")
    life.platform.sign_up("refused@example.com")
    life.run_job("secret or number is malformed")
    life.by_hand("alter table net.http_request_queue add constraint refused check (id is null) not valid")
    life.store_by_hand("service_role_key", key)
    life.run_job("pg_net refused the request")
    life.wait_until("from cron.job_run_details where return_message like '%pg_net refused the request%'")
    life.by_hand("update vault.secrets set secret = encode('not of this key, and long enough', 'base64')")
    life.by_hand("alter table net.http_request_queue drop constraint refused")
    life.run_job("Vault secrets cannot be read")
    life.up("--diff")


def _planted(life: Life) -> None:
    """Put the control where the search must find it."""
    control = life.secrets.control.value
    with psycopg.connect(life.addresses.database_url, autocommit=True) as session:
        session.execute("select vault.create_secret(%s, 'control')", (control,))
        session.execute(f"set bubble_sync.control = '{control}'")
        session.execute(f"select '{control}', pg_sleep(0.3)")
        session.execute("select cron.schedule('control', '0 0 1 1 *', %s)", (f"select '{control}'",))
        session.execute("select cron.unschedule('control')")
    _planted_in_state(life, control)


@contextmanager
def _planted_in_a_process(life: Life) -> Iterator[None]:
    """Run a child with the control in its arguments and its environment."""
    control = life.secrets.control.value
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()", control], env={"CONTROL": control},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as child:  # fmt: skip
        assert child.stdout, "the child says when it runs"
        child.stdout.readline()
        # Its own user can read it: another one is refused, and does not just miss it.
        assert control.encode() in Path(f"/proc/{child.pid}/environ").read_bytes()
        yield


def _planted_in_state(life: Life, control: str) -> None:
    """Run a program that exports a secret as it stands, in the same backend."""
    folder = life.scratch / "control"
    folder.mkdir()
    # Where Pulumi looks before it makes an environment of its own.
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "Pulumi.yaml").write_text("name: control\nruntime: python\n")
    (folder / "__main__.py").write_text("import os, pulumi\npulumi.export('plain', os.environ['CONTROL'])\n")
    environment = {**life.stack.local.environment, "CONTROL": control}
    for command in ("stack init plain", "up --yes --skip-preview --stack plain", "up --yes --stack plain"):
        done = subprocess.run(
            ["pulumi", *command.split(), "--non-interactive"], cwd=folder, env=environment, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        life.search.look(places.OUTPUT, done.stdout)
    life.look_at_files()
