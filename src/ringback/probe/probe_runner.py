"""Carries the cases out: a few side by side, but one after the other what comes again.

What an answer means is decided in `judging`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeVar, assert_never

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.errors import ConfigurationError
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.http.outcome import AttemptFailure
from ringback.core.policy.source_policy import Source
from ringback.probe.counter_watch import CounterWatch, Read
from ringback.probe.effects import EffectCounter
from ringback.probe.evaluation import (
    judge_again,
    judge_answers,
    judge_effects,
    judge_forged,
    judge_good,
    judge_times,
    missing_secrets,
    not_run,
)
from ringback.probe.forgeries import forge
from ringback.probe.payloads import PayloadKind
from ringback.probe.probe_cases import (
    SOURCES,
    AnsweredInTime,
    ForgedCase,
    ForgeriesHadNoEffect,
    Forgery,
    GenuineCase,
    OutOfOrderCase,
    Plan,
    ProbeCase,
    RepeatedCase,
    RepeatTiming,
    SameEventCase,
    SameTokenCase,
)
from ringback.probe.probe_report import CaseResult, CaseVerdict, Effect, EffectNotSeen, ProbeReport
from ringback.probe.request_factory import RequestFactory
from ringback.probe.request_runner import (
    ProbeDependencies,
    ProbeSession,
    ProbeStopped,
    ProbeTimeouts,
)
from ringback.probe.responses import Hide, ProbeResponse, hiding, shown
from ringback.probe.root_causes import report_of

T = TypeVar("T")

Restart = Callable[[float], Awaitable[None]]
"""Restarts the receiver within so many seconds; raises ConfigurationError where that fails."""

_COPIES: Final = 3
_NOBODY_IS_THERE: Final[Mapping[AttemptFailure, str]] = {
    AttemptFailure.NAME: "check the host in the URL",
    AttemptFailure.CONNECT: "check that the receiver runs, and the host and port in the URL",
    AttemptFailure.CONNECT_TIMEOUT: "check the host and port in the URL, and firewalls on the way",
    AttemptFailure.TLS: "check that the port speaks TLS, or give an http URL",
    AttemptFailure.CERTIFICATE_NAME: "check the host in the URL, and the receiver's certificate",
    AttemptFailure.CERTIFICATE_EXPIRED: "renew the receiver's certificate",
    AttemptFailure.CERTIFICATE_UNTRUSTED: "give the authority that signed it with --extra-ca-file,"
    " and see that the receiver sends its whole chain",
}
_NO_RESTART: Final = "how to restart it is not given (--restart)"
_NOT_UP: Final = "it did not answer again after the restart"
_NO_COMMANDS: Final = "it tells of an SMS Command, and none is accepted, in whatever order"
_NONE_ACCEPTED: Final = "it begins with a plain callback, and none of the source's is accepted"


class ReceiverUnreachable(ConfigurationError):
    """There is nobody at the receiver's URL."""


async def probe(
    cases: Sequence[ProbeCase],
    requests: RequestFactory,
    *,
    has: frozenset[Source],
    means: ProbeDependencies,
    times: ProbeTimeouts,
    read_counter: Read | None = None,
    restart: Restart | None = None,
) -> ProbeReport:
    """Carry out these cases towards a receiver, and return what came of them.

    `has` are the sources whose secrets are known, at least one; cases that need another are not
    run. Raises ReceiverUnreachable where there is nobody, and ConfigurationError where the counter
    can't be read at the start.
    """
    started, began = means.clock.now(), means.stopwatch()
    password = (requests.url.credentials or "").partition(":")[2]
    hide = hiding([requests.account.auth_token, requests.account.kore_secret, password])
    observer = None
    if read_counter is not None:
        observer = CounterWatch(read_counter, quiet=times.quiet, stopwatch=means.stopwatch)
    session = ProbeSession(means, times, hide)
    run = _Run(requests, session, observer, restart, hide=hide, within=times.answer)
    missing = {case: missing_secrets(case, has) for case in cases}
    findings = await run.all([case for case in cases if missing[case] is None])
    findings += [not_run(case, why) for case, why in missing.items() if why is not None]
    taken = means.stopwatch() - began
    return report_of(requests.url.shown, started, taken, findings)


