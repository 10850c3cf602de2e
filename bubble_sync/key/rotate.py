"""Rotate the key of a stack: probe, configuration, and one `up`. Only Pulumi writes to the database."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime

from bubble_sync.actions.deployment import (
    LEDGER_TARGET,
    ConfigChange,
    Progress,
    deploy,
    exclusive_lock,
    finishing_first,
)
from bubble_sync.actions.git_checkout import commit_line
from bubble_sync.config.database_url import NAMESPACE
from bubble_sync.config.keys import read_key
from bubble_sync.config.settings import StackSettings
from bubble_sync.config.stacks import Stack
from bubble_sync.config.validators import check_key, check_secret_name
from bubble_sync.database.database import Database
from bubble_sync.database.polling import poll
from bubble_sync.errors import (
    ConfigurationError,
    ForeignObject,
    NotProven,
    ServerRefused,
    SyncError,
)
from bubble_sync.key.function_secret import FunctionSecret, Handover, finish, function_secret, plan_handover
from bubble_sync.key.probe import Probe, probe
from bubble_sync.key.status import key_in_database, own_name, require_converged

_READS_SECRET_WITHIN_SECONDS = 60
"""Supabase gives functions a changed secret without a deploy, at once as a rule."""


@dataclass(frozen=True)
class Wanted:
    """The arguments of a rotation."""

    key: str
    name: str | None
    action: str
    accept_unchecked: bool = False
    """Continue although the endpoint accepts any key and nothing can be proven."""
    function_secret: str | None = None
    """The function secret with the keys that the Edge Function accepts, to be set too."""
    one_key: bool = False
    """The function secret holds one key, so that requests between the two changes are refused."""


@dataclass(frozen=True)
class Rotation:
    """The result of a rotation."""

    probe: Probe
    secret_name: str
    kept: tuple[str, ...]
    """Old objects that Pulumi kept, each with the reason."""
    commit: str | None
    """The git command for the changed configuration; None outside git."""
    function_secret: FunctionSecret | None = None
    gap: tuple[datetime, datetime] | None = None
    """When the function accepted the new key alone, and when Vault had it."""
    unfinished: str = ""
    """What keeps the function secret from holding the new key alone, and the next command."""

    @property
    def waited(self) -> bool:
        """Return whether requests with the old key have arrived."""
        return self.function_secret is not None and self.gap is None and not self.unfinished


@dataclass(frozen=True)
class _Rotating:
    """A rotation whose conditions hold."""

    stack: Stack
    old: StackSettings
    new: StackSettings
    database: Database
    commit: str | None
    handover: Handover | None

    @property
    def renamed(self) -> bool:
        return self.new.service_role_key_name != self.old.service_role_key_name

    @property
    def changes(self) -> list[ConfigChange]:
        changes = [ConfigChange("serviceRoleKey", self.new.service_role_key, secret=True)]
        if self.renamed:
            changes.append(ConfigChange("serviceRoleKeyName", self.new.service_role_key_name))
        return changes


def rotate(stack: Stack, wanted: Wanted, progress: Progress) -> Rotation:
    """Set another key for the stack, optionally under another secret name; report progress through `progress`.

    After a failure the configuration file is byte for byte as before, and the database and the function secret as they
    were, unless the error says otherwise.
    """
    with _prepared(stack, wanted) as rotating, _uninterrupted(rotating, progress) as report:
        handover, new, database = rotating.handover, rotating.new, rotating.database
        began = datetime.now(UTC)
        with _function_accepts(rotating, report, lambda: True) as half:
            if half is not None:
                report(f"{half.steps()[0]} ...")
                half.secret.put(half.during)
            probed = _prove(rotating, wanted, report)
        with _function_accepts(rotating, report, lambda: _database_has(rotating.old, database)):
            # The target is the end of a URN, which starts with the component's name.
            # A targeted `up` deletes nothing that the program no longer has (CLI 3.250).
            targets = [] if rotating.renamed else [f"**-secrets-{new.service_role_key_name}", LEDGER_TARGET]
            output = deploy(rotating.stack, rotating.changes, targets, report)
            _require_rotated(database, new)
        gap = (began, datetime.now(UTC)) if handover is not None and handover.one_key else None
        unfinished = "" if handover is None else finish(handover, database, new, report)
        # The providers' messages about kept objects appear among Pulumi's own lines.
        kept = tuple(dict.fromkeys(re.findall(r"\bkept secret .+", output)))
        secret = None if handover is None else handover.secret
        return Rotation(probed, new.service_role_key_name, kept, rotating.commit, secret, gap, unfinished)


def plan(stack: Stack, wanted: Wanted) -> list[str]:
    """Return the steps of a rotation whose conditions hold; change nothing, and send the key nowhere."""
    with _prepared(stack, wanted) as rotating:
        config = " and ".join(f"{NAMESPACE}:{change.key}" for change in rotating.changes)
        first, last = (None, None) if rotating.handover is None else rotating.handover.steps()
        steps = (
            first and f"{first}, and read the digest back",
            f"try the new key, and a wrong one, with action {wanted.action} through pg_net",
            f"set {config} in {stack.config_file.name}, and `pulumi up`",
            last and f"{last} when requests with the old key have arrived, and read the digest back",
        )
        return [step for step in steps if step]


@contextmanager
def _prepared(stack: Stack, wanted: Wanted) -> Iterator[_Rotating]:
    stack = stack.without_given_config()
    with exclusive_lock(stack):
        old = stack.settings()
        new = with_key(old, wanted.key, wanted.name)
        new.project(stack.environment)
        if (new.service_role_key, new.service_role_key_name) == (old.service_role_key, old.service_role_key_name):
            raise ConfigurationError(
                f"stack {stack.name!r} has this key already: nothing was changed. `pulumi up` brings it into Vault."
            )
        if wanted.one_key and wanted.function_secret is None:
            raise ConfigurationError("--one-key says what --function-secret holds: give both, or neither")
        commit = commit_line(stack.config_file, f"chore: another key for stack {stack.name}")
        with closing(Database(new.address(stack.environment), new.names)) as database:
            found = require_converged(database, old)
            _refuse_to_break_others(database, found.others, old, new)
            handover = None
            if wanted.function_secret is not None:
                secret = function_secret(wanted.function_secret, new, stack.environment)
                keys = (old.service_role_key, new.service_role_key)
                handover = plan_handover(secret, *keys, one_key=wanted.one_key)
            yield _Rotating(stack, old, new, database, commit, handover)


def _uninterrupted(rotating: _Rotating, progress: Progress) -> AbstractContextManager[Progress]:
    """With two halves, a stop between them would leave them apart."""
    return nullcontext(progress) if rotating.handover is None else finishing_first(progress)


@contextmanager
def _function_accepts(
    rotating: _Rotating, progress: Progress, database_has_old_key: Callable[[], bool]
) -> Iterator[Handover | None]:
    """Yield the function's half, and put it back when the block fails."""
    if rotating.handover is None:
        yield None
        return
    with rotating.handover.restored_on_failure(progress, database_has_old_key):
        yield rotating.handover


