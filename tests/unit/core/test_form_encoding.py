"""Forms are encoded as the senders encode them, and any form can be decoded."""

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.form_encoding import as_field, decode, encode


@pytest.mark.parametrize(
    ("parameters", "encoded"),
    [
        ([], ""),
        ([("A", "1"), ("B", "2")], "A=1&B=2"),
        ([("B", "2"), ("A", "1"), ("B", "1")], "B=2&A=1&B=1"),
        ([("A", "")], "A="),
        ([("A", "a b")], "A=a+b"),
        ([("A", "a+b")], "A=a%2Bb"),
        ([("A", "1&B=2")], "A=1%26B%3D2"),
        ([("A", "Hello;1234;testing@!#")], "A=Hello%3B1234%3Btesting%40%21%23"),
        ([("A", "_.-~")], "A=_.-~"),
        ([("A", "/?:'\"*")], "A=%2F%3F%3A%27%22%2A"),
        ([("A", "ä€😀")], "A=%C3%A4%E2%82%AC%F0%9F%98%80"),
        ([("A", "\r\n\x00")], "A=%0D%0A%00"),
        ([("ä b", "1")], "%C3%A4+b=1"),
        ([("A=", ""), ("", "&B")], "A%3D=&=%26B"),
        ([("A&", "=")], "A%26=%3D"),
    ],
)
def test_a_form_is_encoded_in_the_order_given(
    parameters: list[tuple[str, str]], encoded: str
) -> None:
    assert encode(parameters) == encoded


TEXTS = st.text(st.sampled_from("aZ9_.~-=&+% é"), max_size=4)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4))
def test_any_form_is_encoded_as_the_standard_library_does(
    parameters: list[tuple[str, str]],
) -> None:
    assert encode(parameters) == urlencode(parameters)


@pytest.mark.parametrize(
    ("encoded", "told"),
    [
        ("", []),
        ("A=1", [("A", "1")]),
        ("B=2&A=1&B=3", [("B", "2"), ("A", "1"), ("B", "3")]),
        ("A=a+b%26%3D&%C3%A4=", [("A", "a b&="), ("ä", "")]),
        ("A=1=2&B&&C=", [("A", "1=2"), ("B", ""), ("C", "")]),
    ],
)
def test_a_form_is_decoded_to_what_was_encoded(encoded: str, told: list[tuple[str, str]]) -> None:
    assert decode(encoded) == told


@given(st.text(st.sampled_from("aé%+=&;2Ff\ud800 "), max_size=30))
def test_any_text_is_decoded_as_the_standard_library_does(encoded: str) -> None:
    assert decode(encoded) == parse_qsl(encoded, keep_blank_values=True)


@pytest.mark.parametrize(
    ("name", "field"), [("Sim", "sim"), ("ErrorCode", "error_code"), ("EId", "e_id")]
)
def test_a_parameters_name_is_that_of_a_field_in_camel_case(name: str, field: str) -> None:
    assert as_field(name) == field
