"""Run a policy monitor in a test, until it has the expected result."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from ringback.policy.policy_monitor import PolicyMonitor


@asynccontextmanager
async def running(monitor: PolicyMonitor) -> AsyncGenerator[None]:
    loop = asyncio.create_task(monitor.run())
    try:
        yield
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    """Wait until the condition is true."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (no event signals the condition)
            await asyncio.sleep(0.001)


async def counted(monitor: PolicyMonitor, at: datetime) -> None:
    """Wait until the monitor has counted at this instant."""
    await until(lambda: monitor.dependents and monitor.dependents.counted == at)
