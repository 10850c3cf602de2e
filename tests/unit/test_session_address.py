"""The parts of a database URL, for the plugin that takes no URL."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from bubble_sync.config.database_url import read_database_url, session_address
from bubble_sync.errors import ConfigurationError
from tests.fixtures.specs import REF

POOLER = "aws-0-eu.pooler.supabase.com"
PLAIN = "postgresql://postgres:p%40ss@db.example.com/app"


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        (PLAIN, {"host": "db.example.com", "port": 5432, "database": "app", "sslmode": "verify-full"}),
        (PLAIN, {"username": "postgres", "role": "postgres", "password": "p@ss"}),
        (f"postgresql://postgres.{REF}:p@{POOLER}:6543/postgres", {"port": 5432, "role": "postgres"}),
        (f"postgresql://postgres.{REF}:p@{POOLER}:6543/postgres", {"username": f"postgres.{REF}"}),
        (f"postgresql://postgres:p@db.{REF}.supabase.co:6543/postgres", {"port": 5432, "role": "postgres"}),
        ("postgresql://a.b:p@tunnel.example.com:6543/x", {"port": 6543, "role": "a.b"}),
        ("postgresql://me:p@[::1]:6000/", {"host": "[::1]", "database": "me", "sslmode": "disable", "port": 6000}),
        ("postgresql://me@localhost?dbname=x&port=7&password=q", {"database": "x", "port": 7, "password": "q"}),
        (f"{PLAIN}?sslmode=require", {"sslmode": "require"}),
        ("postgresql://me:p@localhost/x?sslmode=prefer", {"sslmode": "disable"}),
    ],
)
def test_each_part_is_as_our_own_connection_has_it(url: str, parts: dict[str, object]):
    found = asdict(session_address(read_database_url(url, "ca.crt")))

    assert {key: found[key] for key in parts} == parts
    assert found["ca"] == "ca.crt"


def test_an_address_that_the_plugin_would_not_follow_is_refused():
    with pytest.raises(ConfigurationError, match="hostaddr"):
        session_address(read_database_url(f"{PLAIN}?hostaddr=10.0.0.1"))


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({}, "PGPASSWORD is not set: export it with the password of postgres at db.example.com"),
        ({"PGPASSWORD": "other"}, "PGPASSWORD is not the password that the database URL holds"),
        ({"PGPASSWORD": "p@ss"}, None),
    ],
)
def test_what_is_wrong_with_the_plugins_password_is_said_without_it(environment: dict[str, str], problem: str | None):
    address = session_address(read_database_url(PLAIN))

    said = address.password_problem(environment)

    assert said == problem or (said is not None and problem is not None and said.startswith(problem))
    assert "p@ss" not in f"{said} {address}"
    assert "other" not in str(said)
