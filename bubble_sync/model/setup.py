"""The one declaration of a stack's objects, group by group; the program and all commands read it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from bubble_sync.config.keys import KEY_IN_TEXT
from bubble_sync.config.schedules import due_times_in
from bubble_sync.config.settings import (
    AlertSettings,
    HistorySettings,
    JobSettings,
    NameSettings,
    ProcessorSettings,
    Settings,
    StackSettings,
)
from bubble_sync.config.validators import LOOPBACK_HOST, PRIVATE_HOST
from bubble_sync.database.table_names import QUEUE_TABLE
from bubble_sync.model.jobs import ALERT_JOB, HISTORY_JOB, MANAGED_JOBS, PROCESSOR, is_guarded, is_woken
from bubble_sync.model.recorded import RecordedSettings, recorded_text
from bubble_sync.model.secrets import ALERT_SECRETS, KEY, MANAGED_SECRETS, URL, SecretObject
from bubble_sync.model.setup_settings import SetupSettings, default_jobs
from bubble_sync.specs import (
    ALERTS,
    DISPATCHES,
    CronJobSpec,
    ExtensionSpec,
    FunctionSpec,
    LedgerSpec,
    Owner,
    PrerequisitesSpec,
    Spec,
    TriggerSpec,
    VaultSecretSpec,
)
from bubble_sync.sql_loader import constants_of, every_part, function, reading_block

EXTENSIONS = ("pg_cron", "pg_net", "supabase_vault")
_PRIVATE = ("send", "settle", "unanswered", "record")
"""Functions that the jobs' functions call, in the schema `bubble_sync`."""
_ALERTING = (
    ("alert_holds", "alert_report", "alert_answer", "post_alert"),
    ("alert_conditions", "alert_rejected", "alert_deliver"),
)
"""Functions that the alerts' function calls, in the same schema; those of the second stage call the first."""
_WAKING = ("wake_due", "wake_send", "wake")
"""Functions of the trigger that wakes the processor, in the same schema."""
WAKE_TRIGGER = "bubble_sync_wake"
_EVERY_MINUTE = "* * * * *"
# In minutes without the retry job. 10,000 rows in each run are more than fifteen jobs write that run every second.
_EVERY_TEN_MINUTES = "3-59/10 * * * *"
# PL/pgSQL requires an option at the start of a function, as in observe.sql.
_OPTION = "#variable_conflict use_column\n"
# Users write keys into jobs and descriptions, which row security and Vault would hide from the monitor role.
_MASKED = f"return pg_catalog.regexp_replace(answer::text, '{KEY_IN_TEXT}', '[secret]', 'g')::jsonb"
_PLACE = "-- here: the block\n"


@dataclass(frozen=True)
class Group:
    """Objects in stages: an object comes after those of earlier stages, and of earlier groups."""

    name: str
    stages: tuple[Sequence[Spec | SecretObject], ...]

    @property
    def objects(self) -> tuple[Spec | SecretObject, ...]:
        """Return the objects in order."""
        return tuple(one for stage in self.stages for one in stage)


def groups(setup: SetupSettings) -> tuple[Group, ...]:
    """Declare every object of a stack, each after its requirements."""
    role = setup.monitor_role
    optional = {
        "alerts": setup.alerts is not None,
        "history": setup.history.keep_days is not None,
        "wake": is_woken(setup.jobs[PROCESSOR.key]),
    }
    names = object_names(*setup.secrets.values(), names=setup.names, **optional, observe=bool(role))
    ledger = LedgerSpec(**asdict(setup.owner), tables=_tables(setup), grantees=(role,) if role else ())
    return (
        Group("prerequisites", ([PrerequisitesSpec(objects=names)],)),
        Group("ledger", ([ledger],)),
        *_sync(setup),
        *([Group("access", ([observe_spec(setup)],))] if role else []),
    )


