"""The encodings of a callback's parameters in the body of a POST: a form, or a JSON object.

A body shows its own encoding: a JSON object begins with `{`, which is escaped in a form. The JSON
array of a test event is neither.
"""

import json
from enum import StrEnum
from typing import Final

from ringback.core.form_encoding import decode, encode

Parameters = list[tuple[str, str]]


class BodyEncoding(StrEnum):
    """How a source encodes parameters in a body; its value is the name in the settings."""

    FORM = "form"
    JSON = "json"


CONTENT_TYPES: Final = {
    BodyEncoding.FORM: "application/x-www-form-urlencoded; charset=utf-8",
    BodyEncoding.JSON: "application/json; charset=utf-8",
}
"""The Content-Type of each encoding, unless a source has another one."""


def encoding_of(body: str) -> BodyEncoding:
    """Return the encoding of a callback's body; it must not be that of a test event."""
    return BodyEncoding.JSON if body[:1] == "{" else BodyEncoding.FORM


def write_body(parameters: Parameters, encoding: BodyEncoding) -> str:
    """Return the parameters in this encoding.

    JSON is an object without spaces, whose values are texts, in the order of the parameters. A name
    that repeats has a list of its texts, in the place of the first one.

    >>> write_body([("Tag", "b"), ("Note", "é"), ("Tag", "a")], BodyEncoding.JSON)
    '{"Tag":["b","a"],"Note":"é"}'
    """
    if encoding is BodyEncoding.FORM:
        return encode(parameters)
    texts = dict[str, list[str]]()
    for name, text in parameters:
        texts.setdefault(name, []).append(text)
    values = {name: each if len(each) > 1 else each[0] for name, each in texts.items()}
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def read_body(body: str) -> Parameters:
    """Return the parameters of a callback's body, whichever its encoding is.

    >>> read_body('{"Tag":["b","a"],"Note":"é"}')
    [('Tag', 'b'), ('Tag', 'a'), ('Note', 'é')]
    """
    if encoding_of(body) is BodyEncoding.FORM:
        return decode(body)
    values: dict[str, str | list[str]] = json.loads(body)
    return [
        (name, text)
        for name, value in values.items()
        for text in ([value] if isinstance(value, str) else value)
    ]


def encoded_as(encoding: BodyEncoding, body: str) -> str:
    """Return a callback's body in this encoding; the same text if it has this encoding already.

    >>> encoded_as(BodyEncoding.JSON, "SimStatus=active&Note=%C3%A9")
    '{"SimStatus":"active","Note":"é"}'
    """
    return body if encoding_of(body) is encoding else write_body(read_body(body), encoding)
