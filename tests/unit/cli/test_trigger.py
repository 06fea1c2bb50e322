"""What `ringback trigger` can do, as far as no server is needed for it."""

import json

import pytest
from click.testing import CliRunner, Result

from ringback.cli.trigger import trigger
from ringback.cli.triggers.table import TRIGGERS, Trigger
from ringback.core.payload import PARAMETERS, Event
from ringback.core.sim_updated import SimUpdated
from ringback.core.supersim.events import EsimProfileChanged, IpCommandChanged, SmsCommandChanged
from ringback.core.wireless.events import CommandChanged

KINDS: dict[str, type[Event]] = {
    "sim": SimUpdated,
    "sms": SmsCommandChanged,
    "ip": IpCommandChanged,
    "esim": EsimProfileChanged,
    "wireless": SimUpdated,
    "command": CommandChanged,
}

NEVER_ASKED = (
    *("--server", "http://127.0.0.1:9"),
    *("--account-sid", "AC1"),
    *("--auth-token", "made-up"),
)

each_trigger = pytest.mark.parametrize("pulled", TRIGGERS.values(), ids=TRIGGERS)


def said(*words: str) -> Result:
    return CliRunner().invoke(trigger, words)


# ---- the table -----------------------------------------------------------------------------------


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
def test_what_a_trigger_promises_are_parameters_of_its_callback(pulled: Trigger) -> None:
    kind, _, _ = pulled.name.partition(".")
    known = {name for name, _ in PARAMETERS[KINDS[kind]]}
    assert pulled.calls_back
    assert all(told.keys() <= known for told in pulled.calls_back)


def a_record(**parameters: str) -> dict[str, dict[str, str]]:
    return {"parameters": parameters}


@each_trigger
def test_a_trigger_asks_the_api_of_the_product_whose_callback_it_is(pulled: Trigger) -> None:
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


# ---- the list ------------------------------------------------------------------------------------


@each_trigger
def test_the_list_shows_each_with_what_it_does_and_what_arrives(pulled: Trigger) -> None:
    lines = said("--list").output.splitlines()
    (at,) = [at for at, line in enumerate(lines) if line.split()[0] == pulled.name]
    assert pulled.words in lines[at]
    assert all(f"{name}={value}" in lines[at + 1] for name, value in pulled.calls_back[0].items())


@pytest.mark.parametrize("words", [("--list", "--json"), ("--json", "--list")])
def test_programs_get_the_list_as_json(words: tuple[str, ...]) -> None:
    listed = json.loads(said(*words).output)["triggers"]
    assert [each["name"] for each in listed] == list(TRIGGERS)
    assert listed[3] == {
        "name": "sim.failed",
        "meaning": TRIGGERS["sim.failed"].words,
        "callbacks": [{"SimStatus": "active", "ErrorCode": "83004"}],
    }


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "say what is to happen; --list shows all names"),
        (("sms.send",), "there is no 'sms.send'; did you mean sms.sent?; --list shows"),
        (("nonsense",), "there is no 'nonsense'; --list shows all there are"),
        (("sim.active", "--payload", "x"), "sim.active has no payload"),
        (("command.deliver",), "there is no 'command.deliver'; did you mean command.delivered?"),
        (("wireless.reset", "--payload", "x"), "wireless.reset has no payload"),
        (("esim.failed", "--sim", "x"), "esim.failed makes a SIM of its own; leave --sim out"),
    ],
)
def test_what_makes_no_sense_is_refused(words: tuple[str, ...], why: str) -> None:
    result = said(*words, *NEVER_ASKED)
    assert result.exit_code == 2
    assert why in result.output
