"""Run a policy monitor in a test until it has the expected result; versions of the policy."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial

from ringback.core.policy.policy_version import OPERATOR, PolicyVersion
from ringback.core.policy.source_policy import Policy
from ringback.core.sources.source_definition import BUILT_IN
from ringback.operations.callback_urls import stored_urls
from ringback.operations.delivery_totals import count_recent
from ringback.policy.active_policy import ActivePolicy
from ringback.policy.policy_monitor import PolicyMonitor
from ringback.policy.stored_policy import StoredPolicy
from ringback.ports import Clock, Store
from tests.fakes import NOW, FakeClock


def version_of(policy: Policy, number: int = 1, *, file_hash: str | None = None) -> PolicyVersion:
    """Return a version with this policy."""
    return PolicyVersion(number, policy, NOW, OPERATOR, file_hash)


def stored_in(store: Store, active: ActivePolicy, clock: Clock | None = None) -> StoredPolicy:
    """Return the versions of the policy in a store, for a process with this active policy."""
    return StoredPolicy(store, active, clock=clock or FakeClock(), sources=BUILT_IN)


def monitor_of(
    store: Store, active: ActivePolicy, clock: Clock, *, before: Sequence[timedelta] = ()
) -> PolicyMonitor:
    """Return a monitor that counts what is in a store."""
    return PolicyMonitor(
        active,
        stored=partial(stored_urls, store),
        count=partial(count_recent, store),
        clock=clock,
        before=before,
    )


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
