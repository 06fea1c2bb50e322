"""Remove credentials from URLs before they are shown, and restore them when URLs are written."""

import re
from typing import Final

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import InvalidCallbackUrl

_TO_THE_LAST_AT: Final = re.compile(r".*@", re.DOTALL)


def shown(url: str) -> str:
    """Return a URL's text without its credentials, even if the text isn't a valid URL.

    In an invalid URL it isn't clear where a password ends. So everything before an @ is left out.

    >>> shown("https://user:password@a.example/p#rc=2"), shown("https:/user:password@a.example")
    ('https://a.example/p#rc=2', '…@a.example')
    """
    if "@" not in url:  # parsing takes long, for thousands of URLs
        return url
    try:
        return CallbackUrl.parse(url, sources=None).shown
    except InvalidCallbackUrl:
        return _TO_THE_LAST_AT.sub("…@", url)


def with_credentials_of(url: str, text: str) -> str:
    """Return `url` with the credentials of the configured URL `text`.

    >>> with_credentials_of("https://a.example/#cbs=kore", "https://user:password@a.example/")
    'https://user:password@a.example/#cbs=kore'
    """
    if "@" not in url and "@" not in text:
        return url
    credentials = CallbackUrl.parse(text, sources=None).credentials
    return CallbackUrl.parse(url, sources=None).with_credentials(credentials).configured
