"""Sending callbacks, replays and the commands for them, with a running server."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.receivers import ReceivedRequest, RecordingReceiver
from tests.served import Answered, Served, asked_until, in_this_process, is_settled, served

UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
NEVER_ASKED = {
    "RINGBACK_SERVER": "http://127.0.0.1:9",
    "RINGBACK_ACCOUNT_SID": "AC1",
    "RINGBACK_AUTH_TOKEN": "made-up",
}
JSON = {"Content-Type": "application/json"}


async def send(server: Served, document: Any) -> Answered:
    body = json.dumps(document).encode()
    return await server.call("POST", "/portal/v1/callbacks", body=body, headers=JSON)


async def ringback(*words: str, data: Path | None, fails: bool = False, **variables: str) -> str:
    """Run a command, and return its output, or its error if it fails."""
    given = words if data is None else (*words, "--data", str(data))
    ended = await in_this_process(*given, **variables)
    assert (ended.exit_code != 0) is fails, ended.output
    return ended.stderr if fails else ended.stdout


async def settled(server: Served, sid: str) -> dict[str, Any]:
    """Return a callback's record once it is settled."""
    return await asked_until(lambda: fetch(server, sid), is_settled)


async def fetch(server: Served, sid: str) -> dict[str, Any]:
    return (await server.get(f"/portal/v1/callbacks/{sid}")).body


def token_of(request: ReceivedRequest) -> str:
    (header,) = [header for header in request.headers if "idempotency-token" in header.lower()]
    return header


# ---- sending -------------------------------------------------------------------------------------


async def test_a_custom_event_is_sent_signed_and_recorded(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path) as dev:
        url = receiver.url("/hook?x=1#cbs=kore")
        answer = await send(dev, {"url": url, "parameters": {"Order": 7, "Who": "A & B"}})
        (request,) = await receiver.wait_for(1)
        record = await settled(dev, answer.body["sid"])
    assert answer.status == 201
    assert request.line == "POST /hook?x=1 HTTP/1.1"
    assert request.body == b"Order=7&Who=A+%26+B"
    assert f"Kore-Idempotency-Token: {answer.body['idempotency_token']}" in request.headers
    assert (record["status"], record["attempt_count"]) == ("delivered", 1)


async def test_a_thousand_are_sent_each_exactly_once(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path) as dev:
        url = receiver.url("/")
        items = [{"url": url, "parameters": {"n": number}} for number in range(1000)]
        answer = await send(dev, {"callbacks": items})
        requests = await receiver.wait_for(1000)
        assert answer.status == 201
        assert sorted(request.body for request in requests) == sorted(
            b"n=%d" % number for number in range(1000)
        )
        await settled(dev, answer.body["callbacks"][-1]["sid"])
    assert len(requests) == 1000


async def test_acknowledged_callbacks_exist_after_the_process_was_killed(tmp_path: Path) -> None:
    async with served(tmp_path) as dev:
        document = {"url": "http://127.0.0.1:9/", "parameters": {}}
        answer = await send(dev, document | {"deliver_at": "2026-12-24T10:00:00+01:00"})
        await dev.kill()
    async with served(tmp_path) as dev:
        assert await fetch(dev, answer.body["sid"]) == answer.body


async def test_the_guard_refuses_ports_when_the_callback_is_created(tmp_path: Path) -> None:
    async with served(tmp_path, "--callback-ports", "443") as dev:
        answer = await send(dev, {"url": "http://127.0.0.1:9/", "parameters": {}})
    assert (answer.status, answer.body["code"]) == (400, 11100)
    assert "port 9" in answer.body["message"]


# ---- the shell -----------------------------------------------------------------------------------


async def test_send_prints_the_sid_the_source_and_why(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path) as dev:
        parameters = ("-p", "a=1", "-p", "b=x=y", "-p", "a=2")
        url = receiver.url("/#cbs=kore&odd=1")
        said = await ringback("send", url, *parameters, "--method", "GET", data=tmp_path)
        (request,) = await receiver.wait_for(1)
        (record,) = await dev.callbacks()
    assert request.line == "GET /?a=1&a=2&b=x%3Dy HTTP/1.1"
    assert said.splitlines() == [
        f"{record['sid']}  kore: the URL asks for it: #cbs=kore",
        "  warning  the fragment key 'odd' is unknown and has no effect",
    ]


async def test_send_with_a_key_sends_only_once(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path) as dev:
        words = ("send", receiver.url("/"), "--key", "order 7", "--json")
        first, second = [json.loads(await ringback(*words, data=tmp_path)) for _ in range(2)]
        await settled(dev, first["sid"])
        assert second["sid"] == first["sid"]
        assert len(await dev.callbacks()) == len(receiver.requests) == 1


