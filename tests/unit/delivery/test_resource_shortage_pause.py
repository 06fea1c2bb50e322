"""Pauses after a resource shortage: how long they are, and when they end."""

from datetime import timedelta

from ringback.delivery.resource_shortage_pause import NO_TIME, ShortagePause
from tests.fakes import NOW

MS = timedelta(milliseconds=1)


def test_each_pause_is_twice_as_long_as_the_last_up_to_a_limit() -> None:
    rest, now, lengths = ShortagePause(), NOW, list[int]()
    for _ in range(7):
        until = rest.take(now)
        lengths.append((until - now) // MS)
        now = until
    assert lengths == [250, 500, 1000, 2000, 4000, 8000, 8000]


def test_all_that_fail_during_a_pause_wait_for_its_end_together() -> None:
    rest = ShortagePause()
    until = rest.take(NOW)
    assert rest.take(NOW + 100 * MS) == until
    assert rest.length == 250 * MS


def test_it_is_over_at_its_end() -> None:
    rest = ShortagePause()
    assert rest.is_over(NOW)
    until = rest.take(NOW)
    assert not rest.is_over(until - MS)
    assert rest.is_over(until)
    assert rest.until is None


def test_after_a_request_got_through_it_begins_anew() -> None:
    rest = ShortagePause()
    now = rest.take(rest.take(NOW))
    rest.length = NO_TIME
    assert rest.take(now) - now == 250 * MS


def test_a_clock_set_back_does_not_prolong_a_pause() -> None:
    rest = ShortagePause()
    rest.take(NOW)
    yesterday = NOW - timedelta(days=1)
    assert rest.take(yesterday) == yesterday + 500 * MS
    rest.take(NOW)
    assert rest.is_over(yesterday)
