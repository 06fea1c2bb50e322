"""The list of Usage Records: its parameters and its errors."""

from datetime import timedelta
from typing import Any

import pytest

from ringback.core.sims.mobile_networks import NETWORKS
from ringback.core.supersim.usage import SuperSimDataSession
from ringback.ports import Store, Transaction
from tests.fakes import ACCOUNT_SID, FLEET_SID, NOW, SIM_SID, a_fleet, a_sim
from tests.unit.api.caller import Caller
from tests.unit.api.pages import ORIGIN
from tests.unit.api.world import THEIR_SIM, THEIRS, refusal

PATH = "/v1/UsageRecords"
HOUR = timedelta(hours=1)
OTHER_SIM, OTHER_FLEET = "HS" + "d" * 32, "HF" + "d" * 32
US = NETWORKS[0]
FR = next(network for network in NETWORKS if network.iso_country == "FR")
A_DAY = "StartTime=2024-07-02T00:00:00Z&EndTime=2024-07-03T00:00:00Z"


def a_session(letter: str, **changes: Any) -> SuperSimDataSession:
    """Return a session of two hours from 2 July, 10:30: 1,000 bytes up and 3,000 down an hour."""
    fields = {
        "sid": "SE" + letter * 32,
        "account_sid": ACCOUNT_SID,
        "sim_sid": SIM_SID,
        "fleet_sid": FLEET_SID,
        "network_sid": US.sid,
        "iso_country": "US",
        "upload_per_hour": 1_000,
        "download_per_hour": 3_000,
        "date_created": NOW.replace(day=2, hour=10, minute=30, second=0),
        "date_ended": NOW.replace(day=2, hour=12, minute=30, second=0),
    }
    return SuperSimDataSession(**(fields | changes))


@pytest.fixture(autouse=True)
async def sessions(store: Store) -> None:
    """Two SIMs of two fleets in two countries, and one of another account."""

    def work(tx: Transaction) -> None:
        tx.supersim.fleets.add(a_fleet(sid=OTHER_FLEET, unique_name="other_fleet"))
        tx.supersim.sims.add(a_sim(sid=OTHER_SIM, iccid="8988307000000000009", unique_name="other"))
        tx.supersim.sessions.add(a_session("a"))
        tx.supersim.sessions.add(
            a_session(
                "b",
                sim_sid=OTHER_SIM,
                fleet_sid=OTHER_FLEET,
                network_sid=FR.sid,
                iso_country="FR",
                upload_per_hour=0,
                download_per_hour=500_000,
            )
        )
        tx.supersim.sessions.add(a_session("c", account_sid=THEIRS, sim_sid=THEIR_SIM))

    await store.transact(work)


async def records(caller: Caller, query: str) -> list[dict[str, Any]]:
    answer = await caller.get(f"{PATH}?{query}")
    assert answer.status == 200, answer.body
    return answer.json["usage_records"]


async def test_without_parameters_the_last_month_is_summed_up(caller: Caller) -> None:
    assert await records(caller, "") == [
        {
            "account_sid": ACCOUNT_SID,
            "sim_sid": None,
            "network_sid": None,
            "fleet_sid": None,
            "iso_country": None,
            "period": {"start_time": "2024-06-03T14:40:58Z", "end_time": "2024-07-03T14:40:58Z"},
            "data_upload": 2_000,
            "data_download": 1_006_000,
            "data_total": 1_008_000,
            "data_total_billed": "0.10",
            "billed_unit": "USD",
        }
    ]


async def test_usage_without_a_price_has_no_unit(caller: Caller) -> None:
    (record,) = await records(caller, f"Sim={SIM_SID}")
    assert (record["data_total"], record["data_total_billed"]) == (8_000, "0")
    assert record["billed_unit"] is None


