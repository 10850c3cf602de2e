"""Change a stack's configuration and deploy with `pulumi up`; roll back both on failure.

One change at a time, and no stop between configuration and database: anyone's next `up` would deploy a configuration
that the database lacks.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from bubble_sync.config.database_url import NAMESPACE
from bubble_sync.config.stacks import Stack, complaint
from bubble_sync.errors import Busy, ConfigurationError, PulumiRefused, SyncError
from bubble_sync.files import replace_file

Progress = Callable[[str], None]
_UP = ("up", "--yes", "--skip-preview", "--diff")
LEDGER_TARGET = "**-ledger"
"""The end of the ledger's URN: the ledger records every setting."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOCKED = re.compile("currently locked by|Another update is currently in progress")
"""Pulumi's refusals while another command holds the stack: of a bucket or a folder, and of Pulumi Cloud."""
_HOLDER = re.compile(r"created by (?P<user>\S+)@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<since>\S+)")


class ConfigChange(NamedTuple):
    """One configuration value to be set, or without a value to be removed; a key inside an object has a dot.

    The value goes to Pulumi by standard input.
    """

    key: str
    value: str | None
    secret: bool = False


@contextmanager
def exclusive_lock(stack: Stack) -> Iterator[None]:
    """Lock the folder of the stack's configuration file; raise Busy when another change holds the lock."""
    descriptor = os.open(stack.config_file.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Busy(f"another change is under way in {stack.config_file.parent}: wait for it, then run again") from None
    finally:
        os.close(descriptor)


def deploy(
    stack: Stack,
    settings: Sequence[ConfigChange],
    targets: Sequence[str],
    progress: Progress,
    why_not_so: Callable[[], str] = lambda: "",
) -> str:
    """Set values and run `up`; return its output.

    Args:
        stack: The stack to change.
        settings: The values to set or remove.
        targets: URNs to deploy alone; empty for the whole stack.
        progress: Reports progress.
        why_not_so: Called after a successful `up`: returns what `up` left unchanged, or nothing.

    Raises:
        Busy: Another Pulumi command holds the stack; file and database are as before.
        PulumiRefused: `up` failed; file and database are as before.
        ConfigurationError: A value was refused; the file is as before.
    """
    with finishing_first(progress) as report:
        before = _content(stack)
        written = _with(stack, settings, report)
        _write(stack, written, "so that nothing was changed: correct that")
        up = (*_UP, *(word for target in targets for word in ("--target", target)))
        report(" ".join(["pulumi up", *up[len(_UP) :], "..."]))
        done = stack.pulumi(*up)
        failed, problem = ("`pulumi up` failed", complaint(done)) if done.returncode else _effect(why_not_so)
        if not problem:
            return done.stdout + done.stderr
        if done.returncode and _LOCKED.search(problem):
            _put_back(stack, before)
            raise Busy(_who_holds(stack, done))
        report("failed: restoring the earlier state ...")
        if _content(stack) == written:
            _put_back(stack, before)
        undone = stack.pulumi(*up)
        if undone.returncode != 0:
            raise PulumiRefused(
                f"{failed} ({problem}), and the way back failed ({complaint(undone)}). The "
                "configuration is as it was; the database may have the old or the new value, so keep both valid, mend "
                "this, and run `pulumi up`"
            )
        raise PulumiRefused(f"{failed}, and everything is as it was: {problem}")


def _effect(why_not_so: Callable[[], str]) -> tuple[str, str]:
    """Return what became of a successful `up`, and the problem or nothing."""
    try:
        return "`pulumi up` succeeded without effect", why_not_so()
    except SyncError as unknown:
        return "`pulumi up` succeeded, but its effect could not be read", str(unknown)


def _with(stack: Stack, settings: Sequence[ConfigChange], report: Progress) -> bytes:
    """Return the configuration file with other values: a command that is killed on the way leaves the file alone."""
    with tempfile.TemporaryDirectory(prefix="bubble-sync-") as folder:
        draft = Path(folder) / stack.config_file.name
        shutil.copyfile(stack.config_file, draft)
        options = ("--stack", stack.options[1] if stack.options else stack.name, "--config-file", str(draft))
        for setting in settings:
            _set(replace(stack, config_file=draft, options=options), setting, report)
        return draft.read_bytes()


def _who_holds(stack: Stack, refused: subprocess.CompletedProcess[str]) -> str:
    """Return the message about another command's lock, with the way on when that command was killed."""
    holder = _HOLDER.search(refused.stderr + refused.stdout)
    by, step = "", "wait for it, or, where it was killed,"
    if holder is not None:
        by = f" (process {holder['pid']} of {holder['user']} on {holder['host']}, since {holder['since']})"
        if holder["host"] == socket.gethostname() and _has_ended(int(holder["pid"])):
            step = "this process has ended, so"
    return (
        f"another Pulumi command holds stack {stack.name!r}{by}: nothing was changed; {step} run "
        "`pulumi cancel --yes`, then this command again"
    )


def _has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _set(stack: Stack, setting: ConfigChange, progress: Progress) -> None:
    kind = ("--secret" if setting.secret else "--plaintext",)
    action, options = ("rm", ()) if setting.value is None else ("set", kind)
    path = ("--path",) if "." in setting.key else ()
    command = ("config", action, *path, *options, f"{NAMESPACE}:{setting.key}")
    progress(f"pulumi {' '.join(command)} ...")
    done = stack.pulumi(*command, given=setting.value)
    if done.returncode != 0:
        raise PulumiRefused(f"`pulumi config {action}` failed, and everything is as it was: {complaint(done)}")


def _content(stack: Stack) -> bytes:
    try:
        return stack.config_file.read_bytes()
    except OSError as problem:
        raise ConfigurationError(f"{stack.config_file} cannot be read ({problem.strerror}): correct that") from None


def _put_back(stack: Stack, before: bytes) -> None:
    if _content(stack) != before:
        _write(stack, before, "and has the new value: `git restore` it")


def _write(stack: Stack, content: bytes, so: str) -> None:
    try:
        replace_file(stack.config_file, content)
    except OSError as problem:
        raise ConfigurationError(f"{stack.config_file} cannot be written ({problem.strerror}), {so}") from None


@contextmanager
def finishing_first(progress: Progress) -> Iterator[Progress]:
    """Answer SIGINT, SIGHUP and SIGTERM with a message: stopping here would leave file and database apart."""

    def report(text: str) -> None:
        # The terminal may be gone.
        with suppress(OSError):
            progress(text)

    def ask_for_patience(*_: object) -> None:
        # Not `progress`: a signal may interrupt `progress` itself, and a buffer is not reentrant.
        with suppress(OSError):
            os.write(2, b"finishing first: a few seconds ...\n")

    handlers = {one: signal.signal(one, ask_for_patience) for one in _SIGNALS}
    try:
        yield report
    finally:
        for one, handler in handlers.items():
            signal.signal(one, handler)
