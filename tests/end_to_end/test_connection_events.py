"""A day of a few SIMs with the virtual clock: what a receiver gets of their data sessions."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ringback.core.streams.event_types import StreamEventType
from tests.end_to_end.test_trigger import FAST, subscribed
from tests.fakes import SIM_SID
from tests.receivers import RecordingReceiver
from tests.served import Served, asked_until, served

T = StreamEventType


async def add_sims(dev: Served, count: int) -> list[str]:
    """Register SIMs, activate them, and return their SIDs with that of the first one."""
    (fleet,) = (await dev.get("/v1/Fleets")).body["fleets"]
    sids = [SIM_SID]
    for number in range(count):
        card = {"Iccid": f"8988307{number:013}", "RegistrationCode": "H3LL0W0RLD"}
        sid = (await dev.post("/v1/Sims", **card)).body["sid"]
        await dev.post(f"/v1/Sims/{sid}", Status="active", Fleet=fleet["sid"])
        path = f"/v1/Sims/{sid}"
        await asked_until(
            lambda path=path: dev.get(path), lambda one: one.body["status"] == "active"
        )
        sids.append(sid)
    return sids


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_a_day_of_some_sims_is_told_to_the_byte(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver:
        await subscribed(tmp_path, receiver.url("/events"))
        # A slow machine needs more than twice the 9 s of an idle one.
        async with served(tmp_path, *FAST, "--data-per-day", "3", within=60) as dev:
            sids = await add_sims(dev, 2)
            for _ in range(12):
                await dev.post("/portal/v1/clock", Advance="2h")
                form = {"Upload": "1000", "Download": "3"}
                await dev.post(f"/portal/v1/devices/{sids[1]}/data", **form)
            for sid in sids:
                await dev.post(f"/portal/v1/devices/{sid}/detach")

            async def arrived() -> list[dict[str, Any]]:
                bodies = [json.loads(one.body) for one in receiver.requests]
                return [event["data"] for body in bodies for event in body]

            def is_complete(events: list[dict[str, Any]]) -> bool:
                return {one["sim_sid"] for one in events if is_(one, T.SESSION_ENDED)} == {*sids}

            events = await asked_until(arrived, is_complete, within=50)
            records = {
                sid: (await dev.get("/v1/UsageRecords", Sim=sid)).body["usage_records"][0]
                for sid in sids
            }
    assert len({one["event_sid"] for one in events}) == len(events)
    for sid in sids:
        own = [one for one in events if one["sim_sid"] == sid]
        reports = [one for one in own if "data_total" in one]
        updates = [one for one in reports if is_(one, T.SESSION_UPDATED)]
        assert 240 <= len(updates) <= 241
        lengths = {
            instant(one["data_session_update_end_time"])
            - instant(one["data_session_update_start_time"])
            for one in updates
        }
        assert lengths == {timedelta(minutes=6)}
        ends = [one["data_session_update_end_time"] for one in reports]
        starts = [one["data_session_update_start_time"] for one in reports]
        if sid != SIM_SID:  # it was connected before the subscription
            assert [one["event_type"] for one in own[:2]] == [
                T.ATTACHMENT_ACCEPTED,
                T.SESSION_STARTED,
            ]
            assert own[1]["timestamp"] == starts[0]
        assert ends[:-1] == starts[1:]
        assert sum(one["data_total"] for one in reports) == reports[-1]["data_session_data_total"]
        assert records[sid]["data_total"] == reports[-1]["data_session_data_total"]
        assert is_(own[-1], T.SESSION_ENDED)


def is_(event: dict[str, Any], type_: StreamEventType) -> bool:
    return event["event_type"] == type_