@pytest.mark.parametrize(
    ("query", "total", "field", "value"),
    [
        (f"Sim={SIM_SID}", 8_000, "sim_sid", SIM_SID),
        ("Sim=my_super_sim", 8_000, "sim_sid", SIM_SID),
        ("Sim=other", 1_000_000, "sim_sid", OTHER_SIM),
        ("Fleet=my_fleet", 8_000, "fleet_sid", FLEET_SID),
        (f"Fleet={OTHER_FLEET}", 1_000_000, "fleet_sid", OTHER_FLEET),
        (f"Network={FR.sid}", 1_000_000, "network_sid", FR.sid),
        ("IsoCountry=US", 8_000, "iso_country", "US"),
        ("IsoCountry=fr", 1_000_000, "iso_country", "FR"),
    ],
)
async def test_usage_is_filtered_and_the_record_shows_the_filter(
    caller: Caller, query: str, total: int, field: str, value: str
) -> None:
    (record,) = await records(caller, query)
    assert (record["data_total"], record[field]) == (total, value)


@pytest.mark.parametrize(
    "query",
    [
        "Sim=nobody",
        f"Sim={THEIR_SIM}",
        "Fleet=nobody",
        "Network=HW" + "0" * 32,
        "IsoCountry=XX",
        "Sim=other&IsoCountry=US",
    ],
)
async def test_without_usage_the_sums_are_zero(caller: Caller, query: str) -> None:
    (record,) = await records(caller, query)
    assert (record["data_total"], record["data_total_billed"]) == (0, "0")


async def test_more_sessions_than_are_read_at_once_are_all_summed_up(
    caller: Caller, store: Store
) -> None:
    def work(tx: Transaction) -> None:
        for number in range(4_100):
            tx.supersim.sessions.add(a_session("", sid=f"SE{number:032}", iso_country="DE"))

    await store.transact(work)
    (record,) = await records(caller, "IsoCountry=DE")
    assert record["data_upload"] == 4_100 * 2_000


@pytest.mark.parametrize(
    ("group", "field", "expected"),
    [
        ("sim", "sim_sid", {SIM_SID: 8_000, OTHER_SIM: 1_000_000}),
        ("fleet", "fleet_sid", {FLEET_SID: 8_000, OTHER_FLEET: 1_000_000}),
        ("network", "network_sid", {US.sid: 8_000, FR.sid: 1_000_000}),
        ("isoCountry", "iso_country", {"US": 8_000, "FR": 1_000_000}),
    ],
)
async def test_usage_is_separate_for_each_group(
    caller: Caller, group: str, field: str, expected: dict[str, int]
) -> None:
    found = await records(caller, f"Group={group}")
    assert {record[field]: record["data_total"] for record in found} == expected


async def test_usage_by_the_hour_is_listed_newest_first(caller: Caller) -> None:
    found = await records(caller, f"Granularity=hour&Sim={SIM_SID}&{A_DAY}&PageSize=1000")
    assert len(found) == 24
    starts = [record["period"]["start_time"] for record in found]
    assert starts == sorted(starts, reverse=True)
    used = {one["period"]["start_time"][11:13]: one["data_upload"] for one in found}
    assert {hour: count for hour, count in used.items() if count} == {
        "10": 500,
        "11": 1_000,
        "12": 500,
    }


async def test_usage_by_the_day_ends_with_the_present_day(caller: Caller) -> None:
    today, yesterday, *_ = await records(caller, "Granularity=day")
    assert today["period"] == {
        "start_time": "2024-07-03T00:00:00Z",
        "end_time": "2024-07-04T00:00:00Z",
    }
    assert (today["data_total"], yesterday["data_total"]) == (0, 1_008_000)


