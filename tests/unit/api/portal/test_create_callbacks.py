"""`POST /portal/v1/callbacks`: a client's own events, one or many, all or none."""

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from ringback.api.app import create_app
from ringback.api.cooperative_yield import CooperativeYield
from ringback.api.portal import create_callbacks
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.errors import StoreUnavailable
from ringback.ports import Store, Transaction
from tests.callback_queues import BatchesAtOnce, RecordingQueue
from tests.counting_store import CountingStore
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, NOW, SeededRandomness, a_context
from tests.unit.api.caller import Answer, Caller
from tests.unit.api.world import (
    THEIRS,
    app_on,
    called_back,
    dependencies_on,
    error,
    only_https,
    refusal,
)

T = TypeVar("T")

TARGET = "/portal/v1/callbacks"
URL = "http://user:made-up@a.example/p?x=1#cbs=kore"
JSON = {"content-type": "application/json"}


async def send(caller: Caller, document: Any) -> Answer:
    return await caller.call("POST", TARGET, json.dumps(document).encode(), headers=JSON)


async def send_raw(caller: Caller, *body: bytes, **headers: str) -> Answer:
    return await caller.call("POST", TARGET, *body, headers=JSON | headers)


def one(**fields: Any) -> dict[str, Any]:
    return {"url": URL, "parameters": {"a": "1"}} | fields


# ---- storing and responding ----------------------------------------------------------------------


async def test_a_callback_is_answered_with_its_record(caller: Caller, store: Store) -> None:
    answer = await send(
        caller,
        one(parameters={"Zone": "EU & UK", "Id": 7, "Last": True}, idempotency_key="order 7"),
    )
    assert answer.status == 201
    assert answer.headers["content-type"] == "application/json"
    (callback,) = await called_back(store)
    assert answer.json == {
        "sid": callback.sid,
        "account_sid": ACCOUNT_SID,
        "url": "http://a.example/p?x=1#cbs=kore",
        "method": "POST",
        "body": "Zone=EU+%26+UK&Id=7&Last=true",
        "parameters": {"Zone": "EU & UK", "Id": "7", "Last": "true"},
        "source": "kore",
        "source_asked": "kore",
        "source_reason": "the URL asks for it: #cbs=kore",
        "warnings": [],
        "idempotency_token": callback.idempotency_token,
        "idempotency_key": "order 7",
        "ordering_key": None,
        "replay_of": None,
        "is_test": False,
        "stream_sid": None,
        "events": [],
        "secret_id": None,
        "status": "scheduled",
        "status_reason": None,
        "attempt_count": 0,
        "round": 0,
        "date_next_attempt": "2024-07-03T14:40:58Z",
        "waits_because": None,
        "date_created": "2024-07-03T14:40:58Z",
        "date_updated": "2024-07-03T14:40:58Z",
    }
    assert callback.url.credentials == "user:made-up"
    assert (await caller.get(f"{TARGET}/{callback.sid}")).json == answer.json


async def test_many_are_answered_in_their_order(caller: Caller, store: Store) -> None:
    numbers = range(1000)
    items = [one(parameters={"n": number}) for number in numbers]
    answer = await send(caller, {"callbacks": items})
    assert answer.status == 201
    assert list(answer.json) == ["callbacks"]
    assert [each["body"] for each in answer.json["callbacks"]] == [f"n={n}" for n in numbers]
    kept = [callback.body for callback in (await called_back(store))[::-1]]
    assert kept == [f"n={n}" for n in numbers[1:]]  # a page ends after 999


async def test_a_batch_of_one_is_answered_as_a_batch(caller: Caller) -> None:
    assert len((await send(caller, {"callbacks": [one()]})).json["callbacks"]) == 1


@pytest.mark.parametrize(
    ("fields", "method"), [({}, "POST"), ({"method": "POST"}, "POST"), ({"method": "GET"}, "GET")]
)
async def test_the_method_is_post_by_default(
    caller: Caller, store: Store, fields: dict[str, str], method: str
) -> None:
    assert (await send(caller, one(**fields))).json["method"] == method
    (callback,) = await called_back(store)
    assert callback.method is HttpMethod(method)


