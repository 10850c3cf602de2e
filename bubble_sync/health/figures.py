"""What checks are told in numbers: how often each job runs, pauses, what guards requests, where the log is."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime

from bubble_sync.config.schedules import interval_of
from bubble_sync.config.settings import StackSettings
from bubble_sync.model.pauses import paused
from bubble_sync.model.setup import job_specs
from bubble_sync.records.messages import function_log
from bubble_sync.specs import Keeper


def figures(settings: StackSettings, project_ref: str, now: datetime) -> dict[str, object]:
    """Give how often each job runs, pauses, guards of requests, the function's log."""
    jobs = (settings.processor, settings.retry)
    specs = job_specs(*jobs, Keeper(""))
    return {
        "times": json.dumps(
            [
                {
                    "name": spec.name,
                    "every": interval_of(spec.schedule, now),
                }
                for spec in specs
            ],
            default=str,
        ),
        "pauses": json.dumps(
            [{"name": name, **asdict(pause)} for name, pause in paused(settings, now).items()], default=str
        ),
        "guarded": [spec.name.replace("-", "_") for spec, job in zip(specs, jobs, strict=True) if job.overlap_guard],
        "function_log": function_log(project_ref) or "Edge Functions -> bubble_sync -> Logs in the dashboard",
    }
