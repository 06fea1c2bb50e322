"""Send Commands to Programmable Wireless SIMs, and find, list and delete them."""

from typing import NamedTuple

from ringback.core.callback_urls.callback_target import NO_TARGET, CallbackTarget
from ringback.core.errors import InvalidParameter
from ringback.core.sids import SidKind
from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.sims.scenario import TaskKind
from ringback.core.wireless.command import (
    KEPT_FOR,
    MOST_QUEUED,
    CommandTransport,
    IncludeSid,
    WirelessCommand,
    check_command,
)
from ringback.core.wireless.sim import WirelessSim
from ringback.operations.context import OperationContext
from ringback.operations.lookups import fetch_owned, list_of
from ringback.operations.wireless.data_sessions import plan_of, zone_of_sim
from ringback.operations.wireless.sims import sim_named
from ringback.ports import PageWindow, Transaction


class NewWirelessCommand(NamedTuple):
    """A Command to send to a SIM's device."""

    sim: str
    """The SID or the unique name of a SIM."""
    command: str
    mode: PayloadType = PayloadType.TEXT
    include_sid: IncludeSid = IncludeSid.NONE
    wants_receipt: bool = True
    told: CallbackTarget = NO_TARGET


def send_command(
    tx: Transaction, account_sid: str, new: NewWirelessCommand, context: OperationContext
) -> WirelessCommand:
    """Queue a Command to a SIM, and return it.

    Raises InvalidParameter if the SIM is unknown (33107) or not connected (33104), if its rate plan
    has no Commands (33203), if too many Commands wait (33118), or if the text is invalid (33101) or
    too long (33111).
    """
    sim = sim_named(tx, account_sid, new.sim)
    check_command(new.command, new.mode, new.include_sid)
    _check_can_get(tx, sim)
    command = WirelessCommand(
        **context.record_fields(SidKind.COMMAND, account_sid),
        created_by=context.actor.id,
        sim_sid=sim.sid,
        command=new.command,
        command_mode=new.mode,
        transport=transport_of(sim),
        status=MessageStatus.QUEUED,
        direction=Direction.TO_SIM,
        include_sid=new.include_sid,
        delivery_receipt_requested=new.wants_receipt,
        told=new.told,
    )
    keep_command(tx, command, context)
    context.begin_step(tx, TaskKind.SEND_COMMAND, command, sim)
    return command


def keep_command(tx: Transaction, command: WirelessCommand, context: OperationContext) -> None:
    """Save a Command, and schedule its deletion."""
    tx.wireless.commands.add(command)
    context.put_off(tx, TaskKind.FORGET_COMMAND, command, context.now + KEPT_FOR)


def fetch_command(tx: Transaction, account_sid: str, sid: str) -> WirelessCommand:
    """Return the account's Command with this SID; raises NotFound if there is none."""
    return fetch_owned(tx.wireless.commands, account_sid, sid, "Command")


def list_commands(
    tx: Transaction, account_sid: str, window: PageWindow, **given: str | None
) -> list[WirelessCommand]:
    """Return one page of an account's Commands, newest first.

    `given` has the field values to filter by, and `sim`, the SID or unique name of a SIM. For an
    unknown SIM, the page is empty.
    """
    return list_of(tx.wireless.commands, account_sid, window, given, sim=tx.wireless.sims)


def delete_command(tx: Transaction, account_sid: str, sid: str, context: OperationContext) -> None:
    """Delete a Command; if it has not been sent yet, it is never sent.

    Raises NotFound if there is no such Command.
    """
    command = fetch_command(tx, account_sid, sid)
    forget_command(tx, sid)
    # Not its text, since that is deleted.
    before = {"sim_sid": command.sim_sid, "status": command.status}
    context.record(tx, "DeleteCommand", sid, account_sid=account_sid, before=before)


def forget_command(tx: Transaction, sid: str) -> None:
    """Delete a Command and its scheduled steps from the store."""
    for step in (TaskKind.SEND_COMMAND, TaskKind.CONFIRM_COMMAND, TaskKind.FORGET_COMMAND):
        tx.tasks.drop(sid, step)
    tx.wireless.commands.remove(sid)


def transport_of(sim: WirelessSim) -> CommandTransport:
    """Return the transport of a SIM's Commands: IP for a Narrowband SIM, SMS for others."""
    return CommandTransport.IP if sim.is_narrowband else CommandTransport.SMS


def has_messages(tx: Transaction, sim: WirelessSim) -> bool:
    """Return True if a SIM's rate plan has the service that carries its Commands: data or SMS."""
    plan = plan_of(tx, sim)
    if plan is None:
        return False
    return plan.data_enabled if sim.is_narrowband else plan.messaging_enabled


def has_messages_there(tx: Transaction, sim: WirelessSim, context: OperationContext) -> bool:
    """Return True if a SIM's rate plan includes Commands in the zone that the SIM is in."""
    plan = plan_of(tx, sim)
    if plan is None or not has_messages(tx, sim):
        return False
    return sim.is_narrowband or plan.allows_messages_in(zone_of_sim(sim, plan, context))


def _check_can_get(tx: Transaction, sim: WirelessSim) -> None:
    if not sim.is_connected:
        raise InvalidParameter(
            f"SIM {sim.sid} is {sim.status}; Commands can be sent only to a SIM"
            " that is ready or active",
            code=33104,
        )
    if not has_messages(tx, sim):
        service = "DataEnabled" if sim.is_narrowband else "MessagingEnabled"
        raise InvalidParameter(
            f"the rate plan of SIM {sim.sid} allows no Commands; choose a rate plan with {service}",
            code=33203,
        )
    if sim.is_narrowband:
        queued = {"sim_sid": sim.sid, "status": MessageStatus.QUEUED}
        if (
            len(tx.wireless.commands.page(sim.account_sid, queued, PageWindow(MOST_QUEUED)))
            >= MOST_QUEUED
        ):
            raise InvalidParameter(
                f"{MOST_QUEUED} Commands are already queued for the Narrowband SIM"
                f" {sim.sid}, the maximum; wait until some have been sent",
                code=33118,
            )
