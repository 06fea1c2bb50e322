"""Log lines: what is in them, and what never is."""

import json
import logging
import sys
import time
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from typing import Any

import pytest

from ringback.cli.log_output import log_to_stderr, without_secrets
from tests.fakes import NOW

log = logging.getLogger("ringback.some.module")

Read = Callable[[], list[str]]


@pytest.fixture
def read(capsys: pytest.CaptureFixture[str]) -> Generator[Read]:
    """Return what was written to stderr since the last reading; logging is left as it was found."""
    root = logging.getLogger()
    before = (root.level, root.handlers[:], sys.excepthook)

    def read() -> list[str]:
        return capsys.readouterr().err.splitlines()

    yield read
    root.handlers[:] = before[1]
    root.setLevel(before[0])
    sys.excepthook = before[2]


def only(lines: list[str]) -> dict[str, Any]:
    (line,) = lines
    return json.loads(line)


def test_a_line_of_json_says_when_how_bad_where_what_and_the_fields(read: Read) -> None:
    log_to_stderr("json", "info")
    log.warning("callback %s failed", "CB1", extra={"source": "kore", "attempts": 3})
    line = only(read())
    assert list(line) == ["time", "level", "logger", "message", "source", "attempts"]
    assert datetime.fromisoformat(line.pop("time")).tzinfo is UTC
    assert line == {
        "level": "warning",
        "logger": "ringback.some.module",
        "message": "callback CB1 failed",
        "source": "kore",
        "attempts": 3,
    }


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """A machine whose time is not UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Kathmandu")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("elsewhere")
def test_times_are_in_utc(read: Read) -> None:
    log_to_stderr("json", "info")
    record = log.makeRecord(log.name, logging.INFO, "", 0, "x", (), None)
    record.created, record.msecs = 1720017658.042, 42.0
    log.handle(record)
    assert only(read())["time"] == "2024-07-03T14:40:58.042Z"


def test_a_line_of_text_says_the_same_to_people(read: Read) -> None:
    log_to_stderr("text", "info")
    log.warning("callback %s failed", "CB1", extra={"source": "kore"})
    (line,) = read()
    time, rest = line.split(" ", 1)
    assert time.endswith("Z")
    assert rest == "WARNING ringback.some.module: callback CB1 failed source=kore"


@pytest.mark.parametrize(("form", "traceback_is"), [("json", 1), ("text", 5)])
def test_a_failure_is_told_with_its_traceback(form: str, traceback_is: int, read: Read) -> None:
    log_to_stderr(form, "info")
    try:
        raise LookupError("nobody's there")
    except LookupError:
        log.exception("it failed")
    lines = read()
    assert len(lines) >= traceback_is
    assert "LookupError: nobody's there" in "".join(lines)
    assert form == "text" or "Traceback" in only(lines)["exc_info"]


def test_a_line_of_json_stays_one_line(read: Read) -> None:
    log_to_stderr("json", "info")
    log.info("two\nlines, and %s", "\N{SNOWMAN}\u2028", extra={"at": NOW})
    line = only(read())
    assert line["message"] == "two\nlines, and \N{SNOWMAN}\u2028"
    assert line["at"] == "2024-07-03 14:40:58+00:00"


def test_what_is_below_the_level_is_not_said(read: Read) -> None:
    log_to_stderr("json", "warning")
    log.info("unheard")
    log.warning("heard")
    assert only(read())["message"] == "heard"


def test_a_second_call_replaces_the_first(read: Read) -> None:
    log_to_stderr("text", "error")
    log_to_stderr("json", "info")
    log.info("once")
    assert only(read())["message"] == "once"


def test_an_exception_that_nobody_caught_is_a_line_too(read: Read) -> None:
    log_to_stderr("json", "info")
    failure = LookupError("http://user:secret@host/")
    sys.excepthook(LookupError, failure, None)
    line = only(read())
    assert (line["level"], line["message"]) == ("critical", "Ringback itself failed")
    assert "LookupError: http://***@host/" in line["exc_info"]


# ---- secrets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("http://user:pass@a.example/p", "http://***@a.example/p"),
        (r"host=h password='it\'s it' dbname=d", "host=h password=*** dbname=d"),
        ("sslpassword = two dbname=d", "sslpassword = *** dbname=d"),
        ("https://:p%40ss@a.example:8443", "https://***@a.example:8443"),
        ("'http://token@a.example/' and more", "'http://***@a.example/' and more"),
        ("https://a.example/hook?token=abc&x=1 failed", "https://a.example/hook?*** failed"),
        ('"https://a.example/#fragment"', '"https://a.example/?***"'),
        (
            "https://u:p@a.example/?t=1, https://b.example/?t=2",
            "https://***@a.example/?*** https://b.example/?***",
        ),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic ***"),
        ("{'authorization': 'bearer abc.DEF-123'}", "{'authorization': 'bearer ***'}"),
        ("token d172c805123063c61cd06621baa62e76", "token ***"),
        ("secret=9fdbd043a473eeea2f;", "secret=***;"),
    ],
)
def test_what_looks_like_a_secret_is_left_out(said: str, told: str) -> None:
    assert without_secrets(said) == told


@pytest.mark.parametrize(
    "said",
    [
        "callback CBd172c805123063c61cd06621baa62e76 failed: the receiver answered 503",
        "account AC3ba717b1d236e6c4a835e46130267eb4",
        "https://a.example/path/@user",
        "mail to someone@a.example",
        "port = 70000: '70000' is no port; what is right? 1 to 65535",
        "Basic",
        "",
    ],
)
def test_what_is_no_secret_is_told_as_it_is(said: str) -> None:
    assert without_secrets(said) == said


def test_what_is_no_text_is_left_alone() -> None:
    assert without_secrets(17) == 17
    assert without_secrets(None) is None


@pytest.mark.parametrize("form", ["json", "text"])
def test_secrets_are_left_out_of_messages_fields_and_tracebacks(form: str, read: Read) -> None:
    log_to_stderr(form, "info")
    url = "http://user:secret@a.example/?key=secret"
    try:
        raise ValueError(f"{url} is wrong")
    except ValueError:
        log.exception("no way to %s", url, extra={"url": url})
    told = "".join(read())
    assert told.count("http://***@a.example/?***") == 3
    assert "user" not in told


def test_no_text_of_others_steers_the_terminal_or_adds_a_line(read: Read) -> None:
    odd = "a\x1b[2J\r\nforged\x9b\u202e\x7f\udcff"
    log_to_stderr("text", "info")
    try:
        raise ValueError(odd)
    except ValueError:
        log.warning("%s", odd, extra={"field": odd}, exc_info=True)
    first, *more = read()
    escaped = r"a\x1b[2J\r\nforged\x9b\u202e\x7f\udcff"
    assert first.endswith(f": {escaped} field={escaped}")
    assert all(line.isprintable() for line in more)
    log_to_stderr("json", "info")
    log.warning("%s", odd)
    (line,) = read()
    assert line.isprintable()
    assert json.loads(line)["message"] == odd


def test_a_secret_after_a_line_break_is_left_out(read: Read) -> None:
    log_to_stderr("text", "info")
    log.warning("%s", f"the token is\n{'0a' * 16}")
    (line,) = read()
    assert line.endswith(r": the token is\n***")
