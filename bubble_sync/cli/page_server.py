"""A small HTTP server for the browser of this machine: it reads only, and answers requests that name it alone."""

from __future__ import annotations

import errno
import sys
from contextlib import suppress
from contextvars import copy_context
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Protocol
from urllib.parse import parse_qs, quote, unquote

from bubble_sync.cli.render.html import policy
from bubble_sync.errors import ConfigurationError

_LOOPBACK = "127.0.0.1"
PageReply = tuple[int, str]
"""Status and body."""
_LONGEST_SEARCH = 320
"""The longest email address."""
_SAFE = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"{policy(served=True)}; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Pages(Protocol):
    """The pages that a server has."""

    def require(self) -> None:
        """Raise the error that ends the server."""

    def report(self) -> PageReply:
        """Return the report."""

    def item(self, wanted: str) -> PageReply:
        """Return the page of an item."""

    def id_of(self, wanted: str) -> str | None:
        """Return the id of the item that a search means."""

    def absent(self) -> PageReply:
        """Return the page for an address without a page."""


class PageServer(ThreadingMixIn, TCPServer):
    """The server; TCPServer, since HTTPServer asks the name service for its own name."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 32

    def __init__(self, port: int, pages: Pages) -> None:
        """Listen on the port; 0 for a free one.

        Raises:
            ConfigurationError: The port is in use, or not for this user.
        """
        self.pages = pages
        self._bug: BaseException | None = None
        # A thread begins without the context that knows the stack of a command.
        self._context = copy_context()
        try:
            super().__init__((_LOOPBACK, port), _Handler)
        except OSError as problem:
            busy = problem.errno == errno.EADDRINUSE
            why = "in use" if busy else f"not available ({problem.strerror})"
            raise ConfigurationError(
                f"port {port} of {_LOOPBACK} is {why}: name another with --port, or let the system choose a free one "
                "with --port 0"
            ) from None
        self.port = int(self.server_address[1])

    @property
    def address(self) -> str:
        """Return the address of the page."""
        return f"http://{_LOOPBACK}:{self.port}/"

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return the names under which a browser may ask: any other is a page's that points its own name here."""
        names = (_LOOPBACK, "localhost")
        return tuple(f"{name}:{self.port}" for name in names) + (names if self.port == 80 else ())

    def service_actions(self) -> None:
        """End the server when its reader has ended, or when a request met a bug."""
        if self._bug is not None:
            raise self._bug
        self.pages.require()

    def process_request_thread(self, request: object, client_address: object) -> None:
        """Answer a request in a copy of the command's context."""
        self._context.copy().run(super().process_request_thread, request, client_address)  # type: ignore[arg-type]

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a broken connection; keep a bug for the main thread, which reports it."""
        problem = sys.exception()
        if not isinstance(problem, OSError):
            self._bug = problem


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: PageServer
    timeout = 10

    def do_GET(self) -> None:
        """Answer with a page."""
        if refusal := self._refusal():
            self._send(*refusal, kind="text/plain")
            return
        path, _, search = self.path.partition("?")
        pages = self.server.pages
        if path == "/":
            self._send(*pages.report())
        elif path == "/items":
            self._search(parse_qs(search).get("q", [""])[0].strip()[:_LONGEST_SEARCH])
        elif path.startswith("/items/") and (wanted := unquote(path.removeprefix("/items/")).strip()):
            self._send(*pages.item(wanted[:_LONGEST_SEARCH]))
        else:
            self._send(*pages.absent())

    do_HEAD = do_GET

    def _search(self, wanted: str) -> None:
        """Send the browser to the item, so that no email stays in the address."""
        if not wanted:
            self._send(303, "", Location="/")
        elif found := self.server.pages.id_of(wanted):
            self._send(303, "", Location=f"/items/{quote(found, safe='')}")
        else:
            self._send(*self.server.pages.item(wanted))

    def _refusal(self) -> PageReply | None:
        """Return why the request is refused: its Host, or a page of another origin behind it."""
        if ", ".join(self.headers.get_all("Host", [])) not in self.server.hosts:
            return 421, f"This server answers to {self.server.address} only.\n"
        # A person may follow a link to the page; another page may not load it.
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") and (
            self.headers.get("Sec-Fetch-Mode") != "navigate" or self.headers.get("Sec-Fetch-Dest") != "document"
        ):
            return 403, "Pages of other origins may not load this one.\n"
        return None

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a request that is no GET or HEAD, or that cannot be read."""
        if code == 501:
            self._send(405, "This server only reads: GET and HEAD.\n", kind="text/plain", Allow="GET, HEAD")
        else:
            self._send(code, "The request cannot be read.\n", kind="text/plain")

    def _send(self, status: int, body: str, *, kind: str = "text/html", **headers: str) -> None:
        content = body.encode()
        self.send_response(status)
        for name, value in {**_SAFE, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            with suppress(ConnectionError):
                self.wfile.write(content)

    def version_string(self) -> str:
        """Name the program without its versions."""
        return "bubble-sync"

    def log_message(self, format: str, *args: object) -> None:
        """Keep addresses with ids and emails out of the terminal."""
