"""Events on their way to a Kinesis stream: to moto, which is like AWS, and to a fake that fails."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import botocore.session
import pytest
from moto.server import ThreadedMotoServer

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.callback import Attempt, CallbackRecord, CallbackStatus
from ringback.core.errors import Conflict, InvalidParameter
from ringback.core.policy.source_policy import Source
from ringback.core.sources.source_definition import BUILT_IN
from ringback.core.streams.kinesis_stream import url_of_stream
from ringback.core.streams.sink import SinkType
from ringback.core.streams.stream_event import StreamEvent
from ringback.data_folder import DataFolder
from ringback.kinesis_client.kinesis_transport import KinesisTransport
from ringback.kinesis_client.record_writer import KinesisWriter
from ringback.operations.request_verification import verify_last_request
from ringback.operations.streams.sinks import SinkParameters, create_sink, send_test
from ringback.ports import CallbackFilter, PageWindow, Store, Transaction
from ringback.runtime.system_clock import SystemClock, stopwatch
from ringback.stores.sqlite.store import SqliteStore
from tests.corpus.stream_consumers import (
    KINESIS_CONSUMERS,
    WEBHOOK_CONSUMERS,
    api_with_signature_of_json_written_anew,
    lambda_of_the_first_event,
)
from tests.fake_kinesis import (
    OWN_KEY,
    OWN_SECRET,
    ROLE,
    FakeKinesis,
    error,
    fails,
    refuses,
    role_key,
    use_own_credentials,
)
from tests.fakes import ACCOUNT_SID, NOW, SeededRandomness, a_context, an_account
from tests.receivers import ReceivedRequest, RecordingReceiver
from tests.served import asked_until, served
from tests.stores.asking import new_file, opened
from tests.streams import (
    ARN,
    ENDED,
    STARTED,
    UPDATED,
    a_sink,
    a_subscription,
    add_stream,
    an_event_of,
    sim_sid,
)
from tests.unit.delivery.parts import Bench, running

MOTO_ACCOUNT = "123456789012"
ROLE_AT_MOTO = f"arn:aws:iam::{MOTO_ACCOUNT}:role/ringback"
CONFIGURATION = {"role_arn": ROLE, "external_id": "only+us"}
SESSIONS = STARTED, UPDATED, ENDED
EVERY = CallbackFilter(), PageWindow(1000)


@pytest.fixture(autouse=True)
def _own_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    use_own_credentials(monkeypatch)


@pytest.fixture
def aws() -> Iterator[FakeKinesis]:
    with FakeKinesis().serving() as fake:
        yield fake


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    (tmp_path / "ringback.db").write_bytes(new_file())
    async with opened(tmp_path / "ringback.db") as store:
        yield store


class MotoStream:
    """A new stream of moto with one shard."""

    def __init__(self, endpoint: str, name: str) -> None:
        self._client: Any = botocore.session.Session().create_client(
            "kinesis",
            "us-east-1",
            endpoint_url=endpoint,
            aws_access_key_id=OWN_KEY,
            aws_secret_access_key=OWN_SECRET,
        )
        self._client.create_stream(StreamName=name, ShardCount=1)
        self._name = name  # moto can't read by the ARN
        self.arn = f"arn:aws:kinesis:us-east-1:{MOTO_ACCOUNT}:stream/{name}"

    def records(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the partition key and the event of each record, in their order."""
        start: dict[str, Any] = {
            "StreamName": self._name,
            "ShardId": "shardId-000000000000",
            "ShardIteratorType": "TRIM_HORIZON",
        }
        iterator = self._client.get_shard_iterator(**start)["ShardIterator"]
        found = list[tuple[str, dict[str, Any]]]()
        while True:
            page = self._client.get_records(ShardIterator=iterator)
            if not page["Records"]:
                return found
            found += [(one["PartitionKey"], json.loads(one["Data"])) for one in page["Records"]]
            iterator = page["NextShardIterator"]


async def begin(
    store: Store, source: Source = Source.TWILIO, *, arn: str = ARN, **configuration: str
) -> None:
    sink = replace(a_sink(1, source, arn=arn), configuration=CONFIGURATION | configuration)

    def work(tx: Transaction) -> None:
        tx.accounts.add(an_account(), [])
        add_stream(tx, sink, a_subscription(1, source))

    await store.transact(work)


async def publish(bench: Bench, *events: StreamEvent) -> None:
    sid = a_subscription().sid

    def work(tx: Transaction) -> None:
        for event in events:
            tx.streams.events.add(event, [sid])
        bench.delivery.queue.expect_events(tx, {sid: url_of_stream(ARN).destination})

    await bench.store.transact(work)


