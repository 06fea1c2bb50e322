"""The receiver reads from the parameters the same record that the sender wrote into them."""

from collections.abc import Mapping
from dataclasses import fields, replace
from enum import StrEnum
from types import NoneType
from typing import Any, Final, get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.core.events.payload import PARAMETERS, parameters_of
from ringback.core.events.payload import Event as Told
from ringback.core.form_encoding import decode, encode
from ringback.receiver.events import (
    CommandChanged,
    EsimProfileChanged,
    EsimStatus,
    IpCommandChanged,
    MessageStatus,
    SimStatus,
    SimUpdated,
    SmsCommandChanged,
    UnknownEvent,
    WirelessStatus,
    event_of_form,
)
from tests.fakes import an_event
from tests.golden.test_golden import CASES, COMMAND, DATAGRAM, PROFILE, SMS, WIRELESS_SIM

EVENTS: Final = {name: told.event for name, told in CASES.items()}


# ---- round trips ---------------------------------------------------------------------------------


@pytest.mark.parametrize("event", EVENTS.values(), ids=list(EVENTS))
def test_the_senders_record_is_read(event: Told) -> None:
    assert event_of_form(decode(encode(parameters_of(event)))) == event


def test_every_kind_of_callback_is_read() -> None:
    read = {type(event_of_form(parameters_of(event))) for event in EVENTS.values()}
    assert read == set(PARAMETERS)


texts = st.text(min_size=1)
SIMPLE: Final[Mapping[type, st.SearchStrategy[object]]] = {
    str: texts,
    int: st.integers(0, 999_999_999),
    NoneType: st.none(),
}


def sids(prefix: str) -> st.SearchStrategy[str]:
    return st.text().map(prefix.__add__)


def any_of(hint: Any) -> st.SearchStrategy[object]:
    kinds = get_args(hint) or (hint,)
    return st.one_of(
        [st.sampled_from(kind) if issubclass(kind, StrEnum) else SIMPLE[kind] for kind in kinds]
    )


def records(kind: type[Told], **special: st.SearchStrategy[object]) -> st.SearchStrategy[Told]:
    """Draw a record with any values that a form can carry; `special` overrides single fields."""
    hints = get_type_hints(kind)
    general = {
        field.name: any_of(hints[field.name]) for field in fields(kind) if field.name not in special
    }
    return st.builds(kind, **general, **special)


any_event = st.one_of(
    records(SimUpdated, sim_sid=sids("HS"), sim_status=st.sampled_from(SimStatus)),
    records(SimUpdated, sim_sid=sids("DE"), sim_status=st.sampled_from(WirelessStatus)),
    records(SmsCommandChanged, command_sid=sids("HC"), payload=st.text()),
    records(IpCommandChanged, command_sid=sids("HG"), payload=st.text()),
    records(EsimProfileChanged, profile_sid=sids("HP")),
    records(CommandChanged, command_sid=sids("DC"), command=st.text()),
)
query = st.lists(st.tuples(st.sampled_from(["foo", "sku", "Sim"]), st.text()), max_size=3)


@settings(deadline=None)
@given(any_event, query)
def test_any_values_are_read_after_the_urls_own_query(
    event: Told, query: list[tuple[str, str]]
) -> None:
    assert event_of_form(query + parameters_of(event)) == event


@settings(deadline=None)
@given(any_event)
def test_an_empty_value_is_read_as_no_value(event: Told) -> None:
    told = dict(parameters_of(event))
    assert event_of_form((name, told.get(name, "")) for name, _ in PARAMETERS[type(event)]) == event


@pytest.mark.parametrize(
    ("sim", "status"),
    [(an_event(), SimStatus.ACTIVE), (WIRELESS_SIM, WirelessStatus.ACTIVE)],
    ids=["Super SIM", "Programmable Wireless"],
)
def test_a_status_is_one_of_the_sims_own_product(sim: SimUpdated, status: StrEnum) -> None:
    read = event_of_form(parameters_of(replace(sim, sim_status=status)))
    assert isinstance(read, SimUpdated)
    assert read.sim_status is status


def test_an_sms_is_read_with_only_one_of_the_two_names_of_its_text() -> None:
    told = parameters_of(SMS)
    for name in ("Command", "Payload"):
        assert event_of_form(pair for pair in told if pair[0] != name) == SMS


def test_the_newer_name_of_a_text_takes_precedence() -> None:
    told = [(name, "old" if name == "Command" else value) for name, value in parameters_of(SMS)]
    assert event_of_form(told) == SMS


def test_a_missing_constant_is_assumed() -> None:
    told = [pair for pair in parameters_of(SMS) if pair[0] not in ("ApiVersion", "PayloadType")]
    assert event_of_form(told) == SMS


# ---- names that others have added ----------------------------------------------------------------


def test_the_last_value_of_a_repeated_name_counts() -> None:
    url_has = [("SimSid", "DE00"), ("SimStatus", "lost")]
    assert event_of_form(url_has + parameters_of(an_event())) == an_event()


def test_a_name_that_the_sender_does_not_send_is_read_from_the_urls_own_query() -> None:
    read = event_of_form([("ErrorCode", "7"), *parameters_of(an_event())])
    assert read == an_event(error_code=7)


