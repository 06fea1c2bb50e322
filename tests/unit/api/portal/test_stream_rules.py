"""KORE's destinations of events and streaming rules over HTTP: an account manages its own."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from starlette.types import ASGIApp

from ringback.core.policy.source_policy import Source
from ringback.core.streams.event_types import StreamEventType
from ringback.ports import PageWindow, Store
from tests.callback_queues import RecordingQueue
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN
from tests.streams import ARN, ENDED, STARTED, a_sink, a_subscription, add_stream, an_event_of
from tests.unit.api.caller import Caller
from tests.unit.api.world import THEIRS, app_on

DESTINATIONS = "/portal/v1/streams/destinations"
RULES = "/portal/v1/streams/rules"
HOOK = "http://user:made-up@a.example/in?x=1"
ROLE = "arn:aws:iam::111111111111:role/writer"
WEBHOOK = {"Name": "ours", "Type": "webhook", "Url": HOOK}
KINESIS = {"Name": "lake", "Type": "kinesis", "Arn": ARN, "RoleArn": ROLE}
STRANGER = "f" * 32
MISSING = 20002
ALL = [one.short for one in StreamEventType]


@pytest.fixture
def callback_queue() -> RecordingQueue:
    return RecordingQueue()


@pytest.fixture
def app(store: Store, callback_queue: RecordingQueue) -> ASGIApp:
    return app_on(store, callback_queue=callback_queue)


@pytest.fixture
def other(app: ASGIApp) -> Caller:
    return Caller(app, credentials=(THEIRS, AUTH_TOKEN))


def fields(form: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the fields of a form; a list repeats its field."""
    return [
        (name, one)
        for name, value in form.items()
        for one in (value if isinstance(value, list) else [value])
    ]


async def created(caller: Caller, path: str, **form: Any) -> dict[str, Any]:
    answer = await caller.post(path, fields(form))
    assert answer.status == 201, answer.body
    return answer.json


async def a_destination(caller: Caller, **form: Any) -> dict[str, Any]:
    return await created(caller, DESTINATIONS, **{**WEBHOOK, **form})


async def a_rule(caller: Caller, destination_sid: str, **form: Any) -> dict[str, Any]:
    usual = {"Name": "ends", "Destination": destination_sid, "EventType": ENDED.short}
    return await created(caller, RULES, **{**usual, **form})


async def refused(caller: Caller, path: str, form: dict[str, Any]) -> tuple[int, int, str]:
    answer = await caller.post(path, fields(form))
    return answer.status, answer.json["code"], answer.json["message"]


# ---- destinations --------------------------------------------------------------------------------


async def test_a_webhook_is_shown_without_its_credentials(caller: Caller) -> None:
    made = await a_destination(caller, Url=f"{HOOK}#cbs=twilio&rc=2")
    sid = made["sid"]
    assert sid.startswith("DG")
    assert made["created_by"] is not None
    shown = {**made, "created_by": None, "date_created": "", "date_updated": ""}
    assert shown == {
        "sid": sid,
        "account_sid": ACCOUNT_SID,
        "name": "ours",
        "type": "webhook",
        "url": "http://a.example/in?x=1#cbs=twilio&rc=2",
        "arn": None,
        "role_arn": None,
        "external_id": None,
        "warnings": ["its fragment has no effect, since the URL is that of an event stream"],
        "created_by": None,
        "date_created": "",
        "date_updated": "",
    }
    assert (await caller.get(f"{DESTINATIONS}/{sid}")).json == made
    assert (await caller.get(DESTINATIONS)).json["destinations"] == [made]


