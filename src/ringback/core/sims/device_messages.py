"""The kinds of messages that a simulated device can send, and where their callbacks go."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple


class DeviceMessageKind(NamedTuple):
    """A kind of message that a device can send."""

    name: str
    many: str
    """The plural of the name."""
    url_field: str
    """The field of the device that contains the callback URL for these messages."""
    parameter: str
    """The parameter of the API that sets this callback URL."""
    of: str = "'s Fleet"
    """The words after `the SIM` that name the resource with this parameter; empty for the SIM."""

    def target_of(self, device: Mapping[str, Any]) -> str:
        """Return in words where the callback about a message of the device goes."""
        url = device[self.url_field]
        if url is not None:
            return f"calls back {url}"
        return f"no callback: {self.parameter} of the SIM{self.of} is not set"


MESSAGE_KINDS: Final[Mapping[str, DeviceMessageKind]] = {
    "ip": DeviceMessageKind("datagram", "datagrams", "ip_commands_url", "IpCommandsUrl"),
    "sms": DeviceMessageKind("SMS", "SMS", "sms_commands_url", "SmsCommandsUrl"),
    "commands": DeviceMessageKind(
        "Command", "Commands", "commands_callback_url", "CommandsCallbackUrl", ""
    ),
}
"""All kinds, by the last part of the path of the portal API that sends such a message."""
KINDS_OF_PRODUCT: Final[Mapping[str, tuple[str, ...]]] = {
    "supersim": ("ip", "sms"),
    "wireless": ("commands",),
}
"""The kinds of messages that the devices of a product can send; the first is the default."""
