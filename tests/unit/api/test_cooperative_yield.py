"""Long work runs in slices; each item advances a stopwatch."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from ringback.api.cooperative_yield import CooperativeYield, rest_in_pages


class Work:
    """Work that takes 1/2048 s for each item; records the number done between two turns."""

    def __init__(self) -> None:
        self.now = 0.0
        self.items = 0
        self.between_turns = list[int]()

    def stopwatch(self) -> float:
        return self.now

    def do(self, item: int) -> int:
        self.now += 1 / 2048
        self.items += 1
        return item * 2

    @asynccontextmanager
    async def others(self) -> AsyncGenerator[None]:
        """Another task that wants a turn all the time."""
        task = asyncio.create_task(self._take_turns())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _take_turns(self) -> None:
        while True:
            before = self.items
            await asyncio.sleep(0)
            self.between_turns.append(self.items - before)


@pytest.fixture
def work() -> Work:
    return Work()


async def test_a_thousand_items_are_done_in_order_and_four_at_a_time(work: Work) -> None:
    slices = CooperativeYield(work.stopwatch, longest=4 / 2048)
    async with work.others():
        assert await slices.map(work.do, range(1000)) == list(range(0, 2000, 2))
    assert (max(work.between_turns), work.items) == (4, 1000)


async def test_many_batches_at_once_block_the_loop_no_longer_than_one(work: Work) -> None:
    slices = CooperativeYield(work.stopwatch, longest=4 / 2048)
    async with work.others():
        await asyncio.gather(*(slices.map(work.do, range(100)) for _ in range(20)))
    assert work.items == 2000
    assert max(work.between_turns) <= 4


async def test_batches_take_turns_so_that_a_small_one_waits_for_a_slice_of_each(work: Work) -> None:
    slices, ended = CooperativeYield(work.stopwatch, longest=4 / 2048), list[str]()

    async def note(name: str, count: int) -> None:
        await slices.map(work.do, range(count))
        ended.append(name)

    await asyncio.gather(note("big", 1000), note("also big", 1000), note("small", 3))
    assert ended == ["small", "big", "also big"]


async def test_few_items_are_one_slice(work: Work) -> None:
    slices = CooperativeYield(work.stopwatch, longest=4 / 2048)
    async with work.others():
        assert await slices.map(work.do, range(3)) == [0, 2, 4]
    assert work.between_turns == []
    assert await slices.map(work.do, []) == []


async def test_an_error_in_the_work_ends_it_and_delays_no_other(work: Work) -> None:
    slices = CooperativeYield(work.stopwatch, longest=4 / 2048)
    with pytest.raises(ZeroDivisionError):
        await slices.map(lambda item: 1 / item, [1, 0, 1])
    assert await slices.map(work.do, [1]) == [2]


async def test_a_slice_is_over_after_a_quarter_of_a_millisecond(work: Work) -> None:
    async with work.others():
        await CooperativeYield(work.stopwatch).map(work.do, range(100))
    assert (max(work.between_turns), work.items) == (1, 100)


async def test_a_rest_after_each_slice_is_so_many_times_as_long(work: Work) -> None:
    began = asyncio.get_running_loop().time()
    slices = CooperativeYield(work.stopwatch, longest=4 / 2048, rest=lambda: 3)
    await slices.map(work.do, range(8))
    # One slice of the two is followed by another one.
    assert asyncio.get_running_loop().time() - began >= 3 * 4 / 2048


async def test_all_who_read_long_pages_rest_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, work: Work
) -> None:
    slices = CooperativeYield(work.stopwatch, rest=lambda: 3)
    rests, wait = list[float](), asyncio.sleep
    resting = most = 0

    async def sleep(seconds: float) -> None:
        nonlocal resting, most
        rests.append(seconds)
        resting += 1
        most = max(most, resting)
        await wait(0)
        resting -= 1

    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "sleep", sleep)
        await asyncio.gather(*(slices.rest_after(1 / 1024) for _ in range(4)))
        await slices.rest_after(5.0)
    assert most == 1
    # A slice of seconds was mostly a wait for other reads, and is no reason to delay everybody.
    assert rests == [3 / 1024] * 4 + [pytest.approx(0.006)]


def test_long_pages_rest_longer_while_callbacks_are_sent() -> None:
    assert rest_in_pages(are_callbacks_sent=True) > 2 * rest_in_pages(are_callbacks_sent=False)
