"""`ringback secrets`: what it asks of the API of webhook secrets, and what it says."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result

from ringback.cli.main import main
from tests.keyboards import terminal
from tests.receivers import ReceivedRequest, RecordingReceiver

MODIFIED = "2026-11-24T10:00:00Z"


class WebhookApi:
    """Answers like KORE's API of webhook secrets, with values that tests can look for."""

    def __init__(self) -> None:
        self.secrets = list[dict[str, str]]()

    def __call__(self, request: ReceivedRequest) -> bytes:
        method, target, _ = request.line.split()
        url = urlsplit(target)
        match method, url.path.removeprefix("/webhook/v1/secrets").strip("/"):
            case "GET", "":
                return answer(200, self._page(parse_qs(url.query)))
            case "POST", "":
                return answer(201, self._create(json.loads(request.body)["Name"]))
            case "PATCH", secret_id:
                return self._change(secret_id, json.loads(request.body))
            case _:
                return answer(405, {"code": 20004, "status": 405, "message": "no such method"})

    def _page(self, query: dict[str, list[str]]) -> dict[str, object]:
        statuses = query.get("status", ["active", "pending"])
        found = [secret for secret in self.secrets if secret["status"] in statuses]
        return {"data": found, "meta_data": {"count": len(found)}}

    def _create(self, name: str) -> dict[str, str]:
        status = "pending" if self.secrets else "active"
        made = {"id": f"whs_{name}", "name": name, "status": status, "last_modified": MODIFIED}
        self.secrets.append(made)
        return {**made, "secret": f"value of {name}"}

    def _change(self, secret_id: str, asked: dict[str, str]) -> bytes:
        for secret in self.secrets:
            if secret["id"] == secret_id:
                secret |= {name.lower(): value for name, value in asked.items()}
                return answer(200, secret)
        return answer(404, {"code": 20404, "status": 404, "message": f"no {secret_id} here"})


def answer(status: int, body: object) -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    return head.encode() + content


class Shell:
    """Runs `ringback secrets` against one server."""

    def __init__(self, server: RecordingReceiver) -> None:
        self.server = server
        self.options = (
            *("--server", server.url("").rstrip("/")),
            *("--account-sid", "AC1"),
            *("--auth-token", "made-up"),
        )

    async def run(self, *words: str) -> Result:
        arguments = ["secrets", *words, *self.options]
        return await asyncio.to_thread(CliRunner().invoke, main, arguments)

    async def said(self, *words: str) -> str:
        ended = await self.run(*words)
        assert ended.exit_code == 0, ended.output
        return ended.stdout

    def changes(self) -> list[tuple[str, object]]:
        """Return the path and the body of each PATCH that the server got."""
        return [
            (request.line.split()[1].rstrip("?"), json.loads(request.body))
            for request in self.server.requests
            if request.line.startswith("PATCH")
        ]


@pytest.fixture
async def shell() -> AsyncIterator[Shell]:
    async with RecordingReceiver(answer=WebhookApi()) as server:
        yield Shell(server)


async def test_the_first_secret_is_printed_once_and_signs(shell: Shell) -> None:
    said = await shell.said("create", "one")
    assert "  secret  value of one\n" in said
    assert "  status  active\n" in said
    assert "--kore-secret" in said
    assert "activate whs_one" not in said
    listed = await shell.said("list")
    assert listed == f"whs_one  {MODIFIED}  active   one\n"


async def test_a_later_one_signs_nothing_and_the_line_that_activates_it_is_said(
    shell: Shell,
) -> None:
    await shell.said("create", "one")
    said = await shell.said("create", "two")
    assert "  status  pending\n" in said
    assert "signs nothing until it is activated" in said
    assert said.endswith("ringback secrets activate whs_two\n")


async def test_a_name_goes_as_it_is(shell: Shell) -> None:
    assert "webhook secret '{id} é';" in await shell.said("create", "{id} é")
    (request,) = shell.server.requests
    assert json.loads(request.body) == {"Name": "{id} é"}
    assert "Content-Type: application/json" in request.headers


