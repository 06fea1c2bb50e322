"""What the places of callback URLs in an account are called."""

from typing import Final

from ringback.core.sids import Kind
from ringback.migration.record import Place
from ringback.operations.callback_urls import UrlPlace

_KINDS: Final = {Kind.FLEET.value: "fleet", Kind.WIRELESS_SIM.value: "SIM"}


def place_of(url_place: UrlPlace, account_sid: str) -> Place:
    """Return the place of a URL: `fleet HF… SmsCommandsUrl`."""
    sid, parameter = url_place
    return Place(f"{_KINDS[sid[:2]]} {sid} {parameter}", account_sid)


def url_place_of(place: Place) -> UrlPlace | None:
    """Return which URL has its place there, or None where no URL can have.

    >>> url_place_of(Place("fleet HF0123 IpCommandsUrl"))
    UrlPlace(sid='HF0123', parameter='IpCommandsUrl')
    >>> url_place_of(Place("fleet DE0123 IpCommandsUrl"))
    """
    match place.name.split(" "):
        case [kind, sid, parameter] if _KINDS.get(sid[:2]) == kind:
            return UrlPlace(sid, parameter)
        case _:
            return None
