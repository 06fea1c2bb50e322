from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ringback.core.callback import CallbackStatus, begin_attempt, round_of, settle_callback
from ringback.core.connection import Limits, limits_of
from ringback.core.outcome import Delivered, Outcome, Unknown
from ringback.core.retry import TryAgain, decide, time_left
from ringback.core.source import Source
from tests.fakes import NOW, a_callback
from tests.properties.strategies import outcomes, sources, urls

waits = st.integers(0, 20_000).map(lambda ms: timedelta(milliseconds=ms))
endings = st.lists(st.tuples(outcomes, waits), max_size=30)


@given(urls(), sources, endings)
def test_a_round_never_has_more_than_rc_and_one_attempts(
    url: str, source: Source, endings: list[tuple[Outcome, timedelta]]
) -> None:
    callback, now, attempts = a_callback(url=url, source=source), NOW, 0
    for outcome, took in endings:
        if callback.due is None:
            break
        callback, _ = begin_attempt(callback, now)
        attempts += 1
        assert attempts <= callback.url.connection.retry_count + 1
        now += took
        decision = decide(
            outcome,
            connection=callback.url.connection,
            source=source,
            round_=round_of(callback),
            now=now,
        )
        attempts = 0 if decision == TryAgain(now, fresh_round=True) else attempts
        callback = settle_callback(callback, decision, now)


@given(urls(), sources, endings)
def test_source_token_and_payload_outlive_every_attempt(
    url: str, source: Source, endings: list[tuple[Outcome, timedelta]]
) -> None:
    states, now = [a_callback(url=url, source=source)], NOW
    for outcome, took in endings:
        begun, _ = begin_attempt(states[-1], now)
        now += took
        decision = decide(
            outcome,
            connection=begun.url.connection,
            source=source,
            round_=round_of(begun),
            now=now,
        )
        states += [begun, settle_callback(begun, decision, now)]
    kept = {(s.source, s.idempotency_token, s.body, s.url.shown, s.method) for s in states}
    assert len(kept) == 1
    assert all(one.attempt_count <= other.attempt_count for one, other in pairwise(states))


@given(urls(), sources, outcomes, waits)
def test_a_callback_is_due_exactly_while_it_is_scheduled(
    url: str, source: Source, outcome: Outcome, took: timedelta
) -> None:
    begun, _ = begin_attempt(a_callback(url=url, source=source), NOW)
    decision = decide(
        outcome,
        connection=begun.url.connection,
        source=source,
        round_=round_of(begun),
        now=NOW + took,
    )
    settled = settle_callback(begun, decision, NOW + took)
    assert (settled.due is not None) is (settled.status is CallbackStatus.SCHEDULED)
    assert (settled.status is CallbackStatus.DELIVERED) is isinstance(outcome, Delivered)
    assert (settled.status_reason is not None) is (settled.status is CallbackStatus.FAILED)


@given(urls(), sources, outcomes, waits)
def test_an_attempt_that_is_made_again_has_time_left(
    url: str, source: Source, outcome: Outcome, took: timedelta
) -> None:
    begun, _ = begin_attempt(a_callback(url=url, source=source), NOW)
    connection, round_, now = begun.url.connection, round_of(begun), NOW + took
    decision = decide(outcome, connection=connection, source=source, round_=round_, now=now)
    if isinstance(decision, TryAgain) and not isinstance(outcome, Unknown):
        limits: Limits = limits_of(connection, time_left(connection, round_, now))
        assert 0 < limits.total <= connection.total_timeout_ms / 1000
