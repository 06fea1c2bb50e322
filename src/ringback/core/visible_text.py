r"""Texts with visible escapes, so that a callback or a file name can't control a terminal.

What isn't printable is escaped: control characters (also those from 0x80), line separators, marks
that change the direction of a text, and the halves of surrogate pairs that stand for bytes that
are not UTF-8.
"""

import json


def visible(text: str, *, keep: str = "") -> str:
    r"""Return a text with an escape for each character that isn't printable or one of `keep`.

    >>> visible("a\x1b[2J\r\nb\x9b\u202e\udcff")
    'a\\x1b[2J\\r\\nb\\x9b\\u202e\\udcff'
    """
    if text.isprintable():
        return text
    return "".join(
        char
        if char.isprintable() or char in keep
        else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def visible_json(text: str) -> str:
    r"""Return a JSON text with the same meaning that has escapes for what isn't printable.

    Line breaks stay, which JSON has only between its values.

    >>> visible_json('["\x7f\u202e\udcff\U000e0001"]')
    '["\\u007f\\u202e\\udcff\\udb40\\udc01"]'
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else _json(char) for char in text)


def _json(char: str) -> str:
    # json.dumps leaves 0x7f as it is.
    return "\\u007f" if char == "\x7f" else json.dumps(char)[1:-1]
