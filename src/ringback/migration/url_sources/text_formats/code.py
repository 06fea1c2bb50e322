"""Finds callback URLs in source code, JSON, TOML, HCL and SQL: strings in quotation marks.

The code is not parsed. A callback URL is found by the name before it, in all common spellings; the
value may be a fallback, an argument, or a variable that is assigned in the same file.
"""

import re
from collections.abc import Iterator
from typing import Final

from ringback.migration.url_sources.text_formats.callback_names import (
    CallbackName,
    callback_names,
    is_callback_name,
    line_before,
)
from ringback.migration.url_sources.text_formats.expressions import Expression, read_expression
from ringback.migration.url_sources.url_matches import NOT_WHOLE, UrlInText

_SIGN: Final = re.compile(
    r"""
    (?P<close>(?P<quote>\\?["'`])?[\])]{0,3})(?P<list>\[\])?
    (?P<sign>
        \s*:(?![:/])\s*[\w.\[\]<>&'|?* ]{1,60}?\s*=(?![=~>])\s*    # name: type = value
      | (?:\ +[\w.\[\]*]{1,30}){1,2}\ *=(?![=~>])\s*             # name type = value
      | \s*<-\s*                                                 # R
      | \s*(?:=>|:=|\?\?=|\|\|=|[?+]=|=(?![=~>])|:(?![:/=]))\s*
      | \s*\{[^{}\n]{0,60}\}\s*=(?!=)\s*                         # a property of C#
      | \.(?:unwrap_or\w*|or_?[Ee]lse\w*|get_?[Oo]r_?[Ee]lse)\s*\(\s*(?:\|\|\s*)?
      | \s*(?:\|\||\?\?|\?:|\bor\b)\s*                           # value or a default
      | \s*,\s* | \s*(?=\{) | \(\s*
      | \s+\w*[Dd]efault:\s*(?=")                                # a tag of Go's
    )
    """,
    re.VERBOSE,
)
_OF_ENTRY: Final = re.compile(
    r"""(?:\b(?:name|key|id|parameterkey|parameter|variable|var|k|n)["']?\s*(?:=>|[:=])\s*["']?)\Z""",
    re.IGNORECASE,
)
_VALUE: Final = re.compile(
    r"""\b(?:value|default|parametervalue|defaultvalue|content|val|v)["']?\s*(?:=>|[:=])\s*""",
    re.IGNORECASE,
)
_BARE: Final = re.compile(r"https?(?:://|%3A)", re.IGNORECASE)
_BODY: Final = re.compile(
    r"(?:\([^()\n]*\))?[^\n{;=(]{0,80}[{:]?\s*(?:return\s+)?(?=[A-Za-z]{0,2}[\"'`])"
)
_DEFINES: Final = re.compile(r"(?:def|func|function|fun|get|(?i:string)|[Uu]r[il])\s+(?:\w+\.)?\Z")
_VARIABLES: Final = re.compile(r"\b(?:environ|env|getenv|var|local|config|settings|ENV)\b")
_LISP: Final = re.compile(r"(?:[\s{(]:|\(def\s+)\Z")
"""What stands before a name that is followed by its value without a sign."""
_CONDITION: Final = re.compile(r"\s*(?:if|elif|else|while|for|with|case|when|unless|switch)\b")
_SHOWN_EXPRESSION: Final = re.compile(r"[^\n,;]{1,200}")
_COLUMNS: Final = re.compile(
    r"insert\s+(?:or\s+\w+\s+)?into\s+[\w.\"`\[\]]+\s*\((?P<columns>[^()]*)\)\s*values\s*",
    re.IGNORECASE,
)
_SET_WHERE: Final = re.compile(
    r"\bset\s+[\w\"`\[\]]*val[\w\"`\]]*\s*=\s*(?=[^;]{0,300}?\bwhere\b[^;]{0,100}=\s*'(?P<key>[^']*)')",
    re.IGNORECASE,
)
_AROUND: Final = 600
"""Maximum number of characters between the name and the value of an entry."""


def urls_in_code(text: str, *, is_sql: bool = False) -> Iterator[UrlInText]:
    """Yield the callback URLs that are strings in quotation marks."""
    for name in callback_names(text):
        yield from _named(text, name, is_sql=is_sql)
    if is_sql:
        yield from _in_rows(text)


def _named(text: str, name: CallbackName, *, is_sql: bool) -> Iterator[UrlInText]:
    sign = _SIGN.match(text, name.end)
    if _is_key_of_entry(text, name):
        yield from _in_entry(text, name, is_sql=is_sql)
    is_defined = _DEFINES.search(text, max(0, name.start - 40), name.start)
    if is_defined and (body := _BODY.match(text, name.end)):
        yield from read_expression(text, body.end()).urls(name.text)
    if _LISP.search(text, max(0, name.start - 10), name.start):
        yield from read_expression(text, name.end).urls(name.text)
    if sign is None or (sign["sign"].strip() == ":" and _is_condition(text, name)):
        return
    is_quoted, kind = sign["quote"] is not None, sign["sign"].strip()
    if kind in (",", "") and not is_quoted:
        return
    if _BARE.match(text, sign.end()):
        return  # not a string: another notation inside the code
    if kind == "(" and name.has_suffix and name.text[:1].islower():
        return  # a function like callback_url_for(…)
    expression = read_expression(text, sign.end(), to_close=kind in (",", "("), is_sql=is_sql)
    found = list(expression.urls(name.text))
    if not found and (word := expression.word):
        found = list(_assigned(text, word, name))
    yield from found
    if not found and not name.has_suffix and kind not in ("", ","):
        yield from _at_run_time(text, expression, name.text)


