"""What others wrote is shown without keys, emails and rows; what is alike is grouped."""

from __future__ import annotations

import pytest

from bubble_sync.config.settings import NameSettings
from bubble_sync.records.messages import details_in, function_log, message_pattern, readable, whole
from tests.fixtures.specs import REF, jwt


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (None, ""),
        ("  \n", ""),
        ("ERROR:  no\nDETAIL:  Failing row contains (1, ada@example.com)", "ERROR:  no"),
        ("duplicate user ada.l+x@mail.example.com!", "duplicate user [email]!"),
        (f"refused Bearer {jwt()}", "refused Bearer [secret]"),
        ("x" * 400, "x" * 300),
    ],
)
def test_a_message_is_one_short_line_without_keys_and_emails(message: str | None, shown: str):
    assert readable(message) == shown


def test_messages_about_different_items_are_of_one_kind():
    ids = ("27dbb748-b3df-4f14-96e6-3e82c98819a9", "7091ED7D-5d47-4678-80f7-a9d3d0655bf5")

    assert {message_pattern(f"sign-up {one}: bubble 1795319280110x367830040694797451") for one in ids} == {
        "sign-up [id]: bubble [number]"
    }
    assert message_pattern("HTTP 500") != message_pattern("HTTP 503")
    assert message_pattern(None) == "no error message"


def test_the_items_own_ids_make_no_other_kind():
    assert {message_pattern(f"User {one} of r{one} is gone", f"r{one}") for one in (17, 18)} == {
        "User [id] of [id] is gone"
    }
    assert message_pattern("HTTP 500 for x", "500000") == "HTTP 500 for x"


def test_a_command_is_shown_whole_and_without_its_key():
    assert whole(f"  select 1;\nselect '{jwt()}';\n") == "select 1;\nselect '[secret]';"
    assert len(whole("x" * 5000)) == 5000


def test_the_functions_log_is_a_page_of_the_project():
    assert (
        function_log(REF, NameSettings()) == f"https://supabase.com/dashboard/project/{REF}/functions/bubble_sync/logs"
    )
    assert function_log(None, NameSettings()) == ""


@pytest.mark.parametrize(
    ("noted", "shown"),
    [
        ('{"code": 400, "message": "no ada@example.com"}', '{"code": 400, "message": "no [email]"}'),
        ('{"Authorization": "Bearer x", "user": "é"}', '{"Authorization": "[secret]", "user": "é"}'),
        ('{"access_token": "x", "empty_token": null}', '{"access_token": "[secret]", "empty_token": null}'),
        ('{"body": "{\\"api_key\\": \\"x\\"}"}', '{"body": "{\\"api_key\\": \\"[secret]\\"}"}'),
        ('["sb_secret_abcdefghijklmnopqrstuv", [1, true]]', '["[secret]", [1, true]]'),
        ("not JSON\nof ada@example.com", "not JSON of [email]"),
        ("[" * 100_000, "[" * 2000 + "... (100000 characters)"),
    ],
)  # fmt: skip
def test_what_the_function_noted_is_one_line_without_keys_emails_and_values_of_secret_names(noted: str, shown: str):
    assert details_in({"error_details": noted}) == {"error_details": shown}


def test_without_details_there_are_none():
    assert details_in(None) == {}
