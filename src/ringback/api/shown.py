"""How records stand in answers: one table of fields, from which answers and documents are made."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from operator import attrgetter
from typing import Any, Generic, TypeVar

from starlette.requests import Request

from ringback.api.addressing import is_at_kore, url_of
from ringback.api.schemas import INSTANT, TEXT, URL, Schema, object_of, or_null, sid_of
from ringback.core.sids import Kind

R = TypeVar("R")

UrlOf = Callable[[str], str]
"""From a path of our routes to the URL at which the asking client reaches it."""


class Vendor(Enum):
    """Whose API a field is of, where only one of them has it."""

    TWILIO = auto()
    KORE = auto()


@dataclass(frozen=True, slots=True)
class Field(Generic[R]):
    """A field of an answer: its name, its schema, and where its value comes from."""

    name: str
    schema: Schema
    value: Callable[[R, UrlOf], object]
    vendor: Vendor | None = None
    """None where both have it."""
    at_kore: Callable[[R, UrlOf], object] | None = None
    """Where its value comes from in KORE's API, if not from the same."""

    def value_for(self, vendor: Vendor) -> Callable[[R, UrlOf], object]:
        """Return where its value comes from in this vendor's API."""
        return self.at_kore if vendor is Vendor.KORE and self.at_kore else self.value


class Shown(Generic[R]):
    """Records of one kind as answers show them."""

    def __init__(self, name: str, plural: str, *fields: Field[R]) -> None:
        self.name = name
        """Of its schema in documents."""
        self.plural = plural
        """The key of a list of them."""
        self._fields = fields

    @property
    def schema(self) -> Schema:
        """The schema of one; what only one vendor has, need not be there."""
        schema = object_of(**{field.name: field.schema for field in self._fields})
        needed = [field.name for field in self._fields if field.vendor is None]
        return {**schema, "required": needed}

    def at(self, request: Request) -> Callable[[R], dict[str, Any]]:
        """Return what shows a record to whoever asks."""

        def url(path: str) -> str:
            return url_of(request, path)

        asked = Vendor.KORE if is_at_kore(request) else Vendor.TWILIO
        fields = [
            (field.name, field.value_for(asked))
            for field in self._fields
            if field.vendor in (None, asked)
        ]

        def show(record: R) -> dict[str, Any]:
            return {name: value(record, url) for name, value in fields}

        return show


def field(name: str, schema: Schema = TEXT, attribute: str | None = None) -> Field[Any]:
    """Return a field that shows an attribute of the same name, or of another one."""
    get = attrgetter(attribute or name)
    return Field(name, schema, lambda record, _: get(record))


def maybe(name: str, schema: Schema = TEXT, attribute: str | None = None) -> Field[Any]:
    """Return a field that may be null."""
    return field(name, or_null(schema), attribute)


def worked_out(name: str, schema: Schema, value: Callable[[Any], object]) -> Field[Any]:
    """Return a field whose value is worked out from the record."""
    return Field(name, schema, lambda record, _: value(record))


def of_vendor(vendor: Vendor, field: Field[Any]) -> Field[Any]:
    """Return a field that only one vendor's API has."""
    return replace(field, vendor=vendor)


def configured(name: str, attribute: str | None = None) -> Field[Any]:
    """Return a field that shows a callback URL as its owner gave it, or null."""
    get = attrgetter(attribute or name)
    return Field(name, or_null(URL), lambda record, _: (url := get(record)) and url.configured)


def link(name: str, path: Callable[[Any], str]) -> Field[Any]:
    """Return a field that is a URL of ours."""
    return Field(name, URL, lambda record, url: url(path(record)))


def links(**paths: Callable[[Any], str]) -> Field[Any]:
    """Return the field `links`: URLs of ours by their names."""
    return Field(
        "links",
        object_of(**dict.fromkeys(paths, URL)),
        lambda record, url: {name: url(path(record)) for name, path in paths.items()},
    )


ACCOUNT_SID = field("account_sid", sid_of(Kind.ACCOUNT))
DATE_CREATED = field("date_created", INSTANT)
DATE_UPDATED = field("date_updated", INSTANT)