async def test_the_start_is_included_and_the_end_is_not(caller: Caller) -> None:
    period = "StartTime=2024-07-02T11:00:00Z&EndTime=2024-07-02T12:00:00%2B00:00"
    (record,) = await records(caller, f"Sim={SIM_SID}&{period}")
    assert (record["data_upload"], record["data_download"]) == (1_000, 3_000)


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        # Twilio's client for Java sends this: the time of a ZonedDateTime without its zone.
        ("StartTime=2024-07-02T11:00:00&EndTime=2024-07-02T12:00:00", "02T11", "02T12"),
        ("StartTime=2024-07-01&EndTime=2024-07-03", "01T00", "03T00"),
        ("StartTime=2024-07-02&EndTime=2024-07-02T12:00:00%2B02:00", "02T00", "02T10"),
    ],
)
async def test_a_time_without_a_zone_is_utc_and_a_date_is_its_midnight(
    caller: Caller, period: str, start: str, end: str
) -> None:
    (record,) = await records(caller, f"Sim={SIM_SID}&{period}")
    assert record["period"] == {
        "start_time": f"2024-07-{start}:00:00Z",
        "end_time": f"2024-07-{end}:00:00Z",
    }


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("Group=country", 83600, "Group='country': Group must be one of sim, fleet, network, iso"),
        ("Granularity=week", 83600, "Granularity='week': Granularity must be one of hour, day"),
        ("StartTime=yesterday", 83600, "StartTime='yesterday': it must be a date and time like"),
        ("EndTime=2024-02-30", 83600, "EndTime='2024-02-30': it is not a real date and time"),
        ("EndTime=2024-7-2", 83600, "EndTime='2024-7-2': it must be a date and time like"),
        ("StartTime=", 83600, "StartTime='': it must be a date and time like"),
        (
            "StartTime=2024-07-02T00:00:00Z&EndTime=2024-07-01T00:00:00Z",
            83600,
            "StartTime 2024-07-02T00:00:00Z must be before EndTime 2024-07-01T00:00:00Z",
        ),
        (
            "Granularity=day&StartTime=2024-07-01T10:00:00Z&EndTime=2024-07-02T00:00:00Z",
            83601,
            ("with Granularity=day, StartTime and EndTime must be the start of a UTC day"),
        ),
        (
            "Granularity=hour&StartTime=2024-07-01T10:00:00Z&EndTime=2024-07-01T12:30:00Z",
            83602,
            ("with Granularity=hour, StartTime and EndTime must be the start of an hour"),
        ),
        (
            "Group=sim&StartTime=2024-05-01T00:00:00Z",
            83603,
            "with Group=sim, StartTime and EndTime can be at most 31 days",
        ),
        (
            "Granularity=hour&StartTime=2024-05-01T00:00:00Z&EndTime=2024-07-01T00:00:00Z",
            83604,
            "with Granularity=hour, StartTime and EndTime can be at most 31 days",
        ),
        ("StartTime=2022-12-01T00:00:00Z", 83605, "StartTime 2022-12-01T00:00:00Z is more than 18"),
        ("PageToken=PAnobody", 83600, "PageToken: there is no record nobody in this list"),
    ],
)
async def test_an_invalid_request_for_usage_names_the_parameter(
    caller: Caller, query: str, code: int, message: str
) -> None:
    answer = await caller.get(f"{PATH}?{query}")
    assert refusal(answer) == (400, code)
    assert answer.json["message"].startswith(message)


async def test_all_pages_cover_one_period_while_time_passes(caller: Caller, clock: Any) -> None:
    seen, target = list[str](), f"{PATH}?Granularity=hour&PageSize=500"
    while target:
        page = (await caller.get(target)).json
        seen += [record["period"]["start_time"] for record in page["usage_records"]]
        target = (page["meta"]["next_page_url"] or "").removeprefix(ORIGIN)
        clock.advance(HOUR)
    assert len(seen) == len(set(seen)) == 30 * 24
    assert (seen[0], seen[-1]) == ("2024-07-03T14:00:00Z", "2024-06-03T15:00:00Z")


async def test_an_unknown_parameter_of_usage_is_named(caller: Caller) -> None:
    answer = await caller.get(f"{PATH}?SortBy=time")
    assert answer.headers["ringback-warning"] == "unknown parameters, which had no effect: 'SortBy'"
