"""Random histories of SIMs: what event streams get of each data session adds up to its usage."""

import contextlib
import json
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.core.calendar import INSTANT
from ringback.core.errors import ApiError
from ringback.core.sims.scenario import SCENARIOS
from ringback.core.streams.event_types import StreamEventType
from ringback.core.supersim.sim import SimStatus
from ringback.core.supersim.usage import UsageGranularity, UsageGrouping, UsageQuery, summarize
from ringback.operations.scenario_selection import choose_scenario
from ringback.operations.supersim.data_sessions import sessions_of
from ringback.operations.supersim.device_actions import (
    attach_device,
    detach_device,
    report_device_usage,
    transfer_data,
)
from ringback.operations.supersim.fleets import FleetParameters, update_fleet
from ringback.operations.supersim.sims import SuperSimUpdateRequest, update_sim
from ringback.ports import PageWindow
from tests.fakes import ACCOUNT_SID, FLEET_SID, NOW, SIM_SID, TAKES, a_fleet, a_sim
from tests.streams import a_sink, a_subscription, add_stream, check_valid
from tests.unit.operations.supersim.bench import World

SIMS: Final = (SIM_SID, "HS" + "2" * 32)
OTHER: Final = a_fleet(sid="HF" + "9" * 32, unique_name="other", data_limit=2)
SIX: Final = timedelta(minutes=6)
T: Final = StreamEventType
Step = Callable[["WatchedWorld"], None]


class WatchedWorld(World):
    """A world with two SIMs, whose events all go to a subscriber from the beginning on."""

    def __init__(self, data_per_day: int, types: frozenset[StreamEventType]) -> None:
        new = a_sim(status=SimStatus.NEW)
        super().__init__(new, a_fleet(data_limit=3), data_per_day=data_per_day)
        self.tx.supersim.fleets.add(OTHER)
        second = a_sim(
            sid=SIMS[1], status=SimStatus.NEW, iccid="89883070000000000021", unique_name="second"
        )
        self.tx.supersim.sims.add(second)
        add_stream(self.tx, a_sink(), a_subscription(types=dict.fromkeys(types, 2)))
        self.become(SimStatus.ACTIVE)

    def sim_of(self, index: int) -> Any:
        return self.tx.supersim.sims.get(SIMS[index])

    def do(self, action: Callable[[], object]) -> None:
        """Do something that may be refused, which then changes nothing."""
        with contextlib.suppress(ApiError):
            action()


def moves(index: int, status: SimStatus | None, fleet: str | None) -> Step:
    asked = SuperSimUpdateRequest(status=status, fleet=fleet)

    def step(world: WatchedWorld) -> None:
        world.do(lambda: update_sim(world.tx, ACCOUNT_SID, SIMS[index], asked, world.context()))

    return step


def uses(index: int, count: int) -> Step:
    def step(world: WatchedWorld) -> None:
        sim = world.sim_of(index)
        world.do(
            lambda: transfer_data(
                world.tx, sim, upload=count, download=count // 3, context=world.context()
            )
        )

    return step


def acts(index: int, act: Callable[..., object]) -> Step:
    return lambda world: world.do(lambda: act(world.tx, world.sim_of(index), world.context()))


def chooses(index: int, name: str) -> Step:
    def step(world: WatchedWorld) -> None:
        sim, scenario = SIMS[index], SCENARIOS[name]
        choose_scenario(world.tx, ACCOUNT_SID, sim=sim, scenario=scenario, context=world.context())

    return step


def limits(megabytes: int) -> Step:
    def step(world: WatchedWorld) -> None:
        given_ = FleetParameters(data_limit=megabytes)
        update_fleet(world.tx, ACCOUNT_SID, FLEET_SID, given_, world.context())

    return step


def waits(by: timedelta) -> Step:
    return lambda world: world.advance(by)


def jumps(by: timedelta) -> Step:
    """Let time pass at once, so that due tasks come late."""

    def step(world: WatchedWorld) -> None:
        world.now += by

    return step


