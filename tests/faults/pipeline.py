"""A pipeline of its own platform: sign-ups that never give up, faults of each part, and a clock that a test moves."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from bubble_sync.config.settings import StackSettings
from bubble_sync.errors import PlatformError, SyncError
from bubble_sync.health.doctor import Finding
from bubble_sync.local.edge_function.behaviour import Behaviour
from bubble_sync.local.platform import Platform
from bubble_sync.local.processes import Emulator, end_process
from tests.fixtures.breaking import diagnose, set_up, working
from tests.fixtures.site import Site, knows_seconds

#: Real pg_cron, which starts both jobs each second.
CRON = {"max_connections": "100"}
TICKS = ("select public.invoke_bubble_sync_processor()", "select public.invoke_bubble_sync_retry()")
#: The job of docs/guides/claim.md, at a quicker pace.
STALLED = "select cron.schedule('sync-queue-stalled', '{}', 'select public.sync_queue_requeue_stalled()')"
TIMEOUT_MS = 5000
PATIENCE_SECONDS = 240.0
#: True on a busy machine at any time, with an interval of one second.
BUSY = frozenset({"run_longer_than_interval"})
#: True at any time of a stack without the guard.
UNGUARDED = BUSY | {"requests_overlap"}
_POLL_SECONDS = 0.3
#: Every completion of an item is a row, also of one that was complete.
LOG = """
    create schema audit;
    create table audit.completions (item uuid not null);
    create function audit.note() returns trigger language plpgsql security definer as
    $$ begin insert into audit.completions values (new.id); return null; end $$;
    create trigger note after update of status on public.sync_queue for each row when (new.status = 'completed')
    execute function audit.note();
"""
_OPEN = """
    select count(*) as open from public.sync_queue
    where status in ('pending', 'processing') or (status = 'failed' and retry_count < max_retries)
"""
_TWICE = "select count(*) as twice from (select from audit.completions group by item having count(*) > 1) as again"
_SIGN_UP = """
    insert into public.sync_queue (table_name, record_id, operation, idempotency_key)
    values ('user', %(key)s, %(operation)s, %(key)s)
    on conflict (idempotency_key) do nothing
