"""Validate single configuration values.

Each check returns the value, or raises ValueError with the expected format. The error shows the invalid value, unless
it is a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

from bubble_sync.config.database_url import is_loopback
from bubble_sync.config.keys import masked, read_key
from bubble_sync.config.project_ref import is_project_ref
from bubble_sync.config.schedules import occurrences, seconds_of

ALERT_SECRET_NAMES = {
    "webhook": "bubble_sync_alert_webhook_url",
    "heartbeat": "bubble_sync_alert_heartbeat_url",
    "pagerduty": "bubble_sync_alert_pagerduty_routing_key",
    "opsgenie": "bubble_sync_alert_opsgenie_api_key",
}
"""The name in Vault of each secret of the alerts, by destination."""

# cronsim accepts more than pg_cron (L, W, #); only pg_cron's own characters pass here.
# A step must follow a star or a range.
_CRON_PART = r"(\*(/\d+)?|\d+(-\d+(/\d+)?)?|[a-z]{3}(-[a-z]{3}(/\d+)?)?)"
_CRON_FIELD = re.compile(rf"{_CRON_PART}(,{_CRON_PART})*", re.IGNORECASE)
# https, or http on loopback. bubble_sync.send and bubble_sync.post_alert contain these patterns, so that valid values
# never fail in the database; a test compares them. With `allowHttp`, PRIVATE_HOST replaces LOOPBACK_HOST in both.
SECURE_HOST = r"https://([A-Za-z0-9.-]+|\[::1\])"
_LOOPBACK = r"localhost|127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}|\[::1\]"
_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_HEX = "[0-9A-Fa-f]{1,4}"
_PRIVATE_IPV4 = rf"(10\.{_BYTE}|172\.(1[6-9]|2[0-9]|3[01])|192\.168|169\.254)\.{_BYTE}\.{_BYTE}"
# fc00::/7 and fe80::/10, in full or with one `::`.
_PRIVATE_HEAD = "([Ff][CcDd][0-9A-Fa-f]{2}|[Ff][Ee][89ABab][0-9A-Fa-f])"
_SHORTENED = "|".join(f"(:{_HEX}){{0,{6 - after}}}:(:{_HEX}){{1,{after}}}" for after in range(1, 7))
_PRIVATE_IPV6 = rf"\[{_PRIVATE_HEAD}((:{_HEX}){{7}}|(:{_HEX}){{0,6}}::|{_SHORTENED})\]"
# A name without a dot starts with a letter: curl reads 134744072 and 0x08080808 as the address 8.8.8.8.
_PRIVATE_NAME = r"[A-Za-z][A-Za-z0-9_-]*|([A-Za-z0-9_-]+\.)+internal"
LOOPBACK_HOST = f"http://({_LOOPBACK})"
PRIVATE_HOST = f"http://({_LOOPBACK}|{_PRIVATE_NAME}|{_PRIVATE_IPV4}|{_PRIVATE_IPV6})"
ANY_PORT = "(:[0-9]{1,5})?"
ROUTING_KEY = "[0-9A-Za-z]{32}"
OPSGENIE_KEY = "[0-9A-Za-z._=-]{16,255}"
_TIMESTAMP_OF_PULUMI = re.compile(r" ([+-]\d{4}) \S+$")
_LONGEST_REASON = 200


def check_project_ref(value: str | None) -> str | None:
    """Return a valid project ref: lower-case letters and digits."""
    if value is not None and not is_project_ref(value):
        raise ValueError(f"{value!r} is not a project ref; it is the part before .supabase.co in the project URL")
    return value


def sendable_url(*, allow_http: bool) -> str:
    """Return the pattern of the URLs to which `bubble_sync.send` sends."""
    return f"({SECURE_HOST}|{PRIVATE_HOST if allow_http else LOOPBACK_HOST}){ANY_PORT}/?"


def webhook_url(*, allow_http: bool) -> str:
    """Return the pattern of the URLs to which `bubble_sync.post_alert` posts."""
    host = PRIVATE_HOST if allow_http else LOOPBACK_HOST
    return f"({SECURE_HOST}|{host}){ANY_PORT}/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]+"


def is_private(host: str) -> bool:
    """Return whether `host`, without brackets, belongs to this machine or a private network."""
    url = f"http://[{host}]" if ":" in host else f"http://{host}"
    return is_loopback(host) or re.fullmatch(PRIVATE_HOST, url) is not None


def check_url(value: str, *, allow_http: bool = False) -> str:
    """Return `https://host` (`http` on loopback, or with `allow_http` on a private host) without a final slash."""
    not_a_url = f"{value!r} is not a URL; it must look like https://<project ref>.supabase.co"
    try:
        parts = urlsplit(value)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(not_a_url) from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(not_a_url)
    if parts.username or parts.password:
        raise ValueError("contains a user or password; remove them from the URL")
    if parts.path not in ("", "/") or parts.query or parts.fragment or value.endswith(("?", "#")):
        raise ValueError(
            f"{value!r} has more than scheme and host; give these two only, "
            "bubble-sync adds the path of the Edge Function"
        )
    if parts.scheme == "http" and not (is_private(host) if allow_http else is_loopback(host)):
        way = "use https, or set allowHttp" if is_private(host) else "use https"
        where = " to a host that is not private" if allow_http else ""
        raise ValueError(f"{value!r} would send the key in clear text{where}; {way}")
    # urlsplit silently drops line breaks and more, so the value itself must match too.
    if port == 0 or not re.fullmatch(sendable_url(allow_http=allow_http), value):
        raise ValueError(not_a_url)
    return value.removesuffix("/")


def check_webhook(value: str | None, *, allow_http: bool = False) -> str | None:
    """Return a valid URL of a webhook or heartbeat, with the hosts of `check_url`; errors do not show the secret."""
    if value is not None and not re.fullmatch(webhook_url(allow_http=allow_http), value):
        if re.fullmatch(webhook_url(allow_http=True), value):
            raise ValueError("would be posted to in clear text; use https, or set allowHttp")
        raise ValueError(
            "is not the URL of a webhook; it must look like https://hooks.slack.com/services/..., without user or #"
        )
    return value


def check_api_url(value: str, *, allow_http: bool = False) -> str:
    """Return the base URL of an alert service's API, to which a path is added."""
    if not re.fullmatch(webhook_url(allow_http=allow_http), f"{value}/v2") or "?" in value:
        raise ValueError(f"{value!r} is not the base URL of an API, as in https://api.eu.opsgenie.com")
    return value


