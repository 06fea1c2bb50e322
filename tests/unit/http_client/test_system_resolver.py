import asyncio
import threading

import pytest

from ringback.http_client.system_resolver import SystemResolver


class Machine:
    """A resolver that blocks until it is let go."""

    def __init__(self) -> None:
        self.asked = list[str]()
        self.released = threading.Event()

    def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        self.released.wait(timeout=10)
        return ["192.0.2.1"]


async def test_a_name_is_looked_up_once_at_a_time() -> None:
    machine = Machine()
    resolve = SystemResolver(machine)
    both = asyncio.gather(resolve("hooks.example"), resolve("hooks.example"))
    await asyncio.sleep(0)
    machine.released.set()
    assert await both == [["192.0.2.1"]] * 2
    assert machine.asked == ["hooks.example"]


async def test_who_stops_waiting_takes_nothing_from_who_asks_next() -> None:
    machine = Machine()
    resolve = SystemResolver(machine)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await resolve("hooks.example")
    patient = asyncio.create_task(resolve("hooks.example"))
    await asyncio.sleep(0)
    machine.released.set()
    assert await patient == ["192.0.2.1"]
    assert machine.asked == ["hooks.example"], "the thread that hung has answered"


async def test_a_look_up_is_under_way_until_its_thread_ends_whoever_waits() -> None:
    machine = Machine()
    resolve = SystemResolver(machine)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await resolve("hooks.example")
    goes_on = resolve.under_way("hooks.example")
    assert goes_on is not None
    machine.released.set()
    assert await asyncio.wrap_future(goes_on) == ["192.0.2.1"]
    assert resolve.under_way("hooks.example") is None


@pytest.mark.parametrize("error", [OSError("no such name"), UnicodeError("no name"), KeyError(1)])
async def test_whoever_asked_hears_of_an_error(error: Exception) -> None:
    def fail(host: str) -> list[str]:
        raise error

    resolve = SystemResolver(fail)
    for _ in range(2):
        with pytest.raises(type(error)):
            await resolve("hooks.example")


async def test_the_machine_itself_reads_an_address_in_any_spelling() -> None:
    assert await SystemResolver()("0x7f.1") == ["127.0.0.1"]
