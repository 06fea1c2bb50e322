"""Variants of a received body that the sender may have signed."""

import hashlib
import json

import pytest

from ringback.receiver.verification import ReceivedRequest
from ringback.receiver.verification.body_variants import (
    compact_forms,
    compacted,
    escaped,
    hashes_in,
)


@pytest.mark.parametrize(
    ("body", "compact"),
    [
        (b"", b""),
        (b"  \r\n\t", b""),
        (b'{ "a" : [ 1 , 2 ] }\n', b'{"a":[1,2]}'),
        (b'" a  b "', b'" a  b "'),
        (rb'[ "a \" b" , 1 ]', rb'["a \" b",1]'),
        (rb'[ "\\" , "b c" ]', rb'["\\","b c"]'),
        (b'[ "\\\n" , 1 ]', b'["\\\n",1]'),
        (b'{ "open', b'{"open'),
        (b'{ "open \\', b'{"open \\'),
        (b"a\xa0\x0b\x0cb \xff", b"a\xa0\x0b\x0cb\xff"),
    ],
)
def test_white_space_between_tokens_is_removed_and_that_in_strings_stays(
    body: bytes, compact: bytes
) -> None:
    assert compacted(body) == compact


def test_json_is_compacted_to_its_form_without_white_space() -> None:
    document = [{"a b": ' "\\" \n', "é😀": [1.5, None, True, {"x": []}]}]
    compact = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    spaced = json.dumps(document, indent=4, ensure_ascii=False).encode()
    assert compacted(spaced) == compact
    assert escaped(compact) == json.dumps(document, separators=(",", ":")).encode()


@pytest.mark.parametrize("body", [b"\xff", b'"\xed\xa0\x80"', b"plain"])
def test_bytes_that_are_not_utf_8_or_need_no_escapes_stay(body: bytes) -> None:
    assert escaped(body) == body


def test_a_megabyte_of_quotes_backslashes_or_letters_is_scanned_once() -> None:
    # A scan that starts again at each place would exceed the time limit of a test.
    for unit in (b'"', b"\\", b'"\\', b" ", b'" ', "é".encode(), b'\\"'):
        body = unit * (1_000_000 // len(unit))
        assert len(escaped(compacted(body))) >= len(compacted(body))
    assert compacted(b'"' + b"\\" * 999_999) == b'"' + b"\\" * 999_999


def test_json_of_kores_may_have_been_signed_compact_or_escaped() -> None:
    bodies = compact_forms('{ "a": "é" }'.encode())
    assert list(bodies) == ['{"a":"é"}'.encode(), b'{"a":"\\u00e9"}']


def received(kind: str | None) -> ReceivedRequest:
    headers = () if kind is None else (("Content-Type", kind),)
    return ReceivedRequest("POST", "/", headers)


@pytest.mark.parametrize(
    ("kind", "is_form", "is_json"),
    [
        (None, True, False),
        ("", True, False),
        ("application/x-www-form-urlencoded", True, False),
        ("Application/X-WWW-Form-URLEncoded ; charset=x", True, False),
        ("application/json", False, True),
        ("APPLICATION/JSON;charset=x", False, True),
        ("application/cloudevents+json", False, True),
        ("text/json", False, False),
        ("multipart/form-data", False, False),
    ],
)
def test_the_content_type_decides_what_a_body_is(
    kind: str | None, is_form: bool, is_json: bool
) -> None:
    request = received(kind)
    assert (request.is_form, request.is_json) == (is_form, is_json)


def test_the_hash_is_in_lower_case_and_found_anywhere_in_the_query() -> None:
    digest = hashlib.sha256(b"body").hexdigest()
    assert hashes_in(f"a=1&bodySHA256={digest}&b=2") == [digest]
    assert hashes_in("bodySHA256=&bodysha256=1&body%53HA256=2") == ["", "2"]
    assert hashes_in("") == []
