from datetime import UTC, datetime, timedelta

import pytest

from ringback.core.calendar import INSTANT
from ringback.core.errors import InvalidParameter
from ringback.core.sims.message import Direction
from ringback.core.sims.mobile_networks import NETWORKS, MobileNetwork
from ringback.core.wireless.data_session import WirelessDataSession
from ringback.core.wireless.rate_plan import RoamingZone
from ringback.core.wireless.usage import (
    MOST_RECORDS,
    CommandCount,
    UsagePeriod,
    UsageTotals,
    WirelessUsage,
    WirelessUsageGranularity,
    WirelessUsageQuery,
    plan_query,
    summarize,
)
from tests.fakes import ACCOUNT_SID, NOW
from tests.wireless_fakes import ABROAD, HOME, NATIONAL, WIRELESS_SIM_SID, a_wireless_session

HOURLY, DAILY, ALL = WirelessUsageGranularity
TO_SIM, FROM_SIM = Direction
AN_HOUR, A_DAY = timedelta(hours=1), timedelta(days=1)
FRANCE = next(network for network in NETWORKS if network.iso_country == "FR")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# ---- periods of a query --------------------------------------------------------------------------


def planned(
    start: str | None = None, end: str | None = None, granularity: WirelessUsageGranularity = ALL
) -> WirelessUsageQuery:
    return plan_query(
        None if start is None else at(start), None if end is None else at(end), granularity, NOW
    )


def test_granularities_have_the_names_of_the_api() -> None:
    assert list(WirelessUsageGranularity) == ["hourly", "daily", "all"]


@pytest.mark.parametrize(
    ("granularity", "query"),
    [
        (ALL, WirelessUsageQuery(at("2024-06-03T14:40:58"), at("2024-07-03T14:40:58"), None)),
        (HOURLY, WirelessUsageQuery(at("2024-06-03T14:00"), at("2024-07-03T15:00"), AN_HOUR)),
        (DAILY, WirelessUsageQuery(at("2024-06-03"), at("2024-07-04"), A_DAY)),
    ],
)
def test_the_default_period_is_the_last_month_in_whole_hours_or_days(
    granularity: WirelessUsageGranularity, query: WirelessUsageQuery
) -> None:
    assert planned(granularity=granularity) == query


def test_an_end_without_a_start_selects_the_month_before_it() -> None:
    assert planned(end="2024-03-31T10:00").start == at("2024-02-29T10:00")


def test_a_start_without_an_end_selects_all_since() -> None:
    assert planned(start="2023-01-01") == WirelessUsageQuery(at("2023-01-01"), NOW, None)


@pytest.mark.parametrize("granularity", [HOURLY, DAILY])
def test_a_period_on_boundaries_stays_unchanged(granularity: WirelessUsageGranularity) -> None:
    query = planned("2024-07-01", "2024-07-03", granularity)
    assert (query.start, query.end) == (at("2024-07-01"), at("2024-07-03"))


@pytest.mark.parametrize(
    ("granularity", "slots"),
    [
        (ALL, [UsagePeriod(0, NOW, NOW)]),
        (HOURLY, [UsagePeriod(0, at("2024-07-03T14:00"), at("2024-07-03T15:00"))]),
        (DAILY, [UsagePeriod(0, at("2024-07-03"), at("2024-07-04"))]),
    ],
)
def test_a_single_instant_can_be_queried(
    granularity: WirelessUsageGranularity, slots: list[UsagePeriod]
) -> None:
    instant = "2024-07-03T14:40:58"
    assert planned(instant, instant, granularity).slots() == slots


@pytest.mark.parametrize("granularity", WirelessUsageGranularity)
def test_a_start_after_the_end_has_33101(granularity: WirelessUsageGranularity) -> None:
    with pytest.raises(InvalidParameter) as refused:
        planned("2024-07-02", "2024-07-01T23:59:59.999999", granularity)
    assert (refused.value.status, refused.value.code) == (400, 33101)
    assert (
        refused.value.message
        == "Start 2024-07-02T00:00:00Z must not be after End 2024-07-01T23:59:59Z"
    )


@pytest.mark.parametrize("granularity", WirelessUsageGranularity)
def test_a_future_start_is_refused(granularity: WirelessUsageGranularity) -> None:
    with pytest.raises(InvalidParameter, match="must not be after End 2024-07-03T14:40:58Z"):
        planned("9999-12-31", granularity=granularity)


