"""`ringback audit`, against an emulator in which an account and its operator change things."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from ringback.cli.main import main
from ringback.operations.api_keys import create_key
from ringback.portal_client import PortalClient
from ringback.testing import Emulator


@pytest.fixture(scope="module")
def ringback() -> Iterator[Emulator]:
    with Emulator() as emulator:
        client = PortalClient(emulator.base_url, emulator.account_sid, emulator.auth_token)
        for name in ("slow", "update-fails"):
            client.post("scenarios", form={"Scenario": name})
        yield emulator


@pytest.fixture(scope="module")
def operators(ringback: Emulator) -> tuple[str, str]:
    made: Any = ringback._change(lambda tx, context: create_key(tx, None, "ops", context))
    return made.key.sid, made.secret


def run(ringback: Emulator, *words: str, pair: tuple[str, str] | None = None) -> str:
    sid, secret = pair or (ringback.account_sid, ringback.auth_token)
    where = ("--server", ringback.base_url, "--account-sid", sid, "--auth-token", secret)
    result = CliRunner().invoke(main, ("audit", *words, *where))
    assert result.exit_code == 0, result.output
    return result.output


def records(ringback: Emulator, *words: str, pair: tuple[str, str] | None = None) -> list[Any]:
    return [*map(json.loads, run(ringback, *words, "--json", pair=pair).splitlines())]


def test_a_line_says_who_did_what_and_how(ringback: Emulator) -> None:
    newest, older, *_ = run(ringback, "--action", "ChooseScenario").splitlines()
    sid = ringback.account_sid
    assert f"  The notice's account  127.0.0.1  ChooseScenario  {sid}  " in newest
    assert newest.endswith('scenario: "slow" -> "update-fails"')
    assert older.endswith('scenario: null -> "slow"')


def test_what_is_new_or_without_a_name_is_shown_too(
    ringback: Emulator, operators: tuple[str, str]
) -> None:
    (line,) = run(ringback, "--subject", operators[0], pair=operators).splitlines()
    assert "  server  -  CreateKey  " in line
    assert '  name: "ops"' in line
    assert '"(secret)"' in line


def test_each_filter_reaches_the_server(ringback: Emulator, operators: tuple[str, str]) -> None:
    sid = ringback.account_sid
    for words, count in (
        (("--account", sid, "--action", "ChooseScenario"), 2),
        (("--account", "AC" + "0" * 32), 0),
        (("--actor", sid), 2),
        (("--actor", "server", "--subject", operators[0]), 1),
        (("--since", "1h", "--action", "ChooseScenario"), 2),
        (("--until", "1h", "--action", "ChooseScenario"), 0),
        (("--limit", "1"), 1),
    ):
        assert len(records(ringback, *words, pair=operators)) == count, words


def test_an_account_sees_its_own_and_of_the_operator_only_the_kind(ringback: Emulator) -> None:
    shown = records(ringback, "--all")
    assert {one["account_sid"] for one in shown} == {ringback.account_sid}
    assert records(ringback, "--account", "AC" + "0" * 32) == []
    assert {one["actor"] for one in shown if one["actor_kind"] == "server"} == {None}


def test_all_are_exported_page_by_page(
    ringback: Emulator, operators: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = records(ringback, "--all", pair=operators)
    monkeypatch.setattr("ringback.cli.audit._LARGEST_PAGE", "2")
    assert records(ringback, "--all", pair=operators) == everything
    assert len(everything) > 4


def test_without_changes_it_says_so(ringback: Emulator) -> None:
    assert run(ringback, "--action", "None") == "no changes\n"


def test_the_author_of_a_callback_is_shown(ringback: Emulator, operators: tuple[str, str]) -> None:
    client = PortalClient(ringback.base_url, ringback.account_sid, ringback.auth_token)
    new = {"url": "http://127.0.0.1:9/hook", "parameters": {"a": "1"}}
    sid = client.send_json("POST", "callbacks", body=new)["sid"]
    (line,) = run(ringback, "--author", sid).splitlines()
    when, *told = line.split("  ")
    assert told == ["The notice's account", "CreateCallback", sid]
    (shown,) = records(ringback, "--author", sid, pair=operators)
    assert shown == {
        "date_created": when,
        "account_sid": ringback.account_sid,
        "actor_kind": "auth_token",
        "actor": ringback.account_sid,
        "actor_name": "The notice's account",
        "action": "CreateCallback",
        "subject": sid,
    }
