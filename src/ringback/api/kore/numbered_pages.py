"""Splits lists into numbered pages that link to each other, as KORE's APIs do."""

from collections.abc import Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

from starlette.requests import Request

from ringback.api.host_routing import own_url
from ringback.api.request_parameters import RequestParameters

T = TypeVar("T")

PAGING: Final = ("page_number", "page_size")
_MOST: Final = 1000
_FURTHEST: Final = 10**9 - 1
_USUAL: Final = 50


class NumberedPage(NamedTuple, Generic[T]):
    """The records of one page of a list, and its `meta` object."""

    records: Sequence[T]
    meta: dict[str, Any]


def read_page(records: Sequence[T], query: RequestParameters, request: Request) -> NumberedPage[T]:
    """Return the page of a list that a query asks for: by default the first, with 50 records.

    Raises InvalidParameter if the number or the size is out of range. The link to a page that does
    not exist is an empty string, since KORE does not document null there.
    """
    number = query.number("page_number", 1, _FURTHEST, default=1)
    size = query.number("page_size", 1, _MOST, default=_USUAL)
    start = (number - 1) * size
    shown = records[start : start + size]
    has_next = start + size < len(records)
    meta = {
        "count": len(shown),
        "page_size": size,
        "page_number": number,
        "previous_page_url": _url(request, query, size, number - 1) if number > 1 else "",
        "next_page_url": _url(request, query, size, number + 1) if has_next else "",
    }
    return NumberedPage(shown, meta)


def _url(request: Request, query: RequestParameters, size: int, number: int) -> str:
    filters = [
        (name, value)
        for name, value in query.values.items()
        if name not in (*PAGING, *query.unknown)
    ]
    pairs = [*filters, ("page_size", str(size)), ("page_number", str(number))]
    return f"{own_url(request)}?{urlencode(pairs)}"
