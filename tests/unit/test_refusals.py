"""What libpq says where this machine cannot be made to show it, and what we make of it."""

import psycopg
import pytest

from bubble_sync.database.errors import why_not_connected


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (
            'connection to server at "db.abcdefghijklmnopqrst.supabase.co" (2001:db8::1), port 5432 failed: '
            "Network is unreachable",
            "no network leads there: the direct host (db.<ref>.supabase.co) has IPv6 addresses only",
        ),
        ("Cannot assign requested address", "no network leads there"),
        ("No route to host", "no route leads there: a firewall is between, or the direct host"),
        ("failed to resolve host 'db.x.supabase.co': Name or service not known", "the host name does not resolve"),
        ("connection timeout expired", "it did not answer within 10 s"),
        ("FATAL: Circuit breaker open: Unable to establish connection", "the pooler blocks logins"),
        ("(ECIRCUITBREAKER) too many authentication failures", "the pooler blocks logins"),
        ("FATAL: Address not in tenant allow_list: {1, 2, 3, 4}", "the project's network restrictions do not allow"),
        ("FATAL: SSL connection is required", "it accepts encrypted connections only"),
        ('connection is bad: definition of service "x" not found', "libpq cannot use a parameter"),
        ('FATAL:  invalid value for parameter "TimeZone": "x"', "it does not know a setting of the session"),
        ("channel binding required, but SSL not in use", "the server offers another way to log in"),
        ("something new, with a password in it", "the server closed the connection"),
    ],
)
def test_what_is_said_has_one_meaning(said: str, meant: str):
    cause, _ = why_not_connected(psycopg.OperationalError(said))

    assert cause.startswith(meant)


def test_a_direct_host_of_a_project_that_refuses_may_have_banned_the_address():
    refused, _ = why_not_connected(psycopg.OperationalError("Connection refused"), hosted=True)
    problem = psycopg.OperationalError("failed to resolve host 'db.x.supabase.co'")
    unresolved, _ = why_not_connected(problem, hosted=True)

    assert "has banned this machine's address after wrong passwords" in refused
    assert "has IPv6 addresses only; use the session pooler's URL" in unresolved


@pytest.mark.parametrize(
    ("said", "again"),
    [
        ('FATAL: password authentication failed for user "postgres"', "never"),
        ("Tenant or user not found", "never"),
        ("Circuit breaker open", "never"),
        ("no pg_hba.conf entry for host", "never"),
        ("timeout expired", "soon"),
        ("Connection refused", "soon"),
        ("FATAL: sorry, too many clients already", "when free"),
        ("MaxClientsInSessionMode: max clients reached", "when free"),
    ],
)
def test_only_what_another_attempt_can_change_is_attempted_again(said: str, again: str):
    assert why_not_connected(psycopg.OperationalError(said))[1] == again
