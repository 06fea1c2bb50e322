"""Takes passwords out of URLs that are shown, and puts them back into those that are written."""

import re
from typing import Final

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import InvalidCallbackUrl

_TO_THE_LAST_AT: Final = re.compile(r".*@", re.DOTALL)


def shown(url: str) -> str:
    """Return a URL's text without its credentials, also one that is no URL.

    Where a URL is mangled, nobody can say where a password ends, so all before an @ is left out.

    >>> shown("https://user:password@a.example/p#rc=2"), shown("https:/user:password@a.example")
    ('https://a.example/p#rc=2', '…@a.example')
    """
    try:
        return CallbackUrl.parse(url, sources=None).shown
    except InvalidCallbackUrl:
        return _TO_THE_LAST_AT.sub("…@", url)


def with_credentials_of(url: str, text: str) -> str:
    """Return a shown URL with the credentials that a configured one has.

    >>> with_credentials_of("https://a.example/#cbs=kore", "https://user:password@a.example/")
    'https://user:password@a.example/#cbs=kore'
    """
    credentials = CallbackUrl.parse(text, sources=None).credentials
    return CallbackUrl.parse(url, sources=None).with_credentials(credentials).configured