@pytest.mark.parametrize(("granularity", "span"), [(HOURLY, AN_HOUR), (DAILY, A_DAY)])
def test_the_number_of_records_is_limited(
    granularity: WirelessUsageGranularity, span: timedelta
) -> None:
    end = at("2024-07-03")
    most = plan_query(end - MOST_RECORDS * span, end, granularity, NOW)
    assert len(most.slots()) == MOST_RECORDS == 10_000
    for late, early in ((INSTANT, timedelta(0)), (timedelta(0), INSTANT)):
        start = end - MOST_RECORDS * span - early
        with pytest.raises(InvalidParameter) as refused:
            plan_query(start, end + late, granularity, NOW)
        assert refused.value.code == 33101
        assert refused.value.message.endswith(" makes 10001 records; at most 10000 are allowed")


def test_the_refusal_of_too_many_records_says_how_they_arise() -> None:
    with pytest.raises(InvalidParameter) as refused:
        planned("2022-01-01", "2024-01-01", HOURLY)
    assert refused.value.message == (
        "Granularity=hourly from Start 2022-01-01T00:00:00Z to End 2024-01-01T00:00:00Z"
        " makes 17520 records; at most 10000 are allowed"
    )


@pytest.mark.parametrize(
    ("start", "end"),
    [("2024-07-01T10:30", "2024-07-03T14:40:58"), ("2023-05-13T08:20", "2024-07-02T23:40")],
)
@pytest.mark.parametrize("granularity", WirelessUsageGranularity)
def test_the_period_of_a_query_is_itself_a_valid_query(
    start: str, end: str, granularity: WirelessUsageGranularity
) -> None:
    query = planned(start, end, granularity)
    assert plan_query(query.start, query.end, granularity, NOW) == query


@pytest.mark.parametrize("granularity", [HOURLY, DAILY])
def test_the_last_period_of_the_calendar_is_never_over(
    granularity: WirelessUsageGranularity,
) -> None:
    query = planned("9999-12-31T23:10", "9999-12-31T23:20", granularity)
    assert query.end == datetime.max.replace(tzinfo=UTC)
    assert query.slots() == []


def test_the_first_instant_of_the_calendar_can_be_queried() -> None:
    assert planned(end="0001-01-01").slots() == [UsagePeriod(0, at("0001-01-01"), at("0001-01-01"))]


# ---- slots ---------------------------------------------------------------------------------------


def test_slots_are_reported_newest_first_and_counted_from_the_start() -> None:
    slots = planned("2024-07-03T12:30", "2024-07-03T14:40:58", HOURLY).slots()
    assert slots == [
        UsagePeriod(2, at("2024-07-03T14:00"), at("2024-07-03T15:00")),
        UsagePeriod(1, at("2024-07-03T13:00"), at("2024-07-03T14:00")),
        UsagePeriod(0, at("2024-07-03T12:00"), at("2024-07-03T13:00")),
    ]
    assert [slot.sid for slot in slots] == ["2024070314", "2024070313", "2024070312"]


@pytest.mark.parametrize("granularity", WirelessUsageGranularity)
def test_no_two_slots_of_a_list_have_one_sid(granularity: WirelessUsageGranularity) -> None:
    slots = planned("2024-01-01", granularity=granularity).slots()
    assert len({slot.sid for slot in slots}) == len(slots)


# ---- records -------------------------------------------------------------------------------------


def summed(
    sessions: list[WirelessDataSession],
    counts: list[CommandCount] | None = None,
    *,
    slots: list[UsagePeriod] | None = None,
    now: datetime = NOW + 10 * AN_HOUR,
) -> list[WirelessUsage]:
    return summarize(
        ACCOUNT_SID,
        WIRELESS_SIM_SID,
        slots or [UsagePeriod(0, NOW, NOW + 2 * AN_HOUR)],
        sessions=sessions,
        counts=counts or [],
        now=now,
    )


def session_on(network: MobileNetwork, *, up: int = 1000, down: int = 2000) -> WirelessDataSession:
    return a_wireless_session(network_sid=network.sid, up=up, down=down)


def test_a_record_belongs_to_an_account_a_sim_and_a_slot() -> None:
    slot = UsagePeriod(0, NOW, NOW + AN_HOUR)
    (record,) = summed([], slots=[slot])
    assert (record.account_sid, record.sim_sid, record.slot) == (
        ACCOUNT_SID,
        WIRELESS_SIM_SID,
        slot,
    )
    assert record.sid == slot.sid


def test_usage_is_reported_by_zone_and_country() -> None:
    sessions = [
        session_on(HOME),
        session_on(HOME, up=1, down=2),
        session_on(NATIONAL, up=10, down=0),
        session_on(ABROAD, up=0, down=5),
    ]
    (record,) = summed(sessions)
    assert record.by_country == {
        (RoamingZone.HOME, "US"): UsageTotals(upload=2002, download=4004),
        (RoamingZone.NATIONAL, "US"): UsageTotals(upload=20, download=0),
        (RoamingZone.INTERNATIONAL, ABROAD.iso_country): UsageTotals(upload=0, download=10),
    }


