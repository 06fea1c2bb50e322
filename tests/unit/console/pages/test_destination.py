"""One destination: what its page shows, and what each action does."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.consoles import START, ConsoleWorld, ScriptlessBrowser
from tests.receivers import RecordingReceiver

ONE = "/console/destinations/one"


def page_of(world: ConsoleWorld, receiver: RecordingReceiver) -> str:
    return f"{ONE}?destination={quote(receiver.url(''))}&account={world.account.account.sid}"


def form_of(world: ConsoleWorld, receiver: RecordingReceiver, **more: str) -> dict[str, str]:
    return {"destination": receiver.url(""), "account": world.account.account.sid, **more}


async def stored(world: ConsoleWorld, receiver: RecordingReceiver) -> dict[str, Any]:
    """Return what the API says of the destination."""
    path = f"/portal/v1/destinations/one?Destination={quote(receiver.url(''))}"
    return (await world.api().get(path)).json


async def value_of(world: ConsoleWorld, receiver: RecordingReceiver, name: str) -> str:
    found = (await stored(world, receiver))["settings"]
    return next(one["value"] for one in found if one["name"] == name)


@pytest.fixture
async def owner(world: ConsoleWorld, receiver: RecordingReceiver) -> ScriptlessBrowser:
    """A browser of the account, after a callback has gone to the receiver."""
    await world.wait_until_ended(await world.send(receiver.url("/hook#cbs=kore")))
    return await world.owner()


async def test_the_page_shows_the_state_the_settings_and_the_ways_on(
    world: ConsoleWorld, receiver: RecordingReceiver, owner: ScriptlessBrowser
) -> None:
    page = await owner.open(page_of(world, receiver))
    assert page.status == 200
    assert '<span class="state done">well</span>' in page.html
    assert "Breaker share" in page.text
    assert "the default" in page.text
    origin = quote(receiver.url(""), safe="/")
    assert f'href="/console/callbacks?destination={origin}"' in page.html
    assert f'href="/console/undelivered?destination={origin}"' in page.html
    assert f"ringback destinations show '{receiver.url('')}'" in page.text


async def test_it_is_paused_with_an_end_and_a_reason_and_resumed(
    world: ConsoleWorld, receiver: RecordingReceiver, owner: ScriptlessBrowser
) -> None:
    form = form_of(world, receiver, length="1h", reason="they <b>move</b>")
    paused = await owner.do(f"{ONE}/pause", **form)
    assert "It is paused" in paused.text
    assert "paused by the account: they &lt;b&gt;move&lt;/b&gt;" in paused.html
    found = await stored(world, receiver)
    assert (found["state"], found["until"]) == ("paused", "2026-11-27T05:00:00Z")
    assert "Resume…" in paused.text
    resumed = await owner.do(f"{ONE}/resume", **form_of(world, receiver))
    assert "It is resumed" in resumed.text
    assert "Resume…" not in resumed.text
    assert (await stored(world, receiver))["state"] == "well"


async def test_a_pause_can_end_at_a_time_that_is_typed(
    world: ConsoleWorld, receiver: RecordingReceiver, owner: ScriptlessBrowser
) -> None:
    await owner.do(f"{ONE}/pause", **form_of(world, receiver, until="2026-11-28T06:30"))
    assert (await stored(world, receiver))["until"] == "2026-11-28T06:30:00Z"
    past = f"{START:%Y-%m-%dT%H:%M}"
    refused = await owner.do(f"{ONE}/pause", **form_of(world, receiver, until=past))
    assert "has passed; give a later time" in refused.text
    assert (await stored(world, receiver))["until"] == "2026-11-28T06:30:00Z"
    odd = await owner.do(f"{ONE}/pause", **form_of(world, receiver, until="soon"))
    assert "'soon'" in odd.text


async def test_an_account_is_told_that_only_the_operator_ends_the_operators_pause(
    world: ConsoleWorld, receiver: RecordingReceiver, owner: ScriptlessBrowser
) -> None:
    operator = await world.operator()
    await operator.do(f"{ONE}/pause", **form_of(world, receiver, reason="too many"))
    page = await owner.open(page_of(world, receiver))
    assert "paused by the operator: too many" in page.text
    assert "Resume…" not in page.text
    refused = await owner.do(f"{ONE}/resume", **form_of(world, receiver))
    assert "only the operator can resume it" in refused.text


async def test_a_setting_is_set_shown_as_set_here_and_unset(
    world: ConsoleWorld, receiver: RecordingReceiver, owner: ScriptlessBrowser
) -> None:
    path = f"{ONE}/set"
    done = await owner.do(path, **form_of(world, receiver, name="rate", value="20"))
    assert "Rate is set." in done.text
    assert await value_of(world, receiver, "rate") == "20"
    assert "To undo it, set it to 20 again" in done.text
    wrong = await owner.send(path, **form_of(world, receiver, name="rate", value="fast"))
    assert wrong.leads_to.endswith("&do=rate")
    shown = await owner.open(wrong.leads_to)
    assert "is not a rate; write requests a second" in shown.text
    undone = await owner.do(path, **form_of(world, receiver, name="rate", unset="yes"))
    assert "Rate is unset here." in undone.text
    assert await value_of(world, receiver, "rate") == "none"
    odd = await owner.do(path, **form_of(world, receiver, name="<b>", value="1"))
    assert "there is no setting &#39;&lt;b&gt;&#39;" in odd.html


async def test_headers_are_set_by_lines_and_never_shown_again(
    world: ConsoleWorld, receiver: RecordingReceiver, owner: ScriptlessBrowser
) -> None:
    form = form_of(world, receiver, name="headers", value="X-A: hunter2\r\nX-B: swordfish\r\n")
    done = await owner.do(f"{ONE}/set", **form)
    assert "X-A: (hidden), X-B: (hidden)" in done.text
    assert "hunter2" not in done.html
    assert "never shows it" in done.text
    await world.wait_until_ended(await world.send(receiver.url("/hook")))
    assert "X-B: swordfish" in receiver.requests[-1].headers


async def test_settings_of_the_operator_have_no_form_for_an_account(
    world: ConsoleWorld, receiver: RecordingReceiver, owner: ScriptlessBrowser
) -> None:
    page = page_of(world, receiver)
    assert 'name="name" value="total_rate"' not in (await owner.open(page)).html
    operator = await world.operator()
    assert 'name="name" value="total_rate"' in (await operator.open(page)).html
    form = form_of(world, receiver, name="total_rate", value="5")
    refused = await owner.do(f"{ONE}/set", **form)
    assert "only the operator can set TotalRate" in refused.text
    assert "Total rate is set." in (await operator.do(f"{ONE}/set", **form)).text


async def test_a_test_event_goes_to_the_newest_url(
    world: ConsoleWorld, receiver: RecordingReceiver, owner: ScriptlessBrowser
) -> None:
    done = await owner.do(f"{ONE}/test", **form_of(world, receiver))
    assert f"A test event goes to {receiver.url('/hook#cbs=kore')}, from kore." in done.text
    sid = done.html.partition('<a href="/console/callbacks/')[2][:34]
    assert await world.wait_until_ended(sid) == "delivered"
    assert b"destination.test" in receiver.requests[-1].body


async def test_a_key_that_can_only_read_sees_all_and_changes_nothing(
    world: ConsoleWorld, receiver: RecordingReceiver, owner: ScriptlessBrowser
) -> None:
    reader = await world.reader()
    page = await reader.open(page_of(world, receiver))
    assert "Breaker share" in page.text
    assert f'action="{ONE}' not in page.html
    for verb, more in (("pause", {}), ("resume", {}), ("test", {}), ("set", {"name": "rate"})):
        refused = await reader.do(f"{ONE}/{verb}", **form_of(world, receiver, value="1", **more))
        assert "can only read" in refused.text, verb
    assert (await stored(world, receiver))["changes"] == []


async def test_it_is_not_found_by_another_account(
    world: ConsoleWorld, receiver: RecordingReceiver, owner: ScriptlessBrowser
) -> None:
    stranger, page = await world.stranger(), page_of(world, receiver)
    refused = await stranger.open(page)
    assert refused.status == 400
    assert "o callback was ever sent to" in refused.text
    await stranger.send(f"{ONE}/pause", **form_of(world, receiver))
    assert (await stored(world, receiver))["state"] == "well"


async def test_an_operator_need_not_name_the_account_if_there_is_only_one(
    world: ConsoleWorld, receiver: RecordingReceiver, owner: ScriptlessBrowser
) -> None:
    operator = await world.operator()
    query = f"destination={quote(receiver.url('/hook'))}"
    shown = await operator.open(f"{ONE}?{query}")
    assert f"--account {world.account.account.sid}" in shown.text
    nobody = await operator.open(f"{ONE}?destination=http://127.0.0.1:9")
    assert nobody.leads_to == "/console/destinations?text=http%3A%2F%2F127.0.0.1%3A9"


async def test_the_state_is_refreshed_by_itself(
    world: ConsoleWorld, receiver: RecordingReceiver, owner: ScriptlessBrowser
) -> None:
    page = page_of(world, receiver)
    part = await owner.part(page, "state")
    assert part.html.lstrip().startswith('<div id="state"')
    assert "Breaker share" not in part.html
    again = await owner.part(page, "state", etag=part.answer.headers["etag"])
    assert again.status == 304


async def test_a_receiver_is_checked_and_the_page_says_what_was_found(
    world: ConsoleWorld, receiver: RecordingReceiver, owner: ScriptlessBrowser
) -> None:
    assert "Is it ready?…" in (await owner.open(page_of(world, receiver))).text
    before = len(receiver.requests)
    form = form_of(world, receiver, url=receiver.url("/hook#cbs=kore"))
    done = await owner.do(f"{ONE}/probe", **form)
    assert "The receiver was checked. twilio: " in done.text
    assert 'role="alert"' in done.html
    assert len(receiver.requests) > before
    # It answers 200 to everything, also to forgeries.
    assert done.html.count('<span class="state failed">not ready</span>') == 2
    stranger = await world.stranger()
    elsewhere = await stranger.do(f"{ONE}/probe", **form)
    assert 'role="alert"' in elsewhere.html or elsewhere.status == 400
    reader = await world.reader()
    assert "can only read" in (await reader.do(f"{ONE}/probe", **form)).text
    assert "not ready" in (await reader.open(page_of(world, receiver))).text
