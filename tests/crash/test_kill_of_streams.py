"""A fleet with streams to two webhooks and to Kinesis, while the server is killed.

Whatever was made arrives everywhere, with the same bytes and tokens in each repetition. The events
of a SIM arrive in order, but for those whose first attempt was cut off: the next one can overtake
them. The device's clock is advanced, so hours take minutes. WHOLE_DAY_OF_STREAMS=1 also runs a day.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPException
from itertools import count
from pathlib import Path
from random import Random
from threading import Lock
from typing import Any

import botocore.session
import pytest
from moto.kinesis.models import Record, Shard
from moto.server import ThreadedMotoServer

from ringback.core.streams.event_references import read_references
from ringback.core.streams.event_types import StreamEventType
from ringback.data_folder import DATA_FILE
from tests.fake_kinesis import OWN_KEY, OWN_SECRET, use_own_credentials
from tests.receivers import OK, HttpReceiver, ReceivedRequest
from tests.served import Served, served

T = StreamEventType
STREAM = "killed"
ARN = f"arn:aws:kinesis:us-east-1:123456789012:stream/{STREAM}"
ROLE = "arn:aws:iam::123456789012:role/ringback"
WHOLE_DAY = [
    pytest.mark.long,
    pytest.mark.skipif(
        "WHOLE_DAY_OF_STREAMS" not in os.environ,
        reason="takes 13 minutes; set WHOLE_DAY_OF_STREAMS to run it",
    ),
]
USAGE = ("data_upload", "data_download", "data_total")


@dataclass
class SimReports:
    """What was reported of a SIM's data sessions; each event has to follow the one before."""

    sessions: int = 0
    is_running: bool = False
    until: str = ""
    sums: dict[str, int] = field(default_factory=dict[str, int])
    in_all: int = 0
    early: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """The events that have arrived before the one that they follow, by where they begin."""

    def take(self, data: dict[str, Any]) -> bool:
        """Take the next event that has arrived; return True if it has come late."""
        if data["event_type"] == T.ATTACHMENT_ACCEPTED:
            return False
        begins = _begins(data)
        if data["event_type"] != T.SESSION_STARTED and begins != self.until:
            self.early[begins] = data
            return False
        is_late = bool(self.early)
        self._follow(data)
        while (after := self.early.pop(self.until, None)) is not None:
            self._follow(after)
        return is_late

    def _follow(self, data: dict[str, Any]) -> None:
        kind = data["event_type"]
        assert self.is_running == (kind != T.SESSION_STARTED)
        if kind == T.SESSION_STARTED:
            self.is_running, self.until = True, _begins(data)
            self.sums = dict.fromkeys(USAGE, 0)
            return
        assert kind in (T.SESSION_UPDATED, T.SESSION_ENDED), data
        self.until = data["data_session_update_end_time"]
        for name in USAGE:
            self.sums[name] += data[name]
            assert self.sums[name] == data[f"data_session_{name}"]
        self.in_all += data["data_total"]
        if kind == T.SESSION_ENDED:
            assert data["data_session_end_time"] == self.until
            self.is_running, self.sessions = False, self.sessions + 1


def _begins(data: dict[str, Any]) -> str:
    is_start = data["event_type"] == T.SESSION_STARTED
    begins: str = data[f"data_session_{'' if is_start else 'update_'}start_time"]
    return begins


@dataclass
class Arrivals:
    """The events that have arrived at one place, in the order in which each arrived first."""

    events: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """The hash of each event's data, by its SID."""
    sims: dict[str, SimReports] = field(default_factory=dict[str, SimReports])
    late: set[str] = field(default_factory=set[str])
    """The events that a later one of their SIM has overtaken."""
    wrong: list[str] = field(default_factory=list[str])

    def take(self, events: Iterable[dict[str, Any]]) -> None:
        for event in events:
            data = event["data"]
            digest = hashlib.blake2b(json.dumps(data).encode(), digest_size=8).digest()
            before = self.events.setdefault(event["id"], digest)
            if before != digest:
                self.wrong.append(f"{event['id']} came with other data")
            if before is digest:
                try:
                    if self.sims.setdefault(data["sim_sid"], SimReports()).take(data):
                        self.late.add(event["id"])
                except AssertionError as failed:
                    self.wrong.append(f"{data}: {failed}")


