"""Try a key on the database's own path to the endpoint, together with a wrong key.

Vault stays as it is: COPY brings the key into a table that the same transaction drops, and pg_net takes it from there.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from psycopg import errors

from bubble_sync.config.keys import HARMLESS_ACTION, KeyKind, read_key, unissued_jwt
from bubble_sync.config.settings import NameSettings, StackSettings
from bubble_sync.database.database import Connection, Database, Row, attempt, fetch
from bubble_sync.database.polling import WAIT_BEYOND_TIMEOUT_SECONDS, poll
from bubble_sync.errors import ConfigurationError, PrerequisiteMissing
from bubble_sync.records.verdicts import FOREIGN, REFUSED_BY_BODY, SUCCESS, TIMED_OUT, first_characters, verdict_of
from bubble_sync.sql_loader import query

_DEPLOY = "`supabase functions deploy bubble_sync`"
_LOGS = "Read the function's log in the dashboard: Edge Functions -> bubble_sync -> Logs."
_OTHER_ANSWERS = "Check the project URL, and who redirects it or answers there with a page."
_ITS_OWN_CHECK = (
    f"Set verify_jwt = false for bubble_sync in supabase/config.toml, let the function check the key itself "
    f"(docs/guides/keys.md), then {_DEPLOY}."
)
_NOT_DEPLOYED = (
    "no function bubble_sync is deployed at this URL",
    f"Look with `supabase functions list`; deploy it with {_DEPLOY}.",
)
_NOT_FOUND = (
    "the function itself says that something is not there, perhaps the action; or none is deployed at this URL",
    "Try --action with one that it knows; look with `supabase functions list`.",
)
# HTTP statuses that say nothing about the key.
_UNKNOWN = {
    402: ("the project is over its quota", "See the organisation's billing page."),
    405: ("the function takes no POST", _LOGS),
    429: ("too many requests", "Wait a minute, then try again."),
    503: ("the function does not start", _LOGS),
    504: ("the function did not answer the gateway in time", _LOGS),
    540: ("the project is paused", "Resume it in the dashboard, then try again."),
    546: ("the function was ended at its limit of time or memory", _LOGS),
}

_WORKER_BACK_SECONDS = 5
"""The server starts a worker that has ended again after a second."""


@dataclass(frozen=True)
class ProbeVerdict:
    """A response's meaning for the key; `accepted` is None when unknown."""

    accepted: bool | None
    answered: str
    cause: str
    remedy: str = ""

    def __str__(self) -> str:
        """Return the judgement in one line."""
        word = {True: "accepted", False: "refused", None: "unknown"}[self.accepted]
        return f"{word} ({self.answered}): {self.cause}"


def judge_response(answer: Row | None, kind: KeyKind, timeout_ms: int) -> ProbeVerdict:
    """Return the meaning of pg_net's judged answer for a key of this kind."""
    if answer is None:
        cause = "pg_net did not send the request, or still waits for its answer"
        return ProbeVerdict(None, "no answer", cause, "Try again; then look for a busy worker.")
    if answer["verdict"] == TIMED_OUT:
        cause = f"the function works for longer than {timeout_ms} ms, or hangs; timed out is not refused"
        return ProbeVerdict(None, "timeout", cause, _LOGS)
    if answer["status_code"] is None:
        cause = f"the endpoint does not answer ({answer['error'] or 'no reason given'})"
        return ProbeVerdict(None, "no answer", cause, "Check the project URL; resume a paused project.")
    if answer["status_code"] in SUCCESS:
        return _by_body(f"HTTP {answer['status_code']}", answer)
    return _by_status(answer["status_code"], answer["content"] or b"", kind)


def _by_status(status: int, content: bytes, kind: KeyKind) -> ProbeVerdict:
    answered = f"HTTP {status}"
    if status == 400:
        return ProbeVerdict(True, answered, "the key passed; the function does not know the action, which is fine here")
    if status == 401:
        if message := _gateway_says(content):
            return ProbeVerdict(False, answered, *_refused_by_gateway(message, kind))
        expected = "apikey" if kind == "secret key" else "Authorization"
        return ProbeVerdict(
            False,
            answered,
            f"the function itself refuses the key, which it gets as {expected}",
            f"Let it accept this key (docs/guides/keys.md), then {_DEPLOY}; or take the key that it expects.",
        )
    if status == 403:
        return ProbeVerdict(False, answered, "the endpoint knows the key but allows it nothing", "Take a service key.")
    if status == 404:
        return ProbeVerdict(None, answered, *(_NOT_DEPLOYED if _gateway_says(content) else _NOT_FOUND))
    cause, remedy = _UNKNOWN.get(status, ("the function failed" if status >= 500 else "unexpected", _LOGS))
    return ProbeVerdict(None, answered, cause, remedy)


def _by_body(answered: str, answer: Row) -> ProbeVerdict:
    message = first_characters(answer["content"])
    if answer["verdict"] == FOREIGN:
        return ProbeVerdict(None, answered, f"something else than the function answers: {message}", _OTHER_ANSWERS)
    if answer["verdict"] == REFUSED_BY_BODY:
        return ProbeVerdict(None, answered, f"the body says no, but not to what: {message}", _LOGS)
    return ProbeVerdict(True, answered, "the key works")


