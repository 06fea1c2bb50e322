"""The read-only lists: Settings Updates, Billing Periods, IP addresses."""

from datetime import timedelta

import pytest

from ringback.core.supersim.settings_update import OtaSettingsUpdate, OtaSettingsUpdateStatus
from ringback.core.supersim.usage import BillingPeriod, BillingPeriodType
from ringback.ports import Store, Transaction
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, a_sim
from tests.unit.api.caller import Caller
from tests.unit.api.pages import ORIGIN
from tests.unit.api.world import THEIR_SIM, THEIRS, error, refusal

UPDATES = "/v1/SettingsUpdates"
PERIODS = f"/v1/Sims/{SIM_SID}/BillingPeriods"
ADDRESSES = f"/v1/Sims/{SIM_SID}/IpAddresses"
OTHER_SIM = "HS" + "d" * 32


def an_update_of(
    letter: str,
    status: OtaSettingsUpdateStatus,
    *,
    sim_sid: str = SIM_SID,
    account_sid: str = ACCOUNT_SID,
) -> OtaSettingsUpdate:
    return OtaSettingsUpdate(
        sid="OB" + letter * 32,
        account_sid=account_sid,
        iccid="8988307000000000001",
        sim_sid=sim_sid,
        status=status,
        date_created=NOW,
        date_updated=NOW,
        date_completed=NOW if status is OtaSettingsUpdateStatus.SUCCESSFUL else None,
    )


def a_period(letter: str, *, kind: BillingPeriodType, sim_sid: str = SIM_SID) -> BillingPeriod:
    return BillingPeriod(
        sid="HB" + letter * 32,
        account_sid=ACCOUNT_SID,
        sim_sid=sim_sid,
        period_type=kind,
        start_time=NOW - timedelta(days=30),
        end_time=NOW,
        date_created=NOW,
        date_updated=NOW,
    )


# ---- Settings Updates ----------------------------------------------------------------------------


@pytest.fixture
async def updates(store: Store) -> None:
    def work(tx: Transaction) -> None:
        tx.supersim.sims.add(a_sim(sid=OTHER_SIM, iccid="8988307000000000009", unique_name="other"))
        tx.supersim.settings_updates.add(an_update_of("a", OtaSettingsUpdateStatus.SUCCESSFUL))
        tx.supersim.settings_updates.add(
            an_update_of("b", OtaSettingsUpdateStatus.IN_PROGRESS, sim_sid=OTHER_SIM)
        )
        tx.supersim.settings_updates.add(
            an_update_of("c", OtaSettingsUpdateStatus.FAILED, sim_sid=THEIR_SIM, account_sid=THEIRS)
        )

    await store.transact(work)


@pytest.mark.usefixtures("updates")
async def test_a_settings_update_shows_what_was_written_and_when(caller: Caller) -> None:
    packages = [
        {
            "name": "base-settings",
            "version": "1.0.0",
            "more_info": "https://twilio.com/docs/iot/supersim/settings-packages/base-settings",
        }
    ]
    assert (await caller.get(f"{UPDATES}?Sim={SIM_SID}")).json["settings_updates"] == [
        {
            "sid": "OB" + "a" * 32,
            "iccid": "8988307000000000001",
            "sim_sid": SIM_SID,
            "status": "successful",
            "packages": packages,
            "date_completed": "2024-07-03T14:40:58Z",
            "date_created": "2024-07-03T14:40:58Z",
            "date_updated": "2024-07-03T14:40:58Z",
        }
    ]


@pytest.mark.usefixtures("updates")
@pytest.mark.parametrize(
    ("query", "letters"),
    [
        ("", "ba"),
        ("Sim=my_super_sim", "a"),
        (f"Sim={OTHER_SIM}", "b"),
        ("Sim=nobody", ""),
        ("Sim=", ""),
        (f"Sim={THEIR_SIM}", ""),
        ("Status=successful", "a"),
        ("Status=in-progress", "b"),
        ("Status=scheduled", ""),
        ("Status=failed", ""),
        ("Status=successful&Sim=other", ""),
        ("PageSize=1", "b"),
    ],
)
async def test_settings_updates_are_listed_newest_first_and_filtered(
    caller: Caller, query: str, letters: str
) -> None:
    listed = (await caller.get(f"{UPDATES}?{query}")).json["settings_updates"]
    assert "".join(update["sid"][-1] for update in listed) == letters


