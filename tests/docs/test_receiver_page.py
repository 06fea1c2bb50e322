"""docs/receiver.md: its examples run, and its tables name what there is."""

import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from ringback import receiver
from ringback.core.policy.source_policy import Source
from ringback.receiver import Callback, Reason, events
from ringback.receiver.verification import ReceivedRequest
from tests.fakes import AUTH_TOKEN, KORE_SECRET
from tests.senders import rendered

PAGE: Final = (Path(__file__).parents[2] / "docs" / "receiver.md").read_text("utf-8")
CAPTURES: Final = Path(__file__).parents[1] / "golden" / "captures"
EXAMPLES: Final = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


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
    exec(EXAMPLES[1], names)  # noqa: S102 (likewise)
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


def test_the_stores_in_the_table_are_those_that_there_are() -> None:
    rows = rows_after("| store | for | after the loss of a machine |")
    named = {match[0] for row in rows if (match := re.findall(r"`(\w+)\(", row[0]))}
    assert named == {name for name in receiver.__all__ if name.endswith("Dedupe")}


def test_the_records_in_the_table_are_those_that_there_are() -> None:
    rows = rows_after("| callback | record | recognised by |")
    named = {re.findall(r"`(\w+)`", row[1])[0] for row in rows}
    assert named == {kind.__name__ for kind in events.Event.__args__}
