"""The probe's cases for receivers of event streams; the corpus has receivers with each fault."""

import asyncio
import json
from dataclasses import replace
from typing import Final

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.policy.source_policy import Source
from ringback.dev_receiver.responses import ListenerResponse
from ringback.probe.case_kinds import BatchRepetition, GenuineCase, ProbeSecret
from ringback.probe.payloads import MOST_EVENTS, STREAM_KINDS, ProbeCallbackKind
from ringback.probe.probe_cases import CASES
from ringback.probe.probe_report import CaseVerdict
from ringback.probe.receiver_faults import ReceiverFaultKind
from ringback.probe.repeated_batches import batches, same_event
from ringback.probe.report.text import as_grid
from ringback.probe.stream_cases import STREAM_CASES, stream_cases_of
from ringback.receiver import ReceivedRequest, Receiver
from ringback.receiver.events import (
    CloudEvents,
    ConnectionEvent,
    TestEvent,
    event_of_json,
    typed_event,
)
from tests.fakes import AUTH_TOKEN, KORE_SECRET
from tests.senders import received
from tests.unit.probe.receivers import TIMES, Counter, named, probed, requests_to, right, served

URL: Final = "https://example.com/hook?tenant=7"


def events_in(body: bytes) -> list[object]:
    batch = event_of_json(body)
    return [typed_event(e) for e in batch.events] if isinstance(batch, CloudEvents) else [batch]


def test_names_are_unique_among_all_cases() -> None:
    names = [case.name for case in (*CASES, *STREAM_CASES)]
    assert len({*names}) == len(names)


def test_cases_of_one_source_need_only_its_secret() -> None:
    for source, secret in zip(Source, ProbeSecret, strict=True):
        cases = stream_cases_of([source])
        assert {case.needs for case in cases} == {frozenset({secret}), frozenset()}


@pytest.mark.parametrize("source", list(Source))
@pytest.mark.parametrize("kind", STREAM_KINDS, ids=lambda kind: kind.label)
def test_genuine_requests_are_right(source: Source, kind: ProbeCallbackKind) -> None:
    plan = GenuineCase(source, HttpMethod.POST, kind, of_stream=True)
    request = received(requests_to(URL).genuine(plan))
    callbacks = Receiver(URL, twilio_auth_tokens=[AUTH_TOKEN], kore_secrets=[KORE_SECRET])
    got = list[object]()
    answer = callbacks.handle(request, lambda callback: got.append(callback.event))
    assert answer.status == 200
    assert request.is_json
    match kind:
        case ProbeCallbackKind.TEST_EVENT:
            assert [type(event) for event in got] == [TestEvent]
        case ProbeCallbackKind.BATCH:
            sids = {event.event_sid for event in got if isinstance(event, ConnectionEvent)}
            assert len(sids) == MOST_EVENTS
        case _:
            (event,) = got
            assert isinstance(event, ConnectionEvent)
            assert (event.location is None) is (kind is ProbeCallbackKind.NULL_LOCATION)
            is_ascii = str(event.sim_unique_name).isascii()
            assert is_ascii is (kind is not ProbeCallbackKind.NON_ASCII_NAME)


def test_all_of_an_accounts_test_events_at_twilio_have_one_id() -> None:
    make = requests_to(URL)
    plan = GenuineCase(Source.TWILIO, HttpMethod.POST, ProbeCallbackKind.TEST_EVENT, of_stream=True)
    events = [event_of_json(make.genuine(plan).body) for _ in range(2)]
    assert {event.id for event in events if isinstance(event, TestEvent)} == {make.account.sid}
    assert len({event.test_id for event in events if isinstance(event, TestEvent)}) == 2


def test_a_batch_that_comes_again_is_the_same_request() -> None:
    (first, new), (second, none) = batches(requests_to(URL), Source.KORE, BatchRepetition.AGAIN)
    assert (new, none) == (3, 0)
    assert first == second


