"""Subscriptions of Twilio's Events API: the forms of their types, and what is refused."""

import json
from typing import Any

import pytest

from ringback.core.policy.source_policy import Source
from ringback.core.streams.event_types import StreamEventType
from ringback.core.streams.sink import StreamSubscription
from ringback.ports import Transaction
from tests.callback_queues import RecordingQueue
from tests.fakes import NOW, FakeClock
from tests.memory_store import MemoryStore
from tests.streams import ENDED, STARTED, UPDATED, a_sink, a_subscription
from tests.unit.api.caller import Answer, Caller
from tests.unit.api.world import THEIRS, error, refusal

SUBSCRIPTIONS = "/v1/Subscriptions"
SINK, OTHER, KORES, NOT_OURS = (f"DG{number:032x}" for number in (1, 2, 3, 4))
NOTHING = f"DG{9:032x}"


def add_sinks(tx: Transaction) -> None:
    for number in (1, 2):
        tx.streams.sinks.add(a_sink(number, Source.TWILIO, f"http://{number}.example/"))
    tx.streams.sinks.add(a_sink(3, Source.KORE))
    tx.streams.sinks.add(a_sink(4, Source.TWILIO, account_sid=THEIRS))


@pytest.fixture(autouse=True)
async def sinks(store: MemoryStore) -> None:
    await store.transact(add_sinks)


async def create(caller: Caller, *types: Any, **form: str) -> Answer:
    """Create a subscription; types that are no text are sent as JSON."""
    pairs = [("Description", "x"), ("SinkSid", SINK)]
    given = [pair for pair in pairs if pair[0] not in form] + [*form.items()]
    texts = [one if isinstance(one, str) else json.dumps(one) for one in types]
    return await caller.post(SUBSCRIPTIONS, [*given, *(("Types", text) for text in texts)])


def types_of(store: MemoryStore, answer: Answer) -> dict[str, int]:
    assert answer.status == 201, answer.body
    return {**stored_in(store, answer.json["sid"]).types}


def stored_in(store: MemoryStore, sid: str) -> StreamSubscription:
    found = store.commit(lambda tx: tx.streams.subscriptions.get(sid))
    assert found is not None
    return found


# ---- the forms of Types --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([{"type": STARTED}], {STARTED: 2}),
        ([{"type": STARTED, "schema_version": 1}], {STARTED: 1}),
        ([{"type": STARTED, "schema_version": None}], {STARTED: 2}),
        ([{"type": STARTED, "schema_version": 2}, {"type": ENDED}], {STARTED: 2, ENDED: 2}),
        ([f'{{ "type": "{ENDED}", "odd": [] }}'], {ENDED: 2}),
        (["", f' {{"type": "{ENDED}"}} '], {ENDED: 2}),
    ],
)
async def test_each_type_is_a_json_object(
    caller: Caller, store: MemoryStore, given: list[Any], expected: dict[str, int]
) -> None:
    assert types_of(store, await create(caller, *given)) == expected


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        (['[{"type": "x"}]'], 20002, "Missing required input parameter event_types[0].type; Types"),
        ([{"type": STARTED}, "[]"], 20002, "Missing required input parameter event_types[1].type"),
        (["{}"], 20002, "Missing required input parameter event_types[0].type"),
        (['{"type": 1}'], 20002, "Missing required input parameter event_types[0].type"),
        ([STARTED], 20001, "Types[0] can't be read as JSON"),
        (['"x"'], 20001, "Types[0] is not a JSON object"),
        (['{"type": "x", "type": "y"}'], 20001, "the name 'type' is given twice"),
        ([{"type": STARTED, "schema_version": "2"}], 20001, "schema_version is '2'; it must be a"),
        ([{"type": STARTED, "schema_version": True}], 20001, "schema_version is True"),
        ([{"type": STARTED, "schema_version": 1.5}], 20001, "schema_version is 1.5"),
        ([], 91103, "the list of types is empty"),
        (["", " "], 91103, "the list of types is empty"),
        ([{"type": STARTED}, {"type": STARTED}], 91101, f"the type {STARTED} is given twice"),
        ([{"type": "com.twilio.messaging.message.sent"}], 91104, "Type not found in the system"),
        ([{"type": STARTED, "schema_version": 3}], 91104, "there is no version 3 of its schema"),
        ([{"type": STARTED, "schema_version": 0}], 91104, "there is no version 0 of its schema"),
    ],
)
async def test_other_types_are_refused(
    caller: Caller, given: list[Any], code: int, message: str
) -> None:
    answer = await create(caller, *given)
    assert refusal(answer) == (400, code)
    assert message in answer.json["message"]


async def test_a_json_body_is_refused(caller: Caller) -> None:
    headers = {"content-type": "application/json"}
    body = json.dumps({"Description": "x", "SinkSid": SINK, "Types": []}).encode()
    assert refusal(await caller.call("POST", SUBSCRIPTIONS, body, headers=headers)) == (400, 20001)


@pytest.mark.parametrize(("days", "code"), [(0, None), (105, None), (125, 91104)])
async def test_a_type_can_be_subscribed_to_until_it_is_discontinued(
    caller: Caller, clock: FakeClock, days: int, code: int | None
) -> None:
    clock.advance((NOW.replace(year=NOW.year + 1) - NOW) / 365 * days)
    answer = await create(caller, {"type": STARTED})
    if code is None:
        assert answer.status == 201
    else:
        assert answer.json == error(400, code, f"{STARTED}: Type is discontinued")


