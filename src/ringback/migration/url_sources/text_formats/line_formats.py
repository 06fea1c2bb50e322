r"""Finds callback URLs in formats with one setting a line: `.env`, properties, INI, make, Docker.

How their readers read a value without quotation marks, by their documentation and source:

- `.env`: npm's dotenv, Node's `--env-file`, Ruby's dotenv, PHP's phpdotenv and godotenv before 1.5
  end it at any #; python-dotenv, Docker Compose, symfony/dotenv and dotenvy only at a # after a
  blank. `. ./.env` ends the command at an &. All of them remove quotation marks around a value.
- `docker run --env-file`, `kubectl create configmap --from-env-file`: to the end of the line, with
  all quotation marks.
- make: to a #, also within quotation marks, which it keeps; `\#` is a #.
- Java properties, systemd, Dockerfile, Apache: a # is a comment only at the start of a line.
- INI: npm's ini, git and PHP end it at # or ;, and remove quotation marks; Python's configparser
  keeps both.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from ringback.migration.url_sources.text_formats.callback_names import is_callback_name
from ringback.migration.url_sources.text_formats.expressions import URL_START, default_in
from ringback.migration.url_sources.url_escaping import ESCAPED, MAKE, PLAIN, UrlEscaping
from ringback.migration.url_sources.url_matches import UrlInText, found_url

CUT_OFF: Final = "it has no quotation marks, and many readers of such a file end a value at its #"
OTHER_READERS: Final = (
    "programs read this format differently: some end a value without quotation marks at its #,"
    " and others keep quotation marks; write the new URL as your program reads it"
)
_DOCKER: Final = (
    "docker run --env-file keeps quotation marks, and other readers of such a file end a value"
    " without them at its #; write the new URL as your program reads it"
)
_INCLUDED: Final = (
    "make or docker run --env-file reads this file, too, and keeps quotation marks, while other"
    " readers end a value without them at its #; change it by hand, so that all its readers read it"
)
_MARKS: Final = (
    "the value has a quotation mark or a backslash inside, which programs read differently; change"
    " it by hand"
)
_IN_RECIPE: Final = (
    "a recipe uses the variable without quotation marks, so the shell would end the command at"
    " the & of the new URL; put the variable in quotation marks"
)


@dataclass(frozen=True, slots=True)
class LineFormat:
    """A format with one setting a line."""

    line: re.Pattern[str]
    """Matches a setting up to its value; the group `key` is its name."""
    bare: UrlEscaping
    """How a URL without quotation marks is written."""
    quoted: UrlEscaping = ESCAPED
    word: re.Pattern[str] = re.compile(r"\S+(?=[ \t]*(?:[ \t][#;].*)?\r?$)", re.MULTILINE)
    """Matches a value without quotation marks."""
    fixed: str | None = None
    """Why a URL without quotation marks can't be edited, if no other value has any."""
    needs_quotes: bool = False
    """True if a URL with a fragment needs quotation marks."""


