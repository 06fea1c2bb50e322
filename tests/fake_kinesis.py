"""A server that speaks as much of Kinesis' and STS's protocols as is written to, and can fail.

Amazon's documentation describes them: JSON 1.1 with the operation in `X-Amz-Target`, and for STS a
form that is answered by XML. moto stands for how AWS works; this, for how it fails.
"""

import base64
import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import pytest

from tests.streams import ARN

Answer = tuple[int, dict[str, Any]]
Answering = Callable[[Sequence[Any]], Answer]
"""Makes the answer to a call of PutRecords with these records."""

ROLE = "arn:aws:iam::111111111111:role/ringback"
OWN_KEY = "AKIAOWNOWNOWNOWNOWN0"
OWN_SECRET = "own+secret"
THROTTLED = "ProvisionedThroughputExceededException"


class WrittenCall(NamedTuple):
    """A call of PutRecords."""

    arn: str
    access_key: str
    records: list[tuple[str, bytes]]
    """The partition key and the data of each record."""

    @property
    def data(self) -> list[str]:
        return [data.decode() for _, data in self.records]


def error(status: int, code: str, message: str = "as told") -> Answer:
    return status, {"__type": code, "message": message}


def fails(status: int, code: str) -> Answering:
    """Fail the whole call."""
    return lambda _: error(status, code)


def refuses(*numbers: int, code: str = THROTTLED) -> Answering:
    """Refuse the records with these numbers, counted from 0."""

    def answer(records: Sequence[Any]) -> Answer:
        results = [
            {"ErrorCode": code, "ErrorMessage": "too much"}
            if number in numbers
            else {"SequenceNumber": str(number), "ShardId": "shardId-000000000000"}
            for number in range(len(records))
        ]
        return 200, {"FailedRecordCount": len(numbers), "Records": results}

    return answer


@dataclass
class FakeKinesis:
    """The server; everything is written unless `script` says otherwise."""

    streams: set[str] = field(default_factory=lambda: {ARN})
    script: list[Answering] = field(default_factory=list[Answering])
    """What the next calls of PutRecords are answered."""
    shards_fail: Answer | None = None
    role_fails: str | None = None
    """The code with which AssumeRole is refused."""
    lasts: timedelta = timedelta(hours=1)
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    refused_keys: set[str] = field(default_factory=set[str])
    """Access keys that have expired."""

    def __post_init__(self) -> None:
        self.calls = list[WrittenCall]()
        self.written = list[tuple[str, str]]()
        """The partition key and the data of each record that was written."""
        self.assumed = list[dict[str, str]]()
        self.shards_read = 0
        self.gate = threading.Event()
        """Cleared while AWS does not answer PutRecords."""
        self.gate.set()
        self.role_gate = threading.Event()
        self.role_gate.set()
        self._lock = threading.Lock()
        self.url = ""

    @contextmanager
    def serving(self) -> Iterator["FakeKinesis"]:
        handler = type("Handler", (_Handler,), {"fake": self})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.gate.set()
            self.role_gate.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def answer(self, operation: str, access_key: str, asked: dict[str, Any]) -> Answer:
        arn = asked["StreamARN"]
        if access_key in self.refused_keys:
            return error(400, "ExpiredTokenException")
        if arn not in self.streams:
            return error(400, "ResourceNotFoundException", f"{arn} not found")
        if operation == "ListShards":
            self.shards_read += 1
            return self.shards_fail or (200, {"Shards": [{"ShardId": "shardId-000000000000"}]})
        records = [(one["PartitionKey"], base64.b64decode(one["Data"])) for one in asked["Records"]]
        with self._lock:
            self.calls.append(WrittenCall(arn, access_key, records))
            answering = self.script.pop(0) if self.script else refuses()
        self.gate.wait(20)
        status, body = answering(records)
        for (key, data), result in zip(records, body.get("Records", []), strict=False):
            if "ErrorCode" not in result:
                self.written.append((key, data.decode()))
        return status, body

    def assume(self, form: dict[str, str]) -> tuple[int, str]:
        with self._lock:
            self.assumed.append(form)
            number = len(self.assumed)
        self.role_gate.wait(20)
        if self.role_fails is not None:
            return 403, (
                "<ErrorResponse><Error><Type>Sender</Type>"
                f"<Code>{self.role_fails}</Code><Message>not authorized</Message>"
                "</Error><RequestId>1</RequestId></ErrorResponse>"
            )
        ends = f"{self.now() + self.lasts:%Y-%m-%dT%H:%M:%SZ}"
        return 200, (
            "<AssumeRoleResponse><AssumeRoleResult><Credentials>"
            f"<AccessKeyId>{role_key(number)}</AccessKeyId>"
            "<SecretAccessKey>role+secret</SecretAccessKey>"
            f"<SessionToken>role+token</SessionToken><Expiration>{ends}</Expiration>"
            "</Credentials></AssumeRoleResult></AssumeRoleResponse>"
        )


def role_key(number: int) -> str:
    """Return the access key that the call with this number got for a role."""
    return f"ASIAROLEROLEROLE{number:04}"


class _Handler(BaseHTTPRequestHandler):
    fake: FakeKinesis
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        target = self.headers.get("X-Amz-Target")
        key = re.search("Credential=([^/]+)/", self.headers["Authorization"])
        assert key is not None
        if target is None:
            assert key[1] == OWN_KEY  # a role is assumed with the server's own credentials
            status, text = self.fake.assume(dict(parse_qsl(body.decode())))
        else:
            version, _, operation = target.partition(".")
            assert version == "Kinesis_20131202"
            status, answer = self.fake.answer(operation, key[1], json.loads(body))
            text = json.dumps(answer)
        kind = "text/xml" if target is None else "application/x-amz-json-1.1"
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())
        except OSError:
            self.close_connection = True  # the client has not waited for this

    def log_message(self, *_: object, **__: object) -> None:
        pass


def use_own_credentials(monkeypatch: pytest.MonkeyPatch, *, are_there: bool = True) -> None:
    """Set the server's own credentials, or take them away."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in (("ACCESS_KEY_ID", OWN_KEY), ("SECRET_ACCESS_KEY", OWN_SECRET)):
        if are_there:
            monkeypatch.setenv(f"AWS_{name}", value)
        else:
            monkeypatch.delenv(f"AWS_{name}", raising=False)
