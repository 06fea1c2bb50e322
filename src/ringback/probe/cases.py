"""The table of all cases: what is sent, what is expected, and which fault another answer shows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.policy.source_policy import Source
from ringback.probe.faults import Fault
from ringback.probe.payloads import KINDS, UNUSUAL, Payload

SOURCES: Final = (Source.TWILIO, Source.KORE)
_NAMES: Final[Mapping[Source, str]] = {Source.TWILIO: "Twilio", Source.KORE: "KORE"}


class Group(StrEnum):
    """What a case is about; the value is the title of its part of a report."""

    GENUINE = "Genuine callbacks are accepted"
    FORGED = "Forgeries are refused"
    REPEATED = "A callback that comes again has one effect"
    WHOLE = "All in all"


class Forgery(StrEnum):
    """What is wrong with a request; the value is its name in the names of cases."""

    WRONG_SECRET = "wrong-secret"  # noqa: S105 (a name, and no secret)
    CHANGED_BODY = "changed-body"
    CHANGED_PATH = "changed-path"
    CHANGED_QUERY = "changed-query"
    ADDED_QUERY = "added-query"
    MISSING_SIGNATURE = "missing-signature"
    EMPTY_SIGNATURE = "empty-signature"
    MALFORMED_SIGNATURE = "malformed-signature"
    UPPER_CASE = "upper-case"
    HMAC = "hmac"
    AUTH_TOKEN = "auth-token"  # noqa: S105 (likewise)
    TWILIO_SIGNATURE = "twilio-signature"
    BOTH_FAMILIES = "both-families"
    UNSIGNED = "unsigned"


class Again(StrEnum):
    """How a callback comes again; the value is its name in the names of cases."""

    IN_SERIES = "in-series"
    AT_ONCE = "at-once"
    AFTER_TIMEOUT = "after-timeout"
    AFTER_DROP = "after-drop"
    AFTER_RESTART = "after-restart"


@dataclass(frozen=True, slots=True)
class Good:
    """One genuine callback."""

    source: Source
    method: HttpMethod
    payload: Payload
    adds_query: bool = False
    """Whether a parameter is added to a URL that has no query."""


@dataclass(frozen=True, slots=True)
class Forged:
    """One request that is none of the source's."""

    source: Source
    method: HttpMethod
    forgery: Forgery


@dataclass(frozen=True, slots=True)
class Repeated:
    """One callback, more than once."""

    source: Source
    again: Again


@dataclass(frozen=True, slots=True)
class Swapped:
    """Two callbacks about one command, the later one first."""

    source: Source


@dataclass(frozen=True, slots=True)
class SameToken:
    """Two callbacks, one from each source, that happen to have the same token."""


@dataclass(frozen=True, slots=True)
class SameEvent:
    """Two callbacks that tell the same, each with a token of its own."""

    source: Source


@dataclass(frozen=True, slots=True)
class NoEffect:
    """What the forgeries did, all together."""


@dataclass(frozen=True, slots=True)
class InTime:
    """How long the slowest answer took."""


Plan = Good | Forged | Repeated | Swapped | SameToken | SameEvent | NoEffect | InTime


@dataclass(frozen=True, slots=True)
class Case:
    """One case: its name stays the same."""

    name: str
    group: Group
    needs: frozenset[Source]
    """The sources whose secrets it needs."""
    plan: Plan
    sends: str
    expects: str
    fault: Fault
    """What another answer shows, where it isn't one that shows something else."""

    @property
    def method(self) -> HttpMethod | None:
        """The method that it is about; None where it may come by either."""
        return self.plan.method if isinstance(self.plan, (Good, Forged)) else None


_ACCEPTED: Final = "a 2xx"
_REFUSED: Final = "a 4xx"

_TOLD: Final[Mapping[Payload, tuple[str, Fault]]] = {
    Payload.SIM_UPDATE: ("an update of a SIM", Fault.REFUSES_PAYLOAD),
    Payload.SIM_UPDATE_FAILED: ("a failed update of a SIM", Fault.REFUSES_PAYLOAD),
    Payload.SMS_COMMAND: ("an SMS Command", Fault.REFUSES_PAYLOAD),
    Payload.IP_COMMAND: ("an IP Command", Fault.REFUSES_PAYLOAD),
    Payload.ESIM_PROFILE: ("an eSIM Profile", Fault.REFUSES_PAYLOAD),
    Payload.COMMAND: ("a Command of Programmable Wireless", Fault.REFUSES_PAYLOAD),
    Payload.NON_ASCII: ("names and values that are not ASCII", Fault.REFUSES_NON_ASCII),
    Payload.WHITE_SPACE: ("a value with blanks, a tab and a line break", Fault.REFUSES_WHITE_SPACE),
    Payload.EMPTY_VALUES: ("a parameter without a value", Fault.REFUSES_EMPTY_VALUES),
    Payload.REPEATED_PARAMETERS: (
        "a parameter that comes three times",
        Fault.REFUSES_REPEATED_PARAMETERS,
    ),
    Payload.LONG_VALUES: ("a long value", Fault.REFUSES_LONG_VALUES),
}

