"""Event streams in an application: each event is processed once, from whichever source it comes."""

import asyncio
import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from ringback.receiver import (
    Accepted,
    Callback,
    DedupeUnavailable,
    Duplicate,
    EventsNotDone,
    MemoryDedupe,
    Reason,
    ReceivedRequest,
    Receiver,
    Rejected,
    Result,
    Source,
    SqliteDedupe,
    Verified,
)
from ringback.receiver.dedupe.dedupe_store import Claimed, DedupeClaimRequest
from ringback.receiver.events import CloudEvent, CloudEvents, ConnectionEvent, SimUpdated, TestEvent
from tests.fakes import AUTH_TOKEN, KORE_SECRET
from tests.senders import received, rendered
from tests.stream_events import (
    B1,
    B2,
    B2_OF_KORE,
    KORE_TEST,
    PREFIX,
    compact,
    data_of,
    enveloped,
    events_of,
    streamed,
)

URL: Final = "https://example.com/events"
both_sources = pytest.mark.parametrize("source", list(Source))


class Application:
    """Notes the number of each event that it is given, and fails on those in `fails_on`."""

    def __init__(self) -> None:
        self.done = list[int]()
        self.callbacks = list[Callback]()
        self.fails_on = set[int]()

    def work(self, callback: Callback) -> None:
        self.callbacks.append(callback)
        event = callback.event
        if isinstance(event, ConnectionEvent):
            number = int(event.event_sid[2:])
            if number in self.fails_on:
                raise LookupError(f"no SIM for {number}")
            self.done.append(number)

    async def work_async(self, callback: Callback) -> None:
        await asyncio.sleep(0)
        self.work(callback)


def receiver(url: Any = URL, **how: Any) -> Receiver:
    how = {
        "twilio_auth_tokens": [AUTH_TOKEN],
        "kore_secrets": [KORE_SECRET],
        "seen": MemoryDedupe(),
    } | how
    return Receiver(url, **how)


def sync_handle(callbacks: Receiver, request: ReceivedRequest, app: Application) -> int:
    return callbacks.handle(request, app.work).status


def async_handle(callbacks: Receiver, request: ReceivedRequest, app: Application) -> int:
    return asyncio.run(callbacks.handle_async(request, app.work_async)).status


def async_handle_in_thread(callbacks: Receiver, request: ReceivedRequest, app: Application) -> int:
    return asyncio.run(callbacks.handle_async(request, app.work)).status


Handle = Callable[[Receiver, ReceivedRequest, Application], int]
each_way = pytest.mark.parametrize("handle", [sync_handle, async_handle, async_handle_in_thread])


# ---- the signature -------------------------------------------------------------------------------

TOKEN: Final = "12345"
_OF_B1: Final = "f4dc494f1e604a19df36cdd069f7956b1f261dc954ae1c698ed8b4939fd9ab54"
_OF_B2: Final = "530c33c888ee77cd9666370490b5c4a4172a8d2b81a929fab55ae2e3c60d8ff0"


@pytest.mark.parametrize(
    ("url", "body", "digest", "signature"),
    [
        ("https://example.com/events", B1, _OF_B1, "NbGgYQVrx1FdlqY9g9ZopFy0cVo="),
        ("https://example.com/events?foo=bar", B1, _OF_B1, "DhFHZjn1llGT3b2YFi9Jtnp4w90="),
        ("https://example.com:8443/events", B1, _OF_B1, "gUmWnT2O8mH/tcGQUQjifJDPgAM="),
        ("https://example.com:8443/events", B1, _OF_B1, "NbGgYQVrx1FdlqY9g9ZopFy0cVo="),
        ("https://testendpoint.com/events", B2, _OF_B2, "IMIIj870gu/S3o+oU1LAOB9naJ8="),
    ],
)
def test_twilios_signature_covers_the_hash_of_the_body(
    url: str, body: bytes, digest: str, signature: str
) -> None:
    callbacks = Receiver(url, twilio_auth_tokens=[TOKEN])
    mark = "&" if "?" in url else "?"
    target = f"/{url.partition('://')[2].partition('/')[2]}{mark}bodySHA256={digest}"
    headers = {"Content-Type": "application/json", "X-Twilio-Signature": signature}
    assert callbacks.check("POST", headers, body, target=target) == Verified(Source.TWILIO, None)
    changed = body.replace(b"events-schemas", b"events-schemes")
    refused = callbacks.check("POST", headers, changed, target=target)
    assert isinstance(refused, Rejected)
    assert (refused.reason, refused.explanation) == (
        Reason.BODY_CHANGED,
        "the bodySHA256 in its URL does not match its body",
    )


