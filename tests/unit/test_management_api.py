"""The client of the Management API: each failure is one clear error, and the token goes to one host alone."""

from __future__ import annotations

import hashlib
import json
import logging
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import trustme

from bubble_sync.cli.exit_codes import failure_of
from bubble_sync.config.settings import ConfigValue, StackSettings, read_settings
from bubble_sync.errors import (
    ConfigurationError,
    ForeignObject,
    NotFound,
    NotProven,
    PulumiRefused,
    SyncError,
    Unreachable,
)
from bubble_sync.key import function_secret as module
from bubble_sync.key.function_secret import FunctionSecret, function_secret, plan_handover
from bubble_sync.key.management_api import ManagementApi
from tests.fixtures.management_api import PROJECT, TOKEN, Answer, managing
from tests.fixtures.management_api import ManagementApi as StandIn

NAME = "BUBBLE_SYNC_KEYS"
OLD, NEW = "sb_secret_old_key_of_this_test", "sb_secret_new_key_of_this_test"
HTML = Answer(200, b"<html>Sign in</html>", content_type="text/html; charset=utf-8")


def environment(server: StandIn, token: str = TOKEN) -> dict[str, str]:
    return {"SUPABASE_ACCESS_TOKEN": token, "SUPABASE_API_URL": server.url}


def client(server: StandIn, project: str = PROJECT, token: str = TOKEN) -> ManagementApi:
    return ManagementApi.of(project, environment(server, token))


def secret_of(server: StandIn) -> FunctionSecret:
    return FunctionSecret(client(server), NAME)


def settings_of(**more: str) -> StackSettings:
    given = {"projectRef": PROJECT, "serviceRoleKey": OLD, "databaseUrlEnv": "DB", **more}
    return read_settings({name: ConfigValue(value, name == "serviceRoleKey") for name, value in given.items()})


def failure(problem: SyncError) -> tuple[int, str]:
    """Return exit code and text, which must be one line without token and keys."""
    shown = failure_of(problem)
    assert "\n" not in shown.message
    assert not [one for one in (TOKEN, OLD, NEW) if one in shown.message]
    return shown.exit_code, shown.message


@pytest.fixture(autouse=True)
def _short_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_READ_BACK_WITHIN_SECONDS", 0)


class TestProperAnswers:
    def test_a_secret_is_set_as_the_schema_asks_and_its_digest_read_back(self, management_api: StandIn):
        secret_of(management_api).put(OLD)

        assert management_api.values == {NAME: OLD}
        assert management_api.requests == [
            f"POST /v1/projects/{PROJECT}/secrets",
            f"GET /v1/projects/{PROJECT}/secrets",
        ]

    def test_other_secrets_stay(self, management_api: StandIn):
        management_api.values["OTHER"] = "1"

        secret_of(management_api).put(OLD)

        assert management_api.values == {"OTHER": "1", NAME: OLD}

    def test_what_the_project_lacks_is_none(self, management_api: StandIn):
        assert secret_of(management_api).stored() is None

    def test_a_digest_in_capitals_is_the_same_digest(self, management_api: StandIn):
        management_api.digest = lambda value: hashlib.sha256(value.encode()).hexdigest().upper()

        secret_of(management_api).put(OLD)

    def test_nothing_is_logged_that_holds_token_or_key(self, management_api: StandIn, caplog: pytest.LogCaptureFixture):
        caplog.set_level(logging.DEBUG)

        secret_of(management_api).put(OLD)

        assert caplog.text, "the client library logs, so that this test sees something"
        assert not [one for one in (TOKEN, OLD) if one in caplog.text]

    def test_neither_is_in_a_repr(self, management_api: StandIn):
        management_api.values[NAME] = OLD
        handover = plan_handover(secret_of(management_api), OLD, NEW, one_key=False)

        assert not [one for one in (TOKEN, OLD, NEW) if one in repr(handover)]