class _Run:
    def __init__(
        self,
        requests: RequestFactory,
        session: ProbeSession,
        observer: CounterWatch | None,
        restart: Restart | None,
        *,
        hide: Hide,
        within: float,
    ) -> None:
        self._requests = requests
        self._session = session
        self._counts = EffectCounter(observer)
        self._restart = restart
        self._hide = hide
        self._within = within
        self._methods = dict[Source, HttpMethod]()
        """By which method it accepts a source's plainest callback."""
        self._failed = set[Plan]()
        """The genuine callbacks that it does not accept."""

    async def all(self, cases: Sequence[ProbeCase]) -> list[CaseResult]:
        """Carry out all cases, in an order in which none disturbs another's count."""
        genuine = [case for case in cases if isinstance(case.plan, GenuineCase)]
        forged = [case for case in cases if isinstance(case.plan, ForgedCase)]
        again = [
            case
            for case in cases
            if isinstance(case.plan, (RepeatedCase, OutOfOrderCase, SameTokenCase, SameEventCase))
        ]
        restarts = [case for case in again if _is_restart(case)]
        whole = [
            case for case in cases if isinstance(case.plan, (ForgeriesHadNoEffect, AnsweredInTime))
        ]
        with suppress(ProbeStopped):
            await self._counts.try_out(_plainest(genuine), self._is_accepted)
        findings = [await self._one(case) for case in genuine[:1]]
        findings += await self._side_by_side(genuine[1:])
        self._counts.disturb()
        self._methods = _accepted_methods(findings)
        self._failed = {
            finding.case.plan for finding in findings if finding.verdict is CaseVerdict.FAILED
        }
        effect, refusals = await self._counts.during(0, lambda: self._side_by_side(forged))
        findings += refusals
        findings += [await self._one(case) for case in again if case not in restarts]
        findings += await self._restarted(restarts)
        return findings + [self._summed_up(case, effect) for case in whole]

    async def _is_accepted(self, good: GenuineCase) -> bool:
        answer = await self._session.send(self._requests.good(good))
        self._see_that_it_is_there(answer)
        return answer.is_accepted

    async def _side_by_side(self, cases: Sequence[ProbeCase]) -> list[CaseResult]:
        return await asyncio.gather(*map(self._one, cases))

    async def _one(self, case: ProbeCase) -> CaseResult:
        began = self._session.now()
        try:
            finding = await self._carry_out(case)
        except ProbeStopped as stopped:
            return not_run(case, str(stopped))
        return replace(finding, seconds=self._session.now() - began)

    async def _carry_out(self, case: ProbeCase) -> CaseResult:
        match case.plan:
            case GenuineCase() as good:
                request = self._requests.good(good)
                answer = await self._session.send(request)
                self._see_that_it_is_there(answer)
                return self._shown(judge_good(case, answer), request)
            case ForgedCase(source, method, forgery):
                request = forge(self._requests, forgery, source, method)
                answer = await self._session.send(request)
                return self._shown(judge_forged(case, answer), request)
            case RepeatedCase(source, again):
                return await self._repeated(case, source, again)
            case OutOfOrderCase(source):
                return await self._swapped(case, source)
            case SameTokenCase():
                return await self._same_token(case)
            case SameEventCase(source):
                return await self._same_event(case, source)
            case ForgeriesHadNoEffect() | AnsweredInTime():
                raise AssertionError("these are summed up at the end")
            case _:
                assert_never(case.plan)

    def _see_that_it_is_there(self, answer: ProbeResponse) -> None:
        if self._session.seconds or answer.failure not in _NOBODY_IS_THERE:
            return
        check = _NOBODY_IS_THERE[answer.failure]
        raise ReceiverUnreachable(
            f"{self._requests.url.shown} can't be reached: {answer.words}; {check}"
        )

    def _shown(self, finding: CaseResult, request: OutgoingRequest) -> CaseResult:
        return replace(finding, request=shown(request, self._hide))

    # ---- callbacks that come again -------------------------------------------------------------

    async def _repeated(self, case: ProbeCase, source: Source, again: RepeatTiming) -> CaseResult:
        method = self._method_for(source)
        if method is None:
            return not_run(case, _NONE_ACCEPTED)
        request = self._requests.request(source, method)
        effect, answers = await self._counts.during(
            1, lambda: _SENT_AGAIN[again](self._session, request)
        )
        return self._shown(judge_again(case, answers, effect), request)

    def _method_for(self, source: Source) -> HttpMethod | None:
        """Return by which method a callback is accepted; raises Stopped where that is the end."""
        self._session.see_that_it_goes_on()
        return self._methods.get(source)

    async def _swapped(self, case: ProbeCase, source: Source) -> CaseResult:
        method = self._method_for(source)
        if method is None:
            return not_run(case, _NONE_ACCEPTED)
        if GenuineCase(source, method, PayloadKind.SMS_COMMAND) in self._failed:
            return not_run(case, _NO_COMMANDS)
        mark = self._requests.mark()
        later, earlier = (
            self._requests.request(source, method, payload, mark=mark)
            for payload in (PayloadKind.SMS_COMMAND, PayloadKind.SMS_COMMAND_SENT)
        )
        answers = [await self._session.send(later)]
        answers += await self._session.until_accepted(earlier)
        if not answers[0].is_accepted:  # it may wait for the earlier one
            answers += await self._session.until_accepted(later)
        self._counts.disturb()
        return self._shown(judge_answers(case, answers), later)

    async def _same_token(self, case: ProbeCase) -> CaseResult:
        if not all(map(self._method_for, SOURCES)):
            return not_run(case, _NONE_ACCEPTED)
        # A UUID has the form of either source's token.
        token = self._requests.token(Source.TWILIO)
        return await self._one_after_the_other(
            case,
            [
                self._requests.request(source, self._methods[source], token=token)
                for source in SOURCES
            ],
        )

    async def _same_event(self, case: ProbeCase, source: Source) -> CaseResult:
        method = self._method_for(source)
        if method is None:
            return not_run(case, _NONE_ACCEPTED)
        mark = self._requests.mark()
        return await self._one_after_the_other(
            case, [self._requests.request(source, method, mark=mark) for _ in range(2)]
        )

    async def _one_after_the_other(
        self, case: ProbeCase, requests: Sequence[OutgoingRequest]
    ) -> CaseResult:
        """Send callbacks that look like one, each of which is to have its effect."""

        async def send() -> list[ProbeResponse]:
            return [
                answer
                for request in requests
                for answer in await self._session.until_accepted(request)
            ]

        effect, answers = await self._counts.during(len(requests), send)
        finding = judge_again(case, answers, effect, expected=len(requests))
        return self._shown(finding, requests[-1])

    async def _restarted(self, cases: Sequence[ProbeCase]) -> list[CaseResult]:
        """Carry out the cases of a restart, which is one for all of them."""
        requests = {
            case: self._requests.request(case.plan.source, self._methods[case.plan.source])
            for case in cases
            if isinstance(case.plan, RepeatedCase) and case.plan.source in self._methods
        }
        try:
            before = await self._around_restart(list(requests.values()))
        except (ProbeStopped, ConfigurationError) as failed:
            return [not_run(case, str(failed)) for case in cases]
        findings = [not_run(case, _NONE_ACCEPTED) for case in cases if case not in requests]
        for (case, request), (effect, answers) in zip(requests.items(), before, strict=True):
            findings.append(await self._after_restart(case, request, effect, answers))
        return findings

    async def _around_restart(
        self, requests: Sequence[OutgoingRequest]
    ) -> list[tuple[Effect, list[ProbeResponse]]]:
        """Send these, restart the receiver, and wait for it; return what came of the requests."""
        if self._restart is None:
            raise ConfigurationError(_NO_RESTART)
        self._session.see_that_it_goes_on()
        came = [await self._first(request) for request in requests]
        if requests:
            await self._restart(self._session.time_left())
            if not await self._session.until_it_is_up(self._knock):
                raise ConfigurationError(_NOT_UP)
            self._counts.disturb()
        return came

    async def _first(self, request: OutgoingRequest) -> tuple[Effect, list[ProbeResponse]]:
        return await self._counts.during(1, lambda: self._session.until_accepted(request))

    async def _after_restart(
        self, case: ProbeCase, request: OutgoingRequest, first: Effect, answers: list[ProbeResponse]
    ) -> CaseResult:
        # The counter may begin anew with the process, so each side of it is counted by itself.
        try:
            second, more = await self._counts.during(
                0, lambda: self._session.until_accepted(request)
            )
        except ProbeStopped as stopped:
            return not_run(case, str(stopped))
        finding = judge_again(case, [*answers, *more], _sum(first, second))
        return self._shown(finding, request)

    def _knock(self) -> OutgoingRequest:
        return forge(self._requests, Forgery.UNSIGNED, Source.KORE, HttpMethod.POST)

    def _summed_up(self, case: ProbeCase, effect: Effect) -> CaseResult:
        if isinstance(case.plan, ForgeriesHadNoEffect):
            return judge_effects(case, effect)
        return judge_times(case, self._session.seconds, within=self._within)


