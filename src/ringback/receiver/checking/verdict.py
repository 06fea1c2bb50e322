"""What a receiver makes of a request: a genuine callback, or one that it refuses and why."""

from dataclasses import dataclass
from enum import StrEnum, auto

from ringback.core.source import Source


class Reason(StrEnum):
    """Why a request does not count as a genuine callback; a value is its name in lower case."""

    NO_SIGNATURE = auto()
    BOTH_FAMILIES = auto()
    EMPTY_SIGNATURE = auto()
    MALFORMED_SIGNATURE = auto()
    NO_SECRET = auto()
    """The receiver has nothing to check this family with; the request may well be genuine."""
    WRONG_SECRET = auto()
    OTHER_FAMILYS_SECRET = auto()
    URL_DIFFERS = auto()
    BODY_CHANGED = auto()
    METHOD_CHANGED = auto()
    UPPER_CASE = auto()
    HMAC = auto()
    NOT_EXPLAINED = auto()


@dataclass(frozen=True, slots=True)
class Genuine:
    """The signature is right: source, URL and body are what the sender sent."""

    source: Source
    token: str | None
    """The idempotency token, which is not signed; None where there is none of the right form."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The signature is missing, wrong, or can't be checked."""

    reason: Reason
    explanation: str
    """One sentence for a person; it holds no secret, but it may quote the request."""
    source: Source | None = None
    """What the request claims to come from; None where it claims nothing, or two things."""
    token: str | None = None


Verdict = Genuine | Rejected
