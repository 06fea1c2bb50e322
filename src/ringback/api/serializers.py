"""Serializes records to JSON by tables of fields, which also define the OpenAPI schemas."""

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

# The same format as `iso` in `core/calendar`.
_DATES: Final = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS

_WARNING: Final = "Ringback-Warning"

UrlOf = Callable[[str], str]
"""Returns the full URL of a path, at the host name that the client used."""


class ExclusiveFieldVendor(Enum):
    """The vendor of a field that the other vendor's API does not have."""

    TWILIO = auto()
    KORE = auto()


@dataclass(frozen=True, slots=True)
class SerializedField(Generic[R]):
    """A field of a JSON object: its name, its schema, and how its value is found in a record."""

    name: str
    schema: Schema
    value: Callable[[R, UrlOf], object] | str
    """A function that computes the value from a record, or the name of the record's attribute."""
    vendor: ExclusiveFieldVendor | None = None
    """The only vendor whose API has the field; None if both have it."""


class _Layout(NamedTuple):
    """Shows records as JSON objects that have the fields of one vendor's API."""

    names: Sequence[str]
    """The names of all fields, in order."""
    read: Callable[[Any], Sequence[object]]
    """Reads all plain attributes of a record at once; computed fields get a placeholder."""
    worked_out: Sequence[tuple[str, Callable[[Any, UrlOf], object]]]
    """The names of the computed fields, with the functions that compute them."""

    def show(self, url: UrlOf, record: object) -> dict[str, Any]:
        """Return a record as a JSON object."""
        # Lists can be long: reading all attributes at once takes half the time.
        shown: dict[str, Any] = dict(zip(self.names, self.read(record), strict=False))
        for name, value in self.worked_out:
            shown[name] = value(record, url)
        return shown


class Serializer(Generic[R]):
    """Turns records of one kind into JSON objects, and describes their schema."""

    def __init__(
        self,
        name: str,
        plural: str,
        *fields: SerializedField[R],
        parts: "Sequence[Serializer[Any]]" = (),
    ) -> None:
        self.name = name
        """The name of the schema in the OpenAPI document."""
        self.plural = plural
        """The key under which a list of these records is shown."""
        self.parts = parts
        """The serializers of the objects that the schema refers to by name."""
        self._fields = fields
        self._layouts = {
            vendor: _layout(fields, vendor) for vendor in ExclusiveFieldVendor if fields
        }

    @property
    def schema(self) -> Schema:
        """The schema of one record; fields that only one vendor's API has are optional."""
        schema = object_of(**{field.name: field.schema for field in self._fields})
        layouts = self._layouts.values()
        needed = [
            name for name in schema["required"] if all(name in each.names for each in layouts)
        ]
        return {**schema, "required": needed}

    @property
    def schemas(self) -> dict[str, Schema]:
        """The record's schema and the schemas that it refers to, by name."""
        return {self.name: self.schema, **{part.name: part.schema for part in self.parts}}

    def at(self, request: Request) -> Callable[[R], dict[str, Any]]:
        """Return a function that turns records into JSON objects for the client of this request."""
        return self.show_by(
            partial(url_of, request),
            ExclusiveFieldVendor.KORE if is_at_kore(request) else ExclusiveFieldVendor.TWILIO,
        )

    def show_by(
        self, url: UrlOf, asked: ExclusiveFieldVendor = ExclusiveFieldVendor.TWILIO
    ) -> Callable[[R], dict[str, Any]]:
        """Return a function that serializes a record in this vendor's form.

        `url` turns paths into full URLs.
        """
        return partial(self._layouts[asked].show, url)


class CustomJsonSerializer(Serializer[Any]):
    """A serializer that calls the function `show` instead of using a table of fields."""

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
        """The schema of the JSON object that `show` returns."""
        return self._schema

    def show_by(
        self, url: UrlOf, asked: ExclusiveFieldVendor = ExclusiveFieldVendor.TWILIO
    ) -> Callable[[Any], dict[str, Any]]:
        """Return the function `show` that the constructor got, whatever `url` and `asked` are."""
        return self._show


def _layout(fields: Sequence[SerializedField[Any]], asked: ExclusiveFieldVendor) -> _Layout:
    shown = [field for field in fields if field.vendor in (None, asked)]
    values = {field.name: field.value for field in shown}
    read = attrgetter(*(one if isinstance(one, str) else "__class__" for one in values.values()))
    others = [(name, one) for name, one in values.items() if not isinstance(one, str)]
    return _Layout(tuple(values), read, others)


