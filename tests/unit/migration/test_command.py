"""`ringback migrate` on data folders, tables and files."""

import csv
import json
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ringback.cli.migrate.output import ProgressPrinter
from ringback.core.accounts.account import EVERY
from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.sids import SidKind, dated, make_sid
from ringback.migration.plan import MigrationPlan
from ringback.migration.progress import EditsMoved
from ringback.receiver import Receiver, Rejected
from tests.fakes import ACCOUNT_SID, KORE_SECRET, a_callback
from tests.receivers import Answering, ReceivingServer
from tests.stores.asking import keep
from tests.unit.migration.shell import Shell

OTHER = "AC" + "1" * 32


# ---- a data folder -------------------------------------------------------------------------------


def test_urls_in_a_data_folder_are_moved_and_rolled_back(shell: Shell) -> None:
    old = ["https://b.example/#cbs=twilio", "https://user:secret@a.example/#rc=2"]
    shell.fill(*old)
    header, *edits = shell.planned("--data", "data")
    assert header["record"] == {"kind": "store", "data": str(shell.data), "account": None}
    assert len(edits) == 2
    assert "2  moved" in shell.said("apply", "move.plan", "--no-probe")
    assert shell.urls() == [
        "https://b.example/#cbs=kore",
        "https://user:secret@a.example/#rc=2&cbs=kore",
    ]
    assert set(shell.statuses().values()) == {"moved"}
    shell.said("revert", "move.plan", "--yes")
    assert shell.urls() == old
    assert set(shell.statuses().values()) == {"gone back"}
    plan_id = MigrationPlan.read(Path("move.plan")).id
    journal = shell.with_store(
        lambda store: store.read(lambda tx: str(tx.plans.after(EVERY, plan_id, 0)))
    )
    assert "returned" in journal
    for text in (Path("move.plan").read_text(), journal):
        assert "secret" not in text
    assert not Path("move.plan.journal").exists()


def test_a_named_account_limits_the_move_to_it(shell: Shell) -> None:
    shell.fill("https://a.example/")
    shell.fill("https://b.example/", account_sid=OTHER, number=100)
    _, edit = shell.planned("--data", "data", "--account", OTHER)
    assert (edit["url"], edit["account_sid"]) == ("https://b.example/", OTHER)
    nobody = shell.run("inventory", "--data", "data", "--account", "AC" + "9" * 32)
    assert nobody.exit_code == 1
    assert "there is no account 'AC999" in nobody.stderr


def test_an_inventory_shows_the_source_of_each_url(shell: Shell) -> None:
    shell.fill("http://user:secret@a.example/?x=1&y=2#cbs=twilio&foo")
    said = shell.said("inventory", "--data", "data")
    assert "POST http://a.example/?x=1&y=2#cbs=twilio&foo" in said
    assert "asks for twilio; sent from  before: twilio, between: twilio, after: kore" in said
    assert said.count("the fragment key 'foo' is unknown") == 1
    assert "1 callback URL, 1 with warnings" in said
    assert "secret" not in said


def test_an_inventory_uses_the_policy_of_a_settings_file(shell: Shell) -> None:
    shell.fill("https://a.example/")
    Path("ringback.toml").write_text(
        '[[holds]]\nphase = "before"\nurl_prefix = "https://a.example"\n'
    )
    words = ("inventory", "--data", "data", "--settings", "ringback.toml", "--json")
    ended = shell.run(*words)
    line, totals = map(json.loads, ended.stdout.splitlines())
    assert set(line["sources"].values()) == {"twilio"}
    assert (totals["seen"], totals["left_out"]) == (1, {})
    assert ended.stderr == "policy of ringback.toml: phase after\n"


def test_an_inventory_is_written_as_a_table(shell: Shell) -> None:
    shell.fill("https://a.example/#cbs=kore", "https://b.example/")
    shell.said("inventory", "--data", "data", "--out", "urls.csv")
    with Path("urls.csv").open() as file:
        rows = {row["url"]: row for row in csv.DictReader(file)}
    assert rows["https://a.example/#cbs=kore"]["before"] == "kore"
    assert rows["https://b.example/"]["account_sid"] == ACCOUNT_SID


def test_a_plan_selects_urls_and_reports_what_it_left_out(shell: Shell) -> None:
    shell.fill("https://a.example/", "https://b.example/", "https://c.example/#cbs=kore")
    said = shell.said(
        *("plan", "--data", "data", "--to", "kore", "--out", "move.plan"),
        *("--select", "url!=https://b.example/*"),
    )
    assert "move.plan: 1 URL to move to kore; nothing is changed yet" in said
    assert "1 URL left out: not selected by --select" in said
    assert "1 URL left out: asks for kore already" in said
    (edit,) = Path("move.plan").read_text().splitlines()[1:]
    assert '"url": "https://a.example/"' in edit


