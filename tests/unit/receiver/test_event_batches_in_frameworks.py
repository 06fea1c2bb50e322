"""Event streams in each framework that the toolkit knows, with the framework's own test client.

A batch is answered with a 5xx if the application fails on an event, whatever it raises.
"""

import asyncio
import io
from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final

import pytest
from django.http import Http404, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import PlainTextResponse
from flask import Flask, abort, request

from ringback.receiver import Callback, MemoryDedupe, ReceivedRequest, Receiver, Source
from ringback.receiver import django as of_django
from ringback.receiver import flask as of_flask
from ringback.receiver import starlette as of_starlette
from ringback.receiver.asgi import AsgiCallbackApp
from ringback.receiver.aws_lambda import lambda_handler
from ringback.receiver.events import ConnectionEvent
from ringback.receiver.wsgi import WsgiCallbackApp
from tests.corpus.receivers.django_apps import application
from tests.fakes import AUTH_TOKEN, KORE_SECRET
from tests.stream_events import events_of, streamed

URL: Final = "https://example.com/events?tenant=7"


class Shop:
    """An application that fails once on the second event, with an exception of its framework."""

    def __init__(self, failure: Callable[[], object]) -> None:
        self.done = list[str]()
        self.failure: Callable[[], object] | None = failure
        self.callbacks = Receiver(
            URL, twilio_auth_tokens=[AUTH_TOKEN], kore_secrets=[KORE_SECRET], seen=MemoryDedupe()
        )

    def work(self, callback: Callback) -> None:
        event = callback.event
        assert isinstance(event, ConnectionEvent)
        if event.event_sid.endswith("2") and self.failure is not None:
            failure, self.failure = self.failure, None
            failure()
        self.done.append(event.event_sid[-1])


Send = Callable[[ReceivedRequest], int]


def raising(error: Exception) -> Callable[[], object]:
    def fail() -> None:
        raise error

    return fail


def plainly() -> tuple[Shop, Send]:
    shop = Shop(raising(LookupError("no such SIM")))

    def send(request: ReceivedRequest) -> int:
        try:
            answer = shop.callbacks.handle(request, shop.work)
        except Exception:  # noqa: BLE001 (as any server does)
            return 500
        return answer.status

    return shop, send


async def asgi_status(app: Any, given: ReceivedRequest) -> int:
    path, _, query = given.target.partition("?")
    scope = {
        "type": "http",
        "method": given.method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.headers],
    }
    statuses = list[int]()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": given.body}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    try:
        await app(scope, receive, send)
    except Exception:  # noqa: BLE001 (as any server does)
        return statuses[0] if statuses else 500
    return statuses[0]


def by_asgi() -> tuple[Shop, Send]:
    shop = Shop(raising(LookupError("no such SIM")))
    app = AsgiCallbackApp(shop.callbacks, shop.work)
    return shop, lambda given: asyncio.run(asgi_status(app, given))


def by_fastapi() -> tuple[Shop, Send]:
    shop = Shop(raising(HTTPException(404, "no such SIM")))
    app = FastAPI()

    @app.post("/events")
    async def receive(request: Request) -> PlainTextResponse:
        answer = await shop.callbacks.handle_async(
            await of_starlette.request_of(request), shop.work
        )
        return PlainTextResponse(answer.text, answer.status, answer.headers)

    return shop, lambda given: asyncio.run(asgi_status(app, given))


def wsgi_status(app: Any, given: ReceivedRequest) -> int:
    path, _, query = given.target.partition("?")
    fields = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in given.headers}
    environ = {
        "REQUEST_METHOD": given.method,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_TYPE": fields.pop("HTTP_CONTENT_TYPE"),
        "CONTENT_LENGTH": str(len(given.body)),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(given.body),
        "wsgi.errors": io.StringIO(),
        **fields,
    }
    statuses = list[int]()

    def start(status: str, *_: object) -> None:
        statuses.append(int(status[:3]))

    try:
        b"".join(app(environ, start))
    except Exception:  # noqa: BLE001 (as any server does)
        return 500
    return statuses[0]


