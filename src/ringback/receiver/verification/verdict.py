"""The verdict on a request: a genuine callback, or rejected for a reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Final

from ringback.core.policy.source_policy import Source


class Reason(StrEnum):
    """Why a request does not count as a genuine callback; a value is its name in lower case."""

    NO_SIGNATURE = auto()
    BOTH_FAMILIES = auto()
    EMPTY_SIGNATURE = auto()
    MALFORMED_SIGNATURE = auto()
    UNKNOWN_ALGORITHM = auto()
    NO_SECRET = auto()
    """The receiver has nothing to check this family with; the request may well be genuine."""
    WRONG_SECRET = auto()
    OTHER_FAMILYS_SECRET = auto()
    PENDING_SECRET = auto()
    URL_DIFFERS = auto()
    UNKNOWN_URL = auto()
    """None of the receiver's URLs leads to this request."""
    NO_TARGET = auto()
    """The application didn't hand over the target, which has to be checked."""
    BODY_CHANGED = auto()
    BODY_NOT_SIGNED = auto()
    METHOD_CHANGED = auto()
    UPPER_CASE = auto()
    HMAC = auto()
    STALE = auto()
    """Its Date is further from now than the receiver allows, or says no time at all."""
    NOT_EXPLAINED = auto()

    @property
    def status(self) -> int:
        """The HTTP status to answer with: whose fault it is, and whether to try again."""
        return _STATUSES.get(self, 403)


# 403 for a signature that is wrong. What is not in the form of a callback is 400; what may be right
# but for this receiver's settings is a 5xx, since a sender may try that again.
_STATUSES: Final[Mapping[Reason, int]] = {
    Reason.NO_SIGNATURE: 400,
    Reason.BOTH_FAMILIES: 400,
    Reason.MALFORMED_SIGNATURE: 400,
    Reason.UNKNOWN_ALGORITHM: 400,
    Reason.NO_TARGET: 400,
    Reason.UNKNOWN_URL: 404,
    Reason.NO_SECRET: 503,
    Reason.PENDING_SECRET: 503,
}


@dataclass(slots=True)  # not frozen, since one is made for every callback: see ReceivedRequest
class Verified:
    """The signature is right: source, URL and body are what the sender sent."""

    source: Source
    token: str | None
    """The idempotency token, which is not signed; None where it has none that can be a key."""
    is_signed: bool = True
    """False for an account without a secret, whose callbacks the receiver was told to take."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The signature is missing, wrong, or can't be checked."""

    reason: Reason
    explanation: str
    """One sentence for a person; it holds no secret, but it may quote the request."""
    source: Source | None = None
    """The source that the request claims; None where it claims none, or both."""
    token: str | None = None

    @property
    def status(self) -> int:
        """The HTTP status to answer with."""
        return self.reason.status


Verdict = Verified | Rejected
