"""Lines of `ringback listen --json` hold the whole request, whatever its bytes are."""

import json

import pytest

from ringback.captures import UnreadableCapture
from ringback.captures.listen_json_parser import read
from ringback.receiver.verification import ReceivedRequest
from tests.unit.captures.writers import listen_line


@pytest.mark.parametrize("body", [b"x=\xff\xc3\xa9\\", rb"x=\xff", b"", "x=é".encode()])
def test_a_body_is_read_back_byte_by_byte(body: bytes) -> None:
    request = ReceivedRequest("POST", "/p", (("Content-Length", str(len(body))),), body)
    capture = read(json.loads(listen_line(request)))
    assert capture.request == request
    assert capture.notes == ()


def test_a_missing_field_is_named() -> None:
    with pytest.raises(UnreadableCapture, match="has no headers and no body; expected the line"):
        read({"signature": {}, "method": "POST", "path": "/p"})


@pytest.mark.parametrize("changed", [{"body": None}, {"headers": {}}, {"path": 1}])
def test_a_line_with_wrong_types_is_refused(changed: dict[str, None]) -> None:
    line = {"method": "POST", "path": "/p", "headers": [], "body": "", **changed}
    with pytest.raises(UnreadableCapture, match="was changed: method, path and body must be"):
        read(line)


def test_a_header_that_is_not_a_pair_is_refused() -> None:
    with pytest.raises(UnreadableCapture, match="a header that is not a pair of strings"):
        read({"method": "POST", "path": "/p", "headers": [["A"]], "body": ""})
