"""Callback URLs: the settings in their fragment, and the part of the URL that is sent.

The fragment and the credentials are never sent in the request line or the Host header, and never
signed. The rest is sent exactly as configured, since it is signed.
"""

import base64
import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from ipaddress import AddressValueError, IPv6Address
from typing import Final, Self
from urllib.parse import quote, unquote_to_bytes

from ringback.core.callback_urls.connection_overrides import (
    OVERRIDES,
    ConnectionOverrides,
    read_override,
)
from ringback.core.errors import InvalidCallbackUrl
from ringback.core.policy.source_policy import Source, SourceName, source_named


class HttpMethod(StrEnum):
    """The methods that a callback can be sent with."""

    POST = "POST"
    GET = "GET"


MAX_LENGTH: Final = 4096
_BUILT_IN: Final = tuple(Source)
_SHOWN: Final = 200
_FORM: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?:(?P<credentials>[^/?#]*)@)?"
    r"(?P<host>\[[^\]/?#]*\]|[^:/?#\[\]]*)"
    r"(?::(?P<port>[^/?#]*))?"
    r"(?P<path>/[^?#]*)?"
    r"(?:\?(?P<query>[^#]*))?"
    r"(?:#(?P<fragment>.*))?"
)
_NAME: Final = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_][A-Za-z0-9_-]{,62}(\.[A-Za-z0-9_-]{1,63})*\.?")
_FRAGMENT_KEY: Final = "the fragment key"
STREAM_WARNING: Final = "its fragment has no effect, since the URL is that of an event stream"
"""The warning about a URL of an event stream that has a fragment."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


# Without slots, so that derived values are cached for the many callbacks to the same URL.
@dataclass(frozen=True)
class CallbackUrl:
    """A URL that callbacks can be sent to, with the settings from its fragment.

    >>> url = CallbackUrl.parse("https://example.com/path?foo=bar#rc=2&cbs=kore")
    >>> url.source, url.connection.retry_count, url.wire
    (<Source.KORE: 'kore'>, 2, 'https://example.com/path?foo=bar')
    """

    scheme: str
    """The scheme as configured, in its original letter case."""
    host: str
    """The host as configured; an IPv6 address keeps its brackets."""
    explicit_port: str | None
    """The port as configured; None if the URL has none, so that the scheme's default is used."""
    path: str
    """The path as configured; empty if the URL has no path."""
    query: str | None
    fragment: str | None = None
    credentials: str | None = field(default=None, repr=False)
    """`user:password` as written in the URL; used only for the Authorization header."""
    source: SourceName | None = None
    connection: ConnectionOverrides = ConnectionOverrides()
    warnings: tuple[str, ...] = ()

    def __hash__(self) -> int:
        """Return the same hash for equal URLs; it is cached, since URLs are keys of caches."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.host, self.explicit_port, self.path, self.query, self.fragment))

    @classmethod
    def parse(cls, text: str, sources: Collection[SourceName] | None = _BUILT_IN) -> Self:
        """Parse a customer's callback URL.

        `sources` lists the sources that the URL may ask for; None allows any source. Raises
        InvalidCallbackUrl, with a message that names the part that is wrong.
        """
        _check_text(text)
        match = _FORM.fullmatch(text)
        if match is None:
            raise InvalidCallbackUrl(
                f"{_shown(text)} is not a valid URL; it must be like https://host/path"
            )
        _check_scheme(text, match["scheme"])
        _check_host(text, match["host"])
        _check_port(text, match["port"])
        return cls._of(match)._with_fragment_settings(sources)

    @classmethod
    def read_back(cls, text: str) -> Self:
        """Parse a stored callback URL, even if the rules have become stricter since it was stored.

        If the URL is not valid any more, its fragment has no effect, and the URL gets a warning.
        The URL may ask for a source that no longer exists. Raises ValueError if the text is not a
        URL at all.
        """
        try:
            return cls.parse(text, sources=None)
        except InvalidCallbackUrl:
            return cls._without_checks(text)

    @cached_property
    def authority(self) -> str:
        """The value of the Host header: host and port as configured."""
        return self.host if self.explicit_port is None else f"{self.host}:{self.explicit_port}"

    @cached_property
    def resource(self) -> str:
        """The URL without query, fragment and credentials: the form that KORE signs."""
        return f"{self.scheme}://{self.authority}{self.path}"

    @cached_property
    def wire(self) -> str:
        """The URL that is requested: without fragment and credentials."""
        return self.resource if self.query is None else f"{self.resource}?{self.query}"

    @cached_property
    def target(self) -> str:
        """The target in the HTTP request line: the path (`/` if it is empty) and the query."""
        return (self.path or "/") + ("" if self.query is None else f"?{self.query}")

    @cached_property
    def authorization(self) -> str | None:
        """The value of the Authorization header; None if the URL has no credentials."""
        return None if self.credentials is None else basic_authorization(self.credentials)

    @cached_property
    def shown(self) -> str:
        """The URL for display and for records: with its fragment, without its credentials."""
        return self.wire if self.fragment is None else f"{self.wire}#{self.fragment}"

    @cached_property
    def configured(self) -> str:
        """The URL as the customer gave it: with fragment and credentials."""
        if self.credentials is None:
            return self.shown
        return self.shown.replace("://", f"://{self.credentials}@", 1)

    @cached_property
    def uses_tls(self) -> bool:
        """True if the request is sent over TLS, that is, if the scheme is https."""
        return self.scheme.lower() == "https"

    @cached_property
    def port(self) -> int:
        """The port to connect to."""
        return int(self.explicit_port or _DEFAULT_PORTS[self.scheme.lower()])

    @cached_property
    def hostname(self) -> str:
        """The host name or address to connect to; an IPv6 address is without brackets."""
        return self.host.strip("[]")

    @cached_property
    def destination(self) -> str:
        """The scheme, host and port to connect to, as one lower-case text.

        >>> CallbackUrl.parse("HTTPS://A.example/p").destination
        'https://a.example:443'
        """
        return f"{self.scheme}://{self.host}:{self.port}".lower()

    def with_parameters(self, encoded: str) -> Self:
        """Return this URL with encoded parameters added at the end of its query.

        >>> CallbackUrl.parse("http://a.example/p?x=1").with_parameters("y=2").wire
        'http://a.example/p?x=1&y=2'
        """
        query = f"{self.query}&{encoded}" if self.query else encoded
        return replace(self, query=query)

    def with_path(self, path: str) -> Self:
        """Return this URL with another path; everything else, including the query, stays.

        >>> CallbackUrl.parse("http://a.example/p?x=1").with_path("/q").wire
        'http://a.example/q?x=1'
        """
        return replace(self, path=path)

    def of_stream(self, connection: ConnectionOverrides) -> Self:
        """Return this URL as that of an event stream, with these timeouts.

        The fragment has no effect then: the vendors do not support overrides there, and each
        stream has a source of its own.
        """
        if self.source is None and self.connection == connection:
            return self
        kept = tuple(one for one in self.warnings if not one.startswith(_FRAGMENT_KEY))
        if self.fragment is not None and STREAM_WARNING not in kept:
            kept = (*kept, STREAM_WARNING)
        return replace(self, source=None, connection=connection, warnings=kept)

    def with_warnings(self, *warnings: str) -> Self:
        """Return this URL with these warnings added; the records of its callbacks show them."""
        return replace(self, warnings=(*self.warnings, *warnings))

    def with_credentials(self, credentials: str | None) -> Self:
        """Return this URL with these credentials; they are stored apart from the URL's text."""
        return replace(self, credentials=credentials)

    @classmethod
    def _without_checks(cls, text: str) -> Self:
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError(
                f"the stored callback URL {_shown(text)} is not a valid URL; it must be like"
                " https://host/path"
            )
        if match["scheme"].lower() not in _DEFAULT_PORTS:
            return cls._of(match)  # not a customer's URL, but ours for a Kinesis stream
        return cls._of(match).with_warnings("its fragment is no longer valid, and has no effect")

    @classmethod
    def _of(cls, match: re.Match[str]) -> Self:
        return cls(
            scheme=match["scheme"],
            host=match["host"],
            explicit_port=match["port"],
            path=match["path"] or "",
            query=match["query"],
            fragment=match["fragment"],
            credentials=match["credentials"],
        )

    def _with_fragment_settings(self, sources: Collection[SourceName] | None) -> Self:
        settings, warnings = _read_fragment(self.fragment or "")
        source, connection = None, self.connection
        for key, value in settings.items():
            if key == "cbs":
                source = _read_source(value, sources)
            else:
                connection = read_override(connection, key, value)
        return replace(self, source=source, connection=connection, warnings=tuple(warnings))


