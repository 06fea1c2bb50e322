"""The triggers for Super SIMs, which make Ringback send callbacks about these SIMs."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from ringback.core.sims.message import PayloadType
from ringback.core.streams.event_types import StreamEventType
from ringback.core.supersim.sim import SimStatus
from ringback.triggers import supersim_steps as steps
from ringback.triggers.trigger import (
    TriggerDefinition,
    TriggerStep,
    account_scenario,
    device_sends,
    sim_scenario,
)

_CONNECTED: Final = steps.bring_to(SimStatus.ACTIVE, SimStatus.READY)
_ACTIVE: Final = steps.bring_to(SimStatus.ACTIVE)
_INACTIVE: Final = steps.bring_to(SimStatus.INACTIVE)
_SENT: Final = {"Status": "sent"}
_RECEIVED: Final = {"Status": "received"}

_message: Final = partial(TriggerDefinition, has_payload=True)
_profile: Final = partial(TriggerDefinition, has_sim=False)


def _event(type_: StreamEventType, words: str, steps: Sequence[TriggerStep]) -> TriggerDefinition:
    return TriggerDefinition(f"connection.{type_.short}", words, [], steps, publishes=type_)


SUPER_SIM: Final = (
    TriggerDefinition(
        "sim.active",
        "a SIM is activated",
        [{"SimStatus": "active"}],
        [_INACTIVE, steps.update_to(SimStatus.ACTIVE)],
    ),
    TriggerDefinition(
        "sim.ready",
        "a newly registered SIM becomes ready",
        [{"SimStatus": "ready"}],
        [steps.take_new_sim, steps.update_to(SimStatus.READY)],
    ),
    TriggerDefinition(
        "sim.inactive",
        "a SIM is deactivated",
        [{"SimStatus": "inactive"}],
        [_ACTIVE, steps.update_to(SimStatus.INACTIVE)],
    ),
    TriggerDefinition(
        "sim.failed",
        "the network can't deactivate a SIM, which stays active",
        [{"SimStatus": "active", "ErrorCode": "83004"}],
        [_ACTIVE, sim_scenario("update-fails"), steps.update_to(SimStatus.INACTIVE)],
    ),
    TriggerDefinition(
        "sim.unchanged",
        "an active SIM is set to active again: the callback comes at once",
        [{"SimStatus": "active"}],
        [_ACTIVE, steps.update_to(SimStatus.ACTIVE)],
    ),
    _message(
        "sms.sent",
        "an SMS to a device is sent; the callback about its delivery follows",
        [_SENT],
        [_CONNECTED, steps.send_sms],
    ),
    _message(
        "sms.delivered",
        "an SMS to a device is sent, and delivered",
        [_SENT, {"Status": "delivered"}],
        [_CONNECTED, steps.send_sms],
    ),
    _message(
        "sms.failed",
        "an SMS to a device can't be sent",
        [{"Status": "failed", "ErrorCode": "20500"}],
        [_CONNECTED, sim_scenario("sms-fails"), steps.send_sms],
    ),
    _message(
        "sms.unconfirmed",
        "an SMS to a device is sent, and its delivery is never confirmed",
        [_SENT],
        [_CONNECTED, sim_scenario("sms-unconfirmed"), steps.send_sms, steps.overtake_sms],
    ),
    _message(
        "sms.received",
        "a device sends an SMS",
        [_RECEIVED],
        [_CONNECTED, steps.listen_to_fleet("Sms"), device_sends("sms")],
    ),
    _message(
        "ip.sent", "a datagram to a device is sent", [_SENT], [_CONNECTED, steps.send_datagram]
    ),
    _message(
        "ip.failed",
        "a datagram to a device can't be sent",
        [{"Status": "failed", "ErrorCode": "83400"}],
        [_CONNECTED, sim_scenario("ip-fails"), steps.send_datagram],
    ),
    _message(
        "ip.unattached",
        "a datagram can't be sent, as the device is not attached to a network",
        [{"Status": "failed", "ErrorCode": "83401"}],
        [_CONNECTED, sim_scenario("unattached"), steps.send_datagram],
    ),
    _message(
        "ip.received",
        "a device sends a datagram",
        [_RECEIVED],
        [_CONNECTED, steps.listen_to_fleet("Ip"), device_sends("ip", PayloadType=PayloadType.TEXT)],
    ),
    _profile(
        "esim.available",
        "an eSIM Profile is ordered, and can be downloaded",
        [{"Status": "available"}],
        [steps.order_profile],
    ),
    _profile(
        "esim.failed",
        "an eSIM Profile is ordered, and none is in stock",
        [{"Status": "failed", "ErrorCode": "83500"}],
        [account_scenario("no-stock"), steps.order_profile],
    ),
    _profile(
        "esim.downloaded",
        "an eSIM Profile is ordered, and a device downloads it",
        [{"Status": "available"}, {"Status": "downloaded"}],
        [steps.order_profile, steps.download_profile],
    ),
    _event(
        StreamEventType.ATTACHMENT_ACCEPTED,
        "a device attaches to the network",
        [_CONNECTED, steps.attach],
    ),
    _event(
        StreamEventType.ATTACHMENT_REJECTED,
        "a device tries to attach although its SIM is inactive",
        [_INACTIVE, steps.attach],
    ),
    _event(
        StreamEventType.ATTACHMENT_FAILED,
        "a device can't attach because of an internal error",
        [_CONNECTED, sim_scenario("attach-fails"), steps.attach],
    ),
    _event(
        StreamEventType.SESSION_STARTED,
        "a device attaches, and begins a data session",
        [_CONNECTED, steps.attach],
    ),
    _event(
        StreamEventType.SESSION_UPDATED,
        "a device uses data, which is reported before six minutes are over",
        [_CONNECTED, steps.attach, steps.use_some_data, steps.report_usage],
    ),
    _event(
        StreamEventType.SESSION_ENDED,
        "a device uses data, and leaves the network",
        [_CONNECTED, steps.attach, steps.use_some_data, steps.detach],
    ),
    _event(
        StreamEventType.SESSION_FAILED,
        "a device attaches, but can't begin a data session because of an internal error",
        [_CONNECTED, sim_scenario("session-fails"), steps.attach],
    ),
)
