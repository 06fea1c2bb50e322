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
    """Matches one character of a URL as it is written in the text, escaped or not.

    It has no groups.
    """
    read: Callable[[str], str]
    """Returns the character that a token stands for."""
    write: Callable[[str], str]
    """Returns a piece of a URL in its escaped form."""
    marks: str = ""
    """The characters that begin an escape: a text without them is the URL itself. Empty if any
    character may begin one."""

    def url(self, raw: str) -> str:
        """Return the URL whose escaped form is `raw`.

        >>> FORM.url("https://a.example/p#rc=2%26cbs=kore")
        'https://a.example/p#rc=2&cbs=kore'
        >>> JOINED.url('https://a.example/" + "p')
        'https://a.example/p'
        """
        if self.marks and not any(mark in raw for mark in self.marks):
            return raw
        return "".join(self.read(token) for token in self._tokens(raw))

    def edited(self, raw: str, new: str) -> str:
        r"""Return the escaped form of the URL `new`, changing as little of `raw` as possible.

        >>> ESCAPED.edited(r"https:\/\/a.example\/p#rc=2", "https://a.example/p#rc=2&cbs=kore")
        'https:\\/\\/a.example\\/p#rc=2&cbs=kore'
        """
        tokens = self._tokens(raw)
        read = [self.read(token) for token in tokens]
        first, start = 0, 0
        while first < len(read) and new.startswith(read[first], start):
            start += len(read[first])
            first += 1
        last, end = len(read), len(new)
        while last > first and new[start:end].endswith(read[last - 1]):
            last -= 1
            end -= len(read[last])
        return "".join([*tokens[:first], self.write(new[start:end]), *tokens[last:]])

    def _tokens(self, raw: str) -> list[str]:
        return self.token.findall(raw)


_ANY: Final = re.compile(r".", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\u[0-9A-Fa-f]{4}|\\\r?\n[ \t]*|\\.|.", re.DOTALL)
_BLANK: Final = r"(?:\s|\\\r?\n)*"
_OPERATOR: Final = rf"{_BLANK}(?:\+|\.{{1,2}}|&|~|\|\|)?{_BLANK}[A-Za-z]{{0,2}}"
_JOIN: Final = re.compile(f"\"{_OPERATOR}\"|'{_OPERATOR}'|{_ESCAPE.pattern}", re.DOTALL)
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}|.", re.DOTALL)
_ENTITY: Final = re.compile(r"&#?\w+;|.", re.DOTALL)
_DOUBLED: Final = re.compile(r"\"\"|''|.", re.DOTALL)
_MAKE: Final = re.compile(r"\\\#|\$\$|.", re.DOTALL)


def _read_escape(token: str) -> str:
    if len(token) == 6 and token[1] == "u":
        return chr(int(token[2:], 16))
    return "" if "\n" in token else token[-1]


def _read_join(token: str) -> str:
    return "" if len(token) > 1 and token[0] in "\"'" else _read_escape(token)


def _read_percent(token: str) -> str:
    return {"+": " "}.get(token) or unquote(token, "latin-1")


PLAIN: Final = UrlEscaping(_ANY, str, str)
"""Text without any escaping."""
ESCAPED: Final = UrlEscaping(_ESCAPE, _read_escape, str, marks="\\")
"""A string of a programming language, of JSON, or a value of Java properties."""
JOINED: Final = UrlEscaping(_JOIN, _read_join, str)
"""Several strings of a program that are joined into one, by an operator or side by side."""
DOUBLED: Final = UrlEscaping(
    _DOUBLED, lambda token: token[0], lambda text: text.replace('"', '""').replace("'", "''")
)
"""A string in which a quotation mark is doubled: SQL, single quotes in YAML."""
MAKE: Final = UrlEscaping(_MAKE, lambda token: token[-1], lambda text: text.replace("#", "\\#"))
r"""The value of a variable of make: `\#` is a #, `$$` is a $ (GNU make's manual, 3.1 and 6.1)."""
SHELL: Final = UrlEscaping(_ESCAPE, _read_escape, lambda text: text.replace("&", "\\&"))
"""A word of a shell command without quotation marks."""
FORM: Final = UrlEscaping(_PERCENT, _read_percent, lambda text: quote(text, safe="#=:/?,-_.~"))
"""A value of a form body in which only the necessary characters are escaped."""
FORM_ESCAPED: Final = UrlEscaping(_PERCENT, _read_percent, lambda text: quote(text, safe=""))
"""A value of a form body in which all reserved characters are escaped."""
MARKUP: Final = UrlEscaping(_ENTITY, unescape, escape)
"""Text of XML or HTML."""
