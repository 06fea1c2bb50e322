"""Records, credentials and failures, as AWS tells of them; the server is our own fake."""

import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome
from ringback.kinesis_client import record_writer
from ringback.kinesis_client.record_writer import (
    KinesisWriter,
    SinkAccess,
    StreamRecord,
    WrittenRecord,
)
from tests.descriptors import without_descriptors
from tests.fake_kinesis import (
    OWN_KEY,
    OWN_SECRET,
    ROLE,
    THROTTLED,
    FakeKinesis,
    error,
    fails,
    refuses,
    role_key,
    use_own_credentials,
)
from tests.fakes import ACCOUNT_SID, FakeClock
from tests.streams import ARN

OWN = SinkAccess(ACCOUNT_SID, ARN, "us-east-1")
BY_ROLE = replace(OWN, role_arn=ROLE, external_id="only+us")
RECORDS = [StreamRecord(b"{1}", "HS1"), StreamRecord(b"{2}", "HS2"), StreamRecord(b"{3}", "HS1")]


@pytest.fixture(autouse=True)
def _own_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    use_own_credentials(monkeypatch)


@pytest.fixture
def aws() -> Iterator[FakeKinesis]:
    with FakeKinesis().serving() as fake:
        yield fake


@pytest.fixture
def clock(aws: FakeKinesis) -> FakeClock:
    clock = FakeClock()
    aws.now = clock.now
    return clock


@pytest.fixture
def writer(aws: FakeKinesis, clock: FakeClock) -> KinesisWriter:
    return KinesisWriter(endpoint=aws.url, now=clock.now)


def failures(results: object) -> list[AttemptFailure | None]:
    assert isinstance(results, list)
    return [
        one.outcome.failure if isinstance(one.outcome, NoAnswerOutcome) else None for one in results
    ]


def why(results: object) -> str:
    """Return why the first record was not written."""
    assert isinstance(results, list)
    (first, *_) = results
    assert isinstance(first, WrittenRecord)
    assert isinstance(first.outcome, NoAnswerOutcome)
    return first.outcome.why


def test_records_are_written_by_one_call_in_their_order(
    aws: FakeKinesis, writer: KinesisWriter
) -> None:
    results = writer.put(OWN, RECORDS)
    assert failures(results) == [None] * 3
    (call,) = aws.calls
    assert (call.arn, call.access_key) == (ARN, OWN_KEY)
    assert call.records == [("HS1", b"{1}"), ("HS2", b"{2}"), ("HS1", b"{3}")]
    assert results[1].response is not None
    answer = {"SequenceNumber": "1", "ShardId": "shardId-000000000000"}
    assert json.loads(results[1].response.body) == answer


def test_each_record_has_its_own_outcome(aws: FakeKinesis, writer: KinesisWriter) -> None:
    aws.script = [refuses(0, 2)]
    results = writer.put(OWN, RECORDS)
    failed = AttemptFailure.KINESIS_WRITE
    assert failures(results) == [failed, None, failed]
    assert why(results) == f"the stream did not take the record: {THROTTLED}: too much"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, THROTTLED),
        (500, "InternalFailure"),
        (503, "ServiceUnavailable"),
        (400, "KMSThrottlingException"),
        (400, "AccessDeniedException"),
    ],
)
def test_a_call_that_fails_gives_each_record_this_outcome(
    aws: FakeKinesis, writer: KinesisWriter, status: int, code: str
) -> None:
    aws.script = [fails(status, code)]
    results = writer.put(OWN, RECORDS)
    assert failures(results) == [AttemptFailure.KINESIS_WRITE] * 3
    assert code in why(results)
    assert len(aws.calls) == 1  # not sent again by botocore
    assert failures(writer.put(OWN, RECORDS)) == [None] * 3


def test_an_answer_about_other_records_counts_as_failed(
    aws: FakeKinesis, writer: KinesisWriter
) -> None:
    aws.script = [lambda records: refuses()(records[1:])]
    results = writer.put(OWN, RECORDS)
    assert failures(results) == [AttemptFailure.KINESIS_WRITE] * 3
    assert why(results).endswith("the answer is about 2 records, not 3")


