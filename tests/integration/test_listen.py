"""The real `ringback listen` in its own process, with real connections."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.policy.source_policy import Source
from ringback.dev_environment.dev_file import DevServerDetails
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, KORE_SECRET, SIM_SID, TOKENS
from tests.receivers import RecordingReceiver, Reply
from tests.senders import BODY, rendered

SECRETS = ("--auth-token", AUTH_TOKEN, "--kore-secret", KORE_SECRET)

both_sources = pytest.mark.parametrize("source", list(Source))
both_methods = pytest.mark.parametrize("method", list(HttpMethod))


@dataclass
class Listening:
    """A running listener; without `--json` its lines are text."""

    process: asyncio.subprocess.Process
    port: int

    def url(self, path: str = "/path?foo=bar") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def line(self) -> str:
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode().rstrip("\n")

    async def report(self) -> list[str]:
        """Return the lines about one callback, up to the line with the answer."""
        lines = list[str]()
        while not any(line.startswith("  answered") for line in lines):
            lines.append(await self.line())
        return lines

    async def hear(self, request: OutgoingRequest | bytes) -> dict[str, Any]:
        """Send a request, and return the lines that are printed about it."""
        raw = request if isinstance(request, bytes) else request.to_bytes()
        status = await self.answer(raw)
        printed = json.loads(await self.line())
        assert printed["answered"] == status
        return printed

    async def answer(self, raw: bytes) -> int:
        """Send a request on a new connection, and return the status of the answer."""
        return int((await self.exchange(raw)).split()[1])

    async def exchange(self, raw: bytes) -> bytes:
        async with connected(self) as (reader, writer):
            writer.write(raw)
            head = await reader.readuntil(b"\r\n\r\n")
            [length] = [int(h[15:]) for h in head.split(b"\r\n") if h.startswith(b"Content-Length")]
            return head + await reader.readexactly(length)

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        async with asyncio.timeout(10):
            return await self.process.wait()


@asynccontextmanager
async def connected(
    listener: Listening,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def start(*flags: str, folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ringback", "listen", "--data", str(folder), *flags),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def listening(*flags: str, folder: Path) -> AsyncIterator[Listening]:
    process = await start("--port", "0", *flags, folder=folder)
    listener = Listening(process, 0)
    first = await listener.line()
    address = json.loads(first)["listening"] if "--json" in flags else first.split()[-1]
    listener.port = int(address.rpartition(":")[2])
    try:
        yield listener
    finally:
        if process.returncode is None:
            assert await listener.stop() == 0
        # Pipes left open would cause warnings.
        await process.communicate()


def write_dev_file(folder: Path, *, base_url: str = "http://127.0.0.1:1") -> None:
    DevServerDetails(
        base_url=base_url,
        account_sid=ACCOUNT_SID,
        auth_token=AUTH_TOKEN,
        api_key_sid="SK0",
        api_key_secret="made-up-api-key",
        kore_secret=KORE_SECRET,
        wireless_sim_sid="",
        sim_sid=SIM_SID,
        phase="before",
        data_file="ringback.db",
    ).write(folder)


def portal_with(
    request: OutgoingRequest, *, method: HttpMethod = HttpMethod.POST
) -> RecordingReceiver:
    """Return a sender whose record says that it sent this request."""
    callback = {"sid": "CB0", "url": request.url.shown, "method": method, "body": BODY}
    body = json.dumps({"callbacks": [callback], "meta": {}}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    return RecordingReceiver(answer=lambda _: cast("Reply", head + body))


# ---- genuine callbacks --------------------------------------------------------------------------


@both_sources
@both_methods
async def test_a_genuine_callback_is_reported_as_genuine(
    source: Source, method: HttpMethod, tmp_path: Path
) -> None:
    async with listening("--json", *SECRETS, folder=tmp_path) as listener:
        request = rendered(source, method, url=listener.url())
        heard = await listener.hear(request)
    assert heard["source"] == source
    assert heard["method"] == method
    assert heard["path"] == request.url.target
    assert heard["token"] == TOKENS[source]
    assert heard["signature"] == {"ok": True, "reason": None, "explanation": None}
    assert ["SimUniqueName", "my super sim"] in heard["parameters"]
    assert heard["headers"] == [list(pair) for pair in request.headers]
    assert heard["body"] == request.body.decode()


@both_sources
async def test_a_repeated_callback_is_reported_as_seen_before(
    source: Source, tmp_path: Path
) -> None:
    async with listening("--json", *SECRETS, folder=tmp_path) as listener:
        request = rendered(source, url=listener.url())
        heard = [await listener.hear(request), await listener.hear(request)]
    assert [(each["seen_before"], each["times_seen"]) for each in heard] == [(False, 1), (True, 2)]


async def test_a_dev_file_that_is_written_later_supplies_the_secrets(tmp_path: Path) -> None:
    async with listening("--json", folder=tmp_path) as listener:
        request = rendered(Source.KORE, url=listener.url())
        before = await listener.hear(request)
        write_dev_file(tmp_path)
        after = await listener.hear(request)
    assert before["signature"]["reason"] == "no_secret"
    assert after["signature"]["ok"]


async def test_signatures_are_checked_for_a_given_public_url(tmp_path: Path) -> None:
    public = "https://public.example/path?foo=bar"
    async with listening("--json", *SECRETS, "--url", public, folder=tmp_path) as listener:
        request = rendered(Source.TWILIO, url=public)
        heard = await listener.hear(request)
    assert heard["signature"]["ok"]


# ---- reasons of wrong signatures ----------------------------------------------------------------


@both_sources
async def test_a_url_that_was_rebuilt_differently_is_named(source: Source, tmp_path: Path) -> None:
    async with listening("--json", *SECRETS, folder=tmp_path) as listener:
        public = listener.url("/path").replace("http:", "https:")
        heard = await listener.hear(rendered(source, url=public))
    assert heard["signature"] == {
        "ok": False,
        "reason": "url_differs",
        "explanation": f"it was signed for {public}, but this receiver checks it for"
        f" {listener.url('/path')}",
    }


@both_sources
async def test_the_senders_record_proves_a_wrong_secret(source: Source, tmp_path: Path) -> None:
    async with listening("--json", folder=tmp_path) as listener:
        request = rendered(source, url=listener.url(), auth_token="other", kore_secret="other")
        async with portal_with(request) as portal:
            write_dev_file(tmp_path, base_url=portal.url(""))
            heard = await listener.hear(request)
            [asked] = portal.requests
    assert heard["signature"]["reason"] == "wrong_secret"
    assert asked.line == (f"GET /portal/v1/callbacks?IdempotencyToken={TOKENS[source]} HTTP/1.1")


@both_sources
async def test_the_senders_record_reveals_a_changed_body(source: Source, tmp_path: Path) -> None:
    async with listening("--json", folder=tmp_path) as listener:
        request = rendered(source, url=listener.url())
        forged = request.to_bytes().replace(b"SimStatus=inactive", b"SimStatus=NOactive")
        async with portal_with(request) as portal:
            write_dev_file(tmp_path, base_url=portal.url(""))
            heard = await listener.hear(forged)
    assert heard["signature"] == {
        "ok": False,
        "reason": "body_changed",
        "explanation": "the body is not the one that was signed: changed: SimStatus",
    }


async def test_without_an_answer_from_the_sender_a_wrong_secret_is_a_guess(tmp_path: Path) -> None:
    write_dev_file(tmp_path)
    async with listening("--json", folder=tmp_path) as listener:
        request = rendered(Source.KORE, url=listener.url(), kore_secret="other")
        heard = await listener.hear(request)
    assert heard["signature"]["reason"] == "not_explained"


async def test_an_api_keys_secret_used_as_auth_token_is_named(tmp_path: Path) -> None:
    write_dev_file(tmp_path)
    async with listening("--json", folder=tmp_path) as listener:
        request = rendered(Source.TWILIO, url=listener.url(), auth_token="made-up-api-key")
        heard = await listener.hear(request)
    assert heard["signature"]["reason"] == "wrong_secret"
    assert "the API key's secret" in heard["signature"]["explanation"]


async def test_an_empty_signature_is_distinguished_from_a_wrong_one(tmp_path: Path) -> None:
    async with listening("--json", *SECRETS, folder=tmp_path) as listener:
        heard = await listener.hear(rendered(Source.KORE, url=listener.url(), kore_secret=""))
    assert heard["signature"]["reason"] == "empty_signature"


# ---- failing on purpose -------------------------------------------------------------------------


async def test_fail_answers_every_request_with_this_status(tmp_path: Path) -> None:
    async with listening("--json", *SECRETS, "--fail", "410", folder=tmp_path) as listener:
        request = rendered(Source.KORE, url=listener.url())
        answers = [(await listener.hear(request))["answered"] for _ in range(3)]
    assert answers == [410, 410, 410]


async def test_fail_first_accepts_the_retry(tmp_path: Path) -> None:
    async with listening("--json", *SECRETS, "--fail-first", "1", folder=tmp_path) as listener:
        request = rendered(Source.KORE, url=listener.url())
        heard = [await listener.hear(request), await listener.hear(request)]
    assert [each["answered"] for each in heard] == [503, 200]
    assert [each["on_purpose"] for each in heard] == [True, False]


# ---- forwarding ---------------------------------------------------------------------------------


@both_methods
async def test_a_request_is_forwarded_unchanged_and_answered_with_the_applications_answer(
    method: HttpMethod, tmp_path: Path
) -> None:
    created = b"HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
    async with (
        RecordingReceiver(answer=lambda _: created) as app,
        listening(*SECRETS, "--forward-to", app.url(""), folder=tmp_path) as listener,
    ):
        request = rendered(Source.KORE, method, url=listener.url())
        answer = await listener.exchange(request.to_bytes())
        report = await listener.report()
    [passed_on] = app.requests
    assert passed_on.line == f"{method} {request.url.target} HTTP/1.1"
    lines = tuple(f"{name}: {value}" for name, value in request.headers)
    assert passed_on.headers == lines
    assert passed_on.body == request.body
    assert answer.startswith(b"HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\n")
    assert answer.endswith(b"\r\n\r\nok")
    assert f"  forwarded  {app.url(request.url.target)} answered 201" in report


async def test_an_unreachable_application_causes_a_502(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        gone = f"http://127.0.0.1:{taken.getsockname()[1]}/hook"
    async with listening("--json", *SECRETS, "--forward-to", gone, folder=tmp_path) as listener:
        heard = await listener.hear(rendered(Source.KORE, url=listener.url()))
    assert heard["answered"] == 502
    assert "Connection refused" in heard["forwarded"]["why_not"]


async def test_a_request_that_fails_on_purpose_is_forwarded_all_the_same(tmp_path: Path) -> None:
    async with (
        RecordingReceiver() as app,
        listening(
            "--json", *SECRETS, "--forward-to", app.url(), "--fail", "503", folder=tmp_path
        ) as listener,
    ):
        heard = await listener.hear(rendered(Source.KORE, url=listener.url()))
    assert heard["answered"] == 503
    assert heard["forwarded"]["answered"] == 200


# ---- output for people --------------------------------------------------------------------------


async def test_people_read_that_a_retry_is_the_same_callback(tmp_path: Path) -> None:
    async with listening(*SECRETS, "--fail-first", "1", folder=tmp_path) as listener:
        assert await listener.line() == "signatures of both sources are checked"
        request = rendered(Source.TWILIO, url=listener.url()).to_bytes()
        await listener.answer(request)
        first = await listener.report()
        await listener.answer(request)
        second = await listener.report()
    assert "  signature  right" in first
    assert "  delivery   first time" in first
    assert "  answered   503 on purpose (--fail-first 1)" in first
    assert any("seen before, 2nd time" in line for line in second)


async def test_what_is_printed_to_a_pipe_has_no_colours(tmp_path: Path) -> None:
    async with listening(*SECRETS, "-v", folder=tmp_path) as listener:
        await listener.answer(rendered(Source.KORE, url=listener.url()).to_bytes())
        report = await listener.report()
    assert "  as received" in report
    assert "\x1b" not in "".join(report)


async def test_events_are_shown_too_if_wanted(tmp_path: Path) -> None:
    async with listening("--events", *SECRETS, folder=tmp_path) as listener:
        await listener.answer(rendered(Source.KORE, url=listener.url()).to_bytes())
        assert "  event  SimUpdated" in await listener.report()
    async with listening("--events", "--json", *SECRETS, folder=tmp_path) as listener:
        await listener.answer(rendered(Source.KORE, url=listener.url()).to_bytes())
        event = json.loads(await listener.line())["event"]
    assert (event["type"], event["sim_status"]) == ("SimUpdated", "inactive")


async def test_without_secrets_it_says_how_to_get_some(tmp_path: Path) -> None:
    async with listening(folder=tmp_path) as listener:
        assert await listener.line() == (
            f"no dev.json in {tmp_path}: signatures can't be checked;"
            " start `ringback dev`, or give --auth-token and --kore-secret"
        )


# ---- connections --------------------------------------------------------------------------------


async def test_a_connection_is_kept_open_for_further_requests(tmp_path: Path) -> None:
    async with listening("--json", *SECRETS, folder=tmp_path) as listener:
        raw = rendered(Source.KORE, url=listener.url()).to_bytes()
        async with connected(listener) as (reader, writer):
            for _ in range(2):
                writer.write(raw)
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 65536 + b"\r\n\r\n", 431),
    ],
)
async def test_an_unreadable_request_is_refused_and_the_connection_closed(
    raw: bytes, status: int, tmp_path: Path
) -> None:
    async with listening("--json", *SECRETS, folder=tmp_path) as listener:
        async with connected(listener) as (reader, writer):
            writer.write(raw)
            answer = await reader.read()
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert (await listener.hear(rendered(Source.KORE, url=listener.url())))["source"] == "kore"


async def test_a_sender_that_expects_100_continue_gets_it(tmp_path: Path) -> None:
    async with listening("--json", folder=tmp_path) as listener:
        async with connected(listener) as (reader, writer):
            writer.write(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"a=1")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        assert json.loads(await listener.line())["parameters"] == [["a", "1"]]


# ---- starting and stopping ----------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_it_at_once_even_while_an_answer_is_delayed(
    how: signal.Signals, tmp_path: Path
) -> None:
    async with (
        listening("--json", *SECRETS, "--delay", "1h", folder=tmp_path) as listener,
        connected(listener) as (_, writer),
    ):
        writer.write(rendered(Source.KORE, url=listener.url()).to_bytes())
        await listener.line()
        assert await listener.stop(how) == 0


async def test_a_taken_port_is_reported_with_its_flag(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await start("--port", str(port), folder=tmp_path)
        _, complaint = await process.communicate()
    assert process.returncode == 1
    assert f"port {port} of 127.0.0.1 is taken; choose another with --port" in complaint.decode()


@pytest.mark.parametrize(
    ("flags", "right"),
    [
        (("--delay", "soon"), "write it like 500ms, 3s"),
        (("--delay", "2h"), "at most 1h"),
        (("--fail", "200"), "300<=x<=599"),
        (("--fail-first", "0"), "x>=1"),
        (("--url", "example.com"), "it must be like https://host/path"),
        (("--forward-to", "ftp://a.example"), "callbacks go to http:// or https://"),
        (("--port", "65536"), "0<=x<=65535"),
    ],
)
async def test_an_invalid_flag_says_what_would_be_right(
    flags: tuple[str, str], right: str, tmp_path: Path
) -> None:
    process = await start(*flags, folder=tmp_path)
    _, complaint = await process.communicate()
    assert process.returncode == 2
    assert flags[0] in complaint.decode()
    assert right in complaint.decode()
