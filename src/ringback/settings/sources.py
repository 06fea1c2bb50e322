"""The sources that a settings file adds to the two built in."""

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from ringback.core.egress import Egress, read_egress
from ringback.core.errors import Unusable
from ringback.core.infrastructure import (
    BUILT_IN,
    FIRST,
    LAST,
    SIGNATURE_SCHEMES,
    HeaderLine,
    Infrastructure,
    SignatureScheme,
    Sources,
)
from ringback.core.source import SourceName
from ringback.core.tokens import TokenScheme
from ringback.settings.file import SettingsFile
from ringback.settings.given import without_secret

TABLE: Final = "sources"
_MUST: Final = ("signature", "token", "headers")
_MAY: Final = ("content_type", "egress")
_FORM: Final = "a source has signature, token and headers"
_NAME: Final = re.compile("[a-z][a-z0-9-]{0,31}")
_TEXT: Final = re.compile("[ -~]+")


class AddedSources:
    """What `[sources.NAME]` tables add up to.

    Raises Unusable, naming the line, for what can't be used.
    """

    def __init__(self, file: SettingsFile) -> None:
        self._file = file
        added = file.table.get(TABLE, {})
        if not isinstance(added, dict):
            raise Unusable(f"{file.place(TABLE)}: sources are written as [sources.NAME]; {_FORM}")
        tables = cast("dict[str, Any]", added)
        self.sources: Sources = {
            **BUILT_IN,
            **{name: self._source(name, table) for name, table in tables.items()},
        }
        """All that there are, the two built in first."""
        self.egresses: Mapping[SourceName, Egress] = {
            name: self._egress(name, table["egress"])
            for name, table in tables.items()
            if "egress" in table
        }
        """The ways out of those that name one."""

    def _source(self, name: str, table: Any) -> Infrastructure:
        if name in BUILT_IN:
            raise self._refused(f"{name} is built in, and stays as the notice has it", name)
        if not _NAME.fullmatch(name):
            raise self._refused(
                f"the name {name!r} can't stand in a URL; letters in lower case, digits and - can",
                name,
            )
        if not isinstance(table, dict):
            raise self._refused(f"a source is written as [sources.{name}]; {_FORM}", name)
        entry = cast("dict[str, Any]", table)
        for key in entry:
            if key not in (*_MUST, *_MAY):
                raise self._refused(f"{key} is not known here; {_FORM}", name, key)
        for key in _MUST:
            if key not in entry:
                raise self._refused(f"{key} is missing; {_FORM}", name, key)
        content_type = {"content_type": entry["content_type"]} if "content_type" in entry else {}
        for given in content_type.values():
            if not isinstance(given, str) or not _TEXT.fullmatch(given):
                raise self._refused(f"{given!r} is no content type", name, "content_type")
        return Infrastructure(
            headers=self._headers(name, entry["headers"]),
            signature=self._signature(name, entry["signature"]),
            token=self._token(name, entry["token"]),
            **content_type,
        )

    def _signature(self, name: str, given: Any) -> SignatureScheme:
        if not isinstance(given, str) or given not in SIGNATURE_SCHEMES:
            known = ", ".join(SIGNATURE_SCHEMES)
            raise self._refused(
                f"{given!r} is no scheme of signatures; there are {known}", name, "signature"
            )
        return SIGNATURE_SCHEMES[given]

    def _token(self, name: str, given: Any) -> TokenScheme:
        try:
            return TokenScheme.parse(str(given))
        except ValueError as problem:
            raise self._refused(str(problem), name, "token") from None

    def _headers(self, name: str, given: Any) -> tuple[HeaderLine, ...]:
        if not isinstance(given, list):
            raise self._refused("headers must be a list of texts", name, "headers")
        try:
            own = tuple(HeaderLine.parse(str(line)) for line in cast("list[Any]", given))
        except ValueError as problem:
            raise self._refused(str(problem), name, "headers") from None
        names = [header.name.lower() for header in own]
        twice = next((each for each in names if names.count(each) > 1), None)
        if twice is not None:
            raise self._refused(f"the header {twice} is there twice", name, "headers")
        for needed in ("token", "signature"):
            if not any(needed in header.placeholders for header in own):
                raise self._refused(f"no header has {{{needed}}}", name, "headers")
        first, last = (
            tuple(header for header in each if header.name.lower() not in names)
            for each in (FIRST, LAST)
        )
        return (*first, *own, *last)

    def _egress(self, name: str, given: Any) -> Egress:
        try:
            return read_egress(str(given))
        except ValueError as problem:
            why = str(problem)
            if "@" in str(given):
                why = f"{without_secret(str(given))!r} can't be used as an egress"
            raise self._refused(why, name, "egress") from None

    def _refused(self, problem: str, *keys: str) -> Unusable:
        return Unusable(f"{self._file.place(TABLE, *keys)}: {problem}")
