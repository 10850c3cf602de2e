"""From every starting state: what `diff` says, what converging makes of it, and the scripts that go there and back."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import psycopg
import pytest

from bubble_sync.compare.diff import Comparison, State
from bubble_sync.compare.sql_script import back, forward
from bubble_sync.errors import ForeignObject, PrerequisiteMissing, SyncError, WrongEnvironment
from bubble_sync.specs import VaultSecretSpec
from tests.fixtures.adoption import FOLDER, WANTED, converge_all, look, play, snapshot, states
from tests.fixtures.site import Site

PROCESSOR, RETRY = "function public.invoke_bubble_sync_processor", "function public.invoke_bubble_sync_retry"
NOTHING = {spec.object_name: "create" for spec in WANTED} | {"prerequisites": "equal"}
HELD_UP = NOTHING | {"prerequisites": "foreign"}
GUIDE = NOTHING | {
    "extension pg_cron": "adopt", "extension pg_net": "adopt", "extension supabase_vault": "adopt",
    "secret supabase_url": "adopt and change", "secret service_role_key": "adopt and change",
    PROCESSOR: "adopt and change", RETRY: "adopt and change",
    "job bubble-sync-processor": "adopt and change", "job bubble-sync-retry": "adopt and change",
}  # fmt: skip
ALL_FOREIGN = {name: "foreign" for name in NOTHING if name != "prerequisites"} | {"prerequisites": "equal"}


@dataclass(frozen=True)
class Start:
    """One starting state: the files that make it, and what `diff` says of it."""

    files: tuple[str, ...]
    states: dict[str, str]
    changes: dict[str, list[str]] = field(default_factory=dict)
    """Object -> fields, for what the state is about."""


ADOPTED = {
    "empty": Start(("empty",), NOTHING),
    "as_executed": Start(
        ("as_executed",),
        GUIDE,
        {
            "secret supabase_url": ["value"],
            "secret service_role_key": ["value", "description"],
            PROCESSOR: ["body", "security", "config", "comment", "executors"],
            "job bubble-sync-processor": ["command"],
            "job bubble-sync-retry": ["command"],
        },
    ),
    "disabled": Start(
        ("as_executed", "disabled"),
        GUIDE,
        {"job bubble-sync-processor": ["command", "active"]},
    ),
    "definer": Start(
        ("as_executed", "definer"), GUIDE, {RETRY: ["body", "security", "config", "comment", "executors"]}
    ),
    "executable": Start(
        ("as_executed", "executable"),
        GUIDE,
        {PROCESSOR: ["body", "security", "config", "comment", "executors"]},
    ),
    "undecryptable": Start(("as_executed", "undecryptable"), GUIDE, {"secret supabase_url": ["value"]}),
    "half_made": Start(("half_made",), NOTHING | {"ledger": "update", "extension pg_cron": "equal"}),
    "net_in_public": Start(("net_in_public",), NOTHING | {"extension pg_net": "adopt"}),
    "old_extension": Start(("old_extension",), NOTHING | {"extension pg_cron": "adopt"}),
    "schema_free": Start(("schema_free",), NOTHING),
    "ledger_lost": Start(("ledger_lost",), NOTHING | {"function bubble_sync.settle": "adopt and change"}),
    "generations": Start(("as_executed", "generations"), GUIDE),
}
# name -> the objects that are refused, the error, and words of its cause and next step
REFUSED: dict[str, tuple[dict[str, str], type[SyncError], str]] = {
    "job_of_another_role": (
        HELD_UP | {"extension pg_cron": "adopt", "job bubble-sync-processor": "foreign"},
        ForeignObject, r"role anon .*select cron\.unschedule\(\d+\);",
    ),
    "other_return_type": (HELD_UP | {PROCESSOR: "foreign"}, ForeignObject, r"returns integer.*drop function"),
    "ambiguous": (HELD_UP | {PROCESSOR: "foreign"}, ForeignObject, r"second form.*drop function"),
    "other_owner": (HELD_UP | {PROCESSOR: "foreign"}, ForeignObject, r"owned by service_role.*alter function"),
    "queue_view": (NOTHING | {"prerequisites": "missing prerequisite"}, PrerequisiteMissing, "it is a view"),
    "queue_unreadable": (
        NOTHING | {"prerequisites": "missing prerequisite"}, PrerequisiteMissing, "privilege SELECT on",
    ),
    "other_project": (ALL_FOREIGN, WrongEnvironment, r"update bubble_sync\.ledger set \"project_ref\""),
    "schema_in_use": (ALL_FOREIGN, ForeignObject, r"holds progress\).*alter schema bubble_sync rename to"),
    "ledger_in_use": (ALL_FOREIGN, ForeignObject, r"holds ledger\).*alter schema bubble_sync rename to"),
    "ledger_replaced": (ALL_FOREIGN, ForeignObject, r"alter table bubble_sync\.ledger set schema"),
    "other_stack": (ALL_FOREIGN, ForeignObject, r"update bubble_sync\.ledger set \"stack\""),
}  # fmt: skip

SCHEMAS = """
    select oid, nspname::text as name, nspacl::text, obj_description(oid, 'pg_namespace') as comment
    from pg_namespace where nspname ~ '^bubble_sync'
