"""What the receivers in this folder have in common: a server, a memory, and a right way to check.

`Receiver` is what one writes by hand, done rightly. Each of the others overrides the one part that
it gets wrong, so that its file shows nothing else.
"""

import argparse
import base64
import hashlib
import hmac
import re
import socket
import sqlite3
import traceback
from collections.abc import Callable
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from os import environ
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl

TOKEN_FORMS = {
    "twilio": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "kore": re.compile(r"[A-Za-z0-9_-]{34,43}"),
}


@dataclass(frozen=True)
class Request:
    """A request as it came in."""

    method: str
    target: str
    """The path and the query."""
    headers: Message
    body: bytes
    connection: socket.socket

    @property
    def query(self) -> str:
        """The query with its `?`; empty where there is none."""
        _, mark, query = self.target.partition("?")
        return mark + query

    @property
    def form(self) -> list[tuple[str, str]]:
        """The form in the body; a GET has none."""
        return parse_qsl(self.body.decode(), keep_blank_values=True)

    @property
    def told(self) -> dict[str, str]:
        """What the callback tells, by POST or by GET."""
        return dict(parse_qsl(self.query[1:] + self.body.decode(), keep_blank_values=True))

    @property
    def source(self) -> Literal["twilio", "kore"]:
        """Who it is from, by the headers that only one of them sends."""
        return "kore" if "Kore-Signature" in self.headers else "twilio"

    @property
    def token(self) -> str:
        """The idempotency token; empty where there is none."""
        names = {"twilio": "I-Twilio-Idempotency-Token", "kore": "Kore-Idempotency-Token"}
        return self.headers.get(names[self.source], "")

    @property
    def key(self) -> str:
        """What stands for the callback; the two sources' tokens are kept apart."""
        return f"{self.source} {self.token}"

    def is_given_up(self) -> bool:
        """Whether the sender has hung up, and reads no answer."""
        try:
            return self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True


@dataclass(frozen=True)
class Settings:
    """What a receiver is told."""

    url: str
    """Exactly as it is configured at the sender."""
    auth_token: str
    kore_secret: str
    folder: Path
    """Where it keeps what has to outlive it."""


class Receiver:
    """Receives callbacks, as one writes it by hand, and makes no mistake."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.url = settings.url.partition("#")[0].partition("?")[0]
        self.seen = Seen(settings.folder / "seen.db")
        self.effects = Effects(settings.folder / "effects.txt")

    def answer(self, request: Request) -> int | None:
        """Return the status to answer with; None where the answer has left already."""
        return self.take(request) if self.is_genuine(request) else 403

    # ---- is it genuine? ------------------------------------------------------------------------

    def is_genuine(self, request: Request) -> bool:
        """Whether the one signature that it has is right, and its token one of that sender's."""
        match (
            request.headers.get_all("X-Twilio-Signature"),
            request.headers.get_all("Kore-Signature"),
        ):
            case [signature], None:
                signed = self.is_of_twilio(request, signature)
            case None, [signature]:
                signed = self.is_of_kore(request, signature)
            case _:
                return False
        return signed and self.has_its_own_token(request)

    def is_of_twilio(self, request: Request, signature: str) -> bool:
        """Whether this is the signature that Twilio would give it."""
        return is_same(signature, self.signature_of_twilio(request))

    def is_of_kore(self, request: Request, signature: str) -> bool:
        """Whether this is the signature that KORE would give it."""
        return is_same(signature, self.signature_of_kore(request))

    def signature_of_twilio(self, request: Request) -> str:
        """Sign the URL with its query, and each different pair of the form, sorted."""
        parts = [self.url, request.query, *(a + b for a, b in sorted(set(request.form)))]
        return in_base64(self.settings.auth_token, "".join(parts))

    def signature_of_kore(self, request: Request) -> str:
        """Hash the secret, the method, the URL without its query, and the body as it came."""
        before = f"{self.settings.kore_secret}{request.method}{self.url}"
        return hashlib.sha256(before.encode() + request.body).hexdigest()

    def has_its_own_token(self, request: Request) -> bool:
        """Whether its token is one that its sender makes."""
        return TOKEN_FORMS[request.source].fullmatch(request.token) is not None

    # ---- is it new? ----------------------------------------------------------------------------

    def take(self, request: Request) -> int | None:
        """Do the work of a genuine callback, once; return as `answer`."""
        if not request.token:
            self.work(request)  # there is nothing to know it by
            return 200
        match self.seen.claim(request.key):
            case "done":
                return 200
            case "under way":
                return 503  # a 200 would be the last that the sender hears, and the work may fail
            case "new":
                with self.seen.held(request.key):
                    self.work(request)
                return 200

    def work(self, request: Request) -> None:
        """Do what a callback is for."""
        self.effects.add(request)


