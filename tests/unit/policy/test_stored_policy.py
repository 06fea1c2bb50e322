"""Versions of the policy: which one a file makes, and which one is active in a process."""

import logging
from collections.abc import Callable
from typing import TypeVar

import pytest

from ringback.core.audit import SERVER, Actor, ActorKind
from ringback.core.calendar import iso
from ringback.core.errors import ConfigurationError, Conflict, InvalidParameter, StoreUnavailable
from ringback.core.policy.policy_version import OPERATOR, PolicyPart, PolicyVersion
from ringback.core.policy.source_policy import NOTICE, Phase, PhaseHold, Policy, Source
from ringback.policy.active_policy import ActivePolicy
from ringback.policy.stored_policy import StoredPolicy
from ringback.ports import Transaction
from tests.counting_store import CountingStore
from tests.fakes import NOW
from tests.memory_store import MemoryStore
from tests.memory_store.tasks import MemoryPolicyVersions
from tests.policy_monitors import stored_in, version_of

T = TypeVar("T")

HELD = Policy(NOTICE.phases, (PhaseHold("before", url_prefix="https://a.example/"),))
OTHER = Policy(NOTICE.phases, (PhaseHold("after", url_prefix="https://b.example/"),))
ACME = Policy((Phase("all", None, "acme", frozenset({"acme"})),))
KORE_ONLY = Policy((Phase("all", None, Source.KORE, frozenset({Source.KORE})),))
FILE, OLD_FILE = PolicyPart(HELD, "ringback.toml"), PolicyPart(NOTICE, "ringback.toml")


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


class _UnawareVersions(MemoryPolicyVersions):
    """Doesn't see the version that another process has committed just now."""

    def newest(self, *, after: int = 0) -> PolicyVersion | None:
        return self.versions.get(max(self.versions) - 1)


class RacingStore(MemoryStore):
    """A store in which another process commits a version during the next transaction."""

    def __init__(self, other: PolicyVersion | None) -> None:
        super().__init__()
        self.other = other

    async def transact(self, work: Callable[[Transaction], T], **how: bool) -> T:
        other, self.other = self.other, None

        def late(tx: Transaction) -> T:
            if other is None:
                return work(tx)
            policies = tx.policies
            policies.add(other)
            tx.policies = _UnawareVersions(vars(policies)["versions"])
            try:
                return work(tx)
            finally:
                tx.policies = policies

        return await super().transact(late)


def process_on(store: MemoryStore, *, phase: str | None = None) -> StoredPolicy:
    """Return the versions of the policy in this store, as another process uses them."""
    return stored_in(store, ActivePolicy(NOTICE, phase=phase))


@pytest.fixture
def stored(store: MemoryStore) -> StoredPolicy:
    return process_on(store)


async def versions(store: MemoryStore) -> dict[int, PolicyVersion]:
    def work(tx: Transaction) -> dict[int, PolicyVersion]:
        return vars(tx.policies)["versions"]

    return await store.read(work)


async def add(store: MemoryStore, version: PolicyVersion) -> None:
    assert await store.transact(lambda tx: tx.policies.add(version))


# ---- the policy of a settings file


async def test_the_first_file_makes_version_1(stored: StoredPolicy, store: MemoryStore) -> None:
    await stored.offer(FILE)
    first = PolicyVersion(1, HELD, NOW, "ringback.toml", FILE.hash)
    assert await versions(store) == {1: first}
    assert (stored.active.policy, stored.active.version) == (HELD, first)
    assert stored.active.behind is None


async def test_a_file_that_was_never_seen_makes_a_new_version(store: MemoryStore) -> None:
    await process_on(store).offer(OLD_FILE)
    process = process_on(store)
    await process.offer(FILE)
    assert {number: one.policy for number, one in (await versions(store)).items()} == {
        1: NOTICE,
        2: HELD,
    }
    assert process.active.policy == HELD


async def test_the_newest_file_changes_nothing_when_it_is_seen_again(store: MemoryStore) -> None:
    await process_on(store).offer(FILE)
    process = process_on(store)
    await process.offer(PolicyPart(HELD, "the same elsewhere.toml"))
    assert list(await versions(store)) == [1]
    assert (process.active.number, process.active.behind) == (1, None)


