"""Sinks of Twilio's Events API: their configuration, their filters, and what is refused."""

import json
from dataclasses import replace
from typing import Any

import pytest

from ringback.core.callbacks.callback import advance
from ringback.core.callbacks.retry import GiveUp
from ringback.core.policy.source_policy import Source
from ringback.core.streams.sink import SinkStatus
from ringback.ports import AuditFilter, PageWindow, Transaction
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, NOW
from tests.memory_store import MemoryStore
from tests.streams import ARN, ROLE_ARN, a_sink, a_subscription
from tests.unit.api.caller import Answer, Caller
from tests.unit.api.world import app_on, error, only_https, refusal

SINKS = "/v1/Sinks"
KINESIS = {"arn": ARN, "role_arn": ROLE_ARN, "external_id": "only-us"}


async def create(
    caller: Caller, configuration: Any, kind: str = "webhook", description: str = "x"
) -> Answer:
    text = configuration if isinstance(configuration, str) else json.dumps(configuration)
    form = {"Description": description, "SinkType": kind, "SinkConfiguration": text}
    return await caller.post(SINKS, form)


async def with_destination(caller: Caller, destination: str, **more: Any) -> Answer:
    return await create(caller, {"destination": destination, **more})


# ---- the configuration ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["post", "POST", "get", "GET", "Get"])
async def test_the_method_is_kept_as_it_was_sent(
    caller: Caller, store: MemoryStore, method: str
) -> None:
    made = await with_destination(caller, "http://a.example/p", method=method)
    assert made.json["sink_configuration"]["method"] == method
    stored = store.commit(lambda tx: tx.streams.sinks.get(made.json["sid"]))
    assert stored is not None
    assert stored.method == method.upper()


async def test_what_is_left_out_has_twilios_default(caller: Caller) -> None:
    made = await with_destination(caller, "http://a.example")
    assert made.json["sink_configuration"] == {
        "destination": "http://a.example",
        "method": "post",
        "batch_events": False,
    }
    assert "ringback-warning" not in made.headers


async def test_unknown_keys_are_kept_and_warned_about(caller: Caller) -> None:
    given = {"destination": "http://a.example", "batchEvents": True, "more": {"a": [1, None]}}
    made = await create(caller, given)
    fetched = (await caller.get(f"{SINKS}/{made.json['sid']}")).json["sink_configuration"]
    assert fetched == {**given, "method": "post", "batch_events": False}
    assert made.headers["ringback-warning"] == (
        "SinkConfiguration has the key 'batchEvents', which has no effect;"
        " SinkConfiguration has the key 'more', which has no effect"
    )


@pytest.mark.parametrize("fragment", ["cbs=kore", "rc=99", "odd", "", "cbs=kore&cbs=kore"])
async def test_a_fragment_is_kept_without_effect_and_warned_about(
    caller: Caller, store: MemoryStore, fragment: str
) -> None:
    destination = f"https://user:word@a.example/p?x=1#{fragment}"
    made = await with_destination(caller, destination)
    assert made.json["sink_configuration"]["destination"] == destination
    assert "fragment has no effect" in made.headers["ringback-warning"]
    stored = store.commit(lambda tx: tx.streams.sinks.get(made.json["sid"]))
    assert stored is not None
    assert stored.url.source is None
    assert stored.url.connection.retry_count == 1


async def test_warnings_come_with_those_about_unknown_parameters(caller: Caller) -> None:
    text = json.dumps({"destination": "http://a.example#rc=1"})
    form = {"Description": "x", "SinkType": "webhook", "SinkConfiguration": text, "Odd": "1"}
    warning = (await caller.post(SINKS, form)).headers["ringback-warning"]
    first, second = warning.split("; ")
    assert first.startswith("its fragment has no effect")
    assert second == "unknown parameters, which had no effect: 'Odd'"


async def test_a_kinesis_sink_has_its_configuration_as_it_was_given(
    caller: Caller, store: MemoryStore
) -> None:
    made = await create(caller, {**KINESIS, "odd": 1}, "kinesis")
    assert made.json["sink_configuration"] == {**KINESIS, "odd": 1}
    assert "'odd'" in made.headers["ringback-warning"]
    stored = store.commit(lambda tx: tx.streams.sinks.get(made.json["sid"]))
    assert stored is not None
    assert stored.url.destination.startswith("kinesis://events.111111111111.us-east-1")