def test_a_plan_that_is_too_late_says_so(shell: Shell) -> None:
    shell.fill("https://a.example/")
    words = ("plan", "--data", "data", "--to", "twilio")
    said = shell.said(*words, "--out", "late.plan", "--at", "2024-11-02")
    why = "the URL asks for twilio, but twilio ended on 2024-11-02"
    assert f"1 URL would not be sent from twilio after the move: {why}" in said
    assert "would not" not in shell.said(*words, "--out", "early.plan", "--at", "2024-11-01")


def test_urls_changed_by_others_cause_exit_code_4(shell: Shell) -> None:
    shell.fill("https://a.example/", "https://b.example/")
    shell.planned("--data", "data")
    shell.change("https://a.example/", "https://other.example/")
    said = shell.said("apply", "move.plan", "--no-probe", exit_code=4)
    assert "1  moved" in said
    assert "changed by somebody else: the URL is https://other.example/ now" in said


@pytest.mark.parametrize("others", [[], ["https://b.example/"]])
def test_a_revert_that_leaves_a_moved_url_ends_with_exit_code_4_each_time(
    shell: Shell, others: list[str]
) -> None:
    shell.fill("https://a.example/", *others)
    shell.planned("--data", "data")
    shell.said("apply", "move.plan", "--no-probe")
    shell.change("https://a.example/#cbs=kore", "https://other.example/")
    for _ in range(2):
        said = shell.said("revert", "move.plan", "--yes", exit_code=4)
        assert "changed by somebody else: the URL is https://other.example/ now" in said
    ended = shell.run("revert", "move.plan", "--yes", "--json")
    (left,) = json.loads(ended.stdout)["left_behind"]
    assert (ended.exit_code, left["url"]) == (4, "https://a.example/")
    assert shell.urls() == [*others, "https://other.example/"]
    shell.said("status", "move.plan")  # ends with 0, whatever the states are


def test_a_revert_of_what_others_moved_back_or_never_moved_ends_with_exit_code_0(
    shell: Shell,
) -> None:
    shell.fill("https://a.example/", "https://b.example/")
    shell.planned("--data", "data")
    shell.change("https://b.example/", "https://other.example/")
    shell.said("apply", "move.plan", "--no-probe", exit_code=4)
    shell.change("https://a.example/#cbs=kore", "https://a.example/")
    assert "nothing to revert" in shell.said("revert", "move.plan", "--yes")


def test_an_apply_without_the_lines_of_urls_that_others_changed_ends_with_exit_code_0(
    shell: Shell,
) -> None:
    shell.fill("https://a.example/", "https://b.example/")
    shell.planned("--data", "data")
    shell.change("https://b.example/", "https://other.example/")
    shell.said("apply", "move.plan", "--no-probe", exit_code=4)
    lines = Path("move.plan").read_text().splitlines(keepends=True)
    Path("move.plan").write_text("".join(line for line in lines if "b.example" not in line))
    shell.said("apply", "move.plan", "--no-probe")


def test_a_revert_says_what_it_will_do_and_asks(shell: Shell) -> None:
    shell.fill("https://a.example/", "https://b.example/#cbs=twilio")
    shell.planned("--data", "data")
    shell.said("apply", "move.plan", "--no-probe")
    said = shell.said("revert", "move.plan", "--at", "2024-10-20", answers="n\n", exit_code=1)
    until = "until kore sends the first of them at 2024-11-02 00:00Z"
    assert f"1 URL will be sent from the old source again, {until}" in said
    still = "1 URL will get the old form, but still be sent from kore: the default"
    assert still in said
    assert "phase between on 2024-10-20" in said
    assert set(shell.statuses().values()) == {"moved"}


def test_reverting_nothing_says_so(shell: Shell) -> None:
    shell.fill("https://a.example/")
    shell.planned("--data", "data")
    assert "nothing to revert: this plan has moved no URL" in shell.said("revert", "move.plan")
    assert not Path("move.plan.journal").exists()


# ---- plans without a URL -------------------------------------------------------------------------