def _refused_by_gateway(message: str, kind: KeyKind) -> tuple[str, str]:
    if "API key" in message:
        return "the gateway does not know this API key", "Copy the key again from Settings -> API Keys."
    if "LEGACY" in message:
        return (
            "the gateway does not take this JWT: legacy keys are off, or it is a wrong one",
            f"Take a secret key. {_ITS_OWN_CHECK}",
        )
    if kind != "legacy JWT":
        what = "a secret key" if kind == "secret key" else "this key"
        return f"the gateway demands a JWT (verify_jwt = true), and {what} is not a JWT", _ITS_OWN_CHECK
    return (
        "the gateway does not take this JWT: another project's, expired, or signed with a secret that was replaced",
        "Copy the project's key again from Settings -> API Keys.",
    )


def _gateway_says(content: bytes) -> str:
    """Return code and message of a response in the gateway's form; nothing for the function's own."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    # The gateway of `supabase start` says `msg`.
    if not isinstance(body, dict) or not {"message", "msg"} & set(body) or {"success", "error"} & set(body):
        return ""
    return f"{body.get('code', '')} {body.get('message', body.get('msg'))}"


_PATH = "/functions/v1/bubble_sync"


@dataclass(frozen=True)
class Probe:
    """The endpoint's responses to the key and to a wrong one of the same kind."""

    key: ProbeVerdict
    wrong_key: ProbeVerdict

    @property
    def proven(self) -> bool:
        """Return whether the key works and a wrong one is refused."""
        return self.key.accepted is True and self.wrong_key.accepted is False

    @property
    def unchecked(self) -> bool:
        """Return whether the endpoint accepts any key."""
        return self.key.accepted is True and self.wrong_key.accepted is True

    @property
    def conclusion(self) -> str:
        """Return the conclusion in one line."""
        if self.proven:
            return "proven: the key works, and a wrong one is refused"
        if self.unchecked:
            return (
                "nothing is proven: a wrong key is accepted too. Either the endpoint checks no key, and anybody can "
                "call it, or it answers this action before it looks at the key: try --action with one that it works on."
            )
        if self.key.accepted:
            return "not proven: the key was accepted, but what became of a wrong one is unknown. Try again."
        return f"not proven: {self.key}. {self.key.remedy}"


def probe(database: Database, settings: StackSettings, key: str, action: str = HARMLESS_ACTION) -> Probe:
    """Send two requests with `action`, one with the key and one with a wrong key, and judge the responses.

    Waits for the processor's timeout and 10 s. Raises PrerequisiteMissing when pg_net is not there or does not run.
    """
    try:
        action.encode()
    except UnicodeEncodeError:
        raise ConfigurationError("the action holds what is no text: give a word, as in get_status") from None
    kind, timeout_ms = read_key(key).kind, settings.processor.timeout_ms
    _require_worker(database)
    sent = _send(database, settings, (key, wrong_key(key)), action)
    answers = _wait(database, sent, timeout_ms / 1000 + WAIT_BEYOND_TIMEOUT_SECONDS)
    right, wrong = (_named(judge_response(answers.get(one), kind, timeout_ms), settings.names) for one in sent)
    return Probe(right, wrong)


def _named(judged: ProbeVerdict, names: NameSettings) -> ProbeVerdict:
    return replace(judged, cause=names.render(judged.cause), remedy=names.render(judged.remedy))


def wrong_key(key: str) -> str:
    """Make a key of the same kind that was never issued."""
    shape = read_key(key)
    if shape.kind == "secret key":
        return f"sb_secret_{secrets.token_urlsafe(24)}"
    if shape.kind == "legacy JWT":
        claims = {"iss": "supabase", "role": "service_role", "ref": shape.project_ref, "exp": int(time.time()) + 3600}
        return unissued_jwt(claims)
    return secrets.token_urlsafe(32)


def _require_worker(database: Database) -> None:
    if not poll(lambda: database.read("looking for pg_net's worker", _worker_runs), bool, _WORKER_BACK_SECONDS):
        raise PrerequisiteMissing(
            "pg_net's worker does not run, so no request is sent: restart it with "
            "`select net.worker_restart();` in the SQL editor, then try again"
        )


def _worker_runs(conn: Connection) -> bool:
    try:
        attempt(conn, query("probe", "worker"))
    except (errors.InvalidSchemaName, errors.UndefinedTable):
        raise PrerequisiteMissing("pg_net is not installed in this database: run `pulumi up` first") from None
    except errors.UndefinedFunction:
        return True  # a pg_net without the function
    except errors.RaiseException:
        return False
    return True


def _send(database: Database, settings: StackSettings, keys: tuple[str, ...], action: str) -> dict[int, datetime]:
    with database.transaction("handing the key to pg_net") as conn:
        conn.execute(query("probe", "incoming"))
        with conn.cursor() as cursor, cursor.copy(query("probe", "copy_incoming")) as copy:
            # Keep this block free of other statements: an error message would quote the row.
            for attempt, key in enumerate(keys):
                header = read_key(key).header
                value = key if header == "apikey" else f"Bearer {key}"
                copy.write_row(
                    (
                        attempt,
                        settings.url + settings.names.render(_PATH),
                        action,
                        header,
                        value,
                        settings.processor.timeout_ms,
                    )
                )
        conn.execute(query("probe", "send"))
        return {row["request_id"]: row["sent_at"] for row in conn.execute(query("probe", "requests")).fetchall()}


def _wait(database: Database, sent: Mapping[int, datetime], seconds: float) -> Mapping[int, Row]:
    def look() -> Mapping[int, Row]:
        return database.read("reading pg_net's answers", lambda conn: verdict_of(conn, sent.items()))

    answers: Mapping[int, Row] = {}
    try:
        answers = poll(look, lambda found: len(found) == len(sent), seconds)
    finally:
        if len(answers) < len(sent):
            with database.transaction("taking unanswered requests back") as conn:
                fetch(conn, query("probe", "withdraw"), {"ids": list(sent)})
    return answers