def field(name: str, schema: Schema = TEXT, attribute: str | None = None) -> SerializedField[Any]:
    """Return a field that shows an attribute of the record (default: of the same name)."""
    return SerializedField(name, schema, attribute or name)


def maybe(name: str, schema: Schema = TEXT, attribute: str | None = None) -> SerializedField[Any]:
    """Return a field that shows an attribute of the record; null if the attribute is None."""
    return field(name, or_null(schema), attribute)


def worked_out(name: str, schema: Schema, value: Callable[[Any], object]) -> SerializedField[Any]:
    """Return a field whose value is computed from the record."""
    return SerializedField(name, schema, lambda record, _: value(record))


def nested(name: str, of: Serializer[Any], attribute: str | None = None) -> SerializedField[Any]:
    """Return a field that shows a nested record as a JSON object, or null if there is none."""
    get, show = attrgetter(attribute or name), of.show_by(str)
    return SerializedField(
        name, or_null(of.schema), lambda record, _: (inner := get(record)) and show(inner)
    )


def of_vendor(vendor: ExclusiveFieldVendor, field: SerializedField[Any]) -> SerializedField[Any]:
    """Return a copy of `field` that appears only in this vendor's API."""
    return replace(field, vendor=vendor)


def configured(name: str, attribute: str | None = None) -> SerializedField[Any]:
    """Return a field that shows a callback URL as the client configured it, or null without one."""
    get = attrgetter(attribute or name)
    return SerializedField(
        name, or_null(URL), lambda record, _: (url := get(record)) and url.configured
    )


def link(name: str, path: Callable[[Any], str]) -> SerializedField[Any]:
    """Return a field that shows the full URL of a path in the same API."""
    return SerializedField(name, URL, lambda record, url: url(path(record)))


def links(**paths: Callable[[Any], str]) -> SerializedField[Any]:
    """Return the field `links`, an object of full URLs of paths in this API."""
    return SerializedField(
        "links",
        object_of(**dict.fromkeys(paths, URL)),
        lambda record, url: {name: url(path(record)) for name, path in paths.items()},
    )


ACCOUNT_SID = field("account_sid", sid_of(SidKind.ACCOUNT))
DATES: Final = (field("date_created", INSTANT), field("date_updated", INSTANT))


def dated_at(path: str) -> tuple[SerializedField[Any], ...]:
    """Return the fields with a record's creation and update times, and its URL (`path` and SID)."""
    return (*DATES, link("url", lambda record: f"{path}/{record.sid}"))


class _JsonResponse(Response):
    """A response with a JSON body; made in half the time that Starlette's own takes."""

    def __init__(self, body: bytes, status: int) -> None:
        self.status_code = status
        self.body = body
        self.background = None
        self.raw_headers = [
            (b"content-length", b"%d" % len(body)),
            (b"content-type", b"application/json"),
        ]


def json_answer(value: Mapping[str, object], status: int = 200) -> Response:
    """Return a response with this value as its JSON body; times are written in UTC."""
    return _JsonResponse(orjson.dumps(value, option=_DATES), status)


def json_fragment(value: Mapping[str, object]) -> orjson.Fragment:
    """Return a part of such a body that is written already, as many short pieces of work."""
    return orjson.Fragment(orjson.dumps(value, option=_DATES))


def shown_once(response: Response) -> Response:
    """Add headers to a response with a secret, so that caches don't store it, and return it."""
    response.headers.update({"Cache-Control": "no-store", "Pragma": "no-cache"})
    return response


def with_unknown(unknown: Sequence[str], response: Response) -> Response:
    """Add a warning header that names unknown parameters, and return the response.

    Unknown parameters have no effect, so a client would not notice a typing error otherwise.
    """
    if unknown:
        names = ", ".join(ascii(name)[:80] for name in unknown[:10])
        return with_warnings(response, f"unknown parameters, which had no effect: {names}")
    return response


def with_warnings(response: Response, *warnings: str) -> Response:
    """Add warnings, in ASCII, to the response's warning header, and return the response."""
    earlier = response.headers.get(_WARNING)
    if warnings:
        response.headers[_WARNING] = "; ".join(filter(None, (earlier, *warnings)))
    return response
