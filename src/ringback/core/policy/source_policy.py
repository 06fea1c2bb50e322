"""The policy that picks the source of each callback by date, account and URL.

A policy consists of phases, one after the other, and of holds. A hold keeps an account or a URL
prefix in a certain phase. `NOTICE` is the policy with the dates of KORE's migration notice.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from heapq import merge
from itertools import pairwise
from typing import Final, Self

from ringback.core.errors import ConfigurationError

SourceName = str
"""The name of a source, as in a URL's `#cbs=`: built in, or defined in the settings."""


class Source(StrEnum):
    """The two built-in sources: the callback infrastructures of KORE's migration notice."""

    TWILIO = "twilio"
    KORE = "kore"


BOTH: Final[frozenset[SourceName]] = frozenset(Source)
_BUILT_IN: Final[Mapping[str, SourceName]] = {source.value: source for source in Source}
_MOST_REMEMBERED: Final = 4096
_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_ORIGIN: Final = re.compile(r"^[^:/?#]+://[^/?#]*")


def source_named(text: str) -> SourceName:
    """Return a source's name, as a member of `Source` if it is one of the two built in.

    >>> source_named("kore"), source_named("acme")
    (<Source.KORE: 'kore'>, 'acme')
    """
    return _BUILT_IN.get(text, text)


@dataclass(frozen=True, slots=True)
class Phase:
    """A period with one default source and one set of sources that a URL may ask for."""

    name: str
    since: datetime | None
    """The first instant of the phase, in UTC; None for the first phase, which has no beginning."""
    default: SourceName
    may_ask: frozenset[SourceName]
    """The sources that a URL may ask for; asking for another one has no effect."""


@dataclass(frozen=True, slots=True)
class PhaseHold:
    """A rule of a policy that keeps some callbacks in a certain phase, whatever the date.

    If `account_sid` is None, the hold covers every account; if `url_prefix` is None, every URL. If
    `until` is None, the hold never ends.
    """

    phase: str
    account_sid: str | None = None
    url_prefix: str | None = None
    until: datetime | None = None
    """When the hold ends, in UTC: the first instant at which it is no longer in force."""

    @property
    def is_for_all(self) -> bool:
        """True if the hold covers every callback."""
        return self.account_sid is None and self.url_prefix is None

    def has_ended(self, at: datetime) -> bool:
        """Return True if the hold has ended by this instant."""
        return self.until is not None and self.until <= at

    def covers(self, account_sid: str, url: str) -> bool:
        """Return True if the hold applies to callbacks of this account to this URL."""
        return self.account_sid in (None, account_sid) and begins_with(url, self.url_prefix or "")

    def __str__(self) -> str:
        """Return the URL prefix or the account that is held, or `every callback`."""
        return self.url_prefix or self.account_sid or "every callback"


def begins_with(url: str, prefix: str) -> bool:
    """Return True if a URL begins with a prefix; letter case matters only after the origin.

    >>> begins_with("https://a.example/p", "HTTPS://A.example")
    True
    >>> begins_with("https://a.example.evil.example/p", "https://a.example")
    False
    """
    url, prefix = _with_origin_in_lower_case(url), _with_origin_in_lower_case(prefix)
    ends_in_host = _ORIGIN.fullmatch(prefix) is not None
    goes_on = url[len(prefix) : len(prefix) + 1]
    return url.startswith(prefix) and not (ends_in_host and goes_on not in ("", "/", "?", ":"))


# Each callback is compared with the holds of its account, which may have thousands of URLs.
@lru_cache(maxsize=4096)
def _with_origin_in_lower_case(text: str) -> str:
    return _ORIGIN.sub(lambda origin: origin[0].lower(), text)


