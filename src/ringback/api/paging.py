"""Splits lists into pages, with the same `meta` object as both vendors.

A page token contains the SID of a record, not a number: the page begins after that record, or ends
before it. So a client neither misses a record nor gets it twice if records are added meanwhile.

At most `EXAMINED` records are examined for a page. If filters match few of them, a page can be
short or empty although another page follows.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NamedTuple, Protocol, Self, TypeVar
from urllib.parse import urlencode

from starlette.requests import Request

from ringback.api.cooperative_yield import CooperativeYield
from ringback.api.host_routing import own_url
from ringback.api.operation_definition import OperationParameter
from ringback.api.request_parameters import RequestParameters
from ringback.api.schema_pieces import TEXT, Schema, number
from ringback.api.serializers import Serializer, json_fragment
from ringback.core.errors import InvalidParameter, PageNotFound
from ringback.ports import PageWindow, RecordPage
from ringback.runtime.system_clock import stopwatch

_MOST: Final = 1000
_FURTHEST: Final = 10**9 - 1
# A limit instead of an index for each filter: each index would slow down every new callback.
EXAMINED: Final = 10_000
"""Maximum number of records examined for a page, which takes a few hundredths of a second."""
PAGING: Final = (
    OperationParameter(
        "PageSize",
        number(1, _MOST),
        "Maximum number of records in a page (default 50). A page can have fewer although another"
        f" one follows: at most {EXAMINED:,} records are examined for it.",
    ),
    OperationParameter(
        "Page",
        number(0, _FURTHEST),
        "The number of the page, repeated in `meta`; above 0 it requires a PageToken.",
    ),
    OperationParameter(
        "PageToken", TEXT, "The start of the page; copy it from the page URLs in `meta`."
    ),
)
"""The parameters that choose a page; every list has them."""


_SHORT: Final = 64
"""The most records of a page that is read in one go, as an ordinary page is."""
_SLICE: Final = 32
"""The most records of a longer page that are read at once: less than a turn of the interpreter."""
_AFTER, _BEFORE = "PA", "PB"


class PageMeta(NamedTuple):
    """Further fields of the `meta` object of a list."""

    schema: Schema
    """The schema of the whole object."""
    of: Callable[[Any], Mapping[str, object]]
    """Returns the further fields of a page."""


class RecordWithSid(Protocol):
    """A record with a SID, as required to split a list of records into pages."""

    @property
    def sid(self) -> str:
        """The record's SID."""
        ...


R = TypeVar("R", bound=RecordWithSid)


@dataclass(frozen=True, slots=True)
class PageParameters:
    """The page of a list that a request asks for."""

    size: int
    number: int
    """The page number from 0, which `meta` repeats; the token says where the page begins."""
    token: str | None
    filters: tuple[tuple[str, str], ...]

    @property
    def window(self) -> PageWindow:
        """The records to read: the page, and one more that shows if another page follows."""
        sid = self.token and self.token[len(_AFTER) :]
        if self.token and self.token.startswith(_BEFORE):
            return PageWindow(self.size + 1, before=sid, examining=EXAMINED)
        return PageWindow(self.size + 1, after=sid, examining=EXAMINED)

    def about(self, **filters: str) -> Self:
        """Return a copy with these filters added, so that the links to other pages contain them."""
        return replace(self, filters=tuple({**dict(self.filters), **filters}.items()))


def read_paging(parameters: RequestParameters) -> PageParameters:
    """Return the page that a request's parameters ask for.

    Raises InvalidParameter if a parameter is invalid, or if a `Page` above 0 comes without a token.
    """
    token, code = parameters.text("PageToken") or None, parameters.codes.paging
    if token is not None and not token.startswith((_AFTER, _BEFORE)):
        raise InvalidParameter(
            f"PageToken={token!r} is not a page token; use the page URLs in the list's `meta`",
            code=code,
        )
    number = parameters.number("Page", 0, _FURTHEST, default=0, code=code)
    if number > 0 and token is None:
        # Pages can't be found by number: this would show the first page as another one.
        raise InvalidParameter(
            f"Page={number} is given without PageToken, which says where the"
            " page begins; use the page URLs in the list's `meta`, or leave"
            " out Page for the first page",
            code=code,
        )
    beside = {*(each.name for each in PAGING), *parameters.unknown}
    return PageParameters(
        size=parameters.number("PageSize", 1, _MOST, default=50, code=code),
        number=number,
        token=token,
        filters=tuple(pair for pair in parameters.values.items() if pair[0] not in beside),
    )


