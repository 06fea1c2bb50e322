"""Serves the receivers of the corpus: each is a function that makes an application for a URL."""

import asyncio
import hashlib
import socket
import socketserver
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from typing import Any, Final, cast
from urllib.parse import parse_qsl
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import uvicorn
from aiohttp import web
from twilio.request_validator import RequestValidator

from ringback.core.policy.source_policy import Source
from ringback.probe.request_runner import ProbeTimeouts
from tests.fakes import AUTH_TOKEN, KORE_SECRET
from tests.unit.probe.receivers import TIMES

PATIENT: Final = replace(TIMES, quiet=0.12)
TWILIO, TWILIO_TOKEN = "X-Twilio-Signature", "I-Twilio-Idempotency-Token"
KORE, KORE_TOKEN = "Kore-Signature", "Kore-Idempotency-Token"
NO_DEDUPE: Final = (
    "not-idempotent-in-series not-idempotent-at-once not-idempotent-after-timeout"
    " not-idempotent-after-drop forgets-on-restart"
)
"""The faults of a receiver that does its work for each delivery."""


@dataclass
class Backend:
    """The surroundings of one receiver: its URL, its secrets, and what survives its restarts."""

    url: str
    """The URL as it is configured at the sender."""
    auth_token: str = AUTH_TOKEN
    kore_secret: str = KORE_SECRET
    rows: set[str] = field(default_factory=set[str])
    """A column of a table, with a unique constraint."""
    done: int = 0
    """The number of effects."""
    later: list[threading.Timer] = field(default_factory=list[threading.Timer])
    """What runs after an answer."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def work(self, *_: object) -> None:
        """Do the work of a callback."""
        with self._lock:
            self.done += 1

    async def count(self) -> int:
        return self.done

    def insert(self, key: str | None) -> bool:
        """Insert a row in one atomic step; returns False if it was there."""
        with self._lock:
            is_new = str(key) not in self.rows
            self.rows.add(str(key))
            return is_new

    def is_twilio(self, url: str, form: Any, signature: str | None) -> bool:
        """Return the verdict of Twilio's own validator."""
        return RequestValidator(self.auth_token).validate(url, form, signature or "")

    def by_kore(self, method: str, body: bytes, url: str | None = None) -> str:
        """Return the Kore-Signature of a request to the URL, without its query."""
        bare = (url or self.url).partition("?")[0]
        return hashlib.sha256(f"{self.kore_secret}{method}{bare}".encode() + body).hexdigest()

    def genuine_key(self, call: "Call") -> str | None:
        """Check a request rightly; return its source and token, or None if it is not genuine."""
        by_twilio, by_kore = call.headers.get(TWILIO), call.headers.get(KORE)
        if (by_twilio is None) == (by_kore is None):
            return None
        if by_kore is not None:
            is_genuine = by_kore == self.by_kore(call.method, call.body)
        elif call.is_json:
            signs_body = "bodySHA256=" in call.target
            is_genuine = signs_body and self.is_twilio(call.url, call.body.decode(), by_twilio)
        else:
            is_genuine = self.is_twilio(call.url, FormLists(call.form), by_twilio)
        return f"{by_kore is None} {call.token}" if is_genuine else None

    def after_the_answer(self, function: Callable[[], object], delay: float = 0.03) -> None:
        """Run a function in a thread, a little later."""
        self.later.append(threading.Timer(delay, function))
        self.later[-1].start()


