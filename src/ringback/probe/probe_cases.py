"""The table of all probe cases: each has a request, an expected answer, and a possible fault."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.sources.source_definition import BUILT_IN, CallbackSourceDefinition, Sources
from ringback.probe.case_kinds import (
    AnsweredInTime,
    CallbackRepetition,
    CaseGroup,
    ForgedCase,
    ForgeriesHadNoEffect,
    Forgery,
    GenuineCase,
    ProbeCase,
    ProbeSecret,
    RepeatedCallbackCase,
    TokenCollisionCase,
)
from ringback.probe.payloads import KINDS, UNUSUAL, ProbeCallbackKind
from ringback.probe.receiver_faults import ReceiverFaultKind

_NAMES: Final[Mapping[SourceName, str]] = {Source.TWILIO: "Twilio", Source.KORE: "KORE"}
"""The senders of the built-in sources; the sender of another source has the source's name."""
_ACCEPTED: Final = "a 2xx"
_REFUSED: Final = "a 4xx"

_REFUSES: Final[Mapping[ProbeCallbackKind, ReceiverFaultKind]] = {
    ProbeCallbackKind.NON_ASCII: ReceiverFaultKind.REFUSES_NON_ASCII,
    ProbeCallbackKind.WHITE_SPACE: ReceiverFaultKind.REFUSES_WHITE_SPACE,
    ProbeCallbackKind.EMPTY_VALUES: ReceiverFaultKind.REFUSES_EMPTY_VALUES,
    ProbeCallbackKind.REPEATED_PARAMETERS: ReceiverFaultKind.REFUSES_REPEATED_PARAMETERS,
    ProbeCallbackKind.LONG_VALUES: ReceiverFaultKind.REFUSES_LONG_VALUES,
}
"""For each of these payloads, the fault of a receiver that refuses the payload."""

_POST, _GET, _BOTH = (HttpMethod.POST,), (HttpMethod.GET,), (*HttpMethod,)

_ForgeryRow = tuple[Forgery, tuple[HttpMethod, ...], str]
"""A forgery, the methods that send it, and its words in a report."""

# The forgeries of each built-in source.
_FORGERIES: Final[Mapping[SourceName, tuple[_ForgeryRow, ...]]] = {
    Source.TWILIO: (
        (Forgery.WRONG_SECRET, _BOTH, "signed with another Auth Token"),
        (Forgery.CHANGED_BODY, _POST, "whose body was changed after it was signed"),
        (Forgery.CHANGED_BODY, _GET, "whose parameters were changed after it was signed"),
        (Forgery.CHANGED_PATH, _POST, "that was signed for another path"),
        (Forgery.CHANGED_QUERY, _POST, "that was signed for another query"),
        (Forgery.ADDED_QUERY, _POST, "whose query got one more parameter after it was signed"),
        (Forgery.MISSING_SIGNATURE, _BOTH, "without X-Twilio-Signature"),
        (Forgery.EMPTY_SIGNATURE, _POST, "with an empty X-Twilio-Signature"),
        (Forgery.MALFORMED_SIGNATURE, _POST, "with an X-Twilio-Signature that isn't Base64"),
    ),
    # KORE doesn't sign the query, so receivers can't notice a changed query or parameter of a GET.
    Source.KORE: (
        (Forgery.WRONG_SECRET, _BOTH, "signed with another webhook secret"),
        (Forgery.CHANGED_BODY, _POST, "whose body was changed after it was signed"),
        (Forgery.CHANGED_PATH, _POST, "that was signed for another path"),
        (Forgery.MISSING_SIGNATURE, _BOTH, "without Kore-Signature"),
        (
            Forgery.EMPTY_KORE_SIGNATURE,
            _BOTH,
            "with an empty Kore-Signature, like that of an account without a secret",
        ),
        (Forgery.MALFORMED_SIGNATURE, _POST, "with a Kore-Signature that isn't hex"),
        (Forgery.UPPER_CASE, _POST, "with the right Kore-Signature in upper case"),
        (Forgery.HMAC, _POST, "with an HMAC-SHA256 instead of the SHA-256"),
    ),
}
_OF_EVENTS: Final[tuple[_ForgeryRow, ...]] = (
    (Forgery.EVENTS_WRONG_SECRET, _POST, "with Event Streams (JSON), signed with another secret"),
    (Forgery.EVENTS_CHANGED_BODY, _POST, "with Event Streams (JSON), changed after it was signed"),
    (Forgery.EVENTS_MISSING_SIGNATURE, _POST, "with Event Streams (JSON), without a signature"),
)

