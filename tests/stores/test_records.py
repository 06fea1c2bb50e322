"""Records of every kind are read back as they were stored, field by field, in their order."""

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest

from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.job import Job, JobKind, JobStatus
from ringback.core.sids import SidKind
from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.sims.mobile_networks import NETWORKS
from ringback.core.supersim.command import IpCommand, IpStatus, SmsCommand
from ringback.core.supersim.esim_profile import EsimProfile, EsimStatus
from ringback.core.supersim.fleet import Fleet, NetworkAccessProfile
from ringback.core.supersim.settings_update import OtaSettingsUpdate, OtaSettingsUpdateStatus
from ringback.core.supersim.sim import SimStatus, SuperSim
from ringback.core.supersim.usage import BillingPeriod, BillingPeriodType
from ringback.core.wireless.command import CommandTransport, IncludeSid, WirelessCommand
from ringback.core.wireless.rate_plan import DataLimitStrategy, RatePlan, RatePlanDataMetering
from ringback.core.wireless.sim import WirelessSim, WirelessStatus
from ringback.ports import PageWindow, Store
from tests.fakes import NOW
from tests.stores.asking import keep, page_of, table_of
from tests.stores.records import (
    FLEETS,
    ODD_INSTANT,
    ODD_URL,
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
    job,
    profile,
    rate_plan,
    settings_update,
    sid,
    sim,
    sms_command,
    wireless_sim,
)