@pytest.mark.parametrize(
    ("told", "body"),
    [
        ({}, ""),
        ({"a": ""}, "a="),
        ({"b": "2", "a": "1"}, "b=2&a=1"),
        ({"a": ["1", 2, False]}, "a=1&a=2&a=false"),
        ({"n": -7, "m": 9007199254740993, "x": 1.5, "y": 0.1, "z": -0.0}, None),
        ({"t": "Grüße\n100%"}, "t=Gr%C3%BC%C3%9Fe%0A100%25"),
        ({"Ü 1": "+"}, "%C3%9C+1=%2B"),
        ({"a": "%00"}, "a=%2500"),
        ({"a": "&=#"}, "a=%26%3D%23"),
        ({"a": 9007199254740991.0}, "a=9007199254740991.0"),
        ({"a": ["1"] * 200}, "&".join(["a=1"] * 200)),
        ({"a": "x" * 65_534}, "a=" + "x" * 65_534),
    ],
)
async def test_parameters_keep_their_order_and_are_encoded_as_a_form(
    caller: Caller, told: dict[str, Any], body: str | None
) -> None:
    expected = "n=-7&m=9007199254740993&x=1.5&y=0.1&z=-0.0" if body is None else body
    answer = await send(caller, one(parameters=told))
    assert (answer.status, answer.json["body"]) == (201, expected)


async def test_a_parameter_that_repeats_is_shown_as_a_list(caller: Caller) -> None:
    answer = await send(caller, one(parameters={"a": ["1", "2"], "b": ["3"]}))
    assert answer.json["parameters"] == {"a": ["1", "2"], "b": "3"}


async def test_each_goes_through_the_callback_queue(
    caller: Caller, store: Store, callback_queue: RecordingQueue
) -> None:
    await send(caller, {"callbacks": [one(), one()]})
    # Checked before any callback is prepared, and again right before they are stored.
    assert callback_queue.asked == [(ACCOUNT_SID, 2)] * 2
    assert callback_queue.taken == [callback.sid for callback in (await called_back(store))[::-1]]


# ---- big batches ---------------------------------------------------------------------------------


