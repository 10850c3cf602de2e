"""One HTTP request of the pg_net emulator, and its answer in the shape of pg_net's response table."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

BAD_URL = "URL using bad/illegal format or missing URL"
#: curl's texts, as in pg_net's error_msg. The first matching class counts.
CURL_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (httpx.TooManyRedirects, "Number of redirects hit maximum amount"),
    (httpx.UnsupportedProtocol, "Unsupported protocol"),
    (httpx.InvalidURL, BAD_URL),
    (httpx.ConnectError, "Couldn't connect to server"),
    (httpx.ReadError, "Failure when receiving data from the peer"),
    (httpx.WriteError, "Failed sending data to the peer"),
    (httpx.LocalProtocolError, "A libcurl function was given a bad argument"),
    (ValueError, BAD_URL),
    (ExceptionGroup, BAD_URL),
)
#: curl's texts for an answer that is not HTTP, by parts of our client's error.
PROTOCOL_WORDS = (
    ("without sending a response", "Server returned nothing (no headers, no data)"),
    ("without sending complete", "Transferred a partial file"),
    ("illegal status line", "Unsupported protocol"),
    ("illegal chunk", "Failure when receiving data from the peer"),
)
#: Above this size curl sends `Expect: 100-continue`.
ASKS_FIRST = 1024 * 1024
MOST_REDIRECTS = 30


@dataclass(frozen=True)
class QueuedRequest:
    """A row of the queue."""

    id: int
    method: str
    url: str
    headers: list[list[str]] | None
    body: bytes | None
    timeout_milliseconds: int


@dataclass(frozen=True)
class Response:
    """A row of the responses, without the time that the database gives it."""

    id: int
    status_code: int | None = None
    content_type: str | None = None
    headers: str | None = None
    content: str | None = None
    timed_out: bool = False
    error_msg: str | None = None


def http_client() -> httpx.AsyncClient:
    """Return a client that adds no header, uses no proxy and keeps no connection."""
    client = httpx.AsyncClient(
        timeout=httpx.Timeout(None),  # the whole request is bounded in send()
        trust_env=False,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
    )
    for name in ("accept-encoding", "connection"):
        del client.headers[name]
    return client


async def send(client: httpx.AsyncClient, request: QueuedRequest, agent: str) -> Response:
    """Send one request and return its answer, or what went wrong."""
    began = time.monotonic()
    bound = request.timeout_milliseconds
    try:
        # As in curl, zero means without end.
        async with asyncio.timeout(bound / 1000 if bound > 0 else None):
            return await _exchange(client, request, agent)
    except TimeoutError:
        spent = (time.monotonic() - began) * 1000
        text = f"Timeout of {bound} ms reached. Total time: {spent:.3f} ms"
        return Response(request.id, timed_out=True, error_msg=text)
    # A row that no client can send (a host name without an encoding, port 99999) must not end the worker: its next
    # start would find the same row. Such errors are ValueErrors, or a group from below httpx.
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, ExceptionGroup) as problem:
        return Response(request.id, error_msg=_curl_words(problem))


async def _exchange(client: httpx.AsyncClient, request: QueuedRequest, agent: str) -> Response:
    """Send a request, and follow redirects as curl does for pg_net.

    A POST becomes a GET on 301, 302 and 303, a DELETE stays one. `Authorization` goes to the same host and port only;
    `apikey`, and every other header, goes wherever the endpoint says.
    """
    outgoing = _outgoing(client, request, agent)
    method = outgoing.method
    first = response = await client.send(outgoing)
    for _ in range(MOST_REDIRECTS):
        if response.next_request is None:
            return _answered(request.id, first, response)
        if method == "DELETE":
            response.next_request.method = method
        response = await client.send(response.next_request)
    raise httpx.TooManyRedirects("")


def _outgoing(client: httpx.AsyncClient, request: QueuedRequest, agent: str) -> httpx.Request:
    # curl adds a missing scheme, and refuses characters that our client would encode.
    url = request.url if "://" in request.url else f"http://{request.url}"
    if re.search(r"[\x00-\x20]|^[^:]*:///", url):
        raise httpx.InvalidURL(BAD_URL)
    headers = list(_header_lines(request))
    names = {name.lower() for name, _ in headers}
    method = request.method.upper()
    if "content-type" not in names and (request.body is not None or method == "POST"):
        headers.append(("Content-Type", "application/x-www-form-urlencoded"))
    if len(request.body or b"") > ASKS_FIRST and "expect" not in names:
        headers.append(("Expect", "100-continue"))
    headers.append(("User-Agent", agent))
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    return client.build_request(method, url, headers=encoded, content=request.body)


def _header_lines(request: QueuedRequest) -> Iterator[tuple[str, str]]:
    """Yield the headers as sent: without a filter, so a line break in a value begins another header."""
    for name, value in request.headers or ():
        for line in f"{name}: {value}".splitlines():
            key, _, content = line.partition(":")
            # curl leaves out a header without a value.
            if content.strip():
                yield key, content.strip()


def _answered(request_id: int, first: httpx.Response, last: httpx.Response) -> Response:
    # pg_net keeps the headers of the first response, also of a redirect; all else is the last response's.
    # Names stay as the server wrote them; the last of two equal ones counts.
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in first.headers.raw}
    content = last.content.decode("utf-8", "replace").split("\0", 1)[0]
    return Response(
        request_id,
        status_code=last.status_code,
        content_type=next(iter(last.headers.get_list("content-type")), None),
        headers=json.dumps(headers),
        content=content or None,
    )


def _causes(problem: BaseException | None) -> list[BaseException]:
    found = []
    while problem is not None:
        found.append(problem)
        problem = problem.__cause__ or problem.__context__
    return found


def _curl_words(problem: Exception) -> str:
    causes = _causes(problem)
    if any(isinstance(each, socket.gaierror) for each in causes):
        return "Couldn't resolve host name"
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in causes):
        return "SSL peer certificate or SSH remote key was not OK"
    if any(isinstance(each, ssl.SSLError) for each in causes):
        return "SSL connect error"
    if isinstance(problem, httpx.RemoteProtocolError):
        return next((words for sign, words in PROTOCOL_WORDS if sign in str(problem)), "Weird server reply")
    # Our client refuses the host name before curl's failing DNS query.
    if isinstance(problem, UnicodeError) or "IDNA" in str(problem):
        return "Couldn't resolve host name"
    words = (text for kind, text in CURL_WORDS if isinstance(problem, kind))
    return next(words, "Failure when receiving data from the peer")
