"""Undelivered callbacks in groups, over HTTP."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from starlette.types import ASGIApp

from ringback.core.callbacks.callback import CallbackStatus, advance
from ringback.core.callbacks.retry import GiveUp
from ringback.core.http.http_exchange import AttemptResult
from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome, Outcome, RefusedOutcome
from ringback.ports import Settlement, Store, Transaction
from ringback.ports.callbacks import lane_of
from tests.fakes import ACCOUNT_SID, NOW, FakeClock, a_callback, an_api_key, claim_from
from tests.unit.api.caller import Caller
from tests.unit.api.world import THEIRS, error

GROUPS = "/portal/v1/undelivered/groups"
JOBS = "/portal/v1/jobs"
REPLAY = {"Kind": "replay", "Since": "2024-07-03T00:00:00Z"}
MINUTE = timedelta(minutes=1)
EARLIER = NOW - 60 * MINUTE
REFUSED = RefusedOutcome(503)
TIMEOUT = NoAnswerOutcome(AttemptFailure.READ_TIMEOUT, "no answer in 2 s")
OPERATOR = an_api_key(f"SK{'0' * 32}", None, "the operator's")


def sid(number: int) -> str:
    return f"CB{number:032x}"


async def fail(store: Store, *numbers: int, outcome: Outcome = REFUSED, **kinds: Any) -> None:
    """Add callbacks that this outcome of their only attempt has made fail."""
    await store.transact(lambda tx: _fail(tx, numbers, outcome, **kinds))


def _fail(tx: Transaction, numbers: Sequence[int], outcome: Outcome, **kinds: Any) -> None:
    for number in numbers:
        given = {"url": "https://a.example/hook#cbs=kore", "token": f"token {number}", **kinds}
        callback = a_callback(sid=sid(number), now=EARLIER + number * MINUTE, **given)
        tx.callbacks.add(callback)
        (claim,) = claim_from(tx, lane_of(callback), NOW, limit=1)
        ended = advance(claim.progress, GiveUp("made up"), NOW)
        tx.callbacks.settle([Settlement(claim, ended, AttemptResult(outcome), NOW)])


async def groups_of(caller: Caller, query: str = "") -> dict[str, Any]:
    answer = await caller.get(f"{GROUPS}{query}")
    assert answer.status == 200, answer.body
    return answer.json


def counts(found: dict[str, Any]) -> list[int]:
    return [group["count"] for group in found["groups"]]


async def test_failed_callbacks_are_grouped(caller: Caller, store: Store) -> None:
    await fail(store, 1, 2, outcome=TIMEOUT)
    await fail(store, 3, 4, 5)
    await fail(store, 6, account_sid=THEIRS)
    found = await groups_of(caller)
    assert found["groups"][0] == {
        "key": found["groups"][0]["key"],
        "account_sid": ACCOUNT_SID,
        "destination": "https://a.example:443",
        "url": "https://a.example/hook#cbs=kore",
        "source": "kore",
        "status_code": 503,
        "failure": None,
        "reason": "the receiver answered 503 Service Unavailable",
        "count": 3,
        "first_created": "2024-07-03T13:43:58Z",
        "last_created": "2024-07-03T13:45:58Z",
        "example_sid": sid(5),
    }
    second = found["groups"][1]
    assert (second["status_code"], second["failure"], second["reason"]) == (
        *(None, "read_timeout"),
        "no answer in 2 s",
    )
    rest = {name: found[name] for name in ("group_count", "count", "is_exact", "searched_to")}
    assert rest == {"group_count": 2, "count": 5, "is_exact": True, "searched_to": None}
    assert found["until"] == "2024-07-03T14:40:58Z"


async def test_what_failed_within_this_second_is_replayed_too(
    caller: Caller, store: Store, clock: FakeClock
) -> None:
    await fail(store, 60)
    clock.advance(timedelta(milliseconds=300))
    found = await groups_of(caller)
    assert (found["count"], found["until"]) == (1, "2024-07-03T14:40:58.300000Z")
    preview = await caller.get(
        f"{JOBS}/preview?Kind=replay&Since={REPLAY['Since']}&Until={found['until']}"
    )
    assert (preview.json["estimate"], preview.json["until"]) == (1, found["until"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [2, 1]),
        ("?Status=failed", [2, 1]),
        ("?Status=discarded", [1]),
        ("?Status=undelivered", [2, 1, 1]),
        ("?Text=/other", [1]),
        ("?Source=twilio", []),
        ("?Since=2024-07-03T13:42:58Z", [1, 1]),
        ("?CreatedAfter=2024-07-03T13:42:58Z", [1, 1]),
        ("?Until=2024-07-03T13:42:58Z", [1]),
        ("?UrlPrefix=https://a.example/o", [1]),
    ],
)
async def test_the_filters_are_those_of_the_list(
    caller: Caller, store: Store, query: str, expected: list[int]
) -> None:
    await fail(store, 1, 2)
    await fail(store, 3, url="https://a.example/other")
    discarded = a_callback(sid=sid(4), status=CallbackStatus.DISCARDED, due=None)
    await store.transact(lambda tx: tx.callbacks.add(discarded))
    assert counts(await groups_of(caller, query)) == expected


async def test_a_callback_without_attempts_has_no_answer(caller: Caller, store: Store) -> None:
    discarded = a_callback(status=CallbackStatus.DISCARDED, due=None)
    await store.transact(lambda tx: tx.callbacks.add(discarded))
    (group,) = (await groups_of(caller, "?Status=discarded"))["groups"]
    assert (group["status_code"], group["failure"], group["reason"]) == (None, None, None)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "?Status=delivered",
            "Status='delivered': Status must be one of failed, discarded, undelivered",
        ),
        (
            "?Since=2024-07-03T00:00Z&CreatedAfter=2024-07-03T00:00Z",
            "give either Since or CreatedAfter, which mean the same",
        ),
        (
            "?Until=2024-07-03T00:00Z&CreatedBefore=2024-07-03T00:00Z",
            "give either Until or CreatedBefore, which mean the same",
        ),
    ],
)
async def test_a_wrong_filter_says_why(caller: Caller, query: str, message: str) -> None:
    assert (await caller.get(f"{GROUPS}{query}")).json == error(400, 83600, message)


async def test_the_operator_groups_those_of_all_accounts(
    app: ASGIApp, caller: Caller, store: Store
) -> None:
    await store.transact(lambda tx: tx.accounts.keys.add(OPERATOR))
    await fail(store, 1)
    await fail(store, 2, 3, account_sid=THEIRS)
    operator = Caller(app, credentials=(OPERATOR.sid, "the operator's"))
    found = await groups_of(operator)
    assert [group["account_sid"] for group in found["groups"]] == [THEIRS, ACCOUNT_SID]
    own = (await groups_of(caller))["groups"]
    assert own == [found["groups"][1]]


# ---- limits --------------------------------------------------------------------------------------

MODULE = "ringback.api.portal.undelivered_groups"


@pytest.mark.parametrize(
    ("most", "searched_to"),
    [(7, None), (6, None), (5, "2024-07-03T13:42:58Z"), (1, "2024-07-03T13:46:58Z")],
)
async def test_of_many_the_newest_are_counted(
    caller: Caller,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    searched_to: str | None,
) -> None:
    monkeypatch.setattr(f"{MODULE}._MOST", most)
    monkeypatch.setattr(f"{MODULE}._AT_ONCE", 3)
    counted = min(most, 6)
    await fail(store, 1, 2, 3, 4, 5, 6)
    found = await groups_of(caller)
    assert (found["count"], found["searched_to"]) == (counted, searched_to)
    assert found["is_exact"] is (searched_to is None)
    assert counts(found) == [counted]


async def test_if_few_match_the_search_ends_at_some_point(
    caller: Caller, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{MODULE}.EXAMINED", 2)
    await fail(store, 1, url="https://a.example/other")
    await fail(store, 2, 3)
    found = await groups_of(caller, "?Text=/other")
    assert (found["count"], found["is_exact"]) == (0, False)
    assert found["searched_to"] == "2024-07-03T13:42:58Z"
    recent = await groups_of(caller, "?Text=/other&Since=2024-07-03T13:43:00Z")
    assert (recent["count"], recent["is_exact"]) == (0, True)


async def test_only_the_largest_groups_are_shown(
    caller: Caller, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{MODULE}._MOST_SHOWN", 1)
    await fail(store, 1, outcome=TIMEOUT)
    await fail(store, 2, 3)
    found = await groups_of(caller)
    assert (counts(found), found["group_count"], found["count"]) == ([2], 2, 3)


# ---- jobs for some groups ------------------------------------------------------------------------


async def test_a_job_is_previewed_and_created_for_the_chosen_groups(
    caller: Caller, store: Store
) -> None:
    await fail(store, 1, 2, 3)
    await fail(store, 4, outcome=TIMEOUT)
    await fail(store, 5, url="https://b.example/")
    keys = {group["count"]: group["key"] for group in (await groups_of(caller))["groups"][:2]}
    chosen = "".join(f"&Groups={key}" for key in keys.values())
    query = "&".join(f"{name}={value}" for name, value in REPLAY.items())
    preview = (await caller.get(f"{JOBS}/preview?{query}{chosen}")).json
    assert preview["estimate"] == 4
    assert sum(one["count"] for one in preview["destinations"]) == 4
    answer = await caller.post(JOBS, {**REPLAY, "Groups": keys[3]})
    assert answer.json["parameters"]["groups"] == [keys[3]]
    assert answer.json["estimate"] == 3


@pytest.mark.parametrize("key", ["", "503", "g" * 32, "a" * 33, "A" * 32, "a" * 32 + "\n"])
async def test_a_key_that_cannot_be_one_is_refused(caller: Caller, key: str) -> None:
    answer = await caller.post(JOBS, {**REPLAY, "Groups": key})
    assert answer.json == error(
        *(400, 83600),
        f"Groups={key!r}: it must be the `key` of a group, from GET /portal/v1/undelivered/groups",
    )


async def test_at_most_a_hundred_groups_can_be_chosen(caller: Caller) -> None:
    chosen = "&".join(f"Groups={number:032x}" for number in range(101))
    answer = await caller.get(f"{JOBS}/preview?Kind=replay&Since=2024-07-03T00:00Z&{chosen}")
    assert answer.json == error(400, 83600, "Groups names 101 groups; at most 100 can be named")
