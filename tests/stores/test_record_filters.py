"""Lists of records filtered by their fields: every filter that the API offers."""

from dataclasses import replace
from typing import Any

import pytest

from ringback.core.sims.message import Direction, MessageStatus
from ringback.core.supersim.command import IpCommand, IpStatus, SmsCommand
from ringback.core.supersim.esim_profile import EsimProfile, EsimStatus
from ringback.core.supersim.fleet import Fleet
from ringback.core.supersim.settings_update import OtaSettingsUpdate, OtaSettingsUpdateStatus
from ringback.core.supersim.sim import SimStatus, SuperSim
from ringback.core.wireless.command import CommandTransport, WirelessCommand
from ringback.core.wireless.sim import WirelessSim, WirelessStatus
from ringback.ports import FieldFilter, PageWindow, Store
from tests.stores.asking import keep, numbers_of, page_of
from tests.stores.records import (
    FLEETS,
    OURS,
    PROFILES,
    RATE_PLANS,
    SIMS,
    THEIRS,
    WIRELESS_SIMS,
    billing_period,
    command,
    esim_profile,
    fleet,
    ip_command,
    profile,
    rate_plan,
    settings_update,
    sim,
    sms_command,
    wireless_sim,
)

READY = SimStatus.READY
FROM, TO = Direction.FROM_SIM, Direction.TO_SIM
OTHER_SIM, OTHER_FLEET = sim(900), fleet(900)
OTHER_WIRELESS_SIM, OTHER_PLAN = wireless_sim(900), rate_plan(900)
EIDS = ("0" * 32, "a" * 32)


@pytest.fixture
async def store(furnished: Store) -> Store:
    """A store in which OURS has two of each record that other records refer to."""
    await keep(furnished, OTHER_FLEET, OTHER_SIM, OTHER_PLAN, OTHER_WIRELESS_SIM)
    return furnished


async def numbers_on_the_page(store: Store, kind: type, which: FieldFilter) -> list[int]:
    page = await page_of(store, kind, PageWindow(99), which)
    return [number for number in numbers_of(page) if number < 900]


@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"status": None, "fleet_sid": None, "iccid": None}, [4, 3, 2, 1, 0]),
        ({"status": READY}, [3, 1]),
        ({"fleet_sid": FLEETS[OURS].sid}, [2, 1]),
        ({"iccid": sim(2).iccid}, [2]),
        ({"status": READY, "fleet_sid": FLEETS[OURS].sid}, [1]),
        ({"status": READY, "iccid": sim(2).iccid}, []),
        ({"status": READY, "iccid": sim(3).iccid}, [3]),
        ({"fleet_sid": OTHER_FLEET.sid}, [4]),
        ({"iccid": sim(5).iccid}, []),
        ({"fleet_sid": fleet(99).sid}, []),
    ],
)
async def test_sims_by_status_fleet_and_iccid(
    store: Store, which: FieldFilter, numbers: list[int]
) -> None:
    ours = {"fleet_sid": FLEETS[OURS].sid}
    await keep(
        store,
        sim(0),
        replace(sim(1), status=READY, **ours),
        replace(sim(2), status=SimStatus.ACTIVE, **ours),
        replace(sim(3), status=READY),
        replace(sim(4), fleet_sid=OTHER_FLEET.sid),
        replace(sim(5, THEIRS), status=READY, fleet_sid=FLEETS[THEIRS].sid),
    )
    assert await numbers_on_the_page(store, SuperSim, which) == numbers


@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        ({"network_access_profile_sid": PROFILES[OURS].sid}, [2, 0]),
        ({"network_access_profile_sid": profile(9).sid}, [1]),
        ({"network_access_profile_sid": PROFILES[THEIRS].sid}, []),
        ({"network_access_profile_sid": None}, [2, 1, 0]),
    ],
)
async def test_fleets_by_profile(store: Store, which: FieldFilter, numbers: list[int]) -> None:
    other = replace(fleet(1), network_access_profile_sid=profile(9).sid)
    await keep(store, profile(9), fleet(0), other, fleet(2), fleet(3, THEIRS))
    assert await numbers_on_the_page(store, Fleet, which) == numbers


COMMANDS = [
    ({}, [4, 3, 2, 1, 0]),
    ({"sim_sid": OTHER_SIM.sid}, [3, 1]),
    ({"status": "sent"}, [1, 0]),
    ({"direction": FROM}, [4, 3]),
    ({"direction": TO}, [2, 1, 0]),
    ({"sim_sid": OTHER_SIM.sid, "status": "sent"}, [1]),
    ({"sim_sid": OTHER_SIM.sid, "direction": FROM}, [3]),
    ({"status": "queued", "direction": TO}, [2]),
    ({"status": "queued", "direction": FROM}, []),
    ({"sim_sid": SIMS[OURS].sid, "status": "received", "direction": FROM}, [4]),
    ({"sim_sid": SIMS[THEIRS].sid}, []),
]


