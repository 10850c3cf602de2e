"""Find problems of the sync with their remedies: every check of `sql/checks/`, run as the connecting role.

A check that cannot run is unknown, with the reason; a finding names the findings that explain it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import psycopg
from psycopg import errors

from bubble_sync.config.keys import masked, read_key
from bubble_sync.config.project_ref import ref_of_url
from bubble_sync.config.settings import StackSettings
from bubble_sync.database.connection import names_of_stack
from bubble_sync.database.database import Connection, attempt, holders_of_lock, savepoint
from bubble_sync.health.check_inputs import CHECK_INPUTS, parameters
from bubble_sync.model.setup import desired_state
from bubble_sync.records import visibility
from bubble_sync.records.messages import readable
from bubble_sync.records.visibility import Visibility, in_one_read
from bubble_sync.specs import Owner
from bubble_sync.sql_loader import Check, checks

_STAGES = (
    "server", "privilege", "extension", "ledger", "cron", "job", "wake", "runid", "function", "queue", "secret", "runs",
    "run", "net", "endpoint", "request", "response",
)  # fmt: skip
"""Prefixes of check ids, in the order of an item's path."""


def stage_of(check: str) -> int:
    """Return the position of a check on an item's path: general failures first, single items last."""
    stops = check in next(one.follows for one in checks() if one.id == "items_waiting")
    word = check.split("_")[0]
    stage = _STAGES.index(word) if word in _STAGES else len(_STAGES)
    return stage if stops else len(_STAGES) + 1 + stage


Level = Literal["error", "warning", "info"]
LEVELS: tuple[Level, ...] = ("error", "warning", "info")
"""Levels, worst first."""
_PARAMETER = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True)
class Finding:
    """One problem: object, evidence and remedy."""

    id: str
    title: str
    level: Level
    object: str
    evidence: str
    remedy: str
    follows: tuple[str, ...] = ()
    """Ids of findings that explain this one."""


@dataclass(frozen=True)
class Diagnosis:
    """The findings; a check that could not run is under `unknown` with the reason."""

    stack: str
    asked_at: datetime
    findings: tuple[Finding, ...]
    unknown: Mapping[str, str]
    checked: int

    @property
    def causes(self) -> tuple[Finding, ...]:
        """Return the findings without a cause of their own."""
        return tuple(finding for finding in self.findings if not finding.follows)

    @property
    def clean(self) -> bool:
        """Return whether every check ran and found nothing to fix."""
        return not self.unknown and all(finding.level == "info" for finding in self.findings)


def examine(conn: Connection, visible: Visibility, settings: StackSettings, stack: str) -> Diagnosis:
    """Run every check on an open connection."""
    visibility.require_configured_program(conn, visible, settings)
    context = CheckContext(conn, settings, stack, visible.asked_at)
    asked = [check for check in checks() if context.concerns(check)]
    findings: list[Finding] = []
    unknown: dict[str, str] = {}
    for check in asked:
        answer = run_check(conn, check, visible, context)
        if isinstance(answer, str):
            unknown[check.id] = answer
        else:
            findings += answer
    return Diagnosis(stack, visible.asked_at, explained(findings), unknown, len(asked))


doctor = in_one_read("examining the sync")(examine)


def run_check(conn: Connection, check: Check, visible: Visibility, context: CheckContext) -> str | list[Finding]:
    """Return a check's findings, or why the check cannot run."""
    if extension := visible.without(*check.needs):
        return f"{extension} is not installed"
    if why := visible.why_unreadable(*check.needs):
        return why
    try:
        rows = attempt(conn, check.text, context.of(check.text))
    except errors.InsufficientPrivilege:
        return "the connecting role may not read its tables"
    except (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction, errors.InvalidSchemaName):
        return "a table, column or function that it reads is not there"
    except errors.LockNotAvailable as error:
        return holders_of_lock(conn, error) or "another session holds a lock that it needs"
    except psycopg.DatabaseError as error:
        if conn.closed or error.sqlstate is None:
            raise
        return f"the server gave up on it with SQLSTATE {error.sqlstate}"
    return [
        Finding(
            check.id,
            names_of_stack(conn).render(check.title),
            row["level"],
            readable(row["object"]),
            readable(row["evidence"]),
            masked(row["remedy"]),
        )
        for row in rows
    ]


def explained(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Link findings to their causes; sort causes first, errors before the rest.

    A cause has at least the level of its consequences, so that the causes alone show every error.
    """
    explaining = {check.id: check.follows for check in checks()}
    causes = [
        [place for place, cause in enumerate(findings) if cause.id in explaining[one.id] and _explains(cause, one)]
        for one in findings
    ]
    levels = [one.level for one in findings]
    # Causes have causes: the number of findings bounds the longest chain.
    for _ in findings:
        for follower, places in enumerate(causes):
            for place in places:
                levels[place] = min(levels[place], levels[follower], key=LEVELS.index)
    marked = []
    for one, places, level in zip(findings, causes, levels, strict=True):
        named = {findings[place].id for place in places}
        marked.append(replace(one, level=level, follows=tuple(id for id in explaining[one.id] if id in named)))
    order = {level: place for place, level in enumerate(LEVELS)}
    return tuple(sorted(marked, key=lambda one: (bool(one.follows), order[one.level], stage_of(one.id), one.id)))


def _explains(cause: Finding, finding: Finding) -> bool:
    """Return whether `cause` fired for this object, or for an object of another kind."""
    # A notice breaks nothing, so a notice explains only other notices.
    if cause.level == "info" and finding.level != "info":
        return False
    return cause.object == finding.object or cause.object.split()[0] != finding.object.split()[0]


class CheckContext:
    """Inputs of the checks: configuration at once, readings on first use."""

    def __init__(self, conn: Connection, settings: StackSettings, stack: str, now: datetime) -> None:
        """Read the configuration."""
        self._conn = conn
        ref = settings.project_ref or ref_of_url(settings.url) or read_key(settings.service_role_key).project_ref or ""
        self._known = parameters(settings, stack, ref, now)
        self._specs = desired_state(settings, Owner(stack, ref))
        self._failed: dict[str, psycopg.DatabaseError] = {}

    def concerns(self, check: Check) -> bool:
        """Return whether a check's subject is configured."""
        return not check.only or bool(self._known[check.only])

    def of(self, text: str) -> Mapping[str, object]:
        """Return the values of a check's parameters; raises psycopg's errors."""
        for name in set(_PARAMETER.findall(text)).difference(self._known):
            if name in self._failed:
                # Cache errors too: a second attempt would wait for the lock timeout again.
                raise self._failed[name]
            try:
                with savepoint(self._conn):
                    self._known[name] = json.dumps(CHECK_INPUTS[name](self._conn, self._specs), default=str)
            except psycopg.DatabaseError as error:
                self._failed[name] = error
                raise
        return self._known
