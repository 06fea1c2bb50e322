"""Callbacks in the portal: receivers, parameters, the reason for the source, all attempts."""

from datetime import timedelta
from typing import Any

import pytest
from starlette.types import ASGIApp

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.http.http_exchange import (
    AttemptResult,
    OutgoingRequest,
    ReceiverResponseRecord,
    RequestTimings,
)
from ringback.core.http.outcome import DeliveredOutcome, RefusedOutcome
from ringback.core.policy.source_policy import Source
from ringback.ports import Lane, Settlement, Store, Transaction
from tests.fakes import (
    ACCOUNT_SID,
    CALLBACK_SID,
    NOW,
    SIM_SID,
    TOKENS,
    a_callback,
    an_api_key,
    claim_from,
)
from tests.unit.api.caller import Caller
from tests.unit.api.pages import walk
from tests.unit.api.world import THEIRS, error

LIST = "/portal/v1/callbacks"
UNDELIVERED = "/portal/v1/undelivered"
ONE = f"{LIST}/{CALLBACK_SID}"
OTHER = "CB" + "e" * 32
THIRD = "CB" + "d" * 32
HOUR = timedelta(hours=1)
LANE = Lane(ACCOUNT_SID, "http://127.0.0.1:9000")


async def add(store: Store, **kinds: Any) -> None:
    await store.transact(lambda tx: tx.callbacks.add(a_callback(**kinds)))


async def attempt(
    store: Store, *exchanges: AttemptResult, request: OutgoingRequest | None = None
) -> None:
    """Make attempts with these results, one after the other."""

    def work(tx: Transaction) -> None:
        for exchange in exchanges:
            for claim in claim_from(tx, LANE, NOW, limit=1):
                again = claim.progress._replace(due=NOW)
                tx.callbacks.settle([Settlement(claim, again, exchange, NOW, request)])

    await store.transact(work)


async def test_unknown_parameters_of_a_single_record_are_named(
    caller: Caller, store: Store
) -> None:
    await add(store)
    for target in (ONE, f"{ONE}/attempts", f"/portal/v1/devices/{SIM_SID}"):
        answer = await caller.get(f"{target}?Odd=1")
        warned = answer.headers["ringback-warning"]
        assert (answer.status, warned) == (200, "unknown parameters, which had no effect: 'Odd'")


async def test_a_callback_is_shown_with_everything_except_its_secrets(
    caller: Caller, store: Store
) -> None:
    await add(
        store,
        url="http://user:made-up@a.example/p?x=1#cbs=kore&odd=1",
        idempotency_key="order 7",
        order_key="SIM 7",
        replay_of=OTHER,
        round_number=2,
    )
    answer = await caller.get(ONE)
    assert answer.status == 200
    assert answer.json == {
        "sid": CALLBACK_SID,
        "account_sid": ACCOUNT_SID,
        "url": "http://a.example/p?x=1#cbs=kore&odd=1",
        "method": "POST",
        "body": f"ApiVersion=v1&SimUniqueName=my_super_sim&SimSid={SIM_SID}&SimStatus=inactive"
        f"&AccountSid={ACCOUNT_SID}",
        "parameters": {
            "ApiVersion": "v1",
            "SimUniqueName": "my_super_sim",
            "SimSid": SIM_SID,
            "SimStatus": "inactive",
            "AccountSid": ACCOUNT_SID,
        },
        "source": "kore",
        "source_asked": "kore",
        "source_reason": "made up",
        "warnings": ["the fragment key 'odd' is unknown and has no effect"],
        "idempotency_token": TOKENS[Source.KORE],
        "idempotency_key": "order 7",
        "ordering_key": "SIM 7",
        "replay_of": OTHER,
        "is_test": False,
        "stream_sid": None,
        "events": [],
        "secret_id": None,
        "status": "scheduled",
        "status_reason": None,
        "attempt_count": 0,
        "round": 2,
        "date_next_attempt": "2024-07-03T14:40:58Z",
        "waits_because": None,
        "date_created": "2024-07-03T14:40:58Z",
        "date_updated": "2024-07-03T14:40:58Z",
    }


