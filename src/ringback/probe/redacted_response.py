"""A receiver's answer in words, without secrets."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import quote, quote_plus

from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest
from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome, describe, status_of

_SHOWN: Final = 100
_BODY_SHOWN: Final = 500
_SIGNATURE_SHOWN: Final = 4
_HIDDEN: Final = "(hidden)"
_TRY_AGAIN: Final = frozenset({408, 423, 429})
_SILENCE: Final = frozenset(
    {
        AttemptFailure.READ_TIMEOUT,
        AttemptFailure.TOTAL_TIMEOUT,
        AttemptFailure.CONNECT_TIMEOUT,
        AttemptFailure.NO_TIME,
    }
)

Hide = Callable[[str], str]
"""Returns a text with its secrets replaced."""


def hiding(secrets: Iterable[str]) -> Hide:
    """Return a function that replaces these secrets in a text, even if they are URL-encoded.

    >>> hiding(["a b"])("it is a b or a+b or a%20b")
    'it is (hidden) or (hidden) or (hidden)'
    """
    forms = {
        form
        for secret in filter(None, secrets)
        for form in (secret, quote(secret, safe=""), quote_plus(secret))
    }
    # The longest first, because one secret may be a part of another.
    ordered = sorted(forms, key=len, reverse=True)

    def hide(text: str) -> str:
        for form in ordered:
            text = text.replace(form, _HIDDEN)
        return text

    return hide


@dataclass(frozen=True, slots=True)
class ProbeResponse:
    """The receiver's answer to one request, or the failure if there was none."""

    status: int | None
    """The HTTP status; None if no complete answer came."""
    failure: AttemptFailure | None
    words: str
    seconds: float
    """The time from sending the request to the end of the answer, without connecting."""

    @classmethod
    def of(cls, exchange: AttemptResult, *, hide: Hide) -> Self:
        """Return the answer in an attempt's result; `hide` removes secrets that it repeats."""
        outcome = exchange.outcome
        failure = outcome.failure if isinstance(outcome, NoAnswerOutcome) else None
        words = plain(hide(describe(outcome)), _BODY_SHOWN)
        if said := _said(exchange, hide):
            words = f"{words}: {said}"
        return cls(status_of(outcome), failure, words, _seconds(exchange))

    @property
    def is_accepted(self) -> bool:
        """True if the status is a 2xx."""
        return self.status is not None and 200 <= self.status <= 299

    @property
    def is_refused(self) -> bool:
        """True if the status is a 4xx."""
        return self.status is not None and 400 <= self.status <= 499

    @property
    def is_redirect(self) -> bool:
        """True if the status is a 3xx."""
        return self.status is not None and 300 <= self.status <= 399

    @property
    def asks_for_another_try(self) -> bool:
        """True if the answer makes a sender that retries send the request again."""
        return self.status is None or self.status >= 500 or self.status in _TRY_AGAIN

    @property
    def is_silence(self) -> bool:
        """True if no answer came within the time-out."""
        return self.failure in _SILENCE


def _seconds(exchange: AttemptResult) -> float:
    if exchange.timings is None:
        return 0.0
    total, *to_connect, _ = exchange.timings
    return (total - sum(filter(None, to_connect))) / 1000


def _said(exchange: AttemptResult, hide: Hide) -> str:
    """Return the beginning of a plain-text answer; empty for other answers, such as HTML pages."""
    if exchange.response is None:
        return ""
    types = [value for name, value in exchange.response.headers if name.lower() == "content-type"]
    if not types or not types[0].lower().startswith("text/plain"):
        return ""
    return plain(hide(exchange.response.body.decode(errors="replace")), _SHOWN)


def plain(text: str, longest: int) -> str:
    r"""Return a text on one line, without control characters, cut after `longest` characters.

    >>> plain("a\r\n\x1b[31mb" + "c" * 9, 8)
    'a [31mbc…'
    """
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    line = " ".join(printable.split())
    return line if len(line) <= longest else f"{line[:longest]}…"


def shown(request: OutgoingRequest, hide: Hide, signatures: Collection[str]) -> str:
    """Return a request as text for a report, with secrets hidden and signatures shortened.

    `signatures` are the names of the headers that contain signatures.
    """
    recorded = request.recorded()
    lines = [f"{recorded.method} {request.url.target} HTTP/1.1"]
    lines += [
        f"{name}: {_shortened(value) if name in signatures else value}"
        for name, value in recorded.headers
    ]
    if recorded.body:
        lines += ["", plain(hide(recorded.body), _BODY_SHOWN)]
    return hide("\n".join(lines))


def _shortened(signature: str) -> str:
    if len(signature) <= _SIGNATURE_SHOWN:
        return signature
    return f"{signature[:_SIGNATURE_SHOWN]}… ({len(signature)} characters)"
