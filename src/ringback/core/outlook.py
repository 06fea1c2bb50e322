"""What a policy means for the callbacks that there were: who is sent from where, now and then."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import Final, NamedTuple

from ringback.core.borders import Border
from ringback.core.source import Choice, Hold, Policy, SourceName

WEEK: Final = timedelta(days=7)
"""How far back callbacks are counted."""
_JUST_BEFORE: Final = timedelta(microseconds=1)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class Sent(NamedTuple):
    """How many callbacks of one account to one URL asked for one source and came from one."""

    account_sid: str
    url: str
    """As records show it: with its fragment, without its credentials."""
    source: SourceName
    asked: SourceName | None
    callbacks: int


class Why(StrEnum):
    """Why a URL is sent from its source."""

    ASKED = "asked"
    """The URL asks for it."""
    HELD = "held"
    """Without a hold another source would send it."""
    DEFAULT = "default"
    """It is the default."""


class Reach(NamedTuple):
    """How much something concerns."""

    accounts: int = 0
    urls: int = 0
    callbacks: int = 0

    def __str__(self) -> str:
        """How much it is, in words."""
        return (
            f"{_counted(self.callbacks, 'callback')} to {_counted(self.urls, 'URL')}"
            f" of {_counted(self.accounts, 'account')}"
        )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a policy has for one URL of one account."""

    account_sid: str
    url: str
    """As records show it, too."""
    asked: SourceName | None
    callbacks: int
    """How many there were."""
    would_move: int
    """How many of them came from another source than they would then."""
    now: Choice
    then: Choice
    why: Why
    """Of the choice now."""
    hold: Hold | None
    """What holds it now."""

    @property
    def wire(self) -> str:
        """The URL without its fragment: what holds go by."""
        return _wire(self.url)

    @property
    def changes(self) -> bool:
        """Whether another source sends it then."""
        return self.now.source != self.then.source


def prospects(
    policy: Policy, sent: Iterable[Sent], *, now: datetime, then: datetime
) -> list[Prospect]:
    """Return what the policy has for each URL that was called, by account and URL."""
    ordered = sorted(sent, key=_configured)
    by_date = Policy(policy.phases)
    return [
        _prospect(policy, by_date, list(rows), now=now, then=then)
        for _, rows in groupby(ordered, key=_configured)
    ]


def in_phases(policy: Policy, one: Prospect) -> dict[str, SourceName]:
    """Return from where a URL is sent as each phase begins, by the phase's name."""
    return {
        phase.name: policy.choose(
            one.asked, at=phase.since or _LONG_AGO, account_sid=one.account_sid, url=one.wire
        ).source
        for phase in policy.phases
    }


def reach(found: Iterable[Prospect]) -> Reach:
    """Return how many accounts, URLs and callbacks these are."""
    found = list(found)
    return Reach(
        accounts=len({one.account_sid for one in found}),
        urls=len({(one.account_sid, one.url) for one in found}),
        callbacks=sum(one.callbacks for one in found),
    )


def depending_on(source: SourceName, found: Iterable[Prospect]) -> list[Prospect]:
    """Return those that this source sends now."""
    return [one for one in found if one.now.source == source]


def changed_at(border: Border, policy: Policy, sent: Iterable[Sent]) -> list[Prospect]:
    """Return those that another source sends from this border on."""
    found = prospects(policy, sent, now=border.at - _JUST_BEFORE, then=border.at)
    return [one for one in found if one.changes]


def _configured(row: Sent) -> tuple[str, str, str]:
    return row.account_sid, row.url, row.asked or ""


def _prospect(
    policy: Policy, by_date: Policy, rows: Sequence[Sent], *, now: datetime, then: datetime
) -> Prospect:
    account_sid, url, _, asked, _ = rows[0]
    wire = _wire(url)

    def choose(at: datetime, by: Policy = policy) -> Choice:
        return by.choose(asked, at=at, account_sid=account_sid, url=wire)

    chosen_now = choose(now)
    chosen_then = chosen_now if then == now else choose(then)
    return Prospect(
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


def _why(choice: Choice, by_date: Choice) -> Why:
    if choice.source != by_date.source:
        return Why.HELD
    return Why.ASKED if choice.source == choice.asked else Why.DEFAULT
