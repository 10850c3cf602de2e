"""Define the protocol of this package's modules."""

from __future__ import annotations

from typing import Protocol, TypeVar

from bubble_sync.database.database import Connection
from bubble_sync.database.snapshot import Found
from bubble_sync.specs import Observation, Spec

S = TypeVar("S", bound=Spec)


class Kind(Protocol[S]):
    """The functions of a module for one kind of object."""

    @property
    def PARTS(self) -> tuple[str, ...]:
        """The parts to read for an observation."""

    def observed(self, spec: S, found: Found) -> Observation[S] | None:
        """Return the observed object, or None when missing."""

    def refuse(self, spec: S, found: Found) -> None:
        """Raise when the object must not be changed; called only if a field differs."""

    def apply(self, conn: Connection, spec: S, observed: Observation[S] | None) -> None:
        """Create the object, or change the fields that differ."""

    def kept(self, conn: Connection, spec: S) -> str | None:
        """Return the reason to keep the object, or None."""

    def remove(self, conn: Connection, spec: S, observed: Observation[S]) -> None:
        """Remove the existing object."""
