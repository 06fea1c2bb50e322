"""The portal's operation that groups undelivered callbacks by URL, source and last answer."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from ringback.api.endpoint_group import ApiRequest, EndpointGroup
from ringback.api.operation_definition import ApiOperation, OperationParameter
from ringback.api.paging import EXAMINED
from ringback.api.portal.callbacks import FILTERS, read_filters
from ringback.api.schema_pieces import (
    FLAG,
    INSTANT,
    SOURCE,
    TEXT,
    Schema,
    list_of,
    number,
    object_of,
    or_null,
    sid_of,
)
from ringback.api.serializers import CustomJsonSerializer
from ringback.core.calendar import exact
from ringback.core.callbacks.callback import UNDELIVERED, CallbackStatus
from ringback.core.callbacks.undelivered_groups import (
    UndeliveredCallback,
    UndeliveredGroup,
    grouped,
)
from ringback.core.sids import SidKind
from ringback.ports import CallbackFilter, PageWindow, Transaction

_MOST: Final = EXAMINED
"""Maximum number of callbacks that are grouped."""
_AT_ONCE: Final = 2000
"""Maximum number of callbacks that one read takes."""
_MOST_SHOWN: Final = 500
_STATUSES: Final = {
    **{status.value: frozenset({status}) for status in sorted(UNDELIVERED, reverse=True)},
    "undelivered": UNDELIVERED,
}
_FAILED: Final = frozenset({CallbackStatus.FAILED})
_STATUS: Final = OperationParameter(
    "Status",
    {"type": "string", "enum": list(_STATUSES)},
    "Only callbacks with this status (default failed).",
)
_SINCE: Final = OperationParameter(
    "Since", INSTANT, "The same as CreatedAfter, by the name that jobs have for it."
)
_UNTIL: Final = OperationParameter(
    "Until", INSTANT, "The same as CreatedBefore, by the name that jobs have for it."
)


def _described(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


_GROUP: Final = object_of(
    key=_described(TEXT, "Stands for the group; see the parameter Groups of a job."),
    account_sid=sid_of(SidKind.ACCOUNT),
    destination=TEXT,
    url=TEXT,
    source=SOURCE,
    status_code=or_null(number()),
    failure=_described(or_null(TEXT), "Why the last attempt got no answer."),
    reason=_described(or_null(TEXT), "What the last attempt of the example got, in words."),
    count=number(1),
    first_created=INSTANT,
    last_created=INSTANT,
    example_sid=_described(sid_of(SidKind.CALLBACK), "The newest callback of the group."),
)
GROUPS: Final = CustomJsonSerializer(
    "undelivered_groups",
    object_of(
        groups=list_of(_GROUP),
        group_count=_described(number(0), f"Also of those beyond the first {_MOST_SHOWN}."),
        count=number(0),
        is_exact=_described(FLAG, "False if older callbacks may match that were not counted."),
        searched_to=_described(
            or_null(INSTANT), "When the last callback that was counted or examined was created."
        ),
        until=_described(INSTANT, "When they were counted; for the parameter Until of a job."),
    ),
)


class UndeliveredGroupEndpoints(EndpointGroup):
    """The operation that groups undelivered callbacks."""

    def operations(self) -> list[ApiOperation]:
        """Return the operation that groups undelivered callbacks."""
        return [
            self.answers(
                *("/portal/v1/undelivered/groups", "GroupUndelivered"),
                "Count the callbacks that failed by URL, source and last answer, the most first:"
                f" of the newest {_MOST:,} that match.",
                *(GROUPS, self._group),
                takes=(_STATUS, *FILTERS, _SINCE, _UNTIL),
                for_all=True,
            )
        ]

    async def _group(self, call: ApiRequest) -> dict[str, Any]:
        now, which = self._dependencies.clock.now(), self._read(call)
        found, searched_to = await self._newest(call.account_sid, which)
        # In a thread, since there may be thousands.
        groups = await asyncio.to_thread(grouped, found)
        return {
            "groups": [_show(group) for group in groups[:_MOST_SHOWN]],
            "group_count": len(groups),
            "count": len(found),
            "is_exact": searched_to is None,
            "searched_to": searched_to,
            "until": exact(min(which.until or now, now)),
        }

    async def _newest(
        self, account_sid: str, which: CallbackFilter
    ) -> tuple[Sequence[UndeliveredCallback], datetime | None]:
        """Return the newest callbacks that match, and how far was searched; None if to the end."""
        found, after = list[UndeliveredCallback](), None
        while len(found) <= _MOST:
            window = PageWindow(_AT_ONCE, after=after, examining=EXAMINED)
            part, stopped = await self.read(
                account_sid, lambda tx, window=window: _read_part(tx, account_sid, which, window)
            )
            found += part
            if stopped is not None or len(part) < _AT_ONCE:
                return found, stopped
            after = part[-1].sid
        return found[:_MOST], found[_MOST - 1].created

    def _read(self, call: ApiRequest) -> CallbackFilter:
        given = call.given
        for one, other in (("Since", "CreatedAfter"), ("Until", "CreatedBefore")):
            if given.text(one) is not None and given.text(other) is not None:
                raise given.wrong(f"give either {one} or {other}, which mean the same")
        which = read_filters(given, self._dependencies.sources)
        return replace(
            which,
            statuses=given.meaning("Status", _STATUSES) or _FAILED,
            since=which.since or given.instant("Since"),
            until=which.until or given.instant("Until"),
        )


def _read_part(
    tx: Transaction, account_sid: str, which: CallbackFilter, window: PageWindow
) -> tuple[Sequence[UndeliveredCallback], datetime | None]:
    """Return the callbacks in a window, and where the search for them was stopped, or None."""
    page = tx.callbacks.undelivered(account_sid, which, window)
    stopped = None if page.stopped_at is None else tx.callbacks.find(page.stopped_at)
    # Those beyond are older, so none of them can match.
    if stopped is None or (which.since is not None and stopped.date_created < which.since):
        return page, None
    return page, stopped.date_created


def _show(group: UndeliveredGroup) -> dict[str, object]:
    account_sid, url, source, (status_code, failure) = group.identity
    return {
        "key": group.identity.key,
        "account_sid": account_sid,
        "destination": group.destination,
        "url": url,
        "source": source,
        "status_code": status_code,
        "failure": failure,
        "reason": group.reason,
        "count": group.count,
        "first_created": group.first_created,
        "last_created": group.last_created,
        "example_sid": group.example_sid,
    }