_DIRECTIVE: Final = re.compile(
    r"^[ \t]*(?:SetEnv|SetEnvIf|fastcgi_param|uwsgi_param|set|env|Environment=|ENV|ARG|LABEL)"
    r"[^\n]*?(?<![\w.-])[$\"']?(?P<key>[\w.-]+)(?:=|[ \t]+)(?=[\"']?(?:http|\$\{))",
    re.MULTILINE,
)
_TO_SEMICOLON: Final = re.compile(r"[^\s\"'`;]+")
_SETTING: Final = re.compile(
    r"^[ \t]*(?:export[ \t]+)?(?P<key>[\w.-]+)[ \t]*(?:=|:(?=[ \t]))[ \t]*", re.MULTILINE
)
DOTENV: Final = LineFormat(_SETTING, PLAIN, needs_quotes=True)
DOCKER_ENV: Final = LineFormat(_SETTING, PLAIN, fixed=_DOCKER, needs_quotes=True)
INCLUDED_ENV: Final = LineFormat(_SETTING, PLAIN, fixed=_INCLUDED)
INI: Final = LineFormat(
    re.compile(r"^[ \t]*(?P<key>[\w.-]+(?:\[\w*\])?)[ \t]*[=:][ \t]*", re.MULTILINE),
    PLAIN,
    fixed=OTHER_READERS,
    needs_quotes=True,
)
CONFIGPARSER: Final = LineFormat(INI.line, PLAIN)
DIRECTIVES: Final = LineFormat(_DIRECTIVE, PLAIN, word=_TO_SEMICOLON)
PROPERTIES: Final = LineFormat(
    re.compile(
        r"^[ \t\f]*(?![#!])(?P<key>(?:\\.|[^\s:=\\])+)[ \t\f]*(?:[=:][ \t\f]*|[ \t\f]+)",
        re.MULTILINE,
    ),
    ESCAPED,
    word=re.compile(r"(?:\\\r?\n[ \t\f]*|\\.|[^\s\\])+(?=[ \t]*\r?$)", re.MULTILINE),
)
MAKEFILE: Final = LineFormat(
    re.compile(
        r"^(?!\t)[ ]*(?:(?:export|override|private)[ \t]+)*(?:[\w./%-]+[ \t]*:[ \t]*)?"
        r"(?P<key>[\w.-]+)[ \t]*(?::{0,3}|[?+])=[ \t]*",
        re.MULTILINE,
    ),
    MAKE,
    quoted=MAKE,
    word=re.compile(r"(?:\\#|\$\$|[^\s#])+(?=[ \t]*(?:#.*)?\r?$)", re.MULTILINE),
)
_NO_MORE_THAN_A_SOURCE: Final = re.compile(r"(?:cbs=[^&]*)?")
_ONE_VALUE: Final = (_SETTING, INI.line)
_ENDS: Final = re.compile(r"[ \t]*(?:[ \t][#;].*)?\r?$", re.MULTILINE)
_QUOTED: Final = re.compile(r"(?P<quote>[\"'`])(?P<raw>(?:\\.|(?!(?P=quote))[^\\\n])*)(?P=quote)")
_ANY_QUOTED: Final = re.compile(r"^[^#;\n=]*=[ \t]*(?P<quote>[\"'])[^\n]*(?P=quote)", re.MULTILINE)


def urls_in_lines(text: str, form: LineFormat) -> Iterator[UrlInText]:
    """Yield the callback URLs in a text of this format."""
    fixed = form.fixed
    if form.needs_quotes and _ANY_QUOTED.search(text):
        fixed = None
    for line in form.line.finditer(text):
        key, at = line["key"].replace("\\", ""), line.end()
        if not is_callback_name(key):
            continue
        quoted = _QUOTED.match(text, at)
        if quoted and URL_START.match(quoted["raw"]):
            notation = form.quoted if quoted["quote"] == '"' else _unescaped(form.quoted)
            match = found_url(quoted.start("raw"), quoted["raw"], notation, key=key)
            match = replace(match, may_be_bare=form.needs_quotes)
            is_whole = form.line not in _ONE_VALUE or _ENDS.match(text, quoted.end())
            yield match if is_whole else match.by_hand(_MARKS)
        elif (word := form.word.match(text, at)) and URL_START.match(form.bare.url(word[0])):
            before, raw = (0, word[0]) if form.needs_quotes or fixed else default_in(word[0])
            match = found_url(at + before, raw, form.bare, key=key, fixed=fixed)
            if form.needs_quotes and "#" in raw:
                match = replace(match, warnings=(CUT_OFF,))
            if form.needs_quotes and set("\"'`\\") & set(raw):
                match = match.by_hand(_MARKS)
            yield replace(match, needs_quotes=form.needs_quotes and not match.fixed)


def _unescaped(notation: UrlEscaping) -> UrlEscaping:
    return PLAIN if notation is ESCAPED else notation


def urls_in_makefile(text: str) -> Iterator[UrlInText]:
    """Yield the callback URLs in the variables of a makefile."""
    for match in urls_in_lines(text, MAKEFILE):
        variable = rf"\$[({{]{re.escape(match.key)}[)}}]"
        is_bare = re.search(rf"^\t[^\n\"']*{variable}(?![\"'])", text, re.MULTILINE)
        before, _, fragment = match.url.partition("#")
        # A fragment with nothing but the source stays without an ampersand, and so can go back.
        has_ampersand = "&" in before or not _NO_MORE_THAN_A_SOURCE.fullmatch(fragment)
        yield match.by_hand(_IN_RECIPE) if is_bare and has_ampersand else match
