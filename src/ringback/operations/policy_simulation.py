"""What `ringback policy simulate` finds out, as a record."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ringback.core.borders import borders, sources_that_end
from ringback.core.outlook import WEEK, Prospect, Sent, depending_on, in_phases, prospects, reach
from ringback.core.source import Choice, Policy
from ringback.operations.policy_record import border_record


def simulation_record(
    policy: Policy, sent: Sequence[Sent] | None, *, now: datetime, then: datetime
) -> dict[str, Any]:
    """Return what the policy does at a date, and to what was sent in the last week, if known."""
    record: dict[str, Any] = {
        "now": now,
        "phase_now": _general_phase(policy, now),
        "at": then,
        "phase": _general_phase(policy, then),
        "borders": [
            border_record(border, now) for border in borders(policy, after=now) if border.at <= then
        ],
        "last_week": None,
    }
    if sent is not None:
        record["last_week"] = _last_week(policy, sent, now=now, then=then)
    return record


def _last_week(
    policy: Policy, sent: Sequence[Sent], *, now: datetime, then: datetime
) -> dict[str, Any]:
    found = prospects(policy, sent, now=now, then=then)
    return {
        "since": now - WEEK,
        **reach(found)._asdict(),
        "would_move": sum(one.would_move for one in found),
        "dependents": [
            {"source": str(source), **reach(depending_on(source, found))._asdict()}
            for source in sources_that_end(policy, at=now)
        ],
        "called": [_prospect_record(policy, one) for one in found],
    }


def _general_phase(policy: Policy, at: datetime) -> str:
    return policy.phase_of(at=at, account_sid="", url="")[1].name


def _prospect_record(policy: Policy, one: Prospect) -> dict[str, Any]:
    return {
        "account_sid": one.account_sid,
        "url": one.url,
        "source_asked": one.asked,
        "callbacks": one.callbacks,
        "would_move": one.would_move,
        "now": _choice_record(one.now),
        "why_now": one.why.value,
        "then": _choice_record(one.then),
        "changes": one.changes,
        "in_phases": {name: str(source) for name, source in in_phases(policy, one).items()},
    }


def _choice_record(choice: Choice) -> dict[str, str]:
    return {"source": str(choice.source), "reason": choice.reason}
