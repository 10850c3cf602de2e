"""Every command in a text is completed for the stack that the text is about, and nothing else is touched."""

from __future__ import annotations

import inspect

import pytest
import typer

from bubble_sync.cli import requeue
from bubble_sync.cli.app import app
from bubble_sync.config.commands import COMMAND_LINE, OURS, complete_commands, in_all

PROD = ("--stack", "prod")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pulumi up", "pulumi up --stack prod"),
        ("Run pulumi up: it adopts it.", "Run pulumi up --stack prod: it adopts it."),
        ("`bubble-sync requeue --dead`", "`bubble-sync requeue --stack prod --dead`"),
        ("bubble-sync key rotate.", "bubble-sync key rotate --stack prod."),
        (
            "pulumi config set bubble-sync:dispatchLog true && pulumi up",
            "pulumi config set --stack prod bubble-sync:dispatchLog true && pulumi up --stack prod",
        ),
        (
            "Look with bubble-sync diff, then run pulumi up.",
            "Look with bubble-sync diff --stack prod, then run pulumi up --stack prod.",
        ),
        ("bubble-sync trace --latest --stack staging", "bubble-sync trace --latest --stack staging"),
        ("pulumi up --stack a, or `pulumi up`", "pulumi up --stack a, or `pulumi up --stack prod`"),
        ("`pulumi config --json --show-secrets`", "`pulumi config --stack prod --json --show-secrets`"),
    ],
)
def test_a_command_gets_the_stack_unless_it_has_one(text: str, said: str):
    assert complete_commands(text, PROD) == said


@pytest.mark.parametrize(
    "text",
    [
        "job bubble-sync-processor", "**bubble-sync diff**, 1 equal", "bubble-sync:processor.schedule", "pulumi.yaml",
        "bubble-sync local down", "`pulumi up` failed", "the role that `pulumi up` connects as",
        "the doctor of bubble-sync", "bubble-sync diff's",
    ],
)  # fmt: skip
def test_what_is_no_command_stays(text: str):
    assert complete_commands(text, PROD) == text


def test_our_commands_may_need_fewer_options_than_pulumis():
    options = (*PROD, "--config-file", "/a folder/Pulumi.prod.yaml")

    assert complete_commands("bubble-sync diff; pulumi up", options, PROD) == (
        "bubble-sync diff --stack prod; pulumi up --stack prod --config-file '/a folder/Pulumi.prod.yaml'"
    )


def test_what_pulumi_needs_first_stands_once_before_the_first_of_its_commands():
    text = "`bubble-sync diff`, then `pulumi config set x 1`, then `pulumi up`"

    assert complete_commands(text, PROD, before_pulumi=". /tmp/p/environment && ") == (
        "`bubble-sync diff --stack prod`, then `. /tmp/p/environment && pulumi config set --stack prod x 1`, "
        "then `pulumi up --stack prod`"
    )


def test_the_whole_line_of_a_platform_is_one_command():
    line = ". /tmp/p/environment && pulumi up --stack local --config-file /tmp/p/pulumi/Pulumi.local.yaml"

    assert [found["bare"] for found in COMMAND_LINE.finditer(f"do: Run {line}: it switches the job on.")] == [line]
    assert [found["quoted"] for found in COMMAND_LINE.finditer(f"next: `{line}`")] == [line]


def test_pulumi_cancel_has_no_option_for_a_configuration_file():
    options = (*PROD, "--config-file", "Pulumi.prod.yaml")

    assert complete_commands("pulumi cancel --yes, then pulumi up", options) == (
        "pulumi cancel --stack prod --yes, then pulumi up --stack prod --config-file Pulumi.prod.yaml"
    )


def test_every_text_of_a_document_is_completed():
    document = {"next": "pulumi up", "lines": [{"remedy": "bubble-sync diff", "number": 1, "none": None}]}

    assert in_all(document, lambda text: complete_commands(text, PROD)) == {
        "next": "pulumi up --stack prod",
        "lines": [{"remedy": "bubble-sync diff --stack prod", "number": 1, "none": None}],
    }


def test_every_command_that_takes_a_stack_is_known():
    found = set()
    for name, command in typer.main.get_command(app).commands.items():
        inner = getattr(command, "commands", None)
        for words, one in [(name, command)] if inner is None else [(f"{name} {sub}", it) for sub, it in inner.items()]:
            if any("--stack" in parameter.opts for parameter in one.params):
                found.add(words)

    assert found == set(OURS)


def test_requeue_answers_to_its_earlier_name_which_help_does_not_list(capsys: pytest.CaptureFixture[str]):
    callback = typer.main.get_command(app).commands["retry"].callback
    assert inspect.unwrap(callback) is requeue.requeue

    with pytest.raises(SystemExit):
        app(["--help"])
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert "requeue" in listed
    assert "retry" not in listed
