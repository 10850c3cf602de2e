"""What the endpoint's answer to a key means: accepted, refused or unknown, by whom, and what to do.

Supabase's gateway answers with a `message`, and mostly a `code`; what has another body comes from the function itself
(page "Edge Function 401 error response").
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from bubble_sync.config.keys import KeyKind
from bubble_sync.records.verdicts import FOREIGN, REFUSED, first_characters, verdict_of

_DEPLOY = "`supabase functions deploy bubble_sync`"
_LOGS = "Read the function's log in the dashboard: Edge Functions -> bubble_sync -> Logs."
_OTHER_ANSWERS = "Check the project URL, and who redirects it or answers there with a page."
_ITS_OWN_CHECK = (
    f"Set verify_jwt = false for bubble_sync in supabase/config.toml, let the function check the key itself "
    f"(docs/keys.md), then {_DEPLOY}."
)
# What pg_net itself answered for: an HTTP status that says nothing about the key.
_UNKNOWN = {
    402: ("the project is over its quota", "See the organisation's billing page."),
    405: ("the function takes no POST", _LOGS),
    429: ("too many requests", "Wait a minute, then try again."),
    503: ("the function does not start", _LOGS),
    504: ("the function did not answer the gateway in time", _LOGS),
    540: ("the project is paused", "Resume it in the dashboard, then try again."),
    546: ("the function was ended at its limit of time or memory", _LOGS),
}


@dataclass(frozen=True)
class Answer:
    """What pg_net wrote down of one request; `status` is None when no HTTP answer came."""

    status: int | None = None
    timed_out: bool = False
    error: str = ""
    content: str = ""


@dataclass(frozen=True)
class Verdict:
    """What an answer means for the key; `accepted` is None when it tells nothing."""

    accepted: bool | None
    answered: str
    cause: str
    remedy: str = ""

    def __str__(self) -> str:
        """Say it in one line."""
        word = {True: "accepted", False: "refused", None: "unknown"}[self.accepted]
        return f"{word} ({self.answered}): {self.cause}"


def judge(answer: Answer | None, kind: KeyKind, timeout_ms: int) -> Verdict:
    """Return what an answer means for a key of this kind."""
    if answer is None:
        cause = "pg_net did not send the request, or still waits for its answer"
        return Verdict(None, "no answer", cause, "Try again; then look for a busy worker.")
    if answer.timed_out:
        cause = f"the function works for longer than {timeout_ms} ms, or hangs; timed out is not refused"
        return Verdict(None, "timeout", cause, _LOGS)
    if answer.status is None:
        cause = f"the endpoint does not answer ({answer.error or 'no reason given'})"
        return Verdict(None, "no answer", cause, "Check the project URL; resume a paused project.")
    return _by_status(answer.status, answer.content, kind)


def _by_status(status: int, content: str, kind: KeyKind) -> Verdict:
    answered = f"HTTP {status}"
    if 200 <= status < 300:
        return _by_body(answered, content)
    if status == 400:
        return Verdict(True, answered, "the key passed; the function does not know the action, which is fine here")
    if status == 401:
        said = _gateway_says(content)
        cause, remedy = _refused_by_gateway(said, kind) if said else _refused_by_function(kind)
        return Verdict(False, answered, cause, remedy)
    if status == 403:
        return Verdict(False, answered, "who answers knows the key and lets it do nothing", "Take a service key.")
    if status == 404:
        return Verdict(None, answered, *(_not_deployed() if _gateway_says(content) else _not_found()))
    cause, remedy = _UNKNOWN.get(status, ("the function failed" if status >= 500 else "unexpected", _LOGS))
    return Verdict(None, answered, cause, remedy)


def _by_body(answered: str, content: str) -> Verdict:
    verdict = verdict_of(content)
    if verdict == FOREIGN:
        said = first_characters(content)
        return Verdict(None, answered, f"something else than the function answers: {said}", _OTHER_ANSWERS)
    if verdict == REFUSED:
        return Verdict(
            None, answered, f"the body says no, and not whether to the key: {first_characters(content)}", _LOGS
        )
    return Verdict(True, answered, "the key works")


def _refused_by_function(kind: KeyKind) -> tuple[str, str]:
    expected = "apikey" if kind == "secret key" else "Authorization"
    return (
        f"the function itself refuses the key, which it gets as {expected}",
        f"Let it accept this key (docs/keys.md), then {_DEPLOY}; or take the key that it expects.",
    )


def _not_deployed() -> tuple[str, str]:
    return (
        "no function bubble_sync is deployed at this URL",
        f"Look with `supabase functions list`; deploy it with {_DEPLOY}.",
    )


def _not_found() -> tuple[str, str]:
    return (
        "the function itself says that something is not there, perhaps the action; or none is deployed at this URL",
        "Try --action with one that it knows; look with `supabase functions list`.",
    )


def _refused_by_gateway(said: str, kind: KeyKind) -> tuple[str, str]:
    if "API key" in said:
        return "the gateway does not know this API key", "Copy the key again from Settings -> API Keys."
    if "LEGACY" in said:
        return (
            "the gateway does not take this JWT: legacy keys are off, or it is a wrong one",
            f"Take a secret key. {_ITS_OWN_CHECK}",
        )
    if kind != "legacy JWT":
        what = "a secret key" if kind == "secret key" else "this key"
        return f"the gateway demands a JWT (verify_jwt = true), and {what} is none", _ITS_OWN_CHECK
    return (
        "the gateway does not take this JWT: another project's, expired, or signed with a secret that was replaced",
        "Copy the project's key again from Settings -> API Keys.",
    )


def _gateway_says(content: str) -> str:
    """Return the code and message of an answer in the gateway's form; nothing for a function's own."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(body, dict) or "message" not in body or {"success", "error"} & set(body):
        return ""
    return f"{body.get('code', '')} {body['message']}"
