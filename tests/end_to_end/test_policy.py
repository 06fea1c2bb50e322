"""A policy that changes while a server runs: in the file, or through the server."""

import asyncio
import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

from ringback.api.strict_json import JSON_TYPE
from ringback.application import ServerProcess
from ringback.core.errors import ConfigurationError
from ringback.settings.load import load
from ringback.settings.setting_definitions import ServerCommand
from tests.end_to_end.test_serve import Serving, create, metrics, ringback, send, serving
from tests.fakes import ACCOUNT_SID
from tests.policy_monitors import until
from tests.served import Answered, Served, asked_until, in_this_process, served
from tests.unit.api.caller import basic

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
            await asked_until(lambda: why(server), lambda reason: reason[0] == "kore")
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
    assert record["urls"]["sent"]["callbacks"] == 0
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
    assert record["urls"]["sent"]["callbacks"] == record["urls"]["callbacks"] == 1


async def test_a_url_that_was_moved_at_a_server_depends_on_twilio_no_longer(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with served(data, "--phase", "before") as server:
        fleet = (await server.get("/v1/Fleets")).body["fleets"][0]["sid"]
        await server.post(f"/v1/Fleets/{fleet}", SmsCommandsUrl=NOWHERE)
        await in_this_process("device", "send", "--sms", "hello", "--data", str(data))
        await server.settled()
        own = (
            *("--server", server.dev["base_url"], "--account-sid", server.dev["account_sid"]),
            *("--auth-token", server.dev["auth_token"]),
        )
        folder = ("--data", str(data))

        async def left(*words: str) -> dict[str, Any]:
            said = await in_this_process(*words, "--json")
            return json.loads(said.stdout)["urls"]

        simulate = ("policy", "simulate", "--at", "2024-10-20")
        for words in (
            (*simulate, *own),
            (*simulate, *folder),
            ("migrate", "status", *own),
            ("migrate", "status", *folder),
        ):
            (ending,) = (await left(*words))["ending"]
            assert (ending["source"], ending["urls"], ending["callbacks"]) == ("twilio", 1, 1)

        await asyncio.sleep(1)  # the portal's times are whole seconds
        await server.post(f"/v1/Fleets/{fleet}", SmsCommandsUrl=f"{NOWHERE}#cbs=kore")
        for words in ((*simulate, *own), ("migrate", "status", *folder)):
            urls = await left(*words)
            assert urls["ending"][0]["urls"] == 0
            assert [(one["source"], one["stored"]) for one in urls["sources"]] == [("kore", 1)]
            assert urls["sent"]["sources"] == {"twilio": 1}
            assert urls["sent"]["changed_since"] == {"urls": 1, "callbacks": 1}
        said = (await in_this_process("migrate", "status", *own)).stdout
        assert said.splitlines()[:4] == [
            f"policy of the server at {server.dev['base_url']}: phase before",
            "the server stays in this phase, whatever the date: what follows is by the dates",
            "1 URL of 1 account in use: 1 (100 %) from kore",
            "0 URLs depend on twilio, which ends at 2024-11-02T00:00:00Z, in 17 days",
        ]


# ---- versions


@dataclass(frozen=True)
class Operator:
    """The operator of the server in a data folder, with a key."""

    sid: str
    secret: str

    @classmethod
    async def of(cls, data: Path) -> Self:
        words = ("accounts", "keys", "create", "--operator", "--json", "--data", str(data))
        made = json.loads((await in_this_process(*words)).stdout)
        return cls(made["sid"], made["secret"])

    def at(self, server: Served) -> tuple[str, ...]:
        """Return the options that name the server."""
        given = ("--account-sid", self.sid, "--auth-token", self.secret)
        return "--server", server.dev["base_url"], *given

    async def policy(self, server: Served) -> dict[str, Any]:
        shown = await in_this_process("policy", "show", "--json", *self.at(server))
        assert shown.exit_code == 0, shown.output
        return json.loads(shown.stdout)

    async def put(self, server: Served, **policy: object) -> Answered:
        headers = {"Authorization": basic(self.sid, self.secret), "Content-Type": JSON_TYPE}
        body = json.dumps(policy).encode()
        return await server.call("PUT", "/portal/v1/policy", body=body, headers=headers)


async def warnings_at_the_start(server: Serving) -> list[str]:
    """Return the warnings that a server logs until it serves."""
    await server.wait_for_log("serving at")
    return [line["message"] for line in server.log if line["level"] == "warning"]


async def test_a_file_that_was_seen_before_changes_nothing_and_is_behind(tmp_path: Path) -> None:
    file, data = tmp_path / "ringback.toml", tmp_path / "data"
    operator, first = await Operator.of(data), "log_level = 'info'\n"
    write(file, first)
    async with serving(data, "--settings", str(file)) as server:
        told = await operator.policy(server)
        assert (told["version"], told["origin"], told["behind"]) == (1, "KORE's notice", None)
        write(file, HOLD)
        await server.wait_for_log("the policy of")
        assert (await operator.policy(server))["version"] == 2
        write(file, first)
        await server.wait_for_log("KORE's notice is behind: it has the policy of version 1, and")
        told = await operator.policy(server)
        assert (told["version"], told["phase"]) == (2, "before")
        assert told["behind"] == server.log[-1]["message"]
        write(file, f"{HOLD}# with a comment\n")
        await asked_until(lambda: operator.policy(server), lambda policy: policy["behind"] is None)
        assert await server.stop() == 0

    other = tmp_path / "other.toml"
    write(other, f"{HOLD}until = 2999-01-01\n")
    async with serving(data, "--settings", str(other)) as server:
        assert await warnings_at_the_start(server) == []
        assert (await operator.policy(server))["version"] == 3
        assert await server.stop() == 0
    async with serving(data, "--settings", str(file)) as server:
        (warning,) = await warnings_at_the_start(server)
        assert warning.startswith(
            f"{file} is behind: it has the policy of version 2, and version 3"
        )
        shown = await in_this_process("policy", "show", *operator.at(server))
        assert f"\nversion 3, from {other}, 20" in shown.stdout
        assert shown.stdout.endswith(f"\nthe settings file is not in force\n  {warning}\n")
        put = ("policy", "set", "file", str(file), "--yes", *operator.at(server))
        said = (await in_this_process(*put)).stdout
        assert "-until = 2999-01-01\n" in said
        assert said.endswith(" is changed: version 4 is in force\n")
        told = await operator.policy(server)
        assert (told["version"], told["behind"], told["holds"][0]["until"]) == (4, None, None)
        assert await server.stop() == 0
    async with serving(data, "--settings", str(file)) as server:
        assert await warnings_at_the_start(server) == []


async def test_of_two_changes_of_one_version_the_second_is_refused(tmp_path: Path) -> None:
    operator, account = await Operator.of(tmp_path), await create(tmp_path)
    async with serving(tmp_path) as server:
        server.dev |= account
        told = await operator.policy(server)
        rules = {"version": told["version"], "phases": told["phases"]}
        held = {"phase": "before", "account_sid": account["account_sid"]}
        changed = await operator.put(server, **rules, holds=[held])
        assert (changed.status, changed.body["version"]) == (200, 2)
        late = await operator.put(server, **rules, holds=[])
        assert (late.status, late.body["code"]) == (409, 20409)
        assert await why(server) == (
            "twilio",
            "the default in phase `before`, in which a hold keeps this account",
        )
        await server.wait_for_log("the policy is version 2 (from the operator, ")
        assert await server.stop() == 0
    async with serving(tmp_path) as server:
        (warning,) = await warnings_at_the_start(server)
        assert warning.startswith("KORE's notice is behind: ")
        assert len((await operator.policy(server))["holds"]) == 1


async def test_set_changes_the_server_that_runs_or_else_the_file(tmp_path: Path) -> None:
    file, data = tmp_path / "ringback.toml", tmp_path / "data"
    write(file, "port = 0\n")
    words = ("policy", "set", "hold", "--account", ACCOUNT_SID, "--phase", "before", "--yes")
    named = ("--settings", str(file), "--data", str(data))
    async with served(data, "--settings", str(file)) as server:
        url = server.dev["base_url"]
        said = (await in_this_process(*words, *named)).stdout
        assert f'+[[holds]]\n+phase = "before"\n+account_sid = "{ACCOUNT_SID}"\n' in said
        changed = f"the policy of the server at {url} is changed: version 2 is in force"
        assert said.endswith(f"\n{changed}; {file} is not changed\n")
        again = await in_this_process(*words, *named, "--json")
        assert json.loads(again.stdout) == {
            "server": url,
            "version": 2,
            "changed": False,
            "diff": "",
        }
        shown = json.loads((await in_this_process("policy", "show", *named[2:], "--json")).stdout)
        assert [hold["account_sid"] for hold in shown["holds"]] == [ACCOUNT_SID]
        assert (shown["version"], shown["stays_in"]) == (2, "before")
        moved = ("policy", "set", "phase", "after", "--since", "2030-01-01", "--yes")
        assert (
            "-since = 2024-11-02\n+since = 2030-01-01\n"
            in (await in_this_process(*moved, "--data", str(data))).stdout
        )
        refused = await in_this_process("policy", "set", "release", "--account", "AC2", *named)
        assert "there is no hold of AC2" in refused.stderr
        stranger = await in_this_process(*words[:4], "AC" + "9" * 32, *words[5:], *named)
        assert stranger.exit_code == 1
        assert "a hold is for the account 'AC999" in stranger.stderr
        assert "its SID must be that of an account of this server" in stranger.stderr
        assert await server.stop() == 0
    assert file.read_text() == "port = 0\n"
    ended = await in_this_process(*words, *named)
    assert ended.stdout.endswith(f"\n{file} is changed\n")
    note = f"no server answers, so nobody has checked that {ACCOUNT_SID} exists\n"
    assert ended.stderr == note
    malformed = await in_this_process(*words[:4], "acct_1", *words[5:], *named)
    assert malformed.exit_code == 1
    assert "'acct_1' is not the SID of an account; it must be AC and 32 hex" in malformed.stderr
    assert "[[holds]]" in file.read_text()


async def test_only_an_operators_key_sets_the_policy_of_a_server(tmp_path: Path) -> None:
    operator, account = await Operator.of(tmp_path), await create(tmp_path)
    words = ("policy", "set", "phase", "after", "--since", "2030-01-01", "--yes")
    async with serving(tmp_path) as server:
        theirs = Operator(account["account_sid"], account["auth_token"])
        refused = await in_this_process(*words, *theirs.at(server))
        assert "only the operator can change the policy of the server at" in refused.stderr
        assert "`ringback accounts keys create --operator` makes" in refused.stderr
        assert (await operator.policy(server))["version"] == 1
        said = await in_this_process(*words, *operator.at(server), "--json")
        assert json.loads(said.stdout)["version"] == 2
        told = await operator.policy(server)
    assert told["phases"][2]["since"] == "2030-01-01T00:00:00Z"


async def test_the_phase_of_dev_is_not_part_of_any_version(tmp_path: Path) -> None:
    hold = ("policy", "set", "hold", "--account", ACCOUNT_SID, "--phase", "before", "--yes")
    async with served(tmp_path, "--phase", "between") as server:
        await in_this_process(*hold, "--data", str(tmp_path))
        assert (await server.get("/portal/v1/policy")).body["phase"] == "between"
        await server.stop()
    async with served(tmp_path, "--phase", "after") as server:
        told = (await in_this_process("policy", "show", "--data", str(tmp_path))).stdout
        await server.stop()
    assert ": phase after is in force\nthe server stays in phase after, whatever the date\n" in told
    assert f"\nholds\n  {ACCOUNT_SID}  in phase before  without an end\n" in told
    assert "\nversion 2, from the operator, 20" in told


ALL_BY_ACME = '[[phases]]\nname = "all"\ndefault = "acme"\nmay_ask = ["acme"]\n'
ACME = """\
[sources.acme]
signature = "hmac-sha256"
token = "{uuid}"
headers = ["X-Token: {token}", "X-Signature: {signature}"]
"""


async def test_a_server_that_lacks_a_source_in_use_does_not_start(tmp_path: Path) -> None:
    file, data = tmp_path / "ringback.toml", tmp_path / "data"
    flags = ("--settings", str(file))
    async with serving(data) as server:
        assert await server.stop() == 0
    write(file, f"{ACME}{ALL_BY_ACME}")
    async with serving(data, *flags) as server:
        assert await server.stop() == 0
    write(file, "port = 0\n")
    ended = await asyncio.to_thread(ringback, "serve", "--data", str(data), *flags)
    assert ended.returncode == 1
    line = json.loads(ended.stderr.splitlines()[-1])
    assert line["message"].startswith(
        f"this server can't use the policy in force, version 2 (from {file}, "
    )
    assert "it names the source 'acme', which the settings don't define" in line["message"]
    write(file, ACME)
    async with serving(data, *flags) as server:
        assert len(await warnings_at_the_start(server)) == 1


async def test_a_start_that_was_refused_frees_the_data_folder(tmp_path: Path) -> None:
    file, flags = tmp_path / "ringback.toml", {"data": str(tmp_path), "port": "0"}
    write(file, f"{ACME}{ALL_BY_ACME}")
    with_acme = load({**flags, "settings": str(file)}, {}, command=ServerCommand.SERVE)
    for settings in (load(flags, {}, command=ServerCommand.SERVE), with_acme):
        await (await ServerProcess.start(settings)).stop()
    with pytest.raises(ConfigurationError, match="it names the source 'acme'"):
        await ServerProcess.start(load(flags, {}, command=ServerCommand.SERVE))
    await (await ServerProcess.start(with_acme)).stop()
