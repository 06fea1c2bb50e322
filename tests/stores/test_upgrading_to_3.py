"""A file from before the whole Super SIM API: SIMs continue, and missing records are added."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sids import SidKind, is_sid
from ringback.core.sims.scenario import CARRIED_OUT, CarrierFailure, CarrierResult, TaskKind
from ringback.core.sims.simulated_network import device_address
from ringback.core.supersim.fleet import Fleet, NetworkAccessProfile
from ringback.core.supersim.sim import SimStatus, SuperSim
from ringback.core.supersim.usage import BillingPeriodType
from ringback.operations.task_handlers import TASK_HANDLERS
from ringback.ports import CallbackFilter, PageWindow, Store, Transaction
from ringback.stores.sql.field_columns import to_us
from tests.fakes import NOW, a_context
from tests.stores.asking import opened
from tests.stores.old_files import (
    NEWEST,
    NOW_US,
    insert,
    insert_account,
    insert_callback,
    insert_many,
    schema_of,
    write_old_file,
)
from tests.stores.records import OURS, SECOND, THEIRS, callback, fleet, sim, update_of

CREATED, UPDATED = NOW - timedelta(days=2), NOW - timedelta(days=1)
DATES: dict[str, Any] = {"created_us": to_us(CREATED), "updated_us": to_us(UPDATED)}
DEVICES = IPv4Network("127.64.0.0/10")
LATE = NOW + timedelta(days=365)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with schema 2 and one account."""
    return write_old_file(tmp_path / "ringback.db", schema=2)


def insert_fleet(path: Path, number: int, account_sid: str = OURS, **changed: object) -> None:
    given: dict[str, object] = {
        "sid": fleet(number).sid,
        "account_sid": account_sid,
        "unique_name": f"fleet {number}",
        **DATES,
    }
    insert(path, "fleets", **(given | changed))


def row_of_sim(number: int, status: str, **changed: object) -> dict[str, object]:
    given: dict[str, object] = {
        "sid": sim(number).sid,
        "account_sid": OURS,
        "iccid": sim(number).iccid,
        "unique_name": None,
        "status": status,
        "fleet_sid": None,
        **DATES,
    }
    return given | changed


def insert_sim(path: Path, number: int, status: str, **changed: object) -> None:
    insert(path, "sims", **row_of_sim(number, status, **changed))


def insert_update(
    path: Path, number: int, before: str, *, due: int = NOW_US, to_fleet_sid: str | None = None
) -> None:
    """Write a pending activation of a SIM, with the callback that `update_of` has."""
    insert(
        path,
        "sim_updates",
        sim_sid=sim(number).sid,
        account_sid=OURS,
        from_status=before,
        to_status="active",
        to_fleet_sid=to_fleet_sid,
        callback_url="http://127.0.0.1:9000/path?foo=bar#cbs=kore",
        callback_warnings="[]",
        callback_method="POST",
        due_us=due,
    )


async def profiles_in(store: Store, account_sid: str = OURS) -> list[NetworkAccessProfile]:
    return await store.transact(
        lambda tx: tx.supersim.access_profiles.page(account_sid, {}, PageWindow(9))
    )


async def fleets_in(store: Store, account_sid: str = OURS) -> list[Fleet]:
    return await store.transact(lambda tx: tx.supersim.fleets.page(account_sid, {}, PageWindow(9)))


async def sim_in(store: Store, number: int) -> SuperSim:
    found = await store.transact(lambda tx: tx.supersim.sims.get(sim(number).sid))
    assert found is not None
    return found


async def tasks_in(store: Store) -> list[ScheduledTask]:
    return await store.transact(lambda tx: tx.tasks.claim(LATE, limit=9))


# ---- fleets


async def test_the_fleets_of_an_account_share_a_profile_of_its_own(path: Path) -> None:
    insert_account(path, THEIRS)
    insert_fleet(path, 1)
    insert_fleet(path, 2, created_us=to_us(CREATED) - 1)
    insert_fleet(path, 3, THEIRS)
    async with opened(path) as store:
        (ours,), (theirs,) = await profiles_in(store), await profiles_in(store, THEIRS)
        assert {one.network_access_profile_sid for one in await fleets_in(store)} == {ours.sid}
        (their_fleet,) = await fleets_in(store, THEIRS)
        assert their_fleet.network_access_profile_sid == theirs.sid != ours.sid
    assert is_sid(ours.sid, SidKind.NETWORK_ACCESS_PROFILE)
    first = CREATED - timedelta(microseconds=1)
    assert ours == NetworkAccessProfile(ours.sid, OURS, None, (), first, first)


