"""A proxy or a file of certificates in the environment that cannot be used: one line, which names the variable."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bubble_sync.errors import ConfigurationError
from bubble_sync.http_client import new_client
from bubble_sync.key.management_api import ManagementApi
from tests.fixtures.github_emulator import GitHubEmulator
from tests.unit.test_ci_github import exit_of

SECRET = "proxy-password"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().endswith("_PROXY") or name.startswith("SSL_CERT_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    "value",
    [
        f"foo://me:{SECRET}@host",
        f"socks5://me:{SECRET}@host:1080",
        f"socks5h://me:{SECRET}@host",
        f"http://me:{SECRET}@host:port",
        f"http://me:{SECRET}@host\n",
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError) as caught:
        new_client(timeout=1)

    assert f"a proxy that cannot be used ({name}): write http://host:port" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_hosts_without_a_proxy_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "[::")

    with pytest.raises(ConfigurationError, match=r"\(NO_PROXY\): .* commas between them in NO_PROXY"):
        new_client(timeout=1)


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"\x00\xff"])
def test_a_file_of_certificates_that_cannot_be_read(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))

    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE names no readable file of certificates in PEM form"):
        new_client(timeout=1)


@pytest.mark.parametrize("value", ["http://host:8080", "https://host", "host:8080", ""])
def test_a_usable_proxy_is_used(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)

    new_client(timeout=1).close()


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"HTTPS_PROXY": "foo://"}, "the environment names a proxy that cannot be used (HTTPS_PROXY)"),
        ({"SSL_CERT_FILE": "/no/ca.pem"}, "SSL_CERT_FILE names no readable file"),
        ({"ALL_PROXY": "http://a..b"}, "_API_URL, or the proxy, has no valid host name: correct it"),
        ({"GITHUB_API_URL": "https://a..b", "SUPABASE_API_URL": "https://a..b"}, "_API_URL, or the proxy, has no"),
        ({"GITHUB_API_URL": f"https://{'a' * 64}", "SUPABASE_API_URL": f"https://{'a' * 64}"}, "no valid host name"),
        ({"GITHUB_API_URL": "https://xn--a.com", "SUPABASE_API_URL": "https://xn--a.com"}, "no valid host name"),
    ],
)
def test_the_commands_end_in_one_line(
    variables: dict[str, str],
    text: str,
    github: GitHubEmulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    report = tmp_path / "report.md"
    report.write_text("text")
    monkeypatch.delenv("NO_PROXY")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert exit_of("ci", "comment", "--report", str(report), "--pull-request", "7") == 2
    shown = capfd.readouterr().err
    assert text in shown
    assert shown.count("\n") == 1
    assert github.asked == []
    with pytest.raises(ConfigurationError) as caught:
        ManagementApi.of("abcdefghijklmnopqrst", {**os.environ, "SUPABASE_ACCESS_TOKEN": "token"}).secret("NAME")
    assert text in str(caught.value)
