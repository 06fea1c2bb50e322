"""The kind of event and the SIM of a callback, from its encoded parameters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.events.event_kinds import (
    EVENT_KINDS,
    MARKS,
    OF_DESTINATIONS,
    STREAM_EVENTS,
    TEST_EVENT,
    event_and_sim,
)
from ringback.core.events.payload import Event, parameters_of
from ringback.core.form_encoding import decode, encode
from ringback.core.sids import SidKind, is_sid
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.supersim.events import EsimProfileChanged, IpCommandChanged, SmsCommandChanged
from ringback.core.wireless.events import CommandChanged
from tests.fakes import SIM_SID, a_sim, an_event
from tests.unit.core.builders import a_datagram, an_esim_profile, an_sms
from tests.wireless_fakes import WIRELESS_SIM_SID, a_command, a_wireless_sim

OF_EACH_KIND: dict[str, tuple[Event, str | None]] = {
    "sim": (an_event(), SIM_SID),
    "wireless": (SimUpdated.of(a_wireless_sim()), WIRELESS_SIM_SID),
    "sms": (SmsCommandChanged.of(an_sms(), a_sim()), SIM_SID),
    "ip": (IpCommandChanged.of(a_datagram(), a_sim()), SIM_SID),
    "esim": (EsimProfileChanged.of(an_esim_profile()), None),
    "command": (CommandChanged.of(a_command(), "meter_1"), WIRELESS_SIM_SID),
}


@pytest.mark.parametrize("kind", OF_EACH_KIND)
def test_an_event_has_its_kind_and_its_sim(kind: str) -> None:
    event, sim_sid = OF_EACH_KIND[kind]
    assert event_and_sim(encode(parameters_of(event))) == (kind, sim_sid)


def test_a_profile_on_a_sim_has_that_sim() -> None:
    event = EsimProfileChanged.of(an_esim_profile(sim_sid=SIM_SID))
    assert event_and_sim(encode(parameters_of(event))) == ("esim", SIM_SID)


def test_all_kinds_are_listed_with_the_test_event() -> None:
    assert set(EVENT_KINDS) == {*OF_EACH_KIND, TEST_EVENT, STREAM_EVENTS, *OF_DESTINATIONS}


A_SIM = "HS" + "0a" * 16
ODD: dict[str, tuple[str, tuple[str | None, str | None]]] = {
    "no parameters": ("", (None, None)),
    "an own event": ("OrderId=7&State=shipped", (None, None)),
    "an own event about a SIM": (f"State=lost&SimSid={A_SIM}", (None, A_SIM)),
    "an own event in the form of ours": (f"SimStatus=lost&SimSid={A_SIM}", ("sim", A_SIM)),
    "a SIM in capital letters": ("SimSid=HS" + "0A" * 16, (None, "HS" + "0A" * 16)),
    "a SIM's SID that is too short": ("SimSid=HS01&SimStatus=active", ("sim", None)),
    "a SIM's SID that is too long": (f"SimSid={A_SIM}0", (None, None)),
    "a SIM's SID with other letters": (f"SimSid={A_SIM[:-1]}g", (None, None)),
    "another resource's SID": ("SimSid=AC" + "0a" * 16, (None, None)),
    "a SimSid without a value": ("SimSid=&SimStatus=active", (None, None)),
    "a status without a SIM": ("SimStatus=active&Sim=DE", (None, None)),
    "a command of an unknown kind": (f"CommandSid=XX1&SimSid={A_SIM}", (None, A_SIM)),
    "a command without a value": (f"CommandSid=&SimStatus=on&SimSid={A_SIM}", ("sim", A_SIM)),
    "names that end alike": (f"OldSimSid={A_SIM}&MyCommandSid=HC1", (None, None)),
    "the names as values": (f"a=SimSid%3D{A_SIM}&b=%26CommandSid%3DHC1", (None, None)),
    "a repeated SIM": (f"SimSid=HS1&SimSid={A_SIM}", (None, A_SIM)),
    "a repeated SIM, the last without a value": (f"SimSid={A_SIM}&SimSid=", (None, None)),
    "a repeated command": ("CommandSid=HC1&CommandSid=HG1", ("ip", None)),
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_parameters_have_the_kind_and_the_sim_that_they_show(odd: str) -> None:
    body, expected = ODD[odd]
    assert event_and_sim(body) == expected


names = st.sampled_from(["SimSid", "SimStatus", "CommandSid", "EsimProfileSid", "Sim", "Status"])
values = (
    st.sampled_from(["", A_SIM, "DE" + A_SIM[2:], "HC1", "HG1", "DC1", "HP1", "XX"]) | st.text()
)


@given(pairs=st.lists(st.tuples(names | st.text(min_size=1), values), max_size=6))
def test_the_encoded_parameters_are_searched_as_if_they_were_decoded(
    pairs: list[tuple[str, str]],
) -> None:
    body = encode(pairs)
    last = dict(decode(body))
    kinds = (
        known.get(last.get(mark.sid, "")[:2])
        for mark, known in MARKS.items()
        if mark.parameter in last
    )
    sim_sid = last.get("SimSid", "")
    is_sim = any(is_sid(sim_sid, kind) for kind in (SidKind.SIM, SidKind.WIRELESS_SIM))
    assert event_and_sim(body) == (next(filter(None, kinds), None), sim_sid if is_sim else None)