def commands(make: Any) -> list[Any]:
    """Return five commands of OURS that differ in filtered fields, and one of THEIRS."""
    elsewhere: dict[str, Any] = {"sim_sid": OTHER_SIM.sid}
    if make is ip_command:
        elsewhere["sim_iccid"] = OTHER_SIM.iccid
    statuses = MessageStatus if make is sms_command else IpStatus
    return [
        replace(make(0), status=statuses.SENT),
        replace(make(1), status=statuses.SENT, **elsewhere),
        make(2),
        replace(make(3), status=statuses.RECEIVED, direction=FROM, **elsewhere),
        replace(make(4), status=statuses.RECEIVED, direction=FROM),
        replace(make(5, THEIRS), status=statuses.SENT),
    ]


@pytest.mark.parametrize(("which", "numbers"), COMMANDS)
async def test_sms_commands_by_sim_status_and_direction(
    store: Store, which: FieldFilter, numbers: list[int]
) -> None:
    await keep(store, *commands(sms_command))
    assert await numbers_on_the_page(store, SmsCommand, which) == numbers


@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        *COMMANDS,
        ({"sim_iccid": OTHER_SIM.iccid}, [3, 1]),
        ({"sim_iccid": OTHER_SIM.iccid, "direction": TO}, [1]),
        ({"sim_iccid": OTHER_SIM.iccid, "sim_sid": SIMS[OURS].sid}, []),
    ],
)
async def test_ip_commands_by_sim_iccid_status_and_direction(
    store: Store, which: FieldFilter, numbers: list[int]
) -> None:
    await keep(store, *commands(ip_command))
    assert await numbers_on_the_page(store, IpCommand, which) == numbers


@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        ({"eid": EIDS[0]}, [2, 0]),
        ({"eid": EIDS[1]}, [1]),
        ({"sim_sid": SIMS[OURS].sid}, [1]),
        ({"status": EsimStatus.FAILED}, [3, 2]),
        ({"eid": EIDS[0], "status": EsimStatus.FAILED}, [2]),
        ({"eid": EIDS[1], "sim_sid": SIMS[OURS].sid, "status": EsimStatus.AVAILABLE}, [1]),
        ({"eid": EIDS[0], "sim_sid": SIMS[OURS].sid}, []),
    ],
)
async def test_esim_profiles_by_chip_sim_and_status(
    store: Store, which: FieldFilter, numbers: list[int]
) -> None:
    first, second = EIDS
    await keep(
        store,
        replace(esim_profile(0), eid=first),
        replace(esim_profile(1), eid=second, sim_sid=SIMS[OURS].sid, status=EsimStatus.AVAILABLE),
        replace(esim_profile(2), eid=first, status=EsimStatus.FAILED),
        replace(esim_profile(3), status=EsimStatus.FAILED),
        replace(esim_profile(4, THEIRS), eid=first),
    )
    assert await numbers_on_the_page(store, EsimProfile, which) == numbers


@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        ({"sim_sid": SIMS[OURS].sid}, [2, 0]),
        ({"status": OtaSettingsUpdateStatus.IN_PROGRESS}, [2, 1]),
        ({"sim_sid": OTHER_SIM.sid, "status": OtaSettingsUpdateStatus.IN_PROGRESS}, [1]),
        ({"sim_sid": OTHER_SIM.sid, "status": OtaSettingsUpdateStatus.FAILED}, []),
    ],
)
async def test_settings_updates_by_sim_and_status(
    store: Store, which: FieldFilter, numbers: list[int]
) -> None:
    under_way = {"status": OtaSettingsUpdateStatus.IN_PROGRESS}
    await keep(
        store,
        settings_update(0),
        replace(settings_update(1), sim_sid=OTHER_SIM.sid, **under_way),
        replace(settings_update(2), **under_way),
        replace(settings_update(3, THEIRS), **under_way),
    )
    assert await numbers_on_the_page(store, OtaSettingsUpdate, which) == numbers


async def test_billing_periods_by_sim(store: Store) -> None:
    other = replace(billing_period(2), sim_sid=OTHER_SIM.sid)
    await keep(store, billing_period(1), other, billing_period(3), billing_period(4, THEIRS))
    page = await page_of(store, type(other), PageWindow(9), {"sim_sid": SIMS[OURS].sid})
    assert numbers_of(page) == [3, 1]