async def test_an_account_without_fleets_gets_no_profile(path: Path) -> None:
    async with opened(path) as store:
        assert await profiles_in(store) == []


async def test_a_fleet_has_the_defaults_of_a_new_one_and_its_old_values(path: Path) -> None:
    insert_fleet(path, 1)
    async with opened(path) as store:
        (profile,) = await profiles_in(store)
        assert await fleets_in(store) == [
            replace(
                fleet(1),
                network_access_profile_sid=profile.sid,
                date_created=CREATED,
                date_updated=UPDATED,
            )
        ]


# ---- SIMs


async def test_a_sim_has_an_address_and_its_old_values(path: Path) -> None:
    insert_fleet(path, 1)
    insert_sim(path, 1, "inactive", unique_name="x", fleet_sid=fleet(1).sid)
    async with opened(path) as store:
        assert await sim_in(store, 1) == SuperSim(
            sid=sim(1).sid,
            account_sid=OURS,
            iccid=sim(1).iccid,
            unique_name="x",
            status=SimStatus.INACTIVE,
            fleet_sid=fleet(1).sid,
            date_created=CREATED,
            date_updated=UPDATED,
            device_ip=device_address(sim(1).iccid, DEVICES),
        )


async def test_ten_thousand_sims_have_ten_thousand_addresses(path: Path) -> None:
    count = 10_000
    # By default some of these SIMs would share an address; the upgrade must give them others.
    own = {device_address(sim(number).iccid, DEVICES) for number in range(count)}
    assert len(own) < count
    insert_many(path, "sims", [row_of_sim(number, "new") for number in range(count)])
    async with opened(path) as store:
        page = await store.transact(lambda tx: tx.supersim.sims.page(OURS, {}, PageWindow(count)))
    addresses = {IPv4Address(one.device_ip or "") for one in page}
    assert len(page) == len(addresses) == count
    assert all(address in DEVICES for address in addresses)


async def test_a_ready_sim_is_ready_since_its_last_change(path: Path) -> None:
    insert_sim(path, 1, "ready")
    insert_sim(path, 2, "active")
    async with opened(path) as store:
        assert (await sim_in(store, 1)).ready_since == UPDATED
        assert (await sim_in(store, 2)).ready_since is None


async def test_a_ready_sim_gets_its_billing_period_and_three_months(path: Path) -> None:
    insert_sim(path, 1, "ready")
    async with opened(path) as store:
        assert await tasks_in(store) == [
            ScheduledTask(TaskKind.RENEW_PERIOD, sim(1).sid, OURS, UPDATED),
            ScheduledTask(TaskKind.ACTIVATE_SIM, sim(1).sid, OURS, UPDATED + timedelta(days=90)),
        ]


async def test_an_active_sim_gets_its_billing_period(path: Path) -> None:
    insert_sim(path, 1, "active")
    async with opened(path) as store:
        assert await tasks_in(store) == [
            ScheduledTask(TaskKind.RENEW_PERIOD, sim(1).sid, OURS, UPDATED)
        ]


@pytest.mark.parametrize("status", ["new", "inactive"])
async def test_a_sim_that_is_not_connected_has_nothing_due(path: Path, status: str) -> None:
    insert_sim(path, 1, status)
    async with opened(path) as store:
        assert await tasks_in(store) == []


# ---- pending changes -----------------------------------------------------------------------------


async def test_a_change_is_unchanged_and_still_due_at_its_time(path: Path) -> None:
    insert_sim(path, 1, "scheduled")
    insert_update(path, 1, "new", due=NOW_US + 1)
    async with opened(path) as store:
        assert await store.transact(
            lambda tx: tx.supersim.sim_updates.get(sim(1).sid)
        ) == update_of(sim(1))
        due = NOW + timedelta(microseconds=1)
        assert await tasks_in(store) == [ScheduledTask(TaskKind.UPDATE_SIM, sim(1).sid, OURS, due)]
        assert (await sim_in(store, 1)).ready_since is None


