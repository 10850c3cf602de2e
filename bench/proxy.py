"""A TCP proxy in front of PostgreSQL that counts connections and round trips."""

from __future__ import annotations

import selectors
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class CountingProxy(socketserver.ThreadingTCPServer):
    """A round trip is a burst from the client that the server answers, however many messages it holds."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, server_port: int) -> None:
        """Stand in front of a server on this machine."""
        self.server_port = server_port
        self.connections = 0
        self.round_trips = 0
        self.counting = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Forward)

    def url(self, database_url: str) -> str:
        """Return the URL with the proxy in the server's place."""
        return database_url.replace(f":{self.server_port}/", f":{self.server_address[1]}/")

    def counts(self) -> tuple[int, int]:
        """Return connections and round trips so far."""
        with self.counting:
            return self.connections, self.round_trips


class _Forward(socketserver.BaseRequestHandler):
    server: CountingProxy
    request: socket.socket

    def handle(self) -> None:
        server = self.server
        with server.counting:
            server.connections += 1
        with (
            socket.create_connection(("127.0.0.1", server.server_port)) as upstream,
            selectors.DefaultSelector() as selector,
        ):
            for end in (self.request, upstream):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(end, selectors.EVENT_READ)
            asked = False
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                for source, target in ((self.request, upstream), (upstream, self.request)):
                    if source not in ready:
                        continue
                    try:
                        data = source.recv(65536)
                    except ConnectionError:
                        return
                    if not data:
                        return
                    if source is upstream and asked:
                        with server.counting:
                            server.round_trips += 1
                    asked = source is self.request
                    target.sendall(data)


@contextmanager
def counting_proxy(server_port: int) -> Iterator[CountingProxy]:
    """Run a proxy in front of a server."""
    with CountingProxy(server_port) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()
