"""docs/cheat-sheet.md agrees with the captured requests and with the code."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from ringback.core.callback_urls.connection_overrides import ConnectionOverrides, RetryOn
from ringback.core.callbacks.callback import StreamBatch
from ringback.core.callbacks.rendering import render
from ringback.core.policy.source_policy import NOTICE, Source
from ringback.core.sources.idempotency_tokens import KORE_TOKEN, TWILIO_TOKEN
from ringback.core.streams.event_types import StreamEventType
from ringback.core.streams.stream_event import EventChoice, write_batch
from ringback.core.streams.stream_retries import STREAM_RETRIES
from tests.fakes import AUTH_TOKEN, KORE_SECRET, NOW, a_callback, an_account
from tests.unit.core.streams import vectors

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/cheat-sheet.md").read_text("utf-8")
HEADERS = re.findall(r"^\| `([\w-]+)` \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def captured(source: Source) -> list[tuple[str, str]]:
    """Return the headers of a source's captured callback, in their order."""
    text = (ROOT / f"tests/golden/captures/{source}-post-inactive.http").read_bytes().decode()
    lines = text.partition("\r\n\r\n")[0].split("\r\n")[1:]
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]


@pytest.mark.parametrize(("column", "source"), list(enumerate(Source, 1)))
def test_the_headers_are_those_of_a_captured_callback(column: int, source: Source) -> None:
    shown = [
        (row[0], *re.findall(r"position (\d+): `(.*)`", row[column])[0])
        for row in HEADERS
        if "`" in row[column]
    ]
    in_order = [(name, value) for name, _, value in sorted(shown, key=lambda each: int(each[1]))]
    assert in_order == captured(source)
    assert all(row[column] == "not sent" for row in HEADERS if "`" not in row[column])


@pytest.mark.parametrize(
    ("program", "secret", "header"),
    [(PROGRAMS[0], AUTH_TOKEN, "X-Twilio-Signature"), (PROGRAMS[1], KORE_SECRET, "Kore-Signature")],
)
def test_each_signature_is_computed_by_its_program(
    program: str, secret: str, header: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f'"{secret}"' in program
    exec(program, {})  # noqa: S102 - the program of our own page
    printed = capsys.readouterr().out.strip()
    assert printed == dict(captured(Source.TWILIO) + captured(Source.KORE))[header]
    assert f"# {printed}" in program


def test_the_tokens_have_the_forms_that_are_described() -> None:
    twilio, kore = TWILIO_TOKEN.make(bytes(16)), KORE_TOKEN.make(bytes(16))
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", twilio)
    assert re.fullmatch(r"RQ[0-9a-f]{32}", kore)
    assert f"a UUID: {len(twilio)} characters" in PAGE
    assert f"`RQ` and 32 hexadecimal digits: {len(kore)} characters" in PAGE


def test_the_retries_are_those_of_each_source() -> None:
    defaults = ConnectionOverrides()
    assert defaults.retries_on(Source.TWILIO) == {RetryOn.CONNECT}
    assert defaults.retries_on(Source.KORE) == {
        RetryOn.CONNECT,
        RetryOn.REQUEST_TIMEOUT,
        RetryOn.LOCKED,
        RetryOn.SERVER_ERROR,
    }
    assert "| a failed connection | a failed connection, 408, 423 and every 5xx |" in PAGE
    count, seconds = defaults.retry_count, defaults.total_timeout_ms // 1000
    assert f"| retries in one round | {count} | {count} | " in PAGE
    assert f"| time for the whole round | {seconds} seconds | {seconds} seconds | " in PAGE


def test_the_program_for_streams_computes_the_signature_of_the_vector(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exec(PROGRAMS[2], {})  # noqa: S102 - the program of our own page
    printed = capsys.readouterr().out.strip()
    assert printed == vectors.TWILIO_SIGNATURES["https://example.com/events?foo=bar"]
    assert f"# {printed}" in PROGRAMS[2]


def test_the_last_column_is_that_of_a_batch() -> None:
    of_streams = {name: column for name, *_, column in HEADERS}
    for source in Source:
        event = vectors.event(StreamEventType.SESSION_STARTED)
        stream = StreamBatch("DF1", "[2:1")
        url = a_callback(source=source).url.of_stream(STREAM_RETRIES[source].connection)
        batch = a_callback(source=source)._replace(
            body=write_batch(source, [EventChoice(event)]), stream=stream, url=url
        )
        sent = dict(render(batch, account=an_account(), at=NOW).headers)
        usual = dict(render(a_callback(source=source), account=an_account(), at=NOW).headers)
        assert sent.keys() == usual.keys()
        assert of_streams["Content-Type"] == f"`{sent['Content-Type']}`, from both"
        same = {name for name, column in of_streams.items() if column == "the same"}
        assert {name: sent.get(name) for name in same} == {n: usual.get(n) for n in same}


def test_the_retries_of_streams_are_those_of_each_source() -> None:
    twilio, kore = (STREAM_RETRIES[source] for source in Source)
    assert twilio.connection.total_timeout == timedelta(hours=4)
    assert [wait.total_seconds() for wait in kore.waits] == [2, 10, 50]
    assert [wait.total_seconds() for wait in (*twilio.waits[:2], twilio.waits[-1])] == [1, 2, 600]
    assert {one.connection.attempt_timeout_ms for one in (twilio, kore)} == {5000}
    assert "Twilio: 4 hours; KORE: as long as the retries take. Each attempt: 5 seconds" in PAGE
    assert "up to 10 minutes, at random below that; KORE: 2, 10 and 50 seconds" in PAGE


def test_the_phases_are_those_of_the_notice() -> None:
    words: dict[str, str] = {Source.TWILIO: "Twilio", Source.KORE: "KORE"}
    for phase in NOTICE.phases:
        since = f"{phase.since:%Y-%m-%d}" if phase.since else "no start date"
        row = f"| {phase.name} | {since} | {words[phase.default]} | KORE | "
        assert row in PAGE
        by_twilio = PAGE.partition(row)[2].partition(" |")[0]
        assert by_twilio.startswith("Twilio" if Source.TWILIO in phase.may_ask else "KORE")
