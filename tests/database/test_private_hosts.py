"""One rule decides which URLs get the key: the configuration and the functions accept the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg
import pytest

from bubble_sync.config.settings import AlertSettings, StackSettings
from bubble_sync.config.validators import check_url, check_webhook
from tests.fixtures.breaking import diagnose, set_up, working
from tests.fixtures.breaking.installed import stored
from tests.fixtures.breaking.running import request
from tests.fixtures.site import Site
from tests.fixtures.specs import MESSAGE, WEBHOOK_NAME, functions_in, jwt, secret_spec

SEND = "select bubble_sync.send('s', 'a', '{}', 1, 'supabase_url', 'service_role_key')"
POST = f"select bubble_sync.post_alert('{MESSAGE}', '{WEBHOOK_NAME}')"
ANYWHERE = ("localhost", "127.0.0.1", "127.255.0.1", "[::1]")
PRIVATE = (
    "kong", "Kong", "k", "supabase_kong_shop", "supabase-kong", "internal", "localhost2", "a0x7f",
    "host.docker.internal", "api.supabase.internal", "supabase_kong_shop.internal", "8.8.8.8.internal",
    "10.0.0.0", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254",
    "[fc00::1]", "[fd12:3456:789a::]", "[FD00::AB]", "[fdff:1:2:3:4:5:6:7]", "[fd00:1:2:3:4:5:6::]",
    "[fd00::1:2:3:4:5:6]", "[fe80::1]", "[febf:0:0:1::2]",
)  # fmt: skip
PUBLIC = (
    "example.com", "api.example.com", "internal.example.com", "kong.internal.example.com", "kong.local", "kong.lan",
    "8.8.8.8", "9.255.255.255", "11.0.0.1", "172.15.0.1", "172.32.0.1", "192.167.0.1", "192.169.0.1", "169.253.0.1",
    "100.64.0.1", "0.0.0.0", "10.0.0.1.example.com", "192.168.0.1.nip.io", "127.0.0.1.example.com",
    # How curl and the system write and read one address in other ways: the second is 8.8.8.8.
    "2130706433", "134744072", "0x08080808", "010.8.8.8", "10.8.8", "192.168.257", "0300.0250.0.1", "08.8.8.8",
    "[2001:db8::1]", "[fb00::1]", "[fec0::1]", "[ff02::1]", "[::]", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]",
)  # fmt: skip
BROKEN = (
    "", ".", "-kong", "_kong", "kong.", "kong.internal.", ".internal", "a..internal", "kong internal",
    "kong\nexample.com", "kong\n", "me@kong", "kong@example.com", "kong:8000@example.com", "kong\\@example.com",
    "kong#.internal", "kong?.internal", "example.com?.internal", "example.com#.internal", "k\u00f6ng", "\u24da\u24db",
    "kong%2eexample.com", "10.0.0.256", "10.0.0.01", "10.0.0.1.2", "10.0.0", "172.16.0", "[kong]",
    "[10.0.0.1]", "[fd00]", "[fd00:1]", "[fd00:::1]", "[fd00::1::2]", "[fd00:1:2:3:4:5:6:7:8]", "[fd00::1:2:3:4:5:6:7]",
    "[fd0::1]", "[fd000::1]", "[fd00::12345]", "[fe80::1%25eth0]", "[fd00::1.2.3.4]", "fd00::1",
    "kong:", "kong:port", "kong:123456", "kong:-1",
)  # fmt: skip


def urls(hosts: Sequence[str], *ends: str) -> list[str]:
    return [f"http://{host}{end}" for host in hosts for end in ends]


def stops(function: str, conn: psycopg.Connection[tuple[object, ...]], url: str) -> bool:
    """Return whether a function refuses the URL in its secret."""
    with conn.transaction(force_rollback=True):
        conn.execute("select vault.update_secret(id, %s) from vault.secrets where name ~ 'url'", [url])
        try:
            conn.execute(function)
        except psycopg.errors.RaiseException as error:
            return "malformed" in str(error) or "not configured" in str(error)
    return False


def refused(check: object, url: str, *, allow_http: bool) -> bool:
    try:
        check(url, allow_http=allow_http)  # type: ignore[operator]
    except ValueError:
        return True
    return False


@pytest.fixture(params=[True, False], ids=["allowHttp", "default"])
def allow_http(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def installed(prepared: Site, allow_http: bool) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """The functions of a stack, and a session of the hosted role."""
    secrets = {"url": "supabase_url", "key": "service_role_key", "webhook": WEBHOOK_NAME}
    for group in ("functions", "alerts"):
        for spec in functions_in(group, secrets=secrets, alerts=AlertSettings(), allow_http=allow_http):
            if spec.name in ("bubble_sync.send", "bubble_sync.post_alert"):
                prepared.converge(spec)
    for name, value in ((secrets["url"], "x"), (secrets["key"], "sb_secret_x"), (WEBHOOK_NAME, "x")):
        prepared.converge(secret_spec(name=name, value=value))
    with psycopg.connect(prepared.addresses.database_url, autocommit=True) as conn:
        yield conn


def test_the_key_goes_over_http_to_this_machine_and_on_request_to_private_hosts(
    installed: psycopg.Connection[tuple[object, ...]], allow_http: bool
):
    by_hand = dict.fromkeys(urls(ANYWHERE, "", ":8000", "/", ":8000/"), True)
    by_hand |= dict.fromkeys(urls(PRIVATE, "", ":8000", "/", ":65535/"), allow_http)
    by_hand |= dict.fromkeys(urls(PUBLIC, "", ":8000", "/"), False)
    by_hand |= dict.fromkeys(urls(BROKEN, "", "/"), False)
    by_hand |= dict.fromkeys([f"{one} " for one in urls(PRIVATE, "")], False)
    by_hand |= dict.fromkeys(urls(PRIVATE, "//", "/x", "?a=1", "#a"), False)
    by_hand |= {
        url.replace("http:", scheme): False for url in urls(PRIVATE, "") for scheme in ("ftp:", "HTTP:", "file:")
    }
    by_hand |= {"https://example.com": True, "https://kong": True, "https://10.0.0.1:8443/": True}

    configured = {url: not refused(check_url, url, allow_http=allow_http) for url in by_hand}
    sent = {url: not stops(SEND, installed, url) for url in by_hand}

    assert {url for url in by_hand if configured[url] != by_hand[url]} == set()
    assert {url for url in by_hand if sent[url] != by_hand[url]} == set()


def test_an_alert_goes_over_http_to_the_same_hosts(installed: psycopg.Connection[tuple[object, ...]], allow_http: bool):
    by_hand = dict.fromkeys(urls(ANYWHERE, "/x", ":8000/x?y=1"), True)
    by_hand |= dict.fromkeys(urls(PRIVATE, "/x", ":8000/services/T0/B0/x"), allow_http)
    by_hand |= dict.fromkeys(urls((*PUBLIC, *BROKEN), "/x"), False)
    by_hand |= dict.fromkeys(urls(PRIVATE, "", "/", "/x#y", "/x\n"), False)

    configured = {url: not refused(check_webhook, url, allow_http=allow_http) for url in by_hand}
    posted = {url: not stops(POST, installed, url) for url in by_hand}

    assert {url for url in by_hand if configured[url] != by_hand[url]} == set()
    assert {url for url in by_hand if posted[url] != by_hand[url]} == set()


@pytest.fixture
def local(site: Site) -> StackSettings:
    """The settings of a stack behind a gateway in a private network, which is up."""
    settings = working(projectRef=None, supabaseUrl="http://kong:8000", allowHttp="true", serviceRoleKey=jwt(ref=None))
    set_up(site, settings)
    return settings


def test_the_doctor_has_nothing_against_a_private_gateway_and_its_legacy_key(site: Site, local: StackSettings):
    assert diagnose(site, local).findings == ()


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://elsewhere:8000", "secret_differs"),
        ("http://8.8.8.8:8000", "secret_malformed"),
        ("http://kong.example.com", "secret_malformed"),
    ],
)
def test_the_doctor_judges_a_stored_url_by_the_rule_of_the_stack(
    site: Site, local: StackSettings, url: str, cause: str
):
    site.by_hand(*stored("supabase_url", url))

    assert [one.id for one in diagnose(site, local).causes] == [cause]


def test_without_allow_http_the_stored_url_of_a_private_gateway_is_malformed(site: Site):
    set_up(site, working())
    site.by_hand(*stored("supabase_url", "http://kong:8000"))

    assert [one.id for one in diagnose(site).causes] == ["secret_malformed"]


def test_a_private_gateway_that_is_not_reached_is_sought_in_the_databases_network(site: Site, local: StackSettings):
    site.by_hand(request(1, "rejected", error="Connection refused"))

    (finding,) = [one for one in diagnose(site, local).findings if one.id == "endpoint_unreachable"]

    assert finding.remedy.startswith(
        "Does the database reach http://kong:8000? In a container, 127.0.0.1 is the contain"
    )
    assert "docs/guides/supabase-start.md" in finding.remedy