@dataclass(frozen=True, slots=True)
class CallbackSourceSelection:
    """The source chosen for one callback, the source its URL asked for, and the reason."""

    source: SourceName
    asked: SourceName | None
    reason: str


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules that choose the source of each callback by date, account and URL.

    The first hold in force that covers a callback decides the callback's phase. If there is no such
    hold, the date decides.
    """

    phases: tuple[Phase, ...]
    holds: tuple[PhaseHold, ...] = ()
    ahead: timedelta = timedelta(0)
    """How far the policy's calendar is ahead of the clock (`ringback dev --at`)."""
    _by_account: Mapping[str | None, Sequence[tuple[int, PhaseHold]]] = field(
        init=False, repr=False, compare=False
    )
    """The holds by account, with their positions in `holds`.

    A policy may have thousands of holds, so a callback is compared only with those of its account
    and those of all accounts.
    """
    _instants: Sequence[datetime] = field(init=False, repr=False, compare=False)
    """The instants at which phases begin or holds end, in order; between two, nothing changes."""
    _remembered: Callable[[SourceName | None, int, str, str], CallbackSourceSelection] = field(
        init=False, repr=False, compare=False
    )
    """Like `choose`, but with the number of `_instants` that have passed; remembers its results."""

    def __post_init__(self) -> None:
        """Raise ConfigurationError if a phase or a hold is not valid."""
        _check_phases(self.phases)
        by_account = dict[str | None, list[tuple[int, PhaseHold]]]()
        for place, hold in enumerate(self.holds):
            self.check(hold)
            by_account.setdefault(hold.account_sid, []).append((place, hold))
        instants = {phase.since for phase in self.phases} | {hold.until for hold in self.holds}
        object.__setattr__(self, "_by_account", by_account)
        object.__setattr__(self, "_instants", sorted(filter(None, instants)))
        object.__setattr__(self, "_remembered", lru_cache(_MOST_REMEMBERED)(self._choose))

    def check(self, hold: PhaseHold) -> None:
        """Raise ConfigurationError if a hold's phase is unknown, or its end has no time zone."""
        names = [phase.name for phase in self.phases]
        if hold.phase not in names:
            known = ", ".join(names)
            raise ConfigurationError(
                f"policy: a hold names the unknown phase {hold.phase!r}; the phases are {known}"
            )
        if hold.until is not None and hold.until.utcoffset() is None:
            raise ConfigurationError(
                f"policy: the end of the hold of {hold} has no time zone; append Z for UTC"
            )

    @property
    def sources(self) -> tuple[SourceName, ...]:
        """The names of the two built-in sources, and of all others that some phase allows.

        >>> NOTICE.sources
        (<Source.TWILIO: 'twilio'>, <Source.KORE: 'kore'>)
        """
        named = set[SourceName]().union(*(phase.may_ask for phase in self.phases))
        return (*Source, *sorted(named - BOTH))

    def held_in(self, phase: str) -> Self:
        """Return this policy with a further hold, for all callbacks that no earlier hold covers.

        The hold keeps them in the phase with this name.
        """
        return replace(self, holds=(*self.holds, PhaseHold(phase)))

    def with_phase_since(self, name: str, since: datetime) -> Self:
        """Return this policy with another beginning of the phase with this name.

        Raises ConfigurationError if there is no such phase, or if the phases would not be in the
        order of their dates any more.
        """
        names = [phase.name for phase in self.phases]
        if name not in names:
            known = ", ".join(names)
            raise ConfigurationError(f"there is no phase {name!r}; the phases are {known}")
        phases = list(self.phases)
        index = names.index(name)
        phases[index] = replace(phases[index], since=since)
        return replace(self, phases=tuple(phases))

    def hold_of(self, account_sid: str | None, url_prefix: str | None) -> PhaseHold | None:
        """Return the hold of exactly this account and URL prefix, or None if there is none."""
        index = self._index_of(account_sid, url_prefix)
        return None if index is None else self.holds[index]

    def with_hold(self, hold: PhaseHold) -> Self:
        """Return this policy with a hold, which replaces any hold of its account and URL prefix.

        The first hold that covers a callback decides, so a new hold is placed before any hold that
        covers all of its callbacks. Raises ConfigurationError if the hold's phase doesn't exist.
        """
        holds = list(self.holds)
        if (index := self._index_of(hold.account_sid, hold.url_prefix)) is not None:
            holds[index] = hold
        else:
            covered = (hold.account_sid or "", hold.url_prefix or "")
            index = next((i for i, one in enumerate(holds) if one.covers(*covered)), len(holds))
            holds.insert(index, hold)
        return replace(self, holds=tuple(holds))

    def without_hold(self, account_sid: str | None, url_prefix: str | None) -> Self:
        """Return this policy without the hold of exactly this account and URL prefix.

        Raises ConfigurationError if there is no such hold.
        """
        index = self._index_of(account_sid, url_prefix)
        if index is None:
            whose = " and ".join(filter(None, (account_sid, url_prefix))) or "every callback"
            raise ConfigurationError(
                f"there is no hold of {whose}; `ringback policy show` lists all holds"
            )
        return replace(self, holds=self.holds[:index] + self.holds[index + 1 :])

    def _index_of(self, account_sid: str | None, url_prefix: str | None) -> int | None:
        whose = [(hold.account_sid, hold.url_prefix) for hold in self.holds]
        covered = (account_sid, url_prefix)
        return whose.index(covered) if covered in whose else None

    def date_at(self, now: datetime) -> datetime:
        """Return the time in the policy's calendar: `now`, moved forward by `ahead`."""
        return now + self.ahead

    def phase_at(self, at: datetime) -> Phase:
        """Return the phase at an instant, decided only by the date, without holds.

        >>> NOTICE.phase_at(datetime(2024, 10, 15, 23, 59, tzinfo=UTC)).name
        'before'
        """
        begun = [phase for phase in self.phases if phase.since is None or phase.since <= at]
        return begun[-1]

    def instants_after(self, at: datetime) -> Sequence[datetime]:
        """Return the later instants at which phases begin or holds end, in order.

        >>> [f"{each:%m-%d}" for each in NOTICE.instants_after(datetime(2024, 10, 15, tzinfo=UTC))]
        ['10-16', '11-02']
        """
        return self._instants[bisect_right(self._instants, at) :]

    def choose(
        self, asked: SourceName | None, *, at: datetime, account_sid: str, url: str
    ) -> CallbackSourceSelection:
        """Choose the source of a callback that is created at `at`, and give the reason.

        >>> day = datetime(2024, 11, 2, tzinfo=UTC)
        >>> NOTICE.choose(Source.TWILIO, at=day, account_sid="AC1", url="http://a.example").reason
        'the URL asks for twilio, but twilio ended on 2024-11-02'
        """
        return self._remembered(asked, bisect_right(self._instants, at), account_sid, url)

    def _choose(
        self, asked: SourceName | None, passed: int, account_sid: str, url: str
    ) -> CallbackSourceSelection:
        at = self._instants[passed - 1] if passed else _FIRST
        hold, ended = self._holds_of(at=at, account_sid=account_sid, url=url)
        choice = self._choose_in(self._phase_in(hold, at), hold, asked, at)
        for one in ended:
            if self._choose_in(self._named(one.phase), one, asked, at).source != choice.source:
                note = f"the hold of {one} in phase `{one.phase}` ended on {one.until:%Y-%m-%d}"
                return replace(choice, reason=f"{choice.reason}; {note}")
        return choice

    def phase_of(
        self, *, at: datetime, account_sid: str, url: str
    ) -> tuple[PhaseHold | None, Phase]:
        """Return the hold in force for a callback or None, and the phase that picks its source."""
        hold, _ = self._holds_of(at=at, account_sid=account_sid, url=url)
        return hold, self._phase_in(hold, at)

    def general_phase(self, at: datetime) -> Phase:
        """Return the phase at an instant, decided by the date and by holds for every callback."""
        return self.phase_of(at=at, account_sid="", url="")[1]

    def _holds_of(
        self, *, at: datetime, account_sid: str, url: str
    ) -> tuple[PhaseHold | None, list[PhaseHold]]:
        """Return a callback's first hold in force or None, and the ended holds before it."""
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
        """Return the reason why a URL does not get the source that it asks for."""
        index = self.phases.index(phase)
        while index > 0 and asked not in self.phases[index - 1].may_ask:
            index -= 1
        ended = self.phases[index].since
        if ended is not None and ended <= at:
            return f"the URL asks for {asked}, but {asked} ended on {ended:%Y-%m-%d}"
        return f"the URL asks for {asked}, which is not available in {_phase_in_words(phase, hold)}"