LATER = ODD_INSTANT + timedelta(microseconds=1)
MAKERS = {
    NetworkAccessProfile: profile,
    Fleet: fleet,
    SuperSim: sim,
    SmsCommand: sms_command,
    IpCommand: ip_command,
    EsimProfile: esim_profile,
    OtaSettingsUpdate: settings_update,
    BillingPeriod: billing_period,
    RatePlan: rate_plan,
    WirelessSim: wireless_sim,
    WirelessCommand: command,
    Job: job,
}
ODD: list[Any] = [
    Job(
        sid=sid(SidKind.JOB, 1),
        account_sid=OURS,
        kind=JobKind.REPLAY,
        parameters={"statuses": ["failed"], "destination": "http://zoë.example", "most": 5},
        rate=7,
        estimate=2**40,
        is_exact=False,
        status=JobStatus.FAILED,
        status_reason="«it» broke",
        counts={"replayed": 3, "under_way": 1},
        position=2**62,
        created_by="Zoë",
        idempotency_key="kéy",
        date_created=ODD_INSTANT,
        date_updated=LATER,
        date_ended=LATER,
        plan_id="plän",
    ),
    NetworkAccessProfile(
        sid=sid(SidKind.NETWORK_ACCESS_PROFILE, 1),
        account_sid=OURS,
        unique_name="Zoë's «Netze»",
        network_sids=(NETWORKS[5].sid, NETWORKS[1].sid, NETWORKS[9].sid),
        date_created=ODD_INSTANT,
        date_updated=LATER,
    ),
    Fleet(
        sid=sid(SidKind.FLEET, 1),
        account_sid=OURS,
        unique_name="Flötte",
        network_access_profile_sid=PROFILES[OURS].sid,
        date_created=ODD_INSTANT,
        date_updated=LATER,
        data_enabled=False,
        data_limit=2_000_000,
        sms_commands_enabled=False,
        sms_commands=CallbackTarget(ODD_URL, HttpMethod.GET),
        ip_commands=CallbackTarget(
            ODD_URL.with_credentials("other:secret").with_warnings("another one"), HttpMethod.GET
        ),
    ),
    SuperSim(
        sid=sid(SidKind.SIM, 1),
        account_sid=OURS,
        iccid="89883070000123456789",
        unique_name="mön SIM",
        status=SimStatus.READY,
        fleet_sid=FLEETS[OURS].sid,
        date_created=ODD_INSTANT,
        date_updated=LATER,
        device_ip="100.64.0.123",
        ready_since=ODD_INSTANT - timedelta(days=89),
        sms_while_ready=4,
        update_asked=LATER,
        update_asked_by="Zoë",
    ),
    SmsCommand(
        sid=sid(SidKind.SMS_COMMAND, 1),
        account_sid=OURS,
        sim_sid=SIMS[OURS].sid,
        payload="ÿ\0\r\n'; DROP TABLE sims",
        status=MessageStatus.DELIVERED,
        direction=Direction.TO_SIM,
        date_created=ODD_INSTANT,
        date_updated=LATER,
        callback=CallbackTarget(ODD_URL, HttpMethod.GET),
        created_by="SK" + "5" * 32,
    ),
    IpCommand(
        sid=sid(SidKind.IP_COMMAND, 1),
        account_sid=OURS,
        sim_sid=SIMS[OURS].sid,
        sim_iccid=SIMS[OURS].iccid,
        status=IpStatus.RECEIVED,
        direction=Direction.FROM_SIM,
        device_ip="100.64.0.123",
        device_port=65535,
        payload_type=PayloadType.BINARY,
        payload="AP8=",
        date_created=ODD_INSTANT,
        date_updated=LATER,
        callback=CallbackTarget(ODD_URL, HttpMethod.GET),
        created_by="Zoë",
    ),
    EsimProfile(
        sid=sid(SidKind.ESIM_PROFILE, 1),
        account_sid=OURS,
        status=EsimStatus.FAILED,
        eid="89049032005008882600033489aaaaaa",
        has_matching_id=False,
        date_created=ODD_INSTANT,
        date_updated=LATER,
        iccid="89883070000123456789",
        sim_sid=SIMS[OURS].sid,
        smdp_plus_address="sm-dp-plus.twilio.com",
        matching_id="00010-20304-05060-70809-0A0B0",
        error_code="83500",
        error_message="«nichts mehr da»",
        callback=CallbackTarget(ODD_URL, HttpMethod.GET),
        created_by=OURS,
    ),
    OtaSettingsUpdate(
        sid=sid(SidKind.SETTINGS_UPDATE, 1),
        account_sid=OURS,
        iccid="89883070000123456789",
        sim_sid=SIMS[OURS].sid,
        status=OtaSettingsUpdateStatus.IN_PROGRESS,
        date_created=ODD_INSTANT,
        date_updated=LATER,
        date_completed=LATER + timedelta(hours=1),
    ),
    BillingPeriod(
        sid=sid(SidKind.BILLING_PERIOD, 1),
        account_sid=OURS,
        sim_sid=SIMS[OURS].sid,
        period_type=BillingPeriodType.ACTIVE,
        start_time=ODD_INSTANT - timedelta(days=1),
        end_time=ODD_INSTANT + timedelta(days=30),
        date_created=ODD_INSTANT,
        date_updated=LATER,
    ),
    RatePlan(
        sid=sid(SidKind.RATE_PLAN, 1),
        account_sid=OURS,
        date_created=ODD_INSTANT,
        date_updated=LATER,
        unique_name="Zoë's «Tarif»",
        friendly_name="für Zähler",
        data_enabled=False,
        data_metering=RatePlanDataMetering.QUOTA_50,
        data_limit=2_000_000,
        messaging_enabled=False,
        voice_enabled=True,
        national_roaming_enabled=True,
        national_roaming_data_limit=1,
        international_roaming=("messaging", "voice", "data"),
        international_roaming_data_limit=2,
        data_limit_strategy=DataLimitStrategy.THROTTLE,
        usage_notification_url="https://us%40er:p%C3%A4ss@receiver.example/a%2Fb?x=1&y=@",
        usage_notification_method=HttpMethod.GET,
    ),
    WirelessSim(
        sid=sid(SidKind.WIRELESS_SIM, 1),
        account_sid=OURS,
        iccid="8901340852295524703",
        date_created=ODD_INSTANT,
        date_updated=LATER,
        status=WirelessStatus.READY,
        unique_name="mön SIM",
        friendly_name="Zähler «1»",
        rate_plan_sid=RATE_PLANS[OURS].sid,
        eid="89049032005008882600033489aaaaaa",
        registration_code="H3LL0W0RLD",
        is_narrowband=True,
        commands_to=CallbackTarget(ODD_URL, HttpMethod.GET),
        handlers={"sms_url": "https://ü.example/?a=b", "voice_fallback_method": "GET"},
        is_resetting=True,
        reset_to=CallbackTarget(ODD_URL.with_credentials("other:secret"), HttpMethod.GET),
        final_to=CallbackTarget(ODD_URL.with_warnings("another one"), HttpMethod.GET),
        status_since=ODD_INSTANT - timedelta(days=89),
        commands_while_ready=4,
        metered_since=ODD_INSTANT - timedelta(days=90),
        update_asked=LATER,
        update_asked_by="Zoë",
    ),
    WirelessCommand(
        sid=sid(SidKind.COMMAND, 1),
        account_sid=OURS,
        sim_sid=WIRELESS_SIMS[OURS].sid,
        command="ÿ\0\r\n'; DROP TABLE commands",
        command_mode=PayloadType.BINARY,
        transport=CommandTransport.IP,
        status=MessageStatus.RECEIVED,
        direction=Direction.FROM_SIM,
        date_created=ODD_INSTANT,
        date_updated=LATER,
        include_sid=IncludeSid.END,
        delivery_receipt_requested=False,
        told=CallbackTarget(ODD_URL, HttpMethod.GET),
        created_by="Zoë",
    ),
]
"""One record of each kind, in which every field differs from a new record's."""