async def test_a_callback_without_a_chosen_source_says_so(caller: Caller, store: Store) -> None:
    await add(store, url="http://a.example", source=Source.TWILIO)
    callback = (await caller.get(ONE)).json
    assert (callback["source"], callback["source_asked"]) == ("twilio", None)


async def test_a_callback_in_progress_has_no_next_attempt(caller: Caller, store: Store) -> None:
    await add(store)
    await store.transact(lambda tx: claim_from(tx, LANE, NOW, limit=1))
    callback = (await caller.get(ONE)).json
    assert (callback["attempt_count"], callback["date_next_attempt"]) == (1, None)


async def test_callbacks_are_listed_newest_first(caller: Caller, store: Store) -> None:
    await add(store)
    await add(store, sid=OTHER)
    callbacks = (await caller.get(LIST)).json["callbacks"]
    assert [callback["sid"] for callback in callbacks] == [OTHER, CALLBACK_SID]
    assert callbacks[1] == {**(await caller.get(ONE)).json, "last_attempt": None}


async def test_a_list_has_the_outcome_of_each_callback_s_last_attempt(
    caller: Caller, store: Store
) -> None:
    await add(store)
    took = RequestTimings(total=12.5)
    await attempt(store, AttemptResult(RefusedOutcome(503)))
    await attempt(store, AttemptResult(RefusedOutcome(500), timings=took))
    for target in (LIST, f"{LIST}?IdempotencyToken={TOKENS[Source.KORE]}"):
        (callback,) = (await caller.get(target)).json["callbacks"]
        assert callback["last_attempt"] == {
            "number": 2,
            "date_started": "2024-07-03T14:40:58Z",
            "duration_ms": 12.5,
            "result": "refused",
            "status_code": 500,
            "error_code": 11217,
            "failure": None,
            "reason": "the receiver answered 500 Internal Server Error",
        }


@pytest.mark.parametrize(
    ("query", "sids"),
    [
        ("Source=kore", [CALLBACK_SID]),
        ("Source=twilio", [OTHER]),
        ("Status=scheduled", [OTHER, CALLBACK_SID]),
        ("Status=delivered", []),
        (f"IdempotencyToken={TOKENS[Source.KORE]}", [CALLBACK_SID]),
        ("IdempotencyToken=", []),
        ("Destination=http://127.0.0.1:9000", [OTHER, CALLBACK_SID]),
        ("Destination=HTTP://127.0.0.1:9000/other", [OTHER, CALLBACK_SID]),
        ("Destination=http://127.0.0.1:9001", []),
        ("UrlPrefix=http://127.0.0.1:9000/pa", [OTHER, CALLBACK_SID]),
        ("UrlPrefix=http://127.0.0.1:9000/other", []),
        ("Text=MY_SUPER", [OTHER, CALLBACK_SID]),
        (f"Text={OTHER}", [OTHER]),
        (f"Text={TOKENS[Source.KORE][:9].lower()}", [CALLBACK_SID]),
        ("Text=", [OTHER, CALLBACK_SID]),
        ("Text=nowhere", []),
    ],
)
async def test_callbacks_are_filtered(
    caller: Caller, store: Store, query: str, sids: list[str]
) -> None:
    await add(store)
    await add(store, sid=OTHER, source=Source.TWILIO)
    callbacks = (await caller.get(f"{LIST}?{query}")).json["callbacks"]
    assert [callback["sid"] for callback in callbacks] == sids


@pytest.mark.parametrize(
    ("query", "sids"),
    [
        ("Event=sim", [CALLBACK_SID]),
        ("Event=sms", [OTHER]),
        ("Event=test_event", [THIRD]),
        ("Event=wireless", []),
        (f"SimSid={SIM_SID}", [OTHER, CALLBACK_SID]),
        (f"SimSid={SIM_SID}&Event=sms", [OTHER]),
        ("SimSid=DE" + "0" * 32, []),
    ],
)
@pytest.mark.parametrize("target", [LIST, UNDELIVERED])
async def test_callbacks_are_filtered_by_their_event_and_their_sim(
    caller: Caller, store: Store, target: str, query: str, sids: list[str]
) -> None:
    ended = {"status": CallbackStatus.FAILED, "due": None}
    await add(store, **ended)
    await add(store, sid=OTHER, body=f"CommandSid=HC1&SimSid={SIM_SID}&Status=sent", **ended)
    await add(store, sid=THIRD, body="[]", is_test=True, **ended)
    await add(store, sid="CB" + "c" * 32, body="OrderId=7", **ended)
    callbacks = (await caller.get(f"{target}?{query}")).json["callbacks"]
    assert [callback["sid"] for callback in callbacks] == sids


