"""`ringback destinations` with a running server: what is set holds, also after a restart."""

import json
from pathlib import Path
from typing import Any

from ringback.core.form_encoding import decode
from tests.end_to_end.test_sending import UNAVAILABLE, fetch, ringback, send, settled
from tests.receivers import RecordingReceiver
from tests.served import Served, asked_until, served

DESTINATIONS = "/portal/v1/destinations"
HELD = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n"
GONE = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
LATER = ("--schedule", "1h,1h,1h")
"""Flags for a server that sends a failed callback again after an hour; so breakers are on."""


async def set_for(server: Served, url: str, **form: str) -> None:
    """Set something as the account, which `ringback dev` has made."""
    answer = await server.post(DESTINATIONS, Destination=url, **form)
    assert answer.status == 200, answer.body


async def one(server: Served, url: str) -> dict[str, Any]:
    answer = await server.get(f"{DESTINATIONS}/one", Destination=url)
    assert answer.status == 200, answer.body
    return answer.body


async def sent_to(server: Served, url: str) -> str:
    """Send a callback without immediate retries, and return its SID."""
    answer = await send(server, {"url": f"{url}#rc=0", "parameters": {"a": "b"}})
    return answer.body["sid"]


def events_at(receiver: RecordingReceiver) -> list[str]:
    return [dict(decode(each.body.decode()))["EventType"] for each in receiver.requests]


