"""Names whose name server never answers: other accounts don't wait, and no turn is used twice."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.http.allowed_addresses import LOOPBACK
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.http.outcome import AttemptFailure, DeliveredOutcome
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.delivery.delivery_service import DeliveryService
from ringback.http_client.http_sender import HttpTransport
from ringback.http_client.system_resolver import SystemResolver
from ringback.runtime.system_clock import SystemClock, SystemRandomSource, stopwatch
from tests.fakes import a_callback, an_account
from tests.memory_store import MemoryStore
from tests.networks import MadeUpNetwork, MadeUpTime, in_made_up_time
from tests.receivers import OK, RecordingReceiver
from tests.sending import LIMITS, failure_of, post, resolve_to, why_of
from tests.unit.delivery.parts import OTHER_ACCOUNT_SID, all_has_run, running, sid

HOSTILE, QUIET = "AC" + "a" * 32, "AC" + "b" * 32


class HangingMachine:
    """A resolver that hangs for names with this prefix until they are released."""

    def __init__(self) -> None:
        self.asked = list[str]()
        self.released = threading.Event()

    def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        if host.startswith("hangs"):
            self.released.wait(timeout=30)
        return ["127.0.0.1"]

    async def has_asked(self, count: int) -> None:
        """Wait until `count` lookups were requested."""
        async with asyncio.timeout(10):
            while len(self.asked) < count:  # noqa: ASYNC110 (threads signal no event)
                await asyncio.sleep(0.001)

    async def is_over(self) -> None:
        """Wait until no lookup is in progress in any thread, and the loop knows it."""
        async with asyncio.timeout(10):
            while any(  # noqa: ASYNC110 (threads signal no event)
                one.name.startswith("look-up") for one in threading.enumerate()
            ):
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)


def of(account: str, url: str) -> OutgoingRequest:
    return replace(post(url), account_sid=account)


def send_all(
    sender: HttpTransport, account: str, receiver: RecordingReceiver, hosts: list[str]
) -> list[asyncio.Task[AttemptResult]]:
    return [
        asyncio.create_task(sender.send(of(account, receiver.url(host=host)), limits=LIMITS))
        for host in hosts
    ]


async def cancel(tasks: list[asyncio.Task[AttemptResult]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_hanging_names_of_one_account_leave_the_others_half_of_the_turns() -> None:
    machine = HangingMachine()
    sender = HttpTransport(
        stopwatch=stopwatch,
        guard=SsrfGuard(LOOPBACK),
        resolve=SystemResolver(machine),
        names_at_once=8,
    )
    async with RecordingReceiver() as receiver:
        names = [f"hangs-{number}.example" for number in range(2000)]
        hanging = send_all(sender, HOSTILE, receiver, names)
        await machine.has_asked(4)
        quiet = [f"quiet-{number}.example" for number in range(30)]
        exchanges = await asyncio.gather(*send_all(sender, QUIET, receiver, quiet))
        assert [exchange.outcome for exchange in exchanges] == [DeliveredOutcome(200)] * 30
        assert [host for host in machine.asked if host.startswith("hangs")] == names[:4]
        await cancel(hanging)
        machine.released.set()
        await sender.close()


async def test_hanging_threads_hold_their_turns_until_they_end() -> None:
    machine = HangingMachine()
    sender = HttpTransport(
        stopwatch=stopwatch,
        guard=SsrfGuard(LOOPBACK),
        resolve=SystemResolver(machine),
        names_at_once=4,
        name_limit=1,
    )
    async with RecordingReceiver() as receiver:
        hanging = send_all(sender, HOSTILE, receiver, [f"hangs-{n}.example" for n in range(10)])
        first = await asyncio.gather(*hanging[:2])
        assert [failure_of(one) for one in first] == [AttemptFailure.NAME] * 2
        await asyncio.sleep(0.2)
        assert len(machine.asked) == 2, "no additional thread, although both reached their limits"
        (good,) = send_all(sender, QUIET, receiver, ["quiet.example"])
        assert (await good).outcome == DeliveredOutcome(200)
        machine.released.set()
        rest = await asyncio.gather(*hanging[2:])
        assert {exchange.outcome for exchange in rest} == {DeliveredOutcome(200)}
        await sender.close()


async def test_a_name_that_another_account_waits_for_is_looked_up_in_the_first_turn_of_either() -> (
    None
):
    machine = HangingMachine()
    sender = HttpTransport(
        stopwatch=stopwatch,
        guard=SsrfGuard(LOOPBACK),
        resolve=SystemResolver(machine),
        names_at_once=4,
    )
    async with RecordingReceiver() as receiver:
        names = [*(f"hangs-{number}.example" for number in range(50)), "shared.example"]
        hanging = send_all(sender, HOSTILE, receiver, names)
        await asyncio.sleep(0)
        (good,) = send_all(sender, QUIET, receiver, ["shared.example"])
        assert (await good).outcome == DeliveredOutcome(200)
        assert (await hanging[-1]).outcome == DeliveredOutcome(200), (
            "it benefits from the other's turn"
        )
        await cancel(hanging)
        machine.released.set()
        await sender.close()


async def test_no_callback_to_a_healthy_receiver_fails_for_lack_of_a_turn() -> None:
    machine, store = HangingMachine(), MemoryStore()
    sender = HttpTransport(
        stopwatch=stopwatch,
        guard=SsrfGuard(LOOPBACK),
        resolve=SystemResolver(machine),
        names_at_once=8,
        remember_names=0,
        name_limit=2,
    )
    delivery = DeliveryService(
        store=store, transport=sender, clock=SystemClock(), random_source=SystemRandomSource()
    )
    async with RecordingReceiver() as receiver:
        hanging = [
            a_callback(sid=sid(n), url=receiver.url("/#rc=0", host=f"hangs-{n}.example"))
            for n in range(200)
        ]
        healthy = [
            a_callback(
                sid=sid(n),
                account_sid=OTHER_ACCOUNT_SID,
                url=receiver.url("/#rc=0&ct=3000", host=f"quiet-{n}.example"),
            )
            for n in range(200, 230)
        ]
        await store.transact(lambda tx: tx.accounts.add(an_account(), []))
        await store.transact(lambda tx: tx.accounts.add(an_account(sid=OTHER_ACCOUNT_SID), []))
        await store.transact(lambda tx: [tx.callbacks.add(one) for one in [*hanging, *healthy]])
        await delivery.recover()
        async with asyncio.timeout(30), running(delivery.run):
            await receiver.wait_for(30)
            while delivery.unfinished > 200:  # noqa: ASYNC110 (no event signals the end)
                await asyncio.sleep(0.01)
        found = await store.transact(
            lambda tx: [tx.callbacks.get(OTHER_ACCOUNT_SID, one.sid) for one in healthy]
        )
        assert [one and one.status for one in found] == ["delivered"] * 30
        machine.released.set()
        await sender.close()


def a_sender(
    loop: MadeUpTime, resolve: Callable[[str], Awaitable[list[str]]], **how: Any
) -> HttpTransport:
    network = MadeUpNetwork(lambda _: OK, after=0.001)
    return HttpTransport(stopwatch=loop.time, network=network, resolve=resolve, **how)


def test_waiting_for_a_turn_does_not_count_as_the_callbacks_time() -> None:
    async def slowly(host: str) -> list[str]:
        await asyncio.sleep(4)
        return ["198.0.0.1"]

    async def story(loop: MadeUpTime) -> None:
        sender = a_sender(loop, slowly, names_at_once=1)
        limits = Timeouts(connect=4.5, read=5, total=5)
        sends = [sender.send(post(f"http://{n}.example/"), limits=limits) for n in range(10)]
        exchanges = await asyncio.gather(*sends)
        assert [exchange.outcome for exchange in exchanges] == [DeliveredOutcome(200)] * 10
        assert [exchange.waited for exchange in exchanges] == pytest.approx(
            [4.0 * number for number in range(10)]
        )
        for timings in (exchange.timings for exchange in exchanges):
            assert timings is not None
            assert timings.look_up == pytest.approx(4000)
            assert timings.total == pytest.approx(4002)
        await sender.close()

    in_made_up_time(story)


def test_a_name_that_hung_is_not_looked_up_again_for_ten_seconds() -> None:
    asked = list[float]()

    async def story(loop: MadeUpTime) -> None:
        async def hang(host: str) -> list[str]:
            asked.append(loop.time())
            await asyncio.Event().wait()
            return []

        sender, whys = a_sender(loop, hang, name_limit=4), list[str]()
        for at in (0.0, 5.5, 13.5, 15.5):
            await asyncio.sleep(at - loop.time())
            whys.append(why_of(await sender.send(post("http://hangs.example/"), limits=LIMITS)))
        assert asked == pytest.approx([0.0, 15.5])
        assert set(whys[:3]) == {
            "the host hangs.example could not be looked up: no answer came within 4 s"
        }
        await sender.close()

    in_made_up_time(story)


async def test_another_request_for_a_hanging_name_joins_its_lookup() -> None:
    # As with a lost datagram: the machine's resolver tries again just when our limit is over.
    machine = HangingMachine()
    sender = HttpTransport(
        stopwatch=stopwatch,
        guard=SsrfGuard(LOOPBACK),
        resolve=SystemResolver(machine),
        name_limit=0.5,
        names_at_once=2,
    )
    async with RecordingReceiver() as receiver:
        request = of(HOSTILE, receiver.url(host="hangs.example"))
        assert failure_of(await sender.send(request, limits=LIMITS)) is AttemptFailure.NAME
        again = asyncio.create_task(sender.send(request, limits=LIMITS))
        await all_has_run()
        machine.released.set()
        assert (await again).outcome == DeliveredOutcome(200)
        assert machine.asked == ["hangs.example"]
        await sender.close()


async def test_a_name_that_hung_and_has_no_answer_is_remembered_from_then_on() -> None:
    machine, asked = threading.Event(), list[str]()

    def ask(host: str) -> list[str]:
        asked.append(host)
        machine.wait(timeout=30)
        raise OSError("no name server could be reached")

    sender = HttpTransport(stopwatch=stopwatch, resolve=SystemResolver(ask), name_limit=0.5)
    request = post("http://hangs.example/")
    assert failure_of(await sender.send(request, limits=LIMITS)) is AttemptFailure.NAME
    machine.set()
    await HangingMachine().is_over()
    assert failure_of(await sender.send(request, limits=LIMITS)) is AttemptFailure.NAME
    assert asked == ["hangs.example"]
    await sender.close()


async def test_a_name_that_answers_late_is_looked_up_again_at_once() -> None:
    machine = HangingMachine()
    sender = HttpTransport(
        stopwatch=stopwatch,
        guard=SsrfGuard(LOOPBACK),
        resolve=SystemResolver(machine),
        name_limit=0.5,
    )
    async with RecordingReceiver() as receiver:
        request = post(receiver.url(host="hangs.example"))
        assert failure_of(await sender.send(request, limits=LIMITS)) is AttemptFailure.NAME
        assert failure_of(await sender.send(request, limits=LIMITS)) is AttemptFailure.NAME
        assert len(machine.asked) == 1
        machine.released.set()
        await machine.is_over()
        assert (await sender.send(request, limits=LIMITS)).outcome == DeliveredOutcome(200)
        await sender.close()


async def test_slots_for_connections_go_to_the_waiting_accounts_in_turn() -> None:
    sender = HttpTransport(
        stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK), resolve=resolve_to("127.0.0.1"), most_open=1
    )
    async with RecordingReceiver(
        answer=lambda _: b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    ) as receiver:
        many = send_all(sender, HOSTILE, receiver, [f"a-{number}.example" for number in range(50)])
        await asyncio.sleep(0)
        (quiet,) = send_all(sender, QUIET, receiver, ["b.example"])
        assert (await quiet).outcome == DeliveredOutcome(200)
        assert sum(task.done() for task in many) <= 2
        await asyncio.gather(*many)
        await sender.close()
