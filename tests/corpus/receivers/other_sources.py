"""Receivers for sources that settings define, by Standard Webhooks and by a plain HMAC."""

import hmac
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from standardwebhooks import Webhook, WebhookVerificationError

from ringback.core.sources.body_encoding import BodyEncoding
from ringback.core.sources.idempotency_tokens import IdempotencyTokenFormat
from ringback.core.sources.source_definition import (
    BUILT_IN,
    FIRST,
    LAST,
    SIGNATURE_SCHEMES,
    CallbackSourceDefinition,
    HeaderTemplate,
    Sources,
)
from tests.corpus.receivers.serving import (
    NO_DEDUPE,
    Backend,
    Call,
    Plain,
    PlainAnswer,
    Registry,
    plain,
)
from tests.fakes import KORE_SECRET

OF_SETTINGS: Final[Registry] = {}
STANDARD, ACME, JSON = "standard-webhooks", "acme", "standard-json"


def _source(scheme: str, token: str, *headers: str) -> CallbackSourceDefinition:
    own = tuple(map(HeaderTemplate.parse, headers))
    return CallbackSourceDefinition(
        (*FIRST, *own, *LAST), SIGNATURE_SCHEMES[scheme], IdempotencyTokenFormat.parse(token)
    )


SOURCES: Final[Sources] = {
    **BUILT_IN,
    STANDARD: _source(
        "standard-webhooks",
        "msg_{hex}",
        "webhook-id: {token}",
        "webhook-timestamp: {timestamp}",
        "webhook-signature: {signature}",
    ),
    JSON: replace(
        _source(
            "standard-webhooks",
            "msg_{hex}",
            "webhook-id: {token}",
            "webhook-timestamp: {timestamp}",
            "webhook-signature: {signature}",
        ),
        content_type="application/json",
        body_encoding=BodyEncoding.JSON,
    ),
    ACME: _source("hmac-sha256", "{uuid}", "Acme-Hook: id={token},sha256={signature}"),
}


_PARTS: Final = ("id", "timestamp", "signature")


def is_standard(call: Call, *, tolerance: float = 300) -> bool:
    """Check a request with the package of Standard Webhooks."""
    told, at, given = (call.headers.get(f"webhook-{each}") for each in _PARTS)
    if not (told and at and given):
        return False
    at = int(at)
    right = Webhook(KORE_SECRET.encode()).sign(
        told, datetime.fromtimestamp(at, UTC), call.body.decode()
    )
    return hmac.compare_digest(given, right) and abs(time.time() - at) < tolerance


def stored(backend: Backend, token: str | None) -> PlainAnswer:
    """Do the work of a callback unless its token is stored."""
    if backend.insert(token):
        backend.work()
    return 204


@plain(OF_SETTINGS, source=STANDARD)
def standard_rightly(backend: Backend) -> Plain:
    """Check id, time and body, and store the id."""

    def receive(call: Call) -> PlainAnswer:
        return stored(backend, call.headers["webhook-id"]) if is_standard(call) else 401

    return receive


@plain(OF_SETTINGS, "accepts-old-timestamp", source=STANDARD)
def standard_without_time(backend: Backend) -> Plain:
    """Ignore the age of a request."""

    def receive(call: Call) -> PlainAnswer:
        if not is_standard(call, tolerance=1e9):
            return 401
        return stored(backend, call.headers["webhook-id"])

    return receive


@plain(OF_SETTINGS, f"ignores-signature refuses-get acts-on-forgeries {NO_DEDUPE}", source=STANDARD)
def standard_by_header_only(backend: Backend) -> Plain:
    """Take every POST with an id for genuine."""

    def receive(call: Call) -> PlainAnswer:
        if call.method != "POST" or not call.headers.get("webhook-id"):
            return 404
        backend.work()
        return 204

    return receive


@plain(OF_SETTINGS, "refuses-source", source=STANDARD)
def standard_is_not_known(backend: Backend) -> Plain:
    """Know only the source before the move, KORE."""

    def receive(call: Call) -> PlainAnswer:
        key = backend.genuine_key(call)
        return 401 if key is None else stored(backend, key)

    return receive


@plain(OF_SETTINGS, "refuses-get", source=JSON)
def standard_package(backend: Backend) -> Plain:
    """Verify JSON with the package of Standard Webhooks, which refuses everything else."""

    def receive(call: Call) -> PlainAnswer:
        headers = {f"webhook-{part}": call.headers.get(f"webhook-{part}") or "" for part in _PARTS}
        try:
            Webhook(KORE_SECRET.encode()).verify(call.body, headers)
        except (WebhookVerificationError, ValueError):
            return 401
        return stored(backend, headers["webhook-id"])

    return receive


@plain(OF_SETTINGS, source=ACME)
def acme_rightly(backend: Backend) -> Plain:
    """Check the HMAC of the body, and store the id, both of which are in one header."""

    def receive(call: Call) -> PlainAnswer:
        told, _, given = (call.headers.get("Acme-Hook") or "").partition(",sha256=")
        right = hmac.new(KORE_SECRET.encode(), call.body, "sha256").hexdigest()
        return stored(backend, told) if hmac.compare_digest(given, right) else 401

    return receive


@plain(
    OF_SETTINGS,
    "accepts-missing-signature accepts-unsigned acts-on-forgeries forgets-on-restart",
    source=ACME,
)
def acme_if_there_is_a_signature(backend: Backend) -> Plain:
    """Check the HMAC only if there is one, and keep tokens in memory."""
    seen = set[str]()

    def receive(call: Call) -> PlainAnswer:
        told, _, given = (call.headers.get("Acme-Hook") or "").partition(",sha256=")
        right = hmac.new(KORE_SECRET.encode(), call.body, "sha256").hexdigest()
        if given and not hmac.compare_digest(given, right):
            return 401
        if told not in seen:
            seen.add(told)
            backend.work()
        return 200

    return receive
