"""Commands for event streams: KORE's destinations and rules, and the events of both sources."""

import json
import re
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ringback.cli.main import main
from ringback.core.policy.source_policy import Source
from ringback.operations.streams.publish import listening, publish
from ringback.testing import Emulator
from tests.streams import (
    ARN,
    ENDED,
    STARTED,
    a_sink,
    a_subscription,
    add_stream,
    an_event_of,
    sim_sid,
)

ROLE = "arn:aws:iam::111111111111:role/writer"
NOBODY = "http://127.0.0.1:9/in"


def run(ringback: Emulator, *words: str, code: int = 0, of: str = "streams") -> Result:
    who = ("--account-sid", ringback.account_sid, "--auth-token", ringback.auth_token)
    command = [of, *words, "--server", ringback.base_url, *who]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == code, result.output
    return result


def record(ringback: Emulator, *words: str, of: str = "streams") -> Any:
    return json.loads(run(ringback, *words, "--json", of=of).stdout)


def a_destination(ringback: Emulator, url: str = NOBODY) -> str:
    return record(ringback, "destinations", "add", "ours", "--url", url)["sid"]


def a_rule(ringback: Emulator, destination_sid: str, *words: str) -> str:
    words = ("rules", "add", "all", "--destination", destination_sid, *words)
    return record(ringback, *words)["sid"]


def happen(ringback: Emulator, *numbers: int) -> None:
    """Publish events with these numbers, each about a SIM of its own."""
    for number in numbers:
        event = an_event_of(
            number, number, ENDED, account_sid=ringback.account_sid, at=ringback.now
        )
        ringback._change(
            lambda tx, context, event=event: publish(
                tx, event, listening(tx, ringback.account_sid, context), context
            )
        )


# ---- destinations and rules ----------------------------------------------------------------------


def test_a_destination_is_added_changed_and_deleted(ringback: Emulator) -> None:
    line = run(ringback, "destinations", "add", "ours", "--url", f"{NOBODY}#rc=2").stdout
    sid = line.split(" ")[0]
    assert line == (
        f"{sid} ours: {NOBODY}#rc=2\n"
        "  warning: its fragment has no effect, since the URL is that of an event stream\n"
    )
    words = ("destinations", "change", sid, "--name", "mine", "--url", "http://127.0.0.1:9/new")
    assert run(ringback, *words).stdout == f"{sid} mine: http://127.0.0.1:9/new\n"
    assert run(ringback, "destinations", "delete", sid).stdout == (
        f"the destination {sid} is deleted\n"
    )
    assert run(ringback, "list").stdout == (
        "no event streams; `ringback streams destinations add` makes a destination\n"
    )


def test_a_destination_can_be_a_kinesis_stream(ringback: Emulator) -> None:
    where = ("--arn", ARN, "--role-arn", ROLE, "--external-id", "made-up")
    made = record(ringback, "destinations", "add", "lake", *where)
    assert (made["type"], made["arn"], made["role_arn"], made["external_id"]) == (
        *("kinesis", ARN, ROLE, "made-up"),
    )
    assert ARN in run(ringback, "list").stdout


def test_a_rule_is_added_changed_disabled_enabled_and_deleted(ringback: Emulator) -> None:
    destination_sid = a_destination(ringback)
    words = ("rules", "add", "ends", "--destination", destination_sid)
    types = ("--type", "data-session.ended:1", "--type", "data-session.failed")
    line = run(ringback, *words, *types).stdout
    sid = line.split(" ")[0]
    assert line == (f"{sid} ends: data-session.ended:1, data-session.failed to {destination_sid}\n")
    assert "ends (disabled): " in run(ringback, "rules", "disable", sid).stdout
    assert "gets nothing: it is disabled" in run(ringback, "list").stdout
    assert "(disabled)" not in run(ringback, "rules", "enable", sid).stdout
    words = ("rules", "change", sid, "--name", "starts", "--type", STARTED.short)
    assert run(ringback, *words).stdout == (
        f"{sid} starts: data-session.started to {destination_sid}\n"
    )
    older = run(ringback, "rules", "change", sid, "--schema-version", "1").stdout
    assert "data-session.started:1" in older
    second = a_destination(ringback)
    assert second in run(ringback, "rules", "change", sid, "--destination", second).stdout
    assert run(ringback, "rules", "delete", sid).stdout == f"the streaming rule {sid} is deleted\n"


def test_a_rule_is_for_all_types_unless_some_are_named(ringback: Emulator) -> None:
    words = ("rules", "add", "all", "--destination", a_destination(ringback), "--disabled")
    made = record(ringback, *words)
    assert (len(made["event_types"]), made["is_enabled"]) == (7, False)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("destinations", "add", "x"), "give either --url for a webhook, or --arn"),
        (("destinations", "add", "x", "--url", NOBODY, "--arn", ARN), "give either --url"),
        (("destinations", "change", "DG1"), "give at least one change, such as --name"),
        (("rules", "change", "DF1"), "give at least one change, such as --name"),
        (("rules", "add", "x"), "--destination"),
        (("events", "--type", "odd"), "--type"),
        (("list", "--source", "acme"), "--source"),
    ],
)
def test_a_wrong_command_says_what_is_wrong(
    ringback: Emulator, words: tuple[str, ...], why: str
) -> None:
    assert why in run(ringback, *words, code=2).output


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("destinations", "add", "x", "--url", "nowhere"), "Url: "),
        (("destinations", "add", "x", "--arn", ARN), "RoleArn is required and was not given"),
        (("destinations", "test", "DG1"), "'DG1' is not the SID of a destination"),
        (("rules", "delete", "DF1"), "there is no streaming rule DF1"),
        (("event", "EZ1"), "there is no event EZ1"),
    ],
)
def test_the_servers_refusal_is_printed(
    ringback: Emulator, words: tuple[str, ...], why: str
) -> None:
    assert why in run(ringback, *words, code=1).output


