"""Data sessions: begun, ended, and ended at a limit, in a store in memory."""

from datetime import datetime, timedelta

import pytest

from ringback.core.calendar import INSTANT
from ringback.core.supersim.usage import SuperSimDataSession
from ringback.operations.metering import add_burst, end_sessions, end_when_used, used_since
from tests.fakes import NOW, SIM_SID
from tests.memory_store.records import MemoryDataSessions
from tests.unit.core.builders import a_session

HOUR = timedelta(hours=1)
OTHER_SIM = "HS" + "e" * 32
ONE, TWO = f"WN{'1' * 32}", f"WN{'2' * 32}"


def sessions_of(*sessions: SuperSimDataSession) -> MemoryDataSessions[SuperSimDataSession]:
    return MemoryDataSessions({session.sid: session for session in sessions})


# ---- ended ---------------------------------------------------------------------------------------


def test_all_sessions_of_a_sim_end_at_once_and_those_of_others_do_not() -> None:
    now = NOW + HOUR
    sessions = sessions_of(
        a_session(sid=ONE),
        a_session(sid=TWO, ended=now + HOUR),
        a_session(sid="WN3", ended=now),
        a_session(sid="WN4", ended=NOW + HOUR / 2),
        a_session(sid="WN5", sim_sid=OTHER_SIM),
    )
    end_sessions(sessions, SIM_SID, now)
    ends = {sid: session.date_ended for sid, session in sessions.sessions.items()}
    assert ends == {ONE: now, TWO: now, "WN3": now, "WN4": NOW + HOUR / 2, "WN5": None}


@pytest.mark.parametrize(
    ("left", "at"), [(3000, NOW + 2 * HOUR), (1500, NOW + 1.5 * HOUR), (0, NOW + HOUR)]
)
def test_a_session_ends_when_it_has_used_the_given_amount(left: int, at: datetime) -> None:
    sessions = sessions_of(a_session(sid=ONE))
    assert end_when_used(sessions, sessions.sessions[ONE], left, NOW + HOUR) == at
    assert sessions.sessions[ONE].date_ended == at


@pytest.mark.parametrize(
    "session",
    [a_session(sid=ONE, up=0, down=0), a_session(sid=ONE, ended=NOW + HOUR)],
    ids=["it uses nothing", "it ends before"],
)
def test_a_session_that_never_uses_the_amount_is_unchanged(session: SuperSimDataSession) -> None:
    sessions = sessions_of(session)
    assert end_when_used(sessions, session, 3001, NOW) is None
    assert sessions.sessions == {ONE: session}


# ---- used ----------------------------------------------------------------------------------------


def test_a_sims_usage_is_that_of_all_its_sessions_from_an_instant_to_now() -> None:
    sessions = sessions_of(
        a_session(sid=ONE),
        a_session(sid=TWO, up=1, down=2, ended=NOW + 2 * HOUR),
        a_session(sid="WN3", sim_sid=OTHER_SIM),
    )
    assert used_since(sessions, SIM_SID, NOW, NOW + 3 * HOUR) == 3 * 3000 + 2 * 3
    assert used_since(sessions, SIM_SID, NOW + HOUR, NOW + 3 * HOUR) == 2 * 3000 + 3
    assert used_since(sessions, SIM_SID, NOW, NOW) == 0


def test_only_the_requested_sessions_count() -> None:
    sessions = sessions_of(a_session(sid=ONE), a_session(sid=TWO, up=7, down=0))
    assert (
        used_since(sessions, SIM_SID, NOW, NOW + HOUR, of=lambda session: session.sid == TWO) == 7
    )


# ---- usage by a call -----------------------------------------------------------------------------


@pytest.mark.parametrize(("upload", "download"), [(300, 700), (0, 1), (1_000_000_000, 0)])
def test_usage_by_a_call_is_in_the_last_instant(upload: int, download: int) -> None:
    sessions = sessions_of()
    add_burst(sessions, a_session(sid=ONE), upload=upload, download=download, now=NOW + HOUR)
    (burst,) = sessions.sessions.values()
    assert (burst.date_created, burst.date_ended) == (NOW + HOUR - INSTANT, NOW + HOUR)
    assert burst.bytes_between(NOW, NOW + HOUR) == (upload, download)
    assert burst.bytes_between(NOW, NOW + HOUR - INSTANT) == (0, 0)
    assert used_since(sessions, SIM_SID, NOW, NOW + HOUR) == upload + download


def test_usage_by_a_call_in_the_first_instant_counts_from_then_on() -> None:
    sessions = sessions_of(a_session(sid=ONE, began=NOW - HOUR))
    add_burst(sessions, a_session(sid=TWO), upload=5, download=5, now=NOW)
    assert used_since(sessions, SIM_SID, NOW, NOW) == 10
    assert used_since(sessions, SIM_SID, NOW, NOW + HOUR) == 10 + 3000
    assert used_since(sessions, SIM_SID, NOW + INSTANT, NOW + HOUR) == 3000