# These forgeries need the secrets of both built-in sources, and use KORE's headers.
_MIXED: Final[Mapping[Forgery, str]] = {
    Forgery.AUTH_TOKEN: "KORE's request signed by KORE's scheme, but with Twilio's Auth Token",
    Forgery.TWILIO_SIGNATURE: "KORE's request with Twilio's signature and Twilio's token in KORE's"
    " headers",
    Forgery.BOTH_FAMILIES: "a request with the headers of both sources and two right signatures",
}


def _forgeries_of(source: SourceName, definition: CallbackSourceDefinition) -> list[_ForgeryRow]:
    """Return the forgeries of a source; those of a source of the settings follow its scheme."""
    if source in _FORGERIES:
        return [*_FORGERIES[source], *_OF_EVENTS]
    scheme = definition.signature
    rows: list[tuple[bool, _ForgeryRow]] = [
        (True, (Forgery.WRONG_SECRET, _BOTH, "signed with another secret")),
        (True, (Forgery.CHANGED_BODY, _POST, "whose body was changed after it was signed")),
        (scheme.covers_url, (Forgery.CHANGED_PATH, _POST, "that was signed for another path")),
        (scheme.covers_query, (Forgery.CHANGED_QUERY, _POST, "that was signed for another query")),
        (scheme.covers_time, (Forgery.OLD_TIMESTAMP, _POST, "that was signed an hour ago")),
        (True, (Forgery.MISSING_SIGNATURE, _BOTH, "without its signature")),
        (True, (Forgery.EMPTY_SIGNATURE, _POST, "with an empty signature")),
        (True, (Forgery.MALFORMED_SIGNATURE, _POST, "with a malformed signature")),
    ]
    return [row for applies, row in rows if applies]


_ONE_EFFECT, _TWO_EFFECTS = "a 2xx in the end, and one effect", "a 2xx for each, and two effects"

# The words for each repetition in a report, and for the expected answer and effect.
_REPEATED: Final[Mapping[CallbackRepetition, tuple[str, str]]] = {
    CallbackRepetition.IN_SERIES: ("{}'s callback twice, one after the other", _ONE_EFFECT),
    CallbackRepetition.AT_ONCE: ("{}'s callback three times at the same time", _ONE_EFFECT),
    CallbackRepetition.AFTER_TIMEOUT: (
        "{}'s callback; the sender hangs up before the answer, and sends it again",
        _ONE_EFFECT,
    ),
    CallbackRepetition.AFTER_DROP: (
        "{}'s callback; the connection drops at the answer's first byte; it is sent again",
        _ONE_EFFECT,
    ),
    CallbackRepetition.AFTER_RESTART: (
        "{}'s callback; the receiver is restarted, and the callback is sent again",
        _ONE_EFFECT,
    ),
    CallbackRepetition.SAME_EVENT: (
        "two of {}'s callbacks with the same payload but different tokens",
        _TWO_EFFECTS,
    ),
    CallbackRepetition.SWAPPED_ORDER: (
        "two of {}'s callbacks about one SMS Command, the later one first",
        "a 2xx for each",
    ),
    CallbackRepetition.FORGERY_FIRST: (
        "a forgery of {}'s callback with its token; then the genuine callback",
        "a 4xx, then a 2xx, and one effect of the genuine callback",
    ),
}


