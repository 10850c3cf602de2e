"""The server's OS account and its files."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bubble_sync.errors import PlatformError
from bubble_sync.local.guardian import marker

#: PostgreSQL refuses to run as root. The Debian package creates the first account; every system has the second.
SERVER_ACCOUNTS = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """An OS user and its group."""

    name: str
    uid: int
    gid: int

    def run(self, command: Sequence[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
        """Run a command as this account in a folder and return its output."""
        other = self.uid != os.geteuid()
        try:
            return subprocess.run(
                command,
                cwd=folder,
                env={"PATH": os.defpath, "LC_ALL": "C", "HOME": str(folder), **marker()},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                user=self.uid if other else None,
                group=self.gid if other else None,
                extra_groups=() if other else None,
            )
        except PermissionError:
            raise PlatformError(
                f"OS user {self.name} cannot enter {folder}: set TMPDIR to a directory open to it, such as /tmp"
            ) from None

    def can_read(self, path: Path) -> bool:
        """Return whether this account reaches a file."""
        return self.run(["test", "-r", path], Path("/")).returncode == 0

    def own(self, path: Path) -> None:
        """Give a file, or a folder with all in it, to this account; links are left alone."""
        if self.uid == os.geteuid():
            return
        inside = (Path(top) / name for top, folders, files in os.walk(path) for name in (*folders, *files))
        for each in (path, *inside):
            if not each.is_symlink():
                shutil.chown(each, self.uid, self.gid)


def server_account() -> Account:
    """Return the account for the server: the caller's, or an unprivileged one when the caller is root."""
    uid = os.geteuid()
    if uid:
        return Account(pwd.getpwuid(uid).pw_name, uid, os.getegid())
    for name in SERVER_ACCOUNTS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise PlatformError(
        f"PostgreSQL does not run as root, and there is no OS user {' or '.join(SERVER_ACCOUNTS)}: "
        "run this as another user than root"
    )


def private_folder(path: Path, account: Account) -> None:
    """Create a folder that only the account (and root) can enter, or use an existing one."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        refuse_foreign_owner(path, account)
        path.chmod(0o700)
    except OSError as problem:
        raise PlatformError(f"cannot make {path} ({problem.strerror}): set TMPDIR to a writable directory") from None
    if account.uid != os.geteuid():
        os.chown(path, account.uid, account.gid)


def refuse_foreign_owner(path: Path, account: Account) -> None:
    """Raise PlatformError for another user's folder: we would trust its pids."""
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {account.uid, os.geteuid()}:
        raise PlatformError(
            f"{path} is not a folder of OS user {account.name}: remove it, or set TMPDIR to another directory"
        )
