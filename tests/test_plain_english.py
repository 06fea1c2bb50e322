"""People read neither jargon nor help that is cut off."""

from pathlib import Path

import pytest

from tests.plain_english import READ_BY_PEOPLE, Jargon, files, jargon_in


@pytest.mark.parametrize("path", READ_BY_PEOPLE)
def test_documents_help_messages_and_docstrings_hold_no_jargon(path: str) -> None:
    """`python -m tests.plain_english` lists every place with better words."""
    assert [str(place) for file in files(path) for place in jargon_in(file)] == []


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.md", "It says how to mend it.", (1, "mend")),
        ("a.md", "A sentence.\n\nThe one\nwhom it calls.", (4, "whom")),
        ("a.py", '"""What is to\nbe sent."""\n', (1, "is to be")),
        ("a.py", "x = 1  # who is told\n", (1, "told")),
        ("a.py", 'raise ValueError(f"{x} is no URL")\n', (1, "is no URL")),
        ("a.py", 'option(help="Only those that are so.")\n', (1, "that are so")),
    ],
)
def test_jargon_is_found_wherever_it_is_read(
    name: str, text: str, found: tuple[int, str], tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_text(text, "utf-8")
    (place,) = jargon_in(file)
    assert isinstance(place, Jargon)
    assert (place.line, place.found) == found


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.md", "`told` is the name of a column, and they are told apart by it."),
        ("a.py", "told = is_to_be  # there is no URL\n"),
        ("a.py", 'x = "there is no longer a source"\n'),
        ("a.py", 'record["mend"] = fault.advice\n'),
    ],
)
def test_code_and_ordinary_words_are_no_jargon(name: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(text, "utf-8")
    assert list(jargon_in(file)) == []
