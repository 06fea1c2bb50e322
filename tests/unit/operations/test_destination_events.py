"""Events about destinations are sent as callbacks, but never to the destination itself."""

import pytest

from ringback.core.accounts.account import EVERY
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.destinations.destination_events import DestinationEvent, DestinationEventKind
from ringback.core.destinations.effective_settings import Notified
from ringback.core.form_encoding import decode
from ringback.core.policy.source_policy import Source
from ringback.operations.destination_events import tell_of_event
from ringback.ports import CallbackFilter, PageWindow
from tests.fakes import ACCOUNT_SID, CALLBACK_SID, NOW, a_callback, a_context, an_account
from tests.memory_store import MemoryTransaction

OPERATORS = "AC" + "f" * 32
ORIGIN = "https://customer.example:443"
FAILING = DestinationEvent(
    DestinationEventKind.FAILING, ACCOUNT_SID, f"{ORIGIN}/app/*", NOW, "70% failed"
)
EXHAUSTED = DestinationEvent(
    DestinationEventKind.EXHAUSTED, ACCOUNT_SID, ORIGIN, NOW, "gone", CALLBACK_SID
)


@pytest.fixture
def tx() -> MemoryTransaction:
    tx = MemoryTransaction()
    tx.accounts.add(an_account(), [])
    tx.accounts.add(an_account(sid=OPERATORS), [])
    return tx


def to(*urls: str, sender: str | None = None) -> Notified:
    return tuple((sender, CallbackUrl.parse(url)) for url in urls)


def sent(
    tx: MemoryTransaction, event: DestinationEvent, notified: Notified
) -> list[CallbackRecord]:
    before = set(tx.callbacks.callbacks)
    tell_of_event(tx, event, notified, a_context())
    return [one for sid, one in tx.callbacks.callbacks.items() if sid not in before]


def test_each_url_gets_an_event_from_the_account_that_sends_it(tx: MemoryTransaction) -> None:
    notified = to("https://own.example/#cbs=twilio") + to("https://ops.example/", sender=OPERATORS)
    own, operators = sent(tx, FAILING, notified)
    assert (own.account_sid, own.url.wire) == (ACCOUNT_SID, "https://own.example/")
    assert own.source is Source.TWILIO
    assert (operators.account_sid, operators.url.wire) == (OPERATORS, "https://ops.example/")
    assert decode(own.body) == decode(operators.body) == FAILING.parameters()
    assert tx.callbacks.page(
        ACCOUNT_SID, CallbackFilter(event="destination.failing"), PageWindow(9)
    ) == [own]


def test_none_goes_to_the_destination_that_it_is_about(tx: MemoryTransaction) -> None:
    notified = to("https://CUSTOMER.example/events", "https://customer.example:8443/")
    (other,) = sent(tx, FAILING, notified)
    assert other.url.destination == "https://customer.example:8443"


def test_a_failed_callback_is_told_of_unless_it_was_an_event(tx: MemoryTransaction) -> None:
    notified = to("https://own.example/")
    failed = a_callback()
    tx.callbacks.add(failed)
    (event,) = sent(tx, EXHAUSTED, notified)
    assert event.event == "callback.exhausted"
    assert dict(decode(event.body))["CallbackSid"] == CALLBACK_SID
    assert sent(tx, EXHAUSTED._replace(callback_sid=event.sid), notified) == []


def test_an_account_that_is_gone_sends_nothing(tx: MemoryTransaction) -> None:
    for_all = FAILING._replace(account_sid=EVERY)
    assert sent(tx, for_all, to("https://own.example/")) == []
    assert sent(tx, FAILING, to("https://own.example/", sender="AC" + "0" * 32)) == []
