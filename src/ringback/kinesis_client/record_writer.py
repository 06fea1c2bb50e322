"""Writes records to Kinesis streams with botocore; all of this blocks, so it runs in threads.

Before the first record of a session, the shards of the stream are read, as Twilio does: that needs
`kinesis:ListShards`, and finds out whether the stream exists. A session lasts as long as the
temporary credentials of the sink's role, which botocore renews a quarter of an hour before they
end. Until ten minutes before their end, a renewal that fails does no harm.

AWS's messages are kept in the records of attempts. They have names of users, roles and streams, but
neither keys nor external ids.
"""

import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ringback.core.errors import missing_extra
from ringback.core.http.http_exchange import ReceiverResponseRecord
from ringback.core.http.outcome import AttemptFailure, DeliveredOutcome, NoAnswerOutcome
from ringback.runtime.open_files import require_room
from ringback.runtime.os_error_messages import error_text, shortage_of

if TYPE_CHECKING:
    from botocore.config import Config  # pyright: ignore[reportMissingTypeStubs] (it has none)

TIME_LIMIT: Final = 5
"""Seconds in which AWS must accept a connection, and in which it must answer."""
_SHOWN: Final = 500
"""The most characters of a message from AWS that are kept."""
_MOST_KEPT: Final = 1024
"""The most streams, and the most roles, whose clients and credentials are kept."""
_ENDED: Final = frozenset({"ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException"})
"""Answers to credentials that AWS does not accept any more."""


@dataclass(frozen=True)
class SinkAccess:
    """A Kinesis stream, and how an account's sink may write to it."""

    account_sid: str
    stream_arn: str
    region: str
    role_arn: str | None = None
    """The role to assume; None for the server's own credentials."""
    external_id: str | None = field(default=None, repr=False)
    """What the role's owner asks for, so that nobody else can have the role assumed."""


class StreamRecord(NamedTuple):
    """A record to write: one event."""

    data: bytes
    partition_key: str


class WrittenRecord(NamedTuple):
    """The outcome of a record, and AWS's answer about it, if it was written."""

    outcome: DeliveredOutcome | NoAnswerOutcome
    response: ReceiverResponseRecord | None = None


class _Step(Enum):
    """What is being done, and how it fails."""

    CREDENTIALS = (AttemptFailure.KINESIS_ROLE, "the role can't be assumed")
    SHARDS = (AttemptFailure.KINESIS_SHARDS, "the shards of the stream can't be read")
    WRITE = (AttemptFailure.KINESIS_WRITE, "the stream can't be written to")

    def __init__(self, failure: AttemptFailure, why: str) -> None:
        self.failure = failure
        self.why = why


_NO_STREAM: Final = "ResourceNotFoundException"
_WRONG_ADDRESS: Final[Mapping[_Step, Collection[str]]] = {
    _Step.CREDENTIALS: (),
    # The request has nothing but the ARN, so only that can be wrong.
    _Step.SHARDS: (_NO_STREAM, "InvalidArgumentException", "ValidationException"),
    _Step.WRITE: (_NO_STREAM,),
}
"""What AWS answers if the ARN of a stream is wrong."""


