"""The history: its rows, filters and pages."""

import re

import pytest

from ringback.console.pages.audit import ChangedField, changed_fields
from ringback.core.accounts.account import AccountStatus
from ringback.operations.accounts import set_status
from ringback.operations.api_keys import create_key
from tests.consoles import ConsoleWorld

HISTORY = "/console/audit"
MARKUP = "<script>alert(1)</script>"


async def rename_secret(world: ConsoleWorld, name: str) -> None:
    api = world.api()
    secret_id = (await api.get("/webhook/v1/secrets")).json["data"][0]["id"]
    body = f'{{"Name": "{name}"}}'.encode()
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    answer = await api.call("PATCH", f"/webhook/v1/secrets/{secret_id}", body, headers=headers)
    assert answer.status == 200, answer.body


async def test_a_row_says_who_did_what_when_from_where_and_what_it_was(world: ConsoleWorld) -> None:
    await rename_secret(world, MARKUP)
    page = await (await world.owner()).open(f"{HISTORY}?action=UpdateSecret")
    row = page.html[page.html.index("<tbody>") :]
    assert "04:00:00</time>" in row
    assert "auth token" in row
    assert "127.0.0.1" in row
    assert ">UpdateSecret</a>" in row
    assert '<del><span class="unseen">before </span>first</del>' in row
    assert f'<ins><span class="unseen">after </span>{"&lt;script&gt;alert(1)&lt;/"}' in row
    assert MARKUP not in page.html
    assert 'href="/console/secrets"' in row
    assert "ringback audit --action UpdateSecret" in page.text


async def test_an_account_sees_only_its_own_changes_and_of_the_operator_only_the_kind(
    world: ConsoleWorld,
) -> None:
    sid = world.account.account.sid
    operator = await world.operator()
    made = await operator.send(f"/console/secrets/keys?account={sid}", name="by the operator")
    assert made.status == 200
    owner = await world.owner()
    page = await owner.open(f"{HISTORY}?actor=operator_key")
    row = page.html[page.html.index("<tbody>") :]
    assert ">operator key</a>" in row
    assert world.seed.operators_key.key.sid not in page.html
    assert "ringback dev" not in row
    stranger = await world.stranger()
    for asked in ("", f"?account={sid}", f"?subject={sid}"):
        found = await stranger.open(HISTORY + asked)
        assert "by the operator" not in found.html
        assert world.account.api_key.key.sid not in found.html


async def test_subjects_lead_to_their_pages(world: ConsoleWorld) -> None:
    sid = world.account.account.sid
    for status in (AccountStatus.SUSPENDED, AccountStatus.ACTIVE):
        await world.change(lambda tx, to=status: set_status(tx, sid, to, world.context()))
    callback = await world.send("http://127.0.0.1:9/")
    await world.wait_until_ended(callback)
    owner = await world.owner()
    await owner.do(f"/console/callbacks/{callback}/discard", reason="not needed")
    operator = await world.operator()
    page = await operator.open(HISTORY)
    assert f'<a href="/console/callbacks/{callback}"><code>{callback}</code></a>' in page.html
    assert f'<a href="/console/accounts/{sid}"><code>{sid}</code></a>' in page.html
    assert f'<a href="/console/secrets?account={sid}">' in page.html
    assert '<a href="/console/move"><code>policy</code></a>' in page.html
    own = await owner.open(HISTORY)
    assert f'<a href="/console/callbacks/{callback}">' in own.html
    assert "/console/accounts/" not in own.html, "accounts have pages only for the operator"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("action=CreateKey", {"CreateKey"}),
        ("actor=server&action=CreateSecret", {"CreateSecret"}),
        ("subject=policy", {"ReplacePolicy"}),
        ("to=2026-11-27T03:59", set[str]()),
        ("from=2026-11-27T04:01", set[str]()),
    ],
)
async def test_filters_are_in_the_url(world: ConsoleWorld, query: str, expected: set[str]) -> None:
    page = await (await world.operator()).open(f"{HISTORY}?{query}")
    assert set(re.findall(r"action=(\w+)[^\"]*\">\1</a>", page.html)) == expected
    assert ("No change matches" in page.text) is (not expected)
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        assert re.search(rf'name="{name}"[^>]*value="{value}"', page.html), name


async def test_the_command_has_the_same_filters_quoted(world: ConsoleWorld) -> None:
    page = await (await world.operator()).open(
        f"{HISTORY}?subject=a;b&actor=server&from=2026-11-27T03:00&to=2026-11-27T05:00"
    )
    assert (
        "ringback audit --actor server --subject 'a;b' --since 2026-11-27T03:00Z"
        " --until 2026-11-27T05:00Z" in page.text
    )


async def test_the_operator_sees_the_changes_about_one_account(world: ConsoleWorld) -> None:
    await world.stranger()
    sid = world.account.account.sid
    operator = await world.operator()
    all_of_them = await operator.open(HISTORY)
    assert "Other Ltd" in all_of_them.text
    page = await operator.open(f"{HISTORY}?account={sid}")
    assert "Other Ltd" not in page.text
    assert f"ringback audit --account {sid}" in page.text
    assert (await operator.open(f"{HISTORY}?account=AC{'0' * 32}")).status == 404


async def test_a_wrong_time_is_refused_in_words(world: ConsoleWorld) -> None:
    page = await (await world.owner()).open(f"{HISTORY}?from=yesterday")
    assert (page.status, "is not a time" in page.text) == (400, True)


async def test_pages_go_by_key_and_keep_the_filters(world: ConsoleWorld) -> None:
    sid = world.account.account.sid
    for number in range(51):
        await world.change(
            lambda tx, name=f"number {number}": create_key(tx, sid, name, world.context())
        )
    owner = await world.owner()
    first = await owner.open(f"{HISTORY}?action=CreateKey")
    assert "number 50" in first.text
    assert "number 0<" not in first.html
    start = first.html.index('">Older</a>')
    older = first.html[:start].rpartition('href="')[2].replace("&amp;", "&")
    assert "action=CreateKey" in older
    second = await owner.open(older)
    assert "number 0<" in second.html
    assert "number 1<" not in second.html
    assert "Newer" in second.text


async def test_what_is_new_shows_its_fields_without_secrets(world: ConsoleWorld) -> None:
    page = await (await world.owner()).open(f"{HISTORY}?action=CreateAccount")
    assert "new, with" in page.text
    assert "(secret)" in page.text
    assert world.account.account.auth_token not in page.html


async def test_who_may_only_read_sees_the_history_too(world: ConsoleWorld) -> None:
    page = await (await world.reader()).open(HISTORY)
    assert (page.status, "CreateAccount" in page.text) == (200, True)


def test_long_values_and_structures_are_text() -> None:
    (url,) = changed_fields({"url": {"url": None}}, {"url": {"url": "http://a/"}})
    assert url == ChangedField("url", '{"url": null}', '{"url": "http://a/"}')
    assert list(changed_fields({"name": "deploy", "role": ""}, None)) == [
        ChangedField("name", "deploy", None)
    ]
    assert list(changed_fields(None, None)) == []


async def test_a_change_of_an_event_stream_leads_to_the_stream(world: ConsoleWorld) -> None:
    sink, rule = await world.stream("http://127.0.0.1:9/in")
    account = world.account.account.sid
    owners, operators = [
        await browser.open(HISTORY) for browser in (await world.owner(), await world.operator())
    ]
    for sid in (sink, rule):
        assert f'href="/console/streams?stream={sid}"' in owners.html
        assert f'href="/console/streams?stream={sid}&amp;account={account}"' in operators.html
