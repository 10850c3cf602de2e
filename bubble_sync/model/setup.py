"""Build the spec of every object from the settings, in order of creation.

The program declares the same objects with the same helpers.
"""

from __future__ import annotations

from collections.abc import Sequence

from bubble_sync.config.keys import KEY_IN_TEXT
from bubble_sync.config.settings import AlertSettings, ProcessorSettings, RetrySettings, StackSettings
from bubble_sync.config.validators import WEBHOOK_NAME
from bubble_sync.model.function_specs import PROCESSOR, RETRY, alert_functions, command_of, function_specs
from bubble_sync.specs import (
    ALERTS,
    DISPATCHES,
    RETRY_JOB,
    CronJobSpec,
    ExtensionSpec,
    FunctionSpec,
    Keeper,
    LedgerSpec,
    PrerequisitesSpec,
    Spec,
    VaultSecretSpec,
)
from bubble_sync.sql_loader import every_part, function, reading_block

EXTENSIONS = ("pg_cron", "pg_net", "supabase_vault")
# The descriptions in the guide.
URL_DESCRIPTION = "Supabase project URL for pg_net calls"
KEY_DESCRIPTION = "Service role key for Edge Function authentication"
WEBHOOK_DESCRIPTION = "Webhook that bubble-sync posts alerts to"
# In a function, options precede the declarations, so the file already contains this one.
_OPTION = "#variable_conflict use_column\n"
# Jobs and descriptions may contain keys, which row security and Vault would hide from a monitor.
_MASKED = f"return pg_catalog.regexp_replace(answer::text, '{KEY_IN_TEXT}', '[secret]', 'g')::jsonb"
_PLACE = "-- here: the block\n"


def job_specs(processor: ProcessorSettings, retry: RetrySettings, keeper: Keeper) -> tuple[CronJobSpec, CronJobSpec]:
    """Return the processor's and the retry's job."""
    return (
        CronJobSpec(
            name="bubble-sync-processor",
            schedule=processor.schedule,
            command=command_of(PROCESSOR),
            active=processor.active,
            stack=keeper.stack,
            project_ref=keeper.project_ref,
        ),
        CronJobSpec(
            name=RETRY_JOB,
            schedule=retry.schedule,
            command=command_of(RETRY),
            active=retry.active,
            stack=keeper.stack,
            project_ref=keeper.project_ref,
        ),
    )


def alert_job(keeper: Keeper) -> CronJobSpec:
    """Return the job of the alerts."""
    return CronJobSpec(
        name="bubble-sync-alerts",
        schedule="* * * * *",
        command=command_of("bubble_sync.alert"),
        stack=keeper.stack,
        project_ref=keeper.project_ref,
    )


def tables_of(dispatch_log: bool, *jobs: RetrySettings, alerts: bool = False) -> tuple[str, ...]:
    """Return the optional tables: the log, which the overlap guard also needs, and the alerts' table."""
    log = (DISPATCHES,) if dispatch_log or any(job.overlap_guard for job in jobs) else ()
    return (*log, ALERTS) if alerts else log


def observe_spec(
    monitor_role: str, url_name: str, key_name: str, keeper: Keeper, *, alerts: bool = False
) -> FunctionSpec:
    """Return `observe`, the only function that runs with its owner's rights, for the monitor role.

    Its body is the observation block of the commands, for the same objects. Objects of the alerts are included only if
    wanted, since references in a function keep an object on destroy.
    """
    # Imported here: the program needs the database driver only for stacks with a monitor role.
    from psycopg import sql

    from bubble_sync.converge.references import pattern_of
    from bubble_sync.database.snapshot import filled, names_of

    constants: dict[str, int | str] = {"monitor_role": monitor_role, "url_secret": url_name, "key_secret": key_name}
    spec = function("observe", constants, keeper)
    numbers = ProcessorSettings(), RetrySettings()
    others = (
        *(ExtensionSpec(name=name, stack=keeper.stack) for name in EXTENSIONS),
        *function_specs(*numbers, url_name, key_name, keeper),
        *job_specs(*numbers, keeper),
        *((*alert_functions(AlertSettings(), keeper), alert_job(keeper)) if alerts else ()),
    )
    secrets = [sql.SQL("url_secret"), sql.SQL("key_secret"), *([sql.Literal(WEBHOOK_NAME)] if alerts else [])]
    values: dict[str, sql.Composable] = {name: sql.Literal(names) for name, names in names_of((*others, spec)).items()}
    values |= {
        "secrets": sql.SQL("array[{}]").format(sql.SQL(", ").join(secrets)),
        "salt": sql.SQL("observe.salt"),
        "pattern": sql.Literal(pattern_of(key_name)),
        "itself": sql.Literal(""),
    }
    block = filled(reading_block(every_part(), _MASKED), values).as_string().replace(_OPTION, "", 1)
    return spec.model_copy(update={"body": spec.body.replace(_PLACE, f"{block};\n"), "executors": (monitor_role,)})


