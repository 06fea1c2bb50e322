"""The versions of the policy: the newest counts, and a settings file makes only one of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ringback.core.errors import NotFound
from ringback.core.policy.policy_version import OPERATOR, PolicyPart, PolicyVersion
from ringback.core.policy.source_policy import NOTICE, Phase, PhaseHold, Policy
from ringback.ports import Store, Transaction
from tests.fakes import NOW
from tests.stores.asking import keep, opened
from tests.stores.old_files import NEWEST, go_back, schema_of
from tests.stores.records import OURS, account, callback

MOMENT = datetime(2027, 6, 1, tzinfo=UTC) + timedelta(microseconds=1)
ODD = Policy(
    (*NOTICE.phases, Phase("é \u2028 'x'", MOMENT, "acme", frozenset({"acme"}))),
    (PhaseHold("before", "AC1", until=MOMENT), PhaseHold("before", None, "https://a.example/")),
)
PART = PolicyPart(NOTICE, "ringback.toml")
FIRST = PolicyVersion.of_part(PART, 1, NOW)


async def add(store: Store, version: PolicyVersion) -> bool:
    return await store.transact(lambda tx: tx.policies.add(version))


async def newest(store: Store) -> PolicyVersion | None:
    return await store.read(lambda tx: tx.policies.newest())


async def test_a_new_store_has_no_version(empty: Store) -> None:
    assert await newest(empty) is None
    assert await empty.read(lambda tx: tx.policies.made_by(PART.hash)) is None


@pytest.mark.parametrize(
    "version",
    [FIRST, PolicyVersion(7, ODD, MOMENT, OPERATOR), replace(FIRST, policy=ODD, origin="é")],
    ids=["of a file", "of the operator", "with odd texts"],
)
async def test_a_version_is_read_back_as_it_was_added(empty: Store, version: PolicyVersion) -> None:
    assert await add(empty, version)
    assert await newest(empty) == version


async def test_the_newest_has_the_highest_number(empty: Store) -> None:
    numbers = (9, 10, 2)
    for number in numbers:
        assert await add(empty, PolicyVersion(number, NOTICE, NOW, OPERATOR))
    found = [
        await empty.read(lambda tx, after=after: tx.policies.newest(after=after))
        for after in (0, 9, 10)
    ]
    assert [one and one.number for one in found] == [10, 10, None]


async def test_the_version_that_was_in_force_at_an_instant_is_found(empty: Store) -> None:
    for number, seconds in ((1, 0), (2, 10), (10, 20)):
        made = NOW + timedelta(seconds=seconds)
        await add(empty, PolicyVersion(number, NOTICE, made, OPERATOR))

    async def found(seconds: float, below: int | None = None) -> int | None:
        at = NOW + timedelta(seconds=seconds)
        one = await empty.read(lambda tx: tx.policies.made_until(at, below=below))
        return one and one.number

    assert [await found(seconds) for seconds in (-0.000001, 0, 9.999999, 10, 99)] == [
        *(None, 1, 1, 2, 10)
    ]
    assert [await found(99, below) for below in (11, 10, 2, 1)] == [10, 2, 1, None]


async def test_the_version_that_a_file_has_made_is_found_by_its_hash(empty: Store) -> None:
    await add(empty, FIRST)
    await add(empty, PolicyVersion(2, ODD, NOW, OPERATOR))
    assert await empty.read(lambda tx: tx.policies.made_by(PART.hash)) == FIRST
    other = PolicyPart(ODD, "ringback.toml").hash
    assert await empty.read(lambda tx: tx.policies.made_by(other)) is None


@pytest.mark.parametrize(
    "late",
    [
        PolicyVersion(1, ODD, NOW, OPERATOR),
        PolicyVersion.of_part(PolicyPart(ODD, "other.toml"), 1, NOW),
        replace(FIRST, number=2),
    ],
    ids=["the same number", "the same number from another file", "the same file"],
)
async def test_a_version_that_comes_second_is_not_added(empty: Store, late: PolicyVersion) -> None:
    await add(empty, FIRST)
    assert not await add(empty, late)
    assert await newest(empty) == FIRST


async def test_a_version_of_an_undone_transaction_is_not_there(empty: Store) -> None:
    def work(tx: Transaction) -> None:
        tx.policies.add(FIRST)
        raise NotFound("undone")

    with pytest.raises(NotFound):
        await empty.transact(work)
    assert await newest(empty) is None


async def test_a_file_of_schema_11_is_upgraded_with_its_data(tmp_path: Path) -> None:
    path = tmp_path / "ringback.db"
    async with opened(path) as store:
        await keep_account(store)
        await keep(store, callback(1))
    go_back(path, schema=11)
    async with opened(path) as store:
        assert await newest(store) is None
        assert await store.read(lambda tx: tx.callbacks.get(OURS, callback(1).sid)) == callback(1)
        assert await add(store, FIRST)
    assert schema_of(path) == NEWEST
    assert schema_of(tmp_path / "ringback.db.before-11") == 11
    async with opened(path) as store:
        assert await newest(store) == FIRST


async def keep_account(store: Store) -> None:
    await store.transact(lambda tx: tx.accounts.add(account(), []))
