"""The sender against real sockets on 127.0.0.1."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import uvloop

from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.http.allowed_addresses import LOOPBACK
from ringback.core.http.egress_routes import Direct, Egresses
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.http.outcome import (
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    RefusedOutcome,
)
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.policy.source_policy import Source
from ringback.http_client.connection_pool import KeepAliveLimits
from ringback.http_client.http_connection import HttpConnection
from ringback.http_client.http_sender import HttpTransport
from ringback.http_client.response_parser import MAX_BODY
from ringback.runtime.system_clock import stopwatch
from tests.networks import MadeUpNetwork
from tests.ports import free_port
from tests.receivers import (
    OK,
    Hang,
    RecordingReceiver,
    Reply,
    answer_and_close,
    close_without_answer,
    drip,
    drip_without_end,
    reset,
)
from tests.sending import BODY, LIMITS, answer_to, failure_of, post, resolve_to


@pytest.fixture
async def sender() -> AsyncIterator[HttpTransport]:
    # Long enough that a connection which should have been closed is never closed by its age.
    sender = HttpTransport(
        stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK), keep_alive=KeepAliveLimits(seconds=3600)
    )
    yield sender
    await sender.close()


@pytest.fixture
async def receiver() -> AsyncIterator[RecordingReceiver]:
    async with RecordingReceiver() as receiver:
        yield receiver


@pytest.fixture
def closed_port() -> int:
    return free_port()


@contextlib.contextmanager
def silent_address(address: str, port: int) -> Iterator[None]:
    """Make an address neither accept nor refuse connections: its queue is full."""
    with socket.create_server((address, port), backlog=0), contextlib.ExitStack() as queue:
        for _ in range(2):
            sock = queue.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex((address, port))
        yield


class TestTheRequest:
    async def test_leaves_byte_for_byte_as_it_was_rendered(
        self, sender: HttpTransport, receiver: RecordingReceiver
    ) -> None:
        request = post(receiver.url("/hook?b=2&a=%20#cbs=kore"))
        await sender.send(request, limits=LIMITS)
        assert [received.raw for received in receiver.requests] == [
            b"POST /hook?b=2&a=%%20 HTTP/1.1\r\n"
            b"Host: 127.0.0.1:%d\r\n"
            b"User-Agent: KoreProxy/1.1\r\n"
            b"Content-Length: 27\r\n"
            b"X-odd-CASE: kept\r\n"
            b"Accept: */*\r\n"
            b"\r\n"
            b"SimSid=HS1&SimStatus=active" % receiver.port
        ]

    async def test_of_many_megabytes_leaves_whole(
        self, sender: HttpTransport, receiver: RecordingReceiver
    ) -> None:
        body = b"x" * 8_000_000
        exchange = await sender.send(post(receiver.url(), body), limits=LIMITS)
        assert exchange.outcome == DeliveredOutcome(200)
        assert receiver.requests[0].body == body


class TestARequestThatIsMadeAnew:
    async def test_leaves_by_a_new_connection(
        self, sender: HttpTransport, receiver: RecordingReceiver
    ) -> None:
        url = receiver.url()
        await sender.send(post(url, b"old"), limits=LIMITS, anew=lambda: post(url, b"new"))
        assert [request.body for request in receiver.requests] == [b"new"]

    async def test_is_not_made_if_a_connection_is_available(
        self, sender: HttpTransport, receiver: RecordingReceiver
    ) -> None:
        url = receiver.url()
        await sender.send(post(url), limits=LIMITS)
        await sender.send(post(url, b"old"), limits=LIMITS, anew=lambda: post(url, b"new"))
        assert receiver.requests[1].body == b"old"
        assert receiver.connections == 1

    async def test_is_made_when_the_connection_is_open(self, receiver: RecordingReceiver) -> None:
        looked_up = asyncio.Event()
        current = b"old"

        async def resolve(host: str) -> list[str]:
            await looked_up.wait()
            return ["127.0.0.1"]

        sender = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK), resolve=resolve)
        url = f"http://a.example:{receiver.port}/"
        sending = asyncio.create_task(
            sender.send(post(url, current), limits=LIMITS, anew=lambda: post(url, current))
        )
        await asyncio.sleep(0)
        current = b"new"
        looked_up.set()
        await sending
        await sender.close()
        assert [request.body for request in receiver.requests] == [b"new"]

    async def test_and_cannot_be_made_leaves_no_connection_behind(
        self, sender: HttpTransport, receiver: RecordingReceiver
    ) -> None:
        def fail() -> OutgoingRequest:
            raise LookupError

        with pytest.raises(LookupError):
            await sender.send(post(receiver.url()), limits=LIMITS, anew=fail)
        await receiver.wait_for_ended(1)
        assert sender.open_connections == 0
        assert receiver.requests == []


class TestTheInstantAtWhichARequestLeaves:
    async def test_is_told_once_right_before_it_is_written(
        self, sender: HttpTransport, receiver: RecordingReceiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps, exchange = list[str](), HttpConnection.exchange

        def written(self: HttpConnection, request: bytes, *how: Any) -> None:
            steps.append("written")
            exchange(self, request, *how)

        def anew() -> OutgoingRequest:
            steps.append("made anew")
            asyncio.get_running_loop().call_soon(steps.append, "others ran")
            return post(receiver.url())

        monkeypatch.setattr(HttpConnection, "exchange", written)
        for _ in range(2):
            await sender.send(
                post(receiver.url()),
                limits=LIMITS,
                anew=anew,
                leaving=lambda: steps.append("leaves"),
            )
        assert steps == ["made anew", "leaves", "written", "others ran", "leaves", "written"]
        assert len(receiver.requests) == 2

    async def test_is_not_told_if_nothing_is_sent(
        self, sender: HttpTransport, receiver: RecordingReceiver, closed_port: int
    ) -> None:
        told = list[str]()

        def fail() -> OutgoingRequest:
            raise LookupError

        for url in (f"http://127.0.0.1:{closed_port}/", "http://192.0.2.1/"):
            await sender.send(post(url), limits=LIMITS, leaving=lambda: told.append("left"))
        with pytest.raises(LookupError):
            await sender.send(
                post(receiver.url()), limits=LIMITS, anew=fail, leaving=lambda: told.append("left")
            )
        assert told == []

    async def test_is_not_told_if_the_connection_broke_before(self) -> None:
        told, network = list[str](), MadeUpNetwork(lambda _: OK, after=0, greeting=b"220 mail\r\n")
        sender = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK), network=network)
        exchange = await sender.send(
            post("http://127.0.0.1/"), limits=LIMITS, leaving=lambda: told.append("left")
        )
        assert failure_of(exchange) is AttemptFailure.PROTOCOL
        assert told == []

    @pytest.mark.parametrize("is_idle", [True, False])
    async def test_may_be_refused_so_that_nothing_is_sent(
        self, sender: HttpTransport, receiver: RecordingReceiver, is_idle: bool
    ) -> None:
        def refuse() -> None:
            raise LookupError

        if is_idle:
            await sender.send(post(receiver.url()), limits=LIMITS)
        with pytest.raises(LookupError):
            await sender.send(post(receiver.url()), limits=LIMITS, leaving=refuse)
        if not is_idle:
            await receiver.wait_for_ended(1)
        assert sender.open_connections == int(is_idle)
        await sender.send(post(receiver.url()), limits=LIMITS)
        assert len(receiver.requests) == 1 + int(is_idle)
        assert receiver.connections == (1 if is_idle else 2)


def try_to_send(
    sender: HttpTransport, request: OutgoingRequest, **how: Any
) -> asyncio.Future[AttemptResult] | None:
    """Send over an idle connection; return the coming result, or None if nothing was sent."""
    result = asyncio.get_running_loop().create_future()
    was_sent = sender.try_send(request, ended=result.set_result, **{"limits": LIMITS, **how})
    assert not result.done()
    return result if was_sent else None


class TestARequestOverAnIdleConnection:
    async def test_is_sent_at_once(
        self, sender: HttpTransport, receiver: RecordingReceiver
    ) -> None:
        first = await sender.send(post(receiver.url()), limits=LIMITS)
        result = try_to_send(sender, post(receiver.url(), b"second"))
        assert result is not None
        second = await result
        assert [request.body for request in receiver.requests] == [BODY, b"second"]
        assert receiver.connections == 1
        assert second._replace(timings=None) == first._replace(timings=None)
        assert second.timings is not None
        assert second.timings.connect is None
        assert 0 < (second.timings.first_byte or 0) <= second.timings.total

    async def test_needs_a_connection_that_no_other_request_uses(
        self, sender: HttpTransport, receiver: RecordingReceiver
    ) -> None:
        assert try_to_send(sender, post(receiver.url())) is None
        await sender.send(post(receiver.url()), limits=LIMITS)
        results = [try_to_send(sender, post(receiver.url())) for _ in range(2)]
        assert results[1] is None
        assert results[0] is not None
        await results[0]
        assert len(receiver.requests) == 2

    async def test_needs_time(self, sender: HttpTransport, receiver: RecordingReceiver) -> None:
        await sender.send(post(receiver.url()), limits=LIMITS)
        assert try_to_send(sender, post(receiver.url()), limits=LIMITS._replace(total=0)) is None

    async def test_needs_an_address_that_is_known(self, receiver: RecordingReceiver) -> None:
        guard = SsrfGuard(LOOPBACK)
        sender = HttpTransport(stopwatch=stopwatch, guard=guard, remember_names=0)
        await sender.send(post(receiver.url()), limits=LIMITS)
        assert try_to_send(sender, post(receiver.url())) is None
        await sender.close()

    async def test_leaves_a_turn_among_local_addresses_to_other_requests(
        self, receiver: RecordingReceiver
    ) -> None:
        pool = Egresses(by_source={Source.KORE: Direct(("127.0.0.2", "127.0.0.3"))})
        sender = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK), egresses=pool)
        for _ in range(3):
            assert try_to_send(sender, post(receiver.url())) is None
            await sender.send(post(receiver.url()), limits=LIMITS)
        await sender.close()
        assert receiver.clients == ["127.0.0.2", "127.0.0.3"]

    async def test_may_be_sent_when_the_last_one_ends(
        self, sender: HttpTransport, receiver: RecordingReceiver
    ) -> None:
        results, all_have_ended = list[AttemptResult](), asyncio.Event()

        def go_on(result: AttemptResult) -> None:
            results.append(result)
            if len(results) == 2000:
                all_have_ended.set()
                return
            assert sender.try_send(post(receiver.url()), limits=LIMITS, ended=go_on)

        go_on(await sender.send(post(receiver.url()), limits=LIMITS))
        await all_have_ended.wait()
        assert {result.outcome for result in results} == {DeliveredOutcome(200)}
        assert len(receiver.requests) == 2000
        assert receiver.connections == 1

    async def test_is_not_sent_again_over_a_connection_on_which_it_failed(
        self, sender: HttpTransport, receiver: RecordingReceiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise RuntimeError("an internal error")

        await sender.send(post(receiver.url()), limits=LIMITS)
        with monkeypatch.context() as broken:
            broken.setattr(HttpConnection, "exchange", fail)
            with pytest.raises(RuntimeError):
                try_to_send(sender, post(receiver.url()))
        await receiver.wait_for_ended(1)
        assert sender.open_connections == 0

    @pytest.mark.parametrize(
        ("reply", "failure"),
        [
            (close_without_answer, AttemptFailure.STALE),
            (b"nonsense\r\n\r\n", AttemptFailure.PROTOCOL),
            (Hang(), AttemptFailure.READ_TIMEOUT),
        ],
    )
    async def test_fails_as_any_other(
        self, sender: HttpTransport, reply: Reply, failure: AttemptFailure
    ) -> None:
        async with RecordingReceiver(OK, reply) as receiver:
            await sender.send(post(receiver.url()), limits=LIMITS)
            result = try_to_send(sender, post(receiver.url()), limits=LIMITS._replace(read=0.05))
            assert result is not None
            assert failure_of(await result) is failure
            assert try_to_send(sender, post(receiver.url())) is None

    async def test_that_is_given_up_ends_its_connection_and_has_no_result(
        self, sender: HttpTransport
    ) -> None:
        hang = Hang()
        async with RecordingReceiver(OK, hang) as receiver:
            await sender.send(post(receiver.url()), limits=LIMITS)
            result = try_to_send(sender, post(receiver.url()))
            assert result is not None
            await receiver.wait_for(2)
            sender.break_off()
            hang.release()
            await receiver.wait_for_ended(1)
            assert not result.done()
            assert sender.open_connections == 0
            assert (await sender.send(post(receiver.url()), limits=LIMITS)).outcome == (
                DeliveredOutcome(200)
            )


class TestTheAnswer:
    async def test_is_recorded_unchanged(self, sender: HttpTransport) -> None:
        exchange = await answer_to(
            sender,
            b"HTTP/1.1 422 No\r\nX-One: a\r\nx-one: \xe9\r\nEmpty:\r\n"
            b"Content-Length: 4\r\n\r\nnope",
        )
        assert exchange.outcome == RefusedOutcome(422)
        assert exchange.response is not None
        assert exchange.response.status == 422
        assert exchange.response.headers == (
            ("X-One", "a"),
            ("x-one", "é"),
            ("Empty", ""),
            ("Content-Length", "4"),
        )
        assert exchange.response.body == b"nope"
        assert not exchange.response.is_cut

    @pytest.mark.parametrize(
        ("answer", "body"),
        [
            (b"Content-Length: 5\r\n\r\nhello", b"hello"),
            (b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", b"hello"),
            (b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n", b"hello"),
            (b"Content-Length: 0\r\n\r\n", b""),
        ],
        ids=["of a stated length", "in chunks", "with a trailer", "empty"],
    )
    @pytest.mark.parametrize("in_parts", [False, True])
    async def test_may_have_a_body(
        self, sender: HttpTransport, answer: bytes, body: bytes, in_parts: bool
    ) -> None:
        data = b"HTTP/1.1 200 OK\r\nX: y\r\n" + answer
        exchange = await answer_to(sender, drip(data) if in_parts else data)
        assert exchange.outcome == DeliveredOutcome(200)
        assert exchange.response is not None
        assert exchange.response.body == body
        assert "Trailer" not in dict(exchange.response.headers)

    async def test_without_a_length_ends_with_the_connection(self, sender: HttpTransport) -> None:
        exchange = await answer_to(sender, answer_and_close(b"HTTP/1.1 200 OK\r\n\r\nall of it"))
        assert exchange.outcome == DeliveredOutcome(200)
        assert exchange.response is not None
        assert exchange.response.body == b"all of it"
        assert not exchange.response.is_cut

    async def test_in_chunks_states_its_length_and_needs_the_last_one(
        self, sender: HttpTransport
    ) -> None:
        begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        exchange = await answer_to(sender, answer_and_close(begun))
        assert failure_of(exchange) is AttemptFailure.CLOSED
        assert exchange.response is not None
        assert exchange.response.is_cut

    @pytest.mark.parametrize("status", [204, 304])
    async def test_of_a_status_without_a_body_is_complete_with_its_head(
        self, sender: HttpTransport, status: int
    ) -> None:
        bodiless = b"HTTP/1.1 %d X\r\nContent-Length: 9\r\n\r\n" % status
        async with RecordingReceiver(bodiless, bodiless) as receiver:
            for _ in range(2):
                exchange = await sender.send(post(receiver.url()), limits=LIMITS)
                assert exchange.response is not None
                assert (exchange.response.status, exchange.response.body) == (status, b"")
            assert receiver.connections == 1

    async def test_may_follow_interim_answers(self, sender: HttpTransport) -> None:
        exchange = await answer_to(
            sender,
            b"HTTP/1.1 100 Continue\r\n\r\n"
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
            b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
        )
        assert exchange.outcome == DeliveredOutcome(201)
        assert exchange.response is not None
        assert exchange.response.headers == (("Content-Length", "0"),)

    async def test_may_end_its_lines_without_a_carriage_return(self, sender: HttpTransport) -> None:
        by_hand = b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"
        async with RecordingReceiver(by_hand, drip(by_hand)) as receiver:
            for _ in range(2):
                exchange = await sender.send(post(receiver.url()), limits=LIMITS)
                assert exchange.outcome == DeliveredOutcome(200)
            assert receiver.connections == 1

    async def test_may_offer_another_protocol(self, sender: HttpTransport) -> None:
        offer = b"Upgrade: h2,h2c\r\nConnection: Upgrade, Keep-Alive\r\nContent-Length: 2\r\n\r\nok"
        async with RecordingReceiver(b"HTTP/1.1 200 OK\r\n" + offer) as receiver:
            first = await sender.send(post(receiver.url()), limits=LIMITS)
            await sender.send(post(receiver.url()), limits=LIMITS)
            assert first.outcome == DeliveredOutcome(200)
            assert receiver.connections == 1

    async def test_that_redirects_is_not_followed(
        self, sender: HttpTransport, receiver: RecordingReceiver
    ) -> None:
        elsewhere = receiver.url("/elsewhere")
        redirect = f"HTTP/1.1 307 Go\r\nlocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n"
        exchange = await answer_to(sender, redirect.encode())
        assert exchange.outcome == RefusedOutcome(307, location=elsewhere)
        assert receiver.requests == []

    async def test_keeps_500_characters_of_the_redirect_target(self, sender: HttpTransport) -> None:
        location = "https://elsewhere.example/" + "x" * 5000
        redirect = f"HTTP/1.1 302 Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        exchange = await answer_to(sender, redirect.encode())
        assert exchange.outcome == RefusedOutcome(302, location=location[:500])

    @pytest.mark.parametrize(
        ("status", "kept"), [(429, "120"), (503, "120"), (500, None), (302, None), (404, None)]
    )
    async def test_has_retry_after_if_its_status_gives_it_a_meaning(
        self, sender: HttpTransport, status: int, kept: str | None
    ) -> None:
        later = b"HTTP/1.1 %d X\r\nretry-after: 120\r\nContent-Length: 0\r\n\r\n" % status
        exchange = await answer_to(sender, later)
        assert exchange.outcome == RefusedOutcome(status, retry_after=kept)

    async def test_keeps_100_characters_of_retry_after(self, sender: HttpTransport) -> None:
        later = b"HTTP/1.1 503 X\r\nRetry-After: %b\r\nContent-Length: 0\r\n\r\n" % (b"9" * 500)
        exchange = await answer_to(sender, later)
        assert exchange.outcome == RefusedOutcome(503, retry_after="9" * 100)

    async def test_of_exactly_the_limit_is_whole(self, sender: HttpTransport) -> None:
        body = b"x" * MAX_BODY
        exchange = await answer_to(
            sender, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        assert exchange.response is not None
        assert exchange.response.body == body
        assert not exchange.response.is_cut

    async def test_is_truncated_at_the_limit_and_still_counts(self, sender: HttpTransport) -> None:
        body = b"x" * (MAX_BODY + 1)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
        async with RecordingReceiver(head + body) as receiver:
            exchange = await sender.send(post(receiver.url()), limits=LIMITS)
            await receiver.wait_for_ended(1)
        assert exchange.outcome == DeliveredOutcome(200)
        assert exchange.response is not None
        assert exchange.response.body == body[:MAX_BODY]
        assert exchange.response.is_cut

    async def test_that_never_ends_is_read_up_to_the_limit(self, sender: HttpTransport) -> None:
        async def pour(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while not writer.is_closing():
                writer.write(b"x" * 4096)
                await writer.drain()

        exchange = await answer_to(sender, pour)
        assert exchange.outcome == DeliveredOutcome(200)
        assert exchange.response is not None
        assert len(exchange.response.body) == MAX_BODY
        assert exchange.response.is_cut

    async def test_of_endless_framing_is_truncated_too(self, sender: HttpTransport) -> None:
        async def pour(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not writer.is_closing():
                writer.write(b"1;" + b"x" * 4096 + b"\r\n.\r\n")
                await writer.drain()

        exchange = await answer_to(sender, pour)
        assert exchange.outcome == DeliveredOutcome(200)
        assert exchange.response is not None
        assert exchange.response.is_cut
        assert 0 < len(exchange.response.body) < 1000


class TestKeepingConnections:
    async def test_carries_many_requests_over_one(
        self, sender: HttpTransport, receiver: RecordingReceiver
    ) -> None:
        for _ in range(5):
            await sender.send(post(receiver.url()), limits=LIMITS)
        assert len(receiver.requests) == 5
        assert receiver.connections == 1

    async def test_never_gives_one_connection_two_requests_at_a_time(
        self, sender: HttpTransport
    ) -> None:
        hangs = [Hang(), Hang()]
        async with RecordingReceiver(*hangs) as receiver:
            sends = [
                asyncio.create_task(sender.send(post(receiver.url()), limits=LIMITS)) for _ in hangs
            ]
            await receiver.wait_for(2)
            assert receiver.connections == 2
            for hang in hangs:
                hang.release()
            assert [(await send).outcome for send in sends] == [DeliveredOutcome(200)] * 2

    @pytest.mark.parametrize(
        "reply",
        [
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
            OK + b"surplus",
            OK + OK,
        ],
        ids=[
            "Connection: close",
            "old",
            "old and willing",
            "with a surplus",
            "with a second answer",
        ],
    )
    async def test_ends_after_an_answer_that_leaves_a_doubt(
        self, sender: HttpTransport, reply: bytes
    ) -> None:
        async with RecordingReceiver(reply) as receiver:
            first = await sender.send(post(receiver.url()), limits=LIMITS)
            await receiver.wait_for_ended(1)
            second = await sender.send(post(receiver.url()), limits=LIMITS)
            assert (first.outcome, second.outcome) == (DeliveredOutcome(200), DeliveredOutcome(200))
            assert receiver.connections == 2

    async def test_ends_if_the_receiver_sends_unexpected_bytes(self, sender: HttpTransport) -> None:
        speak = asyncio.Event()

        async def answer_and_speak_later(writer: asyncio.StreamWriter) -> None:
            writer.write(OK)
            await speak.wait()
            writer.write(OK)

        async with RecordingReceiver(answer_and_speak_later) as receiver:
            await sender.send(post(receiver.url()), limits=LIMITS)
            speak.set()
            await receiver.wait_for_ended(1)
            exchange = await sender.send(post(receiver.url()), limits=LIMITS)
            assert exchange.outcome == DeliveredOutcome(200)
            assert receiver.connections == 2

    async def test_ends_after_an_answer_to_a_request_half_sent(self, sender: HttpTransport) -> None:
        is_answered, is_over = asyncio.Event(), asyncio.Event()

        async def refuse_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Too Much\r\nContent-Length: 0\r\n\r\n")
            await is_answered.wait()
            with contextlib.suppress(ConnectionError):
                while await reader.read(1_000_000):
                    pass
            writer.close()
            is_over.set()

        server = await asyncio.start_server(refuse_early, "127.0.0.1", 0, limit=1024)
        port = server.sockets[0].getsockname()[1]
        request = post(f"http://127.0.0.1:{port}/", b"x" * 30_000_000)
        exchange = await sender.send(request, limits=LIMITS)
        assert exchange.outcome == RefusedOutcome(413)
        is_answered.set()
        async with asyncio.timeout(10):
            await is_over.wait()
        server.close()

    async def test_ends_after_a_while_without_requests(self) -> None:
        sender = HttpTransport(
            stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK), keep_alive=KeepAliveLimits(seconds=0.05)
        )
        async with RecordingReceiver() as receiver:
            await sender.send(post(receiver.url()), limits=LIMITS)
            await receiver.wait_for_ended(1)
            await sender.send(post(receiver.url()), limits=LIMITS)
            await receiver.wait_for_ended(2)

    @pytest.mark.parametrize("bound", [KeepAliveLimits(per_peer=1), KeepAliveLimits(in_all=1)])
    async def test_is_bounded(self, bound: KeepAliveLimits) -> None:
        sender = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK), keep_alive=bound)
        hangs = [Hang(), Hang(), Hang()]
        async with RecordingReceiver(*hangs) as receiver:
            sends = [sender.send(post(receiver.url()), limits=LIMITS) for _ in hangs]
            under_way = asyncio.gather(*sends)
            await receiver.wait_for(3)
            for hang in hangs:
                hang.release()
            await under_way
            await receiver.wait_for_ended(2)
            await sender.send(post(receiver.url()), limits=LIMITS)
            assert receiver.connections == 3
            await sender.close()

    async def test_ends_when_the_sender_is_closed(self, receiver: RecordingReceiver) -> None:
        sender = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK))
        await sender.send(post(receiver.url()), limits=LIMITS)
        await sender.close()
        await receiver.wait_for_ended(1)

    async def test_ends_after_its_request_when_the_sender_was_closed_meanwhile(
        self, sender: HttpTransport
    ) -> None:
        hang = Hang()
        async with RecordingReceiver(hang) as receiver:
            send = asyncio.create_task(sender.send(post(receiver.url()), limits=LIMITS))
            await receiver.wait_for(1)
            await sender.close()
            hang.release()
            assert (await send).outcome == DeliveredOutcome(200)
            await receiver.wait_for_ended(1)

    @pytest.mark.parametrize("end", [close_without_answer, reset])
    async def test_shows_a_stale_connection_and_sends_nothing_again(
        self, sender: HttpTransport, end: Reply
    ) -> None:
        async with RecordingReceiver(OK, end) as receiver:
            await sender.send(post(receiver.url()), limits=LIMITS)
            exchange = await sender.send(post(receiver.url()), limits=LIMITS)
            assert failure_of(exchange) is AttemptFailure.STALE
            assert len(receiver.requests) == 2
            assert receiver.connections == 1


class TestOpenConnections:
    async def test_are_counted_in_use_and_kept(self, sender: HttpTransport) -> None:
        hang = Hang()
        async with RecordingReceiver(OK, Hang()) as receiver:
            assert sender.open_connections == 0
            await sender.send(post(receiver.url()), limits=LIMITS)
            assert sender.open_connections == 1, "kept"
            send = asyncio.create_task(sender.send(post(receiver.url()), limits=LIMITS))
            await receiver.wait_for(2)
            assert sender.open_connections == 1, "in use"
            hang.release()
            await send
        await sender.close()
        assert sender.open_connections == 0

    async def test_that_failed_are_not_counted(
        self, sender: HttpTransport, closed_port: int
    ) -> None:
        await sender.send(post(f"http://127.0.0.1:{closed_port}/"), limits=LIMITS)
        await answer_to(sender, close_without_answer)
        await answer_to(sender, answer_and_close(OK))
        async with RecordingReceiver() as receiver:
            await sender.send(post(receiver.url()), limits=LIMITS)
            assert sender.open_connections == 1

    async def test_make_room_for_others_if_they_are_idle(self) -> None:
        sender = HttpTransport(
            stopwatch=stopwatch,
            guard=SsrfGuard(LOOPBACK),
            keep_alive=KeepAliveLimits(seconds=3600),
            most_open=1,
        )
        async with RecordingReceiver() as one, RecordingReceiver() as other:
            for receiver in (one, other, one):
                exchange = await sender.send(post(receiver.url()), limits=LIMITS)
                assert exchange.outcome == DeliveredOutcome(200)
                assert sender.open_connections == 1
            await one.wait_for_ended(1)
            await other.wait_for_ended(1)
            await sender.close()

    async def test_let_others_wait_for_room_and_the_wait_does_not_count(self) -> None:
        sender = HttpTransport(
            stopwatch=stopwatch,
            guard=SsrfGuard(LOOPBACK),
            keep_alive=KeepAliveLimits(seconds=3600),
            most_open=1,
        )
        hang = Hang()
        async with RecordingReceiver(hang) as one, RecordingReceiver() as other:
            first = asyncio.create_task(sender.send(post(one.url()), limits=LIMITS))
            await one.wait_for(1)
            second = asyncio.create_task(sender.send(post(other.url()), limits=LIMITS))
            hasty = asyncio.create_task(
                sender.send(post(other.url()), limits=Timeouts(connect=0.05, read=5, total=5))
            )
            given_up = asyncio.create_task(sender.send(post(other.url()), limits=LIMITS))
            await asyncio.sleep(0.1)
            assert other.connections == 0
            given_up.cancel()
            hang.release()
            assert (await first).outcome == DeliveredOutcome(200)
            assert (await second).outcome == DeliveredOutcome(200)
            exchange = await hasty
            assert exchange.outcome == DeliveredOutcome(200)
            assert exchange.waited >= 0.05
            assert sender.open_connections == 1
            await sender.close()


class TestTheTimings:
    async def test_of_a_new_connection_have_its_steps(self, receiver: RecordingReceiver) -> None:
        ticks = iter(range(1000))
        sender = HttpTransport(
            stopwatch=lambda: next(ticks) / 1000,  # every look at the clock takes a millisecond
            guard=SsrfGuard(LOOPBACK),
            resolve=resolve_to("127.0.0.1"),
        )
        request = post(receiver.url(host="hooks.example"))
        first = (await sender.send(request, limits=LIMITS)).timings
        assert first is not None
        assert (first.look_up, first.connect, first.tls) == pytest.approx((1, 1, None))
        assert (first.first_byte, first.total) == pytest.approx((1, 7))
        await sender.close()

    async def test_of_a_kept_connection_have_none(
        self, sender: HttpTransport, receiver: RecordingReceiver
    ) -> None:
        await sender.send(post(receiver.url()), limits=LIMITS)
        timings = (await sender.send(post(receiver.url()), limits=LIMITS)).timings
        assert timings is not None
        assert (timings.look_up, timings.connect, timings.tls) == (None, None, None)
        assert timings.first_byte is not None
        assert 0 < timings.first_byte < timings.total

    async def test_of_a_failure_end_where_it_does(
        self, sender: HttpTransport, closed_port: int
    ) -> None:
        exchange = await sender.send(post(f"http://127.0.0.1:{closed_port}/"), limits=LIMITS)
        timings = exchange.timings
        assert timings is not None
        assert timings.look_up is not None
        assert timings.connect is not None
        assert (timings.tls, timings.first_byte) == (None, None)
        assert timings.look_up + timings.connect <= timings.total


class TestAnAnswerThatDoesNotCome:
    async def test_from_a_port_where_nobody_listens_is_connect(
        self, sender: HttpTransport, closed_port: int
    ) -> None:
        exchange = await sender.send(post(f"http://127.0.0.1:{closed_port}/"), limits=LIMITS)
        assert exchange.outcome == NoAnswerOutcome(
            AttemptFailure.CONNECT,
            f"could not connect to 127.0.0.1 port {closed_port} (Connection refused)",
        )

    async def test_because_of_a_slow_lookup_is_name(self) -> None:
        async def never(host: str) -> list[str]:
            await asyncio.Event().wait()
            return []

        sender = HttpTransport(stopwatch=stopwatch, resolve=never)
        limits = Timeouts(connect=0.05, read=5, total=5)
        exchange = await sender.send(post("http://hooks.example/"), limits=limits)
        assert exchange.outcome == NoAnswerOutcome(
            AttemptFailure.NAME,
            "no connection to hooks.example port 80 within 0.05 s: the name lookup did not finish",
        )
        await sender.close()

    async def test_because_of_a_slow_tls_handshake_is_connect_timeout(
        self, sender: HttpTransport
    ) -> None:
        async with RecordingReceiver() as receiver:
            url = receiver.url().replace("http:", "https:")
            limits = Timeouts(connect=0.05, read=5, total=5)
            exchange = await sender.send(post(url), limits=limits)
            await receiver.wait_for_ended(1)
        assert failure_of(exchange) is AttemptFailure.CONNECT_TIMEOUT

    async def test_in_time_is_read_timeout(self, sender: HttpTransport) -> None:
        limits = Timeouts(connect=5, read=0.05, total=5)
        exchange = await answer_to(sender, Hang(), limits=limits)
        assert exchange.outcome == NoAnswerOutcome(
            AttemptFailure.READ_TIMEOUT, "no answer arrived for 0.05 s"
        )

    async def test_has_a_duration_too(self, sender: HttpTransport) -> None:
        exchange = await answer_to(sender, Hang(), limits=Timeouts(connect=5, read=0.05, total=5))
        assert exchange.timings is not None
        assert 45 < exchange.timings.total < 5000
        assert exchange.timings.first_byte is None

    async def test_after_its_head_is_read_timeout_and_keeps_the_head(
        self, sender: HttpTransport
    ) -> None:
        stalled = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
        limits = Timeouts(connect=5, read=0.05, total=5)
        exchange = await answer_to(sender, stalled, limits=limits)
        assert failure_of(exchange) is AttemptFailure.READ_TIMEOUT
        assert exchange.response is not None
        assert exchange.response.status == 200
        assert exchange.response.body == b"half"
        assert exchange.response.is_cut

    async def test_completely_is_total_timeout(self, sender: HttpTransport) -> None:
        limits = Timeouts(connect=5, read=0.1, total=0.2)
        exchange = await answer_to(sender, drip_without_end, limits=limits)
        assert failure_of(exchange) is AttemptFailure.TOTAL_TIMEOUT

    @pytest.mark.parametrize("total", [0, -1])
    async def test_for_lack_of_time_is_no_time_without_a_request(
        self, sender: HttpTransport, receiver: RecordingReceiver, total: float
    ) -> None:
        limits = Timeouts(connect=5, read=5, total=total)
        first = await sender.send(post(receiver.url()), limits=limits)
        assert failure_of(first) is AttemptFailure.NO_TIME
        assert receiver.connections == 0

        await sender.send(post(receiver.url()), limits=LIMITS)
        over_a_kept_one = await sender.send(post(receiver.url()), limits=limits)
        assert failure_of(over_a_kept_one) is AttemptFailure.NO_TIME
        await sender.send(post(receiver.url()), limits=LIMITS)
        assert len(receiver.requests) == 2

    @pytest.mark.parametrize("end", [close_without_answer, reset])
    async def test_over_a_fresh_connection_is_closed(
        self, sender: HttpTransport, end: Reply
    ) -> None:
        exchange = await answer_to(sender, end)
        assert failure_of(exchange) is AttemptFailure.CLOSED
        assert exchange.response is None

    @pytest.mark.parametrize(
        "part",
        [
            b"HTTP/1.1 20",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
        ],
    )
    async def test_whole_is_closed(self, sender: HttpTransport, part: bytes) -> None:
        exchange = await answer_to(sender, answer_and_close(part))
        assert failure_of(exchange) is AttemptFailure.CLOSED

    async def test_whole_is_closed_over_a_kept_connection_too(self, sender: HttpTransport) -> None:
        exchange = await answer_to(sender, OK, answer_and_close(b"HTTP/1.1 2"))
        assert failure_of(exchange) is AttemptFailure.CLOSED

    @pytest.mark.parametrize(
        "reply",
        [
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"HTTP/1.1 two hundred\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x00",
            b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 13_000 + b"Content-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * 80_000,
        ],
        ids=[
            "another protocol",
            "no status",
            "two lengths",
            "no chunk",
            "a switch",
            "a switch with an upgrade",
            "many headers",
            "a long header",
        ],
    )
    async def test_in_http_is_protocol(self, sender: HttpTransport, reply: bytes) -> None:
        async with RecordingReceiver(reply) as receiver:
            exchange = await sender.send(post(receiver.url()), limits=LIMITS)
            await receiver.wait_for_ended(1)
        assert failure_of(exchange) is AttemptFailure.PROTOCOL

    async def test_but_is_announced_endlessly_is_protocol(self, sender: HttpTransport) -> None:
        async def announce(writer: asyncio.StreamWriter) -> None:
            while not writer.is_closing():
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
                await writer.drain()

        exchange = await answer_to(sender, announce)
        assert failure_of(exchange) is AttemptFailure.PROTOCOL

    async def test_to_a_cancelled_send_closes_its_connection(self, sender: HttpTransport) -> None:
        hang = Hang()
        async with RecordingReceiver(hang) as receiver:
            send = asyncio.create_task(sender.send(post(receiver.url()), limits=LIMITS))
            await receiver.wait_for(1)
            send.cancel()
            with pytest.raises(asyncio.CancelledError):
                await send
            hang.release()
            await receiver.wait_for_ended(1)


class TestALookUp:
    async def test_that_fails_is_name(self) -> None:
        async def resolve(host: str) -> list[str]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        sender = HttpTransport(stopwatch=stopwatch, resolve=resolve)
        exchange = await sender.send(post("http://hooks.example/"), limits=LIMITS)
        assert exchange.outcome == NoAnswerOutcome(
            AttemptFailure.NAME,
            "the host hooks.example could not be looked up: Name or service not known",
        )

    async def test_without_a_result_is_name(self) -> None:
        sender = HttpTransport(stopwatch=stopwatch, resolve=resolve_to())
        exchange = await sender.send(post("http://hooks.example/"), limits=LIMITS)
        assert failure_of(exchange) is AttemptFailure.NAME

    async def test_of_an_impossible_name_is_name(self) -> None:
        async def resolve(host: str) -> list[str]:
            raise UnicodeError(f"{host} can't be written as the DNS needs it")

        sender = HttpTransport(stopwatch=stopwatch, resolve=resolve)
        exchange = await sender.send(post("http://hooks.example/"), limits=LIMITS)
        assert failure_of(exchange) is AttemptFailure.NAME

    async def test_is_shared_by_all_waiting_requests(self, receiver: RecordingReceiver) -> None:
        asked = list[str]()

        async def resolve(host: str) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"]

        sender = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK), resolve=resolve)
        request = post(receiver.url(host="hooks.example"))
        await asyncio.gather(*(sender.send(request, limits=LIMITS) for _ in range(5)))
        await sender.send(request, limits=LIMITS)
        assert asked == ["hooks.example"]
        await sender.close()

    async def test_continues_for_the_others_when_one_gives_up(
        self, receiver: RecordingReceiver
    ) -> None:
        is_asked, may_answer = asyncio.Event(), asyncio.Event()

        async def resolve(host: str) -> list[str]:
            is_asked.set()
            await may_answer.wait()
            return ["127.0.0.1"]

        sender = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK), resolve=resolve)
        request = post(receiver.url(host="hooks.example"))
        patient = asyncio.create_task(sender.send(request, limits=LIMITS))
        await is_asked.wait()
        hasty = await sender.send(request, limits=Timeouts(connect=0.05, read=5, total=5))
        may_answer.set()
        assert failure_of(hasty) is AttemptFailure.NAME
        assert (await patient).outcome == DeliveredOutcome(200)
        await sender.close()

    async def test_is_repeated_when_its_answer_is_too_old(
        self, receiver: RecordingReceiver
    ) -> None:
        asked = list[str]()

        async def resolve(host: str) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"]

        sender = HttpTransport(
            stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK), resolve=resolve, remember_names=0
        )
        request = post(receiver.url(host="hooks.example"))
        for _ in range(2):
            assert (await sender.send(request, limits=LIMITS)).outcome == DeliveredOutcome(200)
        assert asked == ["hooks.example"] * 2
        assert receiver.connections == 1, "a kept connection stays usable if the name leads to it"
        await sender.close()

    async def test_that_hangs_is_name_after_its_own_limit(self) -> None:
        async def never(host: str) -> list[str]:
            await asyncio.Event().wait()
            return []

        sender = HttpTransport(stopwatch=stopwatch, resolve=never, name_limit=0.05)
        exchange = await sender.send(post("http://hooks.example/"), limits=LIMITS)
        assert exchange.outcome == NoAnswerOutcome(
            AttemptFailure.NAME,
            "the host hooks.example could not be looked up: no answer came within 0.05 s",
        )
        await sender.close()

    async def test_that_hangs_delays_others_no_longer_than_its_limit(
        self, receiver: RecordingReceiver
    ) -> None:
        async def resolve(host: str) -> list[str]:
            if host.startswith("hangs"):
                await asyncio.Event().wait()
            return ["127.0.0.1"]

        sender = HttpTransport(
            stopwatch=stopwatch,
            guard=SsrfGuard(LOOPBACK),
            resolve=resolve,
            name_limit=0.05,
            names_at_once=2,
        )
        hosts = ("hangs-1.example", "hangs-2.example", "hooks.example")
        sends = [sender.send(post(receiver.url(host=host)), limits=LIMITS) for host in hosts]
        *hung, good = await asyncio.gather(*sends)
        assert [failure_of(exchange) for exchange in hung] == [AttemptFailure.NAME] * 2
        assert good.outcome == DeliveredOutcome(200)
        await sender.close()

    async def test_is_not_made_if_nobody_waits(self, receiver: RecordingReceiver) -> None:
        asked, is_asked, may_answer = list[str](), asyncio.Event(), asyncio.Event()

        async def resolve(host: str) -> list[str]:
            asked.append(host)
            is_asked.set()
            await may_answer.wait()
            return ["127.0.0.1"]

        sender = HttpTransport(
            stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK), resolve=resolve, names_at_once=1
        )
        patient = asyncio.create_task(
            sender.send(post(receiver.url(host="first.example")), limits=LIMITS)
        )
        await is_asked.wait()
        hasty = asyncio.create_task(
            sender.send(post(receiver.url(host="second.example")), limits=LIMITS)
        )
        await asyncio.sleep(0)
        hasty.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hasty
        may_answer.set()
        await patient
        await sender.send(post(receiver.url(host="third.example")), limits=LIMITS)
        assert asked == ["first.example", "third.example"]
        await sender.close()

    async def test_of_two_addresses_uses_the_second_if_the_first_fails(
        self, receiver: RecordingReceiver
    ) -> None:
        # Nobody listens on the first address.
        sender = HttpTransport(
            stopwatch=stopwatch,
            guard=SsrfGuard(LOOPBACK),
            resolve=resolve_to("127.0.0.9", "127.0.0.1"),
        )
        exchange = await sender.send(post(receiver.url(host="hooks.example")), limits=LIMITS)
        assert exchange.outcome == DeliveredOutcome(200)
        await sender.close()

    async def test_of_two_addresses_leaves_time_for_the_second(
        self, receiver: RecordingReceiver
    ) -> None:
        sender = HttpTransport(
            stopwatch=stopwatch,
            guard=SsrfGuard(LOOPBACK),
            resolve=resolve_to("127.0.0.9", "127.0.0.1"),
        )
        with silent_address("127.0.0.9", receiver.port):
            exchange = await sender.send(
                post(receiver.url(host="hooks.example")),
                limits=Timeouts(connect=0.4, read=5, total=5),
            )
        assert exchange.outcome == DeliveredOutcome(200)
        await sender.close()

    async def test_of_an_address_that_is_silent_for_the_whole_time_is_no_time(
        self, sender: HttpTransport, closed_port: int
    ) -> None:
        with silent_address("127.0.0.9", closed_port):
            exchange = await sender.send(
                post(f"http://127.0.0.9:{closed_port}/"),
                limits=Timeouts(connect=5, read=5, total=0.05),
            )
        assert failure_of(exchange) is AttemptFailure.NO_TIME

    async def test_of_an_address_that_is_silent_is_connect_timeout(
        self, sender: HttpTransport, closed_port: int
    ) -> None:
        with silent_address("127.0.0.9", closed_port):
            exchange = await sender.send(
                post(f"http://127.0.0.9:{closed_port}/"),
                limits=Timeouts(connect=0.05, read=5, total=5),
            )
        assert failure_of(exchange) is AttemptFailure.CONNECT_TIMEOUT

    async def test_of_two_dead_addresses_names_them_only_in_the_log(
        self, closed_port: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG", "ringback")
        sender = HttpTransport(
            stopwatch=stopwatch,
            guard=SsrfGuard(LOOPBACK),
            resolve=resolve_to("127.0.0.8", "127.0.0.9"),
        )
        exchange = await sender.send(post(f"http://x.example:{closed_port}/"), limits=LIMITS)
        assert exchange.outcome == NoAnswerOutcome(
            AttemptFailure.CONNECT,
            f"could not connect to x.example port {closed_port} (Connection refused)",
        )
        assert "127.0.0.8" in caplog.text
        assert "127.0.0.9" in caplog.text


def test_all_of_it_works_on_uvloop_too() -> None:
    async def story() -> list[object]:
        sender = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK))
        outcomes = list[object]()
        async with RecordingReceiver(OK, close_without_answer, Hang()) as receiver:
            limits = Timeouts(connect=5, read=0.05, total=5)
            for _ in range(3):
                exchange = await sender.send(post(receiver.url()), limits=limits)
                outcomes.append(failure_of(exchange) or exchange.outcome)
        await sender.close()
        return outcomes

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcomes = runner.run(story())
    assert outcomes == [DeliveredOutcome(200), AttemptFailure.STALE, AttemptFailure.READ_TIMEOUT]
