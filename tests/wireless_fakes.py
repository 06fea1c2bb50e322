"""Builders of Programmable Wireless records; `tests.fakes` has those for both products.

All data is made up; the number of the SIM card is that of a published sample.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from ringback.core.callback_urls.callback_target import NO_TARGET, CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.sims.mobile_networks import NETWORKS
from ringback.core.wireless.command import CommandTransport, IncludeSid, WirelessCommand
from ringback.core.wireless.data_session import WirelessDataSession
from ringback.core.wireless.pending_sim_update import PendingWirelessSimUpdate
from ringback.core.wireless.radio import RadioTechnology
from ringback.core.wireless.rate_plan import (
    DATA_LIMIT,
    DataLimitStrategy,
    RatePlan,
    RatePlanDataMetering,
    RoamingZone,
    zone_of,
)
from ringback.core.wireless.sim import WirelessSim, WirelessStatus
from tests.fakes import ACCOUNT_SID, NOW

WIRELESS_SIM_SID: Final = "DE0123456789abcdef0123456789abcdef"
WIRELESS_NAME: Final = "meter_1"
WIRELESS_ICCID: Final = "8901340852295524703"
RATE_PLAN_SID: Final = "WP0123456789abcdef0123456789abcdef"
COMMAND_SID: Final = "DC0123456789abcdef0123456789abcdef"
SESSION_SID: Final = "WN0123456789abcdef0123456789abcdef"
TARGET_URL: Final = "http://127.0.0.1:9000/path?foo=bar#cbs=kore"

HOME, NATIONAL, ABROAD = (
    next(network for network in NETWORKS if zone_of(network) is zone)
    for zone in (RoamingZone.HOME, RoamingZone.NATIONAL, RoamingZone.INTERNATIONAL)
)
"""A network in each zone: T-Mobile's, another one in the USA, and one elsewhere."""


def a_target(url: str = TARGET_URL, method: HttpMethod = HttpMethod.POST) -> CallbackTarget:
    return CallbackTarget(CallbackUrl.parse(url), method)


def a_rate_plan(
    *,
    sid: str = RATE_PLAN_SID,
    account_sid: str = ACCOUNT_SID,
    unique_name: str | None = "my_plan",
    friendly_name: str | None = None,
    date_created: datetime = NOW,
    date_updated: datetime = NOW,
    data_enabled: bool = True,
    data_metering: RatePlanDataMetering = RatePlanDataMetering.PAYG,
    data_limit: int = DATA_LIMIT,
    messaging_enabled: bool = True,
    voice_enabled: bool = False,
    national_roaming_enabled: bool = False,
    national_roaming_data_limit: int = DATA_LIMIT,
    international_roaming: tuple[str, ...] = (),
    international_roaming_data_limit: int = DATA_LIMIT,
    data_limit_strategy: DataLimitStrategy = DataLimitStrategy.BLOCK,
    usage_notification_url: str | None = None,
    usage_notification_method: HttpMethod = HttpMethod.POST,
) -> RatePlan:
    return RatePlan(
        sid=sid,
        account_sid=account_sid,
        unique_name=unique_name,
        friendly_name=friendly_name,
        date_created=date_created,
        date_updated=date_updated,
        data_enabled=data_enabled,
        data_metering=data_metering,
        data_limit=data_limit,
        messaging_enabled=messaging_enabled,
        voice_enabled=voice_enabled,
        national_roaming_enabled=national_roaming_enabled,
        national_roaming_data_limit=national_roaming_data_limit,
        international_roaming=international_roaming,
        international_roaming_data_limit=international_roaming_data_limit,
        data_limit_strategy=data_limit_strategy,
        usage_notification_url=usage_notification_url,
        usage_notification_method=usage_notification_method,
    )


