"""What `ringback trigger` lists and refuses before it asks a server."""

import json

import pytest
from click.testing import CliRunner, Result

from ringback.cli.trigger import trigger
from ringback.triggers import TRIGGERS, TriggerDefinition

NEVER_ASKED = (
    *("--server", "http://127.0.0.1:9"),
    *("--account-sid", "AC1"),
    *("--auth-token", "made-up"),
)

each_trigger = pytest.mark.parametrize("pulled", TRIGGERS.values(), ids=TRIGGERS)


def said(*words: str) -> Result:
    return CliRunner().invoke(trigger, words)


# ---- the list ------------------------------------------------------------------------------------


@each_trigger
def test_the_list_shows_each_with_what_it_does_and_what_arrives(pulled: TriggerDefinition) -> None:
    lines = said("--list").output.splitlines()
    (at,) = [at for at, line in enumerate(lines) if line.split()[0] == pulled.name]
    assert pulled.words in lines[at]
    if pulled.publishes is not None:
        assert lines[at + 1].split() == ["publishes", pulled.publishes]
        return
    assert all(f"{name}={value}" in lines[at + 1] for name, value in pulled.calls_back[0].items())


@pytest.mark.parametrize("words", [("--list", "--json"), ("--json", "--list")])
def test_programs_get_the_list_as_json(words: tuple[str, ...]) -> None:
    listed = json.loads(said(*words).output)["triggers"]
    assert [each["name"] for each in listed] == list(TRIGGERS)
    assert listed[3] == {
        "name": "sim.failed",
        "meaning": TRIGGERS["sim.failed"].words,
        "callbacks": [{"SimStatus": "active", "ErrorCode": "83004"}],
        "event": None,
    }
    (ended,) = [one for one in listed if one["name"] == "connection.data-session.ended"]
    assert ended["event"] == "com.twilio.iot.supersim.connection.data-session.ended"
    assert ended["callbacks"] == []


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "give the NAME of an event; --list shows all names"),
        (
            ("sms.send",),
            "there is no trigger 'sms.send'; did you mean sms.sent? --list shows all names",
        ),
        (("nonsense",), "there is no trigger 'nonsense'; --list shows all names"),
        (("sim.deactivated",), "did you mean sim.inactive? --list"),
        (("sim.active", "--payload", "x"), "sim.active sends no text: leave --payload out"),
        (
            ("command.deliver",),
            "there is no trigger 'command.deliver'; did you mean command.delivered?",
        ),
        (("wireless.reset", "--payload", "x"), "wireless.reset sends no text"),
        (
            ("connection.attachment.failed", "--cbs", "kore"),
            "connection.attachment.failed sends no callback, but publishes an event",
        ),
        (("esim.failed", "--sim", "x"), "esim.failed creates a new SIM: leave --sim out"),
    ],
)
def test_what_makes_no_sense_is_refused(words: tuple[str, ...], why: str) -> None:
    result = said(*words, *NEVER_ASKED)
    assert result.exit_code == 2
    assert why in result.output
