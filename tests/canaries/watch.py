"""What can be seen while a command runs: by another OS user, in pg_stat_activity, and in a state that is written."""

from __future__ import annotations

import os
import pwd
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from tests.canaries import places
from tests.canaries.places import Search
from tests.fixtures.meanwhile import meanwhile

#: Ends when its standard input does.
_READ_PROC = """
while read -r -t 0.05; [ $? -gt 128 ]; do
    cat /proc/[0-9]*/cmdline >&3
    cat /proc/[0-9]*/environ >&4
done
"""


@contextmanager
def another_user(search: Search, folder: Path) -> Iterator[None]:
    """Read everybody's command lines and environments as `nobody`, over and over; only root can become somebody."""
    if os.geteuid():
        yield
        return
    nobody = pwd.getpwnam("nobody")
    files = [folder / name for name in ("cmdline", "environ", "refused")]
    with files[0].open("wb") as cmdline, files[1].open("wb") as environ, files[2].open("wb") as refused:
        reader = subprocess.Popen(
            ["bash", "-c", f"exec 3>&{cmdline.fileno()} 4>&{environ.fileno()}; {_READ_PROC}"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=refused, cwd="/", env={"PATH": os.defpath},
            pass_fds=[cmdline.fileno(), environ.fileno()], user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=(),
        )  # fmt: skip
        try:
            yield
        finally:
            reader.communicate()
    search.look(places.CMDLINE, files[0].read_bytes())
    for file in files[1:]:
        search.look(places.ENVIRON, file.read_bytes(), file.name)


@contextmanager
def activity(search: Search, admin_url: str, states: Path) -> Iterator[None]:
    """Look at every session's statement, and at the state files, many times a second."""

    def look(ended: threading.Event) -> None:
        with psycopg.connect(admin_url, autocommit=True) as session:
            unlogged(session)
            while not ended.wait(0.02):
                for (text,) in session.execute("select query from pg_stat_activity where pid <> pg_backend_pid()"):
                    search.look(places.ACTIVITY, text or "")
                for path in states.rglob("*"):
                    with suppress(OSError):
                        search.look(places.STATE, path.read_bytes(), path.name)

    with meanwhile(look):
        yield


def unlogged(session: psycopg.Connection) -> None:
    """Keep a superuser's session out of the log: what it does is no part of the product."""
    session.execute("set log_statement = 'none'")
    session.execute("set log_min_duration_statement = -1")
    session.execute("set pg_stat_statements.track = 'none'")
    session.execute("set auto_explain.log_min_duration = -1")
