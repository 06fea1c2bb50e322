"""When a SIM that is `ready` becomes `active` by itself.

Source: the documentation of both products. They differ in which messages count: SMS Commands both
ways for Super SIM, Commands to the SIM for Programmable Wireless.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from ringback.core.calendar import months_after
from ringback.core.sims.data_session import DataSession, when_used

READY_MONTHS: Final = 3
"""It becomes active after this many months."""
READY_DATA: Final = 250_000
"""Or once it has used this many bytes. The documentation says 250 KB."""
READY_MESSAGES: Final = 5
"""Or once there were this many messages."""


def when_active(
    since: datetime, now: datetime, *, used: int, messages: int, sessions: Iterable[DataSession]
) -> datetime:
    """Return when a SIM becomes active that has been ready since then, if its sessions go on.

    `used` and `messages` are its usage until now. A limit that is reached already gives `now`.
    """
    left = READY_DATA - used
    if left <= 0 or messages >= READY_MESSAGES:
        return now
    used_up = [when_used(left, session, since=now) for session in sessions]
    return min([months_after(since, months=READY_MONTHS), *filter(None, used_up)])
