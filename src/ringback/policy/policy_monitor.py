"""Warns before the active policy changes at its dates, and counts the affected callbacks."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final, NamedTuple, Self

from ringback.core.calendar import iso
from ringback.core.counted import counted
from ringback.core.errors import StoreUnavailable
from ringback.core.policy.dated_changes import (
    PolicyChange,
    UpcomingPolicyChange,
    as_if_by_date,
    ends_of_sources,
    in_words,
    is_settled,
    next_reminder,
    policy_changes,
    reminders,
    sources_that_end,
)
from ringback.core.policy.policy_impact import (
    PolicyImpact,
    SelectionReason,
    UrlForecast,
    changed_at,
    depending_on,
    forecast_urls,
    impact_of,
)
from ringback.core.policy.source_policy import PhaseHold, Policy, SourceName
from ringback.core.policy.urls_in_use import (
    RECENT,
    DeliveryKey,
    StoredUrl,
    UrlDeliveryTotals,
    UrlInUse,
    UrlUse,
    by_receiver,
    urls_in_use,
)
from ringback.policy.active_policy import ActivePolicy
from ringback.ports import Clock
from ringback.runtime.wakeup import Wakeup

_COUNT_EVERY: Final = timedelta(minutes=5)
_SETTLED_EVERY: Final = timedelta(hours=1)
"""The minimum time between two counts while no change is ahead; then only stored URLs count."""
_FIRST_COUNT: Final = timedelta(seconds=10)
"""The time from the start to the first count, if no change is ahead: others need the start more."""
_REST: Final = 1000
"""The minimum time between two counts, as a multiple of the time that a count takes."""

_ASKED_EVERY: Final = timedelta(seconds=10)
"""The minimum time between two counts while somebody looks at the result."""
_ASKED_REST: Final = 100
"""Then the minimum time, as a multiple of the time that a count takes."""

_log = logging.getLogger(__name__)


class PolicyByDate(NamedTuple):
    """A policy whose dates can be looked at."""

    policy: Policy
    now: datetime
    """The date now in the policy's calendar."""
    stays_in: str | None
    """The phase in which the process stays whatever the date, or None; `now` is in it."""


@dataclass(frozen=True, slots=True)
class CountedUrls:
    """The URLs in use, as they were counted at one instant."""

    counted: datetime
    used: Sequence[UrlInUse]
    deliveries: Mapping[DeliveryKey, UrlDeliveryTotals]
    """The recent callbacks, all fragments of a URL together."""
    callbacks_counted: datetime | None
    """When the callbacks were counted; None if they never were, since nothing is ahead."""

    def of(self, account_sid: str | None) -> Sequence[UrlInUse]:
        """Return the URLs of an account, or of all if none is given; this can take long."""
        if account_sid is None:
            return self.used
        return [one for one in self.used if one.account_sid == account_sid]


@dataclass(frozen=True, slots=True)
class SourceUsageByAccount:
    """The URLs in use, and the source of each under the active policy."""

    counted: datetime
    """When the URLs and their callbacks were counted."""
    by_account: Mapping[str, Sequence[UrlForecast]]
    of_all: Mapping[SourceName, PolicyImpact]
    """The numbers of callbacks, URLs and accounts that depend on each source."""
    stored: Mapping[tuple[SourceName, SelectionReason], int]
    """The number of stored URLs by their source and the reason for it."""
    by_use: Mapping[tuple[SourceName, UrlUse], int]
    """The number of URLs by their source, and by how they are in use."""

    @classmethod
    def of(
        cls, policy: Policy, used: Sequence[UrlInUse], *, counted: datetime, date: datetime
    ) -> Self:
        """Return the source of each of these URLs under a policy at `date`; this can take long."""
        found = forecast_urls(policy, used, now=date, then=date)
        by_account = groupby(found, key=lambda one: one.used.account_sid)
        stored = (one for one in found if one.used.use is UrlUse.STORED)
        return cls(
            counted,
            {account_sid: list(its) for account_sid, its in by_account},
            {source: impact_of(depending_on(source, found)) for source in policy.sources},
            Counter((one.now.source, one.why) for one in stored),
            Counter((one.now.source, one.used.use) for one in found),
        )

    def on(self, source: SourceName, account_sid: str | None = None) -> PolicyImpact:
        """Return how many callbacks a source sends, and to how many URLs and accounts.

        With `account_sid`, only those of this account count.
        """
        if account_sid is None:
            return self.of_all.get(source, PolicyImpact())
        return impact_of(depending_on(source, self.by_account.get(account_sid, ())))

    def holding(self, account_sid: str) -> frozenset[PhaseHold | None]:
        """Return the holds that cover the URLs that an account uses.

        None is among them if a URL has no hold.
        """
        return frozenset(one.hold for one in self.by_account.get(account_sid, ()))


