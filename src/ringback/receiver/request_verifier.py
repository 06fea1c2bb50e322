"""Verifies requests for a `Receiver`: finds the URL, and checks signature, age, token and names."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from ringback.core.errors import ConfigurationError
from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.sources.source_definition import CallbackSourceDefinition, SigningInput
from ringback.receiver.callback import read_date
from ringback.receiver.event_batches import is_event_batch
from ringback.receiver.verification.called_url import CalledUrlSpellings
from ringback.receiver.verification.configured_urls import (
    ConfiguredReceiverUrl,
    UrlTemplateMatch,
    read_urls,
)
from ringback.receiver.verification.received_request import (
    AnyHeaders,
    ReceivedRequest,
    read_request,
)
from ringback.receiver.verification.schemes import FAMILIES
from ringback.receiver.verification.settings_sources import AcceptedSource
from ringback.receiver.verification.signature_candidates import ReceiverSecrets
from ringback.receiver.verification.signature_headers import (
    SignatureClaim,
    find_claim,
    quoted,
    read_claim,
)
from ringback.receiver.verification.verdict import Reason, Rejected, Verdict, Verified
from ringback.receiver.verification.verify import (
    EMPTY_SIGNATURE,
    explain,
    find_fault,
    malformed_form,
    malformed_token,
)

Checked = tuple[Verified, UrlTemplateMatch] | tuple[Rejected, None]
"""The verdict on a request, and the receiver's URL that it was sent to if it is genuine."""

_SIGNATURES: Final = {family.signature_header.lower() for family in FAMILIES.values()}
_NO_TOKEN: Final = Rejected(
    Reason.NO_TOKEN, "it has no idempotency token, so a repeat of it could not be recognised"
)
_NO_KIND: Final = Rejected(
    Reason.UNKNOWN_NAMES, "its form is of no known kind of callback, so all its names are unknown"
)
_MOST_NAMES: Final = 5


class RequestVerifier:
    """Verifies the requests to the URLs of a receiver."""

    def __init__(
        self,
        url: str | Callable[[ReceivedRequest], str | None],
        secrets: ReceiverSecrets,
        *,
        sources: Mapping[SourceName, CallbackSourceDefinition],
        accept_unsigned_kore: bool,
        require_token: bool,
        refuse_unknown_names: bool,
        max_age: timedelta | None,
        clock: Callable[[], datetime],
    ) -> None:
        """Configure the verifier; see `Receiver` for the arguments.

        Raises InvalidCallbackUrl if the URL is invalid, and ConfigurationError if a source can't be
        used with it.
        """
        self._only, self._find = read_urls(url, secrets)
        self._sources = [AcceptedSource(*source) for source in sources.items()]
        self._accepts_unsigned = accept_unsigned_kore
        self._requires_token = require_token
        self._refuses_names = refuse_unknown_names
        self._takes_any = max_age is None and not refuse_unknown_names
        self._max_age = max_age
        self._clock = clock
        if self._only is None:
            _check_that_urls_are_covered(sources)

    def check(self, method: str, headers: AnyHeaders, body: bytes, target: str) -> Verdict:
        """Return the verdict on a request; see `Receiver.check`."""
        given: Any = headers
        # Making a ReceivedRequest would take a quarter of the whole check.
        if self._only is not None and type(headers) is dict and not self._sources:
            claim = find_claim(given)
            if claim is not None:
                return self._judge(claim, self._only.url, method, target, body, given=given)
        return self.check_request(read_request(method, given, body, target=target))[0]

    def check_request(self, request: ReceivedRequest) -> Checked:
        """Return the verdict on a request, and the receiver's URL if it is genuine."""
        checked = self._check_built_in(request)
        return self._check_others(request, checked) if self._sources else checked

    def _check_built_in(self, request: ReceivedRequest) -> Checked:
        """Check a request as one of the two built-in sources, whoever it comes from."""
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
        fault, urls = _find_fault(claim, url, method, target, body)
        scheme, _, token, _ = claim
        if fault is None and self._takes_any and (token or not self._requires_token):
            return Verified(scheme.source, token)
        if not isinstance(given, ReceivedRequest):
            given = read_request(method, given, body, target=target)
        is_unsigned = self._accepts_unsigned and fault is EMPTY_SIGNATURE
        if is_unsigned:
            fault = malformed_token(claim) or malformed_form(claim[3], body)
        if fault is None and not (scheme.source is Source.TWILIO and not given.values("date")):
            fault = self._check_age(given)
        fault = fault or self._check_token(token, given) or self._check_names(given)
        if fault is None:
            return Verified(scheme.source, token, is_signed=not is_unsigned)
        return explain(fault, given, urls)

    # ---- sources of the settings -----------------------------------------------------------------

    def _check_others(self, request: ReceivedRequest, checked: Checked) -> Checked:
        """Check a request as one of the settings' sources, unless it is verified already.

        A source of the settings may have the headers of another source, but no request may have
        the signature headers of several.
        """
        sources = [
            each for each in self._sources if each.signature_header.lower() in request.fields
        ]
        signed = {name for name in _SIGNATURES if name in request.fields}
        signed |= {source.signature_header.lower() for source in sources}
        if len(signed) > 1:
            return _signed_twice(sorted(signed)), None
        rejected = checked[0]
        if isinstance(rejected, Verified):
            return checked
        if not signed:
            return self._no_signature(rejected), None
        for source in sources:
            other = self._check_other(source, request)
            if other[1] is not None:
                return other
            if not signed & _SIGNATURES:
                rejected = other[0]
        return rejected, None

    def _check_other(self, source: AcceptedSource, request: ReceivedRequest) -> Checked:
        claimed = source.claim(request)
        if isinstance(claimed, Rejected):
            return claimed, None
        claim, at = claimed
        found = self._find(request)
        if found is None:
            return explain(_at_no_url(request.target), request, claim=claim), None
        fault, urls = _find_fault(claim, found.url, request.method, request.target, request.body)
        if fault is None and (at is not None or source.definition.needs_date):
            fault = self._check_age(request, at=at)
        fault = fault or self._check_token(claim[2], request) or self._check_names(request)
        if fault is not None:
            return explain(fault, request, urls, claim=claim), None
        return Verified(source.name, claim[2]), found

    def _no_signature(self, rejected: Rejected) -> Rejected:
        names = ", ".join(dict.fromkeys(source.signature_header for source in self._sources))
        return Rejected(
            rejected.reason,
            f"{rejected.explanation}, and none of {names}",
            rejected.source,
            rejected.token,
        )

    # ---- age, token and names --------------------------------------------------------------------

    def _check_age(self, request: ReceivedRequest, *, at: int | None = None) -> Rejected | None:
        """Return Rejected if the request is too old or too new.

        `at` is the time in its own header, in seconds since 1970; without one, its Date counts.
        """
        if self._max_age is None:
            return None
        header, sent = ("Date", read_date(request)) if at is None else ("timestamp", _time(at))
        if sent is None:
            shown = " and ".join(map(repr, request.values("date"))) or "missing"
            return Rejected(Reason.STALE, f"its Date header is {shown}; it must be a valid time")
        age = self._clock() - sent
        if abs(age) <= self._max_age:
            return None
        side = "behind" if age > timedelta(0) else "ahead of"
        return Rejected(
            Reason.STALE,
            f"its {header} is {abs(age)} {side} this receiver's clock; at most {self._max_age} is"
            " allowed",
        )

    def _check_token(self, token: str | None, request: ReceivedRequest) -> Rejected | None:
        """Return Rejected if a repeat of the request could not be recognised.

        The events of a stream have ids; no capture shows whether Twilio's also have a token.
        """
        if not self._requires_token or token is not None or is_event_batch(request):
            return None
        return _NO_TOKEN

    def _check_names(self, request: ReceivedRequest) -> Rejected | None:
        """Return Rejected if the receiver refuses unknown names, and the form has one."""
        if not self._refuses_names or request.method == "GET" or not request.is_form:
            return None
        from ringback.core.events.form_names import kind_of_form, unknown_names  # noqa: PLC0415 (it imports all events)

        form = request.parameters
        if kind_of_form(form) is None:
            return _NO_KIND
        names = unknown_names(form)
        if not names:
            return None
        listed = ", ".join(map(quoted, names[:_MOST_NAMES]))
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        return Rejected(
            Reason.UNKNOWN_NAMES,
            f"its form has names that no callback of its kind has: {listed}{more}",
        )


