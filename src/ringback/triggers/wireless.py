"""What `ringback trigger` can have happen to Programmable Wireless SIMs."""

from collections.abc import Sequence
from typing import Final

from ringback.core.wireless.sim import WirelessStatus
from ringback.triggers.trigger import ExpectedParameters, Trigger, TriggerStep, sim_scenario
from ringback.triggers.wireless_steps import (
    ask_for,
    change_to,
    device_sends,
    device_sends_too_much,
    listen_to_sim,
    register,
    send,
    use_active_sim,
    use_much_data,
)

_SUSPENDED: Final = change_to(WirelessStatus.SUSPENDED)
_RECEIVED: Final = {"CommandStatus": "received"}


def _row(
    name: str, words: str, expected: Sequence[ExpectedParameters], *steps: TriggerStep
) -> Trigger:
    return Trigger(name, words, expected, steps, product="wireless")


def _of_command(
    name: str, words: str, expected: ExpectedParameters, *steps: TriggerStep
) -> Trigger:
    return _row(name, words, [expected], use_active_sim, *steps)._replace(has_payload=True)


WIRELESS: Final = (
    _row(
        "wireless.active",
        "a SIM that is suspended is activated",
        [{"SimStatus": "active"}],
        *(use_active_sim, _SUSPENDED, ask_for(Status="active")),
    ),
    _row(
        "wireless.ready",
        "a new SIM, registered for it, becomes ready",
        [{"SimStatus": "ready"}],
        *(register, ask_for(Status="ready")),
    ),
    _row(
        "wireless.activated",
        "a new SIM becomes ready, and then active by its use: called back twice",
        [{"SimStatus": "ready"}, {"SimStatus": "active"}],
        *(register, ask_for(Status="ready"), use_much_data),
    ),
    _row(
        "wireless.suspended",
        "a SIM is suspended",
        [{"SimStatus": "suspended"}],
        *(use_active_sim, ask_for(Status="suspended")),
    ),
    _row(
        "wireless.deactivated",
        "a new SIM is deactivated; that it is canceled follows after 72 hours",
        [{"SimStatus": "deactivated"}],
        *(register, ask_for(Status="deactivated")),
    ),
    _row(
        "wireless.failed",
        "the network can't suspend a SIM, which stays active",
        [{"SimStatus": "active", "ErrorCode": "33000"}],
        *(use_active_sim, sim_scenario("update-fails"), ask_for(Status="suspended")),
    ),
    _row(
        "wireless.unchanged",
        "a SIM that is active is to be active: called back at once",
        [{"SimStatus": "active"}],
        *(use_active_sim, ask_for(Status="active")),
    ),
    _row(
        "wireless.reset",
        "the connectivity of a SIM is reset",
        [{"SimStatus": "active"}],
        *(use_active_sim, ask_for(ResetStatus="resetting")),
    ),
    _row(
        "wireless.reset-failed",
        "the connectivity of a SIM can't be reset",
        [{"SimStatus": "active", "ErrorCode": "33000"}],
        *(use_active_sim, sim_scenario("reset-fails"), ask_for(ResetStatus="resetting")),
    ),
    _of_command(
        "command.delivered",
        "a Command to a device is sent, and its delivery confirmed",
        {"CommandStatus": "delivered"},
        send(),
    ),
    _of_command(
        "command.sent",
        "a Command is sent to a device that is asked for no receipt",
        {"CommandStatus": "sent"},
        send(DeliveryReceiptRequested="false"),
    ),
    _of_command(
        "command.unconfirmed",
        "a Command to a device is sent, and stays so: no receipt comes",
        {"CommandStatus": "sent"},
        *(sim_scenario("sms-unconfirmed"), send()),
    ),
    _of_command(
        "command.failed",
        "a Command to a device can't be sent",
        {"CommandStatus": "failed", "ErrorCode": "33000"},
        *(sim_scenario("sms-fails"), send()),
    ),
    _of_command(
        "command.received",
        "a device sends a Command",
        _RECEIVED,
        *(listen_to_sim, device_sends),
    ),
    _of_command(
        "command.cut-off",
        "a device sends a text that is too long, and is cut off",
        {**_RECEIVED, "ErrorCode": "33111"},
        *(listen_to_sim, device_sends_too_much),
    ),
)
