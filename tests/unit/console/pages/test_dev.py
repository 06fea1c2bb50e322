"""The page of `ringback dev`: events, the clock, devices and scenarios."""

import asyncio
import re
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest

from ringback.operations.accounts import create_account
from ringback.runtime.virtual_clock import VirtualClock
from ringback.triggers import TRIGGERS
from tests.consoles import START, ConsoleWorld, ScriptlessBrowser, console_world
from tests.receivers import RecordingReceiver
from tests.streams import a_sink, a_subscription, add_stream

DEV = "/console/dev"
NOBODY = "http://127.0.0.1:9/"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
REFUSAL = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


async def audit_of(world: ConsoleWorld) -> list[str]:
    return [one["action"] for one in (await world.api().get("/portal/v1/audit")).json["audit"]]


async def trigger(browser: ScriptlessBrowser, event: str, to: str, **more: str) -> str:
    return (await browser.do(f"{DEV}/trigger", event=event, to=to, **more)).text


# ---- who sees it ---------------------------------------------------------------------------------


async def test_under_serve_there_is_no_such_page(tmp_path: Path) -> None:
    async with console_world(tmp_path, is_dev=False) as world:
        operator = await world.operator()
        for answer in (
            await operator.open(DEV),
            await operator.send(f"{DEV}/clock", advance="1d"),
            await operator.send(f"{DEV}/trigger", event="sms.received", to=NOBODY),
        ):
            assert answer.status == 404
        assert world.clock.ahead == timedelta(0)
        assert "/console/dev" not in (await operator.open("/console/callbacks")).html


async def test_each_event_has_a_button_with_its_meaning(world: ConsoleWorld) -> None:
    page = await (await world.operator()).open(DEV)
    for one in TRIGGERS.values():
        assert f'name="event" value="{one.name}">{one.name}</button>' in page.html
        assert one.words in page.text
    assert 'value="http://127.0.0.1:9000/"' in page.html


