"""The page of an account's secrets: what it shows, and what can be done with them."""

import re
from datetime import timedelta

from ringback.core.accounts.account import ApiKeyRole
from ringback.operations.accounts import fetch_account
from ringback.operations.api_keys import create_key
from ringback.operations.webhook_secrets import create_secret
from tests.consoles import ConsoleWorld
from tests.receivers import RecordingReceiver
from tests.unit.api.caller import Caller

SECRETS = "/console/secrets"
MARKUP = "<b>next & last</b>"


async def pending(world: ConsoleWorld, name: str = "next") -> tuple[str, str]:
    """Make a pending webhook secret, and return its id and its value."""
    sid = world.account.account.sid
    _, made = await world.change(
        lambda tx: create_secret(tx, fetch_account(tx, sid), name, world.context())
    )
    return made.id, made.value


async def statuses(world: ConsoleWorld) -> dict[str, str]:
    """Return the names of the account's webhook secrets, by status."""
    found = (await world.api().get("/webhook/v1/secrets")).json["data"]
    return {one["status"]: one["name"] for one in found}


async def wait_for_answers(world: ConsoleWorld) -> None:
    """Wait until all test events have ended."""
    tests = (await world.api().get("/portal/v1/callbacks?Event=test_event")).json["callbacks"]
    for one in tests:
        await world.wait_until_ended(one["sid"])


def shown_secret(html: str, label: str) -> str:
    found = re.search(rf'aria-label="{label}">([^<]+)</pre>', html)
    assert found is not None, html
    return found[1]


async def test_secrets_are_shown_without_their_values(world: ConsoleWorld) -> None:
    _, value = await pending(world, MARKUP)
    world.clock.advance(timedelta(days=3))
    page = await (await world.owner()).open(SECRETS)
    account = world.account
    own = account.account
    for secret in (value, own.kore_secret, own.auth_token, account.api_key.secret):
        assert secret not in page.html
    assert "&lt;b&gt;next &amp; last&lt;/b&gt;" in page.html
    assert MARKUP not in page.html
    assert '<span class="state done">active</span>' in page.html
    assert '<span class="state paused">pending</span>' in page.html
    assert ">3 days</time>" in page.html
    assert account.api_key.key.sid in page.html
    assert "ringback secrets list" in page.text


async def test_a_new_secret_is_shown_once_and_signs_nothing_yet(world: ConsoleWorld) -> None:
    owner = await world.owner()
    asked = await owner.open(SECRETS)
    assert "signs nothing until it is activated, so that your receivers can learn it" in asked.text
    made = await owner.send(f"{SECRETS}/create", name=MARKUP)
    value = shown_secret(made.html, "Secret")
    assert (made.status, made.answer.headers["cache-control"]) == (200, "no-store")
    assert "It signs nothing until it is activated" in made.text
    assert f"ringback secrets create '{MARKUP}'" in made.text
    assert MARKUP not in made.html
    assert await statuses(world) == {"active": "first", "pending": MARKUP}
    stored = await world.change(lambda tx: tx.accounts.get(world.account.account.sid))
    assert stored is not None
    assert stored.webhook_secrets.pending is not None
    assert stored.webhook_secrets.pending.value == value
    later = await owner.open(SECRETS)
    assert value not in later.html
    assert "which is pending and is then gone for good" in later.text
    assert (await owner.open(f"{SECRETS}/create")).leads_to == SECRETS


async def test_a_name_that_can_not_be_is_refused_on_the_page(world: ConsoleWorld) -> None:
    page = await (await world.owner()).do(f"{SECRETS}/create", name="")
    assert '<p class="note bad" role="alert">' in page.html
    assert await statuses(world) == {"active": "first"}


async def test_a_secret_is_renamed(world: ConsoleWorld) -> None:
    secret_id, _ = await pending(world)
    page = await (await world.owner()).do(f"{SECRETS}/rename", id=secret_id, name=MARKUP)
    assert f"The secret is called {MARKUP} now." in page.text
    assert MARKUP not in page.html
    assert await statuses(world) == {"active": "first", "pending": MARKUP}


