"""What the engine does with our providers, in this process and one after the other; and what a database holds."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from bubble_sync.config.settings import read_settings
from bubble_sync.config.stacks import parse_config
from bubble_sync.converge.ledger import SETTINGS
from bubble_sync.database.database import Row
from bubble_sync.errors import SyncError
from bubble_sync.model.setup import desired_state
from bubble_sync.providers import converging, deployments
from bubble_sync.providers.converging import ConvergingProvider, Props
from bubble_sync.providers.cron_job import CronJobProvider
from bubble_sync.providers.extension import ExtensionProvider
from bubble_sync.providers.function import FunctionProvider
from bubble_sync.providers.ledger import LedgerProvider
from bubble_sync.providers.prerequisites import PrerequisitesProvider
from bubble_sync.providers.trigger import TriggerProvider
from bubble_sync.providers.vault_secret import VaultSecretProvider
from bubble_sync.specs import Owner, Spec
from tests.fixtures.site import Site
from tests.fixtures.specs import STACK

PROVIDERS = {
    one.spec_type: one
    for one in (
        CronJobProvider, ExtensionProvider, FunctionProvider, LedgerProvider, PrerequisitesProvider, TriggerProvider,
        VaultSecretProvider,
    )
}  # fmt: skip


@dataclass
class Engine:
    """A state, and the steps of Pulumi's engine; each command has connections of its own, as a process has."""

    wanted: Sequence[Spec]
    url_variable: str
    ca: str | None = None
    state: dict[str, tuple[Spec, Props]] = field(default_factory=dict)
    """Object -> its spec and the outputs of its provider."""
    changed: list[str] = field(default_factory=list)
    """What the last command created, updated or deleted."""

    def up(self, only: Callable[[Spec], bool] = lambda spec: True) -> None:
        """Read what the state has, and create or update what differs."""
        with self._process():
            self._refresh(only)
            for spec in filter(only, self.wanted):
                self._step(spec)

    def destroy(self) -> None:
        """Read what the state has, and delete it from the end."""
        with self._process():
            self._refresh(lambda spec: True)
            for name, (spec, outs) in reversed(list(self.state.items())):
                self._provider(spec).delete(name, outs)
                del self.state[name]
                self.changed.append(name)

    @property
    def claims(self) -> dict[str, str]:
        """Return the claims in the state."""
        return {name: outs["claim"] for name, (_, outs) in self.state.items() if "claim" in outs}

    @contextmanager
    def _process(self) -> Iterator[None]:
        """Begin without connections and declarations, and end without connections."""
        self.changed = []
        deployments._declared.clear()
        try:
            yield
        finally:
            for database in converging._databases.values():
                database.close()
            converging._databases.clear()

    def _refresh(self, only: Callable[[Spec], bool]) -> None:
        for name, (spec, outs) in list(self.state.items()):
            if only(spec):
                found = self._provider(spec).read(name, outs)
                if found.id:
                    self.state[name] = spec, dict(found.outs or {})
                else:
                    del self.state[name]

    def _step(self, spec: Spec) -> None:
        provider, name = self._provider(spec), spec.object_name
        _, known = self.state.get(name, (spec, {}))
        before = {key: value for key, value in known.items() if key in type(spec).model_fields}
        checked = provider.check(before, spec.model_dump(mode="json"))
        assert not checked.failures
        if name not in self.state:
            self.state[name] = spec, dict(provider.create(checked.inputs).outs or {})
        elif before != checked.inputs:
            self.state[name] = spec, dict(provider.update(name, known, checked.inputs).outs or {})
        else:
            return
        self.changed.append(name)

    def _provider(self, spec: Spec) -> ConvergingProvider:
        provider = PROVIDERS[type(spec)]()
        given = {"databaseUrlEnv": self.url_variable, "databaseCa": self.ca}
        provider._config = {**dict.fromkeys(converging._CONFIG_KEYS), **given}
        return provider


