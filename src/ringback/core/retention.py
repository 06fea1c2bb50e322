"""How long the data of callbacks that have ended is kept.

A callback *ends* when it is delivered, has failed or is discarded. A replay un-ends it, and it ends
again later. Everything is kept for a time from this instant on. What has not ended is always kept.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple


class RetentionTimes(NamedTuple):
    """How long an account's data is kept after its callback has ended; None means forever.

    What belongs to a callback never outlives it: a longer time of a part ends with the callback's.
    """

    answers: timedelta | None = None
    """For the bodies of receivers' answers."""
    attempts: timedelta | None = None
    """For the records of attempts, with requests and answers."""
    delivered: timedelta | None = None
    """For delivered callbacks, with all that belongs to them."""
    undelivered: timedelta | None = None
    """For callbacks that have failed or were discarded, with all that belongs to them."""


class RetentionPolicy(NamedTuple):
    """The times that are in force."""

    server: RetentionTimes
    """The times of all other accounts."""
    accounts: Mapping[str, RetentionTimes]
    """All times of the accounts that have times of their own, by SID."""

    def of(self, account_sid: str) -> RetentionTimes:
        """Return the times of an account.

        >>> policy = RetentionPolicy(RetentionTimes(answers=timedelta(days=7)), {})
        >>> policy.of("AC1").answers
        datetime.timedelta(days=7)
        """
        return self.accounts.get(account_sid, self.server)
