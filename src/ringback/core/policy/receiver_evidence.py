"""Whether a receiver is ready for another source: from the last check of it, or from deliveries."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from ringback.core.counted import counted
from ringback.core.policy.source_policy import SourceName
from ringback.core.policy.urls_in_use import UrlDeliveryTotals

_UNREACHED: Final = frozenset({"breaks-off", "does-not-answer"})
"""The names of faults that say nothing of a source: no request got an answer."""


@dataclass(frozen=True, slots=True)
class ReceiverCheck:
    """The result of a quick check of a receiver: whether it is ready for a source."""

    account_sid: str
    url: str
    """The URL without its fragment and its credentials."""
    source: SourceName
    date: datetime
    fault: str | None = None
    """The name of the fault that was found, as the probe calls it; None if it is ready."""
    words: str = ""
    """What the receiver did, as a sentence; empty if it is ready."""


class ReceiverVerdict(StrEnum):
    """What is known of a receiver, for a source."""

    READY = "ready"
    FAULT = "fault"
    UNKNOWN = "unknown"


class ReceiverEvidence(StrEnum):
    """What a verdict follows from."""

    CHECK = "check"
    """The last quick check for this source."""
    DELIVERIES = "deliveries"
    """The recent callbacks from this source to the URL, whatever their fragment asked for."""
    NONE = "none"


class ReceiverFinding(NamedTuple):
    """A verdict about a receiver, for a source."""

    verdict: ReceiverVerdict
    words: str
    evidence: ReceiverEvidence = ReceiverEvidence.NONE
    date: datetime | None = None
    """When the check was made, or the last of the callbacks was created."""
    fault: str | None = None
    """The name of the fault that a check has found."""


def judge_receiver(
    source: SourceName, check: ReceiverCheck | None, sent: UrlDeliveryTotals | None
) -> ReceiverFinding:
    """Return whether a receiver is ready for a source, by the newest evidence.

    `check` is the last check for this source, and `sent` what this source has sent to the URL.
    A check that got no answer doesn't count if a callback has been delivered.

    >>> judge_receiver("kore", None, None).words
    'neither a check nor a callback from kore shows it'
    """
    tried = 0 if sent is None else sent.delivered + sent.undelivered + sent.retried
    if check is not None and not _is_outdated(check, sent if tried else None):
        return _of_check(check)
    if sent is not None and tried:
        return _of_deliveries(source, sent, tried)
    return ReceiverFinding(
        ReceiverVerdict.UNKNOWN, f"neither a check nor a callback from {source} shows it"
    )


def _is_outdated(check: ReceiverCheck, sent: UrlDeliveryTotals | None) -> bool:
    if sent is None:
        return False
    if check.fault in _UNREACHED and sent.delivered:
        return True
    return sent.last is not None and sent.last > check.date


def _of_check(check: ReceiverCheck) -> ReceiverFinding:
    about = ReceiverEvidence.CHECK, check.date, check.fault
    if check.fault is None:
        return ReceiverFinding(ReceiverVerdict.READY, f"it is ready for {check.source}", *about)
    is_reached = check.fault not in _UNREACHED
    verdict = ReceiverVerdict.FAULT if is_reached else ReceiverVerdict.UNKNOWN
    return ReceiverFinding(verdict, check.words, *about)


def _of_deliveries(source: SourceName, sent: UrlDeliveryTotals, tried: int) -> ReceiverFinding:
    # A receiver that refuses a source refuses all; others fail now and then.
    is_ready = 2 * sent.delivered > tried
    number = sent.delivered if is_ready else tried - sent.delivered
    what = "delivered" if is_ready else "not delivered"
    verdict = ReceiverVerdict.READY if is_ready else ReceiverVerdict.FAULT
    words = f"{number} of {counted(tried, 'callback')} from {source} {what}"
    return ReceiverFinding(verdict, words, ReceiverEvidence.DELIVERIES, sent.last)
