"""The official client uses every operation of the Events API, against a real server."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema_rs
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from ringback.operations.context import OperationContext
from ringback.operations.streams.publish import listening, publish
from ringback.ports import Transaction
from ringback.receiver import ReceivedRequest
from ringback.testing import Emulator
from tests.contract.official import NotingHttpClient, operations_of
from tests.streams import ARN, ENDED, ROLE_ARN, STARTED, UPDATED, an_event_of

SCHEMA = "SuperSim.ConnectionEvent"
BEFORE, BETWEEN, AFTER = (datetime(2024, *day, tzinfo=UTC) for day in ((10, 1), (10, 20), (11, 5)))
KINESIS = {"arn": ARN, "role_arn": ROLE_ARN, "external_id": "1234567890"}


@contextmanager
def a_server(start: datetime = BEFORE, **settings: str) -> Iterator[Emulator]:
    with Emulator(settings={"phase": "", **settings}, start=start) as emulator:
        yield emulator


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with a_server() as emulator:
        yield emulator


def client_of(emulator: Emulator, http: NotingHttpClient | None = None) -> Any:
    client = Client(emulator.account_sid, emulator.auth_token, http_client=http)
    client.events.base_url = emulator.base_url
    return client.events.v1


def refused(work: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[int, int | None, str]:
    with pytest.raises(TwilioRestException) as failure:
        work(*args, **kwargs)
    return failure.value.status, failure.value.code, failure.value.msg


def a_sink(api: Any, emulator: Emulator, **configuration: Any) -> Any:
    return api.sinks.create(
        description="a sink",
        sink_type="webhook",
        sink_configuration={"destination": emulator.receiver.url("/events"), **configuration},
    )


def subscribe(api: Any, sink: Any, *types: str) -> Any:
    return api.subscriptions.create(
        description="a stream", sink_sid=sink.sid, types=[{"type": one} for one in types]
    )


def happen(emulator: Emulator, number: int = 1, type_: Any = STARTED) -> None:
    """Publish an event about the account, and wait until it is delivered."""

    def work(tx: Transaction, context: OperationContext) -> None:
        account_sid = emulator.account_sid
        event = an_event_of(number, type_=type_, account_sid=account_sid, at=context.now)
        publish(tx, event, listening(tx, account_sid, context), context)

    emulator._change(work)
    settle(emulator)


def settle(emulator: Emulator) -> None:
    emulator._look_at(lambda tx, context: None)


def accepts(emulator: Emulator, request: ReceivedRequest, *, body: str | None = None) -> bool:
    """Return True if Twilio's validator accepts a request, with its own body or another one."""
    text = request.body.decode() if body is None else body
    (signature,) = request.values("X-Twilio-Signature")
    url = emulator.receiver.url(request.target)
    return RequestValidator(emulator.auth_token).validate(url, text, signature)


# ---- one story with every operation --------------------------------------------------------------


def test_it_uses_every_operation(emulator: Emulator) -> None:
    http = NotingHttpClient()
    api = client_of(emulator, http)
    look_at_types_and_schemas(api)
    sink = make_and_change_sinks(api, emulator)
    subscription = make_and_change_a_subscription(api, sink)
    change_its_types(api, subscription)
    clear_away(api, sink, subscription)
    called = {(verb, with_placeholders(path)) for verb, path in http.called}
    operations = operations_of(api)
    assert len(operations) == 22
    assert operations - called == set()


def with_placeholders(path: str) -> str:
    """Return a path as `operations_of` has it, with `SID` for the name of a type or schema, too."""
    for name in (STARTED, ENDED, UPDATED, SCHEMA):
        path = path.replace(f"/{name}", "/SID")
    return path.replace("/Versions/1", "/Versions/SID")


def look_at_types_and_schemas(api: Any) -> None:
    types = api.event_types.list()
    assert len(types) == 7
    assert {(one.schema_id, one.status) for one in types} == {(SCHEMA, "available")}
    assert all(one.description for one in types)
    assert isinstance(types[0].date_created, datetime)
    assert [one.type for one in api.event_types.list(schema_id=SCHEMA, limit=2, page_size=1)] == [
        one.type for one in types[:2]
    ]
    assert api.event_types.list(schema_id="Messaging.MessageStatus") == []
    started = api.event_types(STARTED).fetch()
    assert (started.type, started.links["schema"].endswith(f"/Schemas/{SCHEMA}/Versions")) == (
        STARTED,
        True,
    )
    schema = api.schemas(SCHEMA).fetch()
    assert (schema.latest_version, schema.id) == (2, SCHEMA)
    versions = api.schemas(SCHEMA).versions.list(page_size=1)
    assert [one.schema_version for one in versions] == [1, 2]
    assert api.schemas(SCHEMA).versions("1").fetch().raw == versions[0].raw


