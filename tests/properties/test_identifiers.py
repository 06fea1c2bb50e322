import re
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from ringback.core.sids import Kind, make_sid
from ringback.core.source import Source
from ringback.core.tokens import is_token, make_token
from tests.properties.strategies import any_text, sixteen_bytes, sources


@given(st.sampled_from(Kind), sixteen_bytes)
def test_a_sid_has_the_shape_of_its_kind_and_of_no_other(kind: Kind, chance: bytes) -> None:
    sid = make_sid(kind, chance)
    assert re.fullmatch("[A-Z]{2}[0-9a-f]{32}", sid)
    assert [other for other in Kind if sid.startswith(other)] == [kind]


@given(sources, sixteen_bytes)
def test_a_token_can_be_one_of_its_source_and_of_no_other(source: Source, chance: bytes) -> None:
    token = make_token(source, chance)
    assert is_token(source, token)
    # A UUID of 36 characters is within what KORE's tokens may be; 34 are too few for a UUID.
    assert is_token(Source.KORE, token)
    assert is_token(Source.TWILIO, token) is (source is Source.TWILIO)


@given(sixteen_bytes)
def test_a_kore_token_has_34_characters_and_a_twilio_token_36(chance: bytes) -> None:
    assert re.fullmatch("RQ[0-9a-f]{32}", make_token(Source.KORE, chance))
    assert UUID(make_token(Source.TWILIO, chance)).version == 4
    assert len(make_token(Source.TWILIO, chance)) == 36


@given(sixteen_bytes, sixteen_bytes)
def test_other_bytes_make_another_kore_token_and_another_sid(one: bytes, other: bytes) -> None:
    assert (make_token(Source.KORE, one) == make_token(Source.KORE, other)) is (one == other)
    assert (make_sid(Kind.SIM, one) == make_sid(Kind.SIM, other)) is (one == other)


@given(any_text, sources)
def test_any_text_is_judged_and_never_breaks_the_judge(text: str, source: Source) -> None:
    assert is_token(source, text) in (True, False)
