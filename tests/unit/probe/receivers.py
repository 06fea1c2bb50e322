"""Receivers in this process: correct ones, made with the toolkit, and ones with a fault."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.http.allowed_addresses import ANYWHERE
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.sources.source_definition import BUILT_IN, Sources
from ringback.dev_receiver.responses import ListenerResponse
from ringback.dev_receiver.server import ListenServer
from ringback.http_client.connection_pool import KeepAliveLimits
from ringback.http_client.http_sender import HttpTransport
from ringback.http_client.sockets_and_tls import SystemNetwork
from ringback.http_client.tls import ClientTls
from ringback.probe.case_kinds import ProbeCase, ProbeSecret
from ringback.probe.counter_watch import ReadCounter
from ringback.probe.payloads import PROBE_ACCOUNT_SID, PROBE_SIM_SID
from ringback.probe.probe_cases import CASES
from ringback.probe.probe_report import ProbeReport
from ringback.probe.probe_runner import Restart, probe
from ringback.probe.redacted_response import ProbeResponse
from ringback.probe.request_factory import ProbeRequestFactory, account_of
from ringback.probe.request_runner import ProbeDependencies, ProbeTimeouts
from ringback.receiver import MemoryDedupe, ReceivedRequest, Receiver
from ringback.runtime.system_clock import SystemClock, stopwatch
from tests.fakes import AUTH_TOKEN, KORE_SECRET, NOW, SeededRandomness

BOTH: Final = frozenset(ProbeSecret)
TIMES: Final = ProbeTimeouts(quiet=0.02)

Handle = Callable[[ReceivedRequest], Awaitable[ListenerResponse]]


@dataclass
class Counter:
    """Counts the effects of callbacks that a receiver processed."""

    count: int = 0
    seen: MemoryDedupe = field(default_factory=MemoryDedupe)
    later: set[asyncio.Task[None]] = field(default_factory=set)
    """Work that is still to be done."""

    async def read(self) -> int:
        return self.count

    def work(self, *_: object) -> None:
        self.count += 1


def right(url: str, counter: Counter) -> Handle:
    """Return a receiver that does everything correctly."""
    receiver = Receiver(
        url, twilio_auth_tokens=[AUTH_TOKEN], kore_secrets=[KORE_SECRET], seen=counter.seen
    )

    async def handle(request: ReceivedRequest) -> ListenerResponse:
        answer = await receiver.handle_async(request, counter.work)
        headers = (("Content-Type", "text/plain"), *answer.headers.items())
        return ListenerResponse(answer.status, headers, answer.text.encode())

    return handle


@asynccontextmanager
async def served(make: Callable[[str], Handle], path: str = "/hook") -> AsyncGenerator[str]:
    """Serve the receiver that `make` returns for the URL, and yield the URL."""
    handles = list[Handle]()

    async def answer(request: ReceivedRequest) -> ListenerResponse:
        return await handles[0](request)

    server = ListenServer(answer)
    url = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}{path}"
    handles.append(make(url))
    try:
        yield url
    finally:
        await server.stop()


def requests_to(
    url: str, *, auth_token: str = AUTH_TOKEN, sources: Sources = BUILT_IN
) -> ProbeRequestFactory:
    account = account_of(PROBE_ACCOUNT_SID, auth_token=auth_token, kore_secret=KORE_SECRET, at=NOW)
    return ProbeRequestFactory(
        CallbackUrl.parse(url),
        account,
        PROBE_SIM_SID,
        SeededRandomness(),
        SystemClock().now,
        sources,
    )


async def probed(
    url: str,
    *,
    cases: tuple[ProbeCase, ...] = CASES,
    has: frozenset[ProbeSecret] = BOTH,
    timeouts: ProbeTimeouts = TIMES,
    read_counter: ReadCounter | None = None,
    restart: Restart | None = None,
    tls: ClientTls | None = None,
    sources: Sources = BUILT_IN,
) -> ProbeReport:
    """Probe the receiver at a URL."""
    tls = tls or ClientTls()
    sender = HttpTransport(
        stopwatch=stopwatch,
        guard=SsrfGuard(ANYWHERE),
        network=SystemNetwork(tls),
        keep_alive=KeepAliveLimits(per_peer=0),
    )
    try:
        return await probe(
            cases,
            requests_to(url, sources=sources),
            has=has,
            dependencies=ProbeDependencies(sender, tls, stopwatch),
            timeouts=timeouts,
            read_counter=read_counter,
            restart=restart,
        )
    finally:
        await sender.close()


def named(report: ProbeReport) -> set[str]:
    """Return the names of the faults that were found."""
    return {fault.label for fault in report.faults}


def case_called(name: str) -> ProbeCase:
    return {case.name: case for case in CASES}[name]


def answered(status: int) -> ProbeResponse:
    """Return the response of a receiver that answered with this status."""
    return ProbeResponse(status, None, f"answered {status}", 0.1)
