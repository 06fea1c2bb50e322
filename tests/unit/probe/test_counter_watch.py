import sys

import pytest

from ringback.core.errors import ConfigurationError, InvalidCallbackUrl
from ringback.core.http.allowed_addresses import ANYWHERE
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.http_client.http_sender import HttpTransport
from ringback.probe.counter_watch import CounterWatch, counter_of, read_count
from ringback.probe.external_commands import carry_out
from ringback.runtime.system_clock import stopwatch
from tests.fakes import RecordingTransport
from tests.receivers import RecordingReceiver


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), (" 12\n", 12), ('{"done": 3, "ok": true, "rate": 0.5}', 3), ("[[4]]", 4)],
)
def test_a_counter_is_one_integer(text: str, count: int) -> None:
    assert read_count(text) == count


@pytest.mark.parametrize("text", ["", "many", "1 2", '{"a": 1, "b": 2}', "{}", "[" * 100_000])
def test_text_with_no_integer_or_several_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the counter must be one integer"):
        read_count(text)


async def test_a_counter_is_read_over_http() -> None:
    replies = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n" + b'{"n": 5}',
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    ]
    async with RecordingReceiver(*replies) as receiver:
        sender = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(ANYWHERE))
        read = counter_of(receiver.url("/count?key=s3cret", host="u:p@127.0.0.1"), sender)
        assert await read() == 5
        with pytest.raises(ConfigurationError, match="404") as refusal:
            await read()
        await sender.close()
    assert "s3cret" not in str(refusal.value)
    assert receiver.requests[0].line == "GET /count?key=s3cret HTTP/1.1"
    assert "Authorization: Basic dTpw" in receiver.requests[0].headers


async def test_a_counter_is_the_output_of_a_command() -> None:
    assert await counter_of("echo 7", RecordingTransport())() == 7


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("false", "exit code 1, can't be used"),
        ("/no/such/command s3cret", "can't be run"),
        ("echo s3cret", "must be one integer"),
    ],
)
async def test_a_failing_command_is_reported_without_its_output(command: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as refusal:
        await counter_of(command, RecordingTransport())()
    assert "s3cret" not in str(refusal.value)


async def test_a_command_that_prints_zero_may_fail() -> None:
    assert await counter_of("grep -c -e x /dev/null", RecordingTransport())() == 0


async def test_a_command_that_has_to_work_may_not_fail() -> None:
    with pytest.raises(
        ConfigurationError, match="the command false ended with exit code 1; it must"
    ):
        await carry_out(("false",), within=5)


@pytest.mark.parametrize("text", ["", "'open", "http://"])
def test_a_counter_that_is_neither_a_url_nor_a_command_is_refused(text: str) -> None:
    with pytest.raises((ValueError, InvalidCallbackUrl)):
        counter_of(text, RecordingTransport())


class Counts:
    """A counter that returns these values one after the other, then always the last one."""

    def __init__(self, *values: int) -> None:
        self._values = [*values]

    async def read(self) -> int:
        return self._values.pop(0) if len(self._values) > 1 else self._values[0]


def watch(*values: int) -> CounterWatch:
    return CounterWatch(Counts(*values).read, quiet=0.02, stopwatch=stopwatch)


async def test_a_late_effect_is_awaited() -> None:
    assert await watch(3, 3, 3, 3, 4).rise(since=3, expected=1) == 1


async def test_an_additional_effect_is_noticed() -> None:
    assert await watch(3, 4, 5).rise(since=3, expected=1) == 2


async def test_a_missing_effect_is_not_awaited_forever() -> None:
    assert await watch(3).rise(since=3, expected=1) == 0


async def test_a_counter_that_never_rests_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="the counter doesn't stop changing"):
        await watch(*range(100_000)).at_rest()


async def test_a_command_that_hangs_is_killed() -> None:
    with pytest.raises(ConfigurationError, match=r"took longer than 0\.1 s"):
        await carry_out((sys.executable, "-c", "import time; time.sleep(30)"), within=0.1)
