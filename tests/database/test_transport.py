"""What a connection accepts on the way to a database that is not this machine: a verified server, or nothing."""

from __future__ import annotations

import pytest

from bubble_sync.config.database_url import database_address, read_database_url
from bubble_sync.database.connection import connect
from bubble_sync.errors import ConfigurationError, Unreachable
from bubble_sync.local.addresses import Addresses
from tests.fixtures.tls import HOST, TlsServer

CONFIG_LINE = "pulumi config set bubble-sync:databaseCa"


def refusal(url: str, ca: str | None) -> str:
    with pytest.raises(Unreachable) as refused:
        connect(read_database_url(url, ca))
    message = str(refused.value)
    assert "\n" not in message
    password = url.split(":")[2].split("@")[0]
    assert password not in message
    return message


def test_the_right_ca_and_name_connect_encrypted(tls_server: TlsServer):
    with connect(read_database_url(tls_server.url(), tls_server.ca)) as conn:
        row = conn.execute("select ssl, version from pg_stat_ssl where pid = pg_backend_pid()").fetchone()

    assert row is not None
    assert row["ssl"]


def test_without_a_ca_the_refusal_names_the_config_line(tls_server: TlsServer):
    message = refusal(tls_server.url(), None)

    assert f"cannot connect to the database at {HOST}" in message
    assert CONFIG_LINE in message


def test_another_ca_is_refused(tls_server: TlsServer):
    message = refusal(tls_server.url(), tls_server.other_ca)

    assert "not signed by the given CA" in message
    assert CONFIG_LINE in message


def test_a_ca_file_that_is_not_there_is_named(tls_server: TlsServer):
    with pytest.raises(ConfigurationError, match=r"databaseCa: the file 'missing\.pem' does not exist"):
        database_address(tls_server.url(), None, "missing.pem", {})


def test_a_certificate_for_another_host_is_refused(tls_server: TlsServer):
    assert "its certificate is for another host" in refusal(tls_server.url("db.elsewhere.test"), tls_server.ca)


def test_an_expired_certificate_is_refused(expired_server: TlsServer):
    assert "or has expired" in refusal(expired_server.url(), expired_server.ca)


def test_a_server_that_offers_no_tls_never_gets_the_password(database: Addresses):
    user = database.database_url.split("@")[0]
    url = f"{user}@{HOST}:{database.database_port}/postgres?hostaddr=127.0.0.1"

    assert "it does not offer TLS" in refusal(url, None)


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
def test_a_mode_that_can_be_downgraded_is_refused_before_connecting(mode: str):
    with pytest.raises(ValueError, match=f"sslmode={mode}"):
        read_database_url(f"postgresql://u:p@{HOST}/postgres?sslmode={mode}")


@pytest.mark.parametrize("configured", [True, False])
def test_only_a_url_from_the_configuration_can_be_a_remembered_one(tls_server: TlsServer, configured: bool):
    url = tls_server.url("db.elsewhere.test")
    address = database_address(url if configured else None, "URL", tls_server.ca, {"URL": url})

    with pytest.raises(Unreachable) as refused:
        connect(address)

    assert ("--run-program" in str(refused.value)) is configured


@pytest.mark.parametrize("host", [HOST, "127.0.0.1"])
def test_a_wrong_password_is_tried_once(tls_server: TlsServer, host: str):
    log = tls_server.log
    before = log.stat().st_size
    url = tls_server.url(host).replace(tls_server.addresses.password, "hunter2hunter2")

    message = refusal(url, tls_server.ca if host == HOST else None)

    assert "the password is wrong" in message
    assert log.read_bytes()[before:].count(b"password authentication failed") == 1


def test_require_encrypts_without_verifying_and_only_when_asked_for(tls_server: TlsServer):
    with connect(read_database_url(tls_server.url(query="&sslmode=require"))) as conn:
        row = conn.execute("select ssl from pg_stat_ssl where pid = pg_backend_pid()").fetchone()

    assert row == {"ssl": True}
