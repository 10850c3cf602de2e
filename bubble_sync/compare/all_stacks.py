"""Check one stack, or all stacks of a project, for drift; a failure concerns its own stack alone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from bubble_sync.compare.drift import DriftReport, StackStatus, drift, read_drift
from bubble_sync.config.stacks import Stack
from bubble_sync.converge import ledger
from bubble_sync.database.database import Database
from bubble_sync.errors import ConfigurationError, SyncError, Unreachable
from bubble_sync.model.secrets import configuration_keys
from bubble_sync.model.setup import desired_state
from bubble_sync.specs import Owner

AT_ONCE = 8
_CHANGED_BY_HAND = (
    "If it was changed in the database: set bubble-sync:monitorPassword to a new value, and run `pulumi up` as "
    "the owner."
)


def check_stack(stack: Stack) -> DriftReport:
    """Compare one converged stack with its database; raises no error that an operator can fix."""
    try:
        report = _check_stack(stack)
        return replace(report, next=stack.completed(report.next))
    except ConfigurationError as problem:
        return DriftReport(stack.name, StackStatus.CONFIGURATION, cause=stack.completed(str(problem)))
    except SyncError as problem:
        return DriftReport(stack.name, StackStatus.UNREACHABLE, cause=stack.completed(str(problem)))


def check_all_stacks(stacks: Sequence[Stack]) -> list[DriftReport]:
    """Check every stack in parallel; results keep the given order."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(check_stack, stacks))


def _check_stack(stack: Stack) -> DriftReport:
    settings = stack.settings()
    specs = desired_state(settings, Owner(stack.name, settings.project(stack.environment) or ""))
    address = settings.address(stack.environment)
    database = Database(address)
    try:
        snapshot, liveness = database.read("reading the stack", lambda conn: read_drift(conn, specs))
    except Unreachable as problem:
        if address.user != settings.access.monitor_role or "password" not in str(problem):
            raise
        # pulumi-postgresql does not detect the change, and repeating the known value is no change.
        raise Unreachable(f"{problem} {_CHANGED_BY_HAND}", problem.retry) from None
    finally:
        database.close()
    ledger.require_configured(ledger.rows(snapshot))
    return drift(
        stack.name,
        specs,
        snapshot,
        liveness,
        arguments=shlex.join(stack.options),
        secret_keys=configuration_keys(settings),
        adopt=settings.adopt != "never",
    )