async def test_callbacks_with_an_ordering_key_wait_for_each_other(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path) as dev:
        words = ("send", receiver.url("/"), "--ordering-key", "order 7", "--json")
        later = await ringback(*words, "-p", "n=1", "--deliver-at", "2h", data=tmp_path)
        second = json.loads(await ringback(*words, "-p", "n=2", data=tmp_path))
        other = ("send", receiver.url("/"), "-p", "n=3", "--json")
        await settled(dev, json.loads(await ringback(*other, data=tmp_path))["sid"])
        shown = await ringback("callbacks", "show", second["sid"], data=tmp_path)
        assert "scheduled" in shown
        assert "  order key   order 7\n" in shown
        sid = json.loads(later)["sid"]
        await ringback("callbacks", "discard", sid, "--reason", "cancelled", data=tmp_path)
        assert (await settled(dev, second["sid"]))["status"] == "delivered"
        assert [one.body for one in receiver.requests] == [b"n=3", b"n=2"]


async def test_send_accepts_a_file_and_reports_errors_in_it(tmp_path: Path) -> None:
    file = tmp_path / "batch.json"
    async with RecordingReceiver() as receiver, served(tmp_path) as dev:
        good = {"url": receiver.url("/"), "parameters": {"n": 1}}
        file.write_text(json.dumps({"callbacks": [good, good]}))
        said = await ringback("send", "--file", str(file), data=tmp_path)
        await receiver.wait_for(2)
        records = await dev.callbacks()
        file.write_text(json.dumps({"callbacks": [good, good | {"method": "PUT"}]}))
        failed = await ringback("send", "--file", str(file), data=tmp_path, fails=True)
        assert len(await dev.callbacks()) == 2
    assert [line.split()[0] for line in said.splitlines()] == [
        record["sid"] for record in records[::-1]
    ]
    assert failed == "ringback: callbacks[1].method: 'PUT'; it must be POST or GET\n"


async def test_send_needs_exactly_one_input(tmp_path: Path) -> None:
    file = tmp_path / "batch.json"
    file.write_text("{}")

    async def refused(*words: str) -> str:
        return await ringback("send", *words, data=None, fails=True, **NEVER_ASKED)

    for words in ((), ("http://a.example/", "--file", str(file))):
        assert "give either a URL or --file" in await refused(*words)
    for words in (("-p", "a=1"), ("--key", "k"), ("--ordering-key", "k"), ("--deliver-at", "2h")):
        assert "--file has the whole callback: leave out the other options" in await refused(
            "--file", str(file), *words
        )
    assert "write NAME=VALUE" in await refused("http://a.example/", "-p", "a")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_a_callback_is_sent_again_by_its_curl_command(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path) as dev:
        sent = json.loads(
            await ringback("send", receiver.url("/a?b=1"), "-p", "n=it's", "--json", data=tmp_path)
        )
        await settled(dev, sent["sid"])
        command = await ringback("callbacks", "show", sent["sid"], "--curl", data=tmp_path)
        later = ("send", receiver.url("/"), "--deliver-at", "2h", "--json")
        unsent = json.loads(await ringback(*later, data=tmp_path))["sid"]
        refused = await ringback("callbacks", "show", unsent, "--curl", data=tmp_path, fails=True)
        process = await asyncio.create_subprocess_shell(f"{command.rstrip()} --silent")
        assert await process.wait() == 0
        await receiver.wait_for(2)
    first, again = receiver.requests
    assert (again.headers, again.body) == (first.headers, first.body)
    assert refused == f"ringback: no request was sent for {unsent} yet\n"


WHY = """\
  fragment    asks for nothing
  hold        the server keeps all callbacks in `before` (decides)
  phase       `before`, allows twilio and kore; by the date, it would be `after`
  default     twilio
"""


async def test_a_callback_for_later_waits_until_it_is_replayed(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path) as dev:
        words = ("send", receiver.url("/"), "--deliver-at", "2h", "--json")
        record = json.loads(await ringback(*words, data=tmp_path))
        shown = await ringback("callbacks", "show", record["sid"], data=tmp_path)
        assert f"next        {record['date_next_attempt']}, round 1" in shown
        assert WHY in shown
        assert receiver.requests == []
        said = await ringback("callbacks", "replay", record["sid"], "--yes", data=tmp_path)
        await receiver.wait_for(1)
        assert (await settled(dev, record["sid"]))["status"] == "delivered"
    assert said == "1 of 1 callback replayed\n"


async def test_failed_callbacks_are_found_shown_and_replayed_with_the_same_token(
    tmp_path: Path,
) -> None:
    async with RecordingReceiver(UNAVAILABLE) as receiver, served(tmp_path) as dev:
        answer = await send(dev, {"url": receiver.url("/#cbs=kore&rc=0"), "parameters": {"a": 1}})
        sid = answer.body["sid"]
        failed = await settled(dev, sid)
        undelivered = await ringback("callbacks", "undelivered", data=tmp_path)
        dry = await ringback("callbacks", "replay", "--since", "1h", data=tmp_path)
        assert await fetch(dev, sid) == failed
        real = await ringback("callbacks", "replay", "--since", "1h", "--yes", data=tmp_path)
        first, second = await receiver.wait_for(2)
        delivered = await settled(dev, sid)
        attempts = await dev.attempts(delivered)
        nothing = await ringback("callbacks", "undelivered", data=tmp_path)
    assert failed["status"] == "failed"
    assert sid in undelivered
    assert failed["status_reason"] in undelivered
    assert dry == "1 of 1 callback would be replayed; replay for real with --yes\n"
    assert real == "1 of 1 callback replayed\n"
    assert nothing == "no undelivered callbacks\n"
    assert (delivered["status"], delivered["attempt_count"]) == ("delivered", 2)
    assert [attempt["result"] for attempt in attempts] == ["refused", "delivered"]
    assert attempts[0]["timings"]["total_ms"] == attempts[0]["duration_ms"] > 0
    assert attempts[0]["local_address"] == "127.0.0.1"
    assert token_of(first) == token_of(second)
    assert first.body == second.body == b"a=1"