async def test_a_kinesis_stream_has_a_role(caller: Caller, store: Store) -> None:
    made = await created(caller, DESTINATIONS, **KINESIS, ExternalId="made-up")
    assert (made["url"], made["arn"]) == (None, ARN)
    assert (made["role_arn"], made["external_id"]) == (ROLE, "made-up")
    stored = await store.transact(lambda tx: tx.streams.sinks.get(made["sid"]))
    assert stored is not None
    assert stored.configuration == {"arn": ARN, "role_arn": ROLE, "external_id": "made-up"}
    other_arn = ARN.replace("events", "others")
    path = f"{DESTINATIONS}/{made['sid']}"
    changed = (await caller.post(path, fields({"Arn": other_arn, "ExternalId": ""}))).json
    assert (changed["arn"], changed["role_arn"], changed["external_id"]) == (other_arn, ROLE, None)


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        ({"Name": ""}, MISSING, "Name is required and was not given"),
        ({"Name": "a\nb"}, 83600, "Name must be at most 64 printable characters"),
        ({"Type": "email"}, 83600, "Type='email': Type must be one of webhook, kinesis"),
        ({"Url": ""}, MISSING, "Url is required and was not given"),
        ({"Url": "ftp://a.example"}, 91000, "Url: "),
        ({"Arn": ARN}, 91000, "Arn is not for a destination of the type webhook: it takes Url"),
        ({**KINESIS, "Arn": ""}, MISSING, "Arn is required and was not given"),
        (
            {**KINESIS, "Arn": "arn:aws:s3:::bucket"},
            91000,
            "'arn:aws:s3:::bucket' is not the ARN of a Kinesis stream",
        ),
        ({**KINESIS, "RoleArn": ""}, MISSING, "RoleArn is required and was not given"),
        ({**KINESIS, "RoleArn": "me"}, 91000, "'me' is not the ARN of an IAM role"),
        ({**KINESIS, "ExternalId": "x"}, 91000, "AWS would refuse the external id"),
        (
            {**KINESIS, "Url": HOOK},
            91000,
            "Url is not for a destination of the type kinesis: it takes Arn, RoleArn and",
        ),
    ],
)
async def test_a_wrong_destination_says_what_is_wrong(
    caller: Caller, given: dict[str, str], code: int, message: str
) -> None:
    form = given if given.get("Type") == "kinesis" else {**WEBHOOK, **given}
    status, refused_code, said = await refused(caller, DESTINATIONS, form)
    assert (status, refused_code, said[: len(message)]) == (400, code, message)


async def test_an_account_has_at_most_100_destinations(caller: Caller, store: Store) -> None:
    def fill(tx: Any) -> None:
        for number in range(100):
            tx.streams.sinks.add(a_sink(number))

    await store.transact(fill)
    assert await refused(caller, DESTINATIONS, WEBHOOK) == (
        400,
        91003,
        "the account has 100 destinations at kore, which is the most; delete one that is not needed"
        " any more",
    )


async def test_a_new_url_has_batches_made_by_its_owner(
    caller: Caller, callback_queue: RecordingQueue
) -> None:
    sid = (await a_destination(caller))["sid"]
    rule = await a_rule(caller, sid)
    renamed = await caller.post(f"{DESTINATIONS}/{sid}", fields({"Name": "mine"}))
    assert (renamed.json["name"], callback_queue.told) == ("mine", [])
    moved = await caller.post(f"{DESTINATIONS}/{sid}", fields({"Url": "https://b.example/in"}))
    assert (moved.json["url"], callback_queue.told) == ("https://b.example/in", [rule["sid"]])


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({}, "nothing to change was given; give at least one of Name, Url, Arn, RoleArn"),
        ({"Arn": ARN}, "Arn is not for a destination of the type webhook: it takes Url"),
        ({"Name": ""}, "Name is required and was not given"),
        ({"Url": "nowhere"}, "Url: "),
    ],
)
async def test_a_wrong_change_of_a_destination_changes_nothing(
    caller: Caller, form: dict[str, str], message: str
) -> None:
    made = await a_destination(caller)
    status, _, said = await refused(caller, f"{DESTINATIONS}/{made['sid']}", form)
    assert (status, said[: len(message)]) == (400, message)
    assert (await caller.get(f"{DESTINATIONS}/{made['sid']}")).json == made


async def test_a_destination_in_use_is_not_deleted(caller: Caller) -> None:
    sid = (await a_destination(caller))["sid"]
    rule_sid = (await a_rule(caller, sid))["sid"]
    path = f"{DESTINATIONS}/{sid}"
    answer = await caller.call("DELETE", path)
    assert (answer.status, answer.json["code"]) == (400, 91007)
    assert answer.json["message"] == (
        f"Destination with SID {sid} is in use by {rule_sid}; delete that first"
    )
    assert (await caller.call("DELETE", f"{RULES}/{rule_sid}")).status == 204
    assert (await caller.call("DELETE", path)).status == 204
    assert (await caller.get(path)).json["message"] == f"there is no destination {sid}"


