"""One connection: its exchanges, and the endings after which it is reusable."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator

import pytest

from ringback.core.http.outcome import (
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    RefusedOutcome,
)
from ringback.http_client.http_connection import HttpConnection, KnownAnswers
from tests.networks import MadeUpNetwork, MadeUpTime, in_made_up_time
from tests.receivers import (
    OK,
    RecordingReceiver,
    Reply,
    answer_and_close,
    close_without_answer,
    reset,
)
from tests.unit.http_client.parts import (
    REQUEST,
    Ending,
    begun_exchange,
    connected,
    connected_to,
    exchange,
)


def failure_of(ending: Ending) -> AttemptFailure | None:
    return ending[0].failure if isinstance(ending[0], NoAnswerOutcome) else None


async def ending_of(*script: Reply) -> Ending:
    """Run one exchange for each reply, and return how the last exchange ends."""
    async with RecordingReceiver(*script) as receiver:
        connection = await connected_to(receiver)
        endings = [await exchange(connection) for _ in script]
        connection.abort()
        return endings[-1]


@pytest.fixture
async def receiver() -> AsyncIterator[RecordingReceiver]:
    async with RecordingReceiver() as receiver:
        yield receiver


async def test_a_request_is_sent_unchanged_and_another_may_follow(
    receiver: RecordingReceiver,
) -> None:
    connection = await connected_to(receiver)
    assert connection.local_address == "127.0.0.1"
    for _ in range(2):
        outcome, response = await exchange(connection)
        assert outcome == DeliveredOutcome(200)
        assert response is not None
        assert connection.is_reusable
        assert connection.first_byte is not None
    assert [request.raw for request in receiver.requests] == [REQUEST] * 2
    connection.close()
    await connection.gone
    assert receiver.connections == 1


async def test_during_an_exchange_no_other_may_begin(receiver: RecordingReceiver) -> None:
    connection = await connected_to(receiver)
    await exchange(connection)
    under_way = asyncio.create_task(exchange(connection))
    await asyncio.sleep(0)
    assert not connection.is_reusable
    assert connection.first_byte is None
    await under_way
    connection.close()


@pytest.mark.parametrize(
    ("head", "outcome"),
    [
        (b"204 No Content\r\nLocation: /x\r\nRetry-After: 1", DeliveredOutcome(204)),
        (b"302 Go\r\nlocation: /x\r\nRetry-After: 1", RefusedOutcome(302, location="/x")),
        (b"302 Go\r\nLocation: /" + b"x" * 600, RefusedOutcome(302, location="/" + "x" * 499)),
        (b"503 No\r\nLocation: /x\r\nretry-after: 1", RefusedOutcome(503, retry_after="1")),
        (b"429 No\r\nRetry-After: " + b"9" * 200, RefusedOutcome(429, retry_after="9" * 100)),
        (b"500 No\r\nLocation: /x\r\nRetry-After: 1", RefusedOutcome(500)),
    ],
)
async def test_an_outcome_has_the_headers_that_matter_for_its_status(
    head: bytes, outcome: DeliveredOutcome | RefusedOutcome
) -> None:
    reply = b"HTTP/1.1 " + head + b"\r\nContent-Length: 0\r\n\r\n"
    assert (await ending_of(reply))[0] == outcome


async def test_the_same_answer_is_parsed_only_once() -> None:
    named = b"HTTP/1.1 503 No\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\nno"
    async with RecordingReceiver(OK, named, OK, named) as receiver:
        connection = await connected_to(receiver)
        first, second, third, fourth = [await exchange(connection) for _ in range(4)]
        connection.close()
    assert first == third == (DeliveredOutcome(200), first[1])
    assert second == fourth == (RefusedOutcome(503, retry_after="1"), second[1])
    assert first[1] is third[1] is not None
    assert second[1] is fourth[1] is not None


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b"x" * 500,
        OK + b"surplus",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"nonsense",
    ],
    ids=["closing", "long", "with a surplus", "interim", "malformed"],
)
def test_an_answer_that_may_mean_something_else_next_time_is_not_remembered(answer: bytes) -> None:
    async def story(_: MadeUpTime) -> tuple[Ending, KnownAnswers]:
        known = KnownAnswers(4)
        network = MadeUpNetwork(lambda _: answer, after=0)
        connection = await connected(80, network=network, known_answers=known)
        return await exchange(connection), known

    _, known = in_made_up_time(story)
    assert known == {}


def test_an_answer_in_parts_is_neither_remembered_nor_known() -> None:
    async def story(_: MadeUpTime) -> tuple[list[Ending], KnownAnswers]:
        known = KnownAnswers(4)
        network = MadeUpNetwork(lambda _: None, after=0)
        connection = await connected(80, network=network, known_answers=known)
        endings = list[Ending]()
        for parts in ([OK], [OK[:9], OK[9:]], [OK[:-1], OK[-1:]], [OK]):
            ending = begun_exchange(connection)
            for part in parts:
                network.transports[0].deliver(part)
            endings.append(await ending)
        return endings, known

    endings, known = in_made_up_time(story)
    assert {outcome for outcome, _ in endings} == {DeliveredOutcome(200)}
    assert list(known) == [OK]


def test_an_interim_answer_before_a_known_one_does_not_count() -> None:
    async def story(_: MadeUpTime) -> Ending:
        network = MadeUpNetwork(lambda _: None, after=0)
        connection = await connected(80, network=network)
        for parts in ([OK], [b"HTTP/1.1 103 Hints\r\nLink: </x>\r\n\r\n", OK], [OK]):
            ending = begun_exchange(connection)
            for part in parts:
                network.transports[0].deliver(part)
            await ending
        return ending.result()

    outcome, response = in_made_up_time(story)
    assert outcome == DeliveredOutcome(200)
    assert response is not None
    assert response.headers == (("Content-Length", "0"),)


@pytest.mark.parametrize("end", [close_without_answer, reset])
async def test_a_new_connection_that_ends_without_an_answer_is_closed(end: Reply) -> None:
    assert failure_of(await ending_of(end)) is AttemptFailure.CLOSED


@pytest.mark.parametrize("end", [close_without_answer, reset])
async def test_a_reused_connection_that_ends_without_an_answer_is_stale(end: Reply) -> None:
    assert failure_of(await ending_of(OK, end)) is AttemptFailure.STALE


async def test_an_answer_that_has_begun_and_ends_early_is_closed_even_on_a_reused_connection() -> (
    None
):
    outcome, response = await ending_of(
        OK, answer_and_close(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    )
    assert isinstance(outcome, NoAnswerOutcome)
    assert outcome.failure is AttemptFailure.CLOSED
    assert "in the middle of its answer" in outcome.why
    assert response is not None
    assert response.body == b"half"


async def test_an_answer_without_a_length_is_complete_at_the_end() -> None:
    outcome, response = await ending_of(answer_and_close(b"HTTP/1.1 200 OK\r\n\r\nall"))
    assert outcome == DeliveredOutcome(200)
    assert response is not None
    assert response.body == b"all"


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000,
        OK + b"surplus",
    ],
    ids=["Connection: close", "cut", "with a surplus"],
)
async def test_a_connection_in_doubt_closes_itself(reply: bytes) -> None:
    async with RecordingReceiver(reply) as receiver:
        connection = await connected_to(receiver)
        assert (await exchange(connection))[0] == DeliveredOutcome(200)
        assert not connection.is_reusable
        await connection.gone


async def test_an_answer_to_half_a_request_ends_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = await connected(server.getsockname()[1])
        there = server.accept()[0]
        ending = asyncio.create_task(exchange(connection, request=b"x" * 30_000_000))
        await asyncio.sleep(0)
        there.sendall(b"HTTP/1.1 413 Too Much\r\nContent-Length: 0\r\n\r\n")
        assert (await ending)[0] == RefusedOutcome(413)
        assert not connection.is_reusable
        there.close()


@pytest.mark.parametrize("unasked", [OK, b""], ids=["bytes", "half-closed"])
async def test_unexpected_bytes_end_an_idle_connection(unasked: bytes) -> None:
    lost = list[HttpConnection]()
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = await connected(server.getsockname()[1], on_lost=lost.append)
        there = server.accept()[0]
        assert connection.is_quiet()
        if unasked:
            there.sendall(unasked)
        else:
            there.shutdown(socket.SHUT_WR)
        assert not connection.is_quiet(), "the loop has read nothing yet"
        await connection.gone
        assert set(lost) == {connection}
        expected = AttemptFailure.PROTOCOL if unasked else AttemptFailure.CLOSED
        ending = begun_exchange(connection)
        assert ending.done(), "the exchange fails at once"
        assert failure_of(ending.result()) is expected
        there.setblocking(False)
        assert there.recv(100) == b"", "nothing was sent"
        there.close()


async def test_an_error_of_the_machine_is_reported_in_plain_words() -> None:
    async with RecordingReceiver() as receiver:
        connection = await connected_to(receiver)
        ending = asyncio.create_task(exchange(connection))
        await asyncio.sleep(0)
        connection.connection_lost(OSError(errno.EHOSTUNREACH, "[Errno 113] asyncio's own words"))
        assert (await ending)[0] == NoAnswerOutcome(
            AttemptFailure.CLOSED,
            "the receiver closed the connection without answering (No route to host)",
        )
        connection.abort()


async def test_a_cancelled_caller_aborts_the_exchange_and_gets_no_more_calls() -> None:
    async with RecordingReceiver(answer=lambda _: b"HTTP/1.1 2") as receiver:
        connection = await connected_to(receiver)
        waiting = begun_exchange(connection)
        await receiver.wait_for(1)
        connection.abort()
        await connection.gone
        assert not waiting.done()
        await receiver.wait_for_ended(1)


# ---- time limits, with a virtual clock


async def _silent(loop: MadeUpTime, *, read: float, total: float) -> tuple[Ending, float]:
    connection = await connected(80, network=MadeUpNetwork(lambda _: None, after=0))
    began = loop.elapsed
    ending = await exchange(connection, read=read, total=total)
    return ending, loop.elapsed - began


@pytest.mark.parametrize(
    ("read", "total", "failure", "after"),
    [(7, 60, AttemptFailure.READ_TIMEOUT, 7), (60, 7, AttemptFailure.TOTAL_TIMEOUT, 7)],
)
def test_no_answer_is_awaited_beyond_either_limit(
    read: float, total: float, failure: AttemptFailure, after: float
) -> None:
    ending, took = in_made_up_time(lambda loop: _silent(loop, read=read, total=total))
    assert failure_of(ending) is failure
    assert took == pytest.approx(after)


def test_each_part_of_an_answer_may_take_as_long_as_the_limit() -> None:
    async def story(loop: MadeUpTime) -> tuple[Ending, float]:
        network = MadeUpNetwork(lambda _: b"HTTP/1.1 200 OK\r\n", after=5)
        connection = await connected(80, network=network)
        began = loop.elapsed
        return await exchange(connection, read=7, total=60), loop.elapsed - began

    ending, took = in_made_up_time(story)
    assert ending[0] == NoAnswerOutcome(
        AttemptFailure.READ_TIMEOUT, "no part of the answer arrived for 7 s"
    )
    assert took == pytest.approx(12)


def test_a_shorter_limit_than_before_is_kept_too() -> None:
    answers = iter([OK, None])

    async def story(loop: MadeUpTime) -> float:
        connection = await connected(80, network=MadeUpNetwork(lambda _: next(answers), after=0))
        await exchange(connection, read=3600, total=3600)
        began = loop.elapsed
        await exchange(connection, read=7, total=3600)
        return loop.elapsed - began

    assert in_made_up_time(story) == pytest.approx(7)


def test_an_answer_that_arrived_while_the_process_was_stopped_is_still_read() -> None:
    async def story(loop: MadeUpTime) -> Ending:
        network = MadeUpNetwork(lambda _: None, after=0)
        connection = await connected(80, network=network)
        ending = asyncio.create_task(exchange(connection, read=5, total=5))
        await asyncio.sleep(0)
        loop.elapsed += (
            60  # stopped: the timer fires before the loop reads the data that has arrived
        )
        loop.call_later(0.001, network.transports[0].deliver, OK)
        return await ending

    assert in_made_up_time(story)[0] == DeliveredOutcome(200)


def test_a_process_that_was_stopped_reads_once_more_and_not_again() -> None:
    async def story(loop: MadeUpTime) -> tuple[Ending, float]:
        connection = await connected(80, network=MadeUpNetwork(lambda _: None, after=0))
        ending = asyncio.create_task(exchange(connection, read=5, total=5))
        await asyncio.sleep(0)
        loop.elapsed += 60
        return await ending, loop.elapsed

    ending, elapsed = in_made_up_time(story)
    assert failure_of(ending) is AttemptFailure.TOTAL_TIMEOUT
    assert elapsed == pytest.approx(60.01)
