"""Builders of records for tests of the core, in addition to those of `tests.fakes`."""

from datetime import datetime
from typing import Final

from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.supersim.command import IpCommand, IpStatus, SmsCommand
from ringback.core.supersim.esim_profile import EsimProfile, EsimStatus
from ringback.core.supersim.settings_update import OtaSettingsUpdate, OtaSettingsUpdateStatus
from ringback.core.supersim.usage import SuperSimDataSession
from tests.fakes import ACCOUNT_SID, FLEET_SID, NOW, SIM_SID

ICCID: Final = "89883070000123456789"
URL: Final = CallbackUrl.parse("https://example.com/told#cbs=kore")


def an_sms(
    *,
    sid: str = f"HC{'1' * 32}",
    sim_sid: str = SIM_SID,
    payload: str = "Hello;1234;testing@!#",
    status: MessageStatus = MessageStatus.QUEUED,
    direction: Direction = Direction.TO_SIM,
    date_updated: datetime = NOW,
    callback_url: CallbackUrl | None = URL,
) -> SmsCommand:
    return SmsCommand(
        sid=sid,
        account_sid=ACCOUNT_SID,
        sim_sid=sim_sid,
        payload=payload,
        status=status,
        direction=direction,
        date_created=NOW,
        date_updated=date_updated,
        callback=CallbackTarget(callback_url),
    )


def a_datagram(
    *,
    sid: str = f"HG{'2' * 32}",
    status: IpStatus = IpStatus.QUEUED,
    direction: Direction = Direction.TO_SIM,
    device_ip: str | None = None,
    payload_type: PayloadType = PayloadType.TEXT,
    payload: str = "update the firmware",
    date_updated: datetime = NOW,
    callback_url: CallbackUrl | None = URL,
) -> IpCommand:
    return IpCommand(
        sid=sid,
        account_sid=ACCOUNT_SID,
        sim_sid=SIM_SID,
        sim_iccid=ICCID,
        status=status,
        direction=direction,
        device_ip=device_ip,
        device_port=100,
        payload_type=payload_type,
        payload=payload,
        date_created=NOW,
        date_updated=date_updated,
        callback=CallbackTarget(callback_url),
    )


def an_esim_profile(
    *,
    sid: str = f"HP{'3' * 32}",
    status: EsimStatus = EsimStatus.NEW,
    eid: str | None = None,
    has_matching_id: bool = True,
    date_updated: datetime = NOW,
    iccid: str | None = None,
    sim_sid: str | None = None,
    smdp_plus_address: str | None = None,
    matching_id: str | None = None,
    error_code: str | None = None,
    error_message: str | None = None,
    callback_url: CallbackUrl | None = URL,
) -> EsimProfile:
    return EsimProfile(
        sid=sid,
        account_sid=ACCOUNT_SID,
        status=status,
        eid=eid,
        has_matching_id=has_matching_id,
        date_created=NOW,
        date_updated=date_updated,
        iccid=iccid,
        sim_sid=sim_sid,
        smdp_plus_address=smdp_plus_address,
        matching_id=matching_id,
        error_code=error_code,
        error_message=error_message,
        callback=CallbackTarget(callback_url),
    )


def a_settings_update(
    *,
    status: OtaSettingsUpdateStatus = OtaSettingsUpdateStatus.SCHEDULED,
    date_updated: datetime = NOW,
    date_completed: datetime | None = None,
) -> OtaSettingsUpdate:
    return OtaSettingsUpdate(
        sid=f"OB{'4' * 32}",
        account_sid=ACCOUNT_SID,
        iccid=ICCID,
        sim_sid=SIM_SID,
        status=status,
        date_created=NOW,
        date_updated=date_updated,
        date_completed=date_completed,
    )


def a_session(
    *,
    sid: str = f"WN{'5' * 32}",
    sim_sid: str = SIM_SID,
    fleet_sid: str = FLEET_SID,
    network_sid: str = f"HW{'6' * 32}",
    iso_country: str = "US",
    up: int = 1000,
    down: int = 2000,
    began: datetime = NOW,
    ended: datetime | None = None,
) -> SuperSimDataSession:
    """Return a session that uses `up` and `down` bytes an hour."""
    return SuperSimDataSession(
        sid=sid,
        account_sid=ACCOUNT_SID,
        sim_sid=sim_sid,
        fleet_sid=fleet_sid,
        network_sid=network_sid,
        iso_country=iso_country,
        upload_per_hour=up,
        download_per_hour=down,
        date_created=began,
        date_ended=ended,
    )
