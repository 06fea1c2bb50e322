"""Estimates how many callbacks a policy change affects, from the callbacks of the last week."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import Final, NamedTuple

from ringback.core.calendar import INSTANT
from ringback.core.counted import counted
from ringback.core.policy.dated_changes import PolicyChange
from ringback.core.policy.source_policy import (
    CallbackSourceSelection,
    PhaseHold,
    Policy,
    SourceName,
)

WEEK: Final = timedelta(days=7)
"""The period before now in which callbacks are counted."""
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class UrlDeliveryTotals(NamedTuple):
    """The numbers of callbacks to one URL of an account, by status.

    Callbacks are counted separately for each source, and for each source that the URL asks for.
    """

    account_sid: str
    url: str
    """The callback URL as records show it: with its fragment, without its credentials."""
    source: SourceName
    source_asked: SourceName | None
    delivered: int
    undelivered: int
    """The number of callbacks that failed or were discarded."""
    retried: int
    """The number of callbacks that have not ended yet, after at least one failed attempt."""
    waiting: int
    """The number of callbacks that have not ended yet, without a failed attempt."""

    @property
    def callbacks(self) -> int:
        """The total number of callbacks."""
        return self.delivered + self.undelivered + self.retried + self.waiting


class SelectionReason(StrEnum):
    """The reason why a source sends the callbacks to a URL."""

    ASKED = "asked"
    """The URL asks for the source."""
    HELD = "held"
    """A hold keeps the URL at the source."""
    DEFAULT = "default"
    """The source is the default of the phase."""


class PolicyImpact(NamedTuple):
    """The numbers of accounts, URLs and callbacks that a policy or a change affects."""

    accounts: int = 0
    urls: int = 0
    callbacks: int = 0

    def __str__(self) -> str:
        """Return the numbers in words, like `5 callbacks to 2 URLs of 1 account`."""
        return (
            f"{counted(self.callbacks, 'callback')} to {counted(self.urls, 'URL')}"
            f" of {counted(self.accounts, 'account')}"
        )


@dataclass(frozen=True, slots=True)
class UrlForecast:
    """A forecast for one URL of an account: the source that sends to it now and at another date."""

    account_sid: str
    url: str
    """The callback URL as records show it: with its fragment, without its credentials."""
    asked: SourceName | None
    callbacks: int
    """The number of callbacks to the URL that were created in the last week."""
    would_move: int
    """The number of last week's callbacks that another source would send at the other date."""
    now: CallbackSourceSelection
    then: CallbackSourceSelection
    why: SelectionReason
    """The reason why the current source sends to the URL."""
    hold: PhaseHold | None
    """The hold that covers the URL now; None if there is none."""

    @property
    def wire(self) -> str:
        """The URL as requested, without its fragment; holds are compared with this text."""
        return _wire(self.url)

    @property
    def changes(self) -> bool:
        """True if the URL's source at the other date is different from its source now."""
        return self.now.source != self.then.source


def forecast_urls(
    policy: Policy, sent: Iterable[UrlDeliveryTotals], *, now: datetime, then: datetime
) -> list[UrlForecast]:
    """Return a forecast for each URL in `sent` at `now` and `then`, sorted by account and URL."""
    ordered = sorted(sent, key=_configured)
    by_date = Policy(policy.phases)
    return [
        _forecast(policy, by_date, list(rows), now=now, then=then)
        for _, rows in groupby(ordered, key=_configured)
    ]


def source_by_phase(policy: Policy, one: UrlForecast) -> dict[str, SourceName]:
    """Return the source that sends to a URL at the start of each phase, by the phase's name."""
    return {
        phase.name: policy.choose(
            one.asked, at=phase.since or _LONG_AGO, account_sid=one.account_sid, url=one.wire
        ).source
        for phase in policy.phases
    }


def impact_of(found: Iterable[UrlForecast]) -> PolicyImpact:
    """Return the numbers of accounts, URLs and callbacks in these forecasts."""
    found = list(found)
    return PolicyImpact(
        accounts=len({one.account_sid for one in found}),
        urls=len({(one.account_sid, one.url) for one in found}),
        callbacks=sum(one.callbacks for one in found),
    )


def depending_on(source: SourceName, found: Iterable[UrlForecast]) -> list[UrlForecast]:
    """Return the forecasts of those URLs whose callbacks this source sends now."""
    return [one for one in found if one.now.source == source]


def changed_at(
    change: PolicyChange, policy: Policy, sent: Iterable[UrlDeliveryTotals]
) -> list[UrlForecast]:
    """Return the forecasts of the URLs that get another source through this policy change."""
    found = forecast_urls(policy, sent, now=change.at - INSTANT, then=change.at)
    return [one for one in found if one.changes]


def _configured(row: UrlDeliveryTotals) -> tuple[str, str, str]:
    return row.account_sid, row.url, row.source_asked or ""


def _forecast(
    policy: Policy,
    by_date: Policy,
    rows: Sequence[UrlDeliveryTotals],
    *,
    now: datetime,
    then: datetime,
) -> UrlForecast:
    account_sid, url, _, asked, *_ = rows[0]
    wire = _wire(url)

    def choose(at: datetime, by: Policy = policy) -> CallbackSourceSelection:
        return by.choose(asked, at=at, account_sid=account_sid, url=wire)

    chosen_now = choose(now)
    chosen_then = chosen_now if then == now else choose(then)
    return UrlForecast(
        account_sid=account_sid,
        url=url,
        asked=asked,
        callbacks=sum(row.callbacks for row in rows),
        would_move=sum(row.callbacks for row in rows if row.source != chosen_then.source),
        now=chosen_now,
        then=chosen_then,
        why=_why(chosen_now, choose(now, by_date)),
        hold=policy.phase_of(at=now, account_sid=account_sid, url=wire)[0],
    )


def _wire(url: str) -> str:
    return url.partition("#")[0]


def _why(choice: CallbackSourceSelection, by_date: CallbackSourceSelection) -> SelectionReason:
    if choice.source != by_date.source:
        return SelectionReason.HELD
    return SelectionReason.ASKED if choice.source == choice.asked else SelectionReason.DEFAULT
