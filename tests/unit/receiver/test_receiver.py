"""A receiver as its application uses it: request in, Accepted, Duplicate or Rejected out."""

import asyncio
import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.receiver import (
    Accepted,
    Answer,
    Callback,
    ConfigurationError,
    DedupeUnavailable,
    Duplicate,
    InvalidCallbackUrl,
    MemoryDedupe,
    Reason,
    ReceivedRequest,
    Receiver,
    Rejected,
    Result,
    Source,
    Verified,
    read_request,
)
from ringback.receiver.dedupe.dedupe_store import Claimed, ClaimWon, DedupeClaimRequest
from ringback.receiver.events import SimStatus, SimUpdated
from tests.fakes import AUTH_TOKEN, KORE_SECRET, NOW, TOKENS
from tests.senders import BODY, received, rendered

URL: Final = "https://example.com/callbacks?tenant=7#cbs=kore"
SECOND: Final = timedelta(seconds=1)
both_sources = pytest.mark.parametrize("source", list(Source))
both_methods = pytest.mark.parametrize("method", list(HttpMethod))


class Hands:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        return self.time


def receiver(url: Any = URL, **how: Any) -> Receiver:
    how = {"twilio_auth_tokens": [AUTH_TOKEN], "kore_secrets": [KORE_SECRET]} | how
    return Receiver(url, **how)


def remembering(clock: Hands | None = None, **how: Any) -> Receiver:
    clock = clock or Hands()
    return receiver(seen=MemoryDedupe(clock=clock), clock=clock, **how)


def sent(
    source: Source = Source.KORE,
    method: HttpMethod = HttpMethod.POST,
    *,
    url: str = URL,
    **how: Any,
) -> ReceivedRequest:
    return received(rendered(source, method, url=url, **how))


def accepted(callbacks: Receiver, request: ReceivedRequest) -> Accepted:
    result = callbacks.receive_request(request)
    assert isinstance(result, Accepted), result
    return result


def rejected(callbacks: Receiver, request: ReceivedRequest) -> Rejected:
    result = callbacks.receive_request(request)
    assert isinstance(result, Rejected), result
    return result


# ---- use by an application -----------------------------------------------------------------------


@both_sources
def test_an_application_matches_on_the_result(source: Source) -> None:
    callbacks = remembering()
    request = sent(source)
    told = list[object]()
    for body in (request.body, request.body, b"forged=1"):
        match callbacks.receive("POST", dict(request.headers), body):
            case Accepted(callback) as work:
                with work:
                    told.append(callback.parameters["SimStatus"])
            case Duplicate(callback):
                told.append(callback.token)
            case Rejected(reason):
                told.append(reason)
    assert told == ["inactive", TOKENS[source], Reason.NOT_EXPLAINED]


@both_sources
@both_methods
def test_a_callback_has_all_parts_of_the_request(source: Source, method: HttpMethod) -> None:
    callback = accepted(receiver(), sent(source, method)).callback
    assert callback.source is source
    assert callback.token == TOKENS[source]
    assert callback.url == "https://example.com/callbacks?tenant=7"
    assert callback.parameters["SimUniqueName"] == "my super sim"
    assert callback.is_signed
    assert not callback.is_retry
    assert isinstance(callback.event, SimUpdated)
    assert callback.event.sim_status is SimStatus.INACTIVE


def test_the_query_of_kores_get_is_not_signed() -> None:
    for source, method in ((s, m) for s in Source for m in HttpMethod):
        callback = accepted(receiver(), sent(source, method)).callback
        is_signed = (source, method) != (Source.KORE, HttpMethod.GET)
        assert callback.parameters_are_signed is is_signed


@pytest.mark.parametrize(
    "spell",
    [dict, list, lambda pairs: {n.upper(): v for n, v in pairs}, iter],
    ids=["dict", "list", "upper", "iter"],
)
def test_headers_may_come_in_any_form(spell: Any) -> None:
    request = sent()
    assert isinstance(receiver().check("POST", spell(request.headers), request.body), Verified)


