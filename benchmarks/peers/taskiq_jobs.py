# pyright: basic, reportMissingImports=false
"""taskiq on a Redis stream, with aiohttp; a task is acknowledged when it is done."""

import asyncio
import sys

import aiohttp
from taskiq import Context, TaskiqDepends, TaskiqEvents, TaskiqState
from taskiq_redis import RedisStreamBroker

from benchmarks.peers.signed_post import BODY, REDIS, URL, signed

_AT_ONCE = 100
broker = RedisStreamBroker(REDIS)


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def open_session(state: TaskiqState) -> None:
    state.http = aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=10), connector=aiohttp.TCPConnector(limit=64)
    )


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def close_session(state: TaskiqState) -> None:
    await state.http.close()


@broker.task("deliver")  # named explicitly, because the process that queues runs this as a script
async def deliver(
    number: int,
    url: str,
    body: str,
    context: Context = TaskiqDepends(),  # noqa: B008 (taskiq's way to declare it)
) -> None:
    headers = signed(url, body, number)
    async with context.state.http.post(
        url, data=body.encode(), headers=headers, allow_redirects=False
    ) as answer:
        answer.raise_for_status()
        await answer.read()


async def enqueue(count: int) -> None:
    await broker.startup()
    for first in range(0, count, _AT_ONCE):
        numbers = range(first, min(count, first + _AT_ONCE))
        await asyncio.gather(*(deliver.kiq(number, URL, BODY) for number in numbers))
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(enqueue(int(sys.argv[1])))