def a_wireless_sim(
    *,
    sid: str = WIRELESS_SIM_SID,
    account_sid: str = ACCOUNT_SID,
    iccid: str = WIRELESS_ICCID,
    date_created: datetime = NOW,
    date_updated: datetime = NOW,
    status: WirelessStatus = WirelessStatus.ACTIVE,
    unique_name: str | None = WIRELESS_NAME,
    friendly_name: str | None = None,
    rate_plan_sid: str | None = RATE_PLAN_SID,
    eid: str | None = None,
    registration_code: str | None = None,
    is_narrowband: bool = False,
    commands_to: CallbackTarget = NO_TARGET,
    handlers: Mapping[str, str] | None = None,
    is_resetting: bool = False,
    reset_to: CallbackTarget = NO_TARGET,
    final_to: CallbackTarget = NO_TARGET,
    status_since: datetime | None = None,
    commands_while_ready: int = 0,
    metered_since: datetime | None = None,
) -> WirelessSim:
    return WirelessSim(
        sid=sid,
        account_sid=account_sid,
        iccid=iccid,
        date_created=date_created,
        date_updated=date_updated,
        status=status,
        unique_name=unique_name,
        friendly_name=friendly_name,
        rate_plan_sid=rate_plan_sid,
        eid=eid,
        registration_code=registration_code,
        is_narrowband=is_narrowband,
        commands_to=commands_to,
        handlers=handlers or {},
        is_resetting=is_resetting,
        reset_to=reset_to,
        final_to=final_to,
        status_since=status_since,
        commands_while_ready=commands_while_ready,
        metered_since=metered_since,
    )


def a_wireless_update(
    *,
    sim_sid: str = WIRELESS_SIM_SID,
    account_sid: str = ACCOUNT_SID,
    from_status: WirelessStatus = WirelessStatus.ACTIVE,
    to_status: WirelessStatus = WirelessStatus.SUSPENDED,
    to_rate_plan_sid: str | None = RATE_PLAN_SID,
    told: CallbackTarget | None = None,
) -> PendingWirelessSimUpdate:
    """Return a pending update, whose callback goes to `told` (default: `a_target()`)."""
    return PendingWirelessSimUpdate(
        sim_sid=sim_sid,
        account_sid=account_sid,
        from_status=from_status,
        to_status=to_status,
        to_rate_plan_sid=to_rate_plan_sid,
        told=a_target() if told is None else told,
    )


def a_command(
    *,
    sid: str = COMMAND_SID,
    account_sid: str = ACCOUNT_SID,
    sim_sid: str = WIRELESS_SIM_SID,
    command: str = "wake up",
    command_mode: PayloadType = PayloadType.TEXT,
    transport: CommandTransport = CommandTransport.SMS,
    status: MessageStatus = MessageStatus.QUEUED,
    direction: Direction = Direction.TO_SIM,
    date_created: datetime = NOW,
    date_updated: datetime = NOW,
    include_sid: IncludeSid = IncludeSid.NONE,
    delivery_receipt_requested: bool = True,
    told: CallbackTarget = NO_TARGET,
) -> WirelessCommand:
    return WirelessCommand(
        sid=sid,
        account_sid=account_sid,
        sim_sid=sim_sid,
        command=command,
        command_mode=command_mode,
        transport=transport,
        status=status,
        direction=direction,
        date_created=date_created,
        date_updated=date_updated,
        include_sid=include_sid,
        delivery_receipt_requested=delivery_receipt_requested,
        told=told,
    )


def a_wireless_session(
    *,
    sid: str = SESSION_SID,
    account_sid: str = ACCOUNT_SID,
    sim_sid: str = WIRELESS_SIM_SID,
    network_sid: str = HOME.sid,
    rate_plan_sid: str = RATE_PLAN_SID,
    iccid: str = WIRELESS_ICCID,
    radio_link: RadioTechnology = RadioTechnology.LTE,
    up: int = 1000,
    down: int = 2000,
    began: datetime = NOW,
    ended: datetime | None = None,
) -> WirelessDataSession:
    """Return a session that uses the given bytes in each direction in each hour."""
    return WirelessDataSession(
        sid=sid,
        account_sid=account_sid,
        sim_sid=sim_sid,
        network_sid=network_sid,
        rate_plan_sid=rate_plan_sid,
        iccid=iccid,
        radio_link=radio_link,
        upload_per_hour=up,
        download_per_hour=down,
        date_created=began,
        date_ended=ended,
    )
