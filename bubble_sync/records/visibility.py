"""What the connecting role can see: readers answer from visible tables and report the rest as `unknown`.

No row is an answer only where every row would be shown: row security hides rows without an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from bubble_sync.config.settings import NameSettings, StackSettings
from bubble_sync.converge import ledger
from bubble_sync.database.connection import names_of_stack
from bubble_sync.database.database import Connection, Database, Row
from bubble_sync.database.table_names import DISPATCH_TABLE, JOB_TABLE, LEDGER_TABLE, RUN_TABLE
from bubble_sync.sql_loader import query

_P = ParamSpec("_P")
_T = TypeVar("_T")
_OWN_ROWS = (JOB_TABLE, RUN_TABLE)
"""pg_cron shows each role its own rows only."""
_OF_ALL_ROLES, _OF_THE_ROLE = ":all", ":own"
"""Suffix of a table's name: requires other roles' rows too, so the role must own the table's objects."""
_EXTENSIONS = {"cron": "pg_cron", "net": "pg_net", "vault": "supabase_vault"}


@dataclass(frozen=True)
class Visibility:
    """The tables that readers need, as the connecting role sees them."""

    tables: Mapping[str, Row]
    asked_at: datetime
    names: NameSettings = field(default_factory=NameSettings)

    def present(self, name: str) -> bool:
        """Return whether a table exists; `name` is the default name."""
        return bool(self._table(name)["present"])

    def _table(self, name: str) -> Row:
        return self.tables[self.names.render(name)]

    def why_unreadable(self, *names: str) -> str:
        """Return why these tables are not fully readable; nothing when they are."""
        return next((why for name in names if (why := self._why_unreadable(name))), "")

    def without(self, *names: str) -> str:
        """Return the extension whose tables are missing; nothing when these tables exist."""
        gone = (name for name in names if not self.present(name.split(":")[0]))
        return next((_EXTENSIONS[name.split(".")[0]] for name in gone if name.split(".")[0] in _EXTENSIONS), "")

    def why_no_job(self) -> str:
        """Return why a job that was not found may exist; nothing when it does not."""
        return self.why_unreadable(JOB_TABLE) or self._hidden(JOB_TABLE)

    def _why_unreadable(self, name: str) -> str:
        if name.endswith(_OF_ALL_ROLES):
            bare = name.removesuffix(_OF_ALL_ROLES)
            return self._why_unreadable(bare) or self._hidden(bare)
        if name.endswith(_OF_THE_ROLE):
            table = self._table(name.removesuffix(_OF_THE_ROLE))
            foreign = table["present"] and table["owner"] != table["role"]
            return f"this is {table['role']}, and the stack's objects are of {table['owner']}" if foreign else ""
        table, bare = self._table(name), self.names.render(name)
        if not table["present"]:
            return f"there is no table {bare}{' (config dispatchLog)' if name == DISPATCH_TABLE else ''}"
        if not table["readable"]:
            return f"{table['role']} may not read {bare}"
        if table["left_out"]:
            return f"{bare} is unlogged: a standby does not have its rows"
        if table["lacking"]:
            return f"{bare} has no column {', '.join(table['lacking'])}"
        return "" if name in _OWN_ROWS else self._hidden(name)

    def _hidden(self, name: str) -> str:
        table = self._table(name)
        return f"row security hides rows of {self.names.render(name)} from {table['role']}" if table["filtered"] else ""


def require_configured_program(conn: Connection, visible: Visibility, settings: StackSettings) -> None:
    """Raise ConfigurationError for settings of a configuration that the program does not use."""
    if not settings.recorded and not visible.why_unreadable(LEDGER_TABLE):
        ledger.require_configured([row["object"] for row in conn.execute(query("ledger", "rows")).fetchall()])


def never_up(conn: Connection) -> bool:
    """Return whether no `up` has ever started in this database."""
    return any(row["never_up"] for row in conn.execute(query("sight", "never_up")).fetchall())


def probe_visibility(conn: Connection) -> Visibility:
    """Read the catalog."""
    rows = conn.execute(query("sight", "tables")).fetchall()
    return Visibility({row["name"]: row for row in rows}, rows[0]["asked_at"], names_of_stack(conn))


_Reader = Callable[Concatenate[Connection, Visibility, _P], _T]
_Read = Callable[Concatenate[Database, _P], _T]


def in_one_read(doing: str) -> Callable[[_Reader[_P, _T]], _Read[_P, _T]]:
    """Return a decorator for readers: callers pass a Database, and the reader runs in one read-only transaction."""

    def decorated(reader: _Reader[_P, _T]) -> _Read[_P, _T]:
        @wraps(reader)
        def read(database: Database, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
            return database.read(doing, lambda conn: reader(conn, probe_visibility(conn), *args, **kwargs))

        return read

    return decorated
