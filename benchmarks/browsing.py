"""Looks at the console as people do: their browsers keep a session, and refresh parts of a page.

A browser with a script asks again for each part of a page after the seconds that the page says, and
is answered 304 if nothing has changed (`console.js`).
"""

import asyncio
import contextlib
import re
from base64 import b64decode
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Final, Self
from urllib.parse import urlencode

from benchmarks.processes import BenchmarkFailed
from benchmarks.server import Server

_PART: Final = re.compile(r'<\w+ [^>]*id="([\w-]+)"[^>]*data-every="(\d+)" hx-get="([^"]+)"')
_OK: Final = 200
_UNCHANGED: Final = 304
_SEE_OTHER: Final = 303


@dataclass(frozen=True, slots=True)
class Shown:
    """A page or a part of one, as a browser got it."""

    status: int
    headers: Mapping[str, str]
    text: str

    def parts(self) -> list["LivePart"]:
        """Return the parts that refresh themselves."""
        return [
            LivePart(name, int(every), unescape(url))
            for name, every, url in _PART.findall(self.text)
        ]


@dataclass(frozen=True, slots=True)
class LivePart:
    """A part of a page that is asked for again and again."""

    name: str
    every: int
    """Seconds from one time to the next."""
    url: str


class Browser:
    """One connection to the console, of somebody who is signed in."""

    def __init__(self, place: str, cookie: str = "") -> None:
        self._place = place
        self._cookie = cookie
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @classmethod
    async def signed_in(cls, server: Server) -> Self:
        """Sign in with the server's credentials."""
        user, _, password = b64decode(server.credentials).decode().partition(":")
        form = urlencode({"user": user, "password": password})
        browser = cls(server.place)
        answer = await browser.ask(
            "POST", "/console/sign-in", body=form, headers=(f"Origin: http://{server.place}",)
        )
        if answer.status != _SEE_OTHER:
            raise BenchmarkFailed(f"signing in was answered with {answer.status}: {answer.text}")
        browser._cookie = answer.headers["set-cookie"].partition(";")[0]
        return browser

    def another(self) -> Self:
        """Return another connection of the same person."""
        return type(self)(self._place, self._cookie)

    async def page(self, path: str) -> Shown:
        """Return a whole page; raises BenchmarkFailed if it is an error."""
        shown = await self.ask("GET", path)
        if shown.status != _OK:
            raise BenchmarkFailed(f"GET {path} was answered with {shown.status}: {shown.text}")
        return shown

    async def refresh(self, part: LivePart, etag: str) -> Shown:
        """Ask for a part of a page, unless it is still as this ETag says."""
        headers = ("HX-Request: true", f"HX-Target: {part.name}", f"If-None-Match: {etag}")
        shown = await self.ask("GET", part.url, headers=headers)
        if shown.status not in (_OK, _UNCHANGED):
            raise BenchmarkFailed(f"{part} was answered with {shown.status}: {shown.text}")
        return shown

    async def ask(
        self, method: str, path: str, *, headers: Sequence[str] = (), body: str = ""
    ) -> Shown:
        """Send a request, and return its answer."""
        lines = (
            f"{method} {path} HTTP/1.1",
            f"Host: {self._place}",
            f"Cookie: {self._cookie}",
            "Accept: text/html",
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(body)}",
            *headers,
        )
        reader, writer = await self._open()
        writer.write("\r\n".join([*lines, "", body]).encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *fields = head.rstrip("\r\n").split("\r\n")
        got = {name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
        text = (await reader.readexactly(int(got.get("content-length", "0")))).decode()
        return Shown(int(first.split()[1]), got, text)

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None or self._streams[0].at_eof():
            host, _, port = self._place.rpartition(":")
            self._streams = await asyncio.open_connection(host, int(port), limit=1 << 22)
        return self._streams


@dataclass(slots=True)
class Watching:
    """What people who look have asked for up to now."""

    refreshes: int = 0
    unchanged: int = 0
    """How many of the refreshes were answered with 304."""


@contextlib.asynccontextmanager
async def people_who_look(server: Server, paths: Sequence[str]) -> AsyncGenerator[Watching]:
    """Have each of these pages open in a browser, whose script refreshes it.

    Raises BenchmarkFailed at the end if one of them was answered with an error.
    """
    watching, person = Watching(), await Browser.signed_in(server)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(person.close)
        tasks = list[asyncio.Task[None]]()
        for place, path in enumerate(paths):
            for part in (await person.page(path)).parts():
                wait = part.every * place / len(paths)  # So that they don't all ask at once.
                browser = person.another()
                stack.callback(browser.close)
                tasks.append(asyncio.create_task(_look(browser, part, wait, watching)))
        if len(tasks) < len(paths):
            raise BenchmarkFailed(f"of {len(paths)} pages, only {len(tasks)} parts refresh")
        try:
            yield watching
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end


async def _look(browser: Browser, part: LivePart, wait: float, watching: Watching) -> None:
    etag = '"none"'
    await asyncio.sleep(wait)
    while True:
        shown = await browser.refresh(part, etag)
        watching.refreshes += 1
        watching.unchanged += shown.status == _UNCHANGED
        etag = shown.headers["etag"]
        if shown.status == _OK:
            (part,) = (one for one in shown.parts() if one.name == part.name)
        await asyncio.sleep(part.every)
