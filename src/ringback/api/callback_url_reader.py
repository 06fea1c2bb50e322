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

    An unescaped `&` in a form ends the URL, and the rest of it arrives as further parameters. The
    returned URL therefore carries a warning for each unknown parameter. Raises InvalidCallbackUrl;
    its message names the parameter unless that is `CallbackUrl`.
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
    """Return a function that parses callback URLs, with a cache since accounts repeat their URLs.

    The function raises InvalidCallbackUrl, which names the wrong part, if a URL is malformed or the
    operator does not allow its scheme or port. The name of an unknown egress has no effect
    and adds a warning to the URL.
    """

    @lru_cache(_MOST_REMEMBERED)
    def read(text: str) -> CallbackUrl:
        url = CallbackUrl.parse(text, sources)
        refusal = guard.refusal_of(url)
        if refusal is not None:
            raise InvalidCallbackUrl(refusal)
        unknown = egresses.unknown_names(url.connection)
        return url.with_warnings(
            *(f"there is no egress {name!r} here; #e={name} has no effect" for name in unknown)
        )

    return read