@dataclass
class Pulumi:
    """The commands of the CLI that ours run, on a configuration file of JSON and the engine above."""

    engine: Engine
    file: Path

    def __call__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], given: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Stand in for `run_pulumi`."""
        if command[:2] == ["config", "--json"]:
            return subprocess.CompletedProcess(command, 0, self.shown(), "")
        if command[0] == "config":
            (key,) = [word for word in command if word.startswith("bubble-sync:")]
            # A command of ours changes a draft of the file.
            file = Path(command[command.index("--config-file") + 1]) if "--config-file" in command else self.file
            self.set(key.removeprefix("bubble-sync:"), given, file)
            return subprocess.CompletedProcess(command, 0, "", "")
        try:
            self.up(*(word.removeprefix("**") for word in command if word.startswith("**")))
        except SyncError as error:
            return subprocess.CompletedProcess(command, 1, f"error: {type(error).__name__}: {error}\n", "")
        return subprocess.CompletedProcess(command, 0, "", "")

    def shown(self) -> str:
        """Return what `pulumi config --json --show-secrets` prints."""
        values = json.loads(self.file.read_text())
        texts = {key: one if isinstance(one, str) else json.dumps(one) for key, one in values.items()}
        secret = {"serviceRoleKey"}
        return json.dumps(
            {f"bubble-sync:{key}": {"value": text, "secret": key in secret} for key, text in texts.items()}
        )

    def set(self, key: str, value: str | None, file: Path) -> None:
        """Set or remove one value, which may be inside an object."""
        values: dict[str, Any] = json.loads(file.read_text())
        name, _, word = key.partition(".")
        holder, last = (values.setdefault(name, {}), word) if word else (values, name)
        if value is None:
            holder.pop(last, None)
        else:
            holder[last] = value
        file.write_text(json.dumps({key: one for key, one in values.items() if one != {}}))

    def up(self, *targets: str) -> None:
        """Bring up what the configuration wants, or the resources alone whose names end so."""
        self.engine.wanted = desired_state(read_settings(parse_config(self.shown())), Owner(STACK))
        ends = (target.rpartition("-jobs-")[2].rpartition("-secrets-")[2] for target in targets)
        names = {"ledger" if end.endswith("-ledger") else end for end in ends}
        self.engine.up(lambda spec: not names or spec.object_name.rpartition(" ")[2] in names)


@dataclass(frozen=True)
class Contents:
    """What a database holds of a stack, as a superuser sees it in one moment."""

    objects: Mapping[str, list[Row]]
    """By kind: every property but an id, so that a second object of one name is a second row."""
    ids: Mapping[str, str]
    """Object -> OID, jobid or id."""
    ledger: Mapping[str, Row]

    @property
    def claims(self) -> dict[str, str]:
        """Return the claims in the ledger."""
        return {name: row["claim"] for name, row in self.ledger.items() if row["claim"]}

    @property
    def untrue(self) -> set[str]:
        """Return the recorded objects that are not there."""
        return {name for name in self.ledger if not name.startswith("trigger ")} - {SETTINGS, *self.ids}


#: Needed schema -> kind -> query; the first column names the object, the second its id.
_QUERIES = {
    "pg_catalog": {
        "functions": "select format('function %s.%s', nspname, proname) as object, proc.oid::text as id, prosrc, "
        "prosecdef, proconfig, pg_get_userbyid(proowner)::text as owner, proacl::text, obj_description(proc.oid) "
        "from pg_proc as proc join pg_namespace as space on space.oid = pronamespace "
        "where nspname in ('public', 'bubble_sync')",
        "extensions": "select format('extension %s', extname) as object, oid::text as id, extversion, "
        "extnamespace::regnamespace::text from pg_extension",
        "schemas": "select 'schema' as object, '' as id, nspacl::text, obj_description(oid) from pg_namespace "
        "where nspname = 'bubble_sync'",
        "tables": "select oid::regclass::text as object, '' as id, relacl::text, relkind::text from pg_class "
        "where relnamespace = to_regnamespace('bubble_sync')",
    },
    "cron": {
        "jobs": "select format('job %s', jobname) as object, jobid::text as id, schedule, command, active, "
        "username::text, database::text from cron.job"
    },
    "vault": {
        "secrets": "select format('secret %s', name) as object, id::text, description, decrypted_secret "
        "from vault.decrypted_secrets"
    },
    "bubble_sync": {"ledger": "select object, '' as id, stack, project_ref, origin, claim from bubble_sync.ledger"},
}


def contents(site: Site) -> Contents:
    """Read all of it in one snapshot."""
    objects: dict[str, list[Row]] = {}
    with psycopg.connect(site.addresses.admin_url, row_factory=dict_row) as conn:
        conn.execute("set transaction isolation level repeatable read, read only")
        there = {row["name"] for row in conn.execute("select nspname::text as name from pg_namespace")}
        for schema in there & set(_QUERIES):
            for kind, query in _QUERIES[schema].items():
                objects[kind] = conn.execute(query).fetchall()
    ids = {row["object"]: row["id"] for rows in objects.values() for row in rows if row["id"]}
    ledger = {row["object"]: row for row in objects.get("ledger", [])}
    bare = {kind: sorted(({**row, "id": "", "claim": ""} for row in rows), key=repr) for kind, rows in objects.items()}
    return Contents(bare, ids, ledger)
