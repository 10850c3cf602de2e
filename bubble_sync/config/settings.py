"""Validate a stack's configuration; all its rules live here.

Errors list all problems at once, each with its key and the expected value; secrets are never shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, ClassVar, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from bubble_sync.config import validators
from bubble_sync.config.database_url import (
    NAMESPACE,
    ONE_DATABASE,
    DatabaseAddress,
    check_ca,
    check_variable_name,
    database_address,
    read_database_url,
)
from bubble_sync.config.keys import read_key
from bubble_sync.config.project_ref import ref_of_database, ref_of_url, require_one_project
from bubble_sync.config.schedules import seconds_of
from bubble_sync.errors import ConfigurationError
from bubble_sync.formatting import format_list

_SCHEDULE = "Schedule: five cron fields in UTC, or `30 seconds` (1..59) with pg_cron 1.5 or newer"


class Settings(BaseModel):
    """Settings with their names in the configuration: of a stack, or of an object in it."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True
    )


def names_in(model: type[Settings], above: str = "") -> Iterator[str]:
    """Yield the configuration key of each setting, for example `processor.maxItems`."""
    for name, field in model.model_fields.items():
        key = f"{above}{field.alias or name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
            yield from names_in(field.annotation, f"{key}.")
        else:
            yield key


def like(name: str, names: Iterable[str]) -> str:
    """Return the closest of `names` to a misspelt `name`, or an empty text."""
    plain = {re.sub("[^a-z]", "", one.lower()): one for one in names}
    plain |= {re.sub("[^a-z]", "", one.split(".")[-1].lower()): one for one in reversed(plain.values())}
    near = get_close_matches(re.sub("[^a-z]", "", name.lower()), plain, n=1, cutoff=0.75)
    return plain[near[0]] if near else ""


class JobSettings(Settings):
    """When a job runs."""

    schedule: str = Field(description=_SCHEDULE)
    active: bool = Field(default=True, description="`false` pauses the job")
    pause_reason: str = Field(default="", description="Reason of the pause, set by `bubble-sync pause`")
    pause_until: datetime | None = Field(default=None, description="End of the pause: ISO 8601 with a zone")

    _schedule = field_validator("schedule")(validators.check_schedule)

    @field_validator("pause_reason", "pause_until", mode="before")
    @classmethod
    def _of_a_pause(cls, value: object, info: ValidationInfo) -> object:
        if info.data.get("active"):
            raise ValueError("is set, and active is not false: remove it, or set active to false")
        # Pulumi turns `2026` into a number and `true` into a boolean: both are text here.
        text = value if isinstance(value, str) else json.dumps(value)
        return validators.check_reason(text) if info.field_name == "pause_reason" else validators.read_timestamp(text)

    @property
    def pause_end(self) -> str:
        """Return the end of the pause in ISO 8601, or an empty text."""
        return f"{self.pause_until.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if self.pause_until else ""


def _is_in_seconds(valid: dict[str, Any]) -> bool:
    """Return whether the schedule is in seconds; an invalid one is reported as such."""
    return seconds_of(valid.get("schedule", "")) is not None


class SenderSettings(JobSettings):
    """The settings of a job that sends requests."""

    timeout_ms: int = Field(default=30000, ge=1, le=120_000, description="Timeout of a request in pg_net, 1..120000")
    # Below a minute a request may outlast the interval as a rule.
    overlap_guard: bool = Field(
        default_factory=_is_in_seconds,
        description="`true` sends no request while the last one is unanswered; the default of a schedule in seconds",
    )


class RetrySettings(SenderSettings):
    """The job that retries failed items."""

    schedule: str = Field(default="*/5 * * * *", description=_SCHEDULE)