async def test_a_test_event_is_kores(caller: Caller) -> None:
    sid = (await a_destination(caller))["sid"]
    sent = await created(caller, f"{DESTINATIONS}/{sid}/test")
    (event,) = json.loads(sent["body"])
    assert event["type"] == "com.kore.eventstreams.test.event"
    assert (sent["is_test"], sent["stream_sid"], sent["source"]) == (True, sid, "kore")
    assert sent["events"] == [
        {**{name: event[name] for name in ("id", "type", "time")}, "sim_sid": None}
    ]
    assert sent["parameters"] == {}
    (stream,) = (await caller.get("/portal/v1/streams")).json["streams"]
    assert stream["last_test"]["sid"] == sent["sid"]


# ---- rules ---------------------------------------------------------------------------------------


async def test_a_destination_can_have_several_rules(caller: Caller) -> None:
    sid, second = (await a_destination(caller))["sid"], (await a_destination(caller))["sid"]
    first = await a_rule(caller, sid)
    assert (first["name"], first["is_enabled"], first["product_group"]) == (
        *("ends", True, "Connectivity"),
    )
    assert first["event_types"] == [{"type": ENDED.value, "schema_version": 2}]
    again = await a_rule(caller, sid, EventType=ALL)
    elsewhere = await a_rule(caller, second)
    listed = await caller.get(RULES)
    assert [one["sid"] for one in listed.json["rules"]] == [
        one["sid"] for one in (elsewhere, again, first)
    ]
    of_one = await caller.get(f"{RULES}?Destination={sid}")
    assert [one["sid"] for one in of_one.json["rules"]] == [again["sid"], first["sid"]]
    assert (await caller.get(f"{RULES}/{first['sid']}")).json == first


@pytest.mark.parametrize(
    ("form", "types"),
    [
        ({"EventType": ENDED.value}, {ENDED: 2}),
        ({"EventType": ENDED.with_kore_prefix}, {ENDED: 2}),
        ({"EventType": ENDED.short, "SchemaVersion": "1"}, {ENDED: 1}),
        ({"EventType": [f"{ENDED.short}:1", STARTED.short]}, {ENDED: 1, STARTED: 2}),
        (
            {"EventType": [f"{ENDED}:2", STARTED.short], "SchemaVersion": "1"},
            {ENDED: 2, STARTED: 1},
        ),
    ],
)
async def test_types_have_versions_of_their_schema(
    caller: Caller, form: dict[str, Any], types: dict[StreamEventType, int]
) -> None:
    rule = await a_rule(caller, (await a_destination(caller))["sid"], **form)
    assert {one["type"]: one["schema_version"] for one in rule["event_types"]} == types


@pytest.mark.parametrize(
    ("form", "code", "message"),
    [
        ({"EventType": []}, 91103, "the list of types is empty; give at least one"),
        (
            {"EventType": [ENDED.short, ENDED.value]},
            91101,
            f"the type {ENDED} is given twice; give it once",
        ),
        ({"EventType": "odd"}, 91104, "odd: Type not found in the system; the types are com."),
        (
            {"EventType": f"{ENDED.short}:3"},
            91104,
            "EventType='data-session.ended:3': after the colon stands the version of the schema,"
            " which is one of 1, 2",
        ),
        ({"SchemaVersion": "3"}, 83600, "SchemaVersion='3': SchemaVersion must be a whole number"),
        ({"Enabled": "true"}, 83600, "Enabled='true': Enabled must be one of yes, no"),
        (
            {"ProductGroup": "Voice"},
            83600,
            "ProductGroup='Voice': ProductGroup must be one of Connectivity",
        ),
        ({"Name": ""}, MISSING, "Name is required and was not given"),
        (
            {"Destination": f"DG{STRANGER}"},
            91001,
            f"Destination: there is no destination DG{STRANGER}",
        ),
        (
            {"Destination": "DG1"},
            91006,
            "'DG1' is not the SID of a destination; it must be DG and 32 hex digits",
        ),
    ],
)
async def test_a_wrong_rule_says_what_is_wrong(
    caller: Caller, form: dict[str, Any], code: int, message: str
) -> None:
    usual = {"Name": "ends", "EventType": ENDED.short}
    usual["Destination"] = (await a_destination(caller))["sid"]
    status, refused_code, said = await refused(caller, RULES, {**usual, **form})
    assert (status, refused_code, said[: len(message)]) == (400, code, message)


async def test_rules_are_listed_only_by_the_sid_of_a_destination(caller: Caller) -> None:
    answer = await caller.get(f"{RULES}?Destination=http://a.example")
    assert (answer.status, answer.json["message"]) == (
        400,
        "Destination='http://a.example': Destination must be the SID of a destination: DG and 32"
        " hexadecimal digits",
    )


