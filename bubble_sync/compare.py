"""Spec against observation: the one idea of drift, used by providers and commands alike."""

from __future__ import annotations

from dataclasses import dataclass

from bubble_sync.specs import Observation, Spec


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
