"""The objects inside a stack's configuration: the two jobs, who may observe, and when to be told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from difflib import get_close_matches

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.alias_generators import to_camel

from bubble_sync.config import validators

_WHEN = "When it runs: five cron fields, in UTC; or `30 seconds`, 1..59, where pg_cron is 1.5 or newer"


class Settings(BaseModel):
    """Settings under their names in the configuration: those of a stack, or an object of them."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True
    )


def names_in(model: type[Settings], above: str = "") -> Iterator[str]:
    """Name every setting of a model as the configuration does, `processor.maxItems` for one of an object."""
    for name, field in model.model_fields.items():
        key = f"{above}{field.alias or name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
            yield from names_in(field.annotation, f"{key}.")
        else:
            yield key


def like(name: str, names: Iterable[str]) -> str:
    """Return what somebody meant who wrote `name`: one of the names, or nothing where none is near."""
    plain = {re.sub("[^a-z]", "", one.lower()): one for one in names}
    plain |= {re.sub("[^a-z]", "", one.split(".")[-1].lower()): one for one in reversed(plain.values())}
    near = get_close_matches(re.sub("[^a-z]", "", name.lower()), plain, n=1, cutoff=0.75)
    return plain[near[0]] if near else ""


class RetrySettings(Settings):
    """The job that asks for failed items again."""

    schedule: str = Field("*/5 * * * *", description=_WHEN)
    active: bool = Field(True, description="`false` keeps the job and stops its runs")
    pause_reason: str = Field("", description="Why it is not active; `bubble-sync pause` writes it")
    pause_until: datetime | None = Field(None, description="When it should run again: ISO 8601 with a zone")
    timeout_ms: int = Field(
        30000, ge=1, le=120_000, description="How long pg_net waits for the Edge Function, 1..120000"
    )
    overlap_guard: bool = Field(False, description="`true` makes no request while the last one is unanswered")

    _schedule = field_validator("schedule")(validators.check_schedule)

    @field_validator("pause_reason", "pause_until", mode="before")
    @classmethod
    def _of_a_pause(cls, value: object, info: ValidationInfo) -> object:
        if info.data.get("active"):
            raise ValueError("is set, and active is not false: remove it, or set active to false")
        # Pulumi makes a number of `2026`, and a truth value of `true`: both are words here.
        text = value if isinstance(value, str) else json.dumps(value)
        return validators.check_reason(text) if info.field_name == "pause_reason" else validators.read_moment(text)


class ProcessorSettings(RetrySettings):
    """The job that drains pending items."""

    schedule: str = Field("* * * * *", description=_WHEN)
    max_items: int = Field(10, ge=1, le=10_000, description="`limit` in the request: items a run may take")
    batch_size: int = Field(5, ge=1, le=10_000, description="`batch_size` in the request: items worked on at a time")


class AccessSettings(Settings):
    """The role that may observe and nothing else; none without a name."""

    monitor_role: str = Field("", description="Name of a role to make, which may find drift and nothing else")

    _role = field_validator("monitor_role")(validators.check_role_name)


class AlertSettings(Settings):
    """When to post to the webhook; it is the webhook's URL that makes a stack have alerts."""

    daily_report_at: str = Field(
        "07:00", description="When to post the daily report of failures, and on Mondays the weekly line: HH:MM in UTC"
    )
    new_failures: int = Field(1, ge=1, le=10_000, description="Alert when so many items have newly failed")
    growing_ticks: int = Field(10, ge=2, le=1_000, description="Alert when the queue grew so often without falling")
    oldest_minutes: int = Field(15, ge=1, le=10_080, description="Alert when an item has waited longer than this")
    rejected_requests: int = Field(
        3, ge=1, le=100, description="Alert when so many requests in a row were rejected; needs `dispatchLog`"
    )
    cooldown_minutes: int = Field(
        60, ge=1, le=10_080, description="How long each of these alerts is quiet after it was posted"
    )

    _time = field_validator("daily_report_at")(validators.check_time)