@dataclass(frozen=True, slots=True)
class PolicyMetrics:
    """The metrics of the active policy that Prometheus gets at `/metrics`."""

    seconds_to_changes: Mapping[str, float]
    """The seconds to the next change of each kind, by the kind's label."""
    dependents: Mapping[SourceName, int]
    """The number of recent callbacks to the URLs that depend on each source that ends."""
    refusals: int
    """How often the settings file has been refused since the start."""
    stored_urls: Mapping[tuple[SourceName, SelectionReason], int]
    """The number of stored URLs by their source now, and the reason for it; empty if unknown."""
    dependent_urls: Mapping[tuple[SourceName, UrlUse], int]
    """The number of URLs that depend on each source that ends, by how they are in use."""
    ends: Mapping[SourceName, float]
    """When each of these sources ends, or has ended, by the clock: a Unix time."""
    is_current: bool
    """False while the settings file, or the newest version of the policy, can't be used."""


class PolicyMonitor:
    """Watches for changes of the active policy at its dates, and logs warnings before them."""

    def __init__(
        self,
        active: ActivePolicy,
        *,
        stored: Callable[[], Awaitable[Sequence[StoredUrl]]],
        count: Callable[[datetime], Awaitable[Sequence[UrlDeliveryTotals]]],
        clock: Clock,
        before: Sequence[timedelta],
    ) -> None:
        """Watch a policy; `stored` returns all stored URLs.

        `count` returns the totals of the recent callbacks before an instant. If one of the two
        raises StoreUnavailable or OSError, both are called again later.
        """
        self.active = active
        self.dependents: SourceUsageByAccount | None = None
        """The usage of each source; None until it has been counted."""
        self._read_stored = stored
        self._count = count
        self._clock = clock
        self.before = before
        """How long before a change to warn of it; there is one warning for each duration."""
        self._wakeup = Wakeup(clock)
        self._reminded = set[UpcomingPolicyChange]()
        self._sent: Sequence[UrlDeliveryTotals] = []
        self._is_sent_new = False
        """True if `_sent` is as new as the stored URLs; they are counted alone in the end."""
        self._sent_counted: datetime | None = None
        self.urls: CountedUrls | None = None
        """The URLs in use; None until they have been counted."""
        self._counted = clock.now()
        self._took = timedelta(0)
        self._is_asked = False
        self._next_count: datetime | None = None
        active.listen(self._wakeup.wake)

    @property
    def policy(self) -> Policy:
        """The active policy."""
        return self.active.policy

    @property
    def date(self) -> datetime:
        """The current time in the policy's calendar."""
        return self.policy.date_at(self._clock.now())

    def by_date(self, policy: Policy | None = None) -> PolicyByDate:
        """Return the active policy and the date in it, as if all of it came by its dates.

        With `policy`, the same for this policy, which has to be as this process would use it. If
        the process stays in a phase, the date is one in this phase.
        """
        policy, date, stay = policy or self.policy, self.date, self.active.stay
        if stay is None:
            return PolicyByDate(policy, date, None)
        own = replace(policy, holds=policy.holds[:-1])
        policy, date = as_if_by_date(own, stay.phase, date)
        return PolicyByDate(replace(policy, ahead=date - self._clock.now()), date, stay.phase)

    def ask(self) -> None:
        """Have the URLs and their callbacks counted soon, since somebody looks at the result.

        Counting takes at most a hundredth of the time then.
        """
        self._is_asked = True
        if self._may_count_early(self._clock.now()):
            self._wakeup.wake()

    def near(self, *, since: datetime | None = None) -> list[UpcomingPolicyChange]:
        """Return the policy changes to warn of now, and those that took effect after `since`."""
        date = self.date
        return reminders(self.policy, since=since or date, at=date, before=self.before)

    def near_in_words(self) -> list[str]:
        """Return a sentence about each policy change to warn of now, with its date."""
        date = self.date
        return [in_words(reminder.change, date) for reminder in self.near()]

    def depending_on_ends(self, account_sid: str | None = None) -> dict[SourceName, PolicyImpact]:
        """Return how many callbacks, URLs and accounts depend on each source that ends.

        With `account_sid`, only those of this account count. Empty before the first count.
        """
        if self.dependents is None:
            return {}
        ending = sources_that_end(self.policy, at=self.date)
        return {source: self.dependents.on(source, account_sid) for source in ending}

    def holds_shown_to(self, account_sid: str | None) -> Callable[[PhaseHold], bool]:
        """Return a function that returns True if this account may see a given hold.

        Holds for other accounts stay hidden, since they contain URLs. If `account_sid` is None, the
        function returns True for all holds.
        """
        if account_sid is None:
            return lambda _: True
        known = self.dependents
        deciding = frozenset[PhaseHold | None]() if known is None else known.holding(account_sid)
        return lambda hold: hold.account_sid == account_sid or hold.is_for_all or hold in deciding

    def figures(self) -> PolicyMetrics:
        """Return the current metrics of the active policy."""
        policy, date = self.policy, self.date
        seconds = dict[str, float]()
        for change in policy_changes(policy, after=date):
            seconds.setdefault(change.kind.label, (change.at - date).total_seconds())
        known, ends = self.dependents, ends_of_sources(policy, at=date)
        return PolicyMetrics(
            seconds_to_changes=seconds,
            stored_urls={} if known is None else known.stored,
            dependent_urls={
                (source, use): known.by_use.get((source, use), 0)
                for source in ends
                for use in (UrlUse.STORED, UrlUse.REQUESTS)
            }
            if known is not None
            else {},
            ends={
                source: (at - policy.ahead).timestamp()
                for source, at in ends.items()
                if at is not None
            },
            dependents={source: on.callbacks for source, on in self.depending_on_ends().items()},
            refusals=self.active.refusals,
            is_current=self.active.problem is None and self.active.unusable is None,
        )

    async def run(self) -> None:
        """Count callbacks and warn of changes, until the task is cancelled."""
        reminded = self.date
        while True:
            await self._count_at_times()
            await self._look_at_dependents()
            date = self.date
            for reminder in self.near(since=reminded):
                await self._remind(reminder, date)
            reminded = date
            await self._wakeup.wait(self._next(date))

    def _next(self, date: datetime) -> datetime | None:
        due = next_reminder(self.policy, after=date, before=self.before)
        reminder = None if due is None else due - self.policy.ahead
        return min(filter(None, (self._next_count, reminder)), default=None)

    async def _count_at_times(self) -> None:
        now, is_sure = self._clock.now(), is_settled(self.policy, at=self.date)
        if self._next_count is None and is_sure:
            self._next_count = now + _FIRST_COUNT
        is_early = self._is_asked and self._may_count_early(now)
        is_due = self._next_count is None or not self._counted <= now < self._next_count
        if not (is_due or is_early) and (is_sure or self._is_sent_new):
            return
        # Without a change ahead, no callback can be affected, so they are not counted.
        counts_sent = self._is_asked or not is_sure
        self._counted, self._is_asked = now, False
        try:
            stored = await self._read_stored()
            if counts_sent:
                self._sent, self._sent_counted = await self._count(now), now
            self._is_sent_new = counts_sent
        except (StoreUnavailable, OSError) as failure:  # also if it may open no file
            _log.warning("%s; the URLs and their callbacks will be counted later", failure)
        else:
            # In a thread, since there may be very many URLs, and others are sent meanwhile.
            self.urls = await asyncio.to_thread(self._put_together, stored, now)
        least = _SETTLED_EVERY if is_sure else _COUNT_EVERY
        self._took = self._clock.now() - now
        self._next_count = now + max(least, _REST * self._took)

    def _may_count_early(self, now: datetime) -> bool:
        least = max(_ASKED_EVERY, _ASKED_REST * self._took)
        return not self._counted <= now < self._counted + least

    def _put_together(self, stored: Sequence[StoredUrl], now: datetime) -> CountedUrls:
        used, sent = urls_in_use(stored, self._sent), by_receiver(self._sent)
        return CountedUrls(now, used, sent, self._sent_counted)

    async def _look_at_dependents(self) -> None:
        if self.urls is None:
            return
        self.dependents = await asyncio.to_thread(
            SourceUsageByAccount.of,
            *(self.policy, self.urls.used),
            counted=self._counted,
            date=self.date,
        )

    async def _remind(self, reminder: UpcomingPolicyChange, date: datetime) -> None:
        if reminder in self._reminded:
            return
        self._reminded.add(reminder)
        change = reminder.change
        concerned = await self._concerned(change)
        shown = "" if concerned is None else f"; it affects {_shown(concerned)}"
        left = max(change.at - date, timedelta(0))
        extra = {
            "change": change.kind.label,
            "date": iso(change.at),
            "seconds_left": round(left.total_seconds()),
            **({} if concerned is None else concerned._asdict()),
        }
        _log.warning("policy: %s%s", in_words(change, date), shown, extra=extra)

    async def _concerned(self, change: PolicyChange) -> PolicyImpact | None:
        """Return which of the URLs in use a change affects, or None if unknown."""
        if self.urls is None:
            return None
        return impact_of(await asyncio.to_thread(changed_at, change, self.policy, self.urls.used))


def _shown(impact: PolicyImpact) -> str:
    urls, accounts = counted(impact.urls, "URL"), counted(impact.accounts, "account")
    callbacks = counted(impact.callbacks, "callback")
    return f"{urls} of {accounts}, with {callbacks} in the last {RECENT.days} days"
