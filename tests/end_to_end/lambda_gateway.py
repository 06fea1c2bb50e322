"""A gateway in front of an AWS Lambda function, of each kind with its own form of events.

    PORT=8000 python tests/end_to_end/lambda_gateway.py rest examples/frameworks/lambda_app.py

If the kind passes query parameters as a mapping, their order is lost: AWS doesn't promise it.
"""

import os
import runpy
import sys
from base64 import b64encode
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote

Event = dict[str, Any]


class Incoming:
    """A request, in the parts of which events are made."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self.method = handler.command
        self.path, _, self.query = handler.path.partition("?")
        self.headers = list(handler.headers.items())
        self.body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))

    def parameters(self) -> list[tuple[str, str]]:
        """Return the query's parameters in their original order."""
        pairs = (pair.partition("=") for pair in self.query.split("&") if pair)
        return sorted((name, value) for name, _, value in pairs)

    def decoded_parameters(self) -> list[tuple[str, str]]:
        return sorted(parse_qsl(self.query, keep_blank_values=True))


def lists_of(pairs: list[tuple[str, str]]) -> dict[str, list[str]] | None:
    lists: dict[str, list[str]] = {}
    for name, value in pairs:
        lists.setdefault(name, []).append(value)
    return lists or None


def of_rest(request: Incoming) -> Event:
    """Return an event of payload 1.0, with the body as text and the path without the stage."""
    return {
        "resource": "/callbacks",
        "path": request.path,
        "httpMethod": request.method,
        "headers": dict(request.headers),
        "multiValueHeaders": lists_of(request.headers),
        "queryStringParameters": dict(request.decoded_parameters()) or None,
        "multiValueQueryStringParameters": lists_of(request.decoded_parameters()),
        "requestContext": {"stage": "test", "path": f"/test{request.path}"},
        "body": request.body.decode() or None,
        "isBase64Encoded": False,
    }


def of_http(request: Incoming) -> Event:
    """Return an event of payload 2.0, of an HTTP API or a function URL; a form counts as binary."""
    event: Event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": unquote(request.path),
        "rawQueryString": request.query,
        "headers": {
            name.lower(): ",".join(values)
            for name, values in (lists_of(request.headers) or {}).items()
        },
        "requestContext": {"http": {"method": request.method, "path": unquote(request.path)}},
        "isBase64Encoded": bool(request.body),
    }
    return event | ({"body": b64encode(request.body).decode()} if request.body else {})


def of_balancer(request: Incoming) -> Event:
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:…"}},
        "httpMethod": request.method,
        "path": request.path,
        "queryStringParameters": dict(request.parameters()),
        "headers": {name.lower(): value for name, value in request.headers},
        "body": b64encode(request.body).decode(),
        "isBase64Encoded": True,
    }


def of_balancer_with_lists(request: Incoming) -> Event:
    """Return an event of a target group that is set to multi-value headers."""
    lowered = [(name.lower(), value) for name, value in request.headers]
    event = of_balancer(request)
    del event["headers"], event["queryStringParameters"]
    return event | {
        "multiValueHeaders": lists_of(lowered),
        "multiValueQueryStringParameters": lists_of(request.parameters()) or {},
    }


KINDS: dict[str, Callable[[Incoming], Event]] = {
    "rest": of_rest,
    "http": of_http,
    "alb": of_balancer,
    "alb-lists": of_balancer_with_lists,
}


def headers_in(response: dict[str, Any], kind: str) -> list[tuple[str, str]]:
    """Return a response's headers from the place where this kind of gateway expects them."""
    if kind.startswith("alb") and not response["statusDescription"].startswith(
        str(response["statusCode"])
    ):
        raise ValueError("a load balancer wants the status in words")
    if kind == "alb-lists":
        lists = response["multiValueHeaders"].items()
        return [(name, value) for name, values in lists for value in values]
    return list(response["headers"].items())


def serve(kind: str, app: str, port: int) -> None:
    call = runpy.run_path(app)["handler"]

    class Gateway(BaseHTTPRequestHandler):
        def answer(self) -> None:
            try:
                response = call(KINDS[kind](Incoming(self)), None)
                headers = headers_in(response, kind)
            except Exception as failure:  # noqa: BLE001 (Lambda catches everything too)
                print(repr(failure), file=sys.stderr)
                response, headers = {"statusCode": 502, "body": "Bad Gateway"}, []
            body = response["body"].encode()
            self.send_response(response["statusCode"])
            for name, value in (*headers, ("Content-Length", str(len(body)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = answer  # noqa: N815 (the server's names)

    with ThreadingHTTPServer(("127.0.0.1", port), Gateway) as server:
        server.serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], int(os.environ["PORT"]))
