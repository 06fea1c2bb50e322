"""The list of a SIM's Data Sessions."""

from datetime import timedelta
from typing import Any

import pytest

from ringback.core.wireless.radio import PLACES, RadioTechnology, cell_of, imei_of
from ringback.ports import Store, Transaction
from tests.fakes import ACCOUNT_SID, NOW, FakeClock
from tests.unit.api.caller import Caller
from tests.unit.api.pages import walk
from tests.unit.api.world import THEIR_WIRELESS_SIM, THEIRS, error, refusal
from tests.wireless_fakes import (
    ABROAD,
    HOME,
    WIRELESS_ICCID,
    WIRELESS_SIM_SID,
    a_wireless_session,
    a_wireless_sim,
)

PATH = f"/wireless/v1/Sims/{WIRELESS_SIM_SID}/DataSessions"
HOUR = timedelta(hours=1)
SESSION: dict[str, Any] = {
    "sid": "WN" + "1" * 32,
    "sim_sid": WIRELESS_SIM_SID,
    "account_sid": ACCOUNT_SID,
    "radio_link": "LTE",
    "operator_mcc": "310",
    "operator_mnc": "260",
    "operator_country": "USA",
    "operator_name": "T-Mobile",
    "cell_id": cell_of(WIRELESS_ICCID, HOME),
    "cell_location_estimate": {"lat": 37.7749, "lon": -122.4194},
    "packets_uploaded": 2,
    "packets_downloaded": 0,
    "last_updated": "2024-07-03T13:40:58Z",
    "start": "2024-07-03T12:40:58Z",
    "end": "2024-07-03T13:40:58Z",
    "imei": imei_of(WIRELESS_ICCID),
}


@pytest.fixture(autouse=True)
async def sessions(store: Store) -> None:
    """An old session that has ended, a newer one that is open, and some of other SIMs."""

    def work(tx: Transaction) -> None:
        tx.wireless.sims.add(
            a_wireless_sim(sid="DE" + "d" * 32, iccid="8901340000000000001", unique_name="other")
        )
        for session in (
            a_wireless_session(
                sid="WN" + "1" * 32, up=1_401, down=0, began=NOW - 2 * HOUR, ended=NOW - HOUR
            ),
            a_wireless_session(
                sid="WN" + "2" * 32,
                network_sid=ABROAD.sid,
                radio_link=RadioTechnology.NARROWBAND,
                up=0,
                down=2_800,
                began=NOW - HOUR,
            ),
            a_wireless_session(sid="WN" + "3" * 32, sim_sid="DE" + "d" * 32),
            a_wireless_session(sid="WN" + "4" * 32, account_sid=THEIRS, sim_sid=THEIR_WIRELESS_SIM),
        ):
            tx.wireless.sessions.add(session)

    await store.transact(work)


async def sids(caller: Caller, query: str = "") -> list[str]:
    page = (await caller.get(f"{PATH}?{query}")).json
    return [session["sid"] for session in page["data_sessions"]]


async def test_the_sessions_of_a_sim_are_listed_newest_first(caller: Caller) -> None:
    answer = await caller.get(PATH)
    assert answer.status == 200
    assert answer.json["meta"]["key"] == "data_sessions"
    assert await sids(caller) == ["WN" + "2" * 32, "WN" + "1" * 32]


@pytest.mark.parametrize("sim", [WIRELESS_SIM_SID, "meter_1"])
async def test_an_ended_session_shows_its_final_values(caller: Caller, sim: str) -> None:
    page = (await caller.get(f"/wireless/v1/Sims/{sim}/DataSessions")).json
    assert page["data_sessions"][1] == SESSION
    assert list(page["data_sessions"][1]) == list(SESSION)


async def test_a_running_session_shows_the_present_values(caller: Caller, clock: FakeClock) -> None:
    clock.advance(HOUR)
    newest = (await caller.get(PATH)).json["data_sessions"][0]
    mcc, mnc = ABROAD.identifiers[0]
    place = PLACES[ABROAD.iso_country]
    assert newest == SESSION | {
        "sid": "WN" + "2" * 32,
        "radio_link": "NB-IoT",
        "operator_mcc": mcc,
        "operator_mnc": mnc,
        "operator_country": place.code,
        "operator_name": ABROAD.friendly_name,
        "cell_id": cell_of(WIRELESS_ICCID, ABROAD),
        "cell_location_estimate": {"lat": place.lat, "lon": place.lon},
        "packets_uploaded": 0,
        "packets_downloaded": 4,
        "last_updated": "2024-07-03T15:40:58Z",
        "start": "2024-07-03T13:40:58Z",
        "end": None,
    }


async def test_a_session_with_a_future_end_is_running(caller: Caller, store: Store) -> None:
    ending = a_wireless_session(sid="WN" + "5" * 32, began=NOW - HOUR, ended=NOW + HOUR)
    await store.transact(lambda tx: tx.wireless.sessions.add(ending))
    newest = (await caller.get(PATH)).json["data_sessions"][0]
    assert (newest["end"], newest["last_updated"]) == (None, "2024-07-03T14:40:58Z")


async def test_sessions_are_paged_in_both_directions(caller: Caller) -> None:
    pages = [page async for page in walk(caller, f"{PATH}?PageSize=1")]
    assert [page["data_sessions"][0]["sid"] for page in pages] == await sids(caller)
    back = [page async for page in walk(caller, pages[-1]["meta"]["url"], by="previous_page_url")]
    assert [page["data_sessions"] for page in back] == [
        page["data_sessions"] for page in reversed(pages)
    ]


@pytest.mark.parametrize("sim", ["nobody", THEIR_WIRELESS_SIM])
async def test_the_sessions_of_an_unknown_sim_are_not_found(caller: Caller, sim: str) -> None:
    expected = error(404, 20404, f"there is no SIM with the SID or unique name {sim!r}")
    assert (await caller.get(f"/wireless/v1/Sims/{sim}/DataSessions")).json == expected


@pytest.mark.parametrize(
    "query", ["PageSize=0", "PageSize=x", "Page=-1", "PageToken=x", f"PageToken=PAWN{'4' * 32}"]
)
async def test_an_invalid_request_for_sessions_names_the_parameter(
    caller: Caller, query: str
) -> None:
    answer = await caller.get(f"{PATH}?{query}")
    assert refusal(answer) == (400, 33103)
    assert answer.json["message"].startswith(query.partition("=")[0])


async def test_an_unknown_parameter_of_sessions_is_named(caller: Caller) -> None:
    answer = await caller.get(f"{PATH}?Start=2024-07-03T00:00:00Z")
    assert answer.headers["ringback-warning"] == "unknown parameters, which had no effect: 'Start'"
