"""The set-ups in a database, each with the settings that `up` recorded, for commands with a database URL alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from pydantic import ValidationError

from bubble_sync.config.database_url import DatabaseAddress
from bubble_sync.config.settings import NameSettings
from bubble_sync.converge import ledger
from bubble_sync.database.database import Connection, Database
from bubble_sync.database.snapshot import read_accessible
from bubble_sync.database.table_names import LEDGER_TABLE
from bubble_sync.errors import ConfigurationError, PrerequisiteMissing, PrivilegeMissing, SyncError
from bubble_sync.model.recorded import RecordedSettings, default_settings, settings_from, specs_digest
from bubble_sync.model.setup import settings_text
from bubble_sync.model.setup_settings import SetupSettings
from bubble_sync.printable import printable
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
        PrivilegeMissing: This role can read none.
        ConfigurationError: It holds several, or none of this stack, or settings that this version cannot read.
    """
    with closing(Database(address)) as database:
        schemas = database.read("looking for a ledger", _schemas)
    found, refusals = _ledgers(address, schemas)
    if refusals and not found:
        raise refusals[0]
    if not found:
        raise PrerequisiteMissing(
            f"the database at {address.place} holds no ledger of bubble-sync: correct the URL, or run `pulumi up`"
        )
    chosen = [one for one in found if stack in (None, one.stack)]
    if len(chosen) != 1:
        raise ConfigurationError(f"this database {_several(chosen, found, stack)}")
    return _set_up(chosen[0], database_url_env)


@dataclass(frozen=True)
class _Ledger:
    """The ledger of one set-up."""

    names: NameSettings
    stack: str
    rows: Mapping[str, ledger.LedgerRow]


def _schemas(conn: Connection) -> list[str]:
    return [row["schema"] for row in conn.execute(query("ledger", "schemas")).fetchall()]


def _ledgers(address: DatabaseAddress, schemas: Sequence[str]) -> tuple[list[_Ledger], list[SyncError]]:
    """Return the ledgers that this role can read and that list an object, and why others are left out."""
    found: list[_Ledger] = []
    refusals: list[SyncError] = []
    for schema in schemas:
        try:
            found.append(_read(address, NameSettings(prefix=schema.replace("_", "-"))))
        except ValidationError:
            # No prefix gives this name: a copy, or a schema that was renamed by hand.
            continue
        except (PrivilegeMissing, PrerequisiteMissing) as refusal:
            refusals.append(refusal)
    return found, refusals


def _read(address: DatabaseAddress, names: NameSettings) -> _Ledger:
    with closing(Database(address, names)) as database:
        rows = database.read("reading the ledger", _rows)
    owner = rows.get(ledger.SETTINGS) or next(iter(rows.values()), None)
    if owner is None:
        raise PrerequisiteMissing(f"the ledger in schema {names.schema_name} holds no object: run `pulumi up`")
    return _Ledger(names, owner.stack, rows)


def _several(chosen: Sequence[_Ledger], found: Sequence[_Ledger], stack: str | None) -> str:
    """Return what the database holds in place of the one set-up, and the next step."""
    held = ", ".join(dict.fromkeys(printable(one.stack) for one in found))
    if stack and not chosen:
        return f"holds no stack {stack}, but {held}: choose one with --stack"
    if len({one.stack for one in chosen}) == 1:
        name, schemas = printable(chosen[0].stack), " and ".join(one.names.schema_name for one in chosen)
        return f"holds stack {name} in the schemas {schemas}: drop the comment of the table `ledger` in the copy"
    return f"holds the stacks {held}: choose one with --stack"


def _set_up(one: _Ledger, database_url_env: str) -> SetUp:
    """Return the set-up with the settings of its ledger; raise ConfigurationError if this version cannot read them."""
    stack, row = printable(one.stack), one.rows.get(ledger.SETTINGS)
    if row is None:
        lacking = f"the ledger of stack {stack} holds no settings yet: {_ONCE}"
        return SetUp(one.stack, one.names, default_settings({"prefix": one.names.prefix}, database_url_env), lacking)
    text, version = ledger.read_settings_row(row.settings)
    read = settings_from(text, database_url_env, own_arguments=ledger.PROGRAM in one.rows)
    if read is None:
        by = f"version {printable(version)} of bubble-sync wrote them: use that one, or " if version else ""
        raise ConfigurationError(f"this version cannot read the settings in the ledger of stack {stack}: {by}{_ONCE}")
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