class Webhook(HttpReceiver):
    """Takes batches: a token always comes with the same bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.arrivals = Arrivals()
        self.batches = dict[str, bytes]()
        self.repeated = 0

    async def receive(self, request: ReceivedRequest) -> bytes:
        received = request.parsed()
        (token,) = (value for name, value in received.headers if name.endswith("Idempotency-Token"))
        digest = hashlib.blake2b(request.line.encode() + request.body, digest_size=8).digest()
        before = self.batches.setdefault(token, digest)
        if before is digest:
            self.arrivals.take(json.loads(request.body))
        elif before == digest:
            self.repeated += 1
        else:
            self.arrivals.wrong.append(f"{token} came with other bytes")
        return OK


def number_records_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no two calls to moto give records the same number: moto would forget one of them."""
    lock, numbers = Lock(), count(1)

    def put_record(shard: Shard, partition_key: str, data: str, explicit_hash_key: str) -> str:
        with lock:
            number = next(numbers)
            record: Any = Record(partition_key, data, number, explicit_hash_key)
            shard.records[number] = record
        return str(number)

    monkeypatch.setattr(Shard, "put_record", put_record)


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of moto's Kinesis, with one stream."""
    use_own_credentials(monkeypatch)
    number_records_one_by_one(monkeypatch)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = botocore.session.Session().create_client(
        "kinesis",
        "us-east-1",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id=OWN_KEY,
        aws_secret_access_key=OWN_SECRET,
    )
    client.create_stream(StreamName=STREAM, ShardCount=1)
    yield client
    client.delete_stream(StreamName=STREAM)
    server.stop()


