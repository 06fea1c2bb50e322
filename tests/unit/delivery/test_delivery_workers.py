"""The workers: a limited number per destination, in order, and none holds up another."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import pytest

from ringback.core.callbacks.callback import CallbackRecord, begin
from ringback.core.destinations.token_bucket import TokenBucket
from ringback.delivery.delivery_workers import DeliveryWorkers
from ringback.delivery.request_pacer import RequestPacer, loop_seconds
from ringback.ports import DeliveryClaim, Lane, lane_of
from tests.fakes import NOW, RecordingTransport, a_callback, an_account
from tests.unit.delivery.parts import (
    HOST,
    LANE,
    OTHER_ACCOUNT_SID,
    OTHER_HOST,
    all_has_run,
    callbacks_to,
    sid,
)

SECOND = timedelta(seconds=1)
A, B = "a.example", "b.example"
OTHER_ACCOUNTS_LANE = LANE._replace(account_sid=OTHER_ACCOUNT_SID)


class Bench:
    """Workers whose deliveries end when the test opens the gate of their host."""

    def __init__(self, *open_hosts: str, per_destination: int = 2) -> None:
        self.begun, self.ended = list[str](), list[str]()
        self.under_way, self.most = Counter[str](), Counter[str]()
        self.gates = {host: asyncio.Event() for host in (A, B)}
        for host in open_hosts:
            self.gates[host].set()
        self.workers = DeliveryWorkers(
            lambda claim: partial(self._deliver, claim),
            RecordingTransport(),
            per_destination=per_destination,
        )

    async def _deliver(self, claim: DeliveryClaim) -> None:
        host, name = claim.callback.url.host, claim.callback.sid
        self.begun.append(name)
        self.under_way[host] += 1
        self.most[host] = max(self.most[host], self.under_way[host])
        try:
            await self.gates[host].wait()
        finally:
            self.under_way[host] -= 1
        self.ended.append(name)
        self.workers.ended(claim)


def claim_of(callback: CallbackRecord) -> DeliveryClaim:
    """Return the claim of a callback's first attempt."""
    progress = begin(callback.progress, NOW, total_timeout=15 * SECOND)
    return DeliveryClaim(callback.having(progress), an_account(), lane_of(callback))


def claims_to(url: str, numbers: Sequence[int]) -> list[DeliveryClaim]:
    return [claim_of(callback) for callback in callbacks_to(url, numbers)]


def sids(*numbers: int) -> list[str]:
    return [sid(number) for number in numbers]


async def test_places_are_left_free_for_requests_of_other_processes() -> None:
    bench = Bench()
    bench.workers.leave_room({f"http://{A}:80": 1})
    for claim in claims_to(HOST, range(3)) + claims_to(OTHER_HOST, range(3, 6)):
        bench.workers.add(claim)
    await all_has_run()
    assert bench.under_way == {A: 1, B: 2}
    bench.workers.leave_room({})
    await all_has_run()
    assert bench.under_way == {A: 2, B: 2}


async def test_a_place_is_not_used_again_if_it_is_to_be_left_free() -> None:
    bench = Bench()
    for claim in claims_to(HOST, range(4)):
        bench.workers.add(claim)
    await all_has_run()
    bench.workers.leave_room({f"http://{A}:80": 2})
    bench.gates[A].set()
    await all_has_run()
    assert (bench.begun, bench.ended) == (sids(0, 1), sids(0, 1))
    bench.workers.leave_room({f"http://{A}:80": 1})
    await all_has_run()
    assert bench.ended == sids(0, 1, 2, 3)


@pytest.mark.parametrize("most", [1, 2, 7])
async def test_the_number_of_requests_to_one_destination_is_limited(most: int) -> None:
    bench = Bench(per_destination=most)
    for claim in claims_to(HOST, range(20)):
        bench.workers.add(claim)
    await all_has_run()
    assert bench.under_way == {A: most}
    bench.gates[A].set()
    await bench.workers.finish()
    assert bench.most == {A: most}
    assert len(bench.ended) == 20


async def test_the_limit_counts_retries_and_new_callbacks_together() -> None:
    bench = Bench(per_destination=3)
    for claim in claims_to(HOST, range(10)):
        bench.workers.add(claim)
        bench.workers.add_first(claim)
        await all_has_run()
    bench.gates[A].set()
    await bench.workers.finish()
    assert bench.most == {A: 3}


async def test_all_paths_of_a_destination_share_its_limit() -> None:
    bench = Bench(per_destination=2)
    for number, path in enumerate(["/a", "/b#rc=2", "/c?foo=bar"]):
        bench.workers.add(claim_of(a_callback(sid=sid(number), url=HOST + path)))
    await all_has_run()
    assert bench.under_way == {A: 2}
    await bench.workers.cancel()


