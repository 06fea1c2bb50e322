"""The health checks for supervisors and load balancers."""

import asyncio
from datetime import timedelta

import pytest
from starlette.types import ASGIApp

from ringback.api.health import HealthChecks, health_routes
from ringback.core.errors import StoreUnavailable
from ringback.ports import SendingPause
from tests.fakes import ACCOUNT_SID, NOW
from tests.memory_store import MemoryStore
from tests.unit.api.caller import Caller
from tests.unit.api.world import app_on


class Machine:
    """A store and an engine that can fail; both work at first."""

    def __init__(self) -> None:
        self.commits = 0
        self.is_running = True
        self.clock_difference = timedelta(0)
        self.failure: Exception | None = None
        self.pause: SendingPause | None = None
        self.silence: str | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def commit(self) -> None:
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.commits += 1

    def app(self) -> ASGIApp:
        health = HealthChecks(
            commit=self.commit,
            is_running=lambda: self.is_running,
            clock_difference=lambda: self.clock_difference,
            pause=lambda: self.pause,
            silence=lambda: self.silence,
            patience=0.05,
        )
        return app_on(MemoryStore(), beside=health_routes(health))


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def caller(machine: Machine) -> Caller:
    """A client without credentials."""
    return Caller(machine.app(), credentials=None)


async def test_a_process_that_answers_is_alive_whatever_else_fails(
    machine: Machine, caller: Caller
) -> None:
    machine.is_running = False
    machine.failure = StoreUnavailable("the disk is full")
    answer = await caller.get("/healthz")
    assert (answer.status, answer.json) == (200, {"status": "alive"})
    assert machine.commits == 0


async def test_a_server_that_commits_and_runs_is_ready(machine: Machine, caller: Caller) -> None:
    answer = await caller.get("/readyz")
    assert (answer.status, answer.json) == (200, {"status": "ready"})
    assert machine.commits == 1


async def test_without_the_engine_the_server_is_not_ready(machine: Machine, caller: Caller) -> None:
    machine.is_running = False
    answer = await caller.get("/readyz")
    assert answer.status == 503
    assert answer.json == {
        "status": "not ready",
        "reason": "the delivery engine is not running; the log has the reason",
    }


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [
        (60, None),
        (-60, None),
        (61, "this machine's clock is 61 s ahead of the database's, and 60 s are allowed"),
        (-3600, "this machine's clock is 3600 s behind the database's, and 60 s are allowed"),
    ],
)
async def test_a_clock_that_differs_by_over_a_minute_makes_it_not_ready(
    machine: Machine, caller: Caller, seconds: int, reason: str | None
) -> None:
    machine.clock_difference = timedelta(seconds=seconds)
    answer = await caller.get("/readyz")
    assert answer.status == (200 if reason is None else 503)
    assert answer.json.get("reason") == (reason and f"{reason}; set the clocks")


async def test_without_the_store_the_server_is_not_ready(machine: Machine, caller: Caller) -> None:
    machine.failure = StoreUnavailable("the disk is full")
    answer = await caller.get("/readyz")
    assert (answer.status, answer.json["reason"]) == (503, "the disk is full")


async def test_it_is_ready_again_when_the_store_is(machine: Machine, caller: Caller) -> None:
    machine.failure = StoreUnavailable("the disk is full")
    await caller.get("/readyz")
    machine.failure = None
    assert (await caller.get("/readyz")).status == 200


async def test_a_hanging_store_is_not_waited_for(machine: Machine, caller: Caller) -> None:
    machine.gate.clear()
    answer = await caller.get("/readyz")
    assert answer.status == 503
    assert answer.json["reason"] == "the database did not commit within 0.05 s"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_head_request_gets_the_same_status(caller: Caller, path: str) -> None:
    assert (await caller.call("HEAD", path)).status == 200


async def test_credentials_are_not_needed_and_make_no_difference(machine: Machine) -> None:
    wrong = Caller(machine.app(), credentials=(ACCOUNT_SID, "wrong"))
    assert (await wrong.get("/readyz")).status == 200


@pytest.mark.parametrize("host", ["supersim.twilio.com", "webhook.korewireless.com"])
async def test_an_apis_host_name_does_not_hide_the_checks(machine: Machine, host: str) -> None:
    assert (await Caller(machine.app(), credentials=None, host=host).get("/healthz")).status == 200


async def test_a_paused_server_is_ready_and_says_why_it_is_paused(
    machine: Machine, caller: Caller
) -> None:
    assert (await caller.get("/readyz")).json == {"status": "ready"}
    machine.pause = SendingPause(NOW, "restored from a backup")
    answer = await caller.get("/readyz")
    assert answer.status == 200
    assert answer.json == {"status": "ready", "paused": "restored from a backup"}


async def test_a_silent_database_is_not_asked_again(machine: Machine, caller: Caller) -> None:
    machine.silence = "the database has not answered for 7 s"
    answer = await caller.get("/readyz")
    assert (answer.status, answer.json["reason"]) == (503, machine.silence)
    assert machine.commits == 0
