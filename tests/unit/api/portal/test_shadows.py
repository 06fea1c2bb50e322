"""Shadow copies in the portal, compared with the responses to the callbacks."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from starlette.types import ASGIApp

from ringback.api.app import create_app
from ringback.api.portal.shadows import MOST_URLS
from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.http.http_exchange import (
    AttemptResult,
    ReceiverResponseRecord,
    RequestTimings,
    SentRequestRecord,
)
from ringback.core.http.outcome import DeliveredOutcome, RefusedOutcome
from ringback.core.policy.source_policy import Source
from ringback.core.shadows.shadow import (
    SHADOW_BYTES,
    ShadowCallback,
    ShadowQueryParameter,
    ShadowRule,
    copy_of,
)
from ringback.operations.shadow_reports import CHUNK
from ringback.ports import Settlement, Store, Transaction, lane_of
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, NOW, a_callback, a_fleet, an_api_key, claim_from
from tests.unit.api.caller import Caller
from tests.unit.api.world import THEIRS, dependencies_on

LIST = "/portal/v1/shadows"
REPORT = f"{LIST}/report"
SECOND = timedelta(seconds=1)
RULE = ShadowRule(Source.TWILIO, ShadowQueryParameter("shadow=1"))
URL = "http://user:made-up@a.example/p?x=1#cbs=kore"


def answered(status: int, body: bytes, took: float = 4.0) -> AttemptResult:
    outcome = DeliveredOutcome(status) if status < 300 else RefusedOutcome(status)
    return AttemptResult(
        outcome, RequestTimings(took), ReceiverResponseRecord(status, (("A", "b"),), body)
    )


GOOD = answered(200, b"ok")
BAD = answered(401, b"bad signature", 8.0)


def add_pair(
    tx: Transaction,
    number: int,
    *,
    copy: AttemptResult | None,
    first: AttemptResult = GOOD,
    url: str = URL,
    account_sid: str = ACCOUNT_SID,
) -> ShadowCallback:
    """Add a callback whose first attempt ended with `first`, and a copy that ended with `copy`.

    Without a result the copy is in progress.
    """
    callback = a_callback(sid=f"CB{number:032x}", url=url, account_sid=account_sid)
    tx.callbacks.add(callback)
    (claim,) = claim_from(tx, lane_of(callback), NOW, limit=1)
    later = claim.progress._replace(due=NOW + timedelta(days=1))
    tx.callbacks.settle([Settlement(claim, later, first, NOW)])
    now = NOW + number * SECOND
    shadow = ShadowCallback.opened(
        copy_of(callback, RULE, random_bytes=number.to_bytes(SHADOW_BYTES), now=now), of=callback
    )
    tx.shadows.open([shadow])
    if copy is not None:
        request = SentRequestRecord("POST", url, "POST /p HTTP/1.1\r\nHost: a.example", "A=1")
        shadow = shadow.settled(copy, request, started=now)
        tx.shadows.settle([shadow])
    return shadow


async def add(store: Store, number: int, **pair: Any) -> ShadowCallback:
    return await store.transact(lambda tx: add_pair(tx, number, **pair))


async def sids(caller: Caller, **query: str) -> list[str]:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    answer = await caller.get(f"{LIST}?{asked}")
    assert answer.status == 200
    return [one["sid"] for one in answer.json["shadows"]]


async def test_a_copy_is_shown_with_everything_except_its_secrets(
    caller: Caller, store: Store
) -> None:
    shadow = await add(store, 1, copy=BAD)
    (shown,) = (await caller.get(LIST)).json["shadows"]
    assert shown == {
        "sid": shadow.sid,
        "callback_sid": f"CB{1:032x}",
        "account_sid": ACCOUNT_SID,
        "source": "twilio",
        "idempotency_token": shadow.idempotency_token,
        "url": "http://a.example/p?x=1&shadow=1#cbs=kore",
        "body": None,
        "date_started": "2024-07-03T14:40:59Z",
        "duration_ms": 8.0,
        "timings": {
            "look_up_ms": None,
            "connect_ms": None,
            "tls_ms": None,
            "first_byte_ms": None,
            "total_ms": 8.0,
        },
        "local_address": None,
        "proxy": None,
        "result": "refused",
        "status_code": 401,
        "error_code": 11217,
        "failure": None,
        "reason": "the receiver answered 401 Unauthorized",
        "request": {"line": "POST /p HTTP/1.1", "headers": [["Host", "a.example"]]},
        "response": {
            "status": 401,
            "headers": [["A", "b"]],
            "body": "bad signature",
            "is_cut": False,
            "headers_left_out": 0,
            "body_left_out": 0,
        },
        "comparison": {
            "callback_sid": f"CB{1:032x}",
            "shadow_sid": shadow.sid,
            "url": "http://a.example/p?x=1#cbs=kore",
            "first": {
                "source": "kore",
                "result": "delivered",
                "status_code": 200,
                "failure": None,
                "duration_ms": 4.0,
                "body_excerpt": "ok",
            },
            "copy": {
                "source": "twilio",
                "result": "refused",
                "status_code": 401,
                "failure": None,
                "duration_ms": 8.0,
                "body_excerpt": "bad signature",
            },
            "is_known": True,
            "is_same": False,
            "meaning": "the receiver refuses twilio's signature",
        },
    }


async def test_a_copy_in_progress_has_no_answer_and_is_not_compared(
    caller: Caller, store: Store
) -> None:
    await add(store, 1, copy=None)
    (shown,) = (await caller.get(LIST)).json["shadows"]
    assert (shown["result"], shown["request"], shown["response"]) == ("open", None, None)
    assert shown["comparison"]["is_known"] is shown["comparison"]["is_same"] is False


async def test_a_list_is_filtered_and_paged(caller: Caller, store: Store) -> None:
    one, two, three = [(await add(store, number, copy=GOOD)).sid for number in (1, 2, 3)]
    assert await sids(caller) == [three, two, one]
    assert await sids(caller, Source="kore") == []
    assert await sids(caller, Source="twilio") == [three, two, one]
    assert await sids(caller, CallbackSid=f"CB{2:032x}") == [two]
    assert await sids(caller, Since="2024-07-03T14:41:00Z") == [three, two]
    first = await caller.get(f"{LIST}?PageSize=2&Since=2024-07-03T14:40:00Z")
    second = await caller.get(
        first.json["meta"]["next_page_url"].removeprefix("http://127.0.0.1:8080")
    )
    assert [page["sid"] for page in second.json["shadows"]] == [one]


async def test_an_invalid_list_filter_is_refused(caller: Caller) -> None:
    answer = await caller.get(f"{LIST}?Since=yesterday")
    assert answer.status == 400
    assert answer.json["message"].startswith("Since='yesterday':")


async def test_a_report_shows_differences_and_durations_for_each_url(
    caller: Caller, store: Store
) -> None:
    await add(store, 1, copy=GOOD, url="http://b.example/")
    for number in (2, 3):
        await add(store, number, copy=BAD)
    await add(store, 4, copy=GOOD)
    await add(store, 5, copy=answered(200, b"OK"))
    await add(store, 6, copy=None)
    report = (await caller.get(REPORT)).json
    assert {name: report[name] for name in ("pairs", "same", "differing", "unknown")} == {
        "pairs": 6,
        "same": 2,
        "differing": 3,
        "unknown": 1,
    }
    assert (report["since"], report["skipped"], report["urls_left_out"]) == (None, {}, 0)
    worst, other = report["urls"]
    assert (worst["url"], worst["pairs"]) == ("http://a.example/p?x=1#cbs=kore", 5)
    assert worst["times"] == {
        "first": {"p50_ms": 4.0, "p95_ms": 4.0},
        "copy": {"p50_ms": 4.0, "p95_ms": 8.0},
    }
    assert [
        (kind["first"], kind["copy"], kind["count"], kind["meaning"])
        for kind in worst["differences"]
    ] == [
        ("200", "401", 2, "the receiver refuses twilio's signature"),
        ("200", "200", 1, "both got the same answer, except for the body"),
    ]
    # The newest difference of its kind is the example.
    assert worst["differences"][0]["example"]["callback_sid"] == f"CB{3:032x}"
    assert (other["url"], other["same"], other["differences"]) == ("http://b.example/", 1, [])


async def test_a_report_covers_copies_sent_since_an_instant(caller: Caller, store: Store) -> None:
    for number in (1, 2, 3):
        await add(store, number, copy=GOOD)
    report = (await caller.get(f"{REPORT}?Since=2024-07-03T14:41:00Z")).json
    assert (report["since"], report["pairs"]) == ("2024-07-03T14:41:00Z", 2)


async def test_without_any_copy_a_report_is_empty(caller: Caller) -> None:
    assert (await caller.get(REPORT)).json == {
        "since": None,
        "pairs": 0,
        "same": 0,
        "differing": 0,
        "unknown": 0,
        "moved": 0,
        "groups": {"reason": [], "account": [], "host": []},
        "skipped": {},
        "urls": [],
        "urls_left_out": 0,
    }


async def test_a_long_report_is_read_in_parts_and_lists_the_worst_urls(
    caller: Caller, store: Store
) -> None:
    def add_many(tx: Transaction) -> None:
        for number in range(MOST_URLS + 3):
            is_worst = number == MOST_URLS + 2
            url = f"http://{number:03}.example/"
            add_pair(tx, number, copy=BAD if is_worst else GOOD, url=url)

    await store.transact(add_many)
    assert MOST_URLS + 3 > CHUNK
    report = (await caller.get(REPORT)).json
    assert (report["pairs"], len(report["urls"]), report["urls_left_out"]) == (503, MOST_URLS, 3)
    assert report["urls"][0]["differing"] == 1


async def test_an_account_sees_only_its_own_copies(caller: Caller, store: Store) -> None:
    ours = await add(store, 1, copy=GOOD)
    await add(store, 2, copy=GOOD, account_sid=THEIRS)
    assert await sids(caller) == [ours.sid]
    assert (await caller.get(REPORT)).json["pairs"] == 1


async def test_skipped_copies_are_counted_for_the_authenticated_account(store: Store) -> None:
    dependencies = replace(
        dependencies_on(store), skipped_copies=lambda account_sid: {account_sid: 7}
    )
    caller = Caller(create_app(dependencies, beside=()), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    assert (await caller.get(REPORT)).json["skipped"] == {ACCOUNT_SID: 7}


@pytest.mark.parametrize("path", [LIST, REPORT])
async def test_without_credentials_nothing_is_shown(store: Store, path: str) -> None:
    caller = Caller(create_app(dependencies_on(store), beside=()), credentials=None)
    assert (await caller.get(path)).status == 401


async def test_the_operators_report_is_by_account_and_says_how_each_url_is_stored(
    app: ASGIApp, store: Store
) -> None:
    await add(store, 1, copy=GOOD)
    await add(store, 2, copy=BAD, account_sid=THEIRS)
    stored = CallbackUrl.parse("http://a.example/p?x=1#cbs=twilio")

    def work(tx: Transaction) -> None:
        tx.accounts.keys.add(an_api_key("SK" + "0" * 32, None, "operator's"))
        fleet = a_fleet(account_sid=THEIRS)
        tx.supersim.fleets.add(replace(fleet, ip_commands=CallbackTarget(stored)))

    await store.transact(work)
    operator = Caller(app, credentials=("SK" + "0" * 32, "operator's"))
    report = (await operator.get(REPORT)).json
    now = {one["account_sid"]: one["now"] for one in report["urls"]}
    assert now[THEIRS] == {
        "url": stored.shown,
        "use": "stored",
        "source": "twilio",
        "reason": "the URL asks for it: #cbs=twilio",
        "is_moved": True,
    }
    assert (now[ACCOUNT_SID]["url"], now[ACCOUNT_SID]["use"]) == (
        "http://a.example/p?x=1#cbs=kore",
        "requests",
    )
    assert report["moved"] == 1
    # Those that have not moved come first.
    numbers = {"urls": 1, "pairs": 1}
    assert report["groups"]["account"] == [
        {"name": ACCOUNT_SID, **numbers, "moved": 0, "differing": 0},
        {"name": THEIRS, **numbers, "moved": 1, "differing": 1},
    ]
    assert report["groups"]["host"] == [
        {"name": "a.example", "urls": 2, "moved": 1, "pairs": 2, "differing": 1}
    ]


async def test_of_several_stored_forms_the_same_one_counts_or_else_the_newest(
    caller: Caller, store: Store
) -> None:
    await add(store, 1, copy=GOOD)
    forms = ["http://a.example/p?x=1#rc=2", "http://a.example/p?x=1#rc=3"]

    async def set_url(number: int, url: str) -> None:
        fleet = a_fleet(sid=f"HF{number:032x}", unique_name=None, sms_commands_url=url)
        changed = replace(fleet, date_updated=NOW + number * SECOND)
        await store.transact(lambda tx: tx.supersim.fleets.add(changed))

    for number, form in enumerate(forms):
        await set_url(number, form)
    (shown,) = (await caller.get(REPORT)).json["urls"]
    assert shown["now"]["url"] == forms[1]
    await set_url(7, "http://a.example/p?x=1#cbs=kore")
    await set_url(8, forms[0])
    (shown,) = (await caller.get(REPORT)).json["urls"]
    assert shown["now"]["url"] == shown["url"] == "http://a.example/p?x=1#cbs=kore"
