import asyncio

import pytest

from ringback.api.single_flight import SingleFlight


class Work:
    """Counts its runs, with the time at which each began and ended, by the loop's clock."""

    def __init__(self) -> None:
        self.began, self.ended = list[float](), list[float]()
        self.failure: Exception | None = None

    async def __call__(self) -> int:
        self.began.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.01)
        self.ended.append(asyncio.get_running_loop().time())
        if self.failure is not None:
            raise self.failure
        return len(self.began)


async def test_all_waiting_callers_share_one_run() -> None:
    work = Work()
    shared = SingleFlight(work, pause=0.05)
    assert await asyncio.gather(*(shared() for _ in range(100))) == [1] * 100


async def test_a_call_during_a_run_gets_the_next_run_which_begins_after_a_pause() -> None:
    work = Work()
    shared = SingleFlight(work, pause=0.05)
    first = asyncio.create_task(shared())
    while not work.began:  # noqa: ASYNC110 (no event signals the start)
        await asyncio.sleep(0)
    assert await asyncio.gather(first, shared(), shared()) == [1, 2, 2]
    assert work.began[1] >= work.ended[0] + 0.05


async def test_all_callers_of_a_run_get_its_error_and_the_next_run_is_independent() -> None:
    work = Work()
    shared = SingleFlight(work, pause=0)
    work.failure = OSError("away")
    heard = await asyncio.gather(shared(), shared(), return_exceptions=True)
    assert heard == [work.failure, work.failure]
    work.failure = None
    assert await shared() == 2


async def test_a_cancelled_caller_does_not_end_the_run_for_others() -> None:
    shared = SingleFlight(Work(), pause=0)
    impatient, patient = asyncio.create_task(shared()), asyncio.create_task(shared())
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert await patient == 1
