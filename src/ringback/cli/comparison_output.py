"""Shows two requests side by side in a terminal."""

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from itertools import zip_longest
from typing import Final, NamedTuple

import click

from ringback.cli.output import style
from ringback.core.form_encoding import decode
from ringback.core.visible_text import visible
from ringback.portal_client import JsonObject

_NARROWEST: Final = 80
_PIPED: Final = 100
_MARGIN: Final = 4
"""The columns in front of the two requests: an indent, a mark and a space."""
_GAP: Final = 2
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"


class _Kind(NamedTuple):
    """How a line is marked: by a character, which is enough without colours, and by a colour."""

    mark: str
    meaning: str
    colour: str | None = None


_KINDS: Final = {
    "same": _Kind("=", "same"),
    "differs": _Kind("≠", "differs", "yellow"),
    "renamed": _Kind("→", "same purpose, another name", "cyan"),
    "removed": _Kind("-", "only {first} sends it", "red"),
    "added": _Kind("+", "only {second} sends it", "green"),
}


def terminal_width() -> int:
    """Return the number of columns to print: those of the terminal, or 100 without a terminal."""
    if not sys.stdout.isatty():
        return _PIPED
    return max(shutil.get_terminal_size((_PIPED, 24)).columns, _NARROWEST)


def comparison_lines(
    comparison: JsonObject, *, width: int, seen: str = "sent", remark: str = ""
) -> Iterator[str]:
    """Yield the lines that show a comparison, as the portal's API returns it.

    `seen` is the word before the time of a request, and a `remark` comes after the summary.
    """
    yield from _requests(comparison, width, seen)
    yield ""
    yield from wrapped(f"{comparison['summary']} {remark}", width)
    yield ""
    yield style("How each signature is computed", bold=True)
    for request in (comparison["first"], comparison["second"]):
        if request["signature"] is not None:
            yield ""
            yield from _recipe(request, width)
    yield ""
    yield style("What a receiver has to change", bold=True)
    yield ""
    changes = comparison["receiver_changes"]
    nothing = f"Nothing: both requests come from {comparison['first']['source']}."
    for change in changes or [nothing]:
        yield from wrapped(change, width, mark="  - ")