def _sync(setup: SetupSettings) -> Iterator[Group]:
    """Declare the objects of the sync itself."""
    owner = setup.owner
    yield Group("extensions", ([ExtensionSpec(name=name, **asdict(owner)) for name in EXTENSIONS],))
    yield Group("secrets", (_secrets(setup, alerts=False),))
    timed = [(job, setup.jobs[job.key]) for job in MANAGED_JOBS]
    functions = [_function(job.file_with(one), setup, one) for job, one in timed]
    yield Group("functions", ([_function(name, setup) for name in _PRIVATE], functions))
    # One stage for each job, so that a fresh project gets the jobids of the guide.
    yield Group(
        "jobs", tuple([job.named(setup.names).spec(owner, one.schedule, active=one.active)] for job, one in timed)
    )
    if is_woken(setup.jobs[PROCESSOR.key]):
        yield _wake(setup, setup.jobs[PROCESSOR.key])
    if setup.alerts is not None:
        first, second = ([_function(name, setup, setup.alerts) for name in stage] for stage in _ALERTING)
        alert = [_function(ALERT_JOB.file, setup, _scaled(setup.alerts, setup.jobs[PROCESSOR.key]))]
        job = [ALERT_JOB.named(setup.names).spec(owner, _EVERY_MINUTE)]
        yield Group("alerts", ([*_secrets(setup, alerts=True), *first], second, alert, job))
    if setup.history.keep_days is not None:
        delete = [_function(HISTORY_JOB.file, setup, setup.history)]
        yield Group("history", (delete, [HISTORY_JOB.named(setup.names).spec(owner, _EVERY_TEN_MINUTES)]))


def _scaled(alerts: AlertSettings, processor: JobSettings) -> AlertSettings:
    """Return the settings with as many rejected requests as a schedule of a minute sends in the same time."""
    requests = due_times_in(alerts.rejected_requests, processor.schedule)
    return alerts.model_copy(update={"rejected_requests": requests})


def _wake(setup: SetupSettings, processor: JobSettings) -> Group:
    """Declare the trigger that wakes the processor; a pause of the job disables the trigger."""
    trigger = TriggerSpec(
        name=setup.names.render(WAKE_TRIGGER),
        definition=setup.names.render(
            f"AFTER INSERT ON {QUEUE_TABLE} FOR EACH STATEMENT EXECUTE FUNCTION bubble_sync.wake()"
        ),
        enabled="origin" if processor.active else "disabled",
        comment="bubble-sync: requests the Edge Function at once",
        sequences=("wake_closed_until", "wake_errors"),
        **asdict(setup.owner),
    )
    # One stage for each: a function that another one calls is kept.
    called = ([_function(name, setup, processor)] for name in _WAKING)
    return Group("wake", (*called, [trigger]))


def jobs_of(setup: SetupSettings) -> tuple[CronJobSpec, ...]:
    """Return the jobs of a stack."""
    return tuple(one for group in _sync(setup) for one in group.objects if isinstance(one, CronJobSpec))


def _secrets(setup: SetupSettings, *, alerts: bool) -> list[SecretObject]:
    return [
        SecretObject(one.role, setup.secrets[one.role], one.description, setup.owner)
        for one in MANAGED_SECRETS
        if one.role in setup.secrets and (one in ALERT_SECRETS) == alerts
    ]


def _function(file: str, setup: SetupSettings, settings: Settings | None = None) -> FunctionSpec:
    """Return the function of a file, whose constants get the settings of the same name."""
    own_jobs = [job.named(setup.names) for job in (*MANAGED_JOBS, ALERT_JOB, HISTORY_JOB)]
    known = {
        **(settings.model_dump() if settings else {}),
        **{f"{role}_secret": name for role, name in setup.secrets.items()},
        # The overlap guard reads the log, so a guarded function always writes its own requests.
        "dispatch_log": setup.dispatch_log or is_guarded(settings),
        "overlap_guard": is_guarded(settings),
        "stack_name": setup.owner.stack,
        "project_ref": setup.owner.project_ref,
        "monitor_role": setup.monitor_role,
        "kept_for": f"{setup.history.dispatch_days} days",
        "own_jobs": json.dumps({job.name: job.command for job in own_jobs}),
        "destinations": json.dumps(
            {one.role: setup.secrets[one.role] for one in ALERT_SECRETS if one.role in setup.secrets}
        ),
        "pauses": json.dumps({key: job.pause_end for key, job in setup.jobs.items() if not job.active}),
    }
    constants = {name: known[name] for name in constants_of(file) if name in known}
    spec = function(file, constants, setup.owner, setup.names.render)
    # No constant of the file decides this, so that bodies without `allowHttp` stay as they are.
    return _with_private_hosts(spec) if setup.allow_http else spec


def _with_private_hosts(spec: FunctionSpec) -> FunctionSpec:
    """Let a function send to the http URLs that the configuration permits."""
    return spec.model_copy(update={"body": spec.body.replace(LOOPBACK_HOST, PRIVATE_HOST)})


def _tables(setup: SetupSettings) -> tuple[str, ...]:
    """Return the optional tables next to the ledger."""
    log = (DISPATCHES,) if setup.dispatch_log or any(map(is_guarded, setup.jobs.values())) else ()
    return (*log, ALERTS) if setup.alerts else log


