"""Reading which callbacks are to be replayed, and how."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ringback.api.operation_definition import OperationParameter
from ringback.api.portal.callbacks import (
    DESTINATION,
    OF_SOURCE,
    STATUS,
    STATUSES,
    read_destination,
    read_source,
)
from ringback.api.request_parameters import RequestParameters
from ringback.api.schema_pieces import INSTANT, TEXT, YES_OR_NO
from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.policy.source_policy import SourceName
from ringback.operations.replay import ANY, ENDED
from ringback.ports import CallbackFilter

CHUNK: Final = 500
"""How many callbacks are replayed in one transaction; as many can be named."""

_OF_SINCE: Final = ("Since", "Until", "Source", "Destination", "After")

AS_OTHER: Final = OperationParameter(
    "AsOtherSource", YES_OR_NO, "Whether to send a new one from the other source."
)
PARAMETERS: Final = (
    OperationParameter("Sids", TEXT, "Up to 500 SIDs, with commas between."),
    OperationParameter("Since", INSTANT, "Instead of Sids: all from this instant on."),
    OperationParameter("Until", INSTANT, "Those before this instant."),
    STATUS,
    OF_SOURCE,
    DESTINATION,
    OperationParameter("After", TEXT, "Where to go on, as `next` of the call before has it."),
    AS_OTHER,
    OperationParameter("DryRun", YES_OR_NO, "Whether only to count."),
)

_FAILED: Final = frozenset({CallbackStatus.FAILED})
_NOT_DELIVERED: Final = ANY - {CallbackStatus.DELIVERED}


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """The callbacks to replay: those that are named, or all that match."""

    statuses: frozenset[CallbackStatus]
    """Those of another status are skipped."""
    sids: tuple[str, ...]
    which: CallbackFilter
    """Where none are named."""
    after: str | None
    """Where to go on: behind the callback with this SID."""
    is_dry: bool
    """Whether to say only what would be done."""


def read_replays(
    form: RequestParameters, *, now: datetime, sources: Collection[SourceName]
) -> ReplayRequest:
    """Return the replays that the parameters ask for."""
    sids, since = _read_sids(form), form.instant("Since")
    statuses = _read_statuses(form, default=_NOT_DELIVERED if sids else _FAILED)
    if bool(sids) is (since is not None):
        raise form.wrong("give either Sids, or Since for all from an instant on")
    beside = next((name for name in _OF_SINCE if sids and form.text(name) is not None), None)
    if beside is not None:
        raise form.wrong(f"{beside} goes with Since, not with Sids")
    which = CallbackFilter(
        statuses=statuses,
        source=read_source(form, sources),
        destination=read_destination(form),
        since=since,
        # Otherwise it would go on to replay the callbacks that it makes.
        until=form.instant("Until") or now,
    )
    after, is_dry = form.text("After") or None, form.is_yes("DryRun")
    return ReplayRequest(statuses, sids, which, after, is_dry)


def _read_statuses(
    form: RequestParameters, *, default: frozenset[CallbackStatus]
) -> frozenset[CallbackStatus]:
    statuses = form.meaning("Status", STATUSES) or default
    if not form.is_yes("AsOtherSource"):
        return statuses
    if not statuses & ENDED:
        raise form.wrong(
            "Status=scheduled: only what has ended can be replayed from another source"
        )
    return statuses & ENDED


def _read_sids(form: RequestParameters) -> tuple[str, ...]:
    sids = tuple(dict.fromkeys(filter(None, (form.text("Sids") or "").split(","))))
    if len(sids) > CHUNK:
        raise form.wrong(f"Sids names {len(sids)} callbacks; at most {CHUNK} can be named")
    return sids
