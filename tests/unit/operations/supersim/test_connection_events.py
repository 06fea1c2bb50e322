"""Events about connections: when they are published, and that the usage in them is right."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

import pytest

from ringback.core.calendar import months_after
from ringback.core.policy.source_policy import Source
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.mobile_networks import NETWORKS
from ringback.core.sims.scenario import CARRIED_OUT, SCENARIOS, CarrierFailure, TaskKind
from ringback.core.streams.event_types import StreamEventType
from ringback.core.supersim.sim import SimStatus
from ringback.operations.scenario_selection import choose_scenario
from ringback.operations.streams.subscriptions import (
    create_subscription,
    delete_subscription,
    update_subscription,
    with_type,
)
from ringback.operations.supersim.connection_events import MOST_WINDOWS
from ringback.operations.supersim.device_actions import (
    attach_device,
    detach_device,
    report_device_usage,
    transfer_data,
)
from ringback.operations.supersim.sims import SuperSimUpdateRequest, update_sim
from tests.fakes import ACCOUNT_SID, FLEET_SID, NOW, SIM_SID, TAKES, a_fleet, a_profile, a_sim
from tests.streams import a_sink, a_subscription, add_stream, check_valid
from tests.unit.operations.supersim.bench import World
from tests.unit.operations.worlds import DAY, INSTANT

MEGABYTE: Final = 1_000_000
SIX: Final = timedelta(minutes=6)
T: Final = StreamEventType
SUMS: Final = ("upload", "download", "total")


class HeardWorld(World):
    """A world whose account has a subscription, by default to all types."""

    def __init__(self, *args: Any, types: Iterable[StreamEventType] = T, **more: Any) -> None:
        super().__init__(*args, **more)
        self.listen(*types)

    def listen(self, *types: StreamEventType, source: Source = Source.KORE) -> str:
        """Subscribe to these types, through the operation that customers use."""
        self.tx.streams.sinks.add(a_sink(1, source))
        return create_subscription(
            self.tx,
            ACCOUNT_SID,
            source,
            self.context(),
            description="all",
            sink_sid=a_sink(1).sid,
            types=[(type_, None) for type_ in types],
        ).sid

    def told(self, sim_sid: str | None = None) -> list[dict[str, Any]]:
        """Return the data of all events, in the order in which they were made."""
        events = list(self.tx.streams.events.events.values())
        for event in events:
            check_valid(event)
        assert len({event.sid for event in events}) == len(events)
        return [json.loads(one.data) for one in events if sim_sid in (None, one.sim_sid)]

    def types(self) -> list[str]:
        """Return the types of all events, without what they have in common."""
        return [T(one["event_type"]).short for one in self.told()]

    def choose(self, scenario: str) -> None:
        choose_scenario(
            self.tx, ACCOUNT_SID, sim=SIM_SID, scenario=SCENARIOS[scenario], context=self.context()
        )

    def use(self, upload: int, download: int = 0) -> None:
        transfer_data(self.tx, self.sim, upload=upload, download=download, context=self.context())


def usage(event: dict[str, Any], part: str = "data") -> tuple[int, int, int]:
    upload, download, total = (event[f"{part}_{one}"] for one in SUMS)
    return upload, download, total


def window(event: dict[str, Any]) -> tuple[str, str]:
    start, end = (event[f"data_session_update_{one}_time"] for one in ("start", "end"))
    return start, end


def shown(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def connected(**more: Any) -> HeardWorld:
    """Return a world with a SIM that has become active while somebody listened."""
    world = HeardWorld(**more)
    world.become(SimStatus.ACTIVE)
    return world


# ---- attaching -----------------------------------------------------------------------------------


def test_a_sim_that_becomes_connected_attaches_and_begins_a_session() -> None:
    world = connected(data_per_day=MEGABYTE)
    accepted, started = world.told()
    assert world.types() == ["attachment.accepted", "data-session.started"]
    assert accepted["timestamp"] == started["data_session_start_time"] == shown(world.now)
    assert (accepted["sim_iccid"], accepted["fleet_sid"]) == (world.sim.iccid, FLEET_SID)
    assert accepted["network"] == started["network"]
    (session,) = world.tx.supersim.sessions.sessions.values()
    assert started["data_session_sid"] == f"PI{session.sid[2:]}"
    assert started["network"]["sid"] == session.network_sid


def test_a_session_without_data_is_a_session_too() -> None:
    world = connected()
    world.advance(SIX)
    assert world.types()[1:] == ["data-session.started", "data-session.updated"]
    assert usage(world.told()[-1]) == usage(world.told()[-1], "data_session_data") == (0, 0, 0)


def test_in_a_fleet_without_data_a_sim_only_attaches() -> None:
    world = connected(fleet=a_fleet(data_enabled=False), data_per_day=MEGABYTE)
    world.advance(DAY)
    assert world.types() == ["attachment.accepted"]


@pytest.mark.parametrize(
    ("scenario", "types", "code"),
    [
        ("attach-fails", ["attachment.failed"], 83700),
        ("network-not-allowed", ["attachment.rejected"], 83702),
        ("attach-limited", ["attachment.rejected"], 83703),
        ("session-fails", ["attachment.accepted", "data-session.failed"], 83701),
        ("unattached", [], None),
    ],
)
def test_a_scenario_can_keep_a_sim_from_the_network(
    scenario: str, types: list[str], code: int | None
) -> None:
    world = HeardWorld(data_per_day=MEGABYTE)
    world.choose(scenario)
    world.become(SimStatus.ACTIVE)
    assert world.types() == types
    assert [one["error"]["code"] for one in world.told() if "error" in one] == (
        [] if code is None else [code]
    )
    world.advance(DAY)
    assert world.tx.supersim.sessions.sessions == {}


def test_without_subscription_a_scenario_also_keeps_a_sim_from_using_data() -> None:
    world = World(data_per_day=MEGABYTE)
    world.tx.scenarios.put(SIM_SID, "attach-fails")
    world.become(SimStatus.ACTIVE)
    assert world.tx.supersim.sessions.sessions == {}
    world.tx.scenarios.put(SIM_SID, None)
    world.become(SimStatus.INACTIVE, SimStatus.ACTIVE)
    assert len(world.tx.supersim.sessions.sessions) == 1


def test_a_sim_that_could_not_attach_tries_again_in_its_next_billing_period() -> None:
    world = HeardWorld(data_per_day=MEGABYTE)
    world.choose("attach-fails")
    world.become(SimStatus.ACTIVE)
    world.choose("normal")
    world.advance(months_after(world.now) - world.now)
    assert world.types() == ["attachment.failed", "attachment.accepted", "data-session.started"]


@pytest.mark.parametrize(("status", "code"), [(SimStatus.NEW, 83704), (SimStatus.INACTIVE, 83705)])
def test_a_device_whose_sim_is_not_connected_is_rejected(status: SimStatus, code: int) -> None:
    world = HeardWorld(a_sim(status=status))
    report = attach_device(world.tx, world.sim, world.context())
    (event,) = world.told()
    assert world.types() == ["attachment.rejected"]
    assert event["error"]["code"] == code
    assert isinstance(report.result, CarrierFailure)
    assert [one.sid for one in report.events] == [event["event_sid"]]


def test_a_new_sim_is_still_new_while_it_becomes_ready() -> None:
    world = HeardWorld()
    world.update(SimStatus.READY)
    attach_device(world.tx, world.sim, world.context())
    assert world.told()[0]["error"]["code"] == 83704


def test_a_device_that_attaches_again_begins_another_session() -> None:
    world = connected()
    world.advance(timedelta(minutes=1))
    report = attach_device(world.tx, world.sim, world.context())
    assert world.types()[2:] == [
        "data-session.ended",
        "attachment.accepted",
        "data-session.started",
    ]
    assert [one.type.short for one in report.events] == world.types()[2:]
    _, first, ended, _, second = world.told()
    assert first["data_session_sid"] == ended["data_session_sid"] != second["data_session_sid"]


def test_a_device_that_detaches_ends_its_session_once() -> None:
    world = connected()
    report = detach_device(world.tx, world.sim, world.context())
    assert [one.type.short for one in report.events] == ["data-session.ended"]
    assert detach_device(world.tx, world.sim, world.context()).events == []
    world.advance(DAY)
    assert world.types()[2:] == ["data-session.ended"]


def test_a_sim_that_is_deactivated_ends_its_session() -> None:
    world = connected(data_per_day=MEGABYTE)
    world.become(SimStatus.INACTIVE)
    world.advance(DAY)
    assert world.types()[2:] == ["data-session.ended"]
    assert world.told()[-1]["data_session_end_time"] == shown(NOW + 2 * TAKES)
    assert world.due(TaskKind.REPORT_USAGE) is None


def test_another_fleet_lets_the_device_attach_with_the_old_fleet_in_the_end() -> None:
    world = connected(data_per_day=MEGABYTE)
    other = a_fleet(sid="HF" + "9" * 32, unique_name="other")
    world.tx.supersim.fleets.add(other)
    asked = SuperSimUpdateRequest(fleet=other.sid)
    update_sim(world.tx, ACCOUNT_SID, SIM_SID, asked, world.context())
    world.advance(TAKES)
    ended, accepted, started = world.told()[2:]
    assert (ended["fleet_sid"], accepted["fleet_sid"]) == (FLEET_SID, other.sid)
    assert started["fleet_sid"] == other.sid


def test_an_activation_and_a_new_period_begin_another_session_without_attaching() -> None:
    world = HeardWorld(types=[T.ATTACHMENT_ACCEPTED, T.SESSION_STARTED, T.SESSION_ENDED])
    world.become(SimStatus.READY)
    for _ in range(4):
        world.advance(months_after(world.now) - world.now)
    assert world.sim.status is SimStatus.ACTIVE
    assert world.types().count("attachment.accepted") == 1
    assert world.types()[1:] == ["data-session.started"] + [
        "data-session.ended",
        "data-session.started",
    ] * (len(world.types()[2:]) // 2)
    assert len(world.types()) >= 8


# ---- usage ---------------------------------------------------------------------------------------


def check_sums(world: HeardWorld) -> None:
    """Check that the events about each session adjoin and add up to its data."""
    by_session = dict[str, list[dict[str, Any]]]()
    for event in world.told():
        if "data_session_sid" in event:
            by_session.setdefault(event["data_session_sid"], []).append(event)
    for started, *rest in by_session.values():
        assert started["event_type"] == T.SESSION_STARTED
        assert [one["event_type"] for one in rest[:-1]] == [T.SESSION_UPDATED] * len(rest[:-1])
        borders = [started["data_session_start_time"], *(window(one)[1] for one in rest)]
        assert [window(one) for one in rest] == list(pairwise(borders))
        for index, event in enumerate(rest):
            so_far = [usage(one) for one in rest[: index + 1]]
            assert usage(event, "data_session_data") == tuple(map(sum, zip(*so_far, strict=True)))
            assert event["timestamp"] == window(event)[1]


def total(world: HeardWorld) -> tuple[int, int]:
    events = [usage(one) for one in world.told() if "data_upload" in one]
    return sum(one[0] for one in events), sum(one[1] for one in events)


def recorded(world: HeardWorld) -> tuple[int, int]:
    sessions = world.tx.supersim.sessions.sessions.values()
    pairs = [one.bytes_between(one.date_created, world.now) for one in sessions]
    return sum(one[0] for one in pairs), sum(one[1] for one in pairs)


def test_a_session_is_updated_every_six_minutes() -> None:
    world = connected(data_per_day=MEGABYTE)
    began = world.now
    world.advance(timedelta(minutes=20))
    updates = world.told()[2:]
    assert [one["timestamp"] for one in updates] == [shown(began + n * SIX) for n in (1, 2, 3)]
    up, down = world.simulation.data_per_hour(world.sim.iccid)
    assert usage(updates[-1], "data_session_data")[:2] == (up * 18 // 60, down * 18 // 60)
    world.become(SimStatus.INACTIVE)
    check_sums(world)
    assert total(world) == recorded(world) != (0, 0)


def test_the_day_of_a_sim_is_told_to_the_byte() -> None:
    world = connected(data_per_day=7 * MEGABYTE)
    world.advance(DAY / 2)
    world.use(1000, 3000)
    world.advance(DAY / 2)
    detach_device(world.tx, world.sim, world.context())
    assert world.types().count("data-session.updated") == 240
    check_sums(world)
    assert total(world) == recorded(world)


def test_a_burst_counts_in_the_running_window() -> None:
    world = connected()
    world.advance(timedelta(minutes=7))
    world.use(300, 700)
    world.advance(timedelta(minutes=6))
    first, second = world.told()[2:]
    assert (usage(first), usage(second)) == ((0, 0, 0), (300, 700, 1000))


def test_a_burst_at_the_border_of_a_window_counts_in_the_next_one() -> None:
    world = connected()
    world.advance(SIX)
    world.use(1)
    world.advance(SIX)
    world.use(2)
    world.become(SimStatus.INACTIVE)
    assert [usage(one)[0] for one in world.told()[2:]] == [0, 1, 2]
    check_sums(world)


def test_a_burst_without_session_is_a_session_of_its_own() -> None:
    world = HeardWorld(a_sim())
    world.advance(DAY)
    world.use(300, 700)
    started, ended = world.told()
    assert world.types() == ["data-session.started", "data-session.ended"]
    assert started["data_session_sid"] == ended["data_session_sid"]
    assert started["data_session_start_time"] == ended["data_session_end_time"] == shown(world.now)
    assert usage(ended) == usage(ended, "data_session_data") == (300, 700, 1000)
    check_sums(world)


def test_the_data_limit_ends_a_session_when_it_is_reached() -> None:
    world = connected(fleet=a_fleet(data_limit=2), data_per_day=MEGABYTE)
    world.advance(5 * DAY)
    ended = world.told()[-1]
    assert usage(ended, "data_session_data")[2] == 2 * MEGABYTE
    assert ended["data_modifier"] == "blocked"
    (session,) = world.tx.supersim.sessions.sessions.values()
    assert session.date_ended is not None
    assert ended["data_session_end_time"] == ended["timestamp"] == shown(session.date_ended)
    check_sums(world)


@pytest.mark.parametrize("types", [T, [T.SESSION_ENDED]])
def test_the_end_by_the_data_limit_is_told_at_once(types: Iterable[StreamEventType]) -> None:
    world = connected(fleet=a_fleet(data_limit=1), data_per_day=MEGABYTE, types=types)
    (session,) = world.tx.supersim.sessions.sessions.values()
    assert session.date_ended is not None
    world.advance(session.date_ended - INSTANT - world.now)
    assert "data-session.ended" not in world.types()
    world.advance(INSTANT)
    assert world.types()[-1] == "data-session.ended"


def test_a_change_that_fails_begins_another_session_without_attaching() -> None:
    world = connected(data_per_day=MEGABYTE)
    world.choose("update-fails")
    world.update(SimStatus.INACTIVE)
    world.advance(TAKES)
    assert world.types()[2:] == ["data-session.ended", "data-session.started"]


def test_a_burst_can_reach_the_data_limit() -> None:
    world = connected(fleet=a_fleet(data_limit=1), data_per_day=1000)
    world.advance(timedelta(minutes=1))
    used = sum(recorded(world))
    world.use(MEGABYTE - used)
    assert world.types()[-1] == "data-session.ended"
    assert total(world) == recorded(world)
    assert world.due(TaskKind.REPORT_USAGE) is None


def test_the_data_limit_of_a_jump_is_told_before_what_comes_then() -> None:
    world = connected(fleet=a_fleet(data_limit=1), data_per_day=100 * MEGABYTE)
    world.now += 30 * timedelta(minutes=1)
    world.become(SimStatus.INACTIVE)
    assert world.told()[-1]["data_modifier"] == "blocked"
    assert usage(world.told()[-1], "data_session_data")[2] == MEGABYTE
    check_sums(world)


def test_times_have_no_fraction_but_sums_do_not_suffer() -> None:
    world = HeardWorld(data_per_day=86_400 * MEGABYTE, fleet=a_fleet(data_limit=2_000_000))
    world.now += timedelta(microseconds=999_999)
    world.become(SimStatus.ACTIVE)
    world.advance(timedelta(minutes=13, microseconds=1))
    world.become(SimStatus.INACTIVE)
    check_sums(world)
    assert total(world) == recorded(world)
    assert all("." not in one["timestamp"] for one in world.told())


# ---- jumps of the clock --------------------------------------------------------------------------


def test_one_task_makes_a_bounded_number_of_events_and_the_next_one_goes_on() -> None:
    world = connected(data_per_day=MEGABYTE)
    began = world.now
    world.now += DAY
    world.step()
    assert world.types().count("data-session.updated") == MOST_WINDOWS
    assert world.due(TaskKind.REPORT_USAGE) == began + (MOST_WINDOWS + 1) * SIX
    world.advance(timedelta(0))
    assert world.types().count("data-session.updated") == 240
    check_sums(world)


def test_a_session_that_ends_during_a_jump_has_the_rest_in_its_end() -> None:
    world = connected(data_per_day=MEGABYTE)
    world.now += DAY
    detach_device(world.tx, world.sim, world.context())
    assert world.types().count("data-session.updated") == MOST_WINDOWS
    check_sums(world)
    assert total(world) == recorded(world)
    limited = connected(fleet=a_fleet(data_limit=1), data_per_day=MEGABYTE)
    limited.now += 30 * DAY
    detach_device(limited.tx, limited.sim, limited.context())
    assert limited.told()[-1]["data_modifier"] == "blocked"
    check_sums(limited)
    assert total(limited) == recorded(limited)


def test_a_burst_after_a_jump_comes_after_the_end_of_the_session_before_it() -> None:
    world = connected(fleet=a_fleet(data_limit=1), data_per_day=MEGABYTE)
    world.now += 31 * DAY
    world.use(5)
    assert world.types()[-3:] == [
        "data-session.ended",
        "data-session.started",
        "data-session.ended",
    ]
    check_sums(world)
    assert total(world) == recorded(world)


def test_a_task_that_comes_late_reports_all_windows_of_a_limited_session() -> None:
    world = connected(fleet=a_fleet(data_limit=1), data_per_day=MEGABYTE)
    world.now += 30 * DAY
    while world.due(TaskKind.REPORT_USAGE) is not None:
        world.step()
    (session,) = world.tx.supersim.sessions.sessions.values()
    assert session.date_ended is not None
    windows = (session.date_ended - session.date_created) // SIX
    assert world.types().count("data-session.updated") == windows > MOST_WINDOWS
    assert world.types()[-1] == "data-session.ended"
    check_sums(world)
    assert total(world) == recorded(world)


def test_a_session_can_end_before_its_last_report_by_the_clock_of_another_process() -> None:
    world = connected(data_per_day=MEGABYTE)
    world.advance(SIX)
    reported = world.now
    world.now -= timedelta(seconds=1)
    detach_device(world.tx, world.sim, world.context())
    ended = world.told()[-1]
    assert window(ended) == (shown(reported), shown(reported))
    assert usage(ended) == (0, 0, 0)
    check_sums(world)


# ---- reports on request --------------------------------------------------------------------------


def test_a_report_can_come_before_it_is_due_and_the_next_one_comes_six_minutes_later() -> None:
    world = connected(data_per_day=MEGABYTE)
    world.advance(timedelta(minutes=1))
    world.use(5)
    world.advance(INSTANT)
    report = report_device_usage(world.tx, world.sim, world.context())
    assert [one.type.short for one in report.events] == ["data-session.updated"]
    assert world.due(TaskKind.REPORT_USAGE) == world.now + SIX
    world.advance(SIX)
    world.become(SimStatus.INACTIVE)
    check_sums(world)
    assert total(world) == recorded(world)


def test_without_running_session_there_is_nothing_to_report() -> None:
    world = HeardWorld(a_sim())
    with pytest.raises(Exception, match="has no running data session; let its device attach"):
        report_device_usage(world.tx, world.sim, world.context())


# ---- who listens ---------------------------------------------------------------------------------


def test_without_subscription_nothing_is_stored_or_scheduled() -> None:
    world = World(data_per_day=MEGABYTE)
    world.become(SimStatus.ACTIVE)
    transfer_data(world.tx, world.sim, upload=1, download=2, context=world.context())
    world.advance(DAY)
    assert world.tx.streams.events.events == {}
    assert world.due(TaskKind.REPORT_USAGE) is None
    sessions = world.tx.supersim.sessions.sessions.values()
    assert [one.reported_until for one in sessions] == [None] * len(sessions)


def test_without_subscription_a_sim_without_data_has_no_session() -> None:
    world = World()
    world.become(SimStatus.READY)
    world.advance(100 * DAY)
    assert world.sim.status is SimStatus.ACTIVE
    assert world.tx.supersim.sessions.sessions == {}


def test_without_subscription_a_change_needs_one_query_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    world.become(SimStatus.ACTIVE, SimStatus.INACTIVE)
    world.update(SimStatus.ACTIVE)
    asked = list[str]()
    for table, name in (
        (world.tx.streams.subscriptions, "of_account"),
        (world.tx.streams.sinks, "get"),
        (world.tx.supersim.sessions, "followed"),
        (world.tx.scenarios, "get"),
    ):
        monkeypatch.setattr(table, name, counted(getattr(table, name), asked))
    world.end_task(ScheduledTask(TaskKind.UPDATE_SIM, SIM_SID, ACCOUNT_SID, NOW), CARRIED_OUT)
    assert world.sim.status is SimStatus.ACTIVE
    assert asked == ["of_account"]


def counted(method: Callable[..., Any], asked: list[str]) -> Callable[..., Any]:
    """Return a method that also notes in `asked` that it is called."""

    def call(*given: Any, **named: Any) -> Any:
        asked.append(method.__name__)
        return method(*given, **named)

    return call


def test_a_session_that_was_not_followed_is_followed_from_a_burst_on() -> None:
    world = connected(data_per_day=MEGABYTE)
    (subscription,) = world.tx.streams.subscriptions.of_account(ACCOUNT_SID)
    world.tx.streams.subscriptions.save(replace(subscription, is_enabled=False))
    world.advance(SIX)
    # As if the policy let it get events again: nobody calls `follow_sessions` then.
    world.tx.streams.subscriptions.save(subscription)
    world.advance(SIX)
    assert world.types().count("data-session.updated") == 0
    world.use(5)
    world.advance(SIX)
    world.become(SimStatus.INACTIVE)
    assert world.types()[2:] == ["data-session.updated", "data-session.ended"]
    assert usage(world.told()[-1], "data_session_data")[:2] == recorded(world)


def test_after_the_end_of_twilios_streams_only_kores_subscribers_listen() -> None:
    world = World(data_per_day=MEGABYTE)
    add_stream(world.tx, a_sink(1, Source.TWILIO), a_subscription(1, Source.TWILIO))
    world.now = NOW.replace(year=2030)
    world.become(SimStatus.ACTIVE)
    assert world.tx.streams.events.events == {}
    add_stream(world.tx, a_sink(2), a_subscription(2))
    world.become(SimStatus.INACTIVE)
    assert len(world.tx.streams.events.events) == 1


def test_only_subscribed_types_are_stored_and_sums_go_on_without_updates() -> None:
    world = HeardWorld(data_per_day=MEGABYTE, types=[T.SESSION_ENDED])
    world.become(SimStatus.ACTIVE)
    world.advance(timedelta(minutes=20))
    world.become(SimStatus.INACTIVE)
    (ended,) = world.told()
    assert window(ended) == (shown(NOW + TAKES + 3 * SIX), shown(world.now))
    assert usage(ended, "data_session_data")[:2] == recorded(world)


def test_a_type_that_is_added_later_is_published_from_then_on() -> None:
    world = HeardWorld(data_per_day=MEGABYTE, types=[T.SESSION_ENDED])
    world.become(SimStatus.ACTIVE)
    began = world.now
    world.advance(10 * SIX)
    (subscription,) = world.tx.streams.subscriptions.of_account(ACCOUNT_SID)
    with_type(world.tx, subscription, T.SESSION_UPDATED, None, world.context())
    world.advance(SIX)
    (update,) = world.told()
    assert window(update) == (shown(began + 10 * SIX), shown(began + 11 * SIX))
    assert usage(update, "data_session_data")[:2] == recorded(world)


def test_a_session_from_before_the_subscription_is_followed_from_its_last_whole_window() -> None:
    world = World(data_per_day=MEGABYTE)
    world.become(SimStatus.ACTIVE)
    began = world.now
    world.advance(timedelta(minutes=10))
    transfer_data(world.tx, world.sim, upload=1, download=2, context=world.context())
    heard = hear(world)
    heard.advance(timedelta(minutes=2))
    (update,) = heard.told()
    assert window(update) == (shown(began + SIX), shown(began + 2 * SIX))
    assert usage(update, "data_session_data")[:2] == recorded(heard)
    heard.become(SimStatus.INACTIVE)
    assert usage(heard.told()[-1], "data_session_data")[:2] == recorded(heard)


def test_a_session_that_ends_before_it_is_followed_has_right_sums_too() -> None:
    world = World(data_per_day=MEGABYTE)
    world.become(SimStatus.ACTIVE)
    world.advance(timedelta(minutes=10))
    add_stream(world.tx, a_sink(1), a_subscription(1))
    world.become(SimStatus.INACTIVE)
    (event,) = world.tx.streams.events.events.values()
    ended = json.loads(event.data)
    assert window(ended) == (shown(NOW + TAKES + SIX), shown(world.now))
    assert usage(ended, "data_session_data")[2] > usage(ended)[2] > 0


def hear(world: World) -> HeardWorld:
    """Let a subscription be created in a world."""
    world.__class__ = HeardWorld
    assert isinstance(world, HeardWorld)
    world.listen(*T)
    return world


def test_all_sims_of_an_account_are_followed_in_several_tasks() -> None:
    world = World(a_sim(), data_per_day=MEGABYTE)
    for number in range(1, 251):
        sim = a_sim(sid=f"HS{number:032x}", iccid=f"8988307{number:013}", unique_name=None)
        world.tx.supersim.sims.add(sim)
        attach_device(world.tx, sim, world.context())
    heard = hear(world)
    heard.advance(timedelta(0))
    followed = heard.tx.supersim.sessions.sessions.values()
    assert len([one for one in followed if one.reported_until is not None]) == 251
    heard.advance(SIX)
    assert {one["sim_sid"] for one in heard.told()} == {
        sim.sid for sim in heard.tx.supersim.sims.records.values()
    }


def test_a_subscription_that_is_enabled_again_gets_updates_again() -> None:
    world = connected(data_per_day=MEGABYTE)
    (subscription,) = world.tx.streams.subscriptions.of_account(ACCOUNT_SID)

    def enable(*, is_enabled: bool) -> None:
        update_subscription(
            world.tx,
            ACCOUNT_SID,
            subscription.sid,
            Source.KORE,
            world.context(),
            is_enabled=is_enabled,
        )

    enable(is_enabled=False)
    world.advance(timedelta(minutes=20))
    assert world.types().count("data-session.updated") == 0
    assert world.due(TaskKind.REPORT_USAGE) is None
    enable(is_enabled=True)
    world.advance(timedelta(minutes=5))
    assert world.types().count("data-session.updated") == 1
    assert usage(world.told()[-1], "data_session_data")[2] > usage(world.told()[-1])[2]


def test_a_session_that_ends_after_the_last_subscription_leaves_nothing_behind() -> None:
    world = connected(data_per_day=MEGABYTE)
    (subscription,) = world.tx.streams.subscriptions.of_account(ACCOUNT_SID)
    delete_subscription(world.tx, ACCOUNT_SID, subscription.sid, Source.KORE, world.context())
    world.become(SimStatus.INACTIVE)
    assert world.tx.supersim.sessions.followed(SIM_SID) == []
    assert world.due(TaskKind.REPORT_USAGE) is None
    assert len(world.types()) == 2


def test_the_network_of_an_event_is_one_that_the_fleet_allows() -> None:
    world = HeardWorld()
    profile = a_profile(network_sids=(NETWORKS[9].sid,))
    world.tx.supersim.access_profiles.save(profile)
    world.become(SimStatus.ACTIVE)
    assert {one["network"]["friendly_name"] for one in world.told()} == {"EE"}
