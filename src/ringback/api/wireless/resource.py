"""What the resources of Programmable Wireless have in common, beside those of every API."""

from typing import ClassVar

from ringback.api.forms import Parameters
from ringback.api.resource import Call, Resource
from ringback.core.errors import WIRELESS, Codes, InvalidCallbackUrl
from ringback.core.listener import Listener


class WirelessResource(Resource):
    """The operations on one kind of resource."""

    codes: ClassVar[Codes] = WIRELESS

    def _told(self, call: Call) -> Listener:
        """Return whom a request wants to be told of what comes of it."""
        return Listener(*self._called_back(call))

    def _address(self, form: Parameters, name: str) -> str | None:
        """Return a URL that is only kept, empty to take it away, or None where it wasn't given."""
        text = form.text(name)
        if not text:
            return text
        try:
            return self._services.read_url(text).configured
        except InvalidCallbackUrl as refused:
            raise InvalidCallbackUrl(f"{name}: {refused.message}") from None
