"""Each decision has one place; a text that must repeat the decision is held equal to that place."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import bubble_sync
from bubble_sync.config.settings import AlertSettings, NameSettings
from bubble_sync.config.validators import (
    ANY_PORT,
    LOOPBACK_HOST,
    PRIVATE_HOST,
    SECURE_HOST,
    webhook_url,
)
from bubble_sync.converge.tables import WANTED
from bubble_sync.database import table_names
from bubble_sync.database.snapshot import required_values
from bubble_sync.database.table_names import DISPATCH_TABLE, LEDGER_TABLE, QUEUE_TABLE, SCHEMA
from bubble_sync.model.targets import TARGET
from bubble_sync.records.verdicts import BAD, OUTSTANDING, SUCCESS, VERDICTS
from bubble_sync.sql_loader import SQL_DIRECTORY, checks, query
from tests.fixtures.specs import functions_in

PACKAGE = Path(bubble_sync.__file__).parent
COMMANDS = PACKAGE / "cli"


def sql_files() -> Iterator[tuple[str, str]]:
    for file in sorted(SQL_DIRECTORY.rglob("*.sql")):
        yield str(file.relative_to(SQL_DIRECTORY)), file.read_text()


def quoted(text: str) -> list[str]:
    """Read the literals of a list in SQL."""
    return [word.replace("''", "'") for word in re.findall(r"'((?:[^']|'')*)'", text)]


def test_every_status_range_in_sql_is_that_of_a_success():
    found = [
        (name, range(int(least), int(most) + 1))
        for name, text in sql_files()
        for least, most in re.findall(r"status_code (?:not )?between (\d+) and (\d+)", text)
    ]

    assert {name for name, _ in found} == {
        "checks/response_not_good.sql", "functions/alert_answer.sql", "queries/outcomes.sql",
    }  # fmt: skip
    assert {statuses for _, statuses in found} == {SUCCESS}


def test_the_verdict_of_an_answer_is_decided_in_one_text():
    deciding = [name for name, text in sql_files() if "then 'partial'" in text]

    assert deciding == ["queries/outcomes.sql"]
    assert [*quoted(query("outcomes", "verdict"))].count("timed out") == 1
    assert {*re.findall(r"(?:then|else) '(.*)'", query("outcomes", "verdict").replace("''", "'"))} == (
        {*VERDICTS} - {OUTSTANDING}
    )


def test_the_log_takes_each_verdict():
    listed = re.search(r"check \(verdict in \((.*?)\)\)", query("tables", "dispatches"), re.DOTALL)

    assert listed
    assert {*quoted(listed[1])} == {*VERDICTS} - {OUTSTANDING}
    (declared,) = (part.text for part in WANTED["dispatches"] if part.name == "dispatches_verdict_check")
    assert quoted(declared) == quoted(listed[1])


def test_the_alerts_call_the_same_verdicts_bad():
    listed = re.search(r"verdict in \((.*)\)", dict(sql_files())["functions/alert_rejected.sql"])

    assert listed
    assert {*quoted(listed[1])} == {*BAD}


def test_the_operations_that_count_are_listed_once_for_the_queries():
    listing = {
        name: [quoted(one) for one in re.findall(r"\('SIGNUP_ATOMIC'.*?\)", text)]
        for name, text in sql_files()
        if "('SIGNUP_ATOMIC'" in text
    }

    # The text of an installed function has no include within a line.
    installed = {
        "functions/invoke_bubble_sync_processor.sql", "functions/invoke_bubble_sync_processor_many.sql",
        "functions/alert_conditions.sql", "reference/claim.sql",
    }  # fmt: skip
    assert listing.keys() == {"queries/items.sql", *installed}
    assert all(lists == [[*required_values(NameSettings())["operation"]]] for lists in listing.values())


def test_the_check_of_late_items_explains_the_limit():
    (meaning,) = (check.meaning for check in checks() if check.id == "items_waiting")

    assert f"late after {TARGET.limit} seconds" in meaning


def test_the_functions_send_to_the_urls_that_the_configuration_accepts():
    joined = {name: re.sub(r"'\s*\|\|\s*'", "", text).replace("''", "'") for name, text in sql_files()}
    patterns = {name: re.findall(r"!~ \(?'(\^.*http.*\$)'", text) for name, text in joined.items()}

    assert {name: found for name, found in patterns.items() if found} == {
        "queries/sending.sql": [f"^{SECURE_HOST}{ANY_PORT}/?$", f"^{LOOPBACK_HOST}{ANY_PORT}/?$"],
        "functions/post_alert.sql": [f"^{webhook_url(allow_http=False)}$"],
    }


def test_allow_http_widens_the_pattern_of_the_two_functions_that_send_and_changes_nothing_else():
    def bodies(*, allow_http: bool) -> dict[str, str]:
        given = {"alerts": AlertSettings(), "allow_http": allow_http}
        return {one.name: one.body for group in ("functions", "alerts") for one in functions_in(group, **given)}

    strict, wide = bodies(allow_http=False), bodies(allow_http=True)

    assert {name for name in strict if strict[name] != wide[name]} == {"bubble_sync.send", "bubble_sync.post_alert"}
    for name in ("bubble_sync.send", "bubble_sync.post_alert"):
        assert strict[name].count(LOOPBACK_HOST) == 1
        assert wide[name] == strict[name].replace(LOOPBACK_HOST, PRIVATE_HOST)


def literals(file: Path) -> Iterator[str]:
    """Yield the texts of a module without its docstrings."""
    tree = ast.parse(file.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_our_tables_and_the_queue_are_named_in_one_module():
    ours = re.compile(rf"sync_queue|{SCHEMA}\.(ledger|dispatches|alerts)\b")
    naming = {
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if "local" not in file.parts and any(ours.search(text) for text in literals(file))
    }

    assert naming <= {
        "config/settings.py",
        "database/table_names.py",
        "health/metrics.py",
    }  # a metric's name holds the queue's
    assert {QUEUE_TABLE, LEDGER_TABLE, DISPATCH_TABLE} == {
        "public.sync_queue",
        f"{SCHEMA}.ledger",
        f"{SCHEMA}.dispatches",
    }


def test_the_visibility_of_each_table_that_a_reader_needs_is_known():
    known = {*re.findall(r"\('([\w.]+)', array\[", query("sight", "tables"))}
    named = {value for name, value in vars(table_names).items() if name.endswith("_TABLE")}
    needed = {need.split(":")[0] for check in checks() for need in check.needs}

    assert named | {*table_names.PEOPLE_TABLES} | needed == known


def test_times_are_formatted_in_one_module():
    forms = re.compile(r":%[A-Za-z]|strftime|:[<>]?\d*\.\df\} s|\"%H:%M")
    places = {str(file.relative_to(PACKAGE)) for file in PACKAGE.rglob("*.py") if forms.search(file.read_text())}
    # A value of the configuration is in ISO 8601, and the axis of a chart has no room for a whole time.
    others = {"config/settings.py", "cli/render/charts.py"}

    assert places == {"formatting.py", *others}
    assert [name for name, text in sql_files() if text.count("to_char(") != text.count("%(timestamp)s)")] == []


def test_one_loop_polls():
    asleep = {str(file.relative_to(PACKAGE)) for file in PACKAGE.rglob("*.py") if "time.sleep(" in file.read_text()}
    # A change that lost a race, and a server that is full, wait before another attempt.
    retrying = {"database/database.py", "database/connection.py"}

    assert asleep == {"database/polling.py", *retrying}


def test_every_exit_code_of_a_command_has_a_name():
    ends = [
        (file.name, node.lineno, node.args)
        for file in COMMANDS.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("typer.Exit", "sys.exit", "SystemExit")
    ]
    numbers = [
        f"{name}:{line}"
        for name, line, given in ends
        if any(isinstance(one, ast.Constant) for each in given for one in ast.walk(each))
    ]

    assert len(ends) > 10
    assert numbers == []