class _Credentials:
    """Credentials that are loaded when they are first used, and again after `forget`."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self._loaded: Any = None

    def current(self) -> Any:
        """Return the keys that are valid now; renews them if they end soon."""
        loaded = self._loaded
        if loaded is None:
            self._loaded = loaded = self._load()
        return loaded.get_frozen_credentials()

    def forget(self) -> None:
        """Do not use these keys any more, since AWS does not accept them."""
        self._loaded = None


class _Session(NamedTuple):
    """The client of a stream, as long as the same keys are used."""

    keys: Any
    client: Any


class KinesisWriter:
    """Writes records, each call with one PutRecords; its methods may be called by several threads.

    `endpoint` is the URL of a service to use in place of AWS's. `now` returns the current time, by
    which credentials are renewed; it must be the real one, since AWS says when they end.
    """

    def __init__(self, *, endpoint: str | None = None, now: Callable[[], datetime]) -> None:
        self._endpoint = endpoint
        self._now = now
        self._lock = Lock()
        """Held while something is looked up or made; botocore's sessions need that, too."""
        self._own: Any = None
        """The botocore session with the server's own credentials."""
        self._credentials = dict[tuple[str, str | None, str | None], _Credentials]()
        self._sessions = dict[SinkAccess, _Session]()

    def put(self, to: SinkAccess, records: Sequence[StreamRecord]) -> Sequence[WrittenRecord]:
        """Write records, and return the outcome of each, in their order.

        AWS may take some records and refuse others. A call that fails as a whole gives each record
        the same outcome.
        """
        try:
            import botocore.exceptions as errors  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs] (see above)
        except ModuleNotFoundError as missing:
            why = str(missing_extra("writing to a Kinesis stream", missing))
            return _each(records, AttemptFailure.KINESIS_CLIENT, why)
        except OSError as failed:
            failure = shortage_of(failed) or AttemptFailure.KINESIS_CLIENT
            return _each(records, failure, f"botocore can't be loaded: {error_text(failed)}")
        # Its messages about requests and answers would have keys and external ids in them.
        logging.getLogger("botocore").setLevel(logging.ERROR)
        step, credentials = _Step.CREDENTIALS, self._credentials_for(to)
        try:
            keys = credentials.current()
            step = _Step.SHARDS
            client = self._checked_client(to, keys)
            step = _Step.WRITE
            answer = client.put_records(
                StreamARN=to.stream_arn,
                Records=[{"Data": one.data, "PartitionKey": one.partition_key} for one in records],
            )
            return [_written(result) for result in _results(answer, records)]
        except errors.ClientError as refused:
            told: Any = refused.response
            code = str(told.get("Error", {}).get("Code"))
            if code in _ENDED:
                credentials.forget()
            if code in _WRONG_ADDRESS[step]:
                self._forget_session(to)
                why = f"there is no stream {to.stream_arn}: {_shown(refused)}"
                return _each(records, AttemptFailure.KINESIS_STREAM, why)
            return _each(records, step.failure, f"{step.why}: {_shown(refused)}")
        except (errors.BotoCoreError, OSError, ValueError, RuntimeError) as failed:
            # Other errors of a write may come after the records have left.
            unsent = (errors.EndpointConnectionError, errors.ProxyConnectionError, errors.SSLError)
            is_unsent = step is not _Step.WRITE or isinstance(failed, unsent)
            short = self._short(records, failed) if is_unsent else None
            return short or self._failed(to, records, step, failed)

    def _short(
        self, records: Sequence[StreamRecord], failed: Exception
    ) -> Sequence[WrittenRecord] | None:
        """Return the outcome of records that were not sent for a shortage; None if it was none."""
        shortage = _shortage_behind(failed)
        if shortage is None:
            return None
        with self._lock:
            self._own = None  # it may remember that files are missing
        return _each(records, AttemptFailure.SHORTAGE, error_text(shortage))

    def _failed(
        self, to: SinkAccess, records: Sequence[StreamRecord], step: _Step, failure: Exception
    ) -> Sequence[WrittenRecord]:
        """Return the outcome of records after a failure that was not an answer of AWS."""
        import botocore.exceptions as errors  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs] (see above)

        no_credentials = (
            errors.NoCredentialsError,
            errors.PartialCredentialsError,
            errors.CredentialRetrievalError,
            errors.ProfileNotFound,
            errors.ConfigParseError,
        )
        kind, why = step.failure, f"{step.why}: {_shown(failure)}"
        if isinstance(failure, no_credentials):
            kind = AttemptFailure.KINESIS_CLIENT
            why = f"the server has no credentials for AWS of its own: {_shown(failure)}"
        elif isinstance(failure, (errors.InvalidRegionError, errors.EndpointProviderError)):
            kind = AttemptFailure.KINESIS_STREAM
            why = f"{to.stream_arn} is not the ARN of a stream: {_shown(failure)}"
        elif isinstance(failure, errors.EndpointConnectionError) and self._is_unknown_region(to):
            kind = AttemptFailure.KINESIS_STREAM
            why = f"AWS has no region {to.region}: {_shown(failure)}"
        return _each(records, kind, why)

    def _credentials_for(self, to: SinkAccess) -> _Credentials:
        """Return the credentials of a role as an account assumes it; one object for each."""
        with self._lock:
            key = to.account_sid, to.role_arn, to.external_id
            found = self._credentials.get(key)
            if found is None:

                def load() -> Any:
                    return self._own_credentials() if to.role_arn is None else self._assumed(to)

                _make_room(self._credentials)
                self._credentials[key] = found = _Credentials(load)
            return found

    def _assumed(self, to: SinkAccess) -> Any:
        """Return credentials of a role, which botocore gets when they are used, and renews."""
        from botocore.credentials import DeferredRefreshableCredentials  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs] (see above)

        def assume() -> Mapping[str, str]:
            asked = {"RoleArn": to.role_arn, "RoleSessionName": f"ringback-{to.account_sid}"}
            if to.external_id is not None:
                asked["ExternalId"] = to.external_id
            sts = self._client("sts", to.region)
            try:
                given = sts.assume_role(**asked)["Credentials"]
            finally:
                sts.close()
            return {
                "access_key": given["AccessKeyId"],
                "secret_key": given["SecretAccessKey"],
                "token": given["SessionToken"],
                "expiry_time": given["Expiration"].isoformat(),
            }

        refreshable: Any = DeferredRefreshableCredentials
        return refreshable(refresh_using=assume, method="assume-role", time_fetcher=self._now)

    def _own_credentials(self) -> Any:
        from botocore.exceptions import NoCredentialsError  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs] (see above)

        with self._lock:
            found = self._own_session().get_credentials()
        if found is None:
            raise NoCredentialsError
        return found

    def _checked_client(self, to: SinkAccess, keys: Any) -> Any:
        """Return the client of a stream whose shards could be read with these keys."""
        with self._lock:
            session = self._sessions.get(to)
        if session is not None and session.keys == keys:
            return session.client
        client = self._client(
            "kinesis",
            to.region,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            aws_session_token=keys.token,
        )
        client.list_shards(StreamARN=to.stream_arn, MaxResults=1)
        with self._lock:
            _make_room(self._sessions)
            self._sessions[to] = _Session(keys, client)
        return client

    def _forget_session(self, to: SinkAccess) -> None:
        with self._lock:
            self._sessions.pop(to, None)

    def _client(self, service: str, region: str, **keys: str | None) -> Any:
        with self._lock:
            return self._own_session().create_client(
                service, region_name=region, endpoint_url=self._endpoint, config=_config(), **keys
            )

    def _own_session(self) -> Any:
        """Return the session with the server's own credentials; the lock must be held."""
        if self._own is None:
            import botocore.session  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs] (see above)

            self._own = botocore.session.Session()
        return self._own

    def _is_unknown_region(self, to: SinkAccess) -> bool:
        if self._endpoint is not None:
            return False
        partition = to.stream_arn.split(":")[1]
        with self._lock:
            known = self._own_session().get_available_regions("kinesis", partition)
        return to.region not in known


