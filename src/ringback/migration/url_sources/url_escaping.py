"""Read and edit URLs in texts that escape some characters, such as JSON or shell commands.

An edit changes only the characters that differ between the old and the new URL. So undoing the edit
restores the original bytes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape, unescape
from typing import Final
from urllib.parse import quote, unquote


@dataclass(frozen=True, slots=True)
class UrlEscaping:
    """The escaping rules of one kind of text."""

    token: re.Pattern[str]
    """Matches one character of a URL as it is written in the text, escaped or not."""
    read: Callable[[str], str]
    """Returns the character that a token stands for."""
    write: Callable[[str], str]
    """Returns a piece of a URL in its escaped form."""

    def url(self, raw: str) -> str:
        """Return the URL whose escaped form is `raw`.

        >>> FORM.url("https://a.example/p#rc=2%26cbs=kore")
        'https://a.example/p#rc=2&cbs=kore'
        """
        return "".join(self.read(token) for token in self.token.findall(raw))

    def edited(self, raw: str, new: str) -> str:
        r"""Return the escaped form of the URL `new`, changing as little of `raw` as possible.

        >>> ESCAPED.edited(r"https:\/\/a.example\/p#rc=2", "https://a.example/p#rc=2&cbs=kore")
        'https:\\/\\/a.example\\/p#rc=2&cbs=kore'
        """
        tokens = self.token.findall(raw)
        old = [self.read(token) for token in tokens]
        start = _common(old, list(new))
        end = _common(old[start:][::-1], list(new[start:])[::-1])
        middle = self.write(new[start : len(new) - end])
        return "".join([*tokens[:start], middle, *tokens[len(tokens) - end :]])


def _common(one: list[str], other: list[str]) -> int:
    """Return the number of equal characters at the beginning of two lists."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


_ESCAPE: Final = re.compile(r"\\u[0-9A-Fa-f]{4}|\\.|.", re.DOTALL)
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}|.", re.DOTALL)
_ENTITY: Final = re.compile(r"&#?\w+;|.", re.DOTALL)


def _read_escape(token: str) -> str:
    if len(token) == 6:
        return chr(int(token[2:], 16))
    return token[-1]


def _read_percent(token: str) -> str:
    return {"+": " "}.get(token) or unquote(token, "latin-1")


ESCAPED: Final = UrlEscaping(_ESCAPE, _read_escape, str)
"""A string of a programming language or of JSON; also text without any escaping."""
SHELL: Final = UrlEscaping(_ESCAPE, _read_escape, lambda text: text.replace("&", "\\&"))
"""A word of a shell command without quotation marks."""
FORM: Final = UrlEscaping(_PERCENT, _read_percent, lambda text: quote(text, safe="#=:/?,-_.~"))
"""A value of a form body in which only the necessary characters are escaped."""
FORM_ESCAPED: Final = UrlEscaping(_PERCENT, _read_percent, lambda text: quote(text, safe=""))
"""A value of a form body in which all reserved characters are escaped."""
MARKUP: Final = UrlEscaping(_ENTITY, unescape, escape)
"""Text of XML or HTML."""
