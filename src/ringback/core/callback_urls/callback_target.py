"""The callback URLs set on resources, each with its HTTP method, and how requests change them."""

from dataclasses import dataclass
from typing import Final

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod


@dataclass(frozen=True, slots=True)
class CallbackTarget:
    """The URL to send callbacks to, and the HTTP method; without a URL no callbacks are sent."""

    url: CallbackUrl | None = None
    method: HttpMethod = HttpMethod.POST


NO_TARGET: Final = CallbackTarget()
"""The target without a URL, to which no callbacks are sent."""


@dataclass(frozen=True, slots=True)
class CallbackTargetUpdate:
    """The new callback URL and method in a request; values left out stay the same."""

    url: CallbackUrl | None = None
    is_removed: bool = False
    """True if the request gave an empty URL, which removes the callback URL."""
    method: HttpMethod | None = None
    """The new method; None if the request gave none."""

    def after(self, before: CallbackTarget) -> CallbackTarget:
        """Return the callback URL and method after this change of `before`.

        >>> CallbackTargetUpdate(method=HttpMethod.GET).after(NO_TARGET).method
        <HttpMethod.GET: 'GET'>
        """
        kept = None if self.is_removed else before.url
        return CallbackTarget(self.url or kept, self.method or before.method)
