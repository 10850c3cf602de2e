"""What each module of this package that is for one kind of object offers."""

from __future__ import annotations

from typing import Protocol, TypeVar

from bubble_sync.database.database import Connection
from bubble_sync.database.snapshot import Found
from bubble_sync.specs import Observation, Spec

S = TypeVar("S", bound=Spec)


class Kind(Protocol[S]):
    """What a module of this package offers for its kind of object."""

    @property
    def PARTS(self) -> tuple[str, ...]:
        """What must be read to observe an object of this kind."""

    def observed(self, spec: S, found: Found) -> Observation[S] | None:
        """Return the object as a reading has found it, or None when it is not there."""

    def refuse(self, spec: S, found: Found) -> None:
        """Raise when the object must not be made as wanted; asked only where something differs."""

    def apply(self, conn: Connection, spec: S, observed: Observation[S] | None) -> None:
        """Make the object as wanted, touching only what differs."""

    def kept(self, conn: Connection, spec: S) -> str | None:
        """Say why the object must stay, or None when it may go."""

    def remove(self, conn: Connection, spec: S, observed: Observation[S]) -> None:
        """Remove the object, which is there."""