def _find_fault(
    claim: SignatureClaim, url: ConfiguredReceiverUrl, method: str, target: str, body: bytes
) -> tuple[Rejected | None, tuple[CalledUrlSpellings, ...]]:
    """Return the fault of a request to this URL, or None, and the URL as it was called."""
    called = url.called_by(claim, method, target, body)
    if isinstance(called, Rejected):
        return called, ()
    urls = (called,)
    return find_fault(claim, method, body, urls), urls


def _time(at: int) -> datetime:
    # Times after the year 9999 can't be represented.
    return datetime.fromtimestamp(min(at, 253_402_300_799), UTC)


def _signed_twice(names: Sequence[str]) -> Rejected:
    return Rejected(
        Reason.BOTH_FAMILIES,
        f"it has the signature headers of several sources ({', '.join(names)}); a sender uses only"
        " one of them",
    )


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


# ---- configuration -------------------------------------------------------------------------------


def read_secrets(name: str, given: Sequence[str]) -> tuple[str, ...]:
    """Return the secrets given as the argument `name`.

    Raises ConfigurationError if one is empty or not a string, or if they are not in a list.
    """
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


def read_source_secrets(
    sources: Mapping[SourceName, CallbackSourceDefinition],
    given: Mapping[SourceName, Sequence[str]],
) -> Mapping[SourceName, tuple[str, ...]]:
    """Return the secrets of sources of the settings.

    Raises ConfigurationError if a source does not exist, or if one of its secrets can't be used.
    """
    found = dict[SourceName, tuple[str, ...]]()
    for name, secrets in given.items():
        if name not in sources:
            known = f"those are {', '.join(sources)}" if sources else "and there are none"
            raise ConfigurationError(
                f"source_secrets: {name!r} is not one of the `sources`, {known}"
            )
        found[name] = read_secrets(f"source_secrets of {name}", secrets)
        for number, secret in enumerate(found[name], start=1):
            try:
                sources[name].signature.sign(SigningInput("", "", "", (), b"", "", 0), secret)
            except ValueError:
                raise ConfigurationError(
                    f"source_secrets of {name}: secret number {number} begins with whsec_, but what"
                    " follows is not Base64"
                ) from None
    return found


def _can_be_signed_with(secret: object) -> bool:
    try:
        return isinstance(secret, str) and secret.encode() != b""
    except UnicodeEncodeError:  # lone surrogates
        return False


def _check_that_urls_are_covered(sources: Mapping[SourceName, CallbackSourceDefinition]) -> None:
    for name, source in sources.items():
        if not source.signature.covers_url:
            raise ConfigurationError(
                f"the signature of {name} doesn't cover the URL, so a callback for one tenant could"
                " be sent to the URL of another; make a Receiver for each URL, with its own secret"
            )
