"""Looks ahead in the policy's calendar: reminds of borders, and counts whom they will concern."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final, Self

from ringback.core.borders import (
    Border,
    Reminder,
    borders,
    in_words,
    is_settled,
    next_reminder,
    reminders,
    sources_that_end,
)
from ringback.core.calendar import iso
from ringback.core.errors import StoreUnavailable
from ringback.core.outlook import (
    Prospect,
    Reach,
    Sent,
    changed_at,
    depending_on,
    prospects,
    reach,
)
from ringback.core.source import Hold, Policy, SourceName
from ringback.engine.bell import Bell
from ringback.engine.policy_in_force import PolicyInForce
from ringback.ports import Clock

_COUNT_EVERY: Final = timedelta(hours=1)
_REST: Final = 1000
"""So many times as long as it counted it rests, at the least: there may be very much to count."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Dependents:
    """Who was called in the last week, and from where they are sent by the policy in force."""

    counted: datetime
    """Until when callbacks were counted."""
    by_account: Mapping[str, Sequence[Prospect]]
    of_all: Mapping[SourceName, Reach]
    """How much depends on each source that is sent from."""

    @classmethod
    def of(cls, policy: Policy, sent: Sequence[Sent], *, counted: datetime, date: datetime) -> Self:
        """Look at all that was sent by this policy; there may be much, and each takes a while."""
        found = prospects(policy, sent, now=date, then=date)
        by_account = groupby(found, key=lambda one: one.account_sid)
        return cls(
            counted,
            {account_sid: list(its) for account_sid, its in by_account},
            {
                source: reach(depending_on(source, found))
                for source in {one.now.source for one in found}
            },
        )

    def on(self, source: SourceName, account_sid: str | None = None) -> Reach:
        """Return how much depends on a source, of an account or of all."""
        if account_sid is None:
            return self.of_all.get(source, Reach())
        return reach(depending_on(source, self.by_account.get(account_sid, ())))

    def holding(self, account_sid: str) -> frozenset[Hold | None]:
        """Return the holds that decide for an account, where it was called."""
        return frozenset(one.hold for one in self.by_account.get(account_sid, ()))


@dataclass(frozen=True, slots=True)
class Figures:
    """What there is to measure about a policy at one moment."""

    seconds_to_borders: Mapping[str, float]
    """To the next border, by the label of its change."""
    dependents: Mapping[SourceName, int]
    """How many callbacks of the last week came from where a source that ends sends now."""
    refusals: int
    """How often the settings file could not be used."""
    is_current: bool
    """Whether what the file has is in force."""


class Foresight:
    """What is ahead of the policy in force; it reminds by log lines of level warning."""

    def __init__(
        self,
        in_force: PolicyInForce,
        *,
        count: Callable[[datetime], Awaitable[Sequence[Sent]]],
        clock: Clock,
        before: Sequence[timedelta],
    ) -> None:
        """Look ahead of a policy; `count` returns what was sent in the week before an instant.

        It may raise StoreUnavailable, and is asked again later.
        """
        self.in_force = in_force
        self.dependents: Dependents | None = None
        """None until they have been counted, or need not be: that is at once after the start."""
        self._count = count
        self._clock = clock
        self.before = before
        """How long before a border there is a warning of it."""
        self._bell = Bell(clock)
        self._told = set[Reminder]()
        self._sent: Sequence[Sent] | None = None
        self._counted = clock.now()
        self._next_count: datetime | None = None
        in_force.listen(self._bell.wake)

    @property
    def date(self) -> datetime:
        """Which instant it is in the policy's calendar."""
        return self.in_force.transition.date_at(self._clock.now())

    def near(self, *, since: datetime | None = None) -> list[Reminder]:
        """Return the borders that are near now, and those that were reached since a date."""
        policy, date = self.in_force.transition.policy, self.date
        return reminders(policy, since=since or date, at=date, before=self.before)

    def near_in_words(self) -> list[str]:
        """Return the borders that are near now, and when each of them is."""
        date = self.date
        return [in_words(reminder.border, date) for reminder in self.near()]

    def figures(self) -> Figures:
        """Return what there is to measure now."""
        policy, date = self.in_force.transition.policy, self.date
        seconds = dict[str, float]()
        for border in borders(policy, after=date):
            seconds.setdefault(border.change.label, (border.at - date).total_seconds())
        known = self.dependents
        ending = [] if known is None else sources_that_end(policy, at=date)
        return Figures(
            seconds_to_borders=seconds,
            dependents={source: known.on(source).callbacks for source in ending if known},
            refusals=self.in_force.refusals,
            is_current=self.in_force.problem is None,
        )

    async def run(self) -> None:
        """Count and remind, for ever."""
        reminded = self.date
        while True:
            await self._count_at_times()
            await self._look_at_dependents()
            date = self.date
            for reminder in self.near(since=reminded):
                await self._remind(reminder, date)
            reminded = date
            await self._bell.wait(self._next(date))

    def _next(self, date: datetime) -> datetime | None:
        transition = self.in_force.transition
        due = next_reminder(transition.policy, after=date, before=self.before)
        reminder = None if due is None else due - transition.ahead
        return min(filter(None, (self._next_count, reminder)), default=None)

    async def _count_at_times(self) -> None:
        now = self._clock.now()
        if is_settled(self.in_force.transition.policy, at=self.date):
            # Nobody depends on what changes no more, whoever was called.
            self._sent, self._next_count = self._sent or [], None
            return
        if self._next_count is not None and self._counted <= now < self._next_count:
            return
        self._counted = now
        try:
            self._sent = await self._count(now)
        except StoreUnavailable as failure:
            _log.warning("%s; the callbacks of the last week are counted later", failure)
        self._next_count = now + max(_COUNT_EVERY, _REST * (self._clock.now() - now))

    async def _look_at_dependents(self) -> None:
        if self._sent is None:
            return
        policy, date, sent = self.in_force.transition.policy, self.date, self._sent
        self.dependents = await asyncio.to_thread(
            Dependents.of, policy, sent, counted=self._counted, date=date
        )

    async def _remind(self, reminder: Reminder, date: datetime) -> None:
        if reminder in self._told:
            return
        self._told.add(reminder)
        border = reminder.border
        concerned = await self._concerned(border)
        shown = "" if concerned is None else f"; of the last week it would change {concerned}"
        left = max(border.at - date, timedelta(0))
        extra = {
            "change": border.change.label,
            "date": iso(border.at),
            "seconds_left": round(left.total_seconds()),
            **({} if concerned is None else concerned._asdict()),
        }
        _log.warning("policy: %s%s", in_words(border, date), shown, extra=extra)

    async def _concerned(self, border: Border) -> Reach | None:
        """Return how much of the last week comes from another source from a border on."""
        if self._sent is None:
            return None
        policy = self.in_force.transition.policy
        return reach(await asyncio.to_thread(changed_at, border, policy, self._sent))