def test_an_answer_that_does_not_come_counts_as_failed(
    aws: FakeKinesis, writer: KinesisWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_writer, "TIME_LIMIT", 0.3)
    aws.gate.clear()
    results = writer.put(OWN, RECORDS)
    assert failures(results) == [AttemptFailure.KINESIS_WRITE] * 3
    assert "Read timeout" in why(results)


def test_nobody_at_the_endpoint_counts_as_failed(clock: FakeClock) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # but nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        writer = KinesisWriter(endpoint=url, now=clock.now)
        assert failures(writer.put(OWN, RECORDS)) == [AttemptFailure.KINESIS_SHARDS] * 3
        assert failures(writer.put(BY_ROLE, RECORDS)) == [AttemptFailure.KINESIS_ROLE] * 3


def test_the_shards_are_read_once_for_each_session(aws: FakeKinesis, writer: KinesisWriter) -> None:
    aws.shards_fail = error(400, "LimitExceededException")
    results = writer.put(OWN, RECORDS)
    assert failures(results) == [AttemptFailure.KINESIS_SHARDS] * 3
    assert "LimitExceededException" in why(results)
    assert aws.calls == []
    aws.shards_fail = None
    for _ in range(3):
        assert failures(writer.put(OWN, RECORDS)) == [None] * 3
    assert aws.shards_read == 2


def test_a_stream_that_does_not_exist_is_told_apart(
    aws: FakeKinesis, writer: KinesisWriter
) -> None:
    other = replace(OWN, stream_arn=ARN + "-2")
    results = writer.put(other, RECORDS)
    assert failures(results) == [AttemptFailure.KINESIS_STREAM] * 3
    assert why(results).startswith(f"there is no stream {ARN}-2: ")


@pytest.mark.parametrize("code", ["InvalidArgumentException", "ValidationException"])
def test_an_arn_that_aws_refuses_is_told_apart_from_a_record_that_it_refuses(
    aws: FakeKinesis, writer: KinesisWriter, code: str
) -> None:
    aws.shards_fail = error(400, code)
    assert failures(writer.put(OWN, RECORDS)) == [AttemptFailure.KINESIS_STREAM] * 3
    aws.shards_fail = None
    aws.script = [fails(400, code)]
    assert failures(writer.put(OWN, RECORDS)) == [AttemptFailure.KINESIS_WRITE] * 3


def test_a_stream_that_is_deleted_meanwhile_is_told_apart(
    aws: FakeKinesis, writer: KinesisWriter
) -> None:
    writer.put(OWN, RECORDS)
    aws.streams.clear()
    assert failures(writer.put(OWN, RECORDS)) == [AttemptFailure.KINESIS_STREAM] * 3
    aws.streams.add(ARN)
    assert failures(writer.put(OWN, RECORDS)) == [None] * 3
    assert aws.shards_read == 2


