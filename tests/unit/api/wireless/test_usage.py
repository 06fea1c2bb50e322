"""The lists of Usage Records of an account and of a SIM: parameters and errors."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from ringback.core.sims.message import Direction
from ringback.core.wireless.usage import MeteredCommand
from ringback.ports import Store, Transaction
from tests.fakes import ACCOUNT_SID, NOW, FakeClock
from tests.unit.api.caller import Caller
from tests.unit.api.pages import walk
from tests.unit.api.world import THEIR_WIRELESS_SIM, THEIRS, error, refusal
from tests.wireless_fakes import (
    ABROAD,
    HOME,
    NATIONAL,
    WIRELESS_SIM_SID,
    a_wireless_session,
    a_wireless_sim,
)

ACCOUNT = "/wireless/v1/UsageRecords"
SIM = f"/wireless/v1/Sims/{WIRELESS_SIM_SID}/UsageRecords"
OTHER_SIM = "DE" + "d" * 32
BOTH = pytest.mark.parametrize("path", [ACCOUNT, SIM])
HOUR = timedelta(hours=1)
BEGAN = NOW.replace(day=2, hour=10, minute=30, second=0)
ENDED = BEGAN + 2 * HOUR
A_DAY = "Start=2024-07-02T00:00:00Z&End=2024-07-03T00:00:00Z"
NO_COMMANDS = {"billing_units": "USD", "billed": 0, "total": 0, "from_sim": 0, "to_sim": 0}
NO_DATA = {
    "billing_units": "USD",
    "billed": 0,
    "total": 0,
    "upload": 0,
    "download": 0,
    "units": "bytes",
}


@pytest.fixture(autouse=True)
async def used(store: Store) -> None:
    """Two SIMs that used data and Commands in each zone, and one of another account."""

    def work(tx: Transaction) -> None:
        tx.wireless.sims.add(
            a_wireless_sim(sid=OTHER_SIM, iccid="8901340000000000001", unique_name="other")
        )
        own: dict[str, Any] = {"began": BEGAN, "ended": ENDED}
        sessions = (
            a_wireless_session(sid="WN" + "1" * 32, up=1_000, down=3_000, **own),
            a_wireless_session(
                sid="WN" + "2" * 32, network_sid=ABROAD.sid, up=0, down=500_000, **own
            ),
            a_wireless_session(
                sid="WN" + "3" * 32,
                sim_sid=OTHER_SIM,
                network_sid=NATIONAL.sid,
                up=50_000,
                down=0,
                **own,
            ),
            a_wireless_session(
                sid="WN" + "4" * 32, account_sid=THEIRS, sim_sid=THEIR_WIRELESS_SIM, **own
            ),
        )
        for session in sessions:
            tx.wireless.sessions.add(session)
        for sim, network, way in (
            (WIRELESS_SIM_SID, HOME, Direction.TO_SIM),
            (WIRELESS_SIM_SID, HOME, Direction.TO_SIM),
            (WIRELESS_SIM_SID, ABROAD, Direction.FROM_SIM),
            (OTHER_SIM, NATIONAL, Direction.FROM_SIM),
        ):
            tx.wireless.command_uses.add(MeteredCommand(ACCOUNT_SID, sim, network.sid, way, BEGAN))
        use = MeteredCommand(THEIRS, THEIR_WIRELESS_SIM, HOME.sid, Direction.TO_SIM, BEGAN)
        tx.wireless.command_uses.add(use)

    await store.transact(work)


async def records(caller: Caller, target: str) -> list[dict[str, Any]]:
    answer = await caller.get(target)
    assert answer.status == 200, answer.body
    assert "ringback-warning" not in answer.headers
    return answer.json["usage_records"]


def commands(**counts: int) -> dict[str, Any]:
    return NO_COMMANDS | {"total": sum(counts.values())} | counts


def data(upload: int, download: int, billed: float) -> dict[str, Any]:
    used = {"total": upload + download, "upload": upload, "download": download}
    return NO_DATA | used | {"billed": billed}


# ---- fields of a record --------------------------------------------------------------------------

LAST_MONTH = {"start": "2024-06-03T14:40:58Z", "end": "2024-07-03T14:40:58Z"}


async def test_without_parameters_a_sims_last_month_is_summed_up_by_place(caller: Caller) -> None:
    country = {"country_code": ABROAD.iso_country}
    assert await records(caller, SIM) == [
        {
            "account_sid": ACCOUNT_SID,
            "sim_sid": WIRELESS_SIM_SID,
            "commands": {
                **commands(from_sim=1, to_sim=2),
                "home": commands(to_sim=2),
                "national_roaming": NO_COMMANDS,
                "international_roaming": [{**country, **commands(from_sim=1)}],
            },
            "data": {
                **data(2_000, 1_006_000, 0.10),
                "home": data(2_000, 6_000, 0),
                "national_roaming": NO_DATA,
                "international_roaming": [{**country, **data(0, 1_000_000, 0.10)}],
            },
            "period": LAST_MONTH,
        }
    ]


async def test_an_accounts_usage_covers_all_its_sims_and_names_none(caller: Caller) -> None:
    (record,) = await records(caller, ACCOUNT)
    assert list(record) == ["account_sid", "commands", "data", "period"]
    assert record["account_sid"] == ACCOUNT_SID
    assert record["commands"].items() >= commands(from_sim=2, to_sim=2).items()
    assert record["data"].items() >= data(102_000, 1_006_000, 0.11).items()
    assert record["data"]["national_roaming"] == data(100_000, 0, 0.01)
    assert record["commands"]["national_roaming"] == commands(from_sim=1)


@pytest.mark.parametrize("sim", [WIRELESS_SIM_SID, "meter_1"])
async def test_a_sim_is_selected_by_its_sid_or_its_name(caller: Caller, sim: str) -> None:
    (record,) = await records(caller, f"/wireless/v1/Sims/{sim}/UsageRecords")
    assert record["sim_sid"] == WIRELESS_SIM_SID


async def test_an_unused_sim_has_a_record_of_zeros(caller: Caller, store: Store) -> None:
    sim = a_wireless_sim(sid="DE" + "e" * 32, iccid="8901340000000000002", unique_name="idle")
    await store.transact(lambda tx: tx.wireless.sims.add(sim))
    (record,) = await records(caller, "/wireless/v1/Sims/idle/UsageRecords")
    beside = {"home", "national_roaming", "international_roaming"}
    assert {name: record["data"][name] for name in set(record["data"]) - beside} == NO_DATA
    assert record["data"]["international_roaming"] == []
    assert record["commands"]["total"] == 0


@pytest.mark.parametrize("sim", ["nobody", THEIR_WIRELESS_SIM])
async def test_the_usage_of_an_unknown_sim_is_not_found(caller: Caller, sim: str) -> None:
    expected = error(404, 20404, f"there is no SIM with the SID or unique name {sim!r}")
    assert (await caller.get(f"/wireless/v1/Sims/{sim}/UsageRecords")).json == expected


async def test_usage_of_a_deleted_sim_stays_with_the_account(caller: Caller, store: Store) -> None:
    before = await records(caller, ACCOUNT)
    await store.transact(lambda tx: tx.wireless.sims.remove(WIRELESS_SIM_SID))
    assert await records(caller, ACCOUNT) == before


async def test_more_sessions_than_are_read_at_once_are_all_summed_up(
    caller: Caller, store: Store
) -> None:
    def work(tx: Transaction) -> None:
        for number in range(4_100):
            tx.wireless.sessions.add(
                a_wireless_session(sid=f"WN{number:032}", up=1_000, began=BEGAN, ended=ENDED)
            )

    await store.transact(work)
    (record,) = await records(caller, SIM)
    assert record["data"]["upload"] == 2_000 + 4_100 * 2_000


# ---- periods -------------------------------------------------------------------------------------


@BOTH
async def test_the_start_is_included_and_the_end_is_not(caller: Caller, path: str) -> None:
    period = "Start=2024-07-02T10:30:00Z&End=2024-07-02T11:30:00%2B00:00"
    (record,) = await records(caller, f"{path}?{period}")
    assert record["data"]["home"]["upload"] == 1_000
    assert record["commands"]["home"]["to_sim"] == 2
    period = "Start=2024-07-02T09:30:00Z&End=2024-07-02T10:30:00Z"
    (record,) = await records(caller, f"{path}?{period}")
    assert (record["data"]["total"], record["commands"]["total"]) == (0, 0)


@BOTH
async def test_without_a_start_the_period_is_the_month_before_the_end(
    caller: Caller, path: str
) -> None:
    (record,) = await records(caller, f"{path}?End=2024-07-01T00:00:00Z")
    expected = {"start": "2024-06-01T00:00:00Z", "end": "2024-07-01T00:00:00Z"}
    assert (record["period"], record["data"]["total"]) == (expected, 0)


@BOTH
async def test_without_an_end_the_period_ends_now(caller: Caller, path: str) -> None:
    (record,) = await records(caller, f"{path}?Start=2024-07-01T00:00:00Z&Granularity=all")
    expected = {"start": "2024-07-01T00:00:00Z", "end": "2024-07-03T14:40:58Z"}
    assert record["period"] == expected


@BOTH
async def test_usage_by_the_hour_is_listed_newest_first(caller: Caller, path: str) -> None:
    found = await records(caller, f"{path}?Granularity=hourly&{A_DAY}")
    starts = [record["period"]["start"] for record in found]
    assert starts == [f"2024-07-02T{hour:02}:00:00Z" for hour in range(23, -1, -1)]
    used = {one["period"]["start"][11:13]: one["data"]["home"]["upload"] for one in found}
    assert {hour: count for hour, count in used.items() if count} == {
        "10": 500,
        "11": 1_000,
        "12": 500,
    }
    sent = {one["period"]["start"][11:13]: one["commands"]["home"]["total"] for one in found}
    assert {hour: count for hour, count in sent.items() if count} == {"10": 2}


@BOTH
async def test_usage_by_the_day_ends_with_the_present_day(caller: Caller, path: str) -> None:
    today, yesterday, *others = await records(caller, f"{path}?Granularity=daily")
    assert today["period"] == {"start": "2024-07-03T00:00:00Z", "end": "2024-07-04T00:00:00Z"}
    assert (today["data"]["total"], yesterday["data"]["home"]["total"]) == (0, 8_000)
    assert (yesterday["commands"]["home"]["to_sim"], len(others)) == (2, 29)


@BOTH
async def test_every_hour_and_day_that_a_period_touches_has_a_record(
    caller: Caller, path: str
) -> None:
    period = "Start=2024-07-02T10:59:59Z&End=2024-07-02T12:00:01Z"
    found = await records(caller, f"{path}?Granularity=hourly&{period}")
    assert [record["period"]["start"][11:13] for record in found] == ["12", "11", "10"]
    (day,) = await records(caller, f"{path}?Granularity=daily&{period}")
    assert day["period"] == {"start": "2024-07-02T00:00:00Z", "end": "2024-07-03T00:00:00Z"}


@BOTH
async def test_a_period_of_no_length_is_one_record(caller: Caller, path: str) -> None:
    # As in the published sample.
    (record,) = await records(caller, f"{path}?Start=2015-07-30T20:00:00Z&End=2015-07-30T20:00:00Z")
    assert record["period"] == {"start": "2015-07-30T20:00:00Z", "end": "2015-07-30T20:00:00Z"}


@BOTH
@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        # Twilio's client for Java sends this: the time of a ZonedDateTime without its zone.
        ("Start=2024-07-02T11:00:00&End=2024-07-02T12:00:00", "02T11", "02T12"),
        ("Start=2024-07-01&End=2024-07-03", "01T00", "03T00"),
        ("Start=2024-07-02&End=2024-07-02T12:00:00%2B02:00", "02T00", "02T10"),
    ],
)
async def test_a_time_without_a_zone_is_utc_and_a_date_is_its_midnight(
    caller: Caller, path: str, period: str, start: str, end: str
) -> None:
    (record,) = await records(caller, f"{path}?{period}")
    assert record["period"] == {"start": f"2024-07-{start}:00:00Z", "end": f"2024-07-{end}:00:00Z"}


@BOTH
@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("Granularity=day", 33101, "Granularity='day': Granularity must be one of hourly, daily"),
        ("Granularity=", 33101, "Granularity=''"),
        ("Start=yesterday", 33101, "Start='yesterday': it must be a date and time like"),
        ("End=2024-02-30", 33101, "End='2024-02-30': it is not a real date and time"),
        ("End=2024-7-2", 33101, "End='2024-7-2': it must be a date and time like"),
        ("Start=", 33101, "Start='': it must be a date and time like"),
        (
            "Start=2024-07-02T00:00:00Z&End=2024-07-01T00:00:00Z",
            33101,
            "Start 2024-07-02T00:00:00Z must not be after End 2024-07-01T00:00:00Z",
        ),
        ("Start=2024-07-04T00:00:00Z", 33101, "Start 2024-07-04T00:00:00Z must not be after End"),
        (
            "Granularity=hourly&Start=2020-01-01T00:00:00Z",
            33101,
            "Granularity=hourly from Start 2020-01-01T00:00:00Z to End 2024-07-03T",
        ),
        ("PageSize=0", 33103, "PageSize='0'"),
        ("Page=-1", 33103, "Page='-1'"),
        ("PageToken=PAnobody", 33103, "PageToken: there is no record nobody in this list"),
        ("PageToken=nobody", 33103, "PageToken='nobody' is not a page token"),
    ],
)
async def test_an_invalid_request_for_usage_names_the_parameter(
    caller: Caller, path: str, query: str, code: int, message: str
) -> None:
    answer = await caller.get(f"{path}?{query}")
    assert refusal(answer) == (400, code)
    assert answer.json["message"].startswith(message)


@BOTH
async def test_an_unknown_parameter_of_usage_is_named(caller: Caller, path: str) -> None:
    answer = await caller.get(f"{path}?StartTime=x")
    assert (
        answer.headers["ringback-warning"] == "unknown parameters, which had no effect: 'StartTime'"
    )


# ---- pages ---------------------------------------------------------------------------------------


@BOTH
async def test_all_pages_cover_one_period_while_time_passes(
    caller: Caller, clock: FakeClock, path: str
) -> None:
    seen = list[str]()
    async for page in walk(caller, f"{path}?Granularity=hourly&PageSize=500"):
        seen += [record["period"]["start"] for record in page["usage_records"]]
        clock.advance(HOUR)
    assert len(seen) == len(set(seen)) == 30 * 24 + 1
    assert (seen[0], seen[-1]) == ("2024-07-03T14:00:00Z", "2024-06-03T14:00:00Z")


@BOTH
async def test_several_pages_have_the_same_records_as_one(caller: Caller, path: str) -> None:
    whole = await records(caller, f"{path}?Granularity=hourly&{A_DAY}")
    pages = [page async for page in walk(caller, f"{path}?Granularity=hourly&{A_DAY}&PageSize=7")]
    assert [record for page in pages for record in page["usage_records"]] == whole
    back = [page async for page in walk(caller, pages[-1]["meta"]["url"], by="previous_page_url")]
    assert back[-1]["usage_records"] == pages[0]["usage_records"]


@BOTH
async def test_the_pages_of_the_first_years_can_be_fetched_too(caller: Caller, path: str) -> None:
    period = "Start=0001-01-01T00:00:00Z&End=0001-01-01T03:00:00Z"
    query = f"Granularity=hourly&{period}&PageSize=1"
    pages = [page async for page in walk(caller, f"{path}?{query}")]
    assert [page["usage_records"][0]["period"]["start"] for page in pages] == [
        f"0001-01-01T{hour:02}:00:00Z" for hour in (2, 1, 0)
    ]


# ---- at KORE's host names ------------------------------------------------------------------------

AT_KORE = "programmable-wireless.api.korewireless.com"


@pytest.mark.parametrize("path", ["/v1/UsageRecords", f"/v1/Sims/{WIRELESS_SIM_SID}/UsageRecords"])
async def test_at_kores_host_usage_has_the_meta_of_kores_document(
    at_host: Callable[[str], Caller], path: str
) -> None:
    at_kore = at_host(AT_KORE)
    first = (await at_kore.get(f"{path}?Granularity=daily&{A_DAY}")).json["meta"]
    assert list(first)[-2:] == ["list_key", "direct_token"]
    assert (first["key"], first["list_key"], first["direct_token"]) == (
        "usage_records",
        "usage_records",
        False,
    )
    assert (first["previous_page_url"], first["next_page_url"]) == ("", "")
    url = f"{path}?Granularity=hourly&{A_DAY}&PageSize=20"
    pages = [one["meta"] async for one in walk(at_kore, url, origin=f"http://{AT_KORE}")]
    assert [page["page"] for page in pages] == [0, 1]
    assert pages[-1]["next_page_url"] == ""


async def test_elsewhere_and_in_other_lists_meta_has_seven_fields(
    caller: Caller, at_host: Callable[[str], Caller]
) -> None:
    for answer in (
        await caller.get("/wireless/v1/UsageRecords"),
        await at_host("wireless.twilio.com").get("/v1/UsageRecords"),
        await at_host("supersim.api.korewireless.com").get("/v1/UsageRecords"),
        await at_host(AT_KORE).get("/v1/Sims"),
    ):
        meta = answer.json["meta"]
        assert len(meta) == 7
        assert (meta["previous_page_url"], meta["next_page_url"]) == (None, None)
