"""Parses the callback URLs in requests, and checks that the operator allows them."""

from collections.abc import Callable, Collection
from functools import lru_cache

from ringback.api.request_parameters import RequestParameters
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import InvalidCallbackUrl
from ringback.core.http.egress_routes import Egresses
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.policy.source_policy import SourceName

_MOST_REMEMBERED = 4096
_USUAL = "CallbackUrl"


def callback_url(
    form: RequestParameters, read_url: Callable[[str], CallbackUrl], name: str = _USUAL
) -> CallbackUrl | None:
    """Return the callback URL in the parameter `name` of a form, or None if it is empty or missing.

    Raises InvalidCallbackUrl if the URL is invalid. The URL gets a warning for each unknown
    parameter of the form: the parameter may be the rest of the URL after an unescaped `&`.
    """
    text = form.text(name)
    if not text:
        return None
    warnings = (
        f"the request also had the parameter {unknown!r}, which has no effect; if it belongs to"
        f" {name}, write the & before it as %26"
        for unknown in form.unknown
    )
    try:
        return read_url(text).with_warnings(*warnings)
    except InvalidCallbackUrl as refused:
        if name == _USUAL:
            raise
        raise InvalidCallbackUrl(f"{name}: {refused.message}") from None


def callback_url_parser(
    guard: SsrfGuard, egresses: Egresses, sources: Collection[SourceName]
) -> Callable[[str], CallbackUrl]:
    """Return a function that parses callback URLs by the operator's rules, and caches the results.

    The function raises InvalidCallbackUrl if a URL is malformed, or if the operator does not allow
    its scheme or port. A URL gets a warning if its `#e=` names an egress (a network route for
    sending) that the settings don't define.
    """

    @lru_cache(_MOST_REMEMBERED)
    def read(text: str) -> CallbackUrl:
        url = CallbackUrl.parse(text, sources)
        refusal = guard.refusal_of(url)
        if refusal is not None:
            raise InvalidCallbackUrl(refusal)
        unknown = egresses.unknown_names(url.connection)
        return url.with_warnings(
            *(
                f"no egress named {name!r} is configured, so #e={name} has no effect"
                for name in unknown
            )
        )

    return read
