"""Egress routes: which one a request takes, and from which local address it is sent.

A proxy's credentials are only for the proxy: no text from this module has them, except
`Proxy.authorization`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from ringback.core.callback_urls.callback_url import basic_authorization
from ringback.core.callback_urls.connection_overrides import ConnectionOverrides
from ringback.core.policy.source_policy import SourceName

_PROXY: Final = re.compile(
    r"http://(?:(?P<credentials>[^/?#]*)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})/?"
)


@dataclass(frozen=True, slots=True)
class Direct:
    """Directly to the receiver, from these local addresses in turn.

    Without any, the operating system chooses the address.
    """

    local_addresses: tuple[str, ...] = ()

    def local_address(self, *, towards: str, turn: int) -> str | None:
        """Return the address that this turn's request leaves from, or None: this way has none.

        An address of one family can't reach one of the other.

        >>> pool = Direct(("192.0.2.1", "192.0.2.2", "2001:db8::1"))
        >>> [pool.local_address(towards="198.51.100.7", turn=turn) for turn in range(3)]
        ['192.0.2.1', '192.0.2.2', '192.0.2.1']
        >>> pool.local_address(towards="2001:db8::7", turn=1)
        '2001:db8::1'
        """
        is_ipv6 = ":" in towards
        fitting = [local for local in self.local_addresses if (":" in local) is is_ipv6]
        return fitting[turn % len(fitting)] if fitting else None


@dataclass(frozen=True, slots=True)
class Proxy:
    """Through an HTTP proxy, which is asked with CONNECT for http and https alike."""

    host: str
    """Without brackets, where it is an IPv6 address."""
    port: int
    credentials: str | None = field(default=None, repr=False)
    """`user:password` as written in the setting."""

    @property
    def shown(self) -> str:
        """The proxy as records and messages name it, without its credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def authorization(self) -> str | None:
        """The value of Proxy-Authorization; None without credentials."""
        return None if self.credentials is None else basic_authorization(self.credentials)


Egress = Direct | Proxy

ANY: Final = Direct()


@dataclass(frozen=True, slots=True)
class Egresses:
    """All egress routes: each source has its own, and `#e=` may name another."""

    by_source: Mapping[SourceName, Egress] = field(default_factory=dict[SourceName, Egress])
    """A source that is not in here uses any local address."""
    named: Mapping[str, Egress] = field(default_factory=dict[str, Egress])

    def choose(
        self, source: SourceName | None, connection: ConnectionOverrides, *, turn: int
    ) -> Egress:
        """Return the route of an attempt; the names that the URL gives take turns.

        An undefined name stands for the source's own route.
        """
        own = ANY if source is None else self.by_source.get(source, ANY)
        names = connection.egress
        return self.named.get(names[turn % len(names)], own) if names else own

    def unknown_names(self, connection: ConnectionOverrides) -> tuple[str, ...]:
        """Return the undefined names in `#e=`, to warn about them.

        >>> asked = ConnectionOverrides(egress=("dublin", "x"))
        >>> Egresses(named={"dublin": Direct()}).unknown_names(asked)
        ('x',)
        """
        return tuple(name for name in connection.egress if name not in self.named)


def read_egress(text: str) -> Egress:
    """Return the way out that a setting names.

    `any` leaves the choice to the machine; else it is a comma list of addresses of this machine,
    or the URL of a proxy. Raises ValueError for anything else; the message holds no credentials.

    >>> read_egress("192.0.2.1,192.0.2.2")
    Direct(local_addresses=('192.0.2.1', '192.0.2.2'))
    >>> read_egress("http://user:secret@proxy.example:3128")
    Proxy(host='proxy.example', port=3128)
    """
    if text == "any":
        return ANY
    if "/" in text or "@" in text:
        return _read_proxy(text)
    return Direct(tuple(map(_read_address, text.split(","))))


def _read_proxy(text: str) -> Proxy:
    match = _PROXY.fullmatch(text)
    if match is None or not 1 <= int(match["port"]) <= 65535:
        shown = re.sub(r".*@", "…@", text, flags=re.DOTALL)
        raise ValueError(
            f"{shown!r} is no proxy; write it like http://proxy.example:3128,"
            " or http://user:password@proxy.example:3128"
        )
    return Proxy(match["host"].strip("[]"), int(match["port"]), match["credentials"])


def _read_address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(
            f"{text!r} is no address; an egress is any, a comma list of addresses of this machine,"
            " or a proxy like http://proxy.example:3128"
        ) from None
