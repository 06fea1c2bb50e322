"""The table of copies, and how they compare with what they are copies of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from ringback.core.policy.source_policy import SourceName
from ringback.core.shadows.shadow import ShadowCallback
from ringback.core.shadows.shadow_report import AnswerComparison
from ringback.ports.record_tables import PageWindow, RecordPage


@dataclass(frozen=True, slots=True)
class ShadowCallbackFilter:
    """Which copies to list; None stands for all."""

    source: SourceName | None = None
    """The one that the copy came from."""
    callback_sid: str | None = None
    since: datetime | None = None
    """The earliest instant at which a copy was sent."""


class ComparedShadow(NamedTuple):
    """A copy, and how it compares with the first attempt of its callback."""

    shadow: ShadowCallback
    comparison: AnswerComparison

    @property
    def sid(self) -> str:
        """The copy's."""
        return self.shadow.sid


class ShadowCallbacks(Protocol):
    """Copies of callbacks whose first attempts have ended."""

    def open(self, shadows: Sequence[ShadowCallback]) -> None:
        """Save the rows of copies that are about to be sent."""
        ...

    def settle(self, shadows: Sequence[ShadowCallback]) -> None:
        """Save how copies ended."""
        ...

    def left_open(self) -> list[ShadowCallback]:
        """Return the open copies after a start: their process has died."""
        ...

    def page(
        self, account_sid: str, which: ShadowCallbackFilter, window: PageWindow
    ) -> RecordPage[ComparedShadow]:
        """Return one page, newest first.

        Raises PageNotFound if the account has no copy with the SID that the page begins at.
        """
        ...

    def comparisons(self, account_sid: str, window: PageWindow) -> list[AnswerComparison]:
        """Return one page of comparisons, without the copies themselves."""
        ...
