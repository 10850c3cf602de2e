"""How to accept a manual change: the setting for the field, if one exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from bubble_sync.compare.diff import Change
from bubble_sync.config.database_url import NAMESPACE
from bubble_sync.config.settings import NameSettings, Settings, StackSettings
from bubble_sync.converge.vault_secrets import Stored
from bubble_sync.model.jobs import ALERT_JOB, HISTORY_JOB, MANAGED_JOBS, ManagedJob
from bubble_sync.specs import DISPATCHES, CronJobSpec, FunctionSpec, LedgerSpec, Spec, VaultSecretSpec
from bubble_sync.sql_loader import constants_in, with_constants

_LOG = "dispatch_log"


@dataclass(frozen=True)
class Acceptance:
    """The commands that accept a change, or why none can."""

    commands: tuple[str, ...] = ()
    impossible: str = ""

    def __str__(self) -> str:
        """Return the commands or the reason in one line."""
        return " && ".join(self.commands) or f"cannot be accepted: {self.impossible}"


def acceptance(
    spec: Spec, change: Change, arguments: str, secret_keys: Mapping[str, str], names: NameSettings
) -> Acceptance:
    """Return how to accept a change; `arguments` select the stack in a Pulumi command.

    `secret_keys` gives the configuration key of each secret.
    """
    if isinstance(spec, CronJobSpec) and (job := _job_with(spec.name, names)):
        if change.field == "active" and change.actual:
            # `active: true` alone would leave a pauseReason, which the configuration rejects.
            return Acceptance((f"bubble-sync resume --job {job.key} {arguments}",))
        if change.field in ("schedule", "active") and change.actual is not None:
            return _settings(job, {change.field: change.actual}, arguments)
    if isinstance(spec, FunctionSpec) and change.field == "body":
        return _constants(spec, str(change.actual), arguments, names)
    if isinstance(spec, VaultSecretSpec) and change.secret == Stored.DIFFERS:
        key = secret_keys[spec.name]
        secret = "" if key == "supabaseUrl" else "--secret "
        return Acceptance((f"pulumi config set {secret}{NAMESPACE}:{key} {arguments}",))
    tables = change.wanted if isinstance(spec, LedgerSpec) and change.field == "tables" else ()
    if isinstance(tables, list) and change.actual == [one for one in tables if one != DISPATCHES]:
        return Acceptance((_log(on=False, arguments=arguments),))
    if change.secret:
        return Acceptance(impossible="it cannot be decrypted here")
    if isinstance(spec, LedgerSpec) and change.field == "settings":
        return Acceptance(impossible="it repeats the configuration, for commands with a database URL alone")
    if change.field == "moved":
        return Acceptance(impossible="not by a setting; the SQL of the refusal leaves it there")
    return Acceptance(impossible="no setting wants it" if change.field else "the program wants it there")


def _job_with(name: str, names: NameSettings) -> ManagedJob[Settings] | None:
    """Return the job whose function, or whose job with a schedule of the configuration, has this name."""
    named = {names.render(job.function): job for job in (*MANAGED_JOBS, ALERT_JOB, HISTORY_JOB)}
    return {**named, **{names.render(job.name): job for job in MANAGED_JOBS}}.get(name)


def _constants(spec: FunctionSpec, actual: str, arguments: str, names: NameSettings) -> Acceptance:
    """Accept a body that differs only in numbers that are settings."""
    wanted = constants_in(spec.body)
    changed = {name: value for name, value in constants_in(actual).items() if wanted.get(name) != value}
    numbers = {name: value for name, value in changed.items() if isinstance(value, int)}
    settable = numbers == changed and all(isinstance(wanted.get(name), int) for name in numbers)
    job = _job_with(spec.name, names)
    if job and changed and settable and with_constants(spec.body, numbers) == actual:
        return _settings(job, numbers, arguments)
    days = re.fullmatch(r"(\d{1,9}) days", str(changed.get("kept_for")))
    if days and len(changed) == 1 and with_constants(spec.body, changed) == actual:
        return _settings(HISTORY_JOB, {"dispatch_days": int(days[1])}, arguments)
    return Acceptance(impossible="the body is the program's; change sql/functions there")


def _settings(job: ManagedJob[Settings], values: Mapping[str, object], arguments: str) -> Acceptance:
    model = job.settings
    of_job = {name: value for name, value in values.items() if name != _LOG}
    try:
        model.model_validate(of_job)
    except ValidationError:
        return Acceptance(impossible=f"the configuration does not take {', '.join(map(str, values.values()))}")
    commands = [_log(on=bool(values[_LOG]), arguments=arguments)] if _LOG in values else []
    for name, value in of_job.items():
        key = f"{NAMESPACE}:{job.key}.{model.model_fields[name].alias}"
        text = str(value).lower() if isinstance(value, bool) else str(value)
        quoted = text if re.fullmatch(r"\w+", text) else f"'{text}'"
        commands.append(f"pulumi config set --path {shlex.quote(key)} {quoted} {arguments}")
    return Acceptance(tuple(commands))


def _log(*, on: bool, arguments: str) -> str:
    """Return the setting of the request log: one for both functions and the table."""
    return f"pulumi config set {NAMESPACE}:{StackSettings.model_fields[_LOG].alias} {str(on).lower()} {arguments}"