def check_routing_key(value: str | None) -> str | None:
    """Return a valid routing key of PagerDuty; errors do not show it."""
    if value is not None and not re.fullmatch(ROUTING_KEY, value):
        raise ValueError("is not a routing key; copy the 32 characters of an Events API v2 integration")
    return value


def check_api_key(value: str | None) -> str | None:
    """Return a valid API key of Opsgenie; errors do not show it."""
    if value is not None and not re.fullmatch(OPSGENIE_KEY, value):
        raise ValueError("is not an API key; copy it from an API integration")
    return value


def check_time(value: str) -> str:
    """Return a valid time of day."""
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value):
        raise ValueError(f"{value!r} is not a time of the day; write it as HH:MM in UTC, as in 07:00")
    return value


def check_key(value: str) -> str:
    """Return a key that may call the Edge Function; errors do not show it."""
    if not value:
        raise ValueError("is empty; set the service_role or sb_secret_ key")
    if not re.fullmatch(r"[!-~]+", value):
        raise ValueError("holds white space or a character that no key has; copy it again, without a line break")
    shape = read_key(value)
    if shape.kind == "publishable key":
        raise ValueError("is a publishable key; set the sb_secret_ or service_role key")
    if shape.role not in (None, "service_role"):
        raise ValueError(f"is a key of the role {shape.role!r}; set the service_role or sb_secret_ key")
    return value


def check_secret_name(value: str, reserved: Mapping[str, str]) -> str:
    """Return a printable name for a Vault secret, other than those of the alerts, `reserved` by destination."""
    for destination, name in reserved.items():
        if value == name:
            raise ValueError(f"{value!r} is the name of the alerts' {destination}; use another one")
    if not value.strip() or not value.isprintable():
        raise ValueError(f"{value!r} cannot name a secret; use printable characters, as in supabase_url")
    return value


