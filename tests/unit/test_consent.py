"""Who is asked before real items are taken, and who cannot be."""

from __future__ import annotations

import io
import sys

import pytest

from bubble_sync.cli import run_now
from bubble_sync.cli.options import confirm
from bubble_sync.cli.output import StackContext
from bubble_sync.config.settings import read_settings
from bubble_sync.database.database import Database
from bubble_sync.errors import ConfigurationError
from tests.fixtures.specs import REF, config

HERE, ELSEWHERE = "127.0.0.1:5432", "db.example.com:5432"


def asked(name: str, host: str, project_ref: str | None) -> StackContext:
    """Have a stack of this name, whose database is reached there; no connection is made."""
    url = f"postgresql://postgres:p@{host}/postgres"
    settings = read_settings(config(databaseUrl=url, databaseUrlEnv=None))
    return StackContext(name, project_ref, settings, Database(settings.address({})), {})


@pytest.mark.parametrize(
    ("name", "host", "project_ref", "asks"),
    [
        ("local", HERE, None, False),
        ("staging", ELSEWHERE, REF, True),
        ("self-hosted", ELSEWHERE, None, True),
        # Through a tunnel, a hosted project's database is on this machine too.
        ("live", HERE, REF, True),
        ("prod", HERE, None, True),
        ("production", HERE, None, True),
    ],
)
def test_everybody_is_asked_but_on_this_machines_own_stack(name: str, host: str, project_ref: str | None, asks: bool):
    assert run_now.needs_confirmation(asked(name, host, project_ref)) is asks


@pytest.mark.parametrize("as_json", [False, True])
def test_without_a_terminal_nobody_is_asked_and_nothing_is_done(monkeypatch: pytest.MonkeyPatch, as_json: bool):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))

    with pytest.raises(ConfigurationError, match="pass --yes"):
        confirm("do it?", yes=False, as_json=as_json)
    assert confirm("do it?", yes=True, as_json=as_json)