_POST, _GET = (HttpMethod.POST,), (HttpMethod.GET,)

# For each forgery of a source: the methods that it is sent by, what it is, and what it shows.
_FORGERIES: Final[
    Mapping[Source, tuple[tuple[Forgery, tuple[HttpMethod, ...], str, Fault], ...]]
] = {
    Source.TWILIO: (
        (
            Forgery.WRONG_SECRET,
            (*HttpMethod,),
            "signed with another Auth Token",
            Fault.ACCEPTS_WRONG_SECRET,
        ),
        (
            Forgery.CHANGED_BODY,
            _POST,
            "whose body was changed after it was signed",
            Fault.ACCEPTS_CHANGED_BODY,
        ),
        (
            Forgery.CHANGED_BODY,
            _GET,
            "whose parameters were changed after it was signed",
            Fault.ACCEPTS_CHANGED_BODY,
        ),
        (
            Forgery.CHANGED_PATH,
            _POST,
            "that was signed for another path",
            Fault.ACCEPTS_CHANGED_PATH,
        ),
        (
            Forgery.CHANGED_QUERY,
            _POST,
            "that was signed for another query",
            Fault.ACCEPTS_CHANGED_QUERY,
        ),
        (
            Forgery.ADDED_QUERY,
            _POST,
            "to whose query a parameter was added after it was signed",
            Fault.ACCEPTS_CHANGED_QUERY,
        ),
        (
            Forgery.MISSING_SIGNATURE,
            (*HttpMethod,),
            "without X-Twilio-Signature",
            Fault.ACCEPTS_MISSING_SIGNATURE,
        ),
        (
            Forgery.EMPTY_SIGNATURE,
            _POST,
            "with an empty X-Twilio-Signature",
            Fault.ACCEPTS_MISSING_SIGNATURE,
        ),
        (
            Forgery.MALFORMED_SIGNATURE,
            _POST,
            "with an X-Twilio-Signature that is no Base64",
            Fault.ACCEPTS_MALFORMED_SIGNATURE,
        ),
    ),
    # KORE signs no query: what was changed there, and with it a GET's parameters, nobody can see.
    Source.KORE: (
        (
            Forgery.WRONG_SECRET,
            (*HttpMethod,),
            "signed with another webhook secret",
            Fault.ACCEPTS_WRONG_SECRET,
        ),
        (
            Forgery.CHANGED_BODY,
            _POST,
            "whose body was changed after it was signed",
            Fault.ACCEPTS_CHANGED_BODY,
        ),
        (
            Forgery.CHANGED_PATH,
            _POST,
            "that was signed for another path",
            Fault.ACCEPTS_CHANGED_PATH,
        ),
        (
            Forgery.MISSING_SIGNATURE,
            (*HttpMethod,),
            "without Kore-Signature",
            Fault.ACCEPTS_MISSING_SIGNATURE,
        ),
        (
            Forgery.EMPTY_SIGNATURE,
            (*HttpMethod,),
            "with an empty Kore-Signature, as of an account without a secret",
            Fault.ACCEPTS_EMPTY_KORE_SIGNATURE,
        ),
        (
            Forgery.MALFORMED_SIGNATURE,
            _POST,
            "with a Kore-Signature that isn't hex",
            Fault.ACCEPTS_MALFORMED_SIGNATURE,
        ),
        (
            Forgery.UPPER_CASE,
            _POST,
            "with the right Kore-Signature in upper case",
            Fault.ACCEPTS_UPPERCASE_HASH,
        ),
        (
            Forgery.HMAC,
            _POST,
            "with an HMAC-SHA256 in place of the SHA-256",
            Fault.ACCEPTS_HMAC,
        ),
    ),
}

# These need the secrets of both; they come in KORE's headers.
_MIXED: Final = (
    (
        Forgery.AUTH_TOKEN,
        "KORE's request signed with Twilio's Auth Token, in KORE's way",
        Fault.ACCEPTS_AUTH_TOKEN_FOR_KORE,
    ),
    (
        Forgery.TWILIO_SIGNATURE,
        "KORE's request with Twilio's signature and Twilio's token in KORE's headers",
        Fault.ACCEPTS_TWILIO_SIGNATURE_FOR_KORE,
    ),
    (
        Forgery.BOTH_FAMILIES,
        "a request with the headers of both sources, each signature right",
        Fault.ACCEPTS_BOTH_FAMILIES,
    ),
)

