"""docs/receiver.md: its examples run, and its tables name what there is."""

import dataclasses
import logging
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from prometheus_client import REGISTRY, generate_latest

from ringback import receiver
from ringback.core.events.form_names import REQUIRED, REQUIRED_FROM_SIMS
from ringback.core.policy.source_policy import Source
from ringback.core.sources.source_definition import BUILT_IN
from ringback.receiver import (
    Accepted,
    Callback,
    Duplicate,
    Reason,
    ReceivedRequest,
    Rejected,
    events,
    read_sources,
)
from tests.fakes import AUTH_TOKEN, KORE_SECRET
from tests.senders import received, rendered
from tests.stream_events import KORE_TEST, data_of, enveloped, events_of, streamed

PAGE: Final = (Path(__file__).parents[2] / "docs" / "receiver.md").read_text("utf-8")
CAPTURES: Final = Path(__file__).parents[1] / "golden" / "captures"
EXAMPLES: Final = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def example_with(text: str) -> str:
    (example,) = [each for each in EXAMPLES if text in each]
    return example


def rows_after(heading: str) -> list[list[str]]:
    """Return the cells of the table that follows."""
    lines = PAGE.partition(heading)[2].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_first_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    worked, logged = list[Callback](), list[str]()
    names: dict[str, Any] = {"work": worked.append, "log": logged.append}
    program = (
        EXAMPLES[0].replace('["…"]', f'["{AUTH_TOKEN}"]').replace('"…", "…"', f'"{KORE_SECRET}"')
    )
    exec(program, names)  # noqa: S102 (it is our own page)
    answers = list[int]()
    for source in Source:
        request = rendered(source, url="https://example.com/callbacks?tenant=7#cbs=kore")
        for body in (request.body, request.body, b"forged=1"):
            given = ("POST", request.headers, body, request.url.target)
            answers.append(names["receive"](*given))
    assert answers == [200, 200, 403] * 2
    assert [callback.source for callback in worked] == list(Source)
    assert len(logged) == 2
    assert {path.name for path in tmp_path.iterdir()} >= {"seen.db"}


RESULTS: Final = [
    Accepted(Callback(Source.KORE, "RQ1", "https://a.example", ReceivedRequest("POST", "/", ()))),
    Accepted(Callback(Source.KORE, None, "https://a.example", ReceivedRequest("POST", "/", ()))),
    Duplicate(Callback(Source.KORE, "RQ1", "https://a.example", ReceivedRequest("POST", "/", ()))),
    Rejected(Reason.NO_SIGNATURE, "there is none"),
]


def test_the_example_of_logs_runs(caplog: pytest.LogCaptureFixture) -> None:
    names: dict[str, Any] = {}
    exec(example_with('log = logging.getLogger("callbacks")'), names)  # noqa: S102 (it is our own page)
    with caplog.at_level(logging.INFO, "callbacks"):
        for result in RESULTS:
            names["on_result"](result)
    assert [record.message for record in caplog.records] == [
        "accepted RQ1 from kore",
        "accepted None from kore",
        "duplicate RQ1 (done)",
        "rejected (no_signature): there is none",
    ]


def test_the_example_of_metrics_runs() -> None:
    names: dict[str, Any] = {}
    exec(example_with("from prometheus_client import Counter"), names)  # noqa: S102 (likewise)
    counters = names["RECEIVED"], names["WITHOUT_TOKEN"]
    try:
        for result in RESULTS:
            names["on_result"](result)
        shown = generate_latest().decode()
    finally:
        for counter in counters:
            REGISTRY.unregister(counter)
    assert 'callbacks_received_total{reason="",result="accepted",source="kore"} 2.0' in shown
    assert 'callbacks_received_total{reason="",result="duplicate",source="kore"} 1.0' in shown
    assert (
        'callbacks_received_total{reason="no_signature",result="rejected",source="unknown"} 1.0'
        in shown
    )
    assert "callbacks_without_token_total 1.0" in shown


def test_the_example_of_another_source_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path(__file__).parents[2] / "examples" / "sources" / "standard-webhooks.toml"
    (tmp_path / file.name).write_text(file.read_text())
    names: dict[str, Any] = {}
    program = example_with("read_sources").replace("whsec_…", KORE_SECRET)
    exec(program, names)  # noqa: S102 (likewise)
    source = "standard-webhooks"
    sources = {**BUILT_IN, **read_sources(file)}
    request = rendered(source, url="https://example.com/callbacks", token="msg_1", sources=sources)
    results = [names["callbacks"].receive_request(received(request)) for _ in range(2)]
    assert [type(result) for result in results] == [Accepted, Duplicate]
    assert results[0].callback.source == source


