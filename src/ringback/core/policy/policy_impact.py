"""Says which URLs a policy or a change of it affects: each URL's source now and at another date."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
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
from ringback.core.policy.urls_in_use import UrlInUse, UrlUse

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


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

    used: UrlInUse
    would_move: int
    """The number of its recent callbacks that another source would send at the other date."""
    now: CallbackSourceSelection
    then: CallbackSourceSelection
    why: SelectionReason
    """The reason why the current source sends to the URL."""
    hold: PhaseHold | None
    """The hold that covers the URL now; None if there is none."""

    @property
    def changes(self) -> bool:
        """True if the URL's source at the other date is different from its source now."""
        return self.now.source != self.then.source


def forecast_urls(
    policy: Policy, used: Iterable[UrlInUse], *, now: datetime, then: datetime
) -> list[UrlForecast]:
    """Return a forecast for each URL at `now` and `then`, in the same order.

    Earlier forms of stored URLs are left out: they are not in use any more.
    """
    by_date = Policy(policy.phases)
    return [
        _forecast(policy, by_date, one, now=now, then=then)
        for one in used
        if one.use is not UrlUse.FORMER
    ]


def source_by_phase(policy: Policy, one: UrlInUse) -> dict[str, SourceName]:
    """Return the source that sends to a URL at the start of each phase, by the phase's name."""
    return {phase.name: source_at(policy, one, phase.since or _LONG_AGO) for phase in policy.phases}


def impact_of(used: Iterable[UrlInUse]) -> PolicyImpact:
    """Return the numbers of accounts, URLs and callbacks of these URLs."""
    used = list(used)
    return PolicyImpact(
        accounts=len({one.account_sid for one in used}),
        urls=len({(one.account_sid, one.url) for one in used}),
        callbacks=sum(one.callbacks for one in used),
    )


def depending_on(source: SourceName, found: Iterable[UrlForecast]) -> list[UrlInUse]:
    """Return those URLs whose callbacks this source sends now."""
    return [one.used for one in found if one.now.source == source]


def changed_at(change: PolicyChange, policy: Policy, used: Iterable[UrlInUse]) -> list[UrlInUse]:
    """Return the URLs that get another source through this policy change."""
    before, since = change.at - INSTANT, change.at
    return [
        one
        for one in used
        if one.use is not UrlUse.FORMER
        and source_at(policy, one, before) != source_at(policy, one, since)
    ]


def source_at(policy: Policy, one: UrlInUse, at: datetime) -> SourceName:
    """Return the source that sends to a URL at an instant."""
    return policy.choose(one.asked, at=at, account_sid=one.account_sid, url=one.wire).source


def _forecast(
    policy: Policy, by_date: Policy, one: UrlInUse, *, now: datetime, then: datetime
) -> UrlForecast:
    account_sid, wire = one.account_sid, one.wire

    def choose(at: datetime, by: Policy = policy) -> CallbackSourceSelection:
        return by.choose(one.asked, at=at, account_sid=account_sid, url=wire)

    chosen_now = choose(now)
    chosen_then = chosen_now if then == now else choose(then)
    return UrlForecast(
        used=one,
        would_move=one.callbacks - one.sent.get(chosen_then.source, 0),
        now=chosen_now,
        then=chosen_then,
        why=_why(chosen_now, choose(now, by_date)),
        hold=policy.phase_of(at=now, account_sid=account_sid, url=wire)[0],
    )


def _why(choice: CallbackSourceSelection, by_date: CallbackSourceSelection) -> SelectionReason:
    if choice.source != by_date.source:
        return SelectionReason.HELD
    return SelectionReason.ASKED if choice.source == choice.asked else SelectionReason.DEFAULT


# ---- groups --------------------------------------------------------------------------------------


class UrlGrouping(StrEnum):
    """What URLs can be grouped by."""

    REASON = "reason"
    """The source that sends now, and the policy's reason for it."""
    ACCOUNT = "account"
    HOST = "host"
    """The host and port in the URL."""


class UrlGroup(NamedTuple):
    """The numbers of URLs of one group, and of their recent callbacks."""

    name: str
    urls: int
    depending: int
    """The number of these URLs whose source now is one that ends, or has ended."""
    changing: int
    """The number of these URLs that another source sends to at the other date."""
    callbacks: int


def grouped(
    found: Iterable[UrlForecast], by: UrlGrouping, *, ending: Collection[SourceName]
) -> list[UrlGroup]:
    """Return the groups of these URLs, those first that depend most on the sources in `ending`.

    The name of a group is a reason like `kore: the URL asks for it: #cbs=kore`, an account's SID,
    or a host.
    """
    groups = dict[str, UrlGroup]()
    for one in found:
        name = GROUP_NAMES[by](one.used.account_sid, one.used.url, one.now)
        _, urls, depending, changing, callbacks = groups.get(name, UrlGroup(name, 0, 0, 0, 0))
        groups[name] = UrlGroup(
            name,
            urls + 1,
            depending + (one.now.source in ending),
            changing + one.changes,
            callbacks + one.used.callbacks,
        )
    return sorted(
        groups.values(),
        key=lambda one: (-one.depending, -one.changing, -one.urls, -one.callbacks, one.name),
    )


def host_of(url: str) -> str:
    """Return the host and port in a URL without credentials, as it writes them.

    >>> host_of("https://A.example:8443/p?x=1")
    'a.example:8443'
    """
    return re.split("[/?#]", url.partition("://")[2], maxsplit=1)[0].lower()


GROUP_NAMES: Final[Mapping[UrlGrouping, Callable[[str, str, CallbackSourceSelection], str]]] = {
    UrlGrouping.REASON: lambda _account, _url, choice: f"{choice.source}: {choice.reason}",
    UrlGrouping.ACCOUNT: lambda account_sid, _url, _choice: account_sid,
    UrlGrouping.HOST: lambda _account, url, _choice: host_of(url),
}
"""Returns the name of the group of an account's URL with this source now."""
