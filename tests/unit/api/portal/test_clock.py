"""The clock in the portal: it can be read and advanced, but never set back."""

from datetime import timedelta

import pytest

from ringback.api.portal.clock import ClockEndpoints
from ringback.engine.clock_advancer import ClockAdvancer
from ringback.ports import Store
from ringback.runtime.virtual_clock import MOST_AHEAD, VirtualClock
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, NOW
from tests.unit.api.caller import Caller
from tests.unit.api.world import app_on, refusal

CLOCK = "/portal/v1/clock"
DAY = timedelta(days=1)


@pytest.fixture
def virtual() -> VirtualClock:
    return VirtualClock.stopped(at=NOW)


@pytest.fixture
def on_clock(store: Store, virtual: VirtualClock) -> Caller:
    clock_advancer = ClockAdvancer(virtual, ())
    app = app_on(
        store, clock=virtual, portal=lambda on: ClockEndpoints(on, clock_advancer).operations()
    )
    return Caller(app, credentials=(ACCOUNT_SID, AUTH_TOKEN))


async def test_it_shows_the_time(on_clock: Caller, virtual: VirtualClock) -> None:
    virtual.advance(timedelta(seconds=1.5))
    answer = await on_clock.get(CLOCK)
    assert answer.status == 200
    assert answer.json == {"now": "2024-07-03T14:40:59Z", "ahead_seconds": 1.5}


@pytest.mark.parametrize(
    ("duration", "seconds"), [("3d", 259200), ("90s", 90), ("1.5m", 90), ("7", 7), ("500ms", 0.5)]
)
async def test_it_is_advanced_by_a_duration(
    on_clock: Caller, virtual: VirtualClock, duration: str, seconds: float
) -> None:
    answer = await on_clock.post(CLOCK, {"Advance": duration})
    assert (answer.status, answer.json["ahead_seconds"]) == (200, seconds)
    assert virtual.now() == NOW + timedelta(seconds=seconds)
    assert (await on_clock.get(CLOCK)).json == answer.json


@pytest.mark.parametrize("text", ["0", "0s", "0.0d", "-3d", "3 days", "P3D", "3650.5d", "NaN"])
async def test_an_advance_that_lets_no_time_pass_is_refused(
    on_clock: Caller, virtual: VirtualClock, text: str
) -> None:
    answer = await on_clock.post(CLOCK, {"Advance": text})
    assert refusal(answer) == (400, 83600)
    assert "Advance" in answer.json["message"]
    assert virtual.ahead == timedelta(0)


@pytest.mark.parametrize("form", [{}, {"Advance": ""}, {"advance": "3d"}])
async def test_without_a_duration_it_is_refused(on_clock: Caller, form: dict[str, str]) -> None:
    assert refusal(await on_clock.post(CLOCK, form)) == (400, 20002)


async def test_it_cannot_leave_the_calendar(on_clock: Caller, virtual: VirtualClock) -> None:
    virtual.advance(MOST_AHEAD - DAY)
    answer = await on_clock.post(CLOCK, {"Advance": "1.5d"})
    assert refusal(answer) == (400, 83600)
    assert "at most" in answer.json["message"]
    assert (await on_clock.post(CLOCK, {"Advance": "1d"})).status == 200


async def test_an_unknown_parameter_is_named(on_clock: Caller) -> None:
    answer = await on_clock.post(CLOCK, {"Advance": "1s", "To": "tomorrow"})
    assert answer.headers["ringback-warning"] == "unknown parameters, which had no effect: 'To'"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_it_needs_credentials(on_clock: Caller, virtual: VirtualClock, method: str) -> None:
    answer = await on_clock.call(method, CLOCK, b"Advance=3d", headers={"authorization": "Basic x"})
    assert refusal(answer) == (401, 20003)
    assert virtual.ahead == timedelta(0)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_with_the_machines_time_there_is_no_such_route(caller: Caller, method: str) -> None:
    assert refusal(await caller.call(method, CLOCK, b"Advance=3d")) == (404, 20404)