async def test_all_parts_of_a_destination_share_its_limit() -> None:
    bench = Bench(per_destination=2)
    for number, part in enumerate(["", "/a/*", "/b/*"]):
        callback = a_callback(sid=sid(number), url=f"{HOST}/a/b")._replace(part=part)
        bench.workers.add(claim_of(callback))
    await all_has_run()
    assert bench.under_way == {A: 2}
    bench.gates[A].set()
    await bench.workers.finish()
    assert len(bench.ended) == 3


async def test_a_destination_that_hangs_delays_no_other() -> None:
    bench = Bench(B)
    for claim in claims_to(HOST, range(10)):
        bench.workers.add(claim)
    for claim in claims_to(OTHER_HOST, range(10, 20)):
        bench.workers.add(claim)
    await all_has_run()
    assert sorted(bench.ended) == sids(*range(10, 20))
    assert bench.under_way[A] == 2
    await bench.workers.cancel()


async def test_callbacks_to_one_destination_leave_in_their_order() -> None:
    bench = Bench(A, per_destination=1)
    for claim in claims_to(HOST, range(20)):
        bench.workers.add(claim)
    await bench.workers.finish()
    assert bench.ended == sids(*range(20))


async def test_a_continuing_round_comes_before_new_callbacks() -> None:
    bench = Bench(per_destination=1)
    first, second, third = claims_to(HOST, [1, 2, 3])
    bench.workers.add(first)
    await all_has_run()
    bench.workers.add(second)
    bench.workers.add_first(third)
    bench.gates[A].set()
    await bench.workers.finish()
    assert bench.ended == sids(1, 3, 2)


async def test_callbacks_after_a_destination_was_idle_are_sent_too() -> None:
    bench = Bench(A)
    for claim in claims_to(HOST, range(3)):
        bench.workers.add(claim)
        await bench.workers.finish()
    assert bench.ended == sids(0, 1, 2)


async def test_a_delivered_callback_may_be_added_again_at_once() -> None:
    delivered = list[DeliveryClaim]()

    def end(claim: DeliveryClaim) -> None:
        if len(delivered) < 4:
            workers.add_first(claim)
        workers.ended(claim)

    def begin(claim: DeliveryClaim) -> None:
        delivered.append(claim)
        asyncio.get_running_loop().call_soon(end, claim)

    workers = DeliveryWorkers(begin, RecordingTransport(), per_destination=1)
    workers.add(claim_of(a_callback()))
    await workers.finish()
    assert len(delivered) == 4


async def test_an_idle_destination_is_forgotten() -> None:
    bench = Bench(A, B)
    for claim in (*claims_to(HOST, range(3)), *claims_to(OTHER_HOST, range(3))):
        bench.workers.add(claim)
    await bench.workers.finish()
    assert bench.workers._destinations == {}


async def test_the_next_claim_begins_in_the_same_step_in_which_a_delivery_ends() -> None:
    begun = list[DeliveryClaim]()
    workers = DeliveryWorkers(begun.append, RecordingTransport(), per_destination=1)
    claims = claims_to(HOST, range(3))
    for claim in claims:
        workers.add(claim)
    assert begun == [], "`add` takes little time"
    await asyncio.sleep(0)
    for number, claim in enumerate(claims, 1):
        assert begun == claims[:number]
        workers.ended(claim)
    await workers.finish()


@pytest.mark.parametrize("steps", [0, 1], ids=["a queued claim", "a claim with a task"])
async def test_a_claim_that_has_not_left_when_the_workers_close_is_unsent(steps: int) -> None:
    bench, claims = Bench(), claims_to(HOST, range(3))
    for claim in claims:
        bench.workers.add(claim)
    for _ in range(steps):
        await asyncio.sleep(0)
    bench.workers.close()
    await bench.workers.finish()
    assert bench.begun == []
    assert sorted(bench.workers.take_unsent()) == claims


async def test_a_delivery_that_fails_to_begin_takes_no_place() -> None:
    begun, failures = list[DeliveryClaim](), list[object]()

    def begin(claim: DeliveryClaim) -> None:
        begun.append(claim)
        raise RuntimeError("a fault of ours")

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))
    workers = DeliveryWorkers(begin, RecordingTransport(), per_destination=1)
    claims = claims_to(HOST, range(3))
    for claim in claims:
        workers.add(claim)
        await workers.finish()
    loop.set_exception_handler(None)
    assert begun == claims
    assert len(failures) == 3


# ---- closing -------------------------------------------------------------------------------------


async def test_after_closing_nothing_leaves_and_unsent_callbacks_can_be_taken() -> None:
    bench = Bench()
    claims = claims_to(HOST, range(5))
    for claim in claims[:4]:
        bench.workers.add(claim)
    await all_has_run()
    bench.workers.close()
    bench.workers.add(claims[4])
    bench.gates[A].set()
    await bench.workers.finish()
    assert bench.begun == bench.ended == sids(0, 1)
    assert bench.workers.take_unsent() == claims[2:]
    assert bench.workers.take_unsent() == []


