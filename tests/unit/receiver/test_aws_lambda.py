"""The AWS Lambda handler, with events as AWS documents them."""

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.policy.source_policy import Source
from ringback.receiver import Callback, MemoryDedupe, Reason, Receiver, Rejected, Result
from ringback.receiver.aws_lambda import lambda_handler, request_of
from tests.fakes import AUTH_TOKEN, KORE_SECRET
from tests.senders import URL, rendered

Event = dict[str, Any]
BALANCER = {"requestContext": {"elb": {"targetGroupArn": "arn"}}}
V2: Event = {
    "version": "2.0",
    "rawPath": "/callbacks",
    "rawQueryString": "",
    "requestContext": {"http": {"method": "POST"}},
}
V1: Event = {"httpMethod": "GET", "path": "/callbacks"}


def never(_: Callback) -> None:
    raise AssertionError("there is nothing to work on")


def a_receiver(url: str = URL, **how: Any) -> Receiver:
    return Receiver(
        url, twilio_auth_tokens=[AUTH_TOKEN], kore_secrets=[KORE_SECRET], seen=MemoryDedupe(), **how
    )


def event_of(source: Source, method: HttpMethod = HttpMethod.POST, **more: Any) -> Event:
    """Return a callback as payload 1.0."""
    request = rendered(source, method)
    path, _, query = request.url.target.partition("?")
    return {
        "httpMethod": request.method,
        "path": path,
        "headers": dict(request.headers),
        "queryStringParameters": dict(parse_qsl(query)),
        "body": request.body.decode() or None,
        **more,
    }


@pytest.mark.parametrize("source", Source)
def test_a_callback_is_processed_once(source: Source) -> None:
    work = list[Callback]()
    handler = lambda_handler(a_receiver(), work.append)
    for _ in range(2):
        assert handler(event_of(source), None) == {
            "statusCode": 200,
            "headers": {"Content-Type": "text/plain; charset=utf-8"},
            "body": "ok",
            "isBase64Encoded": False,
        }
    assert [callback.source for callback in work] == [source]


def test_an_error_in_the_work_is_raised_to_lambda() -> None:
    def fail(_: Callback) -> None:
        raise OSError("the database is gone")

    handler = lambda_handler(a_receiver(), fail)
    for _ in range(2):
        with pytest.raises(OSError, match="the database is gone"):
            handler(event_of(Source.KORE), None)


def test_other_methods_are_not_allowed() -> None:
    response = lambda_handler(a_receiver(), never)({**V1, "httpMethod": "HEAD"}, None)
    assert (response["statusCode"], response["headers"]["Allow"]) == (405, "GET, POST")


def test_a_load_balancer_gets_an_answer_in_its_form() -> None:
    handler = lambda_handler(a_receiver(), never)
    assert handler({**V1, **BALANCER, "headers": {"host": "a"}}, None) == {
        "statusCode": 400,
        "statusDescription": "400 Bad Request",
        "headers": {"Content-Type": "text/plain; charset=utf-8"},
        "body": "no_signature",
        "isBase64Encoded": False,
    }
    response = handler({**V1, **BALANCER, "multiValueHeaders": {"host": ["a"]}}, None)
    assert response["multiValueHeaders"] == {"Content-Type": ["text/plain; charset=utf-8"]}
    assert "headers" not in response


# ---- payload 2.0 ---------------------------------------------------------------------------------


def test_payload_2_has_the_query_unchanged() -> None:
    request = request_of({**V2, "rawQueryString": "a=%7e&b=+"})
    assert (request.method, request.target) == ("POST", "/callbacks?a=%7e&b=+")


def test_a_decoded_path_is_quoted_again() -> None:
    assert request_of({**V2, "rawPath": "/é x"}).target == "/%C3%A9%20x"  # by an HTTP API
    assert request_of({**V2, "rawPath": "/%c3%a9"}).target == "/%c3%a9"  # by a function URL


def test_payload_2_has_separate_cookies() -> None:
    request = request_of({**V2, "headers": {"date": "a,b"}, "cookies": ["c=1", "d=2"]})
    assert request.headers == (("date", "a,b"), ("cookie", "c=1; d=2"))


