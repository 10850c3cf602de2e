"""Neither a key nor the database password is anywhere but where it must be."""

from __future__ import annotations

import base64
import secrets

import psycopg

from bubble_sync.local.platform import Platform
from tests.fixtures.site import Site
from tests.fixtures.specs import jwt
from tests.fixtures.stack import Stack


def forms(value: str) -> list[bytes]:
    """A value as it stands, and as base64 text may hide it."""
    return [value.encode(), base64.b64encode(value.encode())[:-4]]


def live(stack: Stack, site: Site, keys: tuple[str, str], changed_by_hand: str) -> None:
    """Take a stack through all that can print or store a secret."""
    stack.configure("serviceRoleKey", keys[0], secret=True)
    stack.run("preview", "--diff")
    stack.up()
    stack.configure("serviceRoleKey", keys[1], secret=True)
    stack.run("up", "--yes", "--diff")
    site.by_hand(changed_by_hand)
    stack.drift()
    stack.run("preview", "--diff")
    stack.run("refresh", "--yes", "--diff")
    site.by_hand("alter table public.sync_queue rename to elsewhere")
    stack.up(expect=1)
    site.by_hand("alter table public.elsewhere rename to sync_queue")
    stack.up()
    stack.run("stack", "export")
    stack.run("destroy", "--yes", "--diff")


def test_no_canary_in_state_history_output_or_server_log(stack: Stack, site: Site, platform: Platform):
    keys = (jwt(jti=secrets.token_hex(16), ref=None), jwt(jti=secrets.token_hex(16), ref=None))
    only_in_database = f"canary-{secrets.token_hex(16)}"
    by_hand = f"select vault.update_secret(id, '{only_in_database}') from vault.secrets where name = 'service_role_key'"
    password = site.addresses.database_url.split(":")[2].split("@")[0]
    log = platform.status().parts[0].log
    before = log.stat().st_size

    live(stack, site, keys, by_hand)

    server_log = log.read_bytes()[before:]
    assert server_log.count(only_in_database.encode()) == 1, "the literal typed by hand is found, and no other"
    places = {"server log": server_log.replace(by_hand.encode(), b""), "output": "\n".join(stack.said).encode()}
    places |= {path.name: content for path, content in stack.files()}
    canaries = {"key": keys[0], "new key": keys[1], "value": only_in_database, "password": password}
    hits = [
        (name, place)
        for name, canary in canaries.items()
        for form in forms(canary)
        for place, content in places.items()
        if form in content
    ]
    assert hits == []
    assert len(places) > 10


def test_the_search_finds_a_bound_parameter_in_the_server_log(prepared: Site, platform: Platform):
    canary = f"canary-{secrets.token_hex(16)}"
    log = platform.status().parts[0].log
    before = log.stat().st_size

    with psycopg.connect(prepared.addresses.database_url) as hand:
        hand.execute("select vault.create_secret(%s, 'control')", (canary,))

    assert canary.encode() in log.read_bytes()[before:]
