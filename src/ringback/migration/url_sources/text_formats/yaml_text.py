"""Finds callback URLs in YAML: in values, in entries with `name` and `value`, and in lists.

A plain scalar ends at ` #` or `: ` (YAML 1.2.2, 7.3.3), which no URL contains, so the new URL needs
no quotation marks there.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ringback.migration.url_sources.text_formats.callback_names import is_callback_name
from ringback.migration.url_sources.text_formats.expressions import URL_START, default_in
from ringback.migration.url_sources.text_formats.shell import masked
from ringback.migration.url_sources.url_escaping import DOUBLED, ESCAPED, PLAIN
from ringback.migration.url_sources.url_matches import UrlInText, found_url

FindIn = Callable[[str, str], Iterator[UrlInText]]
"""Yields the callback URLs in a text, given with the name of a file that would contain it."""

_SEVERAL_LINES: Final = "the value goes on in the next line; change it by hand"
_LINE: Final = re.compile(
    r"""^(?P<indent>[ ]*)(?P<dashes>(?:-[ ]+)*)
    (?:(?P<key>"[^"\n]*"|'[^'\n]*'
      |[^\s"'\[\]{}\#&*!|>%@,][^\n\#:]*?(?::[^\s\#:]+)*)[ \t]*:(?=\s|\Z)[ \t]*)?
    (?:(?:!\S*|&\S+)[ \t]+)*
    (?P<value>[^\n]*)$""",
    re.MULTILINE | re.VERBOSE,
)
_BLOCK: Final = re.compile(r"[>|][-+\d]*[ \t]*(?:#.*)?\r?$")
_QUOTED: Final = re.compile(
    r'"(?P<double>(?:\\.|[^"\\])*)"|\'(?P<single>(?:\'\'|[^\'])*)\'', re.DOTALL
)
_PLAIN: Final = re.compile(r"[^\s#](?:[^\n#]|(?<=\S)#)*?(?=[ \t]*\r?(?:$|[ \t]#))", re.MULTILINE)
_ENTRY_KEYS: Final = frozenset({"name", "key", "id", "parameterkey", "variable", "var"})
_VALUE_KEYS: Final = frozenset({"value", "default", "parametervalue", "content", "defaultvalue"})
_NOT_VALUES: Final = frozenset({"description", "documentation", "docs", "externaldocs", "$ref"})
_PAIR: Final = re.compile(
    r"""(?P<key>"[^"\n]*"|'[^'\n]*'|[\w.-]+)\s*:\s+(?P<value>"[^"\n]*"|'[^'\n]*'|[^,{}\[\]\n"']+)"""
)
_ITEM: Final = re.compile(r"[\w.-]+(?==)")
_FLOW_URL: Final = re.compile(r"(?<=[\[,\s])https?://[^\s,\]}\"']+|(?<=[\"'])https?://[^\s\"']+")
_SHELL_KEYS_TEXT: Final = """
    run script command args cmd entrypoint before_script after_script user_data shell bash
"""
_SHELL_KEYS: Final = frozenset(_SHELL_KEYS_TEXT.split())
_FILE_NAME: Final = re.compile(r"[\w.-]*\.\w{1,10}")


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a YAML document: the key of an entry and its value, or an item of a list."""

    column: int
    """The column of the key, or of an item's text."""
    dashes: int
    key: str
    value: str
    at: int
    """The position of the value."""
    end: int


def urls_in_yaml(text: str, find_in: FindIn) -> Iterator[UrlInText]:
    """Yield the callback URLs in a YAML document; `find_in` reads texts inside it."""
    blocks, end = list[tuple[int, str, str]](), 0
    for match in _LINE.finditer(text):
        line = _line(match)
        if line.at >= end and _BLOCK.match(line.value):
            start, body = _body(text, line)
            blocks.append((start, line.key, body))
            end = start + len(body)
    outside = masked(text, ((start, start + len(body)) for start, _, body in blocks))
    lines = [_line(match) for match in _LINE.finditer(outside) if match[0].strip()]
    for at, line in enumerate(lines):
        for key, value in _named_values(lines, at):
            yield from _scalar(text, value, key)
        if line.value[:1] in ("{", "["):
            yield from _in_flow(line)
        elif not line.key or line.dashes:
            yield from _item(line)
    for start, key, body in blocks:
        yield from (match.moved(start) for match in find_in(body, _file_of(key, body)))


def _line(match: re.Match[str]) -> _Line:
    indent, dashes = match["indent"], match["dashes"]
    key = (match["key"] or "").strip("\"'")
    column = len(indent) + len(dashes)
    return _Line(column, len(dashes), key, match["value"], match.start("value"), match.end())


def _named_values(lines: Sequence[_Line], at: int) -> Iterator[tuple[str, _Line]]:
    """Yield the lines with the values of a line's callback name, and that name."""
    line = lines[at]
    if is_callback_name(line.key):
        if line.value.strip() and not line.value.startswith("#"):
            yield line.key, line
            return
        for child in lines[at + 1 :]:
            if child.column <= line.column:
                return
            if child.key.lower() not in _NOT_VALUES:
                yield line.key, child
    elif line.key.lower() in _ENTRY_KEYS and is_callback_name(named := _text(line.value)):
        for other in _siblings(lines, at):
            if other.key.lower() in _VALUE_KEYS:
                yield named, other


def _text(value: str) -> str:
    return re.sub(r"[ \t]+#.*", "", value).strip(" \t\r,\"'").removeprefix("--")