@pytest.mark.parametrize(
    ("more", "body"),
    [
        ({"body": b64encode(b"\xff").decode(), "isBase64Encoded": True}, b"\xff"),
        ({"body": "é", "isBase64Encoded": False}, "é".encode()),
        ({"body": "\ud800"}, b"?"),
        ({"body": None}, b""),
        ({"body": None, "isBase64Encoded": True}, b""),
        ({}, b""),
    ],
)
def test_a_body_is_read_in_either_form_or_may_be_missing(more: Event, body: bytes) -> None:
    assert request_of({**V2, **more}).body == body


# ---- payload 1.0 and load balancers --------------------------------------------------------------


def test_lists_take_precedence_over_single_values() -> None:
    request = request_of(
        {
            **V1,
            "headers": {"Date": "b"},
            "multiValueHeaders": {"Date": ["a", "b"]},
            "queryStringParameters": {"x": "2"},
            "multiValueQueryStringParameters": {"x": ["1", "2"], "y z": ["~é"]},
        }
    )
    assert request.headers == (("Date", "a"), ("Date", "b"))
    assert request.target == "/callbacks?x=1&x=2&y+z=~%C3%A9"


def test_values_from_a_load_balancer_are_already_encoded() -> None:
    event = {**V1, **BALANCER, "queryStringParameters": {"x%20y": "%7e+"}}
    assert request_of(event).target == "/callbacks?x%20y=%7e+"


def test_the_path_has_the_called_stage() -> None:
    event = {**V1, "requestContext": {"stage": "prod", "path": "/prod/callbacks"}}
    assert request_of(event).target == "/prod/callbacks"


def test_all_optional_parts_may_be_missing() -> None:
    nothing = dict.fromkeys(
        ("headers", "queryStringParameters", "requestContext", "body", "isBase64Encoded")
    )
    lists = {"multiValueHeaders": {"a": None}, "multiValueQueryStringParameters": {}}
    request = request_of({**V1, **nothing, **lists})
    assert (request.target, request.headers, request.body) == ("/callbacks", (), b"")
    assert request_of({**V1, "headers": {"a": None, "b": 1}}).headers == (("b", "1"),)
    assert request_of({**V2, "headers": None, "rawQueryString": None}).headers == ()


@pytest.mark.parametrize("source", Source)
def test_a_get_is_genuine_if_the_order_was_kept(source: Source) -> None:
    handler = lambda_handler(a_receiver(), id)
    assert handler(event_of(source, HttpMethod.GET), None)["statusCode"] == 200


@pytest.mark.parametrize("source", Source)
def test_a_post_is_genuine_whatever_the_order(source: Source) -> None:
    request = rendered(source, url=f"{URL}&site=a&a=b")
    shuffled = {"a": "b", "foo": "bar", "site": "a"}
    event = event_of(source, headers=dict(request.headers), queryStringParameters=shuffled)
    handler = lambda_handler(a_receiver(f"{URL}&site=a&a=b"), id)
    assert handler(event, None)["statusCode"] == 200


# ---- events that are not HTTP requests -----------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "keys"),
    [
        ({"Records": [{"body": "secret"}]}, "Records"),
        ({"source": "aws.events", "detail": {}}, "detail, source"),
        ({}, "nothing"),
        ({"version": "2.0", "rawPath": "/"}, "rawPath, version"),
        ({"httpMethod": None, "path": "/"}, "httpMethod, path"),
        ({1: "a", "b": 2}, "1, b"),
    ],
)
def test_an_event_that_is_not_a_request_says_what_is_missing(event: Event, keys: str) -> None:
    with pytest.raises(ValueError, match=rf"not an HTTP request.*, but {keys}$") as raised:
        request_of(event)
    assert "secret" not in str(raised.value)


