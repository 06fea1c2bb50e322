"""Ringback's own data as the URL source of a migration: URLs, edits and delivery results."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ringback.core.audit import Actor, ActorKind
from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.errors import ConfigurationError
from ringback.migration.url_source import EditOutcome, UrlEdit, UrlEntry, UrlLocation
from ringback.migration.url_sources.own_data import OwnDataUrlSource
from ringback.operations.callback_urls import PAGE_SIZE
from ringback.ports import AuditFilter, PageWindow, Store
from tests.fakes import NOW, FakeClock
from tests.stores.asking import keep, table_of
from tests.stores.records import OURS, SECOND, THEIRS, account, callback, fleet, wireless_sim
from tests.wireless_fakes import a_target

OLD, NEW = "https://user:pass@a.example/#rc=2", "https://user:pass@a.example/#rc=2&cbs=kore"
LATER = NOW + SECOND


def record_of(store: Store, **settings: Any) -> OwnDataUrlSource:
    return OwnDataUrlSource(store, folder="data", clock=FakeClock(LATER), **settings)


def with_sms_url(number: int, account_sid: str = OURS, *, url: str = OLD) -> Any:
    return replace(fleet(number, account_sid), sms_commands=a_target(url))


def place(number: int, account_sid: str | None = OURS) -> UrlLocation:
    return UrlLocation(f"fleet {fleet(number).sid} SmsCommandsUrl", account_sid)


async def urls_of(store: Store) -> dict[str, str]:
    return {entry.place.name: entry.url for entry in await record_of(store).entries()}


async def test_entries_name_places_like_the_apis_parameters(furnished: Store) -> None:
    odd = CallbackUrl.parse(OLD).with_warnings("the request was odd")
    both = replace(with_sms_url(1), ip_commands=CallbackTarget(odd, HttpMethod.GET))
    sim = replace(
        wireless_sim(2, THEIRS), commands_to=a_target("http://a.example"), final_to=a_target(NEW)
    )
    await keep(furnished, both, sim)
    assert await record_of(furnished).entries() == [
        UrlEntry(UrlLocation(f"fleet {both.sid} SmsCommandsUrl", OURS), OLD),
        UrlEntry(
            UrlLocation(f"fleet {both.sid} IpCommandsUrl", OURS), OLD, HttpMethod.GET, odd.warnings
        ),
        UrlEntry(UrlLocation(f"SIM {sim.sid} CommandsCallbackUrl", THEIRS), "http://a.example"),
        UrlEntry(UrlLocation(f"SIM {sim.sid} CallbackUrl", THEIRS), NEW),
    ]


async def test_a_replaced_url_leaves_an_audit_entry_that_names_its_author(furnished: Store) -> None:
    await keep(furnished, with_sms_url(1))
    source = record_of(furnished, actor=Actor(ActorKind.COMMAND_LINE, address="me@here"))
    edits = [UrlEdit(place(1), OLD, NEW)]
    assert await source.replace(edits) == [EditOutcome.DONE]
    # The second time, there is nothing to change.
    assert await source.replace(edits) == [EditOutcome.DONE]
    (entry,) = await furnished.read(lambda tx: tx.audit.page(OURS, AuditFilter(), PageWindow(9)))
    assert (entry.action, entry.subject) == ("ReplaceCallbackUrl", fleet(1).sid)
    assert (entry.actor_kind, entry.address) == (ActorKind.COMMAND_LINE, "me@here")
    assert entry.before is not None
    assert entry.after is not None
    # Without the credentials of the URL.
    shown = [CallbackUrl.parse(url, sources=None).shown for url in (OLD, NEW)]
    assert [one["sms_commands"]["url"] for one in (entry.before, entry.after)] == shown
    assert "pass" not in repr(entry)


async def test_it_reads_more_than_one_page(furnished: Store) -> None:
    await keep(furnished, *(with_sms_url(number) for number in range(2001, PAGE_SIZE + 2002)))
    names = {entry.place.name for entry in await record_of(furnished, account_sid=OURS).entries()}
    assert len(names) == PAGE_SIZE + 1


@pytest.mark.parametrize(("account_sid", "owners"), [(None, [THEIRS, OURS]), (OURS, [OURS])])
async def test_it_covers_all_accounts_or_one(
    furnished: Store, account_sid: str | None, owners: list[str]
) -> None:
    await keep(furnished, with_sms_url(1), with_sms_url(2, THEIRS))
    entries = await record_of(furnished, account_sid=account_sid).entries()
    assert [entry.place.account_sid for entry in entries] == owners


async def test_its_source_text_says_how_to_find_it_again(furnished: Store) -> None:
    source: Mapping[str, Any] = record_of(furnished, account_sid=OURS).spec
    assert source == {"kind": "store", "data": "data", "account": OURS}


async def test_an_edit_is_made_only_if_the_url_has_not_changed(furnished: Store) -> None:
    await keep(furnished, *(with_sms_url(number) for number in (1, 2)), with_sms_url(3, url=NEW))
    edits = [
        UrlEdit(place(1), OLD, NEW),
        UrlEdit(place(2), "https://else.example", NEW),
        UrlEdit(place(3), OLD, NEW),
        UrlEdit(place(4), OLD, NEW),
        UrlEdit(UrlLocation("app.py:12", OURS), OLD, NEW),
        UrlEdit(place(1, THEIRS), OLD, NEW),
    ]
    assert await record_of(furnished).replace(edits) == [
        EditOutcome.DONE,
        EditOutcome.CHANGED,
        EditOutcome.DONE,
        EditOutcome.GONE,
        EditOutcome.GONE,
        EditOutcome.GONE,
    ]
    assert list((await urls_of(furnished)).values()) == [NEW, OLD, NEW]
    changed = await furnished.transact(lambda tx: table_of(tx, type(fleet(1))).get(fleet(1).sid))
    assert changed.date_updated == LATER


async def test_an_edit_is_undone_by_the_opposite_one(furnished: Store) -> None:
    await keep(furnished, with_sms_url(1))
    edit = UrlEdit(place(1), OLD, NEW)
    record = record_of(furnished)
    assert await record.replace([edit]) == [EditOutcome.DONE]
    assert await record.replace([edit.back()]) == [EditOutcome.DONE]
    assert list((await urls_of(furnished)).values()) == [OLD]


async def test_more_edits_than_a_transaction_holds_finish_in_order(furnished: Store) -> None:
    numbers = range(1, 204)
    await keep(furnished, *(with_sms_url(number) for number in numbers if number % 2))
    edits = [UrlEdit(place(number), OLD, NEW) for number in numbers]
    assert await record_of(furnished).replace(edits) == [
        EditOutcome.DONE if number % 2 else EditOutcome.GONE for number in numbers
    ]


async def test_the_source_of_one_account_changes_no_other(furnished: Store) -> None:
    await keep(furnished, with_sms_url(1, THEIRS))
    record = record_of(furnished, account_sid=OURS)
    edits = [UrlEdit(place(1, owner), OLD, NEW) for owner in (None, OURS, THEIRS)]
    assert await record.replace(edits) == [EditOutcome.GONE] * 3
    assert list((await urls_of(furnished)).values()) == [OLD]


async def test_a_new_url_that_cannot_be_called_changes_nothing(furnished: Store) -> None:
    await keep(furnished, with_sms_url(1), with_sms_url(2))
    edits = [UrlEdit(place(1), OLD, NEW), UrlEdit(place(2), OLD, "https://u:pass@a.example/#rc=9")]
    with pytest.raises(ConfigurationError, match=f"{place(2).name}: .*rc must be") as refused:
        await record_of(furnished).replace(edits)
    assert "pass" not in str(refused.value)
    assert list((await urls_of(furnished)).values()) == [OLD, OLD]


@pytest.mark.parametrize(("account_sid", "owners"), [(None, [OURS, THEIRS]), (THEIRS, [THEIRS])])
async def test_it_reports_the_results_of_its_accounts_callbacks(
    store: Store, account_sid: str | None, owners: list[str]
) -> None:
    await keep(store, callback(1), callback(2, THEIRS), callback(3, created=LATER))
    totals = await record_of(store, account_sid=account_sid).totals(since=NOW, until=LATER)
    assert [(each.account_sid, each.waiting) for each in totals] == [(own, 1) for own in owners]


async def test_it_finds_accounts_with_the_secrets_that_sign_their_callbacks(store: Store) -> None:
    record = record_of(store)
    assert await record.account(OURS) == account(OURS)
    assert await record.account("AC" + "9" * 32) is None
