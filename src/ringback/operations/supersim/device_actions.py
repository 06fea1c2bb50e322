"""Actions of simulated Super SIM devices: send messages, use data, attach, download profiles."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.errors import Conflict, InvalidParameter, NotFound
from ringback.core.sids import SidKind
from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.sims.scenario import CARRIED_OUT, CarrierResult, TaskKind
from ringback.core.streams.stream_event import StreamEvent
from ringback.core.supersim.command import LONGEST_DATAGRAM, IpCommand, IpStatus, SmsCommand
from ringback.core.supersim.esim_profile import EsimProfile, EsimStatus
from ringback.core.supersim.events import IpCommandChanged, SmsCommandChanged
from ringback.core.supersim.fleet import Fleet
from ringback.core.supersim.sim import SimStatus, SuperSim
from ringback.operations.context import OperationContext
from ringback.operations.supersim.commands import check_sms
from ringback.operations.supersim.connection_events import ConnectionReporter
from ringback.operations.supersim.data_sessions import (
    attach,
    detach,
    is_out_of_data,
    report_data,
    use_data,
)
from ringback.operations.supersim.esim_profiles import fetch_esim_profile
from ringback.operations.supersim.sim_lifecycle import as_it_still_is, plan_activation
from ringback.ports import Transaction


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """How an action on the connection of a device has ended."""

    sim: SuperSim
    result: CarrierResult
    session_sid: str | None
    """The SID of the data session that is running now; None if none is."""
    events: Sequence[StreamEvent]
    """The events that were published about it."""


def receive_sms(
    tx: Transaction, sim: SuperSim, payload: str, context: OperationContext
) -> SmsCommand:
    """Receive an SMS from a SIM's device, and send a callback to the fleet's URL.

    Raises InvalidParameter if the device can't send an SMS, and BacklogFull if too many callbacks
    are unfinished.
    """
    check_sms(payload)
    fleet = _fleet_of(tx, sim)
    if not fleet.sms_commands_enabled:
        raise InvalidParameter(f"SMS Commands are not enabled in Fleet {fleet.sid}", code=83600)
    _make_room(sim, fleet.sms_commands, context)
    command = SmsCommand(
        **context.record_fields(SidKind.SMS_COMMAND, sim.account_sid),
        created_by=context.actor.id,
        sim_sid=sim.sid,
        payload=payload,
        status=MessageStatus.RECEIVED,
        direction=Direction.FROM_SIM,
    )
    tx.supersim.sms_commands.add(command)
    event = SmsCommandChanged.of(command, sim)
    context.emit(tx, event, fleet.sms_commands)
    count_sms(tx, sim, context)
    return command


def receive_datagram(
    tx: Transaction, sim: SuperSim, payload: bytes, *, port: int, context: OperationContext
) -> IpCommand:
    """Receive a datagram from a SIM's device, and send a callback to the fleet's URL.

    A payload that is too long for an IP Command is cut off. Raises InvalidParameter if the device
    can't send data, and BacklogFull if too many callbacks are unfinished.
    """
    fleet = _fleet_of(tx, sim)
    if not fleet.data_enabled:
        raise InvalidParameter(f"data is not enabled in Fleet {fleet.sid}", code=83600)
    if is_out_of_data(tx, sim, fleet, context):
        raise InvalidParameter(f"SIM {sim.sid} has used its Fleet's DataLimit", code=83600)
    _make_room(sim, fleet.ip_commands, context)
    command = IpCommand(
        **context.record_fields(SidKind.IP_COMMAND, sim.account_sid),
        created_by=context.actor.id,
        sim_sid=sim.sid,
        sim_iccid=sim.iccid,
        status=IpStatus.RECEIVED,
        direction=Direction.FROM_SIM,
        device_ip=sim.device_ip,
        device_port=port,
        payload_type=PayloadType.BINARY,
        payload=b64encode(payload[:LONGEST_DATAGRAM]).decode(),
    )
    tx.supersim.ip_commands.add(command)
    event = IpCommandChanged.of(command, sim)
    context.emit(tx, event, fleet.ip_commands)
    return command


def receive_datagram_from(
    tx: Transaction, address: str, payload: bytes, *, port: int, context: OperationContext
) -> IpCommand:
    """Receive a datagram from the device with the IP address `address`.

    Raises NotFound if no SIM has the address, and the same errors as `receive_datagram`.
    """
    sim = tx.supersim.sims.first({"device_ip": address})
    if sim is None:
        raise NotFound(
            f"no SIM's device has the address {address}; a device must send from the address that"
            " /v1/Sims/{Sid}/IpAddresses shows for its SIM"
        )
    return receive_datagram(tx, sim, payload, port=port, context=context)


def transfer_data(
    tx: Transaction, sim: SuperSim, *, upload: int, download: int, context: OperationContext
) -> None:
    """Record that a SIM's device has just used this many bytes.

    Raises InvalidParameter if the SIM is not connected, or its fleet does not allow that.
    """
    fleet = _fleet_of(tx, sim)
    if not fleet.data_enabled:
        raise InvalidParameter(f"data is not enabled in Fleet {fleet.sid}", code=83600)
    use_data(tx, sim, fleet, upload=upload, download=download, context=context)
    plan_activation(tx, sim, context)


def attach_device(tx: Transaction, sim: SuperSim, context: OperationContext) -> ConnectionReport:
    """Let a SIM's device attach to the network anew; the report says whether it succeeded.

    The SIM's status, and its scenario, decide whether the network accepts the device. If it does,
    and the SIM's fleet allows data, a data session begins; one that is running ends before.
    """
    reporter, result = attach(tx, as_it_still_is(tx, sim), context)
    plan_activation(tx, sim, context)
    return _report("AttachDevice", reporter, result)


def detach_device(tx: Transaction, sim: SuperSim, context: OperationContext) -> ConnectionReport:
    """Let a SIM's device leave the network, which ends its data session."""
    reporter = detach(tx, as_it_still_is(tx, sim), context)
    plan_activation(tx, sim, context)
    return _report("DetachDevice", reporter, CARRIED_OUT)


