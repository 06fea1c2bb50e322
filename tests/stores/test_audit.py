"""Audit entries, and the uses and ends of API keys, in each store."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ringback.core.accounts.account import EVERY, ApiKeyRole
from ringback.core.audit import SERVER, AuditEntry
from ringback.core.errors import PageNotFound
from ringback.ports import AuditFilter, PageWindow, RecordPage, Store
from tests.fakes import A_KEY, NOW, an_audit_entry
from tests.stores.records import OURS, SECOND, THEIRS, api_key

ALL = AuditFilter()


async def add(store: Store, *entries: AuditEntry) -> None:
    for entry in entries:
        await store.transact(lambda tx, entry=entry: tx.audit.add(entry))


async def page(
    store: Store, account_sid: str = EVERY, which: AuditFilter = ALL, **window: Any
) -> RecordPage[AuditEntry]:
    asked = PageWindow(**{"size": 99, **window})
    return await store.read(lambda tx: tx.audit.page(account_sid, which, asked))


def stripped(entries: list[AuditEntry]) -> list[AuditEntry]:
    return [replace(entry, seq=None) for entry in entries]


async def test_an_entry_is_kept_with_all_it_says(store: Store) -> None:
    changed = {"name": "Ümläut", "waits": [1, 2.5], "none": None, "in": {"a": True}}
    entries = [
        an_audit_entry(account_sid=OURS, before=changed, after={}),
        an_audit_entry(account_sid=None, actor=SERVER, before=None, after=changed),
    ]
    await add(store, *entries)
    assert stripped(await page(store)) == entries[::-1]


async def test_an_account_has_only_the_entries_about_it(store: Store) -> None:
    await add(store, *(an_audit_entry(account_sid=sid) for sid in (OURS, THEIRS, None)))
    assert [one.account_sid for one in await page(store, OURS)] == [OURS]
    assert len(await page(store)) == 3


async def test_entries_are_found_by_each_filter(store: Store) -> None:
    wanted = an_audit_entry(at=NOW + SECOND, account_sid=OURS, subject="x", action="EndKey")
    other = an_audit_entry(
        at=NOW, account_sid=OURS, actor=A_KEY._replace(kind=SERVER.kind, id="SK"), subject="y"
    )
    late = an_audit_entry(at=NOW + 2 * SECOND, account_sid=OURS, actor=SERVER)
    await add(store, other, wanted, late)
    for which in (
        AuditFilter(subject="x"),
        AuditFilter(action="EndKey"),
        AuditFilter(actor=A_KEY.id),
        AuditFilter(actor_kind=A_KEY.kind),
        AuditFilter(since=NOW + SECOND, until=NOW + 2 * SECOND),
        AuditFilter(actor=A_KEY.id, action="EndKey", subject="x", since=NOW),
    ):
        for whose in (OURS, EVERY):
            assert stripped(await page(store, whose, which)) == [wanted], which


async def test_pages_follow_each_other_in_both_directions(store: Store) -> None:
    await add(store, *(an_audit_entry(account_sid=OURS, subject=str(n)) for n in range(7)))
    first = await page(store, size=3)
    second = await page(store, size=3, after=first[-1].sid)
    assert [one.subject for one in [*first, *second]] == ["6", "5", "4", "3", "2", "1"]
    assert await page(store, size=3, before=second[0].sid) == first
    # No index finds entries by their action.
    short = await page(store, which=AuditFilter(action="none such"), examining=2)
    assert (list(short), short.stopped_at) == ([], first[1].sid)
    with pytest.raises(PageNotFound):
        await page(store, after="CB0")


async def test_the_oldest_are_removed_and_pages_may_begin_there(store: Store) -> None:
    at = [NOW + n * SECOND for n in range(5)]
    await add(store, *(an_audit_entry(account_sid=OURS, at=one) for one in at))
    oldest, *_ = reversed(await page(store))
    removed = [
        await store.transact(lambda tx: tx.audit.remove_before(at[3], limit=2)) for _ in range(3)
    ]
    assert removed == [2, 1, 0]
    assert [one.date_created for one in await page(store, before=oldest.sid)] == [at[4], at[3]]
    assert await page(store, after=oldest.sid) == []


async def test_entries_keep_their_order_when_the_clock_goes_back(store: Store) -> None:
    await add(store, an_audit_entry(subject="1"), an_audit_entry(subject="2", at=NOW - SECOND))
    assert [one.subject for one in await page(store)] == ["2", "1"]


# ---- API keys ------------------------------------------------------------------------------------


async def test_a_key_is_kept_with_its_role_end_and_last_use(store: Store) -> None:
    key = replace(api_key(1), account_sid=OURS, role=ApiKeyRole.READ_ONLY)
    other = replace(api_key(2), account_sid=None)
    for one in (key, other):
        await store.transact(lambda tx, one=one: tx.accounts.keys.add(one))
    used = {key.sid: NOW + SECOND, "SK unknown": NOW}
    await store.transact(lambda tx: tx.accounts.keys.note_uses(used))
    # An earlier time, such as another process may have seen, changes nothing.
    await store.transact(lambda tx: tx.accounts.keys.note_uses({key.sid: NOW}))
    await store.transact(lambda tx: tx.accounts.keys.end(key.sid, NOW + timedelta(days=1)))
    kept = await store.read(lambda tx: tx.accounts.keys.of(EVERY))
    ended = replace(
        key, secret_hash="", date_ended=NOW + timedelta(days=1), date_last_used=NOW + SECOND
    )
    assert kept == [ended, other]
    assert await store.read(lambda tx: tx.accounts.keys.of(None)) == [other]


async def test_only_old_entries_of_sign_ins_are_removed_the_oldest_first(store: Store) -> None:
    at = [NOW + number * SECOND for number in range(4)]
    for action in ("SignIn", "EndKey", "SignOut"):
        await add(store, *(an_audit_entry(at=one, action=action) for one in at))
    removed = [
        await store.transact(lambda tx: tx.audit.remove_sign_ins_before(at[3], limit=4))
        for _ in range(3)
    ]
    assert removed == [4, 2, 0]
    page = await store.read(lambda tx: tx.audit.page(EVERY, AuditFilter(), PageWindow(20)))
    kept = sorted((one.action, one.date_created) for one in page)
    assert kept == [*(("EndKey", one) for one in at), ("SignIn", at[3]), ("SignOut", at[3])]
