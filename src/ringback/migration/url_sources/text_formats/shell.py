"""Finds callback URLs without quotation marks in shell commands, and in `${NAME:-URL}`."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from ringback.migration.url_sources.text_formats.callback_names import (
    CallbackName,
    callback_names,
    line_before,
)
from ringback.migration.url_sources.text_formats.expressions import URL_START, default_in
from ringback.migration.url_sources.text_formats.form_bodies import LOST_TO_THE_SHELL
from ringback.migration.url_sources.url_escaping import ESCAPED, MAKE, PLAIN, SHELL
from ringback.migration.url_sources.url_matches import NOT_WHOLE, UrlInText, found_url

_WORD: Final = re.compile(r"""(?:\\.|\$\{[^}\n]*\}|[^\s"'`;|&<>()\\])+""")
_SIGN: Final = re.compile(r"=|(?<=url)[ \t]+(?=http)|(?<=URL)[ \t]+(?=http)", re.IGNORECASE)
VARIABLE: Final = re.compile(
    r"[\"']?\$(?:\{(?P<braced>\w+)\}|\((?P<made>\w+)\)|(?P<name>\w+))(?=[\"'\s]|\Z)"
)
"""A variable as the whole value of something."""
_OPENS: Final = re.compile(r"(?:\$\{|\{\{|#\{)[^{}\n]{0,40}\Z")
_DEFAULT: Final = re.compile(
    r"""["']?\s*(?::?[-=?]|:|,|\|\s*default\s*\(?|\|\|)\s*["']?
    (?P<url>https?://[^\s}"'|)]*)["']?\s*\)?\s*(?:\|\s*\w+\s*)?\}""",
    re.VERBOSE | re.IGNORECASE,
)
_HERE_DOCUMENT: Final = re.compile(
    r"^(?P<intro>[^\n#]*<<[-~]?[ \t]*(?P<quote>[\"']?)(?P<word>[A-Za-z_]\w*)(?P=quote)[^\n]*)\n"
    r"(?P<body>(?:.*\n)*?)[ \t]*(?P=word)\b",
    re.MULTILINE,
)
_NO_LINE_END: Final = re.compile(r"[^\n]")
_TARGET: Final = re.compile(
    r"(?:>{1,2}[ \t]*|\btee[ \t]+(?:-a[ \t]+)?)[\"']?(?P<file>[^\s\"'|;&>]+)"
)


def urls_in_shell(text: str) -> Iterator[UrlInText]:
    """Yield the callback URLs that are words of shell commands, without quotation marks."""
    for name in callback_names(text):
        sign = _SIGN.match(text, name.end)
        if sign and URL_START.match(text, sign.end()) and not _is_quoted(text, name):
            word = _WORD.match(text, sign.end())
            if word:
                yield _word(text, word, name)


def urls_of_variables(text: str, *, is_make: bool = False) -> Iterator[UrlInText]:
    """Yield the URLs of variables that are the value of a parameter: `-d CallbackUrl=$URL`."""
    equals = r"[ \t]*(?::{0,3}|\?)=[ \t]*" if is_make else "="
    for name in callback_names(text):
        variable = VARIABLE.match(text, name.end + 1)
        if text[name.end : name.end + 1] != "=" or variable is None:
            continue
        word = variable["braced"] or variable["made"] or variable["name"]
        assignment = re.compile(rf"""(?<![\w$-]){re.escape(word)}{equals}(?P<quote>["']?)""")
        for match in assignment.finditer(text, 0, name.start):
            value = _WORD.match(text, match.end())
            if value and URL_START.match(value[0]):
                notation = MAKE if is_make else ESCAPED if match["quote"] else SHELL
                yield found_url(value.start(), value[0], notation, key=name.text)


def _is_quoted(text: str, name: CallbackName) -> bool:
    """Return True if the name is inside quotation marks that begin on its line."""
    line = line_before(text, name.start).replace('\\"', "")
    return line.count('"') % 2 == 1 or line.count("'") % 2 == 1


def _word(text: str, word: re.Match[str], name: CallbackName) -> UrlInText:
    at, raw = default_in(word[0])
    if at:
        return found_url(word.start() + at, raw, PLAIN, key=name.text)
    after = text[word.end() : word.end() + 2]
    fixed = None
    if after[:1] == "&" and after[1:].strip(" \t\r\n&"):
        fixed = LOST_TO_THE_SHELL
    elif after[:1] in ('"', "'", "`"):
        fixed = NOT_WHOLE
    return found_url(word.start(), word[0], SHELL, key=name.text, fixed=fixed)


def urls_as_defaults(text: str) -> Iterator[UrlInText]:
    """Yield the callback URLs in substitutions: `${CALLBACK_URL:-https://…}` and its like."""
    for name in callback_names(text):
        if _OPENS.search(text, max(0, name.start - 45), name.start):
            default = _DEFAULT.match(text, name.end)
            if default:
                yield found_url(default.start("url"), default["url"], PLAIN, key=name.text)


def here_documents(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield each here-document: its position, its body, and the file that it is written to.

    The name of the file is empty if the body goes elsewhere.
    """
    for match in _HERE_DOCUMENT.finditer(text):
        target = _TARGET.search(match["intro"])
        yield match.start("body"), match["body"], target["file"] if target else ""


def masked(text: str, parts: Iterable[tuple[int, int]]) -> str:
    """Return the text with these parts as blanks, so that all else keeps its position.

    The parts are in order, each with its start and end.
    """
    pieces, at = list[str](), 0
    for start, end in parts:
        pieces += [text[at:start], _NO_LINE_END.sub(" ", text[start:end])]
        at = end
    return "".join([*pieces, text[at:]])
