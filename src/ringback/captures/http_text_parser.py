"""An HTTP request as text: as it is on the wire, or as tools and KORE's notice print it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ringback.captures.captured_request import (
    CapturedRequest,
    CaptureFormat,
    UnreadableCapture,
    as_bytes,
    sent_to,
    with_host,
)
from ringback.receiver.verification import Headers

_REQUEST_LINE: Final = re.compile(r"(?P<method>[A-Z]+) (?P<target>\S+)(?: HTTP/[0-9.]+)?[ \t]*")
_HEADER: Final = re.compile(r"(?P<name>[\w!#$%&'*+.^`|~-]+):[ \t]*(?P<value>.*?)[ \t]*", re.ASCII)
# As browsers and proxies show what HTTP/2 has instead of a request line.
_PSEUDO: Final = re.compile(r":(?P<name>method|path|scheme|authority):[ \t]*(?P<value>\S*)[ \t]*")
_CONTENT, _HEADERS = "REQUEST CONTENT:", "HEADERS:"
"""The titles in KORE's notice, of which the body comes first."""

_LINE_BREAK: Final = re.compile(r"\r?\n")
_EMPTY_LINE: Final = re.compile(r"\r?\n[ \t]*\r?\n")
_CHUNKS: Final = re.compile(rb"[0-9A-Fa-f]+(;[^\r\n]*)?\r?\n.*\r?\n0\r?\n(\r?\n)?", re.DOTALL)
_SHOWN: Final = 40

_NO_LINE: Final = (
    "there is no request line, so the method was taken for POST, and the target is unknown"
)
_CUT: Final = "what follows the headers was left out"
_LINE_BREAK_OFF: Final = "the line break at the end of the body was left out"


@dataclass(frozen=True, slots=True)
class _Head:
    """A request without its body; parts that the text doesn't say are empty."""

    method: str | None
    target: str
    url: str | None
    headers: Headers


def is_request(text: str) -> bool:
    """Whether a text begins like an HTTP request, or like the headers of one."""
    first = _LINE_BREAK.split(_unmarked(text), maxsplit=1)[0]
    return first.rstrip() in (_CONTENT, _HEADERS) or any(
        form.fullmatch(first) for form in (_REQUEST_LINE, _HEADER, _PSEUDO)
    )


def read(text: str) -> CapturedRequest:
    """Return the request that a text is. Raises UnreadableCapture, which names what is wrong."""
    text = _unmarked(text)
    if _has_titles(text):
        return _read_titled(text)
    head, body = _cut(text)
    return _capture(_read_head(_LINE_BREAK.split(head.strip("\r\n"))), as_bytes(body), ())


def _cut(text: str) -> tuple[str, str]:
    """Return what is before the first empty line, and what is after it."""
    before, *after = _EMPTY_LINE.split(text, maxsplit=1)
    return before, "".join(after)


def _unmarked(text: str) -> str:
    r"""Return a text without empty lines before it, and without the marks that `curl -v` makes.

    >>> _unmarked("* Connected\n> GET / HTTP/1.1\n> Host: a\n>\n< HTTP/1.1 200 OK\n")
    'GET / HTTP/1.1\nHost: a\n\n'
    """
    text = text.lstrip("\r\n")
    if not text.startswith((">", "* ")):
        return text
    kept = list[str]()
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        if line.startswith("<"):
            break  # the answer
        if line.startswith(">"):
            kept.append(line[1:].removeprefix(" "))
        elif not line.startswith(("* ", "{ ", "} ")):
            kept.append(line)
    return "".join(kept)


# ---- as KORE's notice prints requests -----------------------------------------------------------


def _has_titles(text: str) -> bool:
    lines = (line.rstrip() for line in _LINE_BREAK.split(text)[:8])
    shown = [line for line in lines if line][:2]
    return any(line in (_CONTENT, _HEADERS) for line in shown)


def _read_titled(text: str) -> CapturedRequest:
    parts: dict[str, list[str]] = {"": [], _CONTENT: [], _HEADERS: []}
    part = parts[""]
    for line in _LINE_BREAK.split(text):
        part = parts.get(line.rstrip(), part) if line.strip() else part
        if line.rstrip() not in (_CONTENT, _HEADERS):
            part.append(line)
    content = "\n".join(parts[_CONTENT]).strip("\n")
    headers, rest = _cut("\n".join(parts[_HEADERS]).strip("\n"))
    head = [line for line in [*parts[""], *headers.split("\n")] if line.strip()]
    return _capture(_read_head(head), as_bytes(content), (_CUT,) if rest.strip() else ())


# ---- the parts ----------------------------------------------------------------------------------


def _read_head(lines: Sequence[str]) -> _Head:
    method, target, url = None, "", None
    pseudo, headers = dict[str, str](), list[tuple[str, str]]()
    for number, line in enumerate(lines, start=1):
        if number == 1 and (match := _REQUEST_LINE.fullmatch(line)):
            method, target = match["method"], match["target"]
        elif match := _PSEUDO.fullmatch(line):
            pseudo[match["name"]] = match["value"]
        elif match := _HEADER.fullmatch(line):
            headers.append((match["name"], match["value"]))
        else:
            raise _no_header(number, line)
    method, target = pseudo.get("method", method), pseudo.get("path", target)
    host = pseudo.get("authority", "")
    if "scheme" in pseudo and host:
        url = f"{pseudo['scheme']}://{host}{target}"
    elif "://" in target.partition("?")[0]:
        url, host, target = sent_to(target)
    return _Head(method, target, url, with_host(tuple(headers), host))


def _no_header(number: int, line: str) -> UnreadableCapture:
    shown = repr(line) if len(line) <= _SHOWN else f"{line[:_SHOWN]!r}…"
    return UnreadableCapture(
        f"line {number} of the request is {shown}, which is no header; expected `Name: value`,"
        " or an empty line before the body"
    )


def _capture(head: _Head, body: bytes, notes: tuple[str, ...]) -> CapturedRequest:
    names = {name.lower(): value for name, value in head.headers}
    if "chunked" in names.get("transfer-encoding", "").lower() and _CHUNKS.fullmatch(body):
        raise UnreadableCapture(
            "the body is in chunks, each behind its length; expected it without them, as the"
            " application gets it"
        )
    if "content-length" not in names and body.endswith(b"\n"):
        body = body.removesuffix(b"\n").removesuffix(b"\r")
        notes = (*notes, _LINE_BREAK_OFF) if body.strip() else notes
    if head.method is None:
        if not body:
            raise UnreadableCapture(
                "there is no request line and no body; expected a line like"
                " `POST /path?query HTTP/1.1` before the headers, and the body behind them"
            )
        notes = (_NO_LINE, *notes)
    method = head.method or "POST"
    return CapturedRequest.of(
        CaptureFormat.RAW, method, head.target, head.headers, body, url=head.url, notes=notes
    )
