"""Tables of a settings file: unknown and missing keys, and values that aren't text."""

import pytest

from ringback.core.toml_table import TomlTableError, check_keys, read_text


@pytest.mark.parametrize(
    ("table", "key", "why"),
    [({"a": 1, "c": 1}, "c", "c is not a known key"), ({"b": 1}, "a", "a is missing")],
)
def test_a_wrong_key_is_named(table: dict[str, int], key: str, why: str) -> None:
    with pytest.raises(TomlTableError, match=why) as refused:
        check_keys(table, must=("a",), may=("b",))
    assert refused.value.key == key
    check_keys({"a": 1, "b": 1}, must=("a",), may=("b",))


def test_a_value_must_be_text() -> None:
    assert read_text({"a": "x"}, "a") == "x"
    with pytest.raises(TomlTableError, match="a = 1 must be text in quotes"):
        read_text({"a": 1}, "a")
