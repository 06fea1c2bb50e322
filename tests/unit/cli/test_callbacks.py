"""`ringback callbacks`, against an emulator that looks at few callbacks for a page."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ringback.cli import callbacks as callbacks_command
from ringback.cli.main import main
from ringback.core.callbacks.callback import CallbackStatus, DeliveryProgress, replay
from ringback.core.http.http_exchange import AttemptResult, RequestTimings
from ringback.core.http.outcome import (
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    Outcome,
    RefusedOutcome,
)
from ringback.core.policy.source_policy import Source
from ringback.operations.context import OperationContext
from ringback.portal_client import PortalClient
from ringback.ports import Settlement, Transaction, lane_of
from ringback.testing import Emulator
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, a_callback, claim_from

WANTED = (3, 4, 17, 28)


@pytest.fixture(scope="module")
def ringback() -> Iterator[Emulator]:
    with Emulator() as emulator:

        def keep(tx: Transaction, _: OperationContext) -> None:
            for number in range(30):
                one = a_callback(
                    sid=f"CB{number:032x}",
                    account_sid=emulator.account_sid,
                    source=Source.KORE if number in WANTED else Source.TWILIO,
                    url="http://127.0.0.1:9/",
                )
                status = CallbackStatus.FAILED if number in WANTED else CallbackStatus.DELIVERED
                tx.callbacks.add(one.having(DeliveryProgress(NOW, status, f"number {number}")))

        emulator._change(keep)
        yield emulator


@pytest.fixture(autouse=True)
def few_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringback.api.paging.EXAMINED", 5)


def run(ringback: Emulator, *words: str) -> Result:
    who = ("--account-sid", ringback.account_sid, "--auth-token", ringback.auth_token)
    words = ("callbacks", *words, "--server", ringback.base_url, *who)
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    return result


def numbers_in(output: str) -> list[int]:
    return [int(sid, 16) for sid in re.findall(r"CB([0-9a-f]{32})", output)]


@pytest.mark.parametrize(
    "words",
    [("list", "--source", "kore"), ("undelivered",), ("undelivered", "--source", "kore")],
    ids=" ".join,
)
def test_a_person_sees_what_they_ask_for_however_far_apart_it_is(
    ringback: Emulator, words: tuple[str, ...]
) -> None:
    assert numbers_in(run(ringback, *words).output) == [28, 17, 4, 3]
    assert numbers_in(run(ringback, *words, "--limit", "3").output) == [28, 17, 4]


def test_nothing_is_said_to_be_there_only_when_all_was_looked_at(ringback: Emulator) -> None:
    said = run(ringback, "list", "--status", "scheduled").output
    assert said.startswith("no callbacks")


def test_as_json_it_is_one_page_that_leads_on(ringback: Emulator) -> None:
    page = json.loads(run(ringback, "list", "--source", "kore", "--limit", "2", "--json").output)
    assert [one["sid"][-2:] for one in page["callbacks"]] == ["1c", "11"]
    assert page["meta"]["next_page_url"] is not None


def test_it_gives_up_at_some_point_and_says_so(
    ringback: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.portal_client.MOST_PAGES", 3)
    result = run(ringback, "list", "--source", "kore")
    assert numbers_in(result.stdout) == [28, 17]
    assert result.stderr == "stopped searching after 3 pages; older records may match too\n"


# ---- the table -----------------------------------------------------------------------------------

DAY = timedelta(days=1)
SIM = f"SimSid={SIM_SID}&AccountSid={ACCOUNT_SID}"


@pytest.fixture
def empty() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


def add(ringback: Emulator, number: int, **kinds: Any) -> str:
    """Keep a callback that is scheduled for a day that never comes; return its SID."""
    kinds = {"url": "http://127.0.0.1:9/hook", "due": NOW.replace(year=2999), **kinds}
    one = a_callback(sid=f"CB{number:032x}", account_sid=ringback.account_sid, **kinds)
    ringback._change(lambda tx, _: tx.callbacks.add(one))
    return one.sid


def attempt(ringback: Emulator, sid: str, outcome: Outcome, took: float | None) -> None:
    """Make an attempt of this callback that takes this long; no other one follows."""

    def work(tx: Transaction, _: OperationContext) -> None:
        callback = tx.callbacks.find(sid)
        assert callback is not None
        tx.callbacks.change(callback.having(replay(callback.progress, NOW)))
        (taken,) = claim_from(tx, lane_of(callback), NOW, limit=1)
        result = AttemptResult(outcome, timings=None if took is None else RequestTimings(took))
        is_delivered = isinstance(outcome, DeliveredOutcome)
        status = CallbackStatus.DELIVERED if is_delivered else CallbackStatus.FAILED
        progress = taken.progress._replace(status=status, status_reason="made up")
        tx.callbacks.settle([Settlement(taken, progress, result, NOW)])

    ringback._change(work)


def test_a_list_has_a_header_and_aligned_columns(empty: Emulator) -> None:
    one = add(empty, 1, source=Source.TWILIO, now=NOW - DAY)
    attempt(empty, one, RefusedOutcome(503), 1500)
    attempt(empty, one, NoAnswerOutcome(AttemptFailure.CONNECT, "nobody listens"), None)
    two = add(
        empty, 2, body=f"{SIM}&Status=delivered&CommandSid=HC01", url="http://127.0.0.1:9/a?b"
    )
    attempt(empty, two, DeliveredOutcome(200), 12.4)
    add(empty, 3, body=f"{SIM}&SimStatus=active&ErrorCode=83004")
    expected = f"""\