async def test_changes_come_due_in_their_order(path: Path) -> None:
    for number, seconds in ((1, 3), (2, 1), (3, 2)):
        insert_sim(path, number, "scheduled")
        insert_update(path, number, "inactive", due=to_us(NOW + seconds * SECOND))
    async with opened(path) as store:
        assert [task.subject_sid for task in await tasks_in(store)] == [
            sim(number).sid for number in (2, 3, 1)
        ]


@pytest.mark.parametrize("before", ["ready", "active"])
async def test_a_sim_that_may_be_connected_again_is_billed_after_its_change(
    path: Path, before: str
) -> None:
    insert_sim(path, 1, "scheduled")
    insert_update(path, 1, before)
    async with opened(path) as store:
        assert await tasks_in(store) == [
            ScheduledTask(TaskKind.UPDATE_SIM, sim(1).sid, OURS, NOW),
            ScheduledTask(TaskKind.RENEW_PERIOD, sim(1).sid, OURS, NOW),
        ]
        since = (await sim_in(store, 1)).ready_since
        assert since == (UPDATED if before == "ready" else None)


@pytest.mark.parametrize(
    ("ending", "status", "period"),
    [
        (CARRIED_OUT, SimStatus.ACTIVE, BillingPeriodType.ACTIVE),
        (CarrierFailure(83004, "no"), SimStatus.READY, BillingPeriodType.READY),
    ],
    ids=["carried out", "failed"],
)
async def test_a_sim_continues_after_its_change(
    path: Path, ending: CarrierResult, status: SimStatus, period: BillingPeriodType
) -> None:
    insert_fleet(path, 1)
    insert_sim(path, 1, "scheduled", fleet_sid=fleet(1).sid)
    insert_update(path, 1, "ready", to_fleet_sid=fleet(1).sid)

    def live(tx: Transaction) -> None:
        for task in tx.tasks.claim(NOW, limit=9):
            if tx.tasks.take(task):
                ended = ending if task.step is TaskKind.UPDATE_SIM else CARRIED_OUT
                TASK_HANDLERS[task.step].end(tx, task, ended, a_context(now=NOW))

    async with opened(path) as store:
        await store.transact(live)
        periods = await store.transact(
            lambda tx: tx.supersim.billing_periods.page(OURS, {}, PageWindow(9))
        )
        steps = {task.step for task in await tasks_in(store)}
        assert (await sim_in(store, 1)).status is status
    assert [(one.period_type, one.start_time) for one in periods] == [(period, NOW)]
    assert TaskKind.RENEW_PERIOD in steps
    assert (TaskKind.ACTIVATE_SIM in steps) is (status is SimStatus.READY)


# ---- all else


async def test_callbacks_are_unchanged(path: Path) -> None:
    insert_callback(path, 1, destination=callback(1).url.destination)
    async with opened(path) as store:
        page = await store.transact(
            lambda tx: tx.callbacks.page(OURS, CallbackFilter(), PageWindow(9))
        )
    assert page == [callback(1)]


async def test_a_file_is_upgraded_once(path: Path) -> None:
    insert_fleet(path, 1)
    insert_sim(path, 1, "ready")
    async with opened(path) as store:
        before = await profiles_in(store), await sim_in(store, 1), await tasks_in(store)
    assert schema_of(path) == NEWEST
    async with opened(path) as store:
        after = await profiles_in(store), await sim_in(store, 1), await tasks_in(store)
    assert after == before


async def test_an_upgraded_file_accepts_new_records(path: Path) -> None:
    insert_fleet(path, 1)
    insert_sim(path, 1, "ready")
    async with opened(path) as store:
        (profile,) = await profiles_in(store)
        added = replace(fleet(2), network_access_profile_sid=profile.sid)
        await store.transact(lambda tx: tx.supersim.fleets.add(added))
        again = ScheduledTask(TaskKind.RENEW_PERIOD, sim(1).sid, OURS, LATE)
        await store.transact(lambda tx: tx.tasks.put(again))
        assert (await fleets_in(store))[0] == added
        assert (await tasks_in(store))[-1] == again
