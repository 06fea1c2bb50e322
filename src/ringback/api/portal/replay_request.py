"""Parses the parameters of a request to replay callbacks."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from ringback.api.operation_definition import OperationParameter
from ringback.api.portal.callbacks import SHARED_FILTERS, STATUS, STATUSES, read_shared_filters
from ringback.api.request_parameters import RequestParameters
from ringback.api.schema_pieces import INSTANT, TEXT, YES_OR_NO
from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.policy.source_policy import SourceName
from ringback.operations.replay import ANY, ENDED
from ringback.ports import CallbackFilter

CHUNK: Final = 500
"""Maximum number of callbacks in one transaction, and of SIDs in one request."""

_OF_SINCE: Final = ("Since", "Until", *(each.name for each in SHARED_FILTERS), "After")

AS_OTHER: Final = OperationParameter(
    "AsOtherSource", YES_OR_NO, "yes to send a new callback from the other source (default no)."
)
PARAMETERS: Final = (
    OperationParameter("Sids", TEXT, "At most 500 SIDs of callbacks, separated by commas."),
    OperationParameter(
        "Since", INSTANT, "Instead of Sids: all callbacks created at or after this instant."
    ),
    OperationParameter("Until", INSTANT, "Only callbacks created before this instant."),
    STATUS,
    *SHARED_FILTERS,
    OperationParameter(
        "After", TEXT, "Continue after this callback; copy it from `next` in the last response."
    ),
    AS_OTHER,
    OperationParameter("DryRun", YES_OR_NO, "yes to count callbacks only (default no)."),
)

_FAILED: Final = frozenset({CallbackStatus.FAILED})
_NOT_DELIVERED: Final = ANY - {CallbackStatus.DELIVERED}


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """The callbacks to replay: those with the given SIDs, or all that match a filter."""

    statuses: frozenset[CallbackStatus]
    """The statuses to replay; callbacks with another status are skipped."""
    sids: tuple[str, ...]
    which: CallbackFilter
    """The filter that selects callbacks if no SIDs are given."""
    after: str | None
    """The SID of the callback after which to continue; None to start with the oldest."""
    is_dry: bool
    """True for a dry run, which only counts callbacks."""


def read_replays(
    form: RequestParameters, *, now: datetime, sources: Collection[SourceName]
) -> ReplayRequest:
    """Parse the parameters of a request to replay callbacks; raises InvalidParameter."""
    sids, since = _read_sids(form), form.instant("Since")
    statuses = _read_statuses(form, default=_NOT_DELIVERED if sids else _FAILED)
    if bool(sids) is (since is not None):
        raise form.wrong("give either Sids, or Since to replay all callbacks created since then")
    beside = next((name for name in _OF_SINCE if sids and form.text(name) is not None), None)
    if beside is not None:
        raise form.wrong(f"{beside} is allowed only with Since, not with Sids")
    which = replace(
        read_shared_filters(form, sources),
        statuses=statuses,
        since=since,
        # Without a limit, the callbacks that the replay creates would be replayed, too.
        until=form.instant("Until") or now,
    )
    after, is_dry = form.text("After") or None, form.is_yes("DryRun")
    return ReplayRequest(statuses, sids, which, after, is_dry)


def read_replay_of_all(
    form: RequestParameters, *, now: datetime, sources: Collection[SourceName]
) -> CallbackFilter:
    """Parse the filter of a job that replays all callbacks created until now that match it.

    Raises InvalidParameter.
    """
    form.required("Since")
    beside = next((each for each in ("Sids", "After") if form.text(each) is not None), None)
    if beside is not None:
        raise form.wrong(
            f"a job takes no {beside}: it replays all callbacks since Since that match"
        )
    which = read_replays(form, now=now, sources=sources).which
    return replace(which, until=min(which.until or now, now))


def _read_statuses(
    form: RequestParameters, *, default: frozenset[CallbackStatus]
) -> frozenset[CallbackStatus]:
    statuses = form.meaning("Status", STATUSES) or default
    if not form.is_yes("AsOtherSource"):
        return statuses
    if not statuses & ENDED:
        raise form.wrong(
            "Status=scheduled: only callbacks that have ended can be replayed from another source"
        )
    return statuses & ENDED


def _read_sids(form: RequestParameters) -> tuple[str, ...]:
    sids = tuple(dict.fromkeys(filter(None, (form.text("Sids") or "").split(","))))
    if len(sids) > CHUNK:
        raise form.wrong(f"Sids names {len(sids)} callbacks; at most {CHUNK} can be named")
    return sids
