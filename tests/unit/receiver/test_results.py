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


def test_work_done_now_and_before_gets_the_same_answer() -> None:
    assert Accepted(CALLBACK).answer() == Duplicate(CALLBACK).answer() == Answer(200, "ok")


@pytest.mark.parametrize(
    ("microseconds", "seconds"), [(1, "1"), (1_000_000, "1"), (1_000_001, "2"), (59_500_000, "60")]
)
def test_a_delivery_during_the_work_of_another_is_asked_to_wait_until_the_lease_ends(
    microseconds: int, seconds: str
) -> None:
    answer = Duplicate(CALLBACK, timedelta(microseconds=microseconds)).answer()
    assert answer == Answer(503, "under way", {"Retry-After": seconds})


@pytest.mark.parametrize("reason", list(Reason))
def test_a_rejection_shows_its_reason_but_not_the_explanation(reason: Reason) -> None:
    assert answer_to(Rejected(reason, "explained")) == Answer(reason.status, reason.value)


def test_without_a_store_nothing_is_recorded() -> None:
    with Accepted(CALLBACK) as accepted:
        assert accepted.done()
    with pytest.raises(ZeroDivisionError), Accepted(CALLBACK):
        raise ZeroDivisionError
