from datetime import UTC, datetime, timedelta

import pytest

from ringback.core.policy.receiver_evidence import (
    ReceiverCheck,
    ReceiverEvidence,
    ReceiverVerdict,
    judge_receiver,
)
from ringback.core.policy.source_policy import Source
from ringback.core.policy.urls_in_use import UrlDeliveryTotals

KORE = Source.KORE
NOON = datetime(2024, 10, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
REFUSED = "a genuine callback from kore is not accepted: 403"
READY, FAULT, UNKNOWN = ReceiverVerdict
CHECK, DELIVERIES, NONE = ReceiverEvidence


def check(fault: str | None = None, *, date: datetime = NOON) -> ReceiverCheck:
    return ReceiverCheck("AC1", "https://a.example/", KORE, date, fault, REFUSED if fault else "")


def sent(
    delivered: int = 0,
    undelivered: int = 0,
    retried: int = 0,
    *,
    waiting: int = 0,
    last: datetime | None = NOON,
) -> UrlDeliveryTotals:
    numbers = delivered, undelivered, retried, waiting
    return UrlDeliveryTotals("AC1", "https://a.example/", KORE, None, *numbers, last)


def test_a_check_says_whether_it_is_ready() -> None:
    ready = judge_receiver(KORE, check(), None)
    assert ready == (READY, "it is ready for kore", CHECK, NOON, None)
    refuses = judge_receiver(KORE, check("refuses-kore"), None)
    assert refuses == (FAULT, REFUSED, CHECK, NOON, "refuses-kore")


@pytest.mark.parametrize("fault", ["breaks-off", "does-not-answer"])
def test_without_an_answer_it_is_not_known_whether_the_source_would_be_accepted(fault: str) -> None:
    assert judge_receiver(KORE, check(fault), None) == (UNKNOWN, REFUSED, CHECK, NOON, fault)
    # A delivery shows more, even an earlier one.
    found = judge_receiver(KORE, check(fault), sent(3, last=NOON - HOUR))
    assert (found.verdict, found.evidence) == (READY, DELIVERIES)
    found = judge_receiver(KORE, check(fault), sent(0, 3, last=NOON - HOUR))
    assert (found.verdict, found.evidence) == (UNKNOWN, CHECK)


@pytest.mark.parametrize(
    ("totals", "verdict", "words"),
    [
        (sent(4), READY, "4 of 4 callbacks from kore delivered"),
        (sent(0, 3, 1), FAULT, "4 of 4 callbacks from kore not delivered"),
        (sent(0, 0, 1), FAULT, "1 of 1 callback from kore not delivered"),
        (sent(14, 2, 1), READY, "14 of 17 callbacks from kore delivered"),
        (sent(1, 1), FAULT, "1 of 2 callbacks from kore not delivered"),
        (sent(2, 1, waiting=9), READY, "2 of 3 callbacks from kore delivered"),
    ],
)
def test_deliveries_show_it(
    totals: UrlDeliveryTotals, verdict: ReceiverVerdict, words: str
) -> None:
    assert judge_receiver(KORE, None, totals) == (verdict, words, DELIVERIES, NOON, None)


@pytest.mark.parametrize("totals", [None, sent(), sent(waiting=5)])
def test_without_evidence_it_is_not_known(totals: UrlDeliveryTotals | None) -> None:
    found = judge_receiver(KORE, None, totals)
    words = "neither a check nor a callback from kore shows it"
    assert found == (UNKNOWN, words, NONE, None, None)


def test_the_newer_of_the_two_counts() -> None:
    def evidence(last: datetime | None) -> ReceiverEvidence:
        return judge_receiver(KORE, check("refuses-kore"), sent(5, last=last)).evidence

    assert evidence(NOON + HOUR) is DELIVERIES
    assert evidence(NOON) is CHECK
    assert evidence(None) is CHECK
    assert judge_receiver(KORE, check(), sent(waiting=1, last=NOON + HOUR)).evidence is CHECK
