from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from ringback.core.calendar import months_after
from ringback.core.errors import InvalidParameter
from ringback.core.sims.data_session import MEGABYTE
from ringback.core.supersim.usage import (
    FIELD_OF,
    BillingPeriod,
    BillingPeriodType,
    SuperSimDataSession,
    UsageGranularity,
    UsageGrouping,
    UsageQuery,
    UsageRecord,
    plan_query,
    summarize,
)
from tests.fakes import ACCOUNT_SID, FLEET_SID, NOW, SIM_SID
from tests.unit.core.builders import a_session

ALL, DAY, HOUR = UsageGranularity.ALL, UsageGranularity.DAY, UsageGranularity.HOUR
NO_FILTERS: Mapping[str, str] = {}
AN_HOUR, AN_INSTANT = timedelta(hours=1), timedelta(microseconds=1)
OTHER_SIM = f"HS{'f' * 32}"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# ---- periods of a query --------------------------------------------------------------------------


def planned(
    *,
    start: str | None = None,
    end: str | None = None,
    granularity: UsageGranularity = ALL,
    group: UsageGrouping | None = None,
    now: datetime = NOW,
) -> UsageQuery:
    return plan_query(
        start=None if start is None else at(start),
        end=None if end is None else at(end),
        granularity=granularity,
        group=group,
        filters=NO_FILTERS,
        now=now,
    )


@pytest.mark.parametrize(
    ("granularity", "start", "end"),
    [
        (ALL, "2024-06-03T14:40:58", "2024-07-03T14:40:58"),
        (HOUR, "2024-06-03T15:00:00", "2024-07-03T15:00:00"),
        (DAY, "2024-06-04T00:00:00", "2024-07-04T00:00:00"),
    ],
)
def test_the_default_period_is_the_last_month_and_the_present_hour_or_day(
    granularity: UsageGranularity, start: str, end: str
) -> None:
    query = planned(granularity=granularity)
    assert (query.start, query.end) == (at(start), at(end))


@pytest.mark.parametrize("granularity", UsageGranularity)
def test_on_a_boundary_no_present_period_is_added(granularity: UsageGranularity) -> None:
    assert planned(granularity=granularity, now=at("2024-07-03")).end == at("2024-07-03")


@pytest.mark.parametrize("granularity", UsageGranularity)
@pytest.mark.parametrize("group", [None, UsageGrouping.SIM])
@pytest.mark.parametrize("now", ["2024-03-31T12:00", "2023-03-01T00:30", "2024-12-31T23:59:59"])
def test_the_default_period_is_never_refused(
    granularity: UsageGranularity, group: UsageGrouping | None, now: str
) -> None:
    query = planned(granularity=granularity, group=group, now=at(now))
    assert timedelta(days=28) <= query.end - query.start <= timedelta(days=31)


def test_an_end_without_a_start_selects_the_month_before_it() -> None:
    assert planned(end="2024-03-31T10:00:00").start == at("2024-02-29T10:00:00")


def test_a_start_without_an_end_selects_all_since() -> None:
    query = planned(start="2024-07-01", granularity=DAY)
    assert (query.start, query.end) == (at("2024-07-01"), at("2024-07-04"))


def test_a_query_keeps_its_groups_and_filters() -> None:
    query = plan_query(
        start=None,
        end=None,
        granularity=HOUR,
        group=UsageGrouping.FLEET,
        filters={"a": "b"},
        now=NOW,
    )
    assert (query.granularity, query.group, query.filters) == (
        HOUR,
        UsageGrouping.FLEET,
        {"a": "b"},
    )