ACTIVE = WirelessStatus.ACTIVE


@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"status": ACTIVE}, [3, 1]),
        ({"iccid": wireless_sim(2).iccid}, [2]),
        ({"rate_plan_sid": RATE_PLANS[OURS].sid}, [2, 1]),
        ({"rate_plan_sid": OTHER_PLAN.sid}, [4]),
        ({"rate_plan_sid": rate_plan(99).sid}, []),
        ({"eid": EIDS[0]}, [3, 0]),
        ({"eid": EIDS[1]}, [1]),
        ({"registration_code": "H3LL0W0RLD"}, [2]),
        ({"registration_code": "H3LL0"}, []),
        ({"status": ACTIVE, "rate_plan_sid": RATE_PLANS[OURS].sid}, [1]),
        ({"status": ACTIVE, "eid": EIDS[0]}, [3]),
        ({"status": ACTIVE, "registration_code": "H3LL0W0RLD"}, []),
        ({"iccid": wireless_sim(1).iccid, "rate_plan_sid": OTHER_PLAN.sid}, []),
        ({"iccid": wireless_sim(5).iccid}, []),
        ({"eid": None, "registration_code": None, "status": ACTIVE}, [3, 1]),
    ],
)
async def test_wireless_sims_by_status_iccid_plan_chip_and_code(
    store: Store, which: FieldFilter, numbers: list[int]
) -> None:
    ours = {"rate_plan_sid": RATE_PLANS[OURS].sid}
    first, second = EIDS
    await keep(
        store,
        replace(wireless_sim(0), eid=first),
        replace(wireless_sim(1), status=ACTIVE, eid=second, **ours),
        replace(wireless_sim(2), registration_code="H3LL0W0RLD", **ours),
        replace(wireless_sim(3), status=ACTIVE, eid=first),
        replace(wireless_sim(4), rate_plan_sid=OTHER_PLAN.sid),
        replace(wireless_sim(5, THEIRS), status=ACTIVE, eid=first),
    )
    assert await numbers_on_the_page(store, WirelessSim, which) == numbers


@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"sim_sid": OTHER_WIRELESS_SIM.sid}, [3, 1]),
        ({"sim_sid": WIRELESS_SIMS[THEIRS].sid}, []),
        ({"status": MessageStatus.SENT}, [1, 0]),
        ({"direction": FROM}, [4, 3]),
        ({"transport": CommandTransport.IP}, [3, 2]),
        ({"transport": CommandTransport.SMS}, [4, 1, 0]),
        ({"sim_sid": OTHER_WIRELESS_SIM.sid, "status": MessageStatus.SENT}, [1]),
        ({"transport": CommandTransport.IP, "direction": TO}, [2]),
        ({"status": MessageStatus.QUEUED, "direction": FROM}, []),
        (
            {
                "sim_sid": OTHER_WIRELESS_SIM.sid,
                "status": MessageStatus.RECEIVED,
                "direction": FROM,
                "transport": CommandTransport.IP,
            },
            [3],
        ),
    ],
)
async def test_commands_by_sim_status_direction_and_transport(
    store: Store, which: FieldFilter, numbers: list[int]
) -> None:
    elsewhere = {"sim_sid": OTHER_WIRELESS_SIM.sid}
    by_ip = {"transport": CommandTransport.IP}
    heard = {"status": MessageStatus.RECEIVED, "direction": FROM}
    await keep(
        store,
        replace(command(0), status=MessageStatus.SENT),
        replace(command(1), status=MessageStatus.SENT, **elsewhere),
        replace(command(2), **by_ip),
        replace(command(3), **heard, **elsewhere, **by_ip),
        replace(command(4), **heard),
        replace(command(5, THEIRS), status=MessageStatus.SENT, **by_ip),
    )
    assert await numbers_on_the_page(store, WirelessCommand, which) == numbers


async def test_a_filtered_list_of_commands_has_pages_too(store: Store) -> None:
    await keep(
        store, *(replace(sms_command(n), direction=FROM if n % 2 else TO) for n in range(10))
    )
    seen = list[int]()
    window = PageWindow(2)
    while page := await page_of(store, SmsCommand, window, {"direction": FROM}):
        seen += numbers_of(page)
        window = PageWindow(2, after=page[-1].sid)
    assert seen == [9, 7, 5, 3, 1]
    back = await page_of(
        store, SmsCommand, PageWindow(2, before=sms_command(3).sid), {"direction": TO}
    )
    assert numbers_of(back) == [6, 4]
