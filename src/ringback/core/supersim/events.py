"""The events of Super SIM that cause callbacks: one class for each kind."""

from dataclasses import dataclass
from typing import ClassVar

from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.sims.scenario import CarrierFailure
from ringback.core.supersim.command import IpCommand, IpStatus, SmsCommand
from ringback.core.supersim.esim_profile import EsimProfile, EsimStatus
from ringback.core.supersim.sim import SuperSim


@dataclass(frozen=True, slots=True)
class SmsCommandChanged:
    """An SMS Command to a device has a new status, or an SMS from a device has arrived."""

    api_version: ClassVar = "v1"
    payload_type: ClassVar = PayloadType.TEXT
    account_sid: str
    command_sid: str
    sim_sid: str
    sim_unique_name: str | None
    status: MessageStatus
    direction: Direction
    payload: str
    error_code: int | None = None
    error_message: str | None = None

    @classmethod
    def of(
        cls, command: SmsCommand, sim: SuperSim, failure: CarrierFailure | None = None
    ) -> "SmsCommandChanged":
        """Return the event with an SMS Command's current state, and the failure if it failed."""
        return cls(
            account_sid=command.account_sid,
            command_sid=command.sid,
            sim_sid=sim.sid,
            sim_unique_name=sim.unique_name,
            status=command.status,
            direction=command.direction,
            payload=command.payload,
            error_code=failure and failure.code,
            error_message=failure and failure.message,
        )


@dataclass(frozen=True, slots=True)
class IpCommandChanged:
    """An IP Command to a device was sent or failed, or a datagram from a device has arrived."""

    api_version: ClassVar = "v1"
    account_sid: str
    command_sid: str
    sim_sid: str
    sim_unique_name: str | None
    sim_iccid: str
    status: IpStatus
    direction: Direction
    device_ip: str | None
    device_port: int
    payload_type: PayloadType
    payload: str
    error_code: int | None = None
    error_message: str | None = None

    @classmethod
    def of(
        cls, command: IpCommand, sim: SuperSim, failure: CarrierFailure | None = None
    ) -> "IpCommandChanged":
        """Return the event with an IP Command's current state, and the failure if it failed."""
        return cls(
            account_sid=command.account_sid,
            command_sid=command.sid,
            sim_sid=sim.sid,
            sim_unique_name=sim.unique_name,
            sim_iccid=command.sim_iccid,
            status=command.status,
            direction=command.direction,
            device_ip=command.device_ip,
            device_port=command.device_port,
            payload_type=command.payload_type,
            payload=command.payload,
            error_code=failure and failure.code,
            error_message=failure and failure.message,
        )


@dataclass(frozen=True, slots=True)
class EsimProfileChanged:
    """An eSIM Profile is available for download, was downloaded or installed, or has failed."""

    api_version: ClassVar = "v1"
    account_sid: str
    profile_sid: str
    sim_sid: str | None
    iccid: str | None
    eid: str | None
    status: EsimStatus
    smdp_plus_address: str | None
    matching_id: str | None
    activation_code: str | None
    error_code: str | None
    error_message: str | None

    @classmethod
    def of(cls, profile: EsimProfile) -> "EsimProfileChanged":
        """Return the event with an eSIM Profile's current state."""
        return cls(
            account_sid=profile.account_sid,
            profile_sid=profile.sid,
            sim_sid=profile.sim_sid,
            iccid=profile.iccid,
            eid=profile.eid,
            status=profile.status,
            smdp_plus_address=profile.smdp_plus_address,
            matching_id=profile.matching_id,
            activation_code=profile.activation_code,
            error_code=profile.error_code,
            error_message=profile.error_message,
        )
