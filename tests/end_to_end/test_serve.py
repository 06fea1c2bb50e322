"""`ringback serve` and `ringback accounts` as an operator uses them."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.crash.production import USUAL, create_account, in_production, spawn
from tests.receivers import Hang, RecordingReceiver
from tests.served import Served, in_this_process

ICCID = "8988307000000000001"
SECRETS = ("auth_token", "api_key_secret", "kore_secret")
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


def ringback(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ringback", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


async def create(data: Path, name: str = "Acme", *flags: str) -> dict[str, str]:
    """Create an account, and return its credentials."""
    words = ("accounts", "create", name, "--json", "--data", str(data), *flags)
    made = await in_this_process(*words)
    assert (made.exit_code, made.stderr) == (0, "")
    return json.loads(made.stdout)


@dataclass
class Serving(Served):
    """A running `ringback serve`, and its log up to now."""

    log: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    async def wait_for_log(self, message: str) -> None:
        """Wait until the log has a message that begins like this."""
        assert self.process.stderr is not None
        async with asyncio.timeout(10):
            while not self.log or not self.log[-1]["message"].startswith(message):
                self.log.append(json.loads(await self.process.stderr.readline()))

    async def whole_log(self) -> list[dict[str, Any]]:
        """Return the whole log, once the process has ended."""
        assert self.process.stderr is not None
        rest = await self.process.stderr.read()
        return [*self.log, *map(json.loads, rest.splitlines())]


@asynccontextmanager
async def serving(data: Path, *flags: str) -> AsyncGenerator[Serving]:
    """Run `ringback serve` on this folder and any free port."""
    words = ("serve", "--port", "0", "--json", "--data", str(data), *USUAL, *flags)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ringback", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            yield Serving(process, json.loads(await process.stdout.readline()))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def send(server: Served, url: str) -> None:
    """Make the server call this URL."""
    answered = await server.call(
        "POST",
        "/portal/v1/callbacks",
        body=json.dumps({"url": url, "method": "POST", "parameters": {"Event": "test"}}).encode(),
        headers={"Content-Type": "application/json"},
    )
    assert answered.status == 201


# ---- starting ------------------------------------------------------------------------------------


async def test_it_logs_its_addresses_and_no_secret(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        base_url = server.dev["base_url"]
        assert server.dev == {
            "base_url": base_url,
            "data_file": str(tmp_path / "ringback.db"),
            "phase": "after",
        }
        assert await server.stop() == 0
        first, *_ = await server.whole_log()
    assert first["level"] == "info"
    assert first["message"] == f"serving at {base_url}"
    assert first["data_file"] == str(tmp_path / "ringback.db")
    assert (first["phase"], first["schedule"]) == ("after", "persistent")


async def test_it_starts_with_no_account_and_no_secret(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        notices = {"api_key_sid": "AC3ba717b1d236e6c4a835e46130267eb4", "api_key_secret": ""}
        server.dev |= notices
        assert (await server.get("/v1/Sims")).status == 401
    assert not (tmp_path / "dev.json").exists()
    listed = ringback("accounts", "list", "--data", str(tmp_path))
    assert listed.stdout == "no accounts; `ringback accounts create NAME` makes one\n"


async def test_the_date_decides_the_phase(tmp_path: Path) -> None:
    file = tmp_path / "ringback.toml"
    file.write_text(
        '[[phases]]\nname = "early"\ndefault = "twilio"\nmay_ask = ["twilio"]\n'
        '[[phases]]\nname = "late"\nsince = 2999-01-01\ndefault = "kore"\nmay_ask = ["kore"]\n'
    )
    async with serving(tmp_path, "--settings", str(file)) as server:
        assert server.dev["phase"] == "early"


@pytest.mark.parametrize("flag", ["--phase", "--at", "--static-proxy"])
def test_settings_only_for_dev_are_not_flags_of_serve(flag: str) -> None:
    ended = ringback("serve", flag, "x")
    assert ended.returncode == 2
    assert "No such option" in ended.stderr


def test_a_wrong_setting_is_logged_with_the_line_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "ringback.toml"
    file.write_text("# ours\nport = 70000\n")
    ended = ringback("serve", "--settings", str(file))
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    told = json.loads(line)
    assert told["level"] == "error"
    assert told["message"].startswith(f"{file}:2: port = 70000: '70000' is not a port")


def test_a_wrong_setting_is_logged_as_text_if_text_is_chosen(tmp_path: Path) -> None:
    ended = ringback("serve", "--port", "x", "--log-format", "text")
    assert ended.returncode == 1
    assert " ERROR ringback.cli.serve: --port: 'x' is not a port" in ended.stderr


def test_a_refused_proxy_setting_keeps_its_password_secret(tmp_path: Path) -> None:
    ended = ringback("serve", "--kore-egress", "http://user:secret@proxy")
    assert ended.returncode == 1
    assert "--kore-egress: " in ended.stderr
    assert "secret" not in ended.stderr


def test_a_taken_port_is_refused_by_the_flag_to_change(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        ended = ringback("serve", "--port", port, "--data", str(tmp_path))
    assert ended.returncode == 1
    assert json.loads(ended.stderr)["message"] == (
        f"can't listen on 127.0.0.1:{port}: Address already in use;"
        " choose another with --port (or --host)"
    )


async def test_a_second_process_on_the_same_data_is_refused_by_name(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        words = ("serve", "--port", "0", "--data", str(tmp_path))
        ended = await asyncio.to_thread(ringback, *words)
    assert ended.returncode == 1
    assert f"is in use by process {server.process.pid}" in json.loads(ended.stderr)["message"]


# Only some servers need them, and some time after the start.
LATE = re.compile(
    r"(ringback\..*(supersim|wireless)|jwt|prometheus_client|trustme|cryptography\.x509"
    r"|ringback\.api\.(all_routes|kore|openapi))\b"
)


async def test_the_start_imports_only_what_serving_needs(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "importtime", "-m", "ringback", "serve", "--json"),
        *("--port", "0", "--data", str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    server = Served(process, json.loads(await process.stdout.readline()))
    server.dev |= {"api_key_sid": "AC3ba717b1d236e6c4a835e46130267eb4", "api_key_secret": ""}
    assert (await server.get("/healthz")).status == 200
    process.terminate()
    _, log = await process.communicate()
    imported = re.findall(r"^import time: .*\| +(\S+)$", log.decode(), re.MULTILINE)
    assert "ringback.api.app" in imported
    assert [name for name in imported if LATE.match(name)] == []


# ---- accounts ------------------------------------------------------------------------------------


async def test_an_account_made_while_it_runs_signs_in_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        server.dev |= await create(tmp_path)
        answered = await server.get("/v1/Sims")
    assert (answered.status, answered.body["sims"]) == (200, [])


async def test_an_account_made_before_the_first_start_is_there(tmp_path: Path) -> None:
    credentials = await create(tmp_path)
    async with serving(tmp_path) as server:
        server.dev |= credentials
        assert (await server.get("/v1/Sims")).status == 200


async def test_accounts_see_nothing_of_each_other(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        server.dev |= await create(tmp_path, "One")
        await server.post("/v1/Sims", Iccid=ICCID, RegistrationCode="H3LL0W0RLD")
        assert len((await server.get("/v1/Sims")).body["sims"]) == 1
        server.dev |= await create(tmp_path, "Other")
        assert (await server.get("/v1/Sims")).body["sims"] == []


def test_credentials_are_printed_only_once_with_a_note_about_that(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "new"))
    made = ringback("accounts", "create", "Acme Ltd", *data)
    assert made.returncode == 0
    assert "account 'Acme Ltd'; its secrets are shown now, and never again:" in made.stdout
    shown = dict(line.strip().split("  ", 1) for line in made.stdout.splitlines()[2:])
    names = ["Auth Token", "API key", "API key secret", "KORE webhook secret"]
    assert list(shown) == ["Account SID", "KORE account id", *names]
    listed = "".join(
        ringback("accounts", "list", *data, *flags).stdout for flags in ((), ("--json",))
    )
    assert listed.count(shown["Account SID"].strip()) == 2
    for name in names:
        assert shown[name].strip() not in listed


async def test_accounts_are_listed_with_their_names_and_schedules(tmp_path: Path) -> None:
    made = [await create(tmp_path, "One"), await create(tmp_path, "Two", "--schedule", "5s,1m")]
    listed = ringback("accounts", "list", "--json", "--data", str(tmp_path))
    rows = [json.loads(line) for line in listed.stdout.splitlines()]
    assert [row["account_sid"] for row in rows] == [one["account_sid"] for one in made]
    assert [row["name"] for row in rows] == ["One", "Two"]
    assert [row["schedule"] for row in rows] == [None, "5s,60s"]


async def test_a_subaccount_is_listed_with_its_parent(tmp_path: Path) -> None:
    parent = (await create(tmp_path, "One"))["account_sid"]
    child = await create(tmp_path, "Two", "--parent", parent)
    assert child["parent_sid"] == parent
    listed = ringback("accounts", "list", "--data", str(tmp_path)).stdout.splitlines()
    assert [line.endswith(f"of {parent}") for line in listed] == [False, True]


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        ((" ",), 1, "ringback: ' ' can't be an account's name; it must have 1 to 64 printable"),
        (("Acme", "--schedule", "often"), 2, "'often' is not a valid duration"),
        ((), 2, "Missing argument 'NAME'"),
    ],
)
def test_an_invalid_account_is_refused(
    words: tuple[str, ...], code: int, why: str, tmp_path: Path
) -> None:
    ended = ringback("accounts", "create", *words, "--data", str(tmp_path))
    assert ended.returncode == code
    assert why in ended.stderr


def test_a_folder_that_cannot_be_created_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = ringback("accounts", "list", "--data", str(tmp_path / "file" / "folder"))
    assert ended.returncode == 1
    assert "choose another folder with --data" in ended.stderr


# ---- its purpose ---------------------------------------------------------------------------------


async def test_a_callback_goes_out_signed_and_is_counted(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, serving(tmp_path) as server:
        server.dev |= await create(tmp_path)
        await send(server, receiver.url("/a"))
        (request,) = await receiver.wait_for(1)
        assert "User-Agent: KoreProxy/1.1" in request.headers
        assert (await server.settled())["status"] == "delivered"
        told = await metrics(server)
        # The counter follows the commit, after which the callback can already be read.
        while not told['ringback_callbacks_ended_total{source="kore",status="delivered"}']:
            told = await metrics(server)
    assert told['ringback_callbacks_accepted_total{source="kore"}'] == 1
    assert told['ringback_attempts_total{failure="",result="delivered",source="kore"}'] == 1
    assert told['ringback_callbacks_ended_total{source="kore",status="delivered"}'] == 1
    assert told['ringback_attempt_duration_seconds_count{source="kore"}'] == 1
    assert told["ringback_first_attempt_seconds_count"] == 1
    assert told["ringback_callbacks_waiting"] == told["ringback_callbacks_under_way"] == 0
    assert told["ringback_store_commit_seconds_count"] > 0
    assert told["ringback_connections_open"] == told["ringback_store_up"] == 1


async def metrics(server: Served) -> dict[str, float]:
    """Return the value of each line."""

    def read() -> str:
        connection = HTTPConnection(server.dev["base_url"].removeprefix("http://"), timeout=20)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    lines = (await asyncio.to_thread(read)).splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {series: float(value) for series, value in pairs}


async def test_an_account_above_its_rate_has_to_wait_and_is_counted(tmp_path: Path) -> None:
    async with serving(tmp_path, "--rate-limit", "1") as server:
        server.dev |= await create(tmp_path)
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        one = {"url": "https://a.example/", "parameters": {}, "deliver_at": tomorrow}
        as_json = {"Content-Type": "application/json"}
        body = json.dumps({"callbacks": [one] * 1000}).encode()
        first = await server.call("POST", "/portal/v1/callbacks", body=body, headers=as_json)
        refused = await server.call("POST", "/portal/v1/callbacks", body=body, headers=as_json)
        told = await metrics(server)
    assert (first.status, refused.status, refused.body["code"]) == (201, 429, 20429)
    assert told['ringback_requests_refused_total{reason="rate_limit"}'] == 1


async def test_a_supervisor_needs_no_account(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        server.dev |= {"api_key_sid": "", "api_key_secret": ""}
        alive, ready = await server.get("/healthz"), await server.get("/readyz")
    assert (alive.status, alive.body) == (200, {"status": "alive"})
    assert (ready.status, ready.body) == (200, {"status": "ready"})


async def test_a_failed_callback_is_logged_as_a_warning_without_secrets(tmp_path: Path) -> None:
    async with (
        RecordingReceiver(answer=lambda _: UNAVAILABLE) as receiver,
        serving(tmp_path, "--schedule", "faithful") as server,
    ):
        credentials = await create(tmp_path)
        server.dev |= credentials
        url = receiver.url("/a?key=secret#rc=0").replace("http://", "http://user:secret@")
        await send(server, url)
        callback = await server.settled()
        assert await server.stop() == 0
        log = await server.whole_log()
    warnings = [line for line in log if line["level"] == "warning"]
    assert [callback["sid"] in line["message"] for line in warnings] == [True]
    for secret in ("secret", *(credentials[name] for name in SECRETS)):
        assert secret not in json.dumps(log)


# ---- stopping ------------------------------------------------------------------------------------


async def test_a_stop_waits_for_requests_in_flight(tmp_path: Path) -> None:
    hang = Hang()
    async with RecordingReceiver(hang) as receiver:
        async with serving(tmp_path) as server:
            server.dev |= (credentials := await create(tmp_path))
            await send(server, receiver.url("/a"))
            await receiver.wait_for(1)
            server.process.send_signal(signal.SIGTERM)
            await server.wait_for_log("stopping")
            hang.release()
            assert await server.process.wait() == 0
            messages = [line["message"] for line in await server.whole_log()]
        async with serving(tmp_path) as server:
            server.dev |= credentials
            (callback,) = await server.callbacks()
            (attempt,) = await server.attempts(callback)
    assert (callback["status"], attempt["result"]) == ("delivered", "delivered")
    said = [one for one in messages[1:] if not one.startswith("retention: ")]
    assert said == ["stopping; requests under way have 20 s to finish", "stopped"]


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_stops_at_once_and_the_next_start_recovers(
    tmp_path: Path, sign: signal.Signals
) -> None:
    async with RecordingReceiver(Hang()) as receiver:
        async with serving(tmp_path, "--drain", "1h") as server:
            server.dev |= (credentials := await create(tmp_path))
            await send(server, receiver.url("/a"))
            await receiver.wait_for(1)
            server.process.send_signal(sign)
            await server.wait_for_log("stopping")
            server.process.send_signal(sign)
            assert await server.process.wait() == -sign
        async with serving(tmp_path) as server:
            server.dev |= credentials
            await receiver.wait_for(2)
            callback = await server.settled()
            attempts = await server.attempts(callback)
    assert callback["status"] == "delivered"
    assert [attempt["result"] for attempt in attempts] == ["unknown", "delivered"]


async def test_after_the_drain_it_stops_although_a_receiver_hangs(tmp_path: Path) -> None:
    async with RecordingReceiver(Hang()) as receiver, serving(tmp_path, "--drain", "1ms") as server:
        server.dev |= await create(tmp_path)
        await send(server, receiver.url("/a"))
        await receiver.wait_for(1)
        async with asyncio.timeout(3):
            assert await server.stop() == 0


async def test_missing_data_is_refused_until_its_loss_is_accepted(tmp_path: Path) -> None:
    credentials = await create_account(tmp_path)
    (tmp_path / "ringback.db").unlink()
    process = await spawn(tmp_path)
    _, told = await process.communicate()
    assert process.returncode == 1
    (line,) = [json.loads(line) for line in told.splitlines()]
    assert (
        "ringback.db is not there, although its key file or its watermark file exists."
        in line["message"]
    )
    async with in_production(tmp_path, credentials, "--accept-data-loss") as server:
        assert (await server.get("/readyz")).status == 200
        assert await server.stop() == 0
    async with in_production(tmp_path, credentials) as server:
        assert (await server.get("/readyz")).status == 200