def by_wsgi() -> tuple[Shop, Send]:
    shop = Shop(raising(LookupError("no such SIM")))
    app = WsgiCallbackApp(shop.callbacks, shop.work)
    return shop, lambda given: wsgi_status(app, given)


def by_flask() -> tuple[Shop, Send]:
    shop = Shop(lambda: abort(404))
    app = Flask(__name__)

    @app.post("/events")
    def receive() -> tuple[str, int, Any]:
        answer = shop.callbacks.handle(of_flask.request_of(request), shop.work)
        return answer.text, answer.status, answer.headers

    return shop, lambda given: wsgi_status(app, given)


def by_django() -> tuple[Shop, Send]:
    shop = Shop(raising(Http404("no such SIM")))

    def receive(request: Any) -> HttpResponse:
        answer = shop.callbacks.handle(of_django.request_of(request), shop.work)
        return HttpResponse(
            answer.text.encode(), status=answer.status, headers=dict(answer.headers)
        )

    app = application(csrf_exempt(receive), "events")
    return shop, lambda given: wsgi_status(app, given)


def by_lambda(event: Callable[[ReceivedRequest], dict[str, Any]]) -> tuple[Shop, Send]:
    shop = Shop(raising(LookupError("no such SIM")))
    handler = lambda_handler(shop.callbacks, shop.work)

    def send(given: ReceivedRequest) -> int:
        try:
            return handler(event(given), None)["statusCode"]
        except Exception:  # noqa: BLE001 (as AWS does)
            return 502

    return shop, send


def of_function_url(given: ReceivedRequest) -> dict[str, Any]:
    return {
        "requestContext": {"http": {"method": given.method}},
        "rawPath": given.path,
        "rawQueryString": given.query,
        "headers": dict(given.headers),
        "body": b64encode(given.body).decode(),
        "isBase64Encoded": True,
    }


def of_rest_api(given: ReceivedRequest) -> dict[str, Any]:
    """Return an event without the order of the query's parameters."""
    pairs = sorted(pair.split("=") for pair in given.query.split("&"))
    return {
        "httpMethod": given.method,
        "path": given.path,
        "queryStringParameters": dict(pairs),
        "headers": dict(given.headers),
        "body": given.body.decode(),
    }


@pytest.mark.parametrize("source", list(Source))
@pytest.mark.parametrize(
    "make",
    [
        plainly,
        by_asgi,
        by_fastapi,
        by_wsgi,
        by_flask,
        by_django,
        pytest.param(lambda: by_lambda(of_function_url), id="by_function_url"),
        pytest.param(lambda: by_lambda(of_rest_api), id="by_rest_api"),
    ],
)
def test_a_batch_in_a_framework(make: Callable[[], tuple[Shop, Send]], source: Source) -> None:
    shop, send = make()
    batch = streamed(source, events_of(source, 1, 2, 3), url=URL, token="batch")
    assert send(batch) in (500, 502)
    assert shop.done == ["1", "3"]
    assert [send(batch), send(batch)] == [200, 200]
    assert shop.done == ["1", "3", "2"]
    forged = ReceivedRequest(batch.method, batch.target, batch.headers, batch.body + b" []")
    assert send(forged) == 403
    assert shop.done == ["1", "3", "2"]


@pytest.mark.parametrize("source", list(Source))
def test_tenants_behind_a_rest_api_may_have_one_parameter(source: Source) -> None:
    callbacks = Receiver(
        "https://example.com/{tenant}/events?v=7",
        twilio_auth_tokens=[AUTH_TOKEN],
        kore_secrets=[KORE_SECRET],
    )
    tenants = list[str]()
    handler = lambda_handler(callbacks, lambda of: tenants.append(of.url_values["tenant"]))
    batch = streamed(source, events_of(source, 1), url="https://example.com/a/events?v=7")
    assert handler(of_rest_api(batch), None)["statusCode"] == 200
    assert tenants == ["a"]
