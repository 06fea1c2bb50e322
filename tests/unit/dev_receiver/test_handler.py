import asyncio
from dataclasses import replace
from datetime import timedelta

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.policy.source_policy import Source
from ringback.dev_receiver.handler import ListenOptions, ListenRequestHandler
from ringback.dev_receiver.received_callback import CheckedRequest
from ringback.dev_receiver.responses import FailureMode
from ringback.dev_receiver.seen_tokens import SeenTokens
from ringback.dev_receiver.sender_lookup import ListenAccount
from ringback.receiver.verification import (
    Reason,
    ReceivedRequest,
    ReceiverSecrets,
    Rejected,
    Verified,
)
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, KORE_SECRET, FakeClock, RecordingTransport
from tests.senders import received, rendered
from tests.stream_events import B1, events_of, streamed

SECRETS = ReceiverSecrets((AUTH_TOKEN,), (KORE_SECRET,))


class Listener:
    """A handler, with the requests that it shows."""

    def __init__(self, options: ListenOptions) -> None:
        self.account: ListenAccount | None = None
        self.clock = FakeClock()
        self.shown = asyncio.Queue[CheckedRequest]()
        self._handler = ListenRequestHandler(
            options,
            find_account=lambda: self.account,
            seen=SeenTokens(),
            clock=self.clock,
            transport=RecordingTransport(),
            show=self.shown.put_nowait,
        )

    async def answer(self, request: ReceivedRequest) -> int:
        return (await self._handler.handle(request)).status

    async def hear(self, request: ReceivedRequest) -> CheckedRequest:
        await self.answer(request)
        return self.shown.get_nowait()


async def test_a_retry_is_recognised_by_its_token() -> None:
    listener = Listener(ListenOptions(SECRETS))
    request = received(rendered(Source.KORE))
    checked = [await listener.hear(request), await listener.hear(request)]
    assert [each.seen and each.seen.times for each in checked] == [1, 2]


async def test_the_first_requests_fail_as_configured_and_the_later_ones_do_not() -> None:
    listener = Listener(ListenOptions(SECRETS, failure_mode=FailureMode(500, 1)))
    request = received(rendered(Source.KORE))
    checked = [await listener.hear(request), await listener.hear(request)]
    assert [each.answered for each in checked] == [500, 200]
    assert [each.on_purpose for each in checked] == [FailureMode(500, 1), None]


async def test_a_request_is_shown_at_once_and_answered_after_the_delay() -> None:
    listener = Listener(ListenOptions(SECRETS, delay=timedelta(seconds=3)))
    answering = asyncio.create_task(listener.answer(received(rendered(Source.KORE))))
    await listener.shown.get()
    assert not answering.done()
    listener.clock.advance(timedelta(seconds=3))
    assert await answering == 200


async def test_an_account_that_appears_later_is_used_from_then_on() -> None:
    listener = Listener(ListenOptions())
    request = received(rendered(Source.KORE))
    before = await listener.hear(request)
    listener.account = ListenAccount(
        CallbackUrl.parse("http://127.0.0.1:8080"),
        ACCOUNT_SID,
        auth_token=AUTH_TOKEN,
        kore_secret=KORE_SECRET,
        api_key_secret="",
    )
    after = await listener.hear(request)
    assert isinstance(before.verdict, Rejected)
    assert before.verdict.reason is Reason.NO_SECRET
    assert isinstance(after.verdict, Verified)


async def test_the_url_behind_a_proxy_is_the_configured_one() -> None:
    listener = Listener(
        ListenOptions(SECRETS, configured=CallbackUrl.parse("https://public.example"))
    )
    request = received(rendered(Source.TWILIO, url="https://public.example/path?foo=bar"))
    inside = tuple(pair for pair in request.headers if pair[0] != "Host")
    checked = await listener.hear(replace(request, headers=(("Host", "127.0.0.1:9000"), *inside)))
    assert isinstance(checked.verdict, Verified)


# ---- event streams -------------------------------------------------------------------------------

EVENTS_URL = "https://public.example/events"


def times(checked: CheckedRequest) -> list[int | None]:
    return [each.seen and each.seen.times for each in checked.events]


async def test_each_event_of_a_batch_is_counted_across_batches_and_sources() -> None:
    listener = Listener(ListenOptions(SECRETS, configured=CallbackUrl.parse(EVENTS_URL)))
    batches = [(Source.KORE, (1, 2)), (Source.KORE, (2, 3)), (Source.TWILIO, (3, 4))]
    checked = [
        await listener.hear(streamed(source, events_of(source, *numbers), url=EVENTS_URL))
        for source, numbers in batches
    ]
    assert [type(each.verdict) for each in checked] == [Verified] * 3
    assert [times(each) for each in checked] == [[1, 1], [2, 1], [2, 1]]


async def test_test_events_are_never_repeats() -> None:
    listener = Listener(ListenOptions(SECRETS, configured=CallbackUrl.parse(EVENTS_URL)))
    for _ in range(2):
        checked = await listener.hear(streamed(Source.TWILIO, B1, url=EVENTS_URL))
        assert isinstance(checked.verdict, Verified)
        assert times(checked) == [None]
