"""An outage of the database: a log line at its start, and one at its end with the refusals."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from ringback.core.errors import StoreUnavailable
from ringback.runtime.database_outage import DatabaseOutageMonitor, outlast
from tests.fakes import FakeClock
from tests.unit.delivery.parts import all_has_run

SECOND = timedelta(seconds=1)
FULL = "the database can't be used just now: database or disk is full"
GONE = StoreUnavailable(FULL)


class Bench:
    """A database that a test can make unavailable, and its outage monitor."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.began = self.clock.now()
        self.is_away = False
        self.commits = 0
        self.silent_for = 0.0
        self.outage = DatabaseOutageMonitor(
            self.commit,
            clock=self.clock,
            stopwatch=self.seconds,
            silent_for=lambda: self.silent_for,
        )

    def seconds(self) -> float:
        return (self.clock.now() - self.began).total_seconds()

    async def commit(self) -> None:
        self.commits += 1
        if self.is_away:
            raise StoreUnavailable(FULL)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    looking = asyncio.create_task(bench.outage.run())
    await all_has_run()
    yield bench
    looking.cancel()


async def pass_seconds(bench: Bench, count: int) -> None:
    for _ in range(count):
        bench.clock.advance(SECOND)
        await all_has_run()


async def test_an_outage_is_logged_once_at_its_start_and_once_at_its_end(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.is_away = True
    for _ in range(3):
        bench.outage.failed(GONE)
        bench.outage.refused()
    await pass_seconds(bench, 5)
    assert caplog.messages == [
        f"{FULL}; requests are refused with 503 until the database works again"
    ]
    bench.is_away = False
    await pass_seconds(bench, 1)
    assert caplog.messages[1:] == ["the database is back after 6.0 s; 3 requests were refused"]
    assert {record.levelname for record in caplog.records} == {"ERROR", "WARNING"}


async def test_it_ends_when_the_database_is_back_even_without_requests(bench: Bench) -> None:
    bench.is_away = True
    bench.outage.failed(GONE)
    await pass_seconds(bench, 2)
    assert not bench.outage.is_over
    bench.is_away = False
    await pass_seconds(bench, 1)
    assert bench.outage.is_over


async def test_without_an_outage_the_database_is_not_queried(bench: Bench) -> None:
    await pass_seconds(bench, 5)
    assert bench.commits == 0


async def test_a_readiness_check_begins_and_ends_it_too(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.is_away = True
    with pytest.raises(StoreUnavailable):
        await bench.outage.commit()
    assert not bench.outage.is_over
    bench.is_away = False
    await bench.outage.commit()
    assert bench.outage.is_over
    await pass_seconds(bench, 3)
    assert len(caplog.messages) == 2


async def test_each_outage_counts_its_own_refusals(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    for refused in (2, 1):
        bench.outage.failed(GONE)
        for _ in range(refused):
            bench.outage.refused()
        await bench.outage.commit()
    ends = [message for message in caplog.messages if "is back" in message]
    assert [end.split("; ")[1] for end in ends] == [
        "2 requests were refused",
        "1 requests were refused",
    ]


async def test_retrying_loops_do_not_fill_the_log(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.is_away = True
    working = asyncio.create_task(outlast(bench.commit, clock=bench.clock))
    await pass_seconds(bench, 5)
    bench.is_away = False
    await pass_seconds(bench, 1)
    await working
    assert [record.levelname for record in caplog.records if record.levelno > 10] == []


async def test_a_silence_is_logged_once_after_five_seconds_and_once_at_its_end(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.silent_for = 4.9
    await asyncio.sleep(0.6)
    # A process that was suspended has not read the answers yet.
    bench.silent_for = 60.0
    await asyncio.sleep(0.5)
    bench.silent_for = 0.0
    await asyncio.sleep(0.6)
    assert bench.outage.silence is None
    assert bench.outage.is_over
    bench.silent_for, bench.is_away = 5.2, True
    async with asyncio.timeout(5):
        while bench.outage.is_over:  # noqa: ASYNC110 (it looks at the real time)
            await asyncio.sleep(0.05)
    assert bench.outage.silence == "the database has not answered for 5 s"
    # Later, the system gives the connections up.
    bench.outage.failed(GONE)
    await pass_seconds(bench, 2)
    bench.silent_for, bench.is_away = 0.0, False
    await pass_seconds(bench, 2)
    assert caplog.messages == [
        "the database has not answered for 5 s; requests wait for it, or are refused with 503",
        "the database is back after 8.2 s; 0 requests were refused",
    ]
