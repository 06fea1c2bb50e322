"""The common parts of the receivers in this folder: a server, a token store, and correct checks.

`Receiver` is a correct receiver, written by hand. Each receiver with a fault overrides only the
part that it gets wrong, so that its file shows nothing else.
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
    """A request exactly as it was received."""

    method: str
    target: str
    """The path and the query."""
    headers: Message
    body: bytes
    connection: socket.socket

    @property
    def query(self) -> str:
        """The query with its `?`; empty if there is none."""
        _, mark, query = self.target.partition("?")
        return mark + query

    @property
    def form(self) -> list[tuple[str, str]]:
        """The names and values of the form in the body; empty for a GET."""
        return parse_qsl(self.body.decode(), keep_blank_values=True)

    @property
    def told(self) -> dict[str, str]:
        """The callback's parameters, from the body of a POST or the query of a GET."""
        return dict(parse_qsl(self.query[1:] + self.body.decode(), keep_blank_values=True))

    @property
    def source(self) -> Literal["twilio", "kore"]:
        """The source: `kore` if there is a Kore-Signature header, else `twilio`."""
        return "kore" if "Kore-Signature" in self.headers else "twilio"

    @property
    def token(self) -> str:
        """The idempotency token; empty if there is none."""
        names = {"twilio": "I-Twilio-Idempotency-Token", "kore": "Kore-Idempotency-Token"}
        return self.headers.get(names[self.source], "")

    @property
    def key(self) -> str:
        """The key that identifies the callback: its source and its token."""
        return f"{self.source} {self.token}"

    def is_given_up(self) -> bool:
        """Return True if the sender has hung up, so that nobody reads the answer."""
        try:
            return self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True


@dataclass(frozen=True)
class Settings:
    """The settings of a receiver."""

    url: str
    """The callback URL, exactly as it is configured at the sender."""
    auth_token: str
    kore_secret: str
    folder: Path
    """The folder for data that must survive a restart."""


class Receiver:
    """A correct receiver of callbacks, written by hand."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.url = settings.url.partition("#")[0].partition("?")[0]
        self.seen = Seen(settings.folder / "seen.db")
        self.effects = Effects(settings.folder / "effects.txt")

    def answer(self, request: Request) -> int | None:
        """Handle a request and return the status to answer; None if the answer is sent already."""
        return self.take(request) if self.is_genuine(request) else 403

    # ---- is it genuine? ------------------------------------------------------------------------

    def is_genuine(self, request: Request) -> bool:
        """Return True if there is exactly one signature, it is right, and the token is valid."""
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
        """Return True if this is the right signature by Twilio's scheme for forms and for GET."""
        if request.headers.get_content_type() == "application/json":
            return False  # Twilio signs JSON in another way, which these callbacks don't need
        return is_same(signature, self.signature_of_twilio(request))

    def is_of_kore(self, request: Request, signature: str) -> bool:
        """Return True if this is the right signature by KORE's scheme."""
        return is_same(signature, self.signature_of_kore(request))

    def signature_of_twilio(self, request: Request) -> str:
        """Sign the URL with its query, and all distinct pairs of the form, sorted."""
        parts = [self.url, request.query, *(a + b for a, b in sorted(set(request.form)))]
        return in_base64(self.settings.auth_token, "".join(parts))

    def signature_of_kore(self, request: Request) -> str:
        """Hash the secret, the method, the URL without its query, and the raw body."""
        before = f"{self.settings.kore_secret}{request.method}{self.url}"
        return hashlib.sha256(before.encode() + request.body).hexdigest()

    def has_its_own_token(self, request: Request) -> bool:
        """Return True if the token has the format of its source."""
        return TOKEN_FORMS[request.source].fullmatch(request.token) is not None

    # ---- is it new? ----------------------------------------------------------------------------

    def take(self, request: Request) -> int | None:
        """Do the work of a genuine callback, only once; returns the same as `answer`."""
        if not request.token:
            self.work(request)  # without a token, a repeat can't be recognised
            return 200
        match self.seen.claim(request.key):
            case "done":
                return 200
            case "under way":
                return 503  # the work may still fail; after a 200, the sender wouldn't retry
            case "new":
                with self.seen.held(request.key):
                    self.work(request)
                return 200

    def work(self, request: Request) -> None:
        """Do the work that a callback causes."""
        self.effects.add(request)


