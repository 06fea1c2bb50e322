"""When a SIM that is `ready` becomes `active` by itself.

Source: the documentation of both products. They differ in which messages count: SMS Commands both
ways for Super SIM, Commands to the SIM for Programmable Wireless.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from ringback.core.calendar import months_after
from ringback.core.sims.data_flow import DataFlow, when_used

READY_MONTHS: Final = 3
"""After so many months it is active."""
READY_DATA: Final = 250_000
"""Bytes; once it has used so much, likewise. The documentation says 250 KB."""
READY_MESSAGES: Final = 5
"""Once there were so many, likewise."""


def when_active(
    since: datetime, now: datetime, *, used: int, messages: int, flows: Iterable[DataFlow]
) -> datetime:
    """Return when a SIM becomes active that is ready since then, has used so much, and goes on so.

    What has come to pass already counts from now on.
    """
    left = READY_DATA - used
    if left <= 0 or messages >= READY_MESSAGES:
        return now
    used_up = [when_used(left, flow, since=now) for flow in flows]
    return min([months_after(since, months=READY_MONTHS), *filter(None, used_up)])
