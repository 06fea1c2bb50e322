"""The kinds of probe cases: what each sends, and the fault that it may reveal.

`probe_cases` is the table of all cases.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.policy.source_policy import SourceName
from ringback.core.sources.source_definition import CallbackSourceDefinition
from ringback.probe.payloads import ProbeCallbackKind
from ringback.probe.receiver_faults import ReceiverFaultKind


class CaseGroup(StrEnum):
    """A group of cases; the value is the group's title in a report."""

    GENUINE = "Genuine callbacks are accepted"
    FORGED = "Forgeries are refused"
    REPEATED = "A callback that comes again has one effect"
    WHOLE = "All in all"


class ProbeSecret(Enum):
    """A secret that a case signs with, and the sentence about a probe that was not given it."""

    AUTH_TOKEN = "the Auth Token is not given (--auth-token)"  # noqa: S105 (a message)
    WEBHOOK_SECRET = "the webhook secret is not given (--kore-secret)"  # noqa: S105 (likewise)

    @classmethod
    def of(cls, source: CallbackSourceDefinition) -> "ProbeSecret":
        """Return the secret that this source signs with."""
        return cls.AUTH_TOKEN if source.signature.is_by_auth_token else cls.WEBHOOK_SECRET


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
    OLD_TIMESTAMP = ("old-timestamp", ReceiverFaultKind.ACCEPTS_OLD_TIMESTAMP)
    EVENTS_WRONG_SECRET = ("events-wrong-secret", ReceiverFaultKind.ACCEPTS_FORGED_EVENTS)
    EVENTS_CHANGED_BODY = ("events-changed-body", ReceiverFaultKind.ACCEPTS_FORGED_EVENTS)
    EVENTS_MISSING_SIGNATURE = ("events-missing-signature", ReceiverFaultKind.ACCEPTS_FORGED_EVENTS)
    UNSIGNED = ("unsigned", ReceiverFaultKind.ACCEPTS_UNSIGNED)


OF_EVENTS: Final = frozenset(
    {Forgery.EVENTS_WRONG_SECRET, Forgery.EVENTS_CHANGED_BODY, Forgery.EVENTS_MISSING_SIGNATURE}
)
"""The forgeries of Event Streams, which many receivers rightly refuse, signed or not."""
NOT_CERTAIN: Final = frozenset(
    {
        Forgery.CHANGED_QUERY,
        Forgery.ADDED_QUERY,
        Forgery.UPPER_CASE,
        Forgery.BOTH_FAMILIES,
        Forgery.OLD_TIMESTAMP,
    }
)
"""The forgeries whose signature is right but for its form, its URL's query, its age or its company.

A receiver that checks signatures may take them for genuine, for example because a proxy in front of
it drops the query. So their effects don't prove that it acts before it checks.
"""


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
    FORGERY_FIRST = ("forgery-first", ReceiverFaultKind.REMEMBERS_FORGED_TOKENS)
    """A forgery with the token of a genuine callback, which is sent after it."""


class BatchRepetition(_Trial):
    """A way to send the events of a stream, or to send them again, and the fault it may reveal."""

    WHOLE = ("whole-batch", ReceiverFaultKind.LOSES_EVENTS)
    """One batch of 50 events."""
    AGAIN = ("batch-again", ReceiverFaultKind.REPEATS_BATCH)
    """The same batch twice, with the same bytes and the same token."""
    OVERLAP = ("overlap", ReceiverFaultKind.REPEATS_OVERLAP)
    """Two batches, each with its own token, that have an event in common."""


@dataclass(frozen=True, slots=True)
class GenuineCase:
    """A case that sends one genuine callback."""

    source: SourceName
    method: HttpMethod
    payload: ProbeCallbackKind
    adds_query: bool = False
    """True if the probe adds a query to a URL that has none."""
    of_stream: bool = False
    """True if the receiver is one of event streams, which may not refuse them."""


@dataclass(frozen=True, slots=True)
class ForgedCase:
    """A case that sends one forged request, which imitates a request of `source`."""

    source: SourceName
    method: HttpMethod
    forgery: Forgery
    of_stream: bool = False
    """True if it imitates an event stream, False if it imitates a callback with a form."""


@dataclass(frozen=True, slots=True)
class RepeatedCallbackCase:
    """A case that sends one callback more than once, or two similar callbacks."""

    source: SourceName
    again: CallbackRepetition


@dataclass(frozen=True, slots=True)
class TokenCollisionCase:
    """A case that sends one callback from each of two sources, with the same idempotency token."""

    sources: tuple[SourceName, SourceName]


@dataclass(frozen=True, slots=True)
class RepeatedEventsCase:
    """A case that sends batches of an event stream, and counts the effects of their events."""

    source: SourceName
    again: BatchRepetition


@dataclass(frozen=True, slots=True)
class EventOfBothCase:
    """A case that sends the same event from each of two sources."""

    sources: tuple[SourceName, SourceName]


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
    | RepeatedEventsCase
    | EventOfBothCase
    | ForgeriesHadNoEffect
    | AnsweredInTime
)


@dataclass(frozen=True, slots=True)
class ProbeCase:
    """One case of the probe: the requests to send, and the answer and effect to expect."""

    name: str
    """The name of the case, which never changes, because scripts and CI histories use it."""
    group: CaseGroup
    needs: frozenset[ProbeSecret]
    """The secrets that the case signs with."""
    plan: Plan
    sends: str
    expects: str
    fault: ReceiverFaultKind
    """The fault that a wrong answer usually shows; redirects, for example, show another fault."""

    @property
    def method(self) -> HttpMethod | None:
        """The HTTP method that the case tests; None if it can use any."""
        return self.plan.method if isinstance(self.plan, (GenuineCase, ForgedCase)) else None