ALL = [THIRD, OTHER, CALLBACK_SID]


@pytest.mark.parametrize(
    ("query", "sids"),
    [
        ("CreatedAfter=2024-07-03T14:40:58Z", ALL),
        ("CreatedAfter=2024-07-03T14:40:58.000001Z", [THIRD, OTHER]),
        ("CreatedAfter=2024-07-03T17:40:58%2B02:00", [THIRD, OTHER]),
        ("CreatedBefore=2024-07-03T15:40:58Z", [CALLBACK_SID]),
        ("CreatedAfter=2024-07-03T15:00Z&CreatedBefore=2024-07-03T16:00Z", [OTHER]),
    ],
)
async def test_callbacks_are_filtered_by_their_creation(
    caller: Caller, store: Store, query: str, sids: list[str]
) -> None:
    for number, sid in enumerate([CALLBACK_SID, OTHER, THIRD]):
        await add(store, sid=sid, now=NOW + number * HOUR)
    callbacks = (await caller.get(f"{LIST}?{query}")).json["callbacks"]
    assert [callback["sid"] for callback in callbacks] == sids


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "Status=lost",
            "Status='lost': Status must be one of scheduled, delivered, failed, discarded,"
            " undelivered",
        ),
        (
            "CreatedAfter=yesterday",
            "CreatedAfter='yesterday': it must be a date and time like 2026-11-24T10:00:00Z",
        ),
        (
            "CreatedBefore=2024-07-03T15:00:00",
            (
                "CreatedBefore='2024-07-03T15:00:00': it has no time zone; append Z for UTC,"
                " or an offset like +02:00"
            ),
        ),
        (
            "Destination=a.example",
            "Destination: 'a.example' is not a valid URL; it must be like https://host/path",
        ),
        (
            "Event=sim.active",
            "Event='sim.active': Event must be one of esim, sms, ip, command, sim, wireless,"
            " test_event, connection, destination.failing, destination.opened,"
            " destination.recovered, destination.paused, destination.disabled, destination.test,"
            " callback.exhausted",
        ),
        (f"Text={'x' * 201}", "Text has 201 characters; the text to search for has at most 200"),
        (
            "SimSid=my_super_sim",
            "SimSid='my_super_sim': SimSid must be the SID of a SIM: HS (Super SIM) or DE"
            " (Programmable Wireless), and 32 hexadecimal digits",
        ),
    ],
)
async def test_an_invalid_filter_says_why(caller: Caller, query: str, message: str) -> None:
    assert (await caller.get(f"{LIST}?{query}")).json == error(400, 83600, message)


async def add_one_of_each_status(store: Store) -> dict[str, str]:
    """Add a callback for each status, and return their SIDs."""
    sids = {status.value: f"CB{number:032}" for number, status in enumerate(CallbackStatus)}
    for status in CallbackStatus:
        await add(store, sid=sids[status], status=status, due=None)
    return sids


@pytest.mark.parametrize("target", [UNDELIVERED, f"{LIST}?Status=undelivered"])
async def test_undelivered_callbacks_are_failed_or_discarded(
    caller: Caller, store: Store, target: str
) -> None:
    sids = await add_one_of_each_status(store)
    listed = (await caller.get(target)).json["callbacks"]
    assert [each["sid"] for each in listed] == [sids["discarded"], sids["failed"]]


async def test_undelivered_is_paged_and_filtered(caller: Caller, store: Store) -> None:
    sids = await add_one_of_each_status(store)
    page = (await caller.get(f"{UNDELIVERED}?PageSize=1&Source=kore")).json
    assert [each["sid"] for each in page["callbacks"]] == [sids["discarded"]]
    query = page["meta"]["next_page_url"].partition("?")[2]
    page = (await caller.get(f"{UNDELIVERED}?{query}")).json
    assert [each["sid"] for each in page["callbacks"]] == [sids["failed"]]
    assert page["meta"]["next_page_url"] is None
    assert (await caller.get(f"{UNDELIVERED}?Source=twilio")).json["callbacks"] == []