def test_a_region_that_does_not_exist_is_told_apart(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[str]()

    def no_name(host: str, *_: object, **__: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    writer = KinesisWriter(now=clock.now)
    nowhere = "arn:aws:kinesis:us-nowhere-9:111111111111:stream/events"
    results = writer.put(replace(OWN, stream_arn=nowhere, region="us-nowhere-9"), RECORDS)
    assert failures(results) == [AttemptFailure.KINESIS_STREAM] * 3
    assert why(results).startswith("AWS has no region us-nowhere-9: ")
    assert failures(writer.put(OWN, RECORDS)) == [AttemptFailure.KINESIS_SHARDS] * 3
    assert all("kinesis" in host for host in asked)


def test_an_arn_that_aws_does_not_have_is_told_apart(clock: FakeClock) -> None:
    short = "arn:aws:kinesis:us-east-1::stream/events"
    results = KinesisWriter(now=clock.now).put(replace(OWN, stream_arn=short), RECORDS)
    assert failures(results) == [AttemptFailure.KINESIS_STREAM] * 3


def test_a_role_is_assumed_with_its_external_id(aws: FakeKinesis, writer: KinesisWriter) -> None:
    assert failures(writer.put(BY_ROLE, RECORDS)) == [None] * 3
    (asked,) = aws.assumed
    assert asked["RoleArn"] == ROLE
    assert asked["ExternalId"] == "only+us"
    assert asked["RoleSessionName"] == f"ringback-{ACCOUNT_SID}"
    assert [call.access_key for call in aws.calls] == [role_key(1)]


def test_a_role_without_an_external_id_is_assumed_without_one(
    aws: FakeKinesis, writer: KinesisWriter
) -> None:
    writer.put(replace(BY_ROLE, external_id=None), RECORDS)
    assert "ExternalId" not in aws.assumed[0]


def test_the_credentials_of_a_role_serve_all_its_streams(
    aws: FakeKinesis, writer: KinesisWriter
) -> None:
    aws.streams.add(ARN + "-2")
    writer.put(BY_ROLE, RECORDS)
    writer.put(replace(BY_ROLE, stream_arn=ARN + "-2"), RECORDS)
    assert len(aws.assumed) == 1
    writer.put(replace(BY_ROLE, external_id="another"), RECORDS)
    writer.put(replace(BY_ROLE, account_sid="AC" + "e" * 32), RECORDS)
    assert len(aws.assumed) == 3


def test_calls_at_the_same_time_assume_a_role_once(aws: FakeKinesis, writer: KinesisWriter) -> None:
    aws.role_gate.clear()
    results = list[object]()
    threads = [
        threading.Thread(target=lambda: results.append(writer.put(BY_ROLE, RECORDS)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    while not aws.assumed:
        pass
    threads[0].join(0.2)  # the others get as far as they can
    aws.role_gate.set()
    for thread in threads:
        thread.join()
    assert [failures(one) for one in results] == [[None] * 3] * 6
    assert len(aws.assumed) == 1


def test_a_role_that_may_not_be_assumed_is_told(aws: FakeKinesis, writer: KinesisWriter) -> None:
    aws.role_fails = "AccessDenied"
    results = writer.put(BY_ROLE, RECORDS)
    assert failures(results) == [AttemptFailure.KINESIS_ROLE] * 3
    assert why(results).startswith("the role can't be assumed: ")
    assert "AccessDenied" in why(results)
    aws.role_fails = None
    assert failures(writer.put(BY_ROLE, RECORDS)) == [None] * 3


def test_a_role_whose_name_is_wrong_is_not_taken_for_a_wrong_stream(
    aws: FakeKinesis, writer: KinesisWriter
) -> None:
    aws.role_fails = "ValidationError"
    assert failures(writer.put(BY_ROLE, RECORDS)) == [AttemptFailure.KINESIS_ROLE] * 3


def test_credentials_are_renewed_before_they_end(
    aws: FakeKinesis, writer: KinesisWriter, clock: FakeClock
) -> None:
    writer.put(BY_ROLE, RECORDS)
    clock.advance(timedelta(minutes=44))
    writer.put(BY_ROLE, RECORDS)
    clock.advance(timedelta(minutes=2))
    writer.put(BY_ROLE, RECORDS)
    assert [call.access_key for call in aws.calls] == [role_key(1), role_key(1), role_key(2)]
    assert aws.shards_read == 2


def test_a_renewal_that_fails_does_no_harm_until_they_end(
    aws: FakeKinesis, writer: KinesisWriter, clock: FakeClock
) -> None:
    writer.put(BY_ROLE, RECORDS)
    aws.role_fails = "AccessDenied"
    clock.advance(timedelta(minutes=46))
    assert failures(writer.put(BY_ROLE, RECORDS)) == [None] * 3
    clock.advance(timedelta(minutes=5))
    assert failures(writer.put(BY_ROLE, RECORDS)) == [AttemptFailure.KINESIS_ROLE] * 3


def test_credentials_that_have_ended_already_are_told(
    aws: FakeKinesis, writer: KinesisWriter
) -> None:
    aws.lasts = timedelta(seconds=-1)
    assert failures(writer.put(BY_ROLE, RECORDS)) == [AttemptFailure.KINESIS_ROLE] * 3


def test_credentials_that_aws_does_not_accept_any_more_are_got_anew(
    aws: FakeKinesis, writer: KinesisWriter
) -> None:
    writer.put(BY_ROLE, RECORDS)
    aws.refused_keys.add(role_key(1))
    results = writer.put(BY_ROLE, RECORDS)
    assert failures(results) == [AttemptFailure.KINESIS_WRITE] * 3
    assert "ExpiredTokenException" in why(results)
    assert failures(writer.put(BY_ROLE, RECORDS)) == [None] * 3
    assert aws.calls[-1].access_key == role_key(2)


@pytest.mark.parametrize("to", [OWN, BY_ROLE])
def test_a_server_without_credentials_says_so(
    aws: FakeKinesis, writer: KinesisWriter, monkeypatch: pytest.MonkeyPatch, to: SinkAccess
) -> None:
    use_own_credentials(monkeypatch, are_there=False)
    results = writer.put(to, RECORDS)
    assert failures(results) == [AttemptFailure.KINESIS_CLIENT] * 3
    assert why(results).startswith("the server has no credentials for AWS of its own: ")
    use_own_credentials(monkeypatch)
    assert failures(KinesisWriter(endpoint=aws.url, now=aws.now).put(to, RECORDS)) == [None] * 3


def test_without_botocore_the_extra_is_named(
    writer: KinesisWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [one for one in sys.modules if one.partition(".")[0] == "botocore"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "botocore", None)
    results = writer.put(OWN, RECORDS)
    assert failures(results) == [AttemptFailure.KINESIS_CLIENT] * 3
    assert why(results).endswith("needs the module botocore: pip install 'ringback[kinesis]'")


def test_no_secret_is_logged(
    aws: FakeKinesis, writer: KinesisWriter, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        writer.put(BY_ROLE, RECORDS)
        aws.refused_keys.add(role_key(1))
        refused = writer.put(BY_ROLE, RECORDS)
        aws.role_fails = "AccessDenied"
        refused_role = writer.put(BY_ROLE, RECORDS)
    told = caplog.text + repr(refused) + repr(refused_role) + repr(BY_ROLE)
    for secret in ("only+us", "only%2Bus", "role+secret", "role+token", OWN_SECRET, "{1}"):
        assert secret not in told


def test_the_oldest_clients_are_given_up(
    aws: FakeKinesis, writer: KinesisWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_writer, "_MOST_KEPT", 1)
    other = replace(OWN, account_sid="AC" + "e" * 32)
    for to in (OWN, other, OWN):
        assert failures(writer.put(to, RECORDS)) == [None] * 3
    assert aws.shards_read == 3


def test_without_descriptors_nothing_is_written_and_nothing_else_is_blamed(
    writer: KinesisWriter, aws: FakeKinesis
) -> None:
    with without_descriptors():
        for access in (OWN, BY_ROLE):
            assert failures(writer.put(access, RECORDS)) == [AttemptFailure.SHORTAGE] * 3
    for access in (OWN, BY_ROLE):
        assert failures(writer.put(access, RECORDS)) == [None] * 3
    # Now the role and the shards are known. While the kept connection is in use, a write needs
    # another.
    aws.gate.clear()
    with ThreadPoolExecutor(1) as other:
        first = other.submit(writer.put, OWN, RECORDS)
        while len(aws.calls) < 3:
            time.sleep(0.001)
        with without_descriptors():
            assert failures(writer.put(OWN, RECORDS)) == [AttemptFailure.SHORTAGE] * 3
        aws.gate.set()
        assert failures(first.result(timeout=10)) == [None] * 3
    assert len(aws.written) == 9


def test_a_server_that_can_not_read_its_credentials_now_has_none_only_for_the_moment(
    aws: FakeKinesis, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = f"[default]\naws_access_key_id = {OWN_KEY}\naws_secret_access_key = {OWN_SECRET}\n"
    (tmp_path / "credentials").write_text(text)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    writer = KinesisWriter(endpoint=aws.url, now=clock.now)
    with without_descriptors():
        assert failures(writer.put(OWN, RECORDS)) == [AttemptFailure.SHORTAGE] * 3
    assert failures(writer.put(OWN, RECORDS)) == [None] * 3