def test_headers_may_be_bytes() -> None:
    request = sent()
    pairs = [(name.lower().encode(), value.encode()) for name, value in request.headers]
    assert isinstance(receiver().check("POST", pairs, request.body), Verified)
    assert isinstance(receiver().check("POST", dict(pairs), request.body), Verified)


@both_sources
def test_a_header_that_repeats_in_another_letter_case_is_read_as_both(source: Source) -> None:
    request = sent(source)
    for name, value in request.headers:
        headers = {**dict(request.headers), name.swapcase(): value}
        verdict = receiver().check("POST", headers, request.body)
        if name.endswith("Signature"):
            assert isinstance(verdict, Rejected)
            assert verdict.reason is Reason.MALFORMED_SIGNATURE
            assert verdict.token == TOKENS[source]
        else:
            token = TOKENS[source]
            is_token = name.endswith("Token")
            assert verdict == Verified(source, f"{token}, {token}" if is_token else token)


@both_sources
@pytest.mark.parametrize("signature", ["é" * 64, "\ud800", "0" * 63, " "])
def test_a_malformed_signature_is_the_first_reason_in_any_form_of_headers(
    source: Source, signature: str
) -> None:
    request = sent(source)
    name = next(name for name, _ in request.headers if name.endswith("Signature"))
    headers = dict(request.headers) | {name: signature}
    for given, target in product((headers, [*headers.items()]), ("", "/another?query")):
        verdict = receiver(kore_secrets=["other"]).check("POST", given, target=target)
        assert isinstance(verdict, Rejected)
        assert verdict.reason is Reason.MALFORMED_SIGNATURE


def test_a_get_is_not_verified_without_its_target() -> None:
    request = replace(sent(method=HttpMethod.GET), target="")
    refusal = rejected(receiver(), request)
    assert (refusal.reason, refusal.status) == (Reason.NO_TARGET, 400)


def test_every_reason_has_a_status_that_is_not_a_success() -> None:
    assert {reason.status for reason in Reason} == {400, 403, 404, 503}


# ---- secrets ------------------------------------------------------------------------------------


@both_sources
def test_old_and_new_secrets_are_valid_side_by_side(source: Source) -> None:
    callbacks = receiver(
        twilio_auth_tokens=["old", AUTH_TOKEN], kore_secrets=[KORE_SECRET, "new one"]
    )
    accepted(callbacks, sent(source))
    accepted(callbacks, sent(source, auth_token="old", kore_secret="new one"))
    forged = sent(source, auth_token="other", kore_secret="other")
    assert rejected(callbacks, forged).reason is Reason.NOT_EXPLAINED


def test_a_family_without_a_secret_is_rejected_so_that_the_sender_retries() -> None:
    refusal = rejected(receiver(kore_secrets=[]), sent(Source.KORE))
    assert (refusal.reason, refusal.status) == (Reason.NO_SECRET, 503)


def test_a_pending_secret_is_named_and_not_accepted() -> None:
    callbacks = receiver(pending_kore_secrets=["pending one"])
    refusal = rejected(callbacks, sent(kore_secret="pending one"))
    assert (refusal.reason, refusal.status) == (Reason.PENDING_SECRET, 503)
    assert "pending one" not in refusal.explanation


def test_an_unsigned_callback_of_kores_is_accepted_only_if_allowed() -> None:
    unsigned = sent(kore_secret="")
    assert rejected(receiver(), unsigned).reason is Reason.EMPTY_SIGNATURE
    callback = accepted(receiver(accept_unsigned_kore=True), unsigned).callback
    assert not callback.is_signed
    assert not callback.parameters_are_signed