"""
RELATIONS = """
    select relname::text as table, relacl::text from pg_class
    where relnamespace::regnamespace::text ~ '^bubble_sync' and relkind = 'r'
"""
UNREADABLE = ("value", "unreadable")


def run_as_a_person(site: Site, text: str) -> None:
    """Run a script as the SQL editor does: as the hosted role, whole, in its search_path."""
    with psycopg.connect(site.addresses.database_url, autocommit=True) as editor:
        editor.execute(text)


def filled_in(text: str) -> str:
    """Put the values in place of the placeholders of `--sql`."""
    for spec in WANTED:
        if isinstance(spec, VaultSecretSpec):
            text = text.replace(f"'<the value of {spec.name}>'", f"'{spec.value}'")
    return text


def test_every_file_is_a_starting_state():
    assert {path.stem for path in FOLDER.glob("*.sql")} == {*ADOPTED, *REFUSED}


@pytest.mark.parametrize("name", ADOPTED)
class TestAdopted:
    """One `up` makes it as wanted, and the second has nothing to do."""

    @pytest.fixture
    def start(self, name: str, site: Site) -> Start:
        play(site, *ADOPTED[name].files)
        return ADOPTED[name]

    def test_diff_says_what_would_be_done(self, start: Start, site: Site):
        before = snapshot(site)

        comparison, _ = look(site)

        assert states(comparison) == start.states
        changes = {item.spec.object_name: [change.field for change in item.changes] for item in comparison.items}
        assert {name: changes[name] for name in start.changes} == start.changes
        assert not comparison.clean
        assert snapshot(site) == before

    @pytest.mark.sampled(3)
    def test_converging_keeps_every_id_and_then_nothing_is_left(self, start: Start, site: Site):
        before = snapshot(site)

        converge_all(site)

        after = snapshot(site)
        comparison, _ = look(site)
        assert comparison.clean, states(comparison)
        kept_rows(before, after, secrets="undecryptable" not in start.files)
        converge_all(site)
        assert snapshot(site) == after
        assert look(site)[0].clean

    @pytest.mark.sampled(3)
    def test_the_script_does_what_up_does(self, start: Start, site: Site):
        before = snapshot(site)
        text = filled_in(forward(look(site)[0]))

        run_as_a_person(site, text)

        comparison, _ = look(site)
        assert comparison.clean, forward(comparison)
        after = snapshot(site)
        kept_rows(before, after, secrets="undecryptable" not in start.files)
        if "undecryptable" not in start.files:
            run_as_a_person(site, text)
            assert snapshot(site) == after, "twice is no harm"
        origins = {row["object"]: row["origin"] for row in after["ledger"]}
        assert origins == expected_origins(start)

    @pytest.mark.sampled(3)
    def test_the_way_back_leads_to_where_it_began(self, start: Start, site: Site):
        first, found = look(site)
        text = back(first, found)
        copies = re.findall(r"^--     (select vault\.create_secret.*)$", text, re.MULTILINE)
        run_as_a_person(site, "\n".join(["select 1;", *copies]))

        converge_all(site)
        run_as_a_person(site, text)
        last, _ = look(site)

        assert states(last) == back_again(start)
        readable = {name: [one for one in of if one != UNREADABLE] for name, of in changes_of(first).items()}
        assert changes_of(last) == readable
        there = snapshot(site)
        run_as_a_person(site, text)
        assert snapshot(site) == there, "twice is no harm"


@pytest.mark.parametrize("name", REFUSED)
class TestRefused:
    """What is not ours to change is refused, with what to do, and is left as it is."""

    @pytest.fixture(autouse=True)
    def _start(self, name: str, site: Site) -> None:
        play(site, name)

    def test_diff_and_up_refuse_it_in_the_same_words(self, name: str, site: Site):
        said, error, words = REFUSED[name]

        comparison, _ = look(site)
        before = snapshot(site)
        with pytest.raises(error, match=f"(?s){words}") as refused:
            converge_all(site)

        assert states(comparison) == said
        assert "nothing was changed" in str(refused.value)
        reasons = [item.reason for item in comparison.items if item.state in (State.FOREIGN, State.MISSING)]
        assert str(refused.value) in reasons
        after = snapshot(site)
        assert after == before

    def test_no_script_touches_it(self, name: str, site: Site):
        comparison, snapshot = look(site)
        refused = {item.spec.object_name for item in comparison.items if item.state in (State.FOREIGN, State.MISSING)}

        for text in (forward(comparison), back(comparison, snapshot)):
            for part in re.split("^-- (?=secret |function |job |extension |ledger|prerequisites)", text, flags=re.M):
                if part.split(":")[0] in refused:
                    assert [line for line in part.splitlines()[1:] if line and not line.startswith("--")] == []


@pytest.mark.parametrize("name", ["schema_in_use", "ledger_in_use", "ledger_replaced"])
def test_the_sql_that_the_refusal_comes_with_makes_way_and_the_application_keeps_what_it_had(name: str, site: Site):
    play(site, name)
    before = [row | {"table": ""} for row in snapshot(site)["tables"]]
    (schema,) = site.by_hand(SCHEMAS)
    comparison, _ = look(site)
    (ledger,) = [item for item in comparison.items if item.spec.object_name == "ledger"]

    run_as_a_person(site, re.split(": (?=alter|create)", ledger.reason)[1])
    converge_all(site)

    assert look(site)[0].clean
    after = [row for row in site.by_hand(RELATIONS) if row["table"] in ("progress", "ledger")]
    assert [row for row in after if row | {"table": ""} in before]
    if name != "ledger_replaced":
        assert {**schema, "name": "bubble_sync_app"} in site.by_hand(SCHEMAS)


def test_a_schema_that_is_refused_is_destroyed_no_more_than_made(site: Site):
    play(site, "ledger_in_use")
    before = snapshot(site)

    for spec in reversed(WANTED[:2]):
        site.remove(spec)

    assert snapshot(site) == before


def changes_of(comparison: Comparison) -> dict[str, list[object]]:
    return {
        item.spec.object_name: [
            (change.field, change.secret) if change.secret else (change.field, change.actual) for change in item.changes
        ]
        for item in comparison.items
    }


def back_again(start: Start) -> dict[str, str]:
    """Extensions stay: what was to be created is then to be adopted."""
    states = dict(start.states)
    for name, state in states.items():
        if name.startswith("extension") and state == "create":
            states[name] = "adopt"
        if "undecryptable" in start.files and name == "secret supabase_url":
            states[name] = "adopt"
    return states


def kept_rows(before, after, *, secrets: bool) -> None:
    """Every job, secret and function of before is there, with its id."""
    for kind, key in (("jobs", "jobid"), ("functions", "oid"), ("secrets", "id")):
        if kind != "secrets" or secrets:
            assert {row[key] for row in before[kind]} <= {row[key] for row in after[kind]}


def expected_origins(start: Start) -> dict[str, str]:
    recorded = {name: state for name, state in start.states.items() if name not in ("prerequisites", "ledger")}
    origins = {name: "adopted" if state.startswith("adopt") else "made" for name, state in recorded.items()}
    return {**origins, "settings": "made"}
