"""The consumers of event streams understand what both vendors send, and break as public ones do."""

import json
from typing import Any, Final

import pytest

from ringback.core.policy.source_policy import Source
from ringback.receiver import ReceivedRequest
from tests.corpus.stream_consumers import (
    WEBHOOK_CONSUMERS,
    WebhookConsumer,
    agent_by_dataschema,
    api_with_a_model,
    api_with_signature_of_json_written_anew,
    importer_of_updates,
    lambda_of_the_first_event,
    reader_of_test_ids,
)
from tests.fakes import AUTH_TOKEN, KORE_SECRET
from tests.stream_events import (
    ACCOUNT,
    B1,
    KORE_TEST,
    compact,
    data_of,
    enveloped,
    events_of,
    streamed,
)

HOST: Final = "https://example.com"
both_sources = pytest.mark.parametrize("source", list(Source))


def sent_to(consumer: WebhookConsumer, request: ReceivedRequest) -> tuple[int, list[str]]:
    """Return the status, and the ends of the SIDs of the events that it understood."""
    url = HOST + request.target
    status, events = consumer(request.method, url, dict(request.headers), request.body)
    return status, [event["event_sid"][-2:] for event in events]


@both_sources
@pytest.mark.parametrize("name", WEBHOOK_CONSUMERS)
def test_a_batch_is_understood(name: str, source: Source) -> None:
    request = streamed(source, events_of(source, *range(1, 8)))
    status, sids = sent_to(WEBHOOK_CONSUMERS[name], request)
    assert status in (200, 201)
    assert sids == [f"0{number}" for number in range(1, 8)]


def test_the_model_refuses_an_object_a_test_event_and_other_types() -> None:
    (event,) = events_of(Source.KORE, 1)
    assert sent_to(api_with_a_model, streamed(Source.KORE, event)) == (422, [])
    assert sent_to(api_with_a_model, streamed(Source.KORE, [dict(KORE_TEST)])) == (422, [])
    other = event | {"type": event["type"].replace("twilio", "kore")}
    assert sent_to(api_with_a_model, streamed(Source.KORE, [other])) == (201, [])
    odd = enveloped(data_of(1, location="here"), Source.KORE)
    assert sent_to(api_with_a_model, streamed(Source.KORE, [odd])) == (422, [])
    request = streamed(Source.KORE, [event])
    form = ReceivedRequest("POST", "/events", (), request.body)
    assert sent_to(api_with_a_model, form) == (422, [])


def test_the_lambda_reads_the_first_event_and_checks_the_url() -> None:
    consumer = lambda_of_the_first_event({ACCOUNT: AUTH_TOKEN})
    batch = streamed(Source.TWILIO, events_of(Source.TWILIO, 1, 2))
    assert sent_to(consumer, batch) == (200, ["01"])
    elsewhere = streamed(Source.TWILIO, events_of(Source.TWILIO, 1), url=f"{HOST}/other")
    moved = ReceivedRequest("POST", "/events", elsewhere.headers, elsewhere.body)
    assert sent_to(consumer, moved) == (403, [])
    assert sent_to(consumer, streamed(Source.TWILIO, B1)) == (500, [])


def test_json_written_anew_has_another_signature_if_it_is_not_ascii() -> None:
    consumer = api_with_signature_of_json_written_anew(KORE_SECRET)
    for document in (events_of(Source.KORE, 5), events_of(Source.KORE, 5)[0]):
        assert sent_to(consumer, streamed(Source.KORE, document)) == (200, ["05"])
    named = enveloped(data_of(5, sim_unique_name="Zürich"), Source.KORE)
    assert sent_to(consumer, streamed(Source.KORE, [named])) == (401, [])


def test_the_agent_drops_another_schema() -> None:
    other = events_of(Source.KORE, 1)[0] | {"dataschema": "https://example.com/1"}
    assert sent_to(agent_by_dataschema, streamed(Source.KORE, [other])) == (200, [])


@both_sources
def test_an_update_is_imported_from_a_record(source: Source) -> None:
    (event,) = events_of(source, 5)
    status, (row,) = importer_of_updates(compact(event))
    assert status == 200
    assert (row["lat"], row["data_total"], row["event_sid"][-1]) == (34.166991, 8192, "5")


_BROKEN: Final[list[dict[str, Any]]] = [
    {"location": None},
    {"location": {"cell_id": "1", "lac": "1", "lat": 34, "lon": -118}},
    {"timestamp": "2024-10-15T08:42:02.1234567Z"},
    {"timestamp": "2024-10-15T08:42:02+00:00"},
    {"data_total": "8192"},
    {"imei": None},
]


@pytest.mark.parametrize("changes", _BROKEN, ids=str)
def test_the_importer_breaks_on_other_forms(changes: dict[str, Any]) -> None:
    record = compact(enveloped(data_of(5, **changes), Source.TWILIO))
    assert importer_of_updates(record) == (422, [])


def test_the_importer_takes_one_update_only() -> None:
    assert importer_of_updates(compact(events_of(Source.TWILIO, 5))) == (422, [])
    for number in (1, 2, 3, 4, 7):
        record = compact(enveloped(data_of(number), Source.TWILIO))
        assert importer_of_updates(record) == (422, [])


def test_the_id_of_a_test_is_read_from_a_record() -> None:
    (event,) = json.loads(B1)
    assert reader_of_test_ids(compact(event)) == (
        200,
        [{"test_id": "cae2f9e2-c277-4612-8ad3-93c1a7a3ef88"}],
    )
    assert reader_of_test_ids(B1) == (422, [])
    assert reader_of_test_ids(compact(enveloped(data_of(1), Source.TWILIO))) == (422, [])