async def test_a_key_that_can_only_read_has_no_buttons_and_changes_nothing(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    reader, sim = await world.reader(), world.account.sim_sid
    page = await reader.open(DEV)
    assert "my_super_sim" in page.text
    assert f'action="{DEV}/' not in page.html
    before = await audit_of(world)
    for path, form in (
        ("trigger", {"event": "sms.received", "to": receiver.url("/")}),
        ("clock", {"advance": "1d"}),
        ("send", {"as": f"{sim}/sms", "payload": "x"}),
        ("scenario", {"scenario": "slow"}),
    ):
        assert "read" in (await reader.do(f"{DEV}/{path}", **form)).text, path
    assert await audit_of(world) == before
    assert not receiver.requests
    assert world.clock.ahead == timedelta(0)


async def test_another_account_sees_and_reaches_nothing_of_it(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    await trigger(await world.owner(), "sms.received", receiver.url("/"))
    stranger, sim = await world.stranger(), world.account.sim_sid
    page = await stranger.open(DEV)
    assert "my_super_sim" not in page.text
    assert "Triggered here" not in page.text
    assert "Hello from Ringback</code>" not in page.html
    said = await trigger(stranger, "sms.received", receiver.url("/"), sim=sim)
    assert "was not found" in said or "no SIM" in said
    assert "this account has no SIM of Programmable Wireless" in await trigger(
        stranger, "wireless.reset", receiver.url("/")
    )
    assert len(receiver.requests) == 1


async def test_the_operator_can_look_at_another_account(world: ConsoleWorld) -> None:
    account = await world.change(
        lambda tx: create_account(tx, name="Other Ltd", context=world.context())
    )
    sid = account.sid
    await (await world.sign_in(sid, account.auth_token)).do(f"{DEV}/scenario", scenario="slow")
    operator = await world.operator()
    page = await operator.open(f"{DEV}?account={sid}")
    assert "scenario of the account: <b>slow</b>" in page.text
    assert f'action="{DEV}/clock?account={sid}"' in page.html
    assert "scenario of the account: <b>normal</b>" in (await operator.open(DEV)).text


# ---- events --------------------------------------------------------------------------------------


async def test_a_triggered_event_leads_to_its_callback(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    operator = await world.operator()
    url = receiver.url("/hook")
    page = await operator.do(
        f"{DEV}/trigger", event="sms.received", to=url, cbs="kore", method="GET", payload="<i>hi"
    )
    (request,) = receiver.requests
    assert request.line.startswith("GET /hook?")
    assert "sms.received: a callback was created, and delivered." in page.text
    link = re.search(r'<a href="(/console/callbacks/CB\w+)">Open it</a>', page.html)
    assert link is not None
    shown = await operator.open(link[1])
    assert "Why kore" in shown.text
    assert "<i>hi" not in page.html
    assert "&lt;i&gt;hi" in page.html
    # The form is as it was, and the event is listed.
    assert f'name="to" value="{url}"' in page.html
    assert '<option value="kore" selected>' in page.html
    assert "Triggered here" in page.text


async def test_the_actions_are_those_of_the_person_who_is_signed_in(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    await trigger(await world.operator(), "sms.received", receiver.url("/"))
    entries = (await world.api().get("/portal/v1/audit?Action=UpdateFleet")).json["audit"]
    assert [one["actor_kind"] for one in entries] == ["operator_key", "operator_key"]
    assert receiver.url("/") in str(entries[0]["before"])
    assert receiver.url("/") in str(entries[1]["after"])


async def test_the_scenario_of_an_event_is_undone(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    said = await trigger(await world.operator(), "sms.failed", receiver.url("/"))
    assert "sms.failed: a callback was created, and delivered." in said
    chosen = await world.api().get(f"/portal/v1/scenarios?Sim={world.account.sim_sid}")
    assert (chosen.json["scenario"], chosen.json["chosen"]) == ("normal", None)


async def test_the_command_names_what_was_changed(world: ConsoleWorld) -> None:
    operator = await world.operator()
    usual = "ringback trigger sms.received --to http://127.0.0.1:9000/"
    assert f">{usual}<" in (await operator.open(DEV)).html
    page = await operator.open(f"{DEV}?cbs=kore&payload=two+words")
    assert f">{usual} --cbs kore --payload &#39;two words&#39;<" in page.html


async def test_a_sim_that_was_deleted_is_left_out(world: ConsoleWorld) -> None:
    operator, sid = await world.operator(), world.account.wireless_sim_sid
    assert sid in (await operator.open(DEV)).html
    await world.change(lambda tx: tx.wireless.sims.remove(sid))
    page = await operator.open(DEV)
    assert (page.status, sid in page.html) == (200, False)


async def test_an_event_with_two_callbacks_links_both(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    page = await (await world.operator()).do(
        f"{DEV}/trigger", event="wireless.activated", to=receiver.url("/")
    )
    assert "wireless.activated: 2 callbacks were created, and delivered." in page.text
    table = page.html.partition("Triggered here")[2].partition("</table>")[0]
    assert "SIM update ready</a>, <a" in table


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"event": "nonsense", "to": NOBODY}, "Choose one of the events on this page."),
        ({"event": "sms.received", "to": "ftp:x"}, "'ftp:x' is not a valid URL"),
        (
            {"event": "sms.received", "to": NOBODY, "sim": "DE" + "0" * 32},
            "sms.received needs a SIM of Super SIM: choose another SIM",
        ),
        (
            {"event": "sms.received", "to": NOBODY},
            f"nothing listens at {NOBODY}; start `ringback listen`, or type the URL of another",
        ),
        ({"event": "sms.received", "to": NOBODY, "payload": ""}, "Payload"),
        ({"event": "sms.received", "to": NOBODY, "method": "PUT"}, "Method"),
    ],
)
async def test_what_goes_wrong_is_said_in_words(
    world: ConsoleWorld, form: dict[str, str], said: str
) -> None:
    page = await (await world.operator()).do(f"{DEV}/trigger", **form)
    assert '<p class="note bad" role="alert">' in page.html
    assert said in page.text


async def test_a_receiver_that_refuses_is_named_with_its_answer(world: ConsoleWorld) -> None:
    async with RecordingReceiver(REFUSAL) as receiver:
        page = await (await world.operator()).do(
            f"{DEV}/trigger", event="sim.unchanged", to=receiver.url("/")
        )
    assert "was not delivered" in page.text
    assert "404" in page.text
    assert "Open it" in page.text


async def test_an_event_of_a_connection_goes_to_those_who_are_subscribed_to_it(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    operator, name = await world.operator(), "connection.data-session.started"
    assert "no event com.twilio.iot.supersim." in await trigger(operator, name, NOBODY)
    account_sid = world.account.account.sid
    sink = a_sink(url=receiver.url("/events"), account_sid=account_sid)
    subscription = a_subscription(account_sid=account_sid)
    await world.change(lambda tx: add_stream(tx, sink, subscription))
    said = await trigger(operator, name, NOBODY)
    assert f"{name}: the event was published to the sinks that are subscribed to it." in said
    newest = said.partition("Triggered here")[2].partition(f"<code>{name}</code>")[2]
    assert '<td class="full">published</td>' in newest.partition("</tr>")[0]


async def test_an_event_that_takes_long_goes_on(
    world: ConsoleWorld, receiver: RecordingReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.console.pages.dev._PATIENCE", 0.05)
    operator = await world.operator()
    await operator.do(f"{DEV}/scenario", sim=world.account.wireless_sim_sid, scenario="asleep")
    page = await operator.do(f"{DEV}/trigger", event="command.delivered", to=receiver.url("/"))
    assert "command.delivered goes on; what comes of it is shown below." in page.text
    part = await operator.part(DEV, "triggered")
    assert "goes on" in part.text
    assert not receiver.requests
    # It ends when the device wakes up.
    await shows(operator, "triggered", "is queued")
    await operator.do(f"{DEV}/clock", advance="2d")
    await shows(operator, "triggered", "delivered</td>")
    assert len(receiver.requests) == 1


async def shows(browser: ScriptlessBrowser, part: str, text: str) -> None:
    """Refresh a part of the page until it shows a text."""
    for _ in range(500):
        if text in (await browser.part(DEV, part)).text:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{text!r} does not come")


async def test_after_an_event_the_empty_list_shows_it_without_a_reload(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    operator = await world.operator()
    empty = await operator.open("/console/callbacks")
    assert f'<a class="button primary" href="{DEV}">' in empty.html
    refreshed = re.search(r'id="rows"[^>]* hx-get="([^"]+)"', empty.html)
    assert refreshed is not None
    await trigger(operator, "sms.received", receiver.url("/"))
    assert "SMS from a SIM" in (await operator.part(refreshed[1], "rows")).text


# ---- the clock -----------------------------------------------------------------------------------


async def test_the_clock_is_advanced_by_what_was_typed(world: ConsoleWorld) -> None:
    operator = await world.operator()
    assert "the time of this machine" in (await operator.open(DEV)).text
    page = await operator.do(f"{DEV}/clock", advance=" 2 h ")
    assert world.clock.now() == START + timedelta(hours=2)
    assert "The clock was advanced by 2h: it is 2026-11-27 06:00:00Z." in page.text
    assert "2 h ahead of this machine" in page.text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("soon", "'soon' is not a valid duration; write it like 500ms, 3s, 5m, 2h or 1d"),
        ("0s", "the duration must be above 0"),
        ("", "Advance is required"),
    ],
)
async def test_a_bad_duration_is_refused_in_words(
    world: ConsoleWorld, typed: str, said: str
) -> None:
    page = await (await world.operator()).do(f"{DEV}/clock", advance=typed)
    assert said in page.text
    assert world.clock.ahead == timedelta(0)


@pytest.fixture
async def retrying(tmp_path: Path) -> AsyncGenerator[ConsoleWorld]:
    async with console_world(tmp_path, flags={"schedule": "5m,1h"}) as world:
        yield world


async def test_what_waits_is_listed_by_when_it_is_due(retrying: ConsoleWorld) -> None:
    world = retrying
    operator = await world.operator()
    assert "No callback waits" in (await operator.open(DEV)).text
    async with RecordingReceiver(answer=lambda _: BUSY) as receiver:
        first = await world.send(receiver.url("/first"))
        await world.wait_for_round(first)
        world.clock.advance(timedelta(minutes=3))
        second = await world.send(receiver.url("/second"))
        await world.wait_for_round(second)
        part = await operator.part(DEV, "due")
    assert "Due next: 2 callbacks wait" in part.text
    assert part.html.index(first) < part.html.index(second)
    assert "round 2" in part.text
    again = await operator.part(DEV, "due", etag=part.answer.headers["etag"])
    assert again.status == 304


@pytest.fixture
async def dated(tmp_path: Path) -> AsyncGenerator[ConsoleWorld]:
    """A server whose policy has a calendar of its own, a while before a border."""
    on = VirtualClock.stopped(START)
    async with console_world(tmp_path, clock=on, flags={"at": "2024-10-15"}) as world:
        yield world


async def test_the_clock_can_be_advanced_past_the_next_border_of_the_policy(
    dated: ConsoleWorld,
) -> None:
    operator = await dated.operator()
    page = await operator.open(DEV)
    assert "Advance past 16 October 2024…" in page.text
    assert "Then the default moves from twilio to kore. The clock goes 1 day ahead;" in page.text
    assert "no waiting callback is due before" in page.text
    assert "there it is 773 days 4 h earlier" in page.text
    found = re.search(r'name="border" value="([^"]+)"', page.html)
    assert found is not None
    after = await operator.do(f"{DEV}/clock", border=found[1])
    assert "The clock was advanced past 16 October 2024" in after.text
    assert dated.clock.ahead == timedelta(days=1, seconds=1)
    assert (await dated.api().get("/portal/v1/policy")).json["phase"] == "between"
    assert "Advance past 2 November 2024…" in after.text
    late = await operator.do(f"{DEV}/clock", border=found[1])
    assert "this border has been passed already; nothing was changed" in late.text
    assert dated.clock.ahead == timedelta(days=1, seconds=1)


# ---- devices and scenarios -----------------------------------------------------------------------


async def test_a_device_sends_and_it_is_said_where_its_callback_goes(world: ConsoleWorld) -> None:
    operator, sim = await world.operator(), world.account.sim_sid
    assert (
        f'<option value="{sim}/sms">my_super_sim: SMS</option>' in (await operator.open(DEV)).html
    )
    page = await operator.do(f"{DEV}/send", **{"as": f"{sim}/ip"}, payload="<b>482")
    assert "The device of my_super_sim has sent a datagram, HG" in page.text
    assert "no callback: IpCommandsUrl of the SIM's Fleet is not set." in page.text
    newest = await operator.part(DEV, "commands")
    assert "datagram from a SIM" in newest.text
    assert "<code>&lt;b&gt;482</code>" in newest.html
    assert "received" in newest.text


async def test_a_command_is_sent_from_a_device_of_programmable_wireless(
    world: ConsoleWorld,
) -> None:
    sim = world.account.wireless_sim_sid
    page = await (await world.operator()).do(
        f"{DEV}/send", **{"as": f"{sim}/commands"}, payload="x"
    )
    assert "has sent a Command, DC" in page.text
    assert "Command from a SIM" in page.text


@pytest.mark.parametrize(
    ("choice", "said"),
    [("", "Choose a device"), ("HS1/fax", "Choose a device"), (f"HS{'0' * 32}/sms", "HS000")],
)
async def test_an_unknown_device_is_refused(world: ConsoleWorld, choice: str, said: str) -> None:
    page = await (await world.operator()).do(f"{DEV}/send", **{"as": choice}, payload="x")
    assert said in page.text
    assert '<p class="note bad"' in page.html


async def test_a_scenario_is_chosen_for_a_sim_and_normal_undoes_it(world: ConsoleWorld) -> None:
    operator, sim = await world.operator(), world.account.sim_sid
    page = await operator.do(f"{DEV}/scenario", sim=sim, name="my_super_sim", scenario="slow")
    assert "The scenario of my_super_sim is slow (chosen for this SIM)" in page.text
    assert page.html.count('<option value="slow" selected>') == 1
    page = await operator.do(f"{DEV}/scenario", sim=sim, scenario="normal")
    assert "is normal (chosen for this SIM): everything works." in page.text
    page = await operator.do(f"{DEV}/scenario", sim=sim, scenario="")
    assert (await world.api().get(f"/portal/v1/scenarios?Sim={sim}")).json["chosen"] is None


async def test_a_scenario_of_the_account_applies_to_all_its_sims(world: ConsoleWorld) -> None:
    page = await (await world.operator()).do(f"{DEV}/scenario", scenario="slow")
    assert "The scenario of the account is slow" in page.text
    assert page.text.count("chosen for the account</span>") == 2
    wrong = await (await world.operator()).do(f"{DEV}/scenario", scenario="fast")
    assert "there is no scenario 'fast'" in wrong.text


async def test_each_part_can_be_asked_for_alone(world: ConsoleWorld) -> None:
    operator = await world.operator()
    for name in ("due", "triggered", "sims", "commands"):
        part = await operator.part(DEV, name)
        assert part.status == 200
        assert f'id="{name}"' in part.html
        assert "<html" not in part.html
