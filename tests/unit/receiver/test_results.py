"""The HTTP answer to each result."""

from datetime import timedelta

import pytest

from ringback.core.policy.source_policy import Source
from ringback.receiver import (
    Accepted,
    Answer,
    Callback,
    Duplicate,
    Reason,
    ReceivedRequest,
    Rejected,
)
from ringback.receiver.results import answer_to

CALLBACK = Callback(Source.KORE, None, "https://a.example", ReceivedRequest("POST", "/", ()))


def test_work_that_is_done_now_or_was_before_is_answered_alike() -> None:
    assert Accepted(CALLBACK).answer() == Duplicate(CALLBACK).answer() == Answer(200, "ok")


@pytest.mark.parametrize(
    ("microseconds", "seconds"), [(1, "1"), (1_000_000, "1"), (1_000_001, "2"), (59_500_000, "60")]
)
def test_who_comes_while_others_work_is_told_to_wait_until_their_lease_is_over(
    microseconds: int, seconds: str
) -> None:
    answer = Duplicate(CALLBACK, timedelta(microseconds=microseconds)).answer()
    assert answer == Answer(503, "under way", {"Retry-After": seconds})


@pytest.mark.parametrize("reason", list(Reason))
def test_a_rejection_tells_its_reason_and_keeps_the_explanation_back(reason: Reason) -> None:
    assert answer_to(Rejected(reason, "explained")) == Answer(reason.status, reason.value)


def test_without_a_store_there_is_nothing_to_be_written_down() -> None:
    with Accepted(CALLBACK) as accepted:
        assert accepted.done()
    with pytest.raises(ZeroDivisionError), Accepted(CALLBACK):
        raise ZeroDivisionError
