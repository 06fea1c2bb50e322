"""Passing a request on to an application, so that it gets just what a sender would have sent it."""

from dataclasses import dataclass, replace
from typing import Final

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.http.http_exchange import Headers, OutgoingRequest
from ringback.core.http.outcome import NoAnswerOutcome, describe
from ringback.dev_receiver.responses import ListenerResponse
from ringback.ports import Transport
from ringback.receiver.verification import ReceivedRequest

# The senders themselves wait no longer.
_LIMITS: Final = Timeouts(connect=5, read=15, total=15)

# About the connection, not the request (RFC 9110, 7.6.1); and a length that was sent in chunks.
_OF_THE_CONNECTION: Final = frozenset(
    {
        *("connection", "expect", "keep-alive", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),  # codespell:ignore te
    }
)


@dataclass(frozen=True, slots=True)
class ForwardingResult:
    """Where a request was passed on to, and what came back."""

    url: str
    answer: ListenerResponse
    why_not: str | None = None
    """Why the application gave no answer; the one here is then the listener's own."""

    @property
    def answered(self) -> int | None:
        """The status that the application answered, if it did."""
        return self.answer.status if self.why_not is None else None


async def pass_on(
    request: ReceivedRequest, *, to: CallbackUrl, transport: Transport
) -> ForwardingResult:
    """Send the request on, and return what is to be answered: 502 where no answer came."""
    url = forwarded_url(request, to=to)
    outgoing = OutgoingRequest(request.method, url, forwarded_headers(request), request.body)
    exchange = await transport.send(outgoing, limits=_LIMITS)
    if exchange.response is None or isinstance(exchange.outcome, NoAnswerOutcome):
        return ForwardingResult(url.wire, ListenerResponse(502), why_not=describe(exchange.outcome))
    answer = exchange.response
    return ForwardingResult(
        url.wire, ListenerResponse(answer.status, _content_type(answer.headers), answer.body)
    )


def forwarded_url(request: ReceivedRequest, *, to: CallbackUrl) -> CallbackUrl:
    """Return the URL with a path, its own or else the request's, and with the request's query.

    The query always goes along, since a GET has its parameters in it.
    """
    url = replace(to, path=to.path or request.path)
    return url.with_parameters(request.query) if request.query else url


def forwarded_headers(request: ReceivedRequest) -> Headers:
    """Return the headers in their order and letter case; Host too, which may have been signed."""
    kept = tuple(pair for pair in request.headers if pair[0].lower() not in _OF_THE_CONNECTION)
    if request.body and not request.values("Content-Length"):
        return (*kept, ("Content-Length", str(len(request.body))))
    return kept


def _content_type(headers: Headers) -> Headers:
    return tuple(pair for pair in headers if pair[0].lower() == "content-type")
