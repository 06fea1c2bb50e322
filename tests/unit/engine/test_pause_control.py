"""The control of the pause: this process, the store and other processes agree."""

import asyncio
from datetime import timedelta

import pytest

from ringback.engine.pause_control import PauseControl
from ringback.ports import SendingPause, Store
from ringback.runtime.sending_gate import SendingGate
from tests.fakes import NOW, FakeClock
from tests.memory_store import MemoryStore
from tests.unit.delivery.parts import PausedStore, all_has_run


def control_of(store: Store) -> PauseControl:
    return PauseControl(store, SendingGate(), clock=FakeClock())


async def test_a_pause_closes_the_gate_and_lasts() -> None:
    store = MemoryStore()
    control, later = control_of(store), control_of(store)
    assert await control.pause("maintenance") == SendingPause(NOW, "maintenance")
    await later.look()
    for one in (control, later):
        assert one.gate.pause == SendingPause(NOW, "maintenance")


async def test_a_second_pause_changes_nothing() -> None:
    store = MemoryStore()
    first = await control_of(store).pause("the backup was restored")
    later = PauseControl(store, SendingGate(), clock=FakeClock(NOW + timedelta(days=1)))
    assert await later.pause("the server was started with start_paused") == first
    assert later.gate.pause == first


async def test_the_end_opens_the_gate_of_each_process_that_looks() -> None:
    store = MemoryStore()
    control, other = control_of(store), control_of(store)
    paused = await control.pause("maintenance")
    await other.look()
    assert await other.resume() == paused
    assert other.gate.is_open
    await control.look()
    assert control.gate.is_open
    assert await control.resume() is None


async def test_changes_are_announced_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    control, announced = control_of(MemoryStore()), list[bool]()
    control.announce = lambda: announced.append(control.gate.is_open)
    await control.pause("maintenance")
    await control.look()
    await control.look()
    await control.resume()
    await control.look()
    assert announced == [False, True]
    assert [record.message for record in caplog.records] == [
        "paused since 2024-07-03 14:40:58 UTC: maintenance; requests are accepted, but nothing is"
        " sent until `ringback resume`",
        "resumed: what waited is sent now",
    ]


async def test_a_look_that_began_before_a_change_does_not_undo_it() -> None:
    memory = MemoryStore()
    slow = PausedStore(memory)
    control = PauseControl(slow, SendingGate(), clock=FakeClock())
    slow.may_tell.clear()
    looking = asyncio.create_task(control.look())
    await all_has_run()  # it has read that there is no pause
    pausing = asyncio.create_task(control.pause("maintenance"))
    await all_has_run()
    control._use(SendingPause(NOW, "maintenance"), None)  # as if its answer had come first
    slow.may_tell.set()
    await looking
    assert not control.gate.is_open
    await pausing
