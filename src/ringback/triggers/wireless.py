"""What `ringback trigger` can have happen to Programmable Wireless SIMs."""

from collections.abc import Sequence
from typing import Final

from ringback.core.wireless.sim import WirelessStatus
from ringback.triggers import wireless_steps as steps
from ringback.triggers.trigger import (
    ExpectedParameters,
    TriggerDefinition,
    TriggerStep,
    sim_scenario,
)

_SUSPENDED: Final = steps.change_to(WirelessStatus.SUSPENDED)
_RESET: Final = steps.ask_for(ResetStatus="resetting")
_RECEIVED: Final = {"CommandStatus": "received"}


def _row(
    name: str, words: str, expected: Sequence[ExpectedParameters], *taken: TriggerStep
) -> TriggerDefinition:
    return TriggerDefinition(name, words, expected, taken, product="wireless")


def _of_command(
    name: str, words: str, expected: ExpectedParameters, *taken: TriggerStep
) -> TriggerDefinition:
    return _row(name, words, [expected], steps.use_active_sim, *taken)._replace(has_payload=True)


WIRELESS: Final = (
    _row(
        "wireless.active",
        "a SIM that is suspended is activated",
        [{"SimStatus": "active"}],
        *(steps.use_active_sim, _SUSPENDED, steps.ask_for(Status="active")),
    ),
    _row(
        "wireless.ready",
        "a new SIM, registered for it, becomes ready",
        [{"SimStatus": "ready"}],
        *(steps.register, steps.ask_for(Status="ready")),
    ),
    _row(
        "wireless.activated",
        "a new SIM becomes ready, and then active by its use: called back twice",
        [{"SimStatus": "ready"}, {"SimStatus": "active"}],
        *(steps.register, steps.ask_for(Status="ready"), steps.use_much_data),
    ),
    _row(
        "wireless.suspended",
        "a SIM is suspended",
        [{"SimStatus": "suspended"}],
        *(steps.use_active_sim, steps.ask_for(Status="suspended")),
    ),
    _row(
        "wireless.deactivated",
        "a new SIM is deactivated; that it is canceled follows after 72 hours",
        [{"SimStatus": "deactivated"}],
        *(steps.register, steps.ask_for(Status="deactivated")),
    ),
    _row(
        "wireless.failed",
        "the network can't suspend a SIM, which stays active",
        [{"SimStatus": "active", "ErrorCode": "33000"}],
        *(steps.use_active_sim, sim_scenario("update-fails"), steps.ask_for(Status="suspended")),
    ),
    _row(
        "wireless.unchanged",
        "a SIM that is active is to be active: called back at once",
        [{"SimStatus": "active"}],
        *(steps.use_active_sim, steps.ask_for(Status="active")),
    ),
    _row(
        "wireless.reset",
        "the connectivity of a SIM is reset",
        [{"SimStatus": "active"}],
        *(steps.use_active_sim, _RESET),
    ),
    _row(
        "wireless.reset-failed",
        "the connectivity of a SIM can't be reset",
        [{"SimStatus": "active", "ErrorCode": "33000"}],
        *(steps.use_active_sim, sim_scenario("reset-fails"), _RESET),
    ),
    _of_command(
        "command.delivered",
        "a Command to a device is sent, and its delivery confirmed",
        {"CommandStatus": "delivered"},
        steps.send(),
    ),
    _of_command(
        "command.sent",
        "a Command is sent to a device that is asked for no receipt",
        {"CommandStatus": "sent"},
        steps.send(DeliveryReceiptRequested="false"),
    ),
    _of_command(
        "command.unconfirmed",
        "a Command to a device is sent, and stays so: no receipt comes",
        {"CommandStatus": "sent"},
        *(sim_scenario("sms-unconfirmed"), steps.send()),
    ),
    _of_command(
        "command.failed",
        "a Command to a device can't be sent",
        {"CommandStatus": "failed", "ErrorCode": "33000"},
        *(sim_scenario("sms-fails"), steps.send()),
    ),
    _of_command(
        "command.received",
        "a device sends a Command",
        _RECEIVED,
        *(steps.listen_to_sim, steps.device_sends),
    ),
    _of_command(
        "command.cut-off",
        "a device sends a text that is too long, and is cut off",
        {**_RECEIVED, "ErrorCode": "33111"},
        *(steps.listen_to_sim, steps.device_sends_too_much),
    ),
)
