"""The `Receiver`: verifies callbacks, detects duplicates, and runs the application's work."""

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ringback.core.errors import ConfigurationError
from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.sources.source_definition import CallbackSourceDefinition
from ringback.receiver.callback import Callback
from ringback.receiver.dedupe.dedupe_store import (
    AsyncDedupeStore,
    Claimed,
    ClaimedByOther,
    ClaimWon,
    DedupeClaimRequest,
    DedupeStore,
    DedupeUnavailable,
    WorkAlreadyDone,
    asynchronous,
    blocking,
)
from ringback.receiver.dedupe.lease_renewal import lease_renewal
from ringback.receiver.event_batches import BatchProgress, event_key, split_batch
from ringback.receiver.request_verifier import RequestVerifier, read_secrets, read_source_secrets
from ringback.receiver.results import Accepted, Answer, Duplicate, Result, answer_to
from ringback.receiver.system_clock import now, random_hex
from ringback.receiver.verification import (
    AnyHeaders,
    ReceivedRequest,
    ReceiverSecrets,
    Rejected,
    Verdict,
    read_request,
)

if TYPE_CHECKING:
    from asyncio import Task

log: Final = logging.getLogger("ringback.receiver")

Work = Callable[[Callback], object]
_NONE: Final[Mapping[SourceName, CallbackSourceDefinition]] = MappingProxyType({})
_NO_SECRETS: Final[Mapping[SourceName, Sequence[str]]] = MappingProxyType({})
_LONGEST: Final = timedelta(days=36_500)
_UNAVAILABLE: Final = Answer(503, "unavailable", {"Retry-After": "5"})
_COROUTINE: Final = "the work is a coroutine, which `handle` can't await; use `handle_async`"
_METHODS_OF_A_STORE: Final = ("claim", "renew", "done", "release")


