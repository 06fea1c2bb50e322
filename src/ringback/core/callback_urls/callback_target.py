"""Whom a resource tells, and how requests change that."""

from dataclasses import dataclass
from typing import Final

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod


@dataclass(frozen=True, slots=True)
class CallbackTarget:
    """Whom to tell, and how."""

    url: CallbackUrl | None = None
    method: HttpMethod = HttpMethod.POST


NOBODY: Final = CallbackTarget()


@dataclass(frozen=True, slots=True)
class CallbackTargetUpdate:
    """Whom to tell from now on, as a request gives it; what it doesn't mention stays as it is."""

    url: CallbackUrl | None = None
    is_removed: bool = False
    """Whether the URL was given as empty."""
    method: HttpMethod | None = None
    """None where it wasn't given."""

    def after(self, before: CallbackTarget) -> CallbackTarget:
        """Return who is told from now on, where it was this one before.

        >>> CallbackTargetUpdate(method=HttpMethod.GET).after(NOBODY).method
        <HttpMethod.GET: 'GET'>
        """
        kept = None if self.is_removed else before.url
        return CallbackTarget(self.url or kept, self.method or before.method)
