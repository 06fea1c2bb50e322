"""The triggers for Programmable Wireless SIMs, which make Ringback send callbacks about them."""

from functools import partial
from typing import Final

from ringback.core.wireless.sim import WirelessStatus
from ringback.triggers import wireless_steps as steps
from ringback.triggers.trigger import TriggerDefinition, device_sends, sim_scenario

_SUSPENDED: Final = steps.change_to(WirelessStatus.SUSPENDED)
_RESET: Final = steps.ask_for(ResetStatus="resetting")
_RECEIVED: Final = {"CommandStatus": "received"}

_of_sim: Final = partial(TriggerDefinition, product="wireless")
_of_command: Final = partial(TriggerDefinition, product="wireless", has_payload=True)

WIRELESS: Final = (
    _of_sim(
        "wireless.active",
        "a suspended SIM is activated",
        [{"SimStatus": "active"}],
        [steps.use_active_sim, _SUSPENDED, steps.ask_for(Status="active")],
    ),
    _of_sim(
        "wireless.ready",
        "a newly registered SIM becomes ready",
        [{"SimStatus": "ready"}],
        [steps.register, steps.ask_for(Status="ready")],
    ),
    _of_sim(
        "wireless.activated",
        "a new SIM becomes ready, and then active by using data: two callbacks",
        [{"SimStatus": "ready"}, {"SimStatus": "active"}],
        [steps.register, steps.ask_for(Status="ready"), steps.use_much_data],
    ),
    _of_sim(
        "wireless.suspended",
        "a SIM is suspended",
        [{"SimStatus": "suspended"}],
        [steps.use_active_sim, steps.ask_for(Status="suspended")],
    ),
    _of_sim(
        "wireless.deactivated",
        "a new SIM is deactivated; after 72 hours it becomes canceled",
        [{"SimStatus": "deactivated"}],
        [steps.register, steps.ask_for(Status="deactivated")],
    ),
    _of_sim(
        "wireless.failed",
        "the network can't suspend a SIM, which stays active",
        [{"SimStatus": "active", "ErrorCode": "33000"}],
        [steps.use_active_sim, sim_scenario("update-fails"), steps.ask_for(Status="suspended")],
    ),
    _of_sim(
        "wireless.unchanged",
        "an active SIM is set to active again: the callback comes at once",
        [{"SimStatus": "active"}],
        [steps.use_active_sim, steps.ask_for(Status="active")],
    ),
    _of_sim(
        "wireless.reset",
        "the connectivity of a SIM is reset",
        [{"SimStatus": "active"}],
        [steps.use_active_sim, _RESET],
    ),
    _of_sim(
        "wireless.reset-failed",
        "the connectivity of a SIM can't be reset",
        [{"SimStatus": "active", "ErrorCode": "33000"}],
        [steps.use_active_sim, sim_scenario("reset-fails"), _RESET],
    ),
    _of_command(
        "command.delivered",
        "a Command to a device is sent, and its delivery confirmed",
        [{"CommandStatus": "delivered"}],
        [steps.use_active_sim, steps.send()],
    ),
    _of_command(
        "command.sent",
        "a Command to a device is sent, without asking for a receipt",
        [{"CommandStatus": "sent"}],
        [steps.use_active_sim, steps.send(DeliveryReceiptRequested="false")],
    ),
    _of_command(
        "command.unconfirmed",
        "a Command to a device is sent, and its receipt never comes",
        [{"CommandStatus": "sent"}],
        [steps.use_active_sim, sim_scenario("sms-unconfirmed"), steps.send()],
    ),
    _of_command(
        "command.failed",
        "a Command to a device can't be sent",
        [{"CommandStatus": "failed", "ErrorCode": "33000"}],
        [steps.use_active_sim, sim_scenario("sms-fails"), steps.send()],
    ),
    _of_command(
        "command.received",
        "a device sends a Command",
        [_RECEIVED],
        [steps.use_active_sim, steps.listen_to_sim, device_sends("commands")],
    ),
    _of_command(
        "command.cut-off",
        "a device sends a text that is too long, and is cut off",
        [{**_RECEIVED, "ErrorCode": "33111"}],
        [steps.use_active_sim, steps.listen_to_sim, steps.device_sends_too_much],
    ),
)
