"""Read the receiver's own counter of processed callbacks, by HTTP or by a command.

The counter goes up by one for each effect. The effect of a callback is the work that the receiver
does because of it.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, cast

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.errors import ConfigurationError
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.http.outcome import describe
from ringback.ports import Transport
from ringback.probe.external_commands import read_command, run

ReadCounter = Callable[[], Awaitable[int]]
"""Returns the counter's current value; raises ConfigurationError if it can't be read."""

_INTEGER: Final = re.compile(r"\s*(-?[0-9]{1,18})\s*")
_PAUSE: Final = 0.02
_READ_WITHIN: Final = 10.0
_TIMES_AS_LONG: Final = 10
_LIMITS: Final = Timeouts(connect=5.0, read=5.0, total=_READ_WITHIN)


def read_count(text: str) -> int:
    r"""Return the integer that is the whole text, or the only integer in a JSON document.

    Raises ValueError for any other text. The message doesn't contain the text, which may be a
    secret.

    >>> read_count(" 12\n"), read_count('{"orders": {"done": 3, "name": "x"}}')
    (12, 3)
    """
    if match := _INTEGER.fullmatch(text):
        return int(match[1])
    try:
        numbers = list(_integers_in(json.loads(text)))
    except (ValueError, RecursionError):
        numbers = []
    if len(numbers) != 1:
        raise ValueError("the counter must be one integer, or JSON with one integer in it")
    return numbers[0]


def _integers_in(document: Any) -> Iterator[int]:
    if isinstance(document, dict):
        document = [*cast("dict[str, Any]", document).values()]
    if isinstance(document, list):
        for value in cast("list[Any]", document):
            yield from _integers_in(value)
    elif isinstance(document, int) and not isinstance(document, bool):
        yield document


def counter_of(text: str, transport: Transport) -> ReadCounter:
    """Return a function that reads the counter from the URL, or by the command, in `text`.

    Raises InvalidCallbackUrl or ValueError if the text is neither.
    """
    if text.lower().startswith(("http://", "https://")):
        return _over_http(CallbackUrl.parse(text), transport)
    return _from_command(read_command(text))


def _over_http(url: CallbackUrl, transport: Transport) -> ReadCounter:
    credentials = () if url.authorization is None else (("Authorization", url.authorization),)
    headers = (("Host", url.authority), ("Accept", "*/*"), *credentials)

    async def read() -> int:
        request = OutgoingRequest.with_headers("GET", url, headers, b"")
        exchange = await transport.send(request, limits=_LIMITS)
        if exchange.response is None or exchange.response.status != 200:
            raise ConfigurationError(
                f"the counter at {url.resource} can't be read: {describe(exchange.outcome)}"
            )
        return _read(exchange.response.body, f"the answer of {url.resource}")

    return read


def _from_command(words: tuple[str, ...]) -> ReadCounter:
    async def read() -> int:
        # Ignore the exit code: `grep -c` fails if it finds no line, but prints the right 0.
        code, output = await run(words, within=_READ_WITHIN)
        return _read(output, f"the output of {words[0]}, which ended with exit code {code},")

    return read


def _read(data: bytes, where: str) -> int:
    try:
        return read_count(data.decode(errors="replace"))
    except ValueError as error:
        raise ConfigurationError(f"{where} can't be used: {error}") from None


class CounterWatch:
    """Measures how much the counter goes up, even if the receiver works on after its answer."""

    def __init__(self, read: ReadCounter, *, quiet: float, stopwatch: Callable[[], float]) -> None:
        """Watch the counter that `read` returns.

        A value of the counter is used only if it stays the same for `quiet` seconds, or for longer
        if the receiver works slowly. If an expected effect is missing, the watch waits for it for
        ten times `quiet`.
        """
        self.read = read
        self._quiet = quiet
        self._longest = _TIMES_AS_LONG * quiet
        self._stopwatch = stopwatch
        self._is_at_rest = False

    def disturb(self) -> None:
        """Note that earlier requests may still make the counter go up.

        The next measurement then waits until the counter stays the same before it begins.
        """
        self._is_at_rest = False

    async def at_rest(self) -> int:
        """Wait until the counter stays the same, and return its value.

        Raises ConfigurationError if the counter keeps changing, or can't be read.
        """
        if self._is_at_rest:
            return await self.read()
        return await self._wait(0, since=await self.read())

    async def rise(self, *, since: int, expected: int) -> int:
        """Return how much the counter went up since it had the value `since`.

        Waits until the counter has gone up by `expected` or more and stays the same, or until a few
        seconds have passed. Raises ConfigurationError if the counter keeps changing, or can't be
        read.
        """
        return await self._wait(expected, since=since) - since

    async def _wait(self, expected: int, *, since: int) -> int:
        began = changed = self._stopwatch()
        count = await self.read()
        while True:
            now = self._stopwatch()
            is_enough = count >= since + expected
            for_long = now - changed >= self._quiet if is_enough else now - began >= self._longest
            if for_long:
                self._is_at_rest = True
                return count
            if now - began >= 2 * self._longest:
                raise ConfigurationError(
                    "the counter doesn't stop changing; stop everything else that sends callbacks"
                    " to the receiver"
                )
            await asyncio.sleep(_PAUSE)
            again = await self.read()
            if again != count:
                count, changed = again, self._stopwatch()
                # A receiver that works after its answer will be as late the next time: wait longer.
                self._quiet = min(max(self._quiet, 2 * (changed - began)), self._longest)
