"""The names in a form, by its kind: those that it must have, and those that are unknown."""

from typing import Final

import pytest

from ringback.core.events.form_names import find_form_fault, kind_of_form, unknown_names
from ringback.core.events.payload import PARAMETERS, REQUIRED
from ringback.core.supersim.events import SmsCommandChanged

HEX: Final = "0123456789abcdef" * 2
SIM: Final = (
    ("ApiVersion", "v1"),
    ("SimUniqueName", "my_super_sim"),
    ("SimSid", f"HS{HEX}"),
    ("SimStatus", "inactive"),
    ("AccountSid", f"AC{HEX}"),
)
WIRELESS: Final = (*SIM[:2], ("SimSid", f"DE{HEX}"), ("SimStatus", "deactivated"), SIM[4])
SMS: Final = (
    ("Status", "received"),
    ("ApiVersion", "v1"),
    ("Command", "Hello"),
    ("Payload", "Hello"),
    ("SimSid", f"HS{HEX}"),
    ("Direction", "from_sim"),
    ("CommandSid", f"HC{HEX}"),
    ("AccountSid", f"AC{HEX}"),
    ("PayloadType", "text"),
)
IP: Final = tuple(("CommandSid", f"HG{HEX}") if n == "CommandSid" else (n, v) for n, v in SMS)
ESIM: Final = (
    ("AccountSid", f"AC{HEX}"),
    ("ApiVersion", "v1"),
    ("EsimProfileSid", f"HP{HEX}"),
    ("Status", "failed"),
)
COMMAND: Final = (
    ("CommandSid", f"DC{HEX}"),
    ("SimSid", f"DE{HEX}"),
    ("AccountSid", f"AC{HEX}"),
    ("CommandStatus", "received"),
    ("CommandMode", "text"),
    ("ApiVersion", "v1"),
)
KINDS: Final = {"sim": SIM, "wireless": WIRELESS, "sms": SMS, "esim": ESIM, "command": COMMAND}
MARKS: Final = {"SimStatus", "CommandSid", "EsimProfileSid"}


def without(form: tuple[tuple[str, str], ...], name: str) -> list[tuple[str, str]]:
    return [pair for pair in form if pair[0] != name]


each_required_name = pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind, form in KINDS.items()
        for found in [kind_of_form(form)]
        if found is not None
        for name in REQUIRED[found[1]]
    ],
)


@pytest.mark.parametrize("form", [*KINDS.values(), IP[:2] + IP[4:]])
def test_a_form_with_its_required_names_has_no_fault(form: tuple[tuple[str, str], ...]) -> None:
    assert find_form_fault(form) is None
    assert find_form_fault(form[::-1]) is None
    assert unknown_names(form) == ()


@each_required_name
def test_a_required_name_must_be_there(kind: str, name: str) -> None:
    if name not in MARKS:  # without its mark, a form is of no known kind
        assert f"not {name}" in str(find_form_fault(without(KINDS[kind], name)))
        split = [*without(KINDS[kind], name), (f"/{name}", "x")]
        assert f"(it has the unknown name '/{name}')" in str(find_form_fault(split))


@each_required_name
def test_a_required_name_must_be_there_once(kind: str, name: str) -> None:
    value = dict(KINDS[kind])[name]
    assert find_form_fault([*KINDS[kind], (name, value)]) == f"it has {name} 2 times"


@each_required_name
@pytest.mark.parametrize("more", ["SimSidX", "é", "\n", "1 "])
def test_the_value_of_a_required_name_must_be_well_formed(kind: str, name: str, more: str) -> None:
    form = [(n, v + more) if n == name else (n, v) for n, v in KINDS[kind]]
    assert str(find_form_fault(form)).startswith(f"its {name} is ")


@pytest.mark.parametrize(
    "form",
    [
        [],
        [("Color", "red"), ("/AccountSid", "x")],
        [("SimStatus", "active"), ("ApiVersion", "v1")],
        [("SimStatus", "active"), ("SimSid", "SM1")],
        [("CommandSid", f"XX{HEX}"), ("SimSid", "HS1")],
        [("CommandSid", "")],
        [("SimSid", f"HS{HEX}"), ("AccountSid", f"AC{HEX}")],
    ],
)
def test_a_form_of_no_known_kind_may_have_any_names(form: list[tuple[str, str]]) -> None:
    assert kind_of_form(form) is None
    assert find_form_fault(form) is None
    assert unknown_names(form) == ()


def test_names_that_the_table_does_not_have_are_unknown_but_no_fault() -> None:
    form = [*SMS, ("Color", "red"), ("payload", "x"), ("Color", "blue")]
    assert find_form_fault(form) is None
    assert unknown_names(form) == ("Color", "payload")


def test_a_new_status_is_no_fault() -> None:
    assert find_form_fault([*without(SIM, "SimStatus"), ("SimStatus", "on_hold")]) is None


def test_required_names_are_names_of_the_table() -> None:
    for event, names in REQUIRED.items():
        assert set(names) < {name for name, _ in PARAMETERS[event]}
    assert "Payload" not in REQUIRED[SmsCommandChanged]  # an empty one is left out
