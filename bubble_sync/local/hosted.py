"""Roles, grants and tables that make a bare cluster resemble a hosted project."""

from __future__ import annotations

import psycopg
from psycopg import sql

from bubble_sync.errors import PlatformError
from bubble_sync.local.addresses import Addresses
from bubble_sync.local.scripts import script
from bubble_sync.sql_loader import SQL_DIRECTORY

#: Run as the superuser, in this order.
BOOTSTRAP = ("roles", "rights", "public_schema", "extension_grants", "extension_drops")


def make_hosted(addresses: Addresses) -> None:
    """Bring roles, grants, extension trigger and application tables into the cluster, all or nothing."""
    try:
        with psycopg.connect(addresses.admin_url) as connection:
            if connection.execute("select 1 from pg_roles where rolname = 'postgres'").fetchone() is None:
                for name in BOOTSTRAP:
                    connection.execute(script(name))
                make_application(connection)
            _set_password(connection, addresses.password)
    except psycopg.Error as problem:
        raise PlatformError(
            f"the cluster in {addresses.folder} cannot be prepared (SQLSTATE {problem.sqlstate}): "
            "`bubble-sync local down`, then `up`"
        ) from None


def make_application(connection: psycopg.Connection) -> None:
    """Create the application's tables in the schema public as the role postgres does."""
    connection.execute("set local role postgres")
    connection.execute(script("app_schema"))
    connection.execute("reset role")


def install_reference(connection: psycopg.Connection) -> None:
    """Install the claiming functions as the owner of the queue does, in a transaction of their own."""
    connection.execute("set role postgres")
    connection.execute((SQL_DIRECTORY / "reference" / "claim.sql").read_bytes())
    connection.execute("reset role")


def _set_password(connection: psycopg.Connection, password: str) -> None:
    # The verifier is made here: the server's log, which may hold every statement, never sees the password.
    verifier = connection.pgconn.encrypt_password(password.encode(), b"postgres", b"scram-sha-256").decode()
    connection.execute(sql.SQL("alter role postgres password {}").format(sql.Literal(verifier)))
