"""An HTTP endpoint that answers as its path says, byte for byte, and keeps every request that came.

`/status/404`, `/empty`, `/large`, `/silent`, `/reset`, `/garbage`, `/twice`, `/hold/<name>`, `/half/<name>`,
`/to/302?<absolute URL>`, `/hops/<n>`; everything else is 200 with a short text.
"""

from __future__ import annotations

import queue
import socket
import socketserver
import ssl
import struct
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

PATIENCE = 20.0
#: How long "it does not come" is waited for.
SILENCE = 0.6


@dataclass(frozen=True)
class Received:
    """One request as it came in."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    at: str

    def sent(self) -> dict[str, str]:
        """The headers by lower-case name, two of one name joined by a plus, without the one that differs each run."""
        found: dict[str, str] = {}
        for name, value in self.headers:
            if (key := name.lower()) != "host":
                found[key] = f"{found[key]} + {value}" if key in found else value
        return found


class Endpoint(socketserver.ThreadingTCPServer):
    """Serves one loopback address; requests are taken one after the other with `next`."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 1024

    def __init__(self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.requests: queue.Queue[Received] = queue.Queue()
        self.released = threading.Event()
        super().__init__((host, port), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def get_request(self) -> tuple[socket.socket, Any]:
        accepted, address = super().get_request()
        return (self._tls.wrap_socket(accepted, server_side=True) if self._tls else accepted), address

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://{self.server_address[0]}:{self.server_address[1]}"

    def next(self, patience: float = PATIENCE) -> Received:
        """Wait for a request; one that never comes fails the probe."""
        return self.requests.get(timeout=patience)

    def nothing_comes(self, patience: float = SILENCE) -> bool:
        """Say whether no request comes in the given seconds."""
        try:
            self.requests.get(timeout=patience)
        except queue.Empty:
            return True
        return False

    def forget(self) -> None:
        """Let every held request go, and drop what came."""
        self.released.set()
        self.released = threading.Event()
        while not self.requests.empty():
            self.requests.get_nowait()

    def end(self) -> None:
        self.released.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


def _answer(status: str, body: bytes = b"answer", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


FIXED = {
    "empty": _answer("200 OK", b""),
    "nothing": b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    "large": _answer("200 OK", b"x" * 1_000_000),
    "json": _answer("200 OK", b'{"a": "\xc5\xbe"}', "Content-Type: application/json; charset=utf-8"),
    "bytes": _answer("200 OK", b"ab\xff\xfe"),
    "zero": _answer("200 OK", b"ab\0cd"),
    "twice": _answer("200 OK", b"answer", "X-Two: first", "X-Two: second"),
    "types": _answer("200 OK", b"answer", "Content-Type: text/first", "Content-Type: text/second"),
    "bare": b"HTTP/1.1 200 OK\r\n\r\nanswer",
    "short": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nanswer",
    "garbage": b"this is no HTTP\r\n\r\n",
    "old": b"HTTP/1.0 200 OK\r\n\r\nanswer",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nans\r\n3\r\nwer\r\n0\r\n\r\n",
    "brokenchunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nanswer\r\n",
}


class _Handler(socketserver.StreamRequestHandler):
    server: Endpoint

    def handle(self) -> None:
        received = self._read()
        if received is None:
            return
        # What a held request waits for is that of the moment it came in.
        released = self.server.released
        self.server.requests.put(received)
        try:
            self._respond(received, released)
        except (BrokenPipeError, ConnectionResetError):
            return

    def _read(self) -> Received | None:
        if self.rfile.peek(1)[:1] == b"\x16":
            # Somebody speaks TLS to us.
            self.wfile.write(_answer("400 Bad Request"))
            return None
        first = self.rfile.readline().decode("latin-1").split()
        if len(first) < 2:
            return None
        headers = []
        while (line := self.rfile.readline().decode("utf-8").rstrip("\r\n")) != "":
            name, _, value = line.partition(":")
            headers.append((name, value.strip()))
        length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
        return Received(first[0], first[1], headers, self.rfile.read(length), self.server.url)

    def _respond(self, received: Received, released: threading.Event) -> None:
        path, _, query = received.target.partition("?")
        name, _, rest = path.lstrip("/").partition("/")
        if name == "silent":
            return
        if name == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        if name == "half":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            self.wfile.flush()
        if name in ("hold", "half"):
            released.wait(PATIENCE)
        self.wfile.write(self._bytes(name, rest, query))

    def _bytes(self, name: str, rest: str, query: str) -> bytes:
        if name in FIXED:
            return FIXED[name]
        if name == "status":
            return _answer(f"{rest} Said")
        if name == "to":
            return _answer(f"{rest} Elsewhere", b"moved", f"Location: {unquote(query)}", "X-Which: first")
        if name == "hops" and rest != "0":
            return _answer("302 Elsewhere", b"", f"Location: /hops/{int(rest) - 1}")
        return _answer("200 OK", b"answer", "Content-Type: text/plain", "X-Which: last")
