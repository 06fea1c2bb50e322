"""Test events and rehearsals in the portal."""

import json
from dataclasses import replace
from typing import Any

import pytest

from ringback.core.accounts.webhook_secret import WebhookSecret
from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.policy.source_policy import Source
from ringback.ports import Store
from tests.callback_queues import RecordingQueue
from tests.fakes import ACCOUNT_SID, NOW, a_callback, a_fleet, a_secret, an_account
from tests.unit.api.caller import Caller
from tests.unit.api.world import called_back, error

TEST_EVENTS, REHEARSALS = "/portal/v1/test_events", "/portal/v1/rehearsals"
URL = "https://a.example/hook?x=1"
PENDING = a_secret("the pending one", name="second")


async def have_pending(store: Store, pending: WebhookSecret = PENDING) -> None:
    account = an_account()
    rotating = replace(account, webhook_secrets=account.webhook_secrets.with_new(pending))
    await store.transact(lambda tx: tx.accounts.save(rotating))


def urls(answer: Any) -> list[str]:
    return [each["url"] for each in answer["callbacks"]]


# ---- test events ---------------------------------------------------------------------------------


async def test_a_test_event_is_sent_and_answered(
    caller: Caller, store: Store, callback_queue: RecordingQueue
) -> None:
    answer = await caller.post(TEST_EVENTS, {"Url": URL, "Method": "GET"})
    assert answer.status == 201
    (made,) = await called_back(store)
    assert answer.json["sid"] == made.sid
    assert (made.is_test, made.secret_id, made.method, made.url.wire) == (True, None, "GET", URL)
    assert (callback_queue.asked, callback_queue.taken) == ([(ACCOUNT_SID, 1)], [made.sid])


async def test_its_record_shows_the_event_and_no_parameters(caller: Caller) -> None:
    made = (await caller.post(TEST_EVENTS, {"Url": URL})).json
    record = (await caller.get(f"/portal/v1/callbacks/{made['sid']}")).json
    assert record == made
    assert (record["method"], record["parameters"], record["is_test"]) == ("POST", {}, True)
    (event,) = json.loads(record["body"])
    assert event["type"] == "com.kore.eventstreams.test.event"


@pytest.mark.parametrize("fragment", ["", "#cbs=kore", "#cbs=twilio"])
async def test_a_test_event_always_comes_from_kore(
    caller: Caller, store: Store, fragment: str
) -> None:
    await caller.post(TEST_EVENTS, {"Url": URL + fragment})
    (made,) = await called_back(store)
    assert (made.source, made.source_reason) == (Source.KORE, "test events always come from kore")
    assert made.idempotency_token.startswith("RQ")


@pytest.mark.parametrize(
    ("form", "code", "message"),
    [
        ({}, 20002, "Url is required and was not given"),
        ({"Url": "ftp://a"}, 11100, "'ftp://a': callbacks go to http:// or https://, not ftp://"),
    ],
)
async def test_without_a_valid_url_nothing_is_sent(
    caller: Caller, store: Store, form: dict[str, str], code: int, message: str
) -> None:
    answer = await caller.post(TEST_EVENTS, form)
    assert answer.json == error(400, code, message)
    assert await called_back(store) == []


async def test_a_test_event_is_not_replayed_from_the_other_source(
    caller: Caller, store: Store
) -> None:
    failed = a_callback(is_test=True, body="[]", status=CallbackStatus.FAILED, due=None)
    await store.transact(lambda tx: tx.callbacks.add(failed))
    answer = await caller.post(
        f"/portal/v1/callbacks/{failed.sid}/replay", {"AsOtherSource": "yes"}
    )
    assert answer.status == 409
    many = {"Sids": failed.sid, "AsOtherSource": "yes"}
    for dry_run in ("yes", "no"):
        answer = await caller.post("/portal/v1/replays", {**many, "DryRun": dry_run})
        assert (answer.json["replayed"], answer.json["skipped"]) == (0, {"test": 1})


# ---- rehearsals ----------------------------------------------------------------------------------


async def test_a_rehearsal_goes_to_all_destinations_and_is_signed_by_the_pending_secret(
    caller: Caller, store: Store, callback_queue: RecordingQueue
) -> None:
    await have_pending(store)
    fleet = a_fleet(sms_commands_url="https://a.example/sms", ip_commands_url=URL)
    await store.transact(lambda tx: tx.supersim.fleets.save(fleet))
    answer = await caller.post(REHEARSALS, {})
    assert answer.status == 201
    assert answer.json["secret_id"] == PENDING.id
    assert "https://a.example/sms" in urls(answer.json)
    assert URL in urls(answer.json)
    made = await called_back(store)
    assert {each.sid for each in made} == {each["sid"] for each in answer.json["callbacks"]}
    assert {(each.is_test, each.secret_id) for each in made} == {(True, PENDING.id)}
    assert callback_queue.asked == [(ACCOUNT_SID, len(made))]


async def test_a_rehearsal_goes_to_the_given_urls_instead(caller: Caller, store: Store) -> None:
    await have_pending(store)
    named = [("Url", "https://b.example/"), ("Url", "https://c.example/")]
    answer = await caller.post(REHEARSALS, named)
    assert urls(answer.json) == ["https://b.example/", "https://c.example/"]


async def test_a_rehearsal_sends_forgeries_only_on_request(
    caller: Caller, store: Store, callback_queue: RecordingQueue
) -> None:
    await have_pending(store)
    assert (await caller.post(REHEARSALS, {"Url": URL})).json["forgeries"] == []
    answer = await caller.post(REHEARSALS, {"Url": URL, "Forgeries": "yes"})
    (genuine,), (forged,) = answer.json["callbacks"], answer.json["forgeries"]
    assert (genuine["secret_id"], forged["secret_id"]) == (PENDING.id, "forged")
    assert forged["url"] == URL
    assert forged["source_reason"].endswith("this one is forged, and receivers must refuse it")
    assert [count for _, count in callback_queue.asked] == [1, 2]


async def test_without_a_pending_secret_a_rehearsal_is_refused(
    caller: Caller, store: Store
) -> None:
    answer = await caller.post(REHEARSALS, {"Url": URL})
    message = "no webhook secret is pending, so there is nothing to test; create a new secret first"
    assert answer.json == error(409, 20409, message)
    assert await called_back(store) == []


async def test_an_activated_secret_is_no_longer_rehearsed(caller: Caller, store: Store) -> None:
    await have_pending(store)
    assert (await caller.post(REHEARSALS, {"Url": URL})).status == 201
    active = replace(
        an_account(),
        webhook_secrets=an_account().webhook_secrets.with_new(PENDING).with_activated(NOW),
    )
    await store.transact(lambda tx: tx.accounts.save(active))
    assert (await caller.post(REHEARSALS, {"Url": URL})).status == 409


async def test_without_configured_urls_a_url_has_to_be_given(caller: Caller, store: Store) -> None:
    await have_pending(store)

    def unset(tx: Any) -> None:
        for sim in list(tx.wireless.sims.records.values()):
            tx.wireless.sims.remove(sim.sid)

    await store.transact(unset)
    answer = await caller.post(REHEARSALS, {})
    message = "this account has no configured URLs and no callbacks yet; give URLs with Url"
    assert answer.json == error(409, 20409, message)


async def test_the_number_of_given_urls_is_limited(caller: Caller, store: Store) -> None:
    await have_pending(store)
    answer = await caller.post(REHEARSALS, [("Url", URL)] * 101)
    assert answer.json == error(400, 83600, "Url is given 101 times; at most 100 URLs are allowed")
