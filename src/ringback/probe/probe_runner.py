"""Run the probe's cases against a receiver, and make the report.

A few cases run at the same time. Cases that repeat a callback run one after the other, because
their effects are counted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.errors import ConfigurationError
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.http.outcome import AttemptFailure
from ringback.core.policy.source_policy import SourceName
from ringback.probe import evaluation, repeated_batches
from ringback.probe.case_kinds import (
    NOT_CERTAIN,
    AnsweredInTime,
    CallbackRepetition,
    CaseGroup,
    EventOfBothCase,
    ForgedCase,
    ForgeriesHadNoEffect,
    Forgery,
    GenuineCase,
    ProbeCase,
    ProbeSecret,
    RepeatedCallbackCase,
    RepeatedEventsCase,
    TokenCollisionCase,
)
from ringback.probe.counter_watch import CounterWatch, ReadCounter
from ringback.probe.effect_counter import EffectCounter
from ringback.probe.forgeries import forge
from ringback.probe.payloads import ProbeCallbackKind
from ringback.probe.probe_report import CaseResult, CaseVerdict, Effect, ProbeReport
from ringback.probe.receiver_faults import ReceiverFaultKind
from ringback.probe.redacted_response import ProbeResponse, hiding, shown
from ringback.probe.request_factory import ProbeRequestFactory
from ringback.probe.request_runner import (
    ProbeDependencies,
    ProbeSession,
    ProbeStopped,
    ProbeTimeouts,
)
from ringback.probe.root_causes import SignatureChecks, report_of
from ringback.probe.stream_cases import STREAM_DEADLINE

T = TypeVar("T")

Restart = Callable[[float], Awaitable[None]]
"""Restarts the receiver within the given seconds; raises ConfigurationError if that fails."""

_COPIES: Final = 3
_UNREACHABLE_ADVICE: Final[Mapping[AttemptFailure, str]] = {
    AttemptFailure.NAME: "check the host in the URL",
    AttemptFailure.CONNECT: "check that the receiver runs, and the host and port in the URL",
    AttemptFailure.CONNECT_TIMEOUT: "check the host and port in the URL, and firewalls",
    AttemptFailure.TLS: "check that the port speaks TLS, or give an http URL",
    AttemptFailure.CERTIFICATE_NAME: "check the host in the URL, and the receiver's certificate",
    AttemptFailure.CERTIFICATE_EXPIRED: "renew the receiver's certificate",
    AttemptFailure.CERTIFICATE_UNTRUSTED: "give the authority that signed it with --extra-ca-file,"
    " and check that the receiver sends its whole certificate chain",
}
_NO_RESTART: Final = "no command to restart the receiver is given (--restart)"
_NO_ANSWER: Final = "the receiver did not answer"
_NO_COMMANDS: Final = "the case needs callbacks about SMS Commands, but the receiver refuses them"
_NONE_ACCEPTED: Final = (
    "the case needs a simple callback, but the receiver accepts none from this source"
)


class ReceiverUnreachable(ConfigurationError):
    """The receiver's URL can't be reached: no connection, or no TLS."""


async def probe(
    cases: Sequence[ProbeCase],
    requests: ProbeRequestFactory,
    *,
    has: frozenset[ProbeSecret],
    dependencies: ProbeDependencies,
    timeouts: ProbeTimeouts,
    read_counter: ReadCounter | None = None,
    restart: Restart | None = None,
) -> ProbeReport:
    """Run these cases against a receiver, and return the report.

    `has` names the secrets that are known, at least one; cases that need another one are not run.
    Raises ReceiverUnreachable if the receiver can't be reached, and ConfigurationError if the
    counter can't be read at the start.
    """
    started, began = requests.now(), dependencies.stopwatch()
    hide = hiding(requests.secrets)
    watch = None
    if read_counter is not None:
        watch = CounterWatch(read_counter, quiet=timeouts.quiet, stopwatch=dependencies.stopwatch)
    session = ProbeSession(dependencies, timeouts, hide)
    run = _Run(requests, session, EffectCounter(watch), restart)
    missing = {case: evaluation.missing_secrets(case, has) for case in cases}
    results = await run.all([case for case in cases if missing[case] is None])
    results += [evaluation.not_run(case, why) for case, why in missing.items() if why is not None]
    taken = dependencies.stopwatch() - began
    return report_of(requests.url.shown, started, taken, results, cases)


@dataclass(slots=True)
class _Run:
    """Runs the cases of the probe against one receiver, and keeps the results so far."""

    requests: ProbeRequestFactory
    session: ProbeSession
    effects: EffectCounter
    restart: Restart | None
    refused: set[GenuineCase] = field(default_factory=set[GenuineCase])
    """The genuine callbacks that were not accepted."""
    methods: dict[SourceName, HttpMethod] = field(default_factory=dict[SourceName, HttpMethod])
    """For each source, the method by which callbacks are repeated."""

    async def all(self, cases: Sequence[ProbeCase]) -> list[CaseResult]:
        """Run all cases, in an order in which the effects of different cases don't mix."""
        genuine, forged, again, whole = (
            [case for case in cases if case.group is group] for group in CaseGroup
        )
        restarts = [case for case in again if _is_restart(case)]
        with suppress(ProbeStopped):
            await self.effects.try_out(_plainest(genuine), self._is_accepted)
        # The first case runs alone: if the receiver is unreachable, one request is enough.
        results = [await self._one(case) for case in genuine[:1]]
        results += await self._side_by_side(genuine[1:])
        self.effects.disturb()
        certain, others = _by_certainty(forged)
        effect, refusals = await self._count_twice(certain)
        results += [*refusals, *await self._side_by_side(others)]
        self.effects.disturb()
        self._choose_methods(results)
        results += [await self._one(case) for case in again if case not in restarts]
        results += await self._restarted(restarts)
        return results + [self._summed_up(case, effect) for case in whole]

    async def _count_twice(self, certain: Sequence[ProbeCase]) -> tuple[Effect, list[CaseResult]]:
        """Send forgeries and count their effects, a second time if there were some.

        The first ones may be late effects of the genuine callbacks before, if a receiver is slow.
        """
        effect, refusals = await self.effects.during(0, lambda: self._side_by_side(certain))
        if effect and not isinstance(effect, str):
            self.effects.disturb()
            effect, _ = await self.effects.during(0, lambda: self._side_by_side(certain))
        return effect, refusals

    def _choose_methods(self, results: Sequence[CaseResult]) -> None:
        """Choose the methods by which each source's callbacks are repeated, preferably POST."""
        found = SignatureChecks.of(results)
        genuine = {plan: result.verdict for plan, result in found.callbacks}
        self.refused = {plan for plan, verdict in genuine.items() if verdict is CaseVerdict.FAILED}
        self.methods = {
            source: method
            for method in (HttpMethod.GET, HttpMethod.POST)  # the later one wins
            for source in dict.fromkeys(plan.source for plan in genuine)
            if method in found.telling_methods
            and CaseVerdict.PASSED in (genuine.get(plan) for plan in _plain_cases(source, method))
        }

    async def _is_accepted(self, plan: GenuineCase) -> bool:
        if plan.method is HttpMethod.GET and self.session.is_unanswered:
            raise ProbeStopped(_NO_ANSWER)  # each further request would cost a whole time-out
        answer = await self.session.send(self.requests.genuine(plan))
        self._check_reachable(answer)
        return answer.is_accepted

    async def _side_by_side(self, cases: Sequence[ProbeCase]) -> list[CaseResult]:
        return await asyncio.gather(*map(self._one, cases))

    async def _one(self, case: ProbeCase) -> CaseResult:
        began = self.session.now()
        try:
            result = await self._carry_out(case)
        except ProbeStopped as stopped:
            return evaluation.not_run(case, str(stopped))
        return replace(result, seconds=self.session.now() - began)

    async def _carry_out(self, case: ProbeCase) -> CaseResult:
        match case.plan:
            case GenuineCase() as plan:
                request = self.requests.genuine(plan)
                answer = await self.session.send(request)
                self._check_reachable(answer)
                result = evaluation.judge_genuine(
                    case, answer, is_other_url=self.requests.is_other_url(plan)
                )
                return self._shown(result, request)
            case ForgedCase(source, method, forgery, of_stream):
                request = forge(self.requests, forgery, source, method, of_stream=of_stream)
                answer = await self.session.send(request)
                return self._shown(evaluation.judge_forged(case, answer), request)
            case RepeatedCallbackCase(source, CallbackRepetition.SWAPPED_ORDER):
                return await self._swapped(case, source)
            case RepeatedCallbackCase(source, CallbackRepetition.SAME_EVENT):
                return await self._same_event(case, source)
            case RepeatedCallbackCase(source, CallbackRepetition.FORGERY_FIRST):
                return await self._forgery_first(case, source)
            case RepeatedCallbackCase(source, again):
                request = self.requests.request(source, self._method_for(source))
                effect, answers = await self.effects.during(
                    1, lambda: _send_again(self.session, request, again)
                )
                return self._shown(evaluation.judge_repeat(case, answers, effect), request)
            case TokenCollisionCase(sources):
                return await self._same_token(case, sources)
            case RepeatedEventsCase(source, again):
                self._method_for(source)
                requests = repeated_batches.batches(self.requests, source, again)
                return await self._batches(case, requests)
            case EventOfBothCase(sources):
                for source in sources:
                    self._method_for(source)
                return await self._batches(
                    case, repeated_batches.same_event(self.requests, sources)
                )
            case ForgeriesHadNoEffect() | AnsweredInTime():
                raise AssertionError("these are summed up at the end")

    def _check_reachable(self, answer: ProbeResponse) -> None:
        if self.session.seconds or answer.failure not in _UNREACHABLE_ADVICE:
            return
        check = _UNREACHABLE_ADVICE[answer.failure]
        raise ReceiverUnreachable(
            f"{self.requests.url.shown} can't be reached: {answer.words}; {check}"
        )

    def _shown(self, result: CaseResult, request: OutgoingRequest) -> CaseResult:
        signatures = frozenset[str]().union(
            *map(self.requests.signature_headers, self.requests.sources)
        )
        return replace(result, request=shown(request, self.session.hide, signatures))

    # ---- callbacks that come again -------------------------------------------------------------

    def _method_for(self, source: SourceName) -> HttpMethod:
        """Return a method by which the receiver accepts this source's callbacks.

        Raises ProbeStopped if it accepts none, or nothing more may be sent.
        """
        self.session.check_not_stopped()
        if source not in self.methods:
            raise ProbeStopped(_NONE_ACCEPTED)
        return self.methods[source]

    async def _swapped(self, case: ProbeCase, source: SourceName) -> CaseResult:
        method = self._method_for(source)
        if GenuineCase(source, method, ProbeCallbackKind.SMS_COMMAND) in self.refused:
            return evaluation.not_run(case, _NO_COMMANDS)
        mark, make = self.requests.mark(), self.requests
        later, earlier = (
            make.rendered(make.callback(source, method, payload, mark=mark))
            for payload in (ProbeCallbackKind.SMS_COMMAND, ProbeCallbackKind.SMS_COMMAND_SENT)
        )
        answers = [await self.session.send(later)]
        answers += await self.session.until_accepted(earlier)
        if not answers[0].is_accepted:  # the receiver may accept it after the earlier callback
            answers += await self.session.until_accepted(later)
        self.effects.disturb()
        return self._shown(evaluation.judge_answers(case, answers), later)

    async def _same_token(self, case: ProbeCase, sources: Sequence[SourceName]) -> CaseResult:
        # A receiver takes any printable token from any source, such as Twilio's UUIDs from KORE.
        token = self.requests.token(sources[0])
        callbacks = [
            self.requests.callback(source, self._method_for(source), token=token)
            for source in sources
        ]
        return await self._one_after_the_other(case, callbacks)

    async def _same_event(self, case: ProbeCase, source: SourceName) -> CaseResult:
        method, mark = self._method_for(source), self.requests.mark()
        callbacks = [self.requests.callback(source, method, mark=mark) for _ in range(2)]
        return await self._one_after_the_other(case, callbacks)

    async def _forgery_first(self, case: ProbeCase, source: SourceName) -> CaseResult:
        """Send a forgery, then the genuine callback with its token, and count only the latter."""
        callback = self.requests.callback(source, self._method_for(source))
        forgery = self.requests.rendered(callback, self.requests.stranger())
        genuine = self.requests.rendered(callback)
        forged = await self.session.send(forgery)
        self.effects.disturb()
        effect, answers = await self._counted(1, genuine)
        return self._shown(evaluation.judge_after_forgery(case, forged, answers, effect), genuine)

    async def _one_after_the_other(
        self, case: ProbeCase, callbacks: Sequence[CallbackRecord]
    ) -> CaseResult:
        """Send similar callbacks in turn; the case fails unless each has an effect of its own."""
        requests = [*map(self.requests.rendered, callbacks)]

        async def send() -> list[ProbeResponse]:
            return [
                answer
                for request in requests
                for answer in await self.session.until_accepted(request)
            ]

        effect, answers = await self.effects.during(len(requests), send)
        result = evaluation.judge_repeat(case, answers, effect, expected=len(requests))
        return self._shown(result, requests[-1])

    async def _batches(
        self, case: ProbeCase, requests: Sequence[tuple[OutgoingRequest, int]]
    ) -> CaseResult:
        """Send batches in turn, each with the number of its new events, and count their effects."""
        sent = list[evaluation.BatchAnswers]()
        for request, expected in requests:
            effect, answers = await self._counted(expected, request)
            sent.append(evaluation.BatchAnswers(answers, effect, expected))
        return self._shown(evaluation.judge_batches(case, sent), requests[-1][0])

    async def _restarted(self, cases: Sequence[ProbeCase]) -> list[CaseResult]:
        """Run all cases about restarts with a single restart, because a restart may take long."""
        requests = {
            case: self.requests.request(case.plan.source, self.methods[case.plan.source])
            for case in cases
            if isinstance(case.plan, RepeatedCallbackCase) and case.plan.source in self.methods
        }
        try:
            if self.restart is None:
                raise ProbeStopped(_NO_RESTART)
            self.session.check_not_stopped()
            before = {case: await self._counted(1, request) for case, request in requests.items()}
            if before:
                await self.restart(self.session.time_left())
                # An unsigned request: a receiver refuses it, so it has no effect to count.
                source = next(iter(self.methods))
                await self.session.until_it_is_up(
                    lambda: forge(self.requests, Forgery.UNSIGNED, source, HttpMethod.POST)
                )
                self.effects.disturb()
        except (ProbeStopped, ConfigurationError) as failed:
            return [evaluation.not_run(case, str(failed)) for case in cases]
        return [
            await self._after_restart(case, requests[case], *before[case])
            if case in before
            else evaluation.not_run(case, _NONE_ACCEPTED)
            for case in cases
        ]

    async def _counted(
        self, expected: int, request: OutgoingRequest
    ) -> tuple[Effect, list[ProbeResponse]]:
        return await self.effects.during(expected, lambda: self.session.until_accepted(request))

    async def _after_restart(
        self, case: ProbeCase, request: OutgoingRequest, first: Effect, answers: list[ProbeResponse]
    ) -> CaseResult:
        # A restart may reset the receiver's counter, so count before and after it separately.
        try:
            second, more = await self._counted(0, request)
        except ProbeStopped as stopped:
            return evaluation.not_run(case, str(stopped))
        result = evaluation.judge_repeat(case, [*answers, *more], _sum(first, second))
        return self._shown(result, request)

    def _summed_up(self, case: ProbeCase, effect: Effect) -> CaseResult:
        if isinstance(case.plan, ForgeriesHadNoEffect):
            return evaluation.judge_effects(case, effect)
        within = self.session.timeouts.answer
        if case.fault is ReceiverFaultKind.TOO_SLOW_FOR_STREAMS:
            within = min(within, STREAM_DEADLINE)
        return evaluation.judge_times(case, self.session.seconds, within=within)


