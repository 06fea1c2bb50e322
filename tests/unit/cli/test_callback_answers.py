"""What `ringback callbacks` shows of long answers, against an emulator that keeps some."""

import json

from click.testing import CliRunner

from ringback.cli.main import main
from ringback.core.http.http_exchange import AttemptResult, ReceiverResponseRecord
from ringback.core.http.outcome import RefusedOutcome
from ringback.operations.context import OperationContext
from ringback.ports import Settlement, Transaction, lane_of
from ringback.testing import Emulator
from tests.fakes import CALLBACK_SID, NOW, a_callback, claim_from


def run(ringback: Emulator, *words: str) -> str:
    who = ("--account-sid", ringback.account_sid, "--auth-token", ringback.auth_token)
    result = CliRunner().invoke(main, ["callbacks", *words, "--server", ringback.base_url, *who])
    assert result.exit_code == 0, result.output
    return result.output


def answer(ringback: Emulator, *responses: ReceiverResponseRecord) -> None:
    """Have a callback answered so, one attempt after the other, long ago."""

    def keep(tx: Transaction, _: OperationContext) -> None:
        callback = a_callback(account_sid=ringback.account_sid, url="http://a.example")
        tx.callbacks.add(callback)
        for response in responses:
            (taken,) = claim_from(tx, lane_of(callback), NOW, limit=1)
            exchange = AttemptResult(RefusedOutcome(500), response=response)
            later = NOW if response is not responses[-1] else NOW.replace(year=2999)
            again = taken.progress._replace(due=later)
            tx.callbacks.settle([Settlement(taken, again, exchange, NOW)])

    ringback._change(keep)


LONG = ReceiverResponseRecord(500, (("A", "a"), ("B", "b" * 3000)), b"x" * 65536, is_cut=True)
CUT = "  < (cut off: Ringback read only the beginning, or the connection broke)"


def test_an_attempt_says_what_of_its_answer_is_no_longer_kept(ringback: Emulator) -> None:
    answer(ringback, LONG, LONG._replace(body=b"short", headers=()))
    lines = run(ringback, "show", CALLBACK_SID).splitlines()
    shown = [line for line in lines if line.startswith("  <")]
    assert shown == [
        "  < 500",
        "  < A: a",
        "  < (headers no longer stored: 1)",
        f"  < {'x' * 1024}",
        "  < (bytes of the body no longer stored: 64,512)",
        CUT,
        "  < 500",
        "  < short",
        CUT,
    ]


def test_the_last_answer_is_shown_whole(ringback: Emulator) -> None:
    answer(ringback, LONG._replace(is_cut=False))
    output = run(ringback, "show", CALLBACK_SID)
    assert f"  < {'x' * 65536}\n" in output
    assert "no longer stored" not in output


def test_storage_shows_how_much_is_stored_and_the_limit(ringback: Emulator) -> None:
    answer(ringback, LONG)
    assert run(ringback, "storage") == (
        "66.0 KiB of long responses are stored; the limit is 64.0 MiB\n"
    )
    storage = json.loads(run(ringback, "storage", "--json"))
    assert storage == {"bytes": 66 << 10, "budget": 64 << 20, "accounts": []}