def test_a_plan_without_a_url_says_where_it_searched_and_can_not_be_applied(shell: Shell) -> None:
    shell.fill()
    said = shell.said("plan", "--data", "data", "--to", "kore", "--out", "move.plan")
    assert "move.plan is empty: there is no URL to move to kore" in said
    assert "no callback URL was found" in said
    searched = (
        f"searched the fleets and the Programmable Wireless SIMs of all accounts in {shell.data}"
    )
    assert searched in said
    assert "a URL that a program gives with each request, like CallbackUrl of a SIM" in said
    refused = shell.run("apply", "move.plan", "--no-probe")
    assert refused.exit_code == 1
    assert refused.stderr.startswith("ringback: move.plan is empty: it moves no URL")
    assert "move.plan is empty" in shell.said("status", "move.plan")
    assert not Path("move.plan.journal").exists()


def test_a_plan_that_leaves_all_urls_out_says_why(shell: Shell) -> None:
    Path("src").mkdir()
    Path("src/app.py").write_text(
        'callback_url="https://a.example/#cbs=kore"\ncallback_url=base + "/sms"\n'
    )
    said = shell.said("plan", "src", "--to", "kore", "--out", "move.plan")
    assert "1 URL left out: asks for kore already" in said
    assert "1 URL left out: can't be edited where it is; `ringback migrate inventory`" in said
    assert "searched 1 file in src" in said
    assert "CALLBACK_URL_1" in said


def test_an_inventory_without_a_url_says_where_it_searched(shell: Shell) -> None:
    Path("a.txt").touch()
    said = shell.said("inventory", "a.txt", ".")
    assert "0 callback URLs, 0 with warnings\n0 URLs seen, none left out\nsearched 2 files" in said


def test_an_inventory_of_files_counts_what_it_left_out(shell: Shell) -> None:
    Path("app.py").write_text(
        "callback_url='https://a.example/'\nCALLBACK_URL = os.environ['CALLBACK_URL']\n"
        "github_callback_url='https://a.example/'\n# callback_url='https://a.example/'\n"
        "home='https://a.example/'\n"
    )
    assert shell.said("inventory", "app.py").endswith(
        "2 callback URLs, 1 with warnings, 1 to change by hand\n"
        "5 URLs seen, and left out:\n"
        "      1  callback of another service, listed above with the reason\n"
        "      1  no parameter or variable of a callback URL is named beside it\n"
        "      1  in a comment\n"
    )
    *lines, totals = map(json.loads, shell.run("inventory", "app.py", "--json").stdout.splitlines())
    assert [line["service"] for line in lines] == [None, None, "GitHub: its name"]
    assert (totals["callback_urls"], totals["by_hand"], totals["seen"]) == (2, 1, 5)
    assert list(totals["left_out"].values()) == [1, 1, 1]


# ---- JSON ----------------------------------------------------------------------------------------


def test_each_command_answers_with_one_json_object(shell: Shell) -> None:
    def run(*words: str) -> Any:
        ended = shell.run(*words, "--json")
        assert ended.exit_code == 0
        return json.loads(ended.stdout)

    shell.fill("https://a.example/")
    planned = run("plan", "--data", "data", "--to", "kore", "--out", "move.plan")
    assert (planned["file"], planned["edits"], planned["phase"]) == ("move.plan", 1, "after")
    applied = run("apply", "move.plan", "--no-probe")
    assert applied == {
        "outcome": "done",
        "counts": {"moved": 1},
        "left_behind": [],
        "callbacks": {},
        "maybe_acted_on": [],
    }
    reverted = run("revert", "move.plan", "--yes")
    assert (reverted["outcome"], reverted["returning"]) == ("reverted", 0)
    assert reverted["counts"] == {"gone back": 1}
    again = run("revert", "move.plan", "--yes")
    counts = {"gone back": 1}
    assert again == {"outcome": "nothing to revert", "counts": counts, "left_behind": []}


def test_without_write_the_diff_is_in_the_json(shell: Shell, app: Path) -> None:
    shell.planned("app.py")
    ended = shell.run("apply", "move.plan", "--json")
    record = json.loads(ended.stdout)
    assert record["outcome"] == "not written"
    assert "#cbs=kore" in record["diff"]


# ---- progress ------------------------------------------------------------------------------------


class Seconds:
    """A stopwatch that goes on by the same time with each look."""

    def __init__(self, pause: float) -> None:
        self.now, self.pause = 0.0, pause

    def __call__(self) -> float:
        self.now += self.pause
        return self.now


def report_move(printer: ProgressPrinter, *, of: int = 3000, batch: int = 50) -> None:
    for done in range(0, of + 1, batch):
        printer(EditsMoved(100, done, done, of))
    printer.end()