def test_an_empty_signature_of_twilios_is_never_accepted() -> None:
    headers = [("X-Twilio-Signature", "")]
    verdict = receiver(accept_unsigned_kore=True).check("POST", headers, b"a=1")
    assert isinstance(verdict, Rejected)
    assert verdict.reason is Reason.MALFORMED_SIGNATURE


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"kore_secrets": "text"}, "kore_secrets is a single string; give a list"),
        ({"kore_secrets": ["a", ""]}, "kore_secrets: secret number 2 is empty"),
        (
            {"twilio_auth_tokens": ["\ud800"]},
            "twilio_auth_tokens: secret number 1 must be a string",
        ),
        (
            {"twilio_shared_keys": [b"bytes"]},
            "twilio_shared_keys: secret number 1 must be a string",
        ),
        ({"twilio_auth_tokens": [], "kore_secrets": []}, "without a secret"),
        ({"lease": timedelta(0)}, "lease is 0:00:00"),
        ({"max_age": -SECOND}, "max_age is"),
        ({"keep": timedelta(0)}, "keep of twilio is 0:00:00"),
        ({"keep": {Source.KORE: SECOND}}, "keep: no duration for twilio; give one for each source"),
        ({"seen": object()}, "seen: object has no claim and no renew and no done and no release"),
        ({"same_event_within": SECOND}, "same_event_within needs a dedupe store"),
        ({"same_event_within": timedelta(0), "seen": MemoryDedupe()}, "same_event_within is 0"),
    ],
)
def test_impossible_settings_are_refused_at_once(how: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        receiver(**how)


# ---- URLs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["", "example.com/callbacks", "ftp://a.example", "https://a b/"])
def test_an_invalid_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(InvalidCallbackUrl):
        receiver(url)


@both_sources
@both_methods
def test_another_query_than_the_configured_one_is_rejected(
    source: Source, method: HttpMethod
) -> None:
    request = sent(source, method)
    moved = replace(request, target=request.target.replace("tenant=7", "tenant=8"))
    refusal = rejected(receiver(), moved)
    assert refusal.reason is Reason.URL_DIFFERS
    assert "tenant=8" in refusal.explanation


@both_sources
@both_methods
def test_a_template_distinguishes_the_tenants(source: Source, method: HttpMethod) -> None:
    callbacks = receiver("https://example.com/t/{tenant}/callbacks?x=1#cbs=kore")
    request = sent(source, method, url="https://example.com/t/acme/callbacks?x=1")
    callback = accepted(callbacks, request).callback
    assert callback.url_values == {"tenant": "acme"}
    assert callback.url == "https://example.com/t/acme/callbacks?x=1"
    moved = replace(request, target=request.target.replace("acme", "other"))
    assert rejected(callbacks, moved).reason is Reason.NOT_EXPLAINED
    refusal = rejected(callbacks, replace(request, target="/elsewhere"))
    assert (refusal.reason, refusal.status) == (Reason.UNKNOWN_URL, 404)
    refusal = rejected(callbacks, replace(request, target=""))
    assert (refusal.reason, refusal.status) == (Reason.NO_TARGET, 400)


@both_sources
def test_a_function_may_return_the_url(source: Source) -> None:
    tenants = {"/hooks/1": "https://one.example/in?a=1#cbs=kore", "/hooks/2": None}
    callbacks = receiver(lambda request: tenants[request.path])
    request = replace(sent(source, url="https://one.example/in?a=1"), target="/hooks/1?a=1")
    assert accepted(callbacks, request).callback.url == "https://one.example/in?a=1"
    assert rejected(callbacks, replace(request, target="/hooks/2")).reason is Reason.UNKNOWN_URL


def test_a_function_is_not_asked_for_the_url_of_a_malformed_signature() -> None:
    callbacks = receiver(lambda _: pytest.fail("it was asked"))
    for signature in ("0" * 63, "é" * 64):
        verdict = callbacks.check("POST", {"Kore-Signature": signature}, target="/")
        assert isinstance(verdict, Rejected)
        assert verdict.reason is Reason.MALFORMED_SIGNATURE


# ---- once, and once only ------------------------------------------------------------------------


@both_sources
def test_a_delivery_during_the_work_is_postponed(source: Source) -> None:
    callbacks = remembering()
    first = accepted(callbacks, sent(source))
    second = callbacks.receive_request(sent(source))
    assert isinstance(second, Duplicate)
    assert second.answer() == Answer(503, "under way", {"Retry-After": "60"})
    assert first.done()
    third = callbacks.receive_request(sent(source))
    assert isinstance(third, Duplicate)
    assert third.answer().status == 200


def test_failed_work_is_released() -> None:
    callbacks = remembering()
    with pytest.raises(ZeroDivisionError), accepted(callbacks, sent()):
        raise ZeroDivisionError
    assert accepted(callbacks, sent()).callback.is_retry


def test_work_whose_lease_has_ended_may_be_done_by_another() -> None:
    clock = Hands()
    callbacks = remembering(clock, lease=10 * SECOND)
    slow = accepted(callbacks, sent())
    clock.time += 11 * SECOND
    again = accepted(callbacks, sent())
    assert again.callback.is_retry
    assert not slow.done()
    assert again.done()


def test_a_token_is_stored_for_the_retention_of_its_source() -> None:
    clock = Hands()
    callbacks = remembering(clock, keep={Source.TWILIO: 60 * SECOND, Source.KORE: 600 * SECOND})
    for source in Source:
        accepted(callbacks, sent(source)).done()
    clock.time += 61 * SECOND
    assert isinstance(callbacks.receive_request(sent(Source.TWILIO)), Accepted)
    assert isinstance(callbacks.receive_request(sent(Source.KORE)), Duplicate)


@both_methods
def test_the_same_event_of_both_sources_is_two_unless_events_are_compared(
    method: HttpMethod,
) -> None:
    for within, kind in ((None, Accepted), (60 * SECOND, Duplicate)):
        callbacks = remembering(same_event_within=within)
        accepted(callbacks, sent(Source.TWILIO, method)).done()
        assert isinstance(callbacks.receive_request(sent(Source.KORE, method)), kind)


def test_another_event_is_different_whoever_sends_it() -> None:
    callbacks = remembering(same_event_within=60 * SECOND)
    accepted(callbacks, sent(Source.TWILIO)).done()
    accepted(callbacks, sent(Source.KORE, body=BODY.replace("inactive", "active")))


@both_sources
@pytest.mark.parametrize(
    "token", ["x", "x" * 33, "x" * 44, "x" * 256, f"{'x' * 33}.", f"{'x' * 33}:", "msg 1", "é" * 40]
)
def test_any_printable_token_is_recognised_again(source: Source, token: str) -> None:
    callbacks = remembering()
    request = sent(source)
    headers = ((name, token if "Idempotency" in name else v) for name, v in request.headers)
    request = replace(request, headers=tuple(headers))
    assert accepted(callbacks, request).done()
    assert isinstance(callbacks.receive_request(request), Duplicate)


def without_token(request: ReceivedRequest, value: str | None = None) -> ReceivedRequest:
    headers = ((n, value if "Idempotency" in n else v) for n, v in request.headers)
    return replace(request, headers=tuple((n, v) for n, v in headers if v is not None))


@both_sources
@pytest.mark.parametrize("value", [None, ""], ids=["missing", "empty"])
def test_a_callback_without_a_token_is_new_each_time_and_counted(
    source: Source, value: str | None
) -> None:
    told = list[Result]()
    callbacks = remembering(on_result=told.append)
    assert accepted(callbacks, sent(source)).done()
    assert callbacks.without_token == 0
    for count in (1, 2):
        result = accepted(callbacks, without_token(sent(source), value))
        assert result.callback.token is None
        assert result.done()
        assert callbacks.without_token == count
    tokens = [result.callback.token for result in told if isinstance(result, Accepted)]
    assert tokens == [TOKENS[source], None, None]


@both_sources
def test_a_callback_without_a_token_is_rejected_if_one_is_required(source: Source) -> None:
    callbacks = remembering(require_token=True)
    accepted(callbacks, sent(source))
    refusal = rejected(callbacks, without_token(sent(source)))
    assert (refusal.reason, refusal.status, refusal.source) == (Reason.NO_TOKEN, 400, source)
    headers = dict(without_token(sent(source)).headers)
    verdict = callbacks.check("POST", headers, sent(source).body)
    assert isinstance(verdict, Rejected)
    assert verdict.reason is Reason.NO_TOKEN
    assert callbacks.without_token == 0


@both_sources
@pytest.mark.parametrize("token", ["x" * 257, "a\tb", "\0", "\x80", " " * 257])
def test_a_malformed_token_is_never_accepted(source: Source, token: str) -> None:
    for callbacks in (remembering(), receiver(accept_unsigned_kore=True)):
        refusal = rejected(callbacks, without_token(sent(source), token))
        assert (refusal.reason, refusal.source) == (Reason.MALFORMED_TOKEN, source)
    unsigned = without_token(sent(Source.KORE, kore_secret=""), token)
    refusal = rejected(receiver(accept_unsigned_kore=True), unsigned)
    assert refusal.reason is Reason.MALFORMED_TOKEN


# ---- hooks --------------------------------------------------------------------------------------


async def test_a_hook_is_told_each_result(caplog: pytest.LogCaptureFixture) -> None:
    told = list[Result]()
    callbacks = remembering(on_result=told.append)
    requests = (sent(), sent(), replace(sent(), body=b"forged=1"))
    for request in requests:
        callbacks.handle(request, id)
    for request in requests:
        await callbacks.handle_async(request, id)
    for request in requests:
        callbacks.receive(request.method, request.headers, request.body, target=request.target)
    assert [type(result) for result in told] == [Accepted, Duplicate, Rejected] + [
        Duplicate,
        Duplicate,
        Rejected,
    ] * 2


async def test_a_hook_is_told_before_the_work_and_an_exception_in_it_costs_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    order = list[str]()

    def hook(result: Result) -> None:
        order.append(type(result).__name__)
        raise ZeroDivisionError

    callbacks = remembering(on_result=hook)
    assert callbacks.handle(sent(), lambda _: order.append("work")).status == 200
    answer = await callbacks.handle_async(sent(Source.TWILIO), lambda _: order.append("work"))
    assert answer.status == 200
    assert isinstance(callbacks.receive_request(sent()), Duplicate)
    assert callbacks.handle(replace(sent(), body=b"a=1"), fail).status == 403
    assert order == ["Accepted", "work", "Accepted", "work", "Duplicate", "Rejected"]
    failed = [record for record in caplog.records if record.exc_info]
    assert {record.message for record in failed} == {
        "on_result failed; the callback was received all the same"
    }
    assert len(failed) == 4


# ---- freshness ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("date", "reason"),
    [
        ("2024-07-03T14:40:58Z", None),
        ("Wed, 03 Jul 2024 14:40:58 GMT", None),
        ("2024-07-03T14:35:57Z", Reason.STALE),
        ("2024-07-03T14:45:59Z", Reason.STALE),
        ("yesterday", Reason.STALE),
        ("", Reason.STALE),
    ],
)
def test_the_date_is_checked_if_configured(date: str, reason: Reason | None) -> None:
    request = sent()
    headers = dict(request.headers) | {"Date": date}
    verdict = receiver(max_age=300 * SECOND, clock=Hands()).check("POST", headers, request.body)
    assert (verdict.reason if isinstance(verdict, Rejected) else None) is reason
    assert isinstance(receiver().check("POST", headers, request.body), Verified)


