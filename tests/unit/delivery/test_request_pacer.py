"""Pacers: when requests of a limited lane may leave, in made-up time."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.core.destinations.token_bucket import TokenBucket
from ringback.delivery.request_pacer import RequestPacer, SharedRate, loop_seconds
from ringback.ports import DeliveryClaim
from tests.fakes import a_callback
from tests.networks import MadeUpTime, in_made_up_time
from tests.unit.delivery.parts import sid
from tests.unit.delivery.test_delivery_workers import claim_of

Story = Callable[[], Coroutine[Any, Any, None]]
SLACK = 1e-6


def run(story: Story) -> None:
    """Run a story in a loop in which nobody waits."""

    async def run_it(_: MadeUpTime) -> None:
        await story()

    in_made_up_time(run_it)


class PacedLane:
    """A pacer whose claims leave as soon as they are released, or some time later."""

    def __init__(
        self,
        rate: float | None = None,
        burst: int = 1,
        *,
        shared: SharedRate | None = None,
        connecting: Sequence[float] = (),
        leaves: bool = True,
    ) -> None:
        self.left = list[float]()
        """When requests have left."""
        self.released = list[str]()
        self.rooms = 0
        """How often there was room for more."""
        self._connecting = iter([*connecting])
        self._leaves = leaves
        own = None if rate is None else TokenBucket(rate, burst, now=loop_seconds())
        self.pacer = RequestPacer(own, shared, release=self._release, has_room=self._note)

    def add(self, *numbers: int) -> None:
        for number in numbers:
            self.pacer.add(claim_of(a_callback(sid=sid(number))))

    def _note(self) -> None:
        self.rooms += 1

    def _release(self, claim: DeliveryClaim) -> None:
        name = claim.callback.sid
        self.released.append(name)
        if self._leaves:
            asyncio.get_running_loop().call_later(next(self._connecting, 0.0), self._leave, name)

    def _leave(self, name: str) -> None:
        if self.pacer.may_leave(name):
            self.left.append(loop_seconds())
            self.pacer.left(name)
        else:
            self.pacer.stayed(name)
            self.add(int(name[2:]))


def most_in_a_second(times: Sequence[float]) -> int:
    return max(
        (sum(begin <= one < begin + 1 - SLACK for one in times) for begin in times), default=0
    )


def rounded(times: Sequence[float]) -> list[float]:
    return [round(one, 2) for one in times]


# ---- the rate of a lane --------------------------------------------------------------------------


def test_requests_leave_at_the_rate_of_their_lane() -> None:
    async def story() -> None:
        lane = PacedLane(2)
        lane.add(1, 2, 3, 4)
        await asyncio.sleep(10)
        assert rounded(lane.left) == [0.5, 1.0, 1.5, 2.0]
        assert lane.released == [sid(1), sid(2), sid(3), sid(4)]

    run(story)


def test_after_a_quiet_time_as_many_leave_as_the_burst_allows() -> None:
    async def story() -> None:
        lane = PacedLane(2, 3)
        await asyncio.sleep(60)
        lane.add(*range(5))
        await asyncio.sleep(10)
        assert rounded(lane.left) == [60, 60, 60, 60.5, 61]

    run(story)


def test_a_slow_connection_costs_no_second_token() -> None:
    async def story() -> None:
        lane = PacedLane(1, connecting=[5.0])
        lane.add(1, 2)
        await asyncio.sleep(20)
        assert rounded(lane.left) == [6, 7], "the second one waits for the end of the first"

    run(story)


def test_a_request_that_stays_gives_its_token_to_the_next() -> None:
    async def story() -> None:
        lane = PacedLane(1, leaves=False)
        lane.add(1, 2)
        await asyncio.sleep(1.01)
        assert lane.released == [sid(1)]
        lane.pacer.stayed(sid(1))
        assert lane.released == [sid(1), sid(2)]
        assert lane.pacer.may_leave(sid(2))
        assert not lane.pacer.may_leave(sid(1))

    run(story)


def test_what_has_left_or_was_never_released_takes_no_token() -> None:
    async def story() -> None:
        lane = PacedLane(1, 2)
        await asyncio.sleep(10)
        lane.add(1)
        await asyncio.sleep(0.1)
        for name in (sid(1), sid(9)):
            lane.pacer.left(name)
            lane.pacer.stayed(name)
        assert lane.pacer.own is not None
        assert lane.pacer.own.reserved == 0
        lane.add(2, 3)
        await asyncio.sleep(0.5)
        assert rounded(lane.left) == [10, 10.1]

    run(story)


def test_claims_that_wait_can_be_taken_back() -> None:
    async def story() -> None:
        lane = PacedLane(1)
        lane.add(1, 2, 3)
        await asyncio.sleep(1.5)
        taken = [claim.callback.sid for claim in lane.pacer.take_back()]
        assert taken == [sid(2), sid(3)]
        assert lane.pacer.take_back() == []
        await asyncio.sleep(10)
        assert lane.released == [sid(1)]

    run(story)


def test_an_idle_lane_is_asked_for_nothing() -> None:
    async def story() -> None:
        lane, shared = PacedLane(3, 5), SharedRate(2, 4)
        both = PacedLane(3, 5, shared=shared)
        lane.add(1)
        both.add(2)
        await asyncio.sleep(10)
        before = lane.rooms, both.rooms
        await asyncio.sleep(1000)
        assert (lane.rooms, both.rooms) == before

    run(story)


# ---- room for claims -----------------------------------------------------------------------------


def test_there_is_room_for_a_quarter_of_a_second_and_for_one_at_least() -> None:
    async def story() -> None:
        rooms = list[int]()
        for rate in (0.1, 4, 20, 21, None):
            lane = PacedLane(rate, 10, shared=SharedRate(40, 10) if rate is None else None)
            rooms.append(lane.pacer.room)
        assert rooms == [1, 1, 5, 6, 10]

    run(story)


def test_claims_that_wait_take_room() -> None:
    async def story() -> None:
        lane = PacedLane(20, 5)
        lane.add(1, 2, 3)
        assert (lane.released, lane.pacer.room) == ([], 2)

    run(story)


def test_there_is_room_only_shortly_before_the_next_token() -> None:
    async def story() -> None:
        lane = PacedLane(0.5)
        lane.add(1)
        assert lane.pacer.room == 0
        await asyncio.sleep(2.01)
        assert (len(lane.left), lane.pacer.room) == (1, 0)
        before = lane.rooms
        await asyncio.sleep(1.7)
        assert (lane.pacer.room, lane.rooms) == (0, before)
        await asyncio.sleep(0.1)
        assert (lane.pacer.room, lane.rooms) == (1, before + 1)

    run(story)


# ---- changes -------------------------------------------------------------------------------------


def test_a_lower_rate_stops_requests_that_were_released_before() -> None:
    async def story() -> None:
        lane = PacedLane(100, 10, leaves=False)
        await asyncio.sleep(1)
        lane.add(*range(10))
        assert len(lane.released) == 10
        own = lane.pacer.own
        assert own is not None
        own.change(1, 1, loop_seconds())
        lane.pacer.change(own, None)
        assert lane.pacer.may_leave(sid(0))
        lane.pacer.left(sid(0))
        assert not any(lane.pacer.may_leave(sid(number)) for number in range(10))

    run(story)


def test_without_a_rate_all_that_waits_is_released() -> None:
    async def story() -> None:
        lane = PacedLane(1, leaves=False)
        lane.add(1, 2, 3)
        assert lane.released == []
        lane.pacer.change(None, None)
        assert lane.released == [sid(1), sid(2), sid(3)]

    run(story)


def test_what_was_released_by_another_bucket_needs_a_new_token() -> None:
    async def story() -> None:
        lane, shared = PacedLane(1, leaves=False), SharedRate(1, 1)
        lane.add(1)
        await asyncio.sleep(1)
        old = lane.pacer.own
        assert old is not None
        assert lane.pacer.may_leave(sid(1))
        lane.pacer.change(old, shared)
        assert (lane.pacer.may_leave(sid(1)), old.reserved) == (False, 0)

    run(story)


# ---- the rate that accounts share ----------------------------------------------------------------


def test_lanes_take_turns_for_the_rate_that_they_share() -> None:
    async def story() -> None:
        shared = SharedRate(1, 1)
        busy, other = PacedLane(shared=shared), PacedLane(shared=shared)
        busy.add(*range(10))
        other.add(11, 12)
        await asyncio.sleep(5.5)
        assert rounded(busy.left) == [1, 3, 5]
        assert rounded(other.left) == [2, 4]

    run(story)


def test_a_lane_has_its_own_rate_below_the_shared_one() -> None:
    async def story() -> None:
        shared = SharedRate(4, 1)
        slow, quick = PacedLane(1, shared=shared), PacedLane(shared=shared)
        slow.add(*range(20))
        quick.add(*range(20, 40))
        await asyncio.sleep(5.1)
        assert rounded(slow.left) == [1.25, 2.5, 3.75, 5.0]
        assert len(quick.left) == 16

    run(story)


def test_a_lane_whose_claims_are_gone_leaves_its_turn_to_others() -> None:
    async def story() -> None:
        shared = SharedRate(1, 1)
        gone, other = PacedLane(shared=shared), PacedLane(shared=shared)
        gone.add(1)
        other.add(2)
        gone.pacer.take_back()
        await asyncio.sleep(1.1)
        assert rounded(other.left) == [1]
        assert shared.bucket.reserved == 0

    run(story)


def test_a_lane_that_does_not_share_a_rate_any_more_gets_no_tokens_of_it() -> None:
    async def story() -> None:
        shared = SharedRate(1, 1)
        lane, other = PacedLane(1, shared=shared), PacedLane(shared=shared)
        await asyncio.sleep(5)
        other.add(1)
        lane.add(2, 3)
        lane.pacer.change(lane.pacer.own, None)
        await asyncio.sleep(20)
        assert (rounded(lane.left), shared.bucket.reserved) == ([5, 6], 0)

    run(story)


def test_a_lane_without_claims_learns_when_a_shared_token_comes_soon() -> None:
    async def story() -> None:
        shared = SharedRate(0.5, 1)
        busy, idle = PacedLane(shared=shared), PacedLane(shared=shared)
        await asyncio.sleep(2)
        busy.add(1)
        idle.pacer.pump()
        before = idle.rooms
        await asyncio.sleep(1.7)
        assert (idle.pacer.room, idle.rooms) == (0, before)
        await asyncio.sleep(0.1)
        assert (idle.pacer.room, idle.rooms) == (1, before + 1)

    run(story)


# ---- always --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Traffic:
    """Requests of several lanes, and what limits them."""

    rates: list[float | None]
    burst: int
    shared: float | None
    connecting: list[float]
    """How long each request takes to connect, in seconds."""
    arrivals: list[tuple[float, int]]
    """For each request, how long after the last one it comes, and in which lane."""
    lowered: float | None
    """The rate of all lanes after that, if it is lower, with a burst of one."""


TRAFFIC = st.builds(
    Traffic,
    rates=st.lists(st.sampled_from((None, 0.5, 2.0, 7.0)), min_size=1, max_size=3),
    burst=st.integers(1, 4),
    shared=st.sampled_from((None, 1.0, 5.0)),
    connecting=st.lists(st.floats(0.0, 3.0), max_size=20),
    arrivals=st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(0, 2)), max_size=25),
    lowered=st.sampled_from((None, 0.5, 1.0)),
)


@settings(max_examples=60)
@given(TRAFFIC)
def test_no_second_has_more_requests_than_rate_and_burst_and_all_leave(of: Traffic) -> None:
    async def story() -> None:
        total = None if of.shared is None else SharedRate(of.shared, of.burst)
        lanes = [
            PacedLane(rate, of.burst, shared=total, connecting=of.connecting) for rate in of.rates
        ]
        for number, (wait, which) in enumerate(of.arrivals):
            await asyncio.sleep(wait)
            lanes[which % len(lanes)].add(number)
        changed_at = loop_seconds()
        limits = dict[RequestPacer, float]()
        for lane in lanes:
            own = lane.pacer.own
            if own is not None and of.lowered is not None:
                own.change(min(of.lowered, own.rate), 1, changed_at)
                lane.pacer.change(own, total)
            limits[lane.pacer] = math.inf if own is None else own.rate + own.burst
        await asyncio.sleep(1000)
        for lane, rate in zip(lanes, of.rates, strict=True):
            later = [at for at in lane.left if at > changed_at]
            assert most_in_a_second(later) <= limits[lane.pacer]
            assert rate is None or most_in_a_second(lane.left) <= rate + of.burst
        left = sorted(at for lane in lanes for at in lane.left)
        assert len(left) == len(of.arrivals)
        assert of.shared is None or most_in_a_second(left) <= of.shared + of.burst

    run(story)


# ---- a virtual clock that is advanced ------------------------------------------------------------


def test_time_that_is_skipped_lets_requests_leave_and_adds_no_more_than_the_burst() -> None:
    async def story() -> None:
        shared = SharedRate(0.01, 2)
        own, total = PacedLane(0.1, 2), PacedLane(shared=shared)
        for lane in (own, total):
            lane.add(*range(6))
        await asyncio.sleep(1)
        assert (own.left, own.pacer.waiting, own.pacer.next_in) == ([], 6, 9)
        assert (total.left, total.pacer.waiting, shared.next_in) == ([], 6, 99)
        own.pacer.skip(9)
        shared.skip(99)
        await asyncio.sleep(0.1)
        assert (len(own.left), len(total.left)) == (1, 1)
        own.pacer.skip(3600)
        shared.skip(3600)
        await asyncio.sleep(0.1)
        assert (len(own.left), len(total.left)) == (3, 3)

    run(story)


def test_a_pacer_says_that_nothing_waits_for_it() -> None:
    async def story() -> None:
        lane = PacedLane(2)
        await asyncio.sleep(5)
        lane.add(1)
        await asyncio.sleep(5)
        assert (len(lane.left), lane.pacer.waiting, lane.pacer.next_in) == (1, 0, None)

    run(story)
