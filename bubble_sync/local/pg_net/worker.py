"""The worker of the pg_net emulator: one process that sends committed requests.

One transaction a batch, as pg_net >= 0.18: queue rows stay visible while their requests are under way, answers appear
when the slowest has ended, and a batch whose session ends is sent again.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

import httpx
import psycopg
from psycopg import errors
from psycopg.rows import class_row

from bubble_sync.local.addresses import Addresses
from bubble_sync.local.pg_net.send import QueuedRequest, Response, http_client, send
from bubble_sync.local.processes import report_ready
from bubble_sync.local.scripts import script

#: net._worker_pid() looks for this advisory lock.
LOCK = (1885822830, 1)
#: Seconds: pg_net's pause between two batches, and the server's before it starts a background worker again.
BATCH_PAUSE = RESTART_PAUSE = 1.0

WorkerConnection = psycopg.AsyncConnection[tuple[object, ...]]


async def _send_all(
    connection: WorkerConnection, client: httpx.AsyncClient, requests: list[QueuedRequest], agent: str
) -> list[Response]:
    """Send a batch in parallel; give up at once when the database session ends."""
    loop = asyncio.get_running_loop()
    lost: asyncio.Future[list[Response]] = loop.create_future()

    def listen() -> None:
        try:
            connection.pgconn.consume_input()
        except psycopg.OperationalError as problem:
            loop.remove_reader(socket)
            if not lost.done():
                lost.set_exception(problem)

    socket = connection.fileno()
    loop.add_reader(socket, listen)
    sending = asyncio.gather(*(send(client, request, agent) for request in requests))
    try:
        await asyncio.wait({sending, lost}, return_when=asyncio.FIRST_COMPLETED)
        return sending.result() if sending.done() else lost.result()
    finally:
        loop.remove_reader(socket)
        sending.cancel()
        lost.cancel()
        with suppress(asyncio.CancelledError):
            await sending


async def _batch(connection: WorkerConnection, client: httpx.AsyncClient) -> bool:
    """Send one batch and return whether to look again after a pause: it had requests, or a table was locked."""
    async with connection.transaction():
        found = await (await connection.execute(script("net_version"))).fetchone()
        if found is None:
            return False
        agent, size, ttl = found
        try:
            await connection.execute(script("net_lock"))
        except errors.LockNotAvailable as locked:
            raise psycopg.Rollback from locked
        await connection.execute(script("net_expire"), {"ttl": ttl, "most": size})
        async with connection.cursor(row_factory=class_row(QueuedRequest)) as cursor:
            await cursor.execute(script("net_take"), {"most": size})
            requests = await cursor.fetchall()
        if requests:
            responses = await _send_all(connection, client, requests, str(agent))
            async with connection.cursor() as cursor:
                await cursor.executemany(script("net_store"), [astuple(each) for each in responses])
        return bool(requests)
    return True


async def _woken(connection: WorkerConnection, patience: float | None) -> bool:
    """Wait for a wake-up or the timeout; return whether to go on, since a restart ends the session."""
    async for notification in connection.notifies(timeout=patience, stop_after=1):
        return notification.channel == "pg_net_wake"
    return True


async def _session(address: str) -> None:
    """Send a batch at each wake-up until the session ends."""
    async with (
        http_client() as client,
        await psycopg.AsyncConnection.connect(
            address, autocommit=True, application_name="pg_net emulator", options="-c statement_timeout=0"
        ) as connection,
    ):
        await connection.execute("select pg_catalog.pg_advisory_lock(%s, %s)", LOCK)
        await connection.execute("listen pg_net_wake")
        await connection.execute("listen pg_net_restart")
        report_ready()
        # Send earlier requests at once.
        pause: float | None = 0.0
        while await _woken(connection, pause):
            # After a batch with work pg_net looks again after a pause, or at a wake-up.
            pause = BATCH_PAUSE if await _batch(connection, client) else None


async def run_worker(folder: Path) -> None:
    """Keep one session with the platform's server, through restarts, until SIGTERM."""
    addresses = Addresses.require(folder)
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    while True:
        try:
            await _session(addresses.admin_url)
        except psycopg.Error as problem:
            # A dropped extension, a restart or an unreadable row: log the SQLSTATE alone, never a row.
            sys.stderr.write(f"session ended: {type(problem).__name__} {problem.sqlstate or ''}\n")
        await asyncio.sleep(RESTART_PAUSE)


if __name__ == "__main__":
    with suppress(asyncio.CancelledError):
        asyncio.run(run_worker(Path(sys.argv[1])))
