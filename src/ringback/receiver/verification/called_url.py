"""The URL that a sender called, in all spellings that the sender may have signed.

A sender signs the URL that it is configured with. So a receiver should be configured with the same
URL: a URL rebuilt from a request is wrong if a proxy has changed it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.policy.source_policy import Source
from ringback.core.sources.signature import hash_before_body
from ringback.receiver.verification.received_request import ReceivedRequest
from ringback.receiver.verification.schemes import VerificationScheme
from ringback.receiver.verification.signature_candidates import ReceiverSecrets

if TYPE_CHECKING:
    from _hashlib import HASH

METHODS: Final = frozenset(map(str, HttpMethod))
"""The methods by which callbacks are sent."""
DEFAULT_PORTS: Final = {"http": "80", "https": "443"}
_PORT: Final = re.compile(r":\d*$")


@dataclass(frozen=True, slots=True)
class SplitUrl:
    """The parts of a URL, exactly as written; all but the fragment can be signed."""

    scheme: str
    authority: str
    path: str
    query: str
    """The query with its `?`; empty if there is no query."""
    fragment: str = ""
    """The fragment with its `#`; no signature covers it."""

    @classmethod
    def of(cls, text: str) -> Self:
        """Split a URL; an invalid URL gives parts that no sender signs. Never raises.

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
        """The URL as text, without credentials and fragment."""
        return f"{self.scheme}://{self.authority}{self.path}{self.query}"

    def signed_by(self, scheme: VerificationScheme) -> str:
        """Return the part of this URL that a signature of this scheme covers."""
        return str(self if scheme.covers_query else replace(self, query=""))

    def spellings(self) -> list[Self]:
        """Return this URL with the path `/` and without a path; any other path stays as it is.

        A URL without a path is called with the path `/`, but signed as it is configured.

        >>> [str(url) for url in SplitUrl.of("https://a.example/").spellings()]
        ['https://a.example/', 'https://a.example']
        """
        if self.path not in ("", "/"):
            return [self]
        return [self, replace(self, path="" if self.path else "/")]

    def ports(self) -> list[Self]:
        """Return this URL, and the same URL with its port removed or the default port added.

        Twilio may sign either of them.

        >>> [str(url) for url in SplitUrl.of("https://[::1]/p").ports()]
        ['https://[::1]/p', 'https://[::1]:443/p']
        """
        bare, default = without_port(self.authority), DEFAULT_PORTS.get(self.scheme.lower(), "")
        other = f"{bare}:{default}" if bare == self.authority else bare
        return [self, replace(self, authority=other)]


class _KoreHashes(dict[str, Sequence["HASH"]]):
    """Hashes of the texts that KORE may have signed before the body, by the request's method.

    They are made when a method is first used, for each spelling of the URL and each secret. Update
    only copies of them.
    """

    def __init__(self, urls: Sequence[str], secrets: ReceiverSecrets) -> None:
        super().__init__()
        self._urls = urls
        self._secrets = secrets

    def __missing__(self, method: str) -> Sequence["HASH"]:
        hashes = list(self._made(method))
        if method in METHODS:  # anybody can make up others, which would fill the memory
            self[method] = hashes
        return hashes

    def _made(self, method: str) -> Iterator["HASH"]:
        for url in self._urls:
            for secret in self._secrets.of(Source.KORE):
                try:
                    yield hash_before_body(method, url, secret=secret)
                except UnicodeEncodeError:  # lone surrogates can't be encoded
                    continue


class SignedUrlSpellings:
    """The spellings of a URL that each source may sign, likeliest first; without the query."""

    def __init__(self, split: SplitUrl, secrets: ReceiverSecrets) -> None:
        bare = replace(split, query="")
        self.split = bare
        self.has_path = bare.path not in ("", "/")
        self.secrets = secrets
        self.by_kore = tuple(str(url) for url in bare.spellings())
        self.by_twilio = tuple(str(url) for each in bare.spellings() for url in each.ports())
        self.kore_hashes = _KoreHashes(self.by_kore, secrets)


@dataclass(slots=True)  # not frozen: see ReceivedRequest
class CalledUrlSpellings:
    """The spellings of a called URL that each source may have signed."""

    resource: SignedUrlSpellings
    query: str
    """The query with its `?`; empty if there is no query."""

    @classmethod
    def of(cls, text: str, secrets: ReceiverSecrets) -> Self:
        """Return the spellings of this URL that may be signed; never raises for an invalid URL."""
        split = SplitUrl.of(text)
        return cls(SignedUrlSpellings(split, secrets), split.query)

    @property
    def secrets(self) -> ReceiverSecrets:
        """The secrets that callbacks to this URL may be signed with."""
        return self.resource.secrets

    @property
    def by_kore(self) -> tuple[str, ...]:
        """The spellings of this URL that KORE may have signed, without the query."""
        return self.resource.by_kore

    @property
    def by_twilio(self) -> Iterator[str]:
        """The spellings of this URL that Twilio may have signed, with the query."""
        return (url + self.query for url in self.resource.by_twilio)

    @property
    def split(self) -> SplitUrl:
        """The called URL, split into its parts, in the spelling that is likeliest."""
        return replace(self.resource.split, query=self.query)

    def signed_by(self, scheme: VerificationScheme) -> Iterator[str]:
        """Return the spellings of this URL that may be signed by this scheme."""
        return self.by_twilio if scheme.covers_query else iter(self.by_kore)


def without_port(authority: str) -> str:
    """Return the host of an authority (`host:port`), without the port.

    >>> without_port("[::1]:8080"), without_port("[::1]")
    ('[::1]', '[::1]')
    """
    return _PORT.sub("", authority)


def url_by_host(request: ReceivedRequest, *, scheme: str = "http") -> str:
    """Return the URL made of the scheme, the request's Host header and its target."""
    host = next(iter(request.values("Host")), "")
    return f"{scheme}://{host}{request.target}"


def url_as_configured(configured: CallbackUrl, request: ReceivedRequest) -> str:
    """Return the URL that the sender called: the configured URL with the request's query.

    The request's query is used because a GET has its parameters there. If the configured URL has no
    path, the request's path is used.
    """
    path = request.path if configured.path in ("", "/") else configured.path
    query = request.target.removeprefix(request.path)
    return f"{configured.scheme}://{configured.authority}{path}{query}"