def make_and_change_sinks(api: Any, emulator: Emulator) -> Any:
    sink = a_sink(api, emulator, method="POST", batch_events=True)
    assert (sink.status, sink.sink_type, sink.description) == ("active", "webhook", "a sink")
    assert sink.sink_configuration == {
        "destination": emulator.receiver.url("/events"),
        "method": "POST",
        "batch_events": True,
    }
    kinesis = api.sinks.create("a stream", KINESIS, "kinesis")
    assert (kinesis.status, kinesis.sink_configuration) == ("active", KINESIS)
    assert api.sinks(sink.sid).update(description="renamed").description == "renamed"
    assert api.sinks(sink.sid).fetch().description == "renamed"
    assert [one.sid for one in api.sinks.list(page_size=1)] == [kinesis.sid, sink.sid]
    assert api.sinks(sink.sid).sink_test.create().result == "submitted"
    settle(emulator)
    (test,) = emulator.receiver.requests
    (event,) = json.loads(test.body)
    assert event["type"] == "com.twilio.eventstreams.test-event"
    assert accepts(emulator, test)
    valid = api.sinks(sink.sid).sink_validate.create(test_id=event["data"]["test_id"])
    assert valid.result == "valid"
    assert api.sinks(sink.sid).sink_validate.create(test_id="another").result == "valid"
    assert api.sinks(kinesis.sid).delete()
    return sink


def make_and_change_a_subscription(api: Any, sink: Any) -> Any:
    assert [one.sid for one in api.sinks.list(in_use=False, status="active")] == [sink.sid]
    made = api.subscriptions.create(
        description="a stream",
        sink_sid=sink.sid,
        types=[{"type": STARTED}, {"type": ENDED, "schema_version": 1}],
    )
    assert (made.sink_sid, made.account_sid) == (sink.sid, sink._version.domain.twilio.username)
    assert [one.sid for one in api.sinks.list(in_use=True)] == [sink.sid]
    assert api.sinks.list(in_use=False) == api.sinks.list(status="failed") == []
    assert [one.sid for one in api.subscriptions.list(sink_sid=sink.sid)] == [made.sid]
    assert api.subscriptions.list(sink_sid=f"DG{9:032x}") == []
    assert api.subscriptions(made.sid).update(description="renamed").description == "renamed"
    assert api.subscriptions(made.sid).fetch().description == "renamed"
    return made


def change_its_types(api: Any, subscription: Any) -> None:
    types = api.subscriptions(subscription.sid).subscribed_events
    assert {one.type: one.schema_version for one in types.list(page_size=1)} == {
        STARTED: 2,
        ENDED: 1,
    }
    added = types.create(type=UPDATED, schema_version=1)
    assert (added.schema_version, added.subscription_sid) == (1, subscription.sid)
    assert types.create(type=UPDATED).schema_version == 2
    assert types(ENDED).update(schema_version=2).schema_version == 2
    assert types(ENDED).fetch().schema_version == 2
    assert types(UPDATED).delete()
    assert [one.type for one in types.list()] == [STARTED, ENDED]
    assert refused(types(UPDATED).fetch)[:2] == (404, 20404)


def clear_away(api: Any, sink: Any, subscription: Any) -> None:
    assert refused(api.sinks(sink.sid).delete)[:2] == (400, 91007)
    assert api.subscriptions(subscription.sid).delete()
    assert refused(api.subscriptions(subscription.sid).fetch)[:2] == (404, 91102)
    assert api.sinks(sink.sid).delete()
    assert refused(api.sinks(sink.sid).fetch)[:2] == (404, 91001)


# ---- delivery ------------------------------------------------------------------------------------


def test_twilios_validator_accepts_a_delivered_event_and_no_forged_one(emulator: Emulator) -> None:
    api = client_of(emulator)
    subscribe(api, a_sink(api, emulator), STARTED)
    happen(emulator, 1)
    happen(emulator, 2, ENDED)  # not subscribed to
    (request,) = emulator.receiver.requests
    assert (request.method, request.values("Content-Type")) == ("POST", ["application/json"])
    assert accepts(emulator, request)
    assert not accepts(emulator, request, body=request.body.decode().replace("started", "ended"))
    (event,) = json.loads(request.body)
    assert (event["type"], event["id"]) == (STARTED, f"EZ{1:032x}")


