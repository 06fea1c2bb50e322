"""The operator's pages of the accounts: what they show, and what they do."""

import re
from datetime import timedelta

from ringback.core.accounts.account import Account, AccountStatus
from ringback.operations.accounts import create_account
from tests.consoles import ConsoleWorld
from tests.receivers import RecordingReceiver

ACCOUNTS = "/console/accounts"
NAME = "Acme <i>& Sons</i>"


async def new_account(
    world: ConsoleWorld, name: str = NAME, *, parent_sid: str | None = None
) -> Account:
    return await world.change(
        lambda tx: create_account(tx, name=name, parent_sid=parent_sid, context=world.context())
    )


async def status_of(world: ConsoleWorld, sid: str) -> AccountStatus:
    found = await world.change(lambda tx: tx.accounts.get(sid))
    assert found is not None
    return found.status


async def test_the_list_shows_what_each_account_has_and_does(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    await world.wait_until_ended(await world.send(receiver.url("/a")))
    made = await new_account(world)
    world.clock.advance(timedelta(minutes=1))
    page = await (await world.operator()).open(ACCOUNTS)
    own = world.account.account
    rows = {sid: cells(page.html, sid) for sid in (own.sid, made.sid)}
    assert rows[own.sid] == ["active", "1", "0", "1", "1", "0"]
    assert rows[made.sid] == ["active", "0", "0", "0", "0", "0"]
    assert NAME not in page.html
    assert NAME in page.text
    assert "ringback accounts list" in page.text


def cells(html: str, sid: str) -> list[str]:
    """Return the cells of an account's row, after the one with its SID."""
    row = html[html.index(f'<td class="full long"><code>{sid}</code></td>') :].partition("</tr>")[0]
    found = re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)[1:]
    return [re.sub(r"<[^>]+>", "", one).strip() for one in found]


async def test_only_the_operator_sees_accounts(world: ConsoleWorld) -> None:
    sid = world.account.account.sid
    owner = await world.owner()
    for path in (ACCOUNTS, f"{ACCOUNTS}/{sid}"):
        page = await owner.open(path)
        assert page.status == 403, path
        assert "Only the operator sees the accounts of a server" in page.text
    refused = await owner.do(f"{ACCOUNTS}/{sid}/suspend")
    assert refused.status == 403
    assert (await owner.send(f"{ACCOUNTS}/keys", name="mine")).status == 403
    assert (await owner.send(f"{ACCOUNTS}/keys/SK{'0' * 32}/end")).status == 403
    assert await status_of(world, sid) is AccountStatus.ACTIVE
    assert "/console/accounts" not in (await owner.open("/console/callbacks")).html


async def test_an_account_is_suspended_and_resumed(world: ConsoleWorld) -> None:
    made = await new_account(world)
    await new_account(world, "Branch", parent_sid=made.sid)
    customer = await world.sign_in(made.sid, made.auth_token)
    operator = await world.operator()
    path = f"{ACCOUNTS}/{made.sid}"
    asked = await operator.open(path)
    assert "Nobody can sign in any more" in asked.text
    assert "and so are those of its 1 subaccount" in asked.text
    assert "Callbacks that exist are still sent" in asked.text
    suspended = await operator.do(f"{path}/suspend")
    assert f"{NAME} is suspended: nobody can sign in to it." in suspended.text
    assert '<span class="state paused">suspended</span>' in suspended.html
    assert await status_of(world, made.sid) is AccountStatus.SUSPENDED
    world.application.api.dependencies.authenticator.forget_sessions()
    assert (await customer.open("/console/callbacks")).status != 200
    resumed = await operator.do(f"{path}/resume")
    assert f"{NAME} can sign in again." in resumed.text
    assert await status_of(world, made.sid) is AccountStatus.ACTIVE


async def test_a_page_of_one_account_leads_to_what_is_about_it(world: ConsoleWorld) -> None:
    made = await new_account(world)
    branch = await new_account(world, "Branch <b>", parent_sid=made.sid)
    operator = await world.operator()
    page = await operator.open(f"{ACCOUNTS}/{made.sid}")
    for name in ("callbacks", "secrets", "audit"):
        assert f'href="/console/{name}?account={made.sid}"' in page.html
    assert f'href="{ACCOUNTS}/{branch.sid}"' in page.html
    assert "<b>" not in page.html.replace("<b>before</b>", "")
    assert NAME not in page.html
    assert made.auth_token not in page.html
    assert f"ringback accounts show {made.sid}" in page.text
    below = await operator.open(f"{ACCOUNTS}/{branch.sid}")
    assert f'href="{ACCOUNTS}/{made.sid}"' in below.html
    assert (await operator.open(f"{ACCOUNTS}/AC{'0' * 32}")).status == 404


async def test_who_may_only_read_has_no_buttons_and_changes_nothing(world: ConsoleWorld) -> None:
    sid = world.account.account.sid
    operator = await world.operator()
    made = await operator.send(f"{ACCOUNTS}/keys", name="watcher", role="read_only")
    key, secret = re.findall(r'<pre tabindex="0"[^>]*>([^<]+)</pre>', made.html)
    assert "ringback accounts keys create --operator --name watcher --role read-only" in made.text
    watcher = await world.sign_in(key, secret)
    for path in (ACCOUNTS, f"{ACCOUNTS}/{sid}"):
        page = await watcher.open(path)
        assert page.status == 200
        assert "…</summary>" not in page.html
    refused = await watcher.do(f"{ACCOUNTS}/{sid}/suspend")
    assert '<p class="note bad" role="alert">' in refused.html
    assert await status_of(world, sid) is AccountStatus.ACTIVE
    ended = await operator.do(f"{ACCOUNTS}/keys/{key}/end")
    assert f"{key} has ended" in ended.text


async def test_the_list_goes_on_by_key(world: ConsoleWorld) -> None:
    made = [await new_account(world, f"number {number}") for number in range(25)]
    operator = await world.operator()
    first = await operator.open(ACCOUNTS)
    assert made[23].sid in first.html
    assert made[24].sid not in first.html
    start = first.html.index('">Newer accounts</a>')
    link = first.html[:start].rpartition('href="')[2].replace("&amp;", "&")
    second = await operator.open(link)
    assert made[24].sid in second.html
    assert "Older accounts" in second.text


async def test_without_accounts_the_page_says_how_to_make_one(world: ConsoleWorld) -> None:
    # There is always the notice's account here, so another page of the list stands for it.
    last = world.account.account.sid
    page = await (await world.operator()).open(f"{ACCOUNTS}?page=PA{last}")
    assert "ringback accounts create" in page.text
