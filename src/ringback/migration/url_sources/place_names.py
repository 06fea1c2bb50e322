"""Names like `fleet HF… SmsCommandsUrl` for the callback URLs that an account has configured."""

from typing import Final

from ringback.core.sids import SidKind, is_sid
from ringback.migration.url_source import UrlLocation
from ringback.operations.callback_urls import CallbackUrlSetting

_KINDS: Final = {"fleet": SidKind.FLEET, "SIM": SidKind.WIRELESS_SIM}
_WORDS: Final = {kind.value: word for word, kind in _KINDS.items()}


def place_of(url_place: CallbackUrlSetting, account_sid: str) -> UrlLocation:
    """Return the place of an account's callback URL, named like `fleet HF… SmsCommandsUrl`."""
    sid, parameter = url_place
    return UrlLocation(f"{_WORDS[sid[:2]]} {sid} {parameter}", account_sid)


def url_place_of(place: UrlLocation) -> CallbackUrlSetting | None:
    """Return the SID and URL parameter in a place's name; None if the name has another form.

    >>> url_place_of(UrlLocation(f"fleet HF{'0' * 32} IpCommandsUrl")).parameter
    'IpCommandsUrl'
    >>> url_place_of(UrlLocation(f"fleet DE{'0' * 32} IpCommandsUrl"))
    >>> url_place_of(UrlLocation("app.py:12"))
    """
    match place.name.split(" "):
        case [word, sid, parameter] if word in _KINDS and is_sid(sid, _KINDS[word]):
            return CallbackUrlSetting(sid, parameter)
        case _:
            return None
