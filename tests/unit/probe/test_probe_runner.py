"""A run against a receiver in this process: the requests sent, and the fault found."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from ringback.core.errors import ConfigurationError
from ringback.core.policy.source_policy import Source
from ringback.dev_receiver.responses import ListenerResponse
from ringback.http_client.tls import ClientTls
from ringback.probe.case_kinds import GenuineCase, ProbeSecret
from ringback.probe.probe_cases import CASES
from ringback.probe.probe_report import CaseVerdict
from ringback.probe.probe_runner import ReceiverUnreachable
from ringback.probe.receiver_faults import ReceiverFaultKind
from ringback.probe.request_runner import ProbeTimeouts
from ringback.receiver import MemoryDedupe, ReceivedRequest, Receiver, Rejected
from tests.fakes import AUTH_TOKEN, KORE_SECRET
from tests.receivers import RecordingReceiver, close_without_answer
from tests.tls import server_side
from tests.unit.probe.receivers import (
    TIMES,
    Counter,
    Handle,
    case_called,
    named,
    probed,
    right,
    served,
)

OK = ListenerResponse(200)
FEW = tuple(
    case
    for case in CASES
    if not isinstance(case.plan, GenuineCase) or case.name.endswith("post-sim-update")
)


async def nothing(_: float) -> None:
    """Do nothing, as the restart of a receiver that needs none."""


@pytest.mark.parametrize("path", ["/hook", "/hook?site=M%c3%bcnchen+1&a=~%7e"])
async def test_a_correct_receiver_passes_everything(path: str) -> None:
    counter = Counter()
    async with served(lambda url: right(url, counter), path) as url:
        report = await probed(url, read_counter=counter.read, restart=nothing)
    odd = [each for each in report.results if each.verdict is not CaseVerdict.PASSED]
    assert {result.verdict for result in odd} <= {CaseVerdict.NOT_FOR_IT}
    assert len(odd) == (0 if "?" in path else 2)
    assert report.is_ready
    assert report.is_complete
    assert len(report.results) == len(CASES)


async def test_without_a_counter_no_repeat_counts_as_passed() -> None:
    async with served(lambda url: right(url, Counter())) as url:
        report = await probed(url, cases=FEW)
    assert report.is_ready
    assert not report.is_complete
    unseen = [each.case.name for each in report.results if each.verdict is CaseVerdict.NOT_OBSERVED]
    assert len(unseen) == 14
    assert "twilio-repeat-in-series" in unseen
    assert "forgeries-without-effect" in unseen


async def test_without_a_secret_its_cases_are_not_run() -> None:
    async with served(lambda url: right(url, Counter())) as url:
        report = await probed(url, cases=FEW, has=frozenset({ProbeSecret.AUTH_TOKEN}))
    by_kore = [each for each in report.results if ProbeSecret.WEBHOOK_SECRET in each.case.needs]
    assert by_kore
    assert {result.verdict for result in by_kore} == {CaseVerdict.NOT_RUN}
    assert {result.came for result in by_kore} == {
        "the webhook secret is not given (--kore-secret)"
    }
    assert report.is_ready


async def test_a_receiver_that_answers_200_to_everything_has_one_fault() -> None:
    async def handle(_: ReceivedRequest) -> ListenerResponse:
        return OK

    async with served(lambda _: handle) as url:
        report = await probed(url)
    assert named(report) == {"answers-200-to-everything"}
    assert len(report.faults[ReceiverFaultKind.ANSWERS_200_TO_EVERYTHING]) == 33


def checking(*, ignored: Source) -> Callable[[str], Handle]:
    """Return a function that makes a receiver which verifies only one source."""

    def make(url: str) -> Handle:
        receiver = Receiver(url, twilio_auth_tokens=[AUTH_TOKEN], kore_secrets=[KORE_SECRET])

        async def handle(request: ReceivedRequest) -> ListenerResponse:
            mark = "kore-" if ignored == Source.KORE else "-twilio-"
            if any(mark in name.lower() for name, _ in request.headers):
                return OK
            return ListenerResponse(receiver.handle(request, lambda _: None).status)

        return handle

    return make


@pytest.mark.parametrize("source", [Source.TWILIO, Source.KORE])
async def test_a_receiver_that_ignores_one_signature_is_reported_with_its_source(
    source: Source,
) -> None:
    async with served(checking(ignored=source)) as url:
        report = await probed(url)
    assert named(report) == {f"ignores-{source}-signature", "accepts-both-families"}


async def test_a_receiver_that_accepts_only_one_source_is_reported_with_the_other() -> None:
    def make(url: str) -> Handle:
        receiver = Receiver(url, twilio_auth_tokens=[AUTH_TOKEN], kore_secrets=["another"])

        async def handle(request: ReceivedRequest) -> ListenerResponse:
            return ListenerResponse(receiver.handle(request, lambda _: None).status)

        return handle

    async with served(make) as url:
        report = await probed(url)
    assert named(report) == {"refuses-kore"}
    again = {each.case.name: each for each in report.results}["kore-repeat-in-series"]
    assert again.verdict is CaseVerdict.NOT_RUN


async def test_a_receiver_without_deduplication_is_reported_in_each_case_that_shows_it() -> None:
    counter = Counter()

    def make(url: str) -> Handle:
        receiver = Receiver(url, twilio_auth_tokens=[AUTH_TOKEN], kore_secrets=[KORE_SECRET])

        async def handle(request: ReceivedRequest) -> ListenerResponse:
            return ListenerResponse((await receiver.handle_async(request, counter.work)).status)

        return handle

    async with served(make) as url:
        report = await probed(url, cases=FEW, read_counter=counter.read, restart=nothing)
    assert named(report) == {
        "not-idempotent-in-series",
        "not-idempotent-at-once",
        "not-idempotent-after-timeout",
        "not-idempotent-after-drop",
        "forgets-on-restart",
    }


async def test_a_receiver_with_tokens_only_in_memory_forgets_them_on_restart() -> None:
    counter = Counter()
    inner = list[Handle]()

    def make(url: str) -> Handle:
        inner.append(right(url, counter))

        async def handle(request: ReceivedRequest) -> ListenerResponse:
            return await inner[-1](request)

        return handle

    async with served(make) as url:

        async def restart(_: float) -> None:
            counter.count, counter.seen = 0, MemoryDedupe()
            inner.append(right(url, counter))

        report = await probed(url, cases=FEW, read_counter=counter.read, restart=restart)
    assert named(report) == {"forgets-on-restart"}


def working_later(counter: Counter, *, checks: bool) -> Callable[[str], Handle]:
    """Return a function that makes a receiver without deduplication that works after answering."""

    async def work() -> None:
        await asyncio.sleep(0.06)
        counter.work()

    def make(url: str) -> Handle:
        receiver = Receiver(url, twilio_auth_tokens=[AUTH_TOKEN], kore_secrets=[KORE_SECRET])

        async def handle(request: ReceivedRequest) -> ListenerResponse:
            is_forged = isinstance(receiver.check_request(request), Rejected)
            if not (checks and is_forged):
                counter.later.add(asyncio.ensure_future(work()))
            return ListenerResponse(403) if is_forged else OK

        return handle

    return make


@pytest.mark.parametrize("checks", [True, False])
async def test_effects_after_the_answer_are_awaited(checks: bool) -> None:
    counter = Counter()
    names = ("twilio-post-sim-update", "kore-post-sim-update", "kore-post-hmac")
    names += ("twilio-repeat-in-series", "forgeries-without-effect")
    async with served(working_later(counter, checks=checks)) as url:
        cases = tuple(map(case_called, names))
        report = await probed(url, cases=cases, read_counter=counter.read)
        await asyncio.gather(*counter.later)
    expected = {"not-idempotent-in-series"}
    assert named(report) == (expected if checks else expected | {"acts-on-forgeries"})


async def test_late_work_for_genuine_callbacks_is_not_taken_for_that_for_forgeries() -> None:
    counter, held = Counter(), list[None]()

    def make(url: str) -> Handle:
        receiver = Receiver(url, twilio_auth_tokens=[AUTH_TOKEN], kore_secrets=[KORE_SECRET])

        async def handle(request: ReceivedRequest) -> ListenerResponse:
            verdict = receiver.check_request(request)
            if not isinstance(verdict, Rejected):
                is_from_kore = verdict.source == Source.KORE
                held.append(None) if is_from_kore else counter.work()
                return OK
            if held:  # only now
                held.pop()
                counter.work()
            return ListenerResponse(403)

        return handle

    names = ("twilio-post-sim-update", "kore-post-sim-update", "kore-post-hmac")
    names += ("forgeries-without-effect",)
    async with served(make) as url:
        cases = tuple(map(case_called, names))
        report = await probed(url, cases=cases, read_counter=counter.read)
    assert not held
    assert named(report) == set()


async def test_a_receiver_that_confuses_tokens_is_found() -> None:
    counter = Counter()

    def make(url: str) -> Handle:
        receiver = Receiver(url, twilio_auth_tokens=[AUTH_TOKEN], kore_secrets=[KORE_SECRET])
        seen = set[str | None]()

        async def handle(request: ReceivedRequest) -> ListenerResponse:
            verdict = receiver.check_request(request)
            if isinstance(verdict, Rejected):
                return ListenerResponse(403)
            if verdict.token not in seen:
                counter.work()
            seen.add(verdict.token)
            return OK

        return handle

    async with served(make) as url:
        report = await probed(url, cases=FEW, read_counter=counter.read)
    assert named(report) == {"mixes-tokens"}


async def test_a_receiver_that_needs_callbacks_in_order_is_reported() -> None:
    def make(url: str) -> Handle:
        handle = right(url, Counter())
        delivered = set[str]()

        async def in_order(request: ReceivedRequest) -> ListenerResponse:
            parameters = dict(request.parameters)
            command = parameters.get("CommandSid", "")
            if parameters.get("Status") == "sent" and command in delivered:
                return ListenerResponse(409)
            delivered.add(command)
            return await handle(request)

        return in_order

    async with served(make) as url:
        report = await probed(url)
    assert named(report) == {"refuses-swapped-order"}


async def test_a_receiver_that_refuses_commands_is_not_blamed_for_their_order() -> None:
    def make(url: str) -> Handle:
        handle = right(url, Counter())

        async def without_commands(request: ReceivedRequest) -> ListenerResponse:
            if "CommandSid" in dict(request.parameters):
                return ListenerResponse(400)
            return await handle(request)

        return without_commands

    async with served(make) as url:
        report = await probed(url)
    assert named(report) == {"refuses-payload"}
    swapped = {each.case.name: each for each in report.results}["kore-swapped-order"]
    assert swapped.verdict is CaseVerdict.NOT_RUN


async def test_a_receiver_that_deduplicates_by_content_loses_equal_callbacks() -> None:
    counter = Counter()

    def make(url: str) -> Handle:
        receiver = Receiver(url, twilio_auth_tokens=[AUTH_TOKEN], kore_secrets=[KORE_SECRET])
        seen = set[tuple[tuple[str, str], ...]]()

        async def handle(request: ReceivedRequest) -> ListenerResponse:
            if isinstance(receiver.check_request(request), Rejected):
                return ListenerResponse(403)
            parameters = tuple(request.parameters)
            if parameters not in seen:
                counter.work()
            seen.add(parameters)
            return OK

        return handle

    async with served(make) as url:
        report = await probed(url, cases=FEW, read_counter=counter.read)
    assert named(report) == {"drops-equal-events"}


async def test_a_counter_that_counts_something_else_is_not_used() -> None:
    async def handle(_: ReceivedRequest) -> ListenerResponse:
        return OK

    async def read() -> int:
        return 7

    async with served(lambda _: handle) as url:
        cases = (case_called("twilio-post-sim-update"), case_called("forgeries-without-effect"))
        report = await probed(url, cases=cases, read_counter=read)
    assert [result.verdict for result in report.results] == [
        CaseVerdict.PASSED,
        CaseVerdict.NOT_OBSERVED,
    ]
    assert "went" not in report.results[0].came
    assert "raise it by 1, but raised it by 0" in report.results[1].came


async def test_an_unreadable_counter_is_refused_at_the_start() -> None:
    async def read() -> int:
        raise ConfigurationError("the counter is gone")

    async with RecordingReceiver() as receiver:
        with pytest.raises(ConfigurationError, match="the counter is gone"):
            await probed(receiver.url(), read_counter=read)
        assert receiver.requests == []


async def test_a_callback_that_is_acknowledged_but_not_processed_is_lost() -> None:
    counter = Counter()

    async def do_the_first(_: ReceivedRequest) -> ListenerResponse:
        counter.count = 1
        return OK

    async with served(lambda _: do_the_first) as url:
        cases = (case_called("kore-post-sim-update"), case_called("kore-repeat-after-drop"))
        report = await probed(url, cases=cases, read_counter=counter.read)
    assert named(report) == {"loses-callback"}


async def test_a_receiver_that_hangs_is_given_up_soon() -> None:
    async def hang(_: ReceivedRequest) -> ListenerResponse:
        await asyncio.sleep(30)
        return OK

    async with served(lambda _: hang) as url:
        report = await probed(url, timeouts=ProbeTimeouts(request=0.1))
    assert named(report) == {"does-not-answer"}
    given_up = [each for each in report.results if "got no answer" in each.came]
    assert len(given_up) > 70
    assert {result.verdict for result in given_up} == {CaseVerdict.NOT_RUN}


async def test_a_receiver_that_hangs_is_found_with_a_counter_too() -> None:
    async def hang(_: ReceivedRequest) -> ListenerResponse:
        await asyncio.sleep(30)
        return OK

    async with served(lambda _: hang) as url:
        times = ProbeTimeouts(request=0.1)
        report = await probed(url, timeouts=times, read_counter=Counter().read)
    assert named(report) == {"does-not-answer"}


async def test_the_counter_is_tried_by_get_if_each_post_is_refused() -> None:
    counter = Counter()

    def make(url: str) -> Handle:
        handle = right(url, counter)

        async def by_get(request: ReceivedRequest) -> ListenerResponse:
            return await handle(request) if request.method == "GET" else ListenerResponse(405)

        return by_get

    async with served(make) as url:
        report = await probed(url, read_counter=counter.read, restart=nothing)
    assert named(report) == {"refuses-post"}
    assert report.is_complete


async def test_a_receiver_that_acts_only_on_uncertain_forgeries_does_not_act_on_forgeries() -> None:
    counter = Counter()

    def make(url: str) -> Handle:
        handle = right(url, counter)

        async def in_any_case(request: ReceivedRequest) -> ListenerResponse:
            lower = tuple(
                (name, value.lower() if name == "Kore-Signature" else value)
                for name, value in request.headers
            )
            return await handle(replace(request, headers=lower))

        return in_any_case

    async with served(make) as url:
        report = await probed(url, read_counter=counter.read)
    assert named(report) == {"accepts-uppercase-hash"}


async def test_a_receiver_that_claims_tokens_before_it_checks_is_found() -> None:
    counter, claimed = Counter(), set[str]()

    def make(url: str) -> Handle:
        handle = right(url, counter)

        async def claim_first(request: ReceivedRequest) -> ListenerResponse:
            tokens = [value for name, value in request.headers if name.endswith("Token")]
            if claimed.intersection(tokens):
                return OK
            claimed.update(tokens)
            return await handle(request)

        return claim_first

    cases = tuple(case for case in FEW if case.name != "same-token-of-both")
    async with served(make) as url:
        report = await probed(url, cases=cases, read_counter=counter.read)
    assert named(report) == {"remembers-forged-tokens"}
    assert report.faults[ReceiverFaultKind.REMEMBERS_FORGED_TOKENS] == [
        "twilio-forgery-first",
        "kore-forgery-first",
    ]


async def test_a_run_ends_whatever_the_receiver_does() -> None:
    async def slow(_: ReceivedRequest) -> ListenerResponse:
        await asyncio.sleep(0.05)
        return OK

    async with served(lambda _: slow) as url:
        report = await probed(url, timeouts=ProbeTimeouts(whole=0.2))
    assert report.seconds < 2
    assert "the probe was stopped at its time limit of 0.2 s" in {
        result.came for result in report.results
    }
    assert "does-not-answer" not in named(report)


async def test_a_slow_receiver_is_reported() -> None:
    counter = Counter()

    def make(url: str) -> Handle:
        handle = right(url, counter)

        async def slow(request: ReceivedRequest) -> ListenerResponse:
            await asyncio.sleep(0.06)
            return await handle(request)

        return slow

    async with served(make) as url:
        report = await probed(url, timeouts=ProbeTimeouts(answer=0.05))
    assert named(report) == {"too-slow"}


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: /in\r\nContent-Length: 0\r\n\r\n", {"redirects"}),
        (
            b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
            {"crashes-on-good-callback", "crashes-on-bad-signature"},
        ),
        (close_without_answer, {"breaks-off"}),
        (b"SSH-2.0-OpenSSH_9.9\r\n", {"breaks-off"}),
    ],
    ids=["redirect", "500", "close", "no HTTP"],
)
async def test_an_unclear_verdict_has_a_name(
    reply: bytes | Callable[[asyncio.StreamWriter], Awaitable[None]], fault: set[str]
) -> None:
    async with RecordingReceiver(answer=lambda _: reply) as receiver:
        report = await probed(receiver.url(), cases=FEW)
    assert named(report) == fault


async def test_an_unreachable_url_ends_the_run_at_once() -> None:
    async with RecordingReceiver() as receiver:
        url = receiver.url("/hook")
    with pytest.raises(ReceiverUnreachable, match="check that the receiver runs"):
        await probed(url)


async def test_certificates_are_verified(tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = server_side(ca.issue_cert("127.0.0.1"))
    cases = (case_called("kore-post-sim-update"), case_called("kore-repeat-after-drop"))
    cases += (case_called("kore-repeat-at-once"), case_called("kore-repeat-after-timeout"))
    async with RecordingReceiver(tls=context) as receiver:
        with pytest.raises(ReceiverUnreachable, match="--extra-ca-file"):
            await probed(receiver.url(), cases=cases)
        assert receiver.requests == []
        report = await probed(
            receiver.url(), cases=cases, tls=ClientTls(ca_files=[tmp_path / "ca.pem"])
        )
    assert report.count(CaseVerdict.NOT_OBSERVED) == 3
    assert len(receiver.requests) == 1 + 2 + 4 + 2


async def test_a_failing_restart_leaves_its_cases_out() -> None:
    async def restart(_: float) -> None:
        raise ConfigurationError("the command docker can't be run")

    async with served(lambda url: right(url, Counter())) as url:
        report = await probed(url, cases=FEW, restart=restart)
    restarts = [each for each in report.results if each.case.name.endswith("after-restart")]
    assert [each.verdict for each in restarts] == [CaseVerdict.NOT_RUN] * 2
    assert restarts[0].came == "the command docker can't be run"


async def test_secrets_in_a_receivers_responses_are_hidden() -> None:
    async def tell(_: ReceivedRequest) -> ListenerResponse:
        text = f"no: {AUTH_TOKEN} {KORE_SECRET}"
        return ListenerResponse(403, (("Content-Type", "text/plain"),), text.encode())

    async with served(lambda _: tell) as url:
        report = await probed(url.replace("http://", "http://user:pass-word@"))
    assert AUTH_TOKEN not in repr(report)
    assert KORE_SECRET not in repr(report)
    assert "pass-word" not in repr(report)
    assert report.results[0].came == "the receiver answered 403 Forbidden: no: (hidden) (hidden)"


async def test_simultaneous_copies_use_connections_of_their_own() -> None:
    async with RecordingReceiver() as receiver:
        cases = (case_called("kore-post-sim-update"), case_called("kore-repeat-at-once"))
        await probed(receiver.url(), cases=cases, timeouts=TIMES)
        same = receiver.requests[1:]
        assert len(same) == 4
        assert len({request.raw for request in same}) == 1
        assert receiver.connections == 5
