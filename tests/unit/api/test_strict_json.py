"""JSON that is refused although a parser would accept it."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.api.strict_json import check_names
from ringback.core.errors import InvalidParameter

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
VALUES = TEXTS | st.integers(-9, 9) | st.booleans() | st.none() | st.lists(TEXTS, max_size=3)


def check(body: bytes) -> None:
    check_names(body, orjson.loads(body))


@given(document=st.dictionaries(TEXTS, VALUES | st.dictionaries(TEXTS, VALUES, max_size=3)))
def test_different_names_are_accepted(document: dict[str, Any]) -> None:
    check(json.dumps(document).encode())
    check(json.dumps(document, ensure_ascii=False, indent=1).encode())


@given(
    pairs=st.lists(st.tuples(TEXTS, VALUES), min_size=1, max_size=4),
    twice=st.tuples(TEXTS, VALUES, VALUES),
    data=st.data(),
)
def test_a_repeated_name_is_found_at_any_place(
    pairs: list[tuple[str, Any]], twice: tuple[str, Any, Any], data: st.DataObject
) -> None:
    name, first, second = twice
    order = data.draw(st.permutations([*pairs, (name, first), (name, second)]))
    members = [f"{json.dumps(key)} : {json.dumps(value)}" for key, value in order]
    with pytest.raises(InvalidParameter):
        check(f'{{"callbacks": [{{"parameters": {{{", ".join(members)}}}}}]}}'.encode())


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1, "a": 2}',
        b'{"a": 1, "\\u0061": 2}',
        b'{"b": [{"a": 1, "a": "x\\"y"}]}',
        b'{"b": {"a": "", "a": ""}}',
    ],
)
def test_the_repeated_name_is_reported(body: bytes) -> None:
    with pytest.raises(InvalidParameter) as refused:
        check(body)
    assert refused.value.message == (
        "the name 'a' is given twice in one JSON object; give it once; write several values"
        " of a parameter as a list"
    )


def test_a_repeated_name_is_found_as_deeply_as_the_parser_goes() -> None:
    with pytest.raises(InvalidParameter) as refused:
        check(b'{"a": ' + b"[" * 1020 + b"]" * 1020 + b', "a": 1}')
    # The Python version limits the depth of the slower parser: it may find the name, or give up.
    assert "given twice in one JSON object" in refused.value.message
