"""Reads the expression after a name in source code, as far as a URL needs it.

The language is not known: the tokens are those that C, Python, Ruby, PHP, SQL and their relatives
have in common.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from ringback.migration.url_sources.url_escaping import DOUBLED, ESCAPED, JOINED, UrlEscaping
from ringback.migration.url_sources.url_matches import NOT_WHOLE, UrlInText, found_url

_FARTHEST: Final = 2000
"""Maximum length of an expression with a URL."""
_NEAR: Final = 200
"""Maximum length of one without; it need not be read to its end."""
_STRINGS: Final = r"""
    [A-Za-z@$]{0,2}(?:
        (?P<triple>(?P<mark>["'])(?P=mark){2})(?P<long>(?:\\.|[^\\])*?)(?P=triple)(?!(?P=mark))
      | (?P<tick>`)(?P<lines>(?:\\.|[^\\`])*)`
      | (?P<quote>["'])(?P<line>(?:\\.|(?!(?P=quote))[^\\\n])*)(?P=quote)
      | (?P<escaped>\\["'])(?P<inner>[^"'\\\n]*)(?P=escaped)
    )
"""
_SQL_STRINGS: Final = r"""
    [A-Za-z]?(?P<quote>["'])(?P<line>(?:(?P=quote){2}|(?!(?P=quote))[^\n])*)(?P=quote)
"""


def _tokens(strings: str) -> re.Pattern[str]:
    return re.compile(
        rf"""
        (?P<space>[ \t\r\f]+|\\\r?\n)
      | (?P<comment>//[^\n]*|/\*.*?\*/|\#(?=[\s!-])[^\n]*|--\ [^\n]*)
      | (?P<string>{strings})
      | (?P<word>[$@A-Za-z_][\w$]*(?:(?:\.|->|::|\?\.)[$A-Za-z_][\w$]*)*)
      | (?P<newline>\n)
      | (?P<operator>\|\||\?\?|\?:|=>|&&|[=!]==?|<=|>=|\.\.|[-+*/%.?:=<>|&~^!])
      | (?P<open>[(\[{{])
      | (?P<close>[)\]}}])
      | (?P<comma>,)
      | (?P<end>;)
      | (?P<other>.)
        """,
        re.VERBOSE | re.DOTALL,
    )


_TOKEN: Final = _tokens(_STRINGS)
_SQL_TOKEN: Final = _tokens(_SQL_STRINGS)
_CONTENTS: Final = ("long", "lines", "line", "inner")
URL_START: Final = re.compile(
    r"""\s*(?:https?(?:://|:\\/\\/|%3A%2F%2F)|\$[\w{(]|\{\{|\{\w|\#\{|%\()""", re.IGNORECASE
)
_WITH_DEFAULT: Final = re.compile(r"\$\{[\w.]+(?::?[-=]|:)(?P<url>https?://[^\s}\"']*)\}")
_JOINS: Final = frozenset({"+", ".", "..", "%", "&", "~", "||"})
_NEXT_LINE: Final = re.compile(r"\s*(?:[+?.%&]|\|\|)")
_KEYWORDS_TEXT: Final = """
    new await return or and if else not unless in as is then when try yield async const let var
"""
_KEYWORDS: Final = frozenset(_KEYWORDS_TEXT.split())
_STRING_AHEAD: Final = re.compile(r"""\s*[A-Za-z@$]{0,2}["'`]""")
_HARMLESS_TEXT: Final = """
    freeze to_string to_owned into parse toString trim strip toUri as_str as_ref clone
    ToString to_s unwrap Value href
"""
_HARMLESS: Final = frozenset(_HARMLESS_TEXT.split())
"""Methods that return the same URL, perhaps as another type."""
_JOINING: Final = re.compile(r"(?:join|concat|format|printf|resolve|build|combine|\bURL)\w*$", re.I)
"""Names of functions that make one text of several."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token of source code."""

    kind: str
    text: str
    start: int
    raw: str = ""
    """In a string: its content as it is written."""

    raw_start: int = 0
    """In a string: the position of its content."""

    @property
    def raw_end(self) -> int:
        """In a string: the position after its content."""
        return self.raw_start + len(self.raw)

    @property
    def quote(self) -> str:
        """In a string: the quotation marks that end it."""
        return self.text[self.raw_end - self.start :]

    @property
    def is_url(self) -> bool:
        """True if this is a string that begins like a URL."""
        return self.kind == "string" and URL_START.match(self.raw) is not None


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression of source code."""

    text: str
    """The text in which it stands."""
    tokens: Sequence[Token]
    end: int
    """The position after it."""
    is_sql: bool = False

    @property
    def word(self) -> str | None:
        """The variable that the expression consists of, perhaps converted, as in `Uri(a.url)`."""
        match [token for token in self.tokens if token.text not in ("&", "*", "new", "!")]:
            case [Token("word", text)]:
                return text
            case [Token("word"), Token("open"), Token("word", text), Token("close")]:
                return text
            case _:
                return None

    @property
    def joins_texts(self) -> bool:
        """True if a string is joined to something else."""
        kinds = [token.text if token.text in ("+", ".") else token.kind for token in self.tokens]
        return any("string" in pair and {"+", "."} & set(pair) for pair in pairwise(kinds))

    def urls(self, key: str) -> Iterator[UrlInText]:
        """Yield the URLs that this expression can have as its value."""
        at = 0
        while at < len(self.tokens):
            if not self.tokens[at].is_url or self._is_compared(at):
                at += 1
                continue
            last = self._last_joined(at)
            yield self._url(at, last, key, DOUBLED if self.is_sql else ESCAPED)
            at = last + 1

    def _is_compared(self, at: int) -> bool:
        """Return True if the string is the key of an entry, or is only compared."""
        before, after = self._text(at - 1), self._text(at + 1)
        is_key = after == "=>" or (after == ":" and before in ("{", ","))
        return is_key or before in ("==", "!=", "===", "!==")

    def _text(self, at: int) -> str:
        return self.tokens[at].text if 0 <= at < len(self.tokens) else ""

    def _last_joined(self, first: int) -> int:
        """Return the index of the last string that is joined to the one at this index."""
        begin, last = self.tokens[first], first
        while True:
            step = 2 if self._text(last + 1) in _JOINS - {"%"} else 1
            after = self.tokens[last + step] if last + step < len(self.tokens) else None
            is_string = after is not None and after.kind == "string" and len(begin.quote) == 1
            if after is None or not is_string or after.quote != begin.quote:
                return last
            last += step

    def _url(self, first: int, last: int, key: str, notation: UrlEscaping) -> UrlInText:
        begin, end = self.tokens[first], self.tokens[last]
        raw = self.text[begin.raw_start : end.raw_end]
        start = begin.raw_start + len(raw) - len(raw.lstrip())
        is_built = (
            self._text(first - 1) in _JOINS - {"%", "&", "||"}
            or self._goes_on(last)
            or self._is_part_of_call(first, last)
        )
        raw = raw.strip()
        if first == last:
            before, raw = default_in(raw)
            start += before
        is_one = first == last
        return found_url(
            start,
            raw,
            notation if is_one else JOINED,
            key=key,
            fixed=NOT_WHOLE if is_built else None,
        )

    def _goes_on(self, last: int) -> bool:
        after = self._text(last + 1)
        if after == "." and self._text(last + 2).partition(".")[0] in _HARMLESS:
            return False
        return after in _JOINS

    def _is_part_of_call(self, first: int, last: int) -> bool:
        """Return True if a function makes the URL of this string and others."""
        for at in range(last + 1, len(self.tokens) - 2):
            is_method = self.tokens[at].kind == "close" and self._text(at + 1) == "."
            if is_method and _JOINING.search(self._text(at + 2)):
                return True  # ["https://a.example", "p"].join("/")
        depth, has_comma = 0, self._text(last + 1) == ","
        for at in range(first - 1, 0, -1):
            token = self.tokens[at]
            depth += {"close": 1, "open": -1}.get(token.kind, 0)
            has_comma = has_comma or (depth == 0 and token.kind == "comma")
            if depth < 0:
                name = self.tokens[at - 1]
                return name.kind == "word" and has_comma and bool(_JOINING.search(name.text))
        return False


def default_in(raw: str) -> tuple[int, str]:
    """Return the URL in a value like `${NAME:-URL}`, and its position; else the value, at 0.

    >>> default_in("${HOOK:-https://a.example/}")
    (8, 'https://a.example/')
    """
    default = _WITH_DEFAULT.fullmatch(raw)
    return (default.start("url"), default["url"]) if default else (0, raw)


def read_expression(
    text: str, at: int, *, to_close: bool = False, is_sql: bool = False
) -> Expression:
    """Return the expression at a position: it ends at a comma, a line's end or a bracket.

    With `to_close`, it goes on to the bracket that closes the list of arguments around it.
    """
    tokens, depth = list[Token](), 1 if to_close else 0
    pattern = _SQL_TOKEN if is_sql else _TOKEN
    end = at + (_FARTHEST if text.find("http", at, at + _FARTHEST) >= 0 else _NEAR)
    while at < end and (match := pattern.match(text, at)):
        kind = str(match.lastgroup)
        if kind not in ("space", "comment"):
            depth += {"open": 1, "close": -1}.get(kind, 0)
            if depth < 0 or (to_close and depth == 0) or _ends(tokens, kind, match, depth):
                break
            if kind != "newline":
                tokens.append(_token(kind, match))
        at = match.end()
    return Expression(text, tokens, at, is_sql)


def _token(kind: str, match: re.Match[str]) -> Token:
    if kind == "string":
        groups = match.groupdict()
        name = next(name for name in _CONTENTS if groups.get(name) is not None)
        return Token(kind, match[0], match.start(), match[name], match.start(name))
    return Token(kind, match[0], match.start())


def _ends(tokens: Sequence[Token], kind: str, match: re.Match[str], depth: int) -> bool:
    """Return True if the expression ends before this token."""
    if match[0] == "{" and depth == 1 and tokens:
        return True  # the body of a function
    if depth > 0:
        return False
    if kind == "word" and tokens and tokens[-1].kind == "word":
        return _KEYWORDS.isdisjoint((match[0], tokens[-1].text))  # a sentence
    if kind == "newline":
        text, after = match.string, match.end()
        if not tokens:
            return not _STRING_AHEAD.match(text, after)
        is_open = tokens[-1].kind == "operator" and tokens[-1].text not in (">", "!", "-")
        if tokens[-1].text == "." and (len(tokens) < 2 or tokens[-2].kind == "word"):
            is_open = False  # the end of a sentence
        return not (is_open or _NEXT_LINE.match(text, after))
    return kind in ("comma", "end")
