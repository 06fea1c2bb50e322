"""Forward a request to an application, unchanged, as if the sender had sent it there."""

from dataclasses import dataclass, replace
from typing import Final

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.http.http_exchange import Headers, OutgoingRequest
from ringback.core.http.outcome import NoAnswerOutcome, describe
from ringback.dev_receiver.responses import ListenerResponse
from ringback.ports import Transport
from ringback.receiver.verification import ReceivedRequest

# The senders' own time-outs.
_LIMITS: Final = Timeouts(connect=5, read=15, total=15)

# Headers about the connection, not the request (RFC 9110, 7.6.1). A chunked body is sent whole.
_OF_THE_CONNECTION: Final = frozenset(
    {
        *("connection", "expect", "keep-alive", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),  # codespell:ignore te
    }
)


@dataclass(frozen=True, slots=True)
class ForwardingResult:
    """The URL to which a request was forwarded, and the application's answer."""

    url: str
    answer: ListenerResponse
    why_not: str | None = None
    """Why the application gave no answer (then `answer` is a 502); None if it answered."""

    @property
    def answered(self) -> int | None:
        """The status of the application's answer; None if it gave none."""
        return self.answer.status if self.why_not is None else None


async def pass_on(
    request: ReceivedRequest, *, to: CallbackUrl, transport: Transport
) -> ForwardingResult:
    """Forward the request, and return the application's answer, or a 502 if there is none."""
    url = forwarded_url(request, to=to)
    outgoing = OutgoingRequest.with_headers(
        request.method, url, forwarded_headers(request), request.body
    )
    exchange = await transport.send(outgoing, limits=_LIMITS)
    if exchange.response is None or isinstance(exchange.outcome, NoAnswerOutcome):
        return ForwardingResult(url.wire, ListenerResponse(502), why_not=describe(exchange.outcome))
    answer = exchange.response
    return ForwardingResult(
        url.wire, ListenerResponse(answer.status, _content_type(answer.headers), answer.body)
    )


def forwarded_url(request: ReceivedRequest, *, to: CallbackUrl) -> CallbackUrl:
    """Return the URL `to` with the request's query, and with its path if `to` has no path.

    The query is always kept, because it contains the parameters of a GET.
    """
    url = replace(to, path=to.path or request.path)
    return url.with_parameters(request.query) if request.query else url


def forwarded_headers(request: ReceivedRequest) -> Headers:
    """Return the headers to forward, in the same order and letter case.

    Host is kept, because the signature may depend on it. Headers about the connection are left out.
    """
    kept = tuple(pair for pair in request.headers if pair[0].lower() not in _OF_THE_CONNECTION)
    if request.body and not request.values("Content-Length"):
        return (*kept, ("Content-Length", str(len(request.body))))
    return kept


def _content_type(headers: Headers) -> Headers:
    return tuple(pair for pair in headers if pair[0].lower() == "content-type")
