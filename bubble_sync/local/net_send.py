"""One HTTP request of the pg_net stand-in, and its answer in the shape of pg_net's response table."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from dataclasses import dataclass

import httpx

#: What curl says, which is what people know from pg_net's error_msg. The first class that fits is taken.
CURL_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (httpx.TooManyRedirects, "Number of redirects hit maximum amount"),
    (httpx.UnsupportedProtocol, "Unsupported protocol"),
    (httpx.InvalidURL, "URL using bad/illegal format or missing URL"),
    (httpx.ConnectError, "Couldn't connect to server"),
    (httpx.ReadError, "Failure when receiving data from the peer"),
    (httpx.WriteError, "Failed sending data to the peer"),
    (httpx.LocalProtocolError, "A libcurl function was given a bad argument"),
    (ValueError, "URL using bad/illegal format or missing URL"),
    (ExceptionGroup, "URL using bad/illegal format or missing URL"),
)


@dataclass(frozen=True)
class Request:
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
    """Return a client that adds nothing of its own, takes no proxy from outside and keeps no connection."""
    client = httpx.AsyncClient(
        follow_redirects=True,
        timeout=httpx.Timeout(None),  # the whole request is bounded in send()
        trust_env=False,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
    )
    for name in ("accept-encoding", "connection"):
        del client.headers[name]
    return client


async def send(client: httpx.AsyncClient, request: Request, agent: str) -> Response:
    """Send one request and return its answer, or what went wrong."""
    began = time.monotonic()
    bound = request.timeout_milliseconds
    try:
        # As in curl, zero means without end.
        async with asyncio.timeout(bound / 1000 if bound > 0 else None):
            return _answered(request.id, await client.send(_outgoing(client, request, agent)))
    except TimeoutError:
        spent = (time.monotonic() - began) * 1000
        text = f"Timeout of {bound} ms reached. Total time: {spent:.3f} ms"
        return Response(request.id, timed_out=True, error_msg=text)
    # A row that no client can send (a host name without an encoding, port 99999) must not end the worker, which would
    # find it again at its next start: these come as ValueError, or in a group from below httpx.
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, ExceptionGroup) as problem:
        return Response(request.id, error_msg=_curl_words(problem))


def _outgoing(client: httpx.AsyncClient, request: Request, agent: str) -> httpx.Request:
    headers = [(b"User-Agent", agent.encode())]
    headers += [(name.encode(), value.encode()) for name, value in request.headers or ()]
    return client.build_request(request.method.upper(), request.url, headers=headers, content=request.body)


def _answered(request_id: int, response: httpx.Response) -> Response:
    # Names as the server wrote them; of two equal ones the last stays.
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in response.headers.raw}
    content = response.content.decode("utf-8", "replace").split("\0", 1)[0]
    return Response(
        request_id,
        status_code=response.status_code,
        content_type=response.headers.get("content-type"),
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
    if isinstance(problem, httpx.RemoteProtocolError):
        silent = "without sending a response" in str(problem)
        return "Server returned nothing (no headers, no data)" if silent else "Weird server reply"
    words = (text for kind, text in CURL_WORDS if isinstance(problem, kind))
    return next(words, "Failure when receiving data from the peer")
