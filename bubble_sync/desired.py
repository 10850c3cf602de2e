"""What a stack wants: settings -> the spec of every object, in the order in which they are made.

The program declares the same: what it does not compute from settings it takes from here.
"""

from __future__ import annotations

from collections.abc import Sequence

from bubble_sync.functions import function_specs
from bubble_sync.settings import ProcessorSettings, RetrySettings, StackSettings
from bubble_sync.specs import (
    CronJobSpec,
    ExtensionSpec,
    Keeper,
    LedgerSpec,
    PrerequisitesSpec,
    Spec,
    VaultSecretSpec,
)

EXTENSIONS = ("pg_cron", "pg_net", "supabase_vault")
# The descriptions that people know from the guide.
URL_DESCRIPTION = "Supabase project URL for pg_net calls"
KEY_DESCRIPTION = "Service role key for Edge Function authentication"


def job_specs(processor: ProcessorSettings, retry: RetrySettings, keeper: Keeper) -> tuple[CronJobSpec, CronJobSpec]:
    """Return both jobs; their commands have no semicolon, which Studio's editor would mangle."""
    return (
        CronJobSpec(
            name="bubble-sync-processor",
            schedule=processor.schedule,
            command="SELECT invoke_bubble_sync_processor()",
            active=processor.active,
            stack=keeper.stack,
            project_ref=keeper.project_ref,
        ),
        CronJobSpec(
            name="bubble-sync-retry",
            schedule=retry.schedule,
            command="SELECT invoke_bubble_sync_retry()",
            active=retry.active,
            stack=keeper.stack,
            project_ref=keeper.project_ref,
        ),
    )


def desired(settings: StackSettings, keeper: Keeper) -> Sequence[Spec]:
    """Return every object of a stack: each comes after what it needs."""
    stack, ref = keeper.stack, keeper.project_ref
    names = settings.supabase_url_name, settings.service_role_key_name
    values = zip(names, (settings.url, settings.service_role_key), (URL_DESCRIPTION, KEY_DESCRIPTION), strict=True)
    return (
        PrerequisitesSpec(),
        LedgerSpec(stack=stack, project_ref=ref),
        *(ExtensionSpec(name=name, stack=stack, project_ref=ref) for name in EXTENSIONS),
        *(
            VaultSecretSpec(name=name, value=value, description=description, stack=stack, project_ref=ref)
            for name, value, description in values
        ),
        *function_specs(settings.processor, settings.retry, *names, keeper),
        *job_specs(settings.processor, settings.retry, keeper),
    )
