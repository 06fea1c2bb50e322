"""Decides where callbacks may be sent: which schemes, which ports and which IP addresses.

The IP address is checked at every attempt, since a host name can lead to another address at any
time.
"""

from dataclasses import dataclass
from typing import Final

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.http.allowed_addresses import Network, refusal

Ports = tuple[range, ...]

ANY_PORT: Final[Ports] = (range(1, 65536),)
SCHEMES: Final = ("http", "https")


@dataclass(frozen=True, slots=True)
class SsrfGuard:
    """The destinations that the operator permits; by default any public address and any port.

    >>> SsrfGuard(schemes=("https",)).refusal_of(CallbackUrl.parse("http://a.example/"))
    'callbacks may not go to http URLs; the settings permit https'
    """

    networks: tuple[Network, ...] = ()
    """Networks that are permitted in addition to all public addresses."""
    ports: Ports = ANY_PORT
    schemes: tuple[str, ...] = SCHEMES

    def refusal_of(self, url: CallbackUrl) -> str | None:
        """Return why the URL's scheme or port is not permitted, or None if both are.

        >>> SsrfGuard(ports=(range(443, 444),)).refusal_of(CallbackUrl.parse("http://a.example:22/"))
        'callbacks may not go to port 22; the settings permit 443'
        """
        scheme = url.scheme.lower()
        if scheme not in self.schemes:
            permitted = " and ".join(self.schemes)
            return f"callbacks may not go to {scheme} URLs; the settings permit {permitted}"
        port = url.port
        for ports in self.ports:
            if port in ports:
                return None
        permitted = ",".join(map(_shown, self.ports))
        return f"callbacks may not go to port {port}; the settings permit {permitted}"

    def refusal_at(self, address: str) -> str | None:
        """Return why no callback may be sent to this IP address, or None if one may.

        >>> SsrfGuard().refusal_at("not-an-address")
        'not-an-address is not an IP address'
        """
        try:
            return refusal(address, allowed=self.networks)
        except ValueError:
            return f"{address} is not an IP address"


def read_ports(text: str) -> Ports:
    """Return the ports that the text of a setting lists: numbers and ranges, or `any`.

    Raises ValueError for any other text.

    >>> read_ports("443,8000-8999")
    (range(443, 444), range(8000, 9000))
    """
    return ANY_PORT if text == "any" else tuple(map(_read_range, text.split(",")))


def read_schemes(text: str) -> tuple[str, ...]:
    """Return the schemes in a setting's comma list; raises ValueError for unknown or repeated ones.

    >>> read_schemes("https")
    ('https',)
    """
    schemes = tuple(text.split(","))
    if not set(schemes) <= set(SCHEMES) or len(set(schemes)) < len(schemes):
        raise ValueError(f"{text!r} must be http, https or both: http,https")
    return schemes


def _read_range(text: str) -> range:
    first, dash, last = text.partition("-")
    ends = (first, last if dash else first)
    if all(end.isascii() and end.isdigit() and len(end) <= 5 for end in ends):
        low, high = map(int, ends)
        if 1 <= low <= high <= 65535:
            return range(low, high + 1)
    raise ValueError(
        f"{text!r} is not a port or a range of ports; write numbers from 1 to 65535 and ranges"
        " of them in a comma list, like 80,443,8000-8999, or the word `any`"
    )


def _shown(ports: range) -> str:
    return str(ports[0]) if len(ports) == 1 else f"{ports[0]}-{ports[-1]}"
