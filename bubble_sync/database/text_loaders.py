"""Load text that is not UTF-8: a server checks none that a session with the encoding SQL_ASCII wrote."""

from __future__ import annotations

import json

from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Loader
from psycopg.types.json import set_json_loads

_TYPES = ("text", "name", "varchar", "bpchar", '"char"', "refcursor")
_OTHERS = 0
"""The number for types without a loader of their own, such as regclass."""


def register_text(context: AdaptContext) -> None:
    """Register the loaders on a connection."""
    for kind in (*_TYPES, _OTHERS):
        context.adapters.register_loader(kind, _Text)
    set_json_loads(lambda data: json.loads(_decoded(data)), context)


class _Text(Loader):
    """A loader that puts a replacement character for what is not UTF-8."""

    def load(self, data: Buffer) -> str:
        return _decoded(data)


def _decoded(data: Buffer | str) -> str:
    return data if isinstance(data, str) else bytes(data).decode("utf-8", "replace")
