"""Patterns of destinations, such as `https://*.example.com/app/*`, and what they match."""

from functools import lru_cache
from typing import Final, NamedTuple, Self

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.shards import origin_of
from ringback.core.errors import InvalidCallbackUrl

ALL: Final = "*"
"""The pattern of all destinations."""
FORM: Final = (
    "write * for all destinations, https://host or https://host:port, https://*.host for all hosts"
    " below one, and a path that ends with a star, like /app/*, for a part of them"
)
_STAR: Final = "*."
_IN_PLACE_OF_STAR: Final = "any."
_LONGEST: Final = 500


class DestinationPattern(NamedTuple):
    """A pattern of destinations (scheme, host and port), or of a part of each of them."""

    text: str
    """The pattern in its normal form: in lower case but for the path, and with the port."""
    origin: str
    """Scheme, host and port; the host may begin with `*.`; empty for all."""
    path: str
    """The path pattern that splits off a part, such as `/app/*`; empty for whole destinations."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a pattern; raises ValueError if it is none.

        >>> DestinationPattern.parse("HTTPS://*.Example.com/App/*").text
        'https://*.example.com:443/App/*'
        """
        if text == ALL:
            return cls(ALL, "", "")
        if len(text) > _LONGEST:
            raise ValueError(f"the pattern has {len(text)} characters; at most {_LONGEST} fit")
        scheme, mark, rest = text.partition("://")
        if not mark:
            raise ValueError(f"{text!r} is not a pattern of destinations: it has no scheme; {FORM}")
        host, slash, path = rest.partition("/")
        path = slash + path if path else ""
        if path and (not path.endswith("*") or "*" in path[:-1] or "?" in path or "#" in path):
            raise ValueError(
                f"{text!r} is not a pattern of destinations: its path must end with a star, and"
                f" have no other one, and no query; {FORM}"
            )
        is_wild = host.startswith(_STAR)
        named = f"{_IN_PLACE_OF_STAR}{host.removeprefix(_STAR)}" if is_wild else host
        try:
            url = CallbackUrl.parse(f"{scheme}://{named}{path[:-1]}")
        except InvalidCallbackUrl as problem:
            raise ValueError(
                f"{text!r} is not a pattern of destinations: {problem.message}; {FORM}"
            ) from None
        if url.credentials is not None:
            raise ValueError(f"a pattern of destinations has no user name or password; {FORM}")
        origin = url.destination
        if is_wild:
            origin = origin.replace(f"://{_IN_PLACE_OF_STAR}", f"://{_STAR}", 1)
        return cls(origin + path, origin, path)

    @property
    def is_exact(self) -> bool:
        """True if the pattern matches only one destination, or one part of one."""
        return bool(self.origin) and _STAR not in self.origin

    @property
    def specificity(self) -> tuple[int, int, int]:
        """A pattern with a higher value is more special, and comes before the others."""
        return (self.is_exact, len(self.path), len(self.origin))

    def matches(self, destination: str) -> bool:
        """Return True if the pattern matches a destination, or the part of one in such a text.

        >>> DestinationPattern.parse("https://*.example.com").matches("https://a.example.com:443")
        True
        """
        origin = origin_of(destination)
        part = destination[len(origin) :]
        return self._has_origin(origin) and (not self.path or part[:-1].startswith(self.path[:-1]))

    def splits_off(self, url: CallbackUrl) -> bool:
        """Return True if the pattern makes a part of its destination that the URL belongs to."""
        path = url.path or "/"
        return bool(
            self.path and path.startswith(self.path[:-1]) and self._has_origin(url.destination)
        )

    def _has_origin(self, origin: str) -> bool:
        if not self.origin:
            return True
        if self.is_exact:
            return origin == self.origin
        scheme, _, below = self.origin.partition(f"://{_STAR}")
        return origin.startswith(f"{scheme}://") and origin.endswith(f".{below}")


@lru_cache(maxsize=10_000)
def parsed_pattern(text: str) -> DestinationPattern:
    """Do the same as `DestinationPattern.parse`, for patterns that are used again and again."""
    return DestinationPattern.parse(text)


def read_destination(text: str) -> str:
    """Return the destination, or its part, that a user means by a URL or by a lane's name.

    Raises ValueError if it is not a valid URL, or matches several destinations.

    >>> read_destination("https://a.example/hook"), read_destination("https://a.example/hook/*")
    ('https://a.example:443', 'https://a.example:443/hook/*')
    """
    if text.endswith("*"):
        pattern = DestinationPattern.parse(text)
        if not pattern.is_exact:
            raise ValueError(
                f"{text!r} matches several destinations; write one like https://host or"
                " https://host/app/*"
            )
        return pattern.text
    try:
        return CallbackUrl.parse(text).destination
    except InvalidCallbackUrl as problem:
        raise ValueError(problem.message) from None
