"""The callback URLs set on resources, each with its HTTP method, and how requests change them."""

from dataclasses import dataclass
from typing import Final

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod


@dataclass(frozen=True, slots=True)
class CallbackTarget:
    """A callback URL and its method; without a URL there are no callbacks."""

    url: CallbackUrl | None = None
    method: HttpMethod = HttpMethod.POST


NO_TARGET: Final = CallbackTarget()
"""The target without a URL, to which no callbacks are sent."""


@dataclass(frozen=True, slots=True)
class CallbackTargetUpdate:
    """A request's change of a callback URL and its method; values it doesn't give stay the same."""

    url: CallbackUrl | None = None
    is_removed: bool = False
    """True if the request gave an empty URL, which removes the callback URL."""
    method: HttpMethod | None = None
    """The new method; None if the request gave none."""

    def after(self, before: CallbackTarget) -> CallbackTarget:
        """Return the new URL and method after this change.

        >>> CallbackTargetUpdate(method=HttpMethod.GET).after(NO_TARGET).method
        <HttpMethod.GET: 'GET'>
        """
        kept = None if self.is_removed else before.url
        return CallbackTarget(self.url or kept, self.method or before.method)
