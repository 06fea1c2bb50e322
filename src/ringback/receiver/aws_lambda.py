"""Receive callbacks in an AWS Lambda function.

    handler = lambda_handler(callbacks, work)

This works behind a function URL, an API Gateway (HTTP or REST) or a load balancer.

Have callbacks sent by POST. The parameters of a GET are in its query, and a Twilio signature covers
the query exactly as it was sent. REST APIs, HTTP APIs with payload 1.0 and load balancers don't
pass the query on unchanged, so a genuine GET may be rejected there.
"""

from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from ringback.core.form_encoding import encode
from ringback.receiver.http import headers_of, quoted, refusal_of, target_of
from ringback.receiver.receiver import Receiver, Work
from ringback.receiver.results import Answer
from ringback.receiver.verification import Headers, ReceivedRequest

Event = Mapping[str, Any]
Handler = Callable[[Event, object], dict[str, Any]]

_SHOWN: Final = 10


def lambda_handler(callbacks: Receiver, work: Work) -> Handler:
    """Return a Lambda handler that receives callbacks and calls `work` for each new one.

    If `work` raises, the exception is passed on and AWS answers 500 or 502. The handler raises
    ValueError if the event is not an HTTP request.
    """

    def handle(event: Event, _: object) -> dict[str, Any]:
        request = request_of(event)
        refused = refusal_of(request.method)
        return response_to(event, refused or callbacks.handle(request, work))

    return handle


def request_of(event: Event) -> ReceivedRequest:
    """Return the ReceivedRequest of a Lambda event.

    Some events contain the query parameters without their order. The target of a POST with several
    query parameters is then left empty, and the receiver uses the query of its configured URL. This
    does not work for a URL with placeholders, which should have at most one query parameter.

    Raises ValueError if the event is not an HTTP request.
    """
    match event:
        case {"requestContext": {"http": {"method": str(method)}}, "rawPath": str(path)}:
            target = target_of(_quoted(path), event.get("rawQueryString") or "")
            return ReceivedRequest(method, target, _headers(event), _body(event))
        case {"httpMethod": str(method), "path": str(path)}:
            target = _target(event, method, path)
            return ReceivedRequest(method, target, _headers(event), _body(event))
        case _:
            raise ValueError(_no_request(event))


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
    if event.get(
        "multiValueHeaders"
    ):  # the balancer expects headers in the form in which it sends them
        del response["headers"]
        response["multiValueHeaders"] = {name: [value] for name, value in headers.items()}
    return response


def _is_from_balancer(event: Event) -> bool:
    return "elb" in (event.get("requestContext") or {})


def _target(event: Event, method: str, path: str) -> str:
    given = _pairs(event, "multiValueQueryStringParameters", "queryStringParameters")
    if method != "GET" and len(given) > 1:
        return ""
    if _is_from_balancer(event):
        query = "&".join(f"{name}={value}" for name, value in given)
    else:
        query = encode(given)  # encoded as the senders do
    context: Event = event.get("requestContext") or {}
    return target_of(
        _quoted(context.get("path") or path), query
    )  # the context's path includes the stage


def _quoted(path: str) -> str:
    # An HTTP API passes the path decoded; all others pass it as received.
    return quoted(path, kept="%")


def _headers(event: Event) -> Headers:
    headers = _pairs(event, "multiValueHeaders", "headers")
    if cookies := event.get("cookies"):  # payload 2.0 lists cookies separately
        headers.append(("cookie", "; ".join(cookies)))
    return tuple(headers)


def _pairs(event: Event, several: str, single: str) -> list[tuple[str, str]]:
    """Return (name, value) pairs from the lists in the field `several`, or else from `single`."""
    lists: Mapping[str, Iterable[object] | None] = event.get(several) or {}
    singles: Mapping[str, object] = event.get(single) or {}
    listed = [(name, value) for name, values in lists.items() for value in values or ()]
    pairs = listed or [*singles.items()]
    return [(name, str(value)) for name, value in pairs if value is not None]


def _body(event: Event) -> bytes:
    body: str = event.get("body") or ""
    return b64decode(body) if event.get("isBase64Encoded") else body.encode("utf-8", "replace")


def _no_request(event: Event) -> str:
    keys = ", ".join(sorted(event)[:_SHOWN]) or "nothing"
    return (
        "this event is not an HTTP request: it has neither requestContext.http.method and rawPath"
        " (payload 2.0 and function URLs) nor httpMethod and path (payload 1.0 and load"
        f" balancers), but {keys}"
    )
