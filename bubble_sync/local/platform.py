"""The embedded platform: start, status, sign-up and stop."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psycopg
from psycopg.rows import class_row

from bubble_sync.errors import PlatformError
from bubble_sync.local.addresses import Addresses
from bubble_sync.local.edge_function.behaviour import Behaviour
from bubble_sync.local.edge_function.server import REQUEST_LOG
from bubble_sync.local.guardian import write_tokens
from bubble_sync.local.hosted import install_reference, make_hosted
from bubble_sync.local.postgres.account import private_folder, refuse_foreign_owner, server_account
from bubble_sync.local.postgres.cluster import Cluster, data_major
from bubble_sync.local.postgres.overlay import lay_out
from bubble_sync.local.processes import Emulator
from bubble_sync.local.scripts import script


@dataclass(frozen=True)
class PlatformPart:
    """One process of the platform; no pid when it is down."""

    name: str
    pid: int | None
    log: Path


@dataclass(frozen=True)
class PlatformStatus:
    """Processes and addresses, without secrets."""

    folder: Path
    parts: tuple[PlatformPart, ...]
    database: str | None
    endpoint: str | None
    request_log: Path

    @property
    def up(self) -> bool:
        """Return whether every part runs."""
        return all(part.pid is not None for part in self.parts)


@dataclass(frozen=True)
class SignUp:
    """The ids of the records of a sign-up."""

    user_id: str
    host_id: str
    guest_id: str
    item_id: str


class Platform:
    """A hosted-like PostgreSQL with the pg_net worker and the Edge Function, all in one folder."""

    def __init__(self, folder: Path) -> None:
        """Set the folder; nothing is created before `start`."""
        self.folder = folder
        self._removed = folder.with_name(f"{folder.name}.removed")
        self.net_worker = Emulator("net_worker", folder, "bubble_sync.local.pg_net.worker")
        self.edge_function = Emulator("edge_function", folder, "bubble_sync.local.edge_function.server")

    @classmethod
    def for_checkout(cls, checkout: Path) -> Self:
        """Return the platform of a checkout, in a folder with a short path, which a socket needs."""
        digest = hashlib.sha256(os.fsencode(checkout.resolve())).hexdigest()[:8]
        return cls(Path(tempfile.gettempdir()) / f"bubble-sync-{digest}")

    def start(self, settings: Mapping[str, str] | None = None) -> Addresses:
        """Start or repair stopped parts; server settings apply only to a server started here."""
        account = server_account()
        shutil.rmtree(self._removed, ignore_errors=True)
        private_folder(self.folder, account)
        with self._alone():
            addresses = Addresses.load(self.folder)
            if addresses is None:
                addresses = Addresses.fresh(self.folder)
                addresses.save()
            cluster = self._cluster(addresses)
            if cluster is None or cluster.pid() is None:
                programs = lay_out(self.folder, account, data_major(self.folder))
                cluster = Cluster(self.folder, programs, addresses.database_port, account)
                cluster.create()
                # A running worker reconnects only after a pause; the caller may send at once.
                self.net_worker.stop()
                write_tokens(self.folder)
                cluster.start(settings or {})
            make_hosted(addresses)
            self.net_worker.start()
            self.edge_function.start()
            return addresses

    @property
    def exists(self) -> bool:
        """Return whether there is something to remove."""
        return self.folder.exists() or self._removed.exists()

    def stop(self) -> None:
        """End every process; the data stays."""
        if not self.folder.exists():
            return
        refuse_foreign_owner(self.folder, server_account())
        with self._alone():
            self.edge_function.stop()
            self.net_worker.stop()
            addresses = Addresses.load(self.folder)
            cluster = self._cluster(addresses) if addresses else None
            if cluster:
                cluster.stop()

    def remove(self) -> None:
        """End every process and remove the folder with all data."""
        self.stop()
        shutil.rmtree(self._removed, ignore_errors=True)
        # In one step: what a killed removal leaves must not look like a platform.
        with suppress(OSError):
            self.folder.rename(self._removed)
        for left in (self._removed, self.folder):
            shutil.rmtree(left, ignore_errors=True)

    def status(self) -> PlatformStatus:
        """Return the status of every part."""
        addresses = Addresses.load(self.folder)
        cluster = self._cluster(addresses) if addresses else None
        server = PlatformPart("postgres", cluster.pid() if cluster else None, self.folder / "postgres.log")
        ours = (PlatformPart(each.name, each.pid(), each.log) for each in (self.net_worker, self.edge_function))
        return PlatformStatus(
            folder=self.folder,
            parts=(server, *ours),
            database=f"127.0.0.1:{addresses.database_port}/postgres" if addresses else None,
            endpoint=addresses.endpoint_url if addresses else None,
            request_log=self.folder / REQUEST_LOG,
        )

    def versions(self) -> str:
        """Return the versions of PostgreSQL and pg_cron on a started platform."""
        with psycopg.connect(self.addresses().admin_url) as connection:
            found = connection.execute(
                "select current_setting('server_version'), extversion from pg_extension where extname = 'pg_cron'"
            ).fetchone()
        server, cron = found or ("", "")
        return f"PostgreSQL {server.split(' ')[0]}, pg_cron {cron}"

    def addresses(self) -> Addresses:
        """Return the addresses of a started platform."""
        return Addresses.require(self.folder)

    def sign_up(self, email: str) -> SignUp:
        """Sign a person up as the application does, and return the ids."""
        try:
            with (
                psycopg.connect(self.addresses().database_url) as connection,
                connection.cursor(row_factory=class_row(SignUp)) as cursor,
            ):
                made = cursor.execute(script("sign_up"), {"email": email}).fetchone()
        except psycopg.errors.UniqueViolation:
            raise PlatformError(f"{email} has signed up before: take another address") from None
        except psycopg.Error as problem:
            reason = f"SQLSTATE {problem.sqlstate}" if problem.sqlstate else "the database does not answer"
            raise PlatformError(f"the sign-up failed ({reason}): `bubble-sync local up`, then again") from None
        if made is None:
            raise PlatformError("the sign-up made no record: `bubble-sync local down`, then `up`")
        return made

    def claim_items(self) -> None:
        """Install the reference SQL, and let the Edge Function claim its items through the functions."""
        with psycopg.connect(self.addresses().admin_url, autocommit=True) as connection:
            install_reference(connection)
        self.behave(Behaviour.load(self.folder).model_copy(update={"claims": True}))

    def behave(self, behaviour: Behaviour) -> None:
        """Set the Edge Function's behaviour from the next request on."""
        behaviour.save(self.folder)

    def __enter__(self) -> Addresses:
        """Start, and return the addresses."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Remove everything."""
        self.remove()

    def _cluster(self, addresses: Addresses) -> Cluster | None:
        server = next((self.folder / "usr").glob("**/bin/postgres"), None)
        return Cluster(self.folder, server.parent, addresses.database_port, server_account()) if server else None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Allow one process at a time to start or stop this platform."""
        with (self.folder / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
