"""Whatever a text has, what is printed of it can't control a terminal."""

import json

from hypothesis import given
from hypothesis import strategies as st

from ringback.core.visible_text import visible, visible_json

ANY_TEXT = st.text(st.characters(exclude_categories=()))


def test_an_ordinary_text_stays_as_it_is() -> None:
    assert visible("Grüße, 世界 🙂") == "Grüße, 世界 🙂"
    assert visible_json('["Grüße"]') == '["Grüße"]'


def test_line_feeds_stay_only_where_they_are_kept() -> None:
    assert visible("a\nb\x1b[2J") == r"a\nb\x1b[2J"
    assert visible("a\nb\x1b[2J", keep="\n") == "a\nb\\x1b[2J"


@given(ANY_TEXT)
def test_everything_is_printable_afterwards(text: str) -> None:
    assert visible(text).isprintable()


@given(ANY_TEXT)
def test_json_means_the_same_afterwards(text: str) -> None:
    written = visible_json(json.dumps([text], ensure_ascii=False, indent=1))
    assert json.loads(written) == json.loads(json.dumps([text]))
    assert all(char.isprintable() or char == "\n" for char in written)