def test_an_empty_sid_is_read_as_no_sid() -> None:
    told = parameters_of(an_event())
    assert event_of_form([*told, ("CommandSid", ""), ("EsimProfileSid", "")]) == an_event()
    read = event_of_form([*told, ("SimSid", "")])
    assert isinstance(read, UnknownEvent)
    assert read.why == "SimSid is missing; expected a SID that begins with HS or DE"


def test_unknown_parameters_are_ignored() -> None:
    assert event_of_form([*parameters_of(PROFILE), ("Colour", "red")]) == PROFILE


# ---- damage --------------------------------------------------------------------------------------

NUMBER: Final = "a number of at most 9 digits"
SIMS: Final = "a SID that begins with HS or DE"
STATUSES: Final = "queued, sent, delivered, received or failed"


def damaged(event: Told, **changes: str) -> UnknownEvent:
    """Read a callback with some parameters changed; an empty value leaves the parameter out."""
    told = dict(parameters_of(event)) | changes
    given = [(name, value) for name, value in told.items() if value]
    read = event_of_form(given)
    assert isinstance(read, UnknownEvent)
    assert read.parameters == tuple(given)
    return read


@pytest.mark.parametrize(
    ("event", "changes", "why"),
    [
        (SMS, {"Status": "lost"}, f"Status is 'lost'; expected {STATUSES}"),
        (SMS, {"Status": ""}, f"Status is missing; expected {STATUSES}"),
        (SMS, {"Direction": "TO_SIM"}, "Direction is 'TO_SIM'; expected to_sim or from_sim"),
        (SMS, {"AccountSid": ""}, "AccountSid is missing; expected a text"),
        (SMS, {"PayloadType": "binary"}, "PayloadType is 'binary'; expected text"),
        (SMS, {"ApiVersion": "v2"}, "ApiVersion is 'v2'; expected v1"),
        (
            SMS,
            {"CommandSid": "XX1"},
            "CommandSid is 'XX1'; expected a SID that begins with HC, HG or DC",
        ),
        (DATAGRAM, {"DevicePort": ""}, f"DevicePort is missing; expected {NUMBER}"),
        (DATAGRAM, {"PayloadType": "x"}, "PayloadType is 'x'; expected text or binary"),
        (
            PROFILE,
            {"EsimProfileSid": "HS1"},
            "EsimProfileSid is 'HS1'; expected a SID that begins with HP",
        ),
        (
            PROFILE,
            {"Status": "lost"},
            f"Status is 'lost'; expected {', '.join(list(EsimStatus)[:-1])} or failed",
        ),
        (
            COMMAND,
            {"CommandStatus": "x" * 41},
            f"CommandStatus is '{'x' * 40}'…; expected {STATUSES}",
        ),
        (COMMAND, {"CommandMode": "\ud800"}, r"CommandMode is '\ud800'; expected text or binary"),
        (
            an_event(),
            {"SimStatus": "suspended"},
            "SimStatus is 'suspended'; expected new, ready, active, inactive or scheduled",
        ),
        (an_event(), {"SimSid": ""}, f"SimSid is missing; expected {SIMS}"),
        (an_event(), {"SimSid": "HC1"}, f"SimSid is 'HC1'; expected {SIMS}"),
        (
            an_event(),
            {"SimStatus": ""},
            (
                "the parameters have no EsimProfileSid, CommandSid or SimStatus;"
                " expected one of these, which shows the kind of callback"
            ),
        ),
    ],
)
def test_an_impossible_value_is_unknown_with_the_reason(
    event: Told, changes: dict[str, str], why: str
) -> None:
    assert damaged(event, **changes).why == why


@pytest.mark.parametrize("given", ["none", "1.5", "-1", " 1", "1_0", "\u0661", "0x1", "1" * 10])
def test_a_number_has_ascii_digits(given: str) -> None:
    unknown = damaged(an_event(), ErrorCode=given)
    assert unknown.why == f"ErrorCode is {given!r}; expected {NUMBER}"


def test_a_profiles_error_code_is_a_text_as_in_its_resource() -> None:
    read = event_of_form([*parameters_of(PROFILE), ("ErrorCode", "none")])
    assert read == replace(PROFILE, error_code="none")


def test_a_request_without_parameters_has_no_event() -> None:
    assert event_of_form([]) == UnknownEvent(
        (),
        "the parameters have no EsimProfileSid, CommandSid or SimStatus;"
        " expected one of these, which shows the kind of callback",
    )


names = st.sampled_from(sorted({name for table in PARAMETERS.values() for name, _ in table}))
near = st.one_of(
    st.text(st.characters()),
    st.sampled_from(["HS1", "DE1", "HC1", "HG1", "HP1", "DC1", "v1", "text", "1", "", "to_sim"]),
    st.sampled_from([*MessageStatus, *EsimStatus, *WirelessStatus]),
)
anything = st.lists(st.tuples(st.one_of(names, st.text(st.characters())), near), max_size=16)


@settings(max_examples=300, deadline=None)
@given(anything)
def test_any_parameters_give_one_of_the_records(parameters: list[tuple[str, str]]) -> None:
    read = event_of_form(parameters)
    if isinstance(read, UnknownEvent):
        assert read.parameters == tuple(parameters)
        assert read.why.encode()
    else:
        assert type(read) in PARAMETERS
