"""`ringback dev`: starting, stopping and starting again on the same data."""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path

from tests.ports import free_port
from tests.receivers import Hang, RecordingReceiver
from tests.served import served

KEYS = {
    "base_url",
    "account_sid",
    "auth_token",
    "api_key_sid",
    "api_key_secret",
    "kore_secret",
    "sim_sid",
    "wireless_sim_sid",
    "phase",
    "data_file",
    "gateway",
    "tls_url",
    "ca_file",
    "reachable_from",
    "operator_key_sid",
    "operator_key_secret",
    "console_url",
}


def run_dev(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ringback", "dev", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


async def test_dev_json_holds_the_printed_values_and_only_its_owner_can_read_it(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as dev:
        file = tmp_path / "dev.json"
        assert json.loads(file.read_text()) == dev.dev
        assert set(dev.dev) == KEYS
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "ringback.db").stat().st_mode) == 0o600


def test_a_client_that_can_connect_finds_the_dev_json_of_this_start(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "dev.json").write_text('{"base_url": "of the last start"}', "utf-8")
    command = (sys.executable, "-m", "ringback", "dev", "--port", str(port), "--gateway", "none")
    with subprocess.Popen(
        [*command, "--data", str(tmp_path)], stdout=subprocess.DEVNULL
    ) as process:
        while not can_connect(port):
            assert process.poll() is None
        told = json.loads((tmp_path / "dev.json").read_text("utf-8"))
        process.kill()
    assert told["base_url"] == f"http://127.0.0.1:{port}"
    assert set(told) == KEYS


def can_connect(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


async def test_a_server_open_to_the_network_says_so(tmp_path: Path) -> None:
    async with served(tmp_path, "--host", "0.0.0.0") as dev:
        assert dev.dev["reachable_from"] == "network"
        assert json.loads((tmp_path / "dev.json").read_text()) == dev.dev


async def test_the_seed_data_is_from_the_notice(tmp_path: Path) -> None:
    async with served(tmp_path) as dev:
        sim = (await dev.get(dev.sim_path)).body
    assert dev.dev["account_sid"] == sim["account_sid"] == "AC3ba717b1d236e6c4a835e46130267eb4"
    assert sim["sid"] == "HSab3f06be8f5d32caecb91e8a306c6c08"
    assert sim["unique_name"] == "my_super_sim"
    assert sim["status"] == "active"
    assert sim["fleet_sid"].startswith("HF")


def _without_port(dev: dict[str, str]) -> str:
    return json.dumps(dev).replace(dev["base_url"], "")


async def test_a_second_start_finds_everything_again(tmp_path: Path) -> None:
    async with served(tmp_path) as first:
        await first.post(first.sim_path, UniqueName="renamed")
        assert await first.stop() == 0
    async with served(tmp_path) as second:
        sim = (await second.get("/v1/Sims/renamed")).body
    # Another port; the link's key stays the same.
    before, after = (json.loads(_without_port(each.dev)) for each in (first, second))
    assert after == before
    assert sim["sid"] == first.dev["sim_sid"]


async def test_without_its_dev_json_a_start_makes_a_new_key_in_place_of_the_lost_one(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as first:
        assert await first.stop() == 0
    (tmp_path / "dev.json").unlink()
    async with served(tmp_path) as second:
        lost = f"{first.dev['api_key_sid']}:{first.dev['api_key_secret']}".encode()
        refused = await second.call(
            "GET", "/v1/Sims", headers={"Authorization": f"Basic {b64encode(lost).decode()}"}
        )
        statuses = ((await second.get("/v1/Sims")).status, refused.status)
    assert statuses == (200, 401)
    assert second.dev["api_key_secret"] != first.dev["api_key_secret"]
    assert second.dev["auth_token"] == first.dev["auth_token"]


async def test_the_banner_names_everything_and_the_commands_to_paste(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ringback", "dev", "--port", "0", "--data", str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    lines = list[str]()
    async with asyncio.timeout(10):
        while not lines or "callbacks list" not in lines[-1]:
            lines.append((await process.stdout.readline()).decode())
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 0

    banner = "".join(lines)
    dev = json.loads((tmp_path / "dev.json").read_text())
    assert dev.pop("gateway") == "none"
    assert "no gateway" in banner
    assert (dev.pop("tls_url"), dev.pop("ca_file")) == ("none", "none")
    assert "HTTPS" not in banner
    assert dev.pop("reachable_from") == "this machine"
    assert "WARNING" not in banner
    for name, value in dev.items():
        # The operator's key is only for commands.
        assert (value in banner) is not name.startswith("operator_key"), name
    assert "--phase before|between|after" in banner
    assert 'curl -u "$API_KEY:$API_KEY_SECRET" -X POST "$BASE_URL/v1/Sims/$SIM_SID"' in banner
    assert "#cbs=kore" in banner


def test_a_taken_port_gets_an_error_that_names_the_flag(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        ended = run_dev("--port", port, "--data", str(tmp_path))
    assert ended.returncode == 1
    assert ended.stderr == (
        f"ringback: can't listen on 127.0.0.1:{port}: Address already in use;"
        " choose another with --port (or --host)\n"
    )


async def test_a_second_process_on_the_same_data_is_refused_by_name(tmp_path: Path) -> None:
    async with served(tmp_path) as dev:
        ended = await asyncio.to_thread(run_dev, "--port", "0", "--data", str(tmp_path))
    assert ended.returncode == 1
    assert f"is in use by process {dev.process.pid}" in ended.stderr
    assert "--data" in ended.stderr


async def test_stopping_ends_within_two_seconds_although_a_receiver_hangs(tmp_path: Path) -> None:
    async with RecordingReceiver(Hang()) as receiver, served(tmp_path) as dev:
        await dev.post(dev.sim_path, Status="active", CallbackUrl=receiver.url("/a"))
        await receiver.wait_for(1)
        async with asyncio.timeout(2):
            assert await dev.stop() == 0


async def test_a_bad_setting_is_refused_with_its_name() -> None:
    ended = run_dev("--phase", "later")
    assert ended.returncode == 1
    assert ended.stderr == (
        "ringback: --phase: there is no phase 'later'; the phases are before, between, after\n"
    )


def test_open_shows_the_console_in_the_browser(tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >{opened}\n')
    browser.chmod(0o755)
    command = (sys.executable, "-m", "ringback", "dev", "--open", "--json", "--port", "0")
    flags = ("--gateway", "none", "--data", str(tmp_path / "data"))
    with subprocess.Popen(
        (*command, *flags),
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "BROWSER": f"{browser} %s"},
    ) as process:
        assert process.stdout is not None
        dev = json.loads(process.stdout.readline())
        end = time.monotonic() + 20
        while not opened.exists() or not opened.read_text():
            assert time.monotonic() < end, "no browser was opened"
            time.sleep(0.05)
        process.terminate()
        assert process.wait(20) == 0
    assert opened.read_text().strip() == dev["console_url"]
    assert "/console/sign-in?key=" in dev["console_url"]
