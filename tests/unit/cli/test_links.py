"""Commands for links: how they are made, listed and ended."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ringback.cli.main import main
from ringback.core.accounts.secret_hash import hash_secret
from ringback.core.accounts.shared_link import SharedLink
from ringback.operations.api_keys import create_key
from ringback.portal_client import PortalClient, PortalClientError
from ringback.ports.callbacks import lane_of
from ringback.testing import Emulator
from tests.fakes import CALLBACK_SID, a_callback

HERE = "http://127.0.0.1:9/hook"
DAY = timedelta(days=1)


@pytest.fixture
def ringback() -> Iterator[Emulator]:
    with Emulator() as emulator:
        one = a_callback(account_sid=emulator.account_sid, url=HERE, due=None)
        emulator._change(lambda tx, _: tx.callbacks.add(one))
        yield emulator


def run(ringback: Emulator, *words: str, code: int = 0) -> Result:
    who = ("--account-sid", ringback.account_sid, "--auth-token", ringback.auth_token)
    command = ["links", *words, "--server", ringback.base_url, *who]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == code, result.output
    return result


def made(ringback: Emulator, *words: str) -> dict[str, Any]:
    return json.loads(run(ringback, "create", *words, "--json").stdout)


def stored(ringback: Emulator, token: str) -> SharedLink | None:
    found = list[SharedLink | None]()
    which = {"token_hash": hash_secret(token)}
    ringback._change(lambda tx, _: found.append(tx.shared_links.first(which)))
    return found[0]


def lifetime(record: dict[str, Any]) -> timedelta:
    return datetime.fromisoformat(record["date_expires"]) - datetime.now(UTC)


def test_a_link_is_printed_as_a_whole_url(ringback: Emulator) -> None:
    result = run(ringback, "create", "--callback", CALLBACK_SID, "--note", "for Jo")
    url = result.stdout.splitlines()[-1].strip()
    page, _, token = url.rpartition("/")
    assert page == f"{ringback.base_url}/console/links"
    link = stored(ringback, token)
    assert link is not None
    assert (link.subject, link.note) == (CALLBACK_SID, "for Jo")
    assert f"link to the callback {CALLBACK_SID}, until 20" in result.stdout


def test_a_link_to_a_destination_lasts_as_long_as_is_said(ringback: Emulator) -> None:
    url = HERE
    record = made(ringback, "--destination", url, "--days", "2")
    assert record["subject"] == lane_of(a_callback(url=url)).destination
    assert record["url"].endswith(f"/console/links/{record['token']}")
    assert DAY < lifetime(record) < 2 * DAY + timedelta(minutes=1)
    soon = made(ringback, "--destination", url, "--until", "2h")
    assert timedelta(0) < lifetime(soon) <= timedelta(hours=2)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "give either --callback or --destination"),
        (("--callback", "CB1", "--destination", HERE), "give either --callback or --destination"),
        (("--callback", "CB1", "--days", "1", "--until", "2h"), "either --days or --until"),
        (("--callback", "CB1", "--days", "91"), "--days"),
    ],
)
def test_what_contradicts_itself_is_refused(
    ringback: Emulator, words: tuple[str, ...], why: str
) -> None:
    assert why in run(ringback, "create", *words, code=2).output


def test_the_servers_refusal_is_printed(ringback: Emulator) -> None:
    output = run(ringback, "create", "--callback", "CB1", code=1).output
    assert "Callback='CB1': there is no callback with this SID" in output


def test_links_are_listed_and_ended(ringback: Emulator) -> None:
    assert run(ringback, "list").stdout == "no links; `ringback links create` makes one\n"
    sid = made(ringback, "--callback", CALLBACK_SID, "--note", "for Jo")["sid"]
    (line,) = run(ringback, "list").stdout.splitlines()
    first, *_ = columns = [one.strip() for one in line.split("  ") if one]
    assert (first, columns[2], *columns[4:]) == (
        *(sid, "active", "0 visits", "callback", CALLBACK_SID, "for Jo"),
    )
    assert run(ringback, "end", sid).stdout == f"the link {sid} has ended\n"
    (shown,) = json.loads(run(ringback, "list", "--json").stdout)["links"]
    assert (shown["state"], "token" in shown) == ("ended", False)
    assert "has ended already" in run(ringback, "end", sid, code=1).output


def test_an_operator_reads_which_option_is_missing(ringback: Emulator) -> None:
    made = ringback._change(lambda tx, context: create_key(tx, None, "ops", context))
    operators = PortalClient(ringback.base_url, made.key.sid, made.secret)
    with pytest.raises(PortalClientError, match=r"^give --account: this is about"):
        operators.post("links", form={"Destination": "https://a.example"})