@pytest.mark.parametrize(
    ("asked", "code", "message"),
    [
        pytest.param(
            {"start": "2024-07-01", "end": "2024-07-01"},
            83600,
            "StartTime 2024-07-01T00:00:00Z must be before EndTime 2024-07-01T00:00:00Z",
            id="nothing lies between",
        ),
        pytest.param(
            {"start": "2024-07-03T14:40:58"},
            83600,
            "StartTime 2024-07-03T14:40:58Z must be before EndTime 2024-07-03T14:40:58Z",
            id="it starts now",
        ),
        pytest.param(
            {"start": "2024-07-01T01:00", "end": "2024-07-02", "granularity": DAY},
            83601,
            "with Granularity=day, StartTime and EndTime must be the start of a UTC day",
            id="it starts within a day",
        ),
        pytest.param(
            {"start": "2024-07-01", "end": "2024-07-02T00:00:00.000001", "granularity": DAY},
            83601,
            "with Granularity=day, StartTime and EndTime must be the start of a UTC day",
            id="it ends within a day",
        ),
        pytest.param(
            {"end": "2024-07-02T12:00", "granularity": DAY},
            83601,
            "with Granularity=day, StartTime and EndTime must be the start of a UTC day",
            id="it ends within a day, a month after it starts",
        ),
        pytest.param(
            {"start": "2024-07-01T01:00:01", "end": "2024-07-02", "granularity": HOUR},
            83602,
            "with Granularity=hour, StartTime and EndTime must be the start of an hour",
            id="it starts within an hour",
        ),
        pytest.param(
            {"start": "2024-07-01T01:00", "end": "2024-07-02T00:30", "granularity": HOUR},
            83602,
            "with Granularity=hour, StartTime and EndTime must be the start of an hour",
            id="it ends within an hour",
        ),
        pytest.param(
            {
                "start": "2024-05-01",
                "end": "2024-06-01T00:00:00.000001",
                "group": UsageGrouping.SIM,
            },
            83603,
            "with Group=sim, StartTime and EndTime can be at most 31 days apart",
            id="SIM by SIM for too long",
        ),
        pytest.param(
            {"start": "2024-05-01", "end": "2024-06-01T01:00", "granularity": HOUR},
            83604,
            "with Granularity=hour, StartTime and EndTime can be at most 31 days apart",
            id="hour by hour for too long",
        ),
        pytest.param(
            {"start": "2023-07-01", "end": "2025-01-10", "granularity": DAY},
            83604,
            "with Granularity=day, StartTime and EndTime can be at most 558 days apart",
            id="day by day for too long",
        ),
        pytest.param(
            {"start": "2023-01-03T14:40:57.999999", "end": "2023-02-01"},
            83605,
            "StartTime 2023-01-03T14:40:57Z is more than 18 months ago; choose a later one",
            id="too long ago",
        ),
    ],
)
def test_an_invalid_query_is_refused_with_its_code(
    asked: dict[str, str], code: int, message: str
) -> None:
    with pytest.raises(InvalidParameter) as refused:
        planned(**asked)  # pyright: ignore[reportArgumentType] - each value is of its own type
    assert (refused.value.status, refused.value.code) == (400, code)
    assert refused.value.message == message


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"start": "2023-01-03T14:40:58", "end": "2023-02-01"}, id="18 months ago"),
        pytest.param(
            {"start": "2024-05-01", "end": "2024-06-01", "group": UsageGrouping.SIM}, id="by SIM"
        ),
        pytest.param(
            {"start": "2023-02-01", "end": "2024-07-01", "group": UsageGrouping.FLEET},
            id="by fleet",
        ),
        pytest.param(
            {"start": "2024-05-01T05:00", "end": "2024-06-01T05:00", "granularity": HOUR},
            id="by hour",
        ),
        pytest.param(
            {"start": "2023-01-04", "end": "2024-07-04", "granularity": DAY},
            id="all that is kept, by day",
        ),
        pytest.param({"start": "2024-07-03T14:40:58", "end": "9999-12-31"}, id="all that comes"),
    ],
)
def test_a_query_just_within_the_limits_is_accepted(asked: dict[str, str]) -> None:
    query = planned(**asked)  # pyright: ignore[reportArgumentType] - each value is of its own type
    assert (query.start, query.end) == (at(asked["start"]), at(asked["end"]))


@pytest.mark.parametrize("granularity", UsageGranularity)
@pytest.mark.parametrize(
    ("start", "end", "codes"),
    [
        ("0001-01-01", None, {83604, 83605}),
        ("0001-01-01", "0001-01-02", {83605}),
        (None, "0001-01-01", {83600}),
        (None, "0001-01-20", {83605}),
        ("9999-12-31", None, {83600}),
        ("0001-01-01", "9999-12-31", {83604, 83605}),
    ],
)
def test_absurd_periods_are_refused_like_others(
    start: str | None, end: str | None, codes: set[int], granularity: UsageGranularity
) -> None:
    with pytest.raises(InvalidParameter) as refused:
        planned(start=start, end=end, granularity=granularity)
    assert refused.value.code in codes


# ---- records -------------------------------------------------------------------------------------


def summed(
    sessions: list[SuperSimDataSession],
    *,
    start: datetime = NOW,
    end: datetime = NOW + 2 * AN_HOUR,
    granularity: UsageGranularity = ALL,
    group: UsageGrouping | None = None,
    filters: Mapping[str, str] = NO_FILTERS,
    now: datetime = NOW + 10 * AN_HOUR,
) -> list[UsageRecord]:
    query = UsageQuery(start, end, granularity, group, filters)
    return summarize(ACCOUNT_SID, query, sessions, now)


def test_periods_are_reported_newest_first_including_empty_ones() -> None:
    records = summed(
        [a_session(ended=NOW + 1.5 * AN_HOUR)], end=NOW + 3 * AN_HOUR, granularity=HOUR
    )
    assert [(record.start - NOW, record.end - NOW) for record in records] == [
        (2 * AN_HOUR, 3 * AN_HOUR),
        (AN_HOUR, 2 * AN_HOUR),
        (timedelta(0), AN_HOUR),
    ]
    assert [(record.upload, record.download) for record in records] == [
        (0, 0),
        (500, 1000),
        (1000, 2000),
    ]


