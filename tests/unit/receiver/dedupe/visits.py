"""Claim requests (visits) to a dedupe store, and a clock that is moved by hand."""

import time
from datetime import UTC, datetime, timedelta

from ringback.core.policy.source_policy import Source, SourceName
from ringback.receiver.dedupe import DedupeClaimRequest

MILLISECOND = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.at = datetime(2024, 11, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def let_pass(self, time: timedelta) -> None:
        self.at += time


class RunningClock(Clock):
    """A clock that also runs by itself, as those of databases do."""

    def __init__(self) -> None:
        super().__init__()
        self._began = time.monotonic()

    def __call__(self) -> datetime:
        return self.at + timedelta(seconds=time.monotonic() - self._began)


def visit(
    owner: str,
    *,
    token: str = "token-1",
    source: SourceName = Source.KORE,
    lease: timedelta = 30 * SECOND,
    keep: timedelta = HOUR,
    content: str | None = None,
    within: timedelta = 10 * SECOND,
) -> DedupeClaimRequest:
    return DedupeClaimRequest(
        source=source,
        token=token,
        owner=owner,
        lease=lease,
        keep=keep,
        content=content,
        same_event_within=within,
    )
