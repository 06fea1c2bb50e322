"""Finds the callback URLs in a text file, and counts all other URLs in it.

The name of a file says how its text is written. Each family of notations has its own module here.
"""

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Final

from ringback.migration.url_sources.text_formats import line_formats
from ringback.migration.url_sources.text_formats.callback_names import callback_names, line_before
from ringback.migration.url_sources.text_formats.code import urls_in_code
from ringback.migration.url_sources.text_formats.form_bodies import urls_in_forms
from ringback.migration.url_sources.text_formats.line_formats import (
    LineFormat,
    urls_in_lines,
    urls_in_makefile,
)
from ringback.migration.url_sources.text_formats.markup import urls_in_markup
from ringback.migration.url_sources.text_formats.other_services import Surroundings, service_of
from ringback.migration.url_sources.text_formats.shell import (
    VARIABLE,
    here_documents,
    masked,
    urls_as_defaults,
    urls_in_shell,
    urls_of_variables,
)
from ringback.migration.url_sources.text_formats.yaml_text import urls_in_yaml
from ringback.migration.url_sources.url_escaping import ESCAPED, MARKUP, PLAIN, UrlEscaping
from ringback.migration.url_sources.url_matches import (
    NotListed,
    UrlInText,
    found_url,
    without_repeats,
)

_ANY_URL: Final = re.compile(r"https?(?::(?:\\?/){2}|%3A%2F%2F)", re.IGNORECASE)
_WITH_SOURCE: Final = re.compile(
    r"""https?:(?://|\\/\\/)[^\s"'`<>()#]{0,4096}\#(?:[^\s"'`<>()]{0,200}[&;])?cbs=[\w-]*(?:&[^\s"'`<>()]*)?""",
    re.VERBOSE | re.IGNORECASE,
)
_HINTS: Final = ("callback", "commands", "cbs=", "command_ur", "command-ur", "commandur")
_HASH_COMMENT: Final = re.compile(r"^[ \t]*#.*", re.MULTILINE)
_LINE_COMMENT: Final = re.compile(r"^[ \t]*[#;!].*", re.MULTILINE)
_CODE_COMMENT: Final = re.compile(
    r"^[ \t]*(?:#(?![\[!]|define\b|include\b|if).*|//.*|/\*(?:[^*]|\*(?!/))*\*/|<!--.*?-->)",
    re.MULTILINE,
)
_MARKUP_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_SQL_COMMENT: Final = re.compile(r"^[ \t]*(?:--.*|/\*(?:[^*]|\*(?!/))*\*/)", re.MULTILINE)
_SCRIPT: Final = re.compile(r"<script\b[^>]*>(?P<code>.*?)</script>", re.DOTALL | re.IGNORECASE)
_NOT_RECIPE: Final = re.compile(r"^(?!\t).*", re.MULTILINE)
_COMMAND: Final = re.compile(
    r"\s*(?:[$>#%]\s+)?(?:export|curl|docker|podman|heroku|helm|env|fly|flyctl|kubectl|gh|az|gcloud)\b"
)
_BARE: Final = re.compile(
    r"""[ \t]*[=:>][ \t]*(?P<raw>(?:https?://|\$\{|\{\{)[^\s"'`<>,;)\]\\]*)""", re.IGNORECASE
)
_UNKNOWN_READER: Final = (
    "it isn't known which program reads this text; put in the new URL by hand, in quotation marks"
    " if that program removes them"
)
_OF_COMMAND: Final = (
    "the text is a command or is read by one, which may end at the & of the URL; change it by hand"
)


@dataclass(frozen=True, slots=True)
class FoundUrls:
    """The callback URLs in a text, and how many other URLs it has, by the reason."""

    listed: list[UrlInText]
    not_listed: Counter[NotListed]


def find_urls(text: str, file: str, *, is_included: bool = False) -> FoundUrls:
    """Return the callback URLs in the text of a file, whose name says how it is written.

    `is_included` is true if make or another program that reads quotation marks as a part of the
    value reads the file, too.
    """
    if "http" not in text and "callback" not in text.lower():
        return FoundUrls([], Counter())
    kind = _INCLUDED if is_included else _kind_of(file)
    comments = [match.span() for match in kind.comment.finditer(text)] if kind.comment else []
    shown, small, found = text, text.lower(), list[UrlInText]()
    if any(hint in small for hint in _HINTS):
        shown = masked(text, comments)
        found = without_repeats([*kind.urls(shown), *_with_source(shown, kind)])
    if found:
        around = Surroundings.of(found, shown, file)
        found = [replace(match, service=service_of(match, around)) for match in found]
    return FoundUrls(found, _others(text, found, comments))


