"""`ringback accounts` beside a running `ringback serve`, which applies the changes at once."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from click.testing import CliRunner

from ringback.cli.main import main
from tests.served import Answered, Served, asked_until, served

SERVE = ("ringback", "serve", "--lame-duck", "0s", "--log-level", "error")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Office:
    """A server, and a shell on the machine that it runs on."""

    server: Served
    folder: Path

    async def run(self, *words: str) -> str:
        """Run `ringback accounts`, and return its output."""
        arguments = ["accounts", *words, "--data", str(self.folder)]
        ended = await asyncio.to_thread(CliRunner().invoke, main, arguments)
        assert ended.exit_code == 0, ended.output
        return ended.stdout

    async def record(self, *words: str) -> dict[str, Any]:
        return json.loads(await self.run(*words, "--json"))

    async def ask(self, username: str, password: str, path: str = "/v1/Sims") -> Answered:
        """Read a list with these credentials."""
        pair = b64encode(f"{username}:{password}".encode()).decode()
        return await self.server.call("GET", path, headers={"Authorization": f"Basic {pair}"})

    async def status_for(self, username: str, password: str) -> int:
        return (await self.ask(username, password)).status

    async def soon(self, status: int, username: str, password: str) -> Answered:
        """Return the first answer with this status, which has to arrive within a second."""
        return await asked_until(
            lambda: self.ask(username, password),
            lambda answered: answered.status == status,
            within=1.5,  # the rest is for a slow machine
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    folder = tmp_path_factory.mktemp("office")
    async with served(folder, command=SERVE) as server:
        server.dev |= {"api_key_sid": "", "api_key_secret": ""}
        yield Office(server, folder)


@pytest_asyncio.fixture(loop_scope="module")
async def made(office: Office) -> dict[str, Any]:
    """A new account."""
    return await office.record("create", "Acme", "--yes")


async def test_a_new_account_can_sign_in_at_once(office: Office, made: dict[str, Any]) -> None:
    assert await office.status_for(made["account_sid"], made["auth_token"]) == 200
    assert await office.status_for(made["api_key_sid"], made["api_key_secret"]) == 200
    shown = await office.record("show", made["kore_id"])
    assert shown["account_sid"] == made["account_sid"]


async def test_a_bare_account_signs_in_with_its_auth_token(office: Office) -> None:
    bare = await office.record("create", "Bare", "--bare")
    assert await office.status_for(bare["account_sid"], bare["auth_token"]) == 200


async def test_a_suspended_account_cannot_sign_in_until_it_is_resumed(
    office: Office, made: dict[str, Any]
) -> None:
    key = made["api_key_sid"], made["api_key_secret"]
    child = await office.record("create", "Child", "--parent", made["account_sid"])
    assert await office.status_for(*key) == 200
    await office.run("suspend", made["account_sid"])
    refused = [
        await office.soon(403, *key),
        await office.ask(made["account_sid"], made["auth_token"]),
        await office.ask(child["account_sid"], child["auth_token"]),
    ]
    assert [(one.status, one.body["code"]) for one in refused] == [(403, 20005)] * 3
    await office.run("resume", made["account_sid"])
    assert await office.status_for(*key) == 200


async def test_a_key_is_valid_until_it_is_revoked(office: Office, made: dict[str, Any]) -> None:
    key = await office.record("keys", "create", "--account", made["account_sid"])
    assert await office.status_for(key["sid"], key["secret"]) == 200
    await office.run("keys", "delete", key["sid"])
    await office.soon(401, key["sid"], key["secret"])
    assert await office.status_for(made["api_key_sid"], made["api_key_secret"]) == 200


async def test_an_operators_key_signs_in(office: Office) -> None:
    key = await office.record("keys", "create", "--operator")
    assert await office.status_for(key["sid"], key["secret"]) == 200


async def test_both_auth_tokens_sign_in_and_the_promoted_one_replaces_the_old(
    office: Office, made: dict[str, Any]
) -> None:
    sid = made["account_sid"]
    second = (await office.record("token", "create", sid))["secondary_auth_token"]
    assert await office.status_for(sid, made["auth_token"]) == 200
    assert await office.status_for(sid, second) == 200
    await office.run("token", "promote", sid)
    await office.soon(401, sid, made["auth_token"])
    assert await office.status_for(sid, second) == 200


async def test_a_revoked_second_auth_token_is_no_longer_valid(
    office: Office, made: dict[str, Any]
) -> None:
    sid = made["account_sid"]
    second = (await office.record("token", "create", sid))["secondary_auth_token"]
    assert await office.status_for(sid, second) == 200
    await office.run("token", "delete", sid)
    await office.soon(401, sid, second)
    assert await office.status_for(sid, made["auth_token"]) == 200


async def test_an_api_client_is_listed_until_it_is_revoked(
    office: Office, made: dict[str, Any]
) -> None:
    client = await office.record("clients", "create", made["account_sid"], "ci")
    assert await office.record("clients", "list", made["account_sid"]) == {
        name: value for name, value in client.items() if name != "client_secret"
    }
    await office.run("clients", "delete", client["client_id"])
    assert (await office.record("show", made["account_sid"]))["api_clients"] == []
