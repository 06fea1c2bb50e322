"""Signing in and out: with which credentials, until when, and who is kept out."""

from datetime import timedelta
from pathlib import Path

import pytest

from ringback.api.login_rate_limiter import MOST_OF_AN_ADDRESS
from ringback.api.rate_limit import LEAST_BURST
from ringback.core.accounts.account import EVERY, AccountStatus
from ringback.core.accounts.console_session import MOST_SESSIONS
from ringback.operations.accounts import set_status
from ringback.operations.api_keys import end_key
from ringback.ports import AuditFilter, PageWindow
from tests.consoles import ConsoleWorld, console_world

LIST = "/console/callbacks"


async def test_without_a_session_every_page_leads_to_the_form_and_back(world: ConsoleWorld) -> None:
    browser = world.browser()
    asked = await browser.open("/console/callbacks?status=failed")
    assert asked.status == 303
    assert asked.leads_to == "/console/sign-in?next=%2Fconsole%2Fcallbacks%3Fstatus%3Dfailed"
    form = await browser.open(asked.leads_to)
    assert 'name="next" value="/console/callbacks?status=failed"' in form.html
    account = world.account.account
    signed_in = await browser.send(
        "/console/sign-in",
        user=account.sid,
        password=account.auth_token,
        next="/console/callbacks?status=failed",
    )
    assert signed_in.leads_to == "/console/callbacks?status=failed"
    assert (await browser.open(signed_in.leads_to)).status == 200


@pytest.mark.parametrize(
    "after",
    ["https://stranger.example/", "//stranger.example/console/", "/console\\x", "javascript:1"],
)
async def test_nobody_is_led_elsewhere_after_signing_in(world: ConsoleWorld, after: str) -> None:
    account, browser = world.account.account, world.browser()
    answer = await browser.send(
        "/console/sign-in", user=account.sid, password=account.auth_token, next=after
    )
    assert answer.leads_to == LIST


@pytest.mark.parametrize(
    ("user", "password", "status", "said"),
    [
        ("AC" + "0" * 32, "guess", 401, "These credentials are wrong"),
        ("", "", 400, "Type both"),
        ("SK" + "0" * 32, "guess", 401, "These credentials are wrong"),
    ],
)
async def test_wrong_credentials_are_refused_and_the_name_is_kept(
    world: ConsoleWorld, user: str, password: str, status: int, said: str
) -> None:
    browser = world.browser()
    answer = await browser.send("/console/sign-in", user=user, password=password)
    assert answer.status == status
    assert said in answer.text
    assert not browser.cookies
    assert f'value="{user}"' in answer.html


async def test_who_guesses_has_to_wait(world: ConsoleWorld) -> None:
    browser, sid = world.browser(), world.account.account.sid
    answers = [
        await browser.send("/console/sign-in", user=sid, password=f"guess {number}")
        for number in range(21)
    ]
    assert [answer.status for answer in answers[:20]] == [401] * 20
    assert answers[20].status == 429


async def test_the_cookie_can_t_be_read_by_scripts_nor_sent_by_other_sites(
    world: ConsoleWorld,
) -> None:
    account, browser = world.account.account, world.browser()
    form = {"user": account.sid, "password": account.auth_token}
    answer = await browser.send("/console/sign-in", **form)
    cookie = answer.answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/console" in cookie
    assert "secure" not in cookie
    again = await browser.caller.call(
        "POST",
        "/console/sign-in",
        f"user={account.sid}&password={account.auth_token}".encode(),
        headers={
            "content-type": "application/x-www-form-urlencoded",
            "sec-fetch-site": "same-origin",
        },
        scheme="https",
    )
    assert "secure" in again.headers["set-cookie"].lower()


async def test_sign_out_ends_the_session_also_for_a_copy_of_the_cookie(world: ConsoleWorld) -> None:
    browser, thief = await world.owner(), world.browser()
    thief.cookies = dict(browser.cookies)
    assert (await thief.open(LIST)).status == 200
    out = await browser.send("/console/sign-out")
    assert out.leads_to == "/console/sign-in"
    assert not browser.cookies
    assert (await thief.open(LIST)).status == 303


