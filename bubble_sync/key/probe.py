"""Does this key work? It is tried on the database's own way to the endpoint, beside one that must not work.

Vault is not touched: the key goes through COPY into a table that the same transaction drops, and from there to pg_net.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass

from psycopg import errors

from bubble_sync.config.keys import HARMLESS_ACTION, read_key, unissued_jwt
from bubble_sync.config.settings import StackSettings
from bubble_sync.database.database import Connection, Database, fetch
from bubble_sync.errors import ConfigurationError, PrerequisiteMissing
from bubble_sync.key.key_verdicts import Answer, Verdict, judge
from bubble_sync.sql_loader import query

_PATH = "/functions/v1/bubble_sync"
_LOOK_EVERY_SECONDS = 0.2
# pg_net takes requests in batches: ours may wait for another one's slowest.
_WAIT_BEYOND_TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Probe:
    """What the endpoint made of the key, and of a wrong one of the same kind."""

    key: Verdict
    wrong_key: Verdict

    @property
    def proven(self) -> bool:
        """Say whether the key works and a wrong one does not."""
        return self.key.accepted is True and self.wrong_key.accepted is False

    @property
    def unchecked(self) -> bool:
        """Say whether the endpoint takes any key."""
        return self.key.accepted is True and self.wrong_key.accepted is True

    @property
    def conclusion(self) -> str:
        """Say in one line what is proven."""
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
    """Send two requests with `action`, one with the key and one with a wrong key, and judge the answers.

    Waits for the processor's timeout and 10 s. Raises PrerequisiteMissing when pg_net is not there or does not run.
    """
    try:
        action.encode()
    except UnicodeEncodeError:
        raise ConfigurationError("the action holds what is no text: give a word, as in get_status") from None
    kind, timeout_ms = read_key(key).kind, settings.processor.timeout_ms
    database.read("looking for pg_net's worker", _require_worker)
    ids = _send(database, settings, (key, wrong_key(key)), action)
    answers = _wait(database, ids, timeout_ms / 1000 + _WAIT_BEYOND_TIMEOUT_SECONDS)
    right, wrong = (judge(answers.get(one), kind, timeout_ms) for one in ids)
    return Probe(right, wrong)


def wrong_key(key: str) -> str:
    """Make a key of the same kind that nobody has issued."""
    shape = read_key(key)
    if shape.kind == "secret key":
        return f"sb_secret_{secrets.token_urlsafe(24)}"
    if shape.kind == "legacy JWT":
        claims = {"iss": "supabase", "role": "service_role", "ref": shape.project_ref, "exp": int(time.time()) + 3600}
        return unissued_jwt(claims)
    return secrets.token_urlsafe(32)


def _require_worker(conn: Connection) -> None:
    try:
        conn.execute(query("probe", "worker"))
    except (errors.InvalidSchemaName, errors.UndefinedTable):
        raise PrerequisiteMissing("pg_net is not installed in this database: run `pulumi up` first") from None
    except errors.UndefinedFunction:
        return  # a pg_net that cannot tell
    except errors.RaiseException:
        raise PrerequisiteMissing(
            "pg_net's worker does not run, so that no request is sent: restart it with "
            "`select net.worker_restart();` in the SQL editor, then try again"
        ) from None


def _send(database: Database, settings: StackSettings, keys: tuple[str, ...], action: str) -> list[int]:
    with database.transaction("handing the key to pg_net") as conn:
        conn.execute(query("probe", "incoming"))
        with conn.cursor() as cursor, cursor.copy(query("probe", "copy_incoming")) as copy:
            # Nothing else may happen inside the block: an error message would quote the row.
            for attempt, key in enumerate(keys):
                header = read_key(key).header
                value = key if header == "apikey" else f"Bearer {key}"
                copy.write_row((attempt, settings.url + _PATH, action, header, value, settings.processor.timeout_ms))
        conn.execute(query("probe", "send"))
        return [row["request_id"] for row in conn.execute(query("probe", "requests")).fetchall()]


def _wait(database: Database, ids: list[int], seconds: float) -> dict[int, Answer]:
    def look(conn: Connection) -> dict[int, Answer]:
        rows = fetch(conn, query("probe", "responses"), {"ids": ids})
        return {
            row["id"]: Answer(row["status_code"], row["timed_out"], row["error_msg"] or "", row["content"] or "")
            for row in rows
        }

    pause, until = threading.Event(), time.monotonic() + seconds
    answers: dict[int, Answer] = {}
    try:
        while len(answers) < len(ids) and time.monotonic() < until:
            # pg_net announces nothing: looking again is all there is.
            pause.wait(_LOOK_EVERY_SECONDS)
            answers = database.read("reading pg_net's answers", look)
    finally:
        if len(answers) < len(ids):
            with database.transaction("taking unanswered requests back") as conn:
                fetch(conn, query("probe", "withdraw"), {"ids": ids})
    return answers
