"""Sessions of the console: what a browser that has signed in sends with each request, and checks.

The browser has a random token; the store has only its hash. The store's *proof* shows whether the
credential that signed in is still the same: it is made of the token and of the credential's secret,
so that secrets cannot be tried out with a copy of the store.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

TOKEN_BYTES: Final = 32
"""The number of random bytes in the token of a session or of a link."""
LONGEST_UNUSED: Final = timedelta(hours=12)
"""A session ends when it has not been used for this long."""
LONGEST_SESSION: Final = timedelta(days=7)
"""A session ends this long after the sign-in, however much it is used."""
MOST_SESSIONS: Final = 50
"""The number of sessions that one credential can have; another sign-in ends the oldest."""


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """A session of the console: from a sign-in until it is ended, or ends by itself."""

    sid: str
    token_hash: str = field(repr=False)
    """The hash of the browser's token."""
    credential: str
    """The SID of the API key that signed in, or of the account whose Auth Token did."""
    proof: str = field(repr=False)
    """Shows that the credential has not changed since; see `proof_of`."""
    address: str | None
    """The IP address that the sign-in came from; None if it is unknown."""
    date_created: datetime
    date_last_used: datetime
    """When the session was used last, to the minute."""

    @property
    def ends(self) -> datetime:
        """When the session ends, unless it is used again or ended before."""
        last = self.date_created + LONGEST_SESSION
        return min(self.date_last_used + LONGEST_UNUSED, last)

    def why_ended(self, now: datetime) -> str | None:
        """Return why the session has ended by itself, in words; None if it has not."""
        if now >= self.date_created + LONGEST_SESSION:
            return f"it began {LONGEST_SESSION.days} days ago"
        if now >= self.ends:
            return f"it was not used for {LONGEST_UNUSED // timedelta(hours=1)} hours"
        return None

    def is_proven_by(self, token: str, secret_hashes: Iterable[str]) -> bool:
        """Return True if one of a credential's secrets, given by their hashes, has signed in."""
        proofs = [proof_of(token, each) for each in secret_hashes]
        return any([hmac.compare_digest(self.proof, each) for each in proofs])  # noqa: C419 (compares all)


def make_token(random_bytes: bytes) -> str:
    """Return a token that can be a part of a URL or a cookie.

    >>> make_token(bytes(range(32)))
    'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8'
    """
    return base64.urlsafe_b64encode(random_bytes).decode().rstrip("=")


def proof_of(token: str, secret_hash: str) -> str:
    """Return the proof that a credential whose secret has this hash began the session."""
    return hmac.new(token.encode(), secret_hash.encode(), hashlib.sha256).hexdigest()
