"""KORE's event streams with a server and a receiver: batches, signatures, retries and replays."""

import hashlib
import hmac
import json
from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest

from ringback.core.policy.source_policy import Source
from ringback.core.streams.event_types import StreamEventType
from ringback.operations.streams.publish import listening, publish
from ringback.portal_client import PortalClient
from ringback.receiver import ReceivedRequest
from ringback.testing import Emulator
from tests.streams import ENDED, STARTED, UPDATED, an_event_of, events_in

STREAMS = "streams"


@pytest.fixture
def portal(emulator: Emulator) -> PortalClient:
    return PortalClient(emulator.base_url, emulator.account_sid, emulator.auth_token)


def happen(emulator: Emulator, *events: tuple[int, int, StreamEventType]) -> None:
    """Publish events: the number, the SIM and the type of each."""
    for number, sim, type_ in events:
        event = an_event_of(
            *(number, sim, type_),
            account_sid=emulator.account_sid,
            at=emulator.now,
            sim_unique_name="Zähler 7",
            data_session_data_total=7,
        )
        emulator._change(
            lambda tx, context, event=event: publish(
                tx, event, listening(tx, emulator.account_sid, context), context
            )
        )


def a_destination(portal: PortalClient, url: str) -> str:
    form = {"Name": "ours", "Type": "webhook", "Url": url}
    return portal.post(STREAMS, "destinations", form=form)["sid"]


def a_rule(portal: PortalClient, destination_sid: str, *types: str, **more: str) -> str:
    form = {"Name": "r", "Destination": destination_sid, "EventType": types, **more}
    return portal.post(STREAMS, "rules", form=form)["sid"]


def check_kores_signature(emulator: Emulator, request: ReceivedRequest, url: str) -> None:
    """Check the signature without any code of ours: secret, method, URL without query, body."""
    signed = f"{emulator.kore_secret}{request.method}{url.partition('?')[0]}".encode()
    expected = hashlib.sha256(signed + request.body).hexdigest()
    assert request.fields["kore-signature"] == expected


def check_twilios_signature(emulator: Emulator, request: ReceivedRequest, url: str) -> None:
    """Check the signature without any code of ours: the URL has the hash of the body."""
    called = f"{url}?bodySHA256={hashlib.sha256(request.body).hexdigest()}"
    assert called.endswith(request.target)
    expected = hmac.new(emulator.auth_token.encode(), called.encode(), hashlib.sha1).digest()
    assert request.fields["x-twilio-signature"] == b64encode(expected).decode()


def numbers_in(request: ReceivedRequest) -> list[int]:
    return [int(one["event_sid"][2:], 16) for one in events_in(request.body.decode())]


def test_each_rule_sends_its_events_in_signed_batches(
    emulator: Emulator, portal: PortalClient
) -> None:
    url = emulator.receiver.url("/in?x=1")
    sid = a_destination(portal, f"{url}#cbs=twilio")
    a_rule(portal, sid, ENDED.short, SchemaVersion="1")
    a_rule(portal, sid, ENDED.short, STARTED.short)
    a_rule(portal, sid, UPDATED.short, Enabled="no")
    happen(emulator, (1, 1, STARTED), (2, 2, STARTED), (3, 1, ENDED), (4, 2, UPDATED))
    emulator.advance("3s")
    requests = emulator.receiver.requests
    assert sorted(map(numbers_in, requests)) == [[1, 2], [3], [3]]
    for request in requests:
        check_kores_signature(emulator, request, url)
        assert (request.method, request.target) == ("POST", "/in?x=1")
        assert request.fields["content-type"] == "application/json"
        assert "Zähler" in request.body.decode()
    (started,) = [one for one in requests if len(numbers_in(one)) == 2]
    event = json.loads(started.body)[0]
    assert list(event) == [
        *("data", "id", "time", "type", "source", "dataschema", "specversion", "datacontenttype")
    ]
    assert (event["id"], event["type"]) == (an_event_of(1).sid, STARTED.value)
    ended = [json.loads(one.body)[0] for one in requests if len(numbers_in(one)) == 1]
    versions = {one["dataschema"][-1]: "data_session_data_total" in one["data"] for one in ended}
    assert versions == {"1": False, "2": True}


def test_what_kore_could_not_deliver_is_replayed_as_twilio(
    emulator: Emulator, portal: PortalClient
) -> None:
    url = emulator.receiver.url("/in")
    a_rule(portal, a_destination(portal, url), ENDED.short)
    emulator.receiver.fail(503, times=4)
    happen(emulator, (1, 1, ENDED))
    emulator.advance("3m")
    (batch,) = portal.get("callbacks")["callbacks"]
    assert (batch["status"], batch["attempt_count"]) == ("failed", 4)
    attempts = portal.get("callbacks", batch["sid"], "attempts")["attempts"]
    assert [one["error_code"] for one in attempts] == [91306] * 4
    bodies = {request.body for request in emulator.receiver.requests}
    tokens = {one.fields["kore-idempotency-token"] for one in emulator.receiver.requests}
    assert (len(bodies), tokens) == (1, {batch["idempotency_token"]})
    explained = portal.get("callbacks", batch["sid"], "explanation")
    assert (explained["decides"], len(explained["rounds"])) == ("stream", 1)
    unsent = portal.get("callbacks", batch["sid"], "comparison")["first"]
    again = portal.post("callbacks", batch["sid"], "replay", form={"AsOtherSource": "yes"})
    emulator.advance("1s")
    request = emulator.receiver.requests[-1]
    check_twilios_signature(emulator, request, url)
    assert request.body.decode() == unsent["body"] == again["body"]
    assert events_in(request.body.decode()) == events_in(batch["body"])
    assert portal.get("callbacks", again["sid"])["status"] == "delivered"
    for sid in (batch["sid"], again["sid"]):
        assert portal.get("callbacks", sid, "verification")["is_right"] is True
    found = portal.get(STREAMS, "events", an_event_of(1).sid, "batches")["batches"]
    assert [one["sid"] for one in found] == [again["sid"], batch["sid"]]
    assert [one["source"] for one in found] == [*Source]


def test_a_disabled_rule_still_sends_what_waits(emulator: Emulator, portal: PortalClient) -> None:
    sid = a_rule(portal, a_destination(portal, emulator.receiver.url("/in")), ENDED.short)
    happen(emulator, (1, 1, ENDED))
    portal.post(STREAMS, "rules", sid, form={"Enabled": "no"})
    happen(emulator, (2, 1, ENDED))
    emulator.advance(timedelta(seconds=2))
    assert list(map(numbers_in, emulator.receiver.requests)) == [[1]]


def test_batches_are_no_callbacks_of_the_policy(emulator: Emulator, portal: PortalClient) -> None:
    a_rule(portal, a_destination(portal, emulator.receiver.url("/in")), ENDED.short)
    happen(emulator, (1, 1, ENDED))
    emulator.advance("1s")
    assert len(emulator.receiver.requests) == 1
    assert totals(portal) == []


def totals(portal: PortalClient) -> list[Any]:
    return portal.get("totals")["totals"]
