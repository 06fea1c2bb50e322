"""The checks of receivers in each store: the newest of each URL and source."""

from ringback.core.accounts.account import EVERY
from ringback.core.policy.receiver_evidence import ReceiverCheck
from ringback.core.policy.source_policy import Source
from ringback.ports import Store
from tests.fakes import NOW
from tests.stores.records import OURS, SECOND, THEIRS, receiver_check

URL = receiver_check().url


async def save(store: Store, *checks: ReceiverCheck) -> None:
    for check in checks:
        await store.transact(lambda tx, check=check: tx.receiver_checks.save(check))


async def test_a_check_replaces_the_last_one_of_its_url_and_source(store: Store) -> None:
    before = receiver_check(fault="refuses-kore", words="a 403")
    other = receiver_check(Source.TWILIO)
    after = receiver_check(date=NOW + SECOND)
    await save(store, before, other)
    assert await store.read(lambda tx: tx.receiver_checks.of_url(OURS, URL)) == [before, other]
    await save(store, after)
    assert await store.read(lambda tx: tx.receiver_checks.of_url(OURS, URL)) == [after, other]
    assert await store.read(lambda tx: tx.receiver_checks.of_url(THEIRS, URL)) == []
    assert await store.read(lambda tx: tx.receiver_checks.of_url(OURS, f"{URL}/x")) == []


async def test_the_newest_come_first(store: Store) -> None:
    old, new = receiver_check(url="https://b.example"), receiver_check(date=NOW + SECOND)
    theirs = receiver_check("acme", account_sid=THEIRS, date=NOW + 2 * SECOND)
    await save(store, new, old, theirs)
    for whose, limit, expected in (
        (OURS, 9, [new, old]),
        (OURS, 1, [new]),
        (THEIRS, 9, [theirs]),
        (EVERY, 2, [theirs, new]),
    ):
        assert [
            *await store.read(
                lambda tx, whose=whose, limit=limit: tx.receiver_checks.newest(whose, limit=limit)
            )
        ] == expected


async def test_old_ones_go(store: Store) -> None:
    old = [receiver_check(url=f"https://{name}.example") for name in "abc"]
    kept = receiver_check(date=NOW + SECOND)
    await save(store, *old, kept)

    async def remove() -> int:
        return await store.transact(
            lambda tx: tx.receiver_checks.remove_before(NOW + SECOND, limit=2)
        )

    assert [await remove(), await remove(), await remove()] == [2, 1, 0]
    assert await store.read(lambda tx: tx.receiver_checks.newest(EVERY, limit=9)) == [kept]
