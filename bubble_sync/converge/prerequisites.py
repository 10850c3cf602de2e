"""Prerequisites: observed, never changed; whatever else the sync needs is made only when nothing is missing."""

from __future__ import annotations

from bubble_sync.converge.reading import REQUIRED_VALUES, Found
from bubble_sync.database import Connection
from bubble_sync.errors import PrerequisiteMissing
from bubble_sync.specs import Observation, PrerequisitesSpec

PARTS = ("queue", "refused", "server")


def observed(spec: PrerequisitesSpec, found: Found) -> Observation[PrerequisitesSpec]:
    """List everything that is missing, sorted; never raises for a missing part."""
    (queue,), (server,) = found.rows("queue"), found.rows("server")
    missing = [*queue["missing"], *server["missing"], *_refused_labels(queue["labels"]), *_refused_by_checks(found)]
    return Observation(spec.model_copy(update={"missing": tuple(sorted(missing))}))


def refuse(spec: PrerequisitesSpec, found: Found) -> None:
    """Raise the whole list of what is missing."""
    listed = "".join(f"\n  - {one}" for one in observed(spec, found).actual.missing)
    raise PrerequisiteMissing(
        f"the database lacks what the sync is built on; nothing was changed. Provide, then run again:{listed}"
    )


def apply(conn: Connection, spec: PrerequisitesSpec, observed: Observation[PrerequisitesSpec] | None) -> None:
    """Change nothing: what is missing has been refused."""


def kept(conn: Connection, spec: PrerequisitesSpec) -> str | None:
    """Say nothing: there is nothing of ours to keep."""
    return None


def remove(conn: Connection, spec: PrerequisitesSpec, observed: Observation[PrerequisitesSpec]) -> None:
    """Remove nothing."""


def _refused_labels(labels: dict[str, list[str] | None]) -> list[str]:
    return [
        f"{column} '{value}' in the enum of public.sync_queue.{column}"
        for column, allowed in labels.items()
        for value in REQUIRED_VALUES[column]
        if allowed is not None and value not in allowed
    ]


def _refused_by_checks(found: Found) -> list[str]:
    return [
        f"{row['rule']['column']} '{row['value']}' in the constraint {row['rule']['name']} of public.sync_queue"
        for row in found.rows("refused")
    ]