TIME      SOURCE  EVENT             STATUS    HTTP TRIES  TOOK  SID{" " * 31}  URL
2024-07-03 (UTC)
14:40:58  kore    sim.active 83004  scheduled    -     0     -  CB{3:032}  http://127.0.0.1:9/hook
14:40:58  kore    sms.delivered     delivered  200     1  12ms  CB{2:032}  http://127.0.0.1:9/a?b
2024-07-02 (UTC)
14:40:58  twilio  sim.inactive      failed       -     2     -  CB{1:032}  http://127.0.0.1:9/hook
"""
    assert run(empty, "list").output == expected
    assert all(len(re.split("  (?:URL|http)", line)[0]) <= 100 for line in expected.splitlines())
    rows = run(empty, "undelivered").output.splitlines()
    assert rows[0].startswith("TIME      SOURCE  EVENT")
    assert (numbers_in(rows[2]), rows[3]) == ([1], "  made up")


@pytest.mark.parametrize(
    ("body", "event"),
    [
        (f"{SIM}&SimStatus=inactive", "sim.inactive"),
        ("SimSid=DE01&SimStatus=suspended", "wireless.suspended"),
        (f"{SIM}&Status=received&CommandSid=HG01", "ip.received"),
        (f"{SIM}&CommandStatus=sent&CommandSid=DC01", "command.sent"),
        (f"{SIM}&EsimProfileSid=HP01&Status=available", "esim.available"),
        ("Order=17&Total=3", "Order=17"),
        ("Order=a+very+long+number", "Order=a very lon…"),
        ("Order=1%1b[2J", "Order=1\\x1b[2J"),
        ("Order=1&Order=2", "Order=['1', '2']"),
        ("", "-"),
    ],
)
def test_a_list_names_the_event(empty: Emulator, body: str, event: str) -> None:
    add(empty, 1, body=body)
    row = run(empty, "list").output.splitlines()[2]
    assert row[18:].startswith(f"{event}  ")


def test_a_list_shows_test_events_and_gets(empty: Emulator) -> None:
    add(empty, 1, is_test=True, body="[]")
    assert "  test event  " in run(empty, "list").output


def test_the_statuses_of_the_options_are_those_of_callbacks() -> None:
    assert tuple(CallbackStatus) == callbacks_command.STATUSES


# ---- filters -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (("--destination", "http://a.example"), [2, 1]),
        (("--destination", "HTTP://A.example:80/"), [2, 1]),
        (("--destination", "http://a.example/hook"), [2]),
        (("--destination", "http://a.example/other"), []),
        (("--since", "2024-07-03T00:00Z"), [3, 2]),
        (("--since", "2024-07-03"), [3, 2]),
        (("--until", "2024-07-03"), [1]),
        (("--since", "2024-07-02", "--until", "2024-07-03T14:40Z"), [1]),
        (("--since", "1h"), []),
    ],
)
@pytest.mark.parametrize("command", ["list", "undelivered"])
def test_a_list_can_be_of_one_destination_or_period(
    empty: Emulator, command: str, words: tuple[str, ...], numbers: list[int]
) -> None:
    failed = {"status": CallbackStatus.FAILED, "due": None}
    add(empty, 1, url="http://a.example/p", now=NOW - DAY, **failed)
    add(empty, 2, url="http://a.example/hook/1#cbs=kore", **failed)
    add(empty, 3, url="http://b.example/hook", **failed)
    assert numbers_in(run(empty, command, *words).output) == numbers


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--since", "yesterday"), "'yesterday' is not a time; write a duration like 2h, or a"),
        (("--destination", "a.example"), "'a.example' is"),
        (("--follow", "--status", "failed"), "leave out --status and --until"),
    ],
)
def test_a_filter_that_is_not_valid_is_refused(
    empty: Emulator, words: tuple[str, ...], why: str
) -> None:
    who = ("--account-sid", empty.account_sid, "--auth-token", empty.auth_token)
    words = ("callbacks", "list", *words, "--server", empty.base_url, *who)
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert why in result.stderr


# ---- --follow ------------------------------------------------------------------------------------


@pytest.fixture
def follow(
    empty: Emulator, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int, dict[str, str | None]], list[int]]:
    """Return the numbers of the first callbacks that `--follow` prints."""
    monkeypatch.setattr(callbacks_command, "_PAUSE_SECONDS", 0.01)
    portal = PortalClient(empty.base_url, empty.account_sid, empty.auth_token)

    def numbers(first: int, query: dict[str, str | None]) -> list[int]:
        shown = callbacks_command._old_and_new(portal, query, limit=2)
        return [int(one["sid"][2:], 16) for one in islice(shown, first)]

    return numbers


def later(*work: Callable[[], object]) -> None:
    for number, each in enumerate(work, 1):
        Timer(number * 0.3, each).start()


def test_following_begins_with_the_newest_and_goes_on_with_new_ones(
    empty: Emulator, follow: Callable[..., list[int]]
) -> None:
    for number in (1, 2, 3):
        add(empty, number, due=None, status=CallbackStatus.FAILED)
    ended = {"due": None, "status": CallbackStatus.DELIVERED}
    later(lambda: add(empty, 4, **ended), lambda: [add(empty, n, **ended) for n in (5, 6)])
    assert follow(5, {}) == [2, 3, 4, 5, 6]


def test_following_begins_with_no_callback_at_all_too(
    empty: Emulator, follow: Callable[..., list[int]]
) -> None:
    later(lambda: [add(empty, n, due=None, status=CallbackStatus.FAILED) for n in (1, 2, 3)])
    assert follow(3, {}) == [1, 2, 3]


def test_following_shows_only_what_the_filters_allow(
    empty: Emulator, follow: Callable[..., list[int]]
) -> None:
    ended = {"due": None, "status": CallbackStatus.DELIVERED}
    sources = {1: Source.KORE, 2: Source.TWILIO, 3: Source.KORE, 4: Source.TWILIO, 5: Source.KORE}
    add(empty, 1, source=sources.pop(1), **ended)
    later(*(lambda n=n, s=s: add(empty, n, source=s, **ended) for n, s in sources.items()))
    assert follow(3, {"Source": "kore"}) == [1, 3, 5]


def test_following_shows_a_callback_once_its_first_attempt_has_ended_and_once_only(
    empty: Emulator, follow: Callable[..., list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(empty, 1, due=None, status=CallbackStatus.FAILED)
    slow = f"CB{2:032x}"
    later(
        lambda: add(empty, 2),
        lambda: add(empty, 3, due=None, status=CallbackStatus.DELIVERED),
        lambda: attempt(empty, slow, DeliveredOutcome(200), 1),
        lambda: add(empty, 4, due=None, status=CallbackStatus.DELIVERED),
    )
    assert follow(4, {}) == [1, 3, 2, 4]
    monkeypatch.setattr(callbacks_command, "_PATIENCE_SECONDS", 0.5)
    later(lambda: add(empty, 5))
    assert follow(3, {}) == [3, 4, 5]  # it waits no longer


def test_the_event_and_the_sim_select_callbacks(empty: Emulator) -> None:
    failed = {"due": None, "status": CallbackStatus.FAILED}
    add(empty, 1, **failed)
    add(empty, 2, body=f"CommandSid=HC1&Status=sent&SimSid={SIM_SID}", **failed)
    add(empty, 3, body="CommandSid=DC1&CommandStatus=sent", **failed)
    for words in (("list",), ("undelivered",)):
        assert numbers_in(run(empty, *words, "--event", "sms").output) == [2]
        assert numbers_in(run(empty, *words, "--sim", SIM_SID).output) == [2, 1]
        assert numbers_in(run(empty, *words, "--sim", SIM_SID, "--event", "sim").output) == [1]
    replay = "replay", "--since", "2024-07-03"
    assert run(empty, *replay, "--sim", SIM_SID).output.startswith("2 of 2 callbacks")
    assert run(empty, *replay, "--event", "command").output.startswith("1 of 1 callback")


@pytest.mark.parametrize("as_json", [True, False])
def test_following_ends_cleanly_with_ctrl_c(empty: Emulator, *, as_json: bool) -> None:
    add(empty, 1, due=None, status=CallbackStatus.FAILED)
    words = [sys.executable, "-m", "ringback", "callbacks", "list", "--follow"]
    words += ["--server", empty.base_url, "--account-sid", empty.account_sid]
    words += ["--auth-token", empty.auth_token, *(["--json"] if as_json else [])]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parent
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(1 if as_json else 3)]
        add(empty, 2, due=None, status=CallbackStatus.FAILED)
        lines.append(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)
    assert (process.returncode, rest, errors) == (0, "", "")
    if as_json:
        assert [json.loads(line)["sid"][-1] for line in lines] == ["1", "2"]
    else:
        assert lines[0].startswith("TIME ")
        assert numbers_in("".join(lines)) == [1, 2]


# ---- one callback --------------------------------------------------------------------------------


def test_without_a_sid_the_newest_callback_is_shown(empty: Emulator) -> None:
    who = ("--account-sid", empty.account_sid, "--auth-token", empty.auth_token)
    words = ["callbacks", "show", "--server", empty.base_url, *who]
    refused = CliRunner().invoke(main, words)
    assert refused.exit_code == 1
    assert "the account has no callbacks yet" in refused.stderr
    add(empty, 1)
    add(empty, 2)
    assert run(empty, "show").output.startswith(f"CB{2:032x}  scheduled\n")
    assert json.loads(run(empty, "show", "--json").output)["sid"] == f"CB{2:032x}"


def test_discard_prints_the_callback_as_json_too(empty: Emulator) -> None:
    sid = add(empty, 1)
    found = json.loads(run(empty, "discard", sid, "--reason", "wrong URL", "--json").output)
    assert (found["sid"], found["status"]) == (sid, "discarded")


def test_a_replay_counts_in_the_singular_and_the_plural(empty: Emulator) -> None:
    for number in (1, 2):
        add(empty, number, due=None, status=CallbackStatus.FAILED)
    one = run(empty, "replay", f"CB{1:032x}").output
    assert one == "1 of 1 callback would be replayed; replay for real with --yes\n"
    both = run(empty, "replay", "--since", "2024-07-03").output
    assert both == "2 of 2 callbacks would be replayed; replay for real with --yes\n"


def test_failed_callbacks_are_counted_and_replayed_in_groups(empty: Emulator) -> None:
    assert run(empty, "undelivered", "--groups").output == "no failed callbacks\n"
    for number in (1, 2, 3):
        sid = add(empty, number, url=f"http://127.0.0.1:9/{'a' if number < 3 else 'b'}#cbs=kore")
        attempt(empty, sid, RefusedOutcome(503), 1500)
    found = json.loads(run(empty, "undelivered", "--groups", "--json").output)
    keys = [group["key"] for group in found["groups"]]
    assert (
        run(empty, "undelivered", "--groups").output
        == f"""\
COUNT  SOURCE  NEWEST (UTC)          KEY                               URL
    2  kore    2024-07-03T14:40:58Z  {keys[0]}  http://127.0.0.1:9/a#cbs=kore
       the receiver answered 503 Service Unavailable
    1  kore    2024-07-03T14:40:58Z  {keys[1]}  http://127.0.0.1:9/b#cbs=kore
       the receiver answered 503 Service Unavailable
3 callbacks in 2 groups
"""
    )
    chosen = run(empty, "replay", "--since", "2024-07-03", "--group", keys[0]).output
    assert chosen == "2 of 2 callbacks would be replayed; replay for real with --yes\n"
    assert found == json.loads(run(empty, "undelivered", "--groups", "--json").output) | {
        "until": found["until"]
    }
