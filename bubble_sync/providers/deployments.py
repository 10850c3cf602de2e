"""Track the objects that the running program has declared so far.

A delete for a replacement must keep an object that the program still declares. The engine sends such a delete after the
declaration of the object, or, for a dependent object, while the program still runs. When the provider itself is
replaced, the old provider's process receives the delete. All other deletes come after the end of the program.
"""

from __future__ import annotations

from pathlib import Path

from bubble_sync.model.jobs import MANAGED_JOBS
from bubble_sync.providers.engine import PLUGIN, engine_pid, words_of
from bubble_sync.specs import Spec

_LAST = f"-{MANAGED_JOBS[-1].key}"
"""The end of the last declaration of every program, whose begin is a setting."""
_DESTROY = frozenset({b"destroy", b"down", b"dn"})
_declared: set[str] = set()


def declare(spec: Spec) -> None:
    """Record that the program declares an object."""
    _declared.add(spec.object_name)


def may_declare(spec: Spec) -> bool:
    """Return whether the program declares an object or may still do so, so that a delete must keep it."""
    declaring = bool(_declared) and not any(name.startswith("job ") and name.endswith(_LAST) for name in _declared)
    return spec.object_name in _declared or declaring or _another_provider_runs()


def _another_provider_runs() -> bool:
    """Return whether an `up` runs a second plugin of ours; on Linux only.

    A `destroy` that runs the program also has a second plugin, but its deletes are final.
    """
    try:
        engine = engine_pid()
        if _DESTROY.intersection(words_of(engine)):
            return False
        children = [pid for task in Path(f"/proc/{engine}/task").glob("*/children") for pid in task.read_text().split()]
        return sum(any(PLUGIN in word for word in words_of(int(pid))) for pid in children) > 1
    except OSError:
        return False
