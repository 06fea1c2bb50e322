"""The table of the probe's cases for a receiver of event streams, of Twilio or KORE."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.sources.source_definition import BUILT_IN
from ringback.probe.case_kinds import (
    AnsweredInTime,
    BatchRepetition,
    CaseGroup,
    EventOfBothCase,
    ForgedCase,
    ForgeriesHadNoEffect,
    Forgery,
    GenuineCase,
    ProbeCase,
    ProbeSecret,
    RepeatedEventsCase,
)
from ringback.probe.payloads import STREAM_KINDS, ProbeCallbackKind
from ringback.probe.receiver_faults import ReceiverFaultKind

STREAM_DEADLINE: Final = 5.0
"""The seconds after which both senders of streams give up (twilio.com/docs/events/
webhook-quickstart, docs.korewireless.com/en-us/developers/event-streams)."""
_NAMES: Final[Mapping[SourceName, str]] = {Source.TWILIO: "Twilio", Source.KORE: "KORE"}
_REFUSES: Final[Mapping[ProbeCallbackKind, ReceiverFaultKind]] = {
    ProbeCallbackKind.CONNECTION_EVENT: ReceiverFaultKind.REFUSES_EVENTS,
    ProbeCallbackKind.TEST_EVENT: ReceiverFaultKind.REFUSES_STREAM_TEST_EVENT,
    ProbeCallbackKind.BATCH: ReceiverFaultKind.REFUSES_BATCH,
    ProbeCallbackKind.NULL_LOCATION: ReceiverFaultKind.REFUSES_NULL_LOCATION,
    ProbeCallbackKind.NON_ASCII_NAME: ReceiverFaultKind.REFUSES_NON_ASCII,
}
"""For each kind of request, the fault of a receiver that refuses it."""
_TEST: Final = "a bare test event, without event_sid and SIM"
_OF_BOTH: Final = (
    (Forgery.WRONG_SECRET, "signed with another secret"),
    (Forgery.CHANGED_BODY, "whose body was changed after it was signed"),
    (Forgery.CHANGED_PATH, "that was signed for another path"),
    (Forgery.MISSING_SIGNATURE, "without its signature"),
    (Forgery.MALFORMED_SIGNATURE, "with a malformed signature"),
)
_FORGERIES: Final[Mapping[SourceName, tuple[tuple[Forgery, str], ...]]] = {
    Source.TWILIO: (
        *_OF_BOTH,
        (Forgery.CHANGED_QUERY, "that was signed for another query"),
        (Forgery.EMPTY_SIGNATURE, "with an empty signature"),
    ),
    Source.KORE: (
        *_OF_BOTH,
        (Forgery.EMPTY_KORE_SIGNATURE, "with an empty signature"),
        (Forgery.UPPER_CASE, "with the right signature in upper case"),
        (Forgery.HMAC, "with an HMAC-SHA256 instead of the SHA-256"),
    ),
}
_MIXED: Final[Mapping[Forgery, str]] = {
    Forgery.AUTH_TOKEN: "KORE's batch signed by KORE's scheme, but with Twilio's Auth Token",
    Forgery.TWILIO_SIGNATURE: "KORE's batch with Twilio's signature and token in KORE's headers",
    Forgery.BOTH_FAMILIES: "a batch with the headers of both sources and two right signatures",
}
_REPEATED: Final[Mapping[BatchRepetition, tuple[str, str]]] = {
    BatchRepetition.WHOLE: ("a batch of 50 events", "a 2xx, and 50 effects"),
    BatchRepetition.AGAIN: (
        "a batch of three events twice, with the same bytes and token",
        "a 2xx for each, and three effects",
    ),
    BatchRepetition.OVERLAP: (
        "two batches of two events that have one in common, each with its own token",
        "a 2xx for each, and three effects",
    ),
}


def _genuine(source: SourceName) -> Iterator[ProbeCase]:
    for kind in STREAM_KINDS:
        words = _TEST if kind is ProbeCallbackKind.TEST_EVENT else kind.words
        yield ProbeCase(
            f"{source}-stream-{kind.label}",
            CaseGroup.GENUINE,
            _needs(source),
            GenuineCase(source, HttpMethod.POST, kind, of_stream=True),
            f"{_NAMES[source]}'s stream by POST: {words}",
            "a 2xx",
            _REFUSES[kind],
        )


def _forged(source: SourceName) -> Iterator[ProbeCase]:
    for forgery, what in _FORGERIES[source]:
        yield _refused(
            f"{source}-stream-{forgery.label}",
            _needs(source),
            ForgedCase(source, HttpMethod.POST, forgery, of_stream=True),
            f"{_NAMES[source]}'s stream: a batch {what}",
        )


def _mixed() -> Iterator[ProbeCase]:
    for forgery, what in _MIXED.items():
        plan = ForgedCase(Source.KORE, HttpMethod.POST, forgery, of_stream=True)
        yield _refused(f"kore-stream-{forgery.label}", frozenset(ProbeSecret), plan, what)


def _unsigned(source: SourceName) -> ProbeCase:
    plan = ForgedCase(source, HttpMethod.POST, Forgery.UNSIGNED, of_stream=True)
    sends = "a stranger's batch, without the headers of any source"
    return _refused("stream-unsigned", frozenset(), plan, sends)


def _refused(name: str, needs: frozenset[ProbeSecret], plan: ForgedCase, sends: str) -> ProbeCase:
    fault = plan.forgery.fault
    if plan.forgery is Forgery.CHANGED_BODY:
        is_hashed = plan.source == Source.TWILIO
        fault = (
            ReceiverFaultKind.IGNORES_BODY_HASH
            if is_hashed
            else ReceiverFaultKind.ACCEPTS_FORGED_EVENTS
        )
    return ProbeCase(name, CaseGroup.FORGED, needs, plan, sends, "a 4xx", fault)


def _repeated(source: SourceName) -> Iterator[ProbeCase]:
    for again, (what, expects) in _REPEATED.items():
        yield ProbeCase(
            f"{source}-stream-{again.label}",
            CaseGroup.REPEATED,
            _needs(source),
            RepeatedEventsCase(source, again),
            f"{_NAMES[source]}'s stream: {what}",
            expects,
            again.fault,
        )


_EVENT_OF_BOTH: Final = ProbeCase(
    "stream-event-of-both",
    CaseGroup.REPEATED,
    frozenset(ProbeSecret),
    EventOfBothCase((Source.TWILIO, Source.KORE)),
    "the same event from Twilio and from KORE",
    "a 2xx for each, and one effect",
    ReceiverFaultKind.REPEATS_EVENT_OF_BOTH,
)
_WHOLE: Final = (
    ProbeCase(
        "stream-forgeries-without-effect",
        CaseGroup.WHOLE,
        frozenset(),
        ForgeriesHadNoEffect(),
        "all forgeries together that no right check accepts",
        "no effect",
        ReceiverFaultKind.ACTS_ON_FORGERIES,
    ),
    ProbeCase(
        "stream-answers-in-time",
        CaseGroup.WHOLE,
        frozenset(),
        AnsweredInTime(),
        "all requests",
        f"each answer within {STREAM_DEADLINE:g} s, after which the senders of streams give up",
        ReceiverFaultKind.TOO_SLOW_FOR_STREAMS,
    ),
)


def _needs(source: SourceName) -> frozenset[ProbeSecret]:
    return frozenset({ProbeSecret.of(BUILT_IN[source])})


def stream_cases_of(names: Sequence[SourceName]) -> tuple[ProbeCase, ...]:
    """Return the cases for a receiver of the streams of these sources, in the order of a report.

    At least one of the two built-in sources is needed; no others send streams.
    """
    return (
        *(case for name in names for case in _genuine(name)),
        *(case for name in names for case in _forged(name)),
        *(_mixed() if {*Source} <= {*names} else ()),
        _unsigned(names[-1]),
        *(case for name in names for case in _repeated(name)),
        *((_EVENT_OF_BOTH,) if {*Source} <= {*names} else ()),
        *_WHOLE,
    )


STREAM_CASES: Final = stream_cases_of((Source.TWILIO, Source.KORE))
"""All cases for a receiver of both streams, in the order of a report."""