def test_kores_signature_covers_the_raw_body() -> None:
    callbacks = Receiver("https://testendpoint.com/events", kore_secrets=[TOKEN])
    headers = {
        "content-type": "application/json",
        "kore-signature": "9ed4ca289f9b15b0c83868577497181469c8edeb1caa876c51008a96a66cabe5",
    }
    assert callbacks.check("POST", headers, B2_OF_KORE) == Verified(Source.KORE, None)


@both_sources
def test_a_batch_signed_for_another_url_is_refused_with_the_reason(source: Source) -> None:
    request = streamed(source, events_of(source, 1), url="https://example.com/other")
    app = Application()
    assert receiver().handle(request, app.work).status == 403
    assert not app.callbacks


def test_a_batch_whose_hash_is_missing_is_refused_with_the_reason() -> None:
    request = streamed(Source.TWILIO, events_of(Source.TWILIO, 1))
    result = receiver().receive(request.method, request.headers, request.body, target="/events")
    assert isinstance(result, Rejected)
    assert result.reason is Reason.BODY_NOT_SIGNED


@both_sources
@each_way
def test_a_batch_may_come_by_get(source: Source, handle: Handle) -> None:
    app, callbacks = Application(), receiver()
    request = streamed(source, events_of(source, 1, 2), method="GET")
    assert handle(callbacks, request, app) == 200
    assert app.done == [1, 2]
    forged = ReceivedRequest("GET", request.target, request.headers, B1)
    assert handle(callbacks, forged, app) == 403


# ---- each event once -----------------------------------------------------------------------------


@both_sources
@each_way
def test_the_application_gets_each_event_of_a_batch_once(source: Source, handle: Handle) -> None:
    app, callbacks = Application(), receiver()
    batch = streamed(source, events_of(source, *range(1, 51)), token="batch")
    assert handle(callbacks, batch, app) == 200
    assert app.done == [*range(1, 51)]
    assert handle(callbacks, batch, app) == 200
    assert app.done == [*range(1, 51)]
    assert {callback.token for callback in app.callbacks} == {"batch"}
    assert {callback.source for callback in app.callbacks} == {source}
    assert callbacks.without_token == 0


@both_sources
@each_way
def test_an_overlap_of_two_batches_is_processed_once(source: Source, handle: Handle) -> None:
    app, callbacks = Application(), receiver()
    assert handle(callbacks, streamed(source, events_of(source, 1, 2, 3), token="a"), app) == 200
    assert handle(callbacks, streamed(source, events_of(source, 3, 2, 4), token="b"), app) == 200
    assert app.done == [1, 2, 3, 4]


def test_a_token_stands_for_a_batch_and_not_for_its_events() -> None:
    app, callbacks = Application(), receiver()
    for numbers in ((1, 2), (3,)):
        request = streamed(Source.KORE, events_of(Source.KORE, *numbers), token="the same")
        assert callbacks.handle(request, app.work).status == 200
    assert app.done == [1, 2, 3]


def test_an_event_that_is_twice_in_a_batch_is_processed_once() -> None:
    app = Application()
    request = streamed(Source.KORE, events_of(Source.KORE, 1, 1, 2))
    assert receiver().handle(request, app.work).status == 200
    assert app.done == [1, 2]


@each_way
@pytest.mark.parametrize("first", list(Source))
def test_the_same_event_of_both_sources_is_processed_once(first: Source, handle: Handle) -> None:
    app, callbacks = Application(), receiver()
    (second,) = {*Source} - {first}
    # KORE batches up to 50 events of one type; Twilio may send each of them alone.
    assert handle(callbacks, streamed(first, events_of(first, 1, 2)), app) == 200
    # The id of the envelope may be another one; the SID in the data is the same.
    other = enveloped(data_of(2), second, id="EZ-of-another-envelope")
    assert handle(callbacks, streamed(second, [other, *events_of(second, 3)]), app) == 200
    assert app.done == [1, 2, 3]


def test_events_of_other_products_are_recognised_by_their_id() -> None:
    got = list[object]()
    callbacks = receiver()
    event = enveloped(data_of(1), Source.TWILIO) | {
        "id": "NO1",
        "type": "com.twilio.messaging.message.delivered",
        "data": {"messageSid": "SM1"},
    }
    for document in ([event], [event, event | {"id": "NO2"}]):
        request = streamed(Source.TWILIO, document)
        assert callbacks.handle(request, lambda callback: got.append(callback.event)).status == 200
    assert [isinstance(each, CloudEvent) and each.id for each in got] == ["NO1", "NO2"]


