"""A process is killed at each named step, and at random moments; the next one recovers.

The steps: `carried_out` (a SIM's change, before it is committed) and `announced` (after it);
`keeping` and `kept` (before and after the commit with a new callback), `writing_down` and
`written_down` (that with a big batch); `claimed` (its attempt's row is durable, and nothing has
left), `sent` (its answer has arrived); `settling` and `recorded` (before and after the commit with
an attempt's ending), `settled` (the engine knows of it).
"""

import asyncio
import json
import signal
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from tests.receivers import Hang, ReceivedRequest, RecordingReceiver
from tests.served import Served, served

WORKER = ("tests.crash.worker",)
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
KILLED = -signal.SIGKILL

# Where it is killed: how many requests the receiver then gets, and the results in the attempt rows.
# A repeat is unavoidable in only one place: sent, but the ending is not stored yet.
CARRIED_OUT = [
    ("carried_out", 1, ["delivered"]),
    ("keeping", 1, ["delivered"]),
    ("kept", 1, ["unknown", "delivered"]),
    ("announced", 1, ["unknown", "delivered"]),
    ("claimed", 1, ["unknown", "delivered"]),
    ("sent", 2, ["unknown", "delivered"]),
    ("settling", 2, ["unknown", "delivered"]),
    ("recorded", 1, ["delivered"]),
    ("settled", 1, ["delivered"]),
]
LATER = timedelta(seconds=2)
"""Delay of an event: longer than it takes to create it, even on a busy machine."""
Have = Callable[[Served, str], Awaitable[str]]
EVENT = [
    ("keeping", 1, ["delivered"]),
    ("kept", 1, ["unknown", "delivered"]),
    ("claimed", 1, ["unknown", "delivered"]),
    ("sent", 2, ["unknown", "delivered"]),
    ("settling", 2, ["unknown", "delivered"]),
    ("recorded", 1, ["delivered"]),
    ("settled", 1, ["delivered"]),
]
# It waits in the store, so that a later transaction claims it, not the one that stores it.
EVENT_FOR_LATER = [
    ("keeping", 1, ["delivered"]),
    ("kept", 1, ["delivered"]),
    ("claimed", 1, ["unknown", "delivered"]),
    ("sent", 2, ["unknown", "delivered"]),
    ("settling", 2, ["unknown", "delivered"]),
    ("recorded", 1, ["delivered"]),
    ("settled", 1, ["delivered"]),
]
# The first answer is a 503, so that the round goes on: the row of the second attempt is opened by
# the commit that has the first one's ending.
EVENT_TRIED_AGAIN = [
    ("sent", 2, ["unknown", "delivered"]),
    ("settling", 2, ["unknown", "delivered"]),
    ("recorded", 2, ["refused", "unknown", "delivered"]),
    ("settled", 2, ["refused", "unknown", "delivered"]),
    ("claimed:2", 2, ["refused", "unknown", "delivered"]),
    ("sent:2", 3, ["refused", "unknown", "delivered"]),
    ("settling:2", 3, ["refused", "unknown", "delivered"]),
    ("recorded:2", 2, ["refused", "delivered"]),
    ("settled:2", 2, ["refused", "delivered"]),
]
# Three for one destination that takes one at a time; it hangs while it has the second. So each is
# at another point when the process is killed: requests and rows of each.
D, UD = ["delivered"], ["unknown", "delivered"]
BATCH = [
    ("keeping", [1, 1, 1], [D, D, D]),
    ("kept", [1, 1, 1], [UD, UD, UD]),
    ("claimed", [1, 1, 1], [UD, UD, UD]),
    ("sent", [2, 1, 1], [UD, UD, UD]),
    ("claimed:2", [2, 1, 1], [UD, UD, UD]),
    ("settling", [2, 2, 1], [UD, UD, UD]),
    ("recorded", [1, 2, 1], [D, UD, UD]),
    ("settled", [1, 2, 1], [D, UD, UD]),
]


def event(url: str, name: str = "a", **more: str) -> dict[str, Any]:
    parameters = {"Event": name}
    return {"url": url, "parameters": parameters, "idempotency_key": f"key of {name}", **more}


async def ask(server: Served, document: dict[str, Any]) -> list[str] | None:
    """Create callbacks; return their SIDs, or None if the answer got lost."""
    try:
        answered = await server.call(
            "POST",
            "/portal/v1/callbacks",
            body=json.dumps(document).encode(),
            headers={"Content-Type": "application/json"},
        )
    except (OSError, HTTPException):
        return None
    assert answered.status == 201
    return [one["sid"] for one in answered.body.get("callbacks", [answered.body])]


async def all_ended(server: Served) -> dict[str, dict[str, Any]]:
    """Wait until all stored callbacks are settled, and return them by SID."""
    async with asyncio.timeout(10):
        while True:
            known = {one["sid"]: one for one in await server.callbacks()}
            if "scheduled" not in {one["status"] for one in known.values()}:
                return known