class ProcessorSettings(SenderSettings):
    """Settings of the job that sends pending items."""

    schedule: str = Field(default="* * * * *", description=_SCHEDULE)
    max_items: int = Field(default=10, ge=1, le=10_000, description="`limit` in the request: maximum items of a run")
    batch_size: int = Field(
        default=5, ge=1, le=10_000, description="`batch_size` in the request: items processed at a time"
    )
    requests_per_tick: int = Field(
        default=1,
        ge=1,
        le=100,
        description="Requests of a backlog that may be unanswered at a time; above 1 only while answers say `claimed`",
    )
    wake: bool = Field(
        default=False, description="`true` sends the request at an insert into the queue; implies `overlapGuard`"
    )
    wake_min_interval: int = Field(
        default=1, ge=1, le=3_600, description="Seconds between two requests of `wake` on average, 1..3600"
    )


class AccessSettings(Settings):
    """The read-only role for drift checks; none without a name."""

    monitor_role: str = Field(default="", description="Role to create for read-only drift checks")

    _role = field_validator("monitor_role")(validators.check_role_name)


class AlertSettings(Settings):
    """When to post alerts; the secret of a destination enables them."""

    daily_report_at: str = Field(
        default="07:00", description="Time of the daily report of failures and the weekly line on Mondays: HH:MM in UTC"
    )
    new_failures: int = Field(default=1, ge=1, le=10_000, description="Alert after this many new failures")
    growing_ticks: int = Field(
        default=10, ge=2, le=1_000, description="Alert after this many ticks with a growing queue"
    )
    oldest_minutes: int = Field(default=15, ge=1, le=10_080, description="Alert when an item has waited this long")
    rejected_requests: int = Field(
        default=3,
        ge=1,
        le=100,
        description="Alert after this many rejected requests in a row; more with a schedule in seconds, which takes "
        "the same time; needs `dispatchLog`",
    )
    cooldown_minutes: int = Field(default=60, ge=1, le=10_080, description="Pause between two posts of the same alert")
    pager_duty_url: str = Field(
        default="https://events.pagerduty.com",
        description="Base URL of PagerDuty's Events API; `https://events.eu.pagerduty.com` in the EU",
    )
    opsgenie_url: str = Field(
        default="https://api.opsgenie.com",
        description="Base URL of Opsgenie's API; `https://api.eu.opsgenie.com` in the EU",
    )

    _time = field_validator("daily_report_at")(validators.check_time)

    @field_validator("pager_duty_url", "opsgenie_url")
    @classmethod
    def _base(cls, value: str) -> str:
        return value.removesuffix("/")


class HistorySettings(Settings):
    """How long the rows about past runs and requests stay."""

    keep_days: int | None = Field(
        None,
        ge=1,
        le=3_650,
        description="Days to keep runs in `cron.job_run_details`, 1..3650; unset deletes none, since other readers may "
        "use pg_cron's table",
    )
    of_all_jobs: bool = Field(False, description="`true` deletes old runs of every job; needs `history.keepDays`")
    dispatch_days: int = Field(30, ge=1, le=3_650, description="Days to keep requests in our log of them, 1..3650")

    @field_validator("keep_days", "dispatch_days", mode="before")
    @classmethod
    def _a_number(cls, value: object) -> object:
        # pydantic takes `true` as 1, which would delete nearly the whole history.
        if isinstance(value, bool):
            raise ValueError(f"{json.dumps(value)} is not a number of days")
        return value

    @field_validator("of_all_jobs")
    @classmethod
    def _with_days(cls, value: bool, info: ValidationInfo) -> bool:
        if value and "keep_days" in info.data and info.data["keep_days"] is None:
            raise ValueError("is set, and history.keepDays is not: set keepDays, or remove ofAllJobs")
        return value


