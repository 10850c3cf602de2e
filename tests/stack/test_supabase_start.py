"""The stack of `examples/supabase-start`, on a platform that is arranged as `supabase start` arranges one."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
from collections.abc import Iterator

import psycopg
import pytest

from bubble_sync.database.polling import poll
from tests.fixtures import supabase_start
from tests.fixtures.fleet import FOREIGN, PASSPHRASE, Fleet
from tests.fixtures.guard import short_folder
from tests.fixtures.stack import CHECKOUT, lay_out_program
from tests.fixtures.supabase_start import SECRET_KEY, SupabaseStart, service_role_key

STACK = "supabase-local"
FILE = CHECKOUT / f"examples/supabase-start/Pulumi.{STACK}.yaml"
VARIABLE = "BUBBLE_SYNC_SUPABASE_LOCAL_DATABASE_URL"
OBJECTS = (
    "select count(*) from pg_namespace where nspname in ('bubble_sync', 'cron') "
    "union all select count(*) from vault.secrets"
)


class Project(Fleet):
    """A checkout with the example's stack file."""

    def sync(self, *command: str, expect: int = 0, **variables: str) -> str:
        return self.run("bubble-sync", *command, "--stack", STACK, expect=expect, **variables)

    def configure(self, key: str, value: str) -> None:
        self.pulumi(STACK, "config", "set", f"bubble-sync:{key}", value)

    def up(self, expect: int = 0) -> str:
        return self.pulumi(STACK, "up", "--yes", "--skip-preview", expect=expect)


@pytest.fixture(scope="module")
def supabase(pytestconfig: pytest.Config) -> Iterator[SupabaseStart]:
    with supabase_start.started(short_folder(pytestconfig)) as running:
        yield running


@pytest.fixture(scope="module")
def project(supabase: SupabaseStart, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The stack of the example, with the default key and the DB URL of `supabase status`."""
    folder = tmp_path_factory.mktemp("supabase")
    checkout = lay_out_program(folder / "project", but=("Pulumi.local.yaml",))
    shutil.copy(FILE, checkout)
    (folder / "state").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    added = {
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        VARIABLE: supabase.database_url,
    }
    made = Project(checkout, {**kept, **added})
    made.run("pulumi", "stack", "init", STACK, "--non-interactive")
    made.set_key(STACK, service_role_key())
    if not knows_seconds(supabase):
        made.run("pulumi", "config", "set", "--path", "bubble-sync:processor.schedule", "* * * * *", "--stack", STACK)
    return made


def rows(supabase: SupabaseStart, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(supabase.database_url) as conn:
        return conn.execute(query).fetchall()


def knows_seconds(supabase: SupabaseStart) -> bool:
    ((version,),) = rows(supabase, "select default_version from pg_available_extensions where name = 'pg_cron'")
    return tuple(map(int, re.findall(r"\d+", str(version))[:2])) >= (1, 5)


def test_the_gateway_has_a_name_inside_alone_and_this_machine_two_ports(supabase: SupabaseStart):
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("kong", 8000)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(supabase_start.INSIDE)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", supabase.addresses.database_port))
    socket.create_connection(("127.0.0.1", supabase.gateway_port)).close()
    assert rows(supabase, "select rolsuper, rolcreatedb, rolreplication from pg_roles where rolname = 'postgres'") == [
        (False, True, True)
    ]


def test_a_public_http_url_is_refused_in_one_line_and_nothing_is_changed(project: Project, supabase: SupabaseStart):
    before = rows(supabase, OBJECTS)
    file = project.project / f"Pulumi.{STACK}.yaml"
    kept = file.read_text()
    project.configure("supabaseUrl", "http://kong.example.com:8000")

    refused = project.up(expect=1)
    file.write_text(kept)

    problems = [line.strip() for line in refused.splitlines() if "clear text" in line]
    assert problems == [
        "- bubble-sync:supabaseUrl: 'http://kong.example.com:8000' would send the key in clear text to a host that is "
        "not private; use https"
    ]
    assert "nothing was changed" in refused
    assert rows(supabase, OBJECTS) == before


def test_a_sign_up_is_synced_through_the_gateway_and_all_commands_agree(project: Project, supabase: SupabaseStart):
    project.up()
    project.pulumi(STACK, "preview", "--expect-no-changes")
    supabase.sign_up("dev@example.test")

    def checklist() -> dict[str, str]:
        done = project.run("bash", "-c", f"bubble-sync verify --json --stack {STACK} 2>/dev/null; true")
        return {line["id"]: line["status"] for line in json.loads(done)["lines"]}

    verified = poll(checklist, lambda lines: set(lines.values()) == {"ok"}, 90)

    assert (len(verified), set(verified.values())) == (10, {"ok"})
    (request, *_) = [one for one in supabase.requests() if one["items"]]
    assert (request["status"], request["key"]) == (200, "accepted")
    for command in (["diff"], ["drift"], ["doctor"]):
        project.sync(*command)


@pytest.mark.matrix
def test_after_a_reset_of_the_database_up_makes_everything_again(project: Project, supabase: SupabaseStart):
    project.up()
    with psycopg.connect(supabase.addresses.admin_url) as conn:
        conn.execute("drop extension pg_cron cascade")
        conn.execute("drop schema bubble_sync cascade")
        conn.execute("drop function public.invoke_bubble_sync_processor, public.invoke_bubble_sync_retry")
        conn.execute("delete from vault.secrets")

    project.up()

    project.pulumi(STACK, "preview", "--expect-no-changes")
    project.sync("diff")


def test_the_probe_takes_either_key_of_supabase_status_and_refuses_another(project: Project):
    for key, expected in ((service_role_key(), 0), (SECRET_KEY, 0), ("sb_secret_of_nobody", 1)):
        with_key = f"printf %s '{key}' | bubble-sync key probe --key-fd 0 --stack {STACK}"
        output = project.run("bash", "-c", with_key, expect=expected)
        assert key not in output


def test_the_published_address_is_not_the_databases_and_the_doctor_says_so(project: Project, supabase: SupabaseStart):
    project.configure("supabaseUrl", supabase.api_url)
    project.up()
    supabase.sign_up("lost@example.test")
    project.sync("run-now", "--wait", expect=1)

    findings = project.sync("doctor", expect=1)

    assert "endpoint_unreachable" in findings
    assert f"Does the database reach {supabase.api_url}? In a container, 127.0.0.1 is the container itself." in findings
    project.configure("supabaseUrl", "http://host.docker.internal:54321")
    project.up()
    project.sync("run-now", "--wait")
