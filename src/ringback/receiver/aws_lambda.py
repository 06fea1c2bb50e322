"""Receive callbacks in an AWS Lambda function.

    handler = lambda_handler(callbacks, work)

This works behind a function URL, an API Gateway (HTTP or REST) or a load balancer. Any other event
is refused, with a response that its service understands.

Have callbacks sent by POST. The parameters of a GET are in its query, and a Twilio signature covers
the query exactly as it was sent. REST APIs, HTTP APIs with payload 1.0 and load balancers don't
pass the query on unchanged, so a genuine GET may be rejected there.
"""

from base64 import b64decode
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, cast

from ringback.core.form_encoding import encode
from ringback.core.sources.signature import BODY_HASH
from ringback.receiver.http import headers_of, quoted, refusal_of, target_of
from ringback.receiver.receiver import Receiver, Work
from ringback.receiver.results import Answer
from ringback.receiver.verification import Headers, Reason, ReceivedRequest, Rejected

Event = Mapping[str, Any]
Handler = Callable[[Any, object], dict[str, Any]]

_SHOWN: Final = 10


def lambda_handler(callbacks: Receiver, work: Work) -> Handler:
    """Return a Lambda handler that receives callbacks and calls `work` for each new one.

    If `work` raises, the exception is passed on and AWS answers 500 or 502. No event makes the
    handler itself raise: one that isn't an HTTP request is reported as a rejection, NO_REQUEST.
    """

    def handle(event: Any, _: object) -> dict[str, Any]:
        try:
            request = request_of(event)
        except ValueError as problem:
            answer = callbacks.refuse(Rejected(Reason.NO_REQUEST, str(problem)))
            return _refusal_to(event, answer)
        refused = refusal_of(request.method)
        return response_to(event, refused or callbacks.handle(request, work))

    return handle


def request_of(event: Any) -> ReceivedRequest:
    """Return the ReceivedRequest of a Lambda event.

    Some events contain the query parameters without their order. The target of a POST with several
    query parameters is then left empty, and the receiver uses the query of its configured URL. This
    does not work for a URL with placeholders, which should have at most one query parameter. The
    hash that Twilio appends for JSON is not counted: its place is known.

    Raises ValueError if the event is not an HTTP request.
    """
    match event:
        case {"requestContext": {"http": {"method": str(method)}}, "rawPath": str(path)}:
            target = target_of(_quoted(path), _text(event, "rawQueryString"))
        case {"httpMethod": str(method), "path": str(path)}:
            target = _target(event, method, path)
        case _:
            raise ValueError(_no_request(event))
    return ReceivedRequest(method, target, _headers(event), _body(event))


def response_to(event: Event, answer: Answer) -> dict[str, Any]:
    """Return the answer as the response that the event's source (API Gateway, …) expects."""
    headers = headers_of(answer)
    response: dict[str, Any] = {
        "statusCode": answer.status,
        "headers": headers,
        "body": answer.text,
        "isBase64Encoded": False,
    }
    if not _is_from_balancer(event):
        return response
    response["statusDescription"] = f"{answer.status} {HTTPStatus(answer.status).phrase}"
    # The balancer expects headers in the form in which it sends them.
    if event.get("multiValueHeaders"):
        del response["headers"]
        response["multiValueHeaders"] = {name: [value] for name, value in headers.items()}
    return response


def _refusal_to(event: Any, answer: Answer) -> dict[str, Any]:
    """Return the answer to an event that isn't an HTTP request, as its service expects it."""
    given = cast("Event", event if isinstance(event, Mapping) else {})
    records: Any = given.get("Records")
    if not isinstance(records, list) or not records:
        return response_to(given, answer)
    if isinstance(records[0], Mapping) and "cf" in records[0]:  # Lambda@Edge
        headers = headers_of(answer).items()
        return {
            "status": str(answer.status),
            "statusDescription": HTTPStatus(answer.status).phrase,
            "headers": {name.lower(): [{"key": name, "value": value}] for name, value in headers},
            "body": answer.text,
        }
    # A queue or a stream keeps the records that are listed as failed, if the function's trigger
    # has ReportBatchItemFailures. An empty identifier means the whole batch.
    failed = [{"itemIdentifier": _identifier_of(record)} for record in cast("list[Any]", records)]
    return {"batchItemFailures": failed}