def test_an_id_of_one_source_is_no_id_of_the_other() -> None:
    app, callbacks = Application(), receiver()
    for source in Source:
        event = enveloped(data_of(1), source) | {"id": "1", "data": {}, "type": "com.example"}
        assert callbacks.handle(streamed(source, [event]), app.work).status == 200
    assert len(app.callbacks) == 2


def test_ids_that_no_store_could_keep_are_recognised() -> None:
    app, callbacks = Application(), receiver()
    event = enveloped(data_of(1), Source.KORE) | {"data": {}, "id": "é\n" * 500}
    for _ in range(2):
        assert callbacks.handle(streamed(Source.KORE, [event]), app.work).status == 200
    assert len(app.callbacks) == 1


def test_a_single_object_in_place_of_an_array_is_a_batch_of_one() -> None:
    app, callbacks = Application(), receiver()
    (event,) = events_of(Source.TWILIO, 1)
    for document in (event, [event]):
        assert callbacks.handle(streamed(Source.TWILIO, document), app.work).status == 200
    assert app.done == [1]


def test_an_empty_batch_is_acknowledged() -> None:
    app = Application()
    assert receiver().handle(streamed(Source.KORE, []), app.work).status == 200
    assert not app.callbacks


def test_test_events_are_never_duplicates_of_each_other() -> None:
    app, callbacks = Application(), receiver()
    for source, body in ((Source.TWILIO, B1), (Source.KORE, compact([KORE_TEST]))):
        for token in ("a", "b", None, None):
            assert callbacks.handle(streamed(source, body, token=token), app.work).status == 200
    assert [type(callback.event) for callback in app.callbacks] == [TestEvent] * 8
    # Among other events of a batch, a test event is handed over each time, too.
    batch = streamed(Source.KORE, [dict(KORE_TEST), *events_of(Source.KORE, 1)])
    for _ in range(2):
        assert callbacks.handle(batch, app.work).status == 200
    assert [type(callback.event).__name__ for callback in app.callbacks[8:]] == [
        "TestEvent",
        "ConnectionEvent",
        "TestEvent",
    ]


def test_one_application_takes_callbacks_and_events() -> None:
    got = list[str]()
    callbacks = receiver(require_token=True)

    def work(callback: Callback) -> None:
        match callback.event:
            case SimUpdated(sim_sid=sid):
                got.append(sid)
            case ConnectionEvent(sim_sid=sid, type=kind):
                got.append(f"{sid} {kind}")
            case event:
                raise AssertionError(event)

    form = received(rendered(Source.KORE, url=URL))
    # Events have ids, so a stream needs no token.
    for request in (form, streamed(Source.TWILIO, events_of(Source.TWILIO, 6)), form):
        assert callbacks.handle(request, work).status == 200
    sim = "HSab3f06be8f5d32caecb91e8a306c6c08"
    assert got == [sim, f"{sim} data-session.ended"]


def test_an_event_at_two_urls_is_processed_for_each_of_them() -> None:
    store, app = MemoryDedupe(), Application()
    for url in (URL, "https://example.com/billing"):
        callbacks = receiver(url, seen=store)
        request = streamed(Source.KORE, events_of(Source.KORE, 1), url=url)
        assert callbacks.handle(request, app.work).status == 200
    assert app.done == [1, 1]


def test_receivers_with_the_same_scope_process_an_event_once() -> None:
    store, app = MemoryDedupe(), Application()
    for source, url in ((Source.KORE, URL), (Source.TWILIO, "https://example.com/twilio")):
        callbacks = receiver(url, seen=store, event_scope="billing")
        request = streamed(source, events_of(source, 1), url=url)
        assert callbacks.handle(request, app.work).status == 200
    assert app.done == [1]


def test_processed_events_are_remembered_after_a_restart(tmp_path: Path) -> None:
    app = Application()
    for _ in range(2):
        with SqliteDedupe(tmp_path / "seen.db") as store:
            request = streamed(Source.TWILIO, events_of(Source.TWILIO, 1, 2))
            assert receiver(seen=store).handle(request, app.work).status == 200
    assert app.done == [1, 2]


# ---- a batch that is not done --------------------------------------------------------------------


@both_sources
@each_way
def test_a_batch_is_acknowledged_only_when_all_its_events_are_done(
    source: Source, handle: Handle, caplog: pytest.LogCaptureFixture
) -> None:
    app, callbacks = Application(), receiver()
    batch = streamed(source, events_of(source, 1, 2, 3, 4), token="batch")
    app.fails_on = {2, 3}
    with caplog.at_level(logging.ERROR), pytest.raises(EventsNotDone, match="2 of 4") as failed:
        handle(callbacks, batch, app)
    assert isinstance(failed.value.__cause__, LookupError)
    assert len(caplog.records) == 2
    assert app.done == [1, 4]
    app.fails_on = set()
    app.callbacks.clear()
    assert handle(callbacks, batch, app) == 200
    assert app.done == [1, 4, 2, 3]
    assert [callback.is_retry for callback in app.callbacks] == [True, True]


