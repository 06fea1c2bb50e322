"""Under which URL a request was called, as far as its receiver can tell.

Both signatures cover the URL as the sender has it. A receiver that is configured with it is right;
one that rebuilds it from the request is right only where no proxy stands in between.
"""

from dataclasses import dataclass, replace
from typing import Self, assert_never

from ringback.core.callback_url import CallbackUrl
from ringback.core.source import Source
from ringback.receiver.checking.request import ReceivedRequest


@dataclass(frozen=True, slots=True)
class SplitUrl:
    """The parts of a URL that a signature can cover, each as written."""

    scheme: str
    authority: str
    path: str
    query: str
    """With its `?`; empty where there is none."""

    @classmethod
    def of(cls, text: str) -> Self:
        """Split any text; what is no URL gives parts that no sender signs. Never raises.

        >>> str(SplitUrl.of("https://user:pass@a.example/p?x=1#cbs=kore"))
        'https://a.example/p?x=1'
        """
        scheme, _, rest = text.partition("#")[0].partition("://")
        rest, mark, query = rest.partition("?")
        authority, slash, path = rest.partition("/")
        return cls(scheme, authority.rpartition("@")[2], slash + path, mark + query)

    def __str__(self) -> str:
        """The URL again, without credentials and fragment."""
        return f"{self.scheme}://{self.authority}{self.path}{self.query}"

    def signed_by(self, source: Source) -> str:
        """Return what of this URL goes into a signature of this source."""
        match source:
            case Source.TWILIO:
                return str(self)
            case Source.KORE:
                return str(replace(self, query=""))
            case _:
                assert_never(source)

    def spellings(self) -> list[Self]:
        """Return this URL, and with it the one that gives the same request line.

        A URL that ends with its host is called with the path `/`, but signed as it was configured.

        >>> [str(url) for url in SplitUrl.of("https://a.example/").spellings()]
        ['https://a.example/', 'https://a.example']
        """
        if self.path not in ("", "/"):
            return [self]
        return [self, replace(self, path="" if self.path else "/")]


def url_by_host(request: ReceivedRequest, *, scheme: str = "http") -> str:
    """Return the URL that the request itself names, by its Host header."""
    host = next(iter(request.values("Host")), "")
    return f"{scheme}://{host}{request.target}"


def url_as_configured(configured: CallbackUrl, request: ReceivedRequest) -> str:
    """Return the URL that the sender called, by the one that it is configured with.

    The query is the request's, since a GET brings its parameters in it. A configured URL without
    a path stands for all paths of its host.
    """
    path = request.path if configured.path in ("", "/") else configured.path
    query = request.target.removeprefix(request.path)
    return f"{configured.scheme}://{configured.authority}{path}{query}"