def test_batches_that_overlap_have_one_event_in_common_and_tokens_of_their_own() -> None:
    made = batches(requests_to(URL), Source.TWILIO, BatchRepetition.OVERLAP)
    (first, two), (second, one) = made
    sids = [{event["id"] for event in json.loads(request.body)} for request in (first, second)]
    assert (two, one) == (2, 1)
    assert [len(each) for each in sids] == [2, 2]
    assert len(sids[0] & sids[1]) == 1
    tokens = {received(request).fields["i-twilio-idempotency-token"] for request, _ in made}
    assert len(tokens) == 2


def test_the_same_event_has_the_same_data_from_both_sources() -> None:
    made = same_event(requests_to(URL), [*Source])
    assert [new for _, new in made] == [1, 0]
    data = [json.loads(request.body)[0]["data"] for request, _ in made]
    assert data[0] == data[1]


async def test_a_correct_receiver_passes_everything() -> None:
    counter = Counter()
    async with served(lambda url: right(url, counter)) as url:
        report = await probed(url, cases=STREAM_CASES, read_counter=counter.read)
    assert named(report) == set()
    assert report.count(CaseVerdict.PASSED) == len(STREAM_CASES)
    assert any("batch-again" in line.text for line in as_grid(report))


async def test_without_a_counter_no_repeat_counts_as_passed() -> None:
    counter = Counter()
    async with served(lambda url: right(url, counter)) as url:
        report = await probed(url, cases=STREAM_CASES)
    verdicts = {result.case.name: result.verdict for result in report.results}
    assert report.is_ready
    assert verdicts["kore-stream-overlap"] is CaseVerdict.NOT_OBSERVED
    assert verdicts["stream-event-of-both"] is CaseVerdict.NOT_OBSERVED


async def test_a_receiver_of_one_source_is_not_ready_for_the_other() -> None:
    counter = Counter()
    callbacks = list[Receiver]()

    async def answer(request: ReceivedRequest) -> ListenerResponse:
        status = (await callbacks[0].handle_async(request, counter.work)).status
        return ListenerResponse(403 if status == 503 else status)

    def make(url: str):
        callbacks.append(Receiver(url, kore_secrets=[KORE_SECRET], seen=counter.seen))
        return answer

    async with served(make) as url:
        report = await probed(url, cases=STREAM_CASES, read_counter=counter.read)
    assert named(report) == {"refuses-twilio"}


async def test_a_receiver_that_fails_on_test_events_is_told_so() -> None:
    counter = Counter()

    def make(url: str):
        handle = right(url, counter)

        async def answer(request: ReceivedRequest) -> ListenerResponse:
            if b"test_id" in request.body:
                return ListenerResponse(500)
            return await handle(request)

        return answer

    async with served(make) as url:
        report = await probed(url, cases=STREAM_CASES, read_counter=counter.read)
    assert report.faults == {
        ReceiverFaultKind.REFUSES_STREAM_TEST_EVENT: [
            "twilio-stream-test-event",
            "kore-stream-test-event",
        ]
    }


async def test_a_slow_answer_is_measured_by_the_deadline_of_streams(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # That of callbacks is another one: `--slow`, which may be longer.
    monkeypatch.setattr("ringback.probe.probe_runner.STREAM_DEADLINE", 0.15)
    counter = Counter()

    def make(url: str):
        handle = right(url, counter)

        async def answer(request: ReceivedRequest) -> ListenerResponse:
            answer = await handle(request)
            if request.body.count(b"event_sid") == MOST_EVENTS:
                await asyncio.sleep(0.2)
            return answer

        return answer

    async with served(make) as url:
        report = await probed(
            url, cases=STREAM_CASES, read_counter=counter.read, timeouts=replace(TIMES, answer=10.0)
        )
    assert named(report) == {"too-slow-for-streams"}


def test_the_url_with_the_hash_is_that_of_the_receiver() -> None:
    plan = GenuineCase(Source.TWILIO, HttpMethod.POST, STREAM_KINDS[0], of_stream=True)
    url = requests_to(URL).genuine(plan).url
    assert isinstance(url, CallbackUrl)
    assert (url.query or "").startswith("tenant=7&bodySHA256=")
