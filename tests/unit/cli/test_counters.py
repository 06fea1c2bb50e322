"""`ringback counters`, against an emulator in whose store something was counted."""

import json
from datetime import datetime, timedelta

from click.testing import CliRunner

from ringback.cli.main import main
from ringback.core.callback_counts import CallbackCounts, CountedMinute, CountSpan
from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.http.http_exchange import AttemptResult, RequestTimings
from ringback.core.http.outcome import DeliveredOutcome, RefusedOutcome
from ringback.core.policy.source_policy import Source
from ringback.operations.context import OperationContext
from ringback.ports import Transaction
from ringback.testing import Emulator

A, B = "http://a.example:80", "https://b.example:443"


def run(ringback: Emulator, *words: str) -> str:
    who = ("--account-sid", ringback.account_sid, "--auth-token", ringback.auth_token)
    result = CliRunner().invoke(main, ["counters", *words, "--server", ringback.base_url, *who])
    assert result.exit_code == 0, result.output
    return result.output


def add(ringback: Emulator) -> datetime:
    """Count something of this hour; return its beginning."""
    counts = CallbackCounts(accepted=12, failed=1)
    for number in range(19):
        counts.attempt_ended(number, AttemptResult(DeliveredOutcome(200), RequestTimings(20.0)))
    counts.attempt_ended(1, AttemptResult(RefusedOutcome(503), RequestTimings(60_000.0)))
    for _ in range(11):
        counts.ended(CallbackStatus.DELIVERED, 0.4)

    def keep(tx: Transaction, context: OperationContext) -> datetime:
        began, owner = CountSpan.HOUR.begin_of(context.now), ringback.account_sid
        few = CallbackCounts(accepted=1, attempts=1, attempt_seconds=[0] * 12 + [1])
        tx.counters.add(
            [
                CountedMinute(began, owner, A, Source.KORE, counts),
                CountedMinute(began, owner, B, Source.TWILIO, few),
            ]
        )
        return began

    return ringback._change(keep)


def test_without_callbacks_it_says_so(ringback: Emulator) -> None:
    said = run(ringback, "--by", "minute", "--since", "1h")
    assert said.startswith("no callbacks between 2")
    assert said.endswith("those of this minute are counted when it is over\n")


def test_a_table_shows_what_was_counted(ringback: Emulator) -> None:
    began = add(ringback)
    at = f"{began:%Y-%m-%dT%H:%M:%SZ}"
    rows = [line.split("  ") for line in run(ringback).splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    titles = ["FROM", "ACCEPTED", "DELIVERED", "FAILED", "RETRIED"]
    assert cells == [
        [*titles, "ATTEMPT P50/P95", "DELIVERY P50/P95"],
        [at, "13", "11", "1", "17", "0.025 s / long", "0.5 s / 0.5 s"],
    ]


def test_each_destination_can_have_its_row(ringback: Emulator) -> None:
    add(ringback)
    lines = run(ringback, "--by", "all", "--split", "destination", "--since", "1h").splitlines()
    assert [line.split()[1] for line in lines] == ["DESTINATION", A, B]
    assert lines[2].split()[-6:] == ["long", "/", "long", "-", "/", "-"]
    (_, only) = run(
        ringback, "--split", "source", "--destination", "https://b.example"
    ).splitlines()
    assert only.split()[1:3] == ["twilio", "1"]
    (_, own) = run(ringback, "--split", "account", "--source", "kore").splitlines()
    assert own.split()[1:3] == [ringback.account_sid, "12"]


def test_the_answer_can_be_printed_as_json(ringback: Emulator) -> None:
    began = add(ringback)
    until = began + timedelta(days=1)
    answer = json.loads(run(ringback, "--json", "--until", f"{until:%Y-%m-%dT%H:%M:%SZ}"))
    assert [one["accepted"] for one in answer["counters"]] == [13]


def test_counts_that_are_missing_are_shown_as_incomplete(ringback: Emulator) -> None:
    add(ringback)

    def note(tx: Transaction, context: OperationContext) -> None:
        tx.counters.mark(CountSpan.MINUTE.begin_of(context.now) - timedelta(minutes=5))

    ringback._change(note)
    missing, _, *rows = run(ringback, "--by", "all").splitlines()
    assert missing.startswith("incomplete: counts between 2")
    assert missing.endswith("are missing, since a process was killed or can't write them")
    assert [row.split()[1] for row in rows] == ["incomplete"]
