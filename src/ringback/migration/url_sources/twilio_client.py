"""Reads and changes an account's callback URLs through the optional package `twilio`."""

import json
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from operator import attrgetter
from typing import Any, Final, NamedTuple

# The package `twilio` has no type hints.
from twilio.base.exceptions import TwilioException, TwilioRestException  # pyright: ignore[reportMissingTypeStubs] (see above)
from twilio.http.http_client import TwilioHttpClient  # pyright: ignore[reportMissingTypeStubs] (see above)
from twilio.http.response import Response  # pyright: ignore[reportMissingTypeStubs] (see above)
from twilio.rest import Client  # pyright: ignore[reportMissingTypeStubs] (see above)

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.errors import ConfigurationError
from ringback.core.sids import SidKind
from ringback.migration.url_source import UrlEntry
from ringback.migration.url_sources.place_names import place_of
from ringback.operations.callback_urls import CallbackUrlSetting
from ringback.ports import UrlDeliveryTotals

_TIMEOUT: Final = 30.0
"""The time-out of each request, in seconds."""
_PAGE_SIZE: Final = 1000
_SHOWN: Final = 300
# If this were empty, the client would read the environment variables of the process.
_ENVIRONMENT: Final = {"TWILIO_EDGE": ""}
_CREDENTIALS: Final = re.compile(r"//\S*@")


class _Resource(NamedTuple):
    """A type of resource in Twilio's client, with the client's attribute for each URL parameter."""

    path: str
    urls: Mapping[str, str]


_RESOURCES: Final[Mapping[str, _Resource]] = {
    SidKind.FLEET: _Resource(
        "supersim.v1.fleets",
        {"SmsCommandsUrl": "sms_commands_url", "IpCommandsUrl": "ip_commands_url"},
    ),
    SidKind.WIRELESS_SIM: _Resource(
        "wireless.v1.sims", {"CommandsCallbackUrl": "commands_callback_url"}
    ),
}


class TwilioUrlClient:
    """Reads and changes the callback URLs of one account; each call blocks until the response.

    Raises ConfigurationError if there is no usable response.
    """

    def __init__(self, account_sid: str, auth_token: str, *, server: str | None) -> None:
        """Prepare requests to a Ringback at `server`, or to Twilio's hosts if it is None."""
        client: Any = Client(
            account_sid,
            auth_token,
            http_client=TwilioHttpClient(timeout=_TIMEOUT),
            environment=_ENVIRONMENT,
        )
        if server is not None:
            client.supersim.base_url = f"{server}/supersim"
            client.wireless.base_url = f"{server}/wireless"
        self._client = client
        self._server = server
        self._resources = {kind: attrgetter(each.path)(client) for kind, each in _RESOURCES.items()}

    def urls(self) -> Iterator[UrlEntry]:
        """Yield all configured callback URLs of the account."""
        for kind, (path, urls) in _RESOURCES.items():
            with _translated(path):
                for one in self._resources[kind].stream(page_size=_PAGE_SIZE):
                    yield from _reported_urls(one, urls)

    def url_at(self, place: CallbackUrlSetting) -> str | None:
        """Return the URL that is configured in this place; None if there is none any more."""
        resource = _RESOURCES.get(place.sid[:2])
        if resource is None or place.parameter not in resource.urls:
            return None
        with _translated(place.sid):
            try:
                one = self._one(place).fetch()
            except TwilioRestException as refusal:
                if refusal.status == 404:
                    return None
                raise
        return getattr(one, resource.urls[place.parameter]) or None

    def set_url(self, place: CallbackUrlSetting, url: str) -> None:
        """Change the URL that is configured in this place."""
        parameter = _RESOURCES[place.sid[:2]].urls[place.parameter]
        with _translated(place.sid):
            self._one(place).update(**{parameter: url})

    def totals(self, *, since: datetime, until: datetime) -> list[UrlDeliveryTotals]:
        """Return the totals of the callbacks created in this period, from a Ringback's portal."""
        asked = {"Since": since.isoformat(), "Until": until.isoformat()}
        with _translated("the totals"):
            answer = self._client.request("GET", f"{self._server}/portal/v1/totals", params=asked)
            if answer.status_code != 200:
                raise TwilioException("Unable to fetch totals", answer)
            return [*map(UrlDeliveryTotals.of_record, json.loads(answer.text)["totals"])]

    def _one(self, place: CallbackUrlSetting) -> Any:
        return self._resources[place.sid[:2]](place.sid)


def _reported_urls(one: Any, urls: Mapping[str, str]) -> Iterator[UrlEntry]:
    for parameter, name in urls.items():
        url = getattr(one, name)
        if url:
            method = getattr(one, name.replace("url", "method")) or "POST"
            place = place_of(CallbackUrlSetting(one.sid, parameter), one.account_sid)
            yield UrlEntry(place, url, HttpMethod(method))


@contextmanager
def _translated(what: str) -> Generator[None]:
    """Turn the client's errors in the block into ConfigurationError with `what` in the message."""
    try:
        yield
    except TwilioException as refusal:
        raise ConfigurationError(f"{what}: {_CREDENTIALS.sub('//…@', _why(refusal))}") from None
    except OSError as failure:
        raise ConfigurationError(f"{what}: the API can't be reached: {failure}") from None
    except (ValueError, KeyError, TypeError) as odd:
        raise ConfigurationError(
            f"{what}: this response does not come from the API: {odd}"
        ) from None


def _why(refusal: Any) -> str:
    match refusal:
        case TwilioRestException():
            return f"the API answers {refusal.status}: {refusal.msg}"
        case TwilioException(args=[_, Response() as answer]):
            return f"the API answers {answer.status_code}: {answer.text[:_SHOWN]}"
        case _:
            return f"this response does not come from the API: {refusal}"
