"""Receivers of event streams, of Twilio or KORE: each takes batches of events, in JSON."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict

from ringback.core.policy.source_policy import Source
from ringback.receiver import Callback, MemoryDedupe, Receiver
from ringback.receiver.asgi import AsgiCallbackApp
from ringback.receiver.events import TestEvent
from tests.corpus.receivers.serving import (
    KORE,
    PATIENT,
    TWILIO,
    Backend,
    Call,
    Plain,
    PlainAnswer,
    Registry,
    asgi,
    plain,
)

STREAMS: Final[Registry] = {}
BOTH: Final = (Source.TWILIO, Source.KORE)

JsonObject = dict[str, Any]
Take = Callable[[list[JsonObject], str], PlainAnswer]
"""Takes the events of a genuine batch, and the key of the batch: its source and token."""


def checked(backend: Backend, take: Take) -> Plain:
    """Return a receiver that passes genuine batches on, but not test events."""

    def receive(call: Call) -> PlainAnswer:
        key = backend.genuine_key(call)
        if key is None:
            return 403
        events = [event for event in json.loads(call.body) if "test_id" not in event["data"]]
        return take(events, key)

    return receive


@plain(STREAMS, streams_of=BOTH)
def events_by_their_sid(backend: Backend) -> Plain:
    """Store the SID of each event with its work."""

    def take(events: list[JsonObject], _: str) -> PlainAnswer:
        for event in events:
            if backend.insert(event["data"]["event_sid"]):
                backend.work()
        return 204

    return checked(backend, take)


@asgi(STREAMS, streams_of=BOTH)
def events_by_the_toolkit(backend: Backend) -> Any:
    """Receive events with the toolkit, and do nothing for test events."""
    callbacks = Receiver(
        backend.url,
        twilio_auth_tokens=[backend.auth_token],
        kore_secrets=[backend.kore_secret],
        seen=MemoryDedupe(),
    )

    def work(callback: Callback) -> None:
        if not isinstance(callback.event, TestEvent):
            backend.work()

    return AsgiCallbackApp(callbacks, work)


@plain(STREAMS, "repeats-event-of-both", streams_of=BOTH)
def ids_of_each_source(backend: Backend) -> Plain:
    """Store ids in a table for each source."""

    def take(events: list[JsonObject], key: str) -> PlainAnswer:
        for event in events:
            if backend.insert(f"{key.partition(' ')[0]} {event['id']}"):
                backend.work()
        return 200

    return checked(backend, take)


@plain(STREAMS, "repeats-overlap repeats-event-of-both", streams_of=BOTH)
def token_of_the_batch(backend: Backend) -> Plain:
    """Store the token of a batch, as that of a callback."""

    def take(events: list[JsonObject], key: str) -> PlainAnswer:
        if backend.insert(key):
            for _ in events:
                backend.work()
        return 200

    return checked(backend, take)


@plain(STREAMS, "loses-events repeats-event-of-both", streams_of=BOTH)
def token_in_the_row_of_each_event(backend: Backend) -> Plain:
    """Store each event with the token of its request, in a unique column; ignore conflicts."""

    def take(events: list[JsonObject], key: str) -> PlainAnswer:
        for _ in events:
            if backend.insert(key):
                backend.work()
        return 200

    return checked(backend, take)


@plain(STREAMS, "repeats-batch repeats-overlap repeats-event-of-both", streams_of=BOTH)
def each_event_each_time(backend: Backend) -> Plain:
    """Do the work for each event that comes."""

    def take(events: list[JsonObject], _: str) -> PlainAnswer:
        for _event in events:
            backend.work()
        return 200

    return checked(backend, take)


@plain(STREAMS, "refuses-batch", streams_of=BOTH)
def one_event_in_each_request(backend: Backend) -> Plain:
    """Take only arrays of one, as Twilio sends them without `batch_events`."""

    def take(events: list[JsonObject], _: str) -> PlainAnswer:
        if len(events) > 1:
            return 422
        for event in events:
            if backend.insert(event["data"]["event_sid"]):
                backend.work()
        return 200

    return checked(backend, take)


@plain(STREAMS, "refuses-null-location", streams_of=BOTH)
def computes_with_the_location(backend: Backend) -> Plain:
    """Cast latitude and longitude to numbers, as an importer of a database does."""

    def take(events: list[JsonObject], _: str) -> PlainAnswer:
        for event in events:
            location = event["data"]["location"]
            float(location["lat"])
            if backend.insert(event["data"]["event_sid"]):
                backend.work()
        return 200

    return checked(backend, take)


@plain(STREAMS, "too-slow-for-streams", streams_of=BOTH, times=replace(PATIENT, answer=0.3))
def works_before_it_answers(backend: Backend) -> Plain:
    """Do slow work for each event of a batch before the answer."""

    def take(events: list[JsonObject], _: str) -> PlainAnswer:
        for event in events:
            if backend.insert(event["data"]["event_sid"]):
                time.sleep(0.015)
                backend.work()
        return 200

    return checked(backend, take)


@plain(
    STREAMS,
    "ignores-body-hash loses-events refuses-stream-test-event acts-on-forgeries",
    streams_of=(Source.TWILIO,),
)
def first_event_and_signature_of_the_url(backend: Backend) -> Plain:
    """Check the signature of the URL alone, take the first event, and need its account."""

    def receive(call: Call) -> PlainAnswer:
        (event, *_) = json.loads(call.body)
        if "account_sid" not in event["data"]:
            return 500
        if not backend.is_twilio(call.url, {}, call.headers.get(TWILIO)):
            return 403
        if backend.insert(event["id"]):
            backend.work()
        return 200

    return receive


@plain(STREAMS, "refuses-non-ascii", streams_of=(Source.KORE,))
def signature_of_json_written_anew(backend: Backend) -> Plain:
    """Check Kore-Signature over JSON that was parsed and written again."""

    def receive(call: Call) -> PlainAnswer:
        events = json.loads(call.body)
        again = json.dumps(events, separators=(",", ":")).encode()
        if call.headers.get(KORE) != backend.by_kore(call.method, again):
            return 403
        for event in events:
            if "test_id" not in event["data"] and backend.insert(event["id"]):
                backend.work()
        return 200

    return receive


class StoredEvent(BaseModel):
    """An event as a public receiver declares it."""

    class Data(BaseModel):
        """The fields that it stores."""

        event_sid: str
        sim_iccid: str
        timestamp: str

    model_config = ConfigDict(extra="allow")
    id: str
    time: str
    type: str
    data: Data


@asgi(
    STREAMS,
    "answers-200-to-everything refuses-stream-test-event refuses-repeat acts-on-forgeries",
    streams_of=(Source.KORE,),
)
def fastapi_model_of_an_array(backend: Backend) -> FastAPI:
    """Take an array by a model of Pydantic, check no signature, and answer a conflict with 400."""
    app = FastAPI()

    @app.post("/callbacks")
    async def receive(events: list[StoredEvent]) -> PlainTextResponse:
        answers = [backend.insert(event.data.event_sid) for event in events]
        for _ in filter(None, answers):
            backend.work()
        return PlainTextResponse(status_code=201 if all(answers) else 400)

    return app
