"""Form-encodes and decodes parameters, and converts their names to snake case."""

import re
import string
from typing import Final
from urllib.parse import quote_plus, unquote

_ESCAPED: Final = re.compile(r"[^A-Za-z0-9_.~-]")
_UNESCAPED: Final = (string.ascii_letters + string.digits + "_.~-").encode()


def encode(parameters: list[tuple[str, str]]) -> str:
    """Return the parameters form-encoded, for the body of a POST or the query of a GET.

    Spaces become `+`; all other characters but letters, digits and `_.-~` are percent-encoded.

    >>> encode([("Payload", "Hello;1 testing@!#")])
    'Payload=Hello%3B1+testing%40%21%23'
    """
    # Most forms have nothing to escape, and checking that at once takes a third of the time: no
    # other characters are left then but those that separate names and values.
    plain = "&".join(map("=".join, parameters))
    if plain.encode().translate(None, _UNESCAPED) == (b"=&" * len(parameters))[:-1]:
        return plain
    return "&".join([f"{_quote(name)}={_quote(value)}" for name, value in parameters])


def _quote(text: str) -> str:
    return quote_plus(text) if _ESCAPED.search(text) else text


def decode(encoded: str) -> list[tuple[str, str]]:
    """Return the parameters of a form in order, including blank values and repeated names.

    Never raises: bytes that are not UTF-8 become U+FFFD.

    >>> decode('Payload=Hello%3B1+testing%40%21%23&Empty=')
    [('Payload', 'Hello;1 testing@!#'), ('Empty', '')]
    """
    pairs = [pair.partition("=") for pair in encoded.replace("+", " ").split("&") if pair]
    if "%" in encoded:
        # Most texts have no `%`, and looking for one is quicker than calling `unquote`.
        return [
            (unquote(name) if "%" in name else name, unquote(value) if "%" in value else value)
            for name, _, value in pairs
        ]
    return [(name, value) for name, _, value in pairs]


def as_field(name: str) -> str:
    """Return a parameter's name in snake case, as used in records and code.

    >>> as_field("SmsFallbackUrl")
    'sms_fallback_url'
    """
    return "".join(f"_{each}" if each.isupper() else each for each in name).lower()[1:]