def _identifier_of(record: Any) -> str:
    match record:
        case {"messageId": str(identifier)}:
            return identifier
        case {"kinesis": {"sequenceNumber": str(identifier)}}:
            return identifier
        case {"dynamodb": {"SequenceNumber": str(identifier)}}:
            return identifier
        case _:
            return ""


def _is_from_balancer(event: Event) -> bool:
    context: Any = event.get("requestContext")
    return isinstance(context, Mapping) and "elb" in context


def _target(event: Event, method: str, path: str) -> str:
    given = _pairs(event, "multiValueQueryStringParameters", "queryStringParameters")
    if method != "GET":
        # Twilio appends the hash of a JSON body, so it is the last parameter.
        given.sort(key=lambda pair: pair[0] == BODY_HASH)
        if len(given) > 1 and given[1][0] != BODY_HASH:
            return ""
    if _is_from_balancer(event):
        query = "&".join(f"{name}={value}" for name, value in given)
    else:
        query = encode(given)  # encoded as the senders do
    called = _mapping(event, "requestContext").get("path") or path  # includes the stage
    return target_of(_quoted(str(called)), query)


def _quoted(path: str) -> str:
    # An HTTP API passes the path decoded; all others pass it as received.
    return quoted(path, kept="%")


def _headers(event: Event) -> Headers:
    headers = _pairs(event, "multiValueHeaders", "headers")
    cookies: Any = event.get("cookies") or ()  # payload 2.0 lists cookies separately
    if isinstance(cookies, list):
        headers.append(("cookie", "; ".join(map(str, cast("list[Any]", cookies)))))
    return tuple(headers)


def _pairs(event: Event, several: str, single: str) -> list[tuple[str, str]]:
    """Return (name, value) pairs from the lists in the field `several`, or else from `single`."""
    listed = list[tuple[str, Any]]()
    for name, values in _mapping(event, several).items():
        if not isinstance(values, list | None):
            raise ValueError(f"{several} of this event has a {_sort_of(values)} for {name!r}")
        listed += [(name, value) for value in cast("list[Any]", values or [])]
    pairs = listed or [*_mapping(event, single).items()]
    return [(name, str(value)) for name, value in pairs if value is not None]


def _body(event: Event) -> bytes:
    body = _text(event, "body")
    if not event.get("isBase64Encoded"):
        return body.encode("utf-8", "replace")
    try:
        return b64decode(body)
    except ValueError as problem:
        raise ValueError(f"the body of this event isn't Base64, as it says: {problem}") from None


def _mapping(event: Event, name: str) -> Event:
    """Return the object in a field of an event; empty if there is none."""
    value: Any = event.get(name)
    if not isinstance(value, Mapping | None):
        raise ValueError(f"{name} of this event is a {_sort_of(value)}; it must be an object")
    return cast("Event", value or {})


def _text(event: Event, name: str) -> str:
    """Return the text in a field of an event; empty if there is none."""
    value: Any = event.get(name)
    if not isinstance(value, str | None):
        raise ValueError(f"{name} of this event is a {_sort_of(value)}; it must be a text")
    return value or ""


def _sort_of(value: object) -> str:
    return type(value).__name__


def _no_request(event: Any) -> str:
    if not isinstance(event, Mapping):
        return f"this event is not an HTTP request, but a {_sort_of(event)}"
    keys = ", ".join(sorted(map(str, cast("Event", event)))[:_SHOWN]) or "nothing"
    return (
        "this event is not an HTTP request: it has neither requestContext.http.method and rawPath"
        " (payload 2.0 and function URLs) nor httpMethod and path (payload 1.0 and load"
        f" balancers), but {keys}"
    )