REFUSALS = [
    pytest.param(Answer(401), 2, "does not accept SUPABASE_ACCESS_TOKEN (401): it is wrong", id="401"),
    pytest.param(Answer(403), 1, "edge_functions_secrets_{verb} (OAuth: secrets:{verb})", id="403"),
    pytest.param(Answer(404), 2, f"finds no project {PROJECT} (404): correct bubble-sync:projectRef", id="404"),
    pytest.param(Answer(429, headers={"Retry-After": "17"}), 1, "limits the rate (429): run again in 17 s", id="429"),
    pytest.param(Answer(429, headers={"x-ratelimit-reset": "41"}), 1, "run again in 41 s", id="429-reset"),
    pytest.param(Answer(429, headers={"Retry-After": "soon\x1b[31m"}), 1, "run again in 60 s", id="429-odd"),
    pytest.param(Answer(500), 3, "is in trouble (500): see https://status.supabase.com; run again", id="500"),
    pytest.param(Answer(502, b"<html>", content_type="text/html"), 3, "is in trouble (502)", id="502-html"),
    pytest.param(Answer(403, b"<", content_type="text/html"), 2, "Management API does (403, text/html)", id="403-html"),
    pytest.param(Answer(400, b"<"), 2, "does not answer as the Management API does (400", id="400-odd"),
    pytest.param(Answer(418, b"[]"), 2, "does not answer as the Management API does (418", id="418"),
]  # fmt: skip


class TestRefusals:
    @pytest.mark.parametrize(("answer", "code", "text"), REFUSALS)
    @pytest.mark.parametrize(("method", "verb"), [("GET", "read"), ("POST", "write")])
    def test_each_status_is_one_clear_error(
        self, management_api: StandIn, answer: Answer, code: int, text: str, method: str, verb: str
    ):
        management_api.plan(method, answer)

        with pytest.raises(SyncError) as caught:
            secret_of(management_api).stored() if method == "GET" else secret_of(management_api).put(OLD)

        found, shown = failure(caught.value)
        assert found == code
        assert text.format(verb=verb) in shown
        assert management_api.values == {}

    @pytest.mark.parametrize("status", [400, 422])
    def test_an_invalid_request_shows_the_reason_without_the_value(self, management_api: StandIn, status: int):
        reason = json.dumps({"message": f"value {OLD},{NEW} is bad for {TOKEN}\n\x1b[31mat"}).encode()
        management_api.plan("POST", Answer(status, reason))

        with pytest.raises(ConfigurationError) as caught:
            secret_of(management_api).put(f"{OLD},{NEW}")

        assert f"refuses function secret {NAME} ({status}): value [secret]" in failure(caught.value)[1]

    def test_a_value_that_is_too_long_is_refused_by_the_schema(self, management_api: StandIn):
        with pytest.raises(ConfigurationError, match="at most 24576 characters") as caught:
            secret_of(management_api).put("opaque" * 5000)

        assert "opaqueopaque" not in str(caught.value)

    def test_a_wrong_token_and_a_wrong_project(self, management_api: StandIn):
        with pytest.raises(ConfigurationError, match=r"\(401\)"):
            client(management_api, token="sbp_other").secret(NAME)
        with pytest.raises(ConfigurationError, match=r"finds no project zzzzzzzzzzzzzzzzzzzz \(404\)"):
            client(management_api, project="z" * 20).secret(NAME)
        with pytest.raises(ConfigurationError, match=r"refuses project short123 \(400\): ref must be 20 letters"):
            client(management_api, project="short123").secret(NAME)

    @pytest.mark.parametrize(
        "body",
        [b"", b"{}", b"null", b'[{"name": "A"}]', b'[{"name": 1, "value": 2}]', b"[" * 100_000, b'{"message": "hi"}'],
    )
    def test_an_answer_of_another_shape_is_not_the_apis(self, management_api: StandIn, body: bytes):
        management_api.plan("GET", Answer(200, body))

        with pytest.raises(ConfigurationError, match="does not answer as the Management API does"):
            secret_of(management_api).stored()

    def test_html_in_place_of_json(self, management_api: StandIn):
        management_api.plan("GET", HTML)

        with pytest.raises(ConfigurationError) as caught:
            secret_of(management_api).stored()

        assert "(200, text/html): correct SUPABASE_API_URL, or look at the proxy" in failure(caught.value)[1]

    def test_a_digest_that_differs_is_not_taken_for_success(self, management_api: StandIn):
        management_api.digest = lambda value: "0" * 64

        with pytest.raises(NotProven, match="its digest, read back, is another value's"):
            secret_of(management_api).put(OLD)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_a_redirect_to_another_host_gets_nothing(self, management_api: StandIn, status: int, method: str):
        with managing() as other:
            management_api.plan(
                method, Answer(status, headers={"Location": f"{other.url}/v1/projects/{PROJECT}/secrets"})
            )

            with pytest.raises(ConfigurationError) as caught:
                secret_of(management_api).stored() if method == "GET" else secret_of(management_api).put(OLD)

            assert f"redirects elsewhere ({status}): the token was not sent there" in failure(caught.value)[1]
            assert other.requests == []