@pytest.mark.parametrize(("version", "has_sums"), [(1, False), (2, True)])
def test_an_event_is_as_its_schema_says(emulator: Emulator, version: int, has_sums: bool) -> None:
    api = client_of(emulator)
    subscription = subscribe(api, a_sink(api, emulator), STARTED)
    api.subscriptions(subscription.sid).subscribed_events(STARTED).update(schema_version=version)
    happen(emulator)
    (event,) = json.loads(emulator.receiver.requests[0].body)
    assert event["dataschema"] == f"https://events-schemas.twilio.com/{SCHEMA}/{version}"
    raw = api.schemas(SCHEMA).versions(version).fetch().raw
    assert raw.startswith(emulator.base_url)
    schema = api.domain.twilio.request("GET", raw)
    found = json.loads(schema.text)
    jsonschema_rs.Draft7Validator(found).validate(event["data"])
    assert ("data_session_data_total" in found["properties"]) is has_sums


def test_a_sink_with_get_has_the_body_and_its_hash_in_the_url(emulator: Emulator) -> None:
    api = client_of(emulator)
    subscribe(api, a_sink(api, emulator, method="GET"), STARTED)
    happen(emulator)
    (request,) = emulator.receiver.requests
    assert request.method == "GET"
    assert len(parse_qs(urlsplit(request.target).query)["bodySHA256"][0]) == 64
    assert accepts(emulator, request)


def test_credentials_in_the_destination_are_sent_and_shown_to_the_owner_only(
    emulator: Emulator,
) -> None:
    api = client_of(emulator)
    destination = emulator.receiver.url("/events?x=1").replace("//", "//user:pass%20word@")
    sink = api.sinks.create("a sink", {"destination": destination}, "webhook")
    assert api.sinks(sink.sid).fetch().sink_configuration["destination"] == destination
    subscribe(api, sink, STARTED)
    happen(emulator)
    (request,) = emulator.receiver.requests
    assert request.values("Authorization") == ["Basic dXNlcjpwYXNzIHdvcmQ="]
    assert accepts(emulator, request)


# ---- phases --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "status", "is_delivered"),
    [(BEFORE, "available", True), (BETWEEN, "deprecated", True), (AFTER, "discontinued", False)],
)
def test_the_date_decides_what_twilio_still_publishes(
    start: datetime, status: str, is_delivered: bool
) -> None:
    with a_server(BEFORE, at="2024-10-01") as emulator:
        api = client_of(emulator)
        sink = a_sink(api, emulator)
        subscribe(api, sink, STARTED)
        emulator.advance(start - BEFORE)
        assert {one.status for one in api.event_types.list()} == {status}
        earlier = len(emulator.receiver.requests)
        happen(emulator)
        assert len(emulator.receiver.requests) - earlier == is_delivered
        if not is_delivered:
            other = a_sink(api, emulator)
            told = refused(subscribe, api, other, STARTED)
            assert told[:2] == (400, 91104)
            assert "Type is discontinued" in told[2]


@pytest.mark.parametrize(
    ("phase", "status"),
    [("before", "available"), ("between", "deprecated"), ("after", "discontinued")],
)
def test_a_server_that_stays_in_a_phase_has_its_status(phase: str, status: str) -> None:
    with a_server(datetime(2026, 11, 1, tzinfo=UTC), phase=phase) as emulator:
        assert client_of(emulator).event_types(STARTED).fetch().status == status


# ---- the beta's flow -----------------------------------------------------------------------------


def test_in_the_betas_flow_a_kinesis_sink_has_to_be_validated() -> None:
    with a_server(stream_validation="yes") as emulator:
        api = client_of(emulator)
        assert a_sink(api, emulator).status == "active"
        sink = api.sinks.create("a stream", KINESIS, "kinesis")
        assert sink.status == "initialized"
        assert refused(subscribe, api, sink, STARTED)[:2] == (400, 91100)
        one = api.sinks(sink.sid)
        assert refused(one.sink_validate.create, test_id="x")[:2] == (400, 91004)
        assert one.sink_test.create().result == "submitted"
        assert refused(one.sink_validate.create, test_id="x")[:2] == (400, 91005)
        stored = emulator._change(lambda tx, _: tx.streams.sinks.get(sink.sid))
        assert stored is not None
        assert one.sink_validate.create(test_id=str(stored.test_id)).result == "valid"
        assert one.fetch().status == "active"
        assert subscribe(api, sink, STARTED).sink_sid == sink.sid


# ---- settings ------------------------------------------------------------------------------------


def test_the_setting_limits_sinks_and_subscriptions() -> None:
    with a_server(stream_limit="1") as emulator:
        api = client_of(emulator)
        sink = a_sink(api, emulator)
        assert refused(a_sink, api, emulator)[:2] == (400, 91003)
        subscribe(api, sink, STARTED)
        assert refused(subscribe, api, sink, STARTED)[1:] == (
            91100,
            f"Unable to create record: Sink with SID {sink.sid} is in use",
        )
