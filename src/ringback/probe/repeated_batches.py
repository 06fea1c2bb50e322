"""Makes the batches of an event stream that come again, with the number of new events in each."""

from collections.abc import Sequence

from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.policy.source_policy import SourceName
from ringback.probe.case_kinds import BatchRepetition
from ringback.probe.payloads import MOST_EVENTS
from ringback.probe.request_factory import ProbeRequestFactory

CountedBatch = tuple[OutgoingRequest, int]
"""The request of a batch, and the number of its events that have not come before."""


def batches(
    make: ProbeRequestFactory, source: SourceName, again: BatchRepetition
) -> list[CountedBatch]:
    """Return the batches of a source to send in turn."""
    at = make.now()

    def batch(*marks: str) -> OutgoingRequest:
        return make.rendered(make.batch(source, marks, at=at))

    match again:
        case BatchRepetition.WHOLE:
            return [(batch(*(make.mark() for _ in range(MOST_EVENTS))), MOST_EVENTS)]
        case BatchRepetition.AGAIN:
            request = batch(make.mark(), make.mark(), make.mark())
            return [(request, 3), (request, 0)]
        case BatchRepetition.OVERLAP:
            first, common, last = make.mark(), make.mark(), make.mark()
            return [(batch(first, common), 2), (batch(last, common), 1)]


def same_event(make: ProbeRequestFactory, sources: Sequence[SourceName]) -> list[CountedBatch]:
    """Return a batch with the same event from each of these sources."""
    mark, at = make.mark(), make.now()
    requests = [make.rendered(make.batch(source, [mark], at=at)) for source in sources]
    return [(request, 0 if number else 1) for number, request in enumerate(requests)]
