"""Says which URLs are sent from where, and which still depend on a source that ends, for JSON."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from ringback.core.policy.dated_changes import PolicyChange, ends_of_sources, policy_changes
from ringback.core.policy.policy_impact import (
    UrlForecast,
    UrlGrouping,
    changed_at,
    depending_on,
    forecast_urls,
    grouped,
    impact_of,
    source_by_phase,
)
from ringback.core.policy.policy_json import change_record, concerning
from ringback.core.policy.source_policy import CallbackSourceSelection, PhaseHold, Policy
from ringback.core.policy.urls_in_use import RECENT, UrlInUse, UrlUse

MOST_CHANGES: Final = 10
"""The maximum number of coming changes for which it is counted which URLs they affect."""

Record = dict[str, Any]


def policy_outlook(
    policy: Policy,
    used: Sequence[UrlInUse] | None,
    *,
    now: datetime,
    then: datetime | None = None,
    concerns: Callable[[PhaseHold], bool] = lambda _: True,
    judge: Callable[[PolicyChange, Sequence[UrlInUse]], Record] = lambda _, __: {},
) -> Record:
    """Return the state of a move now, and what changes until `then`, for JSON.

    `now` and `then` are dates of the policy's calendar. Without `then`, it is the date of the
    policy's next change, or `now` if none is ahead. With `used`, the record has `urls`: what is
    sent from where.

    Ends of holds for which `concerns` returns False are left out. `judge` returns what to add to
    the record of a change, from the URLs that get another source through it.
    """
    ahead = list(concerning(policy_changes(policy, after=now), concerns))
    then = then or next_date(policy, now=now, concerns=concerns)

    def counted(change: PolicyChange) -> Record:
        if used is None:
            return {}
        changed = changed_at(change, policy, used)
        return impact_of(changed)._asdict() | judge(change, changed)

    changes = [change_record(change, now) | counted(change) for change in ahead[:MOST_CHANGES]]
    return {
        "now": now,
        "phase_now": policy.general_phase(now).name,
        "at": then,
        "phase": policy.general_phase(then).name,
        "ahead": changes,
        "ahead_left_out": len(ahead[MOST_CHANGES:]),
        "urls": None if used is None else _urls(policy, used, now=now, then=then),
    }


def next_date(
    policy: Policy, *, now: datetime, concerns: Callable[[PhaseHold], bool] = lambda _: True
) -> datetime:
    """Return the date of the policy's next change, as in `policy_outlook`; `now` without one."""
    ahead = concerning(policy_changes(policy, after=now), concerns)
    return next((change.at for change in ahead), now)


def url_records(
    policy: Policy, used: Iterable[UrlInUse], *, now: datetime, then: datetime
) -> list[Record]:
    """Return each URL in use with its sources, for JSON.

    Those come first that depend on a source that ends, then those that change until `then`.
    """
    ending = ends_of_sources(policy, at=now)
    found = forecast_urls(policy, used, now=now, then=then)
    found.sort(key=lambda one: (one.now.source not in ending, not one.changes))
    return [url_record(policy, one) for one in found]


def _urls(policy: Policy, used: Sequence[UrlInUse], *, now: datetime, then: datetime) -> Record:
    found = forecast_urls(policy, used, now=now, then=then)
    former = [one for one in used if one.use is UrlUse.FORMER]
    ends = ends_of_sources(policy, at=now)
    sent = Counter[str]()
    for one in used:
        sent.update({str(source): count for source, count in one.sent.items()})
    return {
        **impact_of(one.used for one in found)._asdict(),
        "sources": [
            {"source": source, **_uses(depending_on(source, found))}
            for source in sorted({one.now.source for one in found})
        ],
        "sources_then": [
            {"source": source, **_uses(one.used for one in found if one.then.source == source)}
            for source in sorted({one.then.source for one in found})
        ],
        "ending": [
            {
                "source": source,
                "ends": end,
                "seconds_left": None if end is None else (end - now).total_seconds(),
                **_uses(depending_on(source, found)),
            }
            for source, end in ends.items()
        ],
        "changing": _uses(one.used for one in found if one.changes),
        "sent": {
            "since": now - policy.ahead - RECENT,
            "callbacks": sent.total(),
            "sources": dict(sorted(sent.items())),
            "would_move": sum(one.would_move for one in found),
            "changed_since": {
                "urls": len(former),
                "callbacks": sum(one.callbacks for one in former),
            },
        },
        "groups": {
            by.value: [group._asdict() for group in grouped(found, by, ending=ends)]
            for by in UrlGrouping
        },
    }


def _uses(used: Iterable[UrlInUse]) -> Mapping[str, int]:
    """Return how many URLs these are, of how many accounts, and how they are in use."""
    used = list(used)
    uses = Counter(one.use for one in used)
    counts = {use.value: uses[use] for use in (UrlUse.STORED, UrlUse.REQUESTS)}
    return {**impact_of(used)._asdict(), **counts}


def url_record(policy: Policy, one: UrlForecast) -> Record:
    """Return a URL in use with its sources, for JSON."""
    used = one.used
    return {
        "account_sid": used.account_sid,
        "url": used.url,
        "source_asked": used.asked,
        "use": used.use.value,
        "places": used.places,
        "callbacks": used.callbacks,
        "sent": {str(source): count for source, count in used.sent.items()},
        "last": used.last,
        "would_move": one.would_move,
        "now": _choice_record(one.now),
        "why_now": one.why.value,
        "then": _choice_record(one.then),
        "changes": one.changes,
        "in_phases": {name: str(source) for name, source in source_by_phase(policy, used).items()},
    }


def _choice_record(choice: CallbackSourceSelection) -> dict[str, str]:
    return {"source": str(choice.source), "reason": choice.reason}
