"""The counters in the portal: what is counted of callbacks by minute, hour and day."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.types import ASGIApp

from ringback.api.app import create_app
from ringback.api.portal import counters as counters_module
from ringback.core.callback_counts import CallbackCounts, CountedMinute
from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.errors import StoreUnavailable
from ringback.core.http.http_exchange import AttemptResult, RequestTimings
from ringback.core.http.outcome import DeliveredOutcome, RefusedOutcome
from ringback.core.policy.source_policy import Source
from ringback.ports import Store
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, NOW, FakeClock, an_api_key
from tests.unit.api.caller import Answer, Caller
from tests.unit.api.world import THEIRS, dependencies_on, error

COUNTERS = "/portal/v1/counters"
A, B = "http://a.example:80", "https://b.example:443"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CURRENT = NOW.replace(second=0, microsecond=0)
"""The minute of the clock; it is 14:40 on 3 July 2024."""


def some_counts() -> CallbackCounts:
    counts = CallbackCounts(accepted=3, replayed=1)
    counts.attempt_ended(1, AttemptResult(RefusedOutcome(503), RequestTimings(20_000.0)))
    counts.attempt_ended(2, AttemptResult(DeliveredOutcome(200), RequestTimings(12.0)))
    counts.ended(CallbackStatus.DELIVERED, 0.3)
    return counts


@pytest.fixture
async def some(store: Store) -> None:
    """Counts of both accounts, of this minute and of an hour ago."""
    counted = [
        CountedMinute(CURRENT, ACCOUNT_SID, A, Source.KORE, some_counts()),
        CountedMinute(CURRENT - HOUR, ACCOUNT_SID, A, Source.KORE, CallbackCounts(accepted=10)),
        CountedMinute(CURRENT, ACCOUNT_SID, B, Source.TWILIO, CallbackCounts(accepted=100)),
        CountedMinute(CURRENT, THEIRS, A, Source.KORE, CallbackCounts(accepted=1000)),
    ]
    await store.transact(lambda tx: tx.counters.add(counted))


async def ask(caller: Caller, **query: str) -> Answer:
    return await caller.get(f"{COUNTERS}?{urlencode(query)}")


async def accepted(caller: Caller, *names: str, **query: str) -> list[tuple[Any, ...]]:
    """Return these fields of each counter, and how many callbacks it says were accepted."""
    found = (await ask(caller, **query)).json["counters"]
    return [(*(one[name] for name in names), one["accepted"]) for one in found]


async def test_a_counter_shows_all_that_was_counted(caller: Caller, some: None) -> None:
    answer = await ask(caller, By="minute", Since="2024-07-03T14:40:00Z", Source="kore")
    assert (answer.status, answer.json) == (
        200,
        {
            "by": "minute",
            "since": "2024-07-03T14:40:00Z",
            "until": "2024-07-03T14:41:00Z",
            "incomplete": [],
            "counters": [
                {
                    "began": "2024-07-03T14:40:00Z",
                    "ended": "2024-07-03T14:41:00Z",
                    "is_incomplete": False,
                    "account_sid": ACCOUNT_SID,
                    "destination": None,
                    "source": "kore",
                    "accepted": 3,
                    "attempts": 2,
                    "retried": 1,
                    "delivered": 1,
                    "failed": 0,
                    "discarded": 0,
                    "replayed": 1,
                    "failures": {"refused": 1},
                    "attempt_seconds": {"0.025": 1, "more": 1},
                    "delivery_seconds": {"0.5": 1},
                    "attempt_p50": 0.025,
                    "attempt_p95": None,
                    "delivery_p50": 0.5,
                    "delivery_p95": 0.5,
                }
            ],
        },
    )


async def test_without_parameters_the_last_day_is_counted_by_hour(
    caller: Caller, clock: FakeClock, some: None
) -> None:
    expected = [("2024-07-03T13:00:00Z", 10), ("2024-07-03T14:00:00Z", 103)]
    assert await accepted(caller, "began") == expected
    clock.advance(DAY)
    assert await accepted(caller, "began") == expected[1:]
    clock.advance(HOUR)
    assert await accepted(caller, "began") == []


async def test_the_whole_time_can_be_counted_at_once(caller: Caller, some: None) -> None:
    assert await accepted(caller, "began", "ended", By="all") == [
        ("2024-07-02T14:00:00Z", "2024-07-03T15:00:00Z", 113)
    ]
    assert await accepted(caller, By="all", Since="2024-07-03T14:40:00Z") == [(103,)]


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("destination", [(A, 13), (B, 100)]),
        ("source", [("kore", 13), ("twilio", 100)]),
        ("account_sid", [(ACCOUNT_SID, 113)]),
    ],
)
async def test_what_is_counted_can_be_told_apart(
    split: str, expected: list[Any], caller: Caller, some: None
) -> None:
    by = split.removesuffix("_sid")
    assert await accepted(caller, split, By="day", Split=by) == expected


async def test_one_destination_can_be_counted(caller: Caller, some: None) -> None:
    for url in ("https://b.example", "https://B.example:443/path?x"):
        assert await accepted(caller, "destination", Destination=url) == [(B, 100)]


async def test_an_operators_key_counts_those_of_all_accounts(
    app: ASGIApp, store: Store, some: None
) -> None:
    key = an_api_key("SK" + "0" * 32, None, "operator's")
    await store.transact(lambda tx: tx.accounts.keys.add(key))
    operator = Caller(app, credentials=(key.sid, "operator's"))
    assert await accepted(operator, "account_sid", By="all") == [(None, 1113)]
    assert await accepted(operator, "account_sid", By="all", Split="account") == [
        (ACCOUNT_SID, 113),
        (THEIRS, 1000),
    ]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ({"By": "second"}, "By='second': By must be one of minute, hour, day, all"),
        ({"Split": "url"}, "Split='url': Split must be one of account, destination, source"),
        (
            {"By": "minute", "Since": "2024-07-02T13:40:00Z"},
            "By=minute: 1501 minutes are too many to read at once, the most are 1500; give a later"
            " Since, or longer spans (By)",
        ),
        (
            {"By": "minute", "Since": "2024-06-20T00:00:00Z", "Until": "2024-06-20T01:00:00Z"},
            "Since=2024-06-20T00:00:00Z: the counters of minutes are kept for 8 days; give a later"
            " Since, or longer spans (By)",
        ),
        (
            {"Since": "2024-07-03T00:00:00Z", "Until": "2024-07-03T00:00:00Z"},
            "Since=2024-07-03T00:00:00Z: Since must be before Until (2024-07-03T00:00:00Z) and"
            " before now",
        ),
    ],
)
async def test_what_cannot_be_counted_is_refused(
    query: dict[str, str], why: str, caller: Caller
) -> None:
    answer = await ask(caller, **query)
    assert (answer.status, answer.json) == (400, error(400, 83600, why))


async def test_a_period_of_1500_minutes_is_answered(caller: Caller, some: None) -> None:
    assert len(await accepted(caller, By="minute", Since="2024-07-02T13:41:00Z")) == 2


async def test_extreme_times_are_answered(caller: Caller, some: None) -> None:
    assert await accepted(caller, By="all", Until="9999-12-31T23:59:59Z") == [(113,)]
    assert (await ask(caller, By="day", Since="0001-01-01T00:00:00Z")).status == 400


async def test_an_answer_that_would_be_too_long_is_refused(
    caller: Caller, some: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counters_module, "MOST_COUNTERS", 1)
    answer = await ask(caller)
    assert answer.status == 400
    assert answer.json["message"] == (
        "there are more than 1 counters in this time; ask for a shorter time, longer spans (By), or"
        " one destination"
    )
    assert (await ask(caller, By="all")).status == 200


@pytest.mark.parametrize("is_away", [False, True])
async def test_minutes_that_are_over_are_written_first_if_that_is_possible(
    is_away: bool, store: Store, clock: FakeClock
) -> None:
    async def write() -> None:
        if is_away:
            raise StoreUnavailable("the disk is full")
        counts = CallbackCounts(accepted=5)
        one = CountedMinute(CURRENT, ACCOUNT_SID, A, Source.KORE, counts)
        await store.transact(lambda tx: tx.counters.add([one]))

    dependencies = replace(dependencies_on(store, clock=clock), write_counters=write)
    caller = Caller(create_app(dependencies), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    assert await accepted(caller) == ([] if is_away else [(5,)])


async def test_a_counter_of_a_killed_process_is_incomplete(
    caller: Caller, store: Store, some: None
) -> None:
    await store.transact(lambda tx: tx.counters.mark(CURRENT - HOUR))
    answer = await ask(caller, By="hour", Since="2024-07-03T12:00:00Z", Source="kore")
    assert answer.json["incomplete"] == [
        {"began": "2024-07-03T13:39:00Z", "ended": "2024-07-03T13:42:00Z"}
    ]
    assert [(one["began"], one["is_incomplete"]) for one in answer.json["counters"]] == [
        ("2024-07-03T13:00:00Z", True),
        ("2024-07-03T14:00:00Z", False),
    ]