class NameSettings(Settings):
    """The names of the sync's objects, of the queue and of the Edge Function.

    Our SQL and our lists of jobs contain the default names, which are the guide's; `render` replaces them.
    """

    prefix: str = Field(
        validators.DEFAULT_PREFIX, description="Prefix of the jobs; with _ for -, name of the private schema"
    )
    edge_function: str = Field("bubble_sync", description="Edge Function in the URL of a request")
    queue: str = Field("public.sync_queue", description="Schema and name of the queue table")
    operations: tuple[str, ...] = Field(
        ("SIGNUP_ATOMIC", "INSERT", "UPDATE"), description="Operations that the processor counts; a sign-up first"
    )
    process_action: str = Field("process_queue_data_api", description="`action` in the processor's request")
    retry_action: str = Field("retry_failed", description="`action` in the retry job's request")

    _prefix = field_validator("prefix")(validators.check_prefix)
    _function = field_validator("edge_function")(validators.check_edge_function)

    @field_validator("queue")
    @classmethod
    def _elsewhere(cls, value: str, info: ValidationInfo) -> str:
        prefix = info.data.get("prefix", "")
        if validators.check_table(value).partition(".")[0] == prefix.replace("-", "_"):
            raise ValueError(
                f"{value!r} is in the schema that names.prefix, {prefix!r}, reserves for objects of ours; "
                "use another prefix"
            )
        return value

    _operations = field_validator("operations")(validators.check_words)
    _actions = field_validator("process_action", "retry_action")(validators.check_word)

    @property
    def schema_name(self) -> str:
        """Return the name of the private schema."""
        return self.prefix.replace("-", "_")

    def secret(self, default: str) -> str:
        """Return a secret's name; with a prefix of its own, a stack shares no secret with another stack."""
        return default if self.prefix == _DEFAULT_NAMES.prefix else f"{self.schema_name}_{default}"

    @property
    def alert_secrets(self) -> dict[str, str]:
        """Return the name in Vault of each secret of the alerts, by destination."""
        return {destination: self.render(name) for destination, name in validators.ALERT_SECRET_NAMES.items()}

    def render(self, text: str) -> str:
        """Replace the default names in a text of ours, never in data."""
        return text if self == _DEFAULT_NAMES else _rendered(self, text)


_DEFAULT_NAMES = NameSettings()
_OPERATIONS = ", ".join(f"'{word}'" for word in _DEFAULT_NAMES.operations)
_JOBS = r"(?:processor|retry|alerts|history)\b"
_OWN = r"(?:(?:processor|retry|alert|history|wake|probe|answer|incoming|alert_\w+_(?:url|key))\b|(?!\w))"
_OF_A_USER = "".join(
    rf"(?<!\b{words}bubble_sync)"
    for words in (
        "role ", "user ", "owned by ", "as ", "As ", "to ", "is ", "application ", "database ", "stack ", "stack '",
    )
)  # fmt: skip
"""Before these words, the whole name is one of a role, stack, database or application, and no schema."""
_DEFAULT_NAME = re.compile(
    # In the pattern of calls, the name may be composed of two literals.
    r"(?P<calls>bubble\(\?:_\|(?P<literals>_\?''.*?''_\?)\)sync)"
    r"|(?P<edge_function>(?:(?<=/)|(?<=-> )|(?<=unction )|(?<=deploy )|(?<=for ))bubble_sync(?![\w-]|\.\w)"
    r"|bubble_sync(?=\(\?:_edge))"
    # With the keys of the locks that a run of one stack tries, and another stack must not hold.
    rf"|(?P<prefix>\bbubble-sync(?=-(?:{_JOBS}|[%'])|(?<='bubble-sync) (?:alert|history )'))"
    # Whole names of ours alone: an error also quotes names of the user, which may begin like ours.
    rf"|(?P<schema>(?:(?<!\w)|(?<=invoke_)|(?<=\\m))bubble_sync"
    rf"(?:(?=\.\w)|(?=_{_OWN})|(?![\w-]){_OF_A_USER}))"
    # The list of the report's words, in the order of an earlier version's function.
    r"|(?P<words>'INSERT', 'UPDATE', 'DELETE', 'SIGNUP_ATOMIC')"
    rf"|(?P<operations>{_OPERATIONS})|(?P<sign_up>'SIGNUP_ATOMIC')"
    r"|(?P<queue>\bpublic(?P<escape>\\?)\.sync_queue\b)|(?P<index>\bsync_queue(?=_pending\b|_failed\b))"
    r"|(?P<process_action>\bprocess_queue_data_api\b)|(?P<retry_action>\bretry_failed\b)"
)


