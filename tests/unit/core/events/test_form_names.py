"""The names in a form, by its kind: those that it must have, and those that are unknown."""

from typing import Final

import pytest

from ringback.core.events.form_names import (
    REQUIRED,
    REQUIRED_FROM_SIMS,
    find_form_fault,
    kind_of_form,
    unknown_names,
)
from ringback.core.events.payload import EVENTS_BY_SID, PARAMETERS

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


def required(form: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Return the names that a form has to have; those of messages here are from a SIM."""
    found = kind_of_form(form)
    assert found is not None
    return REQUIRED_FROM_SIMS.get(found[1], REQUIRED[found[1]])


each_required_name = pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, form in KINDS.items() for name in required(form)]
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
        [("CommandSid", ""), ("AccountSid", f"AC{HEX}")],
        [("EsimProfileSid", ""), ("AccountSid", f"AC{HEX}")],
        [("SimStatus", "active"), ("ApiVersion", "v1"), ("AccountSid", "A1")],
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


def to_a_sim(form: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return the form for a message in the other direction."""
    other = {"received": "sent", "from_sim": "to_sim"}
    return tuple((name, other.get(value, value)) for name, value in form)


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        (WIRELESS, {"SimSid", "SimStatus"}),
        (to_a_sim(SMS), {"CommandSid"}),
        (IP, {"CommandSid"}),
        (to_a_sim(IP), {"CommandSid"}),
        (ESIM, {"EsimProfileSid"}),
        (COMMAND, {"CommandSid", "SimSid", "CommandStatus"}),
        (to_a_sim(COMMAND), {"CommandSid"}),
    ],
    ids=["wireless", "sms to a SIM", "ip", "ip to a SIM", "esim", "command", "command to a SIM"],
)
def test_a_form_may_lack_each_name_that_no_source_shows(
    form: tuple[tuple[str, str], ...], shown: set[str]
) -> None:
    for name in {name for name, _ in form} - shown:
        assert find_form_fault(without(form, name)) is None, name
        assert find_form_fault([*without(form, name), (name, "")]) is None, name
    assert find_form_fault([pair for pair in form if pair[0] in shown]) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("AccountSid", "AC1"), ("SimSid", f"HS{HEX}DeviceIp"), ("Direction", "To"), ("Status", "1")],
)
def test_a_name_that_may_be_missing_is_there_once_and_well_formed(name: str, value: str) -> None:
    others = without(to_a_sim(IP), name)
    assert str(find_form_fault([*others, (name, value)])).startswith(f"its {name} is ")
    assert find_form_fault([*to_a_sim(IP), (name, value)]) == f"it has {name} 2 times"


def test_required_names_are_names_of_the_table() -> None:
    for required_by_prefix in (REQUIRED, REQUIRED_FROM_SIMS):
        for prefix, names in required_by_prefix.items():
            assert {*names} < {name for name, _ in PARAMETERS[EVENTS_BY_SID[prefix]]}
    assert {*REQUIRED} == {*EVENTS_BY_SID}
