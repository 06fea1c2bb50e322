"""What the migrations need that SQL has no words for: functions of one column's value."""

import json
import re
from ipaddress import IPv4Network
from itertools import count
from typing import Final

from ringback.core.callback_url import CallbackUrl
from ringback.core.device_address import device_address

_DEVICES: Final = IPv4Network("127.64.0.0/10")


def destination_of(url: str) -> str:
    """Return where a callback URL leads to."""
    return CallbackUrl.read_back(url).destination


def head_of_request(text: str | None) -> str | None:
    """Return the head of a request that was kept as JSON: method, URL, headers, body."""
    if text is None:
        return None
    method, url, headers, _ = json.loads(text)
    target = re.sub(r"^[^:]+://[^/?]*", "", url)
    target = target if target.startswith("/") else f"/{target}"
    return "\r\n".join([f"{method} {target} HTTP/1.1", *map(": ".join, headers)])


def head_of_response(text: str | None) -> str | None:
    """Return the head of an answer that was kept as JSON: status, headers, whether it is cut."""
    if text is None:
        return None
    status, headers, _ = json.loads(text)
    return "\n".join([str(status), *map(": ".join, headers)])


class DeviceAddresses:
    """Addresses for the devices of SIMs that had none so far: each is given to one alone."""

    def __init__(self) -> None:
        self._given = set[str]()

    def device_ip_of(self, iccid: str) -> str:
        """Return an address for a card; where another one has it, that of the next turn."""
        turns = (device_address(iccid, _DEVICES, turn=turn) for turn in count())
        address = next(address for address in turns if address not in self._given)
        self._given.add(address)
        return address
