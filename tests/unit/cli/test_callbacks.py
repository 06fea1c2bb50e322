"""`ringback callbacks`, against an emulator that looks at few callbacks for a page."""

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from ringback.cli.main import main
from ringback.core.callbacks.callback import CallbackStatus, DeliveryProgress
from ringback.core.policy.source_policy import Source
from ringback.operations.context import OperationContext
from ringback.ports import Transaction
from ringback.testing import Emulator
from tests.fakes import NOW, a_callback

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
    return [int(line[2:34], 16) for line in output.splitlines() if line.startswith("CB")]


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
    for module in ("portal_client", "cli.portal_commands"):
        monkeypatch.setattr(f"ringback.{module}.MOST_PAGES", 3)
    result = run(ringback, "list", "--source", "kore")
    assert numbers_in(result.stdout) == [28, 17]
    assert result.stderr == "gave up after 3 pages; older ones may match as well\n"