async def results(server: Served, callback: dict[str, Any]) -> list[str]:
    attempts = await server.attempts(callback)
    assert [attempt["number"] for attempt in attempts] == [*range(1, len(attempts) + 1)]
    assert callback["attempt_count"] == len(attempts)
    return [attempt["result"] for attempt in attempts]


def tokens_of(requests: list[ReceivedRequest]) -> list[str]:
    lines = [header for request in requests for header in request.headers]
    return [line for line in lines if "-Idempotency-Token: " in line]


async def update_sim(server: Served, url: str) -> str:
    """Change a Super SIM; return the path at which its status can be read."""
    answered = await server.post(server.sim_path, Status="inactive", CallbackUrl=url)
    assert answered.status == 202
    return server.sim_path


async def update_wireless_sim(server: Served, url: str) -> str:
    """Change a Programmable Wireless SIM; return the path at which its status can be read."""
    answered = await server.post(server.wireless_sim_path, Status="suspended", CallbackUrl=url)
    assert answered.status == 200
    return server.wireless_sim_path


async def send_command(server: Served, url: str) -> str:
    """Send a Command without a receipt; return the path at which its status can be read."""
    form = {"Sim": server.dev["wireless_sim_sid"], "Command": "wake up", "CallbackUrl": url}
    answered = await server.post("/wireless/v1/Commands", **form, DeliveryReceiptRequested="false")
    assert answered.status == 201
    return f"/wireless/v1/Commands/{answered.body['sid']}"


# From then on, all callbacks are sent in the same way.
UNTIL_ANNOUNCED = CARRIED_OUT[:4]
DONE = [
    *(("a SIM", update_sim, "inactive", *case) for case in CARRIED_OUT),
    *(("a wireless SIM", update_wireless_sim, "suspended", *case) for case in UNTIL_ANNOUNCED),
    *(("a Command", send_command, "sent", *case) for case in UNTIL_ANNOUNCED),
]


@pytest.mark.parametrize(
    ("have", "status", "step", "count", "rows"),
    [case for _, *case in DONE],
    ids=[f"{what}-{step}" for what, _, _, step, *_ in DONE],
)
async def test_changes_by_the_network_are_called_back_after_a_kill_at_each_step(
    tmp_path: Path, have: Have, status: str, *, step: str, count: int, rows: list[str]
) -> None:
    async with RecordingReceiver() as receiver:
        flags = ("--update-takes", "10ms", "--die-at", step)
        async with served(tmp_path, *flags, command=WORKER) as doomed:
            path = await have(doomed, receiver.url("/a"))
            assert await doomed.process.wait() == KILLED

        async with served(tmp_path) as dev:
            await receiver.wait_for(count)
            (callback,) = (await all_ended(dev)).values()
            assert await results(dev, callback) == rows
            assert (await dev.get(path)).body["status"] == status

    assert callback["status"] == "delivered"
    assert len(receiver.requests) == count
    assert len(set(tokens_of(receiver.requests))) == 1


SECOND_TIME = ("carried_out", "claimed", "sent", "settling")


@pytest.mark.parametrize(
    ("step", "count", "rows"),
    [(f"{step}:2", count, rows) for step, count, rows in CARRIED_OUT if step in SECOND_TIME],
)
async def test_the_second_callback_of_a_sim_survives_a_kill_at_each_step(
    tmp_path: Path, step: str, count: int, rows: list[str]
) -> None:
    async with RecordingReceiver() as receiver:
        flags = ("--update-takes", "10ms", "--die-at", step)
        async with served(tmp_path, *flags, command=WORKER) as doomed:
            sim = (await doomed.post("/portal/v1/wireless_sims")).body["sid"]
            path = f"/wireless/v1/Sims/{sim}"
            form = {"Status": "ready", "RatePlan": "my_rate_plan"}
            await doomed.post(path, **form, CallbackUrl=receiver.url("/a"))
            await receiver.wait_for(1)
            await doomed.settled()
            await doomed.post(f"/portal/v1/devices/{sim}/data", Upload="250000")
            assert await doomed.process.wait() == KILLED

        async with served(tmp_path) as dev:
            await receiver.wait_for(1 + count)
            second, first = (await all_ended(dev)).values()
            assert await results(dev, first) == ["delivered"]
            assert await results(dev, second) == rows
            assert (await dev.get(path)).body["status"] == "active"

    statuses = [one["parameters"]["SimStatus"] for one in (first, second)]
    assert statuses == ["ready", "active"]
    assert len(receiver.requests) == 1 + count
    assert len(set(tokens_of(receiver.requests))) == 2


CASES = [
    *(("at once", *case) for case in EVENT),
    *(pytest.param("later", *case, marks=pytest.mark.long) for case in EVENT_FOR_LATER),
    *(pytest.param("again", *case, marks=pytest.mark.long) for case in EVENT_TRIED_AGAIN),
]


