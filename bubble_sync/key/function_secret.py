"""Set the Edge Function's own secret, the keys that it accepts, before and after the key in Vault changes.

The API shows a digest alone, so a value is replaced only where the digest proves that no other key gets lost.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bubble_sync.actions.deployment import Progress
from bubble_sync.config.settings import StackSettings
from bubble_sync.config.stacks import Stack
from bubble_sync.database.database import Database, fetch
from bubble_sync.database.polling import WAIT_BEYOND_TIMEOUT_SECONDS, poll
from bubble_sync.errors import Busy, ConfigurationError, ForeignObject, NotFound, NotProven, SyncError
from bubble_sync.formatting import format_timestamp
from bubble_sync.key.status import require_converged
from bubble_sync.sql_loader import query

if TYPE_CHECKING:
    from bubble_sync.key.management_api import ManagementApi, StoredSecret

_READ_BACK_WITHIN_SECONDS = 10
_LONGEST_NAME = 256


@dataclass(frozen=True)
class FunctionSecret:
    """One secret of the project's Edge Functions."""

    api: ManagementApi
    name: str

    def __str__(self) -> str:
        """Return the secret's name for messages."""
        return f"function secret {self.name} of project {self.api.project_ref}"

    def stored(self) -> StoredSecret | None:
        """Return name and digest; None when the project has no such secret."""
        return self.api.secret(self.name)

    def holds(self, value: str) -> bool:
        """Return whether the digest is the one of `value`."""
        found = self.stored()
        return found is not None and found.value.lower() == digest_of(value)

    def put(self, value: str) -> None:
        """Set the secret, read its digest back, and raise NotProven when the digest differs."""
        self.api.set_secret(self.name, value)
        if not poll(lambda: self.holds(value), bool, _READ_BACK_WITHIN_SECONDS):
            raise NotProven(
                f"{self} was set, but its digest, read back, is another value's: something else sets it too"
            )


def digest_of(value: str) -> str:
    """Return the SHA-256 digest of a value as the Management API prints it."""
    return hashlib.sha256(value.encode()).hexdigest()


def function_secret(name: str, settings: StackSettings, environment: Mapping[str, str]) -> FunctionSecret:
    """Return a function secret of the stack's project; raise ConfigurationError for a bad name or a missing setting."""
    # Imported here: other commands need no HTTP client.
    from bubble_sync.key.management_api import ManagementApi

    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or len(name) > _LONGEST_NAME:
        raise ConfigurationError(f"{name!r} cannot name a function secret: use letters, digits and _")
    if name.startswith("SUPABASE_"):
        raise ConfigurationError(
            f"function secret {name} is Supabase's own: names that begin with SUPABASE_ are reserved. Let the function "
            "read a secret of another name (docs/guides/keys.md)"
        )
    project_ref = settings.project(environment)
    if project_ref is None:
        raise ConfigurationError("no setting names the project: set bubble-sync:projectRef, then run again")
    return FunctionSecret(ManagementApi.of(project_ref, environment), name)


@dataclass(frozen=True)
class Handover:
    """The values of the function's secret during a rotation of the key."""

    secret: FunctionSecret
    before: str = field(repr=False)
    during: str = field(repr=False)
    after: str = field(repr=False)

    @property
    def one_key(self) -> bool:
        """Return whether the function accepts a single key during the rotation."""
        return self.during == self.after

    def steps(self) -> tuple[str, str | None]:
        """Return what happens to the secret before Vault changes, and after it, if anything."""
        if self.one_key:
            return f"set {self.secret} to the new key", None
        return f"set {self.secret} to the old and the new key", f"set {self.secret} to the new key alone"

    @contextmanager
    def restored_on_failure(self, progress: Progress, database_has_old_key: Callable[[], bool]) -> Iterator[None]:
        """Put the earlier value back when the block fails, unless the database may send the new key already.

        The error then says what the secret holds, and the next command.
        """
        try:
            yield
        except BaseException as problem:
            note = self._restore(database_has_old_key)
            if isinstance(problem, SyncError):
                raise noted(problem, note) from None
            progress(note)
            raise

    def _restore(self, database_has_old_key: Callable[[], bool]) -> str:
        """Put the earlier value back; return a sentence about the result."""
        remedy = f"then `bubble-sync key set-function {self.secret.name}` sets it to the stack's key"
        if not database_has_old_key():
            return f"{self.secret} stays as set for the new key: run `pulumi up`, {remedy}."
        try:
            if not self.secret.holds(self.before):
                self.secret.put(self.before)
        except SyncError as problem:
            return (
                f"{self.secret} could not be set back and may hold the new key ({problem}): look with `bubble-sync key "
                f"status --function-secret {self.secret.name}`, {remedy}."
            )
        return f"{self.secret} is as it was."


