"""What a receiver of both event streams got from each source."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner

from ringback.cli.main import main
from ringback.core.policy.source_policy import Source
from ringback.migration.stream_comparison import (
    ComparedEvent,
    EventsOfType,
    StreamComparison,
    compare_streams,
)
from ringback.receiver import ReceivedRequest
from tests.senders import received, rendered
from tests.stream_events import (
    B1,
    KORE_TEST,
    PREFIX,
    compact,
    data_of,
    enveloped,
    events_of,
    listen_line,
    streamed,
)

PAGE: Final = (
    Path(__file__).parents[3] / "docs" / "reference" / "commands" / "migrate.md"
).read_text("utf-8")
OF_BOTH: Final = (
    streamed(Source.TWILIO, events_of(Source.TWILIO, 1)),
    streamed(Source.TWILIO, events_of(Source.TWILIO, 4)),
    streamed(Source.TWILIO, events_of(Source.TWILIO, 5)),
    streamed(Source.TWILIO, B1),
    streamed(Source.KORE, events_of(Source.KORE, 4, 5)),
    streamed(Source.KORE, events_of(Source.KORE, 5, 6)),
)


def sids(found: Iterable[EventsOfType]) -> dict[str, list[str]]:
    return {
        of_type.type.removeprefix(PREFIX): [event.key[-2:] for event in of_type.events]
        for of_type in found
    }


def test_pairs_and_single_events_are_told_apart() -> None:
    found = compare_streams(OF_BOTH)
    assert found.pairs == 2
    assert not found.is_complete
    assert sids(found.only(Source.TWILIO)) == {"attachment.accepted": ["01"]}
    assert sids(found.only(Source.KORE)) == {"data-session.ended": ["06"]}
    twilio, kore = found.streams[Source.TWILIO], found.streams[Source.KORE]
    assert (twilio.requests, len(twilio.events), twilio.repeats, len(twilio.tests)) == (4, 3, 0, 1)
    assert (kore.requests, len(kore.events), kore.repeats, len(kore.tests)) == (2, 3, 1, 0)


def test_all_pairs_are_complete() -> None:
    requests = [streamed(source, events_of(source, *range(1, 8))) for source in Source]
    found = compare_streams(requests)
    assert (found.pairs, found.is_complete) == (7, True)
    assert [found.only(source) for source in Source] == [[], []]


def test_events_of_one_type_are_in_the_order_of_their_times() -> None:
    # The events 1, 8 and 15 are of the same type.
    times = {15: "2024-10-15T08:00:00Z", 8: "2024-10-15T09:30:00+02:00", 1: None}
    batch = [
        enveloped(data_of(number), Source.KORE) | {"time": time} for number, time in times.items()
    ]
    (found,) = compare_streams([streamed(Source.KORE, batch)]).only(Source.KORE)
    assert [event.key[-2:] for event in found.events] == ["08", "15", "01"]
    assert (found.first, found.last) == (
        datetime.fromisoformat("2024-10-15T09:30:00+02:00"),
        datetime(2024, 10, 15, 8, tzinfo=UTC),
    )


def test_events_without_any_time_have_no_first_one() -> None:
    batch = [enveloped(data_of(1), Source.KORE) | {"time": None}]
    (found,) = compare_streams([streamed(Source.KORE, batch)]).only(Source.KORE)
    assert (found.first, found.last) == (None, None)


def test_times_before_the_calendar_sort_first() -> None:
    batch = [
        *events_of(Source.KORE, 1),
        enveloped(data_of(8), Source.KORE) | {"time": "0001-01-01T00:00:00+14:00"},
    ]
    (found,) = compare_streams([streamed(Source.KORE, batch)]).only(Source.KORE)
    assert [event.key[-2:] for event in found.events] == ["08", "01"]


def test_test_events_are_counted_apart() -> None:
    requests = [
        streamed(Source.TWILIO, B1),
        streamed(Source.TWILIO, B1),
        streamed(Source.KORE, [dict(KORE_TEST), *events_of(Source.KORE, 1)]),
    ]
    found = compare_streams(requests)
    assert [len(found.streams[source].tests) for source in Source] == [2, 1]
    assert sids(found.only(Source.KORE)) == {"attachment.accepted": ["01"]}


def test_events_of_other_products_have_no_counterpart() -> None:
    event = enveloped(data_of(1), Source.TWILIO) | {"id": "NO1", "type": "x", "data": {}}
    found = compare_streams([streamed(Source.TWILIO, [event]), streamed(Source.TWILIO, [event])])
    assert found.streams[Source.TWILIO].others == {
        "NO1": ComparedEvent("NO1", "x", datetime(2024, 10, 15, 8, 30, tzinfo=UTC))
    }
    assert found.streams[Source.TWILIO].repeats == 1
    assert found.is_complete


@pytest.mark.parametrize("source", list(Source))
def test_without_a_signature_the_envelope_shows_the_source(source: Source) -> None:
    headers = (("Content-Type", "application/json"),)
    request = ReceivedRequest("POST", "/events", headers, compact(events_of(source, 1, 2)))
    assert len(compare_streams([request]).streams[source].events) == 2


def test_requests_of_no_stream_or_of_no_source_are_only_counted() -> None:
    headers = (("Content-Type", "application/json"),)
    unknown = enveloped(data_of(1), Source.KORE) | {"source": "somebody"}
    mixed = [*events_of(Source.KORE, 1), *events_of(Source.TWILIO, 2)]
    requests = [
        received(rendered(Source.KORE)),
        streamed(Source.KORE, b"[1]"),
        ReceivedRequest("POST", "/", headers, compact([unknown])),
        ReceivedRequest("POST", "/", headers, compact(mixed)),
        ReceivedRequest("GET", "/", ()),
    ]
    found = compare_streams(requests)
    assert found.of_no_stream == 5
    assert not any(stream.requests for stream in found.streams.values())


def test_an_empty_batch_is_one_of_a_stream() -> None:
    found = compare_streams([streamed(Source.KORE, [])])
    assert isinstance(found, StreamComparison)
    assert found.of_no_stream == 0


# ---- the command ---------------------------------------------------------------------------------


def run(*arguments: str, given: str | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["migrate", "streams", *arguments], input=given)
    return result.exit_code, result.output


def lines_of(requests: Iterable[ReceivedRequest]) -> str:
    return "".join(f"{listen_line(request)}\n" for request in requests)


def test_the_command_reads_what_listen_has_written(tmp_path: Path) -> None:
    parts = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    parts[0].write_text('{"listening": "http://127.0.0.1:9000"}\n' + lines_of(OF_BOTH[:3]))
    parts[1].write_text(lines_of(OF_BOTH[3:]))
    code, output = run(*map(str, parts))
    assert code == 1
    assert f"```text\n{output}```" in PAGE
    assert (
        output
        == """\
