"""Both sources side by side: of a real callback, and what is wrong with a request for none."""

from tests.consoles import ConsoleWorld
from tests.receivers import RecordingReceiver
from tests.streams import ENDED

PAGE = "/console/side-by-side"


async def test_each_header_is_marked_as_same_different_or_only_from_one(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    sid = await world.send(receiver.url("/hook?x=1"))
    await world.wait_until_ended(sid)
    page = await (await world.owner()).open(f"{PAGE}?callback={sid}")
    rows = page.html.split("<tr ")[1:]
    looks = {row.split('scope="row">')[1].split("<")[0]: row.split('"')[1] for row in rows}
    assert looks["User-Agent"] == "differs"
    assert looks["X-Twilio-Signature"] == looks["Kore-Signature"] == "only"
    assert looks["Request line"] == looks["Body"] == looks["Host"] == "same"
    assert "differs: 3" in page.text.replace("<b>≠</b> ", "")
    assert "was not sent" in page.text
    assert "How each signature is computed" in page.text


async def test_no_secret_is_in_the_page(world: ConsoleWorld, receiver: RecordingReceiver) -> None:
    sid = await world.send(receiver.url("/hook"))
    await world.wait_until_ended(sid)
    page = await (await world.owner()).open(f"{PAGE}?callback={sid}")
    account = world.account.account
    assert '<span class="hidden">Auth Token hidden</span>' in page.html
    assert account.auth_token not in page.html
    assert account.kore_secret not in page.html


async def test_a_callback_that_is_not_there_is_said_above_the_form(world: ConsoleWorld) -> None:
    page = await (await world.owner()).open(f"{PAGE}?callback=CB{'0' * 32}")
    assert page.status == 200
    assert 'role="alert"' in page.html


async def test_without_a_callback_the_notice_s_example_is_compared(world: ConsoleWorld) -> None:
    page = await (await world.owner()).open(PAGE)
    assert "signed with made-up secrets" in page.text
    assert "Kore-Signature" in page.text
    assert "ringback diff --example" in page.text


async def test_a_batch_is_compared_with_the_same_events_of_the_other_source(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    _, rule = await world.stream(receiver.url("/in"))
    (event,) = await world.happen(ENDED)
    sid = await world.batch_of(rule)
    page = await (await world.owner()).open(f"/console/side-by-side?callback={sid}")
    assert "request is computed with the same events, and was not sent" in page.text
    text = page.text.replace("<wbr>", "")
    assert f'"source":"/v1/SuperSim/ConnectionEvents/{event}"' in text
    assert '"source":"kore-events"' in text
    assert "bodySHA256" in text