@asynccontextmanager
async def sending(store: Store, endpoint: str, *, seed: int = 0) -> AsyncIterator[Bench]:
    """Run a delivery that writes to Kinesis at this endpoint."""
    writer = KinesisWriter(endpoint=endpoint, now=SystemClock().now)
    transport = KinesisTransport(writer, store, stopwatch=stopwatch)
    bench = Bench(store, transport, random_source=SeededRandomness(seed))
    await bench.delivery.recover()
    async with running(bench.delivery.run):
        yield bench
    await transport.close()


async def until(
    store: Store, are_right: Callable[[Sequence[CallbackRecord]], bool]
) -> Sequence[CallbackRecord]:
    async with asyncio.timeout(10):
        while True:
            page = await store.read(lambda tx: tx.callbacks.page(ACCOUNT_SID, *EVERY))
            callbacks = sorted(page, key=lambda one: one.sid)
            if are_right(callbacks):
                return callbacks
            await asyncio.sleep(0.02)


def all_delivered(count: int) -> Callable[[Sequence[CallbackRecord]], bool]:
    return lambda callbacks: (
        len(callbacks) == count and all(one.status is CallbackStatus.DELIVERED for one in callbacks)
    )


def all_tried(callbacks: Sequence[CallbackRecord]) -> bool:
    return bool(callbacks) and all(
        one.progress.attempt_count and not one.progress.is_under_way for one in callbacks
    )


async def attempts_of(store: Store, callback: CallbackRecord) -> list[Attempt]:
    return await store.read(lambda tx: tx.callbacks.attempts(callback.sid))


async def test_events_arrive_as_one_object_each_in_the_order_of_their_sim(
    store: SqliteStore, moto: str
) -> None:
    stream = MotoStream(moto, "ordered")
    await begin(store, arn=stream.arn, role_arn=ROLE_AT_MOTO)
    types = STARTED, UPDATED, UPDATED, ENDED
    events = [
        an_event_of(10 * sim + turn, sim, type_)
        for turn, type_ in enumerate(types)
        for sim in range(1, 6)
    ]
    async with sending(store, moto) as bench:
        await publish(bench, *events)
        await until(store, all_delivered(20))
    records = stream.records()
    assert len(records) == 20
    by_sim = dict[str, list[int]]()
    for key, event in records:
        assert event["data"]["sim_sid"] == key
        assert event["specversion"] == "1.0"
        by_sim.setdefault(key, []).append(int(event["id"][2:], 16) % 10)
    assert by_sim == {sim_sid(sim): sorted(by_sim[sim_sid(sim)]) for sim in range(1, 6)}
    sent = {f"EZ{10 * sim + turn:032x}" for sim in range(1, 6) for turn in range(4)}
    assert {event["id"] for _, event in records} == sent


@pytest.mark.parametrize("source", [Source.TWILIO, Source.KORE])
async def test_a_test_event_has_the_account_as_its_partition_key(
    store: SqliteStore, moto: str, source: Source
) -> None:
    stream = MotoStream(moto, f"tested-by-{source}")
    await begin(store, source, arn=stream.arn, role_arn=f"arn:aws:iam::{MOTO_ACCOUNT}:role/r")
    async with sending(store, moto) as bench:
        context = a_context(now=NOW, queue=bench.delivery.queue)
        await store.transact(lambda tx: send_test(tx, ACCOUNT_SID, a_sink().sid, source, context))
        await until(store, all_delivered(1))
    ((key, event),) = stream.records()
    assert key == ACCOUNT_SID
    assert event["type"].endswith(("test-event", "test.event"))
    assert "test_id" in event["data"]


async def test_an_attempt_says_what_was_put_where(store: SqliteStore, aws: FakeKinesis) -> None:
    await begin(store)
    async with sending(store, aws.url) as bench:
        await publish(bench, an_event_of(1))
        (callback,) = await until(store, all_delivered(1))
    (attempt,) = await attempts_of(store, callback)
    assert attempt.request is not None
    assert attempt.request.url == (
        f"kinesis://events.111111111111.us-east-1:443/aws?PartitionKey={sim_sid(1)}"
    )
    assert attempt.request.head == (
        f"PutRecords /aws?PartitionKey={sim_sid(1)} Kinesis_20131202\r\nStreamARN: {ARN}"
    )
    assert [(sim_sid(1), attempt.request.body)] == aws.written
    assert attempt.response is not None
    assert json.loads(attempt.response.body)["SequenceNumber"] == "0"
    assert callback.warnings == ()
    (assumed,) = aws.assumed
    assert assumed["ExternalId"] == "only+us"
    with pytest.raises(Conflict, match="is a record of a Kinesis stream, which has no signature"):
        await store.read(lambda tx: verify_last_request(tx, ACCOUNT_SID, callback.sid, BUILT_IN))
    shown = repr(attempt) + repr(callback)
    assert "only+us" not in shown
    assert role_key(1) not in shown