def _shortage_behind(failed: BaseException) -> OSError | None:
    """Return the shortage of this machine that caused an error; None if there is none.

    botocore may report missing files instead, so it also checks that some can be opened.
    """
    from botocore.exceptions import SSLError  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs] (see above)

    cause: BaseException | None = failed
    while cause is not None:
        if isinstance(cause, OSError) and shortage_of(cause) is not None:
            return cause
        cause = cause.__cause__ or cause.__context__
    if isinstance(failed, SSLError):
        return None  # it may come later than the request
    try:
        require_room()
    except OSError as shortage:
        return shortage
    return None


def _config() -> "Config":
    from botocore.config import Config  # noqa: PLC0415 # pyright: ignore[reportMissingTypeStubs] (see above)

    # One request for each attempt: the delivery tries again by itself.
    return Config(
        connect_timeout=TIME_LIMIT,
        read_timeout=TIME_LIMIT,
        retries={"total_max_attempts": 1},
        user_agent_extra="Ringback",
    )


def _make_room(kept: dict[Any, Any]) -> None:
    """Remove the oldest entry if there are too many."""
    if len(kept) >= _MOST_KEPT:
        del kept[next(iter(kept))]


def _each(
    records: Sequence[StreamRecord], failure: AttemptFailure, why: str
) -> Sequence[WrittenRecord]:
    return [WrittenRecord(NoAnswerOutcome(failure, why))] * len(records)


def _results(answer: Any, records: Sequence[StreamRecord]) -> Sequence[Any]:
    results = answer.get("Records", [])
    if len(results) != len(records):
        raise ValueError(f"the answer is about {len(results)} records, not {len(records)}")
    return results


def _written(result: Any) -> WrittenRecord:
    """Return the outcome of a record, from its part of the answer."""
    code = result.get("ErrorCode")
    if code is None:
        answer = {name: result.get(name) for name in ("SequenceNumber", "ShardId")}
        return WrittenRecord(
            DeliveredOutcome(200),
            ReceiverResponseRecord(200, (), json.dumps(answer, separators=(",", ":")).encode()),
        )
    message = str(result.get("ErrorMessage", ""))[:_SHOWN]
    why = f"the stream did not take the record: {code}: {message}"
    return WrittenRecord(NoAnswerOutcome(AttemptFailure.KINESIS_WRITE, why))


def _shown(error: Exception) -> str:
    return str(error)[:_SHOWN]
