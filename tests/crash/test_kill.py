"""A process dies at each named step, and at none in particular; the next one makes up for it."""

import sqlite3
from pathlib import Path

import pytest

from tests.receivers import Hang, ReceivedRequest, RecordingReceiver
from tests.served import served

WORKER = ("-m", "tests.crash.worker")

# Where it dies: how many requests the receiver then sees, and what the attempt rows say.
ENDINGS = [
    ("carried_out", 1, ["delivered"]),
    ("announced", 1, ["delivered"]),
    ("claimed", 1, ["unknown", "delivered"]),
    # The one place where a repeat can't be avoided: sent, but not yet known to be.
    ("sent", 2, ["unknown", "delivered"]),
    ("settled", 1, ["delivered"]),
]


def tokens_of(requests: list[ReceivedRequest]) -> set[str]:
    lines = [header for request in requests for header in request.headers]
    return {line for line in lines if line.startswith("I-Twilio-Idempotency-Token: ")}


@pytest.mark.parametrize(("step", "count", "rows"), ENDINGS)
async def test_a_callback_survives_a_death_at_each_step(
    tmp_path: Path, step: str, count: int, rows: list[str]
) -> None:
    async with RecordingReceiver() as receiver:
        async with served(tmp_path, "--die-at", step, command=WORKER) as doomed:
            form = {"Status": "inactive", "CallbackUrl": receiver.url("/a")}
            answered = await doomed.post(doomed.sim_path, **form)
            assert answered.status == 202
            assert await doomed.process.wait() == 9

        async with served(tmp_path) as dev:
            await receiver.wait_for(count)
            callback = await dev.settled()
            attempts = await dev.attempts(callback)
            sim = (await dev.get(dev.sim_path)).body

    assert sim["status"] == "inactive"
    assert callback["status"] == "delivered"
    assert [attempt["result"] for attempt in attempts] == rows
    assert len(receiver.requests) == count
    assert len(tokens_of(receiver.requests)) == 1
    assert callback["attempt_count"] == len(rows)


async def test_kill_9_between_the_answer_and_the_callback_loses_nothing(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver:
        # No test waits an hour: the network would, so that nothing is sent before the kill.
        async with served(tmp_path, "--update-takes", "1h") as dev:
            form = {"Status": "inactive", "CallbackUrl": receiver.url("/a#cbs=kore")}
            assert (await dev.post(dev.sim_path, **form)).status == 202
            await dev.kill()
        make_due(tmp_path)
        async with served(tmp_path) as dev:
            await receiver.wait_for(1)
            callback = await dev.settled()

    token = f"Kore-Idempotency-Token: {callback['idempotency_token']}"
    assert token in receiver.requests[0].headers


async def test_kill_9_while_the_receiver_is_answering_sends_again_with_the_same_token(
    tmp_path: Path,
) -> None:
    async with RecordingReceiver(Hang()) as receiver:
        async with served(tmp_path) as dev:
            await dev.post(dev.sim_path, Status="active", CallbackUrl=receiver.url("/a"))
            await receiver.wait_for(1)
            await dev.kill()
        async with served(tmp_path) as dev:
            await receiver.wait_for(2)
            callback = await dev.settled()
            attempts = await dev.attempts(callback)

    assert [attempt["result"] for attempt in attempts] == ["unknown", "delivered"]
    assert len(tokens_of(receiver.requests)) == 1


def make_due(data: Path) -> None:
    """Let the hour pass that the network takes."""
    with sqlite3.connect(data / "ringback.db") as connection:
        assert connection.execute("UPDATE sim_updates SET due_us = 0").rowcount == 1
    connection.close()
