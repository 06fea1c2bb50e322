"""Receivers that check rightly, and recognise repeats in different ways."""

import threading
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from tests.corpus.receivers.serving import (
    PATIENT,
    Backend,
    Call,
    Plain,
    PlainAnswer,
    PlainHandler,
    Registry,
    handler,
    plain,
)

DEDUPLICATION: Final[Registry] = {}


def checked(backend: Backend, work: Callable[[Call, str], PlainAnswer]) -> Plain:
    """Return a receiver that calls `work` with each genuine request and its key."""

    def receive(call: Call) -> PlainAnswer:
        key = backend.genuine_key(call)
        return 403 if key is None else work(call, key)

    return receive


def post_only(receive: Plain) -> Plain:
    """Return a receiver that answers 405 to a GET."""
    return lambda call: receive(call) if call.method == "POST" else 405


@plain(DEDUPLICATION, "forgets-on-restart")
def set_of_tokens(backend: Backend) -> Plain:
    """Keep tokens in a set in memory."""
    seen, lock = set[str](), threading.Lock()

    def work(_: Call, key: str) -> PlainAnswer:
        with lock:
            if key not in seen:
                seen.add(key)
                backend.work()
        return 200

    return checked(backend, work)


@plain(DEDUPLICATION, "drops-equal-events")
def hash_of_the_payload(backend: Backend) -> Plain:
    """Store a hash of the payload instead of the token."""

    def work(call: Call, _: str) -> PlainAnswer:
        if backend.insert(f"{call.target} {call.body!r}"):
            backend.work()
        return 200

    return checked(backend, work)


@plain(DEDUPLICATION, "mixes-tokens")
def one_column_for_both_sources(backend: Backend) -> Plain:
    """Store the tokens of both sources in one unique column."""

    def work(call: Call, _: str) -> PlainAnswer:
        if backend.insert(call.token):
            backend.work()
        return 200

    return checked(backend, work)


@plain(DEDUPLICATION, "refuses-repeat")
def conflict_for_repeats(backend: Backend) -> Plain:
    """Answer a violation of the unique constraint with a 409."""

    def work(_: Call, key: str) -> PlainAnswer:
        if not backend.insert(key):
            return 409
        backend.work()
        return 201

    return checked(backend, work)


@plain(DEDUPLICATION, "loses-callback refuses-get", times=replace(PATIENT, quiet=0.05))
def identifier_of_messages_only(backend: Backend) -> Plain:
    """Compare a parameter that these callbacks don't have, so that all but the first look equal."""
    seen, lock = set[str | None](), threading.Lock()

    def work(call: Call, _: str) -> PlainAnswer:
        message = dict(call.form).get("MessageSid")
        with lock:
            if message not in seen:
                seen.add(message)
                backend.work()
        return 200

    return post_only(checked(backend, work))


@plain(DEDUPLICATION, "refuses-swapped-order")
def refuses_older_states(backend: Backend) -> Plain:
    """Refuse a state of a Command that is older than the stored one."""

    def work(call: Call, key: str) -> PlainAnswer:
        told = dict(call.query) | dict(call.form)
        if told.get("Status") == "sent" and f"done {told['CommandSid']}" in backend.rows:
            return 422
        if told.get("Status") == "delivered":
            backend.insert(f"done {told['CommandSid']}")
        if backend.insert(key):
            backend.work()
        return 200

    return checked(backend, work)


@plain(DEDUPLICATION)
def skips_older_states(backend: Backend) -> Plain:
    """Accept a state of a Command that is older than the stored one, and change nothing."""

    def work(_: Call, key: str) -> PlainAnswer:
        if backend.insert(key):
            backend.work()
        return 200

    return checked(backend, work)


@plain(DEDUPLICATION, "remembers-forged-tokens")
def middleware_claims_the_token(backend: Backend) -> Plain:
    """Claim the token in a middleware that runs before the check, as SET NX in Redis."""

    def receive(call: Call) -> PlainAnswer:
        if call.token and not backend.insert(f"{'kore' in str(call.headers).lower()} {call.token}"):
            return 200
        if backend.genuine_key(call) is None:
            return 401
        backend.work()
        return 200

    return receive


@plain(DEDUPLICATION, "remembers-forged-tokens refuses-repeat")
def middleware_refuses_known_tokens(backend: Backend) -> Plain:
    """Claim the token before the check, and answer 409 to a known one, as against replays."""

    def receive(call: Call) -> PlainAnswer:
        if call.token and not backend.insert(f"{'kore' in str(call.headers).lower()} {call.token}"):
            return 409
        if backend.genuine_key(call) is None:
            return 401
        backend.work()
        return 200

    return receive


@plain(DEDUPLICATION, "acts-on-forgeries")
def writes_a_log_of_events_first(backend: Backend) -> Plain:
    """Do the work for every request with a new token, and check the signature for the answer."""

    def receive(call: Call) -> PlainAnswer:
        key = backend.genuine_key(call)
        if key is None:
            backend.work()
            return 403
        if backend.insert(key):
            backend.work()
        return 200

    return receive


@plain(
    DEDUPLICATION,
    "not-idempotent-in-series not-idempotent-at-once not-idempotent-after-drop"
    " not-idempotent-after-timeout",
    times=replace(PATIENT, quiet=0.35),
)
def stores_the_token_at_the_end(backend: Backend) -> Plain:
    """Store the token in a job that runs after the answer."""

    def work(_: Call, key: str) -> PlainAnswer:
        if key not in backend.rows:
            backend.work()
            backend.after_the_answer(lambda: backend.insert(key), delay=0.25)
        return 200

    return checked(backend, work)


@handler(DEDUPLICATION, "refuses-get")
def http_server_without_get(backend: Backend) -> Any:
    """Have no `do_GET`, so that `http.server` answers each GET with a 501."""

    def work(_: Call, key: str) -> PlainAnswer:
        if backend.insert(key):
            backend.work()
        return 200

    class OnlyPost(PlainHandler):
        """Takes POST."""

        app = staticmethod(checked(backend, work))
        do_GET = property()  # noqa: N815 (a name of `http.server`; it has none)

    return OnlyPost


@handler(DEDUPLICATION, "breaks-off")
def closes_the_connection(_: Backend) -> Any:
    """Close the connection without an answer, as a proxy does whose application is down."""

    class Closing(BaseHTTPRequestHandler):
        """Answers nothing."""

        def handle(self) -> None:
            self.rfile.readline()

    return Closing
