"""Requests for the sender as it is, without a callback behind them, and how they ended."""

from collections.abc import Awaitable, Callable

from ringback.core.callback_url import CallbackUrl
from ringback.core.connection import Limits
from ringback.core.http_exchange import Exchange, OutgoingRequest
from ringback.core.outcome import Failure, Unreachable
from ringback.core.policy.source_policy import Source
from ringback.http_client.http_sender import HttpSender
from tests.receivers import RecordingReceiver, Reply

LIMITS = Limits(connect=5, read=5, total=10)
BODY = b"SimSid=HS1&SimStatus=active"


def post(url: str, body: bytes = BODY) -> OutgoingRequest:
    parsed = CallbackUrl.parse(url)
    headers = (
        ("Host", parsed.authority),
        ("User-Agent", "KoreProxy/1.1"),
        ("Content-Length", str(len(body))),
        ("X-odd-CASE", "kept"),
        ("Accept", "*/*"),
    )
    return OutgoingRequest("POST", parsed, headers, body, Source.KORE)


def resolve_to(*addresses: str) -> Callable[[str], Awaitable[list[str]]]:
    async def resolve(host: str) -> list[str]:
        return list(addresses)

    return resolve


def failure_of(exchange: Exchange) -> Failure | None:
    return exchange.outcome.failure if isinstance(exchange.outcome, Unreachable) else None


def why_of(exchange: Exchange) -> str:
    assert isinstance(exchange.outcome, Unreachable)
    return exchange.outcome.why


async def answer_to(sender: HttpSender, *script: Reply, limits: Limits = LIMITS) -> Exchange:
    """Return how the last of as many requests as there are replies ends."""
    async with RecordingReceiver(*script) as receiver:
        exchanges = [await sender.send(post(receiver.url()), limits=limits) for _ in script]
    return exchanges[-1]
