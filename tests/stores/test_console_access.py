"""Sessions of the console and links, in every store."""

from dataclasses import replace

import pytest

from ringback.ports import Store
from tests.fakes import NOW
from tests.stores.records import ODD_INSTANT, OURS, SECOND, THEIRS, console_session, shared_link


async def add_sessions(store: Store, *credentials: str) -> None:
    for number, credential in enumerate(credentials, 1):
        added = console_session(number, credential)
        await store.transact(lambda tx, added=added: tx.console_sessions.add(added))


async def left(store: Store) -> list[int]:
    """Return the numbers of the sessions that are still there."""
    return [
        number
        for number in range(1, 6)
        if await store.transact(
            lambda tx, number=number: tx.console_sessions.get(console_session(number).sid)
        )
    ]


@pytest.mark.parametrize("address", ["2001:db8::1", None])
async def test_a_session_is_found_unchanged_by_the_hash_of_its_token(
    store: Store, address: str | None
) -> None:
    odd = replace(console_session(1), address=address, date_created=ODD_INSTANT)
    await store.transact(lambda tx: tx.console_sessions.add(odd))
    by_hash = {"token_hash": odd.token_hash}
    assert await store.transact(lambda tx: tx.console_sessions.first(by_hash)) == odd
    other = {"token_hash": console_session(2).token_hash}
    assert await store.transact(lambda tx: tx.console_sessions.first(other)) is None


async def test_a_later_use_is_saved_and_an_earlier_one_is_not(store: Store) -> None:
    await add_sessions(store, OURS, OURS)
    one, other = console_session(1), console_session(2)
    later = one.date_last_used + SECOND
    uses = {one.token_hash: later, other.token_hash: NOW, "unknown": later}
    await store.transact(lambda tx: tx.console_sessions.note_uses(uses))
    found = [
        await store.transact(lambda tx, sid=each.sid: tx.console_sessions.get(sid))
        for each in (one, other)
    ]
    assert found == [replace(one, date_last_used=later), other]


async def test_all_sessions_of_a_credential_are_removed_or_one_is(store: Store) -> None:
    await add_sessions(store, OURS, THEIRS, OURS, THEIRS)
    await store.transact(lambda tx: tx.console_sessions.remove_of(OURS))
    assert await left(store) == [2, 4]
    await store.transact(lambda tx: tx.console_sessions.remove(console_session(2).sid))
    assert await left(store) == [4]


async def test_the_oldest_sessions_of_a_credential_are_removed(store: Store) -> None:
    await add_sessions(store, OURS, OURS, THEIRS, OURS, OURS)

    async def remove(keep: int, limit: int) -> int:
        return await store.transact(
            lambda tx: tx.console_sessions.remove_oldest_of(OURS, keep=keep, limit=limit)
        )

    assert (await remove(4, 9), await left(store)) == (0, [1, 2, 3, 4, 5])
    assert (await remove(2, 9), await left(store)) == (2, [3, 4, 5])
    assert (await remove(0, 1), await left(store)) == (1, [3, 4])


async def test_those_unused_for_the_longest_time_are_removed_first(store: Store) -> None:
    await add_sessions(store, *[OURS] * 5)
    edge = console_session(4).date_last_used

    async def remove(limit: int) -> int:
        return await store.transact(
            lambda tx: tx.console_sessions.remove_unused_since(edge, limit=limit)
        )

    assert (await remove(2), await left(store)) == (2, [3, 4, 5])
    assert (await remove(2), await left(store)) == (1, [4, 5])
    assert await remove(2) == 0


async def test_a_link_is_read_back_and_saved(store: Store) -> None:
    link = replace(shared_link(1), note=None, created_by=None)
    await store.transact(lambda tx: tx.shared_links.add(link))
    by_hash = {"token_hash": link.token_hash}
    assert await store.transact(lambda tx: tx.shared_links.first(by_hash)) == link
    used = replace(link, date_ended=ODD_INSTANT, date_last_used=NOW, uses=3, note="why")
    await store.transact(lambda tx: tx.shared_links.save(used))
    assert await store.transact(lambda tx: tx.shared_links.get(link.sid)) == used


async def test_links_that_expired_first_are_removed_first(store: Store) -> None:
    for number in (3, 1, 2, 4):
        await store.transact(lambda tx, number=number: tx.shared_links.add(shared_link(number)))
    edge = shared_link(4).date_expires

    async def remove() -> list[str]:
        await store.transact(lambda tx: tx.shared_links.remove_expired_before(edge, limit=2))
        links = [
            await store.transact(lambda tx, one=number: tx.shared_links.get(shared_link(one).sid))
            for number in range(1, 5)
        ]
        return [link.sid for link in links if link is not None]

    assert await remove() == [shared_link(3).sid, shared_link(4).sid]
    assert await remove() == [shared_link(4).sid]
    assert await remove() == [shared_link(4).sid]
