"""Checks of receivers in the portal: only an account's own ones, and the results are kept."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from starlette.types import ASGIApp

from ringback.api.portal.receiver_checks import CHECKS, ReceiverCheckEndpoints
from ringback.core.accounts.account import Account
from ringback.core.calendar import iso
from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.errors import Conflict
from ringback.core.policy.receiver_evidence import ReceiverCheck
from ringback.core.policy.source_policy import SourceName
from ringback.operations.callback_destinations import CallbackUrlAndMethod
from ringback.ports import Store, Transaction
from tests.fakes import ACCOUNT_SID, NOW, FakeClock, a_callback, a_fleet, an_api_key
from tests.memory_store import MemoryStore
from tests.unit.api.caller import Caller
from tests.unit.api.world import THEIRS, app_on

OPERATORS = an_api_key("SK" + "0" * 32, None, "operator's")
STORED = "https://user:pass@stored.example/hook?x=1#rc=2&cbs=kore"
WIRE = "https://stored.example/hook?x=1"
SENT, THEIR = "https://sent.example/", "https://theirs.example/"
REFUSES = "a genuine callback from kore is not accepted: answered 403"


@dataclass
class Checker:
    """Finds that each receiver refuses kore; notes what it was asked for."""

    asked: list[tuple[str, str, str, str]] = field(default_factory=list[tuple[str, str, str, str]])
    is_paused: bool = False

    async def check(
        self, account: Account, to: CallbackUrlAndMethod, source: SourceName
    ) -> ReceiverCheck:
        if self.is_paused:
            raise Conflict("the server is paused")
        self.asked.append((account.sid, to.url.configured, to.method, source))
        fault = ("refuses-kore", REFUSES) if source == "kore" else (None, "")
        return ReceiverCheck(account.sid, to.url.wire, source, NOW, *fault)


@pytest.fixture
def checker() -> Checker:
    return Checker()


@pytest.fixture
async def app(store: Store, checker: Checker) -> ASGIApp:
    target = CallbackTarget(CallbackUrl.parse(STORED), HttpMethod.GET)

    def fill(tx: Transaction) -> None:
        tx.accounts.keys.add(OPERATORS)
        fleet = a_fleet(sid="HF" + "7" * 32, unique_name=None)
        tx.supersim.fleets.add(replace(fleet, sms_commands=target))
        tx.callbacks.add(a_callback(sid="CB" + "1" * 32, url=f"{SENT}#cbs=kore"))
        tx.callbacks.add(a_callback(sid="CB" + "2" * 32, account_sid=THEIRS, url=THEIR))
        tried = a_callback(sid="CB" + "3" * 32, url="https://tried.example/")
        tx.callbacks.add(tried._replace(is_test=True))

    await store.transact(fill)
    return app_on(
        store,
        clock=FakeClock(NOW),
        portal=lambda on: ReceiverCheckEndpoints(
            on, checker.check, {"refuses-kore": "check it"}.get
        ).operations(),
    )


@pytest.fixture
def operator(app: ASGIApp) -> Caller:
    return Caller(app, credentials=(OPERATORS.sid, "operator's"))


def brief(answer: Any) -> list[tuple[str, str, str]]:
    return [(one["url"], one["source"], one["verdict"]) for one in answer.json["receiver_checks"]]


async def test_a_receiver_is_checked_for_both_sources(caller: Caller, checker: Checker) -> None:
    answer = await caller.post(CHECKS, {"Url": WIRE})
    assert answer.status == 200
    twilio, kore = answer.json["receiver_checks"]
    assert kore == {
        "account_sid": ACCOUNT_SID,
        "url": WIRE,
        "source": "kore",
        "verdict": "fault",
        "words": REFUSES,
        "fault": "refuses-kore",
        "fix": "check it",
        "date": iso(NOW),
    }
    words = "it is ready for twilio"
    assert (twilio["verdict"], twilio["words"], twilio["fix"]) == ("ready", words, None)
    # With the credentials and the method that are configured.
    assert checker.asked == [
        (ACCOUNT_SID, STORED, "GET", "twilio"),
        (ACCOUNT_SID, STORED, "GET", "kore"),
    ]


async def test_for_one_source_by_another_method(caller: Caller, checker: Checker) -> None:
    # The fragment and the credentials that are given have no effect.
    url = WIRE.replace("://", "://other:pass@") + "#rc=5"
    answer = await caller.post(CHECKS, {"Url": url, "Source": "kore", "Method": "POST"})
    assert brief(answer) == [(WIRE, "kore", "fault")]
    assert checker.asked == [(ACCOUNT_SID, STORED, "POST", "kore")]


async def test_a_url_that_callbacks_were_sent_to(caller: Caller) -> None:
    assert brief(await caller.post(CHECKS, {"Url": SENT, "Source": "twilio"})) == [
        (SENT, "twilio", "ready")
    ]


@pytest.mark.parametrize(
    "url", [THEIR, "https://stranger.example/", f"{SENT}path", "https://tried.example/"]
)
async def test_no_strangers_are_checked(caller: Caller, checker: Checker, url: str) -> None:
    answer = await caller.post(CHECKS, {"Url": url})
    assert (answer.status, checker.asked) == (400, [])
    assert f"the account has not configured {url!r}" in answer.json["message"]


async def test_the_last_checks_are_listed(caller: Caller, operator: Caller) -> None:
    await caller.post(CHECKS, {"Url": WIRE})
    await operator.post(CHECKS, {"Url": THEIR, "Source": "kore", "AccountSid": THEIRS})
    own = [(WIRE, "kore", "fault"), (WIRE, "twilio", "ready")]
    assert brief(await caller.get(CHECKS)) == own
    assert brief(await caller.get(f"{CHECKS}?Url={SENT}")) == []
    assert brief(await caller.get(f"{CHECKS}?Url={THEIR}")) == []
    assert len(brief(await operator.get(CHECKS))) == 3
    assert len(brief(await operator.get(f"{CHECKS}?PageSize=2"))) == 2
    assert brief(await operator.get(f"{CHECKS}?AccountSid={THEIRS}")) == [(THEIR, "kore", "fault")]


async def test_an_account_names_only_itself(
    caller: Caller, operator: Caller, checker: Checker
) -> None:
    form = {"Url": THEIR, "AccountSid": THEIRS}
    assert "only its own receivers" in (await caller.post(CHECKS, form)).json["message"]
    assert (await caller.get(f"{CHECKS}?AccountSid={THEIRS}")).status == 400
    assert "give AccountSid" in (await operator.post(CHECKS, {"Url": THEIR})).json["message"]
    nobody = {"Url": THEIR, "AccountSid": "AC" + "7" * 32}
    assert (await operator.post(CHECKS, nobody)).status == 404
    assert (await operator.get(f"{CHECKS}?Url={THEIR}")).status == 400
    assert checker.asked == []


async def test_a_paused_server_checks_nothing(
    caller: Caller, checker: Checker, store: MemoryStore
) -> None:
    checker.is_paused = True
    assert (await caller.post(CHECKS, {"Url": WIRE})).status == 409
    assert store.tables.receiver_checks.checks == {}


async def test_a_check_leaves_an_entry(caller: Caller, store: MemoryStore) -> None:
    await caller.post(CHECKS, {"Url": WIRE})
    (entry,) = store.tables.audit.entries.values()
    assert (entry.action, entry.subject, entry.account_sid) == ("CheckReceiver", WIRE, ACCOUNT_SID)
    assert "hunter2" not in str(entry)
    assert "refuses-kore" in str(entry)
