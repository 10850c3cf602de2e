"""What checks are told of a stack's configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping

from bubble_sync.config.keys import read_key
from bubble_sync.config.settings import StackSettings
from bubble_sync.model.setup import EXTENSIONS, job_specs
from bubble_sync.model.targets import LIMIT_SECONDS
from bubble_sync.specs import Keeper


def parameters(settings: StackSettings, stack: str, project_ref: str) -> Mapping[str, object]:
    """Give what checks are told of the configuration: names and numbers, never a secret."""
    jobs = job_specs(settings.processor, settings.retry, Keeper(stack))
    return {
        "stack": stack,
        "project_ref": project_ref,
        "url": settings.url,
        "url_secret": settings.supabase_url_name,
        "key_secret": settings.service_role_key_name,
        "legacy_key": read_key(settings.service_role_key).kind == "legacy JWT",
        "timeout_ms": settings.processor.timeout_ms,
        "max_items": settings.processor.max_items,
        "batch_size": settings.processor.batch_size,
        "dispatch_log": settings.dispatch_log,
        "limit_seconds": LIMIT_SECONDS,
        "extensions": list(EXTENSIONS),
        "jobs": json.dumps(
            [{"name": job.name, "schedule": job.schedule, "command": job.command, "active": job.active} for job in jobs]
        ),
    }