async def test_a_status_that_settings_updates_do_not_have_is_refused(caller: Caller) -> None:
    answer = await caller.get(f"{UPDATES}?Status=in_progress")
    assert refusal(answer) == (400, 83600)
    assert answer.json["message"].startswith("Status='in_progress': Status must be one of sched")


# ---- Billing Periods -----------------------------------------------------------------------------


@pytest.fixture
async def periods(store: Store) -> None:
    def work(tx: Transaction) -> None:
        tx.supersim.billing_periods.add(a_period("a", kind=BillingPeriodType.READY))
        tx.supersim.billing_periods.add(a_period("b", kind=BillingPeriodType.ACTIVE))
        tx.supersim.billing_periods.add(
            a_period("c", kind=BillingPeriodType.ACTIVE, sim_sid=OTHER_SIM)
        )

    await store.transact(work)


@pytest.mark.usefixtures("periods")
@pytest.mark.parametrize("target", [PERIODS, "/v1/Sims/my_super_sim/BillingPeriods"])
async def test_the_billing_periods_of_a_sim_are_listed_newest_first(
    caller: Caller, target: str
) -> None:
    answer = await caller.get(target)
    active, ready = answer.json["billing_periods"]
    assert active == {
        "sid": "HB" + "b" * 32,
        "account_sid": ACCOUNT_SID,
        "sim_sid": SIM_SID,
        "start_time": "2024-06-03T14:40:58Z",
        "end_time": "2024-07-03T14:40:58Z",
        "period_type": "active",
        "date_created": "2024-07-03T14:40:58Z",
        "date_updated": "2024-07-03T14:40:58Z",
    }
    assert (ready["sid"], ready["period_type"]) == ("HB" + "a" * 32, "ready")
    assert answer.json["meta"]["url"] == f"{ORIGIN}{target}?PageSize=50&Page=0"


@pytest.mark.usefixtures("periods")
async def test_billing_periods_are_paged(caller: Caller) -> None:
    first = (await caller.get(f"{PERIODS}?PageSize=1")).json
    url = first["meta"]["next_page_url"]
    second = (await caller.get(url.removeprefix(ORIGIN))).json
    sids = [page["billing_periods"][0]["sid"][-1] for page in (first, second)]
    assert (sids, second["meta"]["next_page_url"]) == (["b", "a"], None)


# ---- addresses -----------------------------------------------------------------------------------


async def have_an_address(store: Store) -> None:
    await store.transact(lambda tx: tx.supersim.sims.save(a_sim(device_ip="100.64.0.123")))


@pytest.mark.parametrize("target", [ADDRESSES, "/v1/Sims/my_super_sim/IpAddresses"])
async def test_the_address_of_a_sims_device_is_listed(
    caller: Caller, store: Store, target: str
) -> None:
    await have_an_address(store)
    assert (await caller.get(target)).json["ip_addresses"] == [
        {"ip_address": "100.64.0.123", "ip_address_version": "IPv4"}
    ]


async def test_a_sim_whose_device_has_no_address_has_an_empty_list(caller: Caller) -> None:
    answer = await caller.get(ADDRESSES)
    assert (answer.status, answer.json["ip_addresses"]) == (200, [])


async def test_a_page_of_addresses_can_follow_another(caller: Caller, store: Store) -> None:
    await have_an_address(store)
    after = await caller.get(f"{ADDRESSES}?PageToken=PA100.64.0.123")
    assert (after.status, after.json["ip_addresses"]) == (200, [])
    unknown = await caller.get(f"{ADDRESSES}?PageToken=PA100.64.0.124")
    assert refusal(unknown) == (400, 83600)


# ---- all lists -----------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["BillingPeriods", "IpAddresses"])
@pytest.mark.parametrize("sim", ["nobody", THEIR_SIM])
async def test_lists_of_an_unknown_sim_are_not_found(caller: Caller, sim: str, what: str) -> None:
    answer = await caller.get(f"/v1/Sims/{sim}/{what}")
    assert answer.json == error(404, 20404, f"there is no SIM with the SID or unique name {sim!r}")


@pytest.mark.parametrize("target", [PERIODS, ADDRESSES, UPDATES])
async def test_a_history_names_unknown_parameters(caller: Caller, target: str) -> None:
    answer = await caller.get(f"{target}?Color=red")
    assert answer.headers["ringback-warning"] == "unknown parameters, which had no effect: 'Color'"
