"""The set-ups in a database, each with the settings that `up` recorded, for commands with a database URL alone."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from bubble_sync.config.database_url import DatabaseAddress
from bubble_sync.config.settings import NameSettings
from bubble_sync.converge import ledger
from bubble_sync.database.database import Connection, Database
from bubble_sync.database.snapshot import read_accessible
from bubble_sync.database.table_names import LEDGER_TABLE
from bubble_sync.errors import ConfigurationError, PrerequisiteMissing
from bubble_sync.model.recorded import RecordedSettings, default_settings, settings_from, specs_digest
from bubble_sync.model.setup import SetupSettings, settings_text
from bubble_sync.records.visibility import probe_visibility
from bubble_sync.specs import Owner
from bubble_sync.sql_loader import query

_ONCE = "run `pulumi up` once, with this version or a later one"


@dataclass(frozen=True)
class SetUp:
    """One set-up: its stack, and the settings that its ledger holds."""

    stack: str
    names: NameSettings
    settings: RecordedSettings
    lacking: str = ""
    """Why the settings are the defaults; empty for recorded ones."""
    other_version: str = ""
    """The version of bubble-sync that recorded them, if it declared other objects with them than this version does."""


def find_set_up(address: DatabaseAddress, database_url_env: str, stack: str | None) -> SetUp:
    """Return the one set-up of a database, or the one of `stack`.

    Raises:
        PrerequisiteMissing: The database holds none.
        ConfigurationError: It holds several, or none of this stack, or settings that this version cannot read.
    """
    with closing(Database(address)) as database:
        schemas = database.read("looking for a ledger", _schemas)
    found = [_read(address, schema, database_url_env) for schema in schemas]
    if not found:
        raise PrerequisiteMissing(
            f"the database at {address.place} holds no ledger of bubble-sync: correct the URL, or run `pulumi up`"
        )
    chosen = [one for one in found if stack in (None, one.stack)]
    if len(chosen) != 1:
        held = ", ".join(one.stack for one in found)
        what = f"holds no stack {stack}, but {held}" if stack else f"holds the stacks {held}"
        raise ConfigurationError(f"this database {what}: choose one with --stack")
    return chosen[0]


def _schemas(conn: Connection) -> list[str]:
    return [row["schema"] for row in conn.execute(query("ledger", "schemas")).fetchall()]


def _read(address: DatabaseAddress, schema: str, database_url_env: str) -> SetUp:
    names = NameSettings(prefix=schema.replace("_", "-"))
    with closing(Database(address, names)) as database:
        rows = database.read("reading the ledger", _rows)
    row = rows.get(ledger.SETTINGS)
    if row is None:
        stack = next((one.stack for one in rows.values()), "")
        if not stack:
            raise PrerequisiteMissing(f"the ledger in schema {schema} holds no object: run `pulumi up`")
        lacking = f"the ledger of stack {stack} holds no settings yet: {_ONCE}"
        return SetUp(stack, names, default_settings({"prefix": names.prefix}, database_url_env), lacking)
    text, version = ledger.read_settings_row(row.settings)
    read = settings_from(text, database_url_env, own_arguments=ledger.PROGRAM in rows)
    if read is None:
        by = f"version {version} of bubble-sync wrote them: use that one, or " if version else ""
        raise ConfigurationError(
            f"this version cannot read the settings in the ledger of stack {row.stack}: {by}{_ONCE}"
        )
    settings, specs = read
    here = settings_text(SetupSettings.of(settings, Owner(row.stack, row.project_ref)), _values(settings))
    return SetUp(row.stack, settings.names, settings, other_version="" if specs_digest(here) == specs else version)


def _values(settings: RecordedSettings) -> dict[str, str]:
    return {"url": settings.url, "key": settings.service_role_key}


def _rows(conn: Connection) -> dict[str, ledger.LedgerRow]:
    """Read the ledger as its owner, as a role that may select from it, or through `bubble_sync.observe`."""
    if probe_visibility(conn).why_unreadable(LEDGER_TABLE):
        return ledger.rows(read_accessible(conn, ledger.ROW_SECTIONS, ()))
    return ledger.rows_from(conn.execute(query("ledger", "rows")).fetchall())
