"""Spec against observation."""

import pytest

from bubble_sync.specs import DIFFERS, Observation, compare
from tests.fixtures.specs import function_spec, job_spec, secret_spec


def test_an_equal_observation_has_no_differences():
    assert compare(job_spec(), Observation(job_spec(), {"jobid": "3"})) == ()


@pytest.mark.parametrize(
    ("field", "value"),
    [("schedule", "0 * * * *"), ("command", "SELECT 2"), ("database", "other"), ("active", False), ("stack", "")],
)
def test_each_field_that_differs_is_named_once_with_both_values(field, value):
    (difference,) = compare(job_spec(), Observation(job_spec(**{field: value})))

    assert (difference.field, difference.actual) == (field, value)
    assert difference.wanted == getattr(job_spec(), field)
    assert difference.object_name == "job bubble-sync-processor"


def test_an_absent_object_differs_in_every_field():
    assert {d.field for d in compare(job_spec(), None)} == set(type(job_spec()).model_fields)


def test_a_secret_difference_never_prints_a_value():
    (difference,) = compare(secret_spec(value="hunter2"), Observation(secret_spec(value=DIFFERS)))

    assert str(difference) == "value: [secret] => [secret]"
    assert "hunter2" not in repr(secret_spec(value="hunter2"))


def test_another_executor_is_a_difference():
    (difference,) = compare(function_spec(), Observation(function_spec(executors=("anon",))))

    assert str(difference) == "executors: ('anon',) => ()"
