"""Links over HTTP: an account manages its own, and the operator those of all accounts."""

from datetime import timedelta

import pytest

from ringback.api.console_access import open_shared_link
from ringback.api.dependencies import ApiDependencies
from ringback.core.calendar import iso
from ringback.core.errors import NoLongerThere
from ringback.ports import Transaction
from ringback.ports.callbacks import lane_of
from tests.counting_store import CountingStore
from tests.fakes import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    CALLBACK_SID,
    NOW,
    FakeClock,
    a_callback,
    an_account,
    an_api_key,
)
from tests.memory_store import MemoryStore
from tests.unit.api.caller import Caller
from tests.unit.api.portal.test_accounts import app_of
from tests.unit.api.world import THEIRS, dependencies_on, refusal

LINKS = "/portal/v1/links"
OPERATORS = an_api_key("SK" + "3" * 32, None, "operator's")
HERE = lane_of(a_callback()).destination


def fill(tx: Transaction) -> None:
    for sid in (ACCOUNT_SID, THEIRS):
        tx.accounts.add(an_account(sid=sid), [])
    tx.accounts.keys.add(OPERATORS)
    tx.callbacks.add(a_callback())


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store() -> CountingStore:
    inner = MemoryStore()
    inner.commit(fill)
    return CountingStore(inner)


@pytest.fixture
def dependencies(store: CountingStore, clock: FakeClock) -> ApiDependencies:
    return dependencies_on(store, clock=clock)


@pytest.fixture
def account(dependencies: ApiDependencies) -> Caller:
    return Caller(app_of(dependencies), credentials=(ACCOUNT_SID, AUTH_TOKEN))


@pytest.fixture
def other(dependencies: ApiDependencies) -> Caller:
    return Caller(app_of(dependencies), credentials=(THEIRS, AUTH_TOKEN))


@pytest.fixture
def operator(dependencies: ApiDependencies) -> Caller:
    return Caller(app_of(dependencies), credentials=(OPERATORS.sid, "operator's"))


async def listed(caller: Caller) -> list[tuple[str, str]]:
    found = (await caller.get(LINKS)).json["links"]
    return [(link["subject"], link["state"]) for link in found]


async def test_a_link_is_shown_with_its_token_only_once(account: Caller) -> None:
    answer = await account.post(LINKS, {"Callback": CALLBACK_SID, "Note": "for Jo"})
    assert answer.status == 201
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json
    assert len(made.pop("token")) == 43
    assert made == {
        "sid": made["sid"],
        "account_sid": ACCOUNT_SID,
        "kind": "callback",
        "subject": CALLBACK_SID,
        "note": "for Jo",
        "state": "active",
        "created_by": ACCOUNT_SID,
        "date_created": iso(NOW),
        "date_expires": iso(NOW + timedelta(days=7)),
        "date_ended": None,
        "date_last_used": None,
        "uses": 0,
    }
    assert (await account.get(LINKS)).json["links"] == [made]


async def test_the_operator_sees_and_ends_the_links_of_all(
    account: Caller, operator: Caller, other: Caller
) -> None:
    sid = (await account.post(LINKS, {"Destination": f"{HERE}/hook"})).json["sid"]
    assert await listed(operator) == await listed(account) == [(HERE, "active")]
    assert await listed(other) == []
    assert refusal(await other.call("DELETE", f"{LINKS}/{sid}")) == (404, 20404)
    assert (await operator.call("DELETE", f"{LINKS}/{sid}")).status == 204
    assert await listed(account) == [(HERE, "ended")]


async def test_the_operator_links_to_any_callback_and_to_a_destination_of_one_account(
    operator: Caller,
) -> None:
    made = await operator.post(LINKS, {"Callback": CALLBACK_SID})
    assert (made.status, made.json["account_sid"]) == (201, ACCOUNT_SID)
    assert refusal(await operator.post(LINKS, {"Destination": HERE})) == (400, 83600)
    for more, headers in (
        ({"AccountSid": ACCOUNT_SID}, {}),
        ({}, {"ringback-account": ACCOUNT_SID}),
    ):
        made = await operator.post(LINKS, {"Destination": HERE, **more}, **headers)
        assert (made.status, made.json["account_sid"]) == (201, ACCOUNT_SID)


async def test_no_account_links_to_what_is_another_accounts(other: Caller) -> None:
    assert refusal(await other.post(LINKS, {"Callback": CALLBACK_SID})) == (400, 83600)
    assert refusal(await other.post(LINKS, {"Destination": HERE})) == (400, 83600)
    theirs = {"Destination": HERE, "AccountSid": ACCOUNT_SID}
    assert refusal(await other.post(LINKS, theirs)) == (400, 83600)
    assert await listed(other) == []


@pytest.mark.parametrize(
    ("form", "expires"),
    [
        ({"Days": "90"}, timedelta(days=90)),
        ({"Until": iso(NOW + timedelta(seconds=1))}, timedelta(seconds=1)),
        ({"Until": iso(NOW + timedelta(days=90))}, timedelta(days=90)),
    ],
)
async def test_a_link_says_when_it_expires(
    account: Caller, form: dict[str, str], expires: timedelta
) -> None:
    made = (await account.post(LINKS, {"Callback": CALLBACK_SID, **form})).json
    assert made["date_expires"] == iso(NOW + expires)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"Days": "91"}, "Days"),
        ({"Days": "0"}, "Days"),
        ({"Until": iso(NOW)}, "a link expires later than now"),
        ({"Until": iso(NOW + timedelta(days=91))}, "at most 90 days from now"),
        ({"Days": "1", "Until": iso(NOW + timedelta(days=1))}, "either Days or Until"),
        ({"Destination": HERE}, "either Callback or Destination"),
        ({"Callback": ""}, "either Callback or Destination"),
        ({"Callback": "", "Destination": "ftp://a.example"}, "Destination"),
        ({"Note": "x" * 65}, "a link's note"),
    ],
)
async def test_what_can_not_be_is_refused_in_words(
    account: Caller, form: dict[str, str], words: str
) -> None:
    answer = await account.post(LINKS, {"Callback": CALLBACK_SID, **form})
    assert answer.status == 400
    assert words in answer.json["message"]
    assert await listed(account) == []


async def test_an_opened_link_reads_its_subject_and_counts_its_visits(
    account: Caller, dependencies: ApiDependencies, store: CountingStore, clock: FakeClock
) -> None:
    token = (await account.post(LINKS, {"Callback": CALLBACK_SID})).json["token"]
    before = store.transactions
    opened, *_ = [await open_shared_link(dependencies, token) for _ in range(3)]
    assert store.transactions == before + 1
    reader = Caller(app_of(dependencies, opened.reader), credentials=None)
    subject = f"/portal/v1/callbacks/{opened.link.subject}"
    assert (await reader.get(subject)).json["sid"] == CALLBACK_SID
    assert refusal(await reader.post(f"{subject}/replay", {})) == (403, 20006)
    clock.advance(timedelta(hours=1))
    await open_shared_link(dependencies, token)
    (shown,) = (await account.get(LINKS)).json["links"]
    assert (shown["uses"], shown["date_last_used"]) == (2, iso(clock.now()))


async def test_a_link_does_not_open_after_its_time(
    account: Caller, dependencies: ApiDependencies, clock: FakeClock
) -> None:
    token = (await account.post(LINKS, {"Callback": CALLBACK_SID, "Days": "1"})).json["token"]
    clock.advance(timedelta(days=1))
    with pytest.raises(NoLongerThere, match="This link ended on 4 July 2024"):
        await open_shared_link(dependencies, token)
    assert await listed(account) == [(CALLBACK_SID, "expired")]