async def test_callbacks_added_just_before_closing_are_unsent() -> None:
    bench, (claim,) = Bench(A), claims_to(HOST, [1])
    bench.workers.add(claim)
    bench.workers.close()
    await bench.workers.finish()
    assert bench.begun == []
    assert bench.workers.take_unsent() == [claim]


async def test_unsent_callbacks_are_taken_from_all_destinations_retries_first() -> None:
    bench = Bench()
    bench.workers.close()
    first, retry, other = (*claims_to(HOST, [1, 2]), *claims_to(OTHER_HOST, [3]))
    bench.workers.add(first)
    bench.workers.add_first(retry)
    bench.workers.add(other)
    assert bench.workers.take_unsent() == [retry, first, other]


async def test_it_is_finished_when_the_last_request_is_answered() -> None:
    bench = Bench()
    for claim in (*claims_to(HOST, [1]), *claims_to(OTHER_HOST, [2])):
        bench.workers.add(claim)
    finishing = asyncio.create_task(bench.workers.finish())
    await all_has_run()
    bench.gates[A].set()
    await all_has_run()
    assert not finishing.done()
    bench.gates[B].set()
    await finishing
    assert bench.ended == sids(1, 2)


async def test_without_requests_in_flight_it_is_finished_at_once() -> None:
    bench = Bench()
    await bench.workers.finish()
    await bench.workers.cancel()
    assert bench.begun == []


async def test_a_cancelled_request_does_not_end_and_nothing_else_begins() -> None:
    bench = Bench()
    for claim in claims_to(HOST, range(5)):
        bench.workers.add(claim)
    await all_has_run()
    bench.workers.close()
    await bench.workers.cancel()
    assert bench.ended == []
    assert bench.under_way == {A: 0}
    assert [one.callback.sid for one in bench.workers.take_unsent()] == sids(2, 3, 4)


# ---- lanes that are limited or closed ------------------------------------------------------------


class PacedBench(Bench):
    """Workers of which the first host's lane has a pacer with some tokens, and gets no more."""

    def __init__(self, *open_hosts: str, tokens: float = 0) -> None:
        super().__init__(*open_hosts)
        self.bucket = TokenBucket(1e-9, 10, now=loop_seconds(), tokens=tokens)
        self.pacer = RequestPacer(
            *(self.bucket, None), release=self.workers.add_released, has_room=lambda: None
        )
        self.workers._pacer_of = self._pacer_of

    def _pacer_of(self, lane: Lane) -> RequestPacer | None:
        return self.pacer if lane == LANE else None


async def test_claims_of_a_limited_lane_wait_in_its_pacer() -> None:
    bench = PacedBench(A, B)
    for claim in (*claims_to(HOST, [1, 2]), *claims_to(OTHER_HOST, [3])):
        bench.workers.add(claim)
    await bench.workers.finish()
    assert bench.ended == sids(3)
    bench.pacer.change(None, None)
    await bench.workers.finish()
    assert bench.ended == sids(3, 1, 2)


async def test_the_token_of_a_delivery_that_sent_nothing_is_given_back_at_its_end() -> None:
    bench, (claim,) = PacedBench(A, tokens=1), claims_to(HOST, [1])
    bench.workers.add(claim)
    assert bench.bucket.reserved == 1
    await bench.workers.finish()
    assert bench.ended == sids(1)
    assert bench.bucket.reserved == 0


async def test_claims_of_a_lane_that_have_not_begun_can_be_taken_back() -> None:
    bench = Bench()
    ours, others = claims_to(HOST, range(5)), claims_to(OTHER_HOST, range(5, 9))
    theirs = [claim._replace(lane=OTHER_ACCOUNTS_LANE) for claim in claims_to(HOST, [9])]
    for claim in (*ours, *theirs, *others):
        bench.workers.add(claim)
    await all_has_run()
    assert bench.workers.take_back(LANE) == ours[2:]
    assert bench.workers.take_back(LANE) == []
    assert bench.workers.take_back(Lane("account", "http://nowhere.example:80")) == []
    for host in (A, B):
        bench.gates[host].set()
    await bench.workers.finish()
    assert sorted(bench.ended) == sids(0, 1, 5, 6, 7, 8, 9)


async def test_what_waits_in_a_pacer_is_taken_back_too_and_tokens_are_given_back() -> None:
    bench = PacedBench(tokens=1)
    bench.workers.close()
    ready, waiting = claims_to(HOST, [1, 2])
    bench.workers.add(ready)
    bench.workers.add(waiting)
    assert bench.bucket.reserved == 1
    assert bench.workers.take_back(LANE) == [waiting, ready]
    assert bench.bucket.reserved == 0