def test_commands_are_reported_by_zone_country_and_direction() -> None:
    counts = [
        CommandCount(0, HOME.sid, TO_SIM, 3),
        CommandCount(0, HOME.sid, FROM_SIM, 2),
        CommandCount(0, NATIONAL.sid, TO_SIM, 1),
        CommandCount(0, FRANCE.sid, FROM_SIM, 4),
    ]
    (record,) = summed([], counts)
    assert record.by_country == {
        (RoamingZone.HOME, "US"): UsageTotals({TO_SIM: 3, FROM_SIM: 2}),
        (RoamingZone.NATIONAL, "US"): UsageTotals({TO_SIM: 1}),
        (RoamingZone.INTERNATIONAL, "FR"): UsageTotals({FROM_SIM: 4}),
    }


def test_commands_on_two_networks_of_one_country_are_reported_together() -> None:
    of_france = [network.sid for network in NETWORKS if network.iso_country == "FR"]
    (record,) = summed([], [CommandCount(0, sid, TO_SIM, 2) for sid in of_france])
    assert record.by_country == {
        (RoamingZone.INTERNATIONAL, "FR"): UsageTotals({TO_SIM: 2 * len(of_france)})
    }


def test_data_and_commands_of_one_place_are_reported_together() -> None:
    (record,) = summed([session_on(HOME)], [CommandCount(0, HOME.sid, TO_SIM, 1)])
    assert record.by_country == {(RoamingZone.HOME, "US"): UsageTotals({TO_SIM: 1}, 2000, 4000)}


def test_a_place_without_usage_is_not_reported() -> None:
    (record,) = summed([session_on(HOME, up=0, down=0), session_on(FRANCE, up=1, down=0)])
    assert set(record.by_country) == {(RoamingZone.INTERNATIONAL, "FR")}


def test_a_command_on_a_network_that_is_no_longer_known_is_not_reported() -> None:
    (record,) = summed([], [CommandCount(0, "HW" + "0" * 32, TO_SIM, 1)])
    assert record.by_country == {}


def test_usage_counts_in_its_slot() -> None:
    slots = [UsagePeriod(1, NOW + AN_HOUR, NOW + 2 * AN_HOUR), UsagePeriod(0, NOW, NOW + AN_HOUR)]
    session = a_wireless_session(ended=NOW + 1.5 * AN_HOUR)
    counts = [CommandCount(0, HOME.sid, TO_SIM, 1), CommandCount(1, HOME.sid, TO_SIM, 7)]
    records = summed([session], counts, slots=slots)
    assert [record.slot for record in records] == slots
    assert [record.used_in(RoamingZone.HOME) for record in records] == [
        UsageTotals({TO_SIM: 7, FROM_SIM: 0}, 500, 1000),
        UsageTotals({TO_SIM: 1, FROM_SIM: 0}, 1000, 2000),
    ]


def test_future_usage_is_not_reported() -> None:
    (record,) = summed([session_on(HOME)], now=NOW + AN_HOUR)
    assert record.used_in(RoamingZone.HOME).upload == 1000


def test_zones_can_be_reported_together() -> None:
    sessions = [session_on(network) for network in (HOME, NATIONAL, ABROAD, FRANCE)]
    counts = [
        CommandCount(0, HOME.sid, TO_SIM, 1),
        CommandCount(0, FRANCE.sid, TO_SIM, 2),
        CommandCount(0, ABROAD.sid, FROM_SIM, 5),
    ]
    (record,) = summed(sessions, counts)
    assert record.used_in(*RoamingZone) == UsageTotals({TO_SIM: 3, FROM_SIM: 5}, 8000, 16000)
    assert record.used_in(RoamingZone.NATIONAL) == UsageTotals({TO_SIM: 0, FROM_SIM: 0}, 2000, 4000)
    assert record.used_in(RoamingZone.INTERNATIONAL) == UsageTotals(
        {TO_SIM: 2, FROM_SIM: 5}, 4000, 8000
    )


def test_other_countries_are_reported_one_by_one_by_their_codes() -> None:
    sessions = [session_on(FRANCE), session_on(HOME), session_on(ABROAD, up=1, down=1)]
    (record,) = summed(sessions)
    assert record.abroad() == [
        (ABROAD.iso_country, UsageTotals(upload=2, download=2)),
        ("FR", UsageTotals(upload=2000, download=4000)),
    ]
