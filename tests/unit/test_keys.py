"""What a key says of itself, offline."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bubble_sync.config.keys import LEGACY_KEYS_END, KeyShape, key_warnings, read_key
from tests.fixtures.specs import REF, jwt

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)
ROTATE = "`bubble-sync key rotate`"


def expiring(at: datetime) -> KeyShape:
    return read_key(jwt(exp=at.timestamp()))


def about_expiry(shape: KeyShape, now: datetime = NOON) -> list[str]:
    return [warning for warning in key_warnings(shape, now) if "expire" in warning]


def about_legacy(shape: KeyShape, day: date) -> list[str]:
    now = datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC)
    return [warning for warning in key_warnings(shape, now) if "legacy" in warning]


def test_a_legacy_key_of_a_private_host_expires_and_is_not_removed():
    assert [one.split(":")[0] for one in key_warnings(expiring(NOON + timedelta(days=3)), NOON, hosted=False)] == [
        f"the key expires on {NOON + timedelta(days=3):%Y-%m-%d}, in 3 days"
    ]


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


class TestAnExpiryIsWarnedOf:
    """Thirty days before it, and ever after."""

    @pytest.mark.parametrize(
        ("left", "said"),
        [
            (timedelta(days=30), "the key expires on 2026-10-31, in 30 days"),
            (timedelta(days=29, hours=13), "the key expires on 2026-10-31, in 30 days"),
            (timedelta(days=2), "the key expires on 2026-10-03, in 2 days"),
            (timedelta(days=1), "the key expires on 2026-10-02, tomorrow"),
            (timedelta(hours=13), "the key expires on 2026-10-02, tomorrow"),
            (timedelta(hours=11), "the key expires on 2026-10-01, today"),
            (timedelta(seconds=1), "the key expires on 2026-10-01, today"),
            (timedelta(0), "the key expired on 2026-10-01"),
            (timedelta(hours=-1), "the key expired on 2026-10-01"),
            (timedelta(days=-400), "the key expired on 2025-08-27"),
        ],
        ids=str,
    )
    def test_with_its_date_and_the_days_left(self, left: timedelta, said: str):
        (warning,) = about_expiry(expiring(NOON + left))

        assert warning.startswith(f"{said}: the endpoint rejects an expired key")
        assert ROTATE in warning

    @pytest.mark.parametrize("left", [timedelta(days=30, seconds=1), timedelta(days=31), timedelta(days=3650)], ids=str)
    def test_but_not_while_it_is_far(self, left: timedelta):
        assert about_expiry(expiring(NOON + left)) == []

    def test_but_not_when_the_key_says_none(self):
        assert about_expiry(read_key(jwt())) == []


class TestALegacyKeyIsWarnedOf:
    """It ends for everybody, whatever its own expiry says."""

    @pytest.mark.parametrize(
        ("day", "said"),
        [
            (date(2026, 1, 1), "Supabase removes by the end of 2026, in 364 days"),
            (LEGACY_KEYS_END - timedelta(days=2), "Supabase removes by the end of 2026, in 2 days"),
            (LEGACY_KEYS_END - timedelta(days=1), "Supabase removes by the end of 2026, tomorrow"),
            (LEGACY_KEYS_END, "Supabase removes by the end of 2026, today"),
            (LEGACY_KEYS_END + timedelta(days=1), "Supabase was to remove by the end of 2026"),
            (date(2030, 1, 1), "Supabase was to remove by the end of 2026"),
        ],
        ids=str,
    )
    def test_with_the_days_left(self, day: date, said: str):
        (warning,) = about_legacy(read_key(jwt()), day)

        assert f"legacy JWT, which {said}. Move to a secret key." in warning
        assert ROTATE in warning

    def test_whatever_role_and_project_it_names(self):
        assert len(about_legacy(read_key(jwt(role=None, ref=None)), NOON.date())) == 1

    def test_after_its_own_expiry_where_both_are_near(self):
        expiry, legacy = key_warnings(expiring(NOON + timedelta(days=3)), NOON)

        assert expiry.startswith("the key expires on 2026-10-04, in 3 days")
        assert legacy.startswith("the key is a legacy JWT")


@pytest.mark.parametrize("key", ["sb_secret_abc", "sb_publishable_abc", "an-opaque-key", "a.b.c"])
@pytest.mark.parametrize("now", [NOON, datetime(2030, 1, 1, tzinfo=UTC)], ids=["before", "after"])
def test_a_key_that_says_nothing_of_its_end_is_not_warned_of(key: str, now: datetime):
    assert key_warnings(read_key(key), now) == ()


def test_no_warning_shows_the_key():
    key = jwt(exp=NOON.timestamp())

    assert not any(part in "".join(key_warnings(read_key(key), NOON)) for part in key.split("."))