def _database_has(settings: StackSettings, database: Database) -> bool:
    """Return whether the functions in the database certainly send the key of these settings."""
    try:
        found = key_in_database(database, settings)
    except SyncError:
        return False
    return found.stored == "equal" and found.functions_read_it


def with_key(settings: StackSettings, key: str, name: str | None) -> StackSettings:
    """Return the settings with another key and secret name; raise ConfigurationError."""
    changed = {"service_role_key": key}
    try:
        check_key(key)
        if name is not None:
            changed["service_role_key_name"] = check_secret_name(name, settings.names.alert_secrets)
    except ValueError as error:
        raise ConfigurationError(f"the given key or name cannot be used; nothing was changed: it {error}") from None
    if name == settings.supabase_url_name:
        raise ConfigurationError(f"{name!r} is the name of the URL's secret: nothing was changed. Take another one.")
    return settings.model_copy(update=changed)


def _refuse_to_break_others(
    database: Database, others: tuple[str, ...], old: StackSettings, new: StackSettings
) -> None:
    """Refuse a change that would break other readers of the secret, and a name already in use."""
    name = new.service_role_key_name
    if name != old.service_role_key_name:
        if key_in_database(database, new).stored in ("differs", "unreadable"):
            raise ForeignObject(
                f"secret {name} is in Vault already, with another value: nothing was changed. Take another name, or "
                "delete it where nothing needs it."
            )
        return
    if others and read_key(new.service_role_key).header != read_key(old.service_role_key).header:
        raise ForeignObject(
            f"secret {name} is also named by {', '.join(others)}, which would send the new key as it sends the old "
            f"one, in the wrong header, and be refused: nothing was changed. Give the new key a name of its own: "
            f"--name {own_name(old.names)}"
        )


def _prove(rotating: _Rotating, wanted: Wanted, progress: Progress) -> Probe:
    progress("trying the new key, and a wrong one, through pg_net ...")
    probed = _tried(rotating, wanted.action)
    progress(f"  the new key: {probed.key}")
    progress(f"  a wrong key: {probed.wrong_key}")
    if probed.proven or (probed.unchecked and wanted.accept_unchecked):
        progress(f"  {probed.conclusion}")
        return probed
    way_on = " If the endpoint checks no key: --accept-unchecked." if probed.unchecked else ""
    unchanged = "" if rotating.handover is not None else " Nothing was changed."
    raise NotProven(f"{probed.conclusion}{unchanged}{way_on}")


def _tried(rotating: _Rotating, action: str) -> Probe:
    """Try the new key; a function whose secret was just set gets some time to read it."""

    def look() -> Probe:
        found = probe(rotating.database, rotating.new, rotating.new.service_role_key, action)
        if found.key.accepted is False and rotating.handover is not None:
            _require_old_key(rotating, found, action)
        return found

    seconds = 0 if rotating.handover is None else _READS_SECRET_WITHIN_SECONDS
    return poll(look, lambda found: found.key.accepted is not False, seconds)


def _require_old_key(rotating: _Rotating, found: Probe, action: str) -> None:
    """Stop at once when the function refuses the key that the ticks send."""
    earlier = probe(rotating.database, rotating.old, rotating.old.service_role_key, action)
    if earlier.key.accepted is False:
        way_on = "" if rotating.handover is None or rotating.handover.one_key else " If it reads one key: --one-key."
        raise NotProven(
            f"with the secret set, the function refuses the new key and the old one ({found.key}): it does not read "
            f"keys separated by a comma from this secret (docs/guides/keys.md).{way_on}"
        )


def _require_rotated(database: Database, new: StackSettings) -> None:
    found = key_in_database(database, new)
    if found.stored != "equal" or not found.functions_read_it:
        raise ServerRefused(
            f"`pulumi up` succeeded, but secret {new.service_role_key_name} or what the functions read is not as "
            "wanted. Keep both keys valid, and look with `bubble-sync key status`."
        )