def _is_restart(case: ProbeCase) -> bool:
    return (
        isinstance(case.plan, RepeatedCallbackCase)
        and case.plan.again is CallbackRepetition.AFTER_RESTART
    )


def _by_certainty(forged: Sequence[ProbeCase]) -> tuple[list[ProbeCase], list[ProbeCase]]:
    """Return the cases with certain forgeries, whose effects are counted, and the others."""
    others = [
        case
        for case in forged
        if isinstance(case.plan, ForgedCase) and case.plan.forgery in NOT_CERTAIN
    ]
    return [case for case in forged if case not in others], others


def _sum(first: Effect, second: Effect) -> Effect:
    if isinstance(first, str):
        return first
    return second if isinstance(second, str) else first + second


def _plain_cases(source: SourceName, method: HttpMethod) -> tuple[GenuineCase, GenuineCase]:
    """Return the case of a source's ordinary SIM update, and that of its ordinary event."""
    return (
        GenuineCase(source, method, ProbeCallbackKind.SIM_UPDATE),
        GenuineCase(source, method, ProbeCallbackKind.CONNECTION_EVENT, of_stream=True),
    )


def _plainest(cases: Sequence[ProbeCase]) -> list[GenuineCase]:
    """Return the cases with the plainest callbacks or events, by source and method, POST first."""
    plans = (case.plan for case in cases)
    plain = [
        plan
        for plan in plans
        if isinstance(plan, GenuineCase) and plan in _plain_cases(plan.source, plan.method)
    ]
    return sorted(plain, key=lambda plan: plan.method is not HttpMethod.POST)


async def _send_again(
    session: ProbeSession, request: OutgoingRequest, again: CallbackRepetition
) -> list[ProbeResponse]:
    """Send a callback more than once, in the way `again`, and return the answers."""
    first = list[ProbeResponse]()
    match again:
        case CallbackRepetition.IN_SERIES:
            first = await session.until_accepted(request)
        case CallbackRepetition.AT_ONCE:
            first = await session.send_at_once(request, copies=_COPIES)
        case CallbackRepetition.AFTER_TIMEOUT:
            await session.hang_up(request)
        case CallbackRepetition.AFTER_DROP:
            await session.drop(request)
        case _:
            raise AssertionError("these are carried out in other ways")
    return [*first, *await session.until_accepted(request)]
