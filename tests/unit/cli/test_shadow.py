"""`ringback shadow`, against an emulator in whose store there are copies."""

import json
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner

from ringback.cli.main import main
from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.operations.context import OperationContext
from ringback.ports import PageWindow, Transaction
from ringback.testing import Emulator
from tests.unit.api.portal.test_shadows import BAD, GOOD, add_pair, answered


def run(ringback: Emulator, *words: str) -> str:
    who = ("--account-sid", ringback.account_sid, "--auth-token", ringback.auth_token)
    result = CliRunner().invoke(main, ["shadow", *words, "--server", ringback.base_url, *who])
    assert result.exit_code == 0, result.output
    return result.output


def add(ringback: Emulator, *pairs: dict[str, Any]) -> list[str]:
    """Keep callbacks with their copies, which were sent long ago; return the copies' SIDs."""

    def keep(tx: Transaction, _: OperationContext) -> list[str]:
        return [
            add_pair(tx, number, account_sid=ringback.account_sid, **pair).sid
            for number, pair in enumerate(pairs, 1)
        ]

    return ringback._change(keep)


EVER = ("--since", "2024-01-01T00:00:00Z")


def test_without_copies_there_is_nothing_to_tell(ringback: Emulator) -> None:
    assert run(ringback, "list") == (
        "no copies; [[shadows]] in the settings file selects callbacks to copy\n"
    )
    assert run(ringback, "report") == "nothing to compare: no copy was sent in this period\n"


def test_a_report_says_what_differs_how_often_and_what_that_means(ringback: Emulator) -> None:
    odd = answered(500, b"oops\x1b[2J\nat line 3", 9.0)
    other = {"copy": GOOD, "url": "http://b.example/"}
    sids = add(ringback, {"copy": BAD}, {"copy": BAD}, {"copy": odd}, {"copy": None}, other)
    assert run(ringback, "report", *EVER).splitlines() == [
        "5 compared: 1 the same, 3 differing, 1 not known",
        "moved to the source of the copies: 1 of 2 URLs",
        "",
        "by reason",
        "     URLS      MOVED     COPIES     DIFFER",
        "        1          0          4          3  kore: the URL asks for it: #cbs=kore",
        "        1          1          1          0"
        "  twilio: the default in the current phase, `before`",
        "",
        "by account",
        "     URLS      MOVED     COPIES     DIFFER",
        f"        2          1          5          3  {ringback.account_sid}",
        "",
        "by host",
        "     URLS      MOVED     COPIES     DIFFER",
        "        1          0          4          3  a.example",
        "        1          1          1          0  b.example",
        "",
        "http://a.example/p?x=1#cbs=kore",
        "  not moved: given with requests, now sent from kore: the URL asks for it: #cbs=kore",
        "  4 compared: 0 the same, 3 differing, 1 not known",
        "  callbacks took 4 ms (p95 4 ms), copies 8 ms (p95 9 ms)",
        "  2 x kore 200, twilio 401: the receiver refuses twilio's signature",
        f"    such as CB{2:032}, copied as {sids[1]}",
        "    kore got: ok",
        "    twilio got: bad signature",
        "  1 x kore 200, twilio 500: the receiver fails (5xx) on a request from twilio",
        f"    such as CB{3:032}, copied as {sids[2]}",
        "    kore got: ok",
        "    twilio got: oops\\x1b[2J\\nat line 3",
        "",
        "http://b.example/",
        "  moved: given with requests, now sent from twilio:"
        " the default in the current phase, `before`",
        "  1 compared: 1 the same, 0 differing",
        "  callbacks took 4 ms (p95 4 ms), copies 4 ms (p95 4 ms)",
    ]


def test_a_report_says_how_a_stored_url_is_configured_now(ringback: Emulator) -> None:
    add(ringback, {"copy": GOOD, "url": "http://user:made-up@a.example/p#cbs=kore"})

    def move(tx: Transaction, _: OperationContext) -> None:
        (fleet,) = tx.supersim.fleets.page(ringback.account_sid, {}, PageWindow(1))
        target = CallbackTarget(CallbackUrl.parse("http://user:new@a.example/p#cbs=twilio"))
        tx.supersim.fleets.save(replace(fleet, sms_commands=target))

    ringback._change(move)
    lines = run(ringback, "report", *EVER).splitlines()
    assert lines[1] == "moved to the source of the copies: 1 of 1 URL"
    assert lines[3:5] == [
        "http://a.example/p#cbs=kore",
        "  moved: stored as http://a.example/p#cbs=twilio, now sent from twilio:"
        " the URL asks for it: #cbs=twilio",
    ]
    (told,) = json.loads(run(ringback, "report", *EVER, "--json"))["urls"]
    assert (told["now"]["use"], told["now"]["is_moved"]) == ("stored", True)
    assert told["account_sid"] == ringback.account_sid


def test_a_report_is_of_the_last_day_unless_it_is_told_otherwise(ringback: Emulator) -> None:
    add(ringback, {"copy": GOOD})
    assert run(ringback, "report") == "nothing to compare: no copy was sent in this period\n"


def test_a_report_can_go_answer_by_answer_over_all_pages(
    ringback: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.cli.shadow._PAGE", "2")
    add(ringback, *[{"copy": GOOD}, {"copy": BAD}] * 2, {"copy": None})
    rows = run(ringback, "report", *EVER, "--all").splitlines()[-5:]
    assert [row.partition("  of ")[2] for row in rows] == [
        (
            f"CB{5:032}  kore 200 | twilio open  the result of the callback or of its copy"
            " is not known"
        ),
        f"CB{4:032}  kore 200 | twilio 401  the receiver refuses twilio's signature",
        f"CB{3:032}  kore 200 | twilio 200  both got the same answer",
        f"CB{2:032}  kore 200 | twilio 401  the receiver refuses twilio's signature",
        f"CB{1:032}  kore 200 | twilio 200  both got the same answer",
    ]
    told = json.loads(run(ringback, "report", *EVER, "--all", "--json"))
    assert [answer["is_same"] for answer in told["answers"]] == [False, False, True, False, True]
    assert "answers" not in json.loads(run(ringback, "report", *EVER, "--json"))


def test_a_list_can_be_of_some_copies_alone(ringback: Emulator) -> None:
    add(ringback, {"copy": GOOD}, {"copy": BAD}, {"copy": GOOD})
    assert len(run(ringback, "list").splitlines()) == 3
    assert len(run(ringback, "list", "--limit", "2").splitlines()) == 2
    assert len(run(ringback, "list", "--callback", f"CB{2:032}").splitlines()) == 1
    assert run(ringback, "list", "--source", "kore").startswith("no copies")
    assert run(ringback, "list", "--since", "1h").startswith("no copies")
    assert len(json.loads(run(ringback, "list", "--json"))["shadows"]) == 3


def test_a_report_says_what_it_has_not_compared_and_what_it_leaves_out(
    ringback: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.api.portal.shadows.MOST_URLS", 1)
    counters = ringback._server.application.workers.shadow_sender._counters
    counters.shadows_skipped[ringback.account_sid, "full"] += 12
    add(ringback, *({"copy": GOOD, "url": f"http://{host}.example/"} for host in "abc"))
    lines = run(ringback, "report", *EVER).splitlines()
    assert lines[:3] == [
        "3 compared: 3 the same, 0 differing",
        "moved to the source of the copies: 3 of 3 URLs",
        "12 copies skipped since the server's start: too many copies were waiting",
    ]
    assert lines[-1] == "and 2 other URLs, with no more differences than these"