def _is_restart(case: ProbeCase) -> bool:
    return isinstance(case.plan, RepeatedCase) and case.plan.again is RepeatTiming.AFTER_RESTART


def _accepted_methods(findings: Sequence[CaseResult]) -> dict[Source, HttpMethod]:
    """Return by which method each source's plainest callback was accepted."""
    found = dict[Source, HttpMethod]()
    for finding in findings:
        match finding.case.plan:
            case GenuineCase(source, method, PayloadKind.SIM_UPDATE, adds_query=False):
                if finding.verdict is CaseVerdict.PASSED:
                    found.setdefault(source, method)
            case _:
                continue
    return found


def _sum(first: Effect, second: Effect) -> Effect:
    if isinstance(first, EffectNotSeen):
        return first
    return second if isinstance(second, EffectNotSeen) else first + second


def _plainest(cases: Sequence[ProbeCase]) -> list[GenuineCase]:
    """Return the first callback of each source, which is a plain one."""
    firsts = dict[Source, GenuineCase]()
    for case in cases:
        if isinstance(case.plan, GenuineCase):
            firsts.setdefault(case.plan.source, case.plan)
    return [*firsts.values()]


async def _in_series(session: ProbeSession, request: OutgoingRequest) -> list[ProbeResponse]:
    return [
        *await session.until_accepted(request),
        *await session.until_accepted(request),
    ]


async def _at_once(session: ProbeSession, request: OutgoingRequest) -> list[ProbeResponse]:
    return [
        *await session.send_at_once(request, copies=_COPIES),
        *await session.until_accepted(request),
    ]


async def _after_timeout(session: ProbeSession, request: OutgoingRequest) -> list[ProbeResponse]:
    await session.hang_up(request)
    return await session.until_accepted(request)


async def _after_drop(session: ProbeSession, request: OutgoingRequest) -> list[ProbeResponse]:
    await session.drop(request)
    return await session.until_accepted(request)


_SENT_AGAIN: Final[
    Mapping[RepeatTiming, Callable[[ProbeSession, OutgoingRequest], Awaitable[list[ProbeResponse]]]]
] = {
    RepeatTiming.IN_SERIES: _in_series,
    RepeatTiming.AT_ONCE: _at_once,
    RepeatTiming.AFTER_TIMEOUT: _after_timeout,
    RepeatTiming.AFTER_DROP: _after_drop,
}
