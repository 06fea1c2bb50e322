"""The route of a request: its destination, its TLS identity, and its egress.

`ConnectionPoolKey` shows which requests can reuse a connection.
"""

from collections.abc import Iterable
from typing import NamedTuple

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.http.connection_profile import TlsIdentity
from ringback.core.http.egress_routes import Direct, Egress, Proxy
from ringback.runtime.account_fair_semaphore import EVERYBODY


class ConnectionPoolKey(NamedTuple):
    """The destination and route of a connection; requests with the same key can reuse it."""

    host: str
    port: int
    address: str
    uses_tls: bool
    says_name: bool
    """True if TLS sends the host's name unencrypted (SNI)."""
    local_address: str | None
    """The local address to connect from; None if the machine chooses."""
    proxy: Proxy | None
    identity: TlsIdentity | None = None
    """The client certificate and authorities of the destination; None if it has none of its own."""


class RequestRoute(NamedTuple):
    """The destination and egress of one request."""

    host: str
    port: int
    uses_tls: bool
    says_name: bool
    egress: Egress
    turn: int
    """A number that increases with each request, so that local addresses are used in turn."""
    account: str = EVERYBODY
    """The account of the request; accounts get equal shares of connections and look-ups."""
    identity: TlsIdentity | None = None
    """The client certificate and authorities of the destination; None if it has none of its own."""

    @property
    def place(self) -> str:
        """The destination as text for messages, such as `example.com port 443`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host} port {self.port}"

    @property
    def proxy(self) -> Proxy | None:
        """The proxy to send through; None if the egress is not a proxy."""
        return self.egress if isinstance(self.egress, Proxy) else None

    @property
    def proxy_shown(self) -> str | None:
        """The proxy without its credentials, to be shown; None if there is no proxy."""
        return None if self.proxy is None else self.proxy.shown

    def peers_at(self, addresses: Iterable[str]) -> tuple[ConnectionPoolKey, ...]:
        """Return the pool keys for those of these addresses that the egress can reach, in order."""
        peers = map(self._peer_at, addresses)
        return tuple([peer for peer in peers if peer is not None])

    def _peer_at(self, address: str) -> ConnectionPoolKey | None:
        egress, local_address = self.egress, None
        if isinstance(egress, Direct) and egress.local_addresses:
            local_address = egress.local_address(towards=address, turn=self.turn)
            if local_address is None:
                return None
        host, port, uses_tls, says_name, *_ = self
        return ConnectionPoolKey(
            host, port, address, uses_tls, says_name, local_address, self.proxy, self.identity
        )


def route_of(
    url: CallbackUrl,
    egress: Egress,
    turn: int,
    account: str = EVERYBODY,
    identity: TlsIdentity | None = None,
) -> RequestRoute:
    """Return the route of a request to this URL through this egress, with this TLS identity."""
    says_name = url.connection.sni is not False
    own = identity if url.uses_tls else None
    return RequestRoute(url.hostname, url.port, url.uses_tls, says_name, egress, turn, account, own)