"""
#: Columns that hold a time, by table: the clock goes on when they go back.
_TIMES: Mapping[str, tuple[str, ...]] = {
    "bubble_sync.dispatches": ("sent_at", "settled_at"),
    "net._http_response": ("created",),
    "cron.job_run_details": ("start_time", "end_time"),
    "public.sync_queue": ("created_at", "processed_at", "next_retry_at"),
}
#: What is under way for seconds does not age by minutes: the newest run of a job, and a request that no crash has lost.
_NOT_UNDER_WAY: Mapping[str, str] = {
    "bubble_sync.dispatches": """settled_at is not null or not exists (
        select from net.http_request_queue where id = request_id
        union all select from net._http_response where id = request_id
    )""",
    "net._http_response": """not exists (
        select from bubble_sync.dispatches where request_id = id and settled_at is null
    )""",
    "cron.job_run_details": "runid not in (select max(runid) from cron.job_run_details group by jobid)",
}


@dataclass(frozen=True)
class Fault:
    """What goes wrong in a round, and what the doctor says while it lasts."""

    act: Callable[[Pipeline], AbstractContextManager[object]]
    named: tuple[str, ...] = ()
    """Ids of findings: the first must come first; the others may come with it, or before it is known. None where the
    fault heals by itself."""
    minutes: float = 0
    """Time that passes again and again until the finding is known, or the fault is over. Items grow old at once, also
    those whose first request is still under way."""
    stuck: tuple[str, ...] = ()
    """Tables in which also the rows under way grow old."""
    dies: bool = False
    """Items run out of attempts, and wait for a hand."""


@dataclass
class Pipeline:
    """A platform with everything that `up` makes, and a count of what was signed up."""

    platform: Platform
    site: Site
    settings: StackSettings
    base: Behaviour
    allowed: frozenset[str] = BUSY
    """Findings that are true of the settings at any time."""
    by_hand: bool = False
    """The test runs the jobs' commands, in place of pg_cron."""
    sleeps: threading.Event = field(default_factory=threading.Event)
    visitors: threading.Thread | None = None
    signed_up: int = 0
    requeued: int = 0
    worst: dict[str, float] = field(default_factory=dict)

    def prepare(self) -> None:
        """Install everything, with a log of completions."""
        set_up(self.site, self.settings)
        self.site.by_hand(LOG)
        if self.base.claims:
            self.platform.claim_items()
            each = "5 seconds" if knows_seconds(self.site) else "* * * * *"
            self.site.by_hand("set role postgres", STALLED.format(each))
        self.behave()

    def behave(self, **faults: object) -> None:
        self.platform.behave(self.base.model_copy(update=faults))

    def restart(self) -> None:
        """Start again what was killed, as the supervisors of a hosted project do."""
        self.platform.start(CRON)

    def pid(self, part: str) -> int:
        (pid,) = (one.pid for one in self.platform.status().parts if one.name == part)
        assert pid is not None
        return pid

    def count(self, statement: str) -> int:
        return int(next(iter(self.site.by_hand(statement)[0].values())))

    def tick(self) -> None:
        if self.by_hand:
            for command in TICKS:
                with suppress(psycopg.Error):
                    self.site.by_hand("set role postgres", command)

    def until(self, condition: Callable[[], object], what: str, each: Callable[[], object] = lambda: None) -> float:
        """Look again and again until the condition holds; return the seconds."""
        began, looks = time.monotonic(), 0
        while time.monotonic() < began + PATIENCE_SECONDS:
            self.tick()
            with suppress(psycopg.Error):
                if condition():
                    return time.monotonic() - began
                looks += 1
                if looks % 5 == 0:
                    each()
            self.sleeps.wait(_POLL_SECONDS)
        raise AssertionError(f"{what}: not in {PATIENCE_SECONDS:.0f} s: {self.state()}")

    def state(self) -> str:
        """Return what a failed test shows."""
        queue = "select status, retry_count, count(*) from public.sync_queue group by 1, 2 order by 1, 2"
        sent = (
            "select function, verdict, status_code, error, sent_at from bubble_sync.dispatches order by 1 desc limit 5"
        )
        return f"{self.causes()} {[tuple(row.values()) for one in (queue, sent) for row in self.site.by_hand(one)]}"

    def findings(self) -> tuple[Finding, ...]:
        return tuple(one for one in diagnose(self.site, self.settings).causes if one.level != "info")

    def causes(self) -> list[str]:
        """Return the ids of the doctor's causes in its order, or the kind of error that keeps it from asking."""
        try:
            return list(dict.fromkeys(one.id for one in self.findings()))
        except SyncError as error:
            return [type(error).__name__]

    def pass_time(self, minutes: float, *stuck: str) -> None:
        """Let minutes pass for every row that has a time, but for those under way in a table that is not stuck."""
        tables = dict(_TIMES)
        if self.base.claims:
            tables["public.sync_queue"] += ("claimed_until",)
        # One statement: a request and its answer move together.
        updates = [
            f"t{number} as (update {table} set "
            + ", ".join(f"{one} = {one} - interval '{minutes} minutes'" for one in columns)
            + f" where {'true' if table in stuck else _NOT_UNDER_WAY.get(table, 'true')})"
            for number, (table, columns) in enumerate(tables.items())
        ]
        self.site.by_hand(f"with {', '.join(updates)} select")

    @contextmanager
    def signing_up(self, count: int) -> Iterator[None]:
        """Sign people up while the block runs; at its end each one has succeeded."""
        self.visitors = thread = threading.Thread(target=self._sign_up, args=(count,))
        thread.start()
        try:
            yield
        finally:
            thread.join()

    def _sign_up(self, count: int) -> None:
        for _ in range(count):
            number = self.signed_up + 1
            while True:
                with suppress(psycopg.Error, PlatformError):
                    self._sign_up_one(number)
                    break
                self.sleeps.wait(_POLL_SECONDS)
            self.signed_up = number
            self.sleeps.wait(0.02)

    def _sign_up_one(self, number: int) -> None:
        if number % 10 == 0:
            # As the application does: three records, whose Bubble ids the Edge Function fills.
            try:
                self.platform.sign_up(f"{number}@example.test")
            except PlatformError as error:
                if "before" not in str(error):
                    raise
            return
        values = {"key": f"r{number}", "operation": ("INSERT", "UPDATE")[number % 2]}
        with psycopg.connect(self.site.addresses.database_url, autocommit=True, connect_timeout=5) as conn:
            conn.execute(_SIGN_UP, values)

    def drained(self) -> bool:
        """Return whether all people have signed up, and no item is left to any job."""
        return not (self.visitors and self.visitors.is_alive()) and self.count(_OPEN) == 0

    def healthy(self) -> bool:
        return self.allowed.issuperset(self.causes())

    def twice(self) -> int:
        return self.count(_TWICE)

    def lost(self) -> int:
        """Count the people whose item is neither completed nor named as out of attempts."""
        return self.signed_up - self.count("select count(*) from public.sync_queue") + self.count(_OPEN)

    def note(self, name: str, seconds: float) -> None:
        self.worst[name] = max(self.worst.get(name, 0), seconds)


