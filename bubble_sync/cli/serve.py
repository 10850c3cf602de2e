"""`bubble-sync serve`: the report as a live page for the browser of this machine."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from bubble_sync.cli.exit_codes import TERMINATED
from bubble_sync.cli.on_call import open_either
from bubble_sync.cli.options import ConfigFile, DatabaseUrlEnv, StackName, duration
from bubble_sync.cli.output import StackContext, print_text, progress
from bubble_sync.cli.reader import Reader
from bubble_sync.cli.report import SinceOption
from bubble_sync.cli.trace import read_trace
from bubble_sync.errors import NotFound, SyncError, Unreachable
from bubble_sync.formatting import format_age

if TYPE_CHECKING:
    from bubble_sync.cli.page_server import PageReply
    from bubble_sync.cli.render.report_page import Served
    from bubble_sync.health.report import Report
    from bubble_sync.health.trace import Trace

DEFAULT_PORT = 8460
EVERY_SECONDS = 10.0
"""Seconds between two readings while a page is open."""
_FRESH_WITHIN_SECONDS = 3.0
"""How long a page waits for a new reading before it shows the last one."""

Port = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0 for a free one that the system chooses.")
]


def serve(
    port: Port = DEFAULT_PORT,
    since: SinceOption = "24h",
    stack: StackName = None,
    config_file: ConfigFile = None,
    database_url_env: DatabaseUrlEnv = None,
) -> None:
    """Serve the report as a live, read-only page on this machine until Ctrl-C."""
    from bubble_sync.cli.page_server import PageServer

    span = duration("--since", since, "1m", "30d")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        with open_either(stack, config_file, database_url_env) as context:
            pages = LivePages(context, span)
            pages.require()
            with PageServer(port, pages) as server:
                print_text(server.address)
                progress("Ctrl-C ends it. Every user of this machine can open the page.")
                server.serve_forever()
    except KeyboardInterrupt:
        pass


class LivePages:
    """The pages of a stack, from one reading of the database at a time."""

    def __init__(self, context: StackContext, span: timedelta, every: float = EVERY_SECONDS) -> None:
        """Begin to read."""
        self._context, self._span, self._every = context, span, every
        self._wanted = Event()
        self._reader = Reader(self._read, context.database.close, every, self._wanted)
        self._items: dict[str, tuple[datetime, Trace]] = {}
        self._reader.start()
        self._reader.looked.wait()

    def require(self) -> None:
        """Replace a reader whose server is silent; raise the error that ended it or prevented its first reading."""
        self._reader.require()
        self._reader = self._reader.renewed()

    def report(self) -> PageReply:
        """Return the report: a new one when the last is old, or the last one with the reason."""
        from bubble_sync.cli.render.report_page import page

        reader = self._reader
        if reader.age_seconds > self._every:
            reader.looked.clear()
            self._wanted.set()
            reader.looked.wait(_FRESH_WITHIN_SECONDS)
        report = reader.latest
        if report is None:
            return self._message(503, "No data yet", reader.trouble_in_words)
        return 200, page(report, self._served(reader.read_at, reader.age_seconds))

    def item(self, wanted: str) -> PageReply:
        """Return the steps of an item."""
        from bubble_sync.cli.render.item_page import item_page
        from bubble_sync.cli.render.report_page import Served

        try:
            read_at, found = self._trace(wanted)
        except NotFound as problem:
            return self._message(404, "Not found", str(problem))
        except SyncError as problem:
            return self._message(503, "No answer", str(problem))
        age = (datetime.now(UTC) - read_at).total_seconds()
        # No outage: the database has just answered, also when it refuses the report.
        return 200, item_page(self._context.name, Served(self._every, read_at, age), found)

    def id_of(self, wanted: str) -> str | None:
        """Return the id of the item that a search means, or None when the database does not have one."""
        try:
            return self._trace(wanted)[1].id
        except SyncError:
            return None

    def absent(self) -> PageReply:
        """Return the page for an address without a page."""
        return self._message(404, "Not found", "There are two pages: the report at /, and an item at /items/ID.")

    def _read(self) -> Iterator[Report]:
        from bubble_sync.health import report as question

        context = self._context
        yield question.report(context.database, context.settings, context.name, context.project_ref, self._span)

    def _trace(self, wanted: str) -> tuple[datetime, Trace]:
        """Read an item, or return what another page has just read."""
        with self._alone():
            now = datetime.now(UTC)
            fresh = timedelta(seconds=self._every / 2)
            self._items = {one: known for one, known in self._items.items() if now - known[0] < fresh}
            if wanted not in self._items:
                self._items[wanted] = now, read_trace(self._context, wanted)
            return self._items[wanted]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait for the current reading to end, but not for a server that does not answer."""
        reader = self._reader
        if not reader.reading.acquire(timeout=_FRESH_WITHIN_SECONDS):
            raise Unreachable(
                f"the database has not answered an earlier reading for {format_age(reader.silent_seconds)}: "
                "this page tries again by itself"
            )
        try:
            yield
        except Unreachable as problem:
            reader.note(problem)
            raise
        finally:
            reader.reading.release()
        # The report may still be refused.
        if isinstance(reader.trouble, Unreachable):
            reader.note(None)

    def _served(self, read_at: datetime | None = None, age: float = 0.0) -> Served:
        from bubble_sync.cli.render.report_page import Served

        reader = self._reader
        return Served(self._every, read_at, age, reader.trouble_in_words, reader.outage_since)

    def _message(self, status: int, title: str, text: str) -> PageReply:
        from bubble_sync.cli.render.item_page import message_page
        from bubble_sync.cli.render.report_page import Served

        reading = Served(self._every) if status == 404 else self._served()
        return status, message_page(self._context.name, reading, title, text)
