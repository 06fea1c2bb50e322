"""The changes that a policy makes on its dates, and reminders of these changes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar, Final, NamedTuple

from ringback.core.calendar import ALWAYS, DAY, HOUR, INSTANT, iso
from ringback.core.counted import counted
from ringback.core.policy.source_policy import PhaseHold, Policy, SourceName


@dataclass(frozen=True, slots=True)
class DefaultSourceChange:
    """A policy change: another source becomes the default for URLs that ask for none."""

    label: ClassVar[str] = "default_moves"
    old: SourceName
    new: SourceName

    def __str__(self) -> str:
        """Return a phrase like `the default moves from twilio to kore`."""
        return f"the default moves from {self.old} to {self.new}"


@dataclass(frozen=True, slots=True)
class SourceRetiredChange:
    """A policy change: a source ends, so that URLs can no longer ask for it."""

    label: ClassVar[str] = "source_ends"
    source: SourceName

    def __str__(self) -> str:
        """Return a phrase like `twilio ends`."""
        return f"{self.source} ends"


@dataclass(frozen=True, slots=True)
class SourceAddedChange:
    """A policy change: a source begins, so that URLs can now ask for it."""

    label: ClassVar[str] = "source_begins"
    source: SourceName

    def __str__(self) -> str:
        """Return a phrase like `kore begins`."""
        return f"{self.source} begins"


@dataclass(frozen=True, slots=True)
class PhaseHoldsEndedChange:
    """A policy change: one or more holds end at the same time."""

    label: ClassVar[str] = "holds_end"
    holds: tuple[PhaseHold, ...]

    def __str__(self) -> str:
        """Return a phrase like `3 holds end`, or with a single hold's account or URL and phase."""
        hold, *others = self.holds
        if others:
            return f"{len(self.holds)} holds end"
        return f"the hold of {hold} in phase {hold.phase!r} ends"


PolicyChangeKind = (
    DefaultSourceChange | SourceRetiredChange | SourceAddedChange | PhaseHoldsEndedChange
)
POLICY_CHANGE_KINDS: Final = (
    DefaultSourceChange,
    SourceRetiredChange,
    SourceAddedChange,
    PhaseHoldsEndedChange,
)


class PolicyChange(NamedTuple):
    """A change that a policy makes on a date, and the first instant at which it has effect."""

    at: datetime
    kind: PolicyChangeKind


class UpcomingPolicyChange(NamedTuple):
    """A policy change that is near enough for a reminder, or has just taken effect."""

    change: PolicyChange
    within: timedelta
    """How long before the change the latest reminder was due; zero once the change has begun."""


def policy_changes(policy: Policy, *, after: datetime) -> list[PolicyChange]:
    """Return the policy's changes after this instant, in order of time.

    >>> from datetime import UTC
    >>> from ringback.core.policy.source_policy import NOTICE
    >>> [str(kind) for _, kind in policy_changes(NOTICE, after=datetime.fromtimestamp(0, UTC))]
    ['the default moves from twilio to kore', 'twilio ends']
    """
    general = _without_holds_of_some(policy)
    instants = {phase.since for phase in policy.phases} | {hold.until for hold in general.holds}
    found = [
        PolicyChange(at, kind)
        for at in sorted(at for at in instants if at is not None and at > after)
        for kind in _general_changes(general, at)
    ]
    found += (
        PolicyChange(at, PhaseHoldsEndedChange(tuple(holds)))
        for at, holds in _ends_of_holds(policy).items()
        if at > after
    )
    return sorted(found, key=lambda change: change.at)


def is_settled(policy: Policy, *, at: datetime) -> bool:
    """Return True if the policy has no change after this instant and no hold in force.

    From then on the source depends only on the callback's URL, not on a date or a hold.

    >>> from datetime import UTC
    >>> from ringback.core.policy.source_policy import NOTICE
    >>> is_settled(NOTICE, at=datetime(2024, 11, 2, tzinfo=UTC))
    True
    """
    return all(hold.has_ended(at) for hold in policy.holds) and not policy_changes(policy, after=at)


def sources_that_end(policy: Policy, *, at: datetime) -> list[SourceName]:
    """Return the sources that have ended by this instant or will end later, sorted by name.

    A hold may still keep callbacks at a source that has ended.
    """
    begun = (phase for phase in policy.phases if phase.since is None or phase.since <= at)
    ended = {source for phase in begun for source in phase.may_ask} - policy.general_phase(
        at
    ).may_ask
    ahead = {
        change.kind.source
        for change in policy_changes(policy, after=at)
        if isinstance(change.kind, SourceRetiredChange)
    }
    return sorted(ended | ahead)


