"""The queue handles datagrams in order for each sender, and no sender waits for another."""

import asyncio
from collections import defaultdict
from datetime import timedelta

from ringback.carrier.datagram_queue import Datagram, DatagramQueue

A_WHILE = timedelta(seconds=10)


def of(address: str, payload: bytes) -> Datagram:
    return Datagram(address, 4000, payload)


class Taker:
    """Handles datagrams; those from a blocked address wait until the test unblocks it."""

    def __init__(self, *held: str) -> None:
        self.begun = list[bytes]()
        self.done = list[bytes]()
        self.has_done_one = asyncio.Event()
        self._gates = defaultdict[str, asyncio.Event](asyncio.Event)
        self._held = held

    async def __call__(self, datagram: Datagram) -> None:
        self.begun.append(datagram.payload)
        if datagram.address in self._held:
            await self._gates[datagram.address].wait()
        self.done.append(datagram.payload)
        self.has_done_one.set()

    def let_go(self, address: str) -> None:
        self._gates[address].set()


async def test_datagrams_of_one_sender_keep_their_order() -> None:
    inbox = DatagramQueue(taker := Taker())
    payloads = [b"%d" % number for number in range(1200)]
    for payload in payloads:
        assert inbox.put(of("127.0.0.1", payload))
    assert await inbox.drain(within=A_WHILE) == 0
    assert taker.done == payloads


async def test_a_later_datagram_waits_for_those_in_progress() -> None:
    inbox = DatagramQueue(taker := Taker("127.0.0.1"))
    inbox.put(of("127.0.0.1", b"1"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    inbox.put(of("127.0.0.1", b"2"))
    draining = asyncio.create_task(inbox.drain(within=A_WHILE))
    await asyncio.sleep(0)
    assert taker.begun == [b"1"]
    taker.let_go("127.0.0.1")
    assert await draining == 0
    assert taker.done == [b"1", b"2"]


async def test_a_sender_does_not_wait_for_another() -> None:
    inbox = DatagramQueue(taker := Taker("127.0.0.1"))
    inbox.put(of("127.0.0.1", b"held"))
    inbox.put(of("127.0.0.2", b"free"))
    await taker.has_done_one.wait()
    assert taker.done == [b"free"]
    taker.let_go("127.0.0.1")
    await inbox.drain(within=A_WHILE)
    assert taker.done == [b"free", b"held"]


async def test_no_more_datagrams_are_accepted_than_may_wait() -> None:
    inbox = DatagramQueue(taker := Taker("127.0.0.1"), most=2)
    taken = [inbox.put(of(f"127.0.0.{last}", b"")) for last in (1, 1, 2)]
    assert (taken, inbox.waiting) == ([True, True, False], 2)
    taker.let_go("127.0.0.1")
    await inbox.drain(within=A_WHILE)
    assert inbox.waiting == 0
    assert inbox.put(of("127.0.0.2", b"again"))
    await inbox.drain(within=A_WHILE)
    assert taker.done[-1] == b"again"


async def test_a_datagram_that_takes_too_long_at_the_end_is_given_up_and_counted() -> None:
    inbox = DatagramQueue(taker := Taker("127.0.0.1"))
    for payload in (b"1", b"2"):
        inbox.put(of("127.0.0.1", payload))
    inbox.put(of("127.0.0.2", b"3"))
    await taker.has_done_one.wait()
    assert await inbox.drain(within=timedelta(0)) == 2
    assert taker.done == [b"3"]