def test_progress_in_a_pipe_is_a_line_now_and_then_with_the_time_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report_move(ProgressPrinter({}, is_terminal=False, stopwatch=Seconds(4)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "moved 150 of 3000, about 4 min left"
    assert lines[-2:] == ["moved 2850 of 3000, about 10 s left", "moved 3000 of 3000"]
    assert len(lines) == 20


def test_progress_that_is_quick_is_one_line_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    report_move(ProgressPrinter({}, is_terminal=False, stopwatch=Seconds(0.01)))
    assert capsys.readouterr().out == "moved 3000 of 3000\n"


def test_progress_on_a_terminal_is_one_line_that_is_rewritten(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report_move(ProgressPrinter({}, is_terminal=True, stopwatch=Seconds(4)), of=150)
    assert capsys.readouterr().out == (
        "\rmoved 0 of 150\rmoved 50 of 150, about 10 s left"
        "\rmoved 100 of 150, about 10 s left\rmoved 150 of 150\n"
    )


def test_each_step_of_a_canary_has_its_own_progress(capsys: pytest.CaptureFixture[str]) -> None:
    printer = ProgressPrinter({}, is_terminal=True, stopwatch=Seconds(100))
    printer(EditsMoved(10, 0, 0, 10))
    printer(EditsMoved(10, 8, 10, 10))
    printer(EditsMoved(100, 8, 10, 100))
    printer(EditsMoved(100, 17, 20, 100))
    said = capsys.readouterr().out.split("\r")
    assert said == [
        "",
        "10 %: moved 0 of 10",
        "10 %: moved 8 of 10, skipped 2\n",
        "moved 8 of 100, skipped 2",
        "moved 17 of 100, skipped 3, about 13 min left",
    ]


# ---- who is left, and who has been called --------------------------------------------------------


def deliver(shell: Shell, *urls: str, status: CallbackStatus = CallbackStatus.DELIVERED) -> str:
    """Store a callback to each of these URLs that ended now, and return when that was."""
    now = datetime.now(UTC)
    ended = [
        a_callback(
            sid=make_sid(SidKind.CALLBACK, dated(number.to_bytes(16, "big"), now)),
            url=url,
            token=f"{url} {now}",
            now=now,
            status=status,
            due=None,
        )
        for number, url in enumerate(urls)
    ]
    shell.with_store(lambda store: keep(store, *ended))
    return f"{now:%Y-%m-%dT%H:%M:%SZ}"


def test_the_status_of_a_plan_says_which_urls_were_called_since_they_moved(
    shell: Shell, four: list[str]
) -> None:
    deliver(shell, four[1])
    assert "called since" not in shell.said("status", "move.plan")
    shell.said("apply", "move.plan", "--no-probe")
    said = shell.said("status", "move.plan").splitlines()
    assert said[:2] == ["      4  moved", "called since the move: 0 of 4 moved URLs"]
    assert said[-1].endswith("https://r0.example/#cbs=kore  no callback yet")
    at = deliver(shell, *(f"{url}#cbs=kore" for url in four[:2]))
    deliver(shell, f"{four[2]}#cbs=kore", status=CallbackStatus.FAILED)
    said = shell.said("status", "move.plan")
    words = f"called since the move: 2 of 4 moved URLs, 2 callbacks delivered, the last of {at}\n"
    assert words in said
    assert f"{four[2]}#cbs=kore  1 callback, none delivered\n" in said
    assert f"{four[3]}#cbs=kore  no callback yet\n" in said
    lines = shell.said("status", "move.plan", "--json").splitlines()
    calls = {record["url"]: record["since_move"] for record in map(json.loads, lines)}
    assert calls[four[0]] == {"callbacks": 1, "delivered": 1, "last_delivered": at}
    assert calls[four[2]] == {"callbacks": 1, "delivered": 0, "last_delivered": None}
    shell.said("revert", "move.plan", "--yes")
    assert "called since" not in shell.said("status", "move.plan")


def test_only_some_of_the_urls_that_were_not_called_are_listed(shell: Shell) -> None:
    shell.fill(*(f"https://r{number}.example/" for number in range(13)))
    shell.planned("--data", "data")
    shell.said("apply", "move.plan", "--no-probe")
    said = shell.said("status", "move.plan").splitlines()
    assert sum("no callback yet" in line for line in said) == 10
    assert said[-1] == "  and 3 URLs more without one; --json lists all"


def test_urls_in_files_have_no_calls(shell: Shell) -> None:
    Path("app.env").write_text("CALLBACK_URL=https://a.example/\n")
    shell.planned("app.env")
    shell.said("apply", "move.plan", "--no-probe", "--write")
    assert shell.said("status", "move.plan") == "      1  moved\n"
    assert "since_move" not in json.loads(shell.said("status", "move.plan", "--json"))


LATER_POLICY = """\
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


def test_without_a_plan_the_status_is_that_of_the_whole_move(shell: Shell, four: list[str]) -> None:
    Path("ringback.toml").write_text(LATER_POLICY)
    deliver(shell, "https://asks.example/#cbs=twilio", *four)
    words = ("status", "--settings", "ringback.toml", "--data", "data")
    said = shell.said(*words).splitlines()
    assert said[:2] == [
        "policy of ringback.toml: phase before",
        "5 URLs of 1 account in use: 5 (100 %) from twilio",
    ]
    assert said[2].startswith("5 URLs depend on twilio, which ends at 2998-01-01T00:00:00Z, in ")
    shell.said("apply", "move.plan", "--no-probe")
    record = json.loads(shell.said(*words, "--json", "--urls"))
    urls = record["urls"]
    assert [(one["source"], one["urls"]) for one in urls["sources"]] == [("kore", 4), ("twilio", 1)]
    (ending,) = urls["ending"]
    assert (ending["urls"], ending["stored"], ending["requests"]) == (1, 0, 1)
    assert urls["sent"]["changed_since"] == {"urls": 4, "callbacks": 4}
    first, last = record["ahead"]
    assert (first["urls"], last["meaning"], last["urls"]) == (0, "twilio ends", 1)
    assert record["at"] == "2997-01-01T00:00:00Z"
    assert record["each_url"][0]["url"] == "https://asks.example/#cbs=twilio"
    said = shell.said(*words)
    assert "5 URLs of 1 account in use: 4 (80 %) from kore, 1 (20 %) from twilio\n" in said
    assert "each URL" not in said


def test_a_folder_that_is_named_comes_before_the_server_of_the_environment(
    shell: Shell, four: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGBACK_SERVER", "http://127.0.0.1:9")
    monkeypatch.setenv("RINGBACK_ACCOUNT_SID", ACCOUNT_SID)
    monkeypatch.setenv("RINGBACK_AUTH_TOKEN", "made-up")
    assert "4 URLs of 1 account in use" in shell.said("status", "--data", "data")
    monkeypatch.setenv("RINGBACK_DATA", "data")
    assert "no Ringback answers at http://127.0.0.1:9" in shell.said("status", exit_code=1)


def test_without_a_plan_and_without_data_the_coming_changes_are_shown(shell: Shell) -> None:
    said = shell.said("status").splitlines()
    assert said[0].endswith(": phase after")
    assert said[1].startswith("to see which URLs are affected, name a data folder with --data")
    assert said[-1] == "  nothing changes any more"


@pytest.mark.parametrize("words", [("--settings", "x.toml"), ("--limit", "3"), ("--urls",)])
def test_options_that_have_no_effect_with_a_plan_are_refused(
    shell: Shell, four: list[str], words: tuple[str, ...]
) -> None:
    said = shell.said("status", "move.plan", *words, exit_code=2)
    assert f"{words[0]} has no effect with a plan" in said


# ---- the canary ----------------------------------------------------------------------------------


def fail_what_has_moved(shell: Shell, count: int) -> None:
    """Wait until two URLs have moved, and let a callback to the given number of them fail."""
    moved = list[str]()
    while len(moved) < 2:
        time.sleep(0.01)
        moved = [url for url in shell.urls() if url.endswith("#cbs=kore")]
    deliver(shell, *moved[:count], status=CallbackStatus.FAILED)


def applied_while_failing(shell: Shell, count: int, *words: str, exit_code: int) -> str:
    receiver = threading.Thread(target=fail_what_has_moved, args=[shell, count])
    receiver.start()
    words = "--no-probe", "--least", "0", *words
    said = shell.said("apply", "move.plan", *words, exit_code=exit_code)
    receiver.join()
    return said


def test_a_step_in_which_many_deliver_worse_is_rolled_back_with_exit_code_3(
    shell: Shell, four: list[str]
) -> None:
    said = applied_while_failing(shell, 2, "--canary", "50", "--soak", "20s", exit_code=3)
    assert "50 %: watching 2 URLs until" in said
    assert "stays behind: 1 of 1 fail (100.0 %); before: no attempts" in said
    assert "50 %: 2 of the 2 URLs with callbacks deliver worse: all go back" in said
    assert "stopped: a step was rolled back" in said
    assert shell.urls() == four
    assert sorted(shell.statuses().values()) == ["pending"] * 2 + ["stays behind"] * 2
    # The next one continues in the same shares, without those that stay behind.
    said = shell.said("apply", "move.plan", "--no-probe", "--soak", "0", exit_code=4)
    assert "100 %: watching 2 URLs until" in said
    assert sorted(shell.statuses().values()) == ["moved"] * 2 + ["stays behind"] * 2


def test_a_single_url_that_delivers_worse_is_rolled_back_alone(
    shell: Shell, four: list[str]
) -> None:
    said = applied_while_failing(shell, 1, "--canary", "50", "--soak", "1.5s", exit_code=4)
    assert "50 %: 1 of 2 deliver worse than before, and go back" in said
    assert "moved back 1 of 1" in said
    assert sorted(shell.statuses().values()) == ["moved"] * 3 + ["stays behind"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--canary", "0"), "must be shares from 1 to 99 percent, ascending"),
        (("--canary", "50,10"), "must be shares from 1 to 99 percent, ascending"),
        (("--canary", "x"), "must be shares in percent, like 10 or 10,50"),
        (("--soak", "1h"), "--soak needs --canary"),
        (("--least", "5"), "--least needs --canary"),
        (("--wait", "5s"), "--wait needs --canary"),
        (("--canary", "10", "--soak", "long"), "'long' is not a valid duration"),
    ],
)
def test_an_invalid_canary_is_refused(shell: Shell, words: tuple[str, ...], why: str) -> None:
    shell.fill("https://a.example/")
    shell.planned("--data", "data")
    assert why in shell.said("apply", "move.plan", "--no-probe", *words, exit_code=2)
    assert shell.urls() == ["https://a.example/"]


def test_a_step_without_enough_callbacks_is_not_called_a_success(
    shell: Shell, four: list[str]
) -> None:
    words = ("--no-probe", "--canary", "50", "--soak", "0.1s", "--least", "3", "--wait", "0.1s")
    said = shell.said("apply", "move.plan", *words, exit_code=4)
    assert "50 %: only 0 callbacks came, so it waits for more, until" in said
    assert "stopped: too few callbacks came" in said
    assert sorted(shell.statuses().values()) == ["moved"] * 2 + ["pending"] * 2
    # The next one is still asked for as many, unless another number is given.
    shell.said("apply", "move.plan", "--no-probe", exit_code=4)
    said = shell.said("apply", "move.plan", "--no-probe", "--least", "0")
    assert "4  moved" in said


def test_the_json_of_an_apply_says_how_it_ended(shell: Shell, four: list[str]) -> None:
    words = (
        "--no-probe",
        "--canary",
        "50",
        "--soak",
        "0.1s",
        "--least",
        "3",
        "--wait",
        "0",
        "--json",
    )
    ended = shell.run("apply", "move.plan", *words)
    record = json.loads(ended.stdout)
    assert (ended.exit_code, record["outcome"]) == (4, "unproven")
    assert record["counts"] == {"pending": 2, "moved": 2}
    assert "only 0 callbacks came, so it waits for more" in ended.stderr
    receiver = threading.Thread(target=fail_what_has_moved, args=[shell, 2])
    receiver.start()
    ended = shell.run("apply", "move.plan", *words[:4], "20s", "--least", "0", "--json")
    receiver.join()
    record = json.loads(ended.stdout)
    assert (ended.exit_code, record["outcome"]) == (3, "went back")
    assert {one["status"] for one in record["left_behind"]} == {"stays behind"}
    assert shell.urls() == four


# ---- the probe -----------------------------------------------------------------------------------


@pytest.fixture
def receivers() -> Iterator[tuple[str, str]]:
    """A receiver that checks KORE's signatures, and one that accepts everything."""
    with ReceivingServer(("127.0.0.1", 0), Answering) as right:
        checking = Receiver(right.url, kore_secrets=[KORE_SECRET])
        right.accepts = lambda request: not isinstance(checking.receive_request(request), Rejected)
        with ReceivingServer(("127.0.0.1", 0), Answering) as careless:
            careless.accepts = lambda _: True
            threads = [
                threading.Thread(target=each.serve_forever, args=[0.01])
                for each in (right, careless)
            ]
            for thread in threads:
                thread.start()
            yield right.url, careless.url
            right.shutdown()
            careless.shutdown()
            for thread in threads:
                thread.join()


def test_a_receiver_that_is_not_ready_is_not_moved(
    shell: Shell, receivers: tuple[str, str]
) -> None:
    right, careless = receivers
    shell.fill(right, careless)
    shell.planned("--data", "data")
    said = shell.said("apply", "move.plan", "--allow", "loopback", exit_code=4)
    assert said.count("it accepts a request signed with another secret") == 1
    assert shell.statuses() == {right: "moved", careless: "skipped"}


def test_the_secret_for_files_is_an_option(shell: Shell, receivers: tuple[str, str]) -> None:
    right, careless = receivers
    Path("urls.csv").write_text(f"url\n{right}\n{careless}\n")
    shell.planned("--csv", "urls.csv")
    given = ("--write", "--kore-secret", KORE_SECRET, "--allow", "127.0.0.1")
    shell.said("apply", "move.plan", *given, exit_code=4)
    assert Path("urls.csv").read_text() == f"url\n{right}#cbs=kore\n{careless}\n"
    assert KORE_SECRET not in Path("move.plan.journal").read_text()


def test_receivers_in_the_own_network_are_not_probed_by_default(
    shell: Shell, receivers: tuple[str, str]
) -> None:
    shell.fill(receivers[0])
    shell.planned("--data", "data")
    said = shell.said("apply", "move.plan", exit_code=4)
    assert "127.0.0.1 is not a public address" in said


def test_without_the_secret_nothing_is_probed_and_nothing_moves(shell: Shell, app: Path) -> None:
    before = app.read_text()
    shell.planned(".")
    said = shell.said("apply", "move.plan", "--write", exit_code=2)
    assert "callbacks are signed with --kore-secret: give it, or --no-probe" in said
    assert app.read_text() == before


# ---- files and tables ----------------------------------------------------------------------------


@pytest.fixture
def app(shell: Shell) -> Path:
    path = Path("app.py")
    path.write_text("callback_url='https://user:secret@a.example/'\n")
    return path


def test_test_events_are_only_for_urls_that_a_server_has(shell: Shell, app: Path) -> None:
    before = app.read_text()
    shell.planned(".")
    words = ("--write", "--no-probe", "--canary", "50", "--test-event")
    said = shell.said("apply", "move.plan", *words, exit_code=2)
    assert "--test-event is only for plans of URLs in a Ringback's data" in said
    assert app.read_text() == before


def test_files_are_changed_only_when_applied(shell: Shell, app: Path) -> None:
    before = app.read_text()
    shell.planned(".")
    said = shell.said("apply", "move.plan", "--no-probe")
    assert "+callback_url='https://…@a.example/#cbs=kore'" in said
    assert "nothing is changed yet; --write changes the files" in said
    assert app.read_text() == before
    assert not Path("move.plan.journal").exists()
    shell.said("apply", "move.plan", "--no-probe", "--write")
    assert app.read_text() == "callback_url='https://user:secret@a.example/#cbs=kore'\n"
    assert "-callback_url='https://…@a.example/#cbs=kore'" in shell.said("revert", "move.plan")
    shell.said("revert", "move.plan", "--write", "--yes")
    assert app.read_text() == before


def test_a_url_that_can_not_be_edited_any_more_is_not_said_to_be_changed(shell: Shell) -> None:
    old = "CALLBACK_URL = https://a.example/\\#rc=2\n"
    path = Path("Makefile")
    path.write_text(old)
    shell.planned("Makefile")
    shell.said("apply", "move.plan", "--no-probe", "--write")
    moved = path.read_text()
    path.write_text(f"{moved}send:\n\t./send $(CALLBACK_URL)\n")
    for _ in range(2):
        said = shell.said("revert", "move.plan", "--write", "--yes", exit_code=4)
        assert "it can't be edited there any more: `ringback migrate inventory` says why" in said
        assert shell.statuses() == {"https://a.example/#rc=2": "moved"}
    path.write_text(moved)
    shell.said("revert", "move.plan", "--write", "--yes")
    assert path.read_text() == old
    path.write_text(f"{old}send:\n\t./send $(CALLBACK_URL)\n")
    said = shell.said("apply", "move.plan", "--no-probe", "--write", exit_code=4)
    assert "it can't be edited there any more" in said
    assert shell.statuses() == {"https://a.example/#rc=2": "pending"}


def test_a_plan_of_files_works_from_any_folder(
    shell: Shell, app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.planned("app.py")
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    shell.said("apply", "../move.plan", "--no-probe", "--write")
    assert "cbs=kore" in (shell.folder / "app.py").read_text()


def test_a_canary_is_refused_for_files_since_they_have_no_delivery_results(
    shell: Shell, app: Path
) -> None:
    shell.planned(".")
    said = shell.said("apply", "move.plan", "--no-probe", "--write", "--canary", "10", exit_code=1)
    assert "--canary needs the results of deliveries" in said
    assert not Path("move.plan.journal").exists()
    assert "cbs" not in app.read_text()


def test_skipped_files_are_counted(shell: Shell, app: Path) -> None:
    Path("binary").write_bytes(b"\0")
    assert "skipped 1: binary file" in shell.run("inventory", ".").stderr


def test_rows_of_a_table_may_lack_their_last_cells(shell: Shell) -> None:
    Path("urls.csv").write_text("name,callback_url,method\nA\nB,https://b.example/\n")
    _, edit = shell.planned("--csv", "urls.csv")
    assert (edit["url"], edit["method"]) == ("https://b.example/", "POST")


def test_urls_of_a_table_are_moved_in_place(shell: Shell) -> None:
    Path("urls.csv").write_text("name;url\nA;https://a.example/\n")
    shell.planned("--csv", "urls.csv")
    shell.said("apply", "move.plan", "--no-probe", "--write")
    assert Path("urls.csv").read_text() == "name;url\nA;https://a.example/#cbs=kore\n"


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "name the place of the URLs: --data FOLDER, --api, --csv FILE, or files and folders"),
        ((".", "--csv", "a.csv"), "PATH and --csv name different places: give only one"),
        (("--api", "--data", "data"), "--api needs the account"),
    ],
)
def test_exactly_one_url_source_has_to_be_given(
    shell: Shell, words: tuple[str, ...], why: str
) -> None:
    assert why in shell.said("inventory", *words, exit_code=2)


def test_a_folder_without_data_is_refused_and_not_created(shell: Shell) -> None:
    assert "there is no data in" in shell.said("inventory", "--data", "data", exit_code=1)
    assert not shell.data.exists()


def test_a_url_source_on_the_command_line_overrides_the_environments_data_folder(
    shell: Shell, app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "RINGBACK_DATA", "data")
    assert "app.py:1" in shell.said("inventory", ".")
    assert "there is no data in" in shell.said("inventory", exit_code=1)


def test_the_api_is_not_called_without_a_token(shell: Shell) -> None:
    said = shell.said("inventory", "--api", "--account-sid", ACCOUNT_SID, exit_code=1)
    assert "give its Auth Token: RINGBACK_AUTH_TOKEN" in said


def test_an_invalid_url_source_is_refused(shell: Shell, app: Path) -> None:
    said = shell.said("plan", ".", "--to", "kor", "--out", "a.plan", exit_code=2)
    assert "'kor' is not a source of the policy; it has twilio, kore" in said


# ---- what others have written --------------------------------------------------------------------

ODD = b"no\x1b[2Jte\xff\xe2\x80\xa8\xc2\x85.env"
"""A file name with a control sequence, a byte that is not UTF-8, and line separators."""


def test_a_file_whose_name_and_bytes_are_no_utf_8_is_listed_moved_and_moved_back(
    shell: Shell,
) -> None:
    Path("conf").mkdir()
    odd = b"conf/" + ODD
    before = (
        b"# \xe9\xff\x1b]0;title\x07\r\nCALLBACK_URL=https://a.example/1\n"
        b"OTHER_CALLBACK_URL=https://b.example/\xe9\xff\x1b[8m\n"
    )
    Path(os.fsdecode(odd)).write_bytes(before)
    name = r"conf/no\x1b[2Jte\udcff\u2028\x85.env"
    text = shell.said("inventory", "conf")
    assert f"{name}:2\n" in text
    assert f"{name}:3\n  POST https://b.example/\\udce9\\udcff\\x1b[8m\n" in text
    assert "it is written %E9 " in text
    shown = [
        json.loads(line)
        for line in shell.run("inventory", "conf", "--json").stdout.split("\n")[:-1]
    ]
    assert [os.fsencode(one["place"]) for one in shown[:-1]] == [odd + b":2", odd + b":3"]
    shell.said("inventory", "conf", "--out", "found.csv")
    assert r"https://b.example/\udce9\udcff" in Path("found.csv").read_text()
    header, edit = shell.planned("conf")
    assert (os.fsencode(edit["place"]), header["left_out"]) == (
        odd + b":2",
        {"no URL that can be called": 1},
    )
    diff = shell.said("apply", "move.plan", "--no-probe")
    assert f"--- a/{name}\n" in diff
    shell.said("apply", "move.plan", "--no-probe", "--write")
    after = before.replace(b"https://a.example/1\n", b'"https://a.example/1#cbs=kore"\n')
    assert Path(os.fsdecode(odd)).read_bytes() == after
    assert shell.statuses() == {"https://a.example/1": "moved"}
    shell.said("revert", "move.plan", "--write", "--yes")
    assert Path(os.fsdecode(odd)).read_bytes() == before
