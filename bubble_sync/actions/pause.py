"""Pause and resume jobs: configuration, and one `up` of these jobs alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from bubble_sync.actions.deployment import LEDGER_TARGET, ConfigChange, Progress, deploy, exclusive_lock
from bubble_sync.actions.git_checkout import commit_line, committed
from bubble_sync.compare.diff import ObjectDiff, State, compare_object, find
from bubble_sync.config.durations import FORMS, read_duration
from bubble_sync.config.settings import JobSettings, NameSettings, StackSettings
from bubble_sync.config.stacks import Stack
from bubble_sync.config.validators import check_reason, read_timestamp
from bubble_sync.database.database import Database
from bubble_sync.errors import ConfigurationError, PrerequisiteMissing
from bubble_sync.model.jobs import ALERT_JOB, MANAGED_JOBS, is_woken
from bubble_sync.model.setup import WAKE_TRIGGER, desired_state
from bubble_sync.specs import Owner

_WORDS = ("active", "pauseReason", "pauseUntil")
_OWN = tuple(f"{job.key}.{word}" for job in MANAGED_JOBS for word in _WORDS)
"""Settings of a pause: an uncommitted pause blocks neither the next one nor a resume."""


@dataclass(frozen=True)
class PauseResult:
    """The jobs after the command."""

    changed: bool
    settings: StackSettings
    commit: str | None
    """The git command for the changed configuration; None outside git or without a change."""


def keys_of(job: str | None, names: NameSettings) -> tuple[str, ...]:
    """Return the configuration keys of the jobs; raise ConfigurationError."""
    found = tuple(one.key for one in MANAGED_JOBS if job in (None, one.key, names.render(one.name)))
    if not found:
        keys = ", ".join(one.key for one in MANAGED_JOBS)
        raise ConfigurationError(f"there is no job {job!r}: --job is one of {keys}, or left out for all")
    return found


def read_pause_end(text: str, now: datetime) -> datetime:
    """Read a future time or a duration; raise ConfigurationError."""
    span = read_duration(text)
    try:
        until = read_timestamp(text) if span is None else now.replace(microsecond=0) + span
    except OverflowError:
        raise ConfigurationError(f"--until {text} is beyond the calendar: nothing was changed") from None
    except ValueError as error:
        raise ConfigurationError(f"--until: {error}, nor a duration, as in {FORMS}") from None
    if until <= now:
        raise ConfigurationError(f"--until {text} is past: nothing was changed")
    return until


def pause(stack: Stack, keys: Sequence[str], reason: str, until: datetime | None, progress: Progress) -> PauseResult:
    """Pause jobs for a reason; `until` is the expected end."""
    try:
        reason = check_reason(reason)
    except ValueError as error:
        raise ConfigurationError(f"--reason {error}: nothing was changed") from None
    if not reason:
        raise ConfigurationError("--reason is empty: give a reason for others to read")
    message = f"chore: pause {' and '.join(keys)} of stack {stack.name}: {reason}"
    return _change(stack, keys, {"active": False, "pause_reason": reason, "pause_until": until}, message, progress)


def resume(stack: Stack, keys: Sequence[str], progress: Progress) -> PauseResult:
    """Resume jobs and remove the reason."""
    message = f"chore: resume {' and '.join(keys)} of stack {stack.name}"
    return _change(stack, keys, {"active": True, "pause_reason": "", "pause_until": None}, message, progress)


def _change(
    stack: Stack, keys: Sequence[str], wanted: dict[str, object], message: str, progress: Progress
) -> PauseResult:
    stack = stack.without_given_config()
    with exclusive_lock(stack):
        old = stack.settings()
        jobs = [job for job in MANAGED_JOBS if job.key in keys]
        new = old.model_copy(update={job.key: job.settings_in(old).model_copy(update=wanted) for job in jobs})
        with closing(Database(old.address(stack.environment), old.names)) as database:
            owner = Owner(stack.name, old.project(stack.environment) or "")
            differing = _differing(database, old, keys, owner)
            _require_nothing_else(differing)
            changes = [
                change for job in jobs for change in _changes(job.key, job.settings_in(old), job.settings_in(new))
            ]
            if not changes and not differing:
                return PauseResult(False, new, None)
            commit = commit_line(stack.config_file, message, _OWN) if changes else None

            def why_not_so() -> str:
                left = _differing(database, new, keys, owner)
                what = "is not as configured: the program does not take its jobs from the configuration, or something"
                return f"{left[0].spec.object_name} {what} else changes them" if left else ""

            targets = [f"**-{group}-{name.rpartition('.')[2]}" for group, name in _objects(old, keys)]
            deploy(stack, changes, [*targets, LEDGER_TARGET], progress, why_not_so)
        return PauseResult(True, new, None if commit and committed(stack.config_file) else commit)


def _differing(database: Database, settings: StackSettings, keys: Sequence[str], owner: Owner) -> list[ObjectDiff]:
    names = [name for _, name in _objects(settings, keys)]
    specs = [spec for spec in desired_state(settings, owner) if getattr(spec, "name", "") in names]
    snapshot = find(database, specs)
    return [item for spec in specs if (item := compare_object(spec, snapshot)).state is not State.EQUAL]


def _objects(settings: StackSettings, keys: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield group and name of the objects that a pause changes."""
    for job in MANAGED_JOBS:
        if job.key in keys:
            yield "jobs", settings.names.render(job.name)
            if is_woken(job.settings_in(settings)):
                yield "wake", settings.names.render(WAKE_TRIGGER)
    if settings.alerting:
        yield "alerts", settings.names.render(ALERT_JOB.function)


def _require_nothing_else(differing: Sequence[ObjectDiff]) -> None:
    """Refuse when `up` would change more than the pause."""
    for item in differing:
        fields = ", ".join(change.field for change in item.changes)
        if item.state is not State.UPDATE or fields not in ("active", "enabled"):
            raise PrerequisiteMissing(
                f"{item.spec.object_name} in the database differs from the configuration "
                f"({item.reason or fields or item.state}), so `up` would change more than the pause: nothing was "
                "changed. Run `pulumi up` first."
            )


def _changes(key: str, before: JobSettings, after: JobSettings) -> list[ConfigChange]:
    """Return the settings to write; an object with nothing but a pause is written whole, or Pulumi leaves `{}`."""
    old, new = _written(before), _written(after)
    if old and not new and before.model_fields_set <= {"active", "pause_reason", "pause_until"}:
        return [ConfigChange(key, None)]
    return [ConfigChange(f"{key}.{word}", new.get(word)) for word in _WORDS if old.get(word) != new.get(word)]


def _written(job: JobSettings) -> dict[str, str]:
    written = {"active": "" if job.active else "false", "pauseReason": job.pause_reason, "pauseUntil": job.pause_end}
    return {word: text for word, text in written.items() if text}