async def test_many_events_share_a_call(store: SqliteStore, aws: FakeKinesis) -> None:
    await begin(store)
    async with sending(store, aws.url) as bench:
        await publish(bench, *(an_event_of(number, number) for number in range(1, 301)))
        await until(store, all_delivered(300))
    assert len(aws.written) == 300
    assert len(aws.calls) <= 30


async def test_only_records_that_failed_are_sent_again_each_with_its_own_attempts(
    store: SqliteStore, aws: FakeKinesis
) -> None:
    await begin(store)
    aws.script = [refuses(0, 2)]
    async with sending(store, aws.url) as bench:
        await publish(bench, *(an_event_of(number, number) for number in range(1, 5)))
        await until(store, all_tried)
        (first,) = aws.calls
        bench.clock.advance(timedelta(minutes=10))
        callbacks = await until(store, all_delivered(4))
    again = [text for call in aws.calls[1:] for text in call.data]
    assert sorted(again) == sorted([first.data[0], first.data[2]])
    failed = {
        callback.body: [(one.result, one.error_code) for one in await attempts_of(store, callback)]
        for callback in callbacks
    }
    twice, once = [("unreachable", 93101), ("delivered", None)], [("delivered", None)]
    assert [failed[text] for text in first.data] == [twice, once, twice, once]


@pytest.mark.parametrize("source", [Source.TWILIO, Source.KORE])
@pytest.mark.parametrize("code", [93101, 93102, 93103, 93104])
async def test_failures_have_twilios_codes_and_only_a_wrong_arn_ends_it(
    store: SqliteStore, aws: FakeKinesis, source: Source, code: int
) -> None:
    await begin(store, source)
    match code:
        case 93101:
            aws.script = [fails(500, "InternalFailure")]
        case 93102:
            aws.role_fails = "AccessDenied"
        case 93103:
            aws.shards_fail = error(400, "LimitExceededException")
        case _:
            aws.streams.clear()
    async with sending(store, aws.url) as bench:
        await publish(bench, an_event_of(1))
        (callback,) = await until(store, all_tried)
        (attempt,) = await attempts_of(store, callback)
        assert attempt.error_code == code
        if code == 93104:
            assert callback.status is CallbackStatus.FAILED
            assert "ARN is wrong" in str(callback.progress.status_reason)
            return
        aws.role_fails = aws.shards_fail = None
        bench.clock.advance(timedelta(seconds=5))
        await until(store, all_delivered(1))
    assert len(aws.written) == 1


async def test_nothing_is_lost_if_the_server_is_killed_while_aws_writes(
    tmp_path: Path, aws: FakeKinesis
) -> None:
    async with served(tmp_path) as dev:
        account_sid = dev.dev["account_sid"]
        await dev.stop()

    def work(tx: Transaction) -> None:
        sink = replace(a_sink(account_sid=account_sid, arn=ARN), configuration=CONFIGURATION)
        add_stream(tx, sink, a_subscription(account_sid=account_sid))
        for number in range(1, 21):
            event = an_event_of(number, number % 7, account_sid=account_sid)
            tx.streams.events.add(event, [a_subscription().sid])

    await asyncio.to_thread(DataFolder(tmp_path).transact, work)
    aws.gate.clear()
    flags = ("--kinesis-endpoint", aws.url)
    async with served(tmp_path, *flags) as doomed:
        async with asyncio.timeout(10):
            while not aws.calls:  # noqa: ASYNC110 (a thread adds them)
                await asyncio.sleep(0.01)
        await doomed.kill()
    aws.gate.set()
    async with served(tmp_path, *flags) as dev:
        async with asyncio.timeout(15):
            while True:
                callbacks = await dev.callbacks()
                if len(callbacks) == 20 and {one["status"] for one in callbacks} == {"delivered"}:
                    break
                await asyncio.sleep(0.05)
        results = [[one["result"] for one in await dev.attempts(each)] for each in callbacks]
        await dev.stop()
    assert ["unknown", "delivered"] in results
    ids = {json.loads(text)["id"].lstrip("EZ0") for _, text in aws.written}
    assert ids == {f"{number:x}".lstrip("0") for number in range(1, 21)}


