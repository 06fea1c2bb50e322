"""The probe's raw connections, and the limits at which a run stops."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from ringback.core.http.allowed_addresses import ANYWHERE
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.http.outcome import AttemptFailure
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.policy.source_policy import Source
from ringback.http_client.http_sender import HttpTransport
from ringback.http_client.tls import ClientTls
from ringback.probe.redacted_response import hiding
from ringback.probe.request_runner import (
    ProbeDependencies,
    ProbeSession,
    ProbeStopped,
    ProbeTimeouts,
)
from ringback.runtime.system_clock import stopwatch
from tests.receivers import (
    OK,
    Hang,
    RecordingReceiver,
    answer_and_close,
    close_without_answer,
    drip,
    reset,
)
from tests.unit.probe.receivers import requests_to

UNAVAILABLE = b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n"
BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
async def sender() -> AsyncGenerator[HttpTransport]:
    sender = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(ANYWHERE))
    yield sender
    await sender.close()


def session(
    sender: HttpTransport, *, request: float = 5.0, whole: float = 85.0, answer: float = 5.0
) -> ProbeSession:
    dependencies = ProbeDependencies(sender, ClientTls(), stopwatch)
    return ProbeSession(
        dependencies, ProbeTimeouts(request=request, whole=whole, answer=answer), hiding([])
    )


def request_to(url: str) -> OutgoingRequest:
    return requests_to(url).request(Source.KORE)


async def test_a_request_is_repeated_while_the_receiver_asks_for_it(sender: HttpTransport) -> None:
    async with RecordingReceiver(UNAVAILABLE, close_without_answer) as receiver:
        answers = await session(sender).until_accepted(request_to(receiver.url()))
        assert [answer.status for answer in answers] == [503, None, 200]
        assert len({request.raw for request in receiver.requests}) == 1


async def test_a_refused_request_is_not_repeated(sender: HttpTransport) -> None:
    refusal = b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"
    async with RecordingReceiver(refusal) as receiver:
        answers = await session(sender).until_accepted(request_to(receiver.url()))
        assert [answer.status for answer in answers] == [403]


async def test_a_sender_that_hangs_up_leaves_before_the_answer(sender: HttpTransport) -> None:
    async with RecordingReceiver(hang := Hang()) as receiver:
        await session(sender).hang_up(request_to(receiver.url()))
        [request] = await receiver.wait_for(1)
        hang.release()
        await receiver.wait_for_ended(1)
    assert request.body.startswith(b"ApiVersion=v1")


async def test_a_connection_drops_at_the_first_byte_of_the_answer(sender: HttpTransport) -> None:
    broken = asyncio.Event()

    async def one_byte(writer: asyncio.StreamWriter) -> None:
        writer.write(OK[:1])
        await writer.drain()
        broken.set()

    async with RecordingReceiver(one_byte) as receiver:
        await session(sender).drop(request_to(receiver.url()))
        assert broken.is_set()
        await receiver.wait_for_ended(1)


async def test_a_missing_answer_does_not_keep_the_connection(sender: HttpTransport) -> None:
    async with RecordingReceiver(hang := Hang(), reset) as receiver:
        url = receiver.url()
        for _ in range(2):
            await session(sender, request=0.05).drop(request_to(url))
        assert len(receiver.requests) == 2
        hang.release()
    await session(sender).drop(request_to(url))
    await session(sender).hang_up(request_to(url))
    assert receiver.connections == 2


@pytest.mark.parametrize(
    ("reply", "status", "failure"),
    [
        (OK, 200, None),
        (drip(OK), 200, None),
        (answer_and_close(b"HTTP/1.1 403 No\r\n\r\nno"), 403, None),
        (answer_and_close(OK[:9]), None, AttemptFailure.CLOSED),
        (close_without_answer, None, AttemptFailure.CLOSED),
        (reset, None, AttemptFailure.CLOSED),
        (b"SSH-2.0-OpenSSH_9.9\r\n", None, AttemptFailure.PROTOCOL),
        (Hang(), None, AttemptFailure.READ_TIMEOUT),
    ],
)
async def test_each_of_several_simultaneous_copies_has_its_own_result(
    reply: bytes, status: int | None, failure: AttemptFailure | None, sender: HttpTransport
) -> None:
    async with RecordingReceiver(reply) as receiver:
        answers = await session(sender, request=0.2).send_at_once(
            request_to(receiver.url()), copies=2
        )
    endings = {(answer.status, answer.failure) for answer in answers}
    assert endings == {(200, None), (status, failure)}


async def test_an_unreachable_receiver_is_a_result_for_copies_too(sender: HttpTransport) -> None:
    async with RecordingReceiver() as receiver:
        url = receiver.url()
    answers = await session(sender).send_at_once(request_to(url), copies=2)
    assert [answer.failure for answer in answers] == [AttemptFailure.CONNECT]
    assert answers[0].words == "no connection: Connection refused"


async def test_a_restarting_receiver_is_awaited(sender: HttpTransport) -> None:
    async with RecordingReceiver(close_without_answer, BAD_GATEWAY) as receiver:
        await session(sender).until_it_is_up(lambda: request_to(receiver.url()))
        assert len(receiver.requests) == 3


async def test_a_receiver_that_never_comes_back_is_awaited_only_until_the_end(
    sender: HttpTransport,
) -> None:
    async with RecordingReceiver() as receiver:
        url = receiver.url()
    with pytest.raises(ProbeStopped, match="the probe was stopped at its time limit of 0\\.2 s"):
        await session(sender, whole=0.2).until_it_is_up(lambda: request_to(url))


async def test_four_missing_answers_in_a_row_end_a_run_unless_an_answer_comes_between(
    sender: HttpTransport,
) -> None:
    replies = [Hang(), Hang(), Hang(), OK, Hang(), Hang(), Hang(), Hang()]
    async with RecordingReceiver(*replies) as receiver:
        run, request = session(sender, request=0.03), request_to(receiver.url())
        for _ in replies:
            await run.send(request)
        with pytest.raises(ProbeStopped, match="4 requests in a row got no answer"):
            await run.send(request)
        assert len(receiver.requests) == len(replies)


async def test_four_late_answers_in_a_row_end_a_run(sender: HttpTransport) -> None:
    async with RecordingReceiver() as receiver:
        run, request = session(sender, answer=0.0), request_to(receiver.url())
        for _ in range(4):
            await run.send(request)
        with pytest.raises(ProbeStopped, match="4 answers in a row took longer than 0 s"):
            await run.send(request)
        assert len(receiver.requests) == 4
