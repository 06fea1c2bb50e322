"""The scenarios that were chosen for SIMs and for accounts."""

from ringback.ports import Store
from tests.stores.records import OURS, THEIRS, sim


async def choose(store: Store, subject_sid: str, name: str | None) -> None:
    await store.transact(lambda tx: tx.scenarios.put(subject_sid, name))


async def chosen(store: Store, subject_sid: str) -> str | None:
    return await store.transact(lambda tx: tx.scenarios.get(subject_sid))


async def test_a_choice_applies_only_to_its_subject(store: Store) -> None:
    await choose(store, OURS, "slow")
    await choose(store, sim(1).sid, "unattached")
    assert await chosen(store, OURS) == "slow"
    assert await chosen(store, sim(1).sid) == "unattached"
    assert await chosen(store, THEIRS) is None


async def test_the_last_choice_counts(store: Store) -> None:
    await choose(store, OURS, "slow")
    await choose(store, OURS, "no-stock")
    assert await chosen(store, OURS) == "no-stock"


async def test_a_choice_can_be_removed(store: Store) -> None:
    await choose(store, OURS, "slow")
    await choose(store, THEIRS, "slow")
    await choose(store, OURS, None)
    assert await chosen(store, OURS) is None
    assert await chosen(store, THEIRS) == "slow"


async def test_removing_a_missing_choice_changes_nothing(store: Store) -> None:
    await choose(store, OURS, None)
    assert await chosen(store, OURS) is None
