"""The CONNECT request to a proxy, and how its answers are understood."""

import asyncio
import errno

import pytest

from ringback.core.http.egress_routes import Proxy
from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome
from ringback.http_client.proxy_tunnel import ProxyTunnel
from tests.proxies import ESTABLISHED, RecordingProxy, Refusal
from tests.receivers import OK, RecordingReceiver, reset


async def tunnel_to(proxy: RecordingProxy, credentials: str | None = None) -> ProxyTunnel:
    tunnel = ProxyTunnel(
        Proxy("127.0.0.1", proxy.port, credentials), buffer=memoryview(bytearray(4096))
    )
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: tunnel, "127.0.0.1", proxy.port)
    return tunnel


async def verdict_on(answer: Refusal) -> NoAnswerOutcome | None:
    async with RecordingProxy(answer) as proxy:
        tunnel = await tunnel_to(proxy)
        async with asyncio.timeout(10):
            verdict = await tunnel.open("192.0.2.7", 443)
        tunnel.transport.abort()
        return verdict


@pytest.mark.parametrize(
    ("address", "credentials", "asked"),
    [
        ("192.0.2.7", None, "CONNECT 192.0.2.7:443 HTTP/1.1\r\nHost: 192.0.2.7:443\r\n\r\n"),
        (
            "2001:db8::7",
            "user:hunter2",
            "CONNECT [2001:db8::7]:443 HTTP/1.1\r\nHost: [2001:db8::7]:443\r\n"
            "Proxy-Authorization: Basic dXNlcjpodW50ZXIy\r\n\r\n",
        ),
    ],
)
async def test_the_request_names_an_address(
    address: str, credentials: str | None, asked: str
) -> None:
    async with RecordingProxy(ESTABLISHED) as proxy:
        tunnel = await tunnel_to(proxy, credentials)
        assert await tunnel.open(address, 443) is None
        assert proxy.heads == [asked.encode()]
        tunnel.transport.abort()


async def test_after_a_success_the_transport_belongs_to_the_receiver() -> None:
    async with RecordingReceiver() as receiver, RecordingProxy() as proxy:
        tunnel = await tunnel_to(proxy)
        assert await tunnel.open("127.0.0.1", receiver.port) is None
        reader = asyncio.StreamReader()
        tunnel.transport.set_protocol(asyncio.StreamReaderProtocol(reader))
        tunnel.transport.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await reader.readexactly(len(OK)) == OK
        tunnel.transport.abort()


@pytest.mark.parametrize("part", [1, 5], ids=["byte by byte", "by five bytes"])
async def test_the_answer_may_arrive_in_parts(part: int) -> None:
    async def slowly(writer: asyncio.StreamWriter) -> None:
        for at in range(0, len(ESTABLISHED), part):
            writer.write(ESTABLISHED[at : at + part])
            await writer.drain()
            await asyncio.sleep(0)

    assert await verdict_on(slowly) is None


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 407 Who?\r\n\r\n", "407 Proxy Authentication Required"),
        (b"HTTP/1.0 302 Go\nLocation: http://x/\n\n", "302 Found"),
        (b"HTTP/1.1 599 Odd\r\nContent-Length: 2\r\n\r\nno", "599"),
        (b"HTTP/1.1 199 Odd\r\n\r\n", "199"),
    ],
)
async def test_a_refusal_is_reported_with_its_status(answer: bytes, status: str) -> None:
    verdict = await verdict_on(answer)
    assert verdict is not None
    assert verdict.failure is AttemptFailure.PROXY_REFUSED
    assert verdict.why.endswith(f" refused the connection: it answered {status}")


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "it is not HTTP/1.1"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "it is not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000, "its head is too long"),
        (ESTABLISHED + OK, "unexpected data came after it"),
    ],
)
async def test_an_unusable_answer_is_a_failure_of_the_proxy(answer: bytes, what: str) -> None:
    verdict = await verdict_on(answer)
    assert verdict is not None
    assert verdict.failure is AttemptFailure.PROXY
    assert verdict.why.endswith(f" can't be used: {what}")


@pytest.mark.parametrize("end", [b"", b"HTTP/1.1 200 OK\r\n", reset])
async def test_a_proxy_that_hangs_up_has_not_answered(end: Refusal) -> None:
    verdict = await verdict_on(end)
    assert verdict is not None
    assert verdict.failure is AttemptFailure.PROXY
    assert "closed the connection without an answer" in verdict.why


async def test_a_connection_that_this_machine_can_not_keep_is_no_failure_of_the_proxy() -> None:
    async with RecordingProxy() as proxy:
        tunnel = await tunnel_to(proxy)
        opening = asyncio.create_task(tunnel.open("192.0.2.7", 443))
        await asyncio.sleep(0)
        tunnel.connection_lost(OSError(errno.ENOBUFS, "No buffer space available"))
        assert await opening == NoAnswerOutcome(
            AttemptFailure.SHORTAGE, "No buffer space available"
        )
        tunnel.transport.abort()


async def test_bytes_between_success_and_passing_on_are_a_failure() -> None:
    async with RecordingProxy() as proxy:
        tunnel = await tunnel_to(proxy)
        opening = asyncio.create_task(tunnel.open("192.0.2.7", 443))
        await asyncio.sleep(0)
        # Both arrive within one step of the loop, before `open` can continue.
        for part in (ESTABLISHED, OK):
            tunnel.get_buffer(-1)[: len(part)] = part
            tunnel.buffer_updated(len(part))
        verdict = await opening
        assert verdict is not None
        assert verdict.failure is AttemptFailure.PROXY
        assert tunnel.transport.is_closing()


async def test_bytes_after_it_was_given_up_change_nothing() -> None:
    async with RecordingProxy() as proxy:
        tunnel = await tunnel_to(proxy)
        opening = asyncio.create_task(tunnel.open("192.0.2.7", 443))
        await asyncio.sleep(0)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        tunnel.eof_received()
        assert not tunnel.transport.is_closing(), "the caller that gave it up closes it"
        tunnel.transport.abort()
