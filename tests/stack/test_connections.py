"""The connections of whole commands: a wrong password is tried once by each, and one connection is enough."""

from __future__ import annotations

from dataclasses import replace

from bubble_sync.local.stack import DATABASE_URL_VARIABLE
from tests.fixtures.refusing import WRONG_PASSWORD, refusing
from tests.fixtures.site import Site
from tests.fixtures.stack import Stack


def test_a_wrong_password_is_tried_once_by_a_command_and_each_resource_says_it(converged: Stack):
    with refusing(WRONG_PASSWORD) as server:
        environment = {**converged.local.environment, DATABASE_URL_VARIABLE: server.url}
        converged.local = replace(converged.local, environment=environment)
        for command in (("preview",), ("up", "--yes", "--skip-preview"), ("destroy", "--yes", "--skip-preview")):
            server.attempts = 0
            done = converged.local.pulumi(*command)

            assert done.returncode != 0
            assert (command, server.attempts) == (command, 1)
            assert f"port {server.server_address[1]}, database postgres, user postgres, URL from the" in done.stdout
            assert f"variable {DATABASE_URL_VARIABLE}: the password is wrong; it was tried once" in done.stdout


def test_one_connection_is_enough_for_every_command(stack: Stack, site: Site):
    site.db.close()
    site.by_hand("alter role postgres connection limit 1")
    try:
        stack.up()
        stack.expect_no_changes()
        assert stack.ours("doctor").returncode in (0, 1)
        stack.run("destroy", "--yes", "--skip-preview")
    finally:
        site.by_hand("alter role postgres connection limit -1")