@pytest.fixture(params=ODD, ids=[type(odd).__name__ for odd in ODD])
def odd(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def kind(odd: Any) -> Any:
    return type(odd)


@pytest.fixture
def make(odd: Any) -> Any:
    """Return the function that makes ordinary records of this kind from a number and an account."""
    return MAKERS[type(odd)]


async def kept(store: Store, record: Any) -> Any:
    return await store.transact(lambda tx: table_of(tx, type(record)).get(record.sid))


async def save(store: Store, record: Any) -> None:
    await store.transact(lambda tx: table_of(tx, type(record)).save(record))


def test_the_odd_records_leave_no_field_at_its_default(odd: Any, make: Any) -> None:
    usual = make(2)
    same = {one.name for one in fields(odd) if getattr(odd, one.name) == getattr(usual, one.name)}
    assert same <= {"account_sid", "sim_sid", "sim_iccid", "network_access_profile_sid"} | (
        {"direction"}
        if isinstance(odd, SmsCommand)
        else {"kind"}
        if isinstance(odd, Job)
        else set()
    )


async def test_every_field_is_read_back(furnished: Store, odd: Any, kind: type) -> None:
    await keep(furnished, odd)
    assert await kept(furnished, odd) == odd
    assert await page_of(furnished, kind, PageWindow(1)) == [odd]


async def test_missing_values_of_a_new_record_are_read_back_as_none(
    furnished: Store, make: Any
) -> None:
    await keep(furnished, make(1))
    assert await kept(furnished, make(1)) == make(1)


async def test_a_saved_record_has_its_new_state_in_every_field(
    furnished: Store, odd: Any, make: Any
) -> None:
    await keep(furnished, make(1), make(2))
    await save(furnished, odd)
    assert await kept(furnished, odd) == odd
    assert await kept(furnished, make(2)) == make(2)


async def test_a_saved_record_can_lose_all_optional_values(
    furnished: Store, odd: Any, make: Any
) -> None:
    await keep(furnished, odd)
    await save(furnished, make(1))
    assert await kept(furnished, odd) == make(1)


async def test_a_saved_record_keeps_its_place(
    furnished: Store, odd: Any, make: Any, kind: type
) -> None:
    await keep(furnished, make(1), make(2))
    await save(furnished, odd)
    assert await page_of(furnished, kind, PageWindow(2)) == [make(2), odd]


async def test_an_unknown_sid_is_not_found(furnished: Store, make: Any) -> None:
    await keep(furnished, make(1))
    assert await kept(furnished, make(2)) is None


async def test_a_record_of_any_account_is_found(furnished: Store, make: Any) -> None:
    await keep(furnished, make(1, THEIRS))
    assert await kept(furnished, make(1)) == make(1, THEIRS)


async def test_a_page_has_the_records_of_one_account(
    furnished: Store, make: Any, kind: type
) -> None:
    await keep(furnished, make(5), make(2, THEIRS), make(3), make(4, THEIRS))
    assert await page_of(furnished, kind, PageWindow(2)) == [make(3), make(5)]
    assert await page_of(furnished, kind, PageWindow(2), {}, THEIRS) == [
        make(4, THEIRS),
        make(2, THEIRS),
    ]


async def test_the_first_is_the_oldest_of_any_account(furnished: Store, kind: type) -> None:
    make = MAKERS[kind]
    created = {"date_created": ODD_INSTANT}
    theirs, ours = (
        replace(make(number, account_sid), **created)
        for number, account_sid in ((9, THEIRS), (1, OURS))
    )
    await keep(furnished, make(5), theirs, ours)
    assert await furnished.transact(lambda tx: table_of(tx, kind).first(created)) == theirs
    of_ours = created | {"account_sid": OURS}
    assert await furnished.transact(lambda tx: table_of(tx, kind).first(of_ours)) == ours


async def test_the_first_with_unmatched_fields_is_none(furnished: Store, kind: type) -> None:
    await keep(furnished, MAKERS[kind](1))
    which = {"account_sid": OURS, "date_created": ODD_INSTANT}
    assert await furnished.transact(lambda tx: table_of(tx, kind).first(which)) is None


async def test_a_field_without_a_value_matches_everything(
    furnished: Store, make: Any, kind: type
) -> None:
    await keep(furnished, make(1))
    which = {"sid": make(1).sid, "date_updated": None}
    assert await furnished.transact(lambda tx: table_of(tx, kind).first(which)) == make(1)


VALUES = [
    *((SIMS[OURS], "status", value) for value in SimStatus),
    *((sms_command(1), "status", value) for value in MessageStatus),
    *((sms_command(1), "direction", value) for value in Direction),
    *((ip_command(1), "status", value) for value in IpStatus),
    *((ip_command(1), "direction", value) for value in Direction),
    *((ip_command(1), "payload_type", value) for value in PayloadType),
    *((esim_profile(1), "status", value) for value in EsimStatus),
    *((settings_update(1), "status", value) for value in OtaSettingsUpdateStatus),
    *((billing_period(1), "period_type", value) for value in BillingPeriodType),
    *((rate_plan(1), "data_metering", value) for value in RatePlanDataMetering),
    *((rate_plan(1), "data_limit_strategy", value) for value in DataLimitStrategy),
    *((rate_plan(1), "usage_notification_method", value) for value in HttpMethod),
    *((wireless_sim(1), "status", value) for value in WirelessStatus),
    *((command(1), "command_mode", value) for value in PayloadType),
    *((command(1), "transport", value) for value in CommandTransport),
    *((command(1), "status", value) for value in MessageStatus),
    *((command(1), "direction", value) for value in Direction),
    *((command(1), "include_sid", value) for value in IncludeSid),
]


@pytest.mark.parametrize(
    ("record", "field", "value"),
    VALUES,
    ids=[f"{type(record).__name__}.{field}={value}" for record, field, value in VALUES],
)
async def test_every_value_of_an_enumeration_is_read_back(
    furnished: Store, record: Any, field: str, value: Any
) -> None:
    given = replace(record, **{field: value})
    if record is SIMS[OURS]:
        await save(furnished, given)
    else:
        await keep(furnished, given)
    back = await kept(furnished, given)
    assert back == given
    assert type(getattr(back, field)) is type(value)


@pytest.mark.parametrize("payload", ["", "\0", "x" * 160, "ÿ" * 160, " \t\r\n"])
async def test_an_sms_holds_any_text(furnished: Store, payload: str) -> None:
    given = replace(sms_command(1), payload=payload)
    await keep(furnished, given)
    assert await kept(furnished, given) == given


@pytest.mark.parametrize("payload", ["", "x" * 1300, "ü📞", "\0\0"])
async def test_a_datagram_holds_any_text(furnished: Store, payload: str) -> None:
    given = replace(ip_command(1), payload=payload)
    await keep(furnished, given)
    assert await kept(furnished, given) == given


async def test_a_fleet_can_have_one_url_without_the_other(store: Store) -> None:
    given = replace(fleet(1), ip_commands=CallbackTarget(ODD_URL))
    await keep(store, given)
    back = await kept(store, given)
    assert back.sms_commands.url is None
    assert back.ip_commands.url == ODD_URL
    assert back.ip_commands.url.credentials == "us%40er:p%C3%A4ss"
    assert back.ip_commands.url.warnings == ODD_URL.warnings


async def test_a_profile_keeps_its_networks_in_their_order(store: Store) -> None:
    sids = tuple(network.sid for network in reversed(NETWORKS))
    await keep(store, profile(1))
    await save(store, replace(profile(1), network_sids=sids))
    assert (await kept(store, profile(1))).network_sids == sids


@pytest.mark.parametrize("roaming", [(), ("voice",), ("messaging", "data"), ("data", "messaging")])
async def test_a_plan_keeps_the_order_of_its_roaming_options(
    store: Store, roaming: tuple[str, ...]
) -> None:
    await keep(store, replace(rate_plan(1), international_roaming=roaming))
    assert (await kept(store, rate_plan(1))).international_roaming == roaming


@pytest.mark.parametrize("field", ["commands_to", "reset_to", "final_to"])
async def test_a_sim_can_have_a_single_callback_url(store: Store, field: str) -> None:
    given = replace(wireless_sim(1), **{field: CallbackTarget(ODD_URL, HttpMethod.GET)})
    await keep(store, given)
    back = await kept(store, given)
    assert back == given
    assert getattr(back, field).url.credentials == "us%40er:p%C3%A4ss"
    assert getattr(back, field).url.warnings == ODD_URL.warnings


async def test_a_target_without_a_url_keeps_its_method(store: Store) -> None:
    given = replace(wireless_sim(1), commands_to=CallbackTarget(None, HttpMethod.GET))
    await keep(store, given)
    assert await kept(store, given) == given


async def test_a_moved_sim_belongs_to_its_new_account(store: Store) -> None:
    await keep(store, sim(1), sim(2, THEIRS))
    moved = replace(sim(1), account_sid=THEIRS, date_updated=NOW + timedelta(days=1))
    await save(store, moved)
    assert await page_of(store, SuperSim, PageWindow(9)) == []
    assert await page_of(store, SuperSim, PageWindow(9), {}, THEIRS) == [sim(2, THEIRS), moved]
