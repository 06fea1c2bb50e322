"""Checks a captured request with a receiver, for the URLs that it may have been sent to."""

from collections.abc import Callable
from functools import partial
from typing import Final

from ringback.captures import CapturedRequest
from ringback.cli.verify.output import CaptureVerification
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import ConfigurationError, InvalidCallbackUrl
from ringback.receiver import Callback, Reason, ReceivedRequest, Receiver, Rejected
from ringback.receiver.verification.called_url import SplitUrl

Receivers = Callable[[str | Callable[[ReceivedRequest], str]], Receiver]
"""Makes a receiver with the given secrets, for a URL or for a function that returns the URL."""

_URL_MAY_BE_WRONG: Final = 2


def check(capture: CapturedRequest, url: str | None, receiver_at: Receivers) -> CaptureVerification:
    """Check a capture for the given URL, or for the URLs that it names if `url` is None.

    Raises ConfigurationError if there is no URL to check it for.
    """
    if url is not None:
        result, split = _check(capture, receiver_at(url)), SplitUrl.of(url)
        shown = f"{split}{split.fragment}"  # without credentials
        return CaptureVerification(capture=capture, urls=(shown,), result=result, is_url_given=True)
    urls = _urls_named_by(capture)
    # As functions, since a receiver would take braces in a plain URL for a tenant's placeholder.
    results = [(named, _check(capture, receiver_at(partial(_same, named)))) for named in urls]
    best = min(results, key=_rank)
    urls = [best[0]] if _rank(best) < _URL_MAY_BE_WRONG else urls
    return CaptureVerification(
        capture=capture, urls=tuple(urls), result=best[1], is_url_given=False
    )


def _rank(found: tuple[str, Callback | Rejected]) -> int:
    """Return a number to sort results by: 0 for the most informative result.

    A genuine callback comes first. Then come rejections: those with any other reason, those because
    of the URL, and those without an explanation.
    """
    match found[1]:
        case Callback():
            return 0
        case Rejected(Reason.URL_DIFFERS):
            return _URL_MAY_BE_WRONG
        case Rejected(Reason.NOT_EXPLAINED):
            return _URL_MAY_BE_WRONG + 1
        case Rejected():
            return 1


def _same(url: str, _: ReceivedRequest) -> str:
    return url


def _urls_named_by(capture: CapturedRequest) -> list[str]:
    named, refusal = capture.urls(), None
    valid = list[str]()
    for url in named:
        try:
            valid.append(CallbackUrl.parse(url).wire)
        except InvalidCallbackUrl as invalid:
            refusal = refusal or invalid
    if valid:
        return valid
    why = refusal.message if refusal else "it lacks the request line or the Host header"
    raise ConfigurationError(
        f"the request does not contain the URL that it was sent to ({why}): give --url"
    )


def _check(capture: CapturedRequest, receiver: Receiver) -> Callback | Rejected:
    result = receiver.receive_request(capture.request)
    return result if isinstance(result, Rejected) else result.callback
