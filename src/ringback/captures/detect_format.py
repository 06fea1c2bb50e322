"""Detects the format of pasted text from its content, and parses it."""

import codecs
import json
import re
from typing import Final

from ringback.captures import (
    curl_parser,
    har_parser,
    http_text_parser,
    listen_json_parser,
    show_parser,
)
from ringback.captures.captured_request import CapturedRequest, UnreadableCapture
from ringback.receiver.events import Json

_LOOKED_FOR: Final = (
    "expected an HTTP request (`POST /path HTTP/1.1`, headers, an empty line, the body), a curl"
    " command, a HAR file, a line of `ringback listen --json`, or the output of `ringback callbacks"
    " show`"
)
_MARKS: Final = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_FORM: Final = re.compile(r"[\w.%~-]+=[^\s&]*(&[\w.%~-]+=[^\s&]*)*")
_MOST_NAMES: Final = 6


def read_captures(given: bytes) -> tuple[CapturedRequest, ...]:
    """Return all requests in the pasted bytes; there is at least one.

    Raises UnreadableCapture if the format is unknown or a request can't be read; raises nothing
    else, whatever the input.
    """
    text = _decoded(given)
    stripped = text.strip()
    if stripped.startswith(("{", "[")):
        return _read_json(stripped)
    if curl_parser.is_command(stripped):
        return (curl_parser.read(stripped),)
    if show_parser.is_output(stripped):
        return show_parser.read(stripped)
    if http_text_parser.is_request(text):
        return (http_text_parser.read(text),)
    raise UnreadableCapture(f"{_found(stripped)}; {_LOOKED_FOR}")


def _decoded(given: bytes) -> str:
    for mark, encoding in _MARKS.items():
        if given.startswith(mark):
            return given.removeprefix(mark).decode(encoding, "replace")
    return given.decode("utf-8", "surrogateescape")


def _read_json(text: str) -> tuple[CapturedRequest, ...]:
    documents = _documents(text)
    if len(documents) == 1 and har_parser.is_har(documents[0]):
        return har_parser.read(documents[0])
    if len(documents) == 1 and show_parser.is_record(documents[0]):
        return show_parser.read_record(documents[0])
    lines = [document for document in documents if not listen_json_parser.is_greeting(document)]
    if lines and all(map(listen_json_parser.is_request, lines)):
        return tuple(listen_json_parser.read(line) for line in lines)
    raise UnreadableCapture(f"{_found_in(documents)}; {_LOOKED_FOR}")


def _documents(text: str) -> list[Json]:
    """Return the text's single JSON value, or else one JSON value per line."""
    try:
        return [_parsed(text)]
    except ValueError as problem:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) == 1 or not lines[0].rstrip().endswith("}"):
            raise _no_json(str(problem)) from None
    documents = list[Json]()
    for number, line in enumerate(lines, start=1):
        try:
            documents.append(_parsed(line))
        except ValueError as problem:
            raise _no_json(f"line {number}: {problem}") from None
    return documents


def _parsed(text: str) -> Json:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _no_json(problem: str) -> UnreadableCapture:
    return UnreadableCapture(
        f"it begins like JSON, but is not valid JSON ({problem}); pass the whole capture, unchanged"
    )


# Somebody may paste a secret by mistake, so messages describe the text and never quote it.


def _found(text: str) -> str:
    if not text:
        return "nothing was given"
    if _FORM.fullmatch(text):
        return "this looks like the body alone, but the signature is in the headers"
    lines = text.count("\n") + 1
    s = "s" if lines > 1 else ""
    return f"this is text of {lines} line{s}, and its first line has no known format"


def _found_in(documents: list[Json]) -> str:
    match documents[0]:
        case dict() as found:
            names = [repr(name) for name in found][:_MOST_NAMES]
            listed = ", ".join(names) + (", …" if len(found) > _MOST_NAMES else "")
            return f"this is a JSON object with {listed or 'nothing in it'}"
        case list():
            return "this is a JSON array, perhaps the body alone; the signature is in the headers"
        case _:
            return "this is JSON without a request in it"
