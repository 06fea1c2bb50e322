"""A file from before Programmable Wireless: its records stay, and the new tables are added."""

from dataclasses import replace
from pathlib import Path

import pytest

from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.scenario import TaskKind
from ringback.core.supersim.sim import SimStatus
from ringback.core.wireless.command import WirelessCommand
from ringback.core.wireless.rate_plan import RatePlan
from ringback.core.wireless.sim import WirelessSim
from ringback.core.wireless.usage import WirelessUsageQuery
from ringback.ports import PageWindow, Store
from tests.fakes import NOW
from tests.stores.asking import keep, opened, page_of
from tests.stores.old_files import NEWEST, NOW_US, insert, schema_of, upgraded, write_old_file
from tests.stores.records import (
    OURS,
    PROFILES,
    RATE_PLANS,
    SECOND,
    WIRELESS_SIMS,
    command,
    command_use,
    fleet,
    sim,
    sms_command,
    wireless_session,
    wireless_update_of,
)

PLAN, CARD = RATE_PLANS[OURS], WIRELESS_SIMS[OURS]
PROFILE = PROFILES[OURS]
FLEET = replace(fleet(1), network_access_profile_sid=PROFILE.sid)
SIM = replace(sim(1), status=SimStatus.READY, fleet_sid=FLEET.sid, ready_since=NOW)
SMS = replace(sms_command(1), sim_sid=SIM.sid)
DATES = {"created_us": NOW_US, "updated_us": NOW_US}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with schema 3, one account, its SIM, and the records that the SIM refers to."""
    path = write_old_file(tmp_path / "ringback.db", schema=3)
    own = {"account_sid": OURS, **DATES}
    insert(
        path,
        "access_profiles",
        **own,
        sid=PROFILE.sid,
        unique_name=PROFILE.unique_name,
        network_sids="[]",
    )
    insert(
        path,
        "fleets",
        **own,
        sid=FLEET.sid,
        unique_name=FLEET.unique_name,
        network_access_profile_sid=PROFILE.sid,
    )
    insert(
        path,
        "sims",
        **own,
        sid=SIM.sid,
        iccid=SIM.iccid,
        status="ready",
        fleet_sid=FLEET.sid,
        device_ip=SIM.device_ip,
        ready_since_us=NOW_US,
    )
    insert(
        path,
        "sms_commands",
        **own,
        sid=SMS.sid,
        sim_sid=SIM.sid,
        payload=SMS.payload,
        status="queued",
        direction="to_sim",
        callback_warnings="[]",
        callback_method="POST",
    )
    insert(path, "tasks", step="send_sms", subject_sid=SMS.sid, account_sid=OURS, due_us=NOW_US)
    return path


async def test_existing_records_are_unchanged(path: Path) -> None:
    async with opened(path) as store:
        assert await store.transact(lambda tx: tx.accounts.all()) == [upgraded()]
        for record in (PROFILE, FLEET, SIM, SMS):
            assert await page_of(store, type(record), PageWindow(9)) == [record]
        due = [ScheduledTask(TaskKind.SEND_SMS, SMS.sid, OURS, NOW)]
        assert await store.transact(lambda tx: tx.tasks.claim(NOW, limit=9)) == due


@pytest.mark.parametrize(
    "kind", [RatePlan, WirelessSim, WirelessCommand], ids=lambda kind: kind.__name__
)
async def test_there_are_no_records_of_the_new_product(path: Path, kind: type) -> None:
    async with opened(path) as store:
        assert await page_of(store, kind, PageWindow(9)) == []


async def keep_one_of_each(store: Store) -> None:
    await keep(store, PLAN, CARD, wireless_update_of(CARD), command(1), command(2))
    await keep(store, command_use(), wireless_session(1))
    await store.transact(lambda tx: tx.wireless.commands.remove(command(1).sid))


async def test_it_accepts_records_of_the_new_product(path: Path) -> None:
    async with opened(path) as store:
        await keep_one_of_each(store)
    async with opened(path) as store:
        assert await page_of(store, RatePlan, PageWindow(9)) == [PLAN]
        assert await page_of(store, WirelessSim, PageWindow(9)) == [CARD]
        assert await page_of(store, WirelessCommand, PageWindow(9, before=command(1).sid)) == [
            command(2)
        ]
        change, session, uses = await store.transact(
            lambda tx: (
                tx.wireless.sim_updates.get(CARD.sid),
                tx.wireless.sessions.get(wireless_session(1).sid),
                tx.wireless.command_uses.count(
                    OURS, None, WirelessUsageQuery(NOW, NOW + SECOND, None)
                ),
            )
        )
    assert (change, session) == (wireless_update_of(CARD), wireless_session(1))
    assert [use.messages for use in uses] == [1]


async def test_a_record_of_super_sim_can_be_removed_and_marks_its_page(path: Path) -> None:
    async with opened(path) as store:
        await keep(store, replace(sms_command(2), sim_sid=SIM.sid))
        await store.transact(lambda tx: tx.supersim.sms_commands.remove(SMS.sid))
        newer = await page_of(store, type(SMS), PageWindow(9, before=SMS.sid))
    assert [one.sid for one in newer] == [sms_command(2).sid]


async def test_a_file_is_upgraded_once(path: Path) -> None:
    assert schema_of(path) == 3
    async with opened(path) as store:
        await keep_one_of_each(store)
    assert schema_of(path) == NEWEST
    async with opened(path) as store:
        assert await page_of(store, WirelessCommand, PageWindow(9)) == [command(2)]
    assert schema_of(path) == NEWEST
