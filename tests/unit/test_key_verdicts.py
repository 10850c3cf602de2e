"""What an answer means for the key: every row of the table, and what two answers prove together."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bubble_sync.config.keys import KeyKind
from bubble_sync.database.database import Row
from bubble_sync.key.probe import Probe, ProbeVerdict, judge_response

KINDS: tuple[KeyKind, ...] = ("legacy JWT", "secret key", "publishable key", "opaque")
FROM_THE_FUNCTION = {
    "its own words": json.dumps({"success": False, "error": "no valid key"}),
    "nothing": "",
    "no JSON": "Unauthorized",
    "half of JSON": '{"code": 401, "message": ',
    "a list": '["code", "message"]',
    "a word": '"code message"',
    "a number": "401",
    "null": "null",
    "a code alone": json.dumps({"code": 401}),
    "a message among its own words": json.dumps({"success": False, "code": 401, "message": "Invalid JWT"}),
    "deeper than one can read": "[" * 100_000,
}
FROM_THE_GATEWAY = {
    "a message alone": json.dumps({"message": "Invalid JWT"}),
    "more than it had": json.dumps({"code": 401, "message": "Invalid JWT", "hint": "look at the header"}),
    "missing header": json.dumps({"code": 401, "message": "Missing authorization header"}),
    "invalid JWT": json.dumps({"code": 401, "message": "Invalid JWT"}),
    "a word as code": json.dumps({"code": "UNAUTHORIZED_NO_AUTH_HEADER", "message": "Missing authorization header"}),
    "the gateway of supabase start": json.dumps({"msg": "Invalid JWT"}),
    "another word": json.dumps({"code": "UNAUTHORIZED_INVALID_JWT_FORMAT", "message": "Invalid JWT"}),
}
LEGACY = json.dumps({"code": "UNAUTHORIZED_LEGACY_JWT", "message": "Invalid JWT"})


def answer(verdict: str, status: int | None = None, error: str = "", content: str = "") -> Row:
    """Give a judged answer of pg_net."""
    return {"verdict": verdict, "status_code": status, "error": error, "content": content.encode("utf-8", "replace")}


UNKNOWN = [None, answer("timed out"), answer("rejected", error="Couldn't connect to server")]


def answered(status: int, content: str = "", kind: KeyKind = "legacy JWT", verdict: str = "answered") -> ProbeVerdict:
    return judge_response(answer(verdict, status, content=content), kind, 30_000)


@pytest.mark.parametrize("kind", KINDS)
class TestTheKeyIsAccepted:
    """What answers so has looked at the key, or looks at none."""

    @pytest.mark.parametrize("status", [200, 201, 204, 299])
    def test_by_any_success(self, kind: KeyKind, status: int):
        assert answered(status, "", kind) == ProbeVerdict(True, f"HTTP {status}", "the key works")

    def test_by_a_function_that_does_not_know_the_action(self, kind: KeyKind):
        verdict = answered(400, FROM_THE_GATEWAY["invalid JWT"], kind)

        assert (verdict.accepted, verdict.answered, verdict.remedy) == (True, "HTTP 400", "")
        assert verdict.cause.startswith("the key passed; the function does not know the action")


@pytest.mark.parametrize(
    ("verdict_of_the_body", "content", "cause"),
    [
        ("not the function's answer", "<!doctype html>\n<title>Log in</title>",
         "something else than the function answers: <!doctype html> <title>Log in</title>"),
        ("refused by its body", '{"success": false, "error": "who is ada@example.com?"}',
         'the body says no, but not to what: {"success": false, "error": "who is [email]?"}'),
    ],
)  # fmt: skip
def test_a_good_status_with_another_body_tells_nothing_of_the_key(verdict_of_the_body: str, content: str, cause: str):
    verdict = answered(200, content, verdict=verdict_of_the_body)

    assert (verdict.accepted, verdict.cause, bool(verdict.remedy)) == (None, cause, True)


class TestTheKeyIsRefused:
    """With 401 by the function or the gateway, which the body tells, or with 403."""

    @pytest.mark.parametrize("content", FROM_THE_FUNCTION.values(), ids=list(FROM_THE_FUNCTION))
    @pytest.mark.parametrize(
        ("kind", "header"), [("legacy JWT", "Authorization"), ("opaque", "Authorization"), ("secret key", "apikey")]
    )
    def test_by_the_function_which_gets_it_in_this_header(self, content: str, kind: KeyKind, header: str):
        verdict = answered(401, content, kind)

        assert (verdict.accepted, verdict.answered) == (False, "HTTP 401")
        assert verdict.cause == f"the function itself refuses the key, which it gets as {header}"
        assert "`supabase functions deploy bubble_sync`" in verdict.remedy

    @pytest.mark.parametrize("content", FROM_THE_GATEWAY.values(), ids=list(FROM_THE_GATEWAY))
    @pytest.mark.parametrize(("kind", "what"), [("secret key", "a secret key"), ("opaque", "this key")])
    def test_by_the_gateway_when_it_is_no_jwt(self, content: str, kind: KeyKind, what: str):
        verdict = answered(401, content, kind)

        assert (verdict.accepted, verdict.answered) == (False, "HTTP 401")
        assert verdict.cause == f"the gateway demands a JWT (verify_jwt = true), and {what} is not a JWT"
        assert verdict.remedy.startswith("Set verify_jwt = false for bubble_sync in supabase/config.toml")
        assert verdict.remedy.endswith("then `supabase functions deploy bubble_sync`.")

    @pytest.mark.parametrize("content", FROM_THE_GATEWAY.values(), ids=list(FROM_THE_GATEWAY))
    def test_by_the_gateway_when_a_legacy_key_is_not_this_projects(self, content: str):
        verdict = answered(401, content, "legacy JWT")

        assert (verdict.accepted, verdict.answered) == (False, "HTTP 401")
        assert verdict.cause.startswith("the gateway does not take this JWT: another project's, expired")
        assert verdict.remedy.startswith("Copy the project's key again")

    def test_by_the_gateway_when_legacy_keys_are_off(self):
        verdict = answered(401, LEGACY, "legacy JWT")

        assert (verdict.accepted, verdict.answered) == (False, "HTTP 401")
        assert verdict.cause == "the gateway does not take this JWT: legacy keys are off, or it is a wrong one"
        assert verdict.remedy.startswith("Take a secret key. Set verify_jwt = false")

    @pytest.mark.parametrize("kind", KINDS)
    def test_by_whoever_knows_it_and_lets_it_do_nothing(self, kind: KeyKind):
        verdict = answered(403, "", kind)

        assert (verdict.accepted, verdict.answered) == (False, "HTTP 403")
        assert verdict.remedy == "Take a service key."


class TestNothingIsKnownOfTheKey:
    """What answers so may never have seen it."""

    @pytest.mark.parametrize(
        ("status", "cause", "remedy"),
        [
            (404, "no function bubble_sync is deployed at this URL", "`supabase functions list`"),
            (405, "the function takes no POST", "Read the function's log"),
            (429, "too many requests", "Wait a minute"),
            (500, "the function failed", "Read the function's log"),
            (502, "the function failed", "Read the function's log"),
            (503, "the function does not start", "Read the function's log"),
            (504, "the function did not answer the gateway in time", "Read the function's log"),
            (546, "the function was ended at its limit of time or memory", "Read the function's log"),
            (302, "unexpected", "Read the function's log"),
            (418, "unexpected", "Read the function's log"),
        ],
    )
    @pytest.mark.parametrize("kind", KINDS)
    def test_from_another_status(self, kind: KeyKind, status: int, cause: str, remedy: str):
        verdict = answered(status, FROM_THE_GATEWAY["invalid JWT"], kind)

        assert (verdict.accepted, verdict.answered, verdict.cause) == (None, f"HTTP {status}", cause)
        assert remedy in verdict.remedy

    def test_where_no_function_is_deployed_and_how_one_is(self):
        by_the_gateway = answered(404, json.dumps({"code": "NOT_FOUND", "message": "Requested function was not found"}))

        assert by_the_gateway.cause == "no function bubble_sync is deployed at this URL"
        assert "`supabase functions deploy bubble_sync`" in by_the_gateway.remedy

    def test_from_a_404_of_the_function_itself(self):
        assert "perhaps the action" in answered(404, json.dumps({"error": "unknown action"})).cause

    def test_but_that_the_gateway_has_never_seen_it(self):
        verdict = answered(401, json.dumps({"message": "Invalid API key", "hint": "double check"}), "secret key")

        assert (verdict.accepted, verdict.cause) == (False, "the gateway does not know this API key")

    def test_from_a_timeout_which_is_no_refusal(self):
        verdict = judge_response(answer("timed out", error="Timeout of 1500 ms reached"), "secret key", 1500)

        assert (verdict.accepted, verdict.answered) == (None, "timeout")
        assert "longer than 1500 ms" in verdict.cause
        assert "timed out is not refused" in verdict.cause

    @pytest.mark.parametrize(
        ("error", "why"),
        [
            ("Couldn't connect to server", "Couldn't connect to server"),
            ("Couldn't resolve host name", "Couldn't resolve host name"),
            ("", "no reason given"),
        ],
    )
    def test_from_an_endpoint_that_does_not_answer(self, error: str, why: str):
        verdict = judge_response(answer("rejected", error=error), "secret key", 30_000)

        assert (verdict.accepted, verdict.answered) == (None, "no answer")
        assert verdict.cause == f"the endpoint does not answer ({why})"
        assert "project URL" in verdict.remedy

    def test_from_a_request_that_pg_net_says_nothing_of(self):
        verdict = judge_response(None, "secret key", 30_000)

        assert (verdict.accepted, verdict.answered) == (None, "no answer")
        assert verdict.cause == "pg_net did not send the request, or still waits for its answer"


@given(
    status=st.integers(100, 599),
    content=st.text() | st.sampled_from([*FROM_THE_FUNCTION.values(), *FROM_THE_GATEWAY.values(), LEGACY]),
    kind=st.sampled_from(KINDS),
)
def test_every_answer_has_a_cause_and_what_is_not_accepted_a_remedy(status: int, content: str, kind: KeyKind):
    verdict = answered(status, content, kind)

    assert verdict.cause
    assert bool(verdict.remedy) is (verdict.accepted is not True)


@pytest.mark.parametrize("found", UNKNOWN, ids=["not sent", "timeout", "no answer"])
@pytest.mark.parametrize("kind", KINDS)
def test_without_a_status_the_kind_of_the_key_does_not_matter(kind: KeyKind, found: Row | None):
    verdict = judge_response(found, kind, 30_000)

    assert verdict == judge_response(found, "legacy JWT", 30_000)
    assert verdict.accepted is None
    assert verdict.remedy


def test_the_body_of_an_answer_is_never_repeated():
    assert "hunter2" not in str(answered(401, json.dumps({"code": "hunter2", "message": "hunter2"})))
    assert "hunter2" not in str(answered(500, "hunter2"))


@pytest.mark.parametrize(
    ("verdict", "line"),
    [
        (answered(204), "accepted (HTTP 204): the key works"),
        (answered(401), "refused (HTTP 401): the function itself refuses the key, which it gets as Authorization"),
        (answered(405), "unknown (HTTP 405): the function takes no POST"),
    ],
    ids=["accepted", "refused", "unknown"],
)
def test_a_verdict_is_one_line(verdict: ProbeVerdict, line: str):
    assert str(verdict) == line


class TestWhatTwoAnswersProve:
    """One of the key, one of a wrong key."""

    ANSWERS = (200, 401, 404)

    @pytest.mark.parametrize("wrong", ANSWERS)
    @pytest.mark.parametrize("key", ANSWERS)
    def test_a_key_is_proven_when_it_works_and_a_wrong_one_does_not(self, key: int, wrong: int):
        assert Probe(answered(key), answered(wrong)).proven is ((key, wrong) == (200, 401))

    @pytest.mark.parametrize("wrong", ANSWERS)
    @pytest.mark.parametrize("key", ANSWERS)
    def test_an_endpoint_checks_no_key_when_it_takes_both(self, key: int, wrong: int):
        assert Probe(answered(key), answered(wrong)).unchecked is ((key, wrong) == (200, 200))

    @pytest.mark.parametrize(
        ("key", "wrong", "conclusion"),
        [
            (200, 401, "proven: the key works, and a wrong one is refused"),
            (400, 401, "proven: the key works, and a wrong one is refused"),
            (200, 200, "nothing is proven: a wrong key is accepted too."),
            (400, 400, "nothing is proven: a wrong key is accepted too."),
            (200, 404, "not proven: the key was accepted, but what became of a wrong one is unknown."),
        ],
    )
    def test_the_conclusion_on_a_key_that_is_accepted(self, key: int, wrong: int, conclusion: str):
        assert Probe(answered(key), answered(wrong)).conclusion.startswith(conclusion)

    @pytest.mark.parametrize("wrong", ANSWERS)
    @pytest.mark.parametrize("key", [401, 403, 404, 500])
    def test_the_conclusion_on_any_other_is_its_verdict_and_remedy(self, key: int, wrong: int):
        verdict = answered(key)

        assert Probe(verdict, answered(wrong)).conclusion == f"not proven: {verdict}. {verdict.remedy}"

    @pytest.mark.parametrize("found", UNKNOWN, ids=["not sent", "timeout", "no answer"])
    def test_no_answer_to_the_wrong_key_proves_nothing(self, found: Row | None):
        probe = Probe(answered(200), judge_response(found, "secret key", 30_000))

        assert (probe.proven, probe.unchecked) == (False, False)
        assert probe.conclusion.endswith("Try again.")
