"""The rate limit of an account."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ringback.api.app import create_app
from ringback.api.rate_limit import LEAST_BURST, AccountRateLimit
from ringback.core.errors import TooManyRequests
from ringback.ports import Store
from ringback.settings.setting_definitions import SETTINGS
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, NOW, FakeClock, an_api_client, an_api_key
from tests.unit.api.caller import Answer, Caller
from tests.unit.api.world import KEY, KEY_SECRET, THEIRS, called_back, dependencies_on, refusal

SECOND = timedelta(seconds=1)
CALLBACKS = "/portal/v1/callbacks"


def waits(limit: AccountRateLimit, cost: int, *, after: float = 0, account: str = "AC1") -> int:
    """Return the seconds that an account has to wait; 0 if its request is accepted."""
    try:
        limit.take(account, cost, NOW + after * SECOND)
    except TooManyRequests as refused:
        return refused.retry_after
    return 0


# ---- the bucket ----------------------------------------------------------------------------------


def test_a_bucket_holds_a_second_and_fills_evenly() -> None:
    limit = AccountRateLimit(2000)
    assert waits(limit, 2000) == 0
    assert waits(limit, 1) == 1
    assert waits(limit, 1000, after=0.5) == 0
    assert waits(limit, 2001, after=99) == 1
    assert waits(limit, 2000, after=99) == 0


def test_a_bucket_holds_a_whole_batch_however_low_the_rate() -> None:
    limit = AccountRateLimit(10)
    assert waits(limit, 1000) == 0
    assert waits(limit, 1000) == 100
    assert waits(limit, 1000, after=99) == 1
    assert waits(limit, 1000, after=100) == 0


def test_refused_requests_cost_nothing_and_are_counted() -> None:
    limit = AccountRateLimit(10)
    waits(limit, 999)
    assert [waits(limit, 2) for _ in range(5)] == [1] * 5
    assert (waits(limit, 1), limit.refused) == (0, 5)


def test_each_account_has_its_own() -> None:
    limit = AccountRateLimit(10)
    waits(limit, 1000)
    assert waits(limit, 1000, account="AC2") == 0


def test_an_account_in_debt_waits_until_it_is_paid_and_no_longer() -> None:
    limit = AccountRateLimit(10)
    limit.take("AC1", 1500, NOW, may_owe=True)
    with pytest.raises(TooManyRequests) as refused:
        limit.take("AC1", 999, NOW, may_owe=True)
    assert refused.value.retry_after == 50
    limit.take("AC1", 999, NOW + timedelta(seconds=50), may_owe=True)


def test_without_a_limit_nothing_is_stored() -> None:
    limit = AccountRateLimit()
    assert waits(limit, 10**9) == 0
    assert not vars(limit)["_buckets"]


def test_a_clock_set_back_changes_nothing() -> None:
    limit = AccountRateLimit(10)
    waits(limit, 990)
    assert waits(limit, 10, after=-3600) == 0
    assert waits(limit, 1, after=-3600) == 1


def test_the_number_of_buckets_is_limited_to_the_newest() -> None:
    limit = AccountRateLimit(10, kept=2)
    for account in ("AC1", "AC2", "AC1", "AC3"):
        waits(limit, 500, account=account)
    assert list(vars(limit)["_buckets"]) == ["AC1", "AC3"]


def test_the_refusal_names_the_limit() -> None:
    limit = AccountRateLimit(10)
    with pytest.raises(TooManyRequests) as refused:
        limit.take("AC1", 1001, NOW)
    assert (refused.value.status, refused.value.code) == (429, 20429)
    assert refused.value.message == (
        "the account is limited to 10 callbacks and other requests per second; nothing"
        " was done, try again in 1 s"
    )


# ---- at the API ----------------------------------------------------------------------------------


class World:
    """An application with a limit of ten a second."""

    def __init__(self, store: Store) -> None:
        self.clock = FakeClock()
        self.pauses = 0
        limit = AccountRateLimit(10, pause=self._pause)
        self.dependencies = replace(dependencies_on(store, clock=self.clock), rate_limit=limit)
        self.app = create_app(self.dependencies)
        self.ours = Caller(self.app, credentials=(ACCOUNT_SID, AUTH_TOKEN))

    async def _pause(self) -> None:
        self.pauses += 1

    async def use_up(self, but: int = 0) -> None:
        assert (await send(self.ours, 1000 - but)).status == 201


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


async def send(caller: Caller, count: int | None) -> Answer:
    """Send a batch of this size, or a single callback."""
    one: dict[str, Any] = {"url": "https://a.example/", "parameters": {}}
    document = one if count is None else {"callbacks": [one] * count}
    headers = {"content-type": "application/json"}
    return await caller.call("POST", CALLBACKS, json.dumps(document).encode(), headers=headers)


async def test_callbacks_and_requests_count_alike_and_excess_ones_are_refused(
    world: World, store: Store
) -> None:
    await world.use_up(but=2)
    assert (await send(world.ours, None)).status == 201
    assert (await world.ours.get("/v1/Sims")).status == 200
    before = len(await called_back(store))
    answer = await send(world.ours, 2)
    assert (refusal(answer), answer.headers["retry-after"]) == ((429, 20429), "1")
    assert refusal(await world.ours.get("/v1/Sims")) == (429, 20429)
    assert len(await called_back(store)) == before
    world.clock.advance(0.1 * SECOND)
    assert (await world.ours.get("/v1/Sims")).status == 200
    assert world.dependencies.authenticator.refusals == {("sign_in",): 0, ("rate_limit",): 2}


async def test_an_accepted_batch_leaves_a_debt_and_the_next_requests_wait(
    world: World, store: Store
) -> None:
    await world.use_up(but=1)
    assert (await send(world.ours, 1000)).status == 201
    before = len(await called_back(store))
    answer = await send(world.ours, 1000)
    assert (refusal(answer), answer.headers["retry-after"]) == ((429, 20429), "100")
    assert len(await called_back(store)) == before
    world.clock.advance(99 * SECOND)
    assert refusal(await world.ours.get("/v1/Sims")) == (429, 20429)
    world.clock.advance(SECOND)
    assert (await send(world.ours, 1000)).status == 201


async def test_excess_requests_are_refused_by_their_head_and_after_a_pause(world: World) -> None:
    await world.use_up()
    headers = {"content-type": "application/json"}
    # Reading the body would raise an error, because it is cut off.
    ours = await world.ours.call("POST", CALLBACKS, b"{", headers=headers, breaks_off=True)
    assert (refusal(ours), world.pauses) == ((429, 20429), 1)
    world.clock.advance(SECOND)
    assert (await world.ours.get("/v1/Sims")).status == 200
    assert world.pauses == 1


async def test_of_simultaneous_batches_only_the_first_may_leave_a_debt(world: World) -> None:
    await world.use_up(but=4)
    answers = await asyncio.gather(*(send(world.ours, 1000) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [201, 429, 429, 429]


async def test_all_credentials_of_an_account_share_its_limit_and_no_others(
    world: World, store: Store
) -> None:
    await store.transact(lambda tx: tx.accounts.keys.add(an_api_key("SK1", THEIRS, "theirs")))
    await world.use_up()
    key = Caller(world.app, credentials=(KEY.sid, KEY_SECRET))
    theirs = Caller(world.app, credentials=("SK1", "theirs"))
    assert refusal(await key.get("/v1/Sims")) == (429, 20429)
    assert (await theirs.get("/v1/Sims")).status == 200


async def test_wrong_credentials_cost_the_account_nothing(world: World) -> None:
    await world.use_up(but=1)
    wrong = Caller(world.app, credentials=(ACCOUNT_SID, "wrong"))
    assert (await wrong.get("/v1/Sims")).status == 401
    assert (await world.ours.get("/v1/Sims")).status == 200


async def test_an_operators_key_has_no_limit_for_any_account(world: World, store: Store) -> None:
    await store.transact(lambda tx: tx.accounts.keys.add(an_api_key("SK1", None, "operator's")))
    operator = Caller(world.app, credentials=("SK1", "operator's"))
    for _ in range(2):
        for_us = {"ringback-account": ACCOUNT_SID, "content-type": "application/json"}
        one = {"url": "https://a.example/", "parameters": {}}
        body = json.dumps({"callbacks": [one] * 1000}).encode()
        assert (await operator.call("POST", CALLBACKS, body, headers=for_us)).status == 201
    assert (await send(world.ours, 1000)).status == 201


async def test_requests_for_tokens_count_too(world: World, store: Store) -> None:
    client = an_api_client(secret="made-up")
    await store.transact(lambda tx: tx.api_clients.add(client))
    form = {"grant_type": "client_credentials", "client_id": client.sid, "client_secret": "made-up"}
    nobody = Caller(world.app, credentials=None)
    await world.use_up(but=1)
    assert (await nobody.post("/api-services/v1/auth/token", form)).status == 200
    assert (await nobody.post("/api-services/v1/auth/token", form)).status == 429


async def test_a_replay_counts_the_callbacks_that_it_processes(world: World) -> None:
    await world.use_up()
    world.clock.advance(501 * SECOND / 10)
    since = {"Since": "2024-07-01T00:00:00Z", "Status": "scheduled"}
    answer = (await world.ours.post("/portal/v1/replays", since)).json
    assert (answer["matched"], answer["next"] is None) == (500, False)
    refused = await world.ours.post("/portal/v1/replays", since | answer["next"])
    assert refusal(refused) == (429, 20429)
    world.clock.advance(3 * SECOND / 10)
    named = {"Sids": "CB1,CB2"}
    assert (await world.ours.post("/portal/v1/replays", named)).status == 200
    assert (await world.ours.post("/portal/v1/replays", named)).status == 429


def test_the_help_of_the_setting_says_how_many_may_come_at_once() -> None:
    setting = next(one for one in SETTINGS if one.name == "rate_limit")
    assert f"at least {LEAST_BURST}" in setting.help
