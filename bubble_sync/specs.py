"""What is wanted: one frozen model for each kind of object.

An observation has the same fields as the spec, so that `compare` can hold one against the other. Where the wanted
value is only known to the server, the spec says it in PostgreSQL's own words (`current_user`, `current_database()`),
and the observation says the same word when it is so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

DIFFERS = "<differs>"
"""Stands for a secret value in the database that is not ours, or cannot be decrypted."""
DISPATCHES, ALERTS = "dispatches", "alerts"
"""The tables that stand next to the ledger where they are wanted."""
RETRY_JOB = "bubble-sync-retry"
"""The job that waits for failed items: of what every program declares, the last."""


class Spec(BaseModel):
    """One object as it should be."""

    # Numbers arrive from Pulumi as floats: pydantic takes 10.0 for an int, and refuses 10.5.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kind: ClassVar[str]
    """The word for this kind in output and in the ledger."""
    identity: ClassVar[tuple[str, ...]]
    """Fields that say which object it is: they never change in place."""
    secret: ClassVar[frozenset[str]] = frozenset()
    """Fields whose values are never shown."""
    adoptable: ClassVar[bool] = True
    """Whether `adopt: never` refuses one that is there already."""

    @property
    def object_name(self) -> str:
        """Name the object as people and the ledger do: kind and name."""
        return " ".join([self.kind, *(str(getattr(self, key)) for key in self.identity)])


class PrerequisitesSpec(Spec):
    """What the database must already have; wanted is that nothing is missing."""

    kind: ClassVar[str] = "prerequisites"
    identity: ClassVar[tuple[str, ...]] = ()

    missing: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    """Names of the secrets, functions and jobs that the stack wants: none may be refused. A state of 0.1.0 has none."""


class LedgerSpec(Spec):
    """The private schema, the table that remembers what we made or adopted, and the tables beside it."""

    kind: ClassVar[str] = "ledger"
    identity: ClassVar[tuple[str, ...]] = ()

    stack: str
    project_ref: str = ""
    tables: tuple[str, ...] = ()
    """Tables beside the ledger: `dispatches`, where requests are recorded; `alerts`, what the alerts have told. Where
    they are not wanted, the first stays and the second goes."""
    grantees: tuple[str, ...] = ()
    """Roles other than the owner that hold a privilege on the schema or a table. A wanted one may use the schema and
    no more; that it can is for whoever grants it, so that an observation has each of them."""
    own_arguments: bool = False
    """Whether the program fills its arguments itself, so that the configuration does not say what it wants."""

    @model_serializer(mode="wrap")
    def _without_default(self, serialize: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave out what states of earlier versions do not have."""
        fields: dict[str, object] = serialize(self)
        if not self.own_arguments:
            del fields["own_arguments"]
        return fields


class RecordedSpec(Spec):
    """An object with a row in the ledger, which names the stack that keeps it and the project that it is for."""

    stack: str
    project_ref: str = ""


class ExtensionSpec(RecordedSpec):
    """An installed extension; its version and schema are observed, never changed."""

    kind: ClassVar[str] = "extension"
    identity: ClassVar[tuple[str, ...]] = ("name",)
    adoptable: ClassVar[bool] = False

    name: str
    moved: str = ""
    """Where it was and where it is, when that is another schema than the ledger remembers."""


class VaultSecretSpec(RecordedSpec):
    """A row of Vault."""

    kind: ClassVar[str] = "secret"
    identity: ClassVar[tuple[str, ...]] = ("name",)
    secret: ClassVar[frozenset[str]] = frozenset({"value"})

    name: str = Field(min_length=1)
    value: str = Field(min_length=1, repr=False)
    description: str = ""


class FunctionSpec(RecordedSpec):
    """A plpgsql function, with everything about it that a hand can change."""

    kind: ClassVar[str] = "function"
    identity: ClassVar[tuple[str, ...]] = ("name", "arguments")

    name: str
    """Schema and name, as in `public.invoke_bubble_sync_processor`."""
    arguments: str = ""
    """Parameter names and types as the server prints them; empty for none."""
    returns: str = "void"
    body: str
    language: str = "plpgsql"
    security: str = "invoker"
    volatility: str = "volatile"
    config: tuple[str, ...] = ('search_path=""',)
    comment: str = ""
    owner: str = "current_user"
    executors: tuple[str, ...] = ()
    """Roles other than the owner that may execute it. That a wanted one can is for whoever grants it, so that an
    observation has each of them."""
    attributes: tuple[str, ...] = ()
    """What a hand can add beside the rest: strict, a parallel mode, parameter defaults, no EXECUTE for the owner."""
    overloads: tuple[str, ...] = ()
    """Parameters of other functions of this name that a call without arguments also means."""

    @property
    def object_name(self) -> str:
        """Name the function by schema and name: we never hold two of one name."""
        return f"{self.kind} {self.name}"

    @property
    def types(self) -> tuple[str, ...]:
        """Give the parameters' types without their names: with the name they say which function it is."""
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
    """Other roles that have a job of this name: both would run."""


S = TypeVar("S", bound=Spec, covariant=True)


@dataclass(frozen=True)
class Keeper:
    """Whose the objects are."""

    stack: str
    project_ref: str = ""
    """Empty when nothing names a project: a custom domain, a local address."""


@dataclass(frozen=True)
class Observation(Generic[S]):
    """An object as it is: the spec's fields with actual values, and facts nobody asks to change."""

    actual: S
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """One field of one object that is not as wanted."""

    object_name: str
    field: str
    wanted: object
    actual: object
    secret: bool = False

    def __str__(self) -> str:
        """Say which field, and both values unless they are secret."""
        if self.secret:
            return f"{self.field}: [secret] => [secret]"
        return f"{self.field}: {self.actual!r} => {self.wanted!r}"


def compare(wanted: Spec, observed: Observation[Spec] | None) -> tuple[Difference, ...]:
    """List the fields of `observed` that differ from `wanted`; every field when the object is not there."""
    differences = []
    for name in type(wanted).model_fields:
        want = getattr(wanted, name)
        have = None if observed is None else getattr(observed.actual, name)
        if want != have:
            differences.append(Difference(wanted.object_name, name, want, have, name in wanted.secret))
    return tuple(differences)
