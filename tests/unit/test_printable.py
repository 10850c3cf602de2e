"""Text of others, cleaned: what is written for what; every case was found by tests/faults/test_bytes.py or by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bubble_sync.cli.metrics import text_of
from bubble_sync.cli.output import screen
from bubble_sync.cli.render.diff import escape_markdown, folded
from bubble_sync.config.settings import check_settings
from bubble_sync.health.metrics import Measured
from bubble_sync.printable import json_text, printable, printable_lines
from tests.faults.bytes import NOW
from tests.fixtures.specs import config

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "lines", "line"),
    [
        ("plain, \N{LATIN SMALL LETTER E WITH ACUTE}, \N{CJK UNIFIED IDEOGRAPH-65E5}", None, None),
        ("a\tb\nc", "a\tb\nc", r"a\tb\nc"),
        ("\x1b[2J\x9b31m\x7f", r"\x1b[2J\x9b31m\x7f", r"\x1b[2J\x9b31m\x7f"),
        ("\u202etxt.exe\u200b", r"\u202etxt.exe\u200b", r"\u202etxt.exe\u200b"),
        ("100\N{NO-BREAK SPACE}%\N{IDEOGRAPHIC SPACE}", None, None),
        ("a\r\nb\ud800\0", "a\\r\nb\\ud800\\x00", r"a\r\nb\ud800\x00"),
        ("x\n  ::add-mask::e", "x\n  \\::add-mask::e", r"x\n  ::add-mask::e"),
        ("::debug", "::debug", "::debug"),
        ("a::text::b", "a::text::b", "a::text::b"),
        ("[##vso[task.a]b", "[#\\#vso[task.a]b", "[#\\#vso[task.a]b"),
        ("##[error]c ###[d", "#\\#[error]c ##\\#[d", "#\\#[error]c ##\\#[d"),
    ],
)  # fmt: skip
def test_a_character_that_acts_is_written_as_python_writes_it(text: str, lines: str | None, line: str | None):
    assert printable_lines(text) == (text if lines is None else lines)
    assert printable(text) == (text if line is None else line)
    assert printable_lines(printable_lines(text)) == printable_lines(text), "an error passes here more than once"
    assert json.loads(json_text({"text": text})) == {"text": text}
    assert "##[" not in json_text(text)


@pytest.mark.parametrize(
    ("title", "code"),
    [
        ("job @org/team <b>", "job @org/team &lt;b&gt;"),
        ("see https://example.com `x`", "see https://example.com &#96;x&#96;"),
        ("fixes #1 *now*", "fixes #1 &#42;now&#42;"),
        ("mail ada@example.com", "mail ada@example.com"),
    ],
)
def test_a_title_that_a_host_would_link_is_code(title: str, code: str):
    assert escape_markdown(title) == f"<code>{code}</code>"
    assert f"<details><summary><code>{code}</code></summary>" in list(folded(title, ["x"], "text"))


def test_a_line_that_a_pipe_folds_is_no_command(capsys: pytest.CaptureFixture[str]):
    screen().print(f"{'x' * 400} ::add-mask::e")

    assert capsys.readouterr().out.splitlines()[-1] == r"\::add-mask::e"


def test_the_name_of_a_stack_is_a_label():
    assert 'stack="a\\\\x1b\\\\x00"' in text_of(Measured("a\x1b\0", "0", NOW))


def test_an_object_without_end_is_no_value():
    _, problems = check_settings(config(processor='{"a":' * 100_000))

    assert [problem.partition(" ")[0] for problem in problems] == ["bubble-sync:processor:"]
    assert len(problems[0]) < 1000


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_what_pulumi_prints_into_a_log_of_ci_may_be_no_utf_8(command: str, tmp_path: Path):
    (tmp_path / "Pulumi.yaml").write_text("name: x\n")
    (tmp_path / "plan-prod.json").write_text("{}")
    (tmp_path / "output").write_bytes(b"a\xff\x1b[2J\r\n    ::add-mask::x\nsb_secret_0123456789\n")
    pulumi = tmp_path / "pulumi"
    pulumi.write_text(f"#!/bin/sh\ncat {tmp_path}/output\n")
    pulumi.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{Path(sys.executable).parent}:/bin:/usr/bin"}

    done = subprocess.run(
        ["bubble-sync", "ci", command, "--stack", "prod"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        check=True,
    )

    assert done.stdout.decode() == "a\N{REPLACEMENT CHARACTER}\\x1b[2J\n    \\::add-mask::x\n[secret]\n"


def test_a_terminal_that_lacks_a_character_gets_its_number(tmp_path: Path):
    done = subprocess.run(
        ["bubble-sync", "trace", "\N{CJK UNIFIED IDEOGRAPH-65E5}", "--latest", "--json"], cwd=tmp_path,
        env={"PATH": str(Path(sys.executable).parent), "PYTHONIOENCODING": "ascii"}, capture_output=True, check=False,
    )  # fmt: skip

    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["exit_code"] == 2
