"""The probe, within the process of the tests."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from ringback.core.addresses import ANYWHERE
from ringback.core.callback_url import CallbackUrl
from ringback.core.guard import Guard
from ringback.engine.network import SystemNetwork
from ringback.engine.pool import KeepAlive
from ringback.engine.sender import Sender
from ringback.engine.system import SystemChance, SystemClock, stopwatch
from ringback.engine.tls import Tls
from ringback.probe.cases import CASES, SOURCES, Case
from ringback.probe.findings import Report
from ringback.probe.observing import Read, counter_of
from ringback.probe.payloads import PROBE_ACCOUNT_SID, PROBE_SIM_SID
from ringback.probe.requests import Requests, account_of
from ringback.probe.runner import probe
from ringback.probe.session import Means, Times
from tests.fakes import AUTH_TOKEN, KORE_SECRET

# Shorter than the command's, since what answers at all answers soon here.
TIMES: Final = Times(request=8.0, quiet=0.1)


async def probed(
    url: str,
    *,
    cases: Sequence[Case] = CASES,
    observe: str | Read | None = None,
    restart: Callable[[], Awaitable[None]] | None = None,
) -> Report:
    """Probe a receiver that has the secrets of the fakes; read its counter at a URL, or so."""
    clock, tls = SystemClock(), Tls()
    account = account_of(
        PROBE_ACCOUNT_SID, auth_token=AUTH_TOKEN, kore_secret=KORE_SECRET, at=clock.now()
    )
    sender = Sender(
        stopwatch=stopwatch,
        guard=Guard(ANYWHERE),
        network=SystemNetwork(tls),
        keep_alive=KeepAlive(per_peer=0),
    )

    async def restart_within(seconds: float) -> None:
        assert restart is not None
        async with asyncio.timeout(seconds):
            await restart()

    try:
        return await probe(
            cases,
            Requests(CallbackUrl.parse(url), account, PROBE_SIM_SID, SystemChance(), clock.now),
            has=frozenset(SOURCES),
            means=Means(sender, tls, clock, stopwatch),
            times=TIMES,
            read_counter=counter_of(observe, sender) if isinstance(observe, str) else observe,
            restart=restart and restart_within,
        )
    finally:
        await sender.close()
