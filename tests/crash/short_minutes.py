"""`ringback`, which counts by the second instead of by the minute, and writes that soon after."""

import sys
from datetime import timedelta
from typing import Final

from ringback.cli.main import main
from ringback.core import callback_counts
from ringback.core.callback_counts import CountSpan
from ringback.delivery import minute_counters

MINUTE: Final = timedelta(seconds=1)
WRITTEN_AFTER: Final = timedelta(seconds=0.2)


def shorten() -> None:
    """Make all minutes of this process short."""
    spans = callback_counts._SPANS
    spans[CountSpan.MINUTE] = spans[CountSpan.MINUTE]._replace(length=MINUTE)
    setattr(minute_counters, "_WRITTEN_AFTER", WRITTEN_AFTER.total_seconds())  # noqa: B010 (it is Final)


if __name__ == "__main__":
    shorten()
    sys.exit(main())