# Bounded: `watch` runs for days, and errors differ.
@lru_cache(maxsize=1024)
def _rendered(names: NameSettings, text: str) -> str:
    by_group = {
        "edge_function": names.edge_function,
        "prefix": names.prefix,
        "schema": names.schema_name,
        "words": ", ".join(f"'{word}'" for word in (*names.operations, "DELETE")),
        "operations": ", ".join(f"'{word}'" for word in names.operations),
        "sign_up": f"'{names.operations[0]}'",
        "queue": names.queue,
        "index": names.queue.partition(".")[2],
        "process_action": names.process_action,
        "retry_action": names.retry_action,
    }

    def replaced(match: re.Match[str]) -> str:
        if match["calls"]:
            begin, mark, end = re.split("([_-]|$)", names.edge_function, maxsplit=1)
            return f"{begin}(?:{mark}|{match['literals'].replace('_', mark)}){end}" if mark else begin
        found = by_group[next(group for group in by_group if match[group] is not None)]
        return found.replace(".", r"\.") if match["escape"] else found

    return _DEFAULT_NAME.sub(replaced, text)


_LONGEST_PROBLEM = 2000


class ConfigValue(NamedTuple):
    """One configuration value from Pulumi: its text, and whether it was encrypted."""

    text: str
    secret: bool = False


def url_of(project_ref: str | None) -> str:
    """Return the URL of a hosted project."""
    return f"https://{project_ref}.supabase.co"


