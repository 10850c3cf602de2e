"""Declare the desired state: one frozen model for each kind of object.

An observation has the fields of its spec, and `compare` lists the differences. Where only the server knows the
desired value, the spec uses PostgreSQL's expression (`current_user`, `current_database()`), and a matching observation
repeats the expression.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

DIFFERS = "<differs>"
"""Placeholder for a stored secret that differs, or that the database cannot decrypt."""
NOT_KNOWN = "<not known>"
"""Placeholder for a wanted secret where the configuration is not at hand."""
DISPATCHES, ALERTS = "dispatches", "alerts"
"""The optional tables next to the ledger."""


class Spec(BaseModel):
    """The desired state of one object."""

    # Pulumi passes numbers as floats; pydantic accepts 10.0 as an int and rejects 10.5.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kind: ClassVar[str]
    """The name of this kind in output and in the ledger."""
    identity: ClassVar[tuple[str, ...]]
    """Fields that identify the object and never change in place."""
    secret: ClassVar[frozenset[str]] = frozenset()
    """Fields with values that are never shown."""
    adoptable: ClassVar[bool] = True
    """Whether `adopt: never` refuses an existing object."""

    @property
    def object_name(self) -> str:
        """Return kind and name, as in output and in the ledger."""
        return " ".join([self.kind, *(str(getattr(self, key)) for key in self.identity)])


class PrerequisitesSpec(Spec):
    """The requirements of the database; the desired list of missing ones is empty."""

    kind: ClassVar[str] = "prerequisites"
    identity: ClassVar[tuple[str, ...]] = ()

    missing: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    """The stack's secrets, functions and jobs, none of which may be refused. States of 0.1.0 have none."""


class LedgerSpec(Spec):
    """The private schema, the ledger table, and the optional tables next to the ledger."""

    kind: ClassVar[str] = "ledger"
    identity: ClassVar[tuple[str, ...]] = ()

    stack: str
    project_ref: str = ""
    tables: tuple[str, ...] = ()
    """Optional tables: `dispatches`, the log of requests, stays when no longer wanted; `alerts` is dropped."""
    grantees: tuple[str, ...] = ()
    """Roles other than the owner with a privilege on the schema or a table. Wanted roles need only USAGE on the schema.
    We do not grant USAGE, so wanted roles always appear in the observation."""
    own_arguments: bool = False
    """Whether the program fills its arguments itself, so that the configuration does not describe the stack."""
    settings: str = ""
    """The stack's settings without secrets, as JSON, for commands without a configuration. Empty matches any."""

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Omit fields that states of earlier versions lack."""
        fields: dict[str, object] = serialize(self)
        for name in ("own_arguments", "settings"):
            if not fields[name]:
                del fields[name]
        return fields


class RecordedSpec(Spec):
    """An object with a ledger row: the stack that manages the object, and the stack's project."""

    stack: str
    project_ref: str = ""


class ExtensionSpec(RecordedSpec):
    """An installed extension. Version and schema are observed, never changed."""

    kind: ClassVar[str] = "extension"
    identity: ClassVar[tuple[str, ...]] = ("name",)
    adoptable: ClassVar[bool] = False

    name: str
    moved: str = ""
    """The old and the new schema, when the ledger remembers another one."""


class VaultSecretSpec(RecordedSpec):
    """A Vault secret."""

    kind: ClassVar[str] = "secret"
    identity: ClassVar[tuple[str, ...]] = ("name",)
    secret: ClassVar[frozenset[str]] = frozenset({"value"})

    name: str = Field(min_length=1)
    value: str = Field(min_length=1, repr=False)
    description: str = ""


class FunctionSpec(RecordedSpec):
    """A PL/pgSQL function, with all properties that can be changed by hand."""

    kind: ClassVar[str] = "function"
    identity: ClassVar[tuple[str, ...]] = ("name", "arguments")

    name: str
    """Schema and name, for example `public.invoke_bubble_sync_processor`."""
    arguments: str = ""
    """Parameter names and types as the server prints them, or empty."""
    returns: str = "void"
    body: str
    language: str = "plpgsql"
    security: str = "invoker"
    volatility: str = "volatile"
    config: tuple[str, ...] = ('search_path=""',)
    comment: str = ""
    owner: str = "current_user"
    executors: tuple[str, ...] = ()
    """Roles with EXECUTE, except the owner. We do not grant EXECUTE, so the observation always lists wanted roles."""
    attributes: tuple[str, ...] = ()
    """Further properties: strict, a parallel mode, parameter defaults, no EXECUTE for the owner."""
    overloads: tuple[str, ...] = ()
    """Parameters of other functions that match a call of this name without arguments."""

    @property
    def object_name(self) -> str:
        """Return kind, schema and name, which are unique among our functions."""
        return f"{self.kind} {self.name}"

    @property
    def types(self) -> tuple[str, ...]:
        """Return the types of the parameters, which identify the function together with its name."""
        return tuple(one.split(" ", 1)[1] for one in self.arguments.split(", ") if one)


class CronJobSpec(RecordedSpec):
    """A pg_cron job of the connecting role."""

    kind: ClassVar[str] = "job"
    identity: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    schedule: str
    command: str
    database: str = "current_database()"
    active: bool = True
    duplicates: tuple[str, ...] = ()
    """Other roles with a job of this name; both jobs would run."""


class TriggerSpec(RecordedSpec):
    """A trigger on the queue, with the sequences of its function."""

    kind: ClassVar[str] = "trigger"
    identity: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    definition: str
    """The rest of CREATE TRIGGER after the name, as the server prints it."""
    enabled: str = "origin"
    """Sessions whose inserts fire the trigger: `origin` (all but replication), `disabled`, `replica` or `always`."""
    comment: str = ""
    sequences: tuple[str, ...] = ()
    """Sequences in the schema `bubble_sync`, created and dropped with the trigger."""


_S = TypeVar("_S", bound=Spec, covariant=True)


@dataclass(frozen=True)
class Owner:
    """The owner of the objects."""

    stack: str
    project_ref: str = ""
    """Empty when no setting names a project: a custom domain, a local address."""


@dataclass(frozen=True)
class Observation(Generic[_S]):
    """The actual state of an object: the spec's fields, and read-only facts."""

    actual: _S
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """One field with a value that differs from the spec."""

    object_name: str
    field: str
    wanted: object
    actual: object
    secret: bool = False

    def __str__(self) -> str:
        """Return the field and both values, unless they are secret."""
        if self.secret:
            return f"{self.field}: [secret] => [secret]"
        return f"{self.field}: {self.actual!r} => {self.wanted!r}"


def compare(wanted: Spec, observed: Observation[Spec] | None) -> tuple[Difference, ...]:
    """List the fields of `observed` that differ from `wanted`; all fields when `observed` is None."""
    differences = []
    for name in type(wanted).model_fields:
        want = getattr(wanted, name)
        have = None if observed is None else getattr(observed.actual, name)
        if want != have:
            differences.append(Difference(wanted.object_name, name, want, have, name in wanted.secret))
    return tuple(differences)
