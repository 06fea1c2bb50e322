"""Flows of data: begun, ended, and cut off at a limit, on plain tables."""

from datetime import datetime, timedelta

import pytest

from ringback.core.calendar import INSTANT
from ringback.core.supersim.usage import SuperSimDataSession
from ringback.operations.metering import add_burst, end_flows, end_when_used, used_since
from tests.fakes import NOW, SIM_SID
from tests.memory_store.records import MemoryFlows
from tests.unit.core.builders import a_session

HOUR = timedelta(hours=1)
OTHER_SIM = "HS" + "e" * 32
ONE, TWO = f"WN{'1' * 32}", f"WN{'2' * 32}"


def flows_of(*sessions: SuperSimDataSession) -> MemoryFlows[SuperSimDataSession]:
    return MemoryFlows({session.sid: session for session in sessions})


# ---- ended ---------------------------------------------------------------------------------------


def test_all_flows_of_a_sim_end_at_once_and_those_of_others_do_not() -> None:
    now = NOW + HOUR
    flows = flows_of(
        a_session(sid=ONE),
        a_session(sid=TWO, ended=now + HOUR),
        a_session(sid="WN3", ended=now),
        a_session(sid="WN4", ended=NOW + HOUR / 2),
        a_session(sid="WN5", sim_sid=OTHER_SIM),
    )
    end_flows(flows, SIM_SID, now)
    ends = {sid: flow.date_ended for sid, flow in flows.flows.items()}
    assert ends == {ONE: now, TWO: now, "WN3": now, "WN4": NOW + HOUR / 2, "WN5": None}


@pytest.mark.parametrize(
    ("left", "at"), [(3000, NOW + 2 * HOUR), (1500, NOW + 1.5 * HOUR), (0, NOW + HOUR)]
)
def test_a_flow_ends_when_it_has_used_so_much_more(left: int, at: datetime) -> None:
    flows = flows_of(a_session(sid=ONE))
    assert end_when_used(flows, flows.flows[ONE], left, NOW + HOUR) == at
    assert flows.flows[ONE].date_ended == at


@pytest.mark.parametrize(
    "session",
    [a_session(sid=ONE, up=0, down=0), a_session(sid=ONE, ended=NOW + HOUR)],
    ids=["it uses nothing", "it ends before"],
)
def test_a_flow_that_never_uses_so_much_stays_as_it_is(session: SuperSimDataSession) -> None:
    flows = flows_of(session)
    assert end_when_used(flows, session, 3001, NOW) is None
    assert flows.flows == {ONE: session}


# ---- used ----------------------------------------------------------------------------------------


def test_what_a_sim_used_is_all_its_flows_up_and_down_from_an_instant_to_now() -> None:
    flows = flows_of(
        a_session(sid=ONE),
        a_session(sid=TWO, up=1, down=2, ended=NOW + 2 * HOUR),
        a_session(sid="WN3", sim_sid=OTHER_SIM),
    )
    assert used_since(flows, SIM_SID, NOW, NOW + 3 * HOUR) == 3 * 3000 + 2 * 3
    assert used_since(flows, SIM_SID, NOW + HOUR, NOW + 3 * HOUR) == 2 * 3000 + 3
    assert used_since(flows, SIM_SID, NOW, NOW) == 0


def test_only_the_flows_that_are_asked_for_count() -> None:
    flows = flows_of(a_session(sid=ONE), a_session(sid=TWO, up=7, down=0))
    assert used_since(flows, SIM_SID, NOW, NOW + HOUR, of=lambda flow: flow.sid == TWO) == 7


# ---- at once -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("upload", "download"), [(300, 700), (0, 1), (1_000_000_000, 0)])
def test_what_is_used_at_once_is_used_in_the_last_instant(upload: int, download: int) -> None:
    flows = flows_of()
    add_burst(flows, a_session(sid=ONE), upload=upload, download=download, now=NOW + HOUR)
    (burst,) = flows.flows.values()
    assert (burst.date_created, burst.date_ended) == (NOW + HOUR - INSTANT, NOW + HOUR)
    assert burst.bytes_between(NOW, NOW + HOUR) == (upload, download)
    assert burst.bytes_between(NOW, NOW + HOUR - INSTANT) == (0, 0)
    assert used_since(flows, SIM_SID, NOW, NOW + HOUR) == upload + download


def test_what_is_used_at_once_in_the_first_instant_counts_from_then_on() -> None:
    flows = flows_of(a_session(sid=ONE, began=NOW - HOUR))
    add_burst(flows, a_session(sid=TWO), upload=5, download=5, now=NOW)
    assert used_since(flows, SIM_SID, NOW, NOW) == 10
    assert used_since(flows, SIM_SID, NOW, NOW + HOUR) == 10 + 3000
    assert used_since(flows, SIM_SID, NOW + INSTANT, NOW + HOUR) == 3000
