"""What a key says of itself, offline."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bubble_sync.keys import read_key
from tests.fixtures.specs import REF, jwt


def test_a_legacy_key_names_role_project_and_expiry():
    shape = read_key(jwt(exp=1893456000))

    assert (shape.kind, shape.role, shape.project_ref) == ("legacy JWT", "service_role", REF)
    assert shape.expires_at == datetime(2030, 1, 1, tzinfo=UTC)
    assert shape.header == "Authorization"


def test_a_secret_key_goes_into_the_apikey_header_and_says_nothing_else():
    shape = read_key("sb_secret_abc")

    assert (shape.kind, shape.header, shape.project_ref, shape.expires_at) == ("secret key", "apikey", None, None)


@pytest.mark.parametrize("exp", [None, "soon", True, 10**30, float("inf")])
def test_an_expiry_that_is_no_moment_is_unknown(exp):
    assert read_key(jwt(exp=exp)).expires_at is None


@pytest.mark.parametrize("key", ["a.b.c", "..", "a.W10.c", "a." + "W" * 40 + ".c"])
def test_three_parts_that_are_no_jwt_are_opaque(key):
    assert read_key(key).kind == "opaque"


@given(st.text())
def test_any_text_has_a_shape(text):
    assert read_key(text).kind in ("legacy JWT", "secret key", "publishable key", "opaque")