class Receiver:
    """Verifies the callbacks sent to one URL, or to many, and detects duplicates.

    A `Receiver` may be used from several threads at once.
    """

    def __init__(
        self,
        url: str | Callable[[ReceivedRequest], str | None],
        *,
        twilio_auth_tokens: Sequence[str] = (),
        kore_secrets: Sequence[str] = (),
        twilio_shared_keys: Sequence[str] = (),
        pending_kore_secrets: Sequence[str] = (),
        accept_unsigned_kore: bool = False,
        sources: Mapping[SourceName, CallbackSourceDefinition] = _NONE,
        source_secrets: Mapping[SourceName, Sequence[str]] = _NO_SECRETS,
        max_age: timedelta | None = None,
        require_token: bool = False,
        refuse_unknown_names: bool = False,
        seen: DedupeStore | AsyncDedupeStore | None = None,
        lease: timedelta = timedelta(seconds=60),
        keep: timedelta | Mapping[SourceName, timedelta] = timedelta(days=7),
        same_event_within: timedelta | None = None,
        event_scope: str | None = None,
        on_result: Callable[[Result], object] | None = None,
        clock: Callable[[], datetime] = now,
    ) -> None:
        """Configure a receiver with its URL, its secrets, and optionally a store for duplicates.

        `url` is the callback URL exactly as it is configured at the sender, with its fragment. To
        serve several tenants, pass a template with placeholders in its host or path
        (`https://a.example/{tenant}/in`), or a function that takes the request and returns such a
        URL, or None if the request belongs to no URL.

        Pass several secrets of a kind while one replaces another. Shared keys verify the requests
        whose headers say that Twilio signed them with a shared key. A pending KORE secret verifies
        nothing; it only explains why a callback is rejected. `accept_unsigned_kore` accepts
        unsigned KORE callbacks, which KORE sends for accounts without a secret; anybody can forge
        those.

        `sources` are further sources, by name, as `read_sources` reads them from a settings file,
        and `source_secrets` are their secrets.

        `max_age` rejects callbacks whose Date header differs more than this from the current time.
        The header isn't signed, so this stops late deliveries but not forgers. Twilio's requests
        have no Date and are accepted. The time in a header of another source is signed if its
        signature scheme covers it.

        `require_token` rejects callbacks without an idempotency token. Otherwise, they are accepted
        as new each time, and counted by `without_token`. It does not apply to event streams, whose
        events have ids.

        `refuse_unknown_names` rejects forms with names that no callback of their kind has, and
        forms of no known kind. By default, those are accepted, since the sources may add names; the
        callback lists them as `unknown_names`.

        `seen` is the store of idempotency tokens, kept separately for each source: for `lease`
        while the work is under way, and for `keep` after that. The lease is renewed during the
        work. With `same_event_within`, a callback of Twilio or KORE is also a duplicate if the
        other of the two has sent the same content to the same URL within this time, as happens
        during a migration.

        `event_scope` is what the events of streams are processed for. By default, an event that
        comes to two URLs is processed for each of them, even if their receivers share a store.
        Receivers with the same scope process it once among them.

        `on_result` is called with each Accepted, Duplicate or Rejected before anything else is done
        with it, for logs and metrics; if `handle` receives a batch of an event stream, with that of
        each event. In an event loop, it must not block. If it raises, the exception is only logged.

        Raises InvalidCallbackUrl if the URL is invalid, and ConfigurationError if another argument
        is.
        """
        secrets = ReceiverSecrets(
            twilio_auth_tokens=read_secrets("twilio_auth_tokens", twilio_auth_tokens),
            kore_secrets=read_secrets("kore_secrets", kore_secrets),
            twilio_shared_keys=read_secrets("twilio_shared_keys", twilio_shared_keys),
            pending_kore_secrets=read_secrets("pending_kore_secrets", pending_kore_secrets),
            of_other_sources=read_source_secrets(sources, source_secrets),
        )
        names = [*Source, *sources]
        self._keep = keep if isinstance(keep, Mapping) else dict.fromkeys(names, keep)
        self._lease = lease
        self._within = same_event_within
        self._event_scope = event_scope
        self._check_settings(names, max_age=max_age, seen=seen)
        if not (
            twilio_auth_tokens
            or kore_secrets
            or twilio_shared_keys
            or any(source_secrets.values())
            or accept_unsigned_kore
        ):
            raise ConfigurationError(
                "a receiver without a secret would reject everything: give it"
                " twilio_auth_tokens, kore_secrets, twilio_shared_keys or source_secrets"
            )
        self._verifier = RequestVerifier(
            url,
            secrets,
            sources=sources,
            accept_unsigned_kore=accept_unsigned_kore,
            require_token=require_token,
            refuse_unknown_names=refuse_unknown_names,
            max_age=max_age,
            clock=clock,
        )
        self._seen = seen
        self._renewal = lease_renewal(seen, lease)
        self._on_result = on_result
        self._without_token = 0
        self._lock = Lock()
        self._doing = set["Task[None]"]()

    def _check_settings(
        self,
        names: Sequence[SourceName],
        *,
        max_age: timedelta | None,
        seen: DedupeStore | AsyncDedupeStore | None,
    ) -> None:
        missing = [str(name) for name in names if name not in self._keep]
        if missing:
            raise ConfigurationError(
                f"keep: no duration for {' and '.join(missing)}; give one for each source"
            )
        times = {"max_age": max_age, "lease": self._lease, "same_event_within": self._within}
        for name, given in (*times.items(), *((f"keep of {n}", self._keep[n]) for n in names)):
            _check_time(name, given)
        if self._within is not None and seen is None:
            raise ConfigurationError("same_event_within needs a dedupe store; give one as `seen`")
        lacking = [name for name in _METHODS_OF_A_STORE if not hasattr(seen, name)]
        if seen is not None and lacking:
            raise ConfigurationError(
                f"seen: {type(seen).__name__} has no {' and no '.join(lacking)}; see DedupeStore"
            )

    @property
    def without_token(self) -> int:
        """How many callbacks without an idempotency token this object has accepted.

        A repeat of such a callback is not recognised.
        """
        return self._without_token

    # ---- one request ---------------------------------------------------------------------------

    def receive(
        self, method: str, headers: AnyHeaders, body: bytes = b"", *, target: str = ""
    ) -> Result:
        """Verify a request and, if its callback is new, claim the work that it causes.

        Returns Accepted, Duplicate or Rejected.

        `target` is the path and the query from the request line, exactly as received. A GET can't
        be verified without it; for a POST it makes it possible to reject a wrong query.

        Raises DedupeUnavailable if the store can't be reached, TypeError if it is asynchronous, and
        whatever `check` raises.
        """
        return self.receive_request(read_request(method, headers, body, target=target))

    def check(
        self, method: str, headers: AnyHeaders, body: bytes = b"", *, target: str = ""
    ) -> Verdict:
        """Verify a request's signature and return Verified or Rejected; don't look for duplicates.

        Never raises because of the request's content. Raises InvalidCallbackUrl if the function
        passed as `url` returns an invalid URL.
        """
        return self._verifier.check(method, headers, body, target)

    def check_request(self, request: ReceivedRequest) -> Verdict:
        """Do the same as `check` for a request that is a ReceivedRequest already."""
        return self._verifier.check_request(request)[0]

    def receive_request(self, request: ReceivedRequest) -> Result:
        """Do the same as `receive` for a request that is a ReceivedRequest already."""
        return self._receive(self._verify(request))

    async def receive_async(self, request: ReceivedRequest) -> Result:
        """Do the same as `receive_request` in an event loop, with any store.

        The store never blocks the event loop: unless it is asynchronous, it is called in a thread.
        """
        return await self._receive_async(self._verify(request))

    async def _receive_async(self, verified: Callback | Rejected) -> Result:
        if isinstance(verified, Rejected):
            result = verified
        elif self._seen is None:
            result = self._claim(verified)
        elif (store := asynchronous(self._seen)) is None:
            from asyncio import to_thread  # noqa: PLC0415 (synchronous receivers need no asyncio)

            result = await to_thread(self._claim, verified)
        else:
            visit = self._visit(verified)
            claimed = None if visit is None else await store.claim(visit)
            result = self._result(verified, visit, claimed)
        self._report(result)
        return result

    def _receive(self, verified: Callback | Rejected) -> Result:
        result = verified if isinstance(verified, Rejected) else self._claim(verified)
        self._report(result)
        return result

    def _claim(self, callback: Callback) -> Accepted | Duplicate:
        store = None if self._seen is None else blocking(self._seen)
        visit = self._visit(callback)
        claimed = None if visit is None or store is None else store.claim(visit)
        return self._result(callback, visit, claimed)

    def _verify(self, request: ReceivedRequest) -> Callback | Rejected:
        checked = self._verifier.check_request(request)
        if checked[1] is None:
            return checked[0]
        verdict, found = checked
        return Callback(
            source=verdict.source,
            token=verdict.token,
            url=found.url.text,
            request=request,
            is_signed=verdict.is_signed,
            url_values=found.values,
        )

    def _visit(self, callback: Callback) -> DedupeClaimRequest | None:
        """Return the request to claim a callback, or an event of a batch.

        None if there is no store, or nothing to recognise a repeat by.
        """
        if self._seen is None:
            return None
        if callback.cloud_event is not None:
            key, content = event_key(callback, self._event_scope), None
        else:
            key = None if callback.token is None else (callback.source, callback.token)
            content = None if self._within is None else callback.fingerprint
        if key is None:
            return None
        source, token = key
        return DedupeClaimRequest(
            source=source,
            token=token,
            owner=random_hex(),
            lease=self._lease,
            keep=self._keep[callback.source],
            content=content,
            same_event_within=(self._within or timedelta(0)) if content else timedelta(0),
        )

    def _result(
        self, callback: Callback, visit: DedupeClaimRequest | None, claimed: Claimed | None
    ) -> Accepted | Duplicate:
        match claimed:
            case None:
                return Accepted(callback)
            case ClaimWon(is_retry):
                callback = replace(callback, is_retry=True) if is_retry else callback
                return Accepted(callback, self._seen, visit, self._renewal)
            case ClaimedByOther(for_another):
                return Duplicate(callback, for_another)
            case WorkAlreadyDone():
                return Duplicate(callback)

    def _report(self, result: Result) -> None:
        if isinstance(result, Accepted) and _is_unmarked(result.callback):
            with self._lock:
                self._without_token += 1
        if self._on_result is not None:
            try:
                self._on_result(result)
            except Exception:
                log.exception("on_result failed; the callback was received all the same")

    # ---- one request and its work --------------------------------------------------------------

    def handle(self, request: ReceivedRequest, work: Work) -> Answer:
        """Receive a request, call `work` if the callback is new, and return the answer to send.

        Each rejection is logged, with its reason, to the logger `ringback.receiver`. An exception
        raised by `work` is passed on, after the claim is released so that the next delivery can try
        again. If the store can't be reached, the answer is a 503. Raises TypeError if `work` is a
        coroutine function, or if the store is asynchronous.

        Of a batch of an event stream, `work` is called with a callback for each event that is new.
        If it raises, the other events are processed all the same, and then EventsNotDone is raised;
        the next delivery has only the failed ones to do.
        """
        verified = self._verify(request)
        batch = None if isinstance(verified, Rejected) else split_batch(verified)
        try:
            if batch is not None:
                return self._handle_batch(batch, work)
            result = self._receive(verified)
            if isinstance(result, Accepted):
                with result:
                    _do(work, result.callback)
        except DedupeUnavailable as unavailable:
            return _unavailable(unavailable)
        return _answer(result)

    def _handle_batch(self, batch: Sequence[Callback], work: Work) -> Answer:
        if inspect.iscoroutinefunction(work):
            raise TypeError(_COROUTINE)
        progress = BatchProgress.of(batch)
        for event in batch:
            result = self._receive(event)
            try:
                if isinstance(result, Accepted):
                    with result:
                        _do(work, result.callback)
                progress.note(result)
            except DedupeUnavailable:
                raise
            except Exception as failure:  # noqa: BLE001 (whatever the application raises)
                progress.fail(event, failure)
        return progress.answer()

    async def handle_async(
        self, request: ReceivedRequest, work: Work | Callable[[Callback], Awaitable[object]]
    ) -> Answer:
        """Do the same as `handle` in an event loop, with any store.

        `work` that isn't async runs in a thread. A thread can't be cancelled: if this coroutine is
        cancelled, the claim is kept until the work has ended.
        """
        verified = self._verify(request)
        batch = None if isinstance(verified, Rejected) else split_batch(verified)
        try:
            if batch is not None:
                return await self._handle_batch_async(batch, work)
            result = await self._receive_async(verified)
            if isinstance(result, Accepted):
                await self._do_async(result, work)
        except DedupeUnavailable as unavailable:
            return _unavailable(unavailable)
        return _answer(result)

    async def _handle_batch_async(
        self, batch: Sequence[Callback], work: Work | Callable[[Callback], Awaitable[object]]
    ) -> Answer:
        progress = BatchProgress.of(batch)
        for event in batch:
            result = await self._receive_async(event)
            try:
                if isinstance(result, Accepted):
                    await self._do_async(result, work)
                progress.note(result)
            except DedupeUnavailable:
                raise
            except Exception as failure:  # noqa: BLE001 (whatever the application raises)
                progress.fail(event, failure)
        return progress.answer()

    async def _do_async(
        self, accepted: Accepted, work: Work | Callable[[Callback], Awaitable[object]]
    ) -> None:
        if inspect.iscoroutinefunction(work):
            async with accepted:
                await work(accepted.callback)
        else:
            await self._do_in_thread(accepted, work)

    async def _do_in_thread(self, accepted: Accepted, work: Work) -> None:
        from asyncio import create_task, shield  # noqa: PLC0415 (as in `receive_async`)

        doing = create_task(_do_async(accepted, work))
        self._doing.add(doing)  # the event loop itself does not keep a task alive
        doing.add_done_callback(self._doing.discard)
        await shield(doing)

    def refuse(self, rejected: Rejected) -> Answer:
        """Report a rejection that an adapter has made, as `handle` does, and return the answer."""
        self._report(rejected)
        return _answer(rejected)


