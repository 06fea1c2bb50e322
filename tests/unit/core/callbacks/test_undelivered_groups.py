"""Undelivered callbacks are grouped by URL, source and last answer."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from ringback.core.callbacks.callback import Attempt, CallbackRecord
from ringback.core.callbacks.undelivered_groups import (
    GroupIdentity,
    LastAnswer,
    UndeliveredCallback,
    UndeliveredGroup,
    grouped,
)
from ringback.core.policy.source_policy import Source
from tests.fakes import ACCOUNT_SID, NOW, a_callback

URL = "http://user:made-up@a.example/hook#cbs=kore"
MINUTE = timedelta(minutes=1)


def one(number: int, **kinds: Any) -> CallbackRecord:
    return a_callback(sid=f"CB{number:032}", now=NOW + number * MINUTE, **{"url": URL, **kinds})


def attempt(**kinds: Any) -> Attempt:
    return Attempt("CB1", ACCOUNT_SID, 1, NOW, **{"result": "refused", **kinds})


def groups_of(found: Sequence[tuple[CallbackRecord, Attempt | None]]) -> list[UndeliveredGroup]:
    return grouped(UndeliveredCallback.of(*pair) for pair in found)


REFUSED = attempt(status_code=503, reason="503 Service Unavailable")
TIMEOUT = attempt(result="unreachable", failure="timeout", reason="no answer in 2 s")


@pytest.mark.parametrize(
    ("last", "answer"),
    [
        (REFUSED, LastAnswer(503)),
        (attempt(status_code=302, failure="redirect"), LastAnswer(302)),
        (TIMEOUT, LastAnswer(None, "timeout")),
        (attempt(result="unknown"), LastAnswer(None, "unknown")),
        (None, LastAnswer()),
    ],
)
def test_the_last_answer_is_a_status_or_a_failure(last: Attempt | None, answer: LastAnswer) -> None:
    assert LastAnswer.of(last) == answer


def test_the_groups_are_counted_the_largest_first() -> None:
    found = [(one(4), TIMEOUT), (one(3), REFUSED), (one(2), TIMEOUT), (one(1), TIMEOUT)]
    many, few = groups_of(found)
    assert (many.count, few.count) == (3, 1)
    assert many.identity == GroupIdentity(
        ACCOUNT_SID, "http://a.example/hook#cbs=kore", Source.KORE, LastAnswer(None, "timeout")
    )
    assert (many.destination, many.reason) == ("http://a.example:80", "no answer in 2 s")
    assert (many.example_sid, many.first_created, many.last_created) == (
        one(4).sid,
        NOW + MINUTE,
        NOW + 4 * MINUTE,
    )


def test_what_differs_is_in_another_group() -> None:
    found = [
        (one(1), REFUSED),
        (one(2, url="http://a.example/hook#cbs=twilio"), REFUSED),
        (one(3, source=Source.TWILIO), REFUSED),
        (one(4, account_sid="AC2"), REFUSED),
        (one(5), attempt(status_code=500)),
        (one(6), None),
    ]
    groups = groups_of(found)
    assert [group.count for group in groups] == [1] * 6
    assert len({group.identity.key for group in groups}) == 6
    assert groups[-1].reason is None


def test_equal_groups_have_equal_keys() -> None:
    keys = {GroupIdentity.of(one(number), REFUSED).key for number in range(3)}
    assert len(keys) == 1
    assert len(keys.pop()) == 32


def test_there_may_be_nothing_to_group() -> None:
    assert grouped([]) == []
