from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ringback.core.announcement import ANNOUNCEMENT_BYTES, announce
from ringback.core.callback import Callback, CallbackStatus, Method
from ringback.core.callback_url import CallbackUrl
from ringback.core.sim import SimStatus
from ringback.core.source import NOTICE, Hold, Policy, Source, Transition
from tests.fakes import ACCOUNT_SID, an_event

CHANCE = bytes(range(32))
BEFORE = datetime(2024, 10, 15, tzinfo=UTC)
AFTER = datetime(2024, 11, 2, tzinfo=UTC)


def announced(url: str, *, now: datetime = BEFORE, policy: Policy = NOTICE) -> Callback:
    return announce(
        an_event(sim_status=SimStatus.INACTIVE),
        to=CallbackUrl.parse(url),
        method=Method.POST,
        transition=Transition(policy),
        chance=CHANCE,
        now=now,
    )


def test_an_event_becomes_a_callback_that_is_due_at_once() -> None:
    assert announced("http://a.example/p?x=1#cbs=kore&foo") == Callback(
        sid="CB000102030405060708090a0b0c0d0e0f",
        account_sid=ACCOUNT_SID,
        url=CallbackUrl.parse("http://a.example/p?x=1#cbs=kore&foo"),
        method=Method.POST,
        body=(
            "ApiVersion=v1&SimUniqueName=my_super_sim&SimSid=HSab3f06be8f5d32caecb91e8a306c6c08"
            "&SimStatus=inactive&AccountSid=AC3ba717b1d236e6c4a835e46130267eb4"
        ),
        source=Source.KORE,
        source_asked=Source.KORE,
        source_reason="the URL asks for it: #cbs=kore",
        idempotency_token="RQ101112131415161718191a1b1c1d1e1f",
        date_created=BEFORE,
        date_updated=BEFORE,
        status=CallbackStatus.SCHEDULED,
        due=BEFORE,
    )


@pytest.mark.parametrize(
    ("url", "now", "source", "token"),
    [
        ("http://a.example/", BEFORE, Source.TWILIO, "10111213-1415-4617-9819-1a1b1c1d1e1f"),
        ("http://a.example/", AFTER, Source.KORE, "RQ101112131415161718191a1b1c1d1e1f"),
        ("http://a.example/#cbs=kore", BEFORE, Source.KORE, "RQ101112131415161718191a1b1c1d1e1f"),
    ],
)
def test_the_token_is_one_of_its_source(
    url: str, now: datetime, source: Source, token: str
) -> None:
    callback = announced(url, now=now)
    assert (callback.source, callback.idempotency_token) == (source, token)


def test_asking_for_twilio_too_late_is_on_the_record() -> None:
    callback = announced("http://a.example/#cbs=twilio", now=AFTER)
    assert (callback.source_asked, callback.source, callback.source_reason) == (
        Source.TWILIO,
        Source.KORE,
        "twilio ended 2024-11-02",
    )


def test_both_sources_tell_the_same_body() -> None:
    twilio = announced("http://a.example/#cbs=twilio")
    kore = announced("http://a.example/#cbs=kore")
    assert (twilio.source, kore.source) == (Source.TWILIO, Source.KORE)
    assert twilio.body == kore.body


@pytest.mark.parametrize(
    "hold", [Hold("after", account_sid=ACCOUNT_SID), Hold("after", url_prefix="http://a.example/")]
)
def test_a_hold_is_looked_up_by_account_and_by_url(hold: Hold) -> None:
    callback = announced("http://a.example/p", policy=replace(NOTICE, holds=(hold,)))
    assert callback.source is Source.KORE


def test_credentials_in_a_url_do_not_hide_it_from_a_hold() -> None:
    policy = replace(NOTICE, holds=(Hold("after", url_prefix="http://a.example/"),))
    callback = announced("http://user:hunter2@a.example/p", policy=policy)
    assert callback.source is Source.KORE
    assert "hunter2" not in callback.source_reason


def test_an_announcement_needs_32_bytes() -> None:
    assert ANNOUNCEMENT_BYTES == 32
