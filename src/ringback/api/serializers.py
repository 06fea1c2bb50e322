"""How answers show records: tables of fields, from which the documents are made, too."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial
from operator import attrgetter
from typing import Any, Final, Generic, NamedTuple, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response

from ringback.api.host_routing import is_at_kore, url_of
from ringback.api.schema_pieces import INSTANT, TEXT, URL, Schema, object_of, or_null, sid_of
from ringback.core.sids import SidKind

R = TypeVar("R")

# As `iso` in `core/calendar` writes them.
_DATES: Final = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS

UrlOf = Callable[[str], str]
"""From a path of our routes to the URL at which the asking client reaches it."""


class ExclusiveFieldVendor(Enum):
    """The vendor of a field that only one of the two APIs has."""

    TWILIO = auto()
    KORE = auto()


@dataclass(frozen=True, slots=True)
class SerializedField(Generic[R]):
    """A field of an answer: its name, its schema, and where its value comes from."""

    name: str
    schema: Schema
    value: Callable[[R, UrlOf], object] | str
    """The function that computes it, or the attribute of the record that it shows."""
    vendor: ExclusiveFieldVendor | None = None
    """None where both have it, from the same place."""


class _Layout(NamedTuple):
    """How the API of one vendor shows a record."""

    names: Sequence[str]
    """All fields in their order."""
    read: Callable[[Any], Sequence[object]]
    """Reads all plain attributes at once, with a placeholder for each computed field."""
    worked_out: Sequence[tuple[str, Callable[[Any, UrlOf], object]]]

    def show(self, url: UrlOf, record: object) -> dict[str, Any]:
        """Return a record as it is answered."""
        # Lists can be long: one look for all fields takes half the time of one for each.
        shown: dict[str, Any] = dict(zip(self.names, self.read(record), strict=False))
        for name, value in self.worked_out:
            shown[name] = value(record, url)
        return shown


class Serializer(Generic[R]):
    """Records of one kind as answers show them."""

    def __init__(
        self,
        name: str,
        plural: str,
        *fields: SerializedField[R],
        parts: "Sequence[Serializer[Any]]" = (),
    ) -> None:
        self.name = name
        """Of its schema in documents."""
        self.plural = plural
        """The key of a list of them."""
        self.parts = parts
        """The objects that its schema refers to by name."""
        self._fields = fields
        self._layouts = {
            vendor: _layout(fields, vendor) for vendor in ExclusiveFieldVendor if fields
        }

    @property
    def schema(self) -> Schema:
        """The schema of one; what only one vendor has, need not be there."""
        schema = object_of(**{field.name: field.schema for field in self._fields})
        layouts = self._layouts.values()
        needed = [
            name for name in schema["required"] if all(name in each.names for each in layouts)
        ]
        return {**schema, "required": needed}

    @property
    def schemas(self) -> dict[str, Schema]:
        """Its schema and those that it refers to, by their names in documents."""
        return {self.name: self.schema, **{part.name: part.schema for part in self.parts}}

    def at(self, request: Request) -> Callable[[R], dict[str, Any]]:
        """Return the function that shows a record to the client of this request."""
        return self.show_by(
            partial(url_of, request),
            ExclusiveFieldVendor.KORE if is_at_kore(request) else ExclusiveFieldVendor.TWILIO,
        )

    def show_by(
        self, url: UrlOf, asked: ExclusiveFieldVendor = ExclusiveFieldVendor.TWILIO
    ) -> Callable[[R], dict[str, Any]]:
        """Return the function that shows a record with such URLs, as this vendor's API does."""
        return partial(self._layouts[asked].show, url)


class CustomJsonSerializer(Serializer[Any]):
    """An object that an operation, or `show`, builds itself, by this schema."""

    def __init__(
        self,
        name: str,
        schema: Schema,
        *parts: Serializer[Any],
        plural: str = "",
        show: Callable[[Any], dict[str, Any]] = dict,
    ) -> None:
        super().__init__(name, plural, parts=parts)
        self._schema = schema
        self._show = show

    @property
    def schema(self) -> Schema:
        """The schema of it."""
        return self._schema

    def show_by(
        self, url: UrlOf, asked: ExclusiveFieldVendor = ExclusiveFieldVendor.TWILIO
    ) -> Callable[[Any], dict[str, Any]]:
        """Return the function that shows it; it is the same for all clients."""
        return self._show