async def test_a_rule_is_changed_enabled_and_disabled(
    caller: Caller, callback_queue: RecordingQueue
) -> None:
    sid, second = (await a_destination(caller))["sid"], (await a_destination(caller))["sid"]
    rule = await a_rule(caller, sid, Enabled="no", EventType=[ENDED.short, STARTED.short])
    assert rule["is_enabled"] is False
    path = f"{RULES}/{rule['sid']}"
    assert (await caller.post(path, fields({"Enabled": "yes"}))).json["is_enabled"] is True
    older = (await caller.post(path, fields({"SchemaVersion": "1"}))).json
    assert {one["schema_version"] for one in older["event_types"]} == {1}
    fewer = (await caller.post(path, fields({"EventType": STARTED.short, "Name": "starts"}))).json
    assert fewer["event_types"] == [{"type": STARTED.value, "schema_version": 2}]
    assert (fewer["name"], callback_queue.told) == ("starts", [])
    moved = (await caller.post(path, fields({"Destination": second}))).json
    assert (moved["destination_sid"], callback_queue.told) == (second, [rule["sid"]])
    assert (await caller.post(path, fields({"Enabled": "no"}))).json["is_enabled"] is False


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({}, "nothing to change was given; give at least one of Name, Destination, EventType"),
        ({"EventType": "odd"}, "odd: Type not found in the system"),
        ({"Destination": f"DG{STRANGER}"}, "Destination: there is no destination DG"),
    ],
)
async def test_a_wrong_change_of_a_rule_changes_nothing(
    caller: Caller, form: dict[str, str], message: str
) -> None:
    rule = await a_rule(caller, (await a_destination(caller))["sid"])
    status, _, said = await refused(caller, f"{RULES}/{rule['sid']}", form)
    assert (status, said[: len(message)]) == (400, message)
    assert (await caller.get(f"{RULES}/{rule['sid']}")).json == rule


async def test_a_deleted_rule_has_its_events_dropped(
    caller: Caller, store: Store, callback_queue: RecordingQueue
) -> None:
    rule = await a_rule(caller, (await a_destination(caller))["sid"])
    await store.transact(lambda tx: tx.streams.events.add(an_event_of(1), [rule["sid"]]))
    assert (await caller.call("DELETE", f"{RULES}/{rule['sid']}")).status == 204
    assert callback_queue.told == [rule["sid"]]
    assert (await caller.get(f"{RULES}/{rule['sid']}")).json["message"] == (
        f"there is no streaming rule {rule['sid']}"
    )


# ---- what an account can reach -------------------------------------------------------------------


async def test_streams_of_twilio_are_not_kores(caller: Caller, store: Store) -> None:
    sink, subscription = a_sink(source=Source.TWILIO), a_subscription(source=Source.TWILIO)
    await store.transact(lambda tx: add_stream(tx, sink, subscription))
    assert (await caller.get(DESTINATIONS)).json["destinations"] == []
    assert (await caller.get(RULES)).json["rules"] == []
    for path in (f"{DESTINATIONS}/{sink.sid}", f"{RULES}/{subscription.sid}"):
        assert (await caller.get(path)).status == 404
        assert (await caller.post(path, fields({"Name": "mine"}))).status == 404
        assert (await caller.call("DELETE", path)).status == 404
    form = {"Name": "x", "Destination": sink.sid, "EventType": ENDED}
    assert (await caller.post(RULES, fields(form))).status == 400


async def test_accounts_see_only_their_own(caller: Caller, other: Caller, store: Store) -> None:
    sid = (await a_destination(caller))["sid"]
    rule_sid = (await a_rule(caller, sid))["sid"]
    assert (await other.get(DESTINATIONS)).json["destinations"] == []
    assert (await other.get(RULES)).json["rules"] == []
    for path, form in (
        (f"{DESTINATIONS}/{sid}", {"Name": "mine"}),
        (f"{RULES}/{rule_sid}", {"Enabled": "no"}),
    ):
        assert (await other.get(path)).status == 404
        assert (await other.post(path, fields(form))).status == 404
        assert (await other.call("DELETE", path)).status == 404
    assert (await other.post(f"{DESTINATIONS}/{sid}/test", [])).status == 404
    form = {"Name": "x", "Destination": sid, "EventType": ENDED}
    assert (await other.post(RULES, fields(form))).status == 400
    own = await store.transact(lambda tx: tx.streams.sinks.page(THEIRS, {}, PageWindow(9)))
    assert list(own) == []