def is_same(given: str, right: str) -> bool:
    """Compare in a time that tells nothing; as bytes, since a header may hold any."""
    return hmac.compare_digest(given.encode(), right.encode())


def in_base64(secret: str, text: str) -> str:
    """Return the HMAC-SHA1 of a text in Base64, as Twilio signs."""
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha1")).decode()


# ---- what is remembered --------------------------------------------------------------------------


class Seen:
    """The tokens of the callbacks whose work is done, or under way."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(self.open()) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("CREATE TABLE IF NOT EXISTS seen (key TEXT PRIMARY KEY, is_done INT)")
            # Whoever worked on these is gone; so they are to come again.
            database.execute("DELETE FROM seen WHERE NOT is_done")

    def open(self) -> sqlite3.Connection:
        """Open the file; each statement is a transaction."""
        return sqlite3.connect(self.path, isolation_level=None, timeout=10)

    def claim(self, key: str) -> Literal["new", "under way", "done"]:
        """Take the work for oneself in one step, between which and itself nobody comes."""
        with closing(self.open()) as database:
            claimed = database.execute("INSERT OR IGNORE INTO seen VALUES (?, 0)", [key])
            if claimed.rowcount:
                return "new"
            row = database.execute("SELECT is_done FROM seen WHERE key = ?", [key]).fetchone()
            return "done" if row and row[0] else "under way"

    @contextmanager
    def held(self, key: str):
        """Write down what came of the work: done, or given back where it raised."""
        statement = "DELETE FROM seen WHERE key = ?"
        try:
            yield
            statement = "UPDATE seen SET is_done = 1 WHERE key = ?"
        finally:
            with closing(self.open()) as database:
                database.execute(statement, [key])


class Effects:
    """What the callbacks have done: a line for each in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.touch()

    def add(self, request: Request) -> None:
        """Let a callback have its effect."""
        with self.path.open("ab") as file:
            file.write(b"%s %s\n" % (request.method.encode(), request.body))

    def count(self) -> int:
        """Return how many there were."""
        return self.path.read_bytes().count(b"\n")


# ---- the server ----------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    """Hands requests to a receiver, and tells how many effects they had under /effects."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    receiver: Receiver

    def do_GET(self) -> None:
        """Answer a callback, or say how many effects there were."""
        if self.path == "/effects":
            self.send(200, f"{self.receiver.effects.count()}\n")
        else:
            self.receive()

    def do_POST(self) -> None:
        """Answer a callback."""
        self.receive()

    def receive(self) -> None:
        """Answer a callback, or what claims to be one."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Request(self.command, self.path, self.headers, body, self.connection)
        try:
            status = self.receiver.answer(request)
        except Exception:  # noqa: BLE001 (as any framework does)
            traceback.print_exc()
            status = 500
        if status is not None:
            self.send(status)

    def send(self, status: int, text: str = "") -> None:
        """Send an answer."""
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing of each request."""


class Server(ThreadingHTTPServer):
    """A thread for each connection, of which many may come at once."""

    request_queue_size = 128


def main(make: Callable[[Settings], Receiver], handler: type[Handler] = Handler) -> None:
    """Serve a receiver until somebody stops it; prints the URL to configure at the sender."""
    parser = argparse.ArgumentParser(description="Receive callbacks of Twilio and KORE.")
    parser.add_argument("--port", type=int, default=9000, help="0 takes a free one")
    parser.add_argument("--data", type=Path, default=Path(), help="the folder of what it remembers")
    options = parser.parse_args()
    with Server(("127.0.0.1", options.port), handler) as server:
        url = environ.get("CALLBACK_URL") or f"http://127.0.0.1:{server.server_port}/callbacks"
        secrets = environ["TWILIO_AUTH_TOKEN"], environ["KORE_SECRET"]
        handler.receiver = make(Settings(url, *secrets, options.data))
        print(url, flush=True)
        server.serve_forever()