def _layout(fields: Sequence[SerializedField[Any]], asked: ExclusiveFieldVendor) -> _Layout:
    shown = [field for field in fields if field.vendor in (None, asked)]
    values = {field.name: field.value for field in shown}
    read = attrgetter(*(one if isinstance(one, str) else "__class__" for one in values.values()))
    others = [(name, one) for name, one in values.items() if not isinstance(one, str)]
    return _Layout(tuple(values), read, others)


def field(name: str, schema: Schema = TEXT, attribute: str | None = None) -> SerializedField[Any]:
    """Return a field that shows an attribute of the same name, or of another one."""
    return SerializedField(name, schema, attribute or name)


def maybe(name: str, schema: Schema = TEXT, attribute: str | None = None) -> SerializedField[Any]:
    """Return a field that may be null."""
    return field(name, or_null(schema), attribute)


def worked_out(name: str, schema: Schema, value: Callable[[Any], object]) -> SerializedField[Any]:
    """Return a field whose value is worked out from the record."""
    return SerializedField(name, schema, lambda record, _: value(record))


def nested(name: str, of: Serializer[Any], attribute: str | None = None) -> SerializedField[Any]:
    """Return a field that shows a record within the record, or null."""
    get, show = attrgetter(attribute or name), of.show_by(str)
    return SerializedField(
        name, or_null(of.schema), lambda record, _: (inner := get(record)) and show(inner)
    )


def of_vendor(vendor: ExclusiveFieldVendor, field: SerializedField[Any]) -> SerializedField[Any]:
    """Return a field that only one vendor's API has."""
    return replace(field, vendor=vendor)


def configured(name: str, attribute: str | None = None) -> SerializedField[Any]:
    """Return a field that shows a callback URL as its owner gave it, or null."""
    get = attrgetter(attribute or name)
    return SerializedField(
        name, or_null(URL), lambda record, _: (url := get(record)) and url.configured
    )


def link(name: str, path: Callable[[Any], str]) -> SerializedField[Any]:
    """Return a field that is a URL of ours."""
    return SerializedField(name, URL, lambda record, url: url(path(record)))


def links(**paths: Callable[[Any], str]) -> SerializedField[Any]:
    """Return the field `links`: URLs of ours by their names."""
    return SerializedField(
        "links",
        object_of(**dict.fromkeys(paths, URL)),
        lambda record, url: {name: url(path(record)) for name, path in paths.items()},
    )


ACCOUNT_SID = field("account_sid", sid_of(SidKind.ACCOUNT))
DATES: Final = (field("date_created", INSTANT), field("date_updated", INSTANT))


def dated_at(path: str) -> tuple[SerializedField[Any], ...]:
    """Return when a record was created and updated, and its own URL, under this path."""
    return (*DATES, link("url", lambda record: f"{path}/{record.sid}"))


def json_answer(value: Mapping[str, object], status: int = 200) -> Response:
    """Return the answer that has this as its JSON body; instants in it are in UTC."""
    return Response(orjson.dumps(value, option=_DATES), status, media_type="application/json")


def shown_once(response: Response) -> Response:
    """Forbid caches to store an answer that shows a secret (RFC 6749, 5.1)."""
    response.headers.update({"Cache-Control": "no-store", "Pragma": "no-cache"})
    return response


def with_unknown(unknown: Sequence[str], response: Response) -> Response:
    """Name parameters that had no effect in a header, since both vendors ignore them silently."""
    if unknown:
        names = ", ".join(ascii(name)[:80] for name in unknown[:10])
        response.headers["Ringback-Warning"] = f"unknown parameters, without effect: {names}"
    return response
