"""Parses an HTTP request given as text, such as raw HTTP or the output of `curl -v`.

Requests copied from KORE's migration notice, which have a form of their own, are parsed too.
"""

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
# HTTP/2 has pseudo-headers instead of a request line; browsers and proxies show them like this.
_PSEUDO: Final = re.compile(r":(?P<name>method|path|scheme|authority):[ \t]*(?P<value>\S*)[ \t]*")
_CONTENT, _HEADERS = "REQUEST CONTENT:", "HEADERS:"
"""The headings above the body and the headers in the requests of KORE's migration notice."""

_LINE_BREAK: Final = re.compile(r"\r?\n")
_EMPTY_LINE: Final = re.compile(r"\r?\n[ \t]*\r?\n")
_CHUNKS: Final = re.compile(rb"[0-9A-Fa-f]+(;[^\r\n]*)?\r?\n.*\r?\n0\r?\n(\r?\n)?", re.DOTALL)
_SHOWN: Final = 40

_NO_LINE: Final = (
    "there is no request line, so the method is assumed to be POST, and the target is unknown"
)
_CUT: Final = "the text after the headers was left out"
_LINE_BREAK_OFF: Final = "the line break at the end of the body was left out"


@dataclass(frozen=True, slots=True)
class _Head:
    """A request without its body; the parts that the text does not give are None or empty."""

    method: str | None
    target: str
    url: str | None
    headers: Headers


def is_request(text: str) -> bool:
    """Return True if the text begins like an HTTP request or like an HTTP request's headers."""
    first = _LINE_BREAK.split(_unmarked(text), maxsplit=1)[0]
    return first.rstrip() in (_CONTENT, _HEADERS) or any(
        form.fullmatch(first) for form in (_REQUEST_LINE, _HEADER, _PSEUDO)
    )


def read(text: str) -> CapturedRequest:
    """Return the request that the text contains.

    Raises UnreadableCapture, with the reason, if the text can't be read as a request.
    """
    text = _unmarked(text)
    if _has_titles(text):
        return _read_titled(text)
    head, body = _cut(text)
    return _capture(_read_head(_LINE_BREAK.split(head.strip("\r\n"))), as_bytes(body), ())


def _cut(text: str) -> tuple[str, str]:
    """Return the text before the first empty line (headers), and the text after it (body)."""
    before, *after = _EMPTY_LINE.split(text, maxsplit=1)
    return before, "".join(after)


def _unmarked(text: str) -> str:
    r"""Return the text without leading empty lines and without the line prefixes of `curl -v`.

    >>> _unmarked("* Connected\n> GET / HTTP/1.1\n> Host: a\n>\n< HTTP/1.1 200 OK\n")
    'GET / HTTP/1.1\nHost: a\n\n'
    """
    text = text.lstrip("\r\n")
    if not text.startswith((">", "* ")):
        return text
    kept = list[str]()
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        if line.startswith("<"):
            break  # the response begins here
        if line.startswith(">"):
            kept.append(line[1:].removeprefix(" "))
        elif not line.startswith(("* ", "{ ", "} ")):
            kept.append(line)
    return "".join(kept)


# ---- requests in the format of KORE's migration notice ------------------------------------------


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


# ---- request line, headers and body -------------------------------------------------------------


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
        f"line {number} of the request is {shown}, which is not a header; expected `Name: value`,"
        " or an empty line before the body"
    )


def _capture(head: _Head, body: bytes, notes: tuple[str, ...]) -> CapturedRequest:
    names = {name.lower(): value for name, value in head.headers}
    if "chunked" in names.get("transfer-encoding", "").lower() and _CHUNKS.fullmatch(body):
        raise UnreadableCapture(
            "the body is chunked (Transfer-Encoding: chunked); expected the decoded body, as the"
            " application gets it"
        )
    if "content-length" not in names and body.endswith(b"\n"):
        body = body.removesuffix(b"\n").removesuffix(b"\r")
        notes = (*notes, _LINE_BREAK_OFF) if body.strip() else notes
    if head.method is None:
        if not body:
            raise UnreadableCapture(
                "there is no request line and no body; expected a line like"
                " `POST /path?query HTTP/1.1` before the headers, and the body after them"
            )
        notes = (_NO_LINE, *notes)
    method = head.method or "POST"
    return CapturedRequest.of(
        CaptureFormat.RAW, method, head.target, head.headers, body, url=head.url, notes=notes
    )
