"""The destinations of an account's callbacks, which a rehearsal of a new secret tests."""

from dataclasses import replace

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.operations.callback_destinations import (
    MOST,
    CallbackUrlAndMethod,
    destinations_of,
    named,
)
from tests.fakes import ACCOUNT_SID, a_callback, a_fleet, an_account
from tests.memory_store import MemoryTransaction
from tests.wireless_fakes import a_target, a_wireless_sim

THEIRS = "AC" + "f" * 32


@pytest.fixture
def tx() -> MemoryTransaction:
    tx = MemoryTransaction()
    tx.accounts.add(an_account(), [])
    tx.accounts.add(an_account(sid=THEIRS), [])
    return tx


def found(tx: MemoryTransaction) -> list[tuple[str, str]]:
    return shown(destinations_of(tx, ACCOUNT_SID))


def shown(destinations: list[CallbackUrlAndMethod]) -> list[tuple[str, str]]:
    return [(each.method.value, each.url.configured) for each in destinations]


def sent(tx: MemoryTransaction, *urls: str, is_test: bool = False, account: str = "") -> None:
    for number, url in enumerate(urls, len(tx.callbacks.callbacks)):
        made = a_callback(sid=f"CB{number:032}", url=url, is_test=is_test)
        tx.callbacks.add(made._replace(account_sid=account or ACCOUNT_SID))


def test_the_urls_of_fleets_and_sims_are_found_with_their_methods(tx: MemoryTransaction) -> None:
    tx.supersim.fleets.add(
        a_fleet(
            sms_commands_url="https://a.example/sms",
            ip_commands_url="https://a.example/ip",
            ip_commands_method=HttpMethod.GET,
        )
    )
    targets = [a_target(f"https://a.example/{name}") for name in ("told", "reset", "final")]
    commands_to, reset_to, final_to = targets
    tx.wireless.sims.add(
        replace(a_wireless_sim(), commands_to=commands_to, reset_to=reset_to, final_to=final_to)
    )
    assert found(tx) == [
        ("POST", "https://a.example/sms"),
        ("GET", "https://a.example/ip"),
        ("POST", "https://a.example/told"),
        ("POST", "https://a.example/reset"),
        ("POST", "https://a.example/final"),
    ]


def test_urls_of_sent_callbacks_are_found_newest_first(tx: MemoryTransaction) -> None:
    sent(tx, "https://a.example/1", "https://a.example/2")
    assert found(tx) == [("POST", "https://a.example/2"), ("POST", "https://a.example/1")]


def test_urls_that_differ_only_in_their_fragments_are_one_destination(
    tx: MemoryTransaction,
) -> None:
    sent(tx, "https://a.example/#cbs=twilio", "https://a.example/#cbs=kore", "https://a.example/")
    assert found(tx) == [("POST", "https://a.example/")]


def test_urls_with_different_credentials_are_different_destinations(tx: MemoryTransaction) -> None:
    sent(tx, "https://a:b@a.example/", "https://a:c@a.example/")
    assert found(tx) == [("POST", "https://a:c@a.example/"), ("POST", "https://a:b@a.example/")]


def test_urls_of_test_events_are_ignored(tx: MemoryTransaction) -> None:
    sent(tx, "https://a.example/mistyped", is_test=True)
    assert found(tx) == []


def test_other_accounts_have_destinations_of_their_own(tx: MemoryTransaction) -> None:
    sent(tx, "https://theirs.example/", account=THEIRS)
    tx.supersim.fleets.add(a_fleet(account_sid=THEIRS, sms_commands_url="https://theirs.example"))
    assert found(tx) == []


def test_the_number_of_destinations_is_limited(tx: MemoryTransaction) -> None:
    sent(tx, *(f"https://a.example/{number}" for number in range(MOST + 1)))
    assert len(found(tx)) == MOST


KNOWN = [
    CallbackUrlAndMethod(CallbackUrl.parse("https://a:b@a.example/x"), HttpMethod.GET),
    CallbackUrlAndMethod(CallbackUrl.parse("https://a.example/y"), HttpMethod.POST),
]


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("https://a.example/x", [("GET", "https://a:b@a.example/x")]),
        ("https://c:d@a.example/x", [("POST", "https://c:d@a.example/x")]),
        ("https://b.example/", [("POST", "https://b.example/")]),
    ],
    ids=["known", "other credentials", "unknown"],
)
def test_a_given_url_is_called_as_it_is_configured(url: str, meant: list[tuple[str, str]]) -> None:
    assert shown(named([CallbackUrl.parse(url)] * 2, KNOWN)) == meant