def test_twilios_callbacks_have_no_date_and_pass() -> None:
    assert isinstance(receiver(max_age=SECOND).check_request(sent(Source.TWILIO)), Verified)


def test_kores_callbacks_need_a_date() -> None:
    request = sent(Source.KORE)
    bare = replace(request, headers=tuple(pair for pair in request.headers if pair[0] != "Date"))
    refusal = rejected(receiver(max_age=SECOND), bare)
    assert refusal.reason is Reason.STALE
    assert refusal.explanation == "its Date header is missing; it must be a valid time"


def test_a_callback_has_the_time_at_which_it_was_sent() -> None:
    assert accepted(receiver(), sent(Source.KORE)).callback.sent_at == NOW.astimezone(UTC)
    assert accepted(receiver(), sent(Source.TWILIO)).callback.sent_at is None


# ---- handling with a function --------------------------------------------------------------------


def test_handle_does_the_work_and_returns_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    callbacks, worked = remembering(), list[Callback]()
    with caplog.at_level(logging.WARNING, logger="ringback.receiver"):
        answers = [
            callbacks.handle(request, worked.append).status
            for request in (sent(), sent(), replace(sent(), body=b"forged=1"), sent(Source.TWILIO))
        ]
    assert answers == [200, 200, 403, 200]
    assert [callback.source for callback in worked] == [Source.KORE, Source.TWILIO]
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "rejected (not_explained)"
    ]


