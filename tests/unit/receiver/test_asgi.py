"""The ASGI application, with messages as servers send them."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.policy.source_policy import Source
from ringback.receiver import Callback, MemoryDedupe, Receiver
from ringback.receiver.asgi import AsgiCallbackApp, request_of
from tests.fakes import AUTH_TOKEN, KORE_SECRET
from tests.senders import URL, rendered

Message = MutableMapping[str, Any]
DISCONNECT: Message = {"type": "http.disconnect"}


def never(_: Callback) -> None:
    raise AssertionError("there is nothing to work on")


def an_app(
    work: Callable[[Callback], object] | Callable[[Callback], Awaitable[object]] = id,
    *,
    max_body: int = 1000,
) -> AsgiCallbackApp:
    receiver = Receiver(
        URL, twilio_auth_tokens=[AUTH_TOKEN], kore_secrets=[KORE_SECRET], seen=MemoryDedupe()
    )
    return AsgiCallbackApp(receiver, work, max_body=max_body)


def scope_of(request: OutgoingRequest, **more: Any) -> dict[str, Any]:
    path, _, query = request.url.target.partition("?")
    return {
        "type": "http",
        "method": request.method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in request.headers],
        **more,
    }


async def ask(app: AsgiCallbackApp, scope: dict[str, Any], *messages: Message) -> list[Message]:
    """Return the messages that an application sends after receiving just these messages."""
    coming, sent = iter(messages), list[Message]()

    async def receive() -> Message:
        return next(coming)

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


async def answer_to(
    app: AsgiCallbackApp, request: OutgoingRequest, **more: Any
) -> tuple[int, bytes]:
    message = {"type": "http.request", "body": request.body, "more_body": False}
    start, body = await ask(app, scope_of(request, **more), message)
    return start["status"], body["body"]


@pytest.mark.parametrize("method", HttpMethod)
@pytest.mark.parametrize("source", Source)
async def test_a_callback_is_processed_once(source: Source, method: HttpMethod) -> None:
    work = list[Callback]()
    app = an_app(work.append)
    for _ in range(2):
        assert await answer_to(app, rendered(source, method)) == (200, b"ok")
    assert [callback.source for callback in work] == [source]


async def test_work_may_be_a_coroutine() -> None:
    work = list[Callback]()

    async def do(callback: Callback) -> None:
        await asyncio.sleep(0)
        work.append(callback)

    assert await answer_to(an_app(do), rendered(Source.KORE)) == (200, b"ok")
    assert len(work) == 1


async def fail(_: Callback) -> None:
    raise OSError("the database is gone")


def fail_at_once(_: Callback) -> None:
    raise OSError("the database is gone")


@pytest.mark.parametrize("work", [fail, fail_at_once])
async def test_an_error_in_the_work_is_raised_to_the_server(
    work: Callable[[Callback], object],
) -> None:
    with pytest.raises(OSError, match="the database is gone"):
        await answer_to(an_app(work), rendered(Source.KORE))


async def test_a_rejection_is_answered_according_to_its_reason() -> None:
    forged = rendered(Source.KORE, kore_secret="another")
    assert await answer_to(an_app(never), forged) == (403, b"not_explained")


async def test_an_answer_has_its_headers() -> None:
    request = rendered(Source.KORE)
    start, _ = await ask(an_app(), scope_of(request) | {"method": "PUT"})
    assert start["status"] == 405
    assert start["headers"] == [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"allow", b"GET, POST"),
        (b"content-length", b"0"),
    ]


async def test_a_body_may_arrive_in_parts() -> None:
    request = rendered(Source.KORE)
    parts: list[Message] = [
        {"type": "http.request", "body": request.body[:10], "more_body": True},
        {"type": "http.request", "more_body": True},
        {"type": "http.request", "body": request.body[10:]},
    ]
    start, _ = await ask(an_app(), scope_of(request), *parts)
    assert start["status"] == 200


async def test_a_body_that_is_too_long_is_not_read_to_its_end() -> None:
    part = {"type": "http.request", "body": b"." * 600, "more_body": True}
    start, _ = await ask(an_app(never), scope_of(rendered(Source.KORE)), part, part)
    assert start["status"] == 413


async def test_a_disconnected_client_gets_no_answer() -> None:
    part = {"type": "http.request", "body": b"ApiVersion", "more_body": True}
    app = an_app(never)
    assert await ask(app, scope_of(rendered(Source.KORE)), part, DISCONNECT) == []


async def test_the_server_starts_and_stops() -> None:
    messages: list[Message] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = await ask(an_app(), {"type": "lifespan"}, *messages)
    assert sent == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]


async def test_callbacks_are_accepted_only_over_http() -> None:
    with pytest.raises(
        ValueError, match="got an ASGI connection of type 'websocket'; only http is supported"
    ):
        await ask(an_app(), {"type": "websocket"})


@pytest.mark.parametrize(
    ("scope", "target"),
    [
        ({"path": "/a/b", "raw_path": b"/a%2fb", "query_string": b"x=%7e"}, "/a%2fb?x=%7e"),
        ({"path": "/münchen 100%"}, "/m%C3%BCnchen%20100%25"),
        ({"path": "/a", "raw_path": None, "query_string": b""}, "/a"),
        ({"path": "/outer/a", "root_path": "/outer"}, "/outer/a"),
        ({"path": "/a", "root_path": "/outer"}, "/outer/a"),
        ({"path": "/outers", "root_path": "/outer/"}, "/outer/outers"),
        ({"path": "/outer", "root_path": "/outer"}, "/outer"),
    ],
)
def test_the_target_is_as_close_as_possible_to_the_received_one(
    scope: dict[str, Any], target: str
) -> None:
    assert request_of({"method": "GET", "headers": [], **scope}, b"").target == target


def test_headers_keep_their_repetitions() -> None:
    headers = [(b"kore-signature", b"a"), (b"kore-signature", b"\xe9")]
    request = request_of({"method": "GET", "path": "/", "headers": headers}, b"")
    assert request.values("Kore-Signature") == ["a", "é"]
