"""Rotate the key of a stack: probe, configuration, and one `up`. Only Pulumi writes to the database."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass

from bubble_sync.actions.deployment import ConfigChange, Progress, deploy, exclusive_lock
from bubble_sync.actions.git_checkout import commit_line
from bubble_sync.config.keys import read_key
from bubble_sync.config.settings import StackSettings
from bubble_sync.config.stacks import Stack
from bubble_sync.config.validators import WEBHOOK_NAME, check_key, check_secret_name
from bubble_sync.database.database import Database
from bubble_sync.errors import ConfigurationError, ForeignObject, NotProven, PrerequisiteMissing, ServerRefused
from bubble_sync.key.probe import Probe, probe
from bubble_sync.key.status import KeyInDatabase, key_in_database, own_name, stored_url


@dataclass(frozen=True)
class Wanted:
    """The arguments of a rotation."""

    key: str
    name: str | None
    action: str
    accept_unchecked: bool = False
    """Continue although the endpoint accepts any key and nothing can be proven."""


@dataclass(frozen=True)
class Rotation:
    """The result of a rotation."""

    probe: Probe
    secret_name: str
    kept: tuple[str, ...]
    """Old objects that Pulumi kept, each with the reason."""
    commit: str | None
    """The git command for the changed configuration; None outside git."""


def rotate(stack: Stack, wanted: Wanted, progress: Progress) -> Rotation:
    """Set another key for the stack, optionally under another secret name; report progress through `progress`.

    After a failure the configuration file is byte for byte as before, and the database as it was, unless the error
    says otherwise.
    """
    stack = stack.without_given_config()
    with exclusive_lock(stack):
        old = stack.settings()
        new = with_key(old, wanted.key, wanted.name)
        new.project(stack.environment)
        if (new.service_role_key, new.service_role_key_name) == (old.service_role_key, old.service_role_key_name):
            raise ConfigurationError(
                f"stack {stack.name!r} has this key already: nothing was changed. `pulumi up` brings it into Vault."
            )
        commit = commit_line(stack.config_file, f"chore: another key for stack {stack.name}")
        with closing(Database(new.address(stack.environment), new.names)) as database:
            found = key_in_database(database, old)
            _require_converged(found, stored_url(database, old), old)
            _refuse_to_break_others(database, found.others, old, new)
            probed = _prove(database, new, wanted, progress)
            changes = [ConfigChange("serviceRoleKey", new.service_role_key, secret=True)]
            # The target is the end of a URN, which starts with the component's name.
            targets = [f"**-secrets-{new.service_role_key_name}"]
            if new.service_role_key_name != old.service_role_key_name:
                changes.append(ConfigChange("serviceRoleKeyName", new.service_role_key_name))
                # A targeted `up` deletes nothing that the program no longer has (CLI 3.250).
                targets = []
            output = deploy(stack, changes, targets, progress)
            _require_rotated(database, new)
        # The providers' messages about kept objects appear among Pulumi's own lines.
        kept = tuple(dict.fromkeys(re.findall(r"\bkept secret .+", output)))
        return Rotation(probed, new.service_role_key_name, kept, commit)


def with_key(settings: StackSettings, key: str, name: str | None) -> StackSettings:
    """Return the settings with another key and secret name; raise ConfigurationError."""
    changed = {"service_role_key": key}
    try:
        check_key(key)
        if name is not None:
            changed["service_role_key_name"] = check_secret_name(name, settings.names.render(WEBHOOK_NAME))
    except ValueError as error:
        raise ConfigurationError(f"the given key or name cannot be used; nothing was changed: it {error}") from None
    if name == settings.supabase_url_name:
        raise ConfigurationError(f"{name!r} is the name of the URL's secret: nothing was changed. Take another one.")
    return settings.model_copy(update=changed)


def _require_converged(found: KeyInDatabase, url: str, old: StackSettings) -> None:
    """Refuse when the ticks use another URL, secret or key than the probe would."""
    for part, is_so in (
        (f"secret {old.supabase_url_name}", url == "equal"),
        (f"secret {old.service_role_key_name}", found.stored == "equal"),
        ("what the functions read", found.functions_read_it),
    ):
        if not is_so:
            raise PrerequisiteMissing(
                f"{part} in the database differs from the configuration, so a probe proves nothing: nothing was "
                "changed. Run `pulumi up` first."
            )


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


def _prove(database: Database, new: StackSettings, wanted: Wanted, progress: Progress) -> Probe:
    progress("trying the new key, and a wrong one, through pg_net ...")
    probed = probe(database, new, new.service_role_key, wanted.action)
    progress(f"  the new key: {probed.key}")
    progress(f"  a wrong key: {probed.wrong_key}")
    if probed.proven or (probed.unchecked and wanted.accept_unchecked):
        progress(f"  {probed.conclusion}")
        return probed
    way_on = " If the endpoint checks no key: --accept-unchecked." if probed.unchecked else ""
    raise NotProven(f"{probed.conclusion} Nothing was changed.{way_on}")


def _require_rotated(database: Database, new: StackSettings) -> None:
    found = key_in_database(database, new)
    if found.stored != "equal" or not found.functions_read_it:
        raise ServerRefused(
            f"`pulumi up` succeeded, but secret {new.service_role_key_name} or what the functions read is not as "
            "wanted. Keep both keys valid, and look with `bubble-sync key status`."
        )