def basic_authorization(credentials: str) -> str:
    """Return the Authorization header for `user:password` as written in a URL (percent-encoded).

    >>> basic_authorization("user:pass%20word")
    'Basic dXNlcjpwYXNzIHdvcmQ='
    """
    # Split before decoding: an escaped colon belongs to the user's name.
    user, _, password = credentials.partition(":")
    plain = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return f"Basic {base64.b64encode(plain).decode()}"


def _read_fragment(fragment: str) -> tuple[dict[str, str], list[str]]:
    """Return the known settings in a fragment, and warnings about its unknown keys."""
    settings, warnings = dict[str, str](), list[str]()
    for pair in filter(None, fragment.split("&")):
        key, _, value = pair.partition("=")
        if key not in ("cbs", *OVERRIDES):
            warnings.append(_unknown_key(key))
            continue
        if key in settings:
            raise InvalidCallbackUrl(f"#{key} is given twice in the callback URL; give it once")
        if "@" in value:
            # The text before the @ may be the rest of a password with a # in it: keep it secret.
            raise InvalidCallbackUrl(
                f"the value of #{key} has an @; if the # belongs to a user name or"
                " password, write it as %23"
            )
        settings[key] = value
    return settings, warnings


def _read_source(value: str, sources: Collection[SourceName] | None) -> SourceName:
    if sources is not None and value not in sources:
        *others, last = sources
        raise InvalidCallbackUrl(f"#cbs={value}: cbs must be {', '.join(others)} or {last}")
    return source_named(value)