def object_names(*secrets: str, alerts: bool = False, observe: bool = False) -> tuple[str, ...]:
    """Return the names of the secrets, functions and jobs that must be ours."""
    keeper, numbers = Keeper(""), (ProcessorSettings(), RetrySettings())
    specs = (
        *function_specs(*numbers, "", "", keeper),
        *job_specs(*numbers, keeper),
        *((*alert_functions(AlertSettings(), keeper), alert_job(keeper)) if alerts else ()),
        *((function("observe", {}, keeper),) if observe else ()),
    )
    names = (*secrets, WEBHOOK_NAME) if alerts else secrets
    return *(f"{VaultSecretSpec.kind} {name}" for name in names), *(spec.object_name for spec in specs)


def desired(settings: StackSettings, keeper: Keeper) -> Sequence[Spec]:
    """Return all objects of a stack, each after its dependencies."""
    stack, ref = keeper.stack, keeper.project_ref
    names = settings.supabase_url_name, settings.service_role_key_name
    monitors = [settings.access.monitor_role] if settings.access.monitor_role else []
    webhook = settings.alert_webhook_url
    jobs = settings.processor, settings.retry
    tables = tables_of(settings.dispatch_log, *jobs, alerts=webhook is not None)
    values = zip(names, (settings.url, settings.service_role_key), (URL_DESCRIPTION, KEY_DESCRIPTION), strict=True)
    return (
        PrerequisitesSpec(objects=object_names(*names, alerts=webhook is not None, observe=bool(monitors))),
        LedgerSpec(stack=stack, project_ref=ref, tables=tables, grantees=tuple(monitors)),
        *(ExtensionSpec(name=name, stack=stack, project_ref=ref) for name in EXTENSIONS),
        *(
            VaultSecretSpec(name=name, value=value, description=description, stack=stack, project_ref=ref)
            for name, value, description in values
        ),
        *function_specs(*jobs, *names, keeper, dispatch_log=settings.dispatch_log),
        *job_specs(*jobs, keeper),
        *(_alerts(settings, webhook, keeper) if webhook is not None else ()),
        *(observe_spec(role, *names, keeper, alerts=webhook is not None) for role in monitors),
    )


def _alerts(settings: StackSettings, webhook: str, keeper: Keeper) -> tuple[Spec, ...]:
    return (
        VaultSecretSpec(
            name=WEBHOOK_NAME,
            value=webhook,
            description=WEBHOOK_DESCRIPTION,
            stack=keeper.stack,
            project_ref=keeper.project_ref,
        ),
        *alert_functions(settings.alerts, keeper, dispatch_log=settings.dispatch_log),
        alert_job(keeper),
    )


def key_of(specs: Sequence[Spec]) -> str:
    """Return the name of the key's secret."""
    return next((one.name for one in _secrets(specs) if one.description == KEY_DESCRIPTION), "")


def hidden(specs: Sequence[Spec]) -> list[str]:
    """Return the values to hide in texts: all secrets except the project URL."""
    return [one.value for one in _secrets(specs) if one.description != URL_DESCRIPTION]


def _secrets(specs: Sequence[Spec]) -> list[VaultSecretSpec]:
    return [spec for spec in specs if isinstance(spec, VaultSecretSpec)]