def test_days_are_reported_by_days() -> None:
    records = summed(
        [], start=at("2024-07-01"), end=at("2024-07-03"), granularity=DAY, now=at("2024-07-09")
    )
    assert [f"{record.start:%d} {record.end:%d}" for record in records] == ["02 03", "01 02"]


def test_future_usage_is_not_reported() -> None:
    (record,) = summed([a_session()], now=NOW + AN_HOUR)
    assert (record.end, record.upload) == (NOW + 2 * AN_HOUR, 1000)


def test_without_a_group_there_is_one_record_for_all() -> None:
    (record,) = summed([a_session(), a_session(sim_sid=OTHER_SIM)])
    assert (record.account_sid, record.upload, record.download) == (ACCOUNT_SID, 4000, 8000)
    assert record.of == {}


def test_without_usage_there_is_an_empty_record_but_none_of_a_group() -> None:
    assert [record.upload + record.download for record in summed([])] == [0]
    assert summed([], group=UsageGrouping.SIM) == []
    assert summed([a_session(up=0, down=0)], group=UsageGrouping.SIM) == []


@pytest.mark.parametrize(
    ("group", "values"),
    [
        (UsageGrouping.SIM, [SIM_SID, OTHER_SIM]),
        (UsageGrouping.FLEET, [FLEET_SID, f"HF{'e' * 32}"]),
        (UsageGrouping.NETWORK, [f"HW{'6' * 32}", f"HW{'d' * 32}"]),
        (UsageGrouping.ISO_COUNTRY, ["US", "ZA"]),
    ],
)
def test_a_group_has_a_record_for_each_value_and_period(
    group: UsageGrouping, values: list[str]
) -> None:
    other = a_session(
        sim_sid=OTHER_SIM,
        fleet_sid=f"HF{'e' * 32}",
        network_sid=f"HW{'d' * 32}",
        iso_country="ZA",
        up=1,
        down=0,
    )
    records = summed([other, a_session(), a_session()], group=group, granularity=HOUR)
    assert [(record.of, record.upload) for record in records] == [
        ({FIELD_OF[group]: value}, upload)
        for _ in range(2)
        for value, upload in zip(values, (2000, 1), strict=True)
    ]
    assert len({record.sid for record in records}) == len(records)


def test_groups_and_granularities_have_the_names_of_the_api() -> None:
    assert list(UsageGrouping) == ["sim", "fleet", "network", "isoCountry"]
    assert list(UsageGranularity) == ["hour", "day", "all"]
    assert set(FIELD_OF) == set(UsageGrouping)


def test_filters_leave_others_out_and_are_shown_in_the_record() -> None:
    sessions = [a_session(), a_session(sim_sid=OTHER_SIM, up=1, down=1)]
    filters = {"sim_sid": OTHER_SIM, "iso_country": "US"}
    (record,) = summed(sessions, filters=filters)
    assert (record.of, record.upload) == (filters, 2)
    (grouped,) = summed(sessions, filters=filters, group=UsageGrouping.FLEET)
    assert grouped.of == {**filters, "fleet_sid": FLEET_SID}


def test_filters_without_a_match_leave_an_empty_record() -> None:
    (record,) = summed([a_session()], filters={"iso_country": "ZA"})
    assert (record.of, record.upload) == ({"iso_country": "ZA"}, 0)


@pytest.mark.parametrize(
    ("upload", "download", "billed"),
    [
        (0, 0, "0"),
        (100_000, 200_000, "0.03"),
        (0, 50_000, "0"),
        (0, 50_001, "0.01"),
        (150_000, 0, "0.02"),
        (5 * MEGABYTE, 5 * MEGABYTE, "1.00"),
        (10**15, 0, "100000000.00"),
    ],
)
def test_a_price_is_a_text_with_cents_or_a_zero(upload: int, download: int, billed: str) -> None:
    assert UsageRecord(ACCOUNT_SID, NOW, NOW, {}, upload, download).billed == billed


def test_the_types_of_a_period_are_those_of_the_api() -> None:
    assert list(BillingPeriodType) == ["ready", "active"]


def test_a_period_belongs_to_one_sim_and_has_one_type() -> None:
    period = BillingPeriod(
        sid=f"HB{'1' * 32}",
        account_sid=ACCOUNT_SID,
        sim_sid=SIM_SID,
        period_type=BillingPeriodType.ACTIVE,
        start_time=NOW,
        end_time=months_after(NOW),
        date_created=NOW,
        date_updated=NOW,
    )
    assert period.end_time - period.start_time == timedelta(days=31)
