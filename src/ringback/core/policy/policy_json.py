"""Converts a policy to values for JSON, for the portal and for `ringback policy show`, and back."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ringback.core.policy.dated_changes import (
    PhaseHoldsEndedChange,
    PolicyChange,
    in_words,
    policy_changes,
    reminders,
)
from ringback.core.policy.source_policy import Phase, PhaseHold, Policy, source_named


def policy_record(
    policy: Policy,
    *,
    date: datetime,
    before: Sequence[timedelta],
    concerns: Callable[[PhaseHold], bool] = lambda _: True,
) -> dict[str, Any]:
    """Return a policy as JSON fields, as seen on this date.

    Holds for which `concerns` returns False are left out. `before` lists how long before a change
    there is a warning about it.
    """
    ahead = list(_concerning(policy_changes(policy, after=date), concerns))
    near = (change for change, _ in reminders(policy, since=date, at=date, before=before))
    return {
        "date": date,
        "phase": policy.general_phase(date).name,
        "phases": [_phase_record(phase) for phase in policy.phases],
        "holds": [_hold_record(hold, date) for hold in policy.holds if concerns(hold)],
        "borders": [change_record(change, date) for change in ahead],
        "warnings": [in_words(change, date) for change in _concerning(near, concerns)],
    }


def read_policy_record(record: Mapping[str, Any]) -> tuple[Policy, datetime]:
    """Return the policy and the date in a record of `policy_record` that was read from JSON.

    The policy has only the holds that the record shows.
    """
    phases = (
        Phase(
            phase["name"],
            _instant(phase["since"]),
            source_named(phase["default"]),
            frozenset(map(source_named, phase["may_ask"])),
        )
        for phase in record["phases"]
    )
    holds = (
        PhaseHold(hold["phase"], hold["account_sid"], hold["url_prefix"], _instant(hold["until"]))
        for hold in record["holds"]
    )
    return Policy(tuple(phases), tuple(holds)), datetime.fromisoformat(record["date"])


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _phase_record(phase: Phase) -> dict[str, Any]:
    return {
        "name": phase.name,
        "since": phase.since,
        "default": phase.default,
        "may_ask": sorted(phase.may_ask),
    }


def _hold_record(hold: PhaseHold, date: datetime) -> dict[str, Any]:
    return {
        "phase": hold.phase,
        "account_sid": hold.account_sid,
        "url_prefix": hold.url_prefix,
        "until": hold.until,
        "has_ended": hold.has_ended(date),
    }


def change_record(change: PolicyChange, date: datetime) -> dict[str, Any]:
    """Return a policy change as JSON fields, with the seconds from `date` until the change."""
    return {
        "date": change.at,
        "change": change.kind.label,
        "meaning": str(change.kind),
        "seconds_left": (change.at - date).total_seconds(),
    }


def _concerning(
    found: Iterable[PolicyChange], concerns: Callable[[PhaseHold], bool]
) -> Iterator[PolicyChange]:
    """Yield the policy changes; of ending holds, only those for which `concerns` returns True."""
    for at, kind in found:
        if not isinstance(kind, PhaseHoldsEndedChange):
            yield PolicyChange(at, kind)
        elif holds := tuple(filter(concerns, kind.holds)):
            yield PolicyChange(at, PhaseHoldsEndedChange(holds))