def _siblings(lines: Sequence[_Line], at: int) -> Iterator[_Line]:
    """Yield the other lines of the mapping that a line belongs to."""
    column = lines[at].column
    for step in (-1, 1):
        other = at + step
        if step < 0 and lines[at].dashes:
            continue
        while 0 <= other < len(lines) and lines[other].column >= column:
            if lines[other].column == column:
                if step > 0 and lines[other].dashes:
                    break
                yield lines[other]
                if lines[other].dashes:
                    break
            other += step


def _scalar(text: str, line: _Line, key: str) -> Iterator[UrlInText]:
    value = line.value
    quoted = _QUOTED.match(text, line.at)
    if value.startswith("*"):
        anchor = re.search(rf"&{re.escape(_text(value)[1:])}[ \t]+", text)
        if anchor:
            yield from _scalar(
                text, _Line(0, 0, "", _to_line_end(text, anchor.end()), anchor.end(), 0), key
            )
    elif quoted:
        group = "double" if quoted["single"] is None else "single"
        at, raw = default_in(quoted[group])
        if URL_START.match(raw):
            folds = "\n" in raw.replace("\\\n", "").replace("\\\r\n", "")
            notation = ESCAPED if group == "double" else DOUBLED
            fixed = _SEVERAL_LINES if folds else None
            yield found_url(quoted.start(group) + at, raw, notation, key=key, fixed=fixed)
    elif _BLOCK.match(value):
        start, body = _body(text, line)
        yield from _in_block(start, body, key)
    elif (plain := _PLAIN.match(text, line.at)) and URL_START.match(plain[0]):
        yield from _plain(text, line, plain.start(), plain[0], key)


def _plain(text: str, line: _Line, start: int, raw: str, key: str) -> Iterator[UrlInText]:
    if raw.endswith(",") and text.count("{", 0, start) > text.count("}", 0, start):
        raw = raw[:-1]  # in a mapping in braces over several lines
    before, raw = default_in(raw)
    start += before
    after = re.compile(r"[^\n]*\n([ ]*)(?=[^\s#-])[^\n:]*$", re.MULTILINE).match(text, start)
    goes_on = after is not None and len(after[1]) > line.column - line.dashes and line.key
    fixed = _SEVERAL_LINES if goes_on or " " in raw.strip() else None
    yield found_url(start, raw, PLAIN, key=key, fixed=fixed)


def _in_block(start: int, body: str, key: str) -> Iterator[UrlInText]:
    raw = body.strip()
    if URL_START.match(raw):
        fixed = _SEVERAL_LINES if "\n" in raw else None
        at = start + len(body) - len(body.lstrip())
        yield found_url(at, raw.split("\n")[0].rstrip(), PLAIN, key=key, fixed=fixed)


def _item(line: _Line) -> Iterator[UrlInText]:
    """Yield the URL of an item like `- CALLBACK_URL=https://…`, as in Docker Compose."""
    quote = line.value[:1] if line.value[:1] in ('"', "'") else ""
    name = _ITEM.match(line.value, len(quote))
    if not name or not is_callback_name(name[0]):
        return
    at = name.end() + 1
    value = _PLAIN.match(line.value, at)
    raw = line.value[at:].partition(quote)[0] if quote else value[0] if value else ""
    inner = raw[:1] if raw[:1] in ('"', "'") and raw[-1:] == raw[:1] else ""
    at, raw = at + len(inner), raw.strip(inner) if inner else raw
    before, raw = default_in(raw)
    at += before
    if URL_START.match(raw):
        notation = {"'": DOUBLED, '"': ESCAPED}.get(quote, PLAIN)
        yield found_url(line.at + at, raw, notation, key=name[0])


def _in_flow(line: _Line) -> Iterator[UrlInText]:
    """Yield the URLs in a mapping or a list on one line, as in `{name: X, value: https://…}`."""
    if is_callback_name(line.key):
        for url in _FLOW_URL.finditer(line.value):
            yield found_url(line.at + url.start(), url[0], PLAIN, key=line.key)
    pairs = list(_PAIR.finditer(line.value))
    names = [_text(pair["value"]) for pair in pairs if _text(pair["key"]).lower() in _ENTRY_KEYS]
    named = next((name for name in names if is_callback_name(name)), None)
    for pair in pairs:
        key = _text(pair["key"])
        if is_callback_name(key) or (named and key.lower() in _VALUE_KEYS):
            raw = pair["value"].strip()
            quote = raw[:1] if raw[:1] in ('"', "'") else ""
            raw = raw[1:-1] if quote else raw
            if URL_START.match(raw):
                at = line.at + pair.start("value") + len(quote)
                yield found_url(at, raw, PLAIN, key=key if is_callback_name(key) else named or "")


def _body(text: str, line: _Line) -> tuple[int, str]:
    """Return where the block scalar of a line starts, and its text."""
    start = line.end + 1
    indent = line.column - line.dashes
    block = re.compile(rf"(?:[ ]{{{indent + 1},}}[^\n]*(?:\n|\Z)|[ \t\r]*\n)*").match(text, start)
    return start, block[0] if block else ""


def _file_of(key: str, body: str) -> str:
    """Return a file name that fits the notation of a text inside the document."""
    if _FILE_NAME.fullmatch(key):
        return key
    if key.lower() in _SHELL_KEYS or body.lstrip().startswith("#!"):
        return "script.sh"
    return "text.json" if body.lstrip().startswith("{") else "text"


def _to_line_end(text: str, at: int) -> str:
    return text[at:].partition("\n")[0]