class _CasesOfSource:
    """Makes the cases of one source."""

    def __init__(self, source: SourceName, definition: CallbackSourceDefinition) -> None:
        self._source = source
        self._definition = definition
        self._needs = frozenset({ProbeSecret.of(definition)})
        self._sender = _NAMES.get(source, source)

    def genuine(self) -> Iterator[ProbeCase]:
        """Yield the cases with genuine callbacks; Event Streams come from built-in sources only."""
        sender = self._sender
        for kind in (*KINDS, *UNUSUAL):
            for method in HttpMethod:
                plan = GenuineCase(self._source, method, kind)
                fault = _REFUSES.get(kind, ReceiverFaultKind.REFUSES_PAYLOAD)
                sends = f"{sender}'s callback by {method}: {kind.words}"
                yield self._accepted(kind.label, plan, sends, fault)
        for method in HttpMethod:
            yield self._accepted(
                "query",
                GenuineCase(self._source, method, ProbeCallbackKind.SIM_UPDATE, adds_query=True),
                f"{sender}'s callback by {method}, to the URL with its query, or with an added one"
                " if it has none",
                ReceiverFaultKind.REFUSES_QUERY,
                "a 2xx, unless it accepts callbacks only at its exact URL",
            )
        if self._source in _FORGERIES:
            yield self._accepted(
                ProbeCallbackKind.EVENTS.label,
                GenuineCase(self._source, HttpMethod.POST, ProbeCallbackKind.EVENTS),
                f"{sender}'s request with {ProbeCallbackKind.EVENTS.words}",
                ReceiverFaultKind.REFUSES_EVENTS,
                "a 2xx, unless it takes no Event Streams at this URL",
            )
        if self._source == Source.KORE:
            yield self._accepted(
                ProbeCallbackKind.TEST_EVENT.label,
                GenuineCase(self._source, HttpMethod.POST, ProbeCallbackKind.TEST_EVENT),
                ProbeCallbackKind.TEST_EVENT.words,
                ReceiverFaultKind.REFUSES_TEST_EVENT,
            )

    def _accepted(
        self,
        label: str,
        plan: GenuineCase,
        sends: str,
        fault: ReceiverFaultKind,
        expects: str = _ACCEPTED,
    ) -> ProbeCase:
        name = f"{self._source}-{plan.method.lower()}-{label}"
        return ProbeCase(name, CaseGroup.GENUINE, self._needs, plan, sends, expects, fault)

    def forged(self) -> Iterator[ProbeCase]:
        """Yield the cases with forgeries of this source's requests."""
        for forgery, methods, what in _forgeries_of(self._source, self._definition):
            for method in methods:
                yield _refused(
                    f"{self._source}-{method.lower()}-{forgery.label}",
                    self._needs,
                    ForgedCase(self._source, method, forgery),
                    f"{self._sender}'s request by {method} {what}",
                )

    def repeated(self) -> Iterator[ProbeCase]:
        """Yield the cases with repeated callbacks."""
        for again, (sends, expects) in _REPEATED.items():
            yield ProbeCase(
                f"{self._source}-{again.label}",
                CaseGroup.REPEATED,
                self._needs,
                RepeatedCallbackCase(self._source, again),
                sends.format(self._sender),
                expects,
                again.fault,
            )


def _refused(name: str, needs: Iterable[ProbeSecret], plan: ForgedCase, sends: str) -> ProbeCase:
    fault = plan.forgery.fault
    return ProbeCase(name, CaseGroup.FORGED, frozenset(needs), plan, sends, _REFUSED, fault)


def _mixed() -> Iterator[ProbeCase]:
    for forgery, what in _MIXED.items():
        plan = ForgedCase(Source.KORE, HttpMethod.POST, forgery)
        yield _refused(f"kore-post-{forgery.label}", ProbeSecret, plan, what)


def _unsigned(source: SourceName) -> Iterator[ProbeCase]:
    for method in HttpMethod:
        plan = ForgedCase(source, method, Forgery.UNSIGNED)
        sends = f"a stranger's request by {method}, without the headers of any source"
        yield _refused(f"{method.lower()}-unsigned", (), plan, sends)


def _same_token(one: SourceName, other: SourceName, sources: Sources) -> ProbeCase:
    first, second = (_NAMES.get(name, name) for name in (one, other))
    return ProbeCase(
        "same-token-of-both",
        CaseGroup.REPEATED,
        frozenset({ProbeSecret.of(sources[one]), ProbeSecret.of(sources[other])}),
        TokenCollisionCase((one, other)),
        f"a callback of {first}'s and another of {second}'s, with the same token",
        _TWO_EFFECTS,
        ReceiverFaultKind.MIXES_TOKENS,
    )


_WHOLE: Final = (
    ProbeCase(
        "forgeries-without-effect",
        CaseGroup.WHOLE,
        frozenset(),
        ForgeriesHadNoEffect(),
        "all forgeries together that no right check accepts",
        "no effect",
        ReceiverFaultKind.ACTS_ON_FORGERIES,
    ),
    ProbeCase(
        "answers-in-time",
        CaseGroup.WHOLE,
        frozenset(),
        AnsweredInTime(),
        "all requests",
        "each answer well before the sender's time-out",
        ReceiverFaultKind.TOO_SLOW,
    ),
)


def cases_of(names: Sequence[SourceName], sources: Sources = BUILT_IN) -> tuple[ProbeCase, ...]:
    """Return all cases for these sources, at least one, in the order of a report.

    Each of the names must be one of `sources`.
    """
    each = [_CasesOfSource(name, sources[name]) for name in names]
    return (
        *(case for source in each for case in source.genuine()),
        *(case for source in each for case in source.forged()),
        *(_mixed() if {*Source} <= {*names} else ()),
        *_unsigned(names[-1]),
        *(case for source in each for case in source.repeated()),
        *(_same_token(*pair, sources) for pair in [*combinations(names, 2)][:1]),
        *_WHOLE,
    )


CASES: Final = cases_of((Source.TWILIO, Source.KORE))
"""All cases for the built-in sources, in the order of a report."""