def cut(records: Sequence[R], window: PageWindow) -> Sequence[R]:
    """Return the records of one page from a complete list, in the list's order.

    Raises PageNotFound if the list does not have the record at which the page begins or ends.
    """
    edge = window.after if window.before is None else window.before
    place = next((at for at, record in enumerate(records) if record.sid == edge), None)
    if edge is not None and place is None:
        raise PageNotFound(edge)
    if window.before is not None:
        return records[max((place or 0) - window.size, 0) : place]
    start = 0 if place is None else place + 1
    return records[start : start + window.size]


async def read_page(
    read: Callable[[PageWindow], Awaitable[Sequence[R]]],
    window: PageWindow,
    rest_after: Callable[[float], Awaitable[None]],
) -> Sequence[R]:
    """Read the records in a window: many of them in slices, with pauses for other requests.

    `read` reads a part of the window; `rest_after` pauses after a slice, whose length in seconds it
    gets. Each slice may examine its share of the records that the window may. What is returned is
    the last slice, with the records of all.
    """
    if window.size <= _SHORT:
        return await read(window)
    slices = -(-window.size // _SLICE)
    part = replace(window, examining=window.examining and window.examining // slices)
    found, last, backwards = list[R](), list[R](), window.before is not None
    while True:
        began, size = stopwatch(), min(_SLICE, window.size - len(found))
        try:
            last = await read(replace(part, size=size))
        except PageNotFound:
            if not found:
                raise
            break  # what came next was removed meanwhile
        found = [*last, *found] if backwards else [*found, *last]
        stopped_at = last.stopped_at if isinstance(last, RecordPage) else None
        slices -= stopped_at is not None
        is_end = stopped_at is None and len(last) < size
        if is_end or len(found) == window.size or not slices:
            break
        edge = stopped_at or (found[0] if backwards else found[-1]).sid
        part = replace(part, before=edge) if backwards else replace(part, after=edge)
        await rest_after(stopwatch() - began)
    if not isinstance(last, RecordPage):
        return found
    last[:] = found
    return last


async def page_of(
    shown_as: Serializer[R],
    records: Sequence[R],
    *,
    paging: PageParameters,
    request: Request,
    slices: CooperativeYield,
) -> dict[str, Any]:
    """Return the JSON of one page of a list; `records` are the records in `paging.window`.

    They are written in `slices`, since writing many of them would delay others.
    """
    key, show = shown_as.plural, shown_as.at(request)
    stopped_at = records.stopped_at if isinstance(records, RecordPage) else None
    has_more = len(records) > paging.size or stopped_at is not None
    if paging.window.before is not None:
        shown = records[-paging.size :]
        has_previous, has_next = has_more, True
    else:
        shown = records[: paging.size]
        has_previous, has_next = paging.token is not None, has_more
    first, last = _edges(shown, stopped_at, paging)
    before, after = max(paging.number - 1, 0), paging.number + 1
    url = partial(_page_url, own_url(request), paging)
    return {
        key: await slices.map(lambda one: json_fragment(show(one)), shown),
        "meta": {
            **_meta(key, url(paging.number, paging.token), page_size=paging.size),
            "first_page_url": url(0),
            "next_page_url": url(after, _AFTER + last) if has_next and last else None,
            "page": paging.number,
            "previous_page_url": url(before, _BEFORE + first) if has_previous and first else None,
        },
    }


def _page_url(base: str, paging: PageParameters, number: int, token: str | None = None) -> str:
    pairs = [*paging.filters, ("PageSize", paging.size), ("Page", number)]
    if token is not None:
        pairs.append(("PageToken", token))
    return f"{base}?{urlencode(pairs)}"


def _edges(
    shown: Sequence[RecordWithSid], stopped_at: str | None, paging: PageParameters
) -> tuple[str | None, str | None]:
    """Return the SIDs from which the tokens of the previous and the next page are made.

    `stopped_at` is the SID of the last record that was examined, if the limit `EXAMINED` was
    reached; otherwise it is None.
    """
    first, last = (shown[0].sid, shown[-1].sid) if shown else (stopped_at, stopped_at)
    if paging.window.before is None:
        return first, stopped_at or last
    return stopped_at or first, last


def whole_list(key: str, shown: Sequence[dict[str, Any]], *, request: Request) -> dict[str, Any]:
    """Return the JSON of a list that always has exactly one page."""
    url = own_url(request)
    return {key: shown, "meta": _meta(key, url, page_size=len(shown))}


def _meta(key: str, url: str, *, page_size: int) -> dict[str, Any]:
    """Return the `meta` object of a list that has one page."""
    return {
        "first_page_url": url,
        "key": key,
        "next_page_url": None,
        "page": 0,
        "page_size": page_size,
        "previous_page_url": None,
        "url": url,
    }