class StackSettings(Settings):
    """The configuration of one stack."""

    recorded: ClassVar[bool] = False
    """Whether the settings are the ledger's, whose secrets are placeholders."""

    project_ref: str | None = Field(default=None, description="Project ref; gives the URL `https://<ref>.supabase.co`")
    # Before the URLs, whose validators read the value.
    allow_http: bool = Field(default=False, description="`true` permits `http://` URLs of private hosts")
    supabase_url: str = Field(default="", description="Project URL, instead of the one from `projectRef`")
    service_role_key: str = Field(repr=False, description="`service_role` JWT or `sb_secret_...` key, encrypted")
    database_url: str | None = Field(
        default=None, repr=False, description="`postgresql://` URL of the database, encrypted"
    )
    database_url_env: str | None = Field(default=None, description="Environment variable with the URL")
    database_ca: str | None = Field(default=None, description="File with the CA certificate of the database server")
    adopt: Literal["always", "never"] = Field(
        default="always", description="`never` refuses existing secrets, functions and jobs"
    )
    # Before the names of secrets, whose defaults follow the prefix.
    names: NameSettings = NameSettings()
    supabase_url_name: str = Field(
        default_factory=lambda known: known["names"].secret("supabase_url"),
        description="Name of the URL's secret in Vault",
    )
    service_role_key_name: str = Field(
        default_factory=lambda known: known["names"].secret("service_role_key"),
        description="Name of the key's secret in Vault",
    )
    processor: ProcessorSettings = ProcessorSettings()
    retry: RetrySettings = RetrySettings()
    dispatch_log: bool = Field(default=True, description="`false` disables the log of requests and responses")
    history: HistorySettings = HistorySettings()
    access: AccessSettings = AccessSettings()
    monitor_password: str | None = Field(
        default=None, repr=False, description="Password of `access.monitorRole`, encrypted"
    )
    alerts: AlertSettings = AlertSettings()
    alert_webhook_url: str | None = Field(
        default=None, repr=False, description="Slack-compatible webhook to post alerts to, encrypted; needs `alerts`"
    )
    alert_heartbeat_url: str | None = Field(
        default=None,
        repr=False,
        description="URL to call each minute while no alert is open, encrypted; needs `alerts`",
    )
    alert_pager_duty_routing_key: str | None = Field(
        default=None, repr=False, description="Routing key of PagerDuty's Events API v2, encrypted; needs `alerts`"
    )
    alert_opsgenie_api_key: str | None = Field(
        default=None, repr=False, description="Key of an Opsgenie API integration, encrypted; needs `alerts`"
    )

    _ref = field_validator("project_ref")(validators.check_project_ref)
    _key = field_validator("service_role_key")(validators.check_key)
    _variable = field_validator("database_url_env")(check_variable_name)
    _certificate = field_validator("database_ca")(check_ca)
    _password = field_validator("monitor_password")(validators.check_password)
    _routing_key = field_validator("alert_pager_duty_routing_key")(validators.check_routing_key)
    _api_key = field_validator("alert_opsgenie_api_key")(validators.check_api_key)

    @field_validator("supabase_url")
    @classmethod
    def _url(cls, value: str, info: ValidationInfo) -> str:
        return validators.check_url(value, allow_http=info.data.get("allow_http", False))

    @field_validator("alerts")
    @classmethod
    def _apis(cls, value: AlertSettings, info: ValidationInfo) -> AlertSettings:
        for url in (value.pager_duty_url, value.opsgenie_url):
            validators.check_api_url(url, allow_http=info.data.get("allow_http", False))
        return value

    @field_validator("alert_webhook_url", "alert_heartbeat_url")
    @classmethod
    def _webhook(cls, value: str | None, info: ValidationInfo) -> str | None:
        return validators.check_webhook(value, allow_http=info.data.get("allow_http", False))

    @field_validator("supabase_url_name", "service_role_key_name")
    @classmethod
    def _secret_name(cls, value: str, info: ValidationInfo) -> str:
        names = info.data.get("names", _DEFAULT_NAMES)
        return validators.check_secret_name(value, names.alert_secrets)

    @field_validator("service_role_key_name")
    @classmethod
    def _another_name(cls, value: str, info: ValidationInfo) -> str:
        if value == info.data.get("supabase_url_name"):
            raise ValueError(f"{value!r} is also supabaseUrlName; the two secrets need two names")
        return value

    @field_validator("database_url")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None:
            read_database_url(value)
        return value

    @property
    def alerting(self) -> bool:
        """Return whether the alerts have a destination."""
        return any(getattr(self, setting) is not None for setting in ALERT_DESTINATIONS)

    @property
    def url(self) -> str:
        """Return the project URL without a final slash."""
        return self.supabase_url or url_of(self.project_ref)

    @property
    def has_private_host(self) -> bool:
        """Return whether the project URL is of this machine or a private network, as with `supabase start`."""
        return validators.is_private(urlsplit(self.url).hostname or "")

    def address(self, environment: Mapping[str, str]) -> DatabaseAddress:
        """Return the database address; raise ConfigurationError if the named environment variable is not set."""
        return database_address(self.database_url, self.database_url_env, self.database_ca, environment)

    def project(self, environment: Mapping[str, str]) -> str | None:
        """Return the project of all settings, or None if none names one; raise WrongEnvironment on a conflict."""
        available = self.database_url or environment.get(self.database_url_env or "")
        address = self.address(environment) if available else None
        return require_one_project(
            {
                "projectRef": self.project_ref,
                "supabaseUrl": ref_of_url(self.supabase_url),
                "serviceRoleKey": read_key(self.service_role_key).project_ref,
                "the database URL": ref_of_database(address.host, address.user) if address else None,
            }
        )


ALERT_DESTINATIONS = tuple(name for name in StackSettings.model_fields if name.startswith("alert_"))
"""The settings with the secret of a destination; one of them switches the alerts on."""
SECRET_KEYS = frozenset(field.alias or name for name, field in StackSettings.model_fields.items() if not field.repr)
"""Keys that must be encrypted: their values are never shown."""


def read_settings(config: Mapping[str, ConfigValue], others: Sequence[str] = ()) -> StackSettings:
    """Validate values, keyed without namespace; raise ConfigurationError with all problems.

    Args:
        config: The values.
        others: Problems outside the configuration, which the error lists too.
    """
    settings, problems = check_settings(config)
    if problems or settings is None:
        what = "the configuration of this stack cannot be used; nothing was changed"
        raise ConfigurationError(f"{what}:{format_list([*problems, *others])}")
    return settings