def _unknown_key(key: str) -> str:
    is_near = key.lower() in ("cbs", *OVERRIDES)
    meant = f"; did you mean {key.lower()}?" if is_near else ""
    return f"{_FRAGMENT_KEY} {key!r} is unknown and has no effect{meant}"


def _check_text(text: str) -> None:
    if not text:
        raise InvalidCallbackUrl("the callback URL is empty; it must be like https://host/path")
    if len(text) > MAX_LENGTH:
        raise InvalidCallbackUrl(
            f"the callback URL has {len(text)} characters; at most {MAX_LENGTH} are allowed"
        )
    odd = next((char for char in text if not "!" <= char <= "~" or char == "\\"), None)
    if odd is not None:
        # In a file, a byte that is not UTF-8 was read as half of a surrogate pair.
        errors = "surrogateescape" if "\udc80" <= odd <= "\udcff" else "replace"
        raise InvalidCallbackUrl(
            f"{_shown(text)} has the character {odd!r}; in a URL it is written"
            f" {quote(odd, errors=errors)} (in a host name as punycode)"
        )


def _check_scheme(text: str, scheme: str) -> None:
    if scheme.lower() not in _DEFAULT_PORTS:
        raise InvalidCallbackUrl(
            f"{_shown(text)}: callbacks go to http:// or https://, not {scheme}://"
        )


def _check_host(text: str, host: str) -> None:
    if host.startswith("["):
        if not _is_ipv6(host[1:-1]):
            raise InvalidCallbackUrl(
                f"{_shown(text)}: the host in brackets is not a valid IPv6 address"
            )
    elif not _NAME.fullmatch(host):
        raise InvalidCallbackUrl(f"{_shown(text)}: its host is not a valid host name")


def _is_ipv6(text: str) -> bool:
    try:
        # A zone is refused: it names a network interface of one machine, and can be any text.
        return IPv6Address(text).scope_id is None
    except AddressValueError:
        return False


def _check_port(text: str, port: str | None) -> None:
    if port is None or (port.isdigit() and len(port) <= 9 and 1 <= int(port) <= 65535):
        return
    raise InvalidCallbackUrl(f"{_shown(text)}: its port must be a number from 1 to 65535")


def _shown(text: str) -> str:
    """Return a text quoted for an error message: shortened, without a possible password.

    In a malformed URL the password can't be found, so everything before the last @ is left out.

    >>> _shown("https:/user:password@a.example/")
    "'…@a.example/'"
    """
    text = re.sub(r".*@", "…@", text, flags=re.DOTALL)
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
