from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from ringback.core.policy.source_policy import Source
from ringback.core.streams.batch_plan import BatchRules, PendingEvent, WaitingTimes, plan_batches
from ringback.core.streams.event_types import StreamEventType
from tests.fakes import NOW
from tests.streams import ARN, ENDED, STARTED, UPDATED, a_sink, an_event_of

SECOND = timedelta(seconds=1)
KORE = BatchRules.of(a_sink(), SECOND)
TWILIO = BatchRules.of(a_sink(source=Source.TWILIO), SECOND)
WITH_BATCHES = BatchRules.of(a_sink(source=Source.TWILIO, has_batches=True), SECOND)
KINESIS = BatchRules.of(a_sink(arn=ARN), SECOND)


def pending(*events: tuple[str, StreamEventType], size: int = 600) -> list[PendingEvent]:
    return [PendingEvent(n, sim, type_, size) for n, (sim, type_) in enumerate(events, 1)]


def numbers(
    events: list[PendingEvent],
    rules: BatchRules,
    *,
    busy: tuple[str, ...] = (),
    most: int = 99,
    overdue: int = 2**63,
) -> list[list[int]]:
    batches = plan_batches(events, rules, busy=busy, most=most, overdue=overdue)
    return [[event.number for event in batch] for batch in batches]


def test_the_size_of_an_event_is_in_bytes() -> None:
    event = an_event_of(7, sim_unique_name="ü")
    assert PendingEvent.of(3, event) == (3, event.sim_sid, STARTED, len(event.data) + 1)


def test_the_rules_are_those_of_each_kind_of_sink() -> None:
    assert BatchRules(50, has_one_type=True, wait=SECOND) == KORE
    assert BatchRules(1) == TWILIO
    assert BatchRules(1, in_flight=500) == KINESIS
    assert WITH_BATCHES.largest == 64_000
    assert BatchRules.of(a_sink(source=Source.TWILIO, arn=ARN), SECOND) == KINESIS


def test_kore_has_a_batch_for_each_type() -> None:
    events = pending(("a", STARTED), ("b", ENDED), ("c", STARTED))
    assert numbers(events, KORE) == [[1, 3], [2]]


def test_a_sim_is_in_one_batch_at_a_time() -> None:
    events = pending(("a", STARTED), ("a", UPDATED), ("b", UPDATED), ("a", STARTED))
    assert numbers(events, KORE) == [[1], [3]]


def test_events_of_busy_sims_wait() -> None:
    assert numbers(pending(("a", STARTED), ("b", STARTED)), TWILIO, busy=("a",)) == [[2]]


def test_batches_that_are_not_full_wait_for_their_time() -> None:
    events = pending(*((f"{n}", STARTED) for n in range(51)), ("x", ENDED))
    assert list(map(len, numbers(events, KORE, overdue=0))) == [50]
    assert list(map(len, numbers(events, KORE, overdue=51))) == [50, 1]
    assert list(map(len, numbers(events, KORE))) == [50, 1, 1]
    exactly = pending(*((f"{n}", STARTED) for n in range(50)))
    assert list(map(len, numbers(exactly, KORE, overdue=0))) == [50]


def test_twilio_does_not_wait() -> None:
    events = pending(("a", STARTED), ("b", ENDED))
    assert numbers(events, WITH_BATCHES, overdue=0) == [[1, 2]]


def test_a_large_batch_is_closed_and_a_larger_event_goes_alone() -> None:
    events = pending(*((f"{n}", STARTED) for n in range(4)), size=30_000)
    assert numbers(events, WITH_BATCHES) == [[1, 2], [3, 4]]
    huge = pending(("a", STARTED), ("b", STARTED), size=99_000)
    assert numbers(huge, WITH_BATCHES) == [[1], [2]]


def test_no_more_batches_than_asked_for_are_planned() -> None:
    events = pending(*((f"{n}", STARTED) for n in range(9)))
    assert numbers(events, TWILIO, most=2) == [[1], [2]]
    assert numbers(events, TWILIO, most=0) == []


def test_events_are_overdue_when_they_were_seen_long_enough_ago() -> None:
    times = WaitingTimes().at(NOW, 5, SECOND)
    assert (times.overdue, times.first) == (0, NOW)
    half = NOW + SECOND / 2
    times = times.at(half, 8, SECOND).at(half, 8, SECOND)
    assert times == WaitingTimes(0, ((NOW, 5), (half, 8)))
    times = times.at(NOW + SECOND, 9, SECOND)
    assert (times.overdue, times.first) == (5, half)
    times = times.at(NOW + 9 * SECOND, 9, SECOND)
    assert times == WaitingTimes(9)
    assert times.at(NOW + 9 * SECOND, 7, SECOND).first is None


TYPES = st.sampled_from([STARTED, UPDATED, ENDED])
RULES = st.sampled_from([KORE, TWILIO, WITH_BATCHES, BatchRules(3, has_one_type=True)])


@given(st.lists(st.tuples(st.sampled_from("abcd"), TYPES)), RULES, st.integers(0, 5))
def test_repeated_plans_send_everything_once_and_each_sims_events_in_order(
    events: list[tuple[str, StreamEventType]], rules: BatchRules, most: int
) -> None:
    left, sent = pending(*events), list[PendingEvent]()
    while left and most:
        batches = plan_batches(left, rules, busy=(), most=most)
        assert batches, "something can always be sent if no SIM is busy"
        sims = [{event.sim_sid for event in batch} for batch in batches]
        assert sum(map(len, sims)) == len(set().union(*sims)), "no SIM is in two batches"
        for batch in batches:
            assert len(batch) <= rules.most_events
            assert not rules.has_one_type or len({event.type for event in batch}) == 1
            sent += batch
        left = [event for event in left if event not in sent]
    if most:
        assert sorted(sent) == pending(*events)
        for sim in "abcd":
            own = [event.number for event in sent if event.sim_sid == sim]
            assert own == sorted(own)