def check_settings(config: Mapping[str, ConfigValue]) -> tuple[StackSettings | None, list[str]]:
    """Return the settings, or None if invalid, and all problems as `<key>: <problem>`."""
    problems = [*_plaintext_secrets(config), *_missing_parts(config)]
    try:
        return StackSettings.model_validate(plain_values(config)), problems
    except ValidationError as error:
        encrypted = {key for key, value in config.items() if value.secret}
        found = error.errors(include_url=False, include_context=False)
        # A default that depends on another setting has no error of its own.
        details = [one for one in found if one["type"] != "default_factory_not_called"]
        return None, [*problems, *(_shortened(_problem(detail, encrypted)) for detail in details)]


def plain_values(config: Mapping[str, ConfigValue]) -> dict[str, object]:
    """Return the values in the model's types."""
    return {key: _plain(value.text) for key, value in config.items()}


def _plain(text: str) -> object:
    """Parse objects, which Pulumi passes as JSON; return other values unchanged."""
    if not text.startswith("{"):
        return text
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return parsed


def _plaintext_secrets(config: Mapping[str, ConfigValue]) -> list[str]:
    return [
        f"{NAMESPACE}:{key}: stored in clear text; encrypt it: pulumi config set --secret {NAMESPACE}:{key}, "
        "and replace the value that was exposed"
        for key in sorted(SECRET_KEYS & set(config))
        if not config[key].secret
    ]


def _missing_parts(config: Mapping[str, ConfigValue]) -> list[str]:
    problems = []
    if "projectRef" not in config and "supabaseUrl" not in config:
        problems.append(f"{NAMESPACE}:projectRef: not set; set it (or supabaseUrl) to name the stack's project")
    if "databaseUrl" in config and "databaseUrlEnv" in config:
        problems.append(f"{NAMESPACE}:databaseUrl: conflicts with databaseUrlEnv; remove one of the two")
    elif "databaseUrl" not in config and "databaseUrlEnv" not in config:
        problems.append(f"{NAMESPACE}:databaseUrlEnv: not set; {ONE_DATABASE}")
    if "access" in config and "monitorPassword" not in config:
        key = f"{NAMESPACE}:monitorPassword"
        problems.append(f"{key}: not set, and access.monitorRole needs one; pulumi config set --secret {key}")
    destinations = [StackSettings.model_fields[name].alias or name for name in ALERT_DESTINATIONS]
    given = [key for key in destinations if key in config]
    if "alerts" in config and not given:
        first, *others = (f"{NAMESPACE}:{key}" for key in destinations)
        problems.append(
            f"{first}: not set, and alerts need one, or {', '.join(others)}; pulumi config set --secret {first}"
        )
    elif given and "alerts" not in config:
        example = f"pulumi config set --path {NAMESPACE}:alerts.dailyReportAt 07:00"
        problems.append(f"{NAMESPACE}:alerts: not set, but {given[0]} is; {example}")
    return problems


def _shortened(problem: str) -> str:
    """Return a problem without the middle of a value that is too long to read; the remedy is at the end."""
    return problem if len(problem) <= _LONGEST_PROBLEM else f"{problem[:400]} ... {problem[-400:]}"


def _problem(detail: ErrorDetails, encrypted: Collection[str]) -> str:
    """Return a pydantic error with its key; our own validators include value and expectation."""
    name = ".".join(str(part) for part in detail["loc"])
    key = f"{NAMESPACE}:{name}"
    if detail["type"] == "extra_forbidden":
        near = like(name, names_in(StackSettings))
        meant = f"did you mean {NAMESPACE}:{near}?" if near else "remove it, or see docs/reference/configuration.md"
        return f"{key}: there is no such key; {meant}"
    if detail["type"] == "missing":
        return f"{key}: not set; pulumi config set --secret {key}"
    if detail["loc"][0] in encrypted and name not in SECRET_KEYS:
        return f"{key}: cannot be used, and is not shown since it is encrypted; see docs/reference/configuration.md"
    if detail["type"] == "value_error":
        return f"{key}: {detail['msg'].removeprefix('Value error, ')}"
    shown = "" if name in SECRET_KEYS else f"{detail['input']!r}: "
    return f"{key}: {shown}{detail['msg'][0].lower()}{detail['msg'][1:]}"
