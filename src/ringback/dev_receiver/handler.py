"""Handle the listener's requests: verify, count, forward, show and answer each of them."""

from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass
from datetime import datetime, timedelta

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.dev_receiver.forwarder import ForwardingResult, pass_on
from ringback.dev_receiver.received_callback import CheckedRequest, CountedEvent
from ringback.dev_receiver.responses import FailureMode, ListenerResponse
from ringback.dev_receiver.seen_tokens import SeenTokenCount, SeenTokens
from ringback.dev_receiver.sender_lookup import ListenAccount, look_up, secrets_of
from ringback.ports import Clock, Transport
from ringback.receiver.event_batches import event_name
from ringback.receiver.events import CloudEvents, TestEvent, read_event, typed_event
from ringback.receiver.verification import (
    Reason,
    ReceivedRequest,
    ReceiverSecrets,
    Rejected,
    SenderCallbackRecord,
    Verdict,
    check,
    url_as_configured,
    url_by_host,
)


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """The options of `ringback listen`."""

    secrets: ReceiverSecrets = ReceiverSecrets()
    """Secrets given as options; each replaces the account's secret of the same kind."""
    configured: CallbackUrl | None = None
    """The callback URL configured at the sender; None to use each request's Host."""
    forward_to: CallbackUrl | None = None
    failure_mode: FailureMode | None = None
    """Which requests are answered with a failure on purpose, and which status; None for none."""
    delay: timedelta = timedelta(0)
    """How long each answer is delayed."""


@dataclass(slots=True)
class ListenRequestHandler:
    """Handles the requests that the listener's server receives."""

    options: ListenOptions
    _: KW_ONLY
    find_account: Callable[[], ListenAccount | None]
    """Finds the account for each request, since `ringback dev` may start after the listener."""
    seen: SeenTokens
    clock: Clock
    transport: Transport
    show: Callable[[CheckedRequest], None]
    _count: int = 0

    async def handle(self, request: ReceivedRequest) -> ListenerResponse:
        """Show a request, wait for the configured delay, and return the answer."""
        self._count += 1
        mode = self.options.failure_mode
        failure = mode if mode is not None and mode.fails(self._count) else None
        at = self.clock.now()
        verdict, seen, events = await self._recognise(request, at)
        forwarded = await self._forward(request)
        answer = _answer(failure, forwarded)
        self.show(
            CheckedRequest(
                at=at,
                request=request,
                verdict=verdict,
                seen=seen,
                answered=answer.status,
                after=self.options.delay,
                on_purpose=failure,
                forwarded=forwarded,
                events=events,
            )
        )
        await self.clock.sleep_until(at + self.options.delay)
        return answer

    async def _recognise(
        self, request: ReceivedRequest, at: datetime
    ) -> tuple[Verdict, SeenTokenCount | None, tuple[CountedEvent, ...]]:
        account = self.find_account()
        verdict = self._check(request, account)
        # Count before the first `await`: a retry may come during the look-up.
        seen = self._note(verdict, at)
        events = tuple(self._note_events(request, verdict, at))
        sent = await self._look_up(verdict, account)
        verdict = verdict if sent is None else self._check(request, account, sent)
        return verdict, seen, events

    def _check(
        self,
        request: ReceivedRequest,
        account: ListenAccount | None,
        sent: SenderCallbackRecord | None = None,
    ) -> Verdict:
        configured = self.options.configured
        url = url_by_host(request) if configured is None else url_as_configured(configured, request)
        secrets = secrets_of(account, given=self.options.secrets)
        return check(request, urls=[url], secrets=secrets, sent=sent)

    def _note(self, verdict: Verdict, at: datetime) -> SeenTokenCount | None:
        if verdict.source is None or verdict.token is None:
            return None
        return self.seen.note(verdict.source, verdict.token, at=at)

    def _note_events(
        self, request: ReceivedRequest, verdict: Verdict, at: datetime
    ) -> Iterator[CountedEvent]:
        """Yield the events of a stream, each counted; nothing for another request."""
        match read_event(request) if request.is_json else None:
            case TestEvent() as test:
                yield CountedEvent(test, None)
            case CloudEvents(events):
                for event in events:
                    name = event_name(verdict.source or "", event)
                    seen = None if name is None else self.seen.note(*name, at=at)
                    yield CountedEvent(typed_event(event), seen)
            case _:
                pass

    async def _forward(self, request: ReceivedRequest) -> ForwardingResult | None:
        to = self.options.forward_to
        return None if to is None else await pass_on(request, to=to, transport=self.transport)

    async def _look_up(
        self, verdict: Verdict, account: ListenAccount | None
    ) -> SenderCallbackRecord | None:
        """Return the sender's record of a callback whose signature is wrong for an unknown reason.

        None if the reason is known, or the record can't be found.
        """
        match verdict:
            case Rejected(Reason.NOT_EXPLAINED, token=str(token)) if account is not None:
                return await look_up(token, of=account, transport=self.transport)
            case _:
                return None


def _answer(failure: FailureMode | None, forwarded: ForwardingResult | None) -> ListenerResponse:
    """Return the deliberate failure if there is one, else the application's answer, else a 200."""
    if failure is not None:
        return ListenerResponse(failure.status)
    return ListenerResponse(200) if forwarded is None else forwarded.answer