def observe_spec(setup: SetupSettings) -> FunctionSpec:
    """Return `observe` for the monitor role, which runs with its owner's rights.

    Its body is the block that commands run as the owner, about the objects of the sync.
    """
    # Late, because these import the database driver, which a program without a monitor role must not load.
    from psycopg import sql

    from bubble_sync.converge.references import pattern_of
    from bubble_sync.database.snapshot import filled, names_of

    spec = _function("observe", setup)
    declared = constants_of("observe")
    secrets = [
        sql.SQL(f"{one.role}_secret") if f"{one.role}_secret" in declared else sql.Literal(setup.secrets[one.role])
        for one in MANAGED_SECRETS
        if one.role in setup.secrets
    ]
    others = [one for group in _sync(setup) for one in group.objects if isinstance(one, Spec)]
    values: dict[str, sql.Composable] = {name: sql.Literal(names) for name, names in names_of((*others, spec)).items()}
    values |= {
        "secrets": sql.SQL("array[{}]").format(sql.SQL(", ").join(secrets)),
        "salt": sql.SQL("observe.salt"),
        "pattern": sql.Literal(pattern_of(setup.secrets[KEY.role])),
        "itself": sql.Literal(""),
    }
    block = filled(reading_block(every_part(), _MASKED), values, setup.names).as_string().replace(_OPTION, "", 1)
    body = spec.body.replace(_PLACE, f"{block};\n")
    return spec.model_copy(update={"body": body, "executors": (setup.monitor_role,)})


def object_names(
    *secrets: str,
    names: NameSettings | None = None,
    alerts: bool = False,
    history: bool = False,
    wake: bool = False,
    observe: bool = False,
) -> tuple[str, ...]:
    """Return the secrets, functions, jobs and triggers of a stack, none of which another owner may hold."""
    setup = SetupSettings(
        owner=Owner(""),
        secrets={},
        names=names or NameSettings(),
        jobs={**default_jobs(), PROCESSOR.key: ProcessorSettings(wake=wake)},
        alerts=AlertSettings() if alerts else None,
        history=HistorySettings(keep_days=1 if history else None),
    )
    objects = [one for group in _sync(setup) for one in group.objects]
    if observe:
        objects.append(_function("observe", setup))
    return (
        *(f"{VaultSecretSpec.kind} {name}" for name in secrets),
        *(one.object_name for one in objects if isinstance(one, FunctionSpec | CronJobSpec | TriggerSpec)),
    )


def settings_text(setup: SetupSettings, values: Mapping[str, str]) -> str:
    """Return what the ledger holds of a stack's settings; `values` are the secrets' by role."""
    return recorded_text(setup, [one for group in groups(setup) for one in group.objects], values)


class DesiredState(tuple[Spec, ...]):
    """Every object of a stack, each after its requirements."""

    roles: Mapping[str, str]
    """The role of each secret by its name in Vault."""


def desired_state(settings: StackSettings, owner: Owner) -> DesiredState:
    """Return every object of a configured stack, with the values of the secrets."""
    setup = SetupSettings.of(settings, owner)
    values = {one.role: one.value_in(settings) or "" for one in MANAGED_SECRETS}
    if isinstance(settings, RecordedSettings):
        known: dict[str, object] = {"own_arguments": settings.own_arguments}
    else:
        known = {"settings": settings_text(setup, values)}
    objects = [
        one.model_copy(update=known) if isinstance(one, LedgerSpec) else one
        for group in groups(setup)
        for one in group.objects
    ]
    state = DesiredState(one if isinstance(one, Spec) else one.spec(values[one.role]) for one in objects)
    state.roles = {name: role for role, name in setup.secrets.items()}
    return state


def names_by_role(specs: Sequence[Spec], *roles: str) -> list[str]:
    """Return the names of a desired state's secrets with these roles."""
    known = specs.roles if isinstance(specs, DesiredState) else {}
    return [name for name, role in known.items() if role in roles]


def key_of(specs: Sequence[Spec]) -> str:
    """Return the name of the key's secret."""
    return next(iter(names_by_role(specs, KEY.role)), "")


def values_to_hide(specs: Sequence[Spec]) -> list[str]:
    """Return values to hide in every text: all secrets except the project URL."""
    shown = names_by_role(specs, URL.role)
    return [one.value for one in specs if isinstance(one, VaultSecretSpec) and one.name not in shown]