def _why_default(phase: Phase, hold: PhaseHold | None) -> str:
    default = f"the default in {_phase_in_words(phase, hold)}"
    if hold is not None or phase.since is None:
        return default
    return f"{default}, since {phase.since:%Y-%m-%d}"


def _phase_in_words(phase: Phase, hold: PhaseHold | None) -> str:
    if hold is not None and not hold.is_for_all:
        until = "" if hold.until is None else f" (until {hold.until:%Y-%m-%d})"
        return f"phase `{phase.name}`, in which a hold keeps {_held(hold)}{until}"
    if hold is not None or phase.since is None:
        return f"the current phase, `{phase.name}`"
    return f"phase `{phase.name}`"


def _held(hold: PhaseHold) -> str:
    if hold.url_prefix is None:
        return "this account"
    whose = "" if hold.account_sid is None else "this account's "
    return f"{whose}URLs that begin with {hold.url_prefix}"


def _check_phases(phases: Sequence[Phase]) -> None:
    names = [phase.name for phase in phases]
    if not phases or phases[0].since is not None:
        raise ConfigurationError(
            "policy: the first phase must have no date, so that every instant has a phase"
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
        raise ConfigurationError(
            f"policy: the date of phase {phase.name!r} has no time zone; append Z for UTC"
        )
    if phase.default not in phase.may_ask:
        raise ConfigurationError(
            f"policy: phase {phase.name!r} sends from {phase.default} by default, so may_ask"
            f" must contain {phase.default} too"
        )


# The notice says "until" and "after" a date, so that day itself still belongs to the earlier phase,
# and each phase begins on the following day.
NOTICE: Final = Policy(
    (
        Phase("before", None, Source.TWILIO, BOTH),
        Phase("between", datetime(2024, 10, 16, tzinfo=UTC), Source.KORE, BOTH),
        Phase("after", datetime(2024, 11, 2, tzinfo=UTC), Source.KORE, frozenset({Source.KORE})),
    )
)
