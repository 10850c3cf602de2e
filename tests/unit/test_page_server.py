"""What the live page's server answers, and to whom."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from bubble_sync.cli.page_server import PageReply, PageServer
from bubble_sync.errors import ConfigurationError


class Few:
    """Pages that note what was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.ended: BaseException | None = None

    def require(self) -> None:
        if self.ended:
            raise self.ended

    def report(self) -> PageReply:
        self.asked.append("/")
        return 200, "<p>report</p>"

    def item(self, wanted: str) -> PageReply:
        self.asked.append(wanted)
        if wanted == "bug":
            raise KeyError(wanted)
        return 404, "<p>no item</p>"

    def id_of(self, wanted: str) -> str | None:
        return "a/b?c" if wanted == "ada@example.com" else None

    def absent(self) -> PageReply:
        return 404, "<p>no page</p>"


@contextmanager
def listening(pages: Few, port: int = 0) -> Iterator[PageServer]:
    with PageServer(port, pages) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)


@pytest.fixture
def pages() -> Few:
    return Few()


@pytest.fixture
def server(pages: Few) -> Iterator[PageServer]:
    with listening(pages) as server:
        yield server


def ask(server: PageServer, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), dict(answer.headers)


def test_a_page_may_load_nothing_be_kept_nowhere_and_stand_in_no_other_page(server: PageServer):
    status, body, headers = ask(server)

    assert (status, body) == (200, "<p>report</p>")
    policy = headers["Content-Security-Policy"]
    for rule in ("default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert rule in policy
    assert "unsafe" not in policy
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Server"] == "bubble-sync"


def test_it_listens_on_this_machine_alone(server: PageServer):
    assert server.server_address[0] == "127.0.0.1"
    assert server.address == f"http://127.0.0.1:{server.port}/"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_browser_of_this_machine_is_answered(server: PageServer, host: str):
    assert ask(server, Host=f"{host}:{server.port}")[0] == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}", "", "127.0.0.1:{port}@evil",
     "[::1]:{port}", "0.0.0.0:{port}", "127.0.0.1:{port}, evil.example"],
)  # fmt: skip
def test_a_name_that_was_pointed_at_this_machine_is_refused(server: PageServer, pages: Few, host: str):
    status, body, _ = ask(server, Host=host.format(port=server.port))

    assert (status, body) == (421, f"This server answers to {server.address} only.\n")
    assert pages.asked == []


@pytest.mark.parametrize("hosts", ["", "Host: 127.0.0.1:{port}\r\nHost: evil.example\r\n"])
def test_no_host_or_two_are_refused(server: PageServer, hosts: str):
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\n{hosts.format(port=server.port)}\r\n".encode())
        assert connection.makefile("rb").readline() == b"HTTP/1.0 421 Misdirected Request\r\n"


@pytest.mark.parametrize(
    ("sender", "status"),
    [
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"}, 403),
        ({"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors", "Sec_Fetch_Dest": "empty"}, 403),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "iframe"}, 403),
        ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}, 200),
        ({"Sec_Fetch_Site": "same-origin", "Sec_Fetch_Mode": "cors", "Sec_Fetch_Dest": "empty"}, 200),
        ({"Sec_Fetch_Site": "none", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}, 200),
    ],
)
def test_another_page_may_link_here_and_no_more(server: PageServer, sender: dict[str, str], status: int):
    assert ask(server, **sender)[0] == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "X"])
def test_whoever_would_write_is_refused(server: PageServer, pages: Few, method: str):
    status, body, headers = ask(server, method=method)

    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert body == "This server only reads: GET and HEAD.\n"
    assert pages.asked == []


def test_head_is_the_head_of_get(server: PageServer):
    status, body, headers = ask(server, method="HEAD")

    assert (status, body, headers["Content-Length"]) == (200, "", "13")


def test_a_search_leads_to_the_item_without_the_email_in_its_address(server: PageServer, pages: Few):
    status, _, headers = ask(server, "/items?q=+ada%40example.com+")
    assert (status, headers["Location"]) == (303, "/items/a%2Fb%3Fc")
    assert ask(server, "/items?q=")[2]["Location"] == "/"
    assert ask(server, "/items")[2]["Location"] == "/"

    assert ask(server, "/items?q=none")[0] == 404
    assert ask(server, "/items/a%2Fb")[0] == 404
    assert pages.asked == ["none", "a/b"]


@pytest.mark.parametrize(
    "path", ["/x", "//evil.example/", "/items/", "/items/%20", "/../", "/favicon.ico", "x://[", "*"]
)
def test_any_other_address_has_no_page(server: PageServer, path: str):
    assert ask(server, path)[:2] == (404, "<p>no page</p>")


@pytest.mark.parametrize("line", [b"\x16\x03\x01\r\n", b"GET /\x00 HTTP/9.9\r\n", b"GET /" + b"a" * 70_000, b""])
def test_a_request_that_is_none_ends_nothing(server: PageServer, line: bytes):
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(line)

    assert ask(server)[0] == 200


def test_a_port_in_use_is_one_error_with_the_remedy(server: PageServer, pages: Few):
    with pytest.raises(ConfigurationError) as refused:
        PageServer(server.port, pages)

    assert str(refused.value) == (
        f"port {server.port} of 127.0.0.1 is in use: name another with --port, or let the system choose a free one "
        "with --port 0"
    )


@pytest.mark.parametrize("how", ["reader", "request"])
def test_a_bug_ends_the_server_and_is_not_lost(pages: Few, how: str):
    with PageServer(0, pages) as server:
        caught: list[BaseException] = []

        def run() -> None:
            try:
                server.serve_forever(0.01)
            except KeyError as bug:
                caught.append(bug)

        thread = threading.Thread(target=run)
        thread.start()
        if how == "reader":
            pages.ended = KeyError("x")
        else:
            with pytest.raises(http.client.RemoteDisconnected):
                ask(server, "/items/bug")
        thread.join(10)

    assert len(caught) == 1
