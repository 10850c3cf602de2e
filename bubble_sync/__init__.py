"""The Supabase queue -> pg_cron -> pg_net -> Edge Function sync, converged and explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bubble_sync.components import SyncSetup, SyncSetupArgs, read_stack

    __version__: str

__all__ = ["SyncSetup", "SyncSetupArgs", "__version__", "read_stack"]


def __getattr__(name: str) -> object:
    """Import a public name on first use: the command line must not wait for Pulumi."""
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("bubble-sync")
        except PackageNotFoundError:
            # A program runs from a checkout whose environment has the dependencies alone.
            return "0+unknown"
    if name in __all__:
        from bubble_sync import components

        return getattr(components, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
