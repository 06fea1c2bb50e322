"""A text is found in a body however the body encodes it."""

import pytest

from ringback.core.callbacks.text_search import written_forms
from ringback.core.sources.body_encoding import BodyEncoding, write_body


@pytest.mark.parametrize("text", ["active", "my_super_sim", "a-b.c~d"])
def test_a_plain_text_has_one_form(text: str) -> None:
    assert written_forms(text) == (text,)


@pytest.mark.parametrize("encoding", list(BodyEncoding))
@pytest.mark.parametrize(
    "text", ["the SIM", "gate 4 = open & wide", "é", 'say "hi"', "a+b", "50 %", "back\\slash"]
)
def test_a_value_is_found_in_each_encoding(text: str, encoding: BodyEncoding) -> None:
    body = write_body([("Note", f"so {text}!"), ("Other", "1")], encoding)
    assert any(form in body for form in written_forms(text))


def test_names_are_found_with_their_values() -> None:
    body = write_body([("Command", "gate 4 open"), ("Status", "sent")], BodyEncoding.FORM)
    assert any(form in body for form in written_forms("Command=gate 4 open&Status=s"))
