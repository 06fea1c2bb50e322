"""Splits a copied command line into words, as a shell would."""

import re
from typing import Final

_PIECE: Final = re.compile(
    r"""
      (?P<space>\s+)
    | '(?P<single>[^']*)'
    | \$'(?P<ansi>(?:[^'\\]|\\.)*+)'
    | "(?P<double>(?:[^"\\]|\\.)*+)"
    | (?P<nothing>\\\r?\n)
    | \\(?P<escaped>.)
    | (?P<end>[|;<>]|&&)
    | (?P<plain>[^\s'"\\|;<>$]+|\$)
    """,
    re.VERBOSE | re.DOTALL,
)
_IN_DOUBLE: Final = re.compile(r'\\(?:(\r?\n)|([$`"\\]))')
_ANSI: Final = re.compile(
    r"\\(?:x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|([0-7]{1,3})|(.))", re.DOTALL
)
_LETTERS: Final = dict(zip("abeEfnrtv", "\a\b\x1b\x1b\f\n\r\t\v", strict=True))
# The form of the commands that browsers copy for the Windows shell, cmd.
_CMD: Final = re.compile(r"\^\r?\n|(?:^curl(?:\.exe)?|\s-[\w-]+)\s+\^\"", re.ASCII)
_CARET: Final = re.compile(r"\^(?:(?P<end>\r?\n)(?P<break>\r?\n)?|(?P<char>.)|$)")


def shell_words(text: str) -> list[str]:
    r"""Return the words of the first command in the text; a line break counts as a space.

    Variables and wildcards are not expanded. Raises ValueError, with the quote character, if a
    quote is not closed.

    >>> shell_words("curl -d $'it\\'s' \"a b\" c\\ d | jq")
    ['curl', '-d', "it's", 'a b', 'c d']
    """
    if _CMD.search(text):
        text = _CARET.sub(_without_caret, text)
    words, word, at = list[str](), list[str](), 0
    while at < len(text):
        match = _PIECE.match(text, at)
        if match is None:
            raise ValueError(text[at])
        at = match.end()
        if match["end"]:
            break
        if match["nothing"]:
            continue
        if match["space"] is None:
            word.append(_piece(match))
        elif word:
            words.append("".join(word))
            word = []
    return [*words, "".join(word)] if word else words


def _without_caret(match: re.Match[str]) -> str:
    """Return the text that Windows' cmd reads instead of a caret and the characters after it.

    A caret is dropped before another character. A caret and a line break become a space; a caret
    and two line breaks become one line break.
    """
    if match["end"] is None:
        return match["char"] or ""
    return "\n" if match["break"] else " "


def _piece(match: re.Match[str]) -> str:
    if match["double"] is not None:
        return _IN_DOUBLE.sub(lambda escape: escape[2] or "", match["double"])
    if match["ansi"] is not None:
        return _ANSI.sub(_ansi, match["ansi"])
    return match["single"] or match["escaped"] or match["plain"] or ""


def _ansi(escape: re.Match[str]) -> str:
    byte, short, long, octal, char = escape.groups()
    if char is not None:
        return _LETTERS.get(char, char)
    if short or long:
        code = int(short or long, 16)
        return chr(code) if code <= 0x10FFFF else "\N{REPLACEMENT CHARACTER}"
    code = int(byte, 16) if byte else int(octal, 8) & 0xFF
    # One byte of a UTF-8 character; `as_bytes` joins the bytes when it encodes the text.
    return chr(code) if code < 0x80 else chr(0xDC00 + code)