@pytest.mark.parametrize(("sent", "step", "count", "rows"), CASES)
async def test_an_event_survives_a_kill_at_each_step_and_is_found_again_by_its_key(
    tmp_path: Path, sent: str, step: str, count: int, rows: list[str]
) -> None:
    async with RecordingReceiver(*[UNAVAILABLE] * (sent == "again")) as receiver:
        wanted = event(receiver.url("/a#cbs=kore"))
        async with served(tmp_path, "--die-at", step, command=WORKER) as doomed:
            if sent == "later":
                # Only now, because the start may have taken any time.
                wanted["deliver_at"] = f"{datetime.now(UTC) + LATER:%FT%T.%fZ}"
            first = await ask(doomed, wanted)
            assert await doomed.process.wait() == KILLED

        async with served(tmp_path) as dev:
            again = await ask(dev, wanted)
            await receiver.wait_for(count)
            known = await all_ended(dev)
            assert [*known] == again
            assert first in (None, again)
            (callback,) = known.values()
            assert await results(dev, callback) == rows

    assert callback["status"] == "delivered"
    token = f"Kore-Idempotency-Token: {callback['idempotency_token']}"
    assert tokens_of(receiver.requests) == [token] * count
    assert {request.body for request in receiver.requests} == {b"Event=a"}


@pytest.mark.parametrize(("step", "counts", "rows"), BATCH)
async def test_a_batch_survives_a_kill_at_each_step(
    tmp_path: Path, step: str, counts: list[int], rows: list[list[str]]
) -> None:
    hang, names = Hang(), ("a", "b", "c")

    def answer(request: ReceivedRequest) -> Any:
        return hang if request.body == b"Event=b" else b"HTTP/1.1 204 No Content\r\n\r\n"

    async with RecordingReceiver(answer=answer) as receiver:
        wanted = {"callbacks": [event(receiver.url("/a"), name) for name in names]}
        flags = ("--per-destination", "1", "--die-at", step)
        async with served(tmp_path, *flags, command=WORKER) as doomed:
            first = await ask(doomed, wanted)
            assert await doomed.process.wait() == KILLED

        hang.release()
        async with served(tmp_path) as dev:
            again = await ask(dev, wanted)
            assert again is not None
            assert first in (None, again)
            await receiver.wait_for(sum(counts))
            known = await all_ended(dev)
            assert sorted(known) == sorted(again)
            assert [await results(dev, known[sid]) for sid in again] == rows

    assert {callback["status"] for callback in known.values()} == {"delivered"}
    received = Counter(request.body for request in receiver.requests)
    assert [received[f"Event={name}".encode()] for name in names] == counts
    tokens = Counter(line.partition(": ")[2] for line in tokens_of(receiver.requests))
    assert [tokens[known[sid]["idempotency_token"]] for sid in again] == counts


@pytest.mark.parametrize(
    ("step", "kept"),
    [("writing_down", 0), ("written_down", 300), ("keeping", 300), ("kept", 300), ("kept:2", 300)],
)
async def test_a_big_batch_is_stored_whole_or_not_at_all_at_each_step(
    tmp_path: Path, step: str, kept: int
) -> None:
    names = [f"{number}" for number in range(300)]
    async with RecordingReceiver() as receiver:
        wanted = {"callbacks": [event(receiver.url("/a"), name) for name in names]}
        async with served(tmp_path, "--die-at", step, command=WORKER) as doomed:
            assert await ask(doomed, wanted) is None
            assert await doomed.process.wait() == KILLED

        async with served(tmp_path) as dev:
            await receiver.wait_for(kept)
            before = await all_ended(dev)
            assert len(before) == kept
            again = await ask(dev, wanted)
            assert again is not None
            assert len(set(again)) == 300
            assert set(before) <= set(again)
            await receiver.wait_for(300)
            known = await all_ended(dev)
            assert sorted(known) == sorted(again)

    assert {callback["status"] for callback in known.values()} == {"delivered"}
    assert {request.body for request in receiver.requests} == {f"Event={n}".encode() for n in names}


async def test_kill_9_between_the_answer_and_the_callback_loses_nothing(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver:
        # Nothing is sent before the kill, because the network takes an hour. No test waits that
        # long.
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
            assert await results(dev, callback) == ["unknown", "delivered"]

    assert len(tokens_of(receiver.requests)) == 2
    assert len(set(tokens_of(receiver.requests))) == 1


def make_due(data: Path) -> None:
    """Move the due time of the network's work by an hour, so that it is due now."""
    with sqlite3.connect(data / "ringback.db") as connection:
        changes = connection.execute("UPDATE tasks SET due_us = 0 WHERE step = 'update_sim'")
        assert changes.rowcount == 1
    connection.close()
