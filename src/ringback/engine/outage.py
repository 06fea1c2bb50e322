"""How a loop gets over a database that is away for a while: it tries again, not too often."""

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeVar

from ringback.core.errors import StoreUnavailable
from ringback.ports import Clock

PAUSE: Final = timedelta(seconds=1)

T = TypeVar("T")
_log = logging.getLogger(__name__)


async def outlast(work: Callable[[], Awaitable[T]], *, clock: Clock) -> T:
    """Return what the work returns, as soon as the store lets it; it may be done several times."""
    while True:
        try:
            return await work()
        except StoreUnavailable as failure:
            _log.warning("%s; trying again in %g s", failure, PAUSE.total_seconds())
            await clock.sleep_until(clock.now() + PAUSE)
