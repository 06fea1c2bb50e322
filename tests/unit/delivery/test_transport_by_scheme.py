"""Which transport a request goes by, and that the one for Kinesis is made only if it is needed."""

from dataclasses import replace

from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.http.outcome import DeliveredOutcome
from ringback.core.streams.kinesis_stream import url_of_stream
from ringback.delivery.transport_by_scheme import TransportByScheme
from tests.fakes import RecordingTransport
from tests.sending import LIMITS, post
from tests.streams import ARN

OVER_HTTP = post("https://a.example/")
RECORD = replace(OVER_HTTP, url=url_of_stream(ARN))


class WithIdleConnections(RecordingTransport):
    """A transport that can always send at once."""

    def __init__(self) -> None:
        super().__init__()
        self.tried = list[OutgoingRequest]()
        self.is_broken_off = self.is_closed = False

    def try_send(self, request: OutgoingRequest, **_: object) -> bool:
        self.tried.append(request)
        return True

    def break_off(self) -> None:
        self.is_broken_off = True

    async def close(self) -> None:
        self.is_closed = True


def never() -> WithIdleConnections:
    raise AssertionError("it was not needed")


async def test_all_but_records_goes_over_http() -> None:
    http = WithIdleConnections()
    transport = TransportByScheme(http, never)
    assert transport.try_send(OVER_HTTP, limits=LIMITS, ended=lambda _: None)
    steps = list[str]()
    result = await transport.send(
        OVER_HTTP, limits=LIMITS, turn=3, fresh=True, leaving=lambda: steps.append("left")
    )
    transport.break_off()
    await transport.close()
    assert result == AttemptResult(DeliveredOutcome(200))
    assert http.tried == http.requests == [OVER_HTTP]
    assert (http.turns, http.fresh, steps) == ([3], [True], ["left"])
    assert http.is_broken_off
    assert not http.is_closed


async def test_records_go_by_a_transport_that_is_made_once() -> None:
    http, made = WithIdleConnections(), list[WithIdleConnections]()

    def make() -> WithIdleConnections:
        made.append(WithIdleConnections())
        return made[-1]

    transport = TransportByScheme(http, make)
    assert not transport.try_send(RECORD, limits=LIMITS, ended=lambda _: None)
    for _ in range(2):
        await transport.send(RECORD, limits=LIMITS)
    await transport.close()
    (kinesis,) = made
    assert kinesis.requests == [RECORD] * 2
    assert kinesis.is_closed
    assert http.tried == http.requests == []