REFUSED: Final = {
    "statusCode": 400,
    "headers": {"Content-Type": "text/plain; charset=utf-8"},
    "body": "no_request",
    "isBase64Encoded": False,
}
EVENTS: Final[Mapping[str, tuple[Any, Any]]] = {
    "SQS": (
        {"Records": [{"messageId": "m1", "eventSource": "aws:sqs"}, {"messageId": "m2"}]},
        {"batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": "m2"}]},
    ),
    "Kinesis": (
        {"Records": [{"eventSource": "aws:kinesis", "kinesis": {"sequenceNumber": "49"}}]},
        {"batchItemFailures": [{"itemIdentifier": "49"}]},
    ),
    "DynamoDB": (
        {"Records": [{"eventSource": "aws:dynamodb", "dynamodb": {"SequenceNumber": "111"}}]},
        {"batchItemFailures": [{"itemIdentifier": "111"}]},
    ),
    # An empty identifier makes Lambda try the whole batch again.
    "SNS": (
        {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": "…"}}]},
        {"batchItemFailures": [{"itemIdentifier": ""}]},
    ),
    "Lambda@Edge": (
        {"Records": [{"cf": {"request": {"method": "POST", "uri": "/"}}}]},
        {
            "status": "400",
            "statusDescription": "Bad Request",
            "headers": {
                "content-type": [{"key": "Content-Type", "value": "text/plain; charset=utf-8"}]
            },
            "body": "no_request",
        },
    ),
    "EventBridge": ({"version": "0", "source": "aws.ec2", "detail-type": "…"}, REFUSED),
    "WebSocket": ({"requestContext": {"routeKey": "$connect", "connectionId": "c"}}, REFUSED),
    "a test in the console": ({"key1": "value1"}, REFUSED),
    "a balancer without a path": (
        {**BALANCER, "httpMethod": "POST"},
        {**REFUSED, "statusDescription": "400 Bad Request"},
    ),
    "a list": ([1], REFUSED),
    "a text": ("x", REFUSED),
    "null": (None, REFUSED),
    "no records": ({"Records": []}, REFUSED),
    "odd records": ({"Records": [None]}, {"batchItemFailures": [{"itemIdentifier": ""}]}),
}


@pytest.mark.parametrize("name", EVENTS)
def test_any_other_event_gets_a_response_that_its_service_accepts(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    told = list[Result]()
    handler = lambda_handler(a_receiver(on_result=told.append), never)
    event, response = EVENTS[name]
    assert handler(event, None) == response
    assert [rejected.reason for rejected in told if isinstance(rejected, Rejected)] == [
        Reason.NO_REQUEST
    ]
    assert "rejected (no_request): this event is not an HTTP request" in caplog.text


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ({**V2, "headers": ["a"]}, "headers of this event is a list; it must be an object"),
        ({**V2, "rawQueryString": {}}, "rawQueryString of this event is a dict; it must be a text"),
        ({**V2, "body": {"a": 1}}, "body of this event is a dict; it must be a text"),
        ({**V2, "body": "a", "isBase64Encoded": True}, "the body of this event isn't Base64"),
        ({**V2, "body": "é", "isBase64Encoded": True}, "the body of this event isn't Base64"),
        ({**V1, "multiValueHeaders": {"a": "b"}}, "multiValueHeaders of this event has a str"),
        ({**V1, "requestContext": "x"}, "requestContext of this event is a str"),
        ({**V1, "queryStringParameters": "x"}, "queryStringParameters of this event is a str"),
    ],
)
def test_a_malformed_request_is_refused_with_what_is_wrong(
    event: Event, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    response = lambda_handler(a_receiver(), never)(event, None)
    assert (response["statusCode"], response["body"]) == (400, "no_request")
    assert f"rejected (no_request): {why}" in caplog.text


_SHAPES: Final = [event for event, _ in EVENTS.values()] + [
    V1,
    V2,
    {**V1, **BALANCER},
    event_of(Source.KORE),
    event_of(Source.TWILIO, HttpMethod.GET, isBase64Encoded=False, multiValueHeaders={"a": ["b"]}),
]
_JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.data())
def test_no_event_makes_the_handler_raise(data: st.DataObject) -> None:
    shape: Any = data.draw(st.sampled_from(_SHAPES))
    event = data.draw(_JSON)
    if isinstance(shape, dict):
        changed: Event = {**shape}
        fields = ["cookies", "isBase64Encoded", "rawQueryString", "queryStringParameters", *changed]
        for field in data.draw(st.lists(st.sampled_from(fields), min_size=1, max_size=3)):
            changed[field] = data.draw(_JSON)
        event = changed
    response = lambda_handler(a_receiver(), lambda _: None)(event, None)
    assert {"statusCode", "status", "batchItemFailures"} & set(response)
    json.dumps(response)
