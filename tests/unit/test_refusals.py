"""What libpq says where this machine cannot be made to show it, and what we make of it."""

import psycopg
import pytest

from bubble_sync.refusals import why_not_connected


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (
            'connection to server at "db.abcdefghijklmnopqrst.supabase.co" (2001:db8::1), port 5432 failed: '
            "Network is unreachable",
            "the direct host is IPv6 only; use the session pooler's URL",
        ),
        ('could not translate host name "db.x.supabase.co" to address', "the host name does not resolve"),
        ("connection timeout expired", "it did not answer within 10 s"),
        ("something new, with a password in it", "the server closed the connection"),
    ],
)
def test_what_is_said_has_one_meaning(said: str, meant: str):
    assert why_not_connected(psycopg.OperationalError(said)).startswith(meant)
