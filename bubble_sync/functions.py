"""The functions of one stack: which files of `sql/functions`, with which of its numbers."""

from __future__ import annotations

from bubble_sync.settings import ProcessorSettings, RetrySettings
from bubble_sync.specs import FunctionSpec, Keeper
from bubble_sync.statements import function


def function_specs(
    processor: ProcessorSettings, retry: RetrySettings, url_name: str, key_name: str, keeper: Keeper
) -> tuple[FunctionSpec, FunctionSpec, FunctionSpec]:
    """Return `send`, the processor and the retry, in the order in which they must be made."""
    names: dict[str, int | str] = {"url_secret": url_name, "key_secret": key_name}
    sizes = {"max_items": processor.max_items, "batch_size": processor.batch_size}
    return (
        function("send", {}, keeper),
        function("invoke_bubble_sync_processor", {**names, **sizes, "timeout_ms": processor.timeout_ms}, keeper),
        function("invoke_bubble_sync_retry", {**names, "timeout_ms": retry.timeout_ms}, keeper),
    )
