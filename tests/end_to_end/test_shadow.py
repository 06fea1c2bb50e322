"""Copies of callbacks, from the settings file to the report, with a running server."""

import asyncio
import json
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.end_to_end.test_sending import ringback, send, settled
from tests.receivers import Hang, ReceivedRequest, RecordingReceiver, Reply
from tests.served import Served, served

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 13\r\n\r\nbad signature"


def of_twilio_alone(request: ReceivedRequest) -> Reply:
    """Answer as a receiver that only accepts Twilio's requests."""
    return OK if is_from_twilio(request) else UNAUTHORIZED


def is_from_twilio(request: ReceivedRequest) -> bool:
    return any(header.startswith("X-Twilio-Signature:") for header in request.headers)


def settings(folder: Path, url: str, mark: str, *more: str) -> tuple[str, str]:
    """Return the flags that make the server copy callbacks to these URLs, with source kore."""
    path = folder / "ringback.toml"
    lines = ["[[shadows]]", 'source = "kore"', f'url_prefix = "{url}"', mark, *more]
    path.write_text("\n".join(lines))
    return ("--settings", str(path))


def of_slow(receiver: RecordingReceiver) -> int:
    return [request.body for request in receiver.requests].count(b"Event=slow")


async def tell(server: Served, *urls: str, events: list[str] | None = None) -> list[str]:
    """Send an event to each of these URLs; return the SIDs once all are settled."""
    told = zip(urls, events or ["a"] * len(urls), strict=True)
    wanted = [{"url": url, "parameters": {"Event": name}} for url, name in told]
    answered = await send(server, {"callbacks": wanted})
    sids = [one["sid"] for one in answered.body["callbacks"]]
    for sid in sids:
        await settled(server, sid)
    return sids


async def copies(server: Served) -> list[dict[str, Any]]:
    """Return all stored copies once none is in progress; virtual time waits for that."""
    assert (await server.post("/portal/v1/clock", Advance="1s")).status == 200
    return (await server.get("/portal/v1/shadows", PageSize="1000")).body["shadows"]


async def test_copies_reveal_a_receiver_that_is_not_ready_for_kore(tmp_path: Path) -> None:
    async with RecordingReceiver(answer=of_twilio_alone) as receiver:
        flags = settings(tmp_path, receiver.url("/"), 'parameter = "shadow=1"')
        async with served(tmp_path, *flags) as dev:
            url = receiver.url("/a?x=1")
            sids = await tell(dev, url, url, url)
            rows = await copies(dev)
            words = ("shadow", "report", "--all")
            report = json.loads(await ringback(*words, "--json", data=tmp_path))
            said = await ringback(*words, data=tmp_path)
            listed = await ringback("shadow", "list", "--callback", sids[0], data=tmp_path)
            metrics = await metrics_of(dev)
            callbacks = await dev.callbacks()

    assert {one["status"] for one in callbacks} == {"delivered"}
    assert [one["attempt_count"] for one in callbacks] == [1, 1, 1]

    originals = [request for request in receiver.requests if is_from_twilio(request)]
    copied = [request for request in receiver.requests if not is_from_twilio(request)]
    assert {request.line for request in originals} == {"POST /a?x=1 HTTP/1.1"}
    assert {request.line for request in copied} == {"POST /a?x=1&shadow=1 HTTP/1.1"}
    assert {request.body for request in receiver.requests} == {b"Event=a"}
    assert sorted(row["callback_sid"] for row in rows) == sorted(sids)
    assert len(originals) == len(copied) == len(rows) == 3

    (of_url,) = report["urls"]
    assert (of_url["url"], of_url["pairs"], of_url["same"], of_url["differing"]) == (url, 3, 0, 3)
    (kind,) = of_url["differences"]
    assert (kind["first"], kind["copy"], kind["count"]) == ("200", "401", 3)
    assert kind["meaning"] == "the receiver refuses kore's signature"
    assert kind["example"]["copy"]["body_excerpt"] == "bad signature"
    assert len(report["answers"]) == 3

    assert "3 compared: 0 the same, 3 differing" in said
    assert "3 x twilio 200, kore 401: the receiver refuses kore's signature" in said
    assert "kore got: bad signature" in said
    assert all(sid in said for sid in sids)
    assert listed.count("CC") == 1
    assert sids[0] in listed
    assert 'ringback_shadows_total{result="refused",source="kore"} 3.0' in metrics


async def metrics_of(server: Served) -> str:
    def read() -> str:
        connection = HTTPConnection(server.dev["base_url"].removeprefix("http://"), timeout=10)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    return await asyncio.to_thread(read)


async def test_a_receiver_of_copies_that_hangs_or_refuses_changes_nothing_about_the_callbacks(
    tmp_path: Path,
) -> None:
    hang = Hang()

    def answer(request: ReceivedRequest) -> Reply:
        return hang if b"Event=slow" in request.body else UNAUTHORIZED

    async with RecordingReceiver() as receiver, RecordingReceiver(answer=answer) as shadowed:
        flags = settings(tmp_path, receiver.url("/"), f'url = "{shadowed.url("/copy")}"')
        async with served(tmp_path, *flags) as dev:
            events = ["slow"] * 10 + ["fast"] * 10
            sids = await tell(dev, *(receiver.url("/a#cbs=twilio") for _ in events), events=events)
            while of_slow(shadowed) < 2:
                await shadowed.wait_for(len(shadowed.requests) + 1)
            # The two hanging copies use up the limit of their destination.
            assert of_slow(shadowed) == 2
            callbacks = {one["sid"]: one for one in await dev.callbacks()}
            assert [callbacks[sid]["status"] for sid in sids] == ["delivered"] * 20
            assert [callbacks[sid]["attempt_count"] for sid in sids] == [1] * 20
            assert (await dev.get("/portal/v1/undelivered")).body["callbacks"] == []
            hang.release()
            rows = await copies(dev)

    assert len(receiver.requests) == 20
    assert {request.line for request in shadowed.requests} == {"POST /copy HTTP/1.1"}
    assert sorted(row["callback_sid"] for row in rows) == sorted(sids)
    assert len(shadowed.requests) == len(rows) == 20
    assert [row["result"] for row in rows].count("refused") == 10


async def test_a_share_of_the_callbacks_is_copied(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver:
        mark = 'path = "/shadow/callbacks"'
        flags = settings(tmp_path, receiver.url("/"), mark, "percent = 50")
        async with served(tmp_path, *flags) as dev:
            await tell(dev, *[receiver.url("/a?x=1")] * 40)
            rows = await copies(dev)

    targets = [request.line.split()[1] for request in receiver.requests]
    assert targets.count("/a?x=1") == 40
    assert 0 < targets.count("/shadow/callbacks?x=1") == len(rows) < 40