class TestTheNetwork:
    def test_nothing_listens(self):
        with managing() as server:
            gone = secret_of(server)

        with pytest.raises(Unreachable) as caught:
            gone.stored()

        assert failure(caught.value) == (
            3,
            f"the Management API at {gone.api.address} does not answer (ConnectError): check the network and the "
            "proxy, then run again",
        )

    def test_silence_ends_after_the_time(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"http://127.0.0.1:{silent.getsockname()[1]}"

            with pytest.raises(Unreachable) as caught:
                ManagementApi(PROJECT, address, TOKEN, seconds=0.2).secret(NAME)

        assert "did not answer within 0.2 s: run again" in failure(caught.value)[1]

    def test_a_connection_that_ends_at_once(self):
        with socket.create_server(("127.0.0.1", 0)) as closing:
            address = f"http://127.0.0.1:{closing.getsockname()[1]}"
            thread = threading.Thread(target=lambda: closing.accept()[0].close())
            thread.start()
            with pytest.raises(Unreachable, match="does not answer"):
                ManagementApi(PROJECT, address, TOKEN).secret(NAME)
            thread.join()

    def test_something_that_speaks_no_http(self):
        with socket.create_server(("127.0.0.1", 0)) as odd:

            def answer() -> None:
                connection, _ = odd.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"SSH-2.0-OpenSSH\r\n")

            thread = threading.Thread(target=answer)
            thread.start()
            with pytest.raises(Unreachable, match=r"does not answer \(RemoteProtocolError\)"):
                ManagementApi(PROJECT, f"http://127.0.0.1:{odd.getsockname()[1]}", TOKEN).secret(NAME)
            thread.join()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def encrypted(authority: trustme.CA) -> Iterator[StandIn]:
    """The stand-in behind TLS, with a certificate of an authority that no machine knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with managing(context) as server:
        yield server


class TestTls:
    @pytest.fixture(autouse=True)
    def _no_proxy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        monkeypatch.delenv("SSL_CERT_DIR", raising=False)

    def test_an_unknown_authority_is_refused_before_the_token_is_sent(self, encrypted: StandIn):
        with pytest.raises(Unreachable) as caught:
            secret_of(encrypted).stored()

        code, shown = failure(caught.value)
        assert code == 3
        assert "has no certificate that this machine trusts (" in shown
        assert "set SSL_CERT_FILE to its CA" in shown
        assert encrypted.requests == []

    def test_with_its_authority_it_is_trusted(
        self, encrypted: StandIn, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

        secret_of(encrypted).put(OLD)

        assert encrypted.values == {NAME: OLD}

    def test_an_address_without_tls(self, management_api: StandIn):
        plain = ManagementApi(PROJECT, management_api.url.replace("http:", "https:"), TOKEN)

        with pytest.raises(Unreachable) as caught:
            plain.secret(NAME)

        assert "does not speak TLS as expected" in failure(caught.value)[1]


class TestTheEnvironment:
    @pytest.mark.parametrize(
        ("variables", "text"),
        [
            ({}, "SUPABASE_ACCESS_TOKEN is not set: make an access token at https://supabase.com/dashboard/account/tokens"),
            ({"SUPABASE_ACCESS_TOKEN": ""}, "SUPABASE_ACCESS_TOKEN is not set"),
            ({"SUPABASE_ACCESS_TOKEN": f"{TOKEN}\r\nX-Other: 1"}, "holds a character that no token has"),
            ({"SUPABASE_ACCESS_TOKEN": f"{TOKEN}\u200b"}, "holds a character that no token has"),
            *(
                ({"SUPABASE_ACCESS_TOKEN": TOKEN, "SUPABASE_API_URL": address}, "SUPABASE_API_URL is not https://host")
                for address in (
                    "http://api.supabase.com", "ftp://127.0.0.1", "https://user:secret@host", "https://host/path",
                    "http://127.0.0.1.example.com", "https://a\nb", "api.supabase.com",
                )
            ),
        ],
    )  # fmt: skip
    def test_what_cannot_be_used_is_refused(self, variables: Mapping[str, str], text: str):
        with pytest.raises(ConfigurationError) as caught:
            ManagementApi.of(PROJECT, variables)

        code, shown = failure(caught.value)
        assert code == 2
        assert text in shown
        assert "secret@" not in shown

    def test_supabases_own_address_is_the_default(self):
        assert ManagementApi.of(PROJECT, {"SUPABASE_ACCESS_TOKEN": TOKEN}).address == "https://api.supabase.com"

    def test_a_proxy_of_the_environment_gets_nothing_in_clear_text(
        self, management_api: StandIn, monkeypatch: pytest.MonkeyPatch
    ):
        with managing() as proxy:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, proxy.url)
            monkeypatch.delenv("NO_PROXY", raising=False)
            monkeypatch.delenv("no_proxy", raising=False)

            secret_of(management_api).put(OLD)

            assert proxy.requests == []

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("SUPABASE_SERVICE_ROLE_KEY", "names that begin with SUPABASE_ are reserved"),
            ("", "cannot name a function secret"),
            ("A B", "cannot name a function secret"),
            ("A=B", "cannot name a function secret"),
            ("A" * 257, "cannot name a function secret"),
        ],
    )
    def test_a_name_that_no_secret_has(self, management_api: StandIn, name: str, text: str):
        with pytest.raises(ConfigurationError, match=text):
            function_secret(name, settings_of(), environment(management_api))

    def test_a_stack_without_project(self, management_api: StandIn):
        settings = read_settings(
            {
                "supabaseUrl": ConfigValue("https://sync.example.com", False),
                "serviceRoleKey": ConfigValue(OLD, True),
                "databaseUrlEnv": ConfigValue("DB", False),
            }
        )
        with pytest.raises(ConfigurationError, match="no setting names the project: set bubble-sync:projectRef"):
            function_secret(NAME, settings, environment(management_api))


class TestThePlan:
    @pytest.mark.parametrize("held", [OLD, f"{OLD},{NEW}", f"{NEW},{OLD}", NEW])
    def test_a_known_value_is_recognised_by_its_digest(self, management_api: StandIn, held: str):
        management_api.values[NAME] = held

        handover = plan_handover(secret_of(management_api), OLD, NEW, one_key=False)

        assert (handover.before, handover.during, handover.after) == (held, f"{OLD},{NEW}", NEW)

    @pytest.mark.parametrize("held", [f"{OLD},sb_secret_of_another_caller", "", f"{OLD} "])
    def test_a_value_with_something_else_in_it_is_never_replaced(self, management_api: StandIn, held: str):
        management_api.values[NAME] = held

        with pytest.raises(ForeignObject, match="other keys in it would be lost: nothing was changed") as caught:
            plan_handover(secret_of(management_api), OLD, NEW, one_key=False)

        assert failure(caught.value)[0] == 1
        assert management_api.values[NAME] == held

    def test_a_secret_that_is_not_there(self, management_api: StandIn):
        with pytest.raises(NotFound, match=f"there is no function secret {NAME} of project {PROJECT}, so nothing"):
            plan_handover(secret_of(management_api), OLD, NEW, one_key=False)

    def test_one_key_has_no_list(self, management_api: StandIn):
        management_api.values[NAME] = OLD

        handover = plan_handover(secret_of(management_api), OLD, NEW, one_key=True)

        assert handover.one_key
        assert (handover.before, handover.during) == (OLD, NEW)

    def test_a_key_with_a_comma_is_no_part_of_a_list(self, management_api: StandIn):
        management_api.values[NAME] = "a,b"

        with pytest.raises(ConfigurationError, match="holds a comma"):
            plan_handover(secret_of(management_api), "a,b", NEW, one_key=False)


class TestAFailureInBetween:
    def test_what_the_database_may_send_already_stays(self, management_api: StandIn):
        management_api.values[NAME] = OLD
        handover = plan_handover(secret_of(management_api), OLD, NEW, one_key=False)
        handover.secret.put(handover.during)

        with (
            pytest.raises(PulumiRefused) as caught,
            handover.restored_on_failure(lambda text: None, lambda: False),
        ):
            raise PulumiRefused("`pulumi up` failed, and the way back failed")

        assert management_api.values == {NAME: f"{OLD},{NEW}"}
        assert failure(caught.value)[1] == (
            f"`pulumi up` failed, and the way back failed. function secret {NAME} of project {PROJECT} stays as set "
            f"for the new key: run `pulumi up`, then `bubble-sync key set-function {NAME}` sets it to the stack's key."
        )

    def test_a_bug_of_ours_leaves_no_half_either(self, management_api: StandIn):
        management_api.values[NAME] = OLD
        handover = plan_handover(secret_of(management_api), OLD, NEW, one_key=False)
        handover.secret.put(handover.during)
        shown: list[str] = []

        with pytest.raises(ZeroDivisionError), handover.restored_on_failure(shown.append, lambda: True):
            raise ZeroDivisionError

        assert management_api.values == {NAME: OLD}
        assert shown == [f"function secret {NAME} of project {PROJECT} is as it was."]