async def test_a_rate_and_a_pause_outlive_a_restart(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver:
        here = receiver.url("")
        async with served(tmp_path) as dev:
            words = ("destinations", "set", here, "--rate", "20")
            assert "rate               20" in await ringback(*words, data=tmp_path)
            why = ("--reason", "they move")
            await ringback("destinations", "pause", here, *why, data=tmp_path)
            sid = await sent_to(dev, receiver.url("/hook"))
            assert await dev.stop() == 0
        async with served(tmp_path) as dev:
            waiting = await fetch(dev, sid)
            assert (waiting["status"], waiting["waits_because"]) == (
                "scheduled",
                "the destination is paused by the operator: they move",
            )
            shown = await one(dev, here)
            assert (shown["state"], shown["rate"], shown["waiting"]) == ("paused", "20", 1)
            assert not receiver.requests
            refused = await dev.post(f"{DESTINATIONS}/resume", Destination=here)
            assert refused.status == 409
            await ringback("destinations", "resume", here, data=tmp_path)
            await receiver.wait_for(1)
            assert (await settled(dev, sid))["status"] == "delivered"
            assert (await one(dev, here))["state"] == "well"


async def test_the_file_bounds_what_is_set_at_run_time(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver:
        file, here = tmp_path / "ringback.toml", receiver.url("")
        file.write_text(
            f"[destinations]\nrate = 50\n[[destinations.for]]\ndestination = '{here}'\n"
            "headers = { X-Team = 'meters' }\n"
        )
        async with served(tmp_path / "data", "--settings", str(file)) as dev:
            await set_for(dev, here, Rate="70", Burst="2")
            await sent_to(dev, receiver.url("/hook"))
            (request,) = await receiver.wait_for(1)
            shown = await one(dev, here)
    assert "X-Team: meters" in request.headers
    origins = {each["name"]: (each["value"], each["origin"]) for each in shown["settings"]}
    assert origins["rate"] == ("50", "the operator, in the settings, for *")
    assert origins["burst"] == ("2", f"the account, at run time, for {here}")
    assert origins["headers"] == ("X-Team: (hidden)", f"the operator, in the settings, for {here}")


async def test_time_that_passes_at_once_ends_a_pause_and_a_hold(tmp_path: Path) -> None:
    async with RecordingReceiver(HELD) as receiver, served(tmp_path, *LATER) as dev:
        here = receiver.url("")
        await ringback("destinations", "pause", here, "--for", "2h", data=tmp_path)
        first = await sent_to(dev, receiver.url("/1"))
        await ringback("clock", "advance", "1h", data=tmp_path)
        assert not receiver.requests
        await ringback("clock", "advance", "3605s", data=tmp_path)
        assert (await fetch(dev, first))["attempt_count"] == 1
        shown = await one(dev, here)
        assert (shown["state"], shown["why"]) == (
            "held",
            "the receiver has asked to wait (Retry-After)",
        )
        second = await sent_to(dev, receiver.url("/2"))
        assert (await fetch(dev, second))["waits_because"].startswith("the receiver has asked")
        await ringback("clock", "advance", "31s", data=tmp_path)
        assert (await fetch(dev, second))["status"] == "delivered"
        assert (await one(dev, here))["state"] == "well"


async def test_events_say_how_a_destination_is(tmp_path: Path) -> None:
    async with (
        RecordingReceiver(UNAVAILABLE, UNAVAILABLE) as receiver,
        RecordingReceiver() as events,
        served(tmp_path, *LATER) as dev,
    ):
        here = receiver.url("")
        await set_for(dev, here, BreakerLeast="2", Notify=events.url("/events#cbs=kore"))
        sid = await sent_to(dev, receiver.url("/hook"))
        await events.wait_for(1)
        await sent_to(dev, receiver.url("/hook"))
        await events.wait_for(2)
        assert events_at(events) == ["destination.failing", "destination.opened"]
        shown = await one(dev, here)
        assert (shown["state"], shown["why"]) == ("open", "the breaker of the destination is open")
        other = await sent_to(dev, receiver.url("/hook"))
        why = (await fetch(dev, other))["waits_because"]
        assert why.startswith("the breaker of the destination is open; the next probe is at 2")
        # A probe is sent after about half a minute.
        await ringback("clock", "advance", "1m", data=tmp_path)
        assert (await fetch(dev, other))["status"] == "delivered"
        assert events_at(events)[-1] == "destination.recovered"
        await ringback("clock", "advance", "2h", data=tmp_path)
        assert (await fetch(dev, sid))["status"] == "delivered"
        answer = await dev.get("/portal/v1/callbacks", Event="destination.opened")
        (opened,) = answer.body["callbacks"]
        assert opened["parameters"]["Destination"] == here
        assert opened["source"] == "kore"
        account = ("--account", dev.dev["account_sid"], "--reason", "enough")
        await ringback("destinations", "pause", here, *account, data=tmp_path)
        await events.wait_for(4)
        assert events_at(events)[-1] == "destination.paused"


async def test_what_a_disabled_destination_has_missed_is_replayed(tmp_path: Path) -> None:
    async with RecordingReceiver(GONE) as receiver, served(tmp_path, *LATER) as dev:
        here = receiver.url("")
        await set_for(dev, here, DisableOnGone="yes")
        sids = [await sent_to(dev, receiver.url("/hook"))]
        await asked_until(lambda: one(dev, here), lambda found: found["state"] == "disabled")
        sids += [await sent_to(dev, receiver.url("/hook")) for _ in range(2)]
        for sid in sids[1:]:
            missed = await settled(dev, sid)
            assert missed["status"] == "failed"
            assert missed["status_reason"].startswith("the destination is disabled: ")
        assert len(receiver.requests) == 1
        said = await ringback("destinations", "list", "--state", "disabled", data=tmp_path)
        assert here in said
        assert (await dev.post(f"{DESTINATIONS}/resume", Destination=here)).status == 200
        words = ("callbacks", "replay", "--since", "1h", "--destination", here, "--yes")
        await ringback(*words, data=tmp_path)
        for sid in sids[1:]:
            found = await asked_until(
                lambda sid=sid: fetch(dev, sid), lambda record: record["status"] == "delivered"
            )
            assert found["attempt_count"] == 1


async def test_a_test_is_sent_like_all_others(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path) as dev:
        await set_for(dev, receiver.url(""), Header="X-Team: meters")
        said = await ringback(
            "destinations", "test", receiver.url("/hook"), "--json", data=tmp_path
        )
    (request,) = receiver.requests
    assert json.loads(said)["status"] == "delivered"
    assert dict(decode(request.body.decode()))["EventType"] == "destination.test"
    assert "X-Team: meters" in request.headers