async def test_an_older_file_changes_nothing_and_is_behind(
    store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    await process_on(store).offer(OLD_FILE)
    await process_on(store).offer(FILE)
    process = process_on(store)
    await process.offer(OLD_FILE)
    assert list(await versions(store)) == [1, 2]
    assert process.active.policy == HELD
    assert process.active.behind is not None
    assert process.active.behind.startswith(
        "ringback.toml is behind: it has the policy of version 1, and version 2 (from ringback"
    )
    assert [line.getMessage() for line in caplog.records] == [process.active.behind]
    await process.offer(OLD_FILE)
    assert len(caplog.records) == 1
    await process.offer(FILE)
    assert process.active.behind is None


async def test_a_file_that_says_what_the_operator_has_set_is_not_behind(
    stored: StoredPolicy, store: MemoryStore
) -> None:
    await stored.offer(OLD_FILE)
    await stored.change(HELD, based_on=1, actor=SERVER)
    assert stored.active.behind is not None
    await stored.change(NOTICE, based_on=2, actor=SERVER)
    assert stored.active.behind is None
    await stored.change(HELD, based_on=3, actor=SERVER)
    await stored.offer(FILE)
    assert stored.active.behind is None
    newest = (await versions(store))[5]
    assert (newest.policy, newest.file_hash) == (HELD, FILE.hash)


async def test_of_two_processes_that_add_at_once_one_looks_again() -> None:
    store = RacingStore(version_of(OTHER, 1))
    process = process_on(store)
    await process.offer(FILE)
    found = await versions(store)
    assert {number: one.policy for number, one in found.items()} == {1: OTHER, 2: HELD}
    assert process.active.number == 2


async def test_of_two_processes_with_the_same_new_file_one_makes_the_version() -> None:
    store = RacingStore(PolicyVersion.of_part(FILE, 1, NOW))
    process = process_on(store)
    await process.offer(FILE)
    assert (list(await versions(store)), process.active.number) == ([1], 1)


async def test_a_file_that_was_seen_needs_no_writing(store: MemoryStore) -> None:
    class ReadOnly(MemoryStore):
        """A store to which only other processes can write at the moment."""

        async def transact(self, work: Callable[[Transaction], T], **how: bool) -> T:
            raise StoreUnavailable("the database is locked")

    await process_on(store).offer(FILE)
    locked = ReadOnly()
    vars(locked).update(vars(store))
    process = process_on(locked)
    await process.offer(FILE)
    assert (process.active.policy, process.active.number) == (HELD, 1)
    with pytest.raises(StoreUnavailable):
        await process.offer(OLD_FILE)


async def test_a_new_file_that_can_not_be_stored_changes_nothing(store: MemoryStore) -> None:
    counting = CountingStore(store)
    process = stored_in(counting, ActivePolicy(NOTICE))
    await process.offer(OLD_FILE)
    counting.is_away = True
    with pytest.raises(StoreUnavailable):
        await process.offer(FILE)
    assert (process.active.policy, process.active.number) == (NOTICE, 1)


# ---- what this process can't use


async def test_a_version_with_a_source_that_the_settings_lack_is_refused(
    store: MemoryStore,
) -> None:
    await process_on(store).offer(OLD_FILE)
    await add(store, PolicyVersion(2, ACME, NOW, OPERATOR))
    process = process_on(store)
    with pytest.raises(ConfigurationError) as refused:
        await process.offer(OLD_FILE)
    assert str(refused.value) == (
        "this server can't use the policy in force, version 2 (from the operator,"
        f" {iso(NOW)}): it names the source 'acme', which the settings don't define: add"
        " [sources.acme] to the settings file, or start a server that has this source, and put"
        " another policy in force there (`ringback policy set file`)"
    )
    assert (process.active.policy, process.active.number) == (NOTICE, 0)


async def test_a_version_without_the_phase_in_which_the_process_stays_is_refused(
    store: MemoryStore,
) -> None:
    await process_on(store).offer(PolicyPart(KORE_ONLY, "new.toml"))
    await process_on(store).offer(OLD_FILE)
    await process_on(store).change(KORE_ONLY, based_on=2, actor=SERVER)
    with pytest.raises(ConfigurationError, match="stays in the phase 'between'"):
        await process_on(store, phase="between").offer(OLD_FILE)


# ---- versions of other processes


async def test_the_newest_version_of_another_process_is_activated(
    stored: StoredPolicy, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    await stored.offer(OLD_FILE)
    await stored.look()
    assert stored.active.number == 1
    await add(store, version_of(HELD, 2))
    caplog.set_level(logging.INFO)
    await stored.look()
    assert (stored.active.policy, stored.active.number) == (HELD, 2)
    assert stored.active.behind is not None
    assert [line.getMessage() for line in caplog.records] == [
        f"the policy is version 2 (from the operator, {iso(NOW)}) now"
    ]


async def test_a_store_without_versions_changes_nothing(stored: StoredPolicy) -> None:
    await stored.look()
    assert (stored.active.policy, stored.active.version) == (NOTICE, None)


async def test_a_version_that_can_not_be_used_leaves_the_old_one_and_is_logged_once(
    stored: StoredPolicy, store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    await stored.offer(OLD_FILE)
    await add(store, version_of(ACME, 2))
    for _ in range(2):
        await stored.look()
    assert (stored.active.policy, stored.active.number) == (NOTICE, 1)
    assert stored.active.unusable is not None
    (line,) = caplog.records
    assert (line.levelno, line.getMessage()) == (
        logging.ERROR,
        f"{stored.active.unusable}; until then, the old policy stays active",
    )
    await add(store, version_of(HELD, 3))
    await stored.look()
    assert (stored.active.policy, stored.active.unusable) == (HELD, None)


async def test_an_older_version_never_replaces_a_newer_one(
    stored: StoredPolicy, store: MemoryStore
) -> None:
    await stored.offer(OLD_FILE)
    stored.active.activate(version_of(HELD, 5))
    await stored.offer(OLD_FILE)
    assert (stored.active.policy, stored.active.number) == (HELD, 5)


# ---- changes by the operator


async def test_a_change_of_the_newest_version_is_the_next_one(
    stored: StoredPolicy, store: MemoryStore
) -> None:
    await stored.offer(OLD_FILE)
    await stored.change(HELD, based_on=1, actor=SERVER)
    made = PolicyVersion(2, HELD, NOW, OPERATOR)
    assert (await versions(store))[2] == made
    assert (stored.active.policy, stored.active.version) == (HELD, made)


async def test_the_policy_in_force_makes_no_further_version(
    stored: StoredPolicy, store: MemoryStore
) -> None:
    await stored.offer(FILE)
    await stored.change(HELD, based_on=1, actor=SERVER)
    assert (list(await versions(store)), stored.active.number) == ([1], 1)


async def test_a_change_of_an_older_version_conflicts_and_shows_the_newest(
    stored: StoredPolicy, store: MemoryStore
) -> None:
    await stored.offer(OLD_FILE)
    await add(store, version_of(HELD, 2))
    with pytest.raises(Conflict) as refused:
        await stored.change(OTHER, based_on=1, actor=SERVER)
    assert refused.value.message == (
        "version=1: the policy has been changed since then, and is at version 2 now; look at it,"
        " and change that version"
    )
    assert list(await versions(store)) == [1, 2]
    assert stored.active.policy == HELD


async def test_of_two_changes_at_once_one_conflicts() -> None:
    store = RacingStore(None)
    process = process_on(store)
    await process.offer(OLD_FILE)
    store.other = version_of(OTHER, 2)
    with pytest.raises(Conflict, match="is at version 2 now"):
        await process.change(HELD, based_on=1, actor=SERVER)
    assert (await versions(store))[2].policy == OTHER
    assert process.active.policy == OTHER


async def test_a_change_to_a_source_that_the_server_lacks_is_refused(
    stored: StoredPolicy, store: MemoryStore
) -> None:
    await stored.offer(OLD_FILE)
    with pytest.raises(
        InvalidParameter,
        match="the policy names the source 'acme', which this server doesn't have; its sources are"
        " twilio, kore",
    ):
        await stored.change(ACME, based_on=1, actor=SERVER)
    assert list(await versions(store)) == [1]


async def test_a_change_that_removes_the_phase_in_which_the_server_stays_is_refused(
    store: MemoryStore,
) -> None:
    process = process_on(store, phase="between")
    await process.offer(OLD_FILE)
    with pytest.raises(InvalidParameter, match="stays in the phase 'between'"):
        await process.change(KORE_ONLY, based_on=1, actor=SERVER)
    assert list(await versions(store)) == [1]


async def test_the_phase_in_which_a_process_stays_is_never_stored(store: MemoryStore) -> None:
    process = process_on(store, phase="between")
    await process.offer(OLD_FILE)
    await process.change(HELD, based_on=1, actor=SERVER)
    assert [one.policy for one in (await versions(store)).values()] == [NOTICE, HELD]
    assert process.active.policy == HELD.held_in("between")


# ---- who changed it ------------------------------------------------------------------------------


async def test_each_version_leaves_an_audit_entry_with_what_was_changed(
    stored: StoredPolicy, store: MemoryStore
) -> None:
    await stored.offer(OLD_FILE)
    key = Actor(ActorKind.OPERATOR_KEY, "SK1", "ops", "192.0.2.1")
    await stored.change(HELD, based_on=1, actor=key)
    await stored.change(NOTICE, based_on=2, actor=key)
    first, held, free = store.tables.audit.entries.values()
    assert (first.actor_kind, first.actor_name) == (ActorKind.SETTINGS_FILE, OLD_FILE.origin)
    assert (first.action, first.subject, first.before) == ("ReplacePolicy", "policy", None)
    assert first.after is not None
    assert first.after["version"] == 1
    assert (held.actor, held.address, held.account_sid) == ("SK1", "192.0.2.1", None)
    assert held.before == {"version": 1, "holds": []}
    assert held.after is not None
    assert held.after.keys() == {"version", "holds"}
    assert len(held.after["holds"]) == len(HELD.holds) - len(NOTICE.holds)
    assert (free.before, free.after) == (
        {"version": 2, "holds": held.after["holds"]},
        {"version": 3, "holds": []},
    )


async def test_a_policy_that_is_in_force_or_known_already_leaves_none(
    stored: StoredPolicy, store: MemoryStore
) -> None:
    await stored.offer(FILE)
    await stored.offer(FILE)
    await stored.change(FILE.policy, based_on=1, actor=SERVER)
    assert len(store.tables.audit.entries) == 1
