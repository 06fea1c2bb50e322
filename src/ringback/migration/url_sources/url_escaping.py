"""How a URL is written in a text that has its own way with some characters.

Laws of this file. An edit changes only what differs between the two URLs: each character that stays
stays written as it was, so that nothing else of a file changes, and an edit that is undone leaves
the bytes that were there before.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape, unescape
from typing import Final
from urllib.parse import quote, unquote


@dataclass(frozen=True, slots=True)
class UrlEscaping:
    """One way to write a URL."""

    token: re.Pattern[str]
    """One character of the URL, as it is written."""
    read: Callable[[str], str]
    """What a token stands for."""
    write: Callable[[str], str]
    """How a piece of a URL is written."""

    def url(self, raw: str) -> str:
        """Return the URL that is written like this.

        >>> FORM.url("https://a.example/p#rc=2%26cbs=kore")
        'https://a.example/p#rc=2&cbs=kore'
        """
        return "".join(self.read(token) for token in self.token.findall(raw))

    def edited(self, raw: str, new: str) -> str:
        r"""Return how another URL is written in its place.

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
    """Return how many characters two texts have in common at their beginnings."""
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
"""Text of a programming language or of JSON; also text where nothing is escaped."""
SHELL: Final = UrlEscaping(_ESCAPE, _read_escape, lambda text: text.replace("&", "\\&"))
"""A word that is not in quotes."""
FORM: Final = UrlEscaping(_PERCENT, _read_percent, lambda text: quote(text, safe="#=:/?,-_.~"))
"""A value of a form body, with nothing escaped but what has to be."""
FORM_ESCAPED: Final = UrlEscaping(_PERCENT, _read_percent, lambda text: quote(text, safe=""))
"""A value of a form body, with all escaped that may be."""
MARKUP: Final = UrlEscaping(_ENTITY, unescape, escape)
"""Text of XML or HTML."""