async def test_a_rehearsal_shows_which_receivers_accept_the_pending_secret(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    await pending(world)
    owner = await world.owner()
    before = await owner.open(SECRETS)
    assert "No rehearsal of it is known." in before.text
    url = receiver.url("/hook")
    begun = await owner.do(f"{SECRETS}/rehearse", url=url)
    assert "Two test events are sent to 1 receiver" in begun.text
    await wait_for_answers(world)
    page = await owner.open(SECRETS)
    assert "Last rehearsal of next" in page.text
    assert '<span class="state failed">accepts all</span>' in page.html
    assert "it accepted a forged test event too, so this proves nothing" in page.text
    assert "0 of 1 accepted it and refused a forgery. These did not:" in page.text
    assert "data-every" not in page.html, "it is over, so nothing is asked for again"


async def test_a_running_rehearsal_is_a_live_part(world: ConsoleWorld) -> None:
    await pending(world)
    key = world.seed.operators_key
    operator = Caller(world.application.api.app, credentials=(key.key.sid, key.secret))
    assert (await operator.post("/portal/v1/pause", {"Reason": "moving house"})).status == 200
    owner = await world.owner()
    page = await owner.do(f"{SECRETS}/rehearse", url="http://127.0.0.1:9/")
    assert 'id="webhook" class="first" data-every="2"' in page.html
    part = await owner.part(SECRETS, "webhook")
    assert part.html.startswith("  <section") or part.html.lstrip().startswith("<section")
    assert "The rehearsal is not over yet." in part.text
    assert "API keys" not in part.text
    again = await owner.part(SECRETS, "webhook", etag=part.answer.headers["etag"])
    assert again.status == 304


async def test_activating_says_that_it_can_not_be_undone_and_does_it(world: ConsoleWorld) -> None:
    secret_id, _ = await pending(world)
    owner = await world.owner()
    asked = await owner.open(SECRETS)
    assert "<b>first</b> stops at once. This can't be undone." in asked.text.replace("\u2019", "'")
    page = await owner.do(f"{SECRETS}/activate", id=secret_id)
    assert "next signs the callbacks from KORE's infrastructure from now on" in page.text
    assert await statuses(world) == {"active": "next"}
    gone = await owner.do(f"{SECRETS}/activate", id="whs_gone")
    assert "there is no webhook secret 'whs_gone'" in gone.text


async def test_the_auth_token_is_replaced_in_two_steps(world: ConsoleWorld) -> None:
    owner = await world.owner()
    account = world.account.account
    first = await owner.open(SECRETS)
    assert "Promote…" not in first.text
    made = await owner.send(f"{SECRETS}/token/create")
    token = shown_secret(made.html, "Auth Token")
    assert made.answer.headers["cache-control"] == "no-store"
    other = await world.sign_in(account.sid, token)
    page = await other.open(SECRETS)
    assert "Promote…" in page.text
    assert token not in page.html
    done = await other.do(f"{SECRETS}/token/promote")
    assert "The secondary Auth Token is the primary one now" in done.text
    stored = await world.change(lambda tx: tx.accounts.get(account.sid))
    assert stored is not None
    assert (stored.auth_token, stored.secondary_auth_token) == (token, None)
    world.application.api.dependencies.authenticator.forget_sessions()
    ended = await owner.open(SECRETS)
    assert ended.leads_to.startswith("/console/sign-in"), "its session began with the old token"


async def test_a_secondary_token_is_deleted(world: ConsoleWorld) -> None:
    owner = await world.owner()
    await owner.send(f"{SECRETS}/token/create")
    page = await owner.do(f"{SECRETS}/token/delete")
    assert "The secondary Auth Token is deleted" in page.text
    assert "Promote…" not in page.text
    again = await owner.do(f"{SECRETS}/token/promote")
    assert "has no secondary Auth Token; create one first" in again.text


async def test_a_key_is_created_with_a_role_and_ended(world: ConsoleWorld) -> None:
    owner = await world.owner()
    made = await owner.send(f"{SECRETS}/keys", name=MARKUP, role="read_only")
    sid, secret = shown_secret(made.html, "API key"), shown_secret(made.html, "Secret")
    assert made.answer.headers["cache-control"] == "no-store"
    of_account = f"--account {world.account.account.sid} --name '{MARKUP}' --role read-only"
    assert f"ringback accounts keys create {of_account}" in made.text
    reader = await world.sign_in(sid, secret)
    own = await reader.open(SECRETS)
    assert "account, read only" in own.text
    page = await owner.open(SECRETS)
    assert MARKUP not in page.html
    assert secret not in page.html
    ended = await owner.do(f"{SECRETS}/keys/{sid}/end")
    assert f"{sid} has ended: it can no longer sign in." in ended.text
    assert '<span class="state discarded">ended</span>' in ended.html
    assert f"/keys/{sid}/end" not in ended.html, "it can't be ended twice"
    world.application.api.dependencies.authenticator.forget_sessions()
    assert (await reader.open(SECRETS)).leads_to.startswith("/console/sign-in")


async def test_the_own_key_is_marked(world: ConsoleWorld) -> None:
    key = world.account.api_key
    page = await (await world.sign_in(key.key.sid, key.secret)).open(SECRETS)
    assert "You are signed in with this key, so you are signed out." in page.text
    assert page.html.count('<span class="muted">you</span>') == 1


async def test_keys_that_have_ended_are_last(world: ConsoleWorld) -> None:
    sid = world.account.account.sid
    made = await world.change(
        lambda tx: create_key(tx, sid, "newest", world.context(), role=ApiKeyRole.FULL)
    )
    owner = await world.owner()
    page = await owner.open(SECRETS)
    oldest = world.account.api_key.key.sid
    assert page.html.index(made.key.sid) < page.html.index(oldest), "the newest is first"
    page = await owner.do(f"{SECRETS}/keys/{made.key.sid}/end")
    table = page.html[page.html.index("API keys of the account") :]
    assert table.index(oldest) < table.index(made.key.sid)


async def test_who_may_only_read_has_no_buttons_and_is_refused(world: ConsoleWorld) -> None:
    await pending(world)
    reader = await world.reader()
    page = await reader.open(SECRETS)
    assert page.status == 200
    assert "…</summary>" not in page.html
    for path, form in (("create", {"name": "x"}), ("token/create", {}), ("keys", {"name": "x"})):
        answer = await reader.do(f"{SECRETS}/{path}", **form)
        assert '<p class="note bad" role="alert">' in answer.html, path
    assert await statuses(world) == {"active": "first", "pending": "next"}


async def test_another_accounts_secrets_are_not_found(world: ConsoleWorld) -> None:
    secret_id, _ = await pending(world)
    sid = world.account.account.sid
    stranger = await world.stranger()
    page = await stranger.open(f"{SECRETS}?account={sid}")
    assert secret_id not in page.html
    assert world.account.api_key.key.sid not in page.html
    refused = await stranger.do(f"{SECRETS}/activate?account={sid}", id=secret_id)
    assert "there is no webhook secret" in refused.text
    await stranger.do(f"{SECRETS}/keys/{world.account.api_key.key.sid}/end")
    assert await statuses(world) == {"active": "first", "pending": "next"}
    keys = (await world.api().get("/portal/v1/keys")).json["keys"]
    assert [one["date_ended"] for one in keys] == [None]


async def test_the_operator_sees_the_only_account_or_has_to_choose(world: ConsoleWorld) -> None:
    operator = await world.operator()
    sid = world.account.account.sid
    only = await operator.open(SECRETS)
    assert f'action="{SECRETS}/create?account={sid}"' in only.html
    assert f'href="/console/accounts/{sid}"' in only.html
    await world.stranger()
    asked = await operator.open(SECRETS)
    assert "This page is about one account. Whose?" in asked.text
    assert f'href="{SECRETS}?account={sid}"' in asked.html
    assert "/create" not in asked.html
    page = await operator.do(f"{SECRETS}/rename?account={sid}", id="whs_gone", name="x")
    assert "there is no webhook secret" in page.text
    assert f'action="{SECRETS}/create?account={sid}"' in page.html, "it is still this account"
    made = await operator.send(f"{SECRETS}/create?account={sid}", name="by the operator")
    assert made.status == 200
    assert await statuses(world) == {"active": "first", "pending": "by the operator"}
