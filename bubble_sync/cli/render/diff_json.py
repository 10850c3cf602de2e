"""A comparison as JSON: a shape that other programs may rely on.

::

    {"stack": "prod", "clean": false, "counts": {"equal": 11, "update": 1},
     "objects": [{"object": "job bubble-sync-retry", "kind": "job", "state": "update", "reason": "",
                  "changes": [{"field": "active", "actual": false, "wanted": true}]}],
     "unmanaged": [{"what": "job old", "text": "jobid 7: ...", "sql": "select cron.unschedule(7);"}],
     "next": "keep the way back, ..."}

Of a secret value a change says `"secret": "differs"` or `"unreadable"`, and no value. States: equal, create, adopt,
adopt and change, update, foreign (`up` refuses it: `reason` says why), missing prerequisite.
"""

from __future__ import annotations

from bubble_sync.cli.render.diff_text import next_of
from bubble_sync.compare.diff import Change, Comparison, ObjectDiff


def comparison_document(comparison: Comparison) -> dict[str, object]:
    """Return the output of `--json`."""
    return {
        "stack": comparison.stack,
        "clean": comparison.clean,
        "counts": dict(comparison.counts),
        "objects": [_object(item) for item in comparison.items],
        "unmanaged": [{"what": one.what, "text": one.text, "sql": one.sql} for one in comparison.unmanaged],
        "next": next_of(comparison),
    }


def _object(item: ObjectDiff) -> dict[str, object]:
    return {
        "object": item.spec.object_name,
        "kind": item.spec.kind,
        "state": item.state.value,
        "reason": item.reason,
        "changes": [_change(change) for change in item.changes],
    }


def _change(change: Change) -> dict[str, object]:
    if change.secret:
        return {"field": change.field, "secret": change.secret}
    return {"field": change.field, "actual": change.actual, "wanted": change.wanted}