_AGAIN: Final[Mapping[Again, tuple[str, Fault]]] = {
    Again.IN_SERIES: ("twice, one after the other", Fault.NOT_IDEMPOTENT_IN_SERIES),
    Again.AT_ONCE: ("three times at the same moment", Fault.NOT_IDEMPOTENT_AT_ONCE),
    Again.AFTER_TIMEOUT: (
        "; the sender hangs up before it is answered, and sends it again",
        Fault.NOT_IDEMPOTENT_AFTER_TIMEOUT,
    ),
    Again.AFTER_DROP: (
        "; the connection drops at the answer's first byte, and it is sent again",
        Fault.NOT_IDEMPOTENT_AFTER_DROP,
    ),
    Again.AFTER_RESTART: (
        "; the receiver is restarted, and it is sent again",
        Fault.FORGETS_ON_RESTART,
    ),
}


def _genuine(source: Source) -> Iterator[Case]:
    for payload in (*KINDS, *UNUSUAL):
        what, fault = _TOLD[payload]
        for method in HttpMethod:
            yield Case(
                f"{source}-{method.lower()}-{payload}",
                Group.GENUINE,
                frozenset({source}),
                Good(source, method, payload),
                f"{_NAMES[source]}'s callback by {method}: {what}",
                _ACCEPTED,
                fault,
            )
    for method in HttpMethod:
        yield Case(
            f"{source}-{method.lower()}-query",
            Group.GENUINE,
            frozenset({source}),
            Good(source, method, Payload.SIM_UPDATE, adds_query=True),
            f"{_NAMES[source]}'s callback by {method}, to the URL with a query: its own, or one"
            " that it doesn't have",
            "a 2xx, unless it takes callbacks at the very URL alone",
            Fault.REFUSES_QUERY,
        )


def _test_event() -> Case:
    return Case(
        "kore-post-test-event",
        Group.GENUINE,
        frozenset({Source.KORE}),
        Good(Source.KORE, HttpMethod.POST, Payload.TEST_EVENT),
        "the test event of KORE's portal, in JSON",
        _ACCEPTED,
        Fault.REFUSES_TEST_EVENT,
    )


def _forged(source: Source) -> Iterator[Case]:
    for forgery, methods, what, fault in _FORGERIES[source]:
        for method in methods:
            yield Case(
                f"{source}-{method.lower()}-{forgery}",
                Group.FORGED,
                frozenset({source}),
                Forged(source, method, forgery),
                f"{_NAMES[source]}'s request by {method} {what}",
                _REFUSED,
                fault,
            )


def _mixed() -> Iterator[Case]:
    for forgery, what, fault in _MIXED:
        yield Case(
            f"kore-post-{forgery}",
            Group.FORGED,
            frozenset(SOURCES),
            Forged(Source.KORE, HttpMethod.POST, forgery),
            what,
            _REFUSED,
            fault,
        )


def _unsigned() -> Iterator[Case]:
    for method in HttpMethod:
        yield Case(
            f"{method.lower()}-unsigned",
            Group.FORGED,
            frozenset(),
            Forged(Source.KORE, method, Forgery.UNSIGNED),
            f"a stranger's request by {method}, without any header of a source",
            _REFUSED,
            Fault.ACCEPTS_UNSIGNED,
        )


def _repeated(source: Source) -> Iterator[Case]:
    for again, (how, fault) in _AGAIN.items():
        yield Case(
            f"{source}-repeat-{again}",
            Group.REPEATED,
            frozenset({source}),
            Repeated(source, again),
            f"{_NAMES[source]}'s callback {how}".replace(" ;", ";"),
            "a 2xx in the end, and one effect",
            fault,
        )
    yield Case(
        f"{source}-same-event",
        Group.REPEATED,
        frozenset({source}),
        SameEvent(source),
        f"two of {_NAMES[source]}'s callbacks that tell the same, each with a token of its own",
        "a 2xx for each, and two effects",
        Fault.DROPS_EQUAL_EVENTS,
    )
    yield Case(
        f"{source}-swapped-order",
        Group.REPEATED,
        frozenset({source}),
        Swapped(source),
        f"two of {_NAMES[source]}'s callbacks about one SMS Command, the later one first",
        "a 2xx for each",
        Fault.REFUSES_SWAPPED_ORDER,
    )


_SAME_TOKEN: Final = Case(
    "same-token-of-both",
    Group.REPEATED,
    frozenset(SOURCES),
    SameToken(),
    "a callback of Twilio's and another of KORE's, which have the same token by chance",
    "a 2xx for each, and two effects",
    Fault.MIXES_TOKENS,
)

_WHOLE: Final = (
    Case(
        "forgeries-without-effect",
        Group.WHOLE,
        frozenset(),
        NoEffect(),
        "all forgeries together",
        "no effect",
        Fault.ACTS_ON_FORGERIES,
    ),
    Case(
        "answers-in-time",
        Group.WHOLE,
        frozenset(),
        InTime(),
        "all requests",
        "each answer well before the sender gives up",
        Fault.TOO_SLOW,
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
