"""The `Receiver`: verifies callbacks, detects duplicates, and runs the application's work."""

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from ringback.core.errors import ConfigurationError
from ringback.core.policy.source_policy import Source
from ringback.receiver.callback import Callback, read_date
from ringback.receiver.dedupe.dedupe_store import (
    ClaimedByOther,
    ClaimWon,
    DedupeClaimRequest,
    DedupeStore,
    DedupeUnavailable,
    WorkAlreadyDone,
)
from ringback.receiver.results import Accepted, Answer, Duplicate, Result, answer_to
from ringback.receiver.system_clock import now, random_hex
from ringback.receiver.verification.configured_urls import (
    ConfiguredReceiverUrl,
    UrlTemplateMatch,
    read_urls,
)
from ringback.receiver.verification.received_request import ReceivedRequest
from ringback.receiver.verification.signature_candidates import ReceiverSecrets
from ringback.receiver.verification.signature_headers import SignatureClaim, find_claim, read_claim
from ringback.receiver.verification.verdict import Reason, Rejected, Verdict, Verified
from ringback.receiver.verification.verify import EMPTY_SIGNATURE, explain, find_fault

log: Final = logging.getLogger("ringback.receiver")

AnyHeaders = (
    Mapping[str, str]
    | Iterable[tuple[str, str]]
    | Mapping[bytes, bytes]
    | Iterable[tuple[bytes, bytes]]
)
Work = Callable[[Callback], object]
_LONGEST: Final = timedelta(days=36_500)
_UNAVAILABLE: Final = Answer(503, "unavailable", {"Retry-After": "5"})


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
        max_age: timedelta | None = None,
        seen: DedupeStore | None = None,
        lease: timedelta = timedelta(seconds=60),
        keep: timedelta | Mapping[Source, timedelta] = timedelta(days=7),
        same_event_within: timedelta | None = None,
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

        `max_age` rejects callbacks whose Date header differs more than this from the current time.
        The header isn't signed, so this stops late deliveries but not forgers. Twilio's requests
        have no Date and are accepted.

        `seen` is the store of idempotency tokens, kept separately for each source: for `lease`
        while the work is under way, and for `keep` after that. The lease must be longer than the
        longest work. With `same_event_within`, a callback is also a duplicate if the other source
        has sent the same content to the same URL within this time, as happens during a migration.

        Raises InvalidCallbackUrl if the URL is invalid, and ConfigurationError if another argument
        is.
        """
        secrets = ReceiverSecrets(
            twilio_auth_tokens=_secrets("twilio_auth_tokens", twilio_auth_tokens),
            kore_secrets=_secrets("kore_secrets", kore_secrets),
            twilio_shared_keys=_secrets("twilio_shared_keys", twilio_shared_keys),
            pending_kore_secrets=_secrets("pending_kore_secrets", pending_kore_secrets),
        )
        self._only, self._find = read_urls(url, secrets)
        self._accepts_unsigned = accept_unsigned_kore
        self._max_age = max_age
        self._seen = seen
        self._lease = lease
        self._keep = keep if isinstance(keep, Mapping) else dict.fromkeys(Source, keep)
        self._within = same_event_within
        self._clock = clock
        self._check_settings(
            has_secret=bool(twilio_auth_tokens or kore_secrets or twilio_shared_keys)
        )

    def _check_settings(self, *, has_secret: bool) -> None:
        if not has_secret and not self._accepts_unsigned:
            raise ConfigurationError(
                "a receiver without a secret would reject everything: give it"
                " twilio_auth_tokens, kore_secrets or twilio_shared_keys"
            )
        missing = [str(source) for source in Source if source not in self._keep]
        if missing:
            raise ConfigurationError(
                f"keep: no duration for {' and '.join(missing)}; give one for each source"
            )
        times = {"max_age": self._max_age, "lease": self._lease, "same_event_within": self._within}
        for name, given in (*times.items(), *((f"keep of {s}", self._keep[s]) for s in Source)):
            _check_time(name, given)
        if self._within is not None and self._seen is None:
            raise ConfigurationError("same_event_within needs a dedupe store; give one as `seen`")

    # ---- one request ---------------------------------------------------------------------------

    def receive(
        self, method: str, headers: AnyHeaders, body: bytes = b"", *, target: str = ""
    ) -> Result:
        """Verify a request and, if its callback is new, claim the work that it causes.

        Returns Accepted, Duplicate or Rejected.

        `target` is the path and the query from the request line, exactly as received. A GET can't
        be verified without it; for a POST it makes it possible to reject a wrong query.

        Raises DedupeUnavailable if the store can't be reached, and whatever `check` raises.
        """
        return self.receive_request(read_request(method, headers, body, target=target))

    def check(
        self, method: str, headers: AnyHeaders, body: bytes = b"", *, target: str = ""
    ) -> Verdict:
        """Verify a request's signature and return Verified or Rejected; don't look for duplicates.

        Never raises because of the request's content. Raises InvalidCallbackUrl if the function
        passed as `url` returns an invalid URL.
        """
        given: Any = headers
        # Making a ReceivedRequest would take a quarter of the whole check.
        if self._only is not None and type(headers) is dict:
            claim = find_claim(given)
            if claim is not None:
                return self._judge(claim, self._only.url, method, target, body, given=given)
        return self.check_request(read_request(method, given, body, target=target))

    def receive_request(self, request: ReceivedRequest) -> Result:
        """Do the same as `receive` for a request that is a ReceivedRequest already."""
        checked = self._check(request)
        if checked[1] is None:
            return checked[0]
        return self._claim(_callback(*checked, request))

    def check_request(self, request: ReceivedRequest) -> Verdict:
        """Do the same as `check` for a request that is a ReceivedRequest already."""
        return self._check(request)[0]

    def _check(
        self, request: ReceivedRequest
    ) -> tuple[Verified, UrlTemplateMatch] | tuple[Rejected, None]:
        found = self._only
        claim = None if found is None else find_claim(request.by_name)
        if claim is None or found is None:
            claim = read_claim(request)
            if isinstance(claim, Rejected):
                return claim, None
            found = self._find(request)
            if found is None:
                return explain(_at_no_url(request.target), request), None
        method, target, body = request.method, request.target, request.body
        verdict = self._judge(claim, found.url, method, target, body, given=request)
        return (verdict, None) if isinstance(verdict, Rejected) else (verdict, found)

    def _judge(
        self,
        claim: SignatureClaim,
        url: ConfiguredReceiverUrl,
        method: str,
        target: str,
        body: bytes,
        *,
        given: ReceivedRequest | Mapping[str, str],
    ) -> Verdict:
        """Return the verdict on a request to this URL.

        `given` is the request, or only its headers: a ReceivedRequest is made of them if it is
        needed, which is only to check the age or to explain a rejection.
        """
        called = url.called_by(claim, method, target, body)
        if isinstance(called, Rejected):
            fault, urls = called, ()
        else:
            urls = (called,)
            fault = find_fault(claim, method, body, urls)
        scheme, _, token, _ = claim
        if fault is None and self._max_age is None:
            return Verified(scheme.source, token)
        if not isinstance(given, ReceivedRequest):
            given = read_request(method, given, body, target=target)
        is_unsigned = self._accepts_unsigned and fault is EMPTY_SIGNATURE
        fault = (None if is_unsigned else fault) or self._check_age(scheme.source, given)
        if fault is None:
            return Verified(scheme.source, token, is_signed=not is_unsigned)
        return explain(fault, given, urls)

    def _check_age(self, source: Source, request: ReceivedRequest) -> Rejected | None:
        given, max_age = request.values("date"), self._max_age
        if max_age is None or (not given and source is Source.TWILIO):
            return None
        at = read_date(request)
        if at is None:
            shown = " and ".join(map(repr, given)) or "missing"
            return Rejected(Reason.STALE, f"its Date header is {shown}; it must be a valid time")
        age = self._clock() - at
        if abs(age) <= max_age:
            return None
        side = "behind" if age > timedelta(0) else "ahead of"
        return Rejected(
            Reason.STALE,
            f"its Date is {abs(age)} {side} this receiver's clock; at most {max_age} is allowed",
        )

    def _claim(self, callback: Callback) -> Accepted | Duplicate:
        if self._seen is None or callback.token is None:
            return Accepted(callback)
        visit = self._visit(callback, callback.token)
        match self._seen.claim(visit):
            case ClaimWon(is_retry=False):
                return Accepted(callback, self._seen, visit)
            case ClaimWon():
                return Accepted(replace(callback, is_retry=True), self._seen, visit)
            case ClaimedByOther(for_another):
                return Duplicate(callback, for_another)
            case WorkAlreadyDone():
                return Duplicate(callback)

    def _visit(self, callback: Callback, token: str) -> DedupeClaimRequest:
        return DedupeClaimRequest(
            source=callback.source,
            token=token,
            owner=random_hex(),
            lease=self._lease,
            keep=self._keep[callback.source],
            content=None if self._within is None else callback.fingerprint,
            same_event_within=self._within or timedelta(0),
        )

    # ---- one request and its work --------------------------------------------------------------

    def handle(self, request: ReceivedRequest, work: Work) -> Answer:
        """Receive a request, call `work` if the callback is new, and return the answer to send.

        Each rejection is logged, with its reason, to the logger `ringback.receiver`. An exception
        raised by `work` is passed on, after the claim is released so that the next delivery can try
        again. If the store can't be reached, the answer is a 503. Raises TypeError if `work` is a
        coroutine function.
        """
        try:
            result = self.receive_request(request)
            if isinstance(result, Accepted):
                with result:
                    _do(work, result.callback)
        except DedupeUnavailable as unavailable:
            return _unavailable(unavailable)
        return _answer(result)

    async def handle_async(
        self, request: ReceivedRequest, work: Work | Callable[[Callback], Awaitable[object]]
    ) -> Answer:
        """Do the same as `handle` in an event loop; `work` that isn't async runs in a thread."""
        from asyncio import to_thread  # noqa: PLC0415 (synchronous receivers need no asyncio)

        try:
            # Verifying takes microseconds; only the store may block.
            if self._seen is None:
                result = self.receive_request(request)
            else:
                result = await to_thread(self.receive_request, request)
            if isinstance(result, Accepted):
                async with result:
                    await _do_async(work, result.callback)
        except DedupeUnavailable as unavailable:
            return _unavailable(unavailable)
        return _answer(result)


