from dataclasses import fields

import pytest

from ringback.core.events import SimUpdated
from ringback.core.payload import PARAMETERS, decode, encode, parameters_of
from ringback.core.sim import SimStatus
from tests.fakes import an_event

# The events are covered here too: they are records, and this table is what becomes of them.


def test_a_sim_update_is_told_by_the_five_parameters_of_the_notice() -> None:
    assert parameters_of(an_event(sim_status=SimStatus.INACTIVE)) == [
        ("ApiVersion", "v1"),
        ("SimUniqueName", "my_super_sim"),
        ("SimSid", "HSab3f06be8f5d32caecb91e8a306c6c08"),
        ("SimStatus", "inactive"),
        ("AccountSid", "AC3ba717b1d236e6c4a835e46130267eb4"),
    ]


def test_a_failed_update_adds_its_error_at_the_end() -> None:
    told = parameters_of(an_event(error_code=83004, error_message="it failed"))
    assert [name for name, _ in told] == [
        "ApiVersion",
        "SimUniqueName",
        "SimSid",
        "SimStatus",
        "AccountSid",
        "ErrorCode",
        "ErrorMessage",
    ]
    assert told[-2:] == [("ErrorCode", "83004"), ("ErrorMessage", "it failed")]


@pytest.mark.parametrize("name", [None, ""])
def test_a_parameter_without_a_value_is_left_out(name: str | None) -> None:
    told = parameters_of(an_event(sim_unique_name=name))
    assert [name for name, _ in told] == ["ApiVersion", "SimSid", "SimStatus", "AccountSid"]


def test_a_zero_is_a_value() -> None:
    assert ("ErrorCode", "0") in parameters_of(an_event(error_code=0))


@pytest.mark.parametrize("event", PARAMETERS)
def test_every_field_of_an_event_is_told(event: type[SimUpdated]) -> None:
    told = {field for _, field in PARAMETERS[event]}
    assert told == {field.name for field in fields(event)} | {"api_version"}


@pytest.mark.parametrize(
    ("parameters", "encoded"),
    [
        ([], ""),
        ([("A", "1"), ("B", "2")], "A=1&B=2"),
        ([("B", "2"), ("A", "1"), ("B", "1")], "B=2&A=1&B=1"),
        ([("A", "")], "A="),
        ([("A", "a b")], "A=a+b"),
        ([("A", "a+b")], "A=a%2Bb"),
        ([("A", "1&B=2")], "A=1%26B%3D2"),
        ([("A", "Hello;1234;testing@!#")], "A=Hello%3B1234%3Btesting%40%21%23"),
        ([("A", "_.-~")], "A=_.-~"),
        ([("A", "/?:'\"*")], "A=%2F%3F%3A%27%22%2A"),
        ([("A", "ä€😀")], "A=%C3%A4%E2%82%AC%F0%9F%98%80"),
        ([("A", "\r\n\x00")], "A=%0D%0A%00"),
        ([("ä b", "1")], "%C3%A4+b=1"),
    ],
)
def test_a_form_is_encoded_in_the_order_given(
    parameters: list[tuple[str, str]], encoded: str
) -> None:
    assert encode(parameters) == encoded


@pytest.mark.parametrize(
    ("encoded", "told"),
    [
        ("", []),
        ("A=1", [("A", "1")]),
        ("B=2&A=1&B=3", [("B", "2"), ("A", "1"), ("B", "3")]),
        ("A=a+b%26%3D&%C3%A4=", [("A", "a b&="), ("ä", "")]),
        ("A=1=2&B&&C=", [("A", "1=2"), ("B", ""), ("C", "")]),
    ],
)
def test_a_form_is_read_as_it_was_written(encoded: str, told: list[tuple[str, str]]) -> None:
    assert decode(encoded) == told
