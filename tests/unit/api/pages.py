"""Fetches the pages of a list by the URLs in its `meta`."""

from collections.abc import AsyncIterator
from typing import Any, Final

from tests.unit.api.caller import Caller

ORIGIN: Final = "http://127.0.0.1:8080"
_MOST: Final = 10

Page = dict[str, Any]


async def page_at(caller: Caller, url: str, *, origin: str = ORIGIN) -> Page:
    """Return the page at a URL from some `meta`."""
    answer = await caller.get(url.removeprefix(origin))
    assert answer.status == 200, answer.body
    return answer.json


async def walk(
    caller: Caller, url: str, *, by: str = "next_page_url", origin: str = ORIGIN
) -> AsyncIterator[Page]:
    """Yield this page and all that follow; each is fetched after the one before was handled."""
    for _ in range(_MOST):
        page = await page_at(caller, url, origin=origin)
        yield page
        # KORE has an empty string instead of null, in one list.
        if not (url := page["meta"][by]):
            return
    raise AssertionError("there are too many pages")
