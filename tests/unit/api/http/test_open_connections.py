"""The connection that is closed at the limit: by the number per address, and by activity."""

import asyncio
from itertools import count

import pytest

from ringback.api.http.open_connections import OpenConnections
from tests.policy_monitors import until


class Connection:
    """A connection that records what happens to it."""

    def __init__(self, holder: str, *, is_trusted: bool = False) -> None:
        self.holder = holder
        self.is_trusted = is_trusted
        self.is_evicted = False
        self.checked = list[float]()
        self.answering: asyncio.Task[None] | None = None
        self.is_receiving = False

    def is_used_within(self, seconds: float) -> bool:
        raise AssertionError

    def close_with_answer(self) -> None:
        raise AssertionError

    def stop(self) -> None:
        raise AssertionError

    def evict(self) -> None:
        self.is_evicted = True

    def check(self, now: float) -> None:
        self.checked.append(now)


def opened(
    connections: OpenConnections, holder: str, number: int = 1, *, is_trusted: bool = False
) -> list[Connection]:
    made = [Connection(holder, is_trusted=is_trusted) for _ in range(number)]
    for connection in made:
        assert connections.admit(connection)
    return made


def evicted(connections: list[Connection]) -> list[int]:
    return [number for number, one in enumerate(connections) if one.is_evicted]


async def test_while_there_is_room_one_address_may_use_all_of_it() -> None:
    connections = OpenConnections(100)
    opened(connections, "a", 100)
    assert (len(connections), connections.evicted) == (100, 0)


async def test_the_address_with_the_most_loses_its_longest_waiting_connection() -> None:
    connections = OpenConnections(100)
    hoarder = opened(connections, "a", 90)
    other = opened(connections, "b", 10)
    for connection in hoarder[:3]:
        connections.serves(connection)
    connections.waits(hoarder[1])
    opened(connections, "c", 87)
    # 0 and 2 are being served; 1 was served until just now.
    assert evicted(hoarder) == list(range(3, 48)), "both have 45 now"
    assert evicted(other) == []
    assert len(connections) == 100


async def test_a_served_connection_is_closed_last_and_only_for_an_address_with_far_fewer() -> None:
    connections = OpenConnections(4)
    first, *rest = opened(connections, "a", 4)
    for connection in (first, *rest):
        connections.serves(connection)
    opened(connections, "b")
    assert evicted([first, *rest]) == [0]
    assert connections.admit(Connection("b"))
    assert evicted([first, *rest]) == [0, 1]


async def test_if_all_are_served_and_equal_the_new_one_is_closed() -> None:
    connections = OpenConnections(4)
    served = [*opened(connections, "a", 2), *opened(connections, "b", 2)]
    for connection in served:
        connections.serves(connection)
    assert connections.admit(Connection("c"))
    assert evicted(served) == [0]
    for holder in ("a", "b"):
        assert not connections.admit(Connection(holder))
    assert len(connections) == 4


async def test_an_address_with_a_quarter_gets_more_only_from_its_own() -> None:
    connections = OpenConnections(100)
    proxy = opened(connections, "proxy", 60, is_trusted=True)
    stranger = opened(connections, "stranger", 40)
    opened(connections, "stranger", 50)
    assert evicted(proxy) == []
    assert evicted(stranger) == list(range(40))


async def test_a_stranger_with_more_than_a_quarter_loses_before_a_proxy_does() -> None:
    connections = OpenConnections(100)
    proxy = opened(connections, "proxy", 60, is_trusted=True)
    stranger = opened(connections, "stranger", 40)
    opened(connections, "other", 15)
    assert evicted(proxy) == []
    assert evicted(stranger) == list(range(15))
    opened(connections, "proxy", 10, is_trusted=True)
    assert len(evicted(proxy)) == 10, "it has the most now"


async def test_strangers_together_may_have_all_and_share_it_equally() -> None:
    connections = OpenConnections(100)
    floods = [opened(connections, f"flood {number}", 20) for number in range(5)]
    for number in range(50):
        opened(connections, f"visitor {number}")
    assert [20 - len(evicted(flood)) for flood in floods] == [10] * 5
    newcomers = [opened(connections, f"flood {number}", 20) for number in range(5)]
    assert len(connections) == 100
    visitors = [one for one in connections if one.holder.startswith("visitor")]
    assert len(visitors) == 50
    assert newcomers


async def test_among_addresses_with_one_connection_each_the_longest_waiting_is_closed() -> None:
    connections = OpenConnections(100)
    crowd = [opened(connections, f"visitor {number}")[0] for number in range(100)]
    connections.serves(crowd[0])
    opened(connections, "newcomer")
    assert evicted(crowd) == [1]


async def test_a_closed_connection_makes_room_and_can_be_closed_twice() -> None:
    connections = OpenConnections(2)
    first, second = opened(connections, "a", 2)
    connections.remove(first)
    connections.remove(first)
    connections.waits(first)
    connections.serves(first)
    opened(connections, "b")
    assert (first.is_evicted, second.is_evicted) == (False, False)
    assert len(connections) == 2


class Counted(Connection):
    """A connection that counts how often all are looked up, as a measure of the work done."""

    looked_up = count()

    def __hash__(self) -> int:
        next(self.looked_up)
        return id(self)

    __eq__ = object.__eq__


@pytest.mark.parametrize("addresses", [1, 7, 1000])
async def test_making_room_costs_the_same_however_many_connections_there_are(
    addresses: int,
) -> None:
    def work_with(most: int) -> int:
        connections = OpenConnections(most)
        for number in range(most):
            connections.admit(Counted(str(number % addresses)))
        before = next(Counted.looked_up)
        for number in range(50):
            connections.admit(Counted(f"newcomer {number % 5}"))
        return next(Counted.looked_up) - before

    assert work_with(5000) <= work_with(1000) + 50


async def test_each_connection_is_checked_once_a_second_and_only_while_there_are_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timers = list[object]()
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def note(delay: float, *rest: object) -> asyncio.TimerHandle:
        if getattr(rest[0], "__self__", None) is connections:
            timers.append(rest)
        return call_later(0.01, *rest)  # pyright: ignore[reportArgumentType] (passed on unchanged)

    connections = OpenConnections(10)
    monkeypatch.setattr(loop, "call_later", note)
    assert timers == []
    made = opened(connections, "a", 5)
    assert len(timers) == 1
    await until(lambda: bool(made[-1].checked))
    for connection in made:
        connections.remove(connection)
    await connections.emptied()
    await asyncio.sleep(0.05)
    set_so_far = len(timers)
    await asyncio.sleep(0.05)
    assert len(timers) == set_so_far
