from typing import Any

import pytest

from ringback.core.sims.device_messages import KINDS_OF_PRODUCT, MESSAGE_KINDS

DEVICE: dict[str, Any] = {
    "ip_commands_url": None,
    "sms_commands_url": "http://a.example/sms",
    "commands_callback_url": None,
}


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("sms", "calls back http://a.example/sms"),
        ("ip", "no callback: IpCommandsUrl of the SIM's Fleet is not set"),
        ("commands", "no callback: CommandsCallbackUrl of the SIM is not set"),
    ],
)
def test_it_is_said_where_a_callback_goes_or_what_is_not_set(kind: str, target: str) -> None:
    assert MESSAGE_KINDS[kind].target_of(DEVICE) == target


def test_each_kind_is_sent_by_the_devices_of_one_product() -> None:
    kinds = [kind for product in KINDS_OF_PRODUCT.values() for kind in product]
    assert sorted(kinds) == sorted(MESSAGE_KINDS)
