"""Applications in FastAPI, Starlette, plain ASGI and aiohttp."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

from aiohttp import web
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.corpus.receivers.serving import (
    KORE,
    NO_DEDUPE,
    PATIENT,
    Backend,
    Call,
    Registry,
    aiohttp_handler,
    asgi,
)

ASYNC: Final[Registry] = {}
BOTH: Final = ("GET", "POST")


async def read(request: Request) -> Call:
    """Return a request of Starlette as a `Call`."""
    query = f"?{request.url.query}" if request.url.query else ""
    return Call(request.method, request.url.path + query, request.headers, await request.body())


def starlette(**handlers: Callable[[Request], Awaitable[Response]]) -> Starlette:
    """Return an application with a handler for each method."""
    return Starlette(
        routes=[Route("/callbacks", handler, methods=[verb]) for verb, handler in handlers.items()]
    )


class Event(BaseModel):
    """An event of Event Streams, as a public receiver declares it."""

    class Data(BaseModel):
        """The fields that the receiver uses."""

        event_sid: str
        sim_iccid: str
        timestamp: str

    id: str
    time: str
    type: str
    data: Data


@asgi(ASYNC, "refuses-twilio refuses-kore accepts-forged-events")
def fastapi_event_streams(backend: Backend) -> FastAPI:
    """Take only Event Streams, by a model of Pydantic, and check no signature."""
    app = FastAPI()

    @app.post("/callbacks")
    async def receive(events: list[Event]) -> dict[str, int]:
        backend.work()
        return {"stored": len(events)}

    return app


@asgi(ASYNC)
def background_task_after_claim(backend: Backend) -> Starlette:
    """Check both sources, store the token with the job, and do the work after the answer."""

    async def receive(request: Request) -> Response:
        key = backend.genuine_key(await read(request))
        if key is None:
            return Response(status_code=403)
        task = BackgroundTask(backend.work) if backend.insert(key) else None
        return Response(status_code=202, background=task)

    return starlette(GET=receive, POST=receive)


@asgi(ASYNC, "refuses-get not-idempotent-at-once not-idempotent-after-timeout forgets-on-restart")
def set_is_read_before_a_wait(backend: Backend) -> Starlette:
    """Look the token up in a set, wait for a database, and add the token at the end."""
    seen = set[str]()

    async def receive(request: Request) -> Response:
        key = backend.genuine_key(await read(request))
        if key is None:
            return Response(status_code=403)
        if key not in seen:
            await asyncio.sleep(0.4)
            backend.work()
            seen.add(key)
        return Response(status_code=200)

    return starlette(POST=receive)


@asgi(ASYNC, "answers-200-to-everything")
def get_is_a_health_check(backend: Backend) -> Starlette:
    """Answer each GET with a 200, and take callbacks by POST, rightly."""

    async def health(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def receive(request: Request) -> Response:
        key = backend.genuine_key(await read(request))
        if key is None:
            return Response(status_code=403)
        if backend.insert(key):
            backend.work()
        return Response(status_code=204)

    return starlette(GET=health, POST=receive)


@asgi(ASYNC, f"answers-200-to-everything refuses-kore accepts-both-families {NO_DEDUPE}")
def health_check_of_a_twilio_receiver(backend: Backend) -> Starlette:
    """Answer each GET with a 200; by POST, know only Twilio."""

    async def health(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def receive(request: Request) -> Response:
        call = await read(request)
        headers = {name: value for name, value in call.headers.items() if name != KORE.lower()}
        if backend.genuine_key(replace(call, headers=LowerCase(headers))) is None:
            return Response(status_code=403)
        backend.work()
        return Response(status_code=204)

    return starlette(GET=health, POST=receive)


class LowerCase(dict[str, str]):
    """Headers whose names are in lower case, found in any case."""

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key.lower(), default)

    def __getitem__(self, key: str) -> str:
        return super().__getitem__(key.lower())


@asgi(ASYNC, "too-slow", times=replace(PATIENT, answer=0.2))
def works_before_it_answers(backend: Backend) -> Starlette:
    """Do slow work before the answer."""

    async def receive(request: Request) -> Response:
        key = backend.genuine_key(await read(request))
        if key is None:
            return Response(status_code=403)
        if backend.insert(key):
            await asyncio.sleep(0.3)
            backend.work()
        return Response(status_code=200)

    return starlette(GET=receive, POST=receive)


@asgi(ASYNC, "refuses-kore", times=replace(PATIENT, request=1.5))
def hangs_for_kore(backend: Backend) -> Starlette:
    """Wait for another service that knows no KORE, and never answers."""

    async def receive(request: Request) -> Response:
        call = await read(request)
        if KORE in call.headers:
            await asyncio.sleep(5)
        key = backend.genuine_key(call)
        if key is None:
            return Response(status_code=403)
        if backend.insert(key):
            backend.work()
        return Response(status_code=200)

    return starlette(GET=receive, POST=receive)


@asgi(ASYNC, "refuses-kore", times=replace(PATIENT, request=1.5))
def fails_for_kore_in_many_ways(backend: Backend) -> Starlette:
    """Refuse, crash or hang for KORE's callbacks, by what they are about; accept none."""

    async def receive(request: Request) -> Response:
        call = await read(request)
        if KORE in call.headers:
            told = dict(call.form) | dict(call.query)
            if "ActivationCode" in str(told):
                await asyncio.sleep(4)
            return Response(status_code=500 if "CommandSid" in told else 403)
        key = backend.genuine_key(call)
        if key is None:
            return Response(status_code=403)
        if backend.insert(key):
            backend.work()
        return Response(status_code=200)

    return starlette(GET=receive, POST=receive)


@asgi(ASYNC, "loses-callback")
def cancelled_with_the_connection(backend: Backend) -> Any:
    """Claim the token, and stop the work when the sender hangs up, as some servers do."""

    async def work() -> None:
        await asyncio.sleep(0.2)
        backend.work()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        key = backend.genuine_key(await read(request))
        status = 403 if key is None else 200
        if key is not None and backend.insert(key):
            working, gone = asyncio.ensure_future(work()), asyncio.ensure_future(receive())
            await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                working.cancel()
                return
            gone.cancel()
        await Response(status_code=status)(scope, receive, send)

    return app


@aiohttp_handler(
    ASYNC,
    "answers-200-to-everything refuses-get acts-on-forgeries drops-equal-events forgets-on-restart",
)
def dedupe_by_content_without_check(backend: Backend) -> Any:
    """Check nothing, and remember the content of callbacks in memory, for a while."""
    seen = set[bytes]()

    async def receive(request: web.BaseRequest) -> web.StreamResponse:
        if request.method != "POST":
            return web.Response(status=405)
        body = await request.read()
        if body not in seen:
            seen.add(body)
            backend.work()
        return web.Response()

    return receive


@aiohttp_handler(ASYNC)
def aiohttp_rightly(backend: Backend) -> Any:
    """Check both sources by the raw request, and store tokens."""

    async def receive(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        call = Call(request.method, request.raw_path, request.headers, body)
        key = backend.genuine_key(call)
        if key is None:
            return web.Response(status=403)
        if backend.insert(key):
            backend.work()
        return web.Response()

    return receive
