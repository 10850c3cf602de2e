"""What this provider process knows of the deployment that it serves: which objects the program has declared so far.

A delete before its replacement must not remove what the program wants. Such a delete comes after the object was
declared, or, of what depends on another object, while the program still declares. Where the provider itself is replaced
too, it comes in the process of the old one. Every other delete comes when the program is through, or where none runs.
"""

from __future__ import annotations

import os
from pathlib import Path

from bubble_sync.specs import RETRY_JOB, Spec

_LAST = f"job {RETRY_JOB}"
#: What the engine runs for the dynamic providers of Python.
_PLUGIN = b"pulumi-resource-pulumi-python"
_DESTROY = frozenset({b"destroy", b"down", b"dn"})
_declared: set[str] = set()


def declare(spec: Spec) -> None:
    """Remember that the program of this deployment wants an object."""
    _declared.add(spec.object_name)


def may_declare(spec: Spec) -> bool:
    """Say whether the program declares an object, or may still do so: a delete is not meant then."""
    declaring = bool(_declared) and _LAST not in _declared
    return spec.object_name in _declared or declaring or _another_provider_runs()


def _another_provider_runs() -> bool:
    """Say whether an `up` runs a second plugin of ours. Linux only: elsewhere nobody can tell.

    A `destroy` that runs the program has a second one too, and means what it deletes.
    """
    try:
        # The engine started the plugin's script, and the script started us.
        engine = Path(f"/proc/{os.getppid()}/stat").read_text("utf-8").rpartition(")")[2].split()[1]
        if _DESTROY.intersection(_words(engine)):
            return False
        children = [pid for task in Path(f"/proc/{engine}/task").glob("*/children") for pid in task.read_text().split()]
        return sum(any(_PLUGIN in word for word in _words(pid)) for pid in children) > 1
    except OSError:
        return False


def _words(pid: str) -> list[bytes]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