def is_same(given: str, right: str) -> bool:
    """Compare two signatures in constant time, as bytes, because a header may hold any bytes."""
    return hmac.compare_digest(given.encode(), right.encode())


def in_base64(secret: str, text: str) -> str:
    """Return the HMAC-SHA1 of a text in Base64: Twilio's signature."""
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha1")).decode()


# ---- stored data ---------------------------------------------------------------------------------


class Seen:
    """The stored keys of the callbacks whose work is done, or under way."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(self.open()) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("CREATE TABLE IF NOT EXISTS seen (key TEXT PRIMARY KEY, is_done INT)")
            # The process that worked on these has ended, so accept their repeats.
            database.execute("DELETE FROM seen WHERE NOT is_done")

    def open(self) -> sqlite3.Connection:
        """Open the database; each statement is its own transaction."""
        return sqlite3.connect(self.path, isolation_level=None, timeout=10)

    def claim(self, key: str) -> Literal["new", "under way", "done"]:
        """Claim a callback's work in one atomic step, and return its state before that."""
        with closing(self.open()) as database:
            claimed = database.execute("INSERT OR IGNORE INTO seen VALUES (?, 0)", [key])
            if claimed.rowcount:
                return "new"
            row = database.execute("SELECT is_done FROM seen WHERE key = ?", [key]).fetchone()
            return "done" if row and row[0] else "under way"

    @contextmanager
    def held(self, key: str):
        """Store the key as done after the `with` block, or release it if the block raises."""
        statement = "DELETE FROM seen WHERE key = ?"
        try:
            yield
            statement = "UPDATE seen SET is_done = 1 WHERE key = ?"
        finally:
            with closing(self.open()) as database:
                database.execute(statement, [key])


class Effects:
    """The effects of callbacks: a file with a line for each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.touch()

    def add(self, request: Request) -> None:
        """Add the effect of a callback."""
        with self.path.open("ab") as file:
            file.write(b"%s %s\n" % (request.method.encode(), request.body))

    def count(self) -> int:
        """Return the number of effects."""
        return self.path.read_bytes().count(b"\n")


# ---- the server ----------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    """Passes requests to a receiver, and shows the number of effects at /effects."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    receiver: Receiver

    def do_GET(self) -> None:
        """Answer a callback by GET, or a request for the number of effects."""
        if self.path == "/effects":
            self.send(200, f"{self.receiver.effects.count()}\n")
        else:
            self.receive()

    def do_POST(self) -> None:
        """Answer a callback by POST."""
        self.receive()

    def receive(self) -> None:
        """Let the receiver handle the request, and send its answer; a 500 if it raises."""
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
        """Send an answer with this status and text."""
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Log nothing."""


class Server(ThreadingHTTPServer):
    """A server with a thread for each connection; up to 128 connections may wait."""

    request_queue_size = 128


def main(make: Callable[[Settings], Receiver], handler: type[Handler] = Handler) -> None:
    """Print the URL to configure at the sender, and serve a receiver until it is stopped."""
    parser = argparse.ArgumentParser(description="Receive callbacks from Twilio and KORE.")
    parser.add_argument("--port", type=int, default=9000, help="port to listen on; 0: any free one")
    parser.add_argument("--data", type=Path, default=Path(), help="folder for the receiver's data")
    options = parser.parse_args()
    with Server(("127.0.0.1", options.port), handler) as server:
        url = environ.get("CALLBACK_URL") or f"http://127.0.0.1:{server.server_port}/callbacks"
        secrets = environ["TWILIO_AUTH_TOKEN"], environ["KORE_SECRET"]
        handler.receiver = make(Settings(url, *secrets, options.data))
        print(url, flush=True)
        server.serve_forever()
