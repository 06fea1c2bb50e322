"""Reading the callback URLs that customers give, by what the operator allows."""

from functools import lru_cache

from ringback.core.callback_url import CallbackUrl
from ringback.core.egress import Egresses
from ringback.core.errors import InvalidCallbackUrl
from ringback.core.guard import Guard

_MOST_REMEMBERED = 4096


class UrlReader:
    """Reads callback URLs; the same few are given again and again, so they are remembered."""

    def __init__(self, guard: Guard, egresses: Egresses) -> None:
        self._guard = guard
        self._egresses = egresses
        self._remembered = lru_cache(_MOST_REMEMBERED)(self._read)

    def __call__(self, text: str) -> CallbackUrl:
        """Read a callback URL as a customer gives it.

        Raises InvalidCallbackUrl, whose message names the part that is wrong, also where the
        operator's lists of schemes and ports leave it out. A name of an egress that there is not
        has no effect, like an unknown key, and is warned of.
        """
        return self._remembered(text)

    def _read(self, text: str) -> CallbackUrl:
        url = CallbackUrl.parse(text)
        refusal = self._guard.refusal_of(url)
        if refusal is not None:
            raise InvalidCallbackUrl(refusal)
        unknown = self._egresses.unknown_names(url.connection)
        return url.with_warnings(
            *(f"there is no egress {name!r} here; #e={name} has no effect" for name in unknown)
        )