indexes = st.sampled_from([0, 0, 1])
times = st.sampled_from(
    [INSTANT, TAKES, timedelta(seconds=1), SIX - TAKES, SIX, 2 * SIX, timedelta(hours=3)]
) | st.timedeltas(timedelta(0), timedelta(minutes=20))
longer = st.sampled_from([timedelta(days=1), timedelta(days=31), timedelta(days=40)])
statuses = st.sampled_from([None, SimStatus.READY, SimStatus.ACTIVE, SimStatus.INACTIVE])
actions = st.sampled_from([attach_device, detach_device, report_device_usage])
scenarios = st.sampled_from(["normal", "attach-fails", "session-fails", "unattached"])
uses_ = st.builds(
    uses, indexes, st.sampled_from([1, 1000, 300_000, 900_000]) | st.integers(1, 10**6)
)
steps = st.one_of(
    st.builds(moves, indexes, statuses, st.sampled_from([None, None, OTHER.sid, FLEET_SID])),
    uses_,
    uses_,
    st.builds(acts, indexes, actions),
    st.builds(acts, indexes, actions),
    st.builds(chooses, indexes, scenarios),
    st.builds(limits, st.integers(1, 5)),
    st.builds(waits, times),
    st.builds(waits, times),
    st.builds(jumps, times | longer),
    st.just(lambda world: world.step()),
)
histories = st.lists(steps, min_size=5, max_size=40)
rates = st.sampled_from([0, 1000, 40_000_000])


def usage(event: dict[str, Any], part: str = "data") -> tuple[int, int]:
    assert event[f"{part}_total"] == event[f"{part}_upload"] + event[f"{part}_download"]
    return event[f"{part}_upload"], event[f"{part}_download"]


def summed(pairs: list[tuple[int, int]]) -> tuple[int, int]:
    return sum(up for up, _ in pairs), sum(down for _, down in pairs)


def check_session(events: list[dict[str, Any]], *, are_updates_wanted: bool) -> None:
    """Check the events of one session: their order, their windows, and their sums."""
    started, *rest = events
    kinds = [T(one["event_type"]) for one in rest]
    assert started["event_type"] == T.SESSION_STARTED
    assert kinds == [T.SESSION_UPDATED] * (len(rest) - 1) + [T.SESSION_ENDED]
    assert {one["data_session_start_time"] for one in events} == {started["timestamp"]}
    assert rest[-1]["data_session_end_time"] == rest[-1]["data_session_update_end_time"]
    windows = [
        (one["data_session_update_start_time"], one["data_session_update_end_time"]) for one in rest
    ]
    assert [one["timestamp"] for one in rest] == [end for _, end in windows]
    if are_updates_wanted:
        assert windows == list(pairwise([started["timestamp"], *(end for _, end in windows)]))
        for count in range(1, len(rest) + 1):
            so_far = summed([usage(one) for one in rest[:count]])
            assert usage(rest[count - 1], "data_session_data") == so_far


def check_attachments(events: list[dict[str, Any]]) -> None:
    """Check that no session of a SIM begins before the last one has ended."""
    is_running = False
    for event in events:
        if event["event_type"] == T.SESSION_STARTED:
            assert not is_running
            is_running = True
        elif "data_session_sid" in event:
            assert is_running
            is_running = event["event_type"] != T.SESSION_ENDED
        elif event["event_type"] != T.ATTACHMENT_ACCEPTED:
            assert event["error"]["code"] in range(83700, 83706)
            assert not is_running
    assert not is_running


@settings(max_examples=150, deadline=None)
@given(histories, rates, st.booleans())
def test_the_events_of_each_session_add_up_to_the_usage_records(
    history: list[Step], rate: int, are_updates_wanted: bool
) -> None:
    types = frozenset(T) if are_updates_wanted else frozenset(T) - {T.SESSION_UPDATED}
    world = WatchedWorld(rate, types)
    for step in [*history, waits(timedelta(0))]:
        step(world)
    for index in range(len(SIMS)):
        detach_device(world.tx, world.sim_of(index), world.context())
    events = list(world.tx.streams.events.events.values())
    for event in events:
        check_valid(event)
    for sid in SIMS:
        own = [json.loads(one.data) for one in events if one.sim_sid == sid]
        assert [one["timestamp"] for one in own] == sorted(one["timestamp"] for one in own)
        check_attachments(own)
        by_session = dict[str, list[dict[str, Any]]]()
        for event in own:
            if "data_session_sid" in event:
                by_session.setdefault(event["data_session_sid"], []).append(event)
        for about in by_session.values():
            check_session(about, are_updates_wanted=are_updates_wanted)
        told = summed([usage(one[-1], "data_session_data") for one in by_session.values()])
        assert told == recorded(world, sid)
        assert world.tx.supersim.sessions.followed(sid) == []


def recorded(world: WatchedWorld, sim_sid: str) -> tuple[int, int]:
    """Return what the Usage Records say about a SIM."""
    # A burst in the first instant is dated one instant earlier.
    query = UsageQuery(
        NOW - INSTANT, world.now, UsageGranularity.ALL, UsageGrouping.SIM, {"sim_sid": sim_sid}
    )
    if query.start >= query.end:
        return 0, 0
    sessions = sessions_of(world.tx, ACCOUNT_SID, query, PageWindow(10_000))
    records = summarize(ACCOUNT_SID, query, sessions, world.now)
    return summed([(one.upload, one.download) for one in records])