def test_a_batch_waits_for_an_event_that_another_delivery_works_on() -> None:
    app, callbacks = Application(), receiver(lease=timedelta(seconds=30))
    begun, goes_on = threading.Event(), threading.Event()

    def slow(callback: Callback) -> None:
        begun.set()
        assert goes_on.wait(10)
        app.work(callback)

    one = streamed(Source.KORE, events_of(Source.KORE, 1))
    both = streamed(Source.TWILIO, events_of(Source.TWILIO, 1, 2))
    thread = threading.Thread(target=callbacks.handle, args=(one, slow))
    thread.start()
    assert begun.wait(10)
    answer = callbacks.handle(both, app.work)
    assert (answer.status, app.done) == (503, [2])
    assert 1 <= int(answer.headers["Retry-After"]) <= 30
    goes_on.set()
    thread.join()
    assert callbacks.handle(both, app.work).status == 200
    assert app.done == [2, 1]


class Awaited:
    """A store whose methods must be awaited."""

    def __init__(self) -> None:
        self._store = MemoryDedupe()

    async def claim(self, visit: DedupeClaimRequest) -> Claimed:
        return self._store.claim(visit)

    async def renew(self, visit: DedupeClaimRequest) -> bool:
        return self._store.renew(visit)

    async def done(self, visit: DedupeClaimRequest) -> bool:
        return self._store.done(visit)

    async def release(self, visit: DedupeClaimRequest) -> None:
        self._store.release(visit)


class BrokenAfter(MemoryDedupe):
    """A store that can't be reached after some claims."""

    def __init__(self, claims: int) -> None:
        super().__init__()
        self._claims = claims

    def claim(self, visit: DedupeClaimRequest) -> Claimed:
        if not self._claims:
            raise DedupeUnavailable("the database is down")
        self._claims -= 1
        return super().claim(visit)


@each_way
def test_a_store_that_fails_makes_the_sender_try_again(handle: Handle) -> None:
    app = Application()
    callbacks = receiver(seen=BrokenAfter(2))
    assert handle(callbacks, streamed(Source.TWILIO, events_of(Source.TWILIO, 1, 2, 3)), app) == 503
    assert app.done == [1, 2]


def test_work_that_cannot_be_awaited_is_an_error_of_the_program() -> None:
    app = Application()
    with pytest.raises(TypeError, match="use `handle_async`"):
        receiver().handle(streamed(Source.KORE, events_of(Source.KORE, 1)), app.work_async)
    assert not app.callbacks


def test_a_store_that_must_be_awaited_is_an_error_of_the_program() -> None:
    app = Application()
    callbacks = receiver(seen=Awaited())
    request = streamed(Source.KORE, events_of(Source.KORE, 1, 2))
    with pytest.raises(TypeError, match="needs an event loop"):
        callbacks.handle(request, app.work)
    assert [async_handle(callbacks, request, app) for _ in range(2)] == [200, 200]
    assert app.done == [1, 2]


# ---- other uses ----------------------------------------------------------------------------------


def test_the_hook_gets_the_result_of_each_event() -> None:
    results = list[Result]()
    callbacks = receiver(on_result=results.append)
    for numbers in ((1,), (1, 2)):
        request = streamed(Source.KORE, events_of(Source.KORE, *numbers))
        callbacks.handle(request, Application().work)
    assert [type(result) for result in results] == [Accepted, Duplicate, Accepted]


def test_an_application_that_matches_on_results_gets_the_batch_as_a_whole() -> None:
    callbacks = receiver()
    request = streamed(Source.KORE, events_of(Source.KORE, 1, 2), token="batch")
    match callbacks.receive_request(request):
        case Accepted(callback) as accepted:
            with accepted:
                assert isinstance(callback.event, CloudEvents)
                assert [event.id[-1] for event in callback.event.events] == ["1", "2"]
        case other:
            raise AssertionError(other)
    assert isinstance(callbacks.receive_request(request), Duplicate)


def test_types_that_are_not_known_stay_generic_events() -> None:
    app, callbacks = Application(), receiver()
    event = enveloped(data_of(1), Source.KORE) | {"type": f"{PREFIX}attachment.renewed"}
    assert callbacks.handle(streamed(Source.KORE, [event]), app.work).status == 200
    assert isinstance(app.callbacks[0].event, CloudEvent)
