"""The two callback infrastructures of the notice, and the dated policy that picks one.

The policy is data: phases in the order of their dates, and holds that keep one account or one URL
prefix in a phase of its own. `NOTICE` is the policy of KORE's notice.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from heapq import merge
from itertools import pairwise
from typing import Final, Self

from ringback.core.errors import ConfigurationError

SourceName = str
"""The name of a source in `#cbs=`: one of the two built in, or one that the settings add."""


class Source(StrEnum):
    """A callback infrastructure of the notice."""

    TWILIO = "twilio"
    KORE = "kore"


BOTH: Final[frozenset[SourceName]] = frozenset(Source)
_BUILT_IN: Final[Mapping[str, SourceName]] = {source.value: source for source in Source}
_ORIGIN: Final = re.compile(r"^[^:/?#]+://[^/?#]*")


def source_named(text: str) -> SourceName:
    """Return the name of a source: a member of `Source` for the two built in.

    >>> source_named("kore"), source_named("acme")
    (<Source.KORE: 'kore'>, 'acme')
    """
    return _BUILT_IN.get(text, text)


@dataclass(frozen=True, slots=True)
class Phase:
    """A period with one default source and one set of sources that a URL may ask for."""

    name: str
    since: datetime | None
    """The first instant of the phase, in UTC; None for the phase that has always been."""
    default: SourceName
    may_ask: frozenset[SourceName]
    """The sources that a URL may ask for; asking for another one has no effect."""


@dataclass(frozen=True, slots=True)
class PhaseHold:
    """Keeps some callbacks in a certain phase, whatever the date.

    Without an account it covers every account, without a prefix every URL; without `until` it never
    ends.
    """

    phase: str
    account_sid: str | None = None
    url_prefix: str | None = None
    until: datetime | None = None
    """The first instant, in UTC, at which it has ended."""

    @property
    def is_for_all(self) -> bool:
        """Whether it covers every callback."""
        return self.account_sid is None and self.url_prefix is None

    def has_ended(self, at: datetime) -> bool:
        """Whether it has ended at this instant."""
        return self.until is not None and self.until <= at

    def covers(self, account_sid: str, url: str) -> bool:
        """Whether a callback of this account to this URL is held, until the hold ends."""
        return self.account_sid in (None, account_sid) and begins_with(url, self.url_prefix or "")

    def __str__(self) -> str:
        """The URL prefix or account that is held, in words."""
        return self.url_prefix or self.account_sid or "every callback"


def begins_with(url: str, prefix: str) -> bool:
    """Whether a URL begins with a prefix; the letter case of its origin doesn't matter.

    >>> begins_with("https://a.example/p", "HTTPS://A.example")
    True
    >>> begins_with("https://a.example.evil.example/p", "https://a.example")
    False
    """
    url, prefix = _with_origin_in_lower_case(url), _with_origin_in_lower_case(prefix)
    ends_in_host = _ORIGIN.fullmatch(prefix) is not None
    goes_on = url[len(prefix) : len(prefix) + 1]
    return url.startswith(prefix) and not (ends_in_host and goes_on not in ("", "/", "?", ":"))


# Each callback is compared with the holds of its account, and there may be thousands of URLs.
@lru_cache(maxsize=4096)
def _with_origin_in_lower_case(text: str) -> str:
    return _ORIGIN.sub(lambda origin: origin[0].lower(), text)


@dataclass(frozen=True, slots=True)
class CallbackSourceSelection:
    """The source of one callback, and the reason for it."""

    source: SourceName
    asked: SourceName | None
    reason: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Which source sends a callback, by date, account and URL.

    The first hold in force that covers a callback decides its phase; without one, the date does.
    """

    phases: tuple[Phase, ...]
    holds: tuple[PhaseHold, ...] = ()
    ahead: timedelta = timedelta(0)
    """How far its calendar is ahead of the clock (`ringback dev --at`)."""
    _by_account: Mapping[str | None, Sequence[tuple[int, PhaseHold]]] = field(
        init=False, repr=False, compare=False
    )
    """The holds by account, with their places in `holds`.

    A policy may have thousands; a callback should be compared only with those of its account.
    """

    def __post_init__(self) -> None:
        """Refuse a policy with an undefined instant, source or hold."""
        _check_phases(self.phases)
        by_account = dict[str | None, list[tuple[int, PhaseHold]]]()
        for place, hold in enumerate(self.holds):
            self.check(hold)
            by_account.setdefault(hold.account_sid, []).append((place, hold))
        object.__setattr__(self, "_by_account", by_account)

    def check(self, hold: PhaseHold) -> None:
        """Raise ConfigurationError for a hold that this policy can't have."""
        names = [phase.name for phase in self.phases]
        if hold.phase not in names:
            known = ", ".join(names)
            raise ConfigurationError(
                f"policy: a hold names phase {hold.phase!r}; the phases are {known}"
            )
        if hold.until is not None and hold.until.utcoffset() is None:
            raise ConfigurationError(f"policy: the end of the hold of {hold} needs a time zone")

    @property
    def sources(self) -> tuple[SourceName, ...]:
        """The two built-in sources, and all others that some phase allows.

        >>> NOTICE.sources
        (<Source.TWILIO: 'twilio'>, <Source.KORE: 'kore'>)
        """
        named = set[SourceName]().union(*(phase.may_ask for phase in self.phases))
        return (*Source, *sorted(named - BOTH))

    def held_in(self, phase: str) -> Self:
        """Return this policy with every callback that no hold covers held in this phase."""
        return replace(self, holds=(*self.holds, PhaseHold(phase)))

    def date_at(self, now: datetime) -> datetime:
        """Return the instant in the policy's calendar, as all other methods expect it."""
        return now + self.ahead

    def phase_at(self, at: datetime) -> Phase:
        """Return the phase by the date alone, without holds.

        >>> NOTICE.phase_at(datetime(2024, 10, 15, 23, 59, tzinfo=UTC)).name
        'before'
        """
        begun = [phase for phase in self.phases if phase.since is None or phase.since <= at]
        return begun[-1]

    def choose(
        self, asked: SourceName | None, *, at: datetime, account_sid: str, url: str
    ) -> CallbackSourceSelection:
        """Pick the source of a callback that is created at `at`.

        >>> day = datetime(2024, 11, 2, tzinfo=UTC)
        >>> NOTICE.choose(Source.TWILIO, at=day, account_sid="AC1", url="http://a.example").reason
        'twilio ended 2024-11-02'
        """
        hold, ended = self._holds_of(at=at, account_sid=account_sid, url=url)
        choice = self._choose_in(self._phase_in(hold, at), hold, asked, at)
        for one in ended:
            if self._choose_in(self._named(one.phase), one, asked, at).source != choice.source:
                note = f"the hold of {one} in phase {one.phase} ended {one.until:%Y-%m-%d}"
                return replace(choice, reason=f"{choice.reason}; {note}")
        return choice

    def phase_of(
        self, *, at: datetime, account_sid: str, url: str
    ) -> tuple[PhaseHold | None, Phase]:
        """Return the phase of a callback, and the hold that keeps it there, where one does."""
        hold, _ = self._holds_of(at=at, account_sid=account_sid, url=url)
        return hold, self._phase_in(hold, at)

    def general_phase(self, at: datetime) -> Phase:
        """Return the phase of the callbacks that no hold of an account or a URL covers."""
        return self.phase_of(at=at, account_sid="", url="")[1]

    def _holds_of(
        self, *, at: datetime, account_sid: str, url: str
    ) -> tuple[PhaseHold | None, list[PhaseHold]]:
        """Return the hold in force, and the ended holds before it that covered the callback."""
        ended = list[PhaseHold]()
        found = (self._by_account.get(whose, ()) for whose in (account_sid, None))
        for _, hold in merge(*found):
            if hold.covers(account_sid, url):
                if not hold.has_ended(at):
                    return hold, ended
                ended.append(hold)
        return None, ended

    def _phase_in(self, hold: PhaseHold | None, at: datetime) -> Phase:
        return self.phase_at(at) if hold is None else self._named(hold.phase)

    def _named(self, name: str) -> Phase:
        return next(phase for phase in self.phases if phase.name == name)

    def _choose_in(
        self, phase: Phase, hold: PhaseHold | None, asked: SourceName | None, at: datetime
    ) -> CallbackSourceSelection:
        if asked is None:
            return CallbackSourceSelection(phase.default, None, _why_default(phase, hold))
        if asked in phase.may_ask:
            return CallbackSourceSelection(asked, asked, f"the URL asks for it: #cbs={asked}")
        return CallbackSourceSelection(phase.default, asked, self._why_not(asked, phase, hold, at))

    def _why_not(
        self, asked: SourceName, phase: Phase, hold: PhaseHold | None, at: datetime
    ) -> str:
        """Return when the source that was asked for ended, or why it is not available."""
        index = self.phases.index(phase)
        while index > 0 and asked not in self.phases[index - 1].may_ask:
            index -= 1
        ended = self.phases[index].since
        if ended is not None and ended <= at:
            return f"{asked} ended {ended:%Y-%m-%d}"
        held = "" if hold is None else f", in which {hold} is held"
        return f"{asked} is not to be had in phase {phase.name}{held}"


