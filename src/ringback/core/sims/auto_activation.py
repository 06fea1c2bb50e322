"""Calculates when a SIM that is `ready` becomes `active` by itself.

The limits are from the documentation of both products. One limit counts messages: for Super SIM,
SMS Commands in both directions; for Programmable Wireless, Commands to the SIM.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from ringback.core.calendar import months_after
from ringback.core.sims.data_session import DataSession, when_used

READY_MONTHS: Final = 3
"""The number of months after which a `ready` SIM becomes `active`."""
READY_DATA: Final = 250_000
"""The data usage in bytes (250 KB in the documentation) that makes a `ready` SIM `active`."""
READY_MESSAGES: Final = 5
"""The number of messages that makes a `ready` SIM `active`."""


def when_active(
    since: datetime, now: datetime, *, used: int, messages: int, sessions: Iterable[DataSession]
) -> datetime:
    """Return when a SIM, `ready` since `since`, becomes `active` if its data sessions go on.

    It becomes `active` when it reaches the limit for data (`READY_DATA`) or for messages
    (`READY_MESSAGES`), and after `READY_MONTHS` at the latest. `used`, in bytes, and `messages` are
    its usage until now.
    """
    left = READY_DATA - used
    if left <= 0 or messages >= READY_MESSAGES:
        return now
    used_up = [when_used(left, session, since=now) for session in sessions]
    return min([months_after(since, months=READY_MONTHS), *filter(None, used_up)])
