"""Converts a policy to values for JSON, for the portal and for `ringback policy show`, and back."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, cast

from ringback.core.calendar import exact, read_instant
from ringback.core.errors import ConfigurationError
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
    ahead = list(concerning(policy_changes(policy, after=date), concerns))
    near = (change for change, _ in reminders(policy, since=date, at=date, before=before))
    return {
        "date": date,
        "phase": policy.general_phase(date).name,
        "phases": [phase_fields(phase) for phase in policy.phases],
        "holds": [
            {**hold_fields(hold), "has_ended": hold.has_ended(date)}
            for hold in policy.holds
            if concerns(hold)
        ],
        "borders": [change_record(change, date) for change in ahead],
        "warnings": [in_words(change, date) for change in concerning(near, concerns)],
    }


def read_policy_record(record: Mapping[str, Any]) -> tuple[Policy, datetime]:
    """Return the policy and the date in a record of `policy_record` that was read from JSON.

    The policy has only the holds that the record shows.
    """
    return read_policy(record), datetime.fromisoformat(record["date"])


def policy_fields(policy: Policy) -> dict[str, Any]:
    """Return a policy as the JSON fields `phases` and `holds`; equal policies give equal fields."""
    return {
        "phases": [phase_fields(phase) for phase in policy.phases],
        "holds": [hold_fields(hold) for hold in policy.holds],
    }


def read_policy(record: Mapping[str, Any]) -> Policy:
    """Return the policy in the JSON fields `phases` and `holds`; other fields are ignored.

    Raises ConfigurationError, naming the place, if one of the two or a part of it is not valid.
    """
    phases = (_read_phase(place, item) for place, item in _items(record, "phases", _PHASE))
    holds = (_read_hold(place, item) for place, item in _items(record, "holds", _HOLD))
    return Policy(tuple(phases), tuple(holds))


class _Fields(NamedTuple):
    """The fields of an object in JSON."""

    required: frozenset[str]
    optional: frozenset[str]


_PHASE: Final = _Fields(frozenset({"name", "default", "may_ask"}), frozenset({"since"}))
# A hold is shown with `has_ended`, so it may be sent back with it.
_HOLD: Final = _Fields(
    frozenset({"phase"}), frozenset({"account_sid", "url_prefix", "until", "has_ended"})
)


def _items(
    record: Mapping[str, Any], name: str, fields: _Fields
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the objects in a list, each with its place, such as `holds[0]`."""
    items = record.get(name)
    if not isinstance(items, list):
        raise ConfigurationError(f"policy: {name} must be a list of objects")
    for index, item in enumerate(cast("list[Any]", items)):
        place = f"{name}[{index}]"
        if not isinstance(item, dict):
            raise ConfigurationError(f"policy: {place} must be an object")
        given = cast("dict[str, Any]", item)
        if missing := sorted(fields.required - given.keys()):
            raise ConfigurationError(f"policy: {place}.{missing[0]} is missing")
        if unknown := sorted(given.keys() - fields.required - fields.optional):
            known = ", ".join(sorted(fields.required | fields.optional))
            raise ConfigurationError(
                f"policy: {place}.{unknown[0]} is not a known field; the fields are {known}"
            )
        yield place, given


def _read_phase(place: str, item: Mapping[str, Any]) -> Phase:
    may_ask = item["may_ask"]
    if not isinstance(may_ask, list):
        raise ConfigurationError(f"policy: {place}.may_ask must be a list of sources")
    asked = (_text(f"{place}.may_ask", name) for name in cast("list[Any]", may_ask))
    return Phase(
        _text(f"{place}.name", item["name"]),
        _instant(f"{place}.since", item.get("since")),
        source_named(_text(f"{place}.default", item["default"])),
        frozenset(map(source_named, asked)),
    )


def _read_hold(place: str, item: Mapping[str, Any]) -> PhaseHold:
    account_sid, url_prefix = (
        None if item.get(name) is None else _text(f"{place}.{name}", item[name])
        for name in ("account_sid", "url_prefix")
    )
    until = _instant(f"{place}.until", item.get("until"))
    return PhaseHold(_text(f"{place}.phase", item["phase"]), account_sid, url_prefix, until)


def _text(place: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"policy: {place} must be text")
    return value


def _instant(place: str, value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        return read_instant(_text(place, value))
    except ValueError as problem:
        raise ConfigurationError(f"policy: {place}: {problem}") from None


def phase_fields(phase: Phase) -> dict[str, Any]:
    """Return a phase as JSON fields."""
    return {
        "name": phase.name,
        "since": phase.since and exact(phase.since),
        "default": phase.default,
        "may_ask": sorted(phase.may_ask),
    }


def hold_fields(hold: PhaseHold) -> dict[str, Any]:
    """Return a hold as JSON fields."""
    return {
        "phase": hold.phase,
        "account_sid": hold.account_sid,
        "url_prefix": hold.url_prefix,
        "until": hold.until and exact(hold.until),
    }


def change_record(change: PolicyChange, date: datetime) -> dict[str, Any]:
    """Return a policy change as JSON fields, with the seconds from `date` until the change."""
    return {
        "date": change.at,
        "change": change.kind.label,
        "meaning": str(change.kind),
        "seconds_left": (change.at - date).total_seconds(),
    }


def concerning(
    found: Iterable[PolicyChange], concerns: Callable[[PhaseHold], bool]
) -> Iterator[PolicyChange]:
    """Yield the policy changes; of ending holds, only those for which `concerns` returns True."""
    for at, kind in found:
        if not isinstance(kind, PhaseHoldsEndedChange):
            yield PolicyChange(at, kind)
        elif holds := tuple(filter(concerns, kind.holds)):
            yield PolicyChange(at, PhaseHoldsEndedChange(holds))
