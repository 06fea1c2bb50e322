"""Why a callback has its source, and its rounds of attempts, over HTTP."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.types import ASGIApp

from ringback.api.app import create_app
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.callbacks.create_callback import (
    CALLBACK_BYTES,
    TEST_CALLBACK_BYTES,
    compose,
    compose_test,
    repeat,
)
from ringback.core.policy.policy_version import OPERATOR, PolicyVersion
from ringback.core.policy.source_policy import NOTICE, PhaseHold, Policy, Source
from ringback.core.retry_schedule import PERSISTENT
from ringback.policy.active_policy import ActivePolicy
from ringback.ports import Store
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, NOW, an_account
from tests.unit.api.caller import Caller
from tests.unit.api.world import THEIRS, dependencies_on, error

HOLD = PhaseHold("before", url_prefix="https://held.example/")
THEIR_HOLD = PhaseHold("before", THEIRS, "https://held.example/")
HELD = Policy(NOTICE.phases, (THEIR_HOLD, HOLD))
LATE = datetime(2027, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def active() -> ActivePolicy:
    return ActivePolicy(NOTICE)


@pytest.fixture
def app(store: Store, active: ActivePolicy) -> ASGIApp:
    return create_app(replace(dependencies_on(store), policy=active))


async def add_version(store: Store, number: int, policy: Policy, made: datetime) -> None:
    version = PolicyVersion(number, policy, made, OPERATOR)
    await store.transact(lambda tx: tx.policies.add(version))


async def add(
    store: Store, policy: Policy, url: str, at: datetime = LATE, number: int = 0
) -> CallbackRecord:
    callback = compose(
        "SimSid=HS1",
        account_sid=ACCOUNT_SID,
        to=CallbackUrl.parse(url),
        method=HttpMethod.POST,
        policy=policy,
        random_bytes=bytes([number]) * CALLBACK_BYTES,
        now=at,
    )
    return await keep(store, callback)


async def keep(store: Store, callback: CallbackRecord) -> CallbackRecord:
    await store.transact(lambda tx: tx.callbacks.add(callback))
    return callback


async def explain(caller: Caller, callback: CallbackRecord) -> dict[str, Any]:
    answer = await caller.get(f"/portal/v1/callbacks/{callback.sid}/explanation")
    assert answer.status == 200, answer.body
    return answer.json


def step(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(step for step in found["steps"] if step["name"] == name)


async def test_the_steps_show_what_decided(caller: Caller, store: Store) -> None:
    await add_version(store, 1, HELD, NOW)
    callback = await add(store, HELD, "https://held.example/hook")
    found = await explain(caller, callback)
    assert [step["name"] for step in found["steps"]] == [
        *("url", "fragment", "hold", "phase", "default")
    ]
    assert (found["decides"], found["policy_version"]) == ("hold", 1)
    assert [step["name"] for step in found["steps"] if step["decides"]] == ["hold"]
    assert step(found, "hold")["hold"] == {
        "phase": "before",
        "account_sid": None,
        "url_prefix": "https://held.example/",
        "until": None,
    }
    assert step(found, "phase")["phase"] == {
        "name": "before",
        "since": None,
        "default": "twilio",
        "may_ask": ["kore", "twilio"],
    }
    assert step(found, "default")["source"] == found["source"] == "twilio"
    assert found["reason"] == callback.source_reason
    assert THEIRS not in str(found)


async def test_the_version_of_the_time_of_creation_is_asked(caller: Caller, store: Store) -> None:
    await add_version(store, 1, NOTICE, NOW)
    await add_version(store, 2, HELD, LATE)
    url = "https://held.example/hook"
    earlier = await add(store, NOTICE, url, LATE - DAY)
    later = await add(store, HELD, url, LATE + DAY)
    found = [await explain(caller, one) for one in (earlier, later)]
    assert [(one["policy_version"], one["decides"]) for one in found] == [
        *((1, "default"), (2, "hold"))
    ]


async def test_a_version_that_was_not_yet_in_force_in_the_process_is_skipped(
    caller: Caller, store: Store
) -> None:
    await add_version(store, 1, NOTICE, NOW)
    await add_version(store, 2, HELD, LATE)
    found = await explain(caller, await add(store, NOTICE, "https://held.example/hook"))
    assert (found["policy_version"], found["decides"]) == (1, "default")


async def test_the_calendar_and_the_phase_of_this_server_count(store: Store) -> None:
    await add_version(store, 1, NOTICE, NOW - DAY)
    ahead = replace(NOTICE, ahead=LATE - NOW)
    found = {}
    actives = ActivePolicy(ahead), ActivePolicy(NOTICE, phase="after")
    for number, active in enumerate(actives):
        callback = await add(store, active.policy, "https://a.example/", NOW, number)
        app = create_app(replace(dependencies_on(store), policy=active))
        found = await explain(Caller(app, credentials=(ACCOUNT_SID, AUTH_TOKEN)), callback)
        assert (found["source"], found["steps_are_known"]) == ("kore", True)
    assert found["decides"] == "hold"
    assert step(found, "hold")["text"] == "the server keeps all callbacks in `after`"


async def test_a_phase_that_the_version_lacks_does_not_hide_the_steps(store: Store) -> None:
    await add_version(store, 1, NOTICE, NOW)
    callback = await add(store, NOTICE, "https://a.example/")
    active = ActivePolicy(replace(NOTICE, phases=(replace(NOTICE.phases[0], name="x"),)), phase="x")
    app = create_app(replace(dependencies_on(store), policy=active))
    found = await explain(Caller(app, credentials=(ACCOUNT_SID, AUTH_TOKEN)), callback)
    assert found["steps_are_known"]


async def test_what_no_known_version_gives_is_not_explained(caller: Caller, store: Store) -> None:
    callback = await add(store, HELD, "https://held.example/hook")
    without = await explain(caller, callback)
    await add_version(store, 1, NOTICE, NOW)
    for found in (without, await explain(caller, callback)):
        assert (found["steps_are_known"], found["steps"]) == (False, [])
        assert (found["decides"], found["policy_version"]) == (None, None)
        assert found["reason"] == callback.source_reason


async def test_replays_and_test_events_have_their_own_step(caller: Caller, store: Store) -> None:
    original = await add(store, NOTICE, "https://a.example/#cbs=kore")
    replay = repeat(original, source=Source.TWILIO, random_bytes=b"\1" * CALLBACK_BYTES, now=LATE)
    event = compose_test(
        account_sid=ACCOUNT_SID,
        to=original.url,
        method=HttpMethod.POST,
        secret_id=None,
        random_bytes=b"\2" * TEST_CALLBACK_BYTES,
        now=LATE,
    )
    found = [await explain(caller, await keep(store, one)) for one in (replay, event)]
    assert [one["decides"] for one in found] == ["replay", "test_event"]
    assert [one["steps_are_known"] for one in found] == [True, True]
    assert original.sid in step(found[0], "replay")["text"]
    assert found[1]["rounds"] == [
        {"number": 1, "date": "2027-01-01T00:00:00Z", "is_past": False, "seconds_after": None}
    ]


async def test_the_rounds_are_those_of_the_accounts_own_schedule(
    caller: Caller, store: Store
) -> None:
    callback = await add(store, NOTICE, "https://a.example/")
    assert (await explain(caller, callback))["schedule"] == "faithful"
    account = replace(an_account(), schedule=PERSISTENT)
    await store.transact(lambda tx: tx.accounts.save(account))
    found = await explain(caller, callback)
    assert found["schedule"] == "persistent"
    assert [one["seconds_after"] for one in found["rounds"]] == [
        *(None, 5, 300, 1800, 7200, 18000, 36000, 36000)
    ]


async def test_an_unknown_callback_is_not_found(caller: Caller) -> None:
    answer = await caller.get("/portal/v1/callbacks/none/explanation")
    assert answer.json == error(404, 20404, "there is no callback with the SID 'none'")
