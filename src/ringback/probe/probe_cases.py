"""The table of all probe cases: each has a request, an expected answer, and a possible fault."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.policy.source_policy import Source
from ringback.probe.payloads import KINDS, UNUSUAL, ProbeCallbackKind
from ringback.probe.receiver_faults import ReceiverFaultKind

SOURCES: Final = (Source.TWILIO, Source.KORE)
_NAMES: Final[Mapping[Source, str]] = {Source.TWILIO: "Twilio", Source.KORE: "KORE"}


class CaseGroup(StrEnum):
    """A group of cases; the value is the group's title in a report."""

    GENUINE = "Genuine callbacks are accepted"
    FORGED = "Forgeries are refused"
    REPEATED = "A callback that comes again has one effect"
    WHOLE = "All in all"


class _Trial(Enum):
    """Base class of enums: a member is a trial, with a label and the fault that it may reveal."""

    def __init__(self, label: str, fault: ReceiverFaultKind) -> None:
        self.label = label
        self.fault = fault


class Forgery(_Trial):
    """A way to forge a request, and the fault of a receiver that accepts the forgery."""

    WRONG_SECRET = ("wrong-secret", ReceiverFaultKind.ACCEPTS_WRONG_SECRET)
    CHANGED_BODY = ("changed-body", ReceiverFaultKind.ACCEPTS_CHANGED_BODY)
    CHANGED_PATH = ("changed-path", ReceiverFaultKind.ACCEPTS_CHANGED_PATH)
    CHANGED_QUERY = ("changed-query", ReceiverFaultKind.ACCEPTS_CHANGED_QUERY)
    ADDED_QUERY = ("added-query", ReceiverFaultKind.ACCEPTS_CHANGED_QUERY)
    MISSING_SIGNATURE = ("missing-signature", ReceiverFaultKind.ACCEPTS_MISSING_SIGNATURE)
    EMPTY_SIGNATURE = ("empty-signature", ReceiverFaultKind.ACCEPTS_MISSING_SIGNATURE)
    # KORE itself sends the header empty for accounts without a secret. Many receivers skip the
    # check then, so this fault has its own advice.
    EMPTY_KORE_SIGNATURE = ("empty-signature", ReceiverFaultKind.ACCEPTS_EMPTY_KORE_SIGNATURE)
    MALFORMED_SIGNATURE = ("malformed-signature", ReceiverFaultKind.ACCEPTS_MALFORMED_SIGNATURE)
    UPPER_CASE = ("upper-case", ReceiverFaultKind.ACCEPTS_UPPERCASE_HASH)
    HMAC = ("hmac", ReceiverFaultKind.ACCEPTS_HMAC)
    AUTH_TOKEN = ("auth-token", ReceiverFaultKind.ACCEPTS_AUTH_TOKEN_FOR_KORE)
    TWILIO_SIGNATURE = ("twilio-signature", ReceiverFaultKind.ACCEPTS_TWILIO_SIGNATURE_FOR_KORE)
    BOTH_FAMILIES = ("both-families", ReceiverFaultKind.ACCEPTS_BOTH_FAMILIES)
    UNSIGNED = ("unsigned", ReceiverFaultKind.ACCEPTS_UNSIGNED)


class CallbackRepetition(_Trial):
    """A way to repeat a callback, or to send a similar one, and the fault that it may reveal."""

    IN_SERIES = ("repeat-in-series", ReceiverFaultKind.NOT_IDEMPOTENT_IN_SERIES)
    AT_ONCE = ("repeat-at-once", ReceiverFaultKind.NOT_IDEMPOTENT_AT_ONCE)
    AFTER_TIMEOUT = ("repeat-after-timeout", ReceiverFaultKind.NOT_IDEMPOTENT_AFTER_TIMEOUT)
    AFTER_DROP = ("repeat-after-drop", ReceiverFaultKind.NOT_IDEMPOTENT_AFTER_DROP)
    AFTER_RESTART = ("repeat-after-restart", ReceiverFaultKind.FORGETS_ON_RESTART)
    SAME_EVENT = ("same-event", ReceiverFaultKind.DROPS_EQUAL_EVENTS)
    """Two callbacks with the same payload, each with its own token."""
    SWAPPED_ORDER = ("swapped-order", ReceiverFaultKind.REFUSES_SWAPPED_ORDER)
    """Two callbacks about one command; the later callback is sent first."""


@dataclass(frozen=True, slots=True)
class GenuineCase:
    """A case that sends one genuine callback."""

    source: Source
    method: HttpMethod
    payload: ProbeCallbackKind
    adds_query: bool = False
    """True if the probe adds a query to a URL that has none."""


@dataclass(frozen=True, slots=True)
class ForgedCase:
    """A case that sends one forged request, which imitates a request of `source`."""

    source: Source
    method: HttpMethod
    forgery: Forgery


@dataclass(frozen=True, slots=True)
class RepeatedCallbackCase:
    """A case that sends one callback more than once, or two similar callbacks."""

    source: Source
    again: CallbackRepetition


@dataclass(frozen=True, slots=True)
class TokenCollisionCase:
    """A case that sends one callback from each source, with the same idempotency token."""


@dataclass(frozen=True, slots=True)
class ForgeriesHadNoEffect:
    """The case that passes if no forgery of any other case had an effect; sends nothing itself."""


@dataclass(frozen=True, slots=True)
class AnsweredInTime:
    """The case that passes if every answer came in time; it sends nothing itself."""


