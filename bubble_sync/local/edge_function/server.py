"""The Edge Function's emulator: an HTTP server that checks the key and drains the queue."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg
from pydantic import ValidationError

from bubble_sync.local.addresses import Addresses
from bubble_sync.local.edge_function.behaviour import Behaviour
from bubble_sync.local.edge_function.keys import authorise
from bubble_sync.local.edge_function.queue import CLAIMS, STATUS, Call, count_by_status, drain
from bubble_sync.local.postgres.cluster import LOOPBACK
from bubble_sync.local.processes import report_ready

PATH = "/functions/v1/bubble_sync"
REQUEST_LOG = "edge_function.jsonl"
LARGEST_BODY = 1_000_000

LOGIN = "/login"
LOGIN_PAGE = b"<!doctype html>\n<html><head><title>Log in</title></head><body>Who are you?</body></html>\n"

Reply = tuple[int, Mapping[str, object] | bytes]
NOT_DEPLOYED: Reply = (404, {"code": "NOT_FOUND", "message": "Requested function was not found"})


def _refused(status: int, reason: str) -> Reply:
    return status, {"success": False, "error": reason}


class EdgeFunction(ThreadingHTTPServer):
    """The server and the state shared by its requests."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, addresses: Addresses) -> None:
        """Listen on the endpoint's port."""
        super().__init__((LOOPBACK, addresses.endpoint_port), Handler)
        self.addresses = addresses
        self._writing = threading.Lock()
        self._never = threading.Event()

    def answer(self, body: bytes, behaviour: Behaviour, facts: dict[str, object]) -> Reply:
        """Perform the action of an authorised request."""
        self._never.wait(behaviour.hang_seconds)
        if behaviour.redirect:
            return 302, b""
        if behaviour.body is not None:
            return behaviour.status or 200, behaviour.body
        if behaviour.status is not None:
            return behaviour.status, {"success": behaviour.status < 400, "error": "configured to answer this status"}
        try:
            call = Call.model_validate_json(body)
        except ValidationError:
            return _refused(400, "the body is not {action, payload: {limit, batch_size}}")
        facts["action"] = call.action
        if call.action not in (*CLAIMS, STATUS):
            return _refused(400, f"unknown action; known are {', '.join((*CLAIMS, STATUS))}")
        try:
            done = self._work(call, behaviour, facts)
            return (202, b"") if behaviour.silent else (200, {"success": True, "data": done})
        except psycopg.Error as problem:
            return _refused(500, f"the database refused (SQLSTATE {problem.sqlstate})")

    def _work(self, call: Call, behaviour: Behaviour, facts: dict[str, object]) -> Mapping[str, object]:
        """Do a known action and return the data of its answer."""
        address = self.addresses.socket_url("authenticator")
        if call.action == STATUS:
            return count_by_status(address)
        statuses = drain(address, call, behaviour)
        facts["items"] = list(statuses)
        counts = {"success": 0, "failed": 0}
        for status in statuses.values():
            counts["success" if status == "completed" else "failed"] += 1
        items = [{"id": item, "status": status} for item, status in statuses.items()]
        return {"claimed": True, "processed": len(items), **counts, "items": items}

    def record(self, facts: Mapping[str, object]) -> None:
        """Add one line to the request log."""
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **facts})
        with self._writing, (self.addresses.folder / REQUEST_LOG).open("a", encoding="utf-8") as log:
            log.write(line + "\n")


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: EdgeFunction
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer a call."""
        addresses = self.server.addresses
        behaviour = Behaviour.load(addresses.folder)
        verdict = authorise(self.headers, (addresses.service_role_key, addresses.secret_key), behaviour)
        facts: dict[str, object] = {
            "method": self.command,
            "path": self.path.partition("?")[0],
            "action": None,
            "key_kind": verdict.key_kind,
            "key": verdict.key,
            "items": [],
        }
        body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), LARGEST_BODY))
        if self.path.partition("?")[0] != PATH or not behaviour.deployed:
            status, answer = NOT_DEPLOYED
        elif verdict.refusal:
            status, answer = 401, verdict.refusal
        else:
            status, answer = self.server.answer(body, behaviour, facts)
        self.server.record({**facts, "status": status})
        with suppress(ConnectionError):
            self._reply(status, answer)

    def do_GET(self) -> None:
        """Serve the target of the redirect; refuse everything else."""
        path = self.path.partition("?")[0]
        status, answer = (200, LOGIN_PAGE) if path == LOGIN else _refused(405, "POST only")
        self.server.record({"method": self.command, "path": path, "status": status})
        with suppress(ConnectionError):
            self._reply(status, answer)

    def _reply(self, status: int, answer: Mapping[str, object] | bytes) -> None:
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if content.startswith(b"<") else "application/json")
        if status == 302:
            self.send_header("Location", LOGIN)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Silence the server's own log: the request log has everything."""


def serve_function(folder: Path) -> None:
    """Answer until SIGTERM."""
    addresses = Addresses.require(folder)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with EdgeFunction(addresses) as server:
        report_ready()
        server.serve_forever()


if __name__ == "__main__":
    serve_function(Path(sys.argv[1]))
