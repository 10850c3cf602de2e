"""What `run-now` makes of the requests of one run."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bubble_sync.cli.run_now import RunOutput
from bubble_sync.records.requests import Request

AT = datetime(2026, 11, 29, tzinfo=UTC)


def answer(*verdicts: str, waited: bool = True) -> RunOutput:
    requests = tuple(
        Request("bubble_sync_processor", None, number, 5, AT, AT, verdict, 200, "", 0, 5, 0, 0)
        for number, verdict in enumerate(verdicts, start=1)
    )
    ids = tuple(one.request_id for one in requests)
    return RunOutput("prod", "", 1, (), (), "sent", ids, waited, requests if waited else (), None, None, {})


@pytest.mark.parametrize(
    ("verdicts", "good", "shown"),
    [
        (("ok",), True, 1),
        (("ok", "ok", "ok"), True, 1),
        (("ok", "rejected", "ok"), False, 2),
        (("ok", "ok", "outstanding"), False, 3),
    ],
)
def test_a_run_is_good_when_each_of_its_requests_is_and_a_bad_one_stands_for_all(
    verdicts: tuple[str, ...], good: bool, shown: int
):
    found = answer(*verdicts)

    assert found.good is good
    assert found.request is found.requests[shown - 1]


def test_without_an_answer_in_spite_of_the_waiting_a_run_is_not_good():
    found = RunOutput("prod", "", 1, (), (), "sent", (1,), True, (), None, None, {"answer": "x may not read"})

    assert (found.good, found.request) == (False, None)
    assert answer("ok", "rejected", waited=False).good