def plan_handover(secret: FunctionSecret, old_key: str, new_key: str, *, one_key: bool) -> Handover:
    """Return the values for a rotation.

    Raises:
        NotFound: The project has no such secret.
        ForeignObject: The secret holds something else than these keys, which would be lost.
        ConfigurationError: A key has a comma, which separates keys.
    """
    both = ",".join(dict.fromkeys((old_key, new_key)))
    if not one_key and both.count(",") > 1:
        raise ConfigurationError("a key holds a comma, which separates the keys of a function secret: pass --one-key")
    found = secret.stored()
    if found is None:
        raise NotFound(
            f"there is no {secret}, so nothing was changed: correct the name, or make it first with `bubble-sync key "
            f"set-function {secret.name}`"
        )
    known = (old_key, both, f"{new_key},{old_key}", new_key)
    before = next((value for value in known if digest_of(value) == found.value.lower()), None)
    if before is None:
        raise ForeignObject(
            f"{secret} holds something else than this stack's key, by its digest; the API shows no value, so "
            "other keys in it would be lost: nothing was changed. Add the new key yourself (docs/guides/keys.md), and "
            "run again without --function-secret"
        )
    return Handover(secret, before, new_key if one_key else both, new_key)


def finish(handover: Handover, database: Database, settings: StackSettings, progress: Progress) -> str:
    """Let the function accept the new key alone when no request carries the old one; return what remains to do."""
    if handover.one_key:
        return ""
    try:
        progress(f"{handover.steps()[1]}, when requests with the old key have arrived ...")
        set_alone(handover.secret, handover.after, database, settings, expected=handover.during)
    except SyncError as problem:
        return (
            f"{handover.secret} still accepts the old key too: {problem}. Then `bubble-sync key set-function "
            f"{handover.secret.name}` sets it to the stack's key alone."
        )
    return ""


@dataclass(frozen=True)
class Alignment:
    """The stack's key and a function secret, before a change."""

    secret: FunctionSecret
    settings: StackSettings
    database: Database
    found: StoredSecret | None

    @property
    def state(self) -> str:
        """Return `equal`, `differs` or `absent`."""
        return state_of(self.found, self.settings)

    @property
    def description(self) -> str:
        """Return what a change replaces."""
        if self.found is None:
            return f"{self.secret} is not there yet"
        since = f", set {format_timestamp(self.found.updated_at)}" if self.found.updated_at else ""
        return f"{self.secret} holds another value{since}: other keys in it get lost"

    def apply(self) -> None:
        """Set the secret to the stack's key alone; raise like `set_alone`."""
        set_alone(self.secret, self.settings.service_role_key, self.database, self.settings)


@contextmanager
def aligning(stack: Stack, name: str) -> Iterator[Alignment]:
    """Compare a function secret with the stack's key, which the database must send: else its requests are refused."""
    settings = stack.settings()
    secret = function_secret(name, settings, stack.environment)
    with closing(Database(settings.address(stack.environment), settings.names)) as database:
        require_converged(database, settings)
        yield Alignment(secret, settings, database, secret.stored())


def state_of(found: StoredSecret | None, settings: StackSettings) -> str:
    """Return whether a function secret is `absent`, or `equal` to the stack's key alone, or `differs`."""
    if found is None:
        return "absent"
    return "equal" if found.value.lower() == digest_of(settings.service_role_key) else "differs"


def set_alone(
    secret: FunctionSecret, key: str, database: Database, settings: StackSettings, expected: str | None = None
) -> None:
    """Set the secret to one key, when the requests that may carry another one have arrived.

    Raises:
        Busy: Requests were still on their way after the jobs' timeout; the secret is as it was.
        ForeignObject: The secret no longer holds `expected`.
        NotProven: The digest read back differs.
    """
    if not _arrived(database, settings.processor.timeout_ms / 1000 + WAIT_BEYOND_TIMEOUT_SECONDS):
        raise Busy("earlier requests, or statements that may send one, are still under way: wait for them")
    if expected is not None and not secret.holds(expected):
        raise ForeignObject(f"something else has set {secret} meanwhile: nothing was changed in it")
    secret.put(key)


def _arrived(database: Database, seconds: float) -> bool:
    """Wait until every request is sent that an earlier statement may have queued; return whether all are."""

    def value(name: str, **values: object) -> object:
        (row,) = database.read("reading requests", lambda conn: fetch(conn, query("handover", name), values))
        return next(iter(row.values()))

    def none_of(name: str, **values: object) -> bool:
        return poll(lambda: value(name, **values) == 0, bool, seconds)

    return none_of("statements", since=value("now")) and none_of("requests", last=value("last_request"))


def noted(problem: SyncError, note: str) -> SyncError:
    """Return the same error with one more sentence."""
    return type(problem)(f"{str(problem).removesuffix('.')}. {note}")
