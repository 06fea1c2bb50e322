"""Parses a curl command into the request that it would send."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from ringback.captures.captured_request import (
    CapturedRequest,
    CaptureFormat,
    UnreadableCapture,
    as_bytes,
    sent_to,
    with_host,
)
from ringback.captures.shell_words import shell_words

_COMMAND: Final = re.compile(r"(?:\$ )?curl(?:\.exe)?(?=[\s^]|$)")

_SHORT: Final = {
    "A": "user-agent",
    "D": "dump-header",
    "E": "cert",
    "F": "form",
    "G": "get",
    "H": "header",
    "I": "head",
    "K": "config",
    "T": "upload-file",
    "X": "request",
    "b": "cookie",
    "c": "cookie-jar",
    "d": "data",
    "e": "referer",
    "m": "max-time",
    "o": "output",
    "u": "user",
    "w": "write-out",
    "x": "proxy",
}
"""Maps short curl options to their long names, if they have a value or affect the request."""

_DATA: Final = frozenset({"data", "data-ascii", "data-binary", "data-raw", "data-urlencode"})
_HEADERS: Final = {"user-agent": "User-Agent", "referer": "Referer", "cookie": "Cookie"}
_REFUSED: Final = {
    "form": "a multipart form, but callbacks are never multipart",
    "form-string": "a multipart form, but callbacks are never multipart",
    "upload-file": "a file, which isn't available here; give the body with --data-raw",
    "config": "a file of options, which isn't available here; give the options in the command",
}
_IGNORED: Final = frozenset(
    {
        *("cacert", "cert", "connect-timeout", "cookie-jar", "dump-header", "key", "max-redirs"),
        *("max-time", "output", "proxy", "resolve", "retry", "user", "write-out"),
    }
)
"""Options whose value is not a part of the request, or is not covered by any signature."""

_WITH_VALUE: Final = (
    _DATA | _HEADERS.keys() | _REFUSED.keys() | _IGNORED | {"header", "json", "request", "url"}
)
_SAYS_NOTHING: Final = frozenset(
    {
        *("compressed", "fail", "fail-with-body", "globoff", "http1.0", "http1.1", "http2"),
        *("include", "insecure", "ipv4", "ipv6", "location", "path-as-is", "progress-bar"),
        *("show-error", "silent", "verbose"),
    }
)
_FORM_TYPE: Final = "application/x-www-form-urlencoded"


@dataclass(slots=True)
class _Order:
    """The parts of a request, collected from the options of a curl command one by one."""

    method: str | None = None
    urls: list[str] = field(default_factory=list[str])
    headers: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    data: list[str] = field(default_factory=list[str])
    is_get: bool = False
    is_head: bool = False
    is_json: bool = False
    notes: list[str] = field(default_factory=list[str])


def is_command(text: str) -> bool:
    """Return True if the text starts like a curl command."""
    return _COMMAND.match(text) is not None


def read(text: str) -> CapturedRequest:
    """Return the request that a curl command would send.

    Raises UnreadableCapture, with the reason, if the command can't be read.
    """
    try:
        _, *words = shell_words(text.removeprefix("$ "))
    except ValueError as problem:
        raise UnreadableCapture(
            f"the curl command has a {problem} that is never closed; expected the whole command"
        ) from None
    order = _Order()
    for name, value in _options(words):
        _take(order, name, value)
    return _capture(order)


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the long name and the value of each option; other words are values of `url`."""
    rest = iter(words)
    for word in rest:
        if word.startswith("--") and len(word) > 2:
            name = word[2:]
            yield name, _value(word, rest) if name in _WITH_VALUE else ""
        elif word.startswith("-") and word not in ("-", "--"):
            yield from _short_options(word[1:], rest)
        elif word not in ("-", "--"):
            yield "url", word


def _short_options(letters: str, rest: Iterator[str]) -> Iterator[tuple[str, str]]:
    for at, letter in enumerate(letters, start=1):
        name = _SHORT.get(letter)
        if name in _WITH_VALUE:
            yield name, letters[at:] or _value(f"-{letter}", rest)
            return
        if name is not None:
            yield name, ""


