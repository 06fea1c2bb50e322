"""Prints what a receiver of both event streams got from each, for `ringback migrate streams`."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import IO, Any, Final

from ringback.captures import CapturedRequest, UnreadableCapture, read_captures
from ringback.cli.output import say
from ringback.core.counted import counted
from ringback.core.errors import RingbackError
from ringback.core.policy.source_policy import Source
from ringback.migration.stream_comparison import (
    EventsOfType,
    ReceivedStream,
    StreamComparison,
    compare_streams,
)

_MOST_SIDS: Final = 20
_INCOMPLETE: Final = 1


class UnreadableStreamCapture(RingbackError):
    """A file with captured requests can't be read, so nothing can be compared."""

    exit_code: Final = 2


def print_stream_comparison(files: Sequence[IO[bytes]], *, as_json: bool) -> int:
    """Print the comparison of the requests in these files, and return the exit code."""
    captures = [capture for file in files for capture in _read(file)]
    found = compare_streams(capture.request for capture in captures)
    say(comparison_record(found), comparison_lines(found), as_json=as_json)
    return 0 if found.is_complete else _INCOMPLETE


def _read(file: IO[bytes]) -> tuple[CapturedRequest, ...]:
    try:
        return read_captures(file.read())
    except UnreadableCapture as unreadable:
        raise UnreadableStreamCapture(f"{file.name}: {unreadable}") from None


def comparison_record(found: StreamComparison) -> dict[str, Any]:
    """Return the comparison as a JSON object, with all SIDs."""
    return {
        "pairs": found.pairs,
        "complete": found.is_complete,
        "sources": {
            str(source): {
                "requests": stream.requests,
                "events": len(stream.events),
                "repeats": stream.repeats,
                "other_events": len(stream.others),
                "test_events": len(stream.tests),
                "only": [*map(_type_record, found.only(source))],
            }
            for source, stream in found.streams.items()
        },
        "of_no_stream": found.of_no_stream,
    }


def _type_record(of_type: EventsOfType) -> dict[str, Any]:
    return {
        "type": of_type.type,
        "count": len(of_type.events),
        "first": of_type.first and of_type.first.isoformat(),
        "last": of_type.last and of_type.last.isoformat(),
        "events": [
            {"event_sid": event.key, "time": event.time and event.time.isoformat()}
            for event in of_type.events
        ],
    }


def comparison_lines(found: StreamComparison) -> Iterator[str]:
    """Yield the comparison as lines for people; of very many SIDs, only the first."""
    for source, stream in found.streams.items():
        yield f"{source}: {_stream_in_words(stream)}"
    yield f"pairs: {counted(found.pairs, 'event')} came by both"
    for source in Source:
        of_types = found.only(source)
        count = sum(len(of_type.events) for of_type in of_types)
        yield f"{source} only: {counted(count, 'event') if count else 'none'}"
        for of_type in of_types:
            yield f"  {of_type.type}: {len(of_type.events)}{_when(of_type)}"
            yield from _sids(of_type)
    if found.of_no_stream:
        yield f"not counted: {counted(found.of_no_stream, 'request')} of no event stream"


def _stream_in_words(stream: ReceivedStream) -> str:
    said = [counted(stream.requests, "request"), counted(len(stream.events), "event")]
    if stream.repeats:
        said.append(f"{counted(stream.repeats, 'repeat')}")
    if stream.others:
        said.append(f"{counted(len(stream.others), 'event')} without event_sid")
    if stream.tests:
        said.append(f"{counted(len(stream.tests), 'test event')}")
    return ", ".join(said)


def _when(of_type: EventsOfType) -> str:
    if of_type.first is None or of_type.last is None:
        return ""
    first, last = _shown(of_type.first), _shown(of_type.last)
    return f", {first}" if first == last else f", {first} to {last}"


def _shown(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _sids(of_type: EventsOfType) -> Iterator[str]:
    for event in of_type.events[:_MOST_SIDS]:
        text = event.key if event.time is None else f"{event.key}  {_shown(event.time)}"
        yield f"    {text if text.isprintable() else ascii(text)}"
    more = len(of_type.events) - _MOST_SIDS
    if more > 0:
        yield f"    … and {more} more (all of them with --json)"
