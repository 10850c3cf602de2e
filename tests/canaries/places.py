"""Where canaries are looked for, and the one list of places that may hold some, each with its reason."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

STATE = "state"
HISTORY = "history"
BACKUPS = "backups"
BACKEND = "other files of the backend"
CONFIGURATION = "configuration file"
PLAN = "plan files"
OUTPUT = "stdout, stderr: Pulumi"
VERBOSE = "stdout, stderr: Pulumi -v 9"
CLI_LOGS = "log files: Pulumi -v 9"
TRACES = "trace files: Pulumi --tracing"
EVENTS = "files: Pulumi --event-log"
HOME = "PULUMI_HOME and TMPDIR"
VIOLATED = "stderr: a violated plan"
COMMANDS = "stdout, stderr: bubble-sync"
CMDLINE = "/proc/*/cmdline, another user"
ENVIRON = "/proc/*/environ, another user"
SERVER_LOG = "server log"
STATEMENTS = "pg_stat_statements"
ACTIVITY = "pg_stat_activity"
JOBS = "cron.job"
RUNS = "cron.job_run_details"
MESSAGES = "messages of a job's command"
SERVICES = "logs of worker and endpoint"
PLATFORM = "files of the platform"
QUEUE = "net.http_request_queue"
QUEUE_FILES = "files of net.http_request_queue"
HEAP = "heap and other data files"
WAL = "WAL"

PLACES = (
    STATE, HISTORY, BACKUPS, BACKEND, CONFIGURATION, PLAN, OUTPUT, VERBOSE, CLI_LOGS, TRACES, EVENTS, HOME, VIOLATED,
    COMMANDS, CMDLINE, ENVIRON, SERVER_LOG, STATEMENTS, ACTIVITY, JOBS, RUNS, MESSAGES, SERVICES, PLATFORM, QUEUE,
    QUEUE_FILES, HEAP, WAL,
)  # fmt: skip

#: The canaries, by name. Those set by hand are never a value of the configuration.
KEY, ROTATED, PASSWORD, MONITOR, KEY_BY_HAND, URL_BY_HAND = (
    "key", "rotated key", "database password", "monitor role's password", "key set by hand", "URL set by hand",
)  # fmt: skip
WEBHOOK, HEARTBEAT, PAGER_DUTY, OPSGENIE = OF_ALERTS = (
    "alerts' webhook", "heartbeat's URL", "PagerDuty's routing key", "Opsgenie's API key",
)  # fmt: skip
OURS = (KEY, ROTATED, PASSWORD, MONITOR, KEY_BY_HAND, URL_BY_HAND, *OF_ALERTS)
CONTROL = "control"


@dataclass(frozen=True)
class Allowance:
    """Why some canaries may be in a place; every other one may not."""

    canaries: frozenset[str]
    reason: str


_BEFORE_FORMATTING = "engine (CLI 3.250): its log is masked before the values are put in; keep it secret"
#: The one list. A test fails where an entry is not needed any more.
ALLOWED = {
    QUEUE: Allowance(
        frozenset({KEY, ROTATED, *OF_ALERTS}),
        "pg_net's own table: URL, headers and body until the worker takes the request",
    ),
    QUEUE_FILES: Allowance(
        frozenset({KEY, ROTATED, *OF_ALERTS}),
        "dead rows of that table, until vacuum; unlogged: never in WAL",
    ),
    VIOLATED: Allowance(
        frozenset({KEY, ROTATED}), "engine: prints the plan's secrets; masked are today's configuration values alone"
    ),
    VERBOSE: Allowance(frozenset({KEY, ROTATED, PASSWORD}), _BEFORE_FORMATTING),
    CLI_LOGS: Allowance(frozenset({KEY, ROTATED, PASSWORD}), _BEFORE_FORMATTING),
    TRACES: Allowance(
        frozenset({KEY, ROTATED, PASSWORD}), "engine: a trace holds every request between its parts as it is"
    ),
    PLATFORM: Allowance(
        frozenset({KEY, ROTATED, PASSWORD}), "addresses.json and environment: how the platform's owner gets in; 0600"
    ),
}


@dataclass(frozen=True)
class Canary:
    """A secret value, known by a mark that nothing else holds."""

    name: str
    value: str
    mark: str

    @cached_property
    def pattern(self) -> re.Pattern[bytes]:
        """Find the mark as it is, half of it, as hex, or within a longer text as base64."""
        needles = []
        for first, second in ((self.mark[:16], self.mark[16:]), (_hex(self.mark[:16]), _hex(self.mark[16:]))):
            needles += [f"{first}(?:{second})?", second]
        for alignment in range(3):
            # What stands before and after shares its first and last characters with neighbours.
            encoded = base64.b64encode(b"\0" * alignment + self.mark.encode()).decode()
            needles.append(encoded[4 if alignment else 0 : 40])
        return re.compile("|".join(needles).encode())


def _hex(text: str) -> str:
    return text.encode().hex()


def canary(name: str, form: str = "canary-{mark}") -> Canary:
    """Make a canary; `form` says how the value looks around its mark."""
    mark = secrets.token_hex(16)
    return Canary(name, form.format(mark=mark), mark)


@dataclass
class Place:
    """What was searched in one place, and which canaries were there."""

    searched: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    #: A few words around the first hits, with their source: a canary is a throw-away and may be shown.
    excerpts: list[str] = field(default_factory=list)


@dataclass
class Search:
    """Looks through whatever is handed to it at once, each text once a place."""

    canaries: tuple[Canary, ...]
    places: dict[str, Place] = field(default_factory=lambda: {name: Place() for name in PLACES})
    _seen: set[tuple[str, bytes]] = field(default_factory=set, repr=False)

    def look(self, place: str, content: bytes | str, source: str = "") -> None:
        """Search one text."""
        text = content.encode("utf-8", "replace") if isinstance(content, str) else content
        seen = (place, hashlib.sha256(text).digest())
        if seen in self._seen:
            return
        self._seen.add(seen)
        found = self.places[place]
        found.searched += len(text)
        for one in self.canaries:
            for hit in one.pattern.finditer(text):
                found.hits[one.name] += 1
                if len(found.excerpts) < 8:
                    around = text[max(0, hit.start() - 300) : hit.end() + 60]
                    found.excerpts.append(f"{one.name} in {source or place}: {around!r}")

    def hits(self, place: str, names: Iterable[str]) -> int:
        """Count the hits of the named canaries in a place."""
        return sum(self.places[place].hits[name] for name in names)

    def forbidden(self, place: str) -> dict[str, int]:
        """Return the canaries that are in a place and may not be there."""
        may = {CONTROL, *(ALLOWED[place].canaries if place in ALLOWED else ())}
        return {name: count for name, count in self.places[place].hits.items() if name not in may}


def table(search: Search) -> list[str]:
    """Return the lines of the table: what was searched, what was found, and whether it may be there."""
    rows = [("place", "searched bytes", "hits", "controls", "allowed")]
    for place in PLACES:
        hits, planted = search.hits(place, OURS), search.hits(place, [CONTROL])
        found = ", ".join(name for name in OURS if search.places[place].hits[name])
        verdict = "NO" if search.forbidden(place) else ALLOWED[place].reason if hits else ""
        row = (place, f"{search.places[place].searched:,}", str(hits), str(planted or ""))
        rows.append((*row, f"{found}: {verdict}" if hits else ""))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}  {row[4]}".rstrip()
        for row in rows
    ]