def records_in(client: Any) -> Iterator[dict[str, Any]]:
    """Yield the events in the stream, in their order."""
    iterator = client.get_shard_iterator(
        StreamName=STREAM, ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    while True:
        page = client.get_records(ShardIterator=iterator)
        if not page["Records"]:
            return
        for one in page["Records"]:
            event = json.loads(one["Data"])
            assert one["PartitionKey"] == event["data"]["sim_sid"]
            yield event
        iterator = page["NextShardIterator"]


async def add_streams(dev: Served, twilio: Webhook, kore: Webhook) -> None:
    """Subscribe a webhook of each source, and the Kinesis stream, to everything."""
    types = {"Types": json.dumps({"type": T.SESSION_STARTED})}
    webhook = {"destination": twilio.url("/events"), "method": "POST", "batch_events": True}
    kinesis = {"arn": ARN, "role_arn": ROLE, "external_id": "only-us"}
    for kind, configuration in (("webhook", webhook), ("kinesis", kinesis)):
        form = {"Description": kind, "SinkType": kind}
        sink = await dev.post(
            "/events/v1/Sinks", **form, SinkConfiguration=json.dumps(configuration)
        )
        assert sink.status == 201, sink.body
        made = await dev.post(
            "/events/v1/Subscriptions", Description=kind, SinkSid=sink.body["sid"], **types
        )
        assert made.status == 201, made.body
        for other in [one for one in T if one is not T.SESSION_STARTED]:
            path = f"/events/v1/Subscriptions/{made.body['sid']}/SubscribedEvents"
            assert (await dev.post(path, Type=other)).status == 201
    destination = await dev.post(
        "/portal/v1/streams/destinations", Name="ours", Type="webhook", Url=kore.url("/events")
    )
    assert destination.status == 201, destination.body
    names = [("EventType", one) for one in T]
    body = "&".join(f"{name}={value}" for name, value in names)
    rule = f"Name=all&Destination={destination.body['sid']}&{body}".encode()
    made = await dev.call("POST", "/portal/v1/streams/rules", body=rule)
    assert made.status == 201, made.body


async def add_sims(dev: Served, count: int) -> list[str]:
    """Register and activate SIMs; return their SIDs."""
    (fleet,) = (await dev.get("/v1/Fleets")).body["fleets"]
    some = asyncio.Semaphore(8)

    async def add(number: int) -> str:
        async with some:
            card = {"Iccid": f"8988307{number:013}", "RegistrationCode": "H3LL0W0RLD"}
            sid: str = (await dev.post("/v1/Sims", **card)).body["sid"]
            updated = await dev.post(f"/v1/Sims/{sid}", Status="active", Fleet=fleet["sid"])
            assert updated.status == 202, updated.body
            return sid

    return list(await asyncio.gather(*map(add, range(count))))


async def advance(dev: Served, minutes: int, step: int) -> int:
    """Advance the clock until that many minutes have passed or the server dies; return how many."""
    passed, dev.patience = 0, 300
    with contextlib.suppress(ConnectionError, HTTPException, ValueError):
        while passed < minutes:
            answer = await dev.post("/portal/v1/clock", Advance=f"{step}m")
            assert answer.status == 200, answer.body
            passed += step
    return passed


def made_in(folder: Path) -> tuple[int, int]:
    """Return how many events were made, and how many wait for a subscriber."""
    with contextlib.closing(sqlite3.connect(folder / DATA_FILE)) as connection:
        counts: tuple[int, int] = connection.execute(
            "SELECT (SELECT count(*) FROM stream_events), (SELECT count(*) FROM stream_pending)"
        ).fetchone()
        return counts


def sent_again(folder: Path) -> set[str]:
    """Return the events of the batches whose first attempt has failed, or was cut off."""
    with contextlib.closing(sqlite3.connect(folder / DATA_FILE)) as connection:
        sids: dict[int, str] = dict(connection.execute("SELECT id, sid FROM stream_events"))
        batches = connection.execute(
            "SELECT body FROM callbacks JOIN outcomes ON outcomes.id = callbacks.id"
            " WHERE outcomes.attempt_count > 1"
        ).fetchall()
    return {sids[one.number] for (body,) in batches for one in read_references(body)}


@pytest.mark.parametrize(
    ("sims", "minutes", "kills"),
    [
        pytest.param(6, 72, 2, id="some"),
        pytest.param(1000, 4 * 60, 10, id="a fleet", marks=pytest.mark.long),
        pytest.param(1000, 24 * 60, 10, id="a day of a fleet", marks=WHOLE_DAY),
    ],
)
@pytest.mark.timeout(1200)
async def test_each_event_arrives_everywhere_although_the_server_is_killed(
    sims: int, minutes: int, kills: int, moto: Any, tmp_path: Path
) -> None:
    random, passed, step, takes = Random(sims), 0, 6, 1 + sims // 100
    flags = ("--phase", "before", "--update-takes", f"{takes}s", "--data-per-day", "3")
    flags = (*flags, "--kinesis-endpoint", moto.meta.endpoint_url)
    async with Webhook() as twilio, Webhook() as kore:
        async with served(tmp_path, *flags, within=None) as dev:
            await add_streams(dev, twilio, kore)
            sids = await add_sims(dev, sims)
            await dev.kill()
        # All SIMs are then activated at once, so that their sessions are reported at the same time.
        # The clock stops at each time at which something is due, which takes long.
        await asyncio.sleep(takes)
        for kill in range(kills + 1):
            async with served(tmp_path, *flags, within=None) as dev:
                left = minutes - passed
                if kill == kills:
                    passed += await advance(dev, left, step)
                    for sid in sids:
                        detached = await dev.post(f"/portal/v1/devices/{sid}/detach")
                        assert detached.status in (200, 201, 204), detached.body
                    await advance(dev, 10, 5)
                    await dev.stop()
                    break
                going = asyncio.create_task(advance(dev, left // (kills + 1 - kill), step))
                await asyncio.sleep(random.uniform(0.1, 0.5 + sims / 100))
                await dev.kill()
                passed += await going
        assert passed >= minutes - kills * step
        made, waiting = made_in(tmp_path)
        stream = Arrivals()
        stream.take(records_in(moto))
        places = twilio.arrivals, kore.arrivals, stream
        assert [one.wrong[:3] for one in places] == [[], [], []]
        again = sent_again(tmp_path)
        assert [one.late - again for one in places] == [set(), set(), set()]
        assert (made, waiting) == (len(kore.arrivals.events), 0)
        assert kore.arrivals.events == twilio.arrivals.events == stream.events
        for arrivals in places:
            ended = {sid: arrivals.sims[sid] for sid in sids}
            assert all(one.sessions == 1 and not one.early for one in ended.values())
            assert ended == {sid: kore.arrivals.sims[sid] for sid in sids}
        updates = made / (sims + 1)
        assert updates > minutes / step, "each SIM has reported every six minutes"
