"""Egress routes: how requests leave this machine, from a local address or through a proxy.

A proxy's credentials are sent only to the proxy; records and messages do not contain them.
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
    """An egress route straight to the receiver; requests leave from the local addresses in turn.

    If there are none, the operating system chooses the address.
    """

    local_addresses: tuple[str, ...] = ()

    def local_address(self, *, towards: str, turn: int) -> str | None:
        """Return the local address for request number `turn`, which goes to the address `towards`.

        Returns None if the route has no local address of the same family (IPv4 or IPv6).

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
    """An egress route through an HTTP proxy, with CONNECT for both http and https URLs."""

    host: str
    """The proxy's host name or address; an IPv6 address is without brackets."""
    port: int
    credentials: str | None = field(default=None, repr=False)
    """The proxy's `user:password` as written in the setting; None if it has none."""

    @property
    def shown(self) -> str:
        """The proxy's URL for records and messages, without its credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def authorization(self) -> str | None:
        """The value of the Proxy-Authorization header; None if the proxy has no credentials."""
        return None if self.credentials is None else basic_authorization(self.credentials)


Egress = Direct | Proxy

ANY: Final = Direct()


@dataclass(frozen=True, slots=True)
class Egresses:
    """All egress routes: one for each source, and named ones that a URL chooses with `#e=`."""

    by_source: Mapping[SourceName, Egress] = field(default_factory=dict[SourceName, Egress])
    """The route of each source; a source that is missing here uses any local address."""
    named: Mapping[str, Egress] = field(default_factory=dict[str, Egress])

    def choose(
        self,
        source: SourceName | None,
        connection: ConnectionOverrides,
        *,
        turn: int,
        destination: str | None = None,
    ) -> Egress:
        """Return the egress route of an attempt: one that the URL names, or else the destination's.

        `destination` is the name of the destination's route; if it is None, the source's route is
        used. If the URL names several routes, attempts use them in turn; `turn` is the number of
        earlier attempts. A name that is not defined has no effect.
        """
        own = ANY if source is None else self.by_source.get(source, ANY)
        if destination is not None:
            own = self.named.get(destination, own)
        names = connection.egress
        return self.named.get(names[turn % len(names)], own) if names else own

    def unknown_names(self, connection: ConnectionOverrides) -> tuple[str, ...]:
        """Return the route names in the URL's `#e=` that are not defined, to warn about them.

        >>> asked = ConnectionOverrides(egress=("dublin", "x"))
        >>> Egresses(named={"dublin": Direct()}).unknown_names(asked)
        ('x',)
        """
        return tuple(name for name in connection.egress if name not in self.named)


def read_egress(text: str) -> Egress:
    """Return the egress route that the text of a setting describes.

    The text is `any` (the operating system chooses), a comma list of addresses of this machine, or
    a proxy's URL. Raises ValueError for other text; its message contains no credentials.

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
            f"{shown!r} is not a valid proxy; write it like http://proxy.example:3128,"
            " or http://user:password@proxy.example:3128"
        )
    return Proxy(match["host"].strip("[]"), int(match["port"]), match["credentials"])


def _read_address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(
            f"{text!r} is not a valid egress; it must be the word `any`, addresses of this"
            " machine separated by commas, or a proxy like http://proxy.example:3128"
        ) from None