def test_the_example_of_event_streams_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    program = example_with("ConnectionEventType.DATA_SESSION_ENDED")
    program = program.replace('twilio_auth_tokens=["…"]', f'twilio_auth_tokens=["{AUTH_TOKEN}"]')
    exec(program.replace('kore_secrets=["…"]', f'kore_secrets=["{KORE_SECRET}"]'), names)  # noqa: S102 (likewise)
    other = enveloped(data_of(1), Source.TWILIO) | {"id": "NO1", "type": "com.example.thing"}
    other["data"] = {}
    requests = [
        streamed(Source.TWILIO, [*events_of(Source.TWILIO, 1, 2, 6), other]),
        streamed(Source.KORE, events_of(Source.KORE, 6, 7), token="batch"),
        streamed(Source.KORE, [dict(KORE_TEST)]),
        received(rendered(Source.KORE, url="https://example.com/events")),
    ]
    for request in (*requests, *requests[:2]):
        given = (request.method, request.headers, request.body, request.target)
        assert names["receive"](*given) == 200
    sim = "HSab3f06be8f5d32caecb91e8a306c6c08"
    assert capsys.readouterr().out.splitlines() == [
        f"{sim} has error 83705: Attachment Rejected Due To SIM In Inactive State",
        f"{sim} has used 16784 bytes",
        "another event: com.example.thing",
        f"{sim} has error 83701: Data Session Establishment Failed Due To Internal Error",
        f"{sim} is inactive",
    ]


@pytest.mark.parametrize(
    ("capture", "words"),
    [
        ("kore-post-active", "HSab3f06be8f5d32caecb91e8a306c6c08 is active"),
        ("twilio-post-inactive", "not used here"),
        ("twilio-post-sms-received", "a device sent "),
        ("kore-post-test-event", "the test of KORE's portal works"),
    ],
)
def test_the_example_of_typed_events_runs(capture: str, words: str) -> None:
    names: dict[str, Any] = {}
    exec(example_with("def in_words"), names)  # noqa: S102 (likewise)
    head, _, body = (CAPTURES / f"{capture}.http").read_bytes().partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    pairs = tuple((name, value) for name, _, value in (each.partition(": ") for each in headers))
    request = ReceivedRequest("POST", line.split()[1], pairs, body)
    assert names["in_words"](SimpleNamespace(event=events.read_event(request))).startswith(words)


def test_the_reasons_and_their_statuses_are_those_that_there_are() -> None:
    rows = rows_after("| reason | status | meaning |")
    assert {(name.strip("`"), int(status)) for name, status, _ in rows} == {
        (reason.value, reason.status) for reason in Reason
    }


def test_the_table_of_a_callback_names_all_that_it_has() -> None:
    named = {
        name
        for row in rows_after("| of `callback` | meaning |")
        for name in re.findall(r"`(\w+)`", row[0])
    }
    fields = {field.name for field in dataclasses.fields(Callback)}
    properties = {name for name in vars(Callback) if not name.startswith("_")}
    assert named == fields | properties


def test_the_required_names_in_the_table_are_those_that_are_checked() -> None:
    rows = rows_after("| kind | required names |")
    named = [tuple(re.findall(r"`(\w+)`", row[1])) for row in rows]
    more_than_the_sid = [names for names in REQUIRED.values() if len(names) > 1]
    assert named == [*more_than_the_sid, *REQUIRED_FROM_SIMS.values()]


def test_the_stores_in_the_table_are_those_that_there_are() -> None:
    rows = rows_after("| store | for | after the loss of a machine |")
    named = {match[0] for row in rows if (match := re.findall(r"`(\w+)\(", row[0]))}
    assert named == {name for name in receiver.__all__ if name.endswith("Dedupe")}


def test_the_records_in_the_table_are_those_that_there_are() -> None:
    rows = rows_after("| callback | record | recognised by |")
    named = {re.findall(r"`(\w+)`", row[1])[0] for row in rows}
    assert named == {kind.__name__ for kind in events.Event.__args__}