def _check_time(name: str, given: timedelta | None) -> None:
    if given is not None and given <= timedelta(0):
        raise ConfigurationError(f"{name} is {given}; it must be longer than zero")
    if given is not None and given > _LONGEST:
        raise ConfigurationError(f"{name} is {given}; it must be at most {_LONGEST}")


def _answer(result: Result) -> Answer:
    if not isinstance(result, Rejected):
        return result.answer()
    log.warning("rejected (%s): %s", result.reason, result.explanation)
    return answer_to(result)


def _unavailable(unavailable: DedupeUnavailable) -> Answer:
    log.error("answered with a 503: %s", unavailable)
    return _UNAVAILABLE


def _is_unmarked(callback: Callback) -> bool:
    """Return True if nothing shows a repeat of this callback."""
    return callback.token is None and callback.cloud_event is None


def _do(work: Work, callback: Callback) -> None:
    came = work(callback)
    if inspect.iscoroutine(came):
        came.close()
        raise TypeError(_COROUTINE)


async def _do_async(accepted: Accepted, work: Work) -> None:
    from asyncio import to_thread  # noqa: PLC0415 (as in `receive_async`)

    async with accepted:
        came = await to_thread(work, accepted.callback)
        if inspect.isawaitable(came):  # a function that returns a coroutine, or an object
            await came
