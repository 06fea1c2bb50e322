"""The borders ahead in a policy's calendar: what changes at which instant, and when to remind."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final, NamedTuple

from ringback.core.calendar import DAY, HOUR, iso
from ringback.core.source import Hold, Phase, Policy, SourceName

_JUST_BEFORE: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class DefaultMoves:
    """Another source sends what asks for none."""

    label: ClassVar[str] = "default_moves"
    old: SourceName
    new: SourceName

    def __str__(self) -> str:
        """What changes, in words."""
        return f"the default moves from {self.old} to {self.new}"


@dataclass(frozen=True, slots=True)
class SourceEnds:
    """A source can't be asked for any more."""

    label: ClassVar[str] = "source_ends"
    source: SourceName

    def __str__(self) -> str:
        """What changes, in words."""
        return f"{self.source} ends"


@dataclass(frozen=True, slots=True)
class SourceBegins:
    """A source can be asked for from now on."""

    label: ClassVar[str] = "source_begins"
    source: SourceName

    def __str__(self) -> str:
        """What changes, in words."""
        return f"{self.source} begins"


@dataclass(frozen=True, slots=True)
class HoldsEnd:
    """Some callbacks are held no longer."""

    label: ClassVar[str] = "holds_end"
    holds: tuple[Hold, ...]

    def __str__(self) -> str:
        """What changes, in words."""
        hold, *others = self.holds
        if others:
            return f"{len(self.holds)} holds end"
        return f"the hold of {hold} in phase {hold.phase} ends"


Change = DefaultMoves | SourceEnds | SourceBegins | HoldsEnd
CHANGES: Final = (DefaultMoves, SourceEnds, SourceBegins, HoldsEnd)


class Border(NamedTuple):
    """An instant from which on a policy does something else."""

    at: datetime
    change: Change


class Reminder(NamedTuple):
    """A border that is near enough to be told of."""

    border: Border
    within: timedelta
    """The narrowest of the times before a border within which it lies; zero once it is there."""


def borders(policy: Policy, *, after: datetime) -> list[Border]:
    """Return the borders that come after this instant, in their order.

    >>> from datetime import UTC
    >>> from ringback.core.source import NOTICE
    >>> [str(change) for _, change in borders(NOTICE, after=datetime.fromtimestamp(0, UTC))]
    ['the default moves from twilio to kore', 'twilio ends']
    """
    general = _without_holds_of_some(policy)
    instants = {phase.since for phase in policy.phases} | {hold.until for hold in general.holds}
    found = [
        Border(at, change)
        for at in sorted(at for at in instants if at is not None and at > after)
        for change in _changes(general, at)
    ]
    found += (
        Border(at, HoldsEnd(tuple(holds)))
        for at, holds in _ends_of_holds(policy).items()
        if at > after
    )
    return sorted(found, key=lambda border: border.at)


def is_settled(policy: Policy, *, at: datetime) -> bool:
    """Whether no border comes after this instant, and no hold is in force.

    From then on all depends on what a URL asks for, and nobody on a date or a hold.

    >>> from datetime import UTC
    >>> from ringback.core.source import NOTICE
    >>> is_settled(NOTICE, at=datetime(2024, 11, 2, tzinfo=UTC))
    True
    """
    return all(hold.has_ended(at) for hold in policy.holds) and not borders(policy, after=at)


def sources_that_end(policy: Policy, *, at: datetime) -> list[SourceName]:
    """Return the sources that have ended by this instant or will end, sorted by name.

    Holds may keep callbacks with a source that has ended.
    """
    begun = (phase for phase in policy.phases if phase.since is None or phase.since <= at)
    ended = {source for phase in begun for source in phase.may_ask} - _general(policy, at).may_ask
    ahead = {
        border.change.source
        for border in borders(policy, after=at)
        if isinstance(border.change, SourceEnds)
    }
    return sorted(ended | ahead)


def reminders(
    policy: Policy, *, since: datetime, at: datetime, before: Sequence[timedelta]
) -> list[Reminder]:
    """Return the borders that are near at an instant, and those that were reached since another.

    `before` says how long before a border it is near.
    """
    found = list[Reminder]()
    for border in borders(policy, after=since):
        left = max(border.at - at, timedelta(0))
        within = [time for time in (timedelta(0), *before) if left <= time]
        if within:
            found.append(Reminder(border, min(within)))
    return found


def next_reminder(
    policy: Policy, *, after: datetime, before: Sequence[timedelta]
) -> datetime | None:
    """Return the first instant after this one at which there is another reminder; None for none."""
    instants = [
        border.at - time
        for border in borders(policy, after=after)
        for time in (timedelta(0), *before)
    ]
    return min((instant for instant in instants if instant > after), default=None)


def in_words(border: Border, date: datetime) -> str:
    """Return what changes at a border, and when that is, as seen from this date.

    >>> in_words(Border(datetime(2024, 11, 2), SourceEnds("twilio")), datetime(2024, 11, 1))
    'twilio ends at 2024-11-02T00:00:00Z, in 1 day'
    """
    left = border.at - date
    if left <= timedelta(0):
        return f"{border.change} now, at {iso(border.at)}"
    count, unit = (left // HOUR, "hour") if left < DAY else (left // DAY, "day")
    span = f"in {count} {unit}{'' if count == 1 else 's'}" if count else "within the hour"
    return f"{border.change} at {iso(border.at)}, {span}"


def _changes(general: Policy, at: datetime) -> Iterator[Change]:
    old, new = _general(general, at - _JUST_BEFORE), _general(general, at)
    if old.default != new.default:
        yield DefaultMoves(old.default, new.default)
    yield from map(SourceEnds, sorted(old.may_ask - new.may_ask))
    yield from map(SourceBegins, sorted(new.may_ask - old.may_ask))


def _ends_of_holds(policy: Policy) -> dict[datetime, list[Hold]]:
    """Return the holds that end, but those of all: what the end of one of them changes is said."""
    ends = dict[datetime, list[Hold]]()
    for_all = list[Hold]()
    for hold in policy.holds:
        if _is_for_all(hold):
            for_all.append(hold)
        # A hold of all goes before all that follow.
        elif hold.until is not None and all(
            one.has_ended(hold.until - _JUST_BEFORE) for one in for_all
        ):
            ends.setdefault(hold.until, []).append(hold)
    return ends


def _without_holds_of_some(policy: Policy) -> Policy:
    return Policy(policy.phases, tuple(hold for hold in policy.holds if _is_for_all(hold)))


def _general(policy: Policy, at: datetime) -> Phase:
    """Return the phase of the callbacks that no hold of an account or a URL covers."""
    return policy.phase_of(at=at, account_sid="", url="")[1]


def _is_for_all(hold: Hold) -> bool:
    return hold.account_sid is None and hold.url_prefix is None
