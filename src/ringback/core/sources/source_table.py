"""Reads a `[sources.NAME]` table of a settings file, which defines a source of callbacks.

The server adds such sources to the two built-in ones (`settings/callback_sources`); receivers can
accept them (`receiver/source_file`).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, cast

from ringback.core.errors import ConfigurationError
from ringback.core.sources.body_encoding import CONTENT_TYPES, BodyEncoding
from ringback.core.sources.idempotency_tokens import IdempotencyTokenFormat
from ringback.core.sources.source_definition import (
    BUILT_IN,
    FIRST,
    LAST,
    SIGNATURE_SCHEMES,
    CallbackSourceDefinition,
    HeaderTemplate,
    SignatureScheme,
)
from ringback.core.toml_table import TomlTableError, check_keys, read_text

T = TypeVar("T")
Entry = Mapping[str, Any]

TABLE: Final = "sources"
"""The name of the table that has a table for each source."""
FORM: Final = (
    "a source has signature, token and headers, and may have body_encoding, content_type and egress"
)
"""How such a table is written, for error messages."""
_NAME: Final = re.compile("[a-z][a-z0-9-]{0,31}")
_TEXT: Final = re.compile("[ -~]+")


def read_source_table(name: str, entry: Entry) -> CallbackSourceDefinition:
    """Return the source that a table `[sources.NAME]` defines; its egress is not read here.

    Raises ConfigurationError if the name can't be used, and TomlTableError, which names the key, if
    the table is invalid.
    """
    if name in BUILT_IN:
        raise ConfigurationError(f"{name} is built in, and can't be changed; choose another name")
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"the name {name!r} can't be used in a URL; use lower-case letters, digits and -"
        )
    may = ("body_encoding", "content_type", "egress")
    check_keys(entry, must=("signature", "token", "headers"), may=may)
    signature, encoding = _signature_of(entry), _body_encoding_of(entry)
    if signature.covers_form and encoding is not BodyEncoding.FORM:
        raise TomlTableError(
            "body_encoding",
            f"the signature scheme {entry['signature']} signs the parameters of a form, and not the"
            f" body; with {encoding}, choose another scheme",
        )
    given = "content_type" in entry
    return CallbackSourceDefinition(
        headers=_headers_of(entry),
        signature=signature,
        token=_parsed("token", IdempotencyTokenFormat.parse, read_text(entry, "token")),
        content_type=_content_type_of(entry) if given else CONTENT_TYPES[encoding],
        body_encoding=encoding,
    )


def _body_encoding_of(entry: Entry) -> BodyEncoding:
    if "body_encoding" not in entry:
        return BodyEncoding.FORM
    name = read_text(entry, "body_encoding")
    if name not in [*BodyEncoding]:
        known = " and ".join(BodyEncoding)
        raise TomlTableError(
            "body_encoding", f"{name!r} is not an encoding of bodies; the encodings are {known}"
        )
    return BodyEncoding(name)


def _signature_of(entry: Entry) -> SignatureScheme:
    name = read_text(entry, "signature")
    if name not in SIGNATURE_SCHEMES:
        known = ", ".join(SIGNATURE_SCHEMES)
        raise TomlTableError(
            "signature", f"{name!r} is not a signature scheme; the schemes are {known}"
        )
    return SIGNATURE_SCHEMES[name]


def _headers_of(entry: Entry) -> tuple[HeaderTemplate, ...]:
    given = entry["headers"]
    if not isinstance(given, list):
        raise TomlTableError(
            "headers", 'headers must be a list of texts, each like "User-Agent: Example/1.0"'
        )
    own = [_parsed("headers", HeaderTemplate.parse, str(line)) for line in cast("list[Any]", given)]
    names = [header.name.lower() for header in own]
    twice = next((each for each in names if names.count(each) > 1), None)
    if twice is not None:
        raise TomlTableError("headers", f"the header {twice} is given twice; give it once")
    for needed in ("token", "signature"):
        if not any(needed in header.placeholders for header in own):
            raise TomlTableError("headers", f"no header contains {{{needed}}}; add one that does")
    first, last = (
        [header for header in each if header.name.lower() not in names] for each in (FIRST, LAST)
    )
    return (*first, *own, *last)


def _content_type_of(entry: Entry) -> str:
    given = read_text(entry, "content_type")
    if not _TEXT.fullmatch(given):
        raise TomlTableError(
            "content_type",
            f"{given!r} is not a content type; write it like application/x-www-form-urlencoded",
        )
    return given


def _parsed(key: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as problem:
        raise TomlTableError(key, str(problem)) from None
