"""Where a request goes and which way it takes; connections are told apart by both."""

from typing import NamedTuple

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.http.egress_routes import Direct, Egress, Proxy
from ringback.runtime.account_fair_semaphore import EVERYBODY


class ConnectionPoolKey(NamedTuple):
    """What a connection leads to, and how; connections with equal peers are interchangeable."""

    host: str
    port: int
    address: str
    uses_tls: bool
    says_name: bool
    """Whether TLS says the host's name before it is encrypted (SNI)."""
    local_address: str | None
    """Where it has to leave from; None where the machine chooses."""
    proxy: Proxy | None


class RequestRoute(NamedTuple):
    """The way of one request."""

    host: str
    port: int
    uses_tls: bool
    says_name: bool
    egress: Egress
    turn: int
    """Which of the egress's own addresses it is the turn of."""
    account: str = EVERYBODY
    """The account it is for; scarce resources are shared out among accounts."""

    @property
    def place(self) -> str:
        """Where it leads, for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host} port {self.port}"

    @property
    def proxy(self) -> Proxy | None:
        """The proxy that the egress is, if it is one."""
        return self.egress if isinstance(self.egress, Proxy) else None

    @property
    def proxy_shown(self) -> str | None:
        """The proxy as records show it, without its credentials."""
        return None if self.proxy is None else self.proxy.shown

    def peer_at(self, address: str) -> ConnectionPoolKey | None:
        """Return the peer at this address, or None where this egress doesn't lead there."""
        egress, local_address = self.egress, None
        if isinstance(egress, Direct) and egress.local_addresses:
            local_address = egress.local_address(towards=address, turn=self.turn)
            if local_address is None:
                return None
        host, port, uses_tls, says_name, *_ = self
        return ConnectionPoolKey(
            host, port, address, uses_tls, says_name, local_address, self.proxy
        )


def route_of(url: CallbackUrl, egress: Egress, turn: int, account: str = EVERYBODY) -> RequestRoute:
    """Return the way to a URL."""
    says_name = url.connection.sni is not False
    return RequestRoute(url.hostname, url.port, url.uses_tls, says_name, egress, turn, account)
