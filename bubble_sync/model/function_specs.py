"""Build the specs of a stack's functions from `sql/functions` and the settings."""

from __future__ import annotations

from bubble_sync.config.settings import AlertSettings, ProcessorSettings, RetrySettings
from bubble_sync.config.validators import WEBHOOK_NAME
from bubble_sync.specs import FunctionSpec, Keeper
from bubble_sync.sql_loader import function

PROCESSOR, RETRY = "public.invoke_bubble_sync_processor", "public.invoke_bubble_sync_retry"
"""The functions of the jobs."""
PRIVATE = ("send", "settle", "unanswered", "record")
"""The private functions in the schema `bubble_sync`."""
ALERTS = ("alert_conditions", "alert_rejected", "alert_report", "post_alert")
"""The private functions of the alerts."""


def function_specs(  # one argument for each declared constant's source
    processor: ProcessorSettings,
    retry: RetrySettings,
    url_name: str,
    key_name: str,
    keeper: Keeper,
    *,
    dispatch_log: bool = True,
) -> tuple[FunctionSpec, ...]:
    """Return the private functions, the processor and the retry, in order of creation."""
    names: dict[str, int | str] = {"url_secret": url_name, "key_secret": key_name}
    sizes = {"max_items": processor.max_items, "batch_size": processor.batch_size}
    return (
        *(function(name, {}, keeper) for name in PRIVATE),
        function(_file(PROCESSOR), {**names, **sizes, **_run(processor, dispatch_log)}, keeper),
        function(_file(RETRY), {**names, **_run(retry, dispatch_log)}, keeper),
    )


def command_of(function_name: str) -> str:
    """Return the job command that runs a function.

    The schema is explicit, since the role's search_path could otherwise select another function. There is no semicolon,
    which Studio's editor would mangle.
    """
    return f"SELECT {function_name}()"


def alert_functions(alerts: AlertSettings, keeper: Keeper, *, dispatch_log: bool = True) -> tuple[FunctionSpec, ...]:
    """Return the functions of the alerts, the job's function last."""
    constants: dict[str, int | str] = {
        **alerts.model_dump(),
        "stack_name": keeper.stack,
        "project_ref": keeper.project_ref,
        "dispatch_log": dispatch_log,
        "webhook_secret": WEBHOOK_NAME,
    }
    return *(function(name, {}, keeper) for name in ALERTS), function("alert", constants, keeper)


def _file(function_name: str) -> str:
    return function_name.split(".")[1]


def _run(job: RetrySettings, dispatch_log: bool) -> dict[str, int | str]:
    """Return the constants of both functions; the overlap guard needs the log of at least its own function."""
    return {
        "timeout_ms": job.timeout_ms,
        "dispatch_log": dispatch_log or job.overlap_guard,
        "overlap_guard": job.overlap_guard,
    }