@pytest.fixture
def few_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringback.api.paging.EXAMINED", 3)


@pytest.mark.usefixtures("few_examined")
async def test_pages_that_examine_few_callbacks_lead_through_the_whole_list(
    caller: Caller, store: Store
) -> None:
    wanted = (1, 2, 9)
    for number in range(14):
        source = Source.KORE if number in wanted else Source.TWILIO
        await add(store, sid=f"CB{number:032x}", source=source)
    pages = [page async for page in walk(caller, f"{LIST}?Source=kore&PageSize=2")]
    found = [[int(one["sid"][2:], 16) for one in page["callbacks"]] for page in pages]
    assert found == [[], [9], [], [2], [1]]
    back = [page async for page in walk(caller, _previous(pages[-1]), by="previous_page_url")]
    found = [[int(one["sid"][2:], 16) for one in page["callbacks"]] for page in back]
    assert [number for page in found for number in page] == [2, 9]
    # Each page, even an empty one, has links in both directions.
    onwards = [page async for page in walk(caller, back[0]["meta"]["next_page_url"])]
    assert [one["sid"] for page in onwards for one in page["callbacks"]] == [f"CB{1:032x}"]


@pytest.mark.usefixtures("few_examined")
@pytest.mark.parametrize("target", [f"{LIST}?Text=nowhere", f"{UNDELIVERED}?Text=nowhere"])
async def test_a_page_says_how_far_it_was_searched(
    caller: Caller, store: Store, target: str
) -> None:
    for number in range(4):
        failed = {"status": CallbackStatus.FAILED, "due": None}
        await add(store, sid=f"CB{number:032x}", now=NOW + number * HOUR, **failed)
    pages = [page async for page in walk(caller, target)]
    assert [page["meta"]["searched_to"] for page in pages] == ["2024-07-03T15:40:58Z", None]
    assert [page["callbacks"] for page in pages] == [[], []]


def _previous(page: dict[str, Any]) -> str:
    return page["meta"]["previous_page_url"]


async def test_undelivered_has_its_status_and_accepts_no_other(caller: Caller) -> None:
    answer = await caller.get(f"{UNDELIVERED}?Status=delivered")
    assert answer.headers["ringback-warning"] == "unknown parameters, which had no effect: 'Status'"


async def test_the_values_of_a_parameter_that_repeats_are_a_list(
    caller: Caller, store: Store
) -> None:
    await add(store, body="a=1&b=2&a=3&c=")
    assert (await caller.get(ONE)).json["parameters"] == {"a": ["1", "3"], "b": "2", "c": ""}


async def test_attempts_are_listed_in_the_order_in_which_they_were_made(
    caller: Caller, store: Store
) -> None:
    await add(store)
    await attempt(store, AttemptResult(RefusedOutcome(503)), AttemptResult(DeliveredOutcome(200)))
    attempts = (await caller.get(f"{ONE}/attempts")).json["attempts"]
    assert [(each["number"], each["result"]) for each in attempts] == [
        (1, "refused"),
        (2, "delivered"),
    ]


async def test_an_earlier_attempt_shows_the_first_part_of_its_answer_and_the_missing_size(
    caller: Caller, store: Store
) -> None:
    await add(store)
    headers = (("A", "a"), ("B", "b" * 3000))
    long = ReceiverResponseRecord(500, headers, b"x" * 65536, is_cut=True)
    short = ReceiverResponseRecord(200, (), b"")
    await attempt(
        store,
        AttemptResult(RefusedOutcome(500), response=long),
        AttemptResult(DeliveredOutcome(200), response=short),
    )
    first, _ = (await caller.get(f"{ONE}/attempts")).json["attempts"]
    assert first["response"] == {
        "status": 500,
        "headers": [["A", "a"]],
        "body": "x" * 1024,
        "is_cut": True,
        "headers_left_out": 1,
        "body_left_out": 64512,
    }