async def test_without_a_secret_it_is_said_what_that_means(shell: Shell) -> None:
    assert (await shell.said("list")).startswith(
        "no webhook secrets, so the signatures of KORE's callbacks are empty; "
    )


async def test_a_secret_gets_another_name(shell: Shell) -> None:
    await shell.said("create", "one")
    said = await shell.said("rename", "whs_one", "better")
    assert said == f"whs_one  {MODIFIED}  active   better\n"
    assert shell.changes() == [("/webhook/v1/secrets/whs_one", {"Name": "better"})]


async def test_what_the_api_refuses_is_said_in_its_words(shell: Shell) -> None:
    ended = await shell.run("rename", "whs_none", "better")
    assert (ended.exit_code, ended.stderr) == (1, "ringback: no whs_none here\n")


# ---- activating ----------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("activate",), ("activate", "whs_two")], ids=" ".join)
async def test_the_pending_one_is_activated(words: tuple[str, ...], shell: Shell) -> None:
    await shell.said("create", "one")
    await shell.said("create", "two")
    said = await shell.said(*words, "--yes")
    assert said.startswith(f"whs_two  {MODIFIED}  active   two\n")
    assert "--kore-secret" in said
    assert shell.changes() == [("/webhook/v1/secrets/whs_two", {"Status": "active"})]


async def test_without_a_pending_one_nothing_is_activated(shell: Shell) -> None:
    await shell.said("create", "one")
    ended = await shell.run("activate", "--yes")
    assert ended.stderr == (
        "ringback: no secret is pending; `ringback secrets list` lists the secrets\n"
    )
    assert shell.changes() == []


async def test_no_other_than_the_one_that_is_named_is_activated(shell: Shell) -> None:
    await shell.said("create", "one")
    await shell.said("create", "two")
    ended = await shell.run("activate", "whs_one", "--yes")
    assert ended.stderr.startswith("ringback: no secret whs_one is pending; ")
    assert shell.changes() == []


async def test_where_nobody_can_be_asked_nothing_is_activated(shell: Shell) -> None:
    await shell.said("create", "one")
    await shell.said("create", "two")
    ended = await shell.run("activate")
    assert ended.exit_code == 1
    assert ended.stderr == (
        "ringback: activating whs_two can't be undone, and standard input is not a terminal:"
        " pass --yes\n"
    )
    assert shell.changes() == []


@pytest.mark.parametrize(("typed", "code", "changes"), [(b"n\n", 1, 0), (b"y\n", 0, 1)])
async def test_whoever_is_at_a_terminal_is_asked(
    typed: bytes, code: int, changes: int, shell: Shell
) -> None:
    await shell.said("create", "one")
    await shell.said("create", "two")
    with terminal() as (keyboard, stdin):
        os.write(keyboard, typed)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ringback", "secrets", "activate", *shell.options),
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, asked = await process.communicate()
    assert process.returncode == code
    assert b"whs_two (two) will sign all callbacks" in asked
    assert b"this can't be undone" in asked
    assert (b"active" in said, len(shell.changes())) == (changes == 1, changes)


# ---- for programs --------------------------------------------------------------------------------


async def test_programs_get_the_answers_of_the_api(shell: Shell) -> None:
    made = json.loads(await shell.said("create", "one", "--json"))
    assert made["secret"] == "value of one"
    await shell.said("create", "two")
    page = json.loads(await shell.said("list", "--json"))
    assert [secret["id"] for secret in page["data"]] == ["whs_one", "whs_two"]
    assert page["meta_data"] == {"count": 2}
    renamed = json.loads(await shell.said("rename", "whs_one", "better", "--json"))
    assert renamed["name"] == "better"
    activated = json.loads(await shell.said("activate", "--yes", "--json"))
    assert (activated["id"], activated["status"]) == ("whs_two", "active")