def read_request(
    method: str, headers: AnyHeaders, body: bytes, *, target: str = ""
) -> ReceivedRequest:
    """Return a ReceivedRequest made from the method, headers, body and target of any framework."""
    # `isinstance(headers, Mapping)` would take as long as reading all the headers.
    items: Callable[[], Iterable[Any]] | None = getattr(headers, "items", None)
    pairs: tuple[Any, ...] = tuple(headers if items is None else items())
    if pairs and isinstance(pairs[0][0], bytes):
        pairs = tuple((_as_text(name), _as_text(value)) for name, value in pairs)
    return ReceivedRequest(method, target, pairs, body)


def _as_text(of: str | bytes) -> str:
    return of.decode("latin-1") if isinstance(of, bytes) else of


def _secrets(name: str, given: Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        raise ConfigurationError(f"{name} is a single string; give a list, even for one secret")
    for number, secret in enumerate(given, start=1):
        if not secret:
            raise ConfigurationError(
                f"{name}: secret number {number} is empty, so anybody could sign with it; remove it"
            )
        if not _can_be_signed_with(secret):
            raise ConfigurationError(
                f"{name}: secret number {number} must be a string that can be encoded as UTF-8"
            )
    return tuple(given)


def _can_be_signed_with(secret: object) -> bool:
    try:
        return isinstance(secret, str) and secret.encode() != b""
    except UnicodeEncodeError:  # lone surrogates
        return False


def _check_time(name: str, given: timedelta | None) -> None:
    if given is not None and given <= timedelta(0):
        raise ConfigurationError(f"{name} is {given}; it must be longer than zero")
    if given is not None and given > _LONGEST:
        raise ConfigurationError(f"{name} is {given}; it must be at most {_LONGEST}")


def _at_no_url(target: str) -> Rejected:
    if not target:
        return Rejected(
            Reason.NO_TARGET,
            "the application didn't pass the request's target, so it isn't known"
            " which of the receiver's URLs was called",
        )
    return Rejected(
        Reason.UNKNOWN_URL, f"none of this receiver's URLs matches the target {target!r}"
    )


def _callback(genuine: Verified, found: UrlTemplateMatch, request: ReceivedRequest) -> Callback:
    return Callback(
        source=genuine.source,
        token=genuine.token,
        url=found.url.text,
        request=request,
        is_signed=genuine.is_signed,
        url_values=found.values,
    )


def _answer(result: Result) -> Answer:
    if not isinstance(result, Rejected):
        return result.answer()
    log.warning("rejected (%s): %s", result.reason, result.explanation)
    return answer_to(result)


def _unavailable(unavailable: DedupeUnavailable) -> Answer:
    log.error("answered with a 503: %s", unavailable)
    return _UNAVAILABLE


def _do(work: Work, callback: Callback) -> None:
    came = work(callback)
    if inspect.iscoroutine(came):
        came.close()
        raise TypeError("the work is a coroutine, which `handle` can't await; use `handle_async`")


async def _do_async(work: Work, callback: Callback) -> None:
    if inspect.iscoroutinefunction(work):
        await work(callback)
        return
    from asyncio import to_thread  # noqa: PLC0415 (synchronous receivers need no asyncio)

    came = await to_thread(work, callback)
    if inspect.isawaitable(came):  # a function that returns a coroutine, or an object
        await came