# ---- sinks ---------------------------------------------------------------------------------------


async def test_a_sink_takes_one_subscription(caller: Caller) -> None:
    assert (await create(caller, {"type": STARTED})).status == 201
    second = await create(caller, {"type": STARTED})
    assert second.json == error(400, 91100, f"Sink with SID {SINK} is in use")


@pytest.mark.parametrize(
    ("sink_sid", "expected"),
    [
        (NOTHING, (404, 91001)),
        (NOT_OURS, (404, 91001)),
        (KORES, (404, 91001)),
        ("DG1", (400, 91006)),
        ("", (400, 20002)),
    ],
)
async def test_a_sink_that_is_not_there_is_refused(
    caller: Caller, sink_sid: str, expected: tuple[int, int]
) -> None:
    assert refusal(await create(caller, {"type": STARTED}, SinkSid=sink_sid)) == expected


async def test_an_older_client_can_change_the_sink(
    caller: Caller, callback_queue: RecordingQueue
) -> None:
    sid = (await create(caller, {"type": STARTED})).json["sid"]
    path = f"{SUBSCRIPTIONS}/{sid}"
    for same in (SINK, ""):
        assert (await caller.post(path, {"SinkSid": same})).json["sink_sid"] == SINK
    assert callback_queue.told == []
    assert (await caller.post(path, {"SinkSid": OTHER})).json["sink_sid"] == OTHER
    assert callback_queue.told == [sid]
    assert (await create(caller, {"type": STARTED})).status == 201
    assert refusal(await caller.post(path, {"SinkSid": SINK})) == (400, 91100)
    assert refusal(await caller.post(path, {"SinkSid": NOTHING})) == (404, 91001)
    assert (await caller.get(path)).json["sink_sid"] == OTHER


# ---- other parameters ----------------------------------------------------------------------------


async def test_parameters_of_older_clients_are_noted(caller: Caller, store: MemoryStore) -> None:
    old = {"ReceiveEventsFromSubaccounts": "true", "Filter": "errorCode == 1"}
    made = await create(caller, {"type": STARTED}, **old)
    assert made.status == 201
    assert "ringback-warning" not in made.headers
    notes = tuple(f"the parameter {name} has no effect" for name in old)
    assert stored_in(store, made.json["sid"]).notes == notes
    await caller.post(f"{SUBSCRIPTIONS}/{made.json['sid']}", {"Filter": "x"})
    assert stored_in(store, made.json["sid"]).notes == notes[1:]


@pytest.mark.parametrize(("description", "code"), [("", 91101), ("x" * 256, 20001)])
async def test_a_description_is_needed(caller: Caller, description: str, code: int) -> None:
    answer = await create(caller, {"type": STARTED}, Description=description)
    assert refusal(answer) == (400, code)


async def test_an_update_with_nothing_changes_nothing(caller: Caller) -> None:
    made = (await create(caller, {"type": STARTED})).json
    for form in ({}, {"Description": ""}):
        assert (await caller.post(f"{SUBSCRIPTIONS}/{made['sid']}", form)).json == made


# ---- types of a subscription ---------------------------------------------------------------------


@pytest.fixture
async def types(store: MemoryStore) -> str:
    """Return the path of the types of a subscription."""
    subscription = a_subscription(1, Source.TWILIO, types={STARTED: 2})
    await store.transact(lambda tx: tx.streams.subscriptions.add(subscription))
    return f"{SUBSCRIPTIONS}/{subscription.sid}/SubscribedEvents"


async def test_adding_a_type_again_sets_its_version(caller: Caller, types: str) -> None:
    added = await caller.post(types, {"Type": UPDATED, "SchemaVersion": "1"})
    assert (added.status, added.json["schema_version"]) == (201, 1)
    again = await caller.post(types, {"Type": UPDATED})
    assert (again.status, again.json["schema_version"]) == (200, 2)
    assert again.json["url"] == f"http://127.0.0.1:8080{types}/{UPDATED}"


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, 20002),
        ({"Type": "odd"}, 91104),
        ({"Type": UPDATED, "SchemaVersion": "3"}, 91104),
        ({"Type": UPDATED, "SchemaVersion": "x"}, 20001),
    ],
)
async def test_a_wrong_type_is_not_added(
    caller: Caller, types: str, form: dict[str, str], code: int
) -> None:
    assert refusal(await caller.post(types, form)) == (400, code)
    assert [one["type"] for one in (await caller.get(types)).json["types"]] == [STARTED]


@pytest.mark.parametrize("verb", ["GET", "POST", "DELETE"])
async def test_a_type_that_is_not_subscribed_to_is_not_found(
    caller: Caller, types: str, verb: str
) -> None:
    assert refusal(await caller.call(verb, f"{types}/{ENDED}")) == (404, 20404)


async def test_types_have_pages(caller: Caller, types: str) -> None:
    for one in StreamEventType:
        await caller.post(types, {"Type": one})
    found, url = list[str](), f"{types}?PageSize=3"
    while url is not None:
        page = (await caller.get(url.removeprefix("http://127.0.0.1:8080"))).json
        found += [one["type"] for one in page["types"]]
        url = page["meta"]["next_page_url"]
    assert found == [STARTED, *(one for one in StreamEventType if one != STARTED)]


async def test_the_last_type_can_be_removed(caller: Caller, types: str) -> None:
    assert (await caller.call("DELETE", f"{types}/{STARTED}")).status == 204
    assert (await caller.get(types)).json["types"] == []