@contextmanager
def behaving(pipeline: Pipeline, **faults: object) -> Iterator[None]:
    pipeline.behave(**faults)
    try:
        yield
    finally:
        pipeline.behave()


def answering(**faults: object) -> Callable[[Pipeline], AbstractContextManager[None]]:
    """Return an Edge Function's fault."""
    return lambda pipeline: behaving(pipeline, **faults)


def killed(part: str, order: signal.Signals = signal.SIGKILL) -> Callable[[Pipeline], AbstractContextManager[None]]:
    """Return the end of one part, until its supervisor starts it again."""

    @contextmanager
    def act(pipeline: Pipeline) -> Iterator[None]:
        end_process(pipeline.pid(part), order, 60)
        try:
            yield
        finally:
            pipeline.restart()

    return act


def hanging(part: str) -> Callable[[Pipeline], AbstractContextManager[None]]:
    """Return the stop of one part, which then goes on where it was."""

    @contextmanager
    def act(pipeline: Pipeline) -> Iterator[None]:
        with stopped(pipeline.pid(part)):
            yield

    return act


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def killed_at_work(pipeline: Pipeline) -> Iterator[None]:
    """Kill the Edge Function while it has items, and again what its supervisor starts."""
    pipeline.behave(work_seconds=0.5)
    at_work = "public.sync_queue where status = 'processing'" if pipeline.base.claims else "net.http_request_queue"
    pipeline.until(lambda: pipeline.count(f"select count(*) from {at_work}"), "a request is under way")
    with killed("edge_function")(pipeline):
        pipeline.behave()
        yield


_LAUNCHER = "select pid from pg_stat_activity where backend_type ~ '^pg_cron'"


@contextmanager
def scheduler_hanging(pipeline: Pipeline) -> Iterator[None]:
    with stopped(pipeline.count(_LAUNCHER)):
        yield


@contextmanager
def scheduler_ended(pipeline: Pipeline) -> Iterator[None]:
    """End the scheduler, which the server starts again, three times."""
    for _ in range(3):
        pipeline.until(lambda: pipeline.site.by_hand(_LAUNCHER), "the scheduler is back")
        pipeline.site.by_hand(f"select pg_terminate_backend(({_LAUNCHER}), 5000)")
    yield


@contextmanager
def server_crashing(pipeline: Pipeline) -> Iterator[None]:
    """Kill one session: the server ends all others, and recovers by itself."""
    with psycopg.connect(pipeline.site.addresses.admin_url) as conn:
        os.kill(conn.info.backend_pid, signal.SIGKILL)
        pipeline.until(lambda: pipeline.site.by_hand("select 1"), "the server has recovered")
    yield


def raw(answer: bytes, *, reset: bool = False) -> Callable[[Pipeline], AbstractContextManager[None]]:
    """Return an endpoint that answers bytes which are no HTTP, or cuts the connection."""

    @contextmanager
    def act(pipeline: Pipeline) -> Iterator[None]:
        pipeline.platform.edge_function.stop()
        with socket.create_server(("127.0.0.1", pipeline.site.addresses.endpoint_port)) as listener:
            listener.settimeout(0.1)
            done = threading.Event()
            thread = threading.Thread(target=_answer_all, args=(listener, answer, reset, done))
            thread.start()
            try:
                yield
            finally:
                done.set()
                thread.join()
                listener.close()
                pipeline.restart()

    return act


