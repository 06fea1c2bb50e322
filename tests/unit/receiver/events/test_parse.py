"""The event of a request is read from its query, its form or its JSON."""

from typing import get_args

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.callbacks.rendering import render
from ringback.core.events.payload import PARAMETERS, parameters_of
from ringback.core.form_encoding import encode
from ringback.core.policy.source_policy import Source
from ringback.receiver import events
from ringback.receiver.events import Event, TestEvent, UnknownEvent, read_event
from ringback.receiver.verification import ReceivedRequest
from tests.fakes import NOW, a_callback, an_account
from tests.golden.test_golden import SMS, TEST_EVENT
from tests.senders import received, rendered


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("method", HttpMethod)
def test_the_event_of_a_request_is_read(source: Source, method: HttpMethod) -> None:
    url = "http://a.example/hook?foo=bar&SimSid=DE00&Status=lost"
    request = rendered(source, method, url=url, body=encode(parameters_of(SMS)))
    assert read_event(received(request)) == SMS


def a_test_event(method: HttpMethod) -> ReceivedRequest:
    callback = a_callback(method=method, source=Source.KORE, body=TEST_EVENT, is_test=True)
    return received(render(callback, account=an_account(), at=NOW))


def test_a_test_event_is_read_from_its_json() -> None:
    read = read_event(a_test_event(HttpMethod.POST))
    assert isinstance(read, TestEvent)
    assert read.test_id == "88bf54a9-f2fb-40b6-8faf-e6c5a3c348d2"


def test_a_test_event_by_get_has_no_event() -> None:
    assert isinstance(read_event(a_test_event(HttpMethod.GET)), UnknownEvent)


def test_the_event_of_a_get_is_in_its_query_whatever_its_content_type() -> None:
    target = f"/hook?{encode(parameters_of(SMS))}"
    request = ReceivedRequest("GET", target, (("Content-Type", "application/json"),))
    assert read_event(request) == SMS


def test_json_with_the_content_type_of_a_form_is_unknown() -> None:
    request = ReceivedRequest("POST", "/hook", (), TEST_EVENT.encode())
    assert isinstance(read_event(request), UnknownEvent)


def test_all_record_types_are_exported_with_their_enumerations() -> None:
    kinds = get_args(Event)
    assert set(PARAMETERS) < set(kinds)
    assert {kind.__name__ for kind in kinds} <= set(events.__all__)
    assert all(hasattr(events, name) for name in events.__all__)


def test_an_application_can_match_on_records_and_their_values() -> None:
    match read_event(received(rendered(Source.KORE, body=encode(parameters_of(SMS))))):
        case events.SmsCommandChanged(status=events.MessageStatus.SENT, payload=text):
            assert text == SMS.payload
        case other:
            pytest.fail(f"this is {other}")