class SlowReading:
    """Parses URLs in 1/1024 s each by its own stopwatch, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def stopwatch(self) -> float:
        return self.count / 1024

    def read(self, text: str) -> CallbackUrl:
        self.count += 1
        return CallbackUrl.parse(text)


class ShortWork(CountingStore):
    """Records when a transaction runs; fails if it prepares what could be prepared before."""

    is_in_transaction = False

    async def transact(self, work: Callable[[Transaction], T], **how: bool) -> T:
        def noted(tx: Transaction) -> T:
            self.is_in_transaction = True
            try:
                return work(tx)
            finally:
                self.is_in_transaction = False

        return await super().transact(noted)


async def test_others_have_their_turn_while_a_batch_is_prepared(store: Store) -> None:
    reading, between = SlowReading(), list[int]()
    dependencies = replace(
        dependencies_on(store, read_url=reading.read),
        slices=CooperativeYield(reading.stopwatch, longest=2 / 1024),
    )
    caller = Caller(create_app(dependencies), credentials=(ACCOUNT_SID, AUTH_TOKEN))

    async def take_turns() -> None:
        while True:
            before = reading.count
            await asyncio.sleep(0)
            between.append(reading.count - before)

    others = asyncio.create_task(take_turns())
    batches = [send(caller, {"callbacks": [one()] * 1000}) for _ in range(3)]
    answers = await asyncio.gather(*batches)
    others.cancel()
    assert [len(answer.json["callbacks"]) for answer in answers] == [1000] * 3
    assert (sum(between), max(between)) == (3000, 2)


async def test_a_batch_is_stored_in_one_transaction_that_prepares_nothing(store: Store) -> None:
    counting, prepared = ShortWork(store), list[bool]()

    class Randomness(SeededRandomness):
        def bytes(self, count: int) -> bytes:
            prepared.append(counting.is_in_transaction)
            return super().bytes(count)

    dependencies, random_source = dependencies_on(counting), Randomness()
    dependencies = replace(dependencies, context=lambda: a_context(random_source=random_source))
    caller = Caller(create_app(dependencies), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    await caller.get("/v1/Sims")
    asked = counting.asked
    await send(caller, {"callbacks": [one(idempotency_key=f"{n}") for n in range(1000)]})
    assert counting.asked == asked + 1
    assert prepared == [False] * 1000


@pytest.mark.parametrize(("count", "is_big"), [(64, False), (65, True)])
async def test_a_big_batch_is_left_to_the_ingestion_queue(
    store: Store, count: int, is_big: bool
) -> None:
    asked = list[tuple[str, int]]()

    class Batches(BatchesAtOnce):
        async def keep(
            self, account_sid: str, callbacks: Sequence[CallbackRecord], texts: Sequence[str]
        ) -> list[CallbackRecord]:
            asked.append((account_sid, len(callbacks)))
            return await super().keep(account_sid, callbacks, texts)

    dependencies = dependencies_on(store)
    dependencies = replace(dependencies, batch_queue=Batches(store, dependencies.callback_queue))
    caller = Caller(create_app(dependencies), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    answer = await send(caller, {"callbacks": [one(parameters={"n": n}) for n in range(count)]})
    told = [each["parameters"] for each in answer.json["callbacks"]]
    assert told == [{"n": str(n)} for n in range(count)]
    assert asked == ([(ACCOUNT_SID, count)] if is_big else [])
    assert len(await called_back(store)) == count


async def test_an_account_has_a_limited_number_in_preparation_and_others_have_theirs(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(create_callbacks, "_MOST_ARRIVING", 300)
    waiting, may_go_on = asyncio.Semaphore(0), asyncio.Event()

    class Batches(BatchesAtOnce):
        async def keep(
            self, account_sid: str, callbacks: Sequence[CallbackRecord], texts: Sequence[str]
        ) -> list[CallbackRecord]:
            waiting.release()
            await may_go_on.wait()
            return await super().keep(account_sid, callbacks, texts)

    dependencies = dependencies_on(store)
    app = create_app(replace(dependencies, batch_queue=Batches(store, dependencies.callback_queue)))
    ours, theirs = (Caller(app, credentials=(sid, AUTH_TOKEN)) for sid in (ACCOUNT_SID, THEIRS))
    full = {"callbacks": [one()] * 100}
    tasks = [asyncio.create_task(send(ours, full)) for _ in range(3)]
    for _ in tasks:
        await waiting.acquire()
    refused = await send(ours, {"callbacks": [one()]})
    assert refusal(refused) == (429, 20429)
    assert refused.headers["retry-after"] == "1"
    assert "300 callbacks of this account are being accepted" in refused.json["message"]
    tasks.append(asyncio.create_task(send(theirs, full)))
    may_go_on.set()
    answers = await asyncio.gather(*tasks)
    assert [answer.status for answer in answers] == [201] * 4
    assert (await send(ours, full)).status == 201


async def test_duplicate_names_are_looked_for_outside_the_loop(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, look = list[threading.Thread](), create_callbacks.refuse_repeats

    def refuse_repeats(body: bytes) -> None:
        threads.append(threading.current_thread())
        look(body)

    monkeypatch.setattr(create_callbacks, "refuse_repeats", refuse_repeats)
    quoted = json.dumps({"callbacks": [one(parameters={"a": '"'})]}).encode()
    assert (await send_raw(caller, quoted)).status == 201
    assert refusal(await send_raw(caller, quoted.replace(b'"a"', b'"a":1,"a"'))) == (400, 83600)
    assert (await send(caller, {"callbacks": [one()]})).status == 201
    assert [each is threading.main_thread() for each in threads] == [False, False]


async def test_a_batch_with_an_error_in_a_later_slice_stores_nothing(store: Store) -> None:
    reading = SlowReading()
    dependencies = replace(
        dependencies_on(store, read_url=reading.read),
        slices=CooperativeYield(reading.stopwatch, longest=2 / 1024),
    )
    caller = Caller(create_app(dependencies), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    answer = await send(caller, {"callbacks": [*[one()] * 999, one(url="nowhere")]})
    assert refusal(answer) == (400, 11100)
    assert "callbacks[999].url" in answer.json["message"]
    assert await called_back(store) == []


async def test_a_batch_needs_room_before_it_is_prepared_and_when_it_is_stored(store: Store) -> None:
    reading, callback_queue = SlowReading(), RecordingQueue(room=1000)
    dependencies = dependencies_on(store, callback_queue=callback_queue, read_url=reading.read)
    caller = Caller(create_app(dependencies), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    callback_queue.room = 999
    assert refusal(await send(caller, {"callbacks": [one()] * 1000})) == (429, 20429)
    assert reading.count == 0

    def others_come(text: str) -> CallbackUrl:
        callback_queue.room = 999
        return reading.read(text)

    callback_queue.room = 1000
    caller = Caller(
        app_on(store, callback_queue=callback_queue, read_url=others_come),
        credentials=(ACCOUNT_SID, AUTH_TOKEN),
    )
    assert refusal(await send(caller, {"callbacks": [one()] * 1000})) == (429, 20429)
    assert await called_back(store) == []


# ---- idempotency keys ----------------------------------------------------------------------------


async def test_a_known_key_returns_the_first_record(caller: Caller, store: Store) -> None:
    first = await send(caller, one(parameters={"a": 1}, idempotency_key="k"))
    again = await send(caller, one(parameters={"b": 2}, idempotency_key="k"))
    assert (again.status, again.json) == (201, first.json)
    assert len(await called_back(store)) == 1


async def test_a_key_twice_in_one_batch_makes_one_callback(caller: Caller, store: Store) -> None:
    items = [one(parameters={"n": n}, idempotency_key="k") for n in range(2)]
    answer = await send(caller, {"callbacks": items})
    first, second = answer.json["callbacks"]
    assert first == second
    assert [callback.body for callback in await called_back(store)] == ["n=0"]


async def test_a_callback_may_have_all_its_fields(caller: Caller) -> None:
    keys = {"idempotency_key": "k", "ordering_key": "o"}
    everything = one(method="GET", deliver_at="2024-07-04T00:00:00Z", **keys)
    assert (await send(caller, everything)).status == 201


@pytest.mark.parametrize("count", [1, 2, 65])
async def test_callbacks_have_the_ordering_keys_that_are_given(
    caller: Caller, store: Store, count: int
) -> None:
    items = [one(ordering_key=f"order {number}") for number in range(count)]
    answer = await send(caller, {"callbacks": items})
    keys = [f"order {number}" for number in range(count)]
    assert [each["ordering_key"] for each in answer.json["callbacks"]] == keys
    assert [callback.order_key for callback in (await called_back(store))[::-1]] == keys


async def test_a_null_key_is_the_same_as_none(caller: Caller, store: Store) -> None:
    for _ in range(2):
        await send(caller, one(idempotency_key=None, ordering_key=None, deliver_at=None))
    first, second = await called_back(store)
    assert (first.order_key, second.order_key) == (None, None)


# ---- delivery at a later time --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "next_attempt"),
    [
        ("2024-07-03T14:40:59Z", "2024-07-03T14:40:59Z"),
        ("2024-07-04T02:00+02:00", "2024-07-04T00:00:00Z"),
        ("2025-07-04T14:40:58Z", "2025-07-04T14:40:58Z"),
        ("2024-07-03T14:40:58Z", "2024-07-03T14:40:58Z"),
        ("1999-12-31T23:59:59Z", "2024-07-03T14:40:58Z"),
        ("0001-01-01T00:00:00Z", "2024-07-03T14:40:58Z"),
    ],
)
async def test_a_callback_is_due_at_its_deliver_at_or_at_once_if_that_has_passed(
    caller: Caller, at: str, next_attempt: str
) -> None:
    answer = await send(caller, one(deliver_at=at))
    assert (answer.status, answer.json["date_next_attempt"]) == (201, next_attempt)


async def test_deliver_at_is_at_most_366_days_ahead(caller: Caller, store: Store) -> None:
    assert (await send(caller, one(deliver_at="2025-07-04T14:40:59Z"))).json == error(
        400,
        83600,
        "deliver_at: '2025-07-04T14:40:59Z' is too far ahead; at most 366 days from"
        " now are allowed",
    )
    await send(caller, one(deliver_at="2025-07-04T14:40:58Z"))
    (callback,) = await called_back(store)
    assert callback.progress.due == NOW + timedelta(days=366)


# ---- invalid requests ----------------------------------------------------------------------------

FIELDS = "deliver_at, idempotency_key, method, ordering_key, parameters, url"
TEXT_URL = "it must be text like https://host/path"
OBJECT = "it must be an object with url and parameters, or with callbacks, a list of such objects"
TOLD = "it must be text, a number, true or false"

WRONG: list[tuple[Any, int, str]] = [
    ([], 83600, f"the body is a list; {OBJECT}"),
    (7, 83600, f"the body is a number; {OBJECT}"),
    (None, 83600, f"the body is null; {OBJECT}"),
    ("x", 83600, f"the body is text; {OBJECT}"),
    ({}, 20002, f"url is required and was not given; {TEXT_URL}"),
    (one(url=None), 20002, f"url is required and was not given; {TEXT_URL}"),
    (one(url=[URL]), 83600, f"url: a list; {TEXT_URL}"),
    (one(url=True), 83600, f"url: true; {TEXT_URL}"),
    (one(url=""), 11100, "url: the callback URL is empty; it must be like https://host/path"),
    (
        one(url="nowhere"),
        11100,
        "url: 'nowhere' is not a valid URL; it must be like https://host/path",
    ),
    (one(url="http://a.example#cbs=foo"), 11100, "url: #cbs=foo: cbs must be twilio or kore"),
    (
        one(url="http:/u:made-up@a"),
        11100,
        "url: '…@a' is not a valid URL; it must be like https://host/path",
    ),
    (
        {"url": URL},
        20002,
        "parameters is required and was not given; it must be an object of names and values",
    ),
    (one(parameters="a=1"), 83600, "parameters: text; it must be an object of names and values"),
    (
        one(parameters=[["a", "1"]]),
        83600,
        "parameters: a list; it must be an object of names and values",
    ),
    (one(parameters={"a": None}), 83600, f"parameters.a: null; {TOLD}; leave the parameter out"),
    (one(parameters={"a": {"b": 1}}), 83600, f"parameters.a: an object; {TOLD}"),
    (one(parameters={"a": [["b"]]}), 83600, f"parameters.a: a list; {TOLD}"),
    (one(parameters={"a": [{}]}), 83600, f"parameters.a: an object; {TOLD}"),
    (one(parameters={"a": []}), 83600, "parameters.a: the list is empty; leave the parameter out"),
    (
        one(parameters={"a": 1e300}),
        83600,
        "parameters.a: 1e+300 may have been rounded; write the number as text in quotes",
    ),
    (
        one(parameters={"a": -9007199254740992.0}),
        83600,
        (
            "parameters.a: -9007199254740992.0 may have been rounded; write the number"
            " as text in quotes"
        ),
    ),
    (
        one(parameters={"a": 2**64}),
        83600,
        (
            "parameters.a: 1.8446744073709552e+19 may have been rounded; write the number"
            " as text in quotes"
        ),
    ),
    (one(parameters={"": "1"}), 83600, "parameters: a parameter has an empty name; give it a name"),
    (
        one(parameters={"a": "1", "": "2"}),
        83600,
        "parameters: a parameter has an empty name; give it a name",
    ),
    (
        one(parameters={"a": "x\0y"}),
        83600,
        "parameters.'a': a NUL character, which a form can't contain; remove it",
    ),
    (
        one(parameters={"b": 1, "a\0": "y"}),
        83600,
        ("parameters.'a\\x00': a NUL character, which a form can't contain; remove it"),
    ),
    (
        one(parameters={"a": "x" * 65_535}),
        83600,
        "parameters: 65537 bytes after encoding; at most 65536 are allowed",
    ),
    (one(parameters={"a": ["1"] * 201}), 83600, "parameters: 201 values; at most 200 are sent"),
    (one(method="post"), 83600, "method: 'post'; it must be POST or GET"),
    (one(method="PUT"), 83600, "method: 'PUT'; it must be POST or GET"),
    (one(method=None), 83600, "method: null; it must be POST or GET"),
    (one(method=1), 83600, "method: a number; it must be POST or GET"),
    (
        one(idempotency_key=""),
        83600,
        "idempotency_key: ''; it must be 1 to 255 printable characters",
    ),
    (
        one(idempotency_key="a\nb"),
        83600,
        "idempotency_key: 'a\\nb'; it must be 1 to 255 printable characters",
    ),
    (
        one(idempotency_key="k" * 256),
        83600,
        f"idempotency_key: '{'k' * 80}'; it must be 1 to 255 printable characters",
    ),
    (
        one(idempotency_key=7),
        83600,
        "idempotency_key: a number; it must be 1 to 255 printable characters",
    ),
    (one(ordering_key=""), 83600, "ordering_key: ''; it must be 1 to 255 printable characters"),
    (
        one(ordering_key="a\tb"),
        83600,
        "ordering_key: 'a\\tb'; it must be 1 to 255 printable characters",
    ),
    (
        one(ordering_key="k" * 256),
        83600,
        f"ordering_key: '{'k' * 80}'; it must be 1 to 255 printable characters",
    ),
    (
        one(ordering_key=["k"]),
        83600,
        "ordering_key: a list; it must be 1 to 255 printable characters",
    ),
    (
        one(deliver_at="tomorrow"),
        83600,
        "deliver_at: 'tomorrow': it must be a date and time like 2026-11-24T10:00:00Z",
    ),
    (
        one(deliver_at=1732442400),
        83600,
        "deliver_at: a number; it must be an instant like 2026-11-24T10:00:00Z",
    ),
    (one(odd_one={}), 83600, f"'odd_one' is not a field of a callback; the fields are {FIELDS}"),
]


@pytest.mark.parametrize(("document", "code", "message"), WRONG)
async def test_an_error_is_named_and_nothing_is_stored(
    caller: Caller, store: Store, document: Any, code: int, message: str
) -> None:
    assert (await send(caller, document)).json == error(400, code, message)
    assert await called_back(store) == []


@pytest.mark.parametrize(("document", "code", "message"), WRONG[4:])
async def test_an_error_in_a_batch_is_named_by_its_place_and_nothing_is_stored(
    caller: Caller, store: Store, document: Any, code: int, message: str
) -> None:
    answer = await send(caller, {"callbacks": [one(), one(), document]})
    assert answer.json == error(400, code, f"callbacks[2].{message}")
    assert await called_back(store) == []


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"callbacks": []}, "callbacks: 0 callbacks; it must be a list of 1 to 1000 callbacks"),
        (
            {"callbacks": [{}] * 1001},
            "callbacks: 1001 callbacks; it must be a list of 1 to 1000 callbacks",
        ),
        ({"callbacks": None}, "callbacks: null; it must be a list of 1 to 1000 callbacks"),
        ({"callbacks": one()}, "callbacks: an object; it must be a list of 1 to 1000 callbacks"),
        (
            {"callbacks": [one()], "url": URL},
            "'url' is not allowed beside `callbacks`; put it into each item of `callbacks`",
        ),
        (
            {"callbacks": [one(), 7]},
            "callbacks[1] is a number; it must be an object with url and parameters",
        ),
    ],
)
async def test_an_invalid_batch_is_refused(caller: Caller, document: Any, message: str) -> None:
    assert (await send(caller, document)).json == error(400, 83600, message)


ONE = json.dumps(one()).encode()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body can't be read as JSON: Input is a zero-length, empty document"),
        (b"url=http://a.example", "the body can't be read as JSON: unexpected character"),
        (ONE + b"x", "the body can't be read as JSON: unexpected content after document"),
        (ONE.replace(b'"1"', b"NaN"), "the body can't be read as JSON: "),
        (ONE.replace(b'"1"', b"1e999"), "the body can't be read as JSON: "),
        (ONE.replace(b'"1"', b'"\\ud800"'), "the body can't be read as JSON: "),
        (ONE.replace(b'"1"', b'"\xff"'), "the body can't be read as JSON: str is not valid UTF-8"),
        (ONE.decode().encode("utf-16"), "the body can't be read as JSON: "),
        (b"\xef\xbb\xbf" + ONE, "the body can't be read as JSON: UTF-8 byte order mark"),
        (b"[" * 100_000, "the body can't be read as JSON: "),
        (ONE.replace(b'"1"', b'"1", "a": "2"'), "the name 'a' is given twice in one JSON object"),
        (
            ONE[:-1] + b', "url": "http://b.example"}',
            "the name 'url' is given twice in one JSON object",
        ),
    ],
)
async def test_json_that_strict_parsers_refuse_is_refused(
    caller: Caller, store: Store, body: bytes, message: str
) -> None:
    answer = await send_raw(caller, body)
    assert refusal(answer) == (400, 83600)
    assert answer.json["message"].startswith(message)
    assert await called_back(store) == []


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON"])
async def test_json_is_recognised_by_its_media_type(caller: Caller, kind: str) -> None:
    assert (await send_raw(caller, ONE, **{"content-type": kind})).status == 201


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", ""])
async def test_another_media_type_is_refused(caller: Caller, kind: str) -> None:
    answer = await send_raw(caller, ONE, **{"content-type": kind})
    given = kind or "not given"
    assert answer.json == error(
        400, 83600, f"the body's Content-Type is {given}; send application/json"
    )


async def test_a_missing_media_type_is_refused(caller: Caller) -> None:
    assert (await caller.call("POST", TARGET, ONE)).json == error(
        400, 83600, "the body's Content-Type is not given; send application/json"
    )


async def test_a_body_in_parts_is_read_completely(caller: Caller) -> None:
    assert (await send_raw(caller, ONE[:10], ONE[10:])).status == 201


async def test_a_body_of_a_mebibyte_is_read_and_a_longer_one_is_refused(caller: Caller) -> None:
    longest = ONE.ljust(1024 * 1024)
    assert (await send_raw(caller, longest)).status == 201
    assert (await send_raw(caller, longest, b" ")).json == error(
        400, 83600, "the body is longer than the limit of 1048576 bytes; nothing was changed"
    )


async def test_an_interrupted_request_stores_nothing(caller: Caller, store: Store) -> None:
    answer = await caller.call("POST", TARGET, ONE, headers=JSON, breaks_off=True)
    assert refusal(answer) == (400, 83600)
    assert await called_back(store) == []


async def test_the_operators_rules_apply_to_the_url(store: Store) -> None:
    caller = Caller(app_on(store, read_url=only_https), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    assert (await send(caller, one())).json == error(400, 11100, "url: http is not permitted here")
    answer = await send(caller, one(url="https://a.example/"))
    assert answer.json["warnings"] == ["as the operator wishes"]


async def test_without_credentials_nothing_is_stored(
    caller: Caller, store: Store, callback_queue: RecordingQueue
) -> None:
    answer = await send_raw(caller, ONE, authorization="")
    assert refusal(answer) == (401, 20003)
    assert (await called_back(store), callback_queue.asked) == ([], [])


async def test_without_room_nothing_is_stored_and_the_answer_says_when_to_try_again(
    caller: Caller, store: Store, callback_queue: RecordingQueue
) -> None:
    callback_queue.room = 2
    answer = await send(caller, {"callbacks": [one()] * 3})
    assert answer.json == error(429, 20429, "too many wait; ask again in 5 s")
    assert answer.headers["retry-after"] == "5"
    assert await called_back(store) == []
    assert (await send(caller, {"callbacks": [one()] * 2})).status == 201


class FullDisk(RecordingQueue):
    """Accepts two callbacks, and then no more."""

    def take(self, tx: Any, callback: Any) -> None:
        if len(tx.callbacks.callbacks) == 2:
            raise StoreUnavailable("the disk is full")
        super().take(tx, callback)


async def test_a_batch_is_stored_whole_or_not_at_all(store: Store) -> None:
    callback_queue = FullDisk()
    caller = Caller(
        app_on(store, callback_queue=callback_queue), credentials=(ACCOUNT_SID, AUTH_TOKEN)
    )
    answer = await send(caller, {"callbacks": [one()] * 3})
    assert refusal(answer) == (503, 20503)
    assert (await called_back(store), callback_queue.taken) == ([], [])


async def test_a_key_belongs_to_one_account(caller: Caller, store: Store) -> None:
    theirs = Caller(app_on(store), credentials=(THEIRS, AUTH_TOKEN))
    ours = (await send(caller, one(idempotency_key="k"))).json
    other = (await send(theirs, one(idempotency_key="k"))).json
    assert (ours["account_sid"], other["account_sid"]) == (ACCOUNT_SID, THEIRS)
