"""Pages of a list as KORE's own APIs have them: by number, with the URLs of the pages beside it."""

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
    """One page of a list."""

    records: Sequence[T]
    meta: dict[str, Any]


def read_page(records: Sequence[T], query: RequestParameters, request: Request) -> NumberedPage[T]:
    """Return the page of a whole list that a query asks for; raises InvalidParameter.

    The URL of a page that does not exist is empty: KORE's documents allow no null there.
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