Plan = (
    GenuineCase
    | ForgedCase
    | RepeatedCallbackCase
    | TokenCollisionCase
    | ForgeriesHadNoEffect
    | AnsweredInTime
)


@dataclass(frozen=True, slots=True)
class ProbeCase:
    """One case of the probe: the requests to send, and the answer and effect to expect."""

    name: str
    """The name of the case, which never changes, because scripts and CI histories use it."""
    group: CaseGroup
    needs: frozenset[Source]
    """The sources whose secrets the case needs."""
    plan: Plan
    sends: str
    expects: str
    fault: ReceiverFaultKind
    """The fault that a wrong answer usually shows; redirects, for example, show another fault."""

    @property
    def method(self) -> HttpMethod | None:
        """The HTTP method that the case tests; None if it can use any."""
        return self.plan.method if isinstance(self.plan, (GenuineCase, ForgedCase)) else None


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

# The forgeries of each source, with the HTTP methods that send them and their words in a report.
_FORGERIES: Final[Mapping[Source, tuple[tuple[Forgery, tuple[HttpMethod, ...], str], ...]]] = {
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

# These forgeries need the secrets of both sources, and use KORE's headers.
_MIXED: Final[Mapping[Forgery, str]] = {
    Forgery.AUTH_TOKEN: "KORE's request signed by KORE's scheme, but with Twilio's Auth Token",
    Forgery.TWILIO_SIGNATURE: "KORE's request with Twilio's signature and Twilio's token in KORE's"
    " headers",
    Forgery.BOTH_FAMILIES: "a request with the headers of both sources and two right signatures",
}

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
}


def _genuine(source: Source) -> Iterator[ProbeCase]:
    for payload in (*KINDS, *UNUSUAL):
        for method in HttpMethod:
            yield ProbeCase(
                f"{source}-{method.lower()}-{payload.label}",
                CaseGroup.GENUINE,
                frozenset({source}),
                GenuineCase(source, method, payload),
                f"{_NAMES[source]}'s callback by {method}: {payload.words}",
                _ACCEPTED,
                _REFUSES.get(payload, ReceiverFaultKind.REFUSES_PAYLOAD),
            )
    for method in HttpMethod:
        yield ProbeCase(
            f"{source}-{method.lower()}-query",
            CaseGroup.GENUINE,
            frozenset({source}),
            GenuineCase(source, method, ProbeCallbackKind.SIM_UPDATE, adds_query=True),
            f"{_NAMES[source]}'s callback by {method}, to the URL with its query, or with an"
            " added one if it has none",
            "a 2xx, unless it accepts callbacks only at its exact URL",
            ReceiverFaultKind.REFUSES_QUERY,
        )


def _test_event() -> ProbeCase:
    return ProbeCase(
        "kore-post-test-event",
        CaseGroup.GENUINE,
        frozenset({Source.KORE}),
        GenuineCase(Source.KORE, HttpMethod.POST, ProbeCallbackKind.TEST_EVENT),
        ProbeCallbackKind.TEST_EVENT.words,
        _ACCEPTED,
        ReceiverFaultKind.REFUSES_TEST_EVENT,
    )


def _forged(source: Source) -> Iterator[ProbeCase]:
    for forgery, methods, what in _FORGERIES[source]:
        for method in methods:
            plan = ForgedCase(source, method, forgery)
            sends = f"{_NAMES[source]}'s request by {method} {what}"
            yield _refused(f"{source}-{method.lower()}-{forgery.label}", {source}, plan, sends)


def _mixed() -> Iterator[ProbeCase]:
    for forgery, what in _MIXED.items():
        plan = ForgedCase(Source.KORE, HttpMethod.POST, forgery)
        yield _refused(f"kore-post-{forgery.label}", SOURCES, plan, what)


def _unsigned() -> Iterator[ProbeCase]:
    for method in HttpMethod:
        plan = ForgedCase(Source.KORE, method, Forgery.UNSIGNED)
        sends = f"a stranger's request by {method}, without the headers of either source"
        yield _refused(f"{method.lower()}-unsigned", (), plan, sends)


def _refused(name: str, needs: Iterable[Source], plan: ForgedCase, sends: str) -> ProbeCase:
    fault = plan.forgery.fault
    return ProbeCase(name, CaseGroup.FORGED, frozenset(needs), plan, sends, _REFUSED, fault)


def _repeated(source: Source) -> Iterator[ProbeCase]:
    for again, (sends, expects) in _REPEATED.items():
        yield ProbeCase(
            f"{source}-{again.label}",
            CaseGroup.REPEATED,
            frozenset({source}),
            RepeatedCallbackCase(source, again),
            sends.format(_NAMES[source]),
            expects,
            again.fault,
        )


_SAME_TOKEN: Final = ProbeCase(
    "same-token-of-both",
    CaseGroup.REPEATED,
    frozenset(SOURCES),
    TokenCollisionCase(),
    "a callback of Twilio's and another of KORE's, with the same token",
    _TWO_EFFECTS,
    ReceiverFaultKind.MIXES_TOKENS,
)

_WHOLE: Final = (
    ProbeCase(
        "forgeries-without-effect",
        CaseGroup.WHOLE,
        frozenset(),
        ForgeriesHadNoEffect(),
        "all forgeries together",
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

CASES: Final = (
    *(case for source in SOURCES for case in _genuine(source)),
    _test_event(),
    *(case for source in SOURCES for case in _forged(source)),
    *_mixed(),
    *_unsigned(),
    *(case for source in SOURCES for case in _repeated(source)),
    _SAME_TOKEN,
    *_WHOLE,
)
"""All cases, in the order of a report."""
