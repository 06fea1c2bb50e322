"""Make genuine callback requests, exactly as each source sends them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ringback.core.accounts.account import Account
from ringback.core.accounts.webhook_secret import AccountWebhookSecrets, WebhookSecret
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import CallbackRecord, DeliveryProgress, StreamBatch
from ringback.core.callbacks.rendering import render
from ringback.core.events.kore_test_event import TEST_EVENT_BYTES, write_test_event
from ringback.core.form_encoding import encode
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.sources.idempotency_tokens import TOKEN_BYTES
from ringback.core.sources.source_definition import BUILT_IN, Sources
from ringback.core.streams.stream_event import write_twilio_test_event
from ringback.ports import RandomSource
from ringback.probe.case_kinds import GenuineCase
from ringback.probe.payloads import (
    JSON_KINDS,
    MOST_EVENTS,
    CallbackSubject,
    ProbeCallbackKind,
    parameters_for,
    write_events,
)

_SID: Final = "CB" + "0" * 32
_MARK_BYTES: Final = 6
MORE: Final = "ringback=probe"
"""The parameter that cases about queries add to the URL's query."""


def account_of(
    sid: str, *, auth_token: str | None, kore_secret: str | None, at: datetime
) -> Account:
    """Return an account that signs callbacks with these secrets; None means no secret."""
    active = WebhookSecret("whs_probe", "probe", kore_secret, at) if kore_secret else None
    return Account(
        sid=sid,
        name="probe",
        auth_token=auth_token or "",
        uses_static_proxy=False,
        date_created=at,
        webhook_secrets=AccountWebhookSecrets(active=active),
    )


@dataclass(frozen=True, slots=True)
class ProbeRequestFactory:
    """Makes callbacks and requests to one receiver, from any source."""

    url: CallbackUrl
    account: Account
    sim_sid: str
    random_source: RandomSource
    now: Callable[[], datetime]
    sources: Sources = field(default_factory=lambda: BUILT_IN)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets that no report may show."""
        password = (self.url.credentials or "").partition(":")[2]
        return (self.account.auth_token, self.account.kore_secret, password)

    def genuine(self, plan: GenuineCase) -> OutgoingRequest:
        """Return the request that this case with a genuine callback sends."""
        url = self.url.with_parameters(MORE) if self.is_other_url(plan) else self.url
        return self.rendered(self.callback(plan.source, plan.method, plan.payload, url=url))

    def is_other_url(self, plan: GenuineCase) -> bool:
        """Return True if this case adds a query to the URL, which a receiver may refuse."""
        return plan.adds_query and not self.url.query

    def request(self, source: SourceName, method: HttpMethod = HttpMethod.POST) -> OutgoingRequest:
        """Return the request of a new plain callback (a SIM update) from this source."""
        return self.rendered(self.callback(source, method))

    def callback(
        self,
        source: SourceName,
        method: HttpMethod = HttpMethod.POST,
        payload: ProbeCallbackKind = ProbeCallbackKind.SIM_UPDATE,
        *,
        url: CallbackUrl | None = None,
        token: str | None = None,
        mark: str | None = None,
    ) -> CallbackRecord:
        """Return a new callback; by default, its token and its payload are unique.

        Callbacks with the same `mark` have the same payload.
        """
        at, url = self.now(), url or self.url
        body = self._body(payload, source, method, at, mark or self.mark())
        is_kores_test = payload is ProbeCallbackKind.TEST_EVENT and source != Source.TWILIO
        is_of_stream = payload in JSON_KINDS and not is_kores_test
        made = self._callback(source, method, body, url, at, token=token, is_of_stream=is_of_stream)
        return made._replace(is_test=is_kores_test)

    def batch(self, source: SourceName, marks: Sequence[str], *, at: datetime) -> CallbackRecord:
        """Return a request of an event stream, with an event for each of the marks.

        An event with the same mark and time is the same event, in any batch and from both sources.
        """
        subjects = [self._subject(mark) for mark in marks]
        body = write_events(subjects, source, ProbeCallbackKind.BATCH, at=at)
        return self._callback(source, HttpMethod.POST, body, self.url, at, is_of_stream=True)

    def _callback(
        self,
        source: SourceName,
        method: HttpMethod,
        body: str,
        url: CallbackUrl,
        at: datetime,
        *,
        is_of_stream: bool,
        token: str | None = None,
    ) -> CallbackRecord:
        return CallbackRecord(
            sid=_SID,
            account_sid=self.account.sid,
            url=url,
            method=method,
            body=body,
            source=source,
            source_asked=None,
            source_reason="the probe sends as this source",
            idempotency_token=token or self.token(source),
            date_created=at,
            progress=DeliveryProgress(at),
            stream=StreamBatch(_SID) if is_of_stream else None,
        )

    def rendered(
        self,
        callback: CallbackRecord,
        account: Account | None = None,
        *,
        at: datetime | None = None,
    ) -> OutgoingRequest:
        """Return a callback's request, signed for `account`, or for `self.account` by default.

        `at` is the time of sending; by default now.
        """
        return render(
            callback, account=account or self.account, at=at or self.now(), sources=self.sources
        )

    def signature_headers(self, source: SourceName) -> frozenset[str]:
        """Return the names of the headers in which this source sends its signature."""
        headers = self.sources[source].headers
        return frozenset(header.name for header in headers if "signature" in header.placeholders)

    def token(self, source: SourceName) -> str:
        """Return a new idempotency token in this source's format."""
        return self.sources[source].token.make(self.random_source.bytes(TOKEN_BYTES))

    def stranger(self) -> Account:
        """Return an account with the real account's SID, but with random, wrong secrets."""
        secret = self.random_source.bytes(TOKEN_BYTES).hex()
        return account_of(
            self.account.sid, auth_token=secret, kore_secret=secret, at=self.account.date_created
        )

    def mark(self) -> str:
        """Return a random text that makes the payload of a callback unique."""
        return self.random_source.bytes(_MARK_BYTES).hex()

    def _body(
        self,
        payload: ProbeCallbackKind,
        source: SourceName,
        method: HttpMethod,
        at: datetime,
        mark: str,
    ) -> str:
        about = self._subject(mark)
        if payload is ProbeCallbackKind.TEST_EVENT and source == Source.TWILIO:
            test_id = self.random_source.bytes(TOKEN_BYTES)
            return write_twilio_test_event(test_id, account_sid=about.account_sid, at=at)
        if payload is ProbeCallbackKind.TEST_EVENT:
            return write_test_event(self.random_source.bytes(TEST_EVENT_BYTES), at=at)
        if payload in JSON_KINDS:
            more = MOST_EVENTS - 1 if payload is ProbeCallbackKind.BATCH else 0
            subjects = [about, *(self._subject(self.mark()) for _ in range(more))]
            return write_events(subjects, source, payload, at=at)
        form = encode(parameters_for(payload, about, method))
        return self.sources[source].body_of(form, method)

    def _subject(self, mark: str) -> CallbackSubject:
        return CallbackSubject(self.account.sid, self.sim_sid, mark)