def ends_of_sources(policy: Policy, *, at: datetime) -> dict[SourceName, datetime | None]:
    """Return when each of `sources_that_end` ends, or else when it ended last.

    None means that no date ends the source: a hold for every callback always kept another phase.

    >>> from datetime import UTC
    >>> from ringback.core.policy.source_policy import NOTICE
    >>> ends_of_sources(NOTICE, at=datetime(2024, 1, 1, tzinfo=UTC))["twilio"].isoformat()
    '2024-11-02T00:00:00+00:00'
    """
    ends: dict[SourceName, datetime | None] = dict.fromkeys(sources_that_end(policy, at=at))
    for change in policy_changes(policy, after=ALWAYS[0]):
        if isinstance(change.kind, SourceRetiredChange) and change.kind.source in ends:
            end = ends[change.kind.source]
            # The first end that is ahead counts; without one, the last that is past.
            if end is None or end <= at:
                ends[change.kind.source] = change.at
    return ends


def reminders(
    policy: Policy, *, since: datetime, at: datetime, before: Sequence[timedelta]
) -> list[UpcomingPolicyChange]:
    """Return the policy changes after `since` of which a reminder is due by `at`.

    `before` lists how long before a change each of its reminders is due. The last reminder is due
    at the change itself.
    """
    found = list[UpcomingPolicyChange]()
    for change in policy_changes(policy, after=since):
        left = max(change.at - at, timedelta(0))
        within = [time for time in (timedelta(0), *before) if left <= time]
        if within:
            found.append(UpcomingPolicyChange(change, min(within)))
    return found


def next_reminder(
    policy: Policy, *, after: datetime, before: Sequence[timedelta]
) -> datetime | None:
    """Return when the next reminder of a policy change is due after this instant, or None.

    `before` is as in `reminders`.
    """
    instants = [
        change.at - time
        for change in policy_changes(policy, after=after)
        for time in (timedelta(0), *before)
    ]
    return min((instant for instant in instants if instant > after), default=None)


def in_words(change: PolicyChange, date: datetime) -> str:
    """Return a phrase with a policy change, its date, and the time left from `date` until then.

    >>> ends = PolicyChange(datetime(2024, 11, 2), SourceRetiredChange("twilio"))
    >>> in_words(ends, datetime(2024, 11, 1))
    'twilio ends at 2024-11-02T00:00:00Z, in 1 day'
    """
    left = change.at - date
    if left <= timedelta(0):
        return f"{change.kind} now, at {iso(change.at)}"
    count, unit = (left // HOUR, "hour") if left < DAY else (left // DAY, "day")
    span = f"in {counted(count, unit)}" if count else "within the hour"
    return f"{change.kind} at {iso(change.at)}, {span}"


def as_if_by_date(policy: Policy, phase: str, date: datetime) -> tuple[Policy, datetime]:
    """Return the policy and the date of a server that stays in a phase, as if it came by its date.

    So the dates of the policy can still be looked at. `date` is the server's. The date is in the
    phase: this one, or the phase's first, or its last. Holds that have ended are left out.
    """
    lasting = tuple(hold for hold in policy.holds if not hold.has_ended(date))
    policy = replace(policy, holds=lasting)
    if policy.phase_at(date).name == phase:
        return policy, date
    phases = iter(policy.phases)
    since = next(each.since for each in phases if each.name == phase)
    until = next((each.since for each in phases), None)
    return policy, since or (date if until is None else until - timedelta(seconds=1))


def _general_changes(general: Policy, at: datetime) -> Iterator[PolicyChangeKind]:
    old, new = general.general_phase(at - INSTANT), general.general_phase(at)
    if old.default != new.default:
        yield DefaultSourceChange(old.default, new.default)
    yield from map(SourceRetiredChange, sorted(old.may_ask - new.may_ask))
    yield from map(SourceAddedChange, sorted(new.may_ask - old.may_ask))


def _ends_of_holds(policy: Policy) -> dict[datetime, list[PhaseHold]]:
    """Return the holds that cover only one account or some URLs, by the time at which they end.

    Holds that cover every callback are left out: when one ends, `policy_changes` reports a change
    of the default source or of the sources that URLs may ask for.
    """
    ends = dict[datetime, list[PhaseHold]]()
    for_all = list[PhaseHold]()
    for hold in policy.holds:
        if hold.is_for_all:
            for_all.append(hold)
        # While a hold of every callback lasts, the ends of later holds in the list change nothing.
        elif hold.until is not None and all(one.has_ended(hold.until - INSTANT) for one in for_all):
            ends.setdefault(hold.until, []).append(hold)
    return ends


def _without_holds_of_some(policy: Policy) -> Policy:
    return Policy(policy.phases, tuple(hold for hold in policy.holds if hold.is_for_all))