def _why_default(phase: Phase, hold: PhaseHold | None) -> str:
    default = f"{phase.default} is the default of phase {phase.name}"
    if hold is not None:
        return f"{default}, in which {hold} is held"
    return default if phase.since is None else f"{default}, since {phase.since:%Y-%m-%d}"


def _check_phases(phases: Sequence[Phase]) -> None:
    names = [phase.name for phase in phases]
    if not phases or phases[0].since is not None:
        raise ConfigurationError(
            "policy: the first phase must have no date, so that every instant has one"
        )
    for earlier, later in pairwise(phases):
        if later.since is None or (earlier.since is not None and later.since <= earlier.since):
            raise ConfigurationError(
                f"policy: phase {later.name!r} must begin after {earlier.name!r} does"
            )
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(
                f"policy: two phases are named {name!r}; each needs its own name"
            )
    for phase in phases:
        _check_phase(phase)


def _check_phase(phase: Phase) -> None:
    if phase.since is not None and phase.since.utcoffset() is None:
        raise ConfigurationError(f"policy: the date of phase {phase.name!r} needs a time zone")
    if phase.default not in phase.may_ask:
        raise ConfigurationError(
            f"policy: phase {phase.name!r} sends from {phase.default} by default,"
            f" so may_ask must have {phase.default} too"
        )


# The notice says "until" and "after" a date, so the named day itself still belongs to the earlier
# phase, and each phase begins with the day that follows.
NOTICE: Final = Policy(
    (
        Phase("before", None, Source.TWILIO, BOTH),
        Phase("between", datetime(2024, 10, 16, tzinfo=UTC), Source.KORE, BOTH),
        Phase("after", datetime(2024, 11, 2, tzinfo=UTC), Source.KORE, frozenset({Source.KORE})),
    )
)
