"""Which key does the stack have, until when, and what comes next?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bubble_sync.converge import vault
from bubble_sync.converge.change import users_of
from bubble_sync.database import Connection, Database
from bubble_sync.functions import function_specs
from bubble_sync.keys import KeyShape, read_key, warnings_about
from bubble_sync.settings import StackSettings
from bubble_sync.specs import Keeper, VaultSecretSpec

OWN_NAME = "bubble_sync_key"
"""What we call the key's secret where others need the usual name."""


@dataclass(frozen=True)
class KeyStatus:
    """What the key says of itself, without asking anybody."""

    stack: str
    secret_name: str
    shape: KeyShape
    project_ref: str | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class KeyInDatabase:
    """What the database says: whether Vault has the key, and who else reads it."""

    stored: str
    """`equal`, `differs` or `absent`."""
    others: tuple[str, ...]
    """Functions, views, triggers and jobs, other than ours, that name the secret."""


def key_status(stack: str, settings: StackSettings, environment: Mapping[str, str], now: datetime) -> KeyStatus:
    """Read what the configured key tells, offline; raise WrongEnvironment when it is another project's."""
    shape = read_key(settings.service_role_key)
    project = settings.project(environment)
    return KeyStatus(stack, settings.service_role_key_name, shape, project, warnings_about(shape, now))


def key_in_database(database: Database, settings: StackSettings) -> KeyInDatabase:
    """Compare the key with Vault's, by digest, and list who else names the secret."""
    name = settings.service_role_key_name

    def look(conn: Connection) -> KeyInDatabase:
        spec = VaultSecretSpec(name=name, value=settings.service_role_key, stack="")
        found = vault.observe(conn, spec)
        stored = "absent" if found is None else "equal" if found.actual.value == spec.value else "differs"
        return KeyInDatabase(stored, others_naming(conn, settings))

    return database.read(f"reading secret {name}", look)


def others_naming(conn: Connection, settings: StackSettings) -> tuple[str, ...]:
    """List what names the key's secret, other than the functions that the stack itself has."""
    names = (settings.supabase_url_name, settings.service_role_key_name)
    ours = {
        # As regprocedure prints it: types without names.
        f"function {spec.name}({','.join(one.split(' ', 1)[1] for one in spec.arguments.split(', ') if one)})"
        for spec in function_specs(settings.processor, settings.retry, *names, Keeper(""))
    }
    return tuple(one for one in users_of(conn, settings.service_role_key_name) if one not in ours)


def next_step(status: KeyStatus, others: tuple[str, ...]) -> str:
    """Say what to do next with the key."""
    rotate = f"bubble-sync key rotate --stack {status.stack}"
    if status.shape.kind == "legacy JWT":
        name = f" --name {OWN_NAME}" if others and status.secret_name != OWN_NAME else ""
        return f"move to a secret key: docs/keys.md, then `{rotate}{name}`"
    if status.warnings:
        return f"set another key: `{rotate}`"
    return f"nothing; `bubble-sync key probe --stack {status.stack}` tries it"
