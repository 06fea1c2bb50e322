"""Parameters in a body: as a form, or as a JSON object."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.form_encoding import encode
from ringback.core.sources.body_encoding import (
    BodyEncoding,
    Parameters,
    encoded_as,
    encoding_of,
    read_body,
    write_body,
)

FORM, JSON = BodyEncoding
NAMES = st.text(st.characters(codec="utf-8"), min_size=1)
TEXTS = st.text(st.characters(codec="utf-8"))


def test_json_has_the_parameters_as_texts_in_their_order_without_spaces() -> None:
    parameters = [("B", "1 & 2"), ("A", "é \u2028 東京 🛰"), ("Empty", "")]
    body = write_body(parameters, JSON)
    assert body == '{"B":"1 & 2","A":"é \u2028 東京 🛰","Empty":""}'
    assert [*json.loads(body).items()] == parameters == read_body(body)
    assert write_body([], JSON) == "{}"
    assert read_body("{}") == []


def test_a_name_that_repeats_has_a_list_in_the_place_of_the_first() -> None:
    body = write_body([("Tag", "b"), ("Note", "x"), ("Tag", "a"), ("Tag", "b")], JSON)
    assert body == '{"Tag":["b","a","b"],"Note":"x"}'
    assert read_body(body) == [("Tag", "b"), ("Tag", "a"), ("Tag", "b"), ("Note", "x")]


@given(st.dictionaries(NAMES, TEXTS).map(lambda values: [*values.items()]))
def test_a_body_shows_its_encoding_and_is_read_back(parameters: Parameters) -> None:
    for encoding in BodyEncoding:
        body = write_body(parameters, encoding)
        assert encoding_of(body) is encoding
        assert read_body(body) == parameters
    assert write_body(parameters, FORM) == encode(parameters)


@pytest.mark.parametrize("body", ["", "A=1&B=%7B+2", '{"A":"1","B":"{ 2"}'])
def test_a_body_that_has_the_encoding_already_stays_as_it_is(body: str) -> None:
    assert encoded_as(encoding_of(body), body) is body


def test_a_body_is_encoded_anew() -> None:
    form, as_json = "A=1&B=%7B+2&A=3", '{"A":["1","3"],"B":"{ 2"}'
    assert encoded_as(JSON, form) == as_json
    assert encoded_as(FORM, as_json) == "A=1&A=3&B=%7B+2"
    assert encoded_as(JSON, "") == "{}"