def wrapped(text: str, width: int, *, mark: str = "") -> list[str]:
    """Return a text on lines of at most this width; the first begins with `mark`."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )


# ---- the two requests ----------------------------------------------------------------------------


def _requests(comparison: JsonObject, width: int, seen: str) -> Iterator[str]:
    """Yield both requests in two columns, then what the marks mean."""
    first, second = comparison["first"], comparison["second"]
    column = (width - _MARGIN - _GAP) // 2
    names = _names(first, second)
    titles = [
        style(f"{name}, {_when(request, seen)}", bold=True)
        for name, request in zip(names, (first, second), strict=True)
    ]
    yield f"{'':{_MARGIN}}{_padded(titles[0], column + _GAP)}{titles[1]}"
    rows = [
        (
            "same" if comparison["request_line_is_same"] else "differs",
            first["request_line"],
            second["request_line"],
        ),
        *(
            (pair["change"], _header(pair["first"]), _header(pair["second"]))
            for pair in comparison["headers"]
        ),
    ]
    for row in rows:
        yield from _row(*row, column)
    bodies = list(_body(comparison, column, width))
    yield from ["", *bodies] if bodies else []
    yield ""
    used = {kind for kind, _, _ in rows}
    meanings = [
        f"{kind.mark} {kind.meaning.format(first=names[0], second=names[1])}"
        for name, kind in _KINDS.items()
        if name in used
    ]
    order = f"headers in the order of {names[1]}"
    # No line ends within a meaning.
    kept = [each.replace(" ", _NO_BREAK) for each in (*meanings, f"({order})")]
    for line in wrapped("   ".join(kept), width, mark="  "):
        yield line.replace(_NO_BREAK, " ")


def _names(first: JsonObject, second: JsonObject) -> tuple[str, str]:
    """Return a name for each request: its source, or its callback if both have one source."""
    by = "callback_sid" if first["source"] == second["source"] else "source"
    return first[by], second[by]


def _when(request: JsonObject, seen: str) -> str:
    return f"{seen} {request['date_sent']}" if request["date_sent"] else "not sent"


def _header(header: JsonObject | None) -> str:
    if header is None:
        return "(not sent)"
    if header["value"] is None:
        return f"{header['name']}: ({header['note']})"
    return f"{header['name']}: {header['value']}"


def _body(comparison: JsonObject, column: int, width: int) -> Iterator[str]:
    """Yield the lines of the bodies: one body if both are the same, else each parameter."""
    first, second = comparison["first"]["body"], comparison["second"]["body"]
    if comparison["body_is_same"]:
        mark = _KINDS["same"].mark
        lines = _cut(first, width - _MARGIN)
        yield from (f"  {mark if number == 0 else ' '} {line}" for number, line in enumerate(lines))
        return
    old, new = _pairs(first), _pairs(second)
    for name in dict.fromkeys([*new, *old]):
        for one, other in zip_longest(old.get(name, []), new.get(name, [])):
            kind = "added" if one is None else "removed" if other is None else "differs"
            kind = "same" if one == other else kind
            yield from _row(kind, one or "(not sent)", other or "(not sent)", column)


def _pairs(body: str) -> dict[str, list[str]]:
    """Return the parts of a body, unchanged, by the names of the parameters.

    The parts of a form are like `name=value`, and those of JSON like `"name":"value"`. The parts of
    an array are its events, by their places.
    """
    pairs = dict[str, list[str]]()
    if body.startswith("["):
        return {
            str(place): [json.dumps(event, ensure_ascii=False, separators=(",", ":"))]
            for place, event in enumerate(json.loads(body))
        }
    if body.startswith("{"):
        for name, value in json.loads(body).items():
            part = json.dumps({name: value}, ensure_ascii=False, separators=(",", ":"))
            pairs[name] = [part[1:-1]]
        return pairs
    for pair in filter(None, body.split("&")):
        ((name, _),) = decode(pair)
        pairs.setdefault(name, []).append(pair)
    return pairs


def _row(kind: str, first: str, second: str, column: int) -> Iterator[str]:
    """Yield one row of the two columns, on as many lines as the longer text needs."""
    mark, _, colour = _KINDS[kind]
    cells = [
        textwrap.wrap(visible(text), column, subsequent_indent=" ", break_on_hyphens=False)
        for text in (first, second)
    ]
    for number, (left, right) in enumerate(zip_longest(*cells, fillvalue="")):
        line = f"  {mark if number == 0 else ' '} {left:{column + _GAP}}{right}".rstrip()
        yield style(line, fg=colour) if colour else line


def _padded(styled: str, width: int) -> str:
    return styled + " " * (width - len(click.unstyle(styled)))


# ---- the signatures ------------------------------------------------------------------------------


def _recipe(request: JsonObject, width: int) -> Iterator[str]:
    """Yield the steps by which the signature of a request is computed."""
    signature = request["signature"]
    yield f"  {request['source']}: {signature['header']} is {signature['algorithm']}"
    for number, step in enumerate(signature["steps"], 1):
        yield from wrapped(step["text"], width, mark=f"    {number}. ")
        yield from (f"       {line}" for line in _cut(_value(step), width - 7))


def _value(step: JsonObject) -> str:
    if step["secret"]:
        return f"({step['secret']} hidden)"
    if step["value"] is None:
        return "(known once it is sent)"
    return step["value"] or "(empty)"


def _cut(text: str, width: int) -> Iterator[str]:
    """Yield a text unchanged, on lines of this width that end after an & if possible."""
    line = ""
    for part in re.findall(r"[^&]*&|[^&]+", visible(text)):
        if line and len(line) + len(part) > width:
            yield line
            line = ""
        line += part
        while len(line) > width:
            yield line[:width]
            line = line[width:]
    if line:
        yield line
