"""Implement the life cycle of a resource: check, diff, create, read, update and delete.

Provider classes hold nothing and take no constructor arguments, so that the state stores 36 bytes for each: a reference
to the class. Importing this module has no side effects, and imports no database driver.
"""

from __future__ import annotations

import os
import secrets
import sys
import threading
from typing import TYPE_CHECKING, Any, ClassVar

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)
from pulumi.output import Unknown
from pydantic import ValidationError

from bubble_sync.config.database_url import NAMESPACE, DatabaseAddress, database_address
from bubble_sync.config.project_ref import ref_of_database, ref_of_url, require_one_project
from bubble_sync.config.settings import NameSettings
from bubble_sync.printable import printable_lines
from bubble_sync.providers.deployments import declare, may_declare
from bubble_sync.providers.engine import end_with_engine
from bubble_sync.specs import Observation, RecordedSpec, Spec

if TYPE_CHECKING:
    from bubble_sync.database.database import Database

Props = dict[str, Any]
_making = threading.Lock()
_databases: dict[tuple[DatabaseAddress, NameSettings], Database] = {}
_CONFIG_KEYS = ("databaseUrl", "databaseUrlEnv", "databaseCa", "projectRef", "supabaseUrl", "adopt", "names")


class ConvergingProvider(ResourceProvider):
    """A provider for one kind of object; subclasses set the spec and the `converge` module."""

    # The serialized class contains no secrets, so a readable state suffices.
    serialize_as_secret_always = False

    spec_type: ClassVar[type[Spec]]
    _config: dict[str, str | None]

    def configure(self, req: ConfigureRequest) -> None:
        """Store the connection settings without connecting."""
        # Pulumi prints a provider's traceback; reduce it to the one useful line.
        sys.tracebacklimit = 0
        end_with_engine()
        self._config = {key: req.config.get(f"{NAMESPACE}:{key}") for key in _CONFIG_KEYS}

    def check(self, _olds: Props, news: Props) -> CheckResult:
        """Validate and normalise offline; reject a changed identity, which would be a replacement."""
        known = {key: value for key, value in news.items() if key in self.spec_type.model_fields}
        if any(isinstance(value, Unknown) for value in known.values()):
            return CheckResult(news, [])
        try:
            spec = self.spec_type.model_validate(known)
        except ValidationError as error:
            return CheckResult(news, [self._failure(str(e["loc"][0]), e["msg"]) for e in error.errors()])
        declare(spec)
        inputs = _inputs(spec)
        moved = [key for key in self.spec_type.identity if key in _olds and _olds[key] != inputs[key]]
        return CheckResult(inputs, [CheckFailure(key, _moved(key, _olds[key], inputs[key])) for key in moved])

    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        """Leave the diff to the engine, which lists each property; never replace."""
        return DiffResult(changes=None, replaces=[])

    def create(self, props: Props) -> CreateResult:
        """Create the object, or adopt and converge an existing one."""
        return CreateResult(self._spec(props).object_name, self._converge(props, secrets.token_hex(16)))

    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        """Converge the object in place."""
        return UpdateResult(self._converge(_news, _olds.get("claim") or secrets.token_hex(16)))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Observe the object; return an empty id when missing."""
        spec = self._spec(props)
        from bubble_sync.converge.lifecycle import observe

        claim = props.get("claim", "")
        observed = self._database().read(f"reading {spec.object_name}", lambda conn: observe(conn, spec, claim=claim))
        if observed is None:
            return ReadResult("", {})
        # `delete` receives these outputs: they name the owner by the program, not by the current ledger.
        ours: Props = {key: props[key] for key in ("stack", "project_ref", "claim") if key in props}
        return ReadResult(id_, {**_outputs(observed), **ours}, _inputs(observed.actual))

    def delete(self, _id: str, _props: Props) -> None:
        """Remove an object of ours without users, or print the reason to keep it."""
        from bubble_sync.converge.lifecycle import remove

        spec = self._spec(_props)
        claim, declared = _props.get("claim", ""), may_declare(spec)
        reason = self._database().change(
            f"removing {spec.object_name}",
            lambda conn: remove(conn, spec, claim=claim, declared=declared),
        )
        if reason is not None:
            show(f"kept {spec.object_name}: {reason}")

    def _converge(self, props: Props, claim: str) -> Props:
        from bubble_sync.converge.lifecycle import converge

        spec = self._spec(props)
        adopt = self._config["adopt"] != "never"
        converged = self._database().change(
            f"converging {spec.object_name}",
            lambda conn: _outputs(converge(conn, spec, adopt=adopt, claim=claim)),
        )
        return {**converged, **({"claim": claim} if isinstance(spec, RecordedSpec) else {})}

    def _spec(self, props: Props) -> Spec:
        """Return the spec in props, which also contain facts and the provider itself."""
        return self.spec_type.model_validate({k: v for k, v in props.items() if k in self.spec_type.model_fields})

    def _database(self) -> Database:
        config = self._config
        address = database_address(config["databaseUrl"], config["databaseUrlEnv"], config["databaseCa"], os.environ)
        require_one_project(
            {
                "projectRef": config["projectRef"],
                "supabaseUrl": ref_of_url(config["supabaseUrl"] or ""),
                "the database URL": ref_of_database(address.host, address.user),
            }
        )
        return _database(address, NameSettings.model_validate_json(config["names"] or "{}"))

    def _failure(self, field: str, message: str) -> CheckFailure:
        # The engine prints the value of a failing property.
        secret = field in self.spec_type.secret
        return CheckFailure("", f"{field}: {message}") if secret else CheckFailure(field, message)


def show(line: str) -> None:
    """Write a line that the engine shows."""
    # One write keeps threads apart.
    sys.stdout.write(f"{printable_lines(line)}\n")
    sys.stdout.flush()


def _database(address: DatabaseAddress, names: NameSettings) -> Database:
    """Share one database and its connections between all providers of the process."""
    from bubble_sync.database.database import Database

    # Resources run in threads; a second pool would try a wrong password again.
    with _making:
        if (address, names) not in _databases:
            _databases[address, names] = Database(address, names)
        return _databases[address, names]


def _inputs(spec: Spec) -> Props:
    return spec.model_dump(mode="json")


def _outputs(observed: Observation[Spec]) -> Props:
    return {**_inputs(observed.actual), **observed.facts}


def _moved(key: str, old: object, new: object) -> str:
    return (
        f"{key} cannot change from {old!r} to {new!r} in place. Rename the resource in the program: Pulumi then "
        "creates the new object and removes the old one, if we made it."
    )
