"""The interface of the table of shadow copies, with their comparisons to the callbacks."""

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
    """A filter for lists of shadow copies; a field that is None matches all copies."""

    source: SourceName | None = None
    """List copies that were sent by this source."""
    callback_sid: str | None = None
    since: datetime | None = None
    """List copies that were sent at this instant or later."""


class ComparedShadow(NamedTuple):
    """A shadow copy, and its comparison with the first attempt of its callback."""

    shadow: ShadowCallback
    comparison: AnswerComparison

    @property
    def sid(self) -> str:
        """The SID of the shadow copy."""
        return self.shadow.sid

    @property
    def for_account(self) -> "ComparedShadow":
        """The same as the account may see it; see `Attempt.for_account`."""
        attempt = self.shadow.attempt.for_account
        return self._replace(shadow=self.shadow._replace(attempt=attempt))


class ShadowCallbacks(Protocol):
    """The table of shadow copies of callbacks whose first attempts have ended."""

    def open(self, shadows: Sequence[ShadowCallback]) -> None:
        """Save copies that are about to be sent, still without a result."""
        ...

    def settle(self, shadows: Sequence[ShadowCallback]) -> None:
        """Save the results of copies."""
        ...

    def left_open(self) -> list[ShadowCallback]:
        """Return the copies that a stopped process left without a result.

        Called when Ringback starts.
        """
        ...

    def page(
        self, account_sid: str, which: ShadowCallbackFilter, window: PageWindow
    ) -> RecordPage[ComparedShadow]:
        """Return one page of an account's copies that match a filter, newest first.

        Raises PageNotFound if the account has no copy with the SID that the page begins at.
        """
        ...

    def comparisons(self, account_sid: str, window: PageWindow) -> list[AnswerComparison]:
        """Return one page of an account's comparisons, without the copies themselves."""
        ...
