"""Moving URLs by a plan: its preview, how it is carried out, what was skipped, and the way back."""

import asyncio
import re

from tests.consoles import ConsoleWorld, ScriptlessBrowser, ShownPage
from tests.receivers import ReceivedRequest, RecordingReceiver, Reply, status_reply

PLANS = "/console/move/plans"
FLEET = "/supersim/v1/Fleets/my_fleet"
AT_ONCE = {"to": "kore", "probe": "no"}


async def configured(world: ConsoleWorld) -> str:
    """Return the URL that messages of the notice's fleet are called back to."""
    return (await world.api().get(FLEET)).json["sms_commands_url"]


async def configure(world: ConsoleWorld, url: str) -> None:
    answer = await world.api().post(FLEET, {"SmsCommandsUrl": url})
    assert answer.status == 200, answer.body


async def drafted(browser: ScriptlessBrowser, query: str = "to=kore&probe=no") -> dict[str, str]:
    """Return the fields of the form that carries out a plan."""
    page = await browser.open(f"{PLANS}?{query}")
    form = page.html.rpartition('<form method="post" class="line"')[2]
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))


async def ended(browser: ScriptlessBrowser, path: str) -> ShownPage:
    """Return the page of a plan, once its job has ended."""
    for _ in range(500):
        page = await browser.open(path)
        if ">running</span>" not in page.html:
            return page
        await asyncio.sleep(0.02)
    raise AssertionError("the plan does not end")


async def test_a_preview_shows_each_url_and_changes_nothing(world: ConsoleWorld) -> None:
    await configure(world, "https://a.example/sms")
    owner = await world.owner()
    page = await owner.open(f"{PLANS}?to=kore&canary=20,60&soak=2h")
    assert "1 URL would move to" in page.text
    assert "nothing is changed yet" in page.text
    assert "Up to 20 %, then up to 60 %, then all." in page.text
    assert "watched for 2h" in page.text
    assert "ringback migrate plan move.plan --to kore" in page.text
    assert await configured(world) == "https://a.example/sms"


async def test_a_plan_is_carried_out_and_reverted(world: ConsoleWorld) -> None:
    await configure(world, "https://a.example/sms")
    owner = await world.owner()
    begun = await owner.send(PLANS, **await drafted(owner))
    assert begun.leads_to.startswith(f"{PLANS}/")
    page = await ended(owner, begun.leads_to)
    assert "Apply: " in page.text
    assert "1 moved" in page.text
    assert await configured(world) == "https://a.example/sms#cbs=kore"
    assert begun.leads_to in (await owner.open("/console/move")).html
    await owner.do(f"{begun.leads_to}/revert")
    page = await ended(owner, begun.leads_to)
    assert "Revert: " in page.text
    assert await configured(world) == "https://a.example/sms"


async def test_a_plan_whose_urls_have_changed_meanwhile_moves_nothing(world: ConsoleWorld) -> None:
    await configure(world, "https://a.example/sms")
    owner = await world.owner()
    form = await drafted(owner)
    await configure(world, "https://b.example/other")
    page = await owner.do(PLANS, **form)
    assert "Nothing was moved: the URLs have changed since you looked." in page.text
    assert "b.example" in page.text
    assert await configured(world) == "https://b.example/other"


async def test_a_receiver_that_is_not_ready_is_skipped_and_the_page_says_why(
    world: ConsoleWorld,
) -> None:
    def answer(request: ReceivedRequest) -> Reply:
        is_kore = any(line.startswith("Kore-Signature") for line in request.headers)
        return status_reply(403 if is_kore else 200)

    async with RecordingReceiver(answer=answer) as receiver:
        await configure(world, receiver.url("/sms"))
        owner = await world.owner()
        begun = await owner.send(PLANS, **await drafted(owner, "to=kore"))
        page = await ended(owner, begun.leads_to)
    assert "1 skipped: not ready" in page.text
    assert "refuses-kore" in page.text
    assert "How to fix it" in page.text
    assert not (await configured(world)).endswith("#cbs=kore")


async def test_what_can_t_be_read_is_refused_in_words(world: ConsoleWorld) -> None:
    owner = await world.owner()
    for query, said in (
        ("to=kore&canary=some", "'some' are not steps; give shares like 20, 60"),
        ("to=kore&canary=20&soak=long", "'long' is not a valid duration"),
        ("to=kore&canary=20&least=many", "'many' is not a number of callbacks"),
        ("to=nowhere", "nowhere"),
    ):
        page = await owner.open(f"{PLANS}?{query}")
        assert 'role="alert"' in page.html, query
        assert said in page.text


async def test_who_can_only_read_sees_plans_and_moves_nothing(world: ConsoleWorld) -> None:
    await configure(world, "https://a.example/sms")
    owner = await world.owner()
    form = await drafted(owner)
    begun = await owner.send(PLANS, **form)
    await ended(owner, begun.leads_to)
    reader = await world.reader()
    page = await reader.open(begun.leads_to)
    assert "1 moved" in page.text
    assert "Revert" not in page.text
    await reader.send(f"{begun.leads_to}/revert")
    assert await configured(world) == "https://a.example/sms#cbs=kore"


async def test_another_account_finds_no_such_plan(world: ConsoleWorld) -> None:
    await configure(world, "https://a.example/sms")
    owner = await world.owner()
    begun = await owner.send(PLANS, **await drafted(owner))
    await ended(owner, begun.leads_to)
    stranger = await world.stranger()
    assert (await stranger.open(begun.leads_to)).status == 404
    await stranger.send(f"{begun.leads_to}/revert")
    assert await configured(world) == "https://a.example/sms#cbs=kore"