class _Spans:
    """Parts of a text, in order, for questions about positions in order."""

    def __init__(self, spans: Sequence[tuple[int, int]]) -> None:
        self._left = deque(spans)

    def cover(self, at: int) -> bool:
        """Return True if a part covers a position, which is not before the one asked last."""
        while self._left and self._left[0][1] <= at:
            self._left.popleft()
        return bool(self._left) and self._left[0][0] <= at


def _others(
    text: str, found: Sequence[UrlInText], comments: Sequence[tuple[int, int]]
) -> Counter[NotListed]:
    other = Counter[NotListed]()
    listed = _Spans([(match.start, match.end) for match in found])
    in_comments = _Spans(comments)
    for url in _ANY_URL.finditer(text):
        if not listed.cover(url.start()):
            is_comment = in_comments.cover(url.start())
            other[NotListed.COMMENT if is_comment else NotListed.NOT_NAMED] += 1
    return other


# ---- kinds of texts ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextKind:
    """A kind of text: how its callback URLs are found, and what its comments look like."""

    urls: Callable[[str], Iterable[UrlInText]]
    comment: re.Pattern[str] | None
    cbs: UrlEscaping = ESCAPED
    """How a URL is written that is found only by its fragment."""


def _in_code(text: str) -> Iterator[UrlInText]:
    yield from urls_in_code(text)
    yield from urls_in_forms(text)
    yield from urls_as_defaults(text)
    yield from _in_any_text(text)


def _in_sql(text: str) -> Iterator[UrlInText]:
    yield from urls_in_code(text, is_sql=True)


def _in_yaml(text: str) -> Iterator[UrlInText]:
    yield from urls_in_yaml(text, _in_file)
    yield from urls_in_forms(text)
    yield from urls_as_defaults(text)


def _in_markup(text: str) -> Iterator[UrlInText]:
    for script in _SCRIPT.finditer(text):
        yield from (match.moved(script.start("code")) for match in _in_code(script["code"]))
    yield from urls_in_markup(text)
    yield from (replace(match, notation=MARKUP) for match in urls_as_defaults(text))


def _in_shell(text: str) -> Iterator[UrlInText]:
    documents = list(here_documents(text))
    for start, body, file in documents:
        yield from (match.moved(start) for match in _in_file(body, file or "text"))
    text = masked(text, ((start, start + len(body)) for start, body, _ in documents))
    yield from _in_commands(text)
    yield from urls_in_code(text)
    yield from urls_as_defaults(text)


def _in_commands(text: str, *, is_make: bool = False) -> Iterator[UrlInText]:
    assigned = list(urls_of_variables(text, is_make=is_make))
    yield from assigned
    keys = {match.key for match in assigned}
    for match in (*urls_in_forms(text), *urls_in_shell(text)):
        if match.key not in keys or not VARIABLE.fullmatch(match.raw):
            yield match


def _in_makefile(text: str) -> Iterator[UrlInText]:
    yield from urls_in_makefile(text)
    yield from _in_commands(text, is_make=True)
    recipes = _NOT_RECIPE.sub(lambda line: " " * len(line[0]), text)
    yield from urls_in_code(recipes)


def _in_dockerfile(text: str) -> Iterator[UrlInText]:
    yield from urls_in_lines(text, line_formats.DIRECTIVES)
    yield from _in_shell(text)


def _in_directives(text: str) -> Iterator[UrlInText]:
    yield from urls_in_lines(text, line_formats.DIRECTIVES)
    yield from _in_ini(text)


def _in_ini(text: str) -> Iterator[UrlInText]:
    yield from urls_in_lines(text, line_formats.INI)
    yield from urls_in_code(text)


def _in_text(text: str) -> Iterator[UrlInText]:
    yield from urls_in_code(text)
    yield from urls_in_forms(text)
    yield from urls_as_defaults(text)
    yield from _in_any_text(text)


def _lines(form: LineFormat) -> Callable[[str], Iterable[UrlInText]]:
    return lambda text: urls_in_lines(text, form)


def _in_any_text(text: str) -> Iterator[UrlInText]:
    """Yield the URLs without quotation marks in texts inside strings, and in documents."""
    for match in urls_in_shell(text):
        if _COMMAND.match(line_before(text, match.start)):
            yield match
    for name in callback_names(text):
        bare = _BARE.match(text, name.end)
        if bare is None:
            continue
        raw = bare["raw"].rstrip(".")
        start, after = bare.start("raw"), text[bare.start("raw") + len(raw) :][:1]
        line = line_before(text, name.start).replace('\\"', "")
        opener = line[-1:] if line[-1:] in ('"', "'", "`") else ""
        is_inside = any(line.count(quote) % 2 for quote in "\"'`")
        notation, fixed = PLAIN, None
        if text[bare.start() : start].strip() == ">":
            notation = MARKUP
        elif is_inside and not (opener and after == opener):
            fixed = _OF_COMMAND if set("#&") & set(raw) else None
        elif not is_inside and ":" not in text[bare.start() : start]:
            fixed = _UNKNOWN_READER
        yield found_url(start, raw, notation, key=name.text, fixed=fixed)


