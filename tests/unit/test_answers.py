"""What is shown of an answer: how it begins, in one line, and nothing that looks like a key or an email."""

from __future__ import annotations

import pytest

from bubble_sync.records.verdicts import first_characters
from tests.fixtures.specs import jwt


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (None, ""),
        (b"", ""),
        (b" <html>\r\n\t<body> ", "<html> <body>"),
        (b"\x1b[31mred\x07\xff", "\N{REPLACEMENT CHARACTER}[31mred\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"),
        (b"x" * 120, "x" * 120),
        (b"x" * 121, "x" * 120 + "..."),
        (b"Bearer 0123456789abcdef of ada@example.com", "Bearer [secret] of [email]"),
        (b"sb_secret_abc", "[secret]"),
    ],
)
def test_an_answer_is_shown_in_one_line(content: bytes | None, shown: str):
    assert first_characters(content) == shown


@pytest.mark.parametrize("before", range(90, 121))
def test_a_key_where_the_line_ends_is_masked_before_it_is_cut(before: int):
    key, email = jwt(), "ada.lovelace@example.com"

    for private in (key, email):
        shown = first_characters(f"{'x' * before} {private} and more".encode())
        assert private[:8] not in shown