async def test_a_session_ends_with_its_account_and_with_its_key(world: ConsoleWorld) -> None:
    owner, operator = await world.owner(), await world.operator()
    account = world.account.account
    await world.change(
        lambda tx: set_status(tx, account.sid, AccountStatus.SUSPENDED, world.context())
    )
    await world.change(lambda tx: end_key(tx, world.seed.operators_key.key.sid, world.context()))
    world.application.api.dependencies.authenticator.forget_sessions()
    assert (await owner.open(LIST)).status == 303
    assert (await operator.open(LIST)).status == 303
    form = {"user": account.sid, "password": account.auth_token}
    refused = await owner.send("/console/sign-in", **form)
    assert refused.status == 403
    assert "suspended" in refused.text
    await world.change(
        lambda tx: set_status(tx, account.sid, AccountStatus.ACTIVE, world.context())
    )
    assert (await owner.open(LIST)).status == 303  # the session stays ended


async def test_a_session_outlives_an_advanced_clock(world: ConsoleWorld) -> None:
    owner = await world.owner()
    world.clock.advance(timedelta(days=300))
    assert (await owner.open(LIST)).status == 200


async def test_the_link_of_dev_signs_in_and_is_gone_from_the_address(world: ConsoleWorld) -> None:
    dev = world.application.api.console.parts.dev
    assert dev is not None
    path = dev.url.removeprefix("http://127.0.0.1:8080")
    browser = world.browser()
    answer = await browser.open(path)
    assert answer.leads_to == LIST
    shown = await browser.open(answer.leads_to)
    assert "operator" in shown.text
    assert shown.answer.headers["referrer-policy"] == "same-origin"
    wrong = await world.browser().open("/console/sign-in?key=guess")
    assert wrong.status == 401
    assert "not of this server" in wrong.text


async def test_serve_has_no_such_link(tmp_path: Path) -> None:
    async with console_world(tmp_path, is_dev=False) as world:
        browser = world.browser()
        shown = await browser.open("/console/sign-in?key=anything")
        assert shown.status == 200
        assert not browser.cookies
        assert "banner" not in shown.text


async def test_right_sign_ins_count_as_requests_of_the_account(tmp_path: Path) -> None:
    async with console_world(tmp_path, flags={"rate_limit": "1"}) as world:
        account, browser = world.account.account, world.browser()
        limit = world.application.api.dependencies.rate_limit
        limit.take(account.sid, LEAST_BURST - 2, world.clock.now())
        form = {"user": account.sid, "password": account.auth_token}
        answers = [await browser.send("/console/sign-in", **form) for _ in range(3)]
        assert [answer.status for answer in answers] == [303, 303, 429]
        assert "limited to 1" in answers[2].text
        entries = await world.application.storage.store.read(
            lambda tx: [*tx.audit.page(EVERY, AuditFilter(action="SignIn"), PageWindow(9))]
        )
        assert len(entries) == 2


async def test_another_sign_in_ends_the_oldest_of_fifty_sessions(world: ConsoleWorld) -> None:
    operator, oldest = await world.operator(), await world.owner()
    second = await world.owner()
    newest = [await world.owner() for _ in range(MOST_SESSIONS - 1)]
    world.application.api.dependencies.authenticator.forget_sessions()
    assert (await oldest.open(LIST)).leads_to.startswith("/console/sign-in")
    for browser in (second, newest[-1], operator):
        assert (await browser.open(LIST)).status == 200


async def test_a_session_works_where_others_sent_wrong_tokens(world: ConsoleWorld) -> None:
    browser, stranger = await world.owner(), world.browser()
    for number in range(MOST_OF_AN_ADDRESS):
        stranger.cookies = {"ringback_session_8080": f"guess {number}"}
        assert (await stranger.open(LIST)).status == 303
    stranger.cookies = {"ringback_session_8080": "one more"}
    assert (await stranger.open(LIST)).status == 429
    assert (await browser.open(LIST)).status == 200