@pytest.mark.parametrize(
    ("kind", "configuration", "message"),
    [
        ("webhook", "{", "SinkConfiguration can't be read as JSON"),
        ("webhook", "[]", "SinkConfiguration is not a JSON object"),
        ("webhook", '{"destination": 1}', "SinkConfiguration has no destination, or it is not a"),
        ("webhook", '{"a": 1, "a": 1}', "the name 'a' is given twice in one JSON object"),
        ("webhook", f'{{"a": {"[" * 9}{"]" * 9}}}', "is nested deeper than 8 levels"),
        ("webhook", '{"destination": ""}', "SinkConfiguration has no destination"),
        ("webhook", '{"destination": "ftp://a.example"}', "callbacks go to http:// or https://"),
        (
            "webhook",
            '{"destination": "http://a.example", "method": "PUT"}',
            "SinkConfiguration: method is 'PUT'; it must be POST or GET",
        ),
        (
            "webhook",
            '{"destination": "http://a.example", "method": 1}',
            "SinkConfiguration: method is 1; it must be POST or GET",
        ),
        (
            "webhook",
            '{"destination": "http://a.example", "batch_events": "yes"}',
            "SinkConfiguration: batch_events is 'yes'; it must be true or false",
        ),
        ("kinesis", json.dumps({**KINESIS, "arn": "x"}), "'x' is not the ARN of a Kinesis stream"),
        ("kinesis", json.dumps({**KINESIS, "role_arn": "x"}), "'x' is not the ARN of an IAM role"),
        ("kinesis", json.dumps({**KINESIS, "external_id": ""}), "has no external_id"),
        (
            "kinesis",
            json.dumps({**KINESIS, "external_id": "x"}),
            "the external id, which has 1 character: it",
        ),
        ("segment", '{"write_key": "x"}', "SinkType='segment' is not supported here; it must be"),
        ("email", "{}", "SinkType='email' is not supported here"),
        ("fax", "{}", "SinkType='fax' is unknown; it must be webhook or kinesis"),
        ("", "{}", "SinkType is required and was not given"),
        ("webhook", "", "SinkConfiguration is required and was not given"),
    ],
)
async def test_what_no_sink_can_be_is_refused(
    caller: Caller, kind: str, configuration: str, message: str
) -> None:
    answer = await create(caller, configuration, kind)
    assert refusal(answer) == (400, 91000)
    assert message in answer.json["message"]


@pytest.mark.parametrize("description", ["", "x" * 256, "a\nb"])
async def test_a_description_is_needed_and_short(caller: Caller, description: str) -> None:
    answer = await create(caller, KINESIS, "kinesis", description)
    assert refusal(answer) == (400, 20001 if description else 20002)


@pytest.mark.parametrize(
    "destination",
    [
        "https://user:pa#hunter2@a.example/",
        "https://user:hunter2#word@a.example/",
        "https://hunter2#word@a.example/",
        "https://user:hunter2@a.example:x/",
        "https://user:hunter2@a exam.ple/",
        f"https://user:hunter2@a.example/{'x' * 4096}",
        "https://user:hunter2@a.example/#\n",
    ],
)
async def test_a_refused_destination_does_not_show_its_password(
    caller: Caller, destination: str
) -> None:
    answer = await with_destination(caller, destination)
    assert refusal(answer) == (400, 91000)
    assert "hunter2" not in answer.body.decode()


async def test_the_operators_rules_for_urls_apply(store: MemoryStore) -> None:
    strict = Caller(app_on(store, read_url=only_https), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    answer = await with_destination(strict, "http://a.example/#cbs=kore")
    why = "SinkConfiguration: destination: http is not permitted here"
    assert answer.json == error(400, 91000, why)
    allowed = await with_destination(strict, "https://a.example/")
    assert allowed.headers["ringback-warning"] == "as the operator wishes"


async def test_a_password_is_in_no_audit_entry(caller: Caller, store: MemoryStore) -> None:
    made = await with_destination(
        caller, "https://user:hunter2@a.example/p", authorization="hunter2"
    )
    sid = made.json["sid"]
    await caller.post(f"{SINKS}/{sid}", {"Description": "y"})
    await caller.post(f"{SINKS}/{sid}/Test", {})
    await caller.call("DELETE", f"{SINKS}/{sid}")
    entries = store.commit(lambda tx: tx.audit.page(ACCOUNT_SID, AuditFilter(), PageWindow(9)))
    assert len(entries) == 4
    assert "hunter2" not in str(entries)
    assert "https://a.example/p" in str(entries)


# ---- filters and pages ---------------------------------------------------------------------------


def add_sinks(tx: Transaction) -> None:
    """Add ten sinks, of which the even ones are in use, and every third is not active."""
    for number in range(1, 11):
        status = SinkStatus.INITIALIZED if number % 3 == 0 else SinkStatus.ACTIVE
        tx.streams.sinks.add(replace(a_sink(number, Source.TWILIO), status=status))
        if number % 2 == 0:
            tx.streams.subscriptions.add(a_subscription(number, Source.TWILIO))
    tx.streams.sinks.add(a_sink(99, Source.KORE))


async def numbers_in(caller: Caller, query: str) -> list[int]:
    """Return the numbers of all sinks that match, read in pages of two, there and back."""
    found, back = list[int](), list[int]()
    page = (await caller.get(f"{SINKS}?PageSize=2{query}")).json
    while True:
        found += [int(one["sid"][2:], 16) for one in page["sinks"]]
        if (url := page["meta"]["next_page_url"]) is None:
            break
        page = (await caller.get(url.removeprefix("http://127.0.0.1:8080"))).json
    while True:
        back = [*(int(one["sid"][2:], 16) for one in page["sinks"]), *back]
        if (url := page["meta"]["previous_page_url"]) is None:
            break
        page = (await caller.get(url.removeprefix("http://127.0.0.1:8080"))).json
        if not page["sinks"]:
            break
    assert back == found
    return found


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
        ("&InUse=true", [10, 8, 6, 4, 2]),
        ("&InUse=false", [9, 7, 5, 3, 1]),
        ("&Status=initialized", [9, 6, 3]),
        ("&Status=active&InUse=true", [10, 8, 4, 2]),
        ("&Status=failed", []),
    ],
)
async def test_filters_hold_on_all_pages(
    caller: Caller, store: MemoryStore, query: str, expected: list[int]
) -> None:
    await store.transact(add_sinks)
    assert await numbers_in(caller, query) == expected