twilio: 4 requests, 3 events, 1 test event
kore: 2 requests, 3 events, 1 repeat
pairs: 2 events came by both
twilio only: 1 event
  com.twilio.iot.supersim.connection.attachment.accepted: 1, 2024-10-15T08:30:00Z
    EZ00000000000000000000000000000001  2024-10-15T08:30:00Z
kore only: 1 event
  com.twilio.iot.supersim.connection.data-session.ended: 1, 2024-10-15T08:45:02Z
    EZ00000000000000000000000000000006  2024-10-15T08:45:02Z
"""
    )


def test_the_command_reads_standard_input_and_raw_requests() -> None:
    body = compact(events_of(Source.KORE, 1)).decode()
    raw = f"POST /events HTTP/1.1\nContent-Type: application/json\nKore-Signature: x\n\n{body}"
    code, output = run("-", "--json", given=raw)
    assert code == 1
    record = json.loads(output)
    assert record["sources"]["kore"] == {
        "requests": 1,
        "events": 1,
        "repeats": 0,
        "other_events": 0,
        "test_events": 0,
        "only": [
            {
                "type": f"{PREFIX}attachment.accepted",
                "count": 1,
                "first": "2024-10-15T08:30:00+00:00",
                "last": "2024-10-15T08:30:00+00:00",
                "events": [
                    {
                        "event_sid": "EZ00000000000000000000000000000001",
                        "time": "2024-10-15T08:30:00+00:00",
                    }
                ],
            }
        ],
    }
    assert (record["pairs"], record["complete"], record["of_no_stream"]) == (0, False, 0)


def test_the_command_succeeds_if_every_event_came_by_both() -> None:
    requests = [streamed(source, events_of(source, 1, 2)) for source in Source]
    code, output = run("-", given=lines_of([*requests, received(rendered(Source.KORE))]))
    assert code == 0
    assert "pairs: 2 events came by both\ntwilio only: none\nkore only: none\n" in output
    assert "not counted: 1 request of no event stream" in output


def test_of_very_many_events_only_the_first_are_listed() -> None:
    batch: list[dict[str, Any]] = [
        enveloped(data_of(1 + 7 * number), Source.KORE) | {"time": None} for number in range(25)
    ]
    other = enveloped(data_of(1), Source.KORE) | {"id": "NO1", "type": "x", "data": {}}
    code, output = run("-", given=lines_of([streamed(Source.KORE, [*batch, other])]))
    assert code == 1
    assert output.count("    EZ") == 20
    assert "kore: 1 request, 25 events, 1 event without event_sid" in output
    assert "attachment.accepted: 25\n" in output
    assert "    … and 5 more (all of them with --json)" in output


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("nothing")
    code, output = run(str(file))
    assert code == 2
    assert "notes.txt: this is text of 1 line" in output
