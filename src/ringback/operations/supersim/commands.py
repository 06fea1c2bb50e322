"""Send SMS and IP Commands to SIMs, and find and list them."""

from base64 import b64decode
from dataclasses import dataclass

from ringback.core.callback_urls.callback_target import NO_TARGET, CallbackTarget
from ringback.core.errors import InvalidParameter
from ringback.core.sids import SidKind
from ringback.core.sims.message import Direction, MessageStatus, PayloadType, fault_in_text
from ringback.core.sims.scenario import TaskKind
from ringback.core.supersim.command import LONGEST_DATAGRAM, IpCommand, IpStatus, SmsCommand
from ringback.operations.context import OperationContext
from ringback.operations.lookups import fetch_owned, list_of
from ringback.operations.supersim.sims import sim_named
from ringback.ports import PageWindow, Transaction


@dataclass(frozen=True, slots=True)
class NewSmsCommand:
    """An SMS to send to a SIM's device."""

    sim: str
    """The SID or the unique name of a SIM."""
    payload: str
    callback: CallbackTarget = NO_TARGET


@dataclass(frozen=True, slots=True)
class NewIpCommand:
    """A datagram to send to a SIM's device."""

    sim: str
    """The SID or the unique name of a SIM."""
    payload: str
    payload_type: PayloadType
    device_port: int
    callback: CallbackTarget = NO_TARGET


def send_sms(
    tx: Transaction, account_sid: str, new: NewSmsCommand, context: OperationContext
) -> SmsCommand:
    """Queue an SMS to a SIM, and return the SMS Command.

    Raises InvalidParameter if the payload does not fit into one SMS (83600), or if there is no such
    SIM (83005).
    """
    sim = sim_named(tx, account_sid, new.sim)
    check_sms(new.payload)
    command = SmsCommand(
        **context.record_fields(SidKind.SMS_COMMAND, account_sid),
        created_by=context.actor.id,
        sim_sid=sim.sid,
        payload=new.payload,
        status=MessageStatus.QUEUED,
        direction=Direction.TO_SIM,
        callback=new.callback,
    )
    tx.supersim.sms_commands.add(command)
    context.begin_step(tx, TaskKind.SEND_SMS, command, sim)
    return command


def send_datagram(
    tx: Transaction, account_sid: str, new: NewIpCommand, context: OperationContext
) -> IpCommand:
    """Queue a datagram to a SIM, and return the IP Command.

    Raises InvalidParameter if the payload is too long or not Base64 (83600), or if there is no such
    SIM (83005).
    """
    sim = sim_named(tx, account_sid, new.sim)
    _check_datagram(new.payload, new.payload_type)
    command = IpCommand(
        **context.record_fields(SidKind.IP_COMMAND, account_sid),
        created_by=context.actor.id,
        sim_sid=sim.sid,
        sim_iccid=sim.iccid,
        status=IpStatus.QUEUED,
        direction=Direction.TO_SIM,
        device_ip=None,
        device_port=new.device_port,
        payload_type=new.payload_type,
        payload=new.payload,
        callback=new.callback,
    )
    tx.supersim.ip_commands.add(command)
    context.begin_step(tx, TaskKind.SEND_IP, command, sim)
    return command


def fetch_sms(tx: Transaction, account_sid: str, sid: str) -> SmsCommand:
    """Return the account's SMS Command with this SID; raises NotFound if there is none."""
    return fetch_owned(tx.supersim.sms_commands, account_sid, sid, "SMS Command")


def fetch_datagram(tx: Transaction, account_sid: str, sid: str) -> IpCommand:
    """Return the account's IP Command with this SID; raises NotFound if there is none."""
    return fetch_owned(tx.supersim.ip_commands, account_sid, sid, "IP Command")


def list_sms(
    tx: Transaction, account_sid: str, window: PageWindow, **given: str | None
) -> list[SmsCommand]:
    """Return one page of an account's SMS Commands, newest first.

    `given` has the field values to filter by, and `sim`, the SID or unique name of a SIM. For an
    unknown SIM, the page is empty.
    """
    return list_of(tx.supersim.sms_commands, account_sid, window, given, sim=tx.supersim.sims)


def list_datagrams(
    tx: Transaction, account_sid: str, window: PageWindow, **given: str | None
) -> list[IpCommand]:
    """Return one page of an account's IP Commands, newest first.

    `given` has the field values to filter by, and `sim`, the SID or unique name of a SIM. For an
    unknown SIM, the page is empty.
    """
    return list_of(tx.supersim.ip_commands, account_sid, window, given, sim=tx.supersim.sims)


def check_sms(payload: str) -> None:
    """Raise InvalidParameter (83600) if a text does not fit into one SMS."""
    fault = fault_in_text(payload)
    if fault is not None:
        raise InvalidParameter(f"Payload: {fault}", code=83600)


def _check_datagram(payload: str, kind: PayloadType) -> None:
    if kind is PayloadType.BINARY:
        try:
            size = len(b64decode(payload, validate=True))
        except ValueError:
            raise InvalidParameter(
                "Payload is not valid Base64, which PayloadType=binary requires", code=83600
            ) from None
    else:
        size = len(payload.encode())
    if size > LONGEST_DATAGRAM:
        raise InvalidParameter(
            f"Payload has {size} bytes; an IP Command has at most {LONGEST_DATAGRAM}", code=83600
        )