async def test_a_replay_from_the_other_source_has_a_token_of_its_own(tmp_path: Path) -> None:
    async with RecordingReceiver(UNAVAILABLE) as receiver, served(tmp_path) as dev:
        url = receiver.url("/#cbs=kore&rc=0")
        sid = (await send(dev, {"url": url, "parameters": {"a": 1}})).body["sid"]
        await settled(dev, sid)
        words = ("callbacks", "replay", sid, "--as-other-source", "--yes", "--json")
        counts = json.loads(await ringback(*words, data=tmp_path))
        first, second = await receiver.wait_for(2)
        new, old = await dev.callbacks()
    assert counts == {"dry_run": False, "matched": 1, "replayed": 1, "skipped": {}}
    assert (new["source"], new["replay_of"]) == ("twilio", sid)
    assert (old["status"], old["status_reason"]) == (
        "discarded",
        f"replayed from twilio as {new['sid']}",
    )
    assert token_of(first) == f"Kore-Idempotency-Token: {old['idempotency_token']}"
    assert token_of(second) == f"I-Twilio-Idempotency-Token: {new['idempotency_token']}"
    assert second.body == b"a=1"


async def test_a_discarded_callback_is_not_sent(tmp_path: Path) -> None:
    async with served(tmp_path) as dev:
        document = {"url": "http://127.0.0.1:9/", "parameters": {}}
        later = document | {"deliver_at": "2026-12-24T10:00:00Z"}
        sid = (await send(dev, later)).body["sid"]
        words = ("callbacks", "discard", sid, "--reason", "cancelled")
        said = await ringback(*words, data=tmp_path)
        again = await ringback(*words, data=tmp_path, fails=True)
        record = await fetch(dev, sid)
    assert said == f"{sid}  discarded: cancelled\n"
    assert again == (f"ringback: {sid} is discarded already (cancelled); it can't be discarded\n")
    assert (record["status"], record["date_next_attempt"]) == ("discarded", None)


async def test_another_server_is_asked_with_credentials_from_the_environment(
    tmp_path: Path,
) -> None:
    async with served(tmp_path / "there") as dev:
        await send(dev, {"url": "http://127.0.0.1:9/", "parameters": {}})
        access = {
            "RINGBACK_SERVER": f"{dev.dev['base_url']}/",
            "RINGBACK_ACCOUNT_SID": dev.dev["api_key_sid"],
            "RINGBACK_AUTH_TOKEN": dev.dev["api_key_secret"],
        }
        listed = await ringback(
            "callbacks", "list", data=tmp_path / "nowhere", fails=False, **access
        )
        (record,) = await dev.callbacks()
        wrong = access | {"RINGBACK_AUTH_TOKEN": "wrong"}
        refused = await ringback("callbacks", "list", data=None, fails=True, **wrong)
    assert record["sid"] in listed
    assert "wrong credentials" in refused


async def test_credentials_are_given_completely_or_not_at_all(tmp_path: Path) -> None:
    words = ("callbacks", "list", "--server", "http://127.0.0.1:9")
    assert await ringback(*words, data=tmp_path, fails=True) == (
        "ringback: to use a server other than `ringback dev`, also give --account-sid and"
        " --auth-token (RINGBACK_AUTH_TOKEN)\n"
    )
    words = ("callbacks", "list", "--server", "a.example", "--account-sid", "AC1")
    assert await ringback(*words, data=tmp_path, fails=True, RINGBACK_AUTH_TOKEN="x") == (
        "ringback: --server: 'a.example' is not the URL of a server; expected one like"
        " https://host:8080\n"
    )


async def test_credentials_are_not_sent_to_a_redirect(tmp_path: Path) -> None:
    async with RecordingReceiver() as elsewhere:
        away = f"HTTP/1.1 302 Found\r\nLocation: {elsewhere.url('/')}\r\nContent-Length: 0\r\n\r\n"
        async with RecordingReceiver(away.encode()) as server:
            words = ("callbacks", "list", "--server", server.url(""), "--account-sid", "AC1")
            said = await ringback(*words, data=tmp_path, fails=True, RINGBACK_AUTH_TOKEN="x")
        assert elsewhere.requests == []
    assert said == "ringback: the server answered 302 Found\n"
