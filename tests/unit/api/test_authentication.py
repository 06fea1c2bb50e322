"""Authentication: a sign-in is remembered for a second without asking the store again."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest
from starlette.types import ASGIApp

from ringback.api.app import create_app
from ringback.api.authentication import ACT_FOR, Authenticator
from ringback.api.bearer_tokens import BearerTokens
from ringback.core.accounts.account import Account, AccountStatus
from ringback.core.accounts.client_credentials import ApiClientType, ApiScope, ClientCredentials
from ringback.core.errors import LoginRateLimited, Unauthorized
from tests.counting_store import CountingStore
from tests.fakes import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    FLEET_SID,
    SIM_SID,
    UNIQUE_NAME,
    FakeClock,
    SeededRandomness,
    an_account,
    an_api_client,
    an_api_key,
)
from tests.memory_store import MemoryStore
from tests.unit.api.caller import Answer, Caller, basic
from tests.unit.api.world import (
    KEY,
    KEY_SECRET,
    THEIR_PLAN,
    THEIR_SIM,
    THEIRS,
    app_on,
    dependencies_on,
    fill,
    refusal,
)
from tests.wireless_fakes import RATE_PLAN_SID

RIGHT = basic(ACCOUNT_SID, AUTH_TOKEN)
ALMOST_A_SECOND = timedelta(seconds=1) - timedelta(microseconds=1)


@pytest.fixture
async def store() -> CountingStore:
    counting = CountingStore(MemoryStore())
    await counting.store.transact(fill)
    return counting


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def authenticator(store: CountingStore, clock: FakeClock) -> Authenticator:
    return Authenticator(store, clock)


async def account_of(authenticator: Authenticator, header: str | None) -> Account:
    account = (await authenticator.caller_of(header)).account
    assert account is not None
    return account


async def change_token(store: CountingStore) -> None:
    changed = replace(an_account(), auth_token="changed")
    await store.store.transact(lambda tx: tx.accounts.save(changed))


async def test_a_second_request_within_a_second_does_not_query_the_store(
    authenticator: Authenticator, store: CountingStore, clock: FakeClock
) -> None:
    first = await account_of(authenticator, RIGHT)
    clock.advance(ALMOST_A_SECOND)
    store.is_away = True
    assert await account_of(authenticator, RIGHT) == first == an_account()
    assert store.asked == 1


async def test_after_a_second_the_store_is_queried_again(
    authenticator: Authenticator, store: CountingStore, clock: FakeClock
) -> None:
    await account_of(authenticator, RIGHT)
    clock.advance(timedelta(seconds=1))
    await account_of(authenticator, RIGHT)
    assert store.asked == 2


async def test_the_second_counts_from_the_query_not_from_the_last_use(
    authenticator: Authenticator, store: CountingStore, clock: FakeClock
) -> None:
    for _ in range(3):
        await account_of(authenticator, RIGHT)
        clock.advance(timedelta(seconds=0.5))
    assert store.asked == 2


async def test_a_changed_token_ends_the_old_one_within_a_second(
    authenticator: Authenticator, store: CountingStore, clock: FakeClock
) -> None:
    await account_of(authenticator, RIGHT)
    await change_token(store)
    clock.advance(timedelta(seconds=1))
    with pytest.raises(Unauthorized):
        await account_of(authenticator, RIGHT)


async def test_a_changed_token_is_accepted_at_once(
    authenticator: Authenticator, store: CountingStore
) -> None:
    await account_of(authenticator, RIGHT)
    await change_token(store)
    account = await account_of(authenticator, basic(ACCOUNT_SID, "changed"))
    assert account.auth_token == "changed"


async def test_wrong_credentials_are_not_remembered(
    authenticator: Authenticator, store: CountingStore
) -> None:
    for _ in range(2):
        with pytest.raises(Unauthorized):
            await account_of(authenticator, basic(ACCOUNT_SID, "changed"))
    await change_token(store)
    assert (await account_of(authenticator, basic(ACCOUNT_SID, "changed"))).sid == ACCOUNT_SID


async def test_correct_credentials_do_not_let_wrong_ones_in(authenticator: Authenticator) -> None:
    await account_of(authenticator, RIGHT)
    for wrong in (basic(ACCOUNT_SID, "wrong"), basic(THEIRS, "wrong"), f"{RIGHT}x", None):
        with pytest.raises(Unauthorized):
            await account_of(authenticator, wrong)


async def test_each_pair_authenticates_its_own_account(
    authenticator: Authenticator, store: CountingStore
) -> None:
    theirs = an_api_key("SK" + "b" * 32, THEIRS, "their-secret")
    await store.store.transact(
        lambda tx: tx.accounts.add(an_account(sid="AC" + "e" * 32), [theirs])
    )
    ours = basic(KEY.sid, KEY_SECRET)
    others = basic(theirs.sid, "their-secret")
    for _ in range(2):
        assert (await account_of(authenticator, ours)).sid == ACCOUNT_SID
        assert (await account_of(authenticator, others)).sid == THEIRS


async def test_a_clock_set_back_does_not_prolong_anything(
    authenticator: Authenticator, store: CountingStore, clock: FakeClock
) -> None:
    await account_of(authenticator, RIGHT)
    clock.advance(timedelta(seconds=-1))
    await account_of(authenticator, RIGHT)
    assert store.asked == 2


async def test_the_number_of_remembered_pairs_is_limited_to_the_newest(
    store: CountingStore, clock: FakeClock
) -> None:
    authenticator = Authenticator(store, clock, most=2)
    headers = [RIGHT, basic(KEY.sid, KEY_SECRET), RIGHT.replace("Basic", "basic")]
    for header in headers:
        await account_of(authenticator, header)
    await account_of(authenticator, headers[1])
    await account_of(authenticator, headers[2])
    assert store.asked == 3
    await account_of(authenticator, headers[0])
    assert store.asked == 4


async def test_a_renewed_pair_is_among_the_newest(store: CountingStore, clock: FakeClock) -> None:
    authenticator = Authenticator(store, clock, most=3)
    ours, others = RIGHT, basic(KEY.sid, KEY_SECRET)
    for header in (ours, others):
        await account_of(authenticator, header)
    clock.advance(timedelta(seconds=1))
    for header in (ours, ours.replace("Basic", "basic"), ours.replace("Basic", "BASIC")):
        await account_of(authenticator, header)
    store.is_away = True
    assert (await account_of(authenticator, ours)).sid == ACCOUNT_SID


async def test_no_password_is_in_its_memory(authenticator: Authenticator) -> None:
    await account_of(authenticator, basic(KEY.sid, KEY_SECRET))
    kept = repr(vars(authenticator)["_remembered"])
    assert KEY_SECRET not in kept
    assert basic(KEY.sid, KEY_SECRET) not in kept


# ---- too many wrong credentials ------------------------------------------------------------------


async def fail(caller: Caller, times: int) -> None:
    for _ in range(times):
        assert (await caller.get("/v1/Sims")).status == 401


async def test_after_too_many_wrong_credentials_their_client_has_to_wait(app: ASGIApp) -> None:
    await fail(Caller(app, credentials=(ACCOUNT_SID, "wrong")), 20)
    answer = await Caller(app, credentials=(ACCOUNT_SID, "wrong")).get("/v1/Sims")
    assert refusal(answer) == (429, 20429)
    assert answer.headers["retry-after"] == "60"
    # The right ones are not checked either; otherwise more guesses could find them.
    right = Caller(app, credentials=(ACCOUNT_SID, AUTH_TOKEN))
    assert refusal(await right.get("/v1/Sims")) == (429, 20429)


async def test_another_client_behind_the_same_address_does_not_wait(app: ASGIApp) -> None:
    await fail(Caller(app, credentials=(ACCOUNT_SID, "wrong")), 20)
    assert (await Caller(app, credentials=(KEY.sid, KEY_SECRET)).get("/v1/Sims")).status == 200


async def test_an_authenticated_client_continues_while_others_guess(app: ASGIApp) -> None:
    right = Caller(app, credentials=(ACCOUNT_SID, AUTH_TOKEN))
    assert (await right.get("/v1/Sims")).status == 200
    await fail(Caller(app, credentials=(ACCOUNT_SID, "wrong")), 20)
    assert (await right.get("/v1/Sims")).status == 200


async def test_after_the_wait_correct_credentials_are_checked(
    authenticator: Authenticator, clock: FakeClock
) -> None:
    for _ in range(20):
        with pytest.raises(Unauthorized):
            await authenticator.caller_of(basic(ACCOUNT_SID, "wrong"), "192.0.2.1")
    with pytest.raises(LoginRateLimited):
        await authenticator.caller_of(RIGHT, "192.0.2.1")
    assert (await authenticator.caller_of(RIGHT, "192.0.2.2")).account == an_account()
    clock.advance(timedelta(minutes=1))
    assert (await authenticator.caller_of(RIGHT, "192.0.2.1")).account == an_account()


async def guess(authenticator: Authenticator, number: int, username: str, address: str) -> None:
    with pytest.raises((Unauthorized, LoginRateLimited)):
        await authenticator.caller_of(basic(username, f"wrong {number}"), address)


async def test_twenty_wrong_passwords_from_an_owners_own_address_do_not_lock_them_out(
    authenticator: Authenticator, store: CountingStore, clock: FakeClock
) -> None:
    await authenticator.caller_of(RIGHT, "192.0.2.1")
    clock.advance(timedelta(days=20))
    for number in range(60):
        await guess(authenticator, number, ACCOUNT_SID, "192.0.2.1")
    assert store.asked == 1 + 20
    assert (await authenticator.caller_of(RIGHT, "192.0.2.1")).account == an_account()


@pytest.mark.parametrize("username", [ACCOUNT_SID, "AC" + "0" * 32, KEY.sid, "made up", ""])
async def test_guesses_at_one_sid_from_many_addresses_wait_whether_or_not_it_exists(
    authenticator: Authenticator, store: CountingStore, username: str
) -> None:
    for number in range(60):
        await guess(authenticator, number, username, f"192.0.2.{number}")
    assert store.asked == 50


async def test_guesses_at_many_sids_from_one_64_wait(
    authenticator: Authenticator, store: CountingStore
) -> None:
    for number in range(150):
        await guess(authenticator, number, f"AC{number:032x}", f"2001:db8::{number:x}")
    assert store.asked == 100


async def test_wrong_tokens_count_and_missing_credentials_do_not(
    authenticator: Authenticator,
) -> None:
    for _ in range(30):
        with pytest.raises(Unauthorized):
            await authenticator.caller_of(None)
    for _ in range(20):
        with pytest.raises(Unauthorized):
            await authenticator.caller_of("Bearer wrong")
    with pytest.raises(LoginRateLimited):
        await authenticator.caller_of("Bearer wrong")


async def test_an_expired_token_does_not_delay_another(
    authenticator: Authenticator, store: CountingStore, clock: FakeClock
) -> None:
    client = an_api_client()
    await store.store.transact(lambda tx: tx.api_clients.add(client))
    random_source = SeededRandomness()
    old = await authenticator.tokens.make(client, an_account(), random_source)
    clock.advance(client.lifetime)
    for _ in range(20):
        with pytest.raises(Unauthorized):
            await authenticator.caller_of(f"Bearer {old}")
    with pytest.raises(LoginRateLimited):
        await authenticator.caller_of(f"Bearer {old}")
    new = await authenticator.tokens.make(client, an_account(), random_source)
    assert (await authenticator.caller_of(f"Bearer {new}")).account == an_account()


async def test_a_token_is_remembered_no_longer_than_it_is_valid(
    authenticator: Authenticator, store: CountingStore, clock: FakeClock
) -> None:
    client = an_api_client()
    await store.store.transact(lambda tx: tx.api_clients.add(client))
    token = await authenticator.tokens.make(client, an_account(), SeededRandomness())
    clock.advance(client.lifetime - timedelta(milliseconds=1))
    await authenticator.caller_of(f"Bearer {token}")
    clock.advance(timedelta(milliseconds=1))
    with pytest.raises(Unauthorized, match="the token expired at"):
        await authenticator.caller_of(f"Bearer {token}")


# ---- the operator --------------------------------------------------------------------------------


# ---- when keys were used last --------------------------------------------------------------------

WITH_KEY = basic(KEY.sid, KEY_SECRET)


async def last_use(store: CountingStore) -> datetime | None:
    key = await store.store.read(lambda tx: tx.accounts.keys.get(KEY.sid))
    assert key is not None
    return key.date_last_used


async def test_requests_write_nothing_and_the_last_use_of_a_key_is_written_later(
    app: ASGIApp, store: CountingStore, clock: FakeClock
) -> None:
    dependencies = dependencies_on(store, clock=clock)
    caller = Caller(create_app(dependencies), credentials=(KEY.sid, KEY_SECRET))
    for _ in range(5):
        clock.advance(timedelta(seconds=1))
        assert (await caller.get("/v1/Fleets")).status == 200
    assert (store.transactions, await last_use(store)) == (0, None)
    await dependencies.authenticator.write_uses()
    assert (store.transactions, await last_use(store)) == (1, clock.now())
    await dependencies.authenticator.write_uses()
    assert store.transactions == 1


async def test_other_credentials_and_wrong_ones_leave_no_last_use(
    authenticator: Authenticator, store: CountingStore
) -> None:
    await authenticator.caller_of(RIGHT)
    with pytest.raises(Unauthorized):
        await authenticator.caller_of(basic(KEY.sid, "wrong"))
    await authenticator.write_uses()
    assert store.transactions == 0


async def test_a_last_use_waits_while_the_database_is_away(
    authenticator: Authenticator, store: CountingStore, clock: FakeClock
) -> None:
    await authenticator.caller_of(WITH_KEY)
    store.is_away = True
    await authenticator.write_uses()
    store.is_away = False
    await authenticator.write_uses()
    assert await last_use(store) == clock.now()


async def test_a_last_use_is_written_every_minute_and_at_the_stop(
    authenticator: Authenticator,
    store: CountingStore,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ringback.api.authentication._BETWEEN_WRITES", 0)
    await authenticator.caller_of(WITH_KEY)
    written = asyncio.Event()
    store.when_asked = written.set
    loop = asyncio.create_task(authenticator.run())
    async with asyncio.timeout(5):
        await written.wait()
    monkeypatch.setattr("ringback.api.authentication._BETWEEN_WRITES", 60)
    for _ in range(5):
        await asyncio.sleep(0)
    clock.advance(timedelta(seconds=5))
    await authenticator.caller_of(WITH_KEY)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    assert (store.transactions, await last_use(store)) == (2, clock.now())


FOR = ACT_FOR.lower()
OPERATORS = an_api_key("SK" + "0" * 32, None, "operator's")


@pytest.fixture
async def operator(app: ASGIApp, store: CountingStore) -> Caller:
    await store.store.transact(lambda tx: tx.accounts.keys.add(OPERATORS))
    return Caller(app, credentials=(OPERATORS.sid, "operator's"))


@pytest.fixture
def app(store: CountingStore, clock: FakeClock) -> ASGIApp:
    return app_on(store, clock=clock)


@pytest.mark.parametrize(
    ("target", "name", "sids"),
    [
        ("/v1/Sims", "sims", [THEIR_SIM, SIM_SID]),
        ("/wireless/v1/RatePlans", "rate_plans", [THEIR_PLAN, RATE_PLAN_SID]),
        ("/v1/Fleets", "fleets", [FLEET_SID]),
    ],
)
async def test_the_operators_lists_have_all_accounts(
    operator: Caller, target: str, name: str, sids: list[str]
) -> None:
    answer = await operator.get(target)
    assert [one["sid"] for one in answer.json[name]] == sids
    pages = (await operator.get(f"{target}?PageSize=1")).json
    assert [one["sid"] for one in pages[name]] == sids[:1]


@pytest.mark.parametrize("target", ["/v1/Sims", "/wireless/v1/Sims", "/portal/v1/callbacks"])
async def test_a_header_limits_a_list_to_one_account(operator: Caller, target: str) -> None:
    kind = target.rpartition("/")[2].lower()
    for named in (THEIRS, an_account(sid=THEIRS).kore_id):
        answer = await operator.get(target, **{FOR: named})
        assert answer.status == 200
        assert {one["account_sid"] for one in answer.json[kind]} <= {THEIRS}
    assert refusal(await operator.get(target, **{FOR: "AC0"})) == (404, 20404)


async def test_an_accounts_list_is_its_own_whatever_the_header_says(app: ASGIApp) -> None:
    ours = Caller(app, credentials=(ACCOUNT_SID, AUTH_TOKEN))
    answer = await ours.get("/v1/Sims", **{FOR: THEIRS})
    assert [one["sid"] for one in answer.json["sims"]] == [SIM_SID]
    assert refusal(await ours.get(f"/v1/Sims/{THEIR_SIM}", **{FOR: THEIRS})) == (404, 20404)


@pytest.mark.parametrize(
    ("target", "owner"),
    [
        (f"/v1/Sims/{SIM_SID}", ACCOUNT_SID),
        (f"/v1/Sims/{THEIR_SIM}", THEIRS),
        (f"/wireless/v1/RatePlans/{THEIR_PLAN}", THEIRS),
    ],
)
async def test_a_sid_in_the_path_decides_the_account(
    operator: Caller, target: str, owner: str
) -> None:
    assert (await operator.get(target)).json["account_sid"] == owner


async def test_the_operator_can_change_what_an_account_can_change(operator: Caller) -> None:
    answer = await operator.post(f"/v1/Sims/{THEIR_SIM}", {"UniqueName": "renamed"})
    assert answer.status == 200
    assert (answer.json["account_sid"], answer.json["unique_name"]) == (THEIRS, "renamed")


async def test_a_unique_name_needs_its_account(operator: Caller) -> None:
    answer = await operator.get(f"/v1/Sims/{UNIQUE_NAME}")
    assert refusal(answer) == (404, 20404)
    assert f"name its account in the header {ACT_FOR}" in answer.json["message"]
    answer = await operator.get(f"/v1/Sims/{UNIQUE_NAME}", **{FOR: ACCOUNT_SID})
    assert answer.json["sid"] == SIM_SID


async def test_creating_a_record_needs_an_account(operator: Caller) -> None:
    form = {"NetworkAccessProfile": "my_profile", "UniqueName": "new"}
    answer = await operator.post("/v1/Fleets", form)
    assert refusal(answer) == (400, 20002)
    assert f"name the account in the header {ACT_FOR}" in answer.json["message"]
    answer = await operator.post("/v1/Fleets", form, **{FOR: ACCOUNT_SID})
    assert (answer.status, answer.json["account_sid"]) == (201, ACCOUNT_SID)


async def test_a_header_that_names_another_account_finds_nothing_of_this_one(
    operator: Caller,
) -> None:
    answer = await operator.get(f"/v1/Sims/{SIM_SID}", **{FOR: THEIRS})
    assert refusal(answer) == (404, 20404)


# ---- tokens --------------------------------------------------------------------------------------


STANDARD = an_api_client(type=ApiClientType.STANDARD, products=frozenset({ApiScope.SUPER_SIM}))
TARGETS = (
    *("/supersim/v1/Sims", "/v1/Sims", "/wireless/v1/Sims", "/portal/v1/callbacks"),
    "/events/v1/Sinks",
)


@pytest.mark.parametrize(
    ("client", "statuses"),
    [
        (an_api_client(), [200, 200, 200, 200, 200]),
        (STANDARD, [200, 200, 403, 403, 200]),
        (replace(STANDARD, products=frozenset({ApiScope.WIRELESS})), [403, 403, 200, 403, 403]),
        (replace(STANDARD, products=frozenset()), [403] * 5),
    ],
    ids=["admin", "SuperSIM", "ProgrammableWireless", "nothing"],
)
async def test_a_token_is_valid_for_the_products_of_its_client(
    app: ASGIApp,
    store: CountingStore,
    clock: FakeClock,
    client: ClientCredentials,
    statuses: list[int],
) -> None:
    caller = await shower_of_a_token(app, store, clock, client)
    answers = [await caller(target) for target in TARGETS]
    assert [answer.status for answer in answers] == statuses
    for answer in answers:
        if answer.status == 403:
            assert refusal(answer) == (403, 20006)
            assert "this token is valid for" in answer.json["message"]


async def test_a_token_is_valid_for_the_same_products_by_host_name(
    app: ASGIApp, store: CountingStore, clock: FakeClock
) -> None:
    caller = await shower_of_a_token(app, store, clock, STANDARD)
    for host, status in (
        ("supersim.api.korewireless.com", 200),
        ("programmable-wireless.api.korewireless.com", 403),
    ):
        assert (await caller("/v1/Sims", host=host)).status == status


async def shower_of_a_token(
    app: ASGIApp, store: CountingStore, clock: FakeClock, client: ClientCredentials
) -> Callable[..., Awaitable[Answer]]:
    """Return a caller that uses a token of this client."""
    await store.store.transact(lambda tx: tx.api_clients.add(client))
    token = await BearerTokens(store, clock).make(client, an_account(), SeededRandomness())
    caller = Caller(app, credentials=None)
    return partial(caller.get, authorization=f"Bearer {token}")


# ---- suspended accounts --------------------------------------------------------------------------


async def test_a_suspended_account_is_refused_within_a_second(
    app: ASGIApp, store: CountingStore, clock: FakeClock
) -> None:
    caller = Caller(app, credentials=(ACCOUNT_SID, AUTH_TOKEN))
    assert (await caller.get("/v1/Sims")).status == 200
    suspended = replace(an_account(), status=AccountStatus.SUSPENDED)
    await store.store.transact(lambda tx: tx.accounts.save(suspended))
    clock.advance(timedelta(seconds=1))
    assert refusal(await caller.get("/v1/Sims")) == (403, 20005)
