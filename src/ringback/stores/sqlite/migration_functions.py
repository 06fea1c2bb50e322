"""Python functions that schema upgrades call from SQL, for conversions that SQL can't express."""

import hashlib
import json
import re
from collections.abc import Callable
from ipaddress import IPv4Network
from itertools import count
from typing import Any, Final

from ringback.core.accounts.secret_hash import hash_secret
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.kore_ids import ULID_BYTES, KoreIdKind, make_kore_id
from ringback.core.kore_ids import id_of_account as kore_id_of_account
from ringback.core.sims.simulated_network import device_address
from ringback.stores.sql.field_columns import from_us

_DEVICES: Final = IPv4Network("127.64.0.0/10")


def destination_of(url: str) -> str:
    """Return the destination (scheme, host and port) of a stored callback URL."""
    return CallbackUrl.read_back(url).destination


def head_of_request(text: str | None) -> str | None:
    """Return the request line and headers from a request stored as JSON; None for None.

    The JSON is a list of method, URL, headers and body.
    """
    if text is None:
        return None
    method, url, headers, _ = json.loads(text)
    target = re.sub(r"^[^:]+://[^/?]*", "", url)
    target = target if target.startswith("/") else f"/{target}"
    return "\r\n".join([f"{method} {target} HTTP/1.1", *map(": ".join, headers)])


def head_of_response(text: str | None) -> str | None:
    """Return the status and headers, as text, from an answer stored as JSON; None for None.

    The JSON is a list of status, headers, and whether the answer is cut.
    """
    if text is None:
        return None
    status, headers, _ = json.loads(text)
    return "\n".join([str(status), *map(": ".join, headers)])


def id_of_account(sid: str, created_us: int) -> str:
    """Return an account's id in KORE's APIs, made from the account's SID and creation time."""
    return kore_id_of_account(sid, from_us(created_us))


def id_of_secret(account_sid: str, created_us: int) -> str:
    """Return an id for the webhook secret with which the account was created."""
    random_bytes = hashlib.sha256(f"secret of {account_sid}".encode()).digest()[:ULID_BYTES]
    return make_kore_id(KoreIdKind.WEBHOOK_SECRET, from_us(created_us), random_bytes)


FUNCTIONS: Final[tuple[Callable[..., Any], ...]] = (
    destination_of,
    hash_secret,
    head_of_request,
    head_of_response,
    id_of_account,
    id_of_secret,
)
"""The functions to register with SQLite; each always gives the same result for the same input."""


class DeviceAddressBackfill:
    """Gives each SIM that has no IP address for its device an address of its own."""

    def __init__(self) -> None:
        self._given = set[str]()

    def device_ip_of(self, iccid: str) -> str:
        """Return an address for the SIM with this ICCID that no earlier call returned."""
        turns = (device_address(iccid, _DEVICES, turn=turn) for turn in count())
        address = next(address for address in turns if address not in self._given)
        self._given.add(address)
        return address