def _value(option: str, rest: Iterator[str]) -> str:
    value = next(rest, None)
    if value is None:
        raise UnreadableCapture(f"the curl command ends with {option}, which needs a value")
    return value


def _take(order: _Order, name: str, value: str) -> None:
    match name:
        case "request":
            order.method = value
        case "url":
            order.urls.append(value)
        case "header":
            order.headers.append(_header(value))
        case "get":
            order.is_get = True
        case "head":
            order.is_head = True
        case "json":
            order.is_json = True
            order.data.append(_data(name, value))
        case _ if name in _DATA:
            order.data.append(_data(name, value))
        case _ if name in _HEADERS:
            order.headers.append((_HEADERS[name], value))
        case _ if name in _REFUSED:
            raise UnreadableCapture(f"--{name} of the curl command sends {_REFUSED[name]}")
        case _ if name in _IGNORED | _SAYS_NOTHING or name.startswith("no-"):
            pass
        # An unknown option gets a note, not an error: most options don't affect the request.
        case _:
            order.notes.append(
                f"the option {f'--{name}'!r} of the curl command is unknown, and was ignored"
            )


def _header(text: str) -> tuple[str, str]:
    if text.startswith("@"):
        raise _from_file("--header", text)
    name, colon, value = text.partition(":")
    # curl's `-H 'Name;'` sends a header without a value.
    name = name if colon else name.removesuffix(";")
    if not name.strip() or (not colon and not text.endswith(";")):
        raise UnreadableCapture(
            f"--header of the curl command has {text[:40]!r}; expected 'Name: value'"
        )
    return name.strip(), value.strip(" \t")


def _data(name: str, text: str) -> str:
    if name == "data-raw":
        return text
    if name == "data-urlencode":
        return _encoded(text)
    if text.startswith("@"):
        raise _from_file(f"--{name}", text)
    return text


def _encoded(text: str) -> str:
    """Return the value of `--data-urlencode` as curl encodes it.

    >>> _encoded("name=a b"), _encoded("=a b"), _encoded("a b")
    ('name=a%20b', 'a%20b', 'a%20b')
    """
    name, equals, content = text.partition("=")
    if "@" in name:
        raise _from_file("--data-urlencode", text)
    if not equals:
        return quote(as_bytes(name), safe="")
    return f"{name}={quote(as_bytes(content), safe='')}" if name else quote(as_bytes(content), "")


def _from_file(option: str, text: str) -> UnreadableCapture:
    path = text.partition("@")[2]
    return UnreadableCapture(
        f"{option} of the curl command reads the file {path[:60]!r}, which isn't available here;"
        f" give its content with {'--header' if option == '--header' else '--data-raw'}"
    )


def _capture(order: _Order) -> CapturedRequest:
    url, host, target = sent_to(_url(order))
    data = ("" if order.is_json else "&").join(order.data)
    headers = with_host(tuple(order.headers), host)
    if order.is_get and data:
        joint = "&" if "?" in target else "?"
        url, target, data = f"{url}{joint}{data}", f"{target}{joint}{data}", ""
    if data and not any(name.lower() == "content-type" for name, _ in headers):
        kind = "application/json" if order.is_json else _FORM_TYPE
        headers = (*headers, ("Content-Type", kind))
    method, notes = _method(order, data), (*order.notes,)
    return CapturedRequest.of(
        CaptureFormat.CURL, method, target, headers, as_bytes(data), url=url, notes=notes
    )


def _method(order: _Order, data: str) -> str:
    if order.method is not None:
        return order.method
    if order.is_head:
        return "HEAD"
    return "POST" if data or (order.data and not order.is_get) else "GET"


def _url(order: _Order) -> str:
    match order.urls:
        case [url]:
            return url if "://" in url else f"http://{url}"
        case []:
            raise UnreadableCapture("the curl command has no URL; expected one, with its query")
        case urls:
            raise UnreadableCapture(
                f"the curl command has {len(urls)} URLs; expected one command with one URL"
                f"{''.join(f' ({note})' for note in order.notes[:1])}"
            )
