"""The verdict on a request: Verified, or Rejected with a Reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Final

from ringback.core.policy.source_policy import SourceName


class Reason(StrEnum):
    """Why a request is not accepted as a genuine callback; each value is its name in lower case."""

    NO_SIGNATURE = auto()
    BOTH_FAMILIES = auto()
    EMPTY_SIGNATURE = auto()
    MALFORMED_SIGNATURE = auto()
    UNKNOWN_ALGORITHM = auto()
    NO_SECRET = auto()
    """The receiver has no secret for this source; the request may well be genuine."""
    WRONG_SECRET = auto()
    OTHER_FAMILYS_SECRET = auto()
    PENDING_SECRET = auto()
    URL_DIFFERS = auto()
    UNKNOWN_URL = auto()
    """The request was sent to none of the receiver's URLs."""
    NO_TARGET = auto()
    """The application didn't pass the request's target, which is needed to verify it."""
    BODY_CHANGED = auto()
    BODY_NOT_SIGNED = auto()
    METHOD_CHANGED = auto()
    UPPER_CASE = auto()
    HMAC = auto()
    STALE = auto()
    """The Date header differs too much from the current time, or is missing or invalid."""
    NO_TOKEN = auto()
    """The request has no idempotency token, but this receiver or its signature needs one."""
    MALFORMED_TOKEN = auto()
    """The idempotency token is longer than 256 characters, or not printable."""
    MALFORMED_FORM = auto()
    """The signature is right, but the form lacks or repeats a name that its kind has, or the like.

    Its names and values may have been split at other places, which Twilio's signature allows.
    """
    UNKNOWN_NAMES = auto()
    """The form has unknown names, or is of no known kind, and this receiver refuses that."""
    NO_REQUEST = auto()
    """An adapter was given something else than an HTTP request: an AWS Lambda event of a queue."""
    NOT_EXPLAINED = auto()

    @property
    def status(self) -> int:
        """The HTTP status to answer with: 4xx for a wrong request, 503 if a retry may succeed."""
        return _STATUSES.get(self, 403)


# 403 if the signature is wrong, 400 if the request does not have the form of a callback. If the
# request may be right and only this receiver's settings are missing something, a 503 makes the
# sender try again.
_STATUSES: Final[Mapping[Reason, int]] = {
    Reason.NO_SIGNATURE: 400,
    Reason.BOTH_FAMILIES: 400,
    Reason.MALFORMED_SIGNATURE: 400,
    Reason.UNKNOWN_ALGORITHM: 400,
    Reason.NO_TARGET: 400,
    Reason.NO_TOKEN: 400,
    Reason.MALFORMED_TOKEN: 400,
    Reason.MALFORMED_FORM: 400,
    Reason.UNKNOWN_NAMES: 400,
    Reason.NO_REQUEST: 400,
    Reason.UNKNOWN_URL: 404,
    Reason.NO_SECRET: 503,
    Reason.PENDING_SECRET: 503,
}


@dataclass(slots=True)  # not frozen, since one is made for every callback: see ReceivedRequest
class Verified:
    """The signature is right: the request comes from this source, with this URL and body."""

    source: SourceName
    token: str | None
    """The idempotency token, which the two built-in sources don't sign; None if it is missing."""
    is_signed: bool = True
    """False for an unsigned KORE callback, accepted because of `accept_unsigned_kore`."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The signature is missing, wrong, or can't be checked."""

    reason: Reason
    explanation: str
    """One sentence for people; it contains no secret, but may quote the request."""
    source: SourceName | None = None
    """The source that the request claims to come from; None if it claims none or several."""
    token: str | None = None
    """The idempotency token in the request; None if it is missing or malformed."""

    @property
    def status(self) -> int:
        """The HTTP status to answer with."""
        return self.reason.status


Verdict = Verified | Rejected