async def test_only_the_operator_sees_the_address_of_the_proxy(
    app: ASGIApp, caller: Caller, store: Store
) -> None:
    await add(store)
    refused = AttemptResult(RefusedOutcome(503), proxy="http://proxy.example:3128")
    await attempt(store, refused)
    key = an_api_key(account_sid=None)
    await store.transact(lambda tx: tx.accounts.keys.add(key))
    operator = Caller(app, credentials=(key.sid, "made-up-key-secret"))
    for by, shown in ((caller, "the operator's proxy"), (operator, refused.proxy)):
        (one,) = (await by.get(f"{ONE}/attempts")).json["attempts"]
        assert one["proxy"] == shown


async def test_an_attempt_shows_the_sent_request_and_the_answer(
    caller: Caller, store: Store
) -> None:
    await add(store)
    await attempt(
        store,
        AttemptResult(
            RefusedOutcome(503),
            RequestTimings(12.5, look_up=1.5, connect=2.5, first_byte=7.5),
            ReceiverResponseRecord(
                503, (("Retry-After", "9"), ("X", "1")), b"busy \xff", is_cut=True
            ),
            local_address="192.0.2.1",
            proxy="http://proxy.example:3128",
        ),
        request=OutgoingRequest.with_headers(
            "POST", CallbackUrl.parse("http://a.example/"), (("Host", "a.example"),), b"SimSid=HS1"
        ),
    )
    attempts = (await caller.get(f"{ONE}/attempts")).json["attempts"]
    assert attempts == [
        {
            "callback_sid": CALLBACK_SID,
            "number": 1,
            "date_started": "2024-07-03T14:40:58Z",
            "duration_ms": 12.5,
            "timings": {
                "look_up_ms": 1.5,
                "connect_ms": 2.5,
                "tls_ms": None,
                "first_byte_ms": 7.5,
                "total_ms": 12.5,
            },
            "local_address": "192.0.2.1",
            "proxy": "the operator's proxy",
            "result": "refused",
            "status_code": 503,
            "error_code": 11217,
            "failure": None,
            "reason": "the receiver answered 503 Service Unavailable",
            "request": {
                "method": "POST",
                "url": "http://a.example/",
                "headers": [["Host", "a.example"]],
                "body": "SimSid=HS1",
            },
            "response": {
                "status": 503,
                "headers": [["Retry-After", "9"], ["X", "1"]],
                "body": "busy �",
                "is_cut": True,
                "headers_left_out": 0,
                "body_left_out": 0,
            },
        }
    ]


async def test_an_attempt_in_progress_is_open(caller: Caller, store: Store) -> None:
    await add(store)
    await store.transact(lambda tx: claim_from(tx, LANE, NOW, limit=1))
    (each,) = (await caller.get(f"{ONE}/attempts")).json["attempts"]
    assert each["result"] == "open"
    assert [each[name] for name in ("request", "response", "timings", "duration_ms")] == [None] * 4


@pytest.mark.parametrize("tail", ["", "/attempts"])
@pytest.mark.parametrize("sid", [OTHER, "CB1", "nobody"])
async def test_an_unknown_callback_is_not_found(caller: Caller, sid: str, tail: str) -> None:
    assert (await caller.get(f"{LIST}/{sid}{tail}")).json == error(
        404, 20404, f"there is no callback with the SID {sid!r}"
    )


async def test_callbacks_of_another_account_are_not_shown(caller: Caller, store: Store) -> None:
    await add(store, account_sid=THEIRS)
    assert (await caller.get(LIST)).json["callbacks"] == []
    assert (await caller.get(ONE)).status == 404
    assert (await caller.get(f"{ONE}/attempts")).status == 404


async def test_the_record_shows_the_url_given_with_an_update(caller: Caller) -> None:
    url = "https://user:made-up@a.example/path?foo=bar#rc=2&cbs=kore"
    await caller.post(f"/v1/Sims/{SIM_SID}", {"Status": "active", "CallbackUrl": url})
    (callback,) = (await caller.get(LIST)).json["callbacks"]
    assert callback["url"] == CallbackUrl.parse(url).shown
    assert "made-up" not in str(callback)
    assert callback["source_reason"] == "the URL asks for it: #cbs=kore"
