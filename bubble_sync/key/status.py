"""The stack's key: its kind, its expiry and the next step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bubble_sync.config.keys import KeyShape, key_warnings, read_key
from bubble_sync.config.settings import NameSettings, StackSettings
from bubble_sync.converge import vault_secrets
from bubble_sync.converge.references import REFERENCE_SECTIONS, pattern_of, references_in
from bubble_sync.database.database import Database
from bubble_sync.database.snapshot import Snapshot, read_snapshot
from bubble_sync.errors import PrerequisiteMissing
from bubble_sync.model.jobs import MANAGED_JOBS
from bubble_sync.model.setup import desired_state
from bubble_sync.specs import FunctionSpec, Owner, VaultSecretSpec


def own_name(names: NameSettings) -> str:
    """Return our name for the key's secret when other objects need the usual name."""
    return f"{names.schema_name}_key"


@dataclass(frozen=True)
class KeyStatus:
    """Facts from the key itself, read offline."""

    stack: str
    secret_name: str
    shape: KeyShape
    project_ref: str | None
    warnings: tuple[str, ...]
    own_name: str

    def next_step(self, others: tuple[str, ...]) -> str:
        """Return the next step for the key; `others` also read it."""
        rotate = f"bubble-sync key rotate --stack {self.stack}"
        if self.shape.kind == "legacy JWT":
            name = f" --name {self.own_name}" if others and self.secret_name != self.own_name else ""
            return f"move to a secret key: docs/guides/keys.md, then `{rotate}{name}`"
        if self.warnings:
            return f"set another key: `{rotate}`"
        return f"nothing; `bubble-sync key probe --stack {self.stack}` tries it"


@dataclass(frozen=True)
class KeyInDatabase:
    """Facts from the database: whether Vault has the key, and its other readers."""

    stored: str
    """`equal`, `differs`, `unreadable` or `absent`."""
    functions_read_it: bool
    """Whether each job's function that sends requests names this secret."""
    others: tuple[str, ...]
    """Functions, views, triggers and jobs, except ours, that name the secret."""


def key_status(stack: str, settings: StackSettings, environment: Mapping[str, str], now: datetime) -> KeyStatus:
    """Read the configured key offline; raise WrongEnvironment for another project's key."""
    shape = read_key(settings.service_role_key)
    project = settings.project(environment)
    warnings = key_warnings(shape, now)
    return KeyStatus(stack, settings.service_role_key_name, shape, project, warnings, own_name(settings.names))


def key_in_database(database: Database, settings: StackSettings) -> KeyInDatabase:
    """Compare the key with Vault's by digest, and list the objects that name the secret."""
    name = settings.service_role_key_name
    spec = VaultSecretSpec(name=name, value=settings.service_role_key, stack="")
    parts = (*vault_secrets.SECTIONS, *REFERENCE_SECTIONS)
    snapshot = database.read(
        f"reading secret {name}", lambda conn: read_snapshot(conn, parts, [spec], pattern=pattern_of(name))
    )
    # Our functions in regprocedure form: types without names.
    specs = [spec for spec in desired_state(settings, Owner("")) if isinstance(spec, FunctionSpec)]
    users, ours = references_in(snapshot), {f"function {spec.name}({','.join(spec.types)})" for spec in specs}
    return KeyInDatabase(
        stored=_stored(spec, snapshot),
        others=tuple(one for one in users if one not in ours),
        functions_read_it=all(
            any(settings.names.render(job.function) in one for one in ours & set(users))
            for job in MANAGED_JOBS
            if job.sends
        ),
    )


def require_converged(database: Database, settings: StackSettings) -> KeyInDatabase:
    """Return the facts about the key; raise PrerequisiteMissing when the ticks use another URL, secret or key."""
    found = key_in_database(database, settings)
    for part, is_so in (
        (f"secret {settings.supabase_url_name}", _stored_url(database, settings) == "equal"),
        (f"secret {settings.service_role_key_name}", found.stored == "equal"),
        ("what the functions read", found.functions_read_it),
    ):
        if not is_so:
            raise PrerequisiteMissing(
                f"{part} in the database differs from the configuration, so a probe proves nothing: nothing was "
                "changed. Run `pulumi up` first."
            )
    return found


def _stored_url(database: Database, settings: StackSettings) -> str:
    """Compare the project URL with Vault's by digest."""
    spec = VaultSecretSpec(name=settings.supabase_url_name, value=settings.url, stack="")
    snapshot = database.read(
        f"reading {spec.object_name}", lambda conn: read_snapshot(conn, vault_secrets.SECTIONS, [spec])
    )
    return _stored(spec, snapshot)


def _stored(spec: VaultSecretSpec, snapshot: Snapshot) -> str:
    return "absent" if vault_secrets.observe(spec, snapshot) is None else vault_secrets.state_of_value(spec, snapshot)
