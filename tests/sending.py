"""Requests for the sender, without a callback behind them, and their results."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.http.connection_profile import NO_PROFILE, ConnectionProfile
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome
from ringback.core.policy.source_policy import Source
from ringback.http_client.http_sender import HttpTransport
from tests.receivers import RecordingReceiver, Reply

LIMITS = Timeouts(connect=5, read=5, total=10)
BODY = b"SimSid=HS1&SimStatus=active"


def post(
    url: str, body: bytes = BODY, *, profile: ConnectionProfile = NO_PROFILE
) -> OutgoingRequest:
    parsed = CallbackUrl.parse(url)
    headers = (
        ("Host", parsed.authority),
        ("User-Agent", "KoreProxy/1.1"),
        ("Content-Length", str(len(body))),
        ("X-odd-CASE", "kept"),
        ("Accept", "*/*"),
    )
    request = OutgoingRequest.with_headers("POST", parsed, headers, body, Source.KORE)
    return replace(request, profile=profile)


def resolve_to(*addresses: str) -> Callable[[str], Awaitable[list[str]]]:
    async def resolve(host: str) -> list[str]:
        return list(addresses)

    return resolve


def failure_of(exchange: AttemptResult) -> AttemptFailure | None:
    return exchange.outcome.failure if isinstance(exchange.outcome, NoAnswerOutcome) else None


def why_of(exchange: AttemptResult) -> str:
    assert isinstance(exchange.outcome, NoAnswerOutcome)
    return exchange.outcome.why


async def answer_to(
    sender: HttpTransport, *script: Reply, limits: Timeouts = LIMITS
) -> AttemptResult:
    """Send one request for each reply, and return the result of the last one."""
    async with RecordingReceiver(*script) as receiver:
        exchanges = [await sender.send(post(receiver.url()), limits=limits) for _ in script]
    return exchanges[-1]
