"""Computes the JSON result of `ringback policy simulate`: the effects of a policy on a date."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ringback.core.policy.dated_changes import policy_changes, sources_that_end
from ringback.core.policy.policy_impact import (
    WEEK,
    UrlDeliveryTotals,
    UrlForecast,
    depending_on,
    forecast_urls,
    impact_of,
    source_by_phase,
)
from ringback.core.policy.policy_json import change_record
from ringback.core.policy.source_policy import CallbackSourceSelection, Policy


def simulation_record(
    policy: Policy, sent: Sequence[UrlDeliveryTotals] | None, *, now: datetime, then: datetime
) -> dict[str, Any]:
    """Return the policy's phase on the date `then`, and its changes until then, for JSON.

    `now` and `then` are dates of the policy's calendar. With the totals of last week's callbacks,
    the record also says which of them would change sources.
    """
    record: dict[str, Any] = {
        "now": now,
        "phase_now": policy.general_phase(now).name,
        "at": then,
        "phase": policy.general_phase(then).name,
        "borders": [
            change_record(change, now)
            for change in policy_changes(policy, after=now)
            if change.at <= then
        ],
        "last_week": None,
    }
    if sent is not None:
        record["last_week"] = _last_week(policy, sent, now=now, then=then)
    return record


def _last_week(
    policy: Policy, sent: Sequence[UrlDeliveryTotals], *, now: datetime, then: datetime
) -> dict[str, Any]:
    found = forecast_urls(policy, sent, now=now, then=then)
    return {
        "since": now - policy.ahead - WEEK,
        **impact_of(found)._asdict(),
        "would_move": sum(one.would_move for one in found),
        "dependents": [
            {"source": str(source), **impact_of(depending_on(source, found))._asdict()}
            for source in sources_that_end(policy, at=now)
        ],
        "called": [_forecast_record(policy, one) for one in found],
    }


def _forecast_record(policy: Policy, one: UrlForecast) -> dict[str, Any]:
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
        "in_phases": {name: str(source) for name, source in source_by_phase(policy, one).items()},
    }


def _choice_record(choice: CallbackSourceSelection) -> dict[str, str]:
    return {"source": str(choice.source), "reason": choice.reason}
