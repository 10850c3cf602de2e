"""Changes the key of a stack: probe, configuration, and one targeted `up`. Pulumi alone writes to the database."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from bubble_sync.actions.checkout import commit_line
from bubble_sync.database import Database
from bubble_sync.database_url import NAMESPACE
from bubble_sync.errors import ConfigurationError, ForeignObject, NotProven, PulumiRefused
from bubble_sync.keys import read_key
from bubble_sync.questions.key_probe import Probe, probe
from bubble_sync.questions.key_status import OWN_NAME, others_naming
from bubble_sync.settings import StackSettings
from bubble_sync.stacks import Stack, complaint
from bubble_sync.values import check_key, check_secret_name

Say = Callable[[str], None]
_UP = ("up", "--yes", "--skip-preview", "--diff")


@dataclass(frozen=True)
class Rotation:
    """What a rotation did."""

    probe: Probe
    secret_name: str
    kept: tuple[str, ...]
    """What Pulumi kept of the old one, each with its reason."""
    commit: str | None
    """The line that commits the changed configuration; None where no git keeps it."""


def rotate(stack: Stack, key: str, name: str | None, action: str, say: Say) -> Rotation:
    """Give the stack another key, under another name where one is given; `say` hears what is going on.

    After any failure the configuration file is byte for byte as before, and the database as it was.
    """
    stack = stack.without_given_config()
    old = stack.settings()
    new = with_key(old, key, name)
    new.project(stack.environment)
    if (new.service_role_key, new.service_role_key_name) == (old.service_role_key, old.service_role_key_name):
        raise ConfigurationError(
            f"stack {stack.name!r} has this key already: nothing was changed. `pulumi up` brings it into Vault."
        )
    commit = commit_line(stack.config_file, f"chore: another key for stack {stack.name}")
    database = Database(new.address(stack.environment))
    try:
        _refuse_to_break_others(database, old, new)
        probed = prove(database, new, action, say)
    finally:
        database.close()
    return Rotation(probed, new.service_role_key_name, _deploy(stack, old, new, say), commit)


def with_key(settings: StackSettings, key: str, name: str | None) -> StackSettings:
    """Return the settings with another key, and another name of its secret; raise ConfigurationError."""
    changed = {"service_role_key": key}
    try:
        check_key(key)
        if name is not None:
            changed["service_role_key_name"] = check_secret_name(name)
    except ValueError as error:
        raise ConfigurationError(f"the given key or name cannot be used; nothing was changed: it {error}") from None
    if name == settings.supabase_url_name:
        raise ConfigurationError(f"{name!r} is the name of the URL's secret: nothing was changed. Take another one.")
    return settings.model_copy(update=changed)


def prove(database: Database, settings: StackSettings, action: str, say: Say) -> Probe:
    """Try the settings' key; raise NotProven unless it works, or no key is asked for."""
    say("trying the new key, and a wrong one, through pg_net ...")
    probed = probe(database, settings, settings.service_role_key, action)
    say(f"  the new key: {probed.key}")
    say(f"  a wrong key: {probed.wrong_key}")
    if not (probed.proven or probed.unchecked):
        raise NotProven(f"{probed.conclusion} Nothing was changed.")
    say(f"  {probed.conclusion}")
    return probed


def _refuse_to_break_others(database: Database, old: StackSettings, new: StackSettings) -> None:
    """Refuse to put a key of the other kind where something else reads it: that sends it in the old one's header."""
    same_name = old.service_role_key_name == new.service_role_key_name
    if not same_name or read_key(new.service_role_key).header == read_key(old.service_role_key).header:
        return
    others = database.read("looking for what names the key", lambda conn: others_naming(conn, old))
    if others:
        raise ForeignObject(
            f"secret {old.service_role_key_name} is also named by {', '.join(others)}, which would send the new key as "
            f"it sends the old one, in the wrong header, and be refused: nothing was changed. Give the new key a name "
            f"of its own: --name {OWN_NAME}"
        )


def _deploy(stack: Stack, old: StackSettings, new: StackSettings, say: Say) -> tuple[str, ...]:
    with _finishing_first(say):
        return _deploy_or_undo(stack, old, new, say)


@contextmanager
def _finishing_first(say: Say) -> Iterator[None]:
    """Answer a Ctrl-C with a word: between configuration and database is no place to stop."""
    before = signal.signal(signal.SIGINT, lambda *_: say("this is finished first: a few seconds ..."))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _deploy_or_undo(stack: Stack, old: StackSettings, new: StackSettings, say: Say) -> tuple[str, ...]:
    before, up = stack.config_file.read_bytes(), (*_UP, *_targets(old, new))
    try:
        for command, value in _settings_to_change(old, new).items():
            say(f"pulumi config set {command} ...")
            _need(stack, "config", "set", *command.split(" "), given=value)
    except PulumiRefused:
        stack.config_file.write_bytes(before)
        raise
    say(f"{' '.join(('pulumi up', *_targets(old, new)))} ...")
    try:
        return _kept(_need(stack, *up))
    except PulumiRefused:
        stack.config_file.write_bytes(before)
        say("that failed: putting back what was there ...")
        undone = stack.pulumi(*up)
        if undone.returncode != 0:
            say(f"the configuration is as it was; run `pulumi up` when this is mended: {complaint(undone)}")
        raise


def _settings_to_change(old: StackSettings, new: StackSettings) -> Mapping[str, str]:
    changes = {f"--secret {NAMESPACE}:serviceRoleKey": new.service_role_key}
    if new.service_role_key_name != old.service_role_key_name:
        changes[f"--plaintext {NAMESPACE}:serviceRoleKeyName"] = new.service_role_key_name
    return changes


def _targets(old: StackSettings, new: StackSettings) -> tuple[str, ...]:
    """Name the resource by the end of its URN, which begins with what the program calls the component.

    A new name needs the whole program: a targeted `up` deletes nothing that the program no longer has (CLI 3.250).
    """
    moved = new.service_role_key_name != old.service_role_key_name
    return () if moved else ("--target", f"**-secrets-{new.service_role_key_name}")


def _need(stack: Stack, *command: str, given: str | None = None) -> str:
    done = stack.pulumi(*command, given=given)
    if done.returncode != 0:
        raise PulumiRefused(f"`pulumi {command[0]}` failed; the key is the old one: {complaint(done)}")
    return done.stdout + done.stderr


def _kept(said: str) -> tuple[str, ...]:
    """Find what the providers said of objects that they kept: Pulumi shows it among its own lines."""
    return tuple(dict.fromkeys(re.findall(r"\bkept secret .+", said)))