@dataclass(frozen=True)
class Call:
    """A request to a plain receiver."""

    method: str
    target: str
    headers: Mapping[str, str]
    """The headers; names are found in any letter case."""
    body: bytes

    @property
    def url(self) -> str:
        """The URL made of the Host header and the target."""
        return f"http://{self.headers['Host']}{self.target}"

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters in the query."""
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)

    @property
    def is_json(self) -> bool:
        """True if the body is JSON."""
        return self.headers.get("Content-Type", "").startswith("application/json")

    @property
    def form(self) -> list[tuple[str, str]]:
        """The form in the body; empty if the body is none."""
        if not self.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
            return []
        return parse_qsl(self.body.decode(), keep_blank_values=True)

    @property
    def token(self) -> str | None:
        """The idempotency token of either source."""
        return self.headers.get(KORE_TOKEN) or self.headers.get(TWILIO_TOKEN)


class FormLists(dict[str, list[str]]):
    """A form as lists of values, which Twilio's validator reads like Flask's."""

    def __init__(self, form: list[tuple[str, str]]) -> None:
        super().__init__()
        for name, value in form:
            self.setdefault(name, []).append(value)

    def getlist(self, name: str) -> list[str]:
        return self[name]


PlainAnswer = int | tuple[int, Mapping[str, str]] | None
"""A status, or a status and headers, or None to close the connection without an answer."""
Plain = Callable[[Call], PlainAnswer]
"""A plain receiver."""
Make = Callable[[Backend], Any]


@dataclass(frozen=True)
class CorpusReceiver:
    """A receiver of the corpus, and the faults that the probe must find in it."""

    make: Make
    """Makes the application; a restart makes it again, with the same backend."""
    serve: Callable[["Running"], AbstractAsyncContextManager[int]]
    """Serves the application, and gives the port."""
    faults: frozenset[str]
    path: str = "/callbacks"
    """The path of its URL, and its query."""
    source: str | None = None
    """The source of the settings that it is for; None if it is for the built-in ones."""
    streams_of: tuple[Source, ...] = ()
    """The sources whose event streams it is for; empty if it is for callbacks."""
    times: ProbeTimeouts = PATIENT


@dataclass
class Running:
    """A receiver while it is served."""

    receiver: CorpusReceiver
    backend: Backend
    app: Any = None

    def call(self, *given: Any) -> Any:
        """Call the application, which a restart replaces."""
        return self.app(*given)

    async def restart(self, _: float = 0) -> None:
        self.app = self.receiver.make(self.backend)


Registry = dict[str, CorpusReceiver]


def _kind(
    serve: Callable[[Running], AbstractAsyncContextManager[int]],
) -> Callable[..., Callable[[Make], Make]]:
    def decorator(registry: Registry, faults: str = "", **more: Any) -> Callable[[Make], Make]:
        """Register a receiver with its faults; `more` are fields of `CorpusReceiver`."""

        def register(make: Make) -> Make:
            assert make.__name__ not in registry
            registry[make.__name__] = CorpusReceiver(make, serve, frozenset(faults.split()), **more)
            return make

        return register

    return decorator


# ---- servers -------------------------------------------------------------------------------------


@contextmanager
def _in_a_thread(server: socketserver.TCPServer) -> Generator[int]:
    thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
    thread.start()
    try:
        yield int(server.socket.getsockname()[1])
    finally:
        server.shutdown()
        server.server_close()


class _Threads(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Forget senders that have hung up."""


class _WsgiThreads(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # the others look the host name up
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        """Forget senders that have hung up."""


class _WsgiHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 (its name there)

    def get_stderr(self) -> Any:
        return StringIO()


class PlainHandler(BaseHTTPRequestHandler):
    """Passes requests to a function that returns a `PlainAnswer`."""

    app: Callable[["Call"], "PlainAnswer"]
    wbufsize = -1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        try:
            answer = type(self).app(
                Call(self.command, self.path, cast("Mapping[str, str]", self.headers), body)
            )
        except Exception:  # noqa: BLE001 (as any framework does)
            answer = 500
        if answer is None:
            return
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    do_GET = do_POST  # noqa: N815 (a name of `http.server`)

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 (its name there)


@asynccontextmanager
async def _serve_plain(running: Running) -> AsyncGenerator[int]:
    app = staticmethod(running.call)
    with _in_a_thread(
        _Threads(("127.0.0.1", 0), type("Handler", (PlainHandler,), {"app": app}))
    ) as at:
        yield at


@asynccontextmanager
async def _serve_handler(running: Running) -> AsyncGenerator[int]:
    with _in_a_thread(_Threads(("127.0.0.1", 0), running.call)) as port:
        yield port


@asynccontextmanager
async def _serve_wsgi(running: Running) -> AsyncGenerator[int]:
    server = _WsgiThreads(("127.0.0.1", 0), _WsgiHandler)
    server.set_app(running.call)
    with _in_a_thread(server) as port:
        yield port


class _Uvicorn(uvicorn.Server):
    def capture_signals(self) -> Any:
        return nullcontext()  # many servers share this process


@asynccontextmanager
async def _serve_asgi(running: Running) -> AsyncGenerator[int]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await running.call(scope, receive, send)

    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        server = _Uvicorn(uvicorn.Config(app, log_level="critical", lifespan="off"))
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = server.force_exit = True
            await serving


@asynccontextmanager
async def _serve_aiohttp(running: Running) -> AsyncGenerator[int]:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return await running.call(request)

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        await web.SockSite(runner, listener).start()
        try:
            yield listener.getsockname()[1]
        finally:
            await runner.cleanup()


plain = _kind(_serve_plain)
"""Registers a function that makes a function from `Call` to `PlainAnswer`."""
handler = _kind(_serve_handler)
"""Registers a function that makes a handler class of `http.server`."""
wsgi = _kind(_serve_wsgi)
asgi = _kind(_serve_asgi)
aiohttp_handler = _kind(_serve_aiohttp)
"""Registers a function that makes a coroutine function for a request of aiohttp."""


@asynccontextmanager
async def served(receiver: CorpusReceiver) -> AsyncGenerator[Running]:
    """Serve a receiver at a free port."""
    running = Running(receiver, Backend(""))
    async with receiver.serve(running) as port:
        running.backend.url = f"http://127.0.0.1:{port}{receiver.path}"
        await running.restart()
        yield running
        for timer in running.backend.later:
            timer.join()
