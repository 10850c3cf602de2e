"""What the ledger holds of a stack's settings: everything that decides its objects, and nothing of a secret."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime

import pytest

from bubble_sync.config.keys import read_key
from bubble_sync.config.settings import StackSettings, read_settings
from bubble_sync.converge.ledger import read_settings_row
from bubble_sync.model.recorded import RecordedSettings, differing, settings_from
from bubble_sync.model.secrets import ALERT_SECRETS
from bubble_sync.model.setup import desired_state, settings_text
from bubble_sync.model.setup_settings import SetupSettings
from bubble_sync.specs import NOT_KNOWN, LedgerSpec, Owner, VaultSecretSpec
from tests.fixtures.program import MONITOR_PASSWORD, WEBHOOK
from tests.fixtures.specs import REF, STACK, config, jwt

SECRET_KEY = "sb_secret_0123456789abcdef"
OWNER = Owner(STACK, REF)
STACKS: dict[str, dict[str, str | None]] = {
    "the guide's": {},
    "a secret key": {"serviceRoleKey": SECRET_KEY},
    "an opaque key": {"serviceRoleKey": "hunter2"},
    "a key that expires": {"serviceRoleKey": jwt(exp=1_900_000_000)},
    "a custom domain": {"projectRef": None, "supabaseUrl": "https://sync.example.com"},
    "http in a private network": {"projectRef": None, "supabaseUrl": "http://10.0.0.1:8000", "allowHttp": "true"},
    "other names of secrets": {"supabaseUrlName": "url", "serviceRoleKeyName": "key"},
    "other numbers": {"processor": '{"maxItems": 25, "batchSize": 7, "timeoutMs": 1000, "schedule": "30 seconds"}'},
    "no guard in seconds": {"processor": '{"schedule": "30 seconds", "overlapGuard": false}'},
    "a pause": {
        "retry": '{"active": false, "pauseReason": "a move", "pauseUntil": "2030-01-01T00:00:00Z"}',
        "processor": '{"active": false}',
    },
    "a wake": {"processor": '{"wake": true, "wakeMinInterval": 5}'},
    "no log": {"dispatchLog": "false"},
    "a history": {"history": '{"keepDays": 7, "dispatchDays": 3}'},
    "alerts": {"alerts": '{"newFailures": 3}', "alertWebhookUrl": WEBHOOK},
    "every destination": {
        "alerts": '{"pagerDutyUrl": "https://events.eu.pagerduty.com"}',
        "alertWebhookUrl": WEBHOOK,
        "alertHeartbeatUrl": "https://hc.example.com/ping/0123",
        "alertPagerDutyRoutingKey": "0123456789abcdef0123456789abcdef",
        "alertOpsgenieApiKey": "01234567-89ab-cdef-0123-456789abcdef",
    },
    "a heartbeat alone": {"alerts": "{}", "alertHeartbeatUrl": "https://hc.example.com/ping/0123"},
    "alerts by default": {"alerts": "{}", "alertWebhookUrl": WEBHOOK},
    "a monitor role": {"access": '{"monitorRole": "bubble_monitor"}', "monitorPassword": MONITOR_PASSWORD},
    "names": {
        "names": '{"prefix": "shop-sync", "edgeFunction": "shop", "queue": "shop.queue", '
        '"operations": ["SIGN_UP", "CHANGE"], "processAction": "drain"}'
    },
}  # fmt: skip


def settings_of(**changes: str | None) -> StackSettings:
    return read_settings(config(**changes))


def text_of(settings: StackSettings) -> str:
    (ledger,) = [spec for spec in desired_state(settings, OWNER) if isinstance(spec, LedgerSpec)]
    return ledger.settings


def recorded(settings: StackSettings) -> RecordedSettings:
    found = settings_from(text_of(settings), "DATABASE_URL")
    assert found is not None
    return found[0]


@pytest.mark.parametrize("name", STACKS)
def test_the_recorded_settings_declare_the_same_objects(name: str):
    settings = settings_of(**STACKS[name])

    again = recorded(settings)

    for wanted, found in zip(desired_state(settings, OWNER), desired_state(again, OWNER), strict=True):
        if isinstance(wanted, LedgerSpec):
            wanted = wanted.model_copy(update={"settings": ""})
        elif isinstance(wanted, VaultSecretSpec) and found.value == NOT_KNOWN:
            wanted = wanted.model_copy(update={"value": NOT_KNOWN})
        assert found == wanted
    assert again.url == settings.url


@pytest.mark.parametrize("name", STACKS)
def test_the_same_digest_comes_out_again(name: str):
    settings = settings_of(**STACKS[name])
    again = recorded(settings)

    text = settings_text(SetupSettings.of(again, OWNER), {"url": again.url, "key": again.service_role_key})

    assert text == text_of(settings)


@pytest.mark.parametrize("name", STACKS)
def test_of_a_secret_it_holds_neither_a_part_nor_a_digest(name: str):
    settings = settings_of(**STACKS[name])
    text = text_of(settings)

    alerting = [getattr(settings, one.setting) for one in ALERT_SECRETS]
    for secret in (settings.service_role_key, settings.monitor_password, *alerting):
        if secret is None:
            continue
        digest = hashlib.sha256(secret.encode())
        for told in (secret, secret[-12:], digest.hexdigest(), base64.b64encode(digest.digest()).decode()):
            assert told not in text
    assert "DATABASE_URL" not in text


def test_of_the_key_its_kind_and_expiry_are_known():
    expires = datetime(2030, 1, 1, tzinfo=UTC)
    key = read_key(recorded(settings_of(serviceRoleKey=jwt(exp=expires.timestamp()))).service_role_key)

    assert (key.kind, key.expires_at) == ("legacy JWT", expires)
    assert read_key(recorded(settings_of(serviceRoleKey=SECRET_KEY)).service_role_key).kind == "secret key"


def test_another_key_of_the_same_kind_is_no_difference():
    first, second = (text_of(settings_of(serviceRoleKey=f"sb_secret_{number}")) for number in "12")

    assert first == second


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"key": 1, "specs": ""}',
        '{"key": {"kind": "opaque"}, "specs": "", "new": 1}',
        "[" * 100_000,
    ],
)
def test_a_text_that_this_version_cannot_read_is_none(text: str):
    assert settings_from(text, "DATABASE_URL") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"a": 1}'])
def test_a_row_without_a_version_stays_as_it_is_and_so_differs(text: str):
    assert read_settings_row(text) == (text, "")


def test_the_version_of_a_row_is_not_compared():
    assert read_settings_row('{"version": "1.2", "b": 1, "a": 2}') == ('{"a": 2, "b": 1}', "1.2")


@pytest.mark.parametrize(
    ("actual", "wanted", "shown"),
    [
        ('{"processor": {"maxItems": 5}}', '{"processor": {}}', ("processor.maxItems 5", "processor {}")),
        ('{"a": 1, "b": {"c": "d"}}', '{"a": 2, "b": {"c": "e"}}', ("a 1, b.c d", "a 2, b.c e")),
        ('{"a": 1, "specs": "f00"}', '{"a": 2, "specs": "ba4"}', ("a 1", "a 2")),
        ('{"a": 1, "specs": "f00"}', '{"a": 1, "specs": "ba4"}',
         ("the objects of another version", "the objects of this version")),
        ("", '{"a": 1}', ("", "the settings")),
        ("nonsense", '{"a": 1}', ("not as written", "the settings")),
    ],
)  # fmt: skip
def test_a_difference_names_the_entries(actual: str, wanted: str, shown: tuple[str, str]):
    assert differing(actual, wanted) == shown


def test_the_text_is_read_by_people_and_by_sql():
    held = json.loads(text_of(settings_of(processor='{"maxItems": 25}')))

    assert held["processor"]["maxItems"] == 25
    assert held["projectRef"] == REF