def _is_condition(text: str, name: CallbackName) -> bool:
    return _CONDITION.match(line_before(text, name.start)) is not None


def _at_run_time(text: str, expression: Expression, key: str) -> Iterator[UrlInText]:
    """Yield an expression that makes a URL of settings, or of a text and something else."""
    uses = any(
        token.kind == "word" and _VARIABLES.search(token.text) for token in expression.tokens
    )
    if (uses or expression.joins_texts) and expression.tokens:
        at = expression.tokens[0].start
        if shown := _SHOWN_EXPRESSION.match(text, at):
            yield UrlInText(at, shown[0].strip().rstrip(")}"), fixed=NOT_WHOLE, key=key)


# ---- one step of indirection ---------------------------------------------------------------------


def _assigned(text: str, word: str, name: CallbackName) -> Iterator[UrlInText]:
    """Yield the URLs that were assigned to a variable before it is used.

    An assignment that is indented more than the use may be conditional, so earlier ones count, too.
    If there is none before, one after it counts, for constants at the end of a file.
    """
    variable = re.split(r"\.|->|::", word)[-1].lstrip("$@")
    if len(variable) < 2 or is_callback_name(variable):
        return
    assignment = re.compile(
        rf"""(?<![\w%]){re.escape(variable)}(?:["']\])?
        (?:\s*:\s*[\w.\[\]<>&'|?*\ ]{{1,60}}?|\ +[\w.\[\]*]{{1,30}})?\s*(?::?=|=>)(?![=>~])\s*
        |\bvariable\s+"{re.escape(variable)}"\s*(?=\{{)
        |(?:define|const)\s*\(\s*["']{re.escape(variable)}["']\s*,\s*""",
        re.VERBOSE,
    )
    indent = _indent(text, name.start)
    matches = list(assignment.finditer(text))
    before = [match for match in matches if match.end() <= name.start]
    for match in reversed(before):
        found = list(_value(text, match, name.text))
        yield from found
        if _indent(text, match.start()) <= indent:
            return
    if not before:
        for match in matches:
            yield from _value(text, match, name.text)


def _value(text: str, match: re.Match[str], key: str) -> Iterator[UrlInText]:
    return read_expression(text, match.end()).urls(key)


def _indent(text: str, at: int) -> int:
    line = line_before(text, at)
    return len(line) - len(line.lstrip())


# ---- an entry with a name and a value ------------------------------------------------------------


def _is_key_of_entry(text: str, name: CallbackName) -> bool:
    return _OF_ENTRY.search(text, max(0, name.start - 40), name.start) is not None


def _in_entry(text: str, name: CallbackName, *, is_sql: bool) -> Iterator[UrlInText]:
    """Yield the value of an entry like `{"name": "CallbackUrl", "value": "https://…"}`."""
    start, end = _braces(text, name)
    for match in _VALUE.finditer(text, start, end):
        found = list(read_expression(text, match.end(), is_sql=is_sql).urls(name.text))
        yield from found
        if found:
            return


def _braces(text: str, name: CallbackName) -> tuple[int, int]:
    """Return where the innermost braces around a name start and end; else the paragraph."""
    first, last = max(0, name.start - _AROUND), min(len(text), name.end + _AROUND)
    start = _unmatched(text, range(name.start - 1, first - 1, -1), "}", "{")
    end = _unmatched(text, range(name.end, last), "{", "}")
    if start is not None and end is not None:
        return start, end
    start, end = text.rfind("\n\n", first, name.start), text.find("\n\n", name.end, last)
    return (first if start < 0 else start), (last if end < 0 else end)


def _unmatched(text: str, places: range, closes: str, opens: str) -> int | None:
    depth = 0
    for at in places:
        if text[at] == closes:
            depth += 1
        elif text[at] == opens:
            if depth == 0:
                return at
            depth -= 1
    return None


# ---- SQL -----------------------------------------------------------------------------------------


def _in_rows(text: str) -> Iterator[UrlInText]:
    """Yield the values of INSERT in the columns of callback URLs, and of UPDATE."""
    for match in _COLUMNS.finditer(text):
        columns = [name.strip(' "`[]\n\r\t') for name in match["columns"].split(",")]
        wanted = {at: name for at, name in enumerate(columns) if is_callback_name(name)}
        at = match.end()
        while wanted and text[at : at + 1] == "(":
            at += 1
            for column in range(len(columns)):
                value = read_expression(text, at, is_sql=True)
                if column in wanted:
                    yield from value.urls(wanted[column])
                at = value.end + 1
            at = _next_row(text, at)
    for match in _SET_WHERE.finditer(text):
        if is_callback_name(match["key"]):
            yield from read_expression(text, match.end(), is_sql=True).urls(match["key"])


def _next_row(text: str, at: int) -> int:
    match = re.compile(r"\s*,\s*").match(text, at)
    return match.end() if match else len(text)
