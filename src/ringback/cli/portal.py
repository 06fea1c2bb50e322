"""Asking a running Ringback over its own API."""

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from ringback.cli.dev_file import DevFile
from ringback.core.errors import Unusable

_TIMEOUT_SECONDS: Final = 10
_NO_QUERY: Final[Mapping[str, str | None]] = {}


@dataclass(frozen=True, slots=True)
class Portal:
    """The portal API of one server, signed in to one account."""

    base_url: str
    account_sid: str
    auth_token: str

    @classmethod
    def of(cls, dev: DevFile) -> Self:
        """Return the portal of a running `ringback dev`."""
        return cls(dev.base_url, dev.account_sid, dev.auth_token)

    def get(self, *path: str, query: Mapping[str, str | None] = _NO_QUERY) -> dict[str, Any]:
        """Return what the portal answers to a GET of this path; None leaves a parameter out.

        Raises Unusable where the server can't be reached, or refuses.
        """
        request = urllib.request.Request(self._url(path, query), headers=self._authorization())
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refusal:
            raise Unusable(_message_of(refusal)) from None
        except (OSError, ValueError) as failure:
            reason = getattr(failure, "reason", failure)
            raise Unusable(
                f"no Ringback answers at {self.base_url} ({reason}); is `ringback dev` running?"
            ) from None

    def _url(self, path: tuple[str, ...], query: Mapping[str, str | None]) -> str:
        steps = "/".join(urllib.parse.quote(step, safe="") for step in path)
        given = {name: value for name, value in query.items() if value is not None}
        return f"{self.base_url}/portal/v1/{steps}?{urllib.parse.urlencode(given)}"

    def _authorization(self) -> dict[str, str]:
        plain = f"{self.account_sid}:{self.auth_token}".encode()
        return {"Authorization": f"Basic {base64.b64encode(plain).decode()}"}


def _message_of(refusal: urllib.error.HTTPError) -> str:
    try:
        return json.load(refusal)["message"]
    except (ValueError, KeyError, TypeError):
        return f"the server answered {refusal.code} {refusal.reason}"
