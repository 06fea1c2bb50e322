"""Finds the names of callback URLs, such as `callback_url` or `CALLBACK_URL_1`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_CORE: Final = re.compile(
    r"(?i:callback[_.-]?ur[li]s?|(?:sms|ip)[_.-]?commands?[_.-]?ur[li]s?)(?![a-z])"
)
_BEFORE: Final = re.compile(r"[\w.$-]{0,40}\Z")
_MORE: Final = re.compile(  # CALLBACK_URL_1, callback_url_of_meters, callbackUrlMeters
    r"[_.-]?\d{1,4}(?!\w)|_[A-Za-z][A-Za-z0-9_]{0,30}|[A-Z][A-Za-z0-9]{0,30}"
)
_WHOLE: Final = re.compile(rf"[\w.$-]{{0,60}}?{_CORE.pattern}(?:{_MORE.pattern})?")
_LONGEST_LINE: Final = 1000
"""Maximum number of characters to look at before a name, because generated lines can be long."""
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


@dataclass(frozen=True, slots=True)
class CallbackName:
    """The name of a callback URL in a text."""

    start: int
    end: int
    text: str
    has_suffix: bool
    """True for a name such as `callback_url_timeout`, whose value need not be a URL."""


@lru_cache(maxsize=4)  # several finders look at the same text
def callback_names(text: str) -> tuple[CallbackName, ...]:
    """Return the names of callback URLs in a text."""
    return tuple(_names(text))


def _names(text: str) -> Iterator[CallbackName]:
    for core in _CORE.finditer(text):
        before = _BEFORE.search(text, max(0, core.start() - 40), core.start())
        start = before.start() if before else core.start()
        more = _MORE.match(text, core.end())
        end = more.end() if more else core.end()
        if text[start - 1 : start] != "%":
            has_suffix = more is not None and not more[0].strip("_.-").isdigit()
            yield CallbackName(start, end, text[start:end], has_suffix)


def line_before(text: str, at: int) -> str:
    """Return the text before a position on its line; of a very long line only the last part."""
    first = max(0, at - _LONGEST_LINE)
    return text[text.rfind("\n", first, at) + 1 or first : at]


def is_callback_name(text: str) -> bool:
    """Return True if the whole text is the name of a callback URL.

    >>> is_callback_name("KORE_CALLBACK_URL_2"), is_callback_name("callback_urgent")
    (True, False)
    """
    return _WHOLE.fullmatch(text) is not None


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name, in lower case.

    >>> words_of("githubCallbackURL"), words_of("OAUTH2_CALLBACK_URL")
    (('github', 'callback', 'url'), ('oauth', '2', 'callback', 'url'))
    """
    return tuple(word.lower() for word in _WORDS.findall(name))
