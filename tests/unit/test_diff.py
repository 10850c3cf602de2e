"""Comparing and drawing, without a database: rows go in, states and texts come out."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from typing import Any

import pytest

from bubble_sync.cli.render.diff import comparison_document, comparison_markdown, comparison_text
from bubble_sync.compare.diff import Change, Comparison, ObjectDiff, State, compare_object, diff
from bubble_sync.compare.sql_script import back, forward, holds_a_key
from bubble_sync.compare.unmanaged import UnmanagedObject
from bubble_sync.config.keys import masked
from bubble_sync.database.snapshot import Snapshot
from bubble_sync.specs import Observation, PrerequisitesSpec
from tests.fixtures.specs import REF, STACK, function_spec, job_spec, jwt, ledger_spec, secret_spec

SALT = "salt"


def found(**parts: list[dict[str, Any]]) -> Snapshot:
    return Snapshot(parts, SALT)


def job_row(**changes: object) -> dict[str, Any]:
    row = {"jobid": 3, "name": "bubble-sync-processor", "schedule": "* * * * *", "command": "SELECT 1"}
    return {
        **row,
        "database": "postgres",
        "active": True,
        "username": "postgres",
        "mine": True,
        "here": True,
        **changes,
    }


def function_row(**changes: object) -> dict[str, Any]:
    spec = function_spec()
    row: dict[str, Any] = {
        name: getattr(spec, name)
        for name in ("name", "returns", "body", "language", "security", "volatility", "comment")
    }
    row |= {"config": ['search_path=""'], "attributes": [], "executors": [], "owner": "postgres", "mine": True}
    row |= {"arguments": "", "identity_arguments": "", "types": "", "kind": "f", "callable_bare": True}
    return {**row, **changes}


def secret_rows(value: str | None) -> dict[str, list[dict[str, Any]]]:
    digests = [] if value is None else [{"name": "supabase_url", "digest": sha256((SALT + value).encode()).hexdigest()}]
    return {"secrets": [{"id": "1", "name": "supabase_url", "description": "where"}], "digests": digests}


def recorded(object_name: str, stack: str = STACK, project_ref: str = "") -> list[dict[str, Any]]:
    return [{"object": object_name, "stack": stack, "project_ref": project_ref, "origin": "made"}]


JOB = "job bubble-sync-processor"


class TestState:
    """One word for each object."""

    def test_an_absent_object_is_to_be_created(self):
        item = compare_object(job_spec(), found())

        assert (item.state, item.changes, item.reason) == (State.CREATE, (), "")

    def test_an_absent_object_that_the_ledger_knows_was_removed_by_somebody(self):
        item = compare_object(job_spec(), found(recorded=recorded(JOB)))

        assert item.state is State.CREATE
        assert "removed since" in item.reason

    @pytest.mark.parametrize(
        ("known", "active", "state"),
        [
            (True, True, State.EQUAL),
            (True, False, State.UPDATE),
            (False, True, State.ADOPT),
            (False, False, State.ADOPT_AND_CHANGE),
        ],
    )
    def test_the_ledger_tells_an_update_from_an_adoption(self, known: bool, active: bool, state: State):
        rows = recorded(JOB) if known else []

        item = compare_object(job_spec(), found(jobs=[job_row(active=active)], recorded=rows))

        assert item.state is state
        assert [change.field for change in item.changes] == ([] if active else ["active"])

    def test_a_row_without_the_project_is_an_update_of_the_ledger(self):
        item = compare_object(job_spec(project_ref=REF), found(jobs=[job_row()], recorded=recorded(JOB)))

        assert (item.state, [change.field for change in item.changes]) == (State.UPDATE, ["project_ref"])

    @pytest.mark.parametrize(("stored", "says"), [("other", "differs"), (None, "unreadable")])
    def test_of_a_secret_it_is_only_said_how_it_differs(self, stored: str | None, says: str):
        item = compare_object(secret_spec(), found(**secret_rows(stored)))

        assert item.changes == (Change("value", secret=says),)

    def test_an_equal_secret_has_no_change(self):
        assert compare_object(secret_spec(), found(**secret_rows(secret_spec().value))).state is State.ADOPT

    @pytest.mark.parametrize(
        ("row", "words"),
        [
            ({"mine": False, "owner": "anon"}, "owned by anon"),
            ({"returns": "integer"}, "returns integer"),
            ({"kind": "p"}, "something else"),
            ({"attributes": ["setof"]}, "something else"),
        ],
    )
    def test_a_function_that_up_refuses_is_foreign(self, row: dict[str, Any], words: str):
        item = compare_object(function_spec(), found(functions=[function_row(body="other", **row)]))

        assert item.state is State.FOREIGN
        assert words in item.reason

    def test_other_names_of_parameters_cannot_be_replaced(self):
        row = function_row(identity_arguments="m integer", types="integer", callable_bare=False)

        item = compare_object(function_spec(arguments="n integer"), found(functions=[row]))

        assert item.state is State.FOREIGN

    def test_what_is_there_is_foreign_when_nothing_may_be_adopted(self):
        item = compare_object(job_spec(), found(jobs=[job_row()]), adopt=False)

        assert item.state is State.FOREIGN
        assert "adopt is 'never'" in item.reason

    def test_a_ledger_of_another_stack_makes_everything_foreign(self):
        rows = found(ledger=[{"present": True, "grantees": [], "users": []}], recorded=recorded("job x", stack="prod"))

        items = [compare_object(spec, rows) for spec in (ledger_spec(), job_spec())]

        assert [item.state for item in items] == [State.FOREIGN, State.FOREIGN]
        assert items[0].reason == items[1].reason

    @pytest.mark.parametrize(
        ("reader", "state"),
        [
            ({"role": "poor", "own_alone": True, "keeper": "postgres"}, State.FOREIGN),
            ({"role": "postgres", "own_alone": True, "keeper": "postgres"}, State.CREATE),
            ({"role": "admin", "own_alone": False, "keeper": "postgres"}, State.CREATE),
        ],
    )
    def test_a_job_that_the_reader_may_not_see_is_not_gone(self, reader: dict[str, Any], state: State):
        rows = found(reader=[reader], recorded=recorded(JOB))

        assert compare_object(job_spec(), rows).state is state

    def test_a_key_in_a_command_or_a_body_is_not_shown(self):
        key = jwt()
        rows = found(
            jobs=[job_row(command=f"select post('Bearer {key}')")], functions=[function_row(body=f"x := '{key}';")]
        )

        told = repr(diff(STACK, [job_spec(), function_spec()], rows).items[0].changes)
        told += repr(diff(STACK, [job_spec(), function_spec()], rows).items[1].changes)

        assert key not in told
        assert told.count("[secret]") == 2


@pytest.mark.parametrize(
    ("given", "values", "shown"),
    [
        ("key := 'sb_secret_abc-DEF_1';", (), "key := '[secret]';"),
        ("Authorization: Bearer abcdefghijklmnop0123", (), "Authorization: Bearer [secret]"),
        ("'opaque'", ("opaque",), "'[secret]'"),
        ("'nothing'", ("",), "'nothing'"),
    ],
)
def test_what_has_the_shape_of_a_key_is_masked(given: str, values: tuple[str, ...], shown: str):
    assert masked(given, *values) == shown


BODY = "begin\n    -- ````` and </details>\nend"


def comparison() -> Comparison:
    there = Observation(function_spec(body=BODY))
    return Comparison(
        STACK,
        [
            ObjectDiff(
                PrerequisitesSpec(),
                State.MISSING,
                changes=(Change("missing", ["column `x`"], []),),
                reason="lacks:\n  - column `x`",
            ),
            ObjectDiff(job_spec(), State.EQUAL),
            ObjectDiff(function_spec(), State.UPDATE, there, (Change("body", BODY, function_spec().body),)),
            ObjectDiff(
                secret_spec(), State.ADOPT_AND_CHANGE, Observation(secret_spec()), (Change("value", secret="differs"),)
            ),
            ObjectDiff(ledger_spec(), State.FOREIGN, reason="another stack"),
            ObjectDiff(job_spec(name="other"), State.FOREIGN, reason="another stack"),
        ],
        [UnmanagedObject("job old (jobid 7)", "it sends too", "select cron.unschedule(7);")],
    )


class TestDrawing:
    """The same answer, in three forms."""

    def test_text_has_a_line_for_each_object_and_the_summary_last(self):
        lines = list(comparison_text(comparison()))

        heads = [line for line in lines if line[:2] in ("= ", "+ ", "> ", "~ ", "! ")]
        assert [line.split(None, 1)[0] for line in heads] == ["!", "=", "~", "~", "!", "!"]
        assert "      (for the same reason)" in lines
        assert "      value: differs" in lines
        assert not [line for line in lines if line.strip().startswith("missing:")], "the reason lists them"
        assert "      -    -- ````` and </details>" in lines
        assert lines[-2:] == [
            "stack test: 1 equal, 1 adopt and change, 1 update, 2 foreign, 1 missing prerequisite",
            "next: fix the objects marked !, which `pulumi up` refuses; then run `bubble-sync diff` again",
        ]

    def test_text_says_when_there_is_nothing_to_do(self):
        assert list(comparison_text(Comparison(STACK, [ObjectDiff(job_spec(), State.EQUAL)], []))) == [
            "= equal            job bubble-sync-processor",
            "stack test: 1 equal; nothing to do",
        ]

    def test_markdown_begins_with_the_summary_and_ends_with_a_mark(self):
        lines = list(comparison_markdown(comparison()))

        assert lines[0].startswith("**bubble-sync diff**, stack test: 1 equal, ")
        assert lines[-1] == "<!-- bubble-sync diff test -->"

    def test_markdown_has_a_next_step_only_where_up_refuses(self):
        update = ObjectDiff(job_spec(), State.UPDATE, Observation(job_spec()), (Change("active", False, True),))
        steps = [
            [line for line in comparison_markdown(one) if line.startswith("next: ")]
            for one in (comparison(), Comparison(STACK, [update], []))
        ]

        assert steps == [["next: fix what `pulumi up` refuses; then run `bubble-sync diff` again"], []]

    def test_no_body_breaks_out_of_its_fence(self):
        drawn = "\n".join(comparison_markdown(comparison()))

        blocks = re.findall(r"^<details>.*?\n\n(`{3,})\w+\n(.*?)\n\1\n\n</details>$", drawn, re.M | re.S)
        assert len(blocks) == drawn.count("<details>") == 6
        fence, inside = blocks[1]
        assert fence == "``````"
        assert "`````" in inside

    def test_a_name_is_no_markup(self):
        item = ObjectDiff(secret_spec(name="<b>`_[x](y)"), State.CREATE)

        drawn = "\n".join(comparison_markdown(Comparison(STACK, [item], [])))

        assert r"- create: secret &lt;b&gt;\`\_\[x\](y)" in drawn

    def test_a_folded_blocks_title_is_html_in_which_nothing_is_escaped_as_markdown(self):
        item = ObjectDiff(secret_spec(name="<b>_*~"), State.UPDATE, changes=(Change("description", "a", "b"),))

        drawn = list(comparison_markdown(Comparison(STACK, [item], [])))

        assert "<details><summary>update: secret &lt;b&gt;_*~ (description)</summary>" in drawn

    def test_json_has_the_documented_shape(self):
        told = comparison_document(comparison())

        assert json.loads(json.dumps(told)) == told
        assert list(told) == ["stack", "clean", "counts", "objects", "unmanaged", "next"]
        assert told["objects"][3] == {
            "object": "secret supabase_url", "kind": "secret", "state": "adopt and change", "reason": "",
            "changes": [{"field": "value", "secret": "differs"}],
        }  # fmt: skip

    def test_no_form_holds_the_value_of_a_secret(self):
        drawn = "\n".join(
            [
                *comparison_text(comparison()),
                *comparison_markdown(comparison()),
                json.dumps(comparison_document(comparison())),
            ]
        )
        drawn += forward(comparison())

        assert secret_spec().value not in drawn


def test_the_way_back_to_a_body_with_a_key_says_so():
    rows = found(definitions=[{"name": "public.tick", "identity_arguments": "", "signature": "public.tick()",
                               "definition": f"create function ... '{jwt()}'", "grants": []}])  # fmt: skip
    told = Comparison(
        STACK,
        [ObjectDiff(function_spec(), State.UPDATE, Observation(function_spec(body="x")), (Change("body", "x", "y"),))],
        [],
    )

    assert holds_a_key(back(told, rows))
    assert not holds_a_key(back(comparison(), rows)[:0])