async def test_handle_in_an_event_loop_accepts_both_kinds_of_functions() -> None:
    callbacks, worked = remembering(), list[Callback]()

    async def work(callback: Callback) -> None:
        await asyncio.sleep(0)
        worked.append(callback)

    assert (await callbacks.handle_async(sent(), work)).status == 200
    assert (await callbacks.handle_async(sent(), work)).status == 200
    assert (await callbacks.handle_async(sent(Source.TWILIO), worked.append)).status == 200
    assert len(worked) == 2


class Worker:
    """Async work as a callable object, which `iscoroutinefunction` does not recognise."""

    def __init__(self) -> None:
        self.worked = list[Callback]()

    async def __call__(self, callback: Callback) -> None:
        await asyncio.sleep(0)
        self.worked.append(callback)


async def test_a_function_that_returns_a_coroutine_is_awaited_too() -> None:
    worker = Worker()
    assert (await remembering().handle_async(sent(), worker)).status == 200
    assert len(worker.worked) == 1


def test_a_coroutine_that_nobody_would_await_is_refused_and_the_work_released() -> None:
    async def work(callback: Callback) -> None:
        raise AssertionError

    callbacks = remembering()
    with pytest.raises(TypeError, match="use `handle_async`"):
        callbacks.handle(sent(), work)
    assert accepted(callbacks, sent()).callback.is_retry