async def test_a_sink_of_kore_is_not_in_twilios_api(caller: Caller, store: MemoryStore) -> None:
    await store.transact(add_sinks)
    assert refusal(await caller.get(f"{SINKS}/DG{99:032x}")) == (404, 91001)


@pytest.mark.parametrize(
    ("query", "code"),
    [("InUse=1", 20001), ("Status=odd", 20001), ("PageSize=0", 91002), ("PageToken=x", 91002)],
)
async def test_a_wrong_filter_or_page_is_refused(caller: Caller, query: str, code: int) -> None:
    assert refusal(await caller.get(f"{SINKS}?{query}")) == (400, code)


@pytest.mark.parametrize("sid", ["DG1", f"DF{1:032x}", f"dg{1:032x}"])
@pytest.mark.parametrize("verb", ["GET", "POST", "DELETE"])
async def test_a_malformed_sid_is_refused(caller: Caller, verb: str, sid: str) -> None:
    body = b"Description=x" if verb == "POST" else b""
    answer = await caller.call(verb, f"{SINKS}/{sid}", body)
    assert refusal(answer) == (400, 91006)


# ---- tests and validation ------------------------------------------------------------------------


async def test_a_failed_test_shows_as_the_status_until_another_is_sent(
    caller: Caller, store: MemoryStore
) -> None:
    sink = replace(a_sink(1, Source.TWILIO), status=SinkStatus.INITIALIZED)
    await store.transact(lambda tx: tx.streams.sinks.add(sink))
    one = f"{SINKS}/{sink.sid}"
    assert (await caller.post(f"{one}/Test", {})).json == {"result": "submitted"}
    assert (await caller.get(one)).json["status"] == "validating"
    stored = store.commit(lambda tx: tx.streams.sinks.get(sink.sid))
    assert stored is not None
    test = store.commit(lambda tx: tx.callbacks.find(stored.test_sid or ""))
    assert test is not None
    failed = test.having(advance(test.progress, GiveUp("made up"), NOW))
    await store.transact(lambda tx: tx.callbacks.change(failed))
    assert (await caller.get(one)).json["status"] == "failed"
    assert [one["status"] for one in (await caller.get(f"{SINKS}?Status=failed")).json["sinks"]]
    await caller.post(f"{one}/Test", {})
    assert (await caller.get(one)).json["status"] == "validating"


async def test_a_validation_needs_the_id_of_a_test(caller: Caller, store: MemoryStore) -> None:
    await store.transact(lambda tx: tx.streams.sinks.add(a_sink(1, Source.TWILIO)))
    path = f"{SINKS}/DG{1:032x}/Validate"
    assert refusal(await caller.post(path, {})) == (400, 20002)
    assert (await caller.post(path, {"TestId": "any"})).json == {"result": "valid"}


async def test_a_used_sink_is_not_deleted(caller: Caller, store: MemoryStore) -> None:
    await store.transact(add_sinks)
    answer = await caller.call("DELETE", f"{SINKS}/DG{2:032x}")
    assert refusal(answer) == (400, 91007)
    assert f"DF{2:032x}" in answer.json["message"]
    assert (await caller.call("DELETE", f"{SINKS}/DG{1:032x}")).status == 204
