"""What may be concluded from sessions: the cases of both sides, by their own clocks."""

from datetime import UTC, datetime, timedelta

import pytest

from ringback.stores.postgres.lease_sessions import (
    ANSWERED_WITHIN,
    GONE_FOR,
    GoneSessions,
    LeaseSession,
    OwnSessions,
)
from ringback.stores.postgres.leases import MARGIN

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def a_session(sessions: OwnSessions, key: int, *, asked: int) -> LeaseSession:
    session = LeaseSession(key, BEGAN)
    sessions.answered(session, asked)
    sessions.newest = session
    return session


def test_without_a_session_only_the_lease_counts() -> None:
    sessions = OwnSessions()
    assert sessions.naming(5000) is None
    sessions.named(None)
    assert sessions.is_named(5000)
    assert sessions.fresh_until > 10**15


def test_requests_begin_only_soon_after_the_session_was_asked() -> None:
    sessions = OwnSessions()
    session = a_session(sessions, 1, asked=1000)
    assert not sessions.is_named(1000)
    assert sessions.naming(1000) is session
    assert sessions.fresh_until == 1000 + ANSWERED_WITHIN, "the row may name it from here on"
    sessions.named(session)
    sessions.answered(session, 1500)
    assert sessions.fresh_until == 1500 + ANSWERED_WITHIN


def test_all_sessions_count_that_the_row_may_name() -> None:
    sessions = OwnSessions()
    old = a_session(sessions, 1, asked=1000)
    sessions.named(sessions.naming(1000))
    new = a_session(sessions, 2, asked=2000)
    assert sessions.fresh_until == old.fresh_until
    assert not sessions.is_named(2000)
    assert sessions.naming(2000) is new
    sessions.answered(new, 2500)
    assert sessions.fresh_until == old.fresh_until, "nobody knows yet whether the row was written"
    sessions.named(new)
    assert sessions.fresh_until == new.fresh_until


@pytest.mark.parametrize("is_over", [True, False])
def test_a_slow_session_is_not_named(is_over: bool) -> None:
    sessions = OwnSessions()
    sessions.named(a_session(sessions, 1, asked=1000))
    now = 1000 + ANSWERED_WITHIN - (0 if is_over else 600)
    assert not sessions.is_named(now)
    assert sessions.naming(now) is None
    assert sessions.fresh_until == 1000 + ANSWERED_WITHIN, "the row still names it"
    sessions.named(None)
    assert sessions.is_named(now)


def test_a_session_has_ended_once_it_was_gone_for_long_enough() -> None:
    gone = GoneSessions()
    assert gone.ended(["a"], asked=1000, answered=1200) == []
    assert gone.ended(["a", "b"], asked=1199 + GONE_FOR, answered=1300 + GONE_FOR) == []
    assert gone.ended(["a", "b"], asked=1200 + GONE_FOR, answered=1300 + GONE_FOR) == ["a"]


def test_a_session_that_was_seen_meanwhile_counts_from_anew() -> None:
    gone = GoneSessions()
    assert gone.ended(["a"], asked=1000, answered=1000) == []
    assert gone.ended([], asked=2000, answered=2000) == []
    assert gone.ended(["a"], asked=9000, answered=9000) == []


def test_others_wait_for_longer_than_the_owner_sends() -> None:
    assert ANSWERED_WITHIN + MARGIN // timedelta(milliseconds=1) <= GONE_FOR
