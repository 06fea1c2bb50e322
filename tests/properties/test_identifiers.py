import re
from ipaddress import IPv4Address, IPv4Network
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from ringback.core.policy.source_policy import Source
from ringback.core.sids import SidKind, is_sid, make_sid
from ringback.core.sims.simulated_network import device_address
from ringback.core.sources.idempotency_tokens import KORE_TOKEN, TWILIO_TOKEN, is_token
from ringback.core.sources.source_definition import BUILT_IN
from ringback.core.supersim.esim_profile import make_iccid, make_matching_id
from tests.properties.strategies import any_text, sixteen_bytes, sources


@given(st.sampled_from(SidKind), sixteen_bytes)
def test_a_sid_has_the_shape_of_its_kind_and_of_no_other(
    kind: SidKind, random_bytes: bytes
) -> None:
    sid = make_sid(kind, random_bytes)
    assert re.fullmatch("[A-Z]{2}[0-9a-f]{32}", sid)
    assert [other for other in SidKind if is_sid(sid, other)] == [kind]


@given(sources, sixteen_bytes)
def test_a_receiver_accepts_the_token_of_each_source(source: Source, random_bytes: bytes) -> None:
    assert is_token(BUILT_IN[source].token.make(random_bytes))


@given(sixteen_bytes)
def test_a_kore_token_has_34_characters_and_a_twilio_token_36(random_bytes: bytes) -> None:
    assert re.fullmatch("RQ[0-9a-f]{32}", KORE_TOKEN.make(random_bytes))
    assert UUID(TWILIO_TOKEN.make(random_bytes)).version == 4
    assert len(TWILIO_TOKEN.make(random_bytes)) == 36


@given(sixteen_bytes, sixteen_bytes)
def test_other_bytes_make_another_kore_token_and_another_sid(one: bytes, other: bytes) -> None:
    assert (KORE_TOKEN.make(one) == KORE_TOKEN.make(other)) is (one == other)
    assert (make_sid(SidKind.SIM, one) == make_sid(SidKind.SIM, other)) is (one == other)


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=13, max_size=13))
def test_any_random_bytes_make_an_iccid_and_a_matching_id(eight: bytes, thirteen: bytes) -> None:
    assert re.fullmatch("8988307[0-9]{13}", make_iccid(eight))
    assert re.fullmatch("[0-9A-F]{5}(-[0-9A-F]{5}){4}", make_matching_id(thirteen))


@given(any_text, st.integers(0, 2**32 - 1), st.integers(0, 32), st.integers(0, 2**33))
def test_a_device_has_a_valid_host_address_of_its_network(
    iccid: str, number: int, prefix: int, turn: int
) -> None:
    network = IPv4Network((number, prefix), strict=False)
    address = IPv4Address(device_address(iccid, network, turn=turn))
    assert address in network
    assert prefix > 30 or address not in (network.network_address, network.broadcast_address)


@given(any_text)
def test_any_text_is_classified_without_an_error(text: str) -> None:
    assert is_token(text) in (True, False)
