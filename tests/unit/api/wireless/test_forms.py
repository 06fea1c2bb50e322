"""Malformed requests to Programmable Wireless get that API's own error codes."""

import pytest

from tests.unit.api.caller import Caller
from tests.unit.api.world import refusal

UPDATE = "/wireless/v1/Sims/meter_1"
NAMED = b"UniqueName=renamed"
TOO_LONG = NAMED + b"&Padding=" + b"a" * 64 * 1024


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b'{"UniqueName": "x"}', "application/json", "the body's Content-Type is application/json"),
        (TOO_LONG, "", "the body is longer than the limit of 65536 bytes"),
        (b"UniqueName=\xff", "", "the body is not valid UTF-8"),
        (b"UniqueName=a%00b", "", "UniqueName contains a NUL character; remove it"),
        (b"Status=active&Status=active", "", "Status is given twice"),
        (b"&".join(b"a%d=1" % number for number in range(201)), "", "the body has more than 200"),
    ],
    ids=["JSON", "too long", "not UTF-8", "NUL", "twice", "too many"],
)
async def test_a_malformed_form_is_refused(
    caller: Caller, body: bytes, content_type: str, message: str
) -> None:
    headers = {"content-type": content_type or "application/x-www-form-urlencoded"}
    answer = await caller.call("POST", UPDATE, body, headers=headers)
    assert refusal(answer) == (400, 33101)
    assert answer.json["message"].startswith(message)
    assert (await caller.get(UPDATE)).json["unique_name"] == "meter_1"


async def test_an_interrupted_body_has_no_effect(caller: Caller) -> None:
    answer = await caller.call("POST", UPDATE, NAMED, breaks_off=True)
    assert refusal(answer) == (400, 33101)
    assert (await caller.get(UPDATE)).status == 200


@pytest.mark.parametrize("path", ["Sims", "Commands", "RatePlans", "UsageRecords"])
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("Page=%FF", "the query string is not valid UTF-8"),
        ("PageToken=a%00", "PageToken contains a NUL character; remove it"),
        ("PageSize=1&PageSize=1", "PageSize is given twice; give it once"),
        ("&".join(f"a{n}=1" for n in range(201)), "the query string has more than 200 parameters"),
    ],
    ids=["not UTF-8", "NUL", "twice", "too many"],
)
async def test_a_malformed_query_is_refused(
    caller: Caller, path: str, query: str, message: str
) -> None:
    answer = await caller.get(f"/wireless/v1/{path}?{query}")
    assert refusal(answer) == (400, 33101)
    assert answer.json["message"] == message
