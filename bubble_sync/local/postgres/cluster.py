"""Create, start and stop the platform's PostgreSQL cluster, also after a crash."""

from __future__ import annotations

import secrets
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bubble_sync.errors import PlatformError
from bubble_sync.files import replace_file
from bubble_sync.local.postgres.account import Account
from bubble_sync.local.postgres.overlay import server_program
from bubble_sync.local.processes import end_process, runs_from

SUPERUSER = "supabase_admin"
LOOPBACK = "127.0.0.1"
#: sockaddr_un: 107 bytes and a zero.
SOCKET_PATH_LIMIT = 107
HBA = """\
# The folder is 0700: who can open the socket may be anyone in the database.
local all all trust
host all all 127.0.0.1/32 scram-sha-256
"""


def free_port() -> int:
    """Return a free port below the range of outgoing connections."""
    for _ in range(200):
        port = 20000 + secrets.randbelow(12000)
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, port)) != 0:
                return port
    raise PlatformError("no free TCP port between 20000 and 32000 on 127.0.0.1: end what holds them")


def data_major(folder: Path) -> int | None:
    """Return the major version of PostgreSQL that made a platform's data directory; None where there is none."""
    try:
        return int((folder / "data" / "PG_VERSION").read_text("utf-8"))
    except FileNotFoundError:
        return None


@dataclass(frozen=True)
class Cluster:
    """A data directory and the server that runs on it."""

    folder: Path
    bin: Path
    port: int
    account: Account

    @property
    def log(self) -> Path:
        """Return the server's log file."""
        return self.folder / "postgres.log"

    @property
    def root_key(self) -> Path:
        """Return the file with the Vault root key: outside the data directory, so not in a dump or a base backup."""
        return self.folder / "vault_root_key"

    @property
    def data(self) -> Path:
        """Return the data directory."""
        return self.folder / "data"

    def pid(self) -> int | None:
        """Return the postmaster's pid while it lives."""
        try:
            recorded = int((self.data / "postmaster.pid").read_text("utf-8").split()[0])
        except (OSError, ValueError, IndexError):
            return None
        return recorded if recorded in self._processes() else None

    def create(self) -> None:
        """Make the data directory and the root key where they are missing."""
        if len(str(self.folder / f".s.PGSQL.{self.port}").encode()) > SOCKET_PATH_LIMIT:
            raise PlatformError(f"{self.folder} is too long for a Unix socket: set TMPDIR to a shorter directory")
        if not self.root_key.exists():
            replace_file(self.root_key, secrets.token_hex(32).encode(), mode=0o600)
        self.account.own(self.root_key)
        if (self.data / "PG_VERSION").exists():
            return
        # initdb writes PG_VERSION early: a half-made directory must not carry the real name.
        half = self.folder / "data.new"
        self.account.run(["rm", "-rf", half], self.folder)
        made = self.account.run(
            [self.bin / "initdb", "-D", half, "-U", SUPERUSER, "-E", "UTF8", "--locale=C", "-A", "trust", "--no-sync"],
            self.folder,
        )
        if made.returncode:
            raise PlatformError(f"initdb failed in {half}: {made.stdout.strip().splitlines()[-1]}")
        half.rename(self.data)

    def start(self, settings: Mapping[str, str]) -> None:
        """Start the server unless it runs, and remove the remains of a killed one."""
        if self.pid() is not None:
            return
        self._clear_remains()
        self._configure(settings)
        started = self._control("start", "-l", str(self.log))
        if started.returncode:
            raise PlatformError(f"PostgreSQL did not start on port {self.port}: read {self.log}")

    def stop(self) -> None:
        """Stop the server, by force if needed."""
        if self.pid() is not None:
            self._control("stop", "-m", "fast")
        self._clear_remains()

    def _control(self, order: str, *options: str) -> subprocess.CompletedProcess[str]:
        return self.account.run(
            [self.bin / "pg_ctl", order, "-D", self.data, "-w", "-t", "30", "-s", *options], self.folder
        )

    def _processes(self) -> set[int]:
        # Only this cluster runs from the overlay's copy, so the program's path identifies our server.
        return set(runs_from(server_program(self.bin).resolve()))

    def _clear_remains(self) -> None:
        for pid in self._processes():
            end_process(pid, signal.SIGKILL)
        # The pid in these files may now belong to another program, and PostgreSQL would then refuse to start.
        for left in (self.data / "postmaster.pid", self.folder / f".s.PGSQL.{self.port}.lock"):
            left.unlink(missing_ok=True)

    def _real_libraries(self) -> list[str]:
        """Name the real extensions of this installation that must be preloaded."""
        library = self.bin.parent / "lib"
        return [name for name in ("pg_net", "supabase_vault") if (library / f"{name}.so").exists()]

    def _getkey_script(self) -> Path:
        """Return the value of vault.getkey_script: the emulator reads a file, the real Vault runs a program."""
        if "supabase_vault" not in self._real_libraries():
            return self.root_key
        program = self.folder / "vault_getkey"
        program.write_text(f"#!/bin/sh\nexec cat '{self.root_key}'\n", "utf-8")
        program.chmod(0o700)
        self.account.own(program)
        return program

    def _configure(self, settings: Mapping[str, str]) -> None:
        values = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] %q%u@%d ",
            "shared_preload_libraries": ", ".join(["pg_cron", *self._real_libraries()]),
            "cron.database_name": "postgres",
            "cron.host": str(self.folder),
            "cron.use_background_workers": "off",
            # Off on hosted projects too; a private server has no LLVM.
            "jit": "off",
            # The emulators of pg_net and Vault have no library; they read these settings as placeholders.
            "pg_net.ttl": "6 hours",
            "pg_net.batch_size": "200",
            "vault.getkey_script": str(self._getkey_script()),
            # Throw-away data: it must survive a crash of the server, not of the machine.
            "fsync": "off",
            "full_page_writes": "off",
            **settings,
        }
        quoted = {name: value.replace("'", "''") for name, value in values.items()}
        lines = "".join(f"{name} = '{value}'\n" for name, value in quoted.items())
        for name, text in (("postgresql.conf", lines), ("pg_hba.conf", HBA)):
            path = self.data / name
            path.write_text(text, "utf-8")
            self.account.own(path)
