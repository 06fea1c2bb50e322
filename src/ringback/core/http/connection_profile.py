"""A destination's own ways: headers, TLS identity and egress of the requests that go there.

The values come from the operator or a customer, so the functions here check them; whether OpenSSL
can use a certificate is checked by `http_client/tls`. Header values and keys are secret: neither
records nor error messages contain them.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

MOST_HEADERS: Final = 20
"""The most headers that a profile may have."""
MOST_HEADER_BYTES: Final = 8 * 1024
"""The most bytes that the headers of a profile may take in a request, with their line ends."""

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token of RFC 9110
_NOT_IN_A_VALUE: Final = re.compile(r"[^ -~\xa0-\xff]")
_OF_SOURCES: Final = ("x-twilio-", "i-twilio-", "x-kore-", "kore-")
"""Receivers recognise a source by headers that begin so, even if it does not send them now."""
_OF_FRAMING: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "expect",
        "host",
        "keep-alive",
        "http2-settings",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)
"""Names of headers that say how a request must be read, or which program sends it."""


# Without slots, so that the hash is cached: connections and TLS contexts are found by it.
@dataclass(frozen=True)
class TlsIdentity:
    """What a destination has of its own in TLS: the client certificate, and trusted authorities.

    Connections with different identities are never used for each other's requests.
    """

    client_certificate: str | None = field(default=None, repr=False)
    """The certificate, its chain and its private key as PEM; None for the server's own."""
    ca: str | None = field(default=None, repr=False)
    """Authorities to trust besides those of the machine and the server, as PEM; None for none."""

    def __hash__(self) -> int:
        """Return the same hash for equal identities."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.client_certificate, self.ca))


class OwnRoute(NamedTuple):
    """The part of a profile that decides which connections its requests can use."""

    egress: str | None
    identity: TlsIdentity | None


# Without slots, as above.
@dataclass(frozen=True)
class ConnectionProfile:
    """What requests to one destination have besides what all requests have.

    If something changes, such as a certificate that is renewed, that is another profile.
    """

    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Names and values of headers to send after the source's own headers, in this order."""
    client_certificate: str | None = field(default=None, repr=False)
    """The client certificate, its chain and its private key as PEM; None for the server's own."""
    ca: str | None = field(default=None, repr=False)
    """Authorities to trust besides those of the machine and the server, as PEM; None for none."""
    egress: str | None = None
    """The name of an egress of the settings; None for the source's own egress."""

    def __hash__(self) -> int:
        """Return the same hash for equal profiles; it is cached, since profiles are keys."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.headers, self.client_certificate, self.ca, self.egress))

    @cached_property
    def tls_identity(self) -> TlsIdentity | None:
        """The certificate and the authorities; None if the profile has neither."""
        if self.client_certificate is None and self.ca is None:
            return None
        return TlsIdentity(self.client_certificate, self.ca)

    @cached_property
    def own_route(self) -> OwnRoute | None:
        """The egress and the TLS identity; None if the profile has neither.

        Requests can use the same connection only if this is equal.
        """
        identity = self.tls_identity
        if self.egress is None and identity is None:
            return None
        return OwnRoute(self.egress, identity)


NO_PROFILE: Final = ConnectionProfile()
"""The profile of requests that have nothing of their own."""


def read_header(line: str) -> tuple[str, str]:
    """Return the name and the value of a header that is written in one line.

    Raises ValueError if the line has no colon; the message does not show the line.

    >>> read_header("X-Team: meters")
    ('X-Team', 'meters')
    """
    name, colon, value = line.partition(":")
    if not colon:
        raise ValueError("a header has no colon; write it like X-Team: meters")
    return name.strip(), value.strip()


def check_headers(headers: Collection[tuple[str, str]], *, taken: Collection[str]) -> None:
    """Raise ValueError if a profile can't have these headers; the message shows no values.

    `taken` has the names, in lower case, of the headers that the sources send: see
    `sources/source_definition.header_names`.
    """
    if len(headers) > MOST_HEADERS:
        raise ValueError(
            f"{len(headers)} headers are given, but a request can get at most {MOST_HEADERS} more;"
            " leave some out"
        )
    seen = set[str]()
    for name, value in headers:
        check_header_name(name, taken=taken)
        if name.lower() in seen:
            raise ValueError(f"the header {name} is given twice; give it once")
        seen.add(name.lower())
        check_header_value(name, value)
    size = sum(len(f"{name}: {value}\r\n") for name, value in headers)
    if size > MOST_HEADER_BYTES:
        raise ValueError(
            f"the headers take {size} bytes, but a request can get at most {MOST_HEADER_BYTES}"
            " more; shorten their values"
        )


def check_header_name(name: str, *, taken: Collection[str]) -> None:
    """Raise ValueError if a profile's header can't have this name; `check_headers` has `taken`.

    >>> check_header_name("X-Team", taken=())
    >>> check_header_name("host", taken=())
    Traceback (most recent call last):
    ValueError: the header host is set by Ringback itself; choose another name
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is not the name of a header; it must have letters, digits and -, like X-Team"
        )
    # Proxies and frameworks read _ as -, so that such a name stands for another header.
    lower = name.lower().replace("_", "-")
    if lower in _OF_FRAMING:
        raise ValueError(f"the header {name} is set by Ringback itself; choose another name")
    if lower in taken or lower.startswith(_OF_SOURCES):
        raise ValueError(f"a source of callbacks sends the header {name}; choose another name")


def check_header_value(name: str, value: str) -> None:
    """Raise ValueError, with the header's name, if a header can't have this value.

    >>> check_header_value("X-Team", "meters")
    >>> check_header_value("X-Team", " meters")
    Traceback (most recent call last):
    ValueError: the value of the header X-Team begins or ends with a space; leave it out
    """
    odd = _NOT_IN_A_VALUE.search(value)
    if odd is not None:
        raise ValueError(
            f"the value of the header {name} has the character {odd[0]!r} at place"
            f" {odd.start() + 1}; it may have printable characters of Latin-1 only"
        )
    if value != value.strip(" "):
        raise ValueError(
            f"the value of the header {name} begins or ends with a space; leave it out"
        )
