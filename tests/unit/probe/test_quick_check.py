"""The quick check before a URL is moved: three requests show if its receiver is ready."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.http.allowed_addresses import ANYWHERE
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.sources.idempotency_tokens import IdempotencyTokenFormat
from ringback.core.sources.signature import sign_as_standard_webhooks
from ringback.core.sources.source_definition import (
    BUILT_IN,
    SIGNATURE_SCHEMES,
    CallbackSourceDefinition,
    HeaderTemplate,
    Sources,
)
from ringback.dev_receiver.responses import ListenerResponse
from ringback.http_client.http_sender import HttpTransport
from ringback.ports import RandomSource
from ringback.probe.evaluation import judge_forged, judge_genuine
from ringback.probe.probe_report import CaseVerdict
from ringback.probe.quick_check import UNSIGNED, WRONG_SECRET, fault_shown, quick_check
from ringback.receiver import ReceivedRequest
from ringback.runtime.system_clock import stopwatch
from tests.fakes import KORE_SECRET, NOW, RecordingTransport, SeededRandomness, an_account
from tests.unit.probe.receivers import Counter, Handle, answered, case_called, right, served

LIMITS = Timeouts(connect=1, read=1, total=1)
BOTH_SOURCES = [Source.TWILIO, Source.KORE]


@pytest.fixture
async def sender() -> AsyncGenerator[HttpTransport]:
    sender = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(ANYWHERE))
    yield sender
    await sender.close()


async def checked(
    url: str,
    sender: HttpTransport | RecordingTransport,
    *,
    source: SourceName = Source.KORE,
    method: HttpMethod = HttpMethod.POST,
    kore_secret: str | None = None,
    random_source: RandomSource | None = None,
    sources: Sources = BUILT_IN,
) -> str | None:
    account = an_account() if kore_secret is None else an_account(kore_secret=kore_secret)
    fault = await quick_check(
        CallbackUrl.parse(url),
        method=method,
        source=source,
        account=account,
        transport=sender,
        limits=LIMITS,
        random_source=random_source or SeededRandomness(),
        now=NOW,
        sources=sources,
    )
    return fault and fault.words


@pytest.mark.parametrize("source", BOTH_SOURCES)
@pytest.mark.parametrize("method", [HttpMethod.POST, HttpMethod.GET])
async def test_a_correct_receiver_passes(
    sender: HttpTransport, source: Source, method: HttpMethod
) -> None:
    async with served(lambda url: right(url, Counter()), "/hook?tenant=7") as url:
        assert await checked(url, sender, source=source, method=method) is None


@pytest.mark.parametrize("source", BOTH_SOURCES)
async def test_three_requests_are_enough_and_all_have_different_tokens(source: Source) -> None:
    transport = RecordingTransport()
    await checked("http://a.example/", transport, source=source)
    assert len(transport.requests) == 3
    tokens = {
        value
        for request in transport.requests
        for name, value in request.headers
        if name.endswith("Idempotency-Token")
    }
    assert len(tokens) == 3
    signatures = [
        value
        for request in transport.requests
        for name, value in request.headers
        if name.endswith("Signature")
    ]
    assert len(signatures) == 2


def always(status: int) -> Handle:
    async def handle(_: ReceivedRequest) -> ListenerResponse:
        return ListenerResponse(status)

    return handle


@pytest.mark.parametrize(
    ("handle", "why"),
    [
        (
            always(401),
            "a genuine callback from kore is not accepted: the receiver answered 401 Unauthorized",
        ),
        (always(200), "it accepts a request signed with another secret"),
    ],
)
async def test_a_receiver_that_is_not_ready_is_reported_with_the_reason(
    handle: Handle, why: str, sender: HttpTransport
) -> None:
    async with served(lambda _: handle) as url:
        assert await checked(url, sender) == why


async def test_a_forgery_answered_with_5xx_does_not_count_as_refused(sender: HttpTransport) -> None:
    def make(url: str) -> Handle:
        handle = right(url, Counter())

        async def crash(request: ReceivedRequest) -> ListenerResponse:
            answer = await handle(request)
            return answer if answer.status == 200 else ListenerResponse(500)

        return crash

    async with served(make) as url:
        assert await checked(url, sender) == (
            "it does not refuse a request signed with another secret with a 4xx: the receiver"
            " answered 500 Internal Server Error"
        )


async def test_an_account_without_a_secret_needs_no_forgery_check() -> None:
    transport = RecordingTransport()
    assert await checked("http://a.example/", transport, kore_secret="") is None
    assert len(transport.requests) == 1


@pytest.mark.parametrize(
    ("takes_unsigned", "why"), [(False, None), (True, "it accepts a request without a signature")]
)
async def test_a_custom_source_is_checked_by_its_own_signature(
    takes_unsigned: bool, why: str | None, sender: HttpTransport
) -> None:
    headers = ("Host: {host}", "Content-Length: {length}", "webhook-id: {token}")
    headers += ("webhook-timestamp: {timestamp}", "webhook-signature: {signature}")
    third = CallbackSourceDefinition(
        headers=tuple(map(HeaderTemplate.parse, headers)),
        signature=SIGNATURE_SCHEMES["standard-webhooks"],
        token=IdempotencyTokenFormat.parse("msg_{hex}"),
    )

    async def handle(request: ReceivedRequest) -> ListenerResponse:
        headers = dict(request.headers)
        right = sign_as_standard_webhooks(
            headers["webhook-id"],
            int(headers["webhook-timestamp"]),
            request.body,
            secret=KORE_SECRET,
        )
        given = headers.get("webhook-signature", right if takes_unsigned else "")
        return ListenerResponse(200 if given == right else 403)

    async with served(lambda _: handle) as url:
        name = SourceName("third")
        assert await checked(url, sender, source=name, sources={name: third}) == why


@pytest.mark.parametrize(
    ("genuine", "forged", "why"),
    [
        (200, 403, None),
        (204, 400, None),
        (403, None, "a genuine callback from kore is not accepted: answered 403"),
        (302, None, "a genuine callback from kore is not accepted: answered 302"),
        (500, None, "a genuine callback from kore is not accepted: answered 500"),
        (200, 200, "it accepts a request without a signature"),
        (200, 302, "it does not refuse a request without a signature with a 4xx: answered 302"),
        (200, 500, "it does not refuse a request without a signature with a 4xx: answered 500"),
    ],
)
def test_the_judgement_is_that_of_the_probe(
    genuine: int, forged: int | None, why: str | None
) -> None:
    answers = {} if forged is None else {UNSIGNED: answered(forged)}
    fault = fault_shown(Source.KORE, answered(genuine), answers)
    assert (fault and fault.words) == why
    results = [judge_genuine(case_called("kore-post-sim-update"), answered(genuine))]
    if forged is not None:
        case = case_called("kore-post-missing-signature")
        results.append(judge_forged(case, answered(forged)))
    assert (why is None) == all(result.verdict is CaseVerdict.PASSED for result in results)


@pytest.mark.parametrize(
    ("source", "genuine", "forged", "name"),
    [
        (Source.KORE, 403, (), "refuses-kore"),
        (Source.TWILIO, 403, (), "refuses-twilio"),
        (SourceName("third"), 403, (), "refuses-source"),
        (Source.KORE, 302, (), "redirects"),
        (Source.KORE, 500, (), "crashes-on-good-callback"),
        (Source.KORE, 200, (200, 200), "ignores-kore-signature"),
        (Source.TWILIO, 200, (200, 200), "ignores-twilio-signature"),
        (SourceName("third"), 200, (200, 200), "ignores-signature"),
        (Source.KORE, 200, (200, 403), "accepts-wrong-secret"),
        (Source.KORE, 200, (403, 200), "accepts-missing-signature"),
        (Source.KORE, 200, (500, 200), "crashes-on-bad-signature"),
    ],
)
def test_it_names_the_fault_as_the_probe_does(
    source: SourceName, genuine: int, forged: tuple[int, ...], name: str
) -> None:
    names = WRONG_SECRET, UNSIGNED
    answers = {names[place]: answered(status) for place, status in enumerate(forged)}
    fault = fault_shown(source, answered(genuine), answers)
    assert fault is not None
    assert fault.kind.label == name


async def test_secrets_that_a_receiver_repeats_are_not_shown(sender: HttpTransport) -> None:
    async def tell(_: ReceivedRequest) -> ListenerResponse:
        text = (("Content-Type", "text/plain"),)
        return ListenerResponse(403, text, f"wrong, with {KORE_SECRET}".encode())

    async with served(lambda _: tell) as url:
        why = await checked(url, sender)
    assert why is not None
    assert why.endswith("the receiver answered 403 Forbidden: wrong, with (hidden)")


async def test_many_receivers_are_checked_at_once(sender: HttpTransport) -> None:
    random_source = SeededRandomness()
    async with served(lambda url: right(url, Counter())) as url:
        found = await asyncio.gather(
            *(checked(url, sender, random_source=random_source) for _ in range(50))
        )
    assert found == [None] * 50
