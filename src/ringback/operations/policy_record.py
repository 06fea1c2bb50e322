"""A policy as a record: what the portal answers, and what `ringback policy show` prints."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from ringback.core.borders import Border, HoldsEnd, borders, in_words, reminders
from ringback.core.source import Hold, Phase, Policy


def policy_record(
    policy: Policy,
    *,
    date: datetime,
    before: Sequence[timedelta],
    concerns: Callable[[Hold], bool] = lambda _: True,
) -> dict[str, Any]:
    """Return what there is to know of a policy at a date, with the holds that concern somebody.

    `before` says how long before a border there is a warning of it.
    """
    ahead = list(_concerning(borders(policy, after=date), concerns))
    near = (border for border, _ in reminders(policy, since=date, at=date, before=before))
    return {
        "date": date,
        "phase": policy.phase_of(at=date, account_sid="", url="")[1].name,
        "phases": [_phase_record(phase) for phase in policy.phases],
        "holds": [_hold_record(hold, date) for hold in policy.holds if concerns(hold)],
        "borders": [border_record(border, date) for border in ahead],
        "warnings": [in_words(border, date) for border in _concerning(near, concerns)],
    }


def _phase_record(phase: Phase) -> dict[str, Any]:
    return {
        "name": phase.name,
        "since": phase.since,
        "default": phase.default,
        "may_ask": sorted(phase.may_ask),
    }


def _hold_record(hold: Hold, date: datetime) -> dict[str, Any]:
    return {
        "phase": hold.phase,
        "account_sid": hold.account_sid,
        "url_prefix": hold.url_prefix,
        "until": hold.until,
        "has_ended": hold.has_ended(date),
    }


def border_record(border: Border, date: datetime) -> dict[str, Any]:
    """Return what there is to know of a border, as seen from this date."""
    return {
        "date": border.at,
        "change": border.change.label,
        "meaning": str(border.change),
        "seconds_left": (border.at - date).total_seconds(),
    }


def _concerning(found: Iterable[Border], concerns: Callable[[Hold], bool]) -> Iterator[Border]:
    """Yield borders, without the ends of holds that are none of one's business."""
    for border in found:
        change = border.change
        if isinstance(change, HoldsEnd):
            holds = tuple(filter(concerns, change.holds))
            if not holds:
                continue
            change = HoldsEnd(holds)
        yield Border(border.at, change)
