"""Form encoding of parameters, the body of a POST and the query of a GET; and their names."""

import re
from typing import Final
from urllib.parse import quote_plus, unquote_plus

_ESCAPED: Final = re.compile(r"[^A-Za-z0-9_.~-]")


def encode(parameters: list[tuple[str, str]]) -> str:
    """Return the parameters as a form: the body of a POST, the end of a GET's query.

    Spaces become `+`, and everything but letters, digits and `_.-~` a percent escape.

    >>> encode([("Payload", "Hello;1 testing@!#")])
    'Payload=Hello%3B1+testing%40%21%23'
    """
    return "&".join([f"{_quote(name)}={_quote(value)}" for name, value in parameters])


def _quote(text: str) -> str:
    # Most texts have nothing to escape, and checking that takes a fraction of the time.
    return quote_plus(text) if _ESCAPED.search(text) else text


def decode(encoded: str) -> list[tuple[str, str]]:
    """Return the parameters of a form, in their order; blank values and repeated names too.

    Never raises: what is no UTF-8 becomes U+FFFD.

    >>> decode('Payload=Hello%3B1+testing%40%21%23&Empty=')
    [('Payload', 'Hello;1 testing@!#'), ('Empty', '')]
    """
    pairs = [pair.partition("=") for pair in encoded.split("&") if pair]
    if "%" in encoded or "+" in encoded:
        return [(_unquote(name), _unquote(value)) for name, _, value in pairs]
    return [(name, value) for name, _, value in pairs]


def _unquote(text: str) -> str:
    if "%" in text:
        return unquote_plus(text)
    return text.replace("+", " ")


def as_field(name: str) -> str:
    """Return a parameter's name as records and code have it.

    >>> as_field("SmsFallbackUrl")
    'sms_fallback_url'
    """
    return "".join(f"_{each}" if each.isupper() else each for each in name).lower()[1:]
