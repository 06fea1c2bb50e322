"""`ringback policy` on a settings file, and beside a data file."""

import asyncio
import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner, Result

from ringback.cli.main import main
from ringback.cli.policy import set_command
from ringback.cli.policy.options import policy_of_server
from ringback.core.calendar import iso
from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.policy.policy_json import policy_record
from ringback.core.policy.source_policy import NOTICE, PhaseHold, Policy, Source
from ringback.data_folder import DataFolder
from ringback.dev_environment.dev_file import DevServerDetails
from ringback.operations.context import OperationContext
from ringback.portal_client import PortalClient
from ringback.ports import PageWindow, Transaction
from ringback.runtime.system_clock import SystemClock
from ringback.settings.file import SettingsFile
from ringback.testing import Emulator
from tests.fakes import ACCOUNT_SID, a_callback, a_fleet, a_profile, an_account

THEIRS = "AC" + "f" * 32
POLICY = """\
# the plan
[[phases]]
name = "before"
default = "twilio"
may_ask = ["twilio", "kore"]

[[phases]]
name = "between"
since = 2997-01-01
default = "kore"
may_ask = ["twilio", "kore"]

[[phases]]
name = "after"
since = 2998-01-01
default = "kore"
may_ask = ["kore"]
"""
HOLD = f'\n[[holds]]\nphase = "before"\naccount_sid = "{ACCOUNT_SID}"\nuntil = 2999-01-01\n'


