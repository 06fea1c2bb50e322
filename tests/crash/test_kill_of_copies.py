"""A process is killed at each step of a copy, and while one hangs; the next one sends none again.

The steps: `settled` (the callback's first attempt is settled), `shadow_opened` (the copy's row is
durable, nothing has left), `shadow_sent` (its answer has arrived), `shadow_settled` (its result is
durable).
"""

from pathlib import Path

import pytest

from tests.crash.test_kill import KILLED, WORKER, all_ended, ask, event, results
from tests.end_to_end.test_shadow import copies, settings
from tests.receivers import Hang, RecordingReceiver
from tests.served import served


@pytest.mark.parametrize(
    ("step", "count", "rows"),
    [
        ("settled", 0, []),
        ("shadow_opened", 0, ["unknown"]),
        ("shadow_sent", 1, ["unknown"]),
        ("shadow_settled", 1, ["delivered"]),
    ],
)
async def test_a_copy_is_sent_at_most_once_even_after_a_kill_at_each_step(
    tmp_path: Path, step: str, count: int, rows: list[str]
) -> None:
    async with RecordingReceiver() as receiver, RecordingReceiver() as shadowed:
        flags = settings(tmp_path, receiver.url("/"), f'url = "{shadowed.url("/copy")}"')
        async with served(tmp_path, *flags, "--die-at", step, command=WORKER) as doomed:
            await ask(doomed, event(receiver.url("/a#cbs=twilio")))
            assert await doomed.process.wait() == KILLED

        async with served(tmp_path, *flags) as dev:
            (callback,) = (await all_ended(dev)).values()
            assert await results(dev, callback) == ["delivered"]
            assert [row["result"] for row in await copies(dev)] == rows

    assert len(receiver.requests) == 1
    assert len(shadowed.requests) == count


async def test_requests_and_rows_are_equal_in_number_after_a_kill_while_copies_hang(
    tmp_path: Path,
) -> None:
    async with RecordingReceiver() as receiver, RecordingReceiver(answer=lambda _: Hang()) as slow:
        flags = settings(tmp_path, receiver.url("/"), f'url = "{slow.url("/copy")}"')
        async with served(tmp_path, *flags) as dev:
            events = [event(receiver.url("/a#cbs=twilio"), name) for name in "abcde"]
            await ask(dev, {"callbacks": events})
            assert {one["status"] for one in (await all_ended(dev)).values()} == {"delivered"}
            await slow.wait_for(2)
            await dev.kill()

        async with served(tmp_path, *flags) as dev:
            assert [row["result"] for row in await copies(dev)] == ["unknown", "unknown"]

    assert len(receiver.requests) == 5
    assert len(slow.requests) == 2
