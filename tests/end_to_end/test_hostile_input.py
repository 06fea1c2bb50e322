"""Bad input to the served API: its error format, the right code, no 500, and nothing lost."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.served import Served, served

FORM = {"code", "message", "more_info", "status"}

BODIES = [
    (b"Status=deactivated", 400, 83600),
    (b"CallbackMethod=PUT", 400, 83600),
    (b"CallbackUrl=not+a+url", 400, 11100),
    (b"CallbackUrl=http://a.example/%23cbs=foo", 400, 11100),
    (b"CallbackUrl=http://a.example/%23rc=99", 400, 11100),
    (b"CallbackUrl=javascript:alert(1)", 400, 11100),
    (b"UniqueName=\xff\xfe", 400, 83600),
    (b"UniqueName=%ff%fe", 400, 83600),
    (b"UniqueName=a%00b", 400, 83600),
    (b"UniqueName=" + b"a" * 10_000_000, 400, 83600),
    (b"Fleet=", 400, 83008),
    (b"Fleet=no_such_fleet", 400, 83006),
    (b"Status=ready", 400, 83010),
    (b"AccountSid=AC00000000000000000000000000000000", 400, 20409),
]


@pytest.mark.parametrize(("body", "status", "code"), BODIES, ids=[b[0][:40].hex() for b in BODIES])
async def test_a_body_without_sense_is_refused_and_changes_nothing(
    tmp_path: Path, body: bytes, status: int, code: int
) -> None:
    async with served(tmp_path) as dev:
        before = (await dev.get(dev.sim_path)).body
        answered = await dev.call("POST", dev.sim_path, body=body)
        assert set(answered.body) == FORM
        assert (answered.status, answered.body["code"]) == (status, code)
        assert (await dev.get(dev.sim_path)).body == before
        assert await dev.callbacks() == []


async def is_refused(dev: Served, authorization: str) -> bool:
    answered = await dev.call("GET", "/v1/Sims", headers={"Authorization": authorization})
    return (answered.status, answered.body["code"], set(answered.body)) == (401, 20003, FORM)


async def test_wrong_credentials_of_any_shape_are_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as dev:
        for authorization in (
            "",
            "Basic",
            "Basic !",
            "Basic eDp5",
            "Bearer eDp5",
            "Basic /w==",
            "x",
        ):
            assert await is_refused(dev, authorization), authorization


async def test_odd_paths_are_not_found(tmp_path: Path) -> None:
    async with served(tmp_path) as dev:
        for path in ("/", "/v1/Sims/%00", "/v1/Sims/%ff", "/v1/Sims/", "/v1/Simss", "/v2/Sims"):
            answered = await dev.get(path)
            assert (answered.status, answered.body["code"]) == (404, 20404), path
            assert set(answered.body) == FORM


async def test_bytes_that_are_not_http_get_an_error_in_the_same_format(tmp_path: Path) -> None:
    async with served(tmp_path) as dev:
        host, port = dev.dev["base_url"].removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /v1/Sims/\xff HTTP/1.1\r\nHost: a\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    assert head.startswith(b"HTTP/1.1 400 ")
    assert set(json.loads(body)) == FORM
