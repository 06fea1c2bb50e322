"""Under which URL a request was called, as far as its receiver can tell.

Both signatures cover the URL as the sender has it. A receiver that is configured with it is right;
one that rebuilds it from the request is right only where no proxy stands in between.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Self

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.policy.source_policy import Source
from ringback.receiver.verification.received_request import ReceivedRequest

DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_PORT: Final = re.compile(r":\d*$")


@dataclass(frozen=True, slots=True)
class SplitUrl:
    """The parts of a URL that a signature can cover, each as written."""

    scheme: str
    authority: str
    path: str
    query: str
    """With its `?`; empty where there is none."""
    fragment: str = ""
    """With its `#`; no signature covers it."""

    @classmethod
    def of(cls, text: str) -> Self:
        """Split any text; what is no URL gives parts that no sender signs. Never raises.

        >>> str(SplitUrl.of("https://user:pass@a.example/p?x=1#cbs=kore"))
        'https://a.example/p?x=1'
        """
        text, sharp, fragment = text.partition("#")
        scheme, _, rest = text.partition("://")
        rest, mark, query = rest.partition("?")
        authority, slash, path = rest.partition("/")
        authority = authority.rpartition("@")[2]
        return cls(scheme, authority, slash + path, mark + query, sharp + fragment)

    def __str__(self) -> str:
        """The URL again, without credentials and fragment."""
        return f"{self.scheme}://{self.authority}{self.path}{self.query}"

    def signed_by(self, source: Source) -> str:
        """Return the part of this URL that a signature of this source covers."""
        return str(replace(self, query="") if source is Source.KORE else self)

    def spellings(self) -> list[Self]:
        """Return this URL, and with it the one that gives the same request line.

        A URL that ends with its host is called with the path `/`, but signed as it was configured.

        >>> [str(url) for url in SplitUrl.of("https://a.example/").spellings()]
        ['https://a.example/', 'https://a.example']
        """
        if self.path not in ("", "/"):
            return [self]
        return [self, replace(self, path="" if self.path else "/")]

    def ports(self) -> list[Self]:
        """Return this URL, and with it the one with its port left out or its default port put in.

        Twilio's senders do both, and its own validator therefore takes either.

        >>> [str(url) for url in SplitUrl.of("https://[::1]/p").ports()]
        ['https://[::1]/p', 'https://[::1]:443/p']
        """
        bare, default = without_port(self.authority), DEFAULT_PORTS.get(self.scheme.lower(), "")
        other = f"{bare}:{default}" if bare == self.authority else bare
        return [self, replace(self, authority=other)]


class SignedUrlSpellings:
    """A URL without its query, as each of the sources may sign it; the likeliest first."""

    def __init__(self, split: SplitUrl) -> None:
        bare = replace(split, query="")
        self.split = bare
        self.by_kore = tuple(str(url) for url in bare.spellings())
        self.by_twilio = tuple(str(url) for each in bare.spellings() for url in each.ports())


@dataclass(slots=True)  # not frozen: see ReceivedRequest
class CalledUrlSpellings:
    """The URL that was called, with its query, as each of the sources may have signed it."""

    resource: SignedUrlSpellings
    query: str
    """With its `?`; empty where there is none."""

    @classmethod
    def of(cls, text: str) -> Self:
        """Read any text; never raises."""
        split = SplitUrl.of(text)
        return cls(SignedUrlSpellings(split), split.query)

    @property
    def by_kore(self) -> tuple[str, ...]:
        """The spellings that KORE may have signed."""
        return self.resource.by_kore

    @property
    def by_twilio(self) -> Iterator[str]:
        """The spellings that Twilio may have signed."""
        return (url + self.query for url in self.resource.by_twilio)

    @property
    def split(self) -> SplitUrl:
        """Its parts."""
        return replace(self.resource.split, query=self.query)

    def signed_by(self, source: Source) -> Iterator[str]:
        """Return the spellings of this URL that this source may have signed."""
        return iter(self.by_kore) if source is Source.KORE else self.by_twilio


def without_port(authority: str) -> str:
    """Return the host of an authority.

    >>> without_port("[::1]:8080"), without_port("[::1]")
    ('[::1]', '[::1]')
    """
    return _PORT.sub("", authority)


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