class Watched(MemoryDedupe):
    """A store that records the threads in which its methods are called."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_in = set[int]()

    def claim(self, visit: DedupeClaimRequest) -> Claimed:
        self.asked_in.add(threading.get_ident())
        return super().claim(visit)

    def done(self, visit: DedupeClaimRequest) -> bool:
        self.asked_in.add(threading.get_ident())
        return super().done(visit)


async def test_a_store_is_never_called_in_the_thread_of_the_event_loop() -> None:
    store = Watched()
    assert (await receiver(seen=store).handle_async(sent(), Worker())).status == 200
    assert store.asked_in
    assert threading.get_ident() not in store.asked_in


def fail(callback: Callback) -> None:
    raise ZeroDivisionError


class Waiting:
    """An asynchronous store in memory, which answers in another turn of the event loop."""

    def __init__(self) -> None:
        self.store = MemoryDedupe()
        self.loops = set[int]()

    async def claim(self, visit: DedupeClaimRequest) -> Claimed:
        self.loops.add(threading.get_ident())
        await asyncio.sleep(0)
        return self.store.claim(visit)

    async def renew(self, visit: DedupeClaimRequest) -> bool:
        return self.store.renew(visit)

    async def done(self, visit: DedupeClaimRequest) -> bool:
        self.loops.add(threading.get_ident())
        await asyncio.sleep(0)
        return self.store.done(visit)

    async def release(self, visit: DedupeClaimRequest) -> None:
        await asyncio.sleep(0)
        self.store.release(visit)


@pytest.mark.parametrize("kind", [MemoryDedupe, Waiting])
async def test_work_in_a_thread_keeps_its_claim_if_its_request_is_cancelled(kind: Any) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def work(_: Callback) -> None:
        begun.set()
        assert may_end.wait(10)

    callbacks = receiver(seen=kind())
    handling = asyncio.create_task(callbacks.handle_async(sent(), work))
    assert await asyncio.to_thread(begun.wait, 10)
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling
    during = await callbacks.receive_async(sent())
    assert isinstance(during, Duplicate)
    assert during.busy_for is not None
    may_end.set()
    (doing,) = callbacks._doing
    await doing
    after = await callbacks.receive_async(sent())
    assert isinstance(after, Duplicate)
    assert after.busy_for is None


async def test_an_asynchronous_store_needs_an_event_loop() -> None:
    for use in (
        lambda callbacks: callbacks.receive_request(sent()),
        lambda callbacks: callbacks.handle(sent(), id),
    ):
        with pytest.raises(TypeError, match="Waiting needs an event loop: use `handle_async`"):
            use(receiver(seen=Waiting()))
    result = await receiver(seen=Waiting()).receive_async(sent())
    assert isinstance(result, Accepted)
    for block in (result.done, result.release, result.__enter__):
        with pytest.raises(TypeError, match="needs an event loop"):
            block()


async def test_an_asynchronous_store_is_awaited_in_the_event_loop() -> None:
    store, worked = Waiting(), list[Callback]()
    callbacks = receiver(seen=store)
    answers = [await callbacks.handle_async(sent(), worked.append) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert len(worked) == 1
    assert store.loops == {threading.get_ident()}
    with pytest.raises(ZeroDivisionError):
        await callbacks.handle_async(sent(Source.TWILIO), fail)
    again = await callbacks.receive_async(sent(Source.TWILIO))
    assert isinstance(again, Accepted)
    assert again.callback.is_retry
    await again.release_async()
    await again.release_async()
    assert not await again.done_async()


async def test_done_and_release_may_be_awaited_with_any_store() -> None:
    for store in (None, MemoryDedupe(), Waiting()):
        callbacks = receiver(seen=store)
        first = await callbacks.receive_async(sent())
        assert isinstance(first, Accepted)
        await first.release_async()
        second = await callbacks.receive_async(sent())
        assert isinstance(second, Accepted)
        assert await second.done_async()
        kind = Accepted if store is None else Duplicate
        assert isinstance(await callbacks.receive_async(sent()), kind)


async def test_an_error_in_the_work_is_raised_and_the_next_delivery_may_try() -> None:
    callbacks = remembering()
    with pytest.raises(ZeroDivisionError):
        callbacks.handle(sent(), fail)
    with pytest.raises(ZeroDivisionError):
        await callbacks.handle_async(sent(), fail)
    retried = list[bool]()
    callbacks.handle(sent(), lambda callback: retried.append(callback.is_retry))
    assert retried == [True]


class Gone:
    """A store that is never available."""

    def claim(self, visit: DedupeClaimRequest) -> Claimed:
        raise DedupeUnavailable("the store is gone")

    def renew(self, visit: DedupeClaimRequest) -> bool:
        raise DedupeUnavailable("the store is gone")

    def done(self, visit: DedupeClaimRequest) -> bool:
        raise DedupeUnavailable("the store is gone")

    def release(self, visit: DedupeClaimRequest) -> None:
        raise DedupeUnavailable("the store is gone")


async def test_an_unavailable_store_causes_a_503_and_no_work_is_done(
    caplog: pytest.LogCaptureFixture,
) -> None:
    callbacks = receiver(seen=Gone())
    with pytest.raises(DedupeUnavailable):
        callbacks.receive_request(sent())
    for answer in (callbacks.handle(sent(), fail), await callbacks.handle_async(sent(), fail)):
        assert (answer.status, "Retry-After" in answer.headers) == (503, True)
    assert {record.message for record in caplog.records} == {
        "answered with a 503: the store is gone"
    }


class GoneMeanwhile(Gone):
    """A store that becomes unavailable once the work has begun."""

    def claim(self, visit: DedupeClaimRequest) -> Claimed:
        return ClaimWon(is_retry=False)


def test_an_unavailable_store_does_not_hide_an_error_in_the_work() -> None:
    with pytest.raises(ZeroDivisionError):
        receiver(seen=GoneMeanwhile()).handle(sent(), fail)


def test_work_that_could_not_be_recorded_as_done_is_requested_again() -> None:
    worked = list[Callback]()
    answer = receiver(seen=GoneMeanwhile()).handle(sent(), worked.append)
    assert (answer.status, len(worked)) == (503, 1)


def test_a_request_is_built_from_a_frameworks_values() -> None:
    request = read_request("POST", {b"A": b"1"}, b"x", target="/p?q")
    assert request == ReceivedRequest("POST", "/p?q", (("A", "1"),), b"x")
