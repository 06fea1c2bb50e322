"""The table of triggers: the callbacks that each causes, and the API that it uses."""

import pytest

from ringback.core.events.payload import PARAMETERS, Event
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.streams.event_types import StreamEventType
from ringback.core.supersim.events import EsimProfileChanged, IpCommandChanged, SmsCommandChanged
from ringback.core.wireless.events import CommandChanged
from ringback.triggers import TRIGGERS, TriggerDefinition

KINDS: dict[str, type[Event]] = {
    "sim": SimUpdated,
    "sms": SmsCommandChanged,
    "ip": IpCommandChanged,
    "esim": EsimProfileChanged,
    "wireless": SimUpdated,
    "command": CommandChanged,
}

_PREFIX = "com.twilio.iot.supersim."

each_trigger = pytest.mark.parametrize("pulled", TRIGGERS.values(), ids=TRIGGERS)


def test_there_is_a_trigger_for_each_callback_and_outcome() -> None:
    assert list(TRIGGERS) == [
        "sim.active",
        "sim.ready",
        "sim.inactive",
        "sim.failed",
        "sim.unchanged",
        "sms.sent",
        "sms.delivered",
        "sms.failed",
        "sms.unconfirmed",
        "sms.received",
        "ip.sent",
        "ip.failed",
        "ip.unattached",
        "ip.received",
        "esim.available",
        "esim.failed",
        "esim.downloaded",
        *(f"connection.{one.short}" for one in StreamEventType),
        "wireless.active",
        "wireless.ready",
        "wireless.activated",
        "wireless.suspended",
        "wireless.deactivated",
        "wireless.failed",
        "wireless.unchanged",
        "wireless.reset",
        "wireless.reset-failed",
        "command.delivered",
        "command.sent",
        "command.unconfirmed",
        "command.failed",
        "command.received",
        "command.cut-off",
    ]


@each_trigger
def test_the_promises_of_a_trigger_are_parameters_of_its_callback(
    pulled: TriggerDefinition,
) -> None:
    kind, _, _ = pulled.name.partition(".")
    if kind == "connection":
        assert (pulled.calls_back, pulled.publishes) == ([], StreamEventType(_PREFIX + pulled.name))
        return
    assert pulled.publishes is None
    known = {name for name, _ in PARAMETERS[KINDS[kind]]}
    assert pulled.calls_back
    assert all(expected.keys() <= known for expected in pulled.calls_back)


def a_record(**parameters: str) -> dict[str, dict[str, str]]:
    return {"parameters": parameters}


@each_trigger
def test_a_trigger_uses_the_api_of_its_callbacks_product(pulled: TriggerDefinition) -> None:
    kind, _, _ = pulled.name.partition(".")
    assert pulled.product == ("wireless" if kind in ("wireless", "command") else "supersim")


@pytest.mark.parametrize(
    ("statuses", "is_so"),
    [
        (["sent", "delivered"], True),
        (["sent"], False),
        (["delivered", "sent"], False),
        (["sent", "failed"], False),
        (["sent", "delivered", "delivered"], False),
    ],
)
def test_a_promise_is_kept_by_the_same_callbacks_in_the_same_order(
    statuses: list[str], is_so: bool
) -> None:
    records = [a_record(Status=status, Direction="to_sim") for status in statuses]
    assert TRIGGERS["sms.delivered"].is_as_promised(records) is is_so
