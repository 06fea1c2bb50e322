"""Records in responses: the order of fields, the vendor's own fields, nested records."""

from typing import NamedTuple

from ringback.api.schema_pieces import TEXT, number
from ringback.api.serializers import (
    CustomJsonSerializer,
    ExclusiveFieldVendor,
    SerializedField,
    Serializer,
    field,
    link,
    nested,
    of_vendor,
    worked_out,
)


class Size(NamedTuple):
    width: int
    height: int


class Box(NamedTuple):
    sid: str
    size: Size | None


SIZE = Serializer[Size]("size", "", field("width", number(0)), field("height", number(0)))
BOX = Serializer[Box](
    "box",
    "boxes",
    worked_out("label", TEXT, lambda box: f"box {box.sid}"),
    field("sid"),
    nested("size", SIZE),
    field("name", attribute="sid"),
    link("url", lambda box: f"/boxes/{box.sid}"),
    of_vendor(ExclusiveFieldVendor.KORE, field("kore_sid", attribute="sid")),
    SerializedField("by", TEXT, lambda *_: "Twilio", ExclusiveFieldVendor.TWILIO),
    SerializedField("by", TEXT, lambda *_: "KORE", ExclusiveFieldVendor.KORE),
)
ONE = Box("B1", Size(2, 3))


def test_fields_are_in_their_order_whatever_the_source_of_their_values() -> None:
    shown = BOX.show_by("https://a.example{}".format)(ONE)
    assert list(shown.items()) == [
        ("label", "box B1"),
        ("sid", "B1"),
        ("size", {"width": 2, "height": 3}),
        ("name", "B1"),
        ("url", "https://a.example/boxes/B1"),
        ("by", "Twilio"),
    ]


def test_each_vendor_has_its_own_fields_and_values() -> None:
    shown = BOX.show_by(str, ExclusiveFieldVendor.KORE)(ONE)
    assert (shown["kore_sid"], shown["by"]) == ("B1", "KORE")
    assert set(BOX.schema["properties"]) - set(BOX.schema["required"]) == {"kore_sid"}


def test_a_missing_record_is_null_as_its_schema_allows() -> None:
    assert BOX.show_by(str)(ONE._replace(size=None))["size"] is None
    assert BOX.schema["properties"]["size"]["type"] == ["object", "null"]


def test_an_object_with_its_own_serializer_is_shown_unchanged() -> None:
    written = CustomJsonSerializer("written", {"type": "object"}, SIZE)
    assert written.show_by(str)({"any": "thing"}) == {"any": "thing"}
    assert (written.schema, written.parts) == ({"type": "object"}, (SIZE,))