# ---- tests, events and batches -------------------------------------------------------------------


def test_a_test_event_is_sent_and_its_attempt_shown(ringback: Emulator) -> None:
    sid = a_destination(ringback, ringback.receiver.url("/in"))
    line = run(ringback, "destinations", "test", sid).stdout
    assert f" to {ringback.receiver.url('/in')}: delivered: the receiver answered 200" in line
    (request,) = ringback.receiver.requests
    assert b"com.kore.eventstreams.test.event" in request.body
    (one,) = record(ringback, "list", of="callbacks")["callbacks"]
    shown = run(ringback, "show", one["sid"], of="callbacks").stdout
    assert f"  stream      {sid}\n" in shown
    assert "  com.kore.eventstreams.test.event\n" in shown


def test_events_are_listed_and_shown_with_their_batches(ringback: Emulator) -> None:
    assert run(ringback, "events").stdout == "no events\n"
    rule_sid = a_rule(ringback, a_destination(ringback, ringback.receiver.url("/in")))
    happen(ringback, 1, 2)
    assert ": 2 waiting, no batch\n" in run(ringback, "list", "--source", "kore").stdout
    ringback.advance("1s")
    lines = run(ringback, "events").stdout.splitlines()
    assert [line.split("  ")[0] for line in lines] == [an_event_of(n).sid for n in (2, 1)]
    assert lines[0].endswith(f"  data-session.ended   {sim_sid(2)}")
    assert len(run(ringback, "events", "--sim", sim_sid(1)).stdout.splitlines()) == 1
    assert run(ringback, "events", "--type", "data-session.started").stdout == "no events\n"
    (batch,) = record(ringback, "list", of="callbacks")["callbacks"]
    title, twilio, kore, of_batch = run(ringback, "event", an_event_of(1).sid).stdout.splitlines()
    assert title == lines[1]
    assert twilio.startswith('twilio  {"specversion"')
    assert kore.startswith('kore    {"data"')
    assert of_batch == f"batch   {batch['sid']}  delivered  kore  {rule_sid}"
    assert f": 0 waiting, last batch {batch['sid']} delivered\n" in run(ringback, "list").stdout


def test_a_batch_is_listed_and_shown_with_its_events(ringback: Emulator) -> None:
    rule_sid = a_rule(ringback, a_destination(ringback, ringback.receiver.url("/in")))
    happen(ringback, 1, 2)
    ringback.advance("2s")
    words = ("list", "--event", "connection")
    assert "  data-session.ended (2)  delivered" in run(ringback, *words, of="callbacks").stdout
    (listed,) = record(ringback, "list", "--stream", rule_sid, of="callbacks")["callbacks"]
    assert listed["stream_sid"] == rule_sid
    none = run(ringback, "list", "--stream", a_subscription().sid, of="callbacks").stdout
    assert none.startswith("no callbacks")
    replay = ("replay", "--since", "1h", "--status", "delivered", "--stream", rule_sid)
    counted = record(ringback, *replay, "--dry-run", of="callbacks")
    assert (counted["matched"], counted["replayed"]) == (1, 1)
    shown = run(ringback, "show", of="callbacks").stdout
    assert f"  stream      {rule_sid}\n" in shown
    assert f"  {an_event_of(1).sid}  data-session.ended  {sim_sid(1)}\n" in shown
    assert "asked for" not in shown
    assert f"  stream      {rule_sid} is a stream of kore, whatever the policy" in shown
    compared = run(ringback, of="diff").stdout
    assert "the body has the same\nevents, written in another way." in compared
    # Each event of the one is beside that of the other.
    assert re.search(r'\{"specversion":"1.0",.*  \{"data":', compared)


def test_streams_of_twilio_are_listed_with_those_of_kore(ringback: Emulator) -> None:
    account_sid, twilio = ringback.account_sid, Source.TWILIO
    sink = a_sink(source=twilio, account_sid=account_sid)
    unused = a_sink(2, twilio, account_sid=account_sid)
    subscription = a_subscription(source=twilio, account_sid=account_sid, types={ENDED: 1})
    ringback._change(lambda tx, _: tx.streams.sinks.add(sink))
    ringback._change(lambda tx, _: tx.streams.sinks.add(unused))
    ringback._change(lambda tx, _: tx.streams.subscriptions.add(subscription))
    lines = run(ringback, "list").stdout.splitlines()
    assert lines[:2] == [
        f"{unused.sid}  twilio  webhook  the sink: http://a.example/events",
        "  nothing is subscribed",
    ]
    assert lines[3:5] == [
        f"  {subscription.sid}  the subscription: 0 waiting, no batch",
        "    data-session.ended:1",
    ]


def test_a_stream_of_twilio_says_when_its_types_end() -> None:
    with Emulator(settings={"at": "2024-10-20"}) as ringback:
        sink = a_sink(source=Source.TWILIO, account_sid=ringback.account_sid)
        subscription = a_subscription(source=Source.TWILIO, account_sid=ringback.account_sid)
        ringback._change(lambda tx, _: add_stream(tx, sink, subscription))
        (*_, last) = run(ringback, "list").stdout.splitlines()
    assert last == (
        "    gets nothing from 2024-11-02 on, since its types are then discontinued at twilio"
    )
