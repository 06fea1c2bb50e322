from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ringback.core.calendar import months_after
from ringback.core.errors import InvalidParameter
from ringback.core.sims.data_session import total_between, when_used
from ringback.core.supersim.usage import (
    SuperSimDataSession,
    UsageGranularity,
    UsageGrouping,
    plan_query,
)
from tests.fakes import NOW
from tests.unit.core.builders import a_session

AN_INSTANT = timedelta(microseconds=1)
rates = st.one_of(st.integers(0, 10), st.integers(0, 10**9))
counts = st.one_of(st.integers(0, 10), st.integers(0, 2 * 10**12))
spans = st.timedeltas(timedelta(0), timedelta(days=400))
near_instants = st.timedeltas(timedelta(days=-200), timedelta(days=500)).map(lambda by: NOW + by)
instants = st.one_of(near_instants, st.datetimes(timezones=st.just(UTC)))


@st.composite
def sessions(draw: st.DrawFn) -> SuperSimDataSession:
    """Draw a session: open, or with an end at or after its beginning."""
    lasts = draw(st.none() | spans)
    return a_session(up=draw(rates), down=draw(rates), ended=None if lasts is None else NOW + lasts)


@given(sessions(), st.lists(near_instants, min_size=3, max_size=6).map(sorted))
def test_adjoining_periods_add_up_exactly_to_the_whole(
    session: SuperSimDataSession, bounds: list[datetime]
) -> None:
    parts = [session.bytes_between(start, end) for start, end in pairwise(bounds)]
    whole = session.bytes_between(bounds[0], bounds[-1])
    assert (sum(up for up, _ in parts), sum(down for _, down in parts)) == whole


@given(sessions(), near_instants, near_instants)
def test_nothing_is_used_outside_of_a_session(
    session: SuperSimDataSession, start: datetime, end: datetime
) -> None:
    within = session.bytes_between(
        max(start, session.date_created), min(end, session.date_ended or end)
    )
    assert session.bytes_between(start, end) == within
    assert min(within) >= 0


@given(sessions(), counts, near_instants)
def test_usage_grows_at_the_computed_instant_and_not_a_microsecond_before(
    session: SuperSimDataSession, count: int, since: datetime
) -> None:
    reached = when_used(count, session, since=since)
    if reached is None:
        last = datetime.max.replace(tzinfo=UTC)
        is_over = session.date_ended is not None and session.date_ended < since
        assert is_over or total_between([session], since, last) < count
    else:
        assert reached >= since
        assert total_between([session], since, reached) >= count
        if reached > max(since, session.date_created):
            assert total_between([session], since, reached - AN_INSTANT) < count


@given(
    start=st.none() | instants,
    end=st.none() | instants,
    granularity=st.sampled_from(UsageGranularity),
    group=st.none() | st.sampled_from(UsageGrouping),
)
def test_any_period_is_accepted_or_refused_with_a_code_of_its_own(
    start: datetime | None,
    end: datetime | None,
    granularity: UsageGranularity,
    group: UsageGrouping | None,
) -> None:
    try:
        query = plan_query(
            start=start, end=end, granularity=granularity, group=group, filters={}, now=NOW
        )
    except InvalidParameter as refusal:
        assert refusal.code in range(83600, 83606)  # noqa: PT017 (either is right)
    else:
        periods = query.periods()
        assert (periods[-1][0], periods[0][1]) == (query.start, query.end)
        assert len(periods) <= 31 * 24


@given(instants, st.integers(-30, 30))
def test_months_keep_the_day_or_end_on_their_last_one(instant: datetime, months: int) -> None:
    later = months_after(instant, months=months)
    if later not in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
        assert (later.year - instant.year) * 12 + later.month - instant.month == months
        assert later.timetz() == instant.timetz()
        is_last = (later + timedelta(days=1)).day == 1 if later.year < 9999 else later.day >= 28
        assert later.day == instant.day or (later.day < instant.day and is_last)
