"""Reads the `[sources.NAME]` tables, which add sources to the two built-in ones."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar, cast

from ringback.core.errors import ConfigurationError
from ringback.core.http.egress_routes import Egress, read_egress
from ringback.core.policy.source_policy import SourceName
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
    Sources,
)
from ringback.settings.file import SettingsFile
from ringback.settings.raw_setting import without_secret
from ringback.settings.toml_tables import TomlTableError, check_keys, naming_the_line, read_text

T = TypeVar("T")
Entry = Mapping[str, Any]

TABLE: Final = "sources"
_FORM: Final = (
    "a source has signature, token and headers, and may have body_encoding, content_type and egress"
)
_NAME: Final = re.compile("[a-z][a-z0-9-]{0,31}")
_TEXT: Final = re.compile("[ -~]+")


class ConfiguredCallbackSources:
    """Reads all sources: the two built in, and those of the file's `[sources.NAME]` tables.

    Raises ConfigurationError, naming the line, if a table is invalid.
    """

    def __init__(self, file: SettingsFile) -> None:
        sources, egresses = {**BUILT_IN}, dict[SourceName, Egress]()
        for name, entry in _entries_of(file):
            with naming_the_line(file, TABLE, name, form=_FORM):
                sources[name] = _source_of(name, entry)
                if "egress" in entry:
                    egresses[name] = _egress_of(entry)
        self.sources: Sources = sources
        """All sources, the two built in first."""
        self.egresses: Mapping[SourceName, Egress] = egresses
        """The egress routes of the added sources that have one, by source."""


def _entries_of(file: SettingsFile) -> Iterator[tuple[str, Entry]]:
    tables = file.table.get(TABLE, {})
    if not isinstance(tables, dict):
        raise ConfigurationError(
            f"{file.place(TABLE)}: sources are written as [sources.NAME]; {_FORM}"
        )
    for name, entry in cast("dict[str, Any]", tables).items():
        if not isinstance(entry, dict):
            place = file.place(TABLE, name)
            raise ConfigurationError(f"{place}: a source is written as [sources.{name}]; {_FORM}")
        yield name, cast("Entry", entry)


def _source_of(name: str, entry: Entry) -> CallbackSourceDefinition:
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


def _egress_of(entry: Entry) -> Egress:
    given = read_text(entry, "egress")
    try:
        return read_egress(given)
    except ValueError as problem:
        shown = f"{without_secret(given)!r} can't be used as an egress"
        raise TomlTableError("egress", shown if "@" in given else str(problem)) from None


def _parsed(key: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as problem:
        raise TomlTableError(key, str(problem)) from None