def _with_source(text: str, kind: TextKind) -> Iterator[UrlInText]:
    """Yield the URLs whose fragment asks for a source, whatever their names are."""
    for match in _WITH_SOURCE.finditer(text):
        yield found_url(match.start(), match[0].rstrip(".,;"), kind.cbs)


def _in_file(text: str, file: str) -> Iterator[UrlInText]:
    yield from _kind_of(file).urls(text)


_CODE: Final = TextKind(_in_code, _CODE_COMMENT)
_INCLUDED: Final = TextKind(_lines(line_formats.INCLUDED_ENV), _LINE_COMMENT)
_KINDS: Final[Mapping[str, TextKind]] = {
    "code": _CODE,
    "sql": TextKind(_in_sql, _SQL_COMMENT),
    "yaml": TextKind(_in_yaml, _HASH_COMMENT),
    "markup": TextKind(_in_markup, _MARKUP_COMMENT, MARKUP),
    "shell": TextKind(_in_shell, _HASH_COMMENT),
    "make": TextKind(_in_makefile, _HASH_COMMENT),
    "docker": TextKind(_in_dockerfile, _HASH_COMMENT),
    "dotenv": TextKind(_lines(line_formats.DOTENV), _HASH_COMMENT),
    "docker-env": TextKind(_lines(line_formats.DOCKER_ENV), _HASH_COMMENT),
    "properties": TextKind(_lines(line_formats.PROPERTIES), _LINE_COMMENT),
    "configparser": TextKind(_lines(line_formats.CONFIGPARSER), _LINE_COMMENT),
    "ini": TextKind(_in_ini, _LINE_COMMENT),
    "directives": TextKind(_in_directives, _LINE_COMMENT),
    "text": TextKind(_in_text, None),
}
_MARKUP_SUFFIXES: Final = (
    ".xml .html .htm .xhtml .plist .csproj .config .props .targets .resx .xaml .wsdl"
)
_SUFFIXES: Final[Mapping[str, str]] = {
    **dict.fromkeys(_MARKUP_SUFFIXES.split(), "markup"),
    **dict.fromkeys((".yaml", ".yml"), "yaml"),
    **dict.fromkeys(
        [".sh", ".bash", ".zsh", ".ksh", ".fish", ".csh", ".envrc", ".profile", ".bashrc"], "shell"
    ),
    **dict.fromkeys(("", ".txt", ".md", ".markdown", ".rst", ".adoc", ".http", ".rest"), "text"),
    **dict.fromkeys((".ini", ".cnf", ".inf"), "ini"),
    **dict.fromkeys((".conf", ".service", ".htaccess", ".timer"), "directives"),
    ".mk": "make",
    ".dockerfile": "docker",
    ".properties": "properties",
    ".cfg": "configparser",
    ".sql": "sql",
}
_NAMES: Final[Sequence[tuple[re.Pattern[str], str]]] = (
    (re.compile(r"(?:gnu)?makefile\b.*"), "make"),
    (re.compile(r"(?:.*\.)?(?:docker|container)file\b.*"), "docker"),
    (re.compile(r"\.envrc.*|\.bashrc|\.profile|procfile"), "shell"),
    (re.compile(r"(?:setup\.cfg|(?:tox|alembic|pytest)\.ini)"), "configparser"),
    (re.compile(r"\.htaccess"), "directives"),
    (re.compile(r".*docker.*\.env\b.*|.*\.env\b.*docker.*|env\.list|.*\.list"), "docker-env"),
    (
        re.compile(
            r"(?:.*\.)?(?:flask)?env(?:\.(?!ya?ml|json|[jt]sx?|py|sh|rb|go|php|d\.ts).*)?|dotenv|\w+[-_]env"
        ),
        "dotenv",
    ),
)


def _kind_of(file: str) -> TextKind:
    """Return the kind of text in a file with this name; source code if nothing else fits."""
    path = PurePath(file.lower())
    for pattern, kind in _NAMES:
        if pattern.fullmatch(path.name):
            return _KINDS[kind]
    if path.suffix in (".example", ".sample", ".dist", ".template", ".tmpl", ".j2", ".erb", ".tpl"):
        return _kind_of(path.stem)
    return _KINDS[_SUFFIXES.get(path.suffix, "code")]
