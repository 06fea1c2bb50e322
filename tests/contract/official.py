"""The official client: its operations, the ones that were called, and how stories use it."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from twilio.http.http_client import TwilioHttpClient

from tests.receivers import RecordingReceiver
from tests.served import Served

T = TypeVar("T")


# ---- the client's operations, and the calls made ------------------------------------------------


class NotingHttpClient(TwilioHttpClient):
    """Records the method and the path of each request, with `SID` for any SID."""

    def __init__(self) -> None:
        super().__init__()
        self.called = set[tuple[str, str]]()
        self.bases = set[str]()
        """The first part of the URLs of all requests."""

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        base, _, path = urlsplit(url)._replace(query="").geturl().partition("/v1/")
        self.bases.add(base)
        self.called.add((method, "/" + re.sub("(^|/)[A-Z]{2}[0-9a-f]{32}", r"\1SID", path)))
        return super().request(method, url, *args, **kwargs)


def operations_of(version: Any) -> set[tuple[str, str]]:
    """Return the method and the path of each operation in a version of an API."""
    return {one for resources in parts_of(version) for one in operations_on(resources)}


def operations_on(resources: Any) -> set[tuple[str, str]]:
    found = verbs_of(resources, create="POST", list="GET")
    if callable(resources):
        resource = resources("SID")
        found |= verbs_of(resource, fetch="GET", update="POST", delete="DELETE")
        found |= operations_of(resource)
    return found


def verbs_of(holder: Any, **verbs: str) -> set[tuple[str, str]]:
    return {(verb, holder._uri) for method, verb in verbs.items() if hasattr(holder, method)}


def parts_of(holder: Any) -> list[Any]:
    kind = type(holder)
    properties = [name for name in dir(kind) if isinstance(getattr(kind, name), property)]
    return [part for part in (getattr(holder, name) for name in properties) if part is not None]


# ---- using the client ----------------------------------------------------------------------------


@dataclass
class Story:
    """The client, the server that it calls, and the receiver of its callbacks."""

    api: Any
    http: NotingHttpClient
    dev: Served
    receiver: RecordingReceiver

    async def told(self, number: int) -> dict[str, str]:
        """Wait until there are `number` callbacks, and return the newest."""
        requests = await self.receiver.wait_for(number)
        assert len(requests) == number
        return dict(parse_qsl(requests[-1].body.decode()))


async def on(work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call the client in a thread, because it blocks."""
    return await asyncio.to_thread(work, *args, **kwargs)


async def sids_in(resources: Any, **filters: Any) -> list[str]:
    return [record.sid for record in await on(resources.list, **filters)]


async def pages_of(
    resources: Any, page_size: int, between: Callable[[list[str]], Awaitable[None]]
) -> AsyncIterator[list[str]]:
    """Yield the SIDs on each page; call `between` after each, before the next is requested."""
    page = await on(resources.page, page_size=page_size)
    while page is not None:
        sids = [record.sid for record in page]
        yield sids
        await between(sids)
        page = await on(page.next_page) if page.next_page_url else None