class Shell:
    """Runs `ringback policy` on one settings file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def run(self, *words: str, answer: str = "", **environment: str) -> Result:
        arguments = ["policy", *words, "--settings", str(self.file)]
        return CliRunner().invoke(main, arguments, input=answer, env=environment)

    def said(self, *words: str, answer: str = "") -> str:
        ended = self.run(*words, answer=answer)
        assert ended.exit_code == 0, ended.output
        return ended.stdout

    def record(self, *words: str) -> dict[str, Any]:
        return json.loads(self.said(*words, "--json"))

    def refused(self, *words: str) -> str:
        ended = self.run(*words)
        assert ended.exit_code in (1, 2)
        return ended.stderr


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the data of a `ringback dev` in the checkout out of what is shown."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    file = tmp_path / "ringback.toml"
    file.write_text(POLICY + HOLD)
    return Shell(file)


# ---- show


def test_the_policy_of_a_file_is_shown(shell: Shell) -> None:
    said = shell.said("show")
    assert ": phase before is in force\n" in said
    assert "  between       2997-01-01T00:00:00Z  kore, unless a URL asks for twilio\n" in said
    assert "  after         2998-01-01T00:00:00Z  kore, whatever a URL asks for\n" in said
    assert f"holds\n  {ACCOUNT_SID}  in phase before  until 2999-01-01T00:00:00Z\n" in said
    assert "next changes\n  2997-01-01T00:00:00Z  the default moves from twilio to kore\n" in said
    assert "warnings" not in said


def test_the_record_is_as_the_portal_has_it(shell: Shell) -> None:
    record = shell.record("show")
    assert record["phase"] == "before"
    assert [phase["since"] for phase in record["phases"]] == [
        None,
        "2997-01-01T00:00:00Z",
        "2998-01-01T00:00:00Z",
    ]
    assert [border["change"] for border in record["borders"]] == [
        "default_moves",
        "source_ends",
        "holds_end",
    ]


def test_without_a_server_or_a_file_it_is_the_policy_of_the_notice(tmp_path: Path) -> None:
    words = ["policy", "show", "--data", str(tmp_path)]
    ended = CliRunner().invoke(main, words, env={"RINGBACK_SETTINGS": None})
    origin = f"policy of KORE's notice, since no `ringback dev` runs in {tmp_path}\n"
    assert ended.stdout.startswith(origin)
    assert ": phase after is in force" in ended.stdout
    assert "holds\n  none\n\nnext changes\n  none\n" in ended.stdout


def test_the_environment_may_name_the_file(shell: Shell) -> None:
    environment = {"RINGBACK_SETTINGS": str(shell.file)}
    words = ["policy", "show", "--data", str(shell.file.parent)]
    ended = CliRunner().invoke(main, words, env=environment)
    assert "2997-01-01" in ended.stdout


def test_what_is_near_is_shown_as_that(shell: Shell) -> None:
    soon = datetime.now(UTC) + timedelta(days=3)
    shell.file.write_text(f"{POLICY}{HOLD.replace('2999-01-01', soon.date().isoformat())}")
    assert f"warnings\n  the hold of {ACCOUNT_SID} in phase 'before' ends at " in shell.said("show")


def test_a_file_that_can_not_be_used_is_refused_by_its_line(shell: Shell) -> None:
    shell.file.write_text(POLICY.replace("2998-01-01", "2996-01-01"))
    assert f"{shell.file}:13: policy: phase 'after' must begin" in shell.refused("show")


# ---- simulate


def fill(folder: Path) -> None:
    """Keep stored URLs, callbacks of yesterday, and one of a month ago."""
    now = SystemClock().now()
    yesterday = now - timedelta(days=1)
    sent = [
        (ACCOUNT_SID, "https://held.example/", Source.TWILIO, yesterday),
        (THEIRS, "https://default.example/", Source.TWILIO, yesterday),
        (THEIRS, "https://default.example/", Source.TWILIO, yesterday),
        (THEIRS, "https://user:pass@asks.example/#cbs=twilio", Source.TWILIO, yesterday),
        (THEIRS, "https://moved.example/", Source.TWILIO, yesterday),
        (THEIRS, "https://old.example/", Source.TWILIO, yesterday - timedelta(days=30)),
    ]
    stored = [
        (THEIRS, "https://moved.example/#cbs=kore"),
        (THEIRS, "https://default.example/"),
        (THEIRS, "https://never-called.example/"),
    ]

    def keep(tx: Transaction) -> None:
        for account_sid in (ACCOUNT_SID, THEIRS):
            tx.accounts.add(an_account(sid=account_sid), [])
        profile = a_profile(account_sid=THEIRS)
        tx.supersim.access_profiles.add(profile)
        for number, (account_sid, url) in enumerate(stored):
            fleet = a_fleet(sid=f"HF{number:032x}", unique_name=None, sms_commands_url=url)
            tx.supersim.fleets.add(replace(fleet, account_sid=account_sid, date_updated=now))
        for number, (account_sid, url, source, created) in enumerate(sent):
            sid = f"CB{int(created.timestamp() * 1000):012x}{number:020x}"
            tx.callbacks.add(
                a_callback(sid=sid, account_sid=account_sid, url=url, source=source, now=created)
            )

    async def work() -> None:
        store = DataFolder(folder).open_beside()
        await store.transact(keep)
        await store.close()

    asyncio.run(work())


@pytest.fixture
def data(tmp_path: Path) -> str:
    fill(tmp_path / "data")
    return str(tmp_path / "data")


def test_without_data_a_simulation_says_what_changes_until_then(shell: Shell) -> None:
    said = shell.said("simulate", "--at", "2997-06-01")
    first, second, third, *rest = said.splitlines()
    assert first == f"policy of {shell.file}"
    assert second.startswith("now, ")
    assert second.endswith(": phase before")
    assert third == "on 2997-06-01T00:00:00Z: phase between"
    assert rest[:2] == [
        "",
        "to see which URLs are affected, name a data folder with --data, or a server",
    ]
    changes = [line.partition("days")[2] for line in rest if "days" in line]
    assert rest[3] == "ahead"
    assert changes[:2] == ["  the default moves from twilio to kore", "  twilio ends"]


def test_urls_are_simulated_as_they_are_configured_now(shell: Shell, data: str) -> None:
    said = shell.said("simulate", "--at", "2998-06-01", "--data", data)
    head = said.partition("\n\nahead\n")[0].splitlines()
    since = said.partition("sent since ")[2][:20]
    assert head[3:5] == [
        (
            "3 of 5 URLs get another source by then (2 stored, 1 given with requests); it would"
            f" send 3 of the 5 callbacks since {since}"
        ),
        "",
    ]
    assert head[5] == "5 URLs of 2 accounts in use: 1 (20 %) from kore, 4 (80 %) from twilio"
    assert head[6].startswith("4 URLs depend on twilio, which ends at 2998-01-01T00:00:00Z, in ")
    assert head[6].endswith(" (2 stored, 2 given with requests)")
    assert "the default moves from twilio to kore: 2 URLs of 1 account get another source" in said
    assert "twilio ends: 1 URL of 1 account gets another source" in said
    assert f"sent since {since}: 5 callbacks, 5 from twilio\n" in said
    assert "  of these, 1 callback to 1 URL whose fragment has changed since\n" in said
    assert "user:pass" not in said
    by_account = said.partition("by account\n")[2].splitlines()
    assert by_account[1].split() == ["4", "3", "3", "3", THEIRS]
    by_host = said.partition("by host\n")[2].splitlines()
    assert by_host[1].split() == ["1", "1", "1", "2", "default.example"]
    assert by_host[5].split() == ["1", "0", "0", "0", "moved.example"]


def test_the_groups_are_limited_and_each_url_is_listed_on_demand(shell: Shell, data: str) -> None:
    words = ("simulate", "--at", "2998-06-01", "--data", data)
    said = shell.said(*words, "--limit", "1", "--urls")
    assert "  and 4 more with 4 URLs" in said
    each = said.partition("each URL, and its source on 2998-06-01T00:00:00Z\n")[2].splitlines()
    assert each[0] == f"  {THEIRS}  https://asks.example/#cbs=twilio"
    assert each[1].startswith("    twilio -> kore  requests  1 callback, last 20")
    assert each[2] == "    the URL asks for twilio, but twilio ended on 2998-01-01"
    never = each.index(f"  {THEIRS}  https://never-called.example/")
    assert each[never + 1] == "    twilio -> kore  stored in 1 place  0 callbacks"
    assert "each URL" not in shell.said(*words)


def test_the_record_of_a_simulation_has_each_url_and_phase_on_demand(
    shell: Shell, data: str
) -> None:
    words = ("simulate", "--at", "2999-06-01", "--data", data)
    assert "each_url" not in shell.record(*words)
    record = shell.record(*words, "--urls")
    urls = record["urls"]
    assert (urls["accounts"], urls["urls"], urls["callbacks"]) == (2, 5, 4)
    assert urls["sent"]["changed_since"] == {"urls": 1, "callbacks": 1}
    (ending,) = urls["ending"]
    assert (ending["source"], ending["ends"]) == ("twilio", "2998-01-01T00:00:00Z")
    assert (ending["urls"], ending["stored"], ending["requests"]) == (4, 2, 2)
    held = next(one for one in record["each_url"] if one["account_sid"] == ACCOUNT_SID)
    assert held["in_phases"] == {"before": "twilio", "between": "twilio", "after": "twilio"}
    assert held["then"] == {
        "source": "kore",
        "reason": "the default in phase `after`, since 2998-01-01;"
        f" the hold of {ACCOUNT_SID} in phase `before` ended on 2999-01-01",
    }


def test_the_urls_of_a_server_are_read_page_by_page(ringback: Emulator) -> None:
    urls = "https://fleet.example/", "https://sim.example/#cbs=kore"

    def configure(tx: Transaction, _: OperationContext) -> None:
        of_fleet, of_sim = (CallbackTarget(CallbackUrl.parse(url)) for url in urls)
        (fleet,) = tx.supersim.fleets.page(ringback.account_sid, {}, PageWindow(1))
        tx.supersim.fleets.save(replace(fleet, ip_commands=of_fleet))
        (sim,) = tx.wireless.sims.page(ringback.account_sid, {}, PageWindow(1))
        tx.wireless.sims.save(replace(sim, commands_to=of_sim))

    ringback._change(configure)
    asked = ("--server", ringback.base_url, "--account-sid", ringback.account_sid)
    words = ["policy", "simulate", "--at", "2030-01-01", "--urls", "--json", *asked]
    ended = CliRunner().invoke(main, [*words, "--auth-token", ringback.auth_token])
    found = json.loads(ended.stdout)["each_url"]
    assert {one["url"] for one in found} == set(urls)


def test_a_folder_without_data_is_refused_and_none_is_made(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "none"
    refusal = shell.refused("simulate", "--at", "2997-06-01", "--data", str(folder))
    assert f"there is no ringback.db in {folder}" in refusal
    assert not folder.exists()


def test_a_date_that_is_none_is_refused(shell: Shell) -> None:
    assert "'soon' is not a date" in shell.refused("simulate", "--at", "soon")


# ---- set


def test_a_change_is_shown_and_made_when_it_is_wanted(shell: Shell) -> None:
    said = shell.said("set", "phase", "after", "--since", "2998-06-01", answer="y\n")
    assert "-since = 2998-01-01\n+since = 2998-06-01\n" in said
    assert shell.file.read_text() == (POLICY + HOLD).replace("2998-01-01", "2998-06-01")


@pytest.mark.parametrize("answer", ["n\n", ""])
def test_a_change_that_is_not_wanted_is_not_made(shell: Shell, answer: str) -> None:
    ended = shell.run("set", "phase", "after", "--since", "2998-06-01", answer=answer)
    assert ended.exit_code == 1
    assert shell.file.read_text() == POLICY + HOLD
    assert [path.name for path in shell.file.parent.iterdir() if path.is_file()] == [
        shell.file.name
    ]


def test_a_hold_is_added_extended_kept_for_good_and_released(shell: Shell) -> None:
    whose = ("--account", THEIRS, "--url-prefix", "https://a.example")
    shell.said("set", "hold", *whose, "--phase", "before", "--until", "2998-06-01", "--yes")
    added = f'\n[[holds]]\nphase = "before"\naccount_sid = "{THEIRS}"\n'
    added += 'url_prefix = "https://a.example"\n'
    assert shell.file.read_text() == f"{POLICY}{HOLD}{added}until = 2998-06-01\n"
    shell.said("set", "hold", *whose, "--until", "2999-06-01", "--yes")
    assert shell.file.read_text() == f"{POLICY}{HOLD}{added}until = 2999-06-01\n"
    shell.said("set", "hold", *whose, "--phase", "between", "--yes")
    assert shell.record("show")["holds"][1]["until"] == "2999-06-01T00:00:00Z"
    shell.said("set", "hold", *whose, "--phase", "before", "--until", "none", "--yes")
    assert shell.file.read_text() == f"{POLICY}{HOLD}{added}"
    shell.said("set", "release", *whose, "--yes")
    assert shell.file.read_text() == POLICY + HOLD


def test_what_is_so_already_is_not_asked_for(shell: Shell) -> None:
    said = shell.said("set", "phase", "after", "--since", "2998-01-01")
    assert said == f"nothing to change in {shell.file}\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("phase", "after", "--since", "2996-01-01"), "phase 'after' must begin after 'between'"),
        (("phase", "later", "--since", "2996-01-01"), "there is no phase 'later'"),
        (("hold", "--account", THEIRS), "a new hold needs a phase: give --phase"),
        (
            ("hold", "--account", THEIRS, "--phase", "later"),
            "a hold names the unknown phase 'later'",
        ),
        (("hold", "--phase", "before"), "--account, --url-prefix or both"),
        (("hold", "--account", THEIRS, "--until", "soon"), "'soon' is not a date"),
        (("release", "--account", THEIRS), f"there is no hold of {THEIRS}"),
        (("release", "--account", ""), "--account, --url-prefix or both"),
    ],
)
def test_what_would_leave_no_policy_is_refused_and_changes_nothing(
    shell: Shell, words: tuple[str, ...], why: str
) -> None:
    assert why in shell.refused("set", *words, "--yes")
    assert shell.file.read_text() == POLICY + HOLD


def test_a_file_that_nobody_could_start_with_is_not_written(shell: Shell) -> None:
    text = f"port = 70000\n{POLICY}"
    shell.file.write_text(text)
    refusal = shell.refused("set", "phase", "after", "--since", "2999-01-01", "--yes")
    assert f"no server could start with it: {shell.file}:1: port = 70000" in refusal
    assert shell.file.read_text() == text


@pytest.mark.parametrize("line", ['phase = "before"', 'log_level = "info"'])
def test_a_file_of_either_command_can_be_changed(shell: Shell, line: str) -> None:
    shell.file.write_text(f"{line}\n{POLICY}")
    shell.said("set", "phase", "after", "--since", "2999-01-01", "--yes")
    assert "since = 2999-01-01" in shell.file.read_text()


def test_a_change_is_one_json_object_and_the_question_is_not_in_it(shell: Shell) -> None:
    words = ("set", "phase", "after", "--since", "2998-06-01", "--json")
    changed = json.loads(shell.said(*words, answer="y\n"))
    assert (changed["file"], changed["changed"]) == (str(shell.file), True)
    assert "+since = 2998-06-01\n" in changed["diff"]
    again = json.loads(shell.said(*words))
    assert again == {"file": str(shell.file), "changed": False, "diff": ""}


def test_a_file_keeps_its_mode_and_a_link_to_it_stays_one(shell: Shell, tmp_path: Path) -> None:
    shell.file.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(shell.file)
    Shell(link).said("set", "phase", "after", "--since", "2999-01-01", "--yes")
    assert link.is_symlink()
    assert shell.file.stat().st_mode & 0o777 == 0o640
    assert "since = 2999-01-01" in shell.file.read_text()


def test_what_somebody_else_changed_meanwhile_is_not_lost(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = set_command._check

    def change_meanwhile(file: SettingsFile) -> None:
        check(file)
        shell.file.write_text(f"{POLICY}# theirs\n")

    monkeypatch.setattr(set_command, "_check", change_meanwhile)
    refusal = shell.refused("set", "phase", "after", "--since", "2999-01-01", "--yes")
    assert "was changed by another program in the meantime; try again" in refusal
    assert shell.file.read_text() == f"{POLICY}# theirs\n"
    assert [path.name for path in shell.file.parent.iterdir() if path.is_file()] == [
        shell.file.name
    ]


def test_a_file_that_can_not_be_written_is_refused(shell: Shell) -> None:
    shell.file.with_name(f".ringback.toml.{os.getpid()}.ringback-new").mkdir()
    refusal = shell.refused("set", "phase", "after", "--since", "2999-01-01", "--yes")
    assert f"{shell.file} can't be written: Is a directory" in refusal
    assert shell.file.read_text() == POLICY + HOLD


def test_without_a_file_there_is_nothing_to_set() -> None:
    words = ["policy", "set", "phase", "after", "--since", "2999-01-01"]
    ended = CliRunner().invoke(main, words, env={"RINGBACK_SETTINGS": None})
    assert ended.stderr == (
        "ringback: no `ringback dev` runs in ringback-data: name a server with --server,"
        " --account-sid and RINGBACK_AUTH_TOKEN, or, if none runs, its settings file with"
        " --settings or RINGBACK_SETTINGS\n"
    )


NOBODY = ("--server", "http://127.0.0.1:9", "--account-sid", "SK1", "--auth-token", "made-up")


def test_a_named_server_that_does_not_answer_changes_no_file_unless_one_is_named_too(
    shell: Shell,
) -> None:
    words = ("policy", "set", "phase", "after", "--since", "2999-01-01", "--yes", *NOBODY)
    ended = CliRunner().invoke(main, words, env={"RINGBACK_SETTINGS": str(shell.file)})
    assert "no Ringback answers at http://127.0.0.1:9" in ended.stderr
    assert shell.file.read_text() == POLICY + HOLD
    said = shell.said(*words[1:])
    assert said.endswith(f"{shell.file} is changed\n")
    assert "since = 2999-01-01" in shell.file.read_text()


def test_an_incomplete_name_of_a_server_is_refused_and_changes_nothing(shell: Shell) -> None:
    words = ("set", "phase", "after", "--since", "2999-01-01", "--yes", *NOBODY[:2])
    assert "also give --account-sid and --auth-token" in shell.refused(*words)
    assert shell.file.read_text() == POLICY + HOLD


def test_a_dev_json_that_was_left_behind_is_not_a_server(shell: Shell, tmp_path: Path) -> None:
    DevServerDetails("http://127.0.0.1:9", *["x"] * 9).write(tmp_path)
    data = ("--data", str(tmp_path))
    said = shell.said("set", "phase", "after", "--since", "2999-01-01", "--yes", *data)
    assert said.endswith(f"{shell.file} is changed\n")


def test_only_a_server_can_get_the_whole_policy_of_a_file(shell: Shell) -> None:
    words = ("policy", "set", "file", str(shell.file), "--yes")
    environment = {"RINGBACK_SETTINGS": str(shell.file)}
    ended = CliRunner().invoke(main, words, env=environment)
    assert ended.stderr == (
        "ringback: no server answers whose policy could change: name a server with --server,"
        " --account-sid and RINGBACK_AUTH_TOKEN\n"
    )


# ---- the policy of a server


class FakePortal:
    """A server that stays in the phase `between`, and has two holds."""

    base_url = "http://127.0.0.1:1"
    time = datetime(2024, 10, 1, tzinfo=UTC)
    holds = (PhaseHold("before", "AC1"), PhaseHold("before", "AC2", until=time))

    def get(self, *path: str) -> dict[str, Any]:
        policy = Policy(NOTICE.phases, self.holds)
        record = policy_record(policy, date=self.time, before=())
        return json.loads(json.dumps({**record, "stays_in": "between"}, default=iso))

    def now(self) -> datetime:
        return self.time


def test_a_server_that_stays_in_a_phase_is_as_if_it_were_a_date_in_it() -> None:
    found = policy_of_server(cast("PortalClient", FakePortal()))
    assert (found.stays_in, found.date) == ("between", NOTICE.phases[1].since)
    # So that the ended hold does not come back, as it would by the date.
    assert found.policy.holds == FakePortal.holds[:1]
    assert found.policy.general_phase(found.policy.date_at(FakePortal.time)).name == "between"
