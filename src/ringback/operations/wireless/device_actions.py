"""Actions of simulated Programmable Wireless devices: send Commands and use data."""

from base64 import b64encode
from typing import Final, NamedTuple

from ringback.core.calendar import INSTANT
from ringback.core.errors import InvalidParameter
from ringback.core.sids import SidKind
from ringback.core.sims.message import (
    LONGEST_SMS,
    Direction,
    MessageStatus,
    PayloadType,
    fault_in_text,
)
from ringback.core.sims.scenario import CarrierFailure
from ringback.core.wireless.command import LONGEST_BINARY, WirelessCommand
from ringback.core.wireless.events import CommandChanged
from ringback.core.wireless.sim import WirelessSim
from ringback.core.wireless.usage import MeteredCommand
from ringback.operations.context import OperationContext
from ringback.operations.wireless.commands import has_messages_there, keep_command, transport_of
from ringback.operations.wireless.data_sessions import network_of, plan_of, use_data
from ringback.operations.wireless.sim_lifecycle import plan_final
from ringback.ports import Transaction

_WARNING: Final = CarrierFailure(33111, "the Command was too long, and is cut off")


class _DeviceMessage(NamedTuple):
    """A message from a device, cut off if it is longer than a Command can be."""

    command: str
    mode: PayloadType
    is_cut_off: bool


def receive_text(
    tx: Transaction, sim: WirelessSim, text: str, context: OperationContext
) -> WirelessCommand:
    """Receive a text from a SIM's device, and send a callback to the SIM's callback URL.

    A text that is too long is cut off, and its callback has the error code 33111. Raises
    InvalidParameter if the device can't send a Command, and BacklogFull if too many callbacks are
    unfinished.
    """
    sent = text[:LONGEST_SMS]
    fault = fault_in_text(sent)
    if fault is not None:
        raise InvalidParameter(f"Payload: {fault}", code=33101)
    return _receive(tx, sim, _DeviceMessage(sent, PayloadType.TEXT, len(text) > len(sent)), context)


def receive_bytes(
    tx: Transaction, sim: WirelessSim, payload: bytes, context: OperationContext
) -> WirelessCommand:
    """Receive a binary Command from a SIM's device; otherwise like `receive_text`."""
    sent = payload[:LONGEST_BINARY]
    message = _DeviceMessage(b64encode(sent).decode(), PayloadType.BINARY, len(payload) > len(sent))
    return _receive(tx, sim, message, context)


def transfer_data(
    tx: Transaction, sim: WirelessSim, *, upload: int, download: int, context: OperationContext
) -> None:
    """Record that a SIM's device has just used this many bytes.

    Raises InvalidParameter if the SIM is not connected, or its rate plan does not allow that.
    """
    _check_connected(sim)
    use_data(tx, sim, upload=upload, download=download, context=context)
    plan_final(tx, sim, context)


def note_use(
    tx: Transaction, sim: WirelessSim, direction: Direction, context: OperationContext
) -> None:
    """Count a Command in the SIM's usage records, as sent to or from the SIM's device."""
    plan = plan_of(tx, sim)
    if plan is not None:
        network = network_of(sim, plan, context)
        # It is dated one instant earlier: usage is counted until now, and would leave it out.
        at = context.now - INSTANT
        use = MeteredCommand(sim.account_sid, sim.sid, network.sid, direction, at)
        tx.wireless.command_uses.add(use)


def _receive(
    tx: Transaction, sim: WirelessSim, message: _DeviceMessage, context: OperationContext
) -> WirelessCommand:
    _check_connected(sim)
    if not has_messages_there(tx, sim, context):
        raise InvalidParameter(f"the rate plan of SIM {sim.sid} allows no Commands", code=33203)
    if sim.commands_to.url is not None:
        context.queue.make_room(sim.account_sid, 1)
    received = WirelessCommand(
        **context.record_fields(SidKind.COMMAND, sim.account_sid),
        created_by=context.actor.id,
        sim_sid=sim.sid,
        command=message.command,
        command_mode=message.mode,
        transport=transport_of(sim),
        status=MessageStatus.RECEIVED,
        direction=Direction.FROM_SIM,
        delivery_receipt_requested=False,
    )
    keep_command(tx, received, context)
    note_use(tx, sim, Direction.FROM_SIM, context)
    warning = _WARNING if message.is_cut_off else None
    event = CommandChanged.of(received, sim.unique_name, warning)
    context.emit(tx, event, sim.commands_to)
    return received


def _check_connected(sim: WirelessSim) -> None:
    if not sim.is_connected:
        raise InvalidParameter(
            f"SIM {sim.sid} is {sim.status}; its device can send while it is ready or active",
            code=33104,
        )