def check_role_name(value: str) -> str:
    """Return a role name that needs no quotes, or an empty name."""
    if value and (not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", value) or value.startswith("pg_") or value == "public"):
        raise ValueError(f"{value!r} cannot name a role; use lower-case letters, digits and _, as in bubble_monitor")
    return value


DEFAULT_PREFIX = "bubble-sync"
_SCHEMAS_OF_SUPABASE = frozenset(
    {
        "auth", "cron", "extensions", "graphql", "graphql-public", "information-schema", "net", "pgbouncer", "pgmq",
        "pgsodium", "public", "realtime", "storage", "supabase-functions", "supabase-migrations", "vault",
    }
)  # fmt: skip


def check_prefix(value: str) -> str:
    """Return a prefix for names of jobs, functions and a schema, of at most 30 bytes."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", value) or len(value) > 30 or value.startswith("pg-"):
        raise ValueError(
            f"{value!r} cannot be a prefix; use at most 30 lower-case letters, digits and -, as in shop-sync"
        )
    if value in _SCHEMAS_OF_SUPABASE:
        raise ValueError(f"{value!r} names a schema of Supabase; use another one, as in shop-sync")
    if DEFAULT_PREFIX in value and value != DEFAULT_PREFIX:
        raise ValueError(f"{value!r} contains the default prefix, {DEFAULT_PREFIX}; use another one, as in shop-sync")
    return value


def check_edge_function(value: str) -> str:
    """Return the name of an Edge Function, as `supabase functions new` accepts it."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,62}", value):
        raise ValueError(f"{value!r} cannot name an Edge Function; use letters, digits, _ and -, as in shop_sync")
    return value


def check_table(value: str) -> str:
    """Return a table name with its schema, without quotes."""
    part = r"[a-z_][a-z0-9_]{0,62}"
    if not re.fullmatch(rf"{part}\.{part}", value):
        raise ValueError(
            f"{value!r} cannot name the queue; give schema and table without quotes, as in shop.order_queue"
        )
    return value


def check_word(value: str) -> str:
    """Return a word without quotes and spaces."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", value):
        raise ValueError(f"{value!r} is not a word; use letters, digits and _, as in process_queue")
    return value


def check_words(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return at least one word, each once."""
    if not values or len({check_word(one) for one in values}) < len(values):
        raise ValueError(f"{list(values)} is not a list of different words, as in [SIGNUP, UPDATE]")
    return values


def check_password(value: str | None) -> str | None:
    """Return a password that is strong enough for the internet; errors do not show it."""
    if value is not None and not re.fullmatch(r"[!-~]{16,}", value):
        raise ValueError("is not 16 or more printable ASCII characters without spaces; openssl rand -hex 24 makes one")
    return value


def check_schedule(value: str) -> str:
    """Return five cron fields, or `N seconds`, whose support the server is asked for later."""
    if (seconds := seconds_of(value)) and value == f"{seconds} seconds":
        return value
    fields = value.split(" ")
    if len(fields) != 5 or not all(_CRON_FIELD.fullmatch(field) for field in fields):
        raise ValueError(
            f"{value!r} is not a schedule; give five cron fields with one space between, as in */5 * * * *, "
            "or 1 to 59 seconds, as in 30 seconds"
        )
    try:
        occurrences(value, datetime.now(UTC))
    except ValueError as error:
        raise ValueError(f"{value!r} is not a schedule: {error}") from None
    return value


def check_reason(value: str) -> str:
    """Return a reason of one line without a key, stripped."""
    value = value.strip()
    if len(value) > _LONGEST_REASON or not value.isprintable():
        raise ValueError(f"is not one line of at most {_LONGEST_REASON} printable characters")
    if masked(value) != value:
        raise ValueError("looks like it contains a key, and is stored in clear text")
    return value


def read_timestamp(value: str) -> datetime:
    """Return a timestamp in ISO 8601 with a zone, or in Pulumi's form of a YAML timestamp."""
    try:
        moment = datetime.fromisoformat(_TIMESTAMP_OF_PULUMI.sub(r"\1", value.strip()))
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{value!r} is not a time with a zone, as in 2027-01-31T18:00:00Z")
