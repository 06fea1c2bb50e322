"""The operations on SIMs: their responses, and the tasks that they start."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.scenario import TaskKind
from ringback.ports import PageWindow, Store, Transaction
from tests.callback_queues import RecordingQueue
from tests.fakes import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    FLEET_SID,
    NOW,
    SIM_SID,
    TAKES,
    FakeClock,
    a_fleet,
    an_account,
)
from tests.unit.api.caller import Caller
from tests.unit.api.world import (
    THEIR_SIM,
    THEIRS,
    CountingNotifier,
    app_on,
    called_back,
    error,
    only_https,
    refusal,
)

UPDATE = f"/v1/Sims/{SIM_SID}"
NEW_CARD = {"Iccid": "89883070000123456789", "RegistrationCode": "H3LL0W0RLD"}
URL = "http://127.0.0.1:9000/path?foo=bar#cbs=kore"
SIM = {
    "sid": SIM_SID,
    "unique_name": "my_super_sim",
    "account_sid": ACCOUNT_SID,
    "iccid": "8988307000000000001",
    "status": "active",
    "fleet_sid": FLEET_SID,
    "date_created": "2024-07-03T14:40:58Z",
    "date_updated": "2024-07-03T14:40:58Z",
    "url": f"http://127.0.0.1:8080/v1/Sims/{SIM_SID}",
    "links": {
        "billing_periods": f"http://127.0.0.1:8080/v1/Sims/{SIM_SID}/BillingPeriods",
        "sim_ip_addresses": f"http://127.0.0.1:8080/v1/Sims/{SIM_SID}/IpAddresses",
    },
}


# ---- fetching and listing ------------------------------------------------------------------------


@pytest.mark.parametrize("target", [UPDATE, "/v1/Sims/my_super_sim"])
async def test_a_sim_is_fetched_with_200(caller: Caller, target: str) -> None:
    answer = await caller.get(target)
    assert (answer.status, answer.json) == (200, SIM)


async def test_a_list_has_the_accounts_own_sims(caller: Caller) -> None:
    answer = await caller.get("/v1/Sims")
    assert (answer.status, answer.json["sims"]) == (200, [SIM])


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("Status=active", 1),
        ("Status=inactive", 0),
        ("Status=scheduled", 0),
        (f"Fleet={FLEET_SID}", 1),
        ("Fleet=my_fleet", 1),
        ("Fleet=nobody%27s", 0),
        ("Fleet=", 0),
        ("Iccid=8988307000000000001", 1),
        ("Iccid=8988307000000000002", 0),
        ("Status=active&Fleet=my_fleet&Iccid=8988307000000000001", 1),
    ],
)
async def test_a_list_is_filtered(caller: Caller, query: str, count: int) -> None:
    assert len((await caller.get(f"/v1/Sims?{query}")).json["sims"]) == count


async def test_dates_have_no_fraction(caller: Caller, clock: FakeClock) -> None:
    clock.advance(timedelta(microseconds=999_999))
    sim = (await caller.post("/v1/Sims", NEW_CARD)).json
    assert sim["date_created"] == "2024-07-03T14:40:58Z"


@pytest.mark.parametrize("target", ["/v1/Sims", UPDATE, "/portal/v1/callbacks", "/nowhere"])
async def test_head_has_the_headers_of_get(caller: Caller, target: str) -> None:
    get, head = await caller.call("GET", target), await caller.call("HEAD", target)
    assert head.status == get.status
    if get.status == 200:
        assert head.headers == get.headers


# ---- registering ---------------------------------------------------------------------------------


async def test_a_sim_is_registered_with_201(caller: Caller) -> None:
    answer = await caller.post("/v1/Sims", NEW_CARD)
    sid = answer.json["sid"]
    assert answer.status == 201
    assert answer.json == SIM | {
        "sid": sid,
        "unique_name": None,
        "iccid": NEW_CARD["Iccid"],
        "status": "new",
        "fleet_sid": None,
        "url": f"http://127.0.0.1:8080/v1/Sims/{sid}",
        "links": {
            "billing_periods": f"http://127.0.0.1:8080/v1/Sims/{sid}/BillingPeriods",
            "sim_ip_addresses": f"http://127.0.0.1:8080/v1/Sims/{sid}/IpAddresses",
        },
    }
    assert (await caller.get(f"/v1/Sims/{sid}")).json == answer.json


async def test_a_refused_registration_adds_nothing(caller: Caller, store: Store) -> None:
    await caller.post("/v1/Sims", NEW_CARD | {"RegistrationCode": "no"})
    sims = await store.transact(lambda tx: tx.supersim.sims.page(ACCOUNT_SID, {}, PageWindow(9)))
    assert [sim.sid for sim in sims] == [SIM_SID]


# ---- updating ------------------------------------------------------------------------------------


async def test_a_change_by_the_network_is_accepted_with_202(caller: Caller) -> None:
    answer = await caller.post(UPDATE, {"Status": "inactive", "CallbackUrl": URL})
    assert (answer.status, answer.json) == (202, SIM | {"status": "scheduled"})


async def test_an_accepted_change_is_due_after_the_networks_delay(
    caller: Caller, store: Store
) -> None:
    form = {"Status": "inactive", "CallbackUrl": URL, "CallbackMethod": "GET"}
    await caller.post(UPDATE, form)
    task = ScheduledTask(TaskKind.UPDATE_SIM, SIM_SID, ACCOUNT_SID, NOW + TAKES)
    assert await store.transact(lambda tx: tx.tasks.claim(NOW + TAKES, limit=9)) == [task]
    update = await store.transact(lambda tx: tx.supersim.sim_updates.get(SIM_SID))
    assert update is not None
    assert update.callback.url is not None
    assert (update.callback.url.shown, update.callback.method) == (URL, HttpMethod.GET)


async def test_another_fleet_is_accepted_with_202(caller: Caller, store: Store) -> None:
    sid = (await caller.post("/v1/Sims", NEW_CARD)).json["sid"]
    target = f"/v1/Sims/{sid}"
    assert (await caller.post(target, {"Fleet": "my_fleet"})).status == 200
    assert (await caller.post(target, {"Fleet": "my_fleet", "Status": "ready"})).status == 202


async def test_changing_only_the_name_is_answered_with_200_without_a_callback(
    caller: Caller, store: Store
) -> None:
    answer = await caller.post(UPDATE, {"UniqueName": "renamed", "CallbackUrl": URL})
    assert (answer.status, answer.json) == (200, SIM | {"unique_name": "renamed"})
    assert await called_back(store) == []


async def test_setting_the_present_status_is_answered_with_200_and_called_back_at_once(
    caller: Caller, store: Store
) -> None:
    answer = await caller.post(UPDATE, {"Status": "active", "CallbackUrl": URL})
    (callback,) = await called_back(store)
    assert (answer.status, answer.json) == (200, SIM)
    assert (callback.progress.due, callback.url.shown, callback.method) == (NOW, URL, "POST")


async def test_an_empty_update_is_answered_with_200(caller: Caller) -> None:
    answer = await caller.call("POST", UPDATE)
    assert (answer.status, answer.json) == (200, SIM)


async def test_an_empty_callback_url_means_none(caller: Caller, store: Store) -> None:
    assert (await caller.post(UPDATE, {"Status": "active", "CallbackUrl": ""})).status == 200
    assert await called_back(store) == []


async def test_the_own_account_may_be_named(caller: Caller) -> None:
    assert (await caller.post(UPDATE, {"AccountSid": ACCOUNT_SID})).status == 200


async def test_a_new_sim_is_moved_into_a_fleet_of_a_subaccount(
    caller: Caller, store: Store
) -> None:
    child, fleet = "AC" + "c" * 32, "HF" + "c" * 32

    def work(tx: Transaction) -> None:
        tx.accounts.add(replace(an_account(sid=child), parent_sid=ACCOUNT_SID), [])
        tx.supersim.fleets.add(a_fleet(sid=fleet, account_sid=child, unique_name="child's"))

    await store.transact(work)
    sid = (await caller.post("/v1/Sims", NEW_CARD)).json["sid"]
    answer = await caller.post(f"/v1/Sims/{sid}", {"AccountSid": child, "Fleet": "child's"})
    assert (answer.status, answer.json["account_sid"]) == (200, child)
    assert (answer.json["status"], answer.json["fleet_sid"]) == ("new", fleet)
    assert (await caller.get(f"/v1/Sims/{sid}")).status == 404


@pytest.mark.parametrize("account_sid", [THEIRS, "AC" + "0" * 32, "nobody", ""])
async def test_a_sim_is_not_moved_to_another_customers_account(
    caller: Caller, account_sid: str
) -> None:
    sid = (await caller.post("/v1/Sims", NEW_CARD)).json["sid"]
    answer = await caller.post(f"/v1/Sims/{sid}", {"AccountSid": account_sid})
    assert refusal(answer) == (400, 20409)
    assert answer.json["message"].startswith(f"AccountSid={account_sid!r}: a SIM can be moved only")
    assert (await caller.get(f"/v1/Sims/{sid}")).json["account_sid"] == ACCOUNT_SID


async def test_a_refused_update_changes_nothing(caller: Caller, store: Store) -> None:
    form = {"UniqueName": "renamed", "Status": "ready", "CallbackUrl": URL}
    assert (await caller.post(UPDATE, form)).status == 400
    assert (await caller.get(UPDATE)).json == SIM
    assert await called_back(store) == []


async def test_a_sim_of_another_account_is_not_changed(caller: Caller, store: Store) -> None:
    before = await store.transact(lambda tx: tx.supersim.sims.get(THEIR_SIM))
    assert (await caller.post(f"/v1/Sims/{THEIR_SIM}", {"UniqueName": "x"})).status == 404
    assert await store.transact(lambda tx: tx.supersim.sims.get(THEIR_SIM)) == before


async def test_an_update_wakes_the_engine(
    caller: Caller, task_runner: CountingNotifier, callback_queue: RecordingQueue
) -> None:
    await caller.post(UPDATE, {"Status": "inactive", "CallbackUrl": URL})
    assert (task_runner.times, callback_queue.taken) == (1, [])


async def test_a_callback_that_is_due_at_once_goes_through_the_callback_queue(
    caller: Caller, store: Store, callback_queue: RecordingQueue
) -> None:
    await caller.post(UPDATE, {"Status": "active", "CallbackUrl": URL})
    assert callback_queue.taken == [callback.sid for callback in await called_back(store)]


async def test_reading_does_not_wake_the_engine(
    caller: Caller, task_runner: CountingNotifier, callback_queue: RecordingQueue
) -> None:
    await caller.get(UPDATE)
    await caller.get("/v1/Sims")
    assert (task_runner.times, callback_queue.asked) == (0, [])


async def test_an_update_with_a_callback_needs_room_for_it(
    caller: Caller, store: Store, callback_queue: RecordingQueue
) -> None:
    callback_queue.room = 0
    before = await store.transact(lambda tx: tx.supersim.sims.get(SIM_SID))
    answer = await caller.post(UPDATE, {"Status": "inactive", "CallbackUrl": URL})
    assert refusal(answer) == (429, 20429)
    assert answer.headers["retry-after"] == "5"
    assert callback_queue.asked == [(ACCOUNT_SID, 1)]
    assert await store.transact(lambda tx: tx.supersim.sims.get(SIM_SID)) == before
    assert (await caller.post(UPDATE, {"Status": "inactive"})).status == 202


async def test_the_operators_rules_apply_to_the_callback_url(store: Store) -> None:
    caller = Caller(app_on(store, read_url=only_https), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    answer = await caller.post(UPDATE, {"Status": "active", "CallbackUrl": "http://a.example/"})
    assert answer.json == error(400, 11100, "http is not permitted here")
    await caller.post(UPDATE, {"Status": "active", "CallbackUrl": "https://a.example/", "Odd": "1"})
    (callback,) = await called_back(store)
    assert callback.warnings[0] == "as the operator wishes"
    assert "the parameter 'Odd'" in callback.warnings[1]