def _answer_all(listener: socket.socket, answer: bytes, reset: bool, done: threading.Event) -> None:
    while not done.is_set():
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(5)
                connection.recv(65536)
                connection.sendall(answer)
                if reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


_GARBAGE = random.Random(18).randbytes(4096)
_LARGE = b'{"success": true, "claimed": true, "processed": 0, "pad": "' + b"x" * 1_000_000 + b'"}'
_SILENT = ("request_answered_with_nothing",)
_PAGE = ("request_answered_by_other",)
_UNREACHABLE = ("endpoint_unreachable",)
_REQUESTS = ("bubble_sync.dispatches", "net._http_response")
FAULTS: Mapping[str, Fault] = {
    "server killed": Fault(killed("postgres"), ("Unreachable",)),
    "server shut down": Fault(killed("postgres", signal.SIGINT), ("Unreachable",)),
    "server crashes": Fault(server_crashing, minutes=8),
    "pg_net worker killed": Fault(killed("net_worker"), ("net_worker_down",)),
    "pg_net worker hangs": Fault(hanging("net_worker"), ("request_unanswered",), minutes=4, stuck=_REQUESTS),
    "scheduler ended": Fault(scheduler_ended),
    "scheduler hangs": Fault(
        scheduler_hanging, ("job_silent", "request_unanswered"), minutes=3, stuck=(*_REQUESTS, "cron.job_run_details")
    ),
    "endpoint killed": Fault(killed("edge_function"), _UNREACHABLE),
    "endpoint killed at work": Fault(killed_at_work, _UNREACHABLE),
    "endpoint hangs": Fault(hanging("edge_function"), ("request_timed_out",)),
    "endpoint slow": Fault(answering(hang_seconds=TIMEOUT_MS / 1000 + 1), ("request_timed_out",)),
    "401": Fault(answering(own_keys=False), ("request_unauthorized",)),
    "403": Fault(answering(status=403), ("request_forbidden",)),
    "404": Fault(answering(deployed=False), ("request_not_found",)),
    "429": Fault(answering(status=429), ("request_rejected",)),
    "500": Fault(answering(status=500), ("endpoint_failing",)),
    "204": Fault(answering(status=204, body=b""), _SILENT, minutes=3),
    "202, and it works": Fault(answering(silent=True)),
    "redirect": Fault(answering(redirect=True), _PAGE),
    "HTML": Fault(answering(body=b"<html><body>Sign in</body></html>"), _PAGE),
    "1 MB": Fault(answering(body=_LARGE), ("request_nothing_processed",)),
    "NUL bytes": Fault(answering(body=b"\0" * 64 + b'{"success": true}'), _SILENT, minutes=3),
    "garbage": Fault(answering(body=_GARBAGE), _PAGE),
    "garbage in place of HTTP": Fault(raw(_GARBAGE), _UNREACHABLE),
    "half an answer": Fault(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), _UNREACHABLE),
    "connection cut": Fault(raw(b"", reset=True), _UNREACHABLE),
    "items fail": Fault(
        answering(fail_with="Bubble refused"), ("items_exhausted", "request_partial"), minutes=8, dies=True
    ),
}  # fmt: skip


def naive(folder: Path) -> Emulator:
    """Return an Edge Function that reads pending items, and marks them later."""
    return Emulator("edge_function", folder, "tests.faults.naive_function")


def settings_of(site: Site, **processor: object) -> StackSettings:
    """Return a stack whose two jobs run each second, where pg_cron has seconds."""
    job = {"schedule": "1 seconds" if knows_seconds(site) else "* * * * *", "timeoutMs": TIMEOUT_MS}
    return working(
        projectRef=None,
        supabaseUrl=site.addresses.endpoint_url,
        serviceRoleKey=site.addresses.secret_key,
        history=json.dumps({"keepDays": 7}),
        processor=json.dumps({**job, "maxItems": 20, "batchSize": 20, **processor}),
        retry=json.dumps(job),
    )