async def test_a_server_without_botocore_has_no_kinesis_sinks(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.transact(lambda tx: tx.accounts.add(an_account(), []))

    context = a_context(random_source=SeededRandomness())

    def create(sink: SinkParameters) -> Callable[[Transaction], object]:
        return lambda tx: create_sink(tx, ACCOUNT_SID, Source.TWILIO, sink, context)

    given = SinkParameters("the stream", SinkType.KINESIS, url_of_stream(ARN))
    monkeypatch.setitem(sys.modules, "botocore", None)
    needs = re.escape(
        "a sink of type kinesis needs the module botocore: pip install 'ringback[kinesis]'"
    )
    with pytest.raises(InvalidParameter, match=needs) as refused:
        await store.transact(create(given))
    assert refused.value.code == 91000
    webhook = CallbackUrl.parse("http://a.example/")
    await store.transact(create(replace(given, sink_type=SinkType.WEBHOOK, url=webhook)))
    monkeypatch.undo()
    await store.transact(create(given))


def test_a_server_without_kinesis_sinks_imports_nothing_for_them() -> None:
    program = (
        "import sys, ringback.application, ringback.cli.serve, ringback.cli.dev.server\n"
        "print([name for name in sys.modules if 'botocore' in name or 'kinesis_client' in name])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"[]\n"


async def test_consumers_like_public_ones_understand_all_that_a_device_does(
    tmp_path: Path, moto: str
) -> None:
    stream = MotoStream(moto, "consumers")
    in_aws = {"arn": stream.arn, "role_arn": ROLE_AT_MOTO, "external_id": "only-us"}
    async with RecordingReceiver() as receiver, served(tmp_path, "--kinesis-endpoint", moto) as dev:
        at_twilio, at_kore = receiver.url("/twilio"), receiver.url("/kore?x=1")
        for kind, configuration in (("webhook", {"destination": at_twilio}), ("kinesis", in_aws)):
            sink = {"Description": kind, "SinkType": kind}
            sink["SinkConfiguration"] = json.dumps(configuration)
            made = await dev.post("/events/v1/Sinks", **sink)
            form = [("Description", kind), ("SinkSid", made.body["sid"])]
            form += [("Types", json.dumps({"type": one})) for one in SESSIONS]
            path = "/events/v1/Subscriptions"
            assert (await dev.call("POST", path, body=urlencode(form).encode())).status == 201
        path, sink = "/portal/v1/streams", {"Name": "ours", "Type": "webhook", "Url": at_kore}
        sid = (await dev.post(f"{path}/destinations", **sink)).body["sid"]
        form = [("Name", "all"), ("Destination", sid), *(("EventType", one) for one in SESSIONS)]
        rule = await dev.call("POST", f"{path}/rules", body=urlencode(form).encode())
        assert rule.status == 201
        device = f"/portal/v1/devices/{dev.dev['sim_sid']}"
        for what in ("detach", "attach"):
            await dev.post(f"{device}/{what}")
        await dev.post(f"{device}/data", Upload="1000", Download="3000")
        await dev.post("/portal/v1/clock", Advance="13m")
        await dev.post(f"{device}/detach")
        ends = 2  # the first of a session that had begun before

        async def arrived() -> tuple[list[str], ...]:
            by_path: dict[str, list[str]] = {"/twilio": [], "/kore": []}
            for one in map(ReceivedRequest.parsed, receiver.requests):
                by_path[one.path] += [event["type"] for event in json.loads(one.body)]
            records = await asyncio.to_thread(stream.records)
            return *by_path.values(), [event["type"] for _, event in records]

        await asked_until(
            arrived, lambda ways: all(types.count(ENDED) == ends for types in ways), within=30
        )
        tokens = {dev.dev["account_sid"]: dev.dev["auth_token"]}
        records = stream.records()
    url = receiver.url("")
    understood = dict[str, list[str]]()
    first_only = lambda_of_the_first_event(tokens)
    written_anew = api_with_signature_of_json_written_anew(dev.dev["kore_secret"])
    consumers = {"/twilio": {"first": first_only}, "/kore": {"anew": written_anew}}
    for one in map(ReceivedRequest.parsed, receiver.requests):
        for name, consumer in {**WEBHOOK_CONSUMERS, **consumers[one.path]}.items():
            status, events = consumer(one.method, url + one.target, dict(one.headers), one.body)
            assert status in (200, 201), name
            understood.setdefault(one.path + name, []).extend(
                event["event_sid"] for event in events
            )
    sids = sorted(event["id"] for _, event in records)
    assert len(sids) == len(set(sids)) == 5
    assert {name: sorted(found) for name, found in understood.items()} == dict.fromkeys(
        understood, sids
    )
    updates = [json.dumps(event).encode() for _, event in records if event["type"] == UPDATED]
    assert len(updates) >= 2
    for update in updates:
        status, _ = KINESIS_CONSUMERS["importer_of_updates"](update)
        assert status == 200
