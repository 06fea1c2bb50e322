"""A policy that changes while a server runs, as an operator changes it: in the file."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from tests.end_to_end.test_serve import create, metrics, ringback, send, serving
from tests.policy_monitors import until
from tests.served import Served, in_this_process, served

NOWHERE = "http://127.0.0.1:9/hook"
HOLD = '[[holds]]\nphase = "before"\n'


def write(file: Path, text: str) -> None:
    file.write_text(text)


async def why(server: Served) -> tuple[str, str]:
    """Create a callback, and return its source and the reason for it."""
    await send(server, NOWHERE)
    newest = (await server.callbacks())[0]
    return newest["source"], newest["source_reason"]


async def test_a_server_applies_the_policy_of_a_changed_file(tmp_path: Path) -> None:
    file = tmp_path / "ringback.toml"
    write(file, "log_level = 'info'\n")
    credentials = await create(tmp_path)
    async with serving(tmp_path, "--settings", str(file)) as server:
        server.dev |= credentials
        assert (await why(server))[0] == "kore"

        write(file, f"backlog = 7\nlog_level = 'info'\n{HOLD}")
        await server.wait_for_log("the policy of")
        assert await why(server) == ("twilio", "the default in the current phase, `before`")

        write(file, f"{HOLD}until = 'soon'\n")
        server.process.send_signal(signal.SIGHUP)
        await server.wait_for_log("the changed policy is not valid, so the old one stays active")
        assert f"{file}:3: until: 'soon' is not a date" in server.log[-1]["message"]
        assert server.log[-1]["level"] == "error"
        assert (await why(server))[0] == "twilio"
        counted = await metrics(server)
        assert counted["ringback_policy_current"] == 0
        assert counted["ringback_policy_reload_failures_total"] == 1

        write(file, f"log_level = 'info'\n{HOLD}until = 2025-01-01\n")
        server.process.send_signal(signal.SIGHUP)
        await server.wait_for_log("the policy of")
        assert await why(server) == (
            "kore",
            "the default in phase `after`, since 2024-11-02;"
            " the hold of every callback in phase `before` ended on 2025-01-01",
        )

        sources = [callback["source"] for callback in await server.callbacks()]
        assert sources == ["kore", "twilio", "twilio", "kore"]
        told = (await server.get("/portal/v1/policy")).body
        assert (told["phase"], told["holds"][0]["has_ended"]) == ("after", True)
        words = ("--server", server.dev["base_url"], "--account-sid", credentials["account_sid"])
        secret = ("--auth-token", credentials["auth_token"])
        shown = await asyncio.to_thread(ringback, "policy", "show", *words, *secret)
        assert "  every callback  in phase before  ended 2025-01-01T00:00:00Z\n" in shown.stdout
        assert "twilio, which ends, would still send 0 callbacks to 0 URLs" in shown.stdout
        assert await server.stop() == 0
    warnings = [line["message"] for line in server.log if line["level"] == "warning"]
    assert f"{file}: restart the server to apply the changes of backlog" in warnings


async def test_dev_continues_in_its_phase_or_from_its_date(tmp_path: Path) -> None:
    file, log = tmp_path / "ringback.toml", tmp_path / "log"
    write(file, "")
    flags = ("--settings", str(file), "--at", "2024-10-15T12:00:00Z")
    with log.open("wb") as errors:
        async with served(tmp_path / "data", *flags, log=errors) as server:
            told = (await server.get("/portal/v1/policy")).body
            assert (told["phase"], len(told["borders"])) == ("before", 2)
            await until(lambda: "moves from twilio to kore at 2024-10-16" in log.read_text())
            write(file, '[[holds]]\nphase = "after"\nurl_prefix = "http://127.0.0.1:9"\n')
            while (await why(server))[0] != "kore":
                pass
            told = (await server.get("/portal/v1/policy")).body
            assert (told["phase"], told["date"][:10]) == ("before", "2024-10-15")
            await server.post("/portal/v1/clock", Advance="1d")
            assert (await server.get("/portal/v1/policy")).body["phase"] == "between"
            await server.stop()


@pytest.mark.parametrize(
    ("flags", "phase", "stays"),
    [
        (("--phase", "between"), "between", "2024-10-16T00:00:00Z"),
        (("--phase", "before"), "before", "2024-10-15T23:59:59Z"),
        (("--at", "2024-10-20"), "between", ""),
    ],
    ids=["in a later phase", "in the first phase", "from a date"],
)
async def test_policy_and_migrate_agree_with_the_running_server(
    flags: tuple[str, ...], phase: str, stays: str, tmp_path: Path
) -> None:
    data = ("--data", str(tmp_path / "data"))
    async with served(tmp_path / "data", *flags) as server:
        shown = await in_this_process("policy", "show", *data)
        simulated = await in_this_process("policy", "simulate", "--at", "2024-12-01", *data)
        plan = tmp_path / "plan.jsonl"
        words = ("migrate", "plan", *data, "--to", "twilio", "--out", str(plan))
        planned = await in_this_process(*words)
    origin = f"policy of the server at {server.dev['base_url']}"
    assert shown.stdout.startswith(f"{origin}\n")
    assert f": phase {phase} is in force\n" in shown.stdout
    stays_in = f"the server stays in phase {phase}, as if it were {stays}"
    by_date = "now, 2024-10-20T00:"
    assert simulated.stdout.startswith(f"{origin}\n{stays_in if stays else by_date}")
    assert "\non 2024-12-01T00:00:00Z: phase after\n" in simulated.stdout
    assert f"{origin}: phase {phase}\n" in planned.stderr
    assert json.loads(plan.read_text().splitlines()[0])["phase"] == phase


async def test_they_agree_with_a_clock_that_was_advanced(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))
    async with served(tmp_path / "data", "--at", "2024-10-15") as server:
        await in_this_process("clock", "advance", "2d", *data)
        shown = await in_this_process("policy", "show", *data, "--json")
        simulated = await in_this_process(
            "policy", "simulate", "--at", "2025-01-01", "--json", *data
        )
    assert json.loads(shown.stdout)["phase"] == "between"
    record = json.loads(simulated.stdout)
    assert (record["phase_now"], record["now"][:10]) == ("between", "2024-10-17")
    assert record["last_week"]["callbacks"] == 0
    assert server.dev["phase"] == "before"


async def test_without_the_server_the_settings_file_decides_and_that_is_said(
    tmp_path: Path,
) -> None:
    file = tmp_path / "ringback.toml"
    write(file, HOLD)
    words = ("policy", "show", "--data", str(tmp_path / "data"))
    async with served(tmp_path / "data", "--phase", "after") as server:
        assert await server.stop() == 0
    shown = await in_this_process(*words, RINGBACK_SETTINGS=str(file))
    origin = f"policy of {file}, since no `ringback dev` runs in {tmp_path / 'data'}\n"
    assert shown.stdout.startswith(origin)
    assert ": phase before is in force" in shown.stdout


async def test_a_settings_file_is_tried_with_the_callbacks_of_the_server(tmp_path: Path) -> None:
    file, data = tmp_path / "ringback.toml", tmp_path / "data"
    write(file, HOLD)
    async with served(data, "--phase", "after") as server:
        await send(server, NOWHERE)
        asked = (
            *("--server", server.dev["base_url"], "--account-sid", server.dev["account_sid"]),
            *("--auth-token", server.dev["auth_token"], "--settings", str(file), "--json"),
        )
        simulated = await in_this_process("policy", "simulate", "--at", "2025-01-01", *asked)
    record = json.loads(simulated.stdout)
    assert (record["policy_of"], record["phase_now"]) == (str(file), "before")
    assert record["last_week"]["callbacks"] == 1