def report_device_usage(
    tx: Transaction, sim: SuperSim, context: OperationContext
) -> ConnectionReport:
    """Report the usage of a running data session to event streams now, before that is due.

    Raises InvalidParameter if no session is running (83401).
    """
    reporter = report_data(tx, as_it_still_is(tx, sim), context)
    return _report("ReportDeviceUsage", reporter, CARRIED_OUT)


def download_profile(
    tx: Transaction, account_sid: str, sid: str, context: OperationContext
) -> EsimProfile:
    """Begin the download of an eSIM Profile by a device, which also installs it.

    Raises NotFound if there is no such profile, and Conflict if it is not available.
    """
    profile = fetch_esim_profile(tx, account_sid, sid)
    if profile.status is not EsimStatus.AVAILABLE:
        raise Conflict(
            f"eSIM Profile {sid} is {profile.status}; only one that is available can be downloaded",
            code=83600,
        )
    context.begin_step(tx, TaskKind.DOWNLOAD_PROFILE, profile, None)
    context.record(tx, "DownloadEsimProfile", sid, account_sid=account_sid)
    return profile


def count_sms(tx: Transaction, sim: SuperSim, context: OperationContext) -> None:
    """Count an SMS to or from a SIM; after a few SMS, a SIM that is ready becomes active."""
    if sim.status is SimStatus.READY:
        sim = replace(sim, sms_while_ready=sim.sms_while_ready + 1)
        tx.supersim.sims.save(sim)
        plan_activation(tx, sim, context)


def _report(action: str, reporter: ConnectionReporter, result: CarrierResult) -> ConnectionReport:
    """Return the result of an action, and add its audit entry."""
    tx, sim, context = reporter.tx, reporter.sim, reporter.context
    running = tx.supersim.sessions.of_sim(sim.sid, since=context.now)
    session_sid = running[0].sid if running else None
    after = {"data_session": session_sid, "events": [one.sid for one in reporter.published]}
    context.record(tx, action, sim.sid, account_sid=sim.account_sid, after=after)
    return ConnectionReport(sim, result, session_sid, reporter.published)


def _make_room(sim: SuperSim, to: CallbackTarget, context: OperationContext) -> None:
    if to.url is not None:
        context.queue.make_room(sim.account_sid, 1)


def _fleet_of(tx: Transaction, sim: SuperSim) -> Fleet:
    """Return a SIM's fleet; raises InvalidParameter (83401) if its device is not connected."""
    fleet = None if sim.fleet_sid is None else tx.supersim.fleets.get(sim.fleet_sid)
    if not sim.is_connected or fleet is None:
        raise InvalidParameter(
            f"SIM {sim.sid} is {sim.status}; its device can send while it is ready or active",
            code=83401,
        )
    return fleet
